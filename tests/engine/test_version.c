/* test_version.c - edits as bytes and back, and versions built from them: against a plain list. */
#include "engine/version.h"
#include "env/env_posix.h"
#include "tests/tap.h"
#include "tests/test_env.h"

static const struct order bytewise = {NULL};
static struct env *real; /* for its mutexes */

/* A file of number n over keys [least, most], with sequences [n * 10, n * 10 + 9]. */
static struct tabfile *file_of(struct tabset *set, uint64_t n, const char *least, const char *most,
                               bool open)
{
    struct table_info t = {.number = n,
                           .size = 100 + n,
                           .check = (uint32_t)(n * 77),
                           .entries = n,
                           .deletes = n / 2,
                           .tombs = n % 3,
                           .sequence_min = n * 10,
                           .sequence_max = n * 10 + 9,
                           .raw_bytes = n * 1000,
                           .least = slice_text(least),
                           .most = slice_text(most),
                           .most_open = open};
    struct tabfile *f = NULL;
    return tabfile_new(set, &t, &f) == ST_OK ? f : NULL;
}

/* Adds a file and gives the caller's reference up. */
static enum status add(struct edit *e, struct tabset *set, int level, uint64_t n, const char *least,
                       const char *most, bool open)
{
    struct tabfile *f = file_of(set, n, least, most, open);
    enum status st = f == NULL ? ST_NOMEM : edit_add_file(e, level, f);
    tabfile_unref(f);
    return st;
}

static void sweep(struct tabset *set)
{
    for (struct tabfile *f = tabset_take(set), *next; f != NULL; f = next) {
        next = f->next;
        tabfile_free(f);
    }
}

static bool same_file(const struct tabfile *a, const struct tabfile *b)
{
    const struct table_info *x = &a->info;
    const struct table_info *y = &b->info;
    return x->number == y->number && x->size == y->size && x->check == y->check &&
           x->entries == y->entries && x->deletes == y->deletes && x->tombs == y->tombs &&
           x->sequence_min == y->sequence_min && x->sequence_max == y->sequence_max &&
           x->raw_bytes == y->raw_bytes && slice_equal(x->least, y->least) &&
           slice_equal(x->most, y->most) && x->most_open == y->most_open;
}

static void edit_fill(struct edit *e, struct tabset *set)
{
    EXPECT(add(e, set, 0, 7, "a", "z", false) == ST_OK);
    EXPECT(add(e, set, 3, 300, "", "\xff\xff", true) == ST_OK);
    EXPECT(edit_remove_file(e, 2, 5) == ST_OK);
    e->has_log_floor = e->has_flushed = e->has_tag = true;
    e->log_floor = 12;
    e->flushed = UINT64_MAX >> 8;
    e->tag = UINT64_MAX;
    e->next_file = 301;
    e->last_sequence = 1;
}

static void edit__comes_back_as_it_was(void)
{
    struct test_env te;
    struct tabset set;
    struct edit e, back;
    struct buf b;
    struct slice name;
    test_env_init(&te, real);
    tabset_init(&set, &te.env);
    buf_init(&b, &te.env.mem);
    edit_init(&e, &te.env);
    edit_init(&back, &te.env);
    edit_fill(&e, &set);
    EXPECT(edit_encode(&e, slice_text("an order"), &b) == ST_OK);
    EXPECT(edit_decode(&back, &set, buf_slice(&b), &name) == ST_OK);
    EXPECT(slice_equal(name, slice_text("an order")));
    EXPECT(back.added_count == 2 && back.removed_count == 1);
    EXPECT(back.added[0].level == 0 && same_file(back.added[0].file, e.added[0].file));
    EXPECT(back.added[1].level == 3 && same_file(back.added[1].file, e.added[1].file));
    EXPECT(back.added[0].file->kept == 1); /* freeing it must not remove the file */
    EXPECT(back.removed[0].level == 2 && back.removed[0].number == 5);
    EXPECT(back.has_log_floor && back.log_floor == 12);
    EXPECT(back.has_flushed && back.flushed == UINT64_MAX >> 8);
    EXPECT(back.has_tag && back.tag == UINT64_MAX);
    EXPECT(back.next_file == 301 && back.last_sequence == 1);
    edit_release(&e);
    edit_release(&back);
    buf_release(&b);
    sweep(&set);
    tabset_release(&set);
    EXPECT(te.live == 0);
}

