/* pbfront_raft.c - what RAFT STATUS and RAFT MEMBERS say, as messages; see pbfront.h. Names that
 * are not known here are passed over. */
#include "base/ck.h"
#include "node/pbfront_int.h"

static bool named(const struct pbfront_telling *t, uint32_t i, const char *name)
{
    return slice_equal(pbfront_answer_text(t, i), slice_text(name));
}

/* An integer, or one that does not fit into RESP's and is text. */
static uint64_t number_at(const struct pbfront_telling *t, uint32_t i)
{
    if (pbfront_answer_node(t, i)->type == RESPVAL_INTEGER) {
        return (uint64_t)pbfront_answer_node(t, i)->integer;
    }
    struct slice text = pbfront_answer_text(t, i);
    uint64_t v = 0;
    for (size_t k = 0; k < text.size; k++) {
        CK(text.data[k] >= '0' && text.data[k] <= '9');
        v = v * 10 + (uint64_t)(text.data[k] - '0');
    }
    return v;
}

struct word {
    const char *name;
    int32_t value;
};

/* The value of the word; 0: it is none of them. */
static int32_t word_at(const struct pbfront_telling *t, uint32_t i, const struct word *words,
                       size_t count)
{
    for (size_t k = 0; k < count; k++) {
        if (named(t, i, words[k].name)) {
            return words[k].value;
        }
    }
    return 0;
}

static const struct word states[] = {{"follower", PBMSG_ROLE_FOLLOWER},
                                     {"precandidate", PBMSG_ROLE_PRECANDIDATE},
                                     {"candidate", PBMSG_ROLE_CANDIDATE},
                                     {"leader", PBMSG_ROLE_LEADER},
                                     {"halted", PBMSG_ROLE_HALTED}};

/* As in tinykv.proto: 1 votes, 2 votes in the outgoing configuration, 4 learner. */
static const struct word roles[] = {{"voter", 1}, {"leaving", 2}, {"both", 3}, {"learner", 4}};

static const struct word flows[] = {{"none", PBMSG_FLOW_NONE},
                                    {"probe", PBMSG_FLOW_PROBE},
                                    {"stream", PBMSG_FLOW_STREAM},
                                    {"snapshot", PBMSG_FLOW_SNAPSHOT}};

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* Where a number of RAFT STATUS goes. */
struct place {
    const char *name;
    size_t offset;
};

static const struct place places[] = {
    {"node", offsetof(struct pbmsg_status_result, node)},
    {"incarnation", offsetof(struct pbmsg_status_result, incarnation)},
    {"leader", offsetof(struct pbmsg_status_result, leader)},
    {"term", offsetof(struct pbmsg_status_result, term)},
    {"last", offsetof(struct pbmsg_status_result, last_index)},
    {"durable", offsetof(struct pbmsg_status_result, durable_index)},
    {"commit", offsetof(struct pbmsg_status_result, commit_index)},
    {"applied", offsetof(struct pbmsg_status_result, applied_index)},
    {"cluster", offsetof(struct pbmsg_status_result, cluster)},
    {"snapshot", offsetof(struct pbmsg_status_result, snapshot_index)},
    {"sessions", offsetof(struct pbmsg_status_result, sessions)},
    {"uptime_ms", offsetof(struct pbmsg_status_result, uptime_ms)},
};

/* A list of `count` items of that size. */
static enum status list_make(const struct pbfront_telling *t, uint32_t count, size_t size,
                             void **items)
{
    *items = NULL;
    return count > 0 ? pbarena_grow(&t->f->arena, items, 0, count * size) : ST_OK;
}

static void progress_read(const struct pbfront_telling *t, uint32_t at, struct pbmsg_progress *p)
{
    *p = (struct pbmsg_progress){.node = 0};
    for (uint32_t i = at + 1; i + 1 < pbfront_answer_node(t, at)->next; i += 2) {
        if (named(t, i, "node")) {
            p->node = number_at(t, i + 1);
        } else if (named(t, i, "match")) {
            p->match = number_at(t, i + 1);
        } else if (named(t, i, "next")) {
            p->next = number_at(t, i + 1);
        } else if (named(t, i, "silent_ms")) {
            p->silent_ms = number_at(t, i + 1);
        } else if (named(t, i, "flow")) {
            p->flow = word_at(t, i + 1, flows, COUNT(flows));
        }
    }
}

static enum status all_progress_read(const struct pbfront_telling *t, uint32_t list,
                                     struct pbmsg_status_result *r)
{
    uint32_t count = pbfront_answer_node(t, list)->count;
    void *items;
    enum status st = list_make(t, count, sizeof *r->progress.items, &items);
    if (st != ST_OK) {
        return st;
    }
    r->progress.items = items;
    r->progress.count = count;
    uint32_t at = list + 1;
    for (uint32_t i = 0; i < count; i++) {
        progress_read(t, at, &r->progress.items[i]);
        at = pbfront_answer_node(t, at)->next;
    }
    return ST_OK;
}

/* One name of the map, and its value at `at`. */
static enum status status_read(const struct pbfront_telling *t, uint32_t name, uint32_t at,
                               struct pbmsg_status_result *r)
{
    for (size_t k = 0; k < COUNT(places); k++) {
        if (named(t, name, places[k].name)) {
            *(uint64_t *)(void *)((char *)r + places[k].offset) = number_at(t, at);
            return ST_OK;
        }
    }
    if (named(t, name, "progress")) {
        return all_progress_read(t, at, r);
    }
    if (named(t, name, "state")) {
        r->role = word_at(t, at, states, COUNT(states));
    } else if (named(t, name, "base")) {
        r->first_index = number_at(t, at) + 1;
    } else if (named(t, name, "version")) {
        r->version = pbfront_answer_text(t, at);
    }
    return ST_OK;
}

enum status pbfront_raft_status(const struct pbfront_telling *t, struct pbmsg_status_result *r)
{
    enum status st = ST_OK;
    *r = (struct pbmsg_status_result){.role = PBMSG_ROLE_FOLLOWER};
    for (uint32_t i = 1; st == ST_OK && i + 1 < pbfront_answer_node(t, 0)->next;) {
        st = status_read(t, i, i + 1, r);
        i = pbfront_answer_node(t, i + 1)->next;
    }
    return st;
}

static void member_read(const struct pbfront_telling *t, uint32_t at, struct pbmsg_member *m)
{
    *m = (struct pbmsg_member){.node = 0};
    for (uint32_t i = at + 1; i + 1 < pbfront_answer_node(t, at)->next; i += 2) {
        if (named(t, i, "node")) {
            m->node = number_at(t, i + 1);
        } else if (named(t, i, "incarnation")) {
            m->incarnation = number_at(t, i + 1);
        } else if (named(t, i, "role")) {
            m->roles = (uint32_t)word_at(t, i + 1, roles, COUNT(roles));
        } else if (named(t, i, "peer_address")) {
            m->peer_address = pbfront_answer_text(t, i + 1);
        } else if (named(t, i, "address")) {
            m->address = pbfront_answer_text(t, i + 1);
        }
    }
}

enum status pbfront_raft_members(const struct pbfront_telling *t, struct pbmsg_members_result *r)
{
    uint32_t count = pbfront_answer_node(t, 0)->count;
    void *items;
    enum status st = list_make(t, count, sizeof *r->members.items, &items);
    if (st != ST_OK) {
        return st;
    }
    r->members.items = items;
    r->members.count = count;
    uint32_t at = 1;
    for (uint32_t i = 0; i < count; i++) {
        member_read(t, at, &r->members.items[i]);
        at = pbfront_answer_node(t, at)->next;
    }
    return ST_OK;
}
