/* pbmsg.c - see pbmsg.h. */
#include "net/pbmsg.h"

static const struct pb_field pbmsg_get_fields[] = {
    PB_FIELD(struct pbmsg_get, 1, key, BYTES),
    PB_FIELD(struct pbmsg_get, 2, size_only, BOOL),
};
static const struct pb_table pbmsg_get_table = PB_TABLE("Get", struct pbmsg_get, pbmsg_get_fields);

static const struct pb_field pbmsg_put_fields[] = {
    PB_FIELD(struct pbmsg_put, 1, key, BYTES),
    PB_FIELD(struct pbmsg_put, 2, value, BYTES),
    PB_FIELD(struct pbmsg_put, 3, condition, ENUM),
    PB_FIELD(struct pbmsg_put, 4, previous, BOOL),
};
static const struct pb_table pbmsg_put_table = PB_TABLE("Put", struct pbmsg_put, pbmsg_put_fields);

static const struct pb_field pbmsg_delete_fields[] = {
    PB_FIELD(struct pbmsg_delete, 1, key, BYTES),
};
static const struct pb_table pbmsg_delete_table =
    PB_TABLE("Delete", struct pbmsg_delete, pbmsg_delete_fields);

static const struct pb_field pbmsg_cas_fields[] = {
    PB_FIELD(struct pbmsg_cas, 1, key, BYTES),
    PB_FIELD_OPTIONAL(struct pbmsg_cas, 2, expected, BYTES),
    PB_FIELD(struct pbmsg_cas, 3, value, BYTES),
};
static const struct pb_table pbmsg_cas_table = PB_TABLE("Cas", struct pbmsg_cas, pbmsg_cas_fields);

static const struct pb_field pbmsg_append_fields[] = {
    PB_FIELD(struct pbmsg_append, 1, key, BYTES),
    PB_FIELD(struct pbmsg_append, 2, value, BYTES),
};
static const struct pb_table pbmsg_append_table =
    PB_TABLE("Append", struct pbmsg_append, pbmsg_append_fields);

static const struct pb_field pbmsg_incr_fields[] = {
    PB_FIELD(struct pbmsg_incr, 1, key, BYTES),
    PB_FIELD(struct pbmsg_incr, 2, delta, SINT64),
};
static const struct pb_table pbmsg_incr_table =
    PB_TABLE("Incr", struct pbmsg_incr, pbmsg_incr_fields);

static const struct pb_field pbmsg_scan_fields[] = {
    PB_FIELD(struct pbmsg_scan, 1, start, BYTES),
    PB_FIELD_OPTIONAL(struct pbmsg_scan, 2, end, BYTES),
    PB_FIELD(struct pbmsg_scan, 3, limit, UINT32),
    PB_FIELD(struct pbmsg_scan, 4, bytes_limit, UINT32),
    PB_FIELD(struct pbmsg_scan, 5, reverse, BOOL),
    PB_FIELD(struct pbmsg_scan, 6, keys_only, BOOL),
    PB_FIELD(struct pbmsg_scan, 7, count_only, BOOL),
    PB_FIELD(struct pbmsg_scan, 8, pattern, BYTES),
    PB_FIELD(struct pbmsg_scan, 9, continuation, BYTES),
};
static const struct pb_table pbmsg_scan_table =
    PB_TABLE("Scan", struct pbmsg_scan, pbmsg_scan_fields);

static const struct pb_field pbmsg_op_fields[] = {
    PB_SUB_ONEOF(struct pbmsg_op, op, 9, get, pbmsg_get_table),
    PB_SUB_ONEOF(struct pbmsg_op, op, 10, put, pbmsg_put_table),
    PB_SUB_ONEOF(struct pbmsg_op, op, 11, delete, pbmsg_delete_table),
    PB_SUB_ONEOF(struct pbmsg_op, op, 12, cas, pbmsg_cas_table),
    PB_SUB_ONEOF(struct pbmsg_op, op, 13, append, pbmsg_append_table),
    PB_SUB_ONEOF(struct pbmsg_op, op, 14, incr, pbmsg_incr_table),
};
static const struct pb_table pbmsg_op_table = PB_TABLE("Op", struct pbmsg_op, pbmsg_op_fields);