/* Cut anywhere, or with any byte changed, it is refused or read as something: never beyond. */
static void edit__any_bytes_are_safe(void)
{
    struct test_env te;
    struct tabset set;
    struct edit e;
    struct buf b;
    struct slice name;
    test_env_init(&te, real);
    tabset_init(&set, &te.env);
    buf_init(&b, &te.env.mem);
    edit_init(&e, &te.env);
    edit_fill(&e, &set);
    EXPECT(edit_encode(&e, slice_text("an order"), &b) == ST_OK);
    edit_release(&e);
    for (size_t cut = 0; cut < b.size; cut++) {
        for (int flip = 0; flip < 8; flip++) {
            char *copy = mem_alloc(&te.env.mem, cut + 1); /* exact, for sanitizers */
            memcpy(copy, b.data, cut);
            if (cut > 0 && flip > 0) {
                copy[(cut * 7 + (size_t)flip) % cut] ^= (char)(1 << flip);
            }
            enum status st = edit_decode(&e, &set, slice_of(copy, cut), &name);
            EXPECT(st == ST_OK || st == ST_CORRUPT || st == ST_UNSUPPORTED);
            edit_release(&e);
            mem_release(&te.env.mem, copy);
        }
    }
    EXPECT(edit_decode(&e, &set, slice_of("\x63", 1), &name) == ST_UNSUPPORTED);
    edit_release(&e);
    buf_release(&b);
    sweep(&set);
    tabset_release(&set);
    EXPECT(te.live == 0);
}

/* Every allocation of encoding, decoding and applying is refused once. */
static void version__survives_refused_memory(void)
{
    for (long n = 0;; n++) {
        struct test_env te;
        struct tabset set;
        struct edit e, back;
        struct version *empty = NULL;
        struct version *v = NULL;
        struct buf b;
        struct slice name;
        test_env_init(&te, real);
        tabset_init(&set, &te.env);
        buf_init(&b, &te.env.mem);
        edit_init(&e, &te.env);
        edit_init(&back, &te.env);
        te.fail_at = n;
        enum status st = version_new(&te.env, bytewise, &empty);
        st = st == ST_OK ? add(&e, &set, 0, 9, "a", "b", false) : st;
        st = st == ST_OK ? add(&e, &set, 1, 2, "c", "d", false) : st;
        st = st == ST_OK ? add(&e, &set, 1, 1, "a", "b", false) : st;
        st = st == ST_OK ? edit_encode(&e, slice_text("x"), &b) : st;
        st = st == ST_OK ? edit_decode(&back, &set, buf_slice(&b), &name) : st;
        st = st == ST_OK ? version_apply(empty, &back, &v) : st;
        EXPECT(st == (te.allocs > n ? ST_NOMEM : ST_OK));
        version_unref(v);
        version_unref(empty);
        edit_release(&e);
        edit_release(&back);
        buf_release(&b);
        sweep(&set);
        tabset_release(&set);
        EXPECT(te.live == 0);
        if (tap_failed || te.allocs <= n) {
            return;
        }
    }
}

static struct version *apply(const struct version *base, struct edit *e, enum status want)
{
    struct version *v = NULL;
    EXPECT(version_apply(base, e, &v) == want);
    edit_release(e);
    return v;
}

static void version__finds_and_overlaps(void)
{
    struct test_env te;
    struct tabset set;
    struct edit e;
    struct version *empty;
    size_t first, count;
    test_env_init(&te, real);
    tabset_init(&set, &te.env);
    EXPECT(version_new(&te.env, bytewise, &empty) == ST_OK);
    edit_init(&e, &te.env);
    EXPECT(add(&e, &set, 2, 3, "m", "p", false) == ST_OK);
    EXPECT(add(&e, &set, 2, 1, "b", "d", false) == ST_OK);
    EXPECT(add(&e, &set, 2, 2, "f", "m", true) == ST_OK); /* "m" is the next one's */
    struct version *v = apply(empty, &e, ST_OK);
    EXPECT(version_check(v, NULL));
    EXPECT(v->levels[2].count == 3 && v->levels[2].bytes == 306);
    static const struct {
        const char *key;
        size_t at;
    } finds[] = {{"", 0},  {"b", 0}, {"d", 0}, {"d0", 1}, {"f", 1},
                 {"l", 1}, {"m", 2}, {"p", 2}, {"p0", 3}, {"z", 3}};
    for (size_t i = 0; i < sizeof finds / sizeof finds[0]; i++) {
        EXPECT(version_find(v, 2, slice_text(finds[i].key)) == finds[i].at);
    }
    struct slice b = slice_text("d0"), en = slice_text("e");
    version_overlap(v, 2, &b, &en, &first, &count);
    EXPECT(count == 0);
    en = slice_text("f");
    version_overlap(v, 2, &b, &en, &first, &count);
    EXPECT(first == 1 && count == 1);
    version_overlap(v, 2, NULL, &en, &first, &count);
    EXPECT(first == 0 && count == 2);
    version_overlap(v, 2, &b, NULL, &first, &count);
    EXPECT(first == 1 && count == 2);
    version_overlap(v, 2, NULL, NULL, &first, &count);
    EXPECT(first == 0 && count == 3);
    b = en = slice_text("m");
    version_overlap(v, 2, &b, &en, &first, &count);
    EXPECT(first == 2 && count == 1);
    version_unref(v);
    version_unref(empty);
    sweep(&set);
    tabset_release(&set);
    EXPECT(te.live == 0);
}

