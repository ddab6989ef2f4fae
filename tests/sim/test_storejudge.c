/* test_storejudge.c - the judges of the store world: each predicate fires on a planted violation,
 * and only then. */
#include "sim/store/storejudge.h"

#include "sim/simmem.h"
#include "tests/tap.h"

#include <stdio.h>

#define KEYS 3

struct bench {
    struct storemodel m;
    struct storeview v;
    struct storecut cut;
    const char *class;
    struct err why;
};

static void bench_open(struct bench *b, size_t workers, bool log)
{
    struct storemodel_options o = {.workers = workers, .keys = KEYS, .log = log};
    *b = (struct bench){.class = ""};
    storemodel_init(&b->m, simmem(), &o);
    storeview_init(&b->v, simmem(), b->m.key_count);
    b->v.sequence = 1000;
}

static void bench_close(struct bench *b)
{
    storeview_release(&b->v);
    storemodel_release(&b->m);
}

static struct slice keep(struct bench *b, const char *text)
{
    return storemodel_keep(&b->m, slice_text(text));
}

/* A write of `value` (NULL: a delete) to a key, with the worker's stripe. */
static size_t ask(struct bench *b, size_t worker, size_t key, const char *value, bool sync)
{
    char text[16];
    struct storechange c = {.type = value != NULL ? TKV_PUT : TKV_DELETE, .key = key};
    size_t w = storemodel_begin(&b->m, worker, sync, true);
    if (value != NULL) {
        c.value = keep(b, value);
    }
    storemodel_add(&b->m, &c);
    (void)snprintf(text, sizeof text, "%u", b->m.writes[w].number);
    struct storechange stripe = {
        .type = TKV_PUT, .key = b->m.stripes[worker], .value = keep(b, text)};
    storemodel_add(&b->m, &stripe);
    storemodel_asked(&b->m, w);
    return w;
}

static size_t wrote(struct bench *b, size_t worker, size_t key, const char *value, bool sync,
                    uint64_t sequence)
{
    size_t w = ask(b, worker, key, value, sync);
    EXPECT(storemodel_ok(&b->m, w, sequence, &b->why));
    return w;
}

/* The view: values of the keys and of the stripes, in order; "" stands for absent. */
static void see(struct bench *b, const char *const *values)
{
    buf_clear(&b->v.text);
    b->v.entries = 0;
    for (size_t i = 0; i < b->m.key_count; i++) {
        struct slice t = slice_text(values[i]);
        b->v.seen[i] = (struct storeseen){b->v.text.size, t.size, t.size > 0};
        EXPECT(buf_append(&b->v.text, t.data, t.size) == ST_OK);
        b->v.entries += t.size > 0;
    }
}

/* The class of the verdict, "" when it is allowed. */
static const char *verdict(struct bench *b, enum storecrash crash, const char *const *values)
{
    see(b, values);
    return storejudge_view(&b->m, &b->v, crash, &b->cut, &b->class, &b->why) ? "" : b->class;
}

#define VIEW(...) ((const char *const[]){__VA_ARGS__})

static void test_storejudge__every_prefix_is_allowed_and_none_is_lost(void)
{
    struct bench b;
    bench_open(&b, 1, true);
    (void)wrote(&b, 0, 0, "a1", true, 2);
    (void)wrote(&b, 0, 0, "a2", false, 4);
    (void)wrote(&b, 0, 1, "b3", false, 6);
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("a2", "b3", "", "3")), "") == 0);
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("a2", "", "", "2")), "") == 0);
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("a1", "", "", "1")), "") == 0);
    EXPECT(b.cut.upto[0] == 1);
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("", "", "", "")), "E2 durability") == 0);
    EXPECT(strcmp(verdict(&b, STORECRASH_PROCESS, VIEW("a2", "", "", "2")), "E8 process crash") ==
           0);
    bench_close(&b);
}

/* A group of three, of which the crash left the first, whose number nobody was told: it lies in a
 * gap that ends with a write that is gone. */
static void test_storejudge__a_write_before_one_that_is_lost_has_its_place(void)
{
    struct bench b;
    bench_open(&b, 3, true);
    (void)wrote(&b, 0, 0, "a1", true, 2);
    (void)ask(&b, 1, 0, "a2", false);      /* 3 and 4 */
    (void)ask(&b, 2, 1, "b1", false);      /* 5 and 6 */
    (void)wrote(&b, 0, 1, "b2", false, 8); /* 7 and 8 */
    b.v.sequence = 4;
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("a2", "", "", "1", "1", "")), "") == 0);
    b.v.sequence = 3;
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("a2", "", "", "1", "1", "")), "") != 0);
    bench_close(&b);
}

static void test_storejudge__a_part_of_a_batch_is_seen(void)
{
    struct bench b;
    bench_open(&b, 2, true);
    (void)wrote(&b, 0, 0, "a1", false, 2);
    (void)ask(&b, 1, 1, "b1", false);
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("a1", "b1", "", "1", "1")), "") == 0);
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("a1", "b1", "", "1", "")), "E3 atomicity") ==
           0);
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("a1", "", "", "1", "1")), "E1 prefix") == 0);
    bench_close(&b);
}

