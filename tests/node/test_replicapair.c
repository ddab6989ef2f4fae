/* test_replicapair.c - two replicas with real threads and files: one that is alone and writes, and
 * one that is let in and brought up to it by a snapshot while the writing goes on. */
#include "base/ck.h"
#include "env/env_posix.h"
#include "net/frame.h"
#include "net/pbdec.h"
#include "node/peerwire.h"
#include "node/replica.h"
#include "node/snapstage.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdio.h>

#define SECOND 1000000000ull

struct side {
    struct side *other;
    struct env *env;
    const char *dir;
    struct replica *replica;
    struct peerwire wire;
    struct pbarena arena;
    struct buf frame;
    bool staged; /* a snapshot; under the mutex */
};

static struct tmpdir t;
static struct inject te;
static struct side one, two;
static struct env_mutex mutex;
static struct env_cond cond;
static bool done;

/* ---- the way between them: no wait, no loss ---- */

static void deliver(void *arg, const struct raft_msg *m, const struct raft_entry *entries)
{
    struct side *s = arg;
    struct frame_reader reader;
    struct slice payload;
    struct peermsg msg;
    struct peerwire_in in;
    const char *what;
    if (m->to != (s == &one ? 2u : 1u)) {
        return;
    }
    buf_clear(&s->frame);
    pbarena_reset(&s->arena);
    CK(peerwire_append(&s->wire, m, entries, &s->frame) == ST_OK);
    frame_init(&reader, FRAME_PEER, PB_SIZE_MAX, false);
    CK(frame_parse(&reader, s->frame.data, s->frame.size, &payload) == ST_OK);
    CK(pbdec_read(&peermsg_table, payload, &s->arena, &msg, NULL) == ST_OK);
    CK(peerwire_read(&msg, &s->arena, &in, &what) == ST_OK);
    enum status st = replica_receive(s->other->replica, &in);
    EXPECT(st == ST_OK || st == ST_BUSY || st == ST_NOMEM); /* then it is lost */
}

static void flush(void *arg)
{
    struct side *s = arg;
    if (s->other->replica != NULL) {
        replica_turn(s->other->replica);
    }
}

static void path_of(char path[ENV_PATH_MAX], const char *dir, const char *name)
{
    (void)snprintf(path, ENV_PATH_MAX, "%s/%s", dir, name);
}

static bool staged_set(struct side *s, bool staged)
{
    env_mutex_lock(t.env, &mutex);
    bool changed = s->staged != staged;
    s->staged = staged;
    env_mutex_unlock(t.env, &mutex);
    return changed;
}

/* Files that do not change any more may be the same. */
static void send_snapshot(void *arg, const struct raft_msg *m, const struct snapset *set,
                          const char *dir)
{
    struct side *s = arg;
    char incoming[ENV_PATH_MAX];
    bool good = staged_set(s->other, true); /* what is staged stays until it is taken */
    path_of(incoming, s->other->dir, "incoming");
    if (good) {
        EXPECT(env_dir_make(t.env, incoming) == ST_OK);
        for (uint32_t i = 0; i < set->count; i++) {
            char from[ENV_PATH_MAX];
            char to[ENV_PATH_MAX];
            path_of(from, dir, set->files[i].name);
            path_of(to, incoming, set->files[i].name);
            EXPECT(env_path_link(t.env, from, to) == ST_OK);
        }
        if (replica_staged(s->other->replica, m, set->config_index) != ST_OK) {
            struct snapstage stage;
            struct err err;
            good = false;
            EXPECT(snapstage_open(&stage, t.env, incoming, &err) == ST_OK); /* gone */
            snapstage_close(&stage);
            (void)staged_set(s->other, false);
        }
    }
    replica_snapshot_sent(s->replica, m->to, m->session, good);
}

static enum status take_snapshot(void *arg, const char *to, struct err *err)
{
    struct side *s = arg;
    char incoming[ENV_PATH_MAX];
    (void)err;
    path_of(incoming, s->dir, "incoming");
    enum status st = env_path_rename(t.env, incoming, to);
    (void)staged_set(s, false);
    return st;
}