static void version__refuses_what_does_not_fit(void)
{
    struct test_env te;
    struct tabset set;
    struct edit e;
    struct version *empty;
    test_env_init(&te, real);
    tabset_init(&set, &te.env);
    EXPECT(version_new(&te.env, bytewise, &empty) == ST_OK);
    edit_init(&e, &te.env);
    EXPECT(edit_remove_file(&e, 1, 4) == ST_OK);
    EXPECT(apply(empty, &e, ST_CORRUPT) == NULL); /* it is not there */
    EXPECT(add(&e, &set, 1, 1, "a", "c", false) == ST_OK);
    EXPECT(add(&e, &set, 1, 2, "c", "d", false) == ST_OK);
    EXPECT(apply(empty, &e, ST_CORRUPT) == NULL); /* "c" lies in both */
    EXPECT(add(&e, &set, 1, 1, "a", "c", true) == ST_OK);
    EXPECT(add(&e, &set, 1, 2, "c", "d", false) == ST_OK);
    struct version *v = apply(empty, &e, ST_OK); /* now it does not */
    EXPECT(add(&e, &set, 1, 3, "c0", "c1", false) == ST_OK);
    EXPECT(apply(v, &e, ST_CORRUPT) == NULL);
    EXPECT(edit_remove_file(&e, 2, 1) == ST_OK);
    EXPECT(apply(v, &e, ST_CORRUPT) == NULL); /* another level */
    EXPECT(edit_remove_file(&e, 1, 2) == ST_OK);
    EXPECT(add(&e, &set, 1, 3, "c0", "c1", false) == ST_OK);
    struct version *w = apply(v, &e, ST_OK);
    EXPECT(w != NULL && w->levels[1].count == 2 && w->levels[1].files[1]->info.number == 3);
    version_unref(w);
    version_unref(v);
    version_unref(empty);
    sweep(&set);
    tabset_release(&set);
    EXPECT(te.live == 0);
}

/* Level 0 is newest first, whatever the order of edits; a moved file is one file. */
static void version__orders_level_0_and_moves(void)
{
    struct test_env te;
    struct tabset set;
    struct edit e;
    struct version *v;
    test_env_init(&te, real);
    tabset_init(&set, &te.env);
    EXPECT(version_new(&te.env, bytewise, &v) == ST_OK);
    edit_init(&e, &te.env);
    for (uint64_t n = 1; n <= 5; n++) {
        EXPECT(add(&e, &set, 0, n * 3 % 7, "a", "b", false) == ST_OK); /* 3 6 2 5 1 */
    }
    struct version *w = apply(v, &e, ST_OK);
    for (size_t i = 1; i < 5; i++) {
        EXPECT(w->levels[0].files[i - 1]->info.number > w->levels[0].files[i]->info.number);
    }
    struct tabfile *f = w->levels[0].files[4];
    EXPECT(edit_remove_file(&e, 0, f->info.number) == ST_OK);
    EXPECT(edit_add_file(&e, 6, f) == ST_OK);
    struct version *x = apply(w, &e, ST_OK);
    EXPECT(x->levels[0].count == 4 && x->levels[6].count == 1 && x->levels[6].files[0] == f);
    EXPECT(f->refs == 2);
    version_unref(w);
    EXPECT(f->refs == 1 && tabset_waiting(&set) == false);
    version_unref(x);
    EXPECT(tabset_waiting(&set));
    version_unref(v);
    sweep(&set);
    tabset_release(&set);
    EXPECT(te.live == 0);
}

TAP_MAIN({
    struct env_posix_options o = {NULL, ENV_LOG_ERROR + 1};
    if (env_posix_new(&o, &real) != ST_OK) {
        return 1;
    }
    RUN(edit__comes_back_as_it_was);
    RUN(edit__any_bytes_are_safe);
    RUN(version__survives_refused_memory);
    RUN(version__finds_and_overlaps);
    RUN(version__refuses_what_does_not_fit);
    RUN(version__orders_level_0_and_moves);
    env_posix_free(real);
})
