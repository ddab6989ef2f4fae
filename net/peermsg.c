/* peermsg.c - see peermsg.h. */
#include "net/peermsg.h"

#include "base/ck.h"

static const struct pb_field peermsg_run_fields[] = {
    PB_FIELD(struct peermsg_run, 1, term, UINT64),
    PB_FIELD(struct peermsg_run, 2, count, UINT64),
};
static const struct pb_table peermsg_run_table =
    PB_TABLE("PeerRun", struct peermsg_run, peermsg_run_fields);

static const struct pb_field peermsg_entries_fields[] = {
    PB_SUB_LIST(struct peermsg_entries, 1, runs, peermsg_run_table),
    PB_FIELD(struct peermsg_entries, 2, kinds, BYTES),
    PB_FIELD_LIST(struct peermsg_entries, 3, payload, BYTES),
};
static const struct pb_table peermsg_entries_table =
    PB_TABLE("PeerEntries", struct peermsg_entries, peermsg_entries_fields);

static const struct pb_field peermsg_member_fields[] = {
    PB_FIELD(struct peermsg_member, 1, node, UINT64),
    PB_FIELD(struct peermsg_member, 2, incarnation, FIXED64),
    PB_FIELD(struct peermsg_member, 3, roles, UINT32),
};
static const struct pb_table peermsg_member_table =
    PB_TABLE("PeerMember", struct peermsg_member, peermsg_member_fields);

static const struct pb_field peermsg_config_fields[] = {
    PB_SUB_LIST(struct peermsg_config, 1, members, peermsg_member_table),
};
const struct pb_table peermsg_config_table =
    PB_TABLE("PeerConfig", struct peermsg_config, peermsg_config_fields);

static const struct pb_field peermsg_raft_fields[] = {
    PB_FIELD(struct peermsg_raft, 1, type, ENUM),
    PB_FIELD(struct peermsg_raft, 2, ok, BOOL),
    PB_FIELD(struct peermsg_raft, 3, transfer, BOOL),
    PB_FIELD(struct peermsg_raft, 4, outcome, ENUM),
    PB_FIELD(struct peermsg_raft, 5, stamp, FIXED64),
    PB_FIELD(struct peermsg_raft, 6, place_index, UINT64),
    PB_FIELD(struct peermsg_raft, 7, place_term, UINT64),
    PB_FIELD(struct peermsg_raft, 8, index, UINT64),
    PB_FIELD(struct peermsg_raft, 9, accepted, UINT64),
    PB_FIELD(struct peermsg_raft, 10, commit, UINT64),
    PB_FIELD(struct peermsg_raft, 11, campaign, UINT64),
    PB_FIELD(struct peermsg_raft, 12, context, UINT64),
    PB_SUB(struct peermsg_raft, 13, entries, peermsg_entries_table),
    PB_SUB(struct peermsg_raft, 14, config, peermsg_config_table),
};
static const struct pb_table peermsg_raft_table =
    PB_TABLE("PeerRaft", struct peermsg_raft, peermsg_raft_fields);

static const struct pb_field peermsg_chunk_fields[] = {
    PB_FIELD(struct peermsg_chunk, 1, id, FIXED64),
    PB_FIELD(struct peermsg_chunk, 2, file, UINT32),
    PB_FIELD(struct peermsg_chunk, 3, offset, UINT64),
    PB_FIELD(struct peermsg_chunk, 4, data, BYTES),
};
static const struct pb_table peermsg_chunk_table =
    PB_TABLE("PeerChunk", struct peermsg_chunk, peermsg_chunk_fields);

static const struct pb_field peermsg_chunk_reply_fields[] = {
    PB_FIELD(struct peermsg_chunk_reply, 1, id, FIXED64),
    PB_FIELD(struct peermsg_chunk_reply, 2, state, ENUM),
    PB_FIELD(struct peermsg_chunk_reply, 3, file, UINT32),
    PB_FIELD(struct peermsg_chunk_reply, 4, offset, UINT64),
    PB_FIELD(struct peermsg_chunk_reply, 5, message, STRING),
};
static const struct pb_table peermsg_chunk_reply_table =
    PB_TABLE("PeerChunkReply", struct peermsg_chunk_reply, peermsg_chunk_reply_fields);

static const struct pb_field peermsg_file_fields[] = {
    PB_FIELD(struct peermsg_file, 1, name, STRING),
    PB_FIELD(struct peermsg_file, 2, size, UINT64),
    PB_FIELD(struct peermsg_file, 3, crc, FIXED32),
};
static const struct pb_table peermsg_file_table =
    PB_TABLE("PeerFile", struct peermsg_file, peermsg_file_fields);

static const struct pb_field peermsg_offer_fields[] = {
    PB_FIELD(struct peermsg_offer, 1, id, FIXED64),
    PB_FIELD(struct peermsg_offer, 2, place_index, UINT64),
    PB_FIELD(struct peermsg_offer, 3, place_term, UINT64),
    PB_FIELD(struct peermsg_offer, 4, config_index, UINT64),
    PB_SUB(struct peermsg_offer, 5, config, peermsg_config_table),
    PB_SUB_LIST(struct peermsg_offer, 6, files, peermsg_file_table),
};
static const struct pb_table peermsg_offer_table =
    PB_TABLE("PeerOffer", struct peermsg_offer, peermsg_offer_fields);