/* ---- sides ---- */

static struct replica_options options_of(struct side *s, const char *dir)
{
    return (struct replica_options){.dir = dir,
                                    .log_entries = 16,
                                    .log = {.segment_bytes = 64 * 1024},
                                    .transport = {.deliver = deliver,
                                                  .flush = flush,
                                                  .send_snapshot = send_snapshot,
                                                  .take_snapshot = take_snapshot,
                                                  .arg = s}};
}

static void side_open(struct side *s, struct side *other, const char *dir)
{
    struct err err = {.text = ""};
    struct raftlog_identity identity = {
        .cluster = 1, .node = s == &one ? 1 : 2, .incarnation = s == &one ? 1 : 2};
    struct raft_config config = {.count = s == &one, .members = {{1, 1, RAFT_IN}}};
    struct replica_options o = options_of(s, dir);
    *s = (struct side){.other = other, .env = &te.env, .dir = dir};
    s->wire.mem = &t.env->mem;
    pbarena_init(&s->arena, &t.env->mem, SIZE_MAX / 2, 1u << 20);
    buf_init(&s->frame, &t.env->mem);
    EXPECT(env_dir_make(s->env, dir) == ST_OK);
    EXPECT(replica_create(s->env, &o, &identity, &config, &err) == ST_OK);
    EXPECT(replica_open(s->env, &o, &s->replica, &err) == ST_OK);
}

static void side_end(struct side *s)
{
    EXPECT(replica_close(s->replica) == ST_OK);
    peerwire_release(&s->wire);
    pbarena_release(&s->arena);
    buf_release(&s->frame);
}

static uint64_t side_close(struct side *s)
{
    uint64_t hash = 0;
    EXPECT(statemachine_hash(replica_machine(s->replica), &hash) == ST_OK);
    side_end(s);
    return hash;
}

/* ---- requests ---- */

static void on_done(struct replica_request *q)
{
    (void)q;
    env_mutex_lock(t.env, &mutex);
    done = true;
    env_cond_signal(t.env, &cond);
    env_mutex_unlock(t.env, &mutex);
}

static enum replica_outcome ask(struct replica_request *q)
{
    struct list all;
    list_init(&all);
    list_init(&q->link);
    list_insert(&all, &q->link);
    q->done = on_done;
    q->deadline = env_clock_mono(t.env) + 60 * SECOND;
    done = false;
    replica_submit(one.replica, &all);
    env_mutex_lock(t.env, &mutex);
    while (!done) {
        (void)env_cond_wait(t.env, &cond, &mutex, ENV_NEVER); /* the loop decides */
    }
    env_mutex_unlock(t.env, &mutex);
    return q->outcome;
}

static void write_one(void)
{
    struct slice args[3] = {slice_text("append"), slice_text("k"), slice_text("x")};
    struct replica_command command = {args, 3};
    struct replica_request q = {.head = {.commands = 1}, .commands = &command};
    buf_init(&q.reply, &t.env->mem);
    EXPECT(ask(&q) == REPLICA_DONE);
    buf_release(&q.reply);
}

/* The other one becomes a learner, of a log that does not begin at its beginning. */
static void let_in(void)
{
    struct replica_status s;
    struct replica_change add = {.kind = REPLICA_ADD, .node = 2, .incarnation = 2};
    struct replica_request q = {.change = &add};
    do {
        write_one();
        replica_status(one.replica, &s);
    } while (s.compacted < 2);
    EXPECT(ask(&q) == REPLICA_DONE);
}

/* The learner has what the other one has, and came to it by a snapshot. */
static void bring_up(void)
{
    struct replica_status s;
    let_in();
    do { /* meanwhile the log goes on */
        write_one();
        replica_status(two.replica, &s);
    } while (s.installed == 0 && !tap_failed);
    uint64_t last;
    do { /* it hears of the last commit with a heartbeat */
        replica_status(one.replica, &s);
        last = s.applied.place.index;
        replica_status(two.replica, &s);
        EXPECT(replica_failed(one.replica) == ST_OK && replica_failed(two.replica) == ST_OK);
        env_sleep_until(t.env, env_clock_mono(t.env) + SECOND / 100);
    } while (s.applied.place.index < last && !tap_failed);
}

