/* witness.c - for each planted bug, a scripted run that the correct tree passes and the mutant
 * fails. No fault is drawn by chance: the script says when the power goes and what fails.
 *
 * The first half puts small programs over the engine into a world and looks at what a power loss
 * leaves of their promises; the second half puts a whole node there and talks to it. */
#include "base/ck.h"
#include "engine/tkv.h"
#include "net/respclient.h"
#include "node/node.h"
#include "sim/simdisk.h"
#include "tests/sim/simtest.h"
#include "tests/tap.h"

#include <string.h>

#define DIR     "data"
#define MS      1000000u
#define S       1000000000u
#define CRASHES 64 /* outcomes looked at where the script leaves the choice open */
#define LETTERS 26

/* What an opened database held. Keys are the letters from 'a' on; bit i stands for the i-th. */
struct view {
    bool opened;
    bool wrong; /* a key or a value that nobody wrote */
    uint32_t keys;
};

struct witness {
    struct simtest sim; /* first: hooks get it */
    /* the writer */
    enum tkv_status status; /* of what the test is about */
    bool done;              /* the script came to its end */
    uint64_t logs;          /* live ones, and flushes, before the power went */
    uint64_t flushes;
    struct simdisk *disk; /* as it was at that moment; owned */
    bool fail_sync;       /* the next one */
    bool went_on;         /* after it */
    /* the reader */
    struct view view;
    /* the node and its client */
    struct proc *node;
    bool right; /* every reply was the one that had been asked for */
};

static void witness_open(struct witness *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    simtest_open(&w->sim, seed);
}

/* A world whose plan has one knob away from its default. */
static void witness_open_with(struct witness *w, enum plan_knob knob, uint64_t value)
{
    memset(w, 0, sizeof *w);
    plan_init(&w->sim.plan, simmem(), 1);
    w->sim.plan.value[knob] = value;
    simtest_open_plan(&w->sim);
}

static void witness_close(struct witness *w)
{
    simdisk_free(w->disk);
    simtest_close(&w->sim);
}

/* ---- programs over the engine ---- */

static enum tkv_status db_open(struct env *env, uint64_t buffer, struct tkv **db)
{
    struct tkv_options o;
    tkv_options_init(&o);
    o.env = env;
    o.verify = true;
    o.write_buffer_bytes = buffer != 0 ? buffer : o.write_buffer_bytes;
    return tkv_open(&o, DIR, db, NULL);
}

/* The value of a letter: that letter, n times. */
static enum tkv_status put(struct tkv *db, char letter, size_t n, bool sync)
{
    char value[4096];
    struct tkv_write_options o;
    CK(n <= sizeof value);
    memset(value, letter, n);
    tkv_write_options_init(&o);
    o.sync = sync;
    return tkv_put(db, &o, &letter, 1, value, n);
}

static bool same_bytes(const char *p, size_t n, char c)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != c) {
            return false;
        }
    }
    return n > 0;
}

/* Opens what is there and looks at all of it. */
static int reader_main(struct env *env, int argc, char **argv)
{
    struct witness *w = proc_of(env)->user;
    struct tkv *db;
    struct tkv_iter *it;
    (void)argc;
    (void)argv;
    w->view = (struct view){.keys = 0};
    if (db_open(env, 0, &db) != TKV_OK) {
        return 1;
    }
    w->view.opened = true;
    CK(tkv_iter_new(db, NULL, &it) == TKV_OK);
    for (tkv_iter_first(it); tkv_iter_valid(it); tkv_iter_next(it)) {
        size_t k, n;
        const char *key = tkv_iter_key(it, &k);
        const char *value = tkv_iter_value(it, &n);
        bool letter = k == 1 && key[0] >= 'a' && key[0] < 'a' + LETTERS;
        w->view.wrong = w->view.wrong || !letter || !same_bytes(value, n, key[0]);
        w->view.keys |= letter ? 1u << (key[0] - 'a') : 0;
    }
    w->view.wrong = w->view.wrong || tkv_iter_status(it) != TKV_OK;
    tkv_iter_free(it);
    return tkv_close(db) == TKV_OK ? 0 : 1;
}

/* The end of a script: what the disk is now is kept for the test to crash. */
static int script_end(struct env *env, struct tkv *db)
{
    struct witness *w = proc_of(env)->user;
    struct tkv_stats stats = {.size = sizeof stats};
    tkv_stats(db, &stats);
    w->logs = stats.logs;
    w->flushes = stats.flushes;
    CK(simdisk_clone(proc_of(env)->host->disk, &w->disk) == ST_OK);
    w->done = true;
    return tkv_close(db) == TKV_OK ? 0 : 1;
}