static void test_storejudge__a_hole_is_no_prefix(void)
{
    struct bench b;
    bench_open(&b, 2, true);
    (void)wrote(&b, 0, 0, "a1", false, 2);
    (void)wrote(&b, 1, 1, "b1", false, 4);
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("a1", "", "", "1", "")), "") == 0);
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("", "b1", "", "", "1")), "E1 prefix") == 0);
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("a1", "b1", "x", "1", "1")), "E1 prefix") ==
           0);
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("a1", "b1", "", "7", "1")), "E1 prefix") == 0);
    bench_close(&b);
}

static void test_storejudge__writes_under_way_are_placed_where_they_fit(void)
{
    struct bench b;
    bench_open(&b, 2, true);
    (void)wrote(&b, 0, 0, "a1", false, 2);
    (void)ask(&b, 1, 0, "a9", false);      /* its number is 4, or what comes after the others */
    (void)wrote(&b, 0, 0, "a2", false, 6); /* so there is room before it */
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("a2", "", "", "2", "1")), "") == 0);
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("a9", "", "", "2", "1")), "") == 0);
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("a1", "", "", "2", "1")), "E1 prefix") == 0);
    b.v.sequence = 6; /* the database says that nothing came after */
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("a9", "", "", "2", "1")), "E1 prefix") == 0);
    bench_close(&b);
}

static void test_storejudge__fate_is_decided_once(void)
{
    struct bench b;
    bench_open(&b, 1, true);
    (void)wrote(&b, 0, 0, "a1", false, 2);
    (void)wrote(&b, 0, 0, "a2", false, 4);
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("a1", "", "", "1")), "") == 0);
    storejudge_decide(&b.m, &b.v, &b.cut);
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("a2", "", "", "2")), "E4 fate") == 0);
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("", "", "", "")), "E2 durability") == 0);
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("a1", "", "", "1")), "") == 0);
    bench_close(&b);
}

static void test_storejudge__a_failed_write_is_absent_or_whole_and_never_seen(void)
{
    struct bench b;
    struct storecut low;
    bench_open(&b, 1, true);
    (void)wrote(&b, 0, 0, "a1", true, 2);
    size_t w = ask(&b, 0, 0, "a2", true);
    EXPECT(storemodel_failed(&b.m, w, &b.why));
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("a1", "", "", "1")), "") == 0);
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("a2", "", "", "2")), "") == 0);
    storemodel_low(&b.m, &low);
    EXPECT(storemodel_match_now(&b.m, &low, 0, slice_text("a1")));
    EXPECT(!storemodel_match_now(&b.m, &low, 0, slice_text("a2")));
    struct slice stripes[STOREMODEL_WORKERS] = {slice_text("2")};
    EXPECT(!storejudge_cut(&b.m, stripes, &low, &b.cut, &b.class, &b.why));
    EXPECT(strcmp(b.class, "E5 failed write") == 0);
    (void)wrote(&b, 0, 1, "b3", true, 8);
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("a2", "b3", "", "3")), "E1 prefix") == 0);
    bench_close(&b);
}

static void test_storejudge__who_saw_a_write_that_fails_is_told(void)
{
    struct bench b;
    struct storecut low;
    bench_open(&b, 2, true);
    storemodel_low(&b.m, &low);
    size_t w = ask(&b, 0, 0, "a1", false);
    EXPECT(storemodel_match_now(&b.m, &low, 0, slice_of(NULL, 0)));
    EXPECT(storemodel_match_now(&b.m, &low, 0, slice_text("a1")));
    EXPECT(!storemodel_failed(&b.m, w, &b.why));
    bench_close(&b);
}

static void test_storejudge__a_read_is_of_a_moment_of_its_call(void)
{
    struct bench b;
    struct storecut low;
    bench_open(&b, 2, true);
    (void)wrote(&b, 0, 0, "a1", false, 2);
    (void)wrote(&b, 0, 0, "a2", false, 4);
    storemodel_low(&b.m, &low);
    (void)wrote(&b, 1, 0, "a3", false, 6);
    EXPECT(!storemodel_match_now(&b.m, &low, 0, slice_text("a1")));
    EXPECT(storemodel_match_now(&b.m, &low, 0, slice_text("a2")));
    EXPECT(storemodel_match_now(&b.m, &low, 0, slice_text("a3")));
    EXPECT(!storemodel_match_now(&b.m, &low, 0, slice_of(NULL, 0)));
    storemodel_low(&b.m, &low);
    EXPECT(!storemodel_match_now(&b.m, &low, 0, slice_text("a2")));
    bench_close(&b);
}