static const struct pb_field pbmsg_batch_fields[] = {
    PB_SUB_LIST(struct pbmsg_batch, 1, ops, pbmsg_op_table),
};
static const struct pb_table pbmsg_batch_table =
    PB_TABLE("Batch", struct pbmsg_batch, pbmsg_batch_fields);

static const struct pb_field pbmsg_delete_range_fields[] = {
    PB_FIELD(struct pbmsg_delete_range, 1, start, BYTES),
    PB_FIELD_OPTIONAL(struct pbmsg_delete_range, 2, end, BYTES),
    PB_FIELD(struct pbmsg_delete_range, 3, to_end, BOOL),
};
static const struct pb_table pbmsg_delete_range_table =
    PB_TABLE("DeleteRange", struct pbmsg_delete_range, pbmsg_delete_range_fields);

static const struct pb_field pbmsg_ping_fields[] = {
    PB_FIELD(struct pbmsg_ping, 1, payload, BYTES),
};
static const struct pb_table pbmsg_ping_table =
    PB_TABLE("Ping", struct pbmsg_ping, pbmsg_ping_fields);

static const struct pb_field pbmsg_open_session_fields[] = {
    PB_FIELD(struct pbmsg_open_session, 1, ttl_ms, UINT32),
};
static const struct pb_table pbmsg_open_session_table =
    PB_TABLE("OpenSession", struct pbmsg_open_session, pbmsg_open_session_fields);

static const struct pb_table pbmsg_renew_session_table =
    PB_TABLE_EMPTY("RenewSession", struct pbmsg_nothing);

static const struct pb_table pbmsg_close_session_table =
    PB_TABLE_EMPTY("CloseSession", struct pbmsg_nothing);

static const struct pb_table pbmsg_members_table = PB_TABLE_EMPTY("Members", struct pbmsg_nothing);

static const struct pb_field pbmsg_add_member_fields[] = {
    PB_FIELD(struct pbmsg_add_member, 1, node, UINT64),
    PB_FIELD(struct pbmsg_add_member, 2, address, STRING),
    PB_FIELD(struct pbmsg_add_member, 3, peer_address, STRING),
    PB_FIELD(struct pbmsg_add_member, 4, learner, BOOL),
    PB_FIELD(struct pbmsg_add_member, 5, incarnation, FIXED64),
};
static const struct pb_table pbmsg_add_member_table =
    PB_TABLE("AddMember", struct pbmsg_add_member, pbmsg_add_member_fields);

static const struct pb_field pbmsg_remove_member_fields[] = {
    PB_FIELD(struct pbmsg_remove_member, 1, node, UINT64),
};
static const struct pb_table pbmsg_remove_member_table =
    PB_TABLE("RemoveMember", struct pbmsg_remove_member, pbmsg_remove_member_fields);

static const struct pb_field pbmsg_transfer_fields[] = {
    PB_FIELD(struct pbmsg_transfer, 1, node, UINT64),
};
static const struct pb_table pbmsg_transfer_table =
    PB_TABLE("Transfer", struct pbmsg_transfer, pbmsg_transfer_fields);

static const struct pb_table pbmsg_snapshot_table =
    PB_TABLE_EMPTY("Snapshot", struct pbmsg_nothing);

static const struct pb_table pbmsg_status_table = PB_TABLE_EMPTY("Status", struct pbmsg_nothing);

