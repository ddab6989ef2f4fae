/* replica_snap.c - compaction: what the log need not keep; and the snapshotter.
 *
 * The log may begin anywhere at or below what the database holds durably in its tables. Now and
 * then a mark is taken: the place that is applied and the configuration there. When the database
 * holds the mark durably (its own flushes see to that, or it is told to) the core is told, and the
 * mark goes into the log with the next write, for that costs no sync. The log then begins at the
 * mark before it: what came between the two is for followers that are a little behind.
 *
 * A thread of its own flushes, for that may take long; it also makes snapshots for others
 * (replica_ship.c) and exchanges the database for one that came (replica_install.c). */
#include "base/ck.h"
#include "node/confcode.h"
#include "node/replica_int.h"
#include "node/snapstage.h"

#define TRY_AGAIN_NS  (500 * REPLICA_MS)
#define NEXT_MARK_NS  REPLICA_MS /* while somebody waits for one */
#define SEGMENTS_MANY 16         /* files of the log at a start */

/* What is applied already counts in entries; of bytes only the files tell. */
void replica_snap_open(struct replica *r, const struct replica_mark *last, uint64_t segments)
{
    r->snap.last = *last;
    r->snap.wanted = segments > SEGMENTS_MANY;
}

void replica_snap_applied(struct replica *r, uint64_t bytes)
{
    r->snap.bytes += bytes;
}

void replica_snap_seen(struct replica *r, uint64_t seen)
{
    if ((seen & RAFT_SEEN(RAFT_SEEN_RUNS_FULL)) != 0) {
        ENV_PROBE(r->env, "replica: the core remembers too many terms");
        r->snap.wanted = true;
    }
}

/* ---- marks ---- */

/* Where it stands; config.count 0: no entry brought a configuration. */
static enum status mark_read(struct statemachine *sm, struct replica_mark *m)
{
    struct raft_place place;
    struct buf bytes;
    buf_init(&bytes, &sm->env->mem);
    m->place = sm->committed.place;
    m->config.count = 0;
    enum status st = statemachine_config(sm, &place, &bytes);
    if (st == ST_OK) {
        m->config_index = place.index;
        st = confcode_read(buf_slice(&bytes), &m->config);
    }
    buf_release(&bytes);
    return st == ST_NOENT ? ST_OK : st;
}

/* Whether so much was applied since the latest mark. */
static bool is_much(const struct replica *r, uint64_t since, uint64_t parts)
{
    const struct replica_snap *s = &r->snap;
    return r->sm.committed.place.index - since >= (r->o.log_entries + parts - 1) / parts ||
           s->bytes >= r->o.log_bytes / parts;
}

/* The latest mark that the database holds, whether the log says so yet or not. */
static const struct replica_mark *mark_held(const struct replica_snap *s)
{
    return s->state == SNAP_READY ? &s->next : &s->last;
}

/* At half of what may be there: then the database has time to flush by itself. */
static void mark_take(struct replica *r)
{
    struct replica_snap *s = &r->snap;
    uint64_t applied = r->sm.committed.place.index;
    bool fresh = applied > mark_held(s)->place.index && r->sm.applied.place.index == applied;
    if (!fresh || (!s->wanted && !is_much(r, s->last.place.index, 2))) {
        return;
    }
    enum status st = mark_read(&r->sm, &s->next);
    if (st == ST_OK && s->next.config.count == 0) {
        s->next.config = s->last.config;
        s->next.config_index = s->last.config_index;
    }
    if (st == ST_OK && s->next.config.count > 0) {
        s->state = SNAP_WAITS;
        s->bytes = 0;
    }
}

static void flush_ask(struct replica *r)
{
    struct replica_snap *s = &r->snap;
    env_mutex_lock(r->env, &r->mutex);
    if (s->flush_to == 0) {
        ENV_PROBE(r->env, "replica: the database is flushed for the log");
        s->flush_to = s->next.place.index;
        env_cond_signal(r->env, &s->cond);
    }
    env_mutex_unlock(r->env, &r->mutex);
}

/* The database holds the mark. Of what the log gives up with it the core need not know that it is
 * still there for a while. */
