/* test_collapse.c - which versions and range tombs a merge leaves out, against what every snapshot
 * can see: random stripes, random tombs, random tables deeper down. */
#include "base/prng.h"
#include "engine/collapse.h"
#include "env/env_posix.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#define KEYS   10
#define MOST   40  /* entries, and as many sequences for tombs */
#define OLDER  100 /* sequences of what lies deeper are below it */
#define ROUNDS 4000

static struct env *real; /* for its mutexes */

static int reverse_compare(void *arg, const void *a, size_t an, const void *b, size_t bn)
{
    (void)arg;
    return slice_compare(slice_of(b, bn), slice_of(a, an));
}
static const struct tkv_comparator reverse = {"test.reverse", NULL, reverse_compare};

/* Key k in order; the first in bytewise order is empty. */
static const char *const texts[KEYS + 1] = {"", "a", "aa", "b", "c", "ca", "d", "e", "f", "g", "h"};

struct world {
    struct prng prng;
    struct test_env te;
    struct tabset set;
    struct order order;
    struct entry entries[MOST]; /* of the inputs, in internal order */
    size_t count;
    struct tomb tombs[MOST];
    size_t tomb_count;
    uint64_t snapshots[8];
    size_t snapshot_count;
    struct version *version;
    int deeper;
    struct entry old[KEYS]; /* what lies deeper; sequence 0: nothing */
    /* what stayed */
    struct entry kept[MOST];
    size_t kept_count;
    struct tomb kept_tombs[MOST * MOST];
    size_t kept_tomb_count;
};

static struct slice key_of(const struct world *w, size_t k)
{
    return slice_text(texts[order_bytewise(w->order) ? k : KEYS - k]);
}

static uint64_t below(struct world *w, uint64_t n)
{
    return prng_below(&w->prng, n);
}

/* ---- making a world ---- */

/* Tables in the levels below, some with keys that are older than all else. */
static void version_make(struct world *w)
{
    struct edit e;
    struct version *empty;
    uint64_t number = 1;
    edit_init(&e, &w->te.env);
    EXPECT(version_new(&w->te.env, w->order, &empty) == ST_OK);
    w->deeper = (int)below(w, TKV_LEVELS + 1);
    for (int level = w->deeper; level < TKV_LEVELS && level < w->deeper + 3; level++) {
        for (size_t k = below(w, 4); k + 1 < KEYS; k += 1 + below(w, 6)) {
            size_t end = k + below(w, 3);
            end = end >= KEYS ? KEYS - 1 : end;
            struct table_info t = {.number = number,
                                   .size = 1,
                                   .sequence_min = OLDER - number,
                                   .sequence_max = OLDER - number,
                                   .least = key_of(w, k),
                                   .most = key_of(w, end),
                                   .most_open = end > k && below(w, 2) == 0};
            struct tabfile *f;
            EXPECT(tabfile_new(&w->set, &t, &f) == ST_OK);
            EXPECT(edit_add_file(&e, level, f) == ST_OK);
            tabfile_unref(f);
            for (size_t i = k; i < end + !t.most_open; i++) {
                if (below(w, 2) == 0 && w->old[i].sequence == 0) {
                    w->old[i] = (struct entry){
                        .key = key_of(w, i), .sequence = OLDER - number, .type = BATCH_PUT};
                }
            }
            number++;
            k = end;
        }
    }
    EXPECT(version_apply(empty, &e, &w->version) == ST_OK);
    edit_release(&e);
    version_unref(empty);
}

static void world_make(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->prng = (struct prng){seed};
    test_env_init(&w->te, real);
    tabset_init(&w->set, &w->te.env);
    w->order.custom = below(w, 4) == 0 ? &reverse : NULL;
    uint64_t sequence = OLDER;
    size_t total = below(w, MOST);
    for (size_t i = 0; i < total; i++) {
        sequence += 1 + below(w, 2);
        if (below(w, 5) == 0) {
            size_t a = below(w, KEYS);
            size_t b = below(w, KEYS);
            w->tombs[w->tomb_count++] =
                (struct tomb){key_of(w, a < b ? a : b), key_of(w, a < b ? b : a), sequence};
        } else {
            w->entries[w->count++] =
                (struct entry){.key = key_of(w, below(w, KEYS)),
                               .sequence = sequence,
                               .type = below(w, 3) == 0 ? BATCH_DELETE : BATCH_PUT};
        }
    }
    for (size_t i = 1; i < w->count; i++) {
        struct entry e = w->entries[i];
        size_t at = i;
        for (; at > 0 && entry_compare(w->order, e.key, e.sequence, w->entries[at - 1].key,
                                       w->entries[at - 1].sequence) < 0;
             at--) {
            w->entries[at] = w->entries[at - 1];
        }
        w->entries[at] = e;
    }
    uint64_t s = OLDER - below(w, 2) * 3;
    for (size_t i = below(w, 4) + 1; i > 0; i--) {
        s += below(w, 12);
        if (w->snapshot_count == 0 || w->snapshots[w->snapshot_count - 1] < s) {
            w->snapshots[w->snapshot_count++] = s;
        }
    }
    version_make(w);
}

