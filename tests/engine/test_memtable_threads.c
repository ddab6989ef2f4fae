/* test_memtable_threads.c - one writer and three readers on real threads: a reader at sequence s
 * sees exactly what was linked up to s, forward, back and by key. For ThreadSanitizer too. */
#include "base/hash.h"
#include "engine/memtable.h"
#include "env/env_posix.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdlib.h>

#define READERS 3
#define WRITES  12000
#define KEYS    400
#define GROUP   7

enum pattern { SCATTERED, RISING, HOT, PATTERNS };

struct shared {
    struct test_env te;
    struct memtable *table;
    enum pattern pattern;
    bool prune;
    struct env_mutex mutex;
    uint64_t visible;            /* guarded by mutex; also read without it by get */
    uint64_t snapshots[READERS]; /* guarded by mutex; 0: none */
    uint32_t *keys;              /* of each sequence */
    uint64_t *earlier;           /* of each sequence: that of the version before it, 0: none */
    uint64_t *last;              /* by key: its last version at all */
    uint64_t wrong;              /* atomic */
};

struct reader {
    struct shared *s;
    unsigned id;
    struct env_thread thread;
};

static uint32_t key_number(enum pattern p, uint64_t sequence)
{
    uint64_t h = hash_mix(sequence);
    switch (p) {
    case RISING:
        return (uint32_t)(sequence * KEYS / (WRITES + 1));
    case HOT:
        return (uint32_t)(h % 10 == 0 ? h / 10 % KEYS : h / 10 % 3);
    default:
        return (uint32_t)(h % KEYS);
    }
}

static struct slice key_make(char *room, uint32_t number)
{
    return slice_of(room, (size_t)snprintf(room, 16, "key%08u", number));
}

static void plan(struct shared *s)
{
    memset(s->last, 0, KEYS * sizeof *s->last);
    for (uint64_t i = 1; i <= WRITES; i++) {
        s->keys[i] = key_number(s->pattern, i);
        s->earlier[i] = s->last[s->keys[i]];
        s->last[s->keys[i]] = i;
    }
}

static uint64_t expected(const struct shared *s, uint32_t key, uint64_t at)
{
    uint64_t v = s->last[key];
    while (v > at) {
        v = s->earlier[v];
    }
    return v;
}

static void wrong(struct shared *s, bool is)
{
    if (is) {
        (void)atomic_add_u64(&s->wrong, 1); /* looked at in the end */
    }
}

static void entry_check(struct shared *s, const struct entry *e, uint32_t key, uint64_t sequence)
{
    char room[16];
    wrong(s, e->sequence != sequence || !slice_equal(e->key, key_make(room, key)) ||
                 e->value.size != 8 || memcmp(e->value.data, &sequence, 8) != 0);
}

static void gets(struct shared *s, uint64_t salt)
{
    for (uint64_t i = 0; i < 50; i++) {
        char room[16];
        struct entry e;
        uint32_t key = (uint32_t)(hash_mix(salt * 50 + i) % KEYS);
        uint64_t at = atomic_get_u64(&s->visible);
        uint64_t want = expected(s, key, at);
        enum memtable_answer a = memtable_get(s->table, key_make(room, key), at, &e);
        wrong(s, a == MEMTABLE_STALE && !s->prune);
        if (a != MEMTABLE_STALE) {
            wrong(s, (a == MEMTABLE_FOUND) != (want > 0));
            if (a == MEMTABLE_FOUND && want > 0) {
                entry_check(s, &e, key, want);
            }
        }
    }
}

