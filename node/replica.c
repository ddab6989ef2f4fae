/* replica.c - see replica.h: opening (what recovery found, the database, the core), closing,
 * starting, and what any thread may call. The turns are in replica_turn.c. */
#include "node/replica.h"

#include "base/ck.h"
#include "env/note.h"
#include "node/confcode.h"
#include "node/replica_int.h"
#include "node/replicanote.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- options ---- */

/* Room is left for the longest name in `dir`. */
static enum status dirs_make(char db[ENV_PATH_MAX], char log[ENV_PATH_MAX], const char *dir)
{
    int a = snprintf(db, ENV_PATH_MAX, "%s/db", dir);
    int b = snprintf(log, ENV_PATH_MAX, "%s/raft", dir);
    return a > 0 && b > 0 && b < ENV_PATH_MAX - 16 ? ST_OK : ST_NAMETOOLONG;
}

static void defaults(struct replica_options *o)
{
    uint64_t warm = o->raft.warm_bytes != 0 ? o->raft.warm_bytes : 64u << 20;
    o->reply_max = o->reply_max != 0 ? o->reply_max : 64u << 20;
    o->envelope_bytes = o->envelope_bytes != 0 ? o->envelope_bytes : 256u << 10;
    o->proposals = o->proposals != 0 ? o->proposals : 256;
    o->inbox_bytes = o->inbox_bytes != 0 ? o->inbox_bytes : 16u << 20;
    o->log_bytes = o->log_bytes != 0 ? o->log_bytes : 64u << 20;
    o->log_entries = o->log_entries != 0 ? o->log_entries : 1u << 20;
    o->raft.election = o->raft.election != 0 ? o->raft.election : 1000 * REPLICA_MS;
    /* Payloads that the core counts on are in the log's memory. */
    o->log.cache_bytes = o->log.cache_bytes != 0 ? o->log.cache_bytes : warm + (8u << 20);
}

/* What all founders begin behind; who is let in begins with nothing, and so is sent a snapshot,
 * without which it would never learn of founders that no entry names (raft.h). */
static const struct raft_place founding = {REPLICA_FOUNDED, 1};

enum status replica_create(struct env *env, const struct replica_options *o,
                           const struct raftlog_identity *identity,
                           const struct raft_config *config, struct err *err)
{
    char db[ENV_PATH_MAX];
    char log[ENV_PATH_MAX];
    char bytes[CONFCODE_MAX];
    enum status st = dirs_make(db, log, o->dir);
    if (st != ST_OK) {
        return err_status(err, st, "path of the log");
    }
    struct raftlog_snapshot first = {.config = slice_of(bytes, confcode_write(config, bytes))};
    if (config->count > 0) {
        first.place = founding;
    }
    return raftlog_create(env, log, &o->log, identity, &first, err);
}

/* ---- what recovery found ---- */

/* The configurations that the core starts with. */
struct found {
    struct raft_config first; /* at the log's mark */
    struct raft_config config;
    uint64_t config_index;
    struct raft_config before;
    uint64_t before_index;
};

static enum status found_take(struct found *f, struct slice bytes, uint64_t index)
{
    f->before = f->config;
    f->before_index = f->config_index;
    f->config_index = index;
    return confcode_read(bytes, &f->config);
}

/* That of the log's mark. Damage may have taken it; then the state machine knows a later one, if an
 * entry brought it. */
static enum status first_take(struct replica *r, struct found *f, const struct raftlog_start *s)
{
    struct raft_place place;
    struct buf bytes;
    if (s->snapshot.config.size > 0 || s->snapshot.place.index == 0) {
        return found_take(f, s->snapshot.config, s->snapshot.place.index);
    }
    buf_init(&bytes, &r->env->mem);
    enum status st = statemachine_config(&r->sm, &place, &bytes);
    st = st == ST_OK ? found_take(f, buf_slice(&bytes), s->snapshot.place.index) : ST_CORRUPT;
    buf_release(&bytes);
    return st;
}

static enum status configs_find(struct replica *r, const struct raftlog_start *s, struct found *f,
                                struct err *err)
{
    enum status st = first_take(r, f, s);
    f->first = f->config;
    for (size_t i = 0; st == ST_OK && i < s->config_count; i++) {
        st = s->configs[i].data.data == NULL
                 ? ST_CORRUPT
                 : found_take(f, s->configs[i].data, s->configs[i].place.index);
    }
    return st == ST_OK ? st : err_status(err, st, "reading the group's configuration");
}

