/* test_tabcache.c - opened once, bounded, alive as long as it is used.
 *
 * The tables here are made up: what is tested is the cache. */
#include "base/prng.h"
#include "engine/tabcache.h"
#include "env/env_posix.h"
#include "tests/tap.h"
#include "tests/test_env.h"

enum { FILES = 200, MEMORY = 1000 };
#define ALIVE 0x7ab1e7ab1e7ab1e5u

/* ---- tables that are made up ---- */

struct table {
    struct env *env;
    uint64_t refs;
    uint64_t number;
    uint64_t *descriptors;
    uint64_t mark; /* plain */
};

static struct env *posix;

static struct world {
    atomic_long opening[FILES]; /* threads in table_open */
    atomic_long twice;          /* times that two were */
    atomic_long is_open[FILES];
    atomic_long opened;
    atomic_long limit; /* descriptors that the process may have; 0: any number */
    uint64_t *descriptors;
    enum status broken[FILES];
} world;

/* Opening the slow table takes until the test lets it go on. */
enum { NO_FILE = FILES };
static struct {
    struct env_mutex mutex;
    struct env_cond changed;
    uint64_t slow;
    int waiting; /* threads that wait for it to be open */
    bool go;
} crowd = {.slow = NO_FILE};

static void crowd_add(int n)
{
    env_mutex_lock(posix, &crowd.mutex);
    crowd.waiting += n;
    env_cond_broadcast(posix, &crowd.changed);
    env_mutex_unlock(posix, &crowd.mutex);
}

static enum status crowd_wait(struct env *e, struct env_cond *c, struct env_mutex *m,
                              uint64_t mono_ns)
{
    (void)e;
    crowd_add(1);
    enum status st = env_cond_wait(posix, c, m, mono_ns);
    crowd_add(-1);
    return st;
}

static void crowd_gather(int want)
{
    env_mutex_lock(posix, &crowd.mutex);
    while (crowd.waiting != want) {
        (void)env_cond_wait(posix, &crowd.changed, &crowd.mutex, ENV_NEVER);
    }
    env_mutex_unlock(posix, &crowd.mutex);
}

static void crowd_let_go(void)
{
    env_mutex_lock(posix, &crowd.mutex);
    crowd.go = true;
    env_cond_broadcast(posix, &crowd.changed);
    env_mutex_unlock(posix, &crowd.mutex);
}

static void crowd_open(void)
{
    env_mutex_lock(posix, &crowd.mutex);
    while (!crowd.go) {
        (void)env_cond_wait(posix, &crowd.changed, &crowd.mutex, ENV_NEVER);
    }
    env_mutex_unlock(posix, &crowd.mutex);
}

enum status table_open(const struct table_env *e, const char *path, const struct table_info *expect,
                       struct table **table, struct err *err)
{
    char end[32];
    (void)snprintf(end, sizeof end, "dir/%06u.sst", (unsigned)expect->number);
    if (strcmp(path, end) != 0) {
        return ST_NOENT;
    }
    atomic_fetch_add(&world.opened, 1);
    if (atomic_fetch_add(&world.opening[expect->number], 1) > 0) {
        atomic_fetch_add(&world.twice, 1);
    }
    if (expect->number == crowd.slow) {
        crowd_open();
    }
    enum status st = world.broken[expect->number];
    struct table *t = NULL;
    if (st == ST_OK && (long)atomic_get_u64(e->descriptors) >= world.limit && world.limit > 0) {
        st = ST_MFILE;
    }
    if (st == ST_OK) {
        t = env_alloc(e->env, sizeof *t);
        st = t != NULL ? ST_OK : ST_NOMEM;
    }
    if (st == ST_OK) {
        *t = (struct table){.env = e->env,
                            .refs = 1,
                            .number = expect->number,
                            .descriptors = e->descriptors,
                            .mark = ALIVE};
        (void)atomic_add_u64(e->descriptors, 1);
        atomic_fetch_add(&world.is_open[expect->number], 1);
        *table = t;
    } else {
        err_set(err, "%s: broken", path);
    }
    atomic_fetch_sub(&world.opening[expect->number], 1);
    return st;
}

void table_ref(struct table *t)
{
    (void)atomic_add_u64(&t->refs, 1);
}

void table_unref(struct table *t)
{
    if (atomic_add_u64(&t->refs, -1) == 0) {
        t->mark = 0;
        (void)atomic_add_u64(t->descriptors, -1);
        atomic_fetch_sub(&world.is_open[t->number], 1);
        env_release(t->env, t);
    }
}

uint64_t table_memory(const struct table *t)
{
    (void)t;
    return MEMORY;
}