/* Runs the writer's script to its end; false when it did not get there. */
static bool script_run(struct witness *w, proc_main_fn *writer)
{
    struct proc *p = simtest_start(&w->sim, w->sim.host, "writer", writer, w);
    p->watched = true;
    return simtest_run(&w->sim) && w->done;
}

/* The power goes where the script ended, and a reader opens what that left. */
static struct view after_crash(struct witness *w, enum simdisk_strategy strategy, uint64_t seed)
{
    struct chooser c;
    struct chooser_stream s;
    struct simdisk *after;
    chooser_init(&c, seed);
    chooser_stream_init(&s, &c, CHOOSE_DISK_CRASH, 0);
    CK(simdisk_crash(w->disk, strategy, &s, &after) == ST_OK);
    struct host *h = world_host(&w->sim.world, after);
    (void)simtest_start(&w->sim, h, "reader", reader_main, w);
    EXPECT(simtest_run(&w->sim));
    return w->view;
}

static bool view_is(struct view v, uint32_t keys)
{
    return v.opened && !v.wrong && v.keys == keys;
}

/* ---- P01 ---- */

static int synced_put(struct env *env, int argc, char **argv)
{
    struct witness *w = proc_of(env)->user;
    struct tkv *db;
    (void)argc;
    (void)argv;
    CK(db_open(env, 0, &db) == TKV_OK);
    w->status = put(db, 'a', 100, true);
    return script_end(env, db);
}

/* E2: an acknowledged synced write is there when everything unsynced is gone. */
static void test_witness__P01_wal_sync_skipped(void)
{
    struct witness w;
    witness_open(&w, 1);
    EXPECT(script_run(&w, synced_put));
    EXPECT(w.status == TKV_OK);
    EXPECT(view_is(after_crash(&w, SIMDISK_DROP_ALL, 1), 1));
    witness_close(&w);
}

/* ---- P02 ---- */

/* The faults are on for the one sync that is to fail, and off again after it. */
static void fail_one_sync(void *arg, struct proc *p, enum disk_op op, bool before)
{
    struct witness *w = arg;
    if (op == DISK_SYNC && w->fail_sync) {
        p->world->faults = before;
        w->fail_sync = before;
    }
}

static int put_through_failing_sync(struct env *env, int argc, char **argv)
{
    struct witness *w = proc_of(env)->user;
    struct tkv *db;
    (void)argc;
    (void)argv;
    CK(db_open(env, 0, &db) == TKV_OK);
    w->fail_sync = true;
    w->status = put(db, 'a', 100, true);
    CK(!w->fail_sync);
    if (w->status != TKV_OK) {
        w->went_on = put(db, 'b', 100, true) == TKV_OK;
    }
    return script_end(env, db);
}

/* E5, E2: what was acknowledged through a failed sync is there. The engine rather says that it
 * failed, and finds a way to go on. */
static void test_witness__P02_wal_fsync_error_acked(void)
{
    struct witness w;
    witness_open_with(&w, PLAN_SYNC_EIO, 1000000);
    w.sim.hooks.disk_point = fail_one_sync;
    EXPECT(script_run(&w, put_through_failing_sync));
    EXPECT(w.status == TKV_OK || w.went_on);
    struct view v = after_crash(&w, SIMDISK_DROP_ALL, 1);
    EXPECT(v.opened);
    EXPECT(!v.wrong);
    EXPECT((v.keys & (w.status == TKV_OK ? 1u : 2u)) != 0);
    witness_close(&w);
}

/* ---- P03 ---- */

static int rotate_between(struct env *env, int argc, char **argv)
{
    struct witness *w = proc_of(env)->user;
    struct tkv *db;
    (void)argc;
    (void)argv;
    CK(db_open(env, 2048, &db) == TKV_OK);
    CK(put(db, 'a', 4000, false) == TKV_OK);
    w->status = put(db, 'b', 10, true);
    return script_end(env, db);
}

/* E1, E2: a synced write in the new log keeps what came before it in the old one, whether or not
 * the background thread has had the time to write that elsewhere. */
static void test_witness__P03_wal_rotate_unsynced(void)
{
    unsigned exposed = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct witness w;
        witness_open(&w, seed);
        EXPECT(script_run(&w, rotate_between));
        EXPECT(w.status == TKV_OK);
        exposed += w.logs == 2 && w.flushes == 0;
        EXPECT(view_is(after_crash(&w, SIMDISK_DROP_ALL, 1), 3));
        witness_close(&w);
    }
    EXPECT(exposed > 0);
}

/* ---- P04 ---- */

