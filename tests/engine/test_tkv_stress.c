/* test_tkv_stress.c - everything that the engine can do, at once, on real threads.
 *
 * Writers own keys: each knows what its own hold, and asks often. Every value says whose it is and
 * has all of its bytes decided by that, so that any reader can tell a right one. Each batch puts
 * its number as its first and as its last change, so that half a batch can be told.
 *
 * It takes about two seconds; STRESS_SECONDS in the environment says how long instead. */
#include "base/hash.h"
#include "base/prng.h"
#include "engine/tkv.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { WRITERS = 3, KEYS = 200, VALUE_MAX = 400, BATCH = 12, SECONDS = 2 };

struct stress {
    struct env *env;
    struct tkv *db;
    uint64_t until; /* of the clock */
    atomic_int wrong;
    _Atomic uint64_t acked[WRITERS]; /* number of the last batch that each was told is in */
    _Atomic uint64_t looks;          /* by readers, for the log of the test */
};

struct actor {
    struct stress *s;
    unsigned id;
    struct prng random;
    struct env_thread thread;
    uint64_t numbers[KEYS]; /* a writer's: what each of its keys holds; 0: nothing */
    uint64_t number;        /* of its last batch */
};

/* Says the first few; there may be very many. */
static void wrong(struct stress *s, const char *what, long detail)
{
    if (atomic_fetch_add(&s->wrong, 1) < 10) {
        printf("# wrong: %s (%ld)\n", what, detail);
    }
}

static bool fine(struct stress *s, enum tkv_status st, const char *what)
{
    if (st != TKV_OK) {
        wrong(s, what, st);
    }
    return st == TKV_OK;
}

static bool going(const struct stress *s)
{
    return env_clock_mono(s->env) < s->until;
}

/* ---- keys and values ---- */

struct text {
    char data[VALUE_MAX + 64];
    size_t size;
};

/* "2/017"; the numbers of batches are under "2/!" and "2/~", before and behind all others. */
static struct text key_of(unsigned writer, size_t i)
{
    struct text t;
    t.size = (size_t)snprintf(t.data, sizeof t.data, "%u/%03u", writer, (unsigned)i);
    return t;
}

static struct text end_key_of(unsigned writer, bool last)
{
    struct text t;
    t.size = (size_t)snprintf(t.data, sizeof t.data, "%u/%c", writer, last ? '~' : '!');
    return t;
}

/* "2/017 93 " and a filling that both decide. */
static struct text value_of(const void *key, size_t key_size, uint64_t number)
{
    struct text t;
    uint64_t h = hash_add(hash_bytes(0, key, key_size), number);
    int n = snprintf(t.data, sizeof t.data, "%.*s %llu ", (int)key_size, (const char *)key,
                     (unsigned long long)number);
    size_t fill = (size_t)(h % VALUE_MAX);
    t.size = (size_t)n + fill;
    for (size_t i = 0; i < fill; i++) {
        t.data[(size_t)n + i] = (char)('a' + (h >> i % 56) % 16);
    }
    return t;
}

/* The number that a value has; 0 when it is not what such a key can hold. */
static uint64_t number_of(const void *key, size_t key_size, const void *value, size_t size)
{
    char head[64];
    size_t n = size < sizeof head - 1 ? size : sizeof head - 1;
    memcpy(head, value, n);
    head[n] = '\0';
    if (n <= key_size || head[key_size] != ' ') {
        return 0;
    }
    uint64_t number = strtoull(head + key_size, NULL, 10);
    struct text want = value_of(key, key_size, number);
    return want.size == size && memcmp(want.data, value, size) == 0 ? number : 0;
}

/* ---- writers ---- */

static void batch_put(struct actor *a, struct tkv_batch *b, const struct text *key)
{
    struct text v = value_of(key->data, key->size, a->number);
    fine(a->s, tkv_batch_put(b, key->data, key->size, v.data, v.size), "batch put");
}