static const struct pb_field pbmsg_request_fields[] = {
    PB_FIELD(struct pbmsg_request, 1, id, UINT64),
    PB_FIELD(struct pbmsg_request, 2, session, UINT64),
    PB_FIELD(struct pbmsg_request, 3, sequence, UINT64),
    PB_FIELD(struct pbmsg_request, 4, answered, UINT64),
    PB_FIELD(struct pbmsg_request, 5, min_index, UINT64),
    PB_FIELD(struct pbmsg_request, 6, timeout_ms, UINT32),
    PB_FIELD(struct pbmsg_request, 7, consistency, ENUM),
    PB_FIELD(struct pbmsg_request, 8, durability, ENUM),
    PB_SUB_ONEOF(struct pbmsg_request, op, 9, get, pbmsg_get_table),
    PB_SUB_ONEOF(struct pbmsg_request, op, 10, put, pbmsg_put_table),
    PB_SUB_ONEOF(struct pbmsg_request, op, 11, delete, pbmsg_delete_table),
    PB_SUB_ONEOF(struct pbmsg_request, op, 12, cas, pbmsg_cas_table),
    PB_SUB_ONEOF(struct pbmsg_request, op, 13, append, pbmsg_append_table),
    PB_SUB_ONEOF(struct pbmsg_request, op, 14, incr, pbmsg_incr_table),
    PB_SUB_ONEOF(struct pbmsg_request, op, 15, scan, pbmsg_scan_table),
    PB_SUB_ONEOF(struct pbmsg_request, op, 16, batch, pbmsg_batch_table),
    PB_SUB_ONEOF(struct pbmsg_request, op, 17, delete_range, pbmsg_delete_range_table),
    PB_SUB_ONEOF(struct pbmsg_request, op, 18, ping, pbmsg_ping_table),
    PB_SUB_ONEOF(struct pbmsg_request, op, 19, open_session, pbmsg_open_session_table),
    PB_SUB_ONEOF(struct pbmsg_request, op, 20, renew_session, pbmsg_renew_session_table),
    PB_SUB_ONEOF(struct pbmsg_request, op, 21, close_session, pbmsg_close_session_table),
    PB_SUB_ONEOF(struct pbmsg_request, op, 32, members, pbmsg_members_table),
    PB_SUB_ONEOF(struct pbmsg_request, op, 33, add_member, pbmsg_add_member_table),
    PB_SUB_ONEOF(struct pbmsg_request, op, 34, remove_member, pbmsg_remove_member_table),
    PB_SUB_ONEOF(struct pbmsg_request, op, 35, transfer, pbmsg_transfer_table),
    PB_SUB_ONEOF(struct pbmsg_request, op, 36, snapshot, pbmsg_snapshot_table),
    PB_SUB_ONEOF(struct pbmsg_request, op, 37, status, pbmsg_status_table),
};
const struct pb_table pbmsg_request_table =
    PB_TABLE("Request", struct pbmsg_request, pbmsg_request_fields);

static const struct pb_field pbmsg_node_fields[] = {
    PB_FIELD(struct pbmsg_node, 1, node, UINT64),
    PB_FIELD(struct pbmsg_node, 2, address, STRING),
};
static const struct pb_table pbmsg_node_table =
    PB_TABLE("Node", struct pbmsg_node, pbmsg_node_fields);

static const struct pb_field pbmsg_get_result_fields[] = {
    PB_FIELD(struct pbmsg_get_result, 1, found, BOOL),
    PB_FIELD(struct pbmsg_get_result, 2, value, BYTES),
    PB_FIELD(struct pbmsg_get_result, 3, size, UINT64),
};
static const struct pb_table pbmsg_get_result_table =
    PB_TABLE("GetResult", struct pbmsg_get_result, pbmsg_get_result_fields);

static const struct pb_field pbmsg_put_result_fields[] = {
    PB_FIELD(struct pbmsg_put_result, 1, done, BOOL),
    PB_FIELD_OPTIONAL(struct pbmsg_put_result, 2, previous, BYTES),
};
static const struct pb_table pbmsg_put_result_table =
    PB_TABLE("PutResult", struct pbmsg_put_result, pbmsg_put_result_fields);