/* ---- the cache over them ---- */

struct setup {
    struct inject te;
    struct epoch e;
    struct tabcache c;
    struct tabcache_slot slots[FILES];
};

static void begin(struct setup *s, uint64_t files_max, uint64_t bytes)
{
    memset(s, 0, sizeof *s);
    memset(&world, 0, sizeof world);
    test_env_init(&s->te, posix);
    EXPECT(epoch_init(&s->e, &s->te.env) == ST_OK);
    struct table_env options = {.env = &s->te.env};
    EXPECT(tabcache_init(&s->c, &options, "dir", &s->e, files_max, bytes) == ST_OK);
}

static void end(struct setup *s)
{
    for (int i = 0; i < FILES; i++) {
        tabcache_drop(&s->c, &s->slots[i]);
    }
    tabcache_release(&s->c);
    epoch_release(&s->e);
    for (int i = 0; i < FILES; i++) {
        EXPECT(atomic_load(&world.is_open[i]) == 0);
    }
    EXPECT(atomic_load(&s->te.live) == 0);
    EXPECT(atomic_load(&world.twice) == 0);
}

static enum status get(struct setup *s, uint64_t number, struct table **t)
{
    struct table_info info = {.number = number};
    struct err err;
    *t = NULL;
    enum status st = tabcache_get(&s->c, &s->slots[number], &info, t, &err);
    EXPECT((st == ST_OK) == (*t != NULL));
    EXPECT(*t == NULL || ((*t)->number == number && (*t)->mark == ALIVE));
    return st;
}

static bool touch(struct setup *s, uint64_t number)
{
    struct table *t;
    if (get(s, number, &t) != ST_OK) {
        return false;
    }
    table_unref(t);
    return true;
}

static struct tabcache_stats stats(struct setup *s)
{
    struct tabcache_stats st;
    tabcache_stats(&s->c, &st);
    return st;
}

static struct setup s; /* large */

static void tabcache__a_table_is_opened_once(void)
{
    begin(&s, 100, 1 << 20);
    EXPECT(tabcache_peek(&s.slots[3]) == NULL);
    for (int i = 0; i < 10; i++) {
        EXPECT(touch(&s, 3));
        EXPECT(touch(&s, 4));
    }
    EXPECT(atomic_load(&world.opened) == 2);
    struct tabcache_stats st = stats(&s);
    EXPECT(st.files == 2 && st.descriptors == 2 && st.opens == 2);
    EXPECT(st.bytes >= 2 * MEMORY && st.bytes < 3 * MEMORY);
    unsigned reader = epoch_enter(&s.e);
    EXPECT(tabcache_peek(&s.slots[3]) != NULL && tabcache_peek(&s.slots[3])->number == 3);
    epoch_exit(&s.e, reader);
    end(&s);
}

static void tabcache__descriptors_are_bounded(void)
{
    static const uint64_t limits[] = {0, 1, 2, 3, 10, 199, 200, 1000};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        uint64_t most = limits[i] > 0 ? limits[i] : 1;
        begin(&s, limits[i], UINT64_MAX);
        for (uint64_t n = 0; n < 1000; n++) {
            EXPECT(touch(&s, n * 7 % FILES));
            EXPECT(stats(&s).descriptors <= most + (most == 1));
            EXPECT(stats(&s).files <= most);
        }
        EXPECT(stats(&s).files == (most < FILES ? most : FILES));
        end(&s);
    }
}

static void tabcache__memory_is_bounded(void)
{
    begin(&s, FILES, 10 * MEMORY);
    for (uint64_t n = 0; n < 1000; n++) {
        EXPECT(touch(&s, n * 7 % FILES));
        EXPECT(stats(&s).bytes <= 10 * MEMORY);
    }
    EXPECT(stats(&s).files > 5);
    end(&s);
    begin(&s, FILES, 0); /* the newest is kept all the same */
    EXPECT(touch(&s, 1));
    EXPECT(touch(&s, 1));
    EXPECT(touch(&s, 2));
    EXPECT(touch(&s, 2));
    EXPECT(stats(&s).files == 1 && stats(&s).opens == 2);
    end(&s);
}

static void tabcache__what_is_used_stays(void)
{
    begin(&s, 20, UINT64_MAX);
    for (uint64_t n = 0; n < 2000; n++) {
        EXPECT(touch(&s, n % 5));
        EXPECT(touch(&s, 10 + n % 100));
    }
    EXPECT(stats(&s).opens < 2100); /* the five were opened a few times, not 2000 */
    end(&s);
}