static void test_storejudge__a_cut_stays_what_it_was(void)
{
    struct bench b;
    struct storecut low, cut;
    bench_open(&b, 2, true);
    (void)wrote(&b, 0, 0, "a1", false, 2);
    storemodel_low(&b.m, &low);
    (void)wrote(&b, 1, 0, "a3", false, 6);
    struct slice now[STOREMODEL_WORKERS] = {slice_text("1"), slice_text("1")};
    struct slice old[STOREMODEL_WORKERS] = {slice_of(NULL, 0), slice_text("1")};
    EXPECT(storejudge_cut(&b.m, now, &low, &cut, &b.class, &b.why));
    EXPECT(!storejudge_cut(&b.m, old, &low, &cut, &b.class, &b.why));
    EXPECT(strcmp(b.class, "E9 live read") == 0);
    (void)storejudge_cut(&b.m, now, &low, &cut, &b.class, &b.why);
    (void)wrote(&b, 0, 0, NULL, false, 8);
    EXPECT(storemodel_match(&b.m, &cut, 0, slice_text("a3")));
    EXPECT(!storemodel_match(&b.m, &cut, 0, slice_of(NULL, 0)));
    bench_close(&b);
}

static void test_storejudge__ranges_delete_what_they_cover(void)
{
    struct bench b;
    struct storecut low;
    struct slice value;
    bench_open(&b, 1, true);
    (void)wrote(&b, 0, 0, "a1", false, 2);
    (void)wrote(&b, 0, 1, "b1", false, 4);
    (void)wrote(&b, 0, 2, "c1", false, 6);
    size_t w = storemodel_begin(&b.m, 0, false, false);
    struct storechange c = {.type = TKV_DELETE_RANGE, .key = 0, .end = 2};
    storemodel_add(&b.m, &c);
    storemodel_asked(&b.m, w);
    EXPECT(storemodel_ok(&b.m, w, 7, &b.why));
    storemodel_low(&b.m, &low);
    EXPECT(!storemodel_lookup(&b.m, &low, 0, &value));
    EXPECT(!storemodel_lookup(&b.m, &low, 1, &value));
    EXPECT(storemodel_lookup(&b.m, &low, 2, &value));
    EXPECT(strcmp(verdict(&b, STORECRASH_POWER, VIEW("", "", "c1", "3")), "") == 0);
    EXPECT(b.cut.upto[0] == 4); /* it has no stripe, and is found */
    bench_close(&b);
}

static void test_storejudge__sequences_rise(void)
{
    struct bench b;
    bench_open(&b, 1, true);
    (void)wrote(&b, 0, 0, "a1", false, 2);
    size_t w = ask(&b, 0, 0, "a2", false);
    EXPECT(!storemodel_ok(&b.m, w, 3, &b.why)); /* two changes, and one number */
    bench_close(&b);
}

static void test_storejudge__without_a_log_tag_and_data_agree(void)
{
    struct bench b;
    bench_open(&b, 1, false);
    (void)wrote(&b, 0, 0, "a1", false, 2);
    (void)wrote(&b, 0, 0, "a2", false, 4);
    b.v.tag = 1;
    EXPECT(strcmp(verdict(&b, STORECRASH_PROCESS, VIEW("a1", "", "", "1")), "") == 0);
    EXPECT(strcmp(verdict(&b, STORECRASH_PROCESS, VIEW("a2", "", "", "2")), "tag") == 0);
    b.m.tag = 2;
    EXPECT(strcmp(verdict(&b, STORECRASH_PROCESS, VIEW("a1", "", "", "1")), "E2 durability") == 0);
    b.m.tag = 0;
    b.v.tag = 3;
    EXPECT(strcmp(verdict(&b, STORECRASH_PROCESS, VIEW("a2", "", "", "2")), "tag") == 0);
    b.v.tag = 1;
    EXPECT(strcmp(verdict(&b, STORECRASH_PROCESS, VIEW("a1", "", "", "1")), "") == 0);
    storejudge_decide(&b.m, &b.v, &b.cut);
    EXPECT(b.m.writes[1].state == STOREWRITE_REPLAY);
    bench_close(&b);
}

TAP_MAIN({
    RUN(test_storejudge__every_prefix_is_allowed_and_none_is_lost);
    RUN(test_storejudge__a_write_before_one_that_is_lost_has_its_place);
    RUN(test_storejudge__a_part_of_a_batch_is_seen);
    RUN(test_storejudge__a_hole_is_no_prefix);
    RUN(test_storejudge__writes_under_way_are_placed_where_they_fit);
    RUN(test_storejudge__fate_is_decided_once);
    RUN(test_storejudge__a_failed_write_is_absent_or_whole_and_never_seen);
    RUN(test_storejudge__who_saw_a_write_that_fails_is_told);
    RUN(test_storejudge__a_read_is_of_a_moment_of_its_call);
    RUN(test_storejudge__a_cut_stays_what_it_was);
    RUN(test_storejudge__ranges_delete_what_they_cover);
    RUN(test_storejudge__sequences_rise);
    RUN(test_storejudge__without_a_log_tag_and_data_agree);
})