static void walk_forward(struct shared *s, uint64_t at)
{
    struct memtable_cursor c;
    memtable_cursor_init(&c, s->table);
    memtable_cursor_first(&c);
    for (uint32_t key = 0; key < KEYS; key++) {
        char room[16];
        struct slice k = key_make(room, key);
        uint64_t want = expected(s, key, at);
        while (c.valid && (slice_compare(c.entry.key, k) < 0 ||
                           (slice_equal(c.entry.key, k) && c.entry.sequence > at))) {
            memtable_cursor_next(&c);
        }
        bool here = c.valid && slice_equal(c.entry.key, k);
        wrong(s, here != (want > 0));
        if (here && want > 0) {
            entry_check(s, &c.entry, key, want);
        }
    }
}

static void walk_back(struct shared *s, uint64_t at)
{
    struct memtable_cursor c;
    memtable_cursor_init(&c, s->table);
    memtable_cursor_last(&c);
    for (uint32_t key = KEYS; key-- > 0;) {
        char room[16];
        struct slice k = key_make(room, key);
        struct entry best = {.sequence = 0};
        for (; c.valid && slice_compare(c.entry.key, k) >= 0; memtable_cursor_prev(&c)) {
            if (c.entry.sequence <= at) {
                best = c.entry; /* the oldest comes first */
            }
        }
        uint64_t want = expected(s, key, at);
        wrong(s, best.sequence != want);
        if (want > 0 && best.sequence == want) {
            entry_check(s, &best, key, want);
        }
    }
}

static void reader(void *arg)
{
    struct reader *me = arg;
    struct shared *s = me->s;
    uint64_t at = 0;
    for (uint64_t round = 0; at < WRITES; round++) {
        gets(s, round * READERS + me->id);
        env_mutex_lock(s->te.under, &s->mutex);
        at = s->visible;
        s->snapshots[me->id] = at;
        env_mutex_unlock(s->te.under, &s->mutex);
        if (round % 2 == 0) {
            walk_forward(s, at);
        } else {
            walk_back(s, at);
        }
        env_mutex_lock(s->te.under, &s->mutex);
        s->snapshots[me->id] = 0;
        env_mutex_unlock(s->te.under, &s->mutex);
    }
}

/* What the leader does, group by group. */
static void write_all(struct shared *s)
{
    uint64_t snapshots[READERS];
    for (uint64_t done = 0; done < WRITES;) {
        struct memtable_node *nodes = NULL;
        struct memtable_node **tail = &nodes;
        uint64_t end = done + GROUP < WRITES ? done + GROUP : WRITES;
        size_t count = 0;
        env_mutex_lock(s->te.under, &s->mutex);
        for (unsigned i = 0; i < READERS; i++) {
            size_t k = count;
            if (s->snapshots[i] == 0) {
                continue;
            }
            for (; k > 0 && snapshots[k - 1] > s->snapshots[i]; k--) {
                snapshots[k] = snapshots[k - 1];
            }
            snapshots[k] = s->snapshots[i];
            count++;
        }
        env_mutex_unlock(s->te.under, &s->mutex);
        for (uint64_t i = done + 1; i <= end; i++) {
            char room[16];
            struct batch_entry e = {BATCH_PUT, key_make(room, s->keys[i]), slice_of(&i, 8)};
            wrong(s, memtable_prepare(s->table, &e, tail) != ST_OK);
            tail = &(*tail)->chain;
        }
        if (s->prune) {
            memtable_prune(s->table, done, snapshots, count);
        }
        for (struct memtable_node *n = nodes, *next; n != NULL; n = next) {
            next = n->chain;
            memtable_link(s->table, n, ++done);
        }
        env_mutex_lock(s->te.under, &s->mutex);
        atomic_set_u64(&s->visible, done);
        env_mutex_unlock(s->te.under, &s->mutex);
    }
}