static const struct pb_field pbmsg_delete_result_fields[] = {
    PB_FIELD(struct pbmsg_delete_result, 1, existed, BOOL),
};
static const struct pb_table pbmsg_delete_result_table =
    PB_TABLE("DeleteResult", struct pbmsg_delete_result, pbmsg_delete_result_fields);

static const struct pb_field pbmsg_cas_result_fields[] = {
    PB_FIELD(struct pbmsg_cas_result, 1, done, BOOL),
};
static const struct pb_table pbmsg_cas_result_table =
    PB_TABLE("CasResult", struct pbmsg_cas_result, pbmsg_cas_result_fields);

static const struct pb_field pbmsg_append_result_fields[] = {
    PB_FIELD(struct pbmsg_append_result, 1, size, UINT64),
};
static const struct pb_table pbmsg_append_result_table =
    PB_TABLE("AppendResult", struct pbmsg_append_result, pbmsg_append_result_fields);

static const struct pb_field pbmsg_incr_result_fields[] = {
    PB_FIELD(struct pbmsg_incr_result, 1, value, INT64),
};
static const struct pb_table pbmsg_incr_result_table =
    PB_TABLE("IncrResult", struct pbmsg_incr_result, pbmsg_incr_result_fields);

static const struct pb_field pbmsg_pair_fields[] = {
    PB_FIELD(struct pbmsg_pair, 1, key, BYTES),
    PB_FIELD(struct pbmsg_pair, 2, value, BYTES),
};
static const struct pb_table pbmsg_pair_table =
    PB_TABLE("Pair", struct pbmsg_pair, pbmsg_pair_fields);

static const struct pb_field pbmsg_scan_result_fields[] = {
    PB_SUB_LIST(struct pbmsg_scan_result, 1, pairs, pbmsg_pair_table),
    PB_FIELD(struct pbmsg_scan_result, 2, continuation, BYTES),
    PB_FIELD(struct pbmsg_scan_result, 3, count, UINT64),
};
static const struct pb_table pbmsg_scan_result_table =
    PB_TABLE("ScanResult", struct pbmsg_scan_result, pbmsg_scan_result_fields);

static const struct pb_field pbmsg_op_result_fields[] = {
    PB_FIELD(struct pbmsg_op_result, 1, code, ENUM),
    PB_SUB_ONEOF(struct pbmsg_op_result, result, 9, get, pbmsg_get_result_table),
    PB_SUB_ONEOF(struct pbmsg_op_result, result, 10, put, pbmsg_put_result_table),
    PB_SUB_ONEOF(struct pbmsg_op_result, result, 11, delete, pbmsg_delete_result_table),
    PB_SUB_ONEOF(struct pbmsg_op_result, result, 12, cas, pbmsg_cas_result_table),
    PB_SUB_ONEOF(struct pbmsg_op_result, result, 13, append, pbmsg_append_result_table),
    PB_SUB_ONEOF(struct pbmsg_op_result, result, 14, incr, pbmsg_incr_result_table),
};
static const struct pb_table pbmsg_op_result_table =
    PB_TABLE("OpResult", struct pbmsg_op_result, pbmsg_op_result_fields);

static const struct pb_field pbmsg_batch_result_fields[] = {
    PB_SUB_LIST(struct pbmsg_batch_result, 1, results, pbmsg_op_result_table),
};
static const struct pb_table pbmsg_batch_result_table =
    PB_TABLE("BatchResult", struct pbmsg_batch_result, pbmsg_batch_result_fields);

static const struct pb_table pbmsg_delete_range_result_table =
    PB_TABLE_EMPTY("DeleteRangeResult", struct pbmsg_nothing);

static const struct pb_field pbmsg_ping_result_fields[] = {
    PB_FIELD(struct pbmsg_ping_result, 1, payload, BYTES),
};
static const struct pb_table pbmsg_ping_result_table =
    PB_TABLE("PingResult", struct pbmsg_ping_result, pbmsg_ping_result_fields);

