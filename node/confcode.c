/* confcode.c - see confcode.h. */
#include "node/confcode.h"

#include "base/ck.h"
#include "base/code.h"

#define ROLES_KNOWN (RAFT_IN | RAFT_OUT | RAFT_LEARNER)

/* Fields of PeerConfig and PeerMember as they stand on the wire: tag bytes, number << 3 | type. */
enum tag { TAG_MEMBERS = 0x0a, TAG_NODE = 0x08, TAG_INCARNATION = 0x11, TAG_ROLES = 0x18 };

_Static_assert(1 + 1 + (1 + CODE_VARINT_MAX) + (1 + 8) + (1 + 1) == CONFCODE_MEMBER_MAX,
               "a member with the longest id");

static size_t member_write(const struct raft_member *m, char *out)
{
    char *at = out + 2;
    *at++ = TAG_NODE;
    at += code_put_varint(at, m->id);
    if (m->incarnation != 0) {
        *at++ = TAG_INCARNATION;
        code_put64(at, m->incarnation);
        at += 8;
    }
    if (m->roles != 0) {
        *at++ = TAG_ROLES;
        at += code_put_varint(at, m->roles);
    }
    out[0] = TAG_MEMBERS;
    out[1] = (char)(at - out - 2);
    return (size_t)(at - out);
}

/* By hand, for it needs no memory that could be refused; the test holds it against the tables. */
size_t confcode_write(const struct raft_config *config, char out[CONFCODE_MAX])
{
    size_t size = 0;
    CK(config->count <= RAFT_MEMBERS_MAX);
    if (config->count == 0) {
        out[size++] = CONFCODE_EMPTY;
    }
    for (uint32_t i = 0; i < config->count; i++) {
        CK(config->members[i].id != 0);
        CK((config->members[i].roles & ~ROLES_KNOWN) == 0);
        size += member_write(&config->members[i], out + size);
    }
    CK(size <= CONFCODE_MAX);
    return size;
}

static bool member_sane(const struct raft_config *config, const struct raft_member *m)
{
    bool ascends = config->count == 0 || config->members[config->count - 1].id < m->id;
    return m->id != 0 && ascends && (m->roles & ~ROLES_KNOWN) == 0;
}

static enum status member_take(struct raft_config *config, const struct raft_member *m)
{
    if (config->count == RAFT_MEMBERS_MAX || !member_sane(config, m)) {
        config->count = 0;
        return ST_CORRUPT;
    }
    config->members[config->count++] = *m;
    return ST_OK;
}

/* One field of a member at p; returns its bytes, 0 when it is not one. */
static size_t field_read(const char *p, const char *end, struct raft_member *m)
{
    uint64_t roles = 0;
    size_t n = 0;
    switch (*p) {
    case TAG_NODE:
        n = code_get_varint(p + 1, end, &m->id);
        return n > 0 ? 1 + n : 0;
    case TAG_INCARNATION:
        if (end - p < 9) {
            return 0;
        }
        m->incarnation = code_get64(p + 1);
        return 9;
    case TAG_ROLES:
        n = code_get_varint(p + 1, end, &roles);
        m->roles = (uint8_t)roles;
        return n > 0 && roles <= ROLES_KNOWN ? 1 + n : 0;
    default:
        return 0;
    }
}

enum status confcode_read(struct slice in, struct raft_config *config)
{
    const char *end = in.data + in.size;
    config->count = 0;
    if (in.size == 1 && in.data[0] == CONFCODE_EMPTY) {
        return ST_OK;
    }
    if (in.size == 0) {
        return ST_CORRUPT;
    }
    for (const char *p = in.data; p < end;) {
        struct raft_member m = {0};
        if (end - p < 2 || *p != TAG_MEMBERS || (unsigned char)p[1] > end - p - 2) {
            config->count = 0;
            return ST_CORRUPT;
        }
        const char *stop = p + 2 + (unsigned char)p[1];
        for (p += 2; p < stop;) {
            size_t n = field_read(p, stop, &m);
            if (n == 0) {
                config->count = 0;
                return ST_CORRUPT;
            }
            p += n;
        }
        enum status st = member_take(config, &m);
        if (st != ST_OK) {
            return st;
        }
    }
    return ST_OK;
}

void confcode_to(const struct raft_config *config, struct peermsg_member *rows,
                 struct peermsg_config *to)
{
    CK(config->count <= RAFT_MEMBERS_MAX);
    for (uint32_t i = 0; i < config->count; i++) {
        const struct raft_member *m = &config->members[i];
        rows[i] = (struct peermsg_member){m->id, m->incarnation, m->roles};
    }
    to->members.items = rows;
    to->members.count = config->count;
}

enum status confcode_from(const struct peermsg_config *from, struct raft_config *config)
{
    config->count = 0;
    for (uint32_t i = 0; i < from->members.count; i++) {
        const struct peermsg_member *row = &from->members.items[i];
        struct raft_member m = {row->node, row->incarnation, (uint8_t)row->roles};
        if (row->roles > ROLES_KNOWN) {
            config->count = 0;
            return ST_CORRUPT;
        }
        enum status st = member_take(config, &m);
        if (st != ST_OK) {
            return st;
        }
    }
    return ST_OK;
}