/* Nothing was applied since the group was founded, or nothing that power loss left. */
static void founded(struct replica *r, const struct raftlog_start *s)
{
    const struct raft_place *first = &s->snapshot.place;
    if (r->sm.applied.place.index == 0 && first->index == founding.index) {
        statemachine_found(&r->sm, *first);
    }
}

static enum status places_check(const struct replica *r, const struct raftlog_start *s,
                                struct err *err)
{
    uint64_t applied = r->sm.applied.place.index;
    if (s->hard_lost) {
        err_set(err, "the term and vote of this node are lost: it has to join again");
        return ST_CORRUPT;
    }
    for (size_t i = 0; i < s->fault_count; i++) {
        if (!s->faults[i].terms_true) {
            err_set(err,
                    "the terms of entries %" PRIu64 " to %" PRIu64
                    " are lost: this node has to join again",
                    s->faults[i].lo, s->faults[i].hi - 1);
            return ST_CORRUPT;
        }
    }
    if (applied < s->snapshot.place.index || applied > s->last.index) {
        err_set(err, "the database has applied %" PRIu64 ", the log needs %" PRIu64 " to %" PRIu64,
                applied, s->snapshot.place.index, s->last.index);
        return ST_CORRUPT;
    }
    return ST_OK;
}

static enum status core_make(struct replica *r, const struct raftlog_start *s, struct err *err)
{
    struct raft_options *o = &r->o.raft;
    uint64_t runs = 2 * (uint64_t)s->run_count;
    o->cluster = s->identity.cluster;
    o->self = s->identity.node;
    o->incarnation = s->identity.incarnation;
    o->seed = env_random_u64(r->env);
    o->runs = o->runs != 0 ? o->runs : 1024;
    o->runs = runs > o->runs ? (uint32_t)runs : o->runs;
    size_t size = raft_size(o);
    if (size == 0) {
        return err_status(err, ST_INVAL, "options of consensus");
    }
    void *memory = env_alloc(r->env, size);
    if (memory == NULL) {
        return err_status(err, ST_NOMEM, "starting consensus");
    }
    r->core = raft_init(memory, o);
    CK(r->core != NULL); /* its size was not 0 */
    r->out.cap = raft_actions_max(r->core);
    r->out.actions = env_alloc(r->env, r->out.cap * sizeof *r->out.actions);
    return r->out.actions != NULL ? ST_OK : err_status(err, ST_NOMEM, "starting consensus");
}

static enum status core_start(struct replica *r, const struct raftlog_start *s,
                              const struct found *f, struct err *err)
{
    struct raft_start start = {.hard = s->hard,
                               .base = s->base,
                               .last = s->last.index,
                               .runs = s->runs,
                               .run_count = (uint32_t)s->run_count,
                               .applied = r->sm.applied.place.index,
                               .config = &f->config,
                               .config_index = f->config_index};
    if (f->before.count > 0) {
        start.before = &f->before;
        start.before_index = f->before_index;
    }
    if (start.hard.term < s->base.term) { /* it was founded, and that is all */
        start.hard = (struct raft_hard){.term = s->base.term};
    }
    r->now = env_clock_mono(r->env);
    r->apply_to = start.applied + 1;
    struct raft_event e = {.type = RAFT_EV_START, .now = r->now, .start = &start};
    enum status st = raft_step(r->core, &e, &r->out);
    r->deadline = r->out.deadline;
    if (st != ST_OK) {
        return err_status(err, st, "starting consensus");
    }
    struct replica_mark last = {s->snapshot.place, s->snapshot.place.index, f->first};
    replica_snap_open(r, &last, s->segments);
    struct replicanote_start note = {r->core, &start};
    env_note(r->env,
             &(struct env_note){.kind = NOTE_CORE_STARTED, .data = &note, .size = sizeof note});
    return ST_OK;
}

/* ---- opening ---- */

enum status replica_db_open(struct replica *r, struct err *err)
{
    struct tkv_error error = {.text = ""};
    enum status st = view_status(tkv_open(&r->engine, r->db_dir, &r->db, &error));
    if (st != ST_OK) {
        r->db = NULL;
        err_set(err, "%s", error.text[0] != '\0' ? error.text : status_text(st));
    }
    return st == ST_OK ? statemachine_open(&r->sm, r->env, r->db, err) : st;
}