static void change(struct actor *a, struct tkv_batch *b)
{
    size_t i = (size_t)prng_below(&a->random, KEYS);
    struct text key = key_of(a->id, i);
    uint64_t what = prng_below(&a->random, 20);
    if (what == 0) {
        size_t end = i + (size_t)prng_below(&a->random, KEYS / 8);
        struct text stop = key_of(a->id, end);
        fine(a->s, tkv_batch_delete_range(b, key.data, key.size, stop.data, stop.size), "range");
        for (size_t k = i; k < end && k < KEYS; k++) {
            a->numbers[k] = 0;
        }
    } else if (what < 5) {
        fine(a->s, tkv_batch_delete(b, key.data, key.size), "batch delete");
        a->numbers[i] = 0;
    } else {
        batch_put(a, b, &key);
        a->numbers[i] = a->number;
    }
}

static void batch_write(struct actor *a, struct tkv_batch *b)
{
    struct tkv_write_options o;
    struct text first = end_key_of(a->id, false);
    struct text last = end_key_of(a->id, true);
    tkv_write_options_init(&o);
    o.sync = prng_below(&a->random, 16) == 0;
    a->number++;
    tkv_batch_clear(b);
    batch_put(a, b, &first);
    for (size_t n = (size_t)prng_below(&a->random, BATCH); n > 0; n--) {
        change(a, b);
    }
    batch_put(a, b, &last);
    if (fine(a->s, tkv_write(a->s->db, &o, b, NULL), "write")) {
        atomic_store(&a->s->acked[a->id], a->number);
    }
}

/* Writes without a batch: the number is that of the batch before. */
static void single_write(struct actor *a)
{
    size_t i = (size_t)prng_below(&a->random, KEYS);
    struct text key = key_of(a->id, i);
    struct text v = value_of(key.data, key.size, a->number);
    struct tkv *db = a->s->db;
    if (a->number == 0 || prng_below(&a->random, 4) == 0) {
        fine(a->s, tkv_delete(db, NULL, key.data, key.size), "delete");
        a->numbers[i] = 0;
    } else {
        fine(a->s, tkv_put(db, NULL, key.data, key.size, v.data, v.size), "put");
        a->numbers[i] = a->number;
    }
}

/* What a key of its own holds in a database, beside what it should. */
static void own_check(struct actor *a, struct tkv *db, size_t i)
{
    struct text key = key_of(a->id, i);
    struct tkv_pin pin = {.owner = NULL};
    enum tkv_status st = tkv_get_pin(db, NULL, key.data, key.size, &pin);
    uint64_t number = 0;
    if (st == TKV_OK) {
        number = number_of(key.data, key.size, pin.data, pin.size);
        if (number == 0) {
            wrong(a->s, "a value that is none", (long)i);
        }
    } else if (st != TKV_NOTFOUND) {
        wrong(a->s, "get", st);
    }
    if (number != a->numbers[i]) {
        wrong(a->s, "not what its writer wrote", (long)i);
    }
    tkv_pin_release(db, &pin);
}

static void writer(void *arg)
{
    struct actor *a = arg;
    struct tkv_batch *b;
    if (!fine(a->s, tkv_batch_new(a->s->env, &b), "batch")) {
        return;
    }
    while (going(a->s)) {
        if (prng_below(&a->random, 3) == 0) {
            single_write(a);
        } else {
            batch_write(a, b);
        }
        own_check(a, a->s->db, (size_t)prng_below(&a->random, KEYS));
    }
    tkv_batch_free(b);
}

/* ---- readers ---- */

/* What a scan has seen. */
struct seen {
    uint64_t ends[WRITERS][2]; /* the numbers under "!" and "~" */
    uint64_t sum;              /* of all keys and values, in any order */
    uint64_t count;
    uint64_t most[WRITERS]; /* the highest number of any key */
};

static void entry_see(struct stress *s, struct tkv_iter *it, struct seen *seen)
{
    size_t key_size;
    size_t size;
    const char *key = tkv_iter_key(it, &key_size);
    const void *value = tkv_iter_value(it, &size);
    uint64_t number = number_of(key, key_size, value, size);
    unsigned w = key_size > 2 ? (unsigned)(key[0] - '0') : WRITERS;
    if (number == 0 || w >= WRITERS) {
        wrong(s, "a scan shows an entry that is none", (long)size);
        return;
    }
    if (key[2] == '!' || key[2] == '~') {
        seen->ends[w][key[2] == '~'] = number;
    } else if (number > seen->most[w]) {
        seen->most[w] = number;
    }
    seen->sum += hash_add(hash_bytes(0, key, key_size), number);
    seen->count++;
}

