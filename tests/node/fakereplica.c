/* fakereplica.c - see fakereplica.h. */
#include "tests/node/fakereplica.h"

#include "node/command.h"

void fakereplica_init(struct replica *r, struct env *env, struct tkv *db)
{
    *r = (struct replica){.sm = {.env = env, .db = db}};
    list_init(&r->requests);
    view_init(&r->sm.view, env, db);
    buf_init(&r->sm.scratch, &env->mem);
}

void fakereplica_release(struct replica *r)
{
    buf_release(&r->sm.scratch);
    view_release(&r->sm.view);
}

/* As the state machine does it. */
static void execute(struct replica *r, struct replica_request *q)
{
    struct reply reply;
    buf_clear(&q->reply);
    reply_init(&reply, &q->reply, 3, 1 << 20);
    if (q->head.transaction) {
        reply_array(&reply, q->head.commands);
    }
    for (uint32_t i = 0; i < q->head.commands; i++) {
        struct call c = {.env = r->sm.env,
                         .view = &r->sm.view,
                         .scratch = &r->sm.scratch,
                         .args = q->commands[i].args,
                         .count = q->commands[i].count,
                         .addresses_changed = &r->sm.addresses_changed,
                         .reply = &reply};
        if (command_apply(&c) != ST_OK) {
            reply.st = ST_NOMEM;
        }
    }
    if (reply.st != ST_OK) { /* the real one tries again */
        q->outcome = REPLICA_UNKNOWN;
    }
}

/* Writes borrow their keys from the request: they go to the database at once. */
static void keep(struct replica *r)
{
    struct tkv_batch *batch;
    const struct overlay *o = &r->sm.view.overlay;
    enum tkv_status st = tkv_batch_new(r->sm.env, &batch);
    for (uint32_t i = 0; st == TKV_OK && i < o->count; i++) {
        st = view_batch_add(batch, &o->writes[i]) == ST_OK ? TKV_OK : TKV_NOMEM;
    }
    if (st == TKV_OK) {
        st = tkv_write(r->sm.db, NULL, batch, NULL);
        tkv_batch_free(batch);
    }
    overlay_reset(&r->sm.view.overlay);
    r->lost += st != TKV_OK;
}

uint32_t fakereplica_end(struct replica *r, uint32_t count, enum replica_outcome outcome)
{
    uint32_t ended = 0;
    while (ended < count && !list_empty(&r->requests)) {
        struct replica_request *q = LIST_ENTRY(r->requests.next, struct replica_request, link);
        list_remove(&q->link);
        q->outcome = outcome;
        if (!q->reads && q->change == NULL && outcome == REPLICA_DONE) {
            execute(r, q);
            keep(r);
            q->index = ++r->index;
            r->sm.applied.place.index = r->index;
        }
        q->done(q);
        ended++;
    }
    return ended;
}

void replica_submit(struct replica *r, struct list *requests)
{
    list_splice(&r->requests, requests);
    r->submits++;
}

void replica_abandon(struct replica *r)
{
    r->abandoned = true;
}

void replica_status(struct replica *r, struct replica_status *s)
{
    *s = (struct replica_status){.failed = r->failed,
                                 .raft = {.self = 7,
                                          .incarnation = UINT64_MAX,
                                          .state = RAFT_LEADER,
                                          .leader = 7,
                                          .term = 5,
                                          .base = {10, 2},
                                          .last = 99,
                                          .durable = 98,
                                          .commit = 97},
                                 .applied = {.place = {96, 5}},
                                 .cluster = UINT64_MAX - 1,
                                 .snapshot = 33,
                                 .sessions = 44};
}

void replica_members(struct replica *r, struct replica_members *m)
{
    *m = (struct replica_members){.index = 12,
                                  .now = 5000000,
                                  .leads = r->leads,
                                  .count = 2,
                                  .member = {{.id = 3,
                                              .incarnation = 30,
                                              .roles = RAFT_IN,
                                              .flow = RAFT_FLOW_STREAM,
                                              .match = 90,
                                              .next = 95,
                                              .contact = 2000000},
                                             {.id = 4, .incarnation = 40, .roles = RAFT_LEARNER}}};
}

bool replica_engine(struct replica *r, struct tkv_stats *stats)
{
    if (!r->exchanging) {
        tkv_stats(r->sm.db, stats);
        stats->memory_bytes = 77;
        stats->levels[1].tables = 3;
    }
    return !r->exchanging;
}

void replica_log(struct replica *r, struct raftlog_stats *stats)
{
    (void)r;
    *stats = (struct raftlog_stats){.first = 11, .segments = 2, .segment_bytes = 4096};
}

enum status replica_failed(struct replica *r)
{
    return r->failed;
}

struct statemachine *replica_machine(struct replica *r)
{
    return &r->sm;
}