/* Readers who hold evicted tables leave fewer descriptors for slots, but never none. */
static void tabcache__what_is_held_counts(void)
{
    struct table *held[15];
    begin(&s, 20, UINT64_MAX);
    for (uint64_t n = 0; n < 15; n++) {
        EXPECT(get(&s, n, &held[n]) == ST_OK);
    }
    for (uint64_t n = 0; n < 500; n++) {
        EXPECT(touch(&s, 20 + n % 100));
        EXPECT(stats(&s).descriptors <= 21);
    }
    for (uint64_t n = 0; n < 15; n++) {
        EXPECT(held[n]->mark == ALIVE);
        EXPECT(tabcache_peek(&s.slots[n]) == NULL);
        table_unref(held[n]);
    }
    for (uint64_t n = 0; n < 500; n++) {
        EXPECT(touch(&s, 20 + n % 100));
    }
    EXPECT(stats(&s).files == 20);
    end(&s);
}

static void tabcache__a_reader_in_the_epoch_keeps_its_table(void)
{
    begin(&s, 1, 0);
    EXPECT(touch(&s, 1));
    unsigned reader = epoch_enter(&s.e);
    const struct table *t = tabcache_peek(&s.slots[1]);
    EXPECT(t != NULL);
    EXPECT(touch(&s, 2));
    tabcache_drop(&s.c, &s.slots[1]);
    (void)epoch_reclaim(&s.e);
    EXPECT(tabcache_peek(&s.slots[1]) == NULL);
    EXPECT(t != NULL && t->mark == ALIVE);
    EXPECT(stats(&s).descriptors == 2);
    epoch_exit(&s.e, reader);
    (void)epoch_reclaim(&s.e);
    EXPECT(stats(&s).descriptors == 1);
    end(&s);
}

static void tabcache__a_failure_is_told_and_forgotten(void)
{
    struct table *t;
    struct table_info info = {.number = 5};
    struct err err;
    begin(&s, 10, UINT64_MAX);
    world.broken[5] = ST_CORRUPT;
    EXPECT(tabcache_get(&s.c, &s.slots[5], &info, &t, &err) == ST_CORRUPT);
    EXPECT(strcmp(err.text, "dir/000005.sst: broken") == 0);
    EXPECT(tabcache_get(&s.c, &s.slots[5], &info, &t, NULL) == ST_CORRUPT);
    EXPECT(stats(&s).failed == 2 && stats(&s).files == 0);
    world.broken[5] = ST_OK;
    EXPECT(touch(&s, 5));
    end(&s);
}

static void tabcache__others_are_closed_when_descriptors_run_out(void)
{
    struct table *t;
    begin(&s, 100, UINT64_MAX);
    world.limit = 10;
    for (uint64_t n = 0; n < 100; n++) {
        EXPECT(touch(&s, n));
    }
    EXPECT(stats(&s).descriptors >= 5);
    EXPECT(get(&s, 1, &t) == ST_OK);
    world.limit = 1; /* and what a reader holds cannot be closed */
    EXPECT(!touch(&s, 150));
    EXPECT(t->mark == ALIVE);
    table_unref(t);
    end(&s);
}

static void tabcache__refused_memory_leaves_the_slot_closed(void)
{
    for (long n = 0;; n++) {
        begin(&s, 4, UINT64_MAX);
        s.te.fail_at = atomic_load(&s.te.allocs) + n;
        int failed = 0;
        for (uint64_t i = 0; i < 8; i++) {
            failed += !touch(&s, i);
        }
        bool done = atomic_load(&s.te.allocs) <= s.te.fail_at;
        EXPECT(failed == (done ? 0 : 1));
        EXPECT(stats(&s).failed == (uint64_t)failed);
        for (uint64_t i = 0; i < 8; i++) {
            EXPECT(done || touch(&s, i));
        }
        end(&s);
        if (done) {
            break;
        }
    }
}

/* ---- real threads ---- */

enum { THREADS = 4 };

struct worker {
    struct setup *s;
    uint64_t seed, files, wrong, failed;
    bool may_fail;
    struct env_thread thread;
};