/* A whole scan, either way, by a snapshot or (NULL) of now. */
static void scan(struct stress *s, struct tkv *db, const struct tkv_snapshot *snapshot, bool back,
                 struct seen *seen)
{
    struct tkv_read_options o;
    struct tkv_iter *it;
    tkv_read_options_init(&o);
    o.snapshot = snapshot;
    *seen = (struct seen){.count = 0};
    if (!fine(s, tkv_iter_new(db, &o, &it), "iter")) {
        return;
    }
    if (back) {
        tkv_iter_last(it);
    } else {
        tkv_iter_first(it);
    }
    while (tkv_iter_valid(it)) {
        entry_see(s, it, seen);
        if (back) {
            tkv_iter_prev(it);
        } else {
            tkv_iter_next(it);
        }
    }
    fine(s, tkv_iter_status(it), "scan");
    tkv_iter_free(it);
}

/* Whole batches, nothing older than `low`, and no key from a batch that is not in. */
static void seen_check(struct stress *s, const struct seen *seen, const uint64_t low[WRITERS])
{
    for (size_t w = 0; w < WRITERS; w++) {
        if (seen->ends[w][0] != seen->ends[w][1]) {
            wrong(s, "half a batch", (long)w);
        }
        if (seen->ends[w][1] < low[w]) {
            wrong(s, "an acknowledged batch is not seen", (long)w);
        }
        if (seen->most[w] > seen->ends[w][1]) {
            wrong(s, "a key from a batch that is not in", (long)w);
        }
    }
}

static void low_take(struct stress *s, uint64_t low[WRITERS])
{
    for (size_t w = 0; w < WRITERS; w++) {
        low[w] = atomic_load(&s->acked[w]);
    }
}

/* The ends of one writer's batches, asked for together. */
static void multi_check(struct actor *a, const struct tkv_snapshot *snapshot)
{
    struct stress *s = a->s;
    unsigned w = (unsigned)prng_below(&a->random, WRITERS);
    const struct text keys[2] = {end_key_of(w, false), end_key_of(w, true)};
    const struct tkv_slice slices[2] = {{keys[0].data, keys[0].size}, {keys[1].data, keys[1].size}};
    struct tkv_pin pins[2] = {{.owner = NULL}, {.owner = NULL}};
    enum tkv_status statuses[2];
    uint64_t numbers[2] = {0, 0};
    struct tkv_read_options o;
    tkv_read_options_init(&o);
    o.snapshot = snapshot;
    fine(s, tkv_multi_get(s->db, &o, 2, slices, pins, statuses), "multi get");
    for (size_t i = 0; i < 2; i++) {
        if (statuses[i] == TKV_OK) {
            numbers[i] = number_of(keys[i].data, keys[i].size, pins[i].data, pins[i].size);
        }
        tkv_pin_release(s->db, &pins[i]);
    }
    if (numbers[0] != numbers[1]) {
        wrong(s, "half a batch in a multi get", (long)w);
    }
}

/* Both ways by one snapshot, which stays the same whatever happens meanwhile. */
static void snapshot_check(struct actor *a)
{
    struct stress *s = a->s;
    const struct tkv_snapshot *snapshot;
    struct seen forth;
    struct seen back;
    uint64_t low[WRITERS];
    low_take(s, low);
    if (!fine(s, tkv_snapshot_new(s->db, &snapshot), "snapshot")) {
        return;
    }
    scan(s, s->db, snapshot, false, &forth);
    seen_check(s, &forth, low);
    multi_check(a, snapshot);
    scan(s, s->db, snapshot, true, &back);
    if (forth.sum != back.sum || forth.count != back.count) {
        wrong(s, "a snapshot changed", (long)(forth.count - back.count));
    }
    tkv_snapshot_free(s->db, snapshot);
}