/* The database, or the snapshot that a crash kept from taking its place. */
static enum status database_open(struct replica *r, const struct raftlog_start *s, struct err *err)
{
    enum status st = replica_install_mend(r, err);
    if (st == ST_OK) {
        st = replica_db_open(r, err);
    }
    if (st == ST_OK) {
        founded(r, s);
        st = replica_install_owed(r, &s->snapshot.place, err);
    }
    return st;
}

static enum status parts_open(struct replica *r, struct err *err)
{
    struct found f = {.config_index = 0};
    enum status st = raftlog_open(r->env, r->log_dir, &r->o.log, &r->log, err);
    if (st != ST_OK) {
        r->log = NULL;
        return st;
    }
    const struct raftlog_start *s = raftlog_start(r->log);
    r->identity = s->identity;
    st = database_open(r, s, err);
    if (st == ST_OK) {
        st = replica_ship_open(r, err);
    }
    if (st == ST_OK) {
        st = places_check(r, s, err);
    }
    if (st == ST_OK) {
        st = configs_find(r, s, &f, err);
    }
    if (st == ST_OK) {
        st = core_make(r, s, err);
    }
    if (st == ST_OK) {
        st = core_start(r, s, &f, err);
    }
    if (st == ST_OK && replica_ask_init(r) != ST_OK) {
        st = err_status(err, ST_NOMEM, "starting");
    }
    return st;
}

enum status replica_open(struct env *env, const struct replica_options *o, struct replica **out,
                         struct err *err)
{
    struct replica *r = mem_zalloc(&env->mem, sizeof *r);
    if (r == NULL) {
        return err_status(err, ST_NOMEM, "starting");
    }
    r->env = env;
    r->o = *o;
    defaults(&r->o);
    tkv_options_init(&r->engine);
    if (o->engine != NULL) {
        r->engine = *o->engine;
    }
    r->engine.env = env;
    r->engine.log = false;
    r->turning = true; /* until the thread gives it away */
    CK((r->o.proposals & (r->o.proposals - 1)) == 0);
    peerbox_init(&r->inbox, env, r->o.inbox_bytes);
    list_init(&r->submitted);
    list_init(&r->held);
    list_init(&r->waiting);
    list_init(&r->asking);
    list_init(&r->leasing);
    list_init(&r->local);
    list_init(&r->changes);
    list_init(&r->snap.asked);
    buf_init(&r->note.request.reply, &env->mem);
    env_mutex_init(env, &r->mutex);
    env_cond_init(env, &r->work);
    env_cond_init(env, &r->disk);
    env_cond_init(env, &r->old);
    env_cond_init(env, &r->snap.cond);
    r->life = env_random_u64(env);
    enum status st = dirs_make(r->db_dir, r->log_dir, o->dir);
    (void)snprintf(r->dir, sizeof r->dir, "%s", st == ST_OK ? o->dir : "");
    st = st == ST_OK ? parts_open(r, err) : err_status(err, st, "path of the database");
    if (st != ST_OK) {
        enum status closed = replica_close(r);
        (void)closed; /* the first failure counts */
        return st;
    }
    *out = r;
    return ST_OK;
}

static void messages_free(struct replica *r, struct list *messages)
{
    while (!list_empty(messages)) {
        struct replicamsg *m = LIST_ENTRY(messages->next, struct replicamsg, link);
        list_remove(&m->link);
        replicamsg_free(&r->env->mem, m);
    }
}

enum status replica_close(struct replica *r)
{
    if (r == NULL) {
        return ST_OK;
    }
    CK(!r->running);
    CK(list_empty(&r->submitted));
    peerbox_release(&r->inbox);
    messages_free(r, &r->held);
    for (uint32_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        raftlog_batch_release(&r->fetches[i].batch);
    }
    raftlog_batch_release(&r->apply_batch);
    raftlog_batch_release(&r->send_batch);
    replica_ship_close(r);
    replica_ask_release(r);
    CK(!r->note.busy);
    buf_release(&r->note.request.reply);
    env_release(r->env, r->scratch);
    env_release(r->env, r->out.actions);
    env_release(r->env, r->core);
    statemachine_release(&r->sm);
    enum status st = r->db != NULL ? view_status(tkv_close(r->db)) : ST_OK;
    raftlog_close(r->log);
    env_cond_release(r->env, &r->snap.cond);
    env_cond_release(r->env, &r->old);
    env_cond_release(r->env, &r->disk);
    env_cond_release(r->env, &r->work);
    env_mutex_release(r->env, &r->mutex);
    env_release(r->env, r);
    return st;
}