static int three_unsynced(struct env *env, int argc, char **argv)
{
    struct tkv *db;
    (void)argc;
    (void)argv;
    CK(db_open(env, 0, &db) == TKV_OK);
    for (char c = 'a'; c <= 'c'; c++) {
        CK(put(db, c, 2000, false) == TKV_OK);
    }
    return script_end(env, db);
}

/* E1: whatever sectors a crash keeps, what is recovered is a prefix. */
static void test_witness__P04_wal_replay_skips_bad(void)
{
    struct witness w;
    uint32_t seen = 0;
    witness_open(&w, 1);
    EXPECT(script_run(&w, three_unsynced));
    for (uint64_t i = 0; i < CRASHES; i++) {
        struct view v = after_crash(&w, SIMDISK_DROP_ONE, i);
        EXPECT(v.opened);
        EXPECT(!v.wrong);
        EXPECT((v.keys & (v.keys + 1)) == 0);
        seen |= 1u << (v.keys & 7);
    }
    EXPECT((seen & (1u << 1)) != 0); /* 'b' was hit, with 'c' behind it */
    witness_close(&w);
}

/* ---- P05 ---- */

static int one_batch(struct env *env, int argc, char **argv)
{
    struct tkv *db;
    struct tkv_batch *b;
    char value[2000];
    (void)argc;
    (void)argv;
    CK(db_open(env, 0, &db) == TKV_OK);
    CK(tkv_batch_new(env, &b) == TKV_OK);
    for (char c = 'x'; c <= 'y'; c++) {
        memset(value, c, sizeof value);
        CK(tkv_batch_put(b, &c, 1, value, sizeof value) == TKV_OK);
    }
    CK(tkv_write(db, NULL, b, NULL) == TKV_OK);
    tkv_batch_free(b);
    return script_end(env, db);
}

/* E3: a batch is there as a whole or not at all. */
static void test_witness__P05_wal_batch_split(void)
{
    const uint32_t both = 3u << ('x' - 'a');
    struct witness w;
    witness_open(&w, 1);
    EXPECT(script_run(&w, one_batch));
    EXPECT(view_is(after_crash(&w, SIMDISK_KEEP_ALL, 1), both));
    for (uint64_t i = 0; i < CRASHES; i++) {
        struct view v = after_crash(&w, SIMDISK_DROP_ONE, i);
        EXPECT(view_is(v, 0) || view_is(v, both));
    }
    witness_close(&w);
}

/* ---- P06 ---- */

static int synced_then_not(struct env *env, int argc, char **argv)
{
    struct tkv *db;
    (void)argc;
    (void)argv;
    CK(db_open(env, 0, &db) == TKV_OK);
    CK(put(db, 'a', 100, true) == TKV_OK);
    CK(put(db, 'b', 2000, false) == TKV_OK);
    return script_end(env, db);
}

/* E6: a file whose size survived and whose bytes did not ends in zeros, and that is a torn tail. */
static void test_witness__P06_wal_zero_tail(void)
{
    struct witness w;
    witness_open(&w, 1);
    EXPECT(script_run(&w, synced_then_not));
    for (uint64_t i = 0; i < CRASHES; i++) {
        struct view v = after_crash(&w, SIMDISK_META_FIRST, i);
        EXPECT(view_is(v, 1) || view_is(v, 3));
    }
    witness_close(&w);
}

/* ---- a node and its client ---- */

static const struct env_addr node_addr = {.family = 4, .port = 6379, .ip = {10, 0, 0, 1}};

static void rest(struct env *env, uint64_t ns)
{
    env_sleep_until(env, env_clock_mono(env) + ns);
}

static uint64_t soon(struct env *env)
{
    return env_clock_mono(env) + 100ull * S;
}

/* Connects, once the node listens. */
static void client_open(struct env *env, struct respclient *c)
{
    while (respclient_open(c, env, &node_addr, soon(env)) != ST_OK) {
        respclient_close(c);
        rest(env, 10 * MS);
    }
}

static void client_send(struct env *env, struct respclient *c, const char *bytes)
{
    CK(respclient_queue_raw(c, slice_text(bytes), NULL) == ST_OK);
    CK(respclient_flush(c, soon(env)) == ST_OK);
}

/* Whether the next reply is this text. */
static bool client_gets(struct env *env, struct respclient *c, enum respval_type type,
                        struct slice text)
{
    return respclient_receive(c, soon(env)) == ST_OK && c->value.nodes[0].type == type &&
           slice_equal(respclient_text(c, 0), text);
}

static int client_end(struct env *env, struct respclient *c, bool right)
{
    struct witness *w = proc_of(env)->user;
    respclient_close(c);
    w->right = right;
    w->done = true;
    proc_request_stop(w->node);
    return 0;
}

