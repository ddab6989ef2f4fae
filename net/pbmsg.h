/* pbmsg.h - requests of clients and responses to them, as structs.
 *
 * tinykv.proto says what each of them means; these are its messages with the same names. A
 * request is decoded with pbdec_read(&pbmsg_request_table, ...). tests/tidy/proto.py compares
 * tables, structs and enums with the .proto file.
 *
 * Ownership: strings and bytes are borrowed, see pbdec.h. Determinism: plain data. */
#ifndef NET_PBMSG_H
#define NET_PBMSG_H

#include "net/pb.h"

enum pbmsg_consistency {
    PBMSG_CONSISTENCY_LINEARIZABLE = 0,
    PBMSG_CONSISTENCY_LEASE = 1,
    PBMSG_CONSISTENCY_LOCAL = 2,
};

enum pbmsg_durability {
    PBMSG_DURABILITY_DEFAULT = 0,
    PBMSG_DURABILITY_SYNC = 1,
    PBMSG_DURABILITY_BUFFERED = 2,
};

enum pbmsg_code {
    PBMSG_CODE_OK = 0,
    PBMSG_CODE_BAD_REQUEST = 1,
    PBMSG_CODE_NOT_LEADER = 2,
    PBMSG_CODE_UNAVAILABLE = 3,
    PBMSG_CODE_UNKNOWN = 4,
    PBMSG_CODE_SESSION_EXPIRED = 5,
    PBMSG_CODE_FORGOTTEN = 6,
    PBMSG_CODE_BUSY = 7,
    PBMSG_CODE_TOO_LARGE = 8,
    PBMSG_CODE_NO_SPACE = 9,
    PBMSG_CODE_NO_MEMORY = 10,
    PBMSG_CODE_NOT_INTEGER = 11,
    PBMSG_CODE_OVERFLOW = 12,
    PBMSG_CODE_DAMAGED = 13,
    PBMSG_CODE_READ_FAILED = 14,
    PBMSG_CODE_TIMEOUT = 15,
    PBMSG_CODE_STOPPING = 16,
    PBMSG_CODE_CONFLICT = 17,
    PBMSG_CODE_NOT_FOUND = 18,
    PBMSG_CODE_UNSUPPORTED = 19,
};

enum pbmsg_condition {
    PBMSG_CONDITION_NONE = 0,
    PBMSG_CONDITION_ABSENT = 1,
    PBMSG_CONDITION_PRESENT = 2,
};

enum pbmsg_role {
    PBMSG_ROLE_FOLLOWER = 0,
    PBMSG_ROLE_PRECANDIDATE = 1,
    PBMSG_ROLE_CANDIDATE = 2,
    PBMSG_ROLE_LEADER = 3,
    PBMSG_ROLE_HALTED = 4,
};

enum pbmsg_flow {
    PBMSG_FLOW_NONE = 0,
    PBMSG_FLOW_PROBE = 1,
    PBMSG_FLOW_STREAM = 2,
    PBMSG_FLOW_SNAPSHOT = 3,
};

/* Which member of a oneof is set: the same number in a request, an op and their results. */
enum pbmsg_which {
    PBMSG_NONE = 0,
    PBMSG_GET = 9,
    PBMSG_PUT = 10,
    PBMSG_DELETE = 11,
    PBMSG_CAS = 12,
    PBMSG_APPEND = 13,
    PBMSG_INCR = 14,
    PBMSG_SCAN = 15,
    PBMSG_BATCH = 16,
    PBMSG_DELETE_RANGE = 17,
    PBMSG_PING = 18,
    PBMSG_OPEN_SESSION = 19,
    PBMSG_RENEW_SESSION = 20,
    PBMSG_CLOSE_SESSION = 21,
    PBMSG_MEMBERS = 32,
    PBMSG_ADD_MEMBER = 33,
    PBMSG_REMOVE_MEMBER = 34,
    PBMSG_TRANSFER = 35,
    PBMSG_SNAPSHOT = 36,
    PBMSG_STATUS = 37,
};

/* A message without fields; C wants one. */
struct pbmsg_nothing {
    char none;
};

struct pbmsg_get {
    struct slice key;
    bool size_only;
};

struct pbmsg_put {
    struct slice key;
    struct slice value;
    int32_t condition;
    bool previous;
};

struct pbmsg_delete {
    struct slice key;
};

struct pbmsg_cas {
    struct slice key;
    bool has_expected;
    struct slice expected;
    struct slice value;
};

struct pbmsg_append {
    struct slice key;
    struct slice value;
};

struct pbmsg_incr {
    struct slice key;
    int64_t delta;
};

struct pbmsg_scan {
    struct slice start;
    bool has_end;
    struct slice end;
    uint32_t limit;
    uint32_t bytes_limit;
    bool reverse;
    bool keys_only;
    bool count_only;
    struct slice pattern;
    struct slice continuation;
};

struct pbmsg_op {
    uint32_t op; /* of enum pbmsg_which */
    union {
        struct pbmsg_get get;
        struct pbmsg_put put;
        struct pbmsg_delete delete;
        struct pbmsg_cas cas;
        struct pbmsg_append append;
        struct pbmsg_incr incr;
    };
};

struct pbmsg_batch {
    PB_LIST(struct pbmsg_op) ops;
};