static void world_release(struct world *w)
{
    version_unref(w->version);
    for (struct tabfile *f = tabset_take(&w->set), *next; f != NULL; f = next) {
        next = f->next;
        tabfile_free(f);
    }
    tabset_release(&w->set);
    EXPECT(w->te.live == 0);
}

/* ---- the merge ---- */

static enum status merge(struct world *w, bool known)
{
    struct tomb_prune prune = {w->snapshots[w->snapshot_count - 1], w->snapshots,
                               w->snapshot_count};
    struct tomb_set *set = NULL;
    struct collapse c = {.order = w->order,
                         .snapshots = w->snapshots,
                         .snapshot_count = w->snapshot_count,
                         .version = known ? w->version : NULL,
                         .deeper = w->deeper};
    w->kept_count = w->kept_tomb_count = 0;
    enum status st =
        tomb_set_pruned(&w->te.env.mem, w->order, w->tombs, w->tomb_count, &prune, &set);
    c.tombs = set;
    collapse_init(&c, &w->te.env.mem);
    for (size_t i = 0; st == ST_OK && i < w->count; i++) {
        bool keep;
        st = collapse_keep(&c, &w->entries[i], &keep);
        if (st == ST_OK && keep) {
            w->kept[w->kept_count++] = w->entries[i];
        }
    }
    for (size_t i = 0; st == ST_OK && i < tomb_set_count(set); i++) {
        struct tomb_piece p = tomb_set_piece(set, i);
        for (size_t k = 0; k < p.count; k++) {
            if (collapse_tomb(&c, p.begin, p.end, p.sequences[k])) {
                struct tomb t = {p.begin, p.end, p.sequences[k]};
                for (size_t n = 0; n <= KEYS; n++) { /* the set's bytes go */
                    t.begin =
                        slice_equal(slice_text(texts[n]), p.begin) ? slice_text(texts[n]) : t.begin;
                    t.end = slice_equal(slice_text(texts[n]), p.end) ? slice_text(texts[n]) : t.end;
                }
                w->kept_tombs[w->kept_tomb_count++] = t;
            }
        }
    }
    collapse_release(&c);
    tomb_set_free(set);
    return st;
}

/* ---- what can be seen ---- */

/* The sequence of the put that a reader at `at` finds for key k; 0: nothing. */
static uint64_t seen(const struct world *w, const struct entry *e, size_t n, const struct tomb *t,
                     size_t tn, size_t k, uint64_t at)
{
    struct slice key = key_of(w, k);
    struct entry best = w->old[k];
    for (size_t i = 0; i < n; i++) {
        if (slice_equal(e[i].key, key) && e[i].sequence <= at && e[i].sequence > best.sequence) {
            best = e[i];
        }
    }
    for (size_t i = 0; i < tn; i++) {
        if (t[i].sequence <= at && t[i].sequence > best.sequence &&
            order_compare(w->order, t[i].begin, key) <= 0 &&
            order_compare(w->order, key, t[i].end) < 0) {
            return 0;
        }
    }
    return best.sequence > 0 && best.type == BATCH_PUT ? best.sequence : 0;
}

static void views_expect(const struct world *w)
{
    uint64_t visible = w->snapshots[w->snapshot_count - 1];
    for (uint64_t at = 0; at <= visible + 2 * MOST + OLDER; at++) {
        bool asked = at >= visible;
        for (size_t i = 0; i < w->snapshot_count; i++) {
            asked = asked || w->snapshots[i] == at;
        }
        for (size_t k = 0; asked && k < KEYS; k++) {
            EXPECT(seen(w, w->entries, w->count, w->tombs, w->tomb_count, k, at) ==
                   seen(w, w->kept, w->kept_count, w->kept_tombs, w->kept_tomb_count, k, at));
        }
    }
}