/* A node on one host and the client's script on another; false when the script did not end. */
static bool talk_run(struct witness *w, proc_main_fn *client)
{
    char words[6][16] = {"tinykv", "serve", "--data", DIR, "--listen", "10.0.0.1:6379"};
    char *argv[6];
    for (int i = 0; i < 6; i++) {
        argv[i] = words[i];
    }
    struct host *other = world_host(&w->sim.world, NULL);
    w->sim.running++;
    w->node = proc_start(w->sim.host, "node", node_main, 6, argv, w);
    (void)simtest_start(&w->sim, other, "client", client, w);
    return simtest_run(&w->sim) && w->done;
}

/* ---- P27 ---- */

static int split_request(struct env *env, int argc, char **argv)
{
    struct respclient c;
    (void)argc;
    (void)argv;
    client_open(env, &c);
    client_send(env, &c, "*2\r\n$4\r\nECHO\r\n$3\r\na");
    rest(env, S);
    client_send(env, &c, "bc\r\n*1\r\n$4\r\nPI");
    rest(env, S);
    client_send(env, &c, "NG\r\n");
    bool right = client_gets(env, &c, RESPVAL_BULK, slice_text("abc"));
    right = right && client_gets(env, &c, RESPVAL_SIMPLE, slice_text("PONG"));
    return client_end(env, &c, right);
}

/* X3: requests that come in pieces, one and a half to a read, are answered as sent. */
static void test_witness__P27_partial_frame(void)
{
    struct witness w;
    witness_open(&w, 1);
    EXPECT(talk_run(&w, split_request));
    EXPECT(w.right);
    witness_close(&w);
}

/* ---- P28 ---- */

static int long_reply(struct env *env, int argc, char **argv)
{
    static const char *const get[] = {"GET", "k"};
    char value[20000];
    struct respclient c;
    struct slice set[3] = {slice_text("SET"), slice_text("k"), {value, sizeof value}};
    (void)argc;
    (void)argv;
    for (size_t i = 0; i < sizeof value; i++) {
        value[i] = (char)('a' + i / 100 % LETTERS);
    }
    client_open(env, &c);
    CK(respclient_queue(&c, set, 3, NULL) == ST_OK);
    bool right = client_gets(env, &c, RESPVAL_SIMPLE, slice_text("OK"));
    right = right && respclient_call(&c, get, 2, soon(env)) == ST_OK;
    right = right && slice_equal(respclient_text(&c, 0), slice_of(value, sizeof value));
    return client_end(env, &c, right);
}

/* X3: a reply larger than what the socket takes at a time arrives as it is. */
static void test_witness__P28_short_write_restart(void)
{
    struct witness w;
    witness_open_with(&w, PLAN_NET_BUFFER, 4096);
    EXPECT(talk_run(&w, long_reply));
    EXPECT(w.right);
    witness_close(&w);
}

/* ---- P30 ---- */

static int slot_used_again(struct env *env, int argc, char **argv)
{
    static const char *const echo[] = {"ECHO", "mine"};
    const struct env_slice set = {"SET k v\r\n", 9};
    struct respclient first, second;
    size_t put_bytes;
    (void)argc;
    (void)argv;
    client_open(env, &first);
    client_send(env, &first, "PING\r\n");
    rest(env, S); /* its reply lies unread: closing resets the connection */
    CK(env_sock_write(env, first.fd, &set, 1, &put_bytes) == ST_OK); /* and reads nothing */
    rest(env, 5 * MS);
    respclient_close(&first);
    rest(env, 5 * MS);
    client_open(env, &second);
    bool right = respclient_call(&second, echo, 2, soon(env)) == ST_OK &&
                 slice_equal(respclient_text(&second, 0), slice_text("mine"));
    return client_end(env, &second, right);
}

/* X3: a commit's reply is due when its connection is gone and another one has its place. */
static void test_witness__P30_fd_aba(void)
{
    struct witness w;
    witness_open_with(&w, PLAN_DISK_SLOW, 1000);
    EXPECT(talk_run(&w, slot_used_again));
    EXPECT(w.right);
    witness_close(&w);
}

TAP_MAIN(RUN(test_witness__P01_wal_sync_skipped); RUN(test_witness__P02_wal_fsync_error_acked);
         RUN(test_witness__P03_wal_rotate_unsynced); RUN(test_witness__P04_wal_replay_skips_bad);
         RUN(test_witness__P05_wal_batch_split); RUN(test_witness__P06_wal_zero_tail);
         RUN(test_witness__P27_partial_frame); RUN(test_witness__P28_short_write_restart);
         RUN(test_witness__P30_fd_aba);)