struct pbmsg_delete_range {
    struct slice start;
    bool has_end;
    struct slice end;
    bool to_end;
};

struct pbmsg_ping {
    struct slice payload;
};

struct pbmsg_open_session {
    uint32_t ttl_ms;
};

struct pbmsg_add_member {
    uint64_t node;
    struct slice address;
    struct slice peer_address;
    bool learner;
    uint64_t incarnation;
};

struct pbmsg_remove_member {
    uint64_t node;
};

struct pbmsg_transfer {
    uint64_t node;
};

struct pbmsg_request {
    uint64_t id;
    uint64_t session;
    uint64_t sequence;
    uint64_t answered;
    uint64_t min_index;
    uint32_t timeout_ms;
    int32_t consistency;
    int32_t durability;
    uint32_t op; /* of enum pbmsg_which */
    union {
        struct pbmsg_get get;
        struct pbmsg_put put;
        struct pbmsg_delete delete;
        struct pbmsg_cas cas;
        struct pbmsg_append append;
        struct pbmsg_incr incr;
        struct pbmsg_scan scan;
        struct pbmsg_batch batch;
        struct pbmsg_delete_range delete_range;
        struct pbmsg_ping ping;
        struct pbmsg_open_session open_session;
        struct pbmsg_nothing renew_session;
        struct pbmsg_nothing close_session;
        struct pbmsg_nothing members;
        struct pbmsg_add_member add_member;
        struct pbmsg_remove_member remove_member;
        struct pbmsg_transfer transfer;
        struct pbmsg_nothing snapshot;
        struct pbmsg_nothing status;
    };
};

struct pbmsg_node {
    uint64_t node;
    struct slice address;
};

struct pbmsg_get_result {
    bool found;
    struct slice value;
    uint64_t size;
};

struct pbmsg_put_result {
    bool done;
    bool has_previous;
    struct slice previous;
};

struct pbmsg_delete_result {
    bool existed;
};

struct pbmsg_cas_result {
    bool done;
};

struct pbmsg_append_result {
    uint64_t size;
};

struct pbmsg_incr_result {
    int64_t value;
};

struct pbmsg_pair {
    struct slice key;
    struct slice value;
};

struct pbmsg_scan_result {
    PB_LIST(struct pbmsg_pair) pairs;
    struct slice continuation;
    uint64_t count;
};

struct pbmsg_op_result {
    int32_t code;
    uint32_t result; /* of enum pbmsg_which */
    union {
        struct pbmsg_get_result get;
        struct pbmsg_put_result put;
        struct pbmsg_delete_result delete;
        struct pbmsg_cas_result cas;
        struct pbmsg_append_result append;
        struct pbmsg_incr_result incr;
    };
};

struct pbmsg_batch_result {
    PB_LIST(struct pbmsg_op_result) results;
};

struct pbmsg_ping_result {
    struct slice payload;
};

struct pbmsg_session_result {
    uint64_t session;
    uint32_t ttl_ms;
};

struct pbmsg_member {
    uint64_t node;
    uint64_t incarnation;
    uint32_t roles;
    struct slice address;
    struct slice peer_address;
};

struct pbmsg_members_result {
    uint64_t index;
    PB_LIST(struct pbmsg_member) members;
};

struct pbmsg_change_result {
    uint64_t index;
};

struct pbmsg_transfer_result {
    uint64_t leader;
};

struct pbmsg_snapshot_result {
    uint64_t index;
    uint64_t term;
};

struct pbmsg_progress {
    uint64_t node;
    uint64_t match;
    uint64_t next;
    uint64_t silent_ms;
    int32_t flow;
};

struct pbmsg_status_result {
    uint64_t cluster;
    uint64_t node;
    uint64_t incarnation;
    int32_t role;
    uint64_t term;
    uint64_t leader;
    uint64_t first_index;
    uint64_t last_index;
    uint64_t durable_index;
    uint64_t commit_index;
    uint64_t applied_index;
    uint64_t snapshot_index;
    uint64_t sessions;
    uint64_t uptime_ms;
    struct slice version;
    PB_LIST(struct pbmsg_progress) progress;
};

struct pbmsg_response {
    uint64_t id;
    int32_t code;
    struct slice message;
    uint64_t index;
    bool has_leader;
    struct pbmsg_node leader;
    uint32_t retry_ms;
    uint32_t result; /* of enum pbmsg_which */
    union {
        struct pbmsg_get_result get;
        struct pbmsg_put_result put;
        struct pbmsg_delete_result delete;
        struct pbmsg_cas_result cas;
        struct pbmsg_append_result append;
        struct pbmsg_incr_result incr;
        struct pbmsg_scan_result scan;
        struct pbmsg_batch_result batch;
        struct pbmsg_nothing delete_range;
        struct pbmsg_ping_result ping;
        struct pbmsg_session_result open_session;
        struct pbmsg_session_result renew_session;
        struct pbmsg_nothing close_session;
        struct pbmsg_members_result members;
        struct pbmsg_change_result add_member;
        struct pbmsg_change_result remove_member;
        struct pbmsg_transfer_result transfer;
        struct pbmsg_snapshot_result snapshot;
        struct pbmsg_status_result status;
    };
};

extern const struct pb_table pbmsg_request_table;  /* struct pbmsg_request */
extern const struct pb_table pbmsg_response_table; /* struct pbmsg_response */

#endif