static const struct pb_field peermsg_hello_fields[] = {
    PB_FIELD(struct peermsg_hello, 1, version, UINT32),
    PB_FIELD(struct peermsg_hello, 2, version_least, UINT32),
    PB_FIELD(struct peermsg_hello, 3, channel, ENUM),
    PB_FIELD(struct peermsg_hello, 4, address, STRING),
    PB_FIELD(struct peermsg_hello, 5, peer_address, STRING),
    PB_FIELD(struct peermsg_hello, 6, life, FIXED64),
    PB_FIELD(struct peermsg_hello, 7, disk, FIXED64),
};
static const struct pb_table peermsg_hello_table =
    PB_TABLE("PeerHello", struct peermsg_hello, peermsg_hello_fields);

static const struct pb_field peermsg_hello_reply_fields[] = {
    PB_FIELD(struct peermsg_hello_reply, 1, refusal, ENUM),
    PB_FIELD(struct peermsg_hello_reply, 2, message, STRING),
    PB_FIELD(struct peermsg_hello_reply, 3, version, UINT32),
    PB_FIELD(struct peermsg_hello_reply, 4, life, FIXED64),
};
static const struct pb_table peermsg_hello_reply_table =
    PB_TABLE("PeerHelloReply", struct peermsg_hello_reply, peermsg_hello_reply_fields);

static const struct pb_field peermsg_fields[] = {
    PB_FIELD(struct peermsg, 1, cluster, FIXED64),
    PB_FIELD(struct peermsg, 2, from_node, UINT64),
    PB_FIELD(struct peermsg, 3, to_node, UINT64),
    PB_FIELD(struct peermsg, 4, incarnation, FIXED64),
    PB_FIELD(struct peermsg, 5, term, UINT64),
    PB_FIELD(struct peermsg, 6, session, UINT64),
    PB_FIELD(struct peermsg, 7, probe, UINT64),
    PB_SUB_ONEOF(struct peermsg, body, 8, raft, peermsg_raft_table),
    PB_SUB_ONEOF(struct peermsg, body, 9, chunk, peermsg_chunk_table),
    PB_SUB_ONEOF(struct peermsg, body, 10, chunk_reply, peermsg_chunk_reply_table),
    PB_SUB_ONEOF(struct peermsg, body, 11, offer, peermsg_offer_table),
    PB_SUB_ONEOF(struct peermsg, body, 12, hello, peermsg_hello_table),
    PB_SUB_ONEOF(struct peermsg, body, 13, hello_reply, peermsg_hello_reply_table),
};
const struct pb_table peermsg_table = PB_TABLE("PeerMessage", struct peermsg, peermsg_fields);

static enum status wrong(const char **what, const char *text)
{
    *what = text;
    return ST_CORRUPT;
}

static enum status entries_check(const struct peermsg_entries *e, const char **what)
{
    uint64_t rows = 0;
    for (uint32_t i = 0; i < e->runs.count; i++) {
        uint64_t count = e->runs.items[i].count;
        if (count == 0 || count > e->payload.count - rows) {
            return wrong(what, "a run of terms does not fit its entries");
        }
        rows += count;
    }
    if (e->runs.count > 0 && rows != e->payload.count) {
        return wrong(what, "entries without a term");
    }
    if (e->kinds.size > 0 && e->kinds.size != e->payload.count) {
        return wrong(what, "kinds do not fit their entries");
    }
    return ST_OK;
}

static enum status config_check(const struct peermsg_config *c, const char **what)
{
    for (uint32_t i = 0; i < c->members.count; i++) {
        if (c->members.items[i].node == 0 ||
            (i > 0 && c->members.items[i].node <= c->members.items[i - 1].node)) {
            return wrong(what, "members do not ascend");
        }
        if (c->members.items[i].roles > UINT8_MAX) {
            return wrong(what, "a member has unknown roles");
        }
    }
    return ST_OK;
}

static enum status raft_check(const struct peermsg_raft *r, const char **what)
{
    enum status st = ST_OK;
    if (r->type <= PEERMSG_RAFT_NONE || r->type > PEERMSG_RAFT_PROPOSE_REPLY) {
        return wrong(what, "unknown type");
    }
    if (r->has_entries) {
        st = entries_check(&r->entries, what);
    }
    return st == ST_OK && r->has_config ? config_check(&r->config, what) : st;
}

enum status peermsg_check(const struct peermsg *m, const char **what)
{
    switch (m->body) {
    case PEERMSG_NONE:
        return wrong(what, "a message without a body");
    case PEERMSG_RAFT:
        return raft_check(&m->raft, what);
    case PEERMSG_OFFER:
        return m->offer.has_config ? config_check(&m->offer.config, what) : ST_OK;
    case PEERMSG_CHUNK:
        return m->chunk.offset > (uint64_t)INT64_MAX - m->chunk.data.size
                   ? wrong(what, "a chunk beyond any file")
                   : ST_OK;
    default:
        return ST_OK;
    }
}

void peermsg_cursor_init(struct peermsg_cursor *c, const struct peermsg_entries *entries)
{
    *c = (struct peermsg_cursor){.entries = entries};
}

bool peermsg_cursor_next(struct peermsg_cursor *c, struct peermsg_entry *entry)
{
    const struct peermsg_entries *e = c->entries;
    if (c->at == e->payload.count) {
        return false;
    }
    if (c->left == 0 && e->runs.count > 0) {
        CK(c->run < e->runs.count);
        c->left = e->runs.items[c->run++].count;
    }
    *entry =
        (struct peermsg_entry){.kind = PEERMSG_KIND_COMMAND, .payload = e->payload.items[c->at]};
    if (e->runs.count > 0) {
        entry->term = e->runs.items[c->run - 1].term;
        c->left--;
    }
    if (e->kinds.size > 0) {
        entry->kind = (uint8_t)e->kinds.data[c->at];
    }
    c->at++;
    return true;
}