static const struct pb_field pbmsg_session_result_fields[] = {
    PB_FIELD(struct pbmsg_session_result, 1, session, UINT64),
    PB_FIELD(struct pbmsg_session_result, 2, ttl_ms, UINT32),
};
static const struct pb_table pbmsg_session_result_table =
    PB_TABLE("SessionResult", struct pbmsg_session_result, pbmsg_session_result_fields);

static const struct pb_table pbmsg_close_session_result_table =
    PB_TABLE_EMPTY("CloseSessionResult", struct pbmsg_nothing);

static const struct pb_field pbmsg_member_fields[] = {
    PB_FIELD(struct pbmsg_member, 1, node, UINT64),
    PB_FIELD(struct pbmsg_member, 2, incarnation, FIXED64),
    PB_FIELD(struct pbmsg_member, 3, roles, UINT32),
    PB_FIELD(struct pbmsg_member, 4, address, STRING),
    PB_FIELD(struct pbmsg_member, 5, peer_address, STRING),
};
static const struct pb_table pbmsg_member_table =
    PB_TABLE("Member", struct pbmsg_member, pbmsg_member_fields);

static const struct pb_field pbmsg_members_result_fields[] = {
    PB_FIELD(struct pbmsg_members_result, 1, index, UINT64),
    PB_SUB_LIST(struct pbmsg_members_result, 2, members, pbmsg_member_table),
};
static const struct pb_table pbmsg_members_result_table =
    PB_TABLE("MembersResult", struct pbmsg_members_result, pbmsg_members_result_fields);

static const struct pb_field pbmsg_change_result_fields[] = {
    PB_FIELD(struct pbmsg_change_result, 1, index, UINT64),
};
static const struct pb_table pbmsg_change_result_table =
    PB_TABLE("ChangeResult", struct pbmsg_change_result, pbmsg_change_result_fields);

static const struct pb_field pbmsg_transfer_result_fields[] = {
    PB_FIELD(struct pbmsg_transfer_result, 1, leader, UINT64),
};
static const struct pb_table pbmsg_transfer_result_table =
    PB_TABLE("TransferResult", struct pbmsg_transfer_result, pbmsg_transfer_result_fields);

static const struct pb_field pbmsg_snapshot_result_fields[] = {
    PB_FIELD(struct pbmsg_snapshot_result, 1, index, UINT64),
    PB_FIELD(struct pbmsg_snapshot_result, 2, term, UINT64),
};
static const struct pb_table pbmsg_snapshot_result_table =
    PB_TABLE("SnapshotResult", struct pbmsg_snapshot_result, pbmsg_snapshot_result_fields);

static const struct pb_field pbmsg_progress_fields[] = {
    PB_FIELD(struct pbmsg_progress, 1, node, UINT64),
    PB_FIELD(struct pbmsg_progress, 2, match, UINT64),
    PB_FIELD(struct pbmsg_progress, 3, next, UINT64),
    PB_FIELD(struct pbmsg_progress, 4, silent_ms, UINT64),
    PB_FIELD(struct pbmsg_progress, 5, flow, ENUM),
};
static const struct pb_table pbmsg_progress_table =
    PB_TABLE("Progress", struct pbmsg_progress, pbmsg_progress_fields);