static void pair_begin(void)
{
    tmpdir_make(&t);
    test_env_init(&te, t.env);
    env_mutex_init(t.env, &mutex);
    env_cond_init(t.env, &cond);
    side_open(&one, &two, "one");
    side_open(&two, &one, "two");
}

static void pair_end(void)
{
    EXPECT(te.live == 0);
    EXPECT(te.descriptors == 0);
    env_cond_release(t.env, &cond);
    env_mutex_release(t.env, &mutex);
    tmpdir_remove(&t);
}

/* With an allocation refused, that many after the start; -1: none. False: there were fewer. */
static bool pair_run(long refused)
{
    pair_begin();
    te.fail_at = refused >= 0 ? te.allocs + refused : -1; /* while there is one thread */
    EXPECT(replica_start(one.replica) == ST_OK);
    EXPECT(replica_start(two.replica) == ST_OK);
    bring_up();
    replica_stop(two.replica);
    replica_stop(one.replica);
    bool reached = te.allocs > te.fail_at;
    te.fail_at = -1;
    uint64_t hash = side_close(&one);
    EXPECT(side_close(&two) == hash);
    pair_end();
    return reached;
}

static void replicapair__who_is_let_in_is_brought_up_by_a_snapshot(void)
{
    EXPECT(pair_run(-1));
}

/* What cannot be had now is tried again: making it, taking it, exchanging databases. */
static void replicapair__refused_memory_is_met(void)
{
    long n = 0;
    while (pair_run(n) && !tap_failed) {
        n += 3; /* each of them takes a minute of a busy machine */
    }
    printf("# %ld allocations\n", n);
}

/* The log's record says that the snapshot is the database, and putting it there fails. The node
 * stops; what it is still sent does not take the place of what its next life needs. */
static void replicapair__a_snapshot_that_could_not_be_moved_is_owed(void)
{
    struct err err = {.text = ""};
    struct inject_rule rule;
    pair_begin();
    inject_rule_init(&rule);
    rule.calls = INJECT_MAKE;
    rule.name = "db";
    rule.at = 0; /* the old one is away already */
    inject_add(&te, &rule);
    EXPECT(replica_start(one.replica) == ST_OK && replica_start(two.replica) == ST_OK);
    let_in();
    while (replica_failed(two.replica) == ST_OK) {
        write_one();
    }
    EXPECT(replica_failed(two.replica) == ST_IO);
    struct raft_config config = {.count = 1, .members = {{1, 1, RAFT_IN}}};
    struct raft_msg m = {.type = RAFT_MSG_SNAPSHOT, .from = 1, .to = 2, .config = &config};
    EXPECT(replica_staged(two.replica, &m, 1) == ST_BUSY);
    replica_stop(two.replica);
    replica_stop(one.replica);
    side_end(&two);
    (void)side_close(&one);
    struct replica_options o = options_of(&two, "two");
    EXPECT(replica_open(&te.env, &o, &two.replica, &err) == ST_OK);
    if (two.replica != NULL) {
        EXPECT(replica_machine(two.replica)->applied.place.index > 1);
        EXPECT(replica_close(two.replica) == ST_OK);
    }
    /* neither is there: what is left of the old one stays for whoever has to look into it */
    struct env_stat stat;
    EXPECT(env_path_rename(t.env, "two/db", "two/db.old") == ST_OK);
    EXPECT(replica_open(&te.env, &o, &two.replica, &err) == ST_CORRUPT);
    EXPECT(env_path_stat(t.env, "two/db.old", &stat) == ST_OK);
    inject_release(&te);
    pair_end();
}

TAP_MAIN({
    RUN(replicapair__who_is_let_in_is_brought_up_by_a_snapshot);
    RUN(replicapair__refused_memory_is_met);
    RUN(replicapair__a_snapshot_that_could_not_be_moved_is_owed);
})
