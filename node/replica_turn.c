/* replica_turn.c - the turns: what one begins with and does, and whose it is. */
#include "base/ck.h"
#include "env/note.h"
#include "node/replica_int.h"

#define TURNS 4 /* one after the other, by a thread that has other things to do */

/* ---- the replica thread ---- */

/* What a turn begins with. */
struct news {
    struct list *inbox; /* struct peerbox_message; until the next turn */
    uint64_t durable;
    uint64_t unreachable[RAFT_MEMBERS_MAX];
    uint32_t unreachable_count;
    enum status disk_st;
    bool old_read;
    bool abandon;
    bool quit;
};

static bool any_news(const struct replica *r)
{
    return r->mail || !list_empty(&r->submitted) || r->quit || r->abandon || r->old_read ||
           r->unreachable_count > 0 || replica_snap_news(r) ||
           (!r->halted && (replica_install_durable(r) > r->done || r->disk_st != ST_OK));
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When the oldest write is called overdue. */
static uint64_t stall_at(const struct replica *r)
{
    return r->appended > r->done && !r->stalled ? r->pending_since + r->o.raft.election : ENV_NEVER;
}

static uint64_t next_deadline(struct replica *r)
{
    uint64_t at = earlier(replica_ask_deadline(r), stall_at(r));
    bool applies = r->apply_at > r->now; /* it waits to try again */
    at = earlier(at, applies ? r->apply_at : ENV_NEVER);
    return r->halted ? ENV_NEVER : earlier(at, r->deadline);
}

void replica_turn_share(struct replica *r)
{
    struct replica_status *s = &r->shared;
    raft_view(r->core, &s->raft);
    if (!r->snap.switching) {
        s->applied = r->sm.committed;
        s->counts = r->sm.counts;
        s->sessions = r->sm.sessions;
    }
    s->cluster = r->o.raft.cluster;
    s->snapshot = r->snap.last.place.index;
    s->envelopes = r->envelopes;
    s->again = r->again;
    s->dropped = r->dropped;
    s->compacted = r->snap.compacted;
    s->shipped = r->snap.shipped;
    s->installed = r->snap.installed;
    s->failed = r->failed;
    replica_admin_share(r);
}

static void mail_take(struct replica *r, struct news *n)
{
    bool resume;
    n->inbox = peerbox_take(&r->inbox, &resume);
    if (resume && r->o.transport.resume != NULL) {
        r->o.transport.resume(r->o.transport.arg);
    }
}

/* The clock that everything here goes by stands still while the machine sleeps, and that of the
 * others does not. What was heard before is worth no lease then; what is heard from now on is, and
 * after an election timeout nothing older counts anyhow. */
static void sleep_watch(struct replica *r)
{
    uint64_t boot = env_clock_boot(r->env);
    if (slept_look(&r->slept, r->now, boot, env_clock_mono(r->env))) {
        ENV_PROBE(r->env, "replica: the machine has slept, leases rest");
        r->rested_at = r->now + r->o.raft.election;
    }
}

/* Where a request waits first. */
static struct list *request_list(struct replica *r, const struct replica_request *q)
{
    if (q->change != NULL) {
        return q->change->kind == REPLICA_SNAPSHOT ? &r->snap.asked : &r->changes;
    }
    if (!q->reads) {
        return &r->waiting;
    }
    bool lease = q->fresh == REPLICA_LEASE && r->o.raft.lease;
    return q->fresh == REPLICA_LOCAL ? &r->local : lease ? &r->leasing : &r->asking;
}

/* Takes what has come. */
static void news_take(struct replica *r, struct news *n)
{
    env_mutex_lock(r->env, &r->mutex);
    r->mail = false;
    while (!list_empty(&r->submitted)) {
        struct list *l = r->submitted.next;
        const struct replica_request *q = LIST_ENTRY(l, struct replica_request, link);
        list_remove(l);
        list_insert(request_list(r, q), l);
    }
    n->durable = replica_install_durable(r);
    r->snap.news = replica_snap_news(r);
    memcpy(n->unreachable, r->unreachable, r->unreachable_count * sizeof *n->unreachable);
    n->unreachable_count = r->unreachable_count;
    n->disk_st = r->disk_st;
    n->old_read = r->old_read;
    n->abandon = r->abandon;
    n->quit = r->quit;
    r->abandon = false;
    r->unreachable_count = 0;
    r->old_read = false;
    env_mutex_unlock(r->env, &r->mutex);
    mail_take(r, n);
    r->now = env_clock_mono(r->env);
    if (r->o.raft.lease) {
        sleep_watch(r);
    }
}

/* What came over the wire and is to go into the log must be an envelope. */
static bool proposal_is_sane(struct replica *r, const struct peerwire_in *m)
{
    struct envelope head;
    bool sane = m->msg.type != RAFT_MSG_PROPOSE || !r->snap.switching;
    for (uint32_t i = 0; sane && m->msg.type == RAFT_MSG_PROPOSE && i < m->msg.count; i++) {
        sane = m->entries[i].kind == RAFT_COMMAND &&
               envelope_open(&r->sm.reader, m->entries[i].data, &head) == ST_OK;
    }
    return sane;
}

static void inbox_run(struct replica *r, struct list *inbox)
{
    for (struct list *l = inbox->next; l != inbox; l = l->next) {
        const struct peerwire_in *m = &LIST_ENTRY(l, struct peerbox_message, link)->in;
        struct raft_event e = {.type = RAFT_EV_RECEIVE, .msg = &m->msg};
        struct replica_input in = {.entries = m->entries};
        if (m->msg.type == RAFT_MSG_SNAPSHOT || !proposal_is_sane(r, m)) {
            r->dropped++;
        } else {
            replica_step(r, &e, &in);
        }
    }
}

/* Old entries are at hand, or are not. */
static void fetch_run(struct replica *r, struct replica_fetch *f)
{
    struct raft_event e = {.type = RAFT_EV_FETCHED, .node = f->node, .lo = f->lo};
    env_mutex_lock(r->env, &r->mutex);
    bool over = f->node != 0 && f->state == FETCH_READ;
    f->state = over ? FETCH_IDLE : f->state;
    env_mutex_unlock(r->env, &r->mutex);
    if (!over) {
        return;
    }
    if (f->st == ST_OK) {
        f->had = true;
        f->had_lo = f->lo;
        f->had_hi = f->lo + f->batch.count;
        e.hi = f->had_hi;
        e.bytes = f->batch.bytes;
    } else if (f->st == ST_CORRUPT) {
        e.type = RAFT_EV_LOG_FAULT;
        e.lo = f->batch.bad_lo;
        e.hi = f->batch.bad_hi;
        e.fault = RAFT_FAULT_DAMAGED;
    } else if (f->st == ST_NOENT) {
        ENV_PROBE(r->env, "replica: old entries are not in the log any more");
        e.hi = e.lo; /* the core knows why */
    } else {
        e.type = RAFT_EV_UNREACHABLE; /* it begins again with this member */
    }
    replica_step(r, &e, NULL);
}

static void fetched_run(struct replica *r)
{
    for (uint32_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        fetch_run(r, &r->fetches[i]);
    }
}

static void stall_check(struct replica *r)
{
    if (r->now >= stall_at(r)) {
        ENV_PROBE(r->env, "replica: its disk stalls");
        r->stalled = true;
        replica_step(r, &(struct raft_event){.type = RAFT_EV_DISK_STALLED}, NULL);
    }
}

static void news_run(struct replica *r, struct news *n)
{
    if (n->disk_st != ST_OK && !r->halted) {
        replica_step(r, &(struct raft_event){.type = RAFT_EV_PERSIST_FAILED}, NULL);
        replica_step_fail(r, n->disk_st, "syncing the log");
    }
    if (n->durable > r->done && !r->halted) {
        replica_step_persisted(r, n->durable);
    }
    inbox_run(r, n->inbox);
    if (n->old_read) {
        fetched_run(r);
    }
    for (uint32_t i = 0; i < n->unreachable_count; i++) {
        struct raft_event e = {.type = RAFT_EV_UNREACHABLE, .node = n->unreachable[i]};
        replica_step(r, &e, NULL);
    }
    stall_check(r);
    if (r->now >= r->deadline) {
        replica_step(r, &(struct raft_event){.type = RAFT_EV_TIME}, NULL);
    }
    if (n->abandon) {
        replica_ask_end(r);
    }
}

/* What recovery could not read. */
static void faults_tell(struct replica *r)
{
    const struct raftlog_start *s = raftlog_start(r->log);
    for (size_t i = 0; i < s->fault_count; i++) {
        struct raft_event e = {.type = RAFT_EV_LOG_FAULT,
                               .lo = s->faults[i].lo,
                               .hi = s->faults[i].hi,
                               .fault = s->faults[i].doubt ? RAFT_FAULT_TORN : RAFT_FAULT_DAMAGED};
        replica_step(r, &e, NULL);
    }
}

static bool is_alone(const struct replica *r)
{
    const struct raft_config *c = raft_config(r->core);
    return c->count == 1 && c->members[0].id == r->o.raft.self && c->members[0].roles == RAFT_IN;
}

static void over_tell(struct replica *r)
{
    if (r->over != NULL) {
        env_mutex_lock(r->env, &r->mutex);
        replica_turn_share(r); /* with the reason */
        env_mutex_unlock(r->env, &r->mutex);
        r->over(r->over_arg);
        r->over = NULL;
    }
}

/* Has something to be done? The lock is held, and nobody has the turn. */
static bool is_due(struct replica *r)
{
    return r->more || any_news(r) || env_clock_mono(r->env) >= next_deadline(r);
}

/* What there is to do, by who has the turn. True: there is more. */
static bool turn_run(struct replica *r, bool little, bool *quit)
{
    struct news n = {.quit = false};
    news_take(r, &n);
    ENV_YIELD(r->env, "replica: news taken");
    news_run(r, &n);
    if (r->halted) {
        replica_ask_end(r);
        over_tell(r);
    } else {
        replica_ask_turn(r);
    }
    replica_step_flush(r);
    bool more = !replica_apply_some(r, little);
    replica_admin_tell(r);
    replica_snap_turn(r);
    replica_step_flush(r);
    *quit = n.quit;
    return more;
}

/* Gives the turn back; the replica thread wakes up if it has to go on, or earlier than it meant to.
 * The lock is held. */
static void turn_over(struct replica *r, bool more)
{
    replica_turn_share(r);
    r->turning = false;
    r->more = more;
    if (more || any_news(r) || next_deadline(r) < r->armed) {
        env_cond_signal(r->env, &r->work);
    }
}

void replica_turn(struct replica *r)
{
    bool quit; /* the replica thread sees it too */
    bool more = false;
    env_mutex_lock(r->env, &r->mutex);
    if (!r->turning && any_news(r)) {
        r->turning = true;
        for (int i = 0; i < TURNS && !more && !r->quit && any_news(r); i++) {
            env_mutex_unlock(r->env, &r->mutex);
            more = turn_run(r, true, &quit);
            env_mutex_lock(r->env, &r->mutex);
        }
        turn_over(r, more);
    }
    env_mutex_unlock(r->env, &r->mutex);
}

/* Waits until there is something to do, and has the turn then. The lock is held. */
static void turn_await(struct replica *r)
{
    while (r->turning || !is_due(r)) {
        r->armed = r->turning ? ENV_NEVER : next_deadline(r);
        (void)env_cond_wait(r->env, &r->work, &r->mutex, r->armed); /* the loop decides */
    }
    r->armed = 0;
    r->turning = true;
}

void replica_turn_main(void *arg)
{
    struct replica *r = arg;
    bool quit = false;
    r->now = env_clock_mono(r->env);
    slept_init(&r->slept);
    faults_tell(r);
    if (is_alone(r)) { /* nobody will be heard */
        struct raft_event e = {.type = RAFT_EV_TIME, .force = RAFT_FORCE_ELECTION};
        replica_step(r, &e, NULL);
    }
    for (;;) {
        bool more = turn_run(r, false, &quit);
        if (quit) {
            break; /* nobody else has a turn any more */
        }
        env_mutex_lock(r->env, &r->mutex);
        turn_over(r, more);
        turn_await(r);
        env_mutex_unlock(r->env, &r->mutex);
    }
    replica_ask_end(r);
    env_mutex_lock(r->env, &r->mutex);
    replica_turn_share(r);
    env_mutex_unlock(r->env, &r->mutex);
}