static const struct pb_field pbmsg_status_result_fields[] = {
    PB_FIELD(struct pbmsg_status_result, 1, cluster, FIXED64),
    PB_FIELD(struct pbmsg_status_result, 2, node, UINT64),
    PB_FIELD(struct pbmsg_status_result, 3, incarnation, FIXED64),
    PB_FIELD(struct pbmsg_status_result, 4, role, ENUM),
    PB_FIELD(struct pbmsg_status_result, 5, term, UINT64),
    PB_FIELD(struct pbmsg_status_result, 6, leader, UINT64),
    PB_FIELD(struct pbmsg_status_result, 7, first_index, UINT64),
    PB_FIELD(struct pbmsg_status_result, 8, last_index, UINT64),
    PB_FIELD(struct pbmsg_status_result, 9, durable_index, UINT64),
    PB_FIELD(struct pbmsg_status_result, 10, commit_index, UINT64),
    PB_FIELD(struct pbmsg_status_result, 11, applied_index, UINT64),
    PB_FIELD(struct pbmsg_status_result, 12, snapshot_index, UINT64),
    PB_FIELD(struct pbmsg_status_result, 13, sessions, UINT64),
    PB_FIELD(struct pbmsg_status_result, 14, uptime_ms, UINT64),
    PB_FIELD(struct pbmsg_status_result, 15, version, STRING),
    PB_SUB_LIST(struct pbmsg_status_result, 16, progress, pbmsg_progress_table),
};
static const struct pb_table pbmsg_status_result_table =
    PB_TABLE("StatusResult", struct pbmsg_status_result, pbmsg_status_result_fields);

static const struct pb_field pbmsg_response_fields[] = {
    PB_FIELD(struct pbmsg_response, 1, id, UINT64),
    PB_FIELD(struct pbmsg_response, 2, code, ENUM),
    PB_FIELD(struct pbmsg_response, 3, message, STRING),
    PB_FIELD(struct pbmsg_response, 4, index, UINT64),
    PB_SUB(struct pbmsg_response, 5, leader, pbmsg_node_table),
    PB_FIELD(struct pbmsg_response, 6, retry_ms, UINT32),
    PB_SUB_ONEOF(struct pbmsg_response, result, 9, get, pbmsg_get_result_table),
    PB_SUB_ONEOF(struct pbmsg_response, result, 10, put, pbmsg_put_result_table),
    PB_SUB_ONEOF(struct pbmsg_response, result, 11, delete, pbmsg_delete_result_table),
    PB_SUB_ONEOF(struct pbmsg_response, result, 12, cas, pbmsg_cas_result_table),
    PB_SUB_ONEOF(struct pbmsg_response, result, 13, append, pbmsg_append_result_table),
    PB_SUB_ONEOF(struct pbmsg_response, result, 14, incr, pbmsg_incr_result_table),
    PB_SUB_ONEOF(struct pbmsg_response, result, 15, scan, pbmsg_scan_result_table),
    PB_SUB_ONEOF(struct pbmsg_response, result, 16, batch, pbmsg_batch_result_table),
    PB_SUB_ONEOF(struct pbmsg_response, result, 17, delete_range, pbmsg_delete_range_result_table),
    PB_SUB_ONEOF(struct pbmsg_response, result, 18, ping, pbmsg_ping_result_table),
    PB_SUB_ONEOF(struct pbmsg_response, result, 19, open_session, pbmsg_session_result_table),
    PB_SUB_ONEOF(struct pbmsg_response, result, 20, renew_session, pbmsg_session_result_table),
    PB_SUB_ONEOF(struct pbmsg_response, result, 21, close_session,
                 pbmsg_close_session_result_table),
    PB_SUB_ONEOF(struct pbmsg_response, result, 32, members, pbmsg_members_result_table),
    PB_SUB_ONEOF(struct pbmsg_response, result, 33, add_member, pbmsg_change_result_table),
    PB_SUB_ONEOF(struct pbmsg_response, result, 34, remove_member, pbmsg_change_result_table),
    PB_SUB_ONEOF(struct pbmsg_response, result, 35, transfer, pbmsg_transfer_result_table),
    PB_SUB_ONEOF(struct pbmsg_response, result, 36, snapshot, pbmsg_snapshot_result_table),
    PB_SUB_ONEOF(struct pbmsg_response, result, 37, status, pbmsg_status_result_table),
};
const struct pb_table pbmsg_response_table =
    PB_TABLE("Response", struct pbmsg_response, pbmsg_response_fields);