static void mark_ready(struct replica *r)
{
    struct replica_snap *s = &r->snap;
    s->state = SNAP_READY;
    s->wanted = false;
    struct raft_event taken = {.type = RAFT_EV_SNAPSHOT_TAKEN, .place = s->next.place};
    replica_step(r, &taken, NULL);
    uint64_t index = r->o.no_tail ? s->next.place.index : s->last.place.index;
    replica_step(r, &(struct raft_event){.type = RAFT_EV_COMPACTED, .index = index}, NULL);
}

static void mark_wait(struct replica *r)
{
    struct replica_snap *s = &r->snap;
    uint64_t durable = 0;
    enum status st = view_status(tkv_durable_tag(r->db, &durable));
    CK(st == ST_OK);
    if (durable >= s->next.place.index) {
        mark_ready(r);
    } else if (r->now >= s->retry_at && (s->wanted || is_much(r, s->next.place.index, 2))) {
        flush_ask(r);
    }
}

/* ---- those who asked for one ---- */

static struct replica_request *asked_first(struct replica *r)
{
    return LIST_ENTRY(r->snap.asked.next, struct replica_request, link);
}

static void asked_done(struct replica_request *q, enum replica_outcome outcome)
{
    list_remove(&q->link);
    q->change->why = outcome == REPLICA_DONE ? RAFT_TAKEN : RAFT_LOST;
    q->outcome = outcome;
    q->done(q);
}

/* Their time is over, whoever has the database now. */
static void asked_overdue(struct replica *r)
{
    for (struct list *l = r->snap.asked.next; l != &r->snap.asked;) {
        struct replica_request *q = LIST_ENTRY(l, struct replica_request, link);
        l = l->next;
        if (q->deadline <= r->now) {
            asked_done(q, REPLICA_NOT_DONE);
        }
    }
}

/* Each wants what is applied when it is first looked at; they come in order. */
static void asked_turn(struct replica *r)
{
    struct replica_snap *s = &r->snap;
    for (struct list *l = s->asked.next; l != &s->asked; l = l->next) {
        struct replica_change *x = LIST_ENTRY(l, struct replica_request, link)->change;
        x->place = x->place.index == 0 ? r->sm.committed.place : x->place;
    }
    while (!list_empty(&s->asked)) {
        struct replica_request *q = asked_first(r);
        const struct raft_place *held = &mark_held(s)->place;
        if (held->index >= q->change->place.index && held->index > 0) {
            q->change->place = *held;
            asked_done(q, REPLICA_DONE);
        } else if (q->change->place.index == 0) {
            asked_done(q, REPLICA_NOT_DONE); /* it waits to be let in, and has no state yet */
        } else {
            s->wanted = true;
            return;
        }
    }
}

uint64_t replica_snap_deadline(struct replica *r)
{
    uint64_t at = ENV_NEVER;
    if (list_empty(&r->snap.asked)) {
        return at;
    }
    for (struct list *l = r->snap.asked.next; l != &r->snap.asked; l = l->next) {
        uint64_t deadline = LIST_ENTRY(l, struct replica_request, link)->deadline;
        at = deadline < at ? deadline : at;
    }
    uint64_t again = r->snap.state == SNAP_WAITS ? r->snap.retry_at : r->now + NEXT_MARK_NS;
    return again > r->now && again < at ? again : at;
}

void replica_snap_end(struct replica *r)
{
    while (!list_empty(&r->snap.asked)) {
        asked_done(asked_first(r), REPLICA_NOT_DONE);
    }
}

/* ---- the replica thread ---- */

static void flush_news(struct replica *r)
{
    struct replica_snap *s = &r->snap;
    env_mutex_lock(r->env, &r->mutex);
    bool failed = s->flushed && s->flush_st != ST_OK;
    s->flushed = false;
    env_mutex_unlock(r->env, &r->mutex);
    if (failed) {
        ENV_PROBE(r->env, "replica: the database is flushed later");
        s->retry_at = r->now + TRY_AGAIN_NS;
    }
}