/* A cursor that turns around: next and prev of it are inverse. */
static void cursor_check(struct actor *a)
{
    struct stress *s = a->s;
    struct tkv_read_options o;
    struct tkv_iter *it;
    unsigned w = (unsigned)prng_below(&a->random, WRITERS);
    struct text key = key_of(w, (size_t)prng_below(&a->random, KEYS));
    struct seen seen = {.count = 0};
    tkv_read_options_init(&o);
    o.prefix = key.data;
    o.prefix_size = 2;
    if (!fine(s, tkv_iter_new(s->db, &o, &it), "iter")) {
        return;
    }
    tkv_iter_seek(it, key.data, key.size);
    for (int i = 0; i < 20 && tkv_iter_valid(it); i++) {
        struct seen before = seen;
        entry_see(s, it, &seen);
        tkv_iter_next(it);
        if (!tkv_iter_valid(it)) {
            break;
        }
        tkv_iter_prev(it);
        if (tkv_iter_valid(it)) {
            entry_see(s, it, &before);
            tkv_iter_next(it);
        }
        if (before.sum != seen.sum) {
            wrong(s, "next and prev lead elsewhere", i);
        }
    }
    fine(s, tkv_iter_status(it), "cursor");
    tkv_iter_free(it);
}

static void reader(void *arg)
{
    struct actor *a = arg;
    while (going(a->s)) {
        struct seen seen;
        uint64_t low[WRITERS];
        low_take(a->s, low);
        scan(a->s, a->s->db, NULL, prng_below(&a->random, 2) == 0, &seen);
        seen_check(a->s, &seen, low);
        snapshot_check(a);
        for (int i = 0; i < 20; i++) {
            cursor_check(a);
            multi_check(a, NULL);
        }
        atomic_fetch_add(&a->s->looks, 1);
    }
}

/* ---- the rest ---- */

static void mover(void *arg)
{
    struct actor *a = arg;
    struct tkv *db = a->s->db;
    while (going(a->s)) {
        unsigned w = (unsigned)prng_below(&a->random, WRITERS);
        struct text begin = key_of(w, (size_t)prng_below(&a->random, KEYS));
        struct text end = key_of(w, KEYS);
        uint64_t bytes;
        switch (prng_below(&a->random, 8)) {
        case 0:
            fine(a->s, tkv_compact_range(db, NULL, 0, NULL, 0), "compact all");
            break;
        case 1:
        case 2:
            fine(a->s, tkv_compact_range(db, begin.data, begin.size, end.data, end.size),
                 "compact");
            break;
        case 3:
            fine(a->s, tkv_sync(db), "sync");
            break;
        case 4:
            fine(a->s, tkv_approximate_size(db, begin.data, begin.size, end.data, end.size, &bytes),
                 "approximate size");
            break;
        default:
            fine(a->s, tkv_flush(db), "flush");
        }
    }
}

static void asker(void *arg)
{
    static const char *const names[] = {"stats", "levels", "tables", "memory", "options"};
    struct actor *a = arg;
    uint64_t sequence = 0;
    while (going(a->s)) {
        char text[8192];
        size_t size;
        struct tkv_stats stats = {.size = sizeof stats};
        const char *name = names[prng_below(&a->random, sizeof names / sizeof *names)];
        fine(a->s, tkv_property(a->s->db, name, text, sizeof text, &size), name);
        tkv_stats(a->s->db, &stats);
        if (stats.sequence < sequence) {
            wrong(a->s, "the sequence went back", (long)(sequence - stats.sequence));
        }
        sequence = stats.sequence;
    }
}

static void options_make(struct stress *s, struct tkv_options *o)
{
    tkv_options_init(o);
    o->env = s->env;
    o->write_buffer_bytes = 64 << 10;
    o->memtables_max = 2;
    o->table_bytes = 32 << 10;
    o->level0_files = 2;
    o->level0_slow = 6;
    o->level0_stop = 10;
    o->level1_bytes = 64 << 10;
    o->level_factor = 2;
    o->block_bytes = 1024;
    o->cache_bytes = 64 << 10;
    o->files_max = 12;
    o->prefix_bytes = 2;
}

