/* test_tkv_threads.c - writers, readers and the background thread at once, on real threads. */
#include "base/prng.h"
#include "engine/tkv.h"
#include "tests/engine/faultenv.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

#include <stdlib.h>

#define WRITERS 4
#define READERS 2
#define WRITES  400

struct shared {
    struct env *env;
    struct tkv *db;
    atomic_int writing; /* writers that are not done */
    atomic_int wrong;
    int acked[WRITERS]; /* the last counter that each was told is in */
    bool failures_allowed;
};

struct one {
    struct shared *s;
    int id;
    struct env_thread thread;
};

static void wrong(struct shared *s, bool is)
{
    if (is) {
        atomic_fetch_add(&s->wrong, 1);
    }
}

/* Each batch writes the writer's counter under two keys, so that a reader can see a half one. */
static void writer(void *arg)
{
    struct one *me = arg;
    struct shared *s = me->s;
    struct tkv_write_options o;
    struct tkv_batch *b;
    char key[32], value[160];
    tkv_write_options_init(&o);
    wrong(s, tkv_batch_new(s->env, &b) != TKV_OK);
    for (int i = 1; i <= WRITES; i++) {
        int n = snprintf(value, sizeof value, "%0100d", i);
        tkv_batch_clear(b);
        for (int side = 0; side < 2; side++) {
            int k = snprintf(key, sizeof key, "w%d%c", me->id, 'a' + side);
            wrong(s, tkv_batch_put(b, key, (size_t)k, value, (size_t)n) != TKV_OK);
        }
        o.sync = i % 16 == me->id;
        uint64_t sequence;
        enum tkv_status st = tkv_write(s->db, &o, b, &sequence);
        wrong(s, st != TKV_OK && !s->failures_allowed);
        if (st == TKV_OK) {
            s->acked[me->id] = i;
            size_t size = 0;
            st = tkv_get(s->db, NULL, key, 3, value, sizeof value - 1, &size);
            value[size] = '\0';
            wrong(s, st != TKV_OK && !(st == TKV_IO && s->failures_allowed));
            wrong(s, st == TKV_OK && atoi(value) != i); /* its own write, nobody else's */
        }
    }
    tkv_batch_free(b);
    atomic_fetch_sub(&s->writing, 1);
}

/* A cursor sees both halves of every batch alike, and counters never go back. */
static void reader(void *arg)
{
    struct one *me = arg;
    struct shared *s = me->s;
    int seen[WRITERS] = {0};
    while (atomic_load(&s->writing) > 0) {
        struct tkv_iter *it;
        int now[WRITERS][2] = {{0}};
        enum tkv_status st = tkv_iter_new(s->db, NULL, &it);
        if (st != TKV_OK) {
            wrong(s, st != TKV_IO || !s->failures_allowed);
            continue;
        }
        for (tkv_iter_first(it); tkv_iter_valid(it); tkv_iter_next(it)) {
            size_t size;
            char text[160];
            const char *key = tkv_iter_key(it, &size);
            int id = key[1] - '0';
            int side = key[2] - 'a';
            const void *value = tkv_iter_value(it, &size);
            memcpy(text, value, size);
            text[size] = '\0';
            now[id][side] = atoi(text);
        }
        st = tkv_iter_status(it);
        tkv_iter_free(it);
        wrong(s, st != TKV_OK && !(st == TKV_IO && s->failures_allowed));
        for (int i = 0; st == TKV_OK && i < WRITERS; i++) {
            wrong(s, now[i][0] != now[i][1]);
            wrong(s, now[i][0] < seen[i]);
            seen[i] = now[i][0];
        }
    }
}

static void flusher(void *arg)
{
    struct one *me = arg;
    struct shared *s = me->s;
    while (atomic_load(&s->writing) > 0) {
        enum tkv_status st = tkv_flush(s->db);
        wrong(s, st != TKV_OK && !s->failures_allowed);
        st = tkv_sync(s->db);
        wrong(s, st != TKV_OK && !s->failures_allowed);
    }
}

static struct tkv *db_open(struct env *env)
{
    struct tkv_options o;
    struct tkv *db = NULL;
    struct tkv_error error;
    tkv_options_init(&o);
    o.env = env;
    o.verify = true;
    o.write_buffer_bytes = 4096;
    o.memtables_max = 2;
    if (tkv_open(&o, "db", &db, &error) != TKV_OK) {
        printf("Bail out! %s\n", error.text);
        exit(1);
    }
    return db;
}

static void together(struct shared *s)
{
    struct one all[WRITERS + READERS + 1];
    int count = WRITERS + READERS + 1;
    atomic_store(&s->writing, WRITERS);
    for (int i = 0; i < count; i++) {
        all[i] = (struct one){.s = s, .id = i};
        void (*run)(void *) = i < WRITERS ? writer : i < WRITERS + READERS ? reader : flusher;
        EXPECT(env_thread_start(s->env, &all[i].thread, "t", run, &all[i]) == ST_OK);
    }
    for (int i = 0; i < count; i++) {
        env_thread_join(s->env, &all[i].thread);
    }
    EXPECT(atomic_load(&s->wrong) == 0);
}

static void acked_check(struct shared *s)
{
    for (int i = 0; i < WRITERS; i++) {
        char key[32], value[160];
        size_t size = 0;
        int k = snprintf(key, sizeof key, "w%da", i);
        enum tkv_status st = tkv_get(s->db, NULL, key, (size_t)k, value, sizeof value - 1, &size);
        value[size] = '\0';
        EXPECT(st == TKV_OK || s->acked[i] == 0);
        EXPECT(st != TKV_OK || atoi(value) >= s->acked[i]);
    }
}

static void tkv__threads_see_whole_batches_and_lose_nothing(void)
{
    struct tmpdir t;
    tmpdir_make(&t);
    struct shared s = {.env = t.env};
    s.db = db_open(t.env);
    together(&s);
    struct tkv_stats stats = {.size = sizeof stats};
    tkv_stats(s.db, &stats);
    EXPECT(stats.sequence == (uint64_t)WRITERS * WRITES * 2);
    EXPECT(stats.flushes > 0);
    EXPECT(tkv_close(s.db) == TKV_OK);
    s.db = db_open(t.env);
    acked_check(&s);
    EXPECT(tkv_close(s.db) == TKV_OK);
    tmpdir_remove(&t);
}

/* The same with a disk where every hundredth call fails: errors, but nothing acknowledged is lost.
 */
static void tkv__threads_on_a_bad_disk_lose_nothing_acknowledged(void)
{
    for (int round = 0; round < 5; round++) {
        struct tmpdir t;
        struct faultenv f;
        tmpdir_make(&t);
        faultenv_init(&f, t.env);
        struct shared s = {.env = &f.te.env, .failures_allowed = true};
        s.db = db_open(&f.te.env);
        f.every = 97 + round;
        together(&s);
        f.every = 0;
        acked_check(&s);
        (void)tkv_close(s.db); /* the log may be broken at this moment */
        EXPECT(f.failed > 0);
        EXPECT(f.te.live == 0 && f.te.descriptors == 0);
        s.db = db_open(t.env);
        acked_check(&s);
        EXPECT(tkv_close(s.db) == TKV_OK);
        tmpdir_remove(&t);
    }
}

TAP_MAIN({
    RUN(tkv__threads_see_whole_batches_and_lose_nothing);
    RUN(tkv__threads_on_a_bad_disk_lose_nothing_acknowledged);
})