/* References, looks within the epoch, and references held for long. */
static void work(void *arg)
{
    struct worker *w = arg;
    struct prng r = {w->seed};
    struct table *held = NULL;
    for (int i = 0; i < 10000; i++) {
        uint64_t n = prng_next(&r) % w->files;
        struct table_info info = {.number = n};
        if (prng_next(&r) % 2 == 0) {
            unsigned reader = epoch_enter(&w->s->e);
            const struct table *t = tabcache_peek(&w->s->slots[n]);
            w->wrong += t != NULL && (t->number != n || t->mark != ALIVE);
            epoch_exit(&w->s->e, reader);
        } else {
            struct table *t;
            enum status st = tabcache_get(&w->s->c, &w->s->slots[n], &info, &t, NULL);
            w->failed += st != ST_OK;
            if (st == ST_OK) {
                w->wrong += t->number != n || t->mark != ALIVE;
                if (prng_next(&r) % 16 == 0) {
                    struct table *swap = held;
                    held = t;
                    t = swap;
                }
                if (t != NULL) {
                    w->wrong += t->mark != ALIVE;
                    table_unref(t);
                }
            }
        }
    }
    if (held != NULL) {
        table_unref(held);
    }
}

static void threads(uint64_t files_max, uint64_t files, int broken)
{
    struct worker w[THREADS];
    begin(&s, files_max, UINT64_MAX);
    for (int i = 0; i < broken; i++) {
        world.broken[i * 3] = ST_IO;
    }
    for (unsigned i = 0; i < THREADS; i++) {
        w[i] = (struct worker){.s = &s, .seed = i + 1, .files = files};
        EXPECT(env_thread_start(posix, &w[i].thread, "worker", work, &w[i]) == ST_OK);
    }
    for (int i = 0; i < THREADS; i++) {
        env_thread_join(posix, &w[i].thread);
        EXPECT(w[i].wrong == 0);
        EXPECT((w[i].failed > 0) == (broken > 0));
    }
    EXPECT(stats(&s).files <= files_max);
    end(&s);
}

struct one {
    struct setup *s;
    enum status st;
    struct env_thread thread;
};

static void ask_slow(void *arg)
{
    struct one *o = arg;
    struct table_info info = {.number = crowd.slow};
    struct table *t;
    o->st = tabcache_get(&o->s->c, &o->s->slots[crowd.slow], &info, &t, NULL);
    if (o->st == ST_OK) {
        table_unref(t);
    }
}

/* All but one wait for the one who opens; other tables are served meanwhile. */
static void wait_together(enum status outcome)
{
    struct one ones[THREADS];
    begin(&s, 10, UINT64_MAX);
    s.te.vt.cond_wait = crowd_wait;
    env_mutex_init(posix, &crowd.mutex);
    env_cond_init(posix, &crowd.changed);
    world.broken[7] = outcome;
    crowd.go = false;
    crowd.slow = 7;
    for (int i = 0; i < THREADS; i++) {
        ones[i] = (struct one){.s = &s};
        EXPECT(env_thread_start(posix, &ones[i].thread, "one", ask_slow, &ones[i]) == ST_OK);
        for (uint64_t n = 0; i == 0 && n < 40; n++) {
            EXPECT(touch(&s, 20 + n % 20));
        }
    }
    crowd_gather(THREADS - 1);
    crowd_let_go();
    for (int i = 0; i < THREADS; i++) {
        env_thread_join(posix, &ones[i].thread);
        EXPECT(ones[i].st == outcome);
    }
    crowd.slow = NO_FILE;
    EXPECT(stats(&s).failed == (outcome == ST_OK ? 0 : THREADS));
    EXPECT(stats(&s).opens >= 40);
    end(&s);
    env_cond_release(posix, &crowd.changed);
    env_mutex_release(posix, &crowd.mutex);
}

static void tabcache__who_waits_for_an_opening_is_served(void)
{
    wait_together(ST_OK);
    wait_together(ST_IO);
}

static void tabcache__threads_with_room(void)
{
    threads(100, 20, 0);
    EXPECT(atomic_load(&world.opened) == 20);
}

static void tabcache__threads_that_evict(void)
{
    threads(1, 3, 0);
    threads(10, 100, 0);
    threads(10, 30, 5);
}

TAP_MAIN({
    if (env_posix_new(NULL, &posix) != ST_OK) {
        return 1;
    }
    RUN(tabcache__a_table_is_opened_once);
    RUN(tabcache__descriptors_are_bounded);
    RUN(tabcache__memory_is_bounded);
    RUN(tabcache__what_is_used_stays);
    RUN(tabcache__what_is_held_counts);
    RUN(tabcache__a_reader_in_the_epoch_keeps_its_table);
    RUN(tabcache__a_failure_is_told_and_forgotten);
    RUN(tabcache__others_are_closed_when_descriptors_run_out);
    RUN(tabcache__refused_memory_leaves_the_slot_closed);
    RUN(tabcache__who_waits_for_an_opening_is_served);
    RUN(tabcache__threads_with_room);
    RUN(tabcache__threads_that_evict);
    env_posix_free(posix);
})