static size_t stripe(const struct world *w, uint64_t sequence)
{
    size_t i = 0;
    while (i < w->snapshot_count && w->snapshots[i] < sequence) {
        i++;
    }
    return i;
}

static bool deeper_has(const struct world *w, struct slice begin, struct slice end)
{
    for (int level = w->deeper; level < TKV_LEVELS; level++) {
        for (size_t i = 0; i < w->version->levels[level].count; i++) {
            const struct tabfile *f = w->version->levels[level].files[i];
            if (!version_file_before(w->order, f, begin) &&
                order_compare(w->order, f->info.least, end) <= 0) {
                return true;
            }
        }
    }
    return false;
}

/* What nobody can see has gone. */
static void least_expect(const struct world *w)
{
    for (size_t i = 0; i < w->kept_count; i++) {
        const struct entry *e = &w->kept[i];
        size_t s = stripe(w, e->sequence);
        if (s == w->snapshot_count) {
            continue;
        }
        EXPECT(i == 0 || !slice_equal(e[-1].key, e->key) || stripe(w, e[-1].sequence) != s);
        EXPECT(e->type == BATCH_PUT || s > 0 || deeper_has(w, e->key, e->key));
        for (size_t t = 0; t < w->tomb_count; t++) {
            EXPECT(w->tombs[t].sequence < e->sequence || stripe(w, w->tombs[t].sequence) != s ||
                   order_compare(w->order, w->tombs[t].begin, e->key) > 0 ||
                   order_compare(w->order, e->key, w->tombs[t].end) >= 0);
        }
    }
    for (size_t i = 0; i < w->kept_tomb_count; i++) {
        const struct tomb *t = &w->kept_tombs[i];
        EXPECT(stripe(w, t->sequence) > 0 || deeper_has(w, t->begin, t->end));
    }
}

/* ---- tests ---- */

static void collapse__no_view_changes_and_nothing_hidden_stays(void)
{
    static struct world w;
    size_t dropped = 0;
    for (uint64_t seed = 0; seed < ROUNDS && !tap_failed; seed++) {
        world_make(&w, seed);
        EXPECT(merge(&w, true) == ST_OK);
        views_expect(&w);
        least_expect(&w);
        dropped += w.count - w.kept_count;
        world_release(&w);
        if (tap_failed) {
            printf("# seed %llu\n", (unsigned long long)seed);
        }
    }
    EXPECT(dropped > ROUNDS);
}

static void collapse__deletes_stay_when_what_is_deeper_is_not_known(void)
{
    static struct world w;
    for (uint64_t seed = 0; seed < ROUNDS / 8 && !tap_failed; seed++) {
        world_make(&w, seed);
        EXPECT(merge(&w, false) == ST_OK);
        views_expect(&w);
        for (size_t i = 0; i < w.count; i++) { /* the newest of each key, if no tomb is over it */
            bool newest = i == 0 || !slice_equal(w.entries[i - 1].key, w.entries[i].key);
            bool there = w.tomb_count > 0;
            for (size_t k = 0; k < w.kept_count; k++) {
                there = there || w.kept[k].sequence == w.entries[i].sequence;
            }
            EXPECT(!newest || there);
        }
        world_release(&w);
    }
}

static void collapse__any_allocation_may_be_refused(void)
{
    static struct world w;
    for (uint64_t seed = 0; seed < 40 && !tap_failed; seed++) {
        for (long n = 0;; n++) {
            world_make(&w, seed);
            long at = atomic_load(&w.te.allocs) + n;
            w.te.fail_at = at;
            enum status st = merge(&w, true);
            bool reached = atomic_load(&w.te.allocs) > at;
            EXPECT(st == (reached ? ST_NOMEM : ST_OK));
            w.te.fail_at = -1;
            world_release(&w);
            if (!reached || tap_failed) {
                break;
            }
        }
    }
}

TAP_MAIN({
    struct env_posix_options o = {NULL, ENV_LOG_ERROR + 1};
    if (env_posix_new(&o, &real) != ST_OK) {
        printf("Bail out! no environment\n");
        return 1;
    }
    RUN(collapse__no_view_changes_and_nothing_hidden_stays);
    RUN(collapse__deletes_stay_when_what_is_deeper_is_not_known);
    RUN(collapse__any_allocation_may_be_refused);
    env_posix_free(real);
})