/* A copy of a moment of the call opens, and shows whole batches. */
static void copy_check(struct stress *s, const char *dir, const uint64_t low[WRITERS])
{
    struct tkv_options o;
    struct tkv_error error = {.text = ""};
    struct tkv *copy;
    struct seen seen;
    options_make(s, &o);
    if (!fine(s, tkv_open(&o, dir, &copy, &error), "open of a checkpoint")) {
        printf("# %s\n", error.text);
        return;
    }
    scan(s, copy, NULL, false, &seen);
    seen_check(s, &seen, low);
    fine(s, tkv_close(copy), "close of a checkpoint");
}

static void copier(void *arg)
{
    struct actor *a = arg;
    struct stress *s = a->s;
    for (unsigned n = 0; going(s); n++) {
        struct tkv_options o;
        struct tkv_error error = {.text = ""};
        char dir[32];
        uint64_t low[WRITERS];
        (void)snprintf(dir, sizeof dir, "copy-%u", n); /* it fits */
        low_take(s, low);
        if (!fine(s, tkv_checkpoint(s->db, dir, &error), "checkpoint")) {
            printf("# %s\n", error.text);
            continue;
        }
        copy_check(s, dir, low);
        options_make(s, &o);
        fine(s, tkv_destroy(&o, dir, &error), "destroy");
    }
}

/* ---- the test ---- */

static void (*const roles[])(void *) = {writer, writer, writer, reader, reader,
                                        mover,  mover,  asker,  copier};

#define ROLES (sizeof roles / sizeof *roles)

static uint64_t seconds(void)
{
    const char *text = getenv("STRESS_SECONDS");
    return text != NULL ? strtoull(text, NULL, 10) : SECONDS;
}

static void report(void *arg, const char *line)
{
    (void)arg;
    printf("# %s\n", line);
}

/* Every key of every writer, and nothing else. */
static void end_check(struct stress *s, struct actor all[])
{
    struct seen seen;
    uint64_t low[WRITERS];
    uint64_t count = 0;
    for (size_t w = 0; w < WRITERS; w++) {
        for (size_t i = 0; i < KEYS; i++) {
            own_check(&all[w], s->db, i);
            count += all[w].numbers[i] != 0;
        }
        count += all[w].number > 0 ? 2 : 0;
    }
    low_take(s, low);
    scan(s, s->db, NULL, false, &seen);
    seen_check(s, &seen, low);
    EXPECT(seen.count == count);
}

static void together(struct stress *s, struct actor all[ROLES])
{
    s->until = env_clock_mono(s->env) + seconds() * 1000000000u;
    for (size_t i = 0; i < ROLES; i++) {
        all[i] = (struct actor){.s = s, .id = (unsigned)i, .random = {i}};
        EXPECT(env_thread_start(s->env, &all[i].thread, "actor", roles[i], &all[i]) == ST_OK);
    }
    for (size_t i = 0; i < ROLES; i++) {
        env_thread_join(s->env, &all[i].thread);
    }
}

static void stress__everything_at_once_stays_right(void)
{
    struct tmpdir t;
    struct tkv_options o;
    struct tkv_error error = {.text = ""};
    struct tkv_stats stats = {.size = sizeof stats};
    tmpdir_make(&t);
    struct stress s = {.env = t.env};
    struct actor *all = calloc(ROLES, sizeof *all);
    options_make(&s, &o);
    EXPECT(all != NULL && tkv_open(&o, "db", &s.db, &error) == TKV_OK);
    together(&s, all);
    end_check(&s, all);
    tkv_stats(s.db, &stats);
    printf("# %llu changes, %llu flushes, %llu compactions, %llu scans of each reader\n",
           (unsigned long long)stats.sequence, (unsigned long long)stats.flushes,
           (unsigned long long)stats.compactions, (unsigned long long)(atomic_load(&s.looks) / 2));
    EXPECT(tkv_close(s.db) == TKV_OK);
    EXPECT(tkv_verify(&o, "db", report, NULL, &error) == TKV_OK);
    EXPECT(tkv_open(&o, "db", &s.db, &error) == TKV_OK);
    end_check(&s, all);
    EXPECT(tkv_close(s.db) == TKV_OK);
    EXPECT(atomic_load(&s.wrong) == 0);
    free(all);
    tmpdir_remove(&t);
}

TAP_MAIN({ RUN(stress__everything_at_once_stays_right); })