static void run(enum memtable_kind kind, enum pattern pattern, bool prune)
{
    struct shared s = {.pattern = pattern, .prune = prune};
    struct reader readers[READERS];
    struct env *posix;
    EXPECT(env_posix_new(NULL, &posix) == ST_OK);
    test_env_init(&s.te, posix);
    s.keys = malloc((WRITES + 1) * sizeof *s.keys);
    s.earlier = malloc((WRITES + 1) * sizeof *s.earlier);
    s.last = malloc(KEYS * sizeof *s.last);
    plan(&s);
    env_mutex_init(s.te.under, &s.mutex);
    EXPECT(memtable_new(&s.te.env, (struct order){NULL}, kind, 1, &s.table) == ST_OK);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.s = &s, .id = i};
        EXPECT(env_thread_start(s.te.under, &readers[i].thread, "reader", reader, &readers[i]) ==
               ST_OK);
    }
    write_all(&s);
    for (unsigned i = 0; i < READERS; i++) {
        env_thread_join(s.te.under, &readers[i].thread);
    }
    EXPECT(atomic_get_u64(&s.wrong) == 0);
    EXPECT(memtable_check(s.table));
    memtable_unref(s.table);
    EXPECT(s.te.live == 0);
    env_mutex_release(s.te.under, &s.mutex);
    env_posix_free(posix);
    free(s.keys);
    free(s.earlier);
    free(s.last);
}

static void memtable_threads__readers_of_the_tree_see_their_sequence(void)
{
    for (int p = 0; p < PATTERNS; p++) {
        run(MEMTABLE_TREE, (enum pattern)p, false);
    }
}

static void memtable_threads__pruning_takes_nothing_from_them(void)
{
    for (int p = 0; p < PATTERNS; p++) {
        run(MEMTABLE_TREE, (enum pattern)p, true);
    }
}

static void memtable_threads__readers_of_the_skip_list_do_too(void)
{
    run(MEMTABLE_SKIPLIST, SCATTERED, false);
}

/* ---- range tombs: number i is over the keys below i % KEYS ---- */

static void tomb_reader(void *arg)
{
    struct reader *me = arg;
    struct shared *s = me->s;
    uint64_t at = 0;
    for (uint64_t round = me->id; at < WRITES; round++) {
        char room[16];
        uint32_t key = (uint32_t)(hash_mix(round) % KEYS);
        at = atomic_get_u64(&s->visible);
        uint64_t want = at;
        while (want > 0 && want % KEYS <= key) {
            want--;
        }
        wrong(s, memtable_cover(s->table, key_make(room, key), at) != want);
    }
}

static void memtable_threads__tombs_are_seen_when_they_are_visible(void)
{
    struct env *posix;
    struct shared s = {0};
    struct reader readers[READERS];
    EXPECT(env_posix_new(NULL, &posix) == ST_OK);
    test_env_init(&s.te, posix);
    EXPECT(memtable_new(&s.te.env, (struct order){NULL}, MEMTABLE_TREE, 1, &s.table) == ST_OK);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.s = &s, .id = i};
        EXPECT(env_thread_start(posix, &readers[i].thread, "reader", tomb_reader, &readers[i]) ==
               ST_OK);
    }
    for (uint64_t i = 1; i <= WRITES; i++) {
        char room[16];
        struct memtable_node *n;
        struct batch_entry e = {BATCH_DELETE_RANGE, slice_of("", 0),
                                key_make(room, (uint32_t)(i % KEYS))};
        EXPECT(memtable_prepare(s.table, &e, &n) == ST_OK);
        memtable_link(s.table, n, i);
        atomic_set_u64(&s.visible, i);
    }
    for (unsigned i = 0; i < READERS; i++) {
        env_thread_join(posix, &readers[i].thread);
    }
    EXPECT(atomic_get_u64(&s.wrong) == 0);
    EXPECT(memtable_check(s.table));
    memtable_unref(s.table);
    EXPECT(s.te.live == 0);
    env_posix_free(posix);
}

TAP_MAIN({
    RUN(memtable_threads__readers_of_the_tree_see_their_sequence);
    RUN(memtable_threads__pruning_takes_nothing_from_them);
    RUN(memtable_threads__tombs_are_seen_when_they_are_visible);
    RUN(memtable_threads__readers_of_the_skip_list_do_too);
})