void replica_snap_turn(struct replica *r)
{
    if (r->halted) {
        return;
    }
    asked_overdue(r);
    if (r->snap.news) {
        replica_install_turn(r);
        flush_news(r);
    }
    if (r->snap.news || r->snap.refused_count > 0) {
        replica_ship_turn(r);
    }
    if (r->snap.switching) {
        return;
    }
    asked_turn(r);
    /* A mark that waits for a write to go with may grow, when somebody asks. */
    bool more = r->snap.state == SNAP_READY && !list_empty(&r->snap.asked);
    if (r->snap.state == SNAP_IDLE || more) {
        mark_take(r);
    }
    if (r->snap.state == SNAP_WAITS) {
        mark_wait(r);
        asked_turn(r);
    }
}

bool replica_snap_news(const struct replica *r)
{
    return !r->halted && (r->snap.flushed || replica_ship_news(r) || replica_install_news(r));
}

void replica_snap_carry(struct replica *r, struct raftlog_write *w, struct raftlog_snapshot *s,
                        char config[RAFTLOG_CONFIG_MAX])
{
    struct replica_snap *snap = &r->snap;
    if (snap->state != SNAP_READY) {
        return;
    }
    size_t size = confcode_write(&snap->next.config, config);
    *s = (struct raftlog_snapshot){snap->next.place, slice_of(config, size), true};
    w->snapshot = s;
    w->compact = r->o.no_tail ? snap->next.place.index : snap->last.place.index;
}

void replica_snap_carried(struct replica *r)
{
    struct replica_snap *s = &r->snap;
    CK(s->state == SNAP_READY);
    s->last = s->next;
    s->state = SNAP_IDLE;
    s->compacted++;
}

/* ---- what the snapshotter does with databases ---- */

enum status replica_snap_wipe(const struct replica *r, const char *dir, struct err *err)
{
    struct snapstage s;
    enum status st = snapstage_open(&s, r->env, dir, err);
    snapstage_close(&s);
    return st;
}

enum status replica_snap_look(const struct replica *r, const char *dir, struct replica_mark *m,
                              struct err *err)
{
    struct tkv_options o = r->engine;
    struct tkv_error error = {.text = ""};
    struct statemachine sm;
    struct tkv *db;
    o.read_only = true;
    o.cache_bytes = 0;
    enum status st = view_status(tkv_open(&o, dir, &db, &error));
    if (st != ST_OK) {
        err_set(err, "%s", error.text);
        return st;
    }
    st = statemachine_open(&sm, r->env, db, err);
    if (st == ST_OK) {
        st = mark_read(&sm, m);
        st = st == ST_OK ? st : err_status(err, st, "reading the configuration of a snapshot");
        if (m->place.index == 0) { /* an empty database says nothing of its place */
            m->place = (struct raft_place){REPLICA_FOUNDED, 1};
        }
        statemachine_release(&sm);
    }
    enum status closed = view_status(tkv_close(db)); /* it was only read */
    return st == ST_OK ? closed : st;
}

/* ---- the snapshotter ---- */

static void flush_run(struct replica *r)
{
    struct replica_snap *s = &r->snap;
    uint64_t to = s->flush_to;
    env_mutex_unlock(r->env, &r->mutex);
    enum status st = view_status(tkv_flush_to(r->db, to));
    ENV_YIELD(r->env, "replica: between a flush and its news");
    env_mutex_lock(r->env, &r->mutex);
    s->flush_to = 0;
    s->flush_st = st;
    s->flushed = true;
    env_cond_signal(r->env, &r->work);
}

static void snap_main(void *arg)
{
    struct replica *r = arg;
    env_mutex_lock(r->env, &r->mutex);
    while (!r->quit_disk) {
        if (r->snap.flush_to != 0) {
            flush_run(r);
        } else if (!replica_install_work(r) && !replica_ship_work(r)) {
            (void)env_cond_wait(r->env, &r->snap.cond, &r->mutex, ENV_NEVER); /* the loop decides */
        }
    }
    env_mutex_unlock(r->env, &r->mutex);
}

enum status replica_snap_start(struct replica *r)
{
    return env_thread_start(r->env, &r->snap.thread, "raftsnap", snap_main, r);
}

void replica_snap_stop(struct replica *r)
{
    env_mutex_lock(r->env, &r->mutex);
    env_cond_signal(r->env, &r->snap.cond);
    env_mutex_unlock(r->env, &r->mutex);
    env_thread_join(r->env, &r->snap.thread);
    r->snap.flushed = false;
}