/* ---- starting and stopping ---- */

void replica_on_over(struct replica *r, void (*over)(void *arg), void *arg)
{
    r->over = over;
    r->over_arg = arg;
}

enum status replica_start(struct replica *r)
{
    replica_turn_share(r);
    enum status st = replica_disk_start(r);
    if (st != ST_OK) {
        return st;
    }
    st = env_thread_start(r->env, &r->thread, "replica", replica_turn_main, r);
    if (st != ST_OK) {
        replica_disk_stop(r);
        return st;
    }
    r->running = true;
    return ST_OK;
}

void replica_stop(struct replica *r)
{
    if (!r->running) {
        return;
    }
    env_mutex_lock(r->env, &r->mutex);
    r->quit = true;
    env_cond_signal(r->env, &r->work);
    env_mutex_unlock(r->env, &r->mutex);
    env_thread_join(r->env, &r->thread);
    replica_disk_stop(r);
    r->quit = false;
    r->running = false;
    list_splice(&r->waiting, &r->submitted); /* those that came while it ended */
    replica_ask_end(r);
}

/* ---- from any thread ---- */

void replica_submit(struct replica *r, struct list *requests)
{
    env_mutex_lock(r->env, &r->mutex);
    list_splice(&r->submitted, requests);
    env_mutex_unlock(r->env, &r->mutex);
    replica_turn(r);
}

void replica_abandon(struct replica *r)
{
    env_mutex_lock(r->env, &r->mutex);
    r->abandon = true;
    env_cond_signal(r->env, &r->work);
    env_mutex_unlock(r->env, &r->mutex);
}

enum status replica_receive(struct replica *r, const struct peerwire_in *in)
{
    bool first;
    enum status st = peerbox_put(&r->inbox, in, &first);
    if (first) {
        env_mutex_lock(r->env, &r->mutex);
        r->mail = true;
        env_mutex_unlock(r->env, &r->mutex);
    } else if (st == ST_BUSY) {
        ENV_PROBE(r->env, "replica: the inbox is full");
    }
    return st;
}

enum status replica_staged(struct replica *r, const struct raft_msg *m, uint64_t config_index)
{
    return replica_install_offer(r, m, config_index);
}

void replica_snapshot_sent(struct replica *r, uint64_t node, uint64_t session, bool ok)
{
    replica_ship_sent(r, node, session, ok);
}

void replica_unreachable(struct replica *r, uint64_t node)
{
    env_mutex_lock(r->env, &r->mutex);
    uint32_t at = 0;
    while (at < r->unreachable_count && r->unreachable[at] != node) {
        at++;
    }
    if (at == r->unreachable_count && at < RAFT_MEMBERS_MAX) {
        r->unreachable[r->unreachable_count++] = node;
        env_cond_signal(r->env, &r->work);
    }
    env_mutex_unlock(r->env, &r->mutex);
}

void replica_status(struct replica *r, struct replica_status *s)
{
    env_mutex_lock(r->env, &r->mutex);
    *s = r->shared;
    env_mutex_unlock(r->env, &r->mutex);
}

void replica_members(struct replica *r, struct replica_members *m)
{
    env_mutex_lock(r->env, &r->mutex);
    *m = r->shared_members;
    env_mutex_unlock(r->env, &r->mutex);
}

/* Only an exchange touches r->db while threads run, and that is all of INSTALL_SWITCH. */
bool replica_engine(struct replica *r, struct tkv_stats *stats)
{
    env_mutex_lock(r->env, &r->mutex);
    bool there = r->snap.install.state != INSTALL_SWITCH && r->db != NULL;
    if (there) {
        tkv_stats(r->db, stats);
    }
    env_mutex_unlock(r->env, &r->mutex);
    return there;
}

void replica_log(struct replica *r, struct raftlog_stats *stats)
{
    raftlog_stats(r->log, stats);
}

enum status replica_failed(struct replica *r)
{
    struct replica_status s;
    replica_status(r, &s);
    return s.failed;
}

const struct raftlog_identity *replica_identity(const struct replica *r)
{
    return &r->identity;
}

struct statemachine *replica_machine(struct replica *r)
{
    return &r->sm;
}
