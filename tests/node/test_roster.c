/* test_roster.c - what a member knows beside its log, on disk: it reads back, damage to a copy
 * loses nothing, a call that fails leaves what was there. Power loss is in test_member.c.
 *
 * The example of docs/format-roster.md is read and written byte for byte; with ROSTER_GOLDEN_WRITE
 * set in the environment it is printed. */
#include "node/roster.h"

#include "env/env_posix.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdlib.h>

#define SIZE 8192u

static struct roster example(void)
{
    struct roster r = {.cluster = "tinykv",
                       .id = 2,
                       .incarnation = 0x22,
                       .disk = 0xd2d2d2d2d2d2d2d2,
                       .founder = true,
                       .made = true,
                       .count = 2};
    r.rows[0] = (struct roster_row){
        .id = 1, .incarnation = 0x11, .addr = {.family = 4, .port = 7001, .ip = {10, 0, 0, 1}}};
    r.rows[1] = (struct roster_row){.id = 2, .incarnation = 0x22, .disk = r.disk};
    r.rows[1].addr = (struct env_addr){.family = 6, .port = 7002, .ip = {[15] = 1}};
    return r;
}

static bool same(const struct roster *a, const struct roster *b)
{
    bool is = strcmp(a->cluster, b->cluster) == 0 && a->id == b->id && a->disk == b->disk &&
              a->incarnation == b->incarnation && a->founder == b->founder && a->made == b->made &&
              a->known == b->known && a->count == b->count;
    for (uint32_t i = 0; is && i < a->count; i++) {
        const struct roster_row *x = &a->rows[i], *y = &b->rows[i];
        is = x->id == y->id && x->incarnation == y->incarnation && x->disk == y->disk &&
             x->addr.family == y->addr.family && x->addr.port == y->addr.port &&
             memcmp(x->addr.ip, y->addr.ip, sizeof x->addr.ip) == 0;
    }
    return is;
}

static bool loads(struct env *env, const struct roster *want)
{
    struct roster got;
    struct err err = {.text = ""};
    enum status st = roster_load(env, ".", &got, &err);
    if (st != ST_OK) {
        printf("# %s: %s\n", status_name(st), err.text);
    }
    return st == ST_OK && same(&got, want);
}

static void roster__reads_back(void)
{
    struct tmpdir t;
    struct roster r = example();
    struct roster got;
    struct err err;
    tmpdir_make(&t);
    EXPECT(!roster_is(t.env, ".") && roster_load(t.env, ".", &got, &err) == ST_NOENT);
    EXPECT(roster_save(t.env, ".", &r) == ST_OK);
    EXPECT(roster_is(t.env, ".") && loads(t.env, &r));
    memset(r.cluster, 'x', ROSTER_NAME_MAX);
    r.known = true;
    r.founder = r.made = false;
    for (r.count = 0; r.count < ROSTER_ROWS_MAX; r.count++) {
        r.rows[r.count] = (struct roster_row){
            .id = UINT64_MAX - 100 + r.count, .incarnation = 1, .disk = r.count};
    }
    EXPECT(roster_save(t.env, ".", &r) == ST_OK);
    EXPECT(loads(t.env, &r));
    EXPECT(roster_find(&r, UINT64_MAX - 37) == &r.rows[63] && roster_find(&r, 5) == NULL);
    r.count = 0;
    r.cluster[0] = '\0';
    EXPECT(roster_save(t.env, ".", &r) == ST_OK && loads(t.env, &r));
    tmpdir_remove(&t);
}

/* A byte anywhere in one copy, a whole copy, the second half of the file: the other copy serves. */
static void roster__one_copy_is_enough(void)
{
    struct tmpdir t;
    struct roster r = example();
    size_t size;
    tmpdir_make(&t);
    EXPECT(roster_save(t.env, ".", &r) == ST_OK);
    char *bytes = tmpdir_read(&t, ROSTER_FILE, &size);
    EXPECT(size == SIZE);
    for (size_t at = 0; at < SIZE; at += at % (SIZE / 2) < 250 ? 1 : 501) {
        bytes[at] ^= 0x10;
        tmpdir_write(&t, ROSTER_FILE, bytes, size);
        EXPECT(loads(t.env, &r));
        bytes[at] ^= 0x10;
    }
    tmpdir_write(&t, ROSTER_FILE, bytes, size / 2);
    EXPECT(loads(t.env, &r));
    memset(bytes, 0, size / 2);
    tmpdir_write(&t, ROSTER_FILE, bytes, size);
    EXPECT(loads(t.env, &r));
    free(bytes);
    tmpdir_remove(&t);
}

static void roster__damage_to_both_is_told(void)
{
    struct tmpdir t;
    struct roster r = example();
    struct err err = {.text = ""};
    size_t size;
    tmpdir_make(&t);
    EXPECT(roster_save(t.env, ".", &r) == ST_OK);
    char *bytes = tmpdir_read(&t, ROSTER_FILE, &size);
    for (size_t at = 0; at < 250; at++) {
        bytes[at] ^= 1;
        bytes[SIZE / 2 + at] ^= 1;
        tmpdir_write(&t, ROSTER_FILE, bytes, size);
        EXPECT(roster_load(t.env, ".", &r, &err) == ST_CORRUPT);
        bytes[at] ^= 1;
        bytes[SIZE / 2 + at] ^= 1;
    }
    EXPECT(strstr(err.text, "both copies are damaged") != NULL);
    tmpdir_write(&t, ROSTER_FILE, bytes, 0);
    EXPECT(roster_load(t.env, ".", &r, &err) == ST_CORRUPT);
    free(bytes);
    tmpdir_remove(&t);
}

/* Each call to the disk fails once: the old one is there, or the new one, and after ST_OK that. */
static void roster__each_failure_leaves_a_whole_one(void)
{
    long n = 0;
    for (bool reached = true; reached; n++) {
        struct tmpdir t;
        struct inject te;
        struct inject_rule rule;
        struct roster before = example();
        struct roster after = example();
        after.rows[0].disk = 7;
        tmpdir_make(&t);
        EXPECT(roster_save(t.env, ".", &before) == ST_OK);
        test_env_init(&te, t.env);
        inject_rule_init(&rule);
        rule.at = n;
        inject_add(&te, &rule);
        enum status st = roster_save(&te.env, ".", &after);
        reached = rule.struck > 0;
        struct roster got;
        struct err err;
        EXPECT(roster_load(t.env, ".", &got, &err) == ST_OK);
        EXPECT(same(&got, &after) || (st != ST_OK && same(&got, &before)));
        EXPECT(te.descriptors == 0);
        EXPECT(roster_save(t.env, ".", &after) == ST_OK && loads(t.env, &after));
        inject_release(&te);
        tmpdir_remove(&t);
    }
    EXPECT(n > 5);
}

/* ---- the example ---- */

static void lines_print(const unsigned char *p)
{
    for (size_t at = 0; at < SIZE; at += 16) {
        static const unsigned char zeros[16];
        if (memcmp(p + at, zeros, 16) != 0) {
            printf("%04x ", (unsigned)at);
            for (size_t i = 0; i < 16; i++) {
                printf(" %02x", p[at + i]);
            }
            printf("\n");
        }
    }
}

static bool golden_read(unsigned char *p)
{
    FILE *f = fopen(GOLDEN_DIR "/roster.hex", "r");
    char text[128];
    memset(p, 0, SIZE);
    while (f != NULL && fgets(text, sizeof text, f) != NULL) {
        char *at = text;
        unsigned long offset = strtoul(at, &at, 16);
        for (size_t i = 0; i < 16 && offset + i < SIZE; i++) {
            p[offset + i] = (unsigned char)strtoul(at, &at, 16);
        }
    }
    return f != NULL && fclose(f) == 0;
}

static void roster__is_as_released(void)
{
    static unsigned char golden[SIZE];
    struct tmpdir t;
    struct roster r = example();
    size_t size;
    tmpdir_make(&t);
    EXPECT(roster_save(t.env, ".", &r) == ST_OK);
    char *bytes = tmpdir_read(&t, ROSTER_FILE, &size);
    if (getenv("ROSTER_GOLDEN_WRITE") != NULL) {
        lines_print((const unsigned char *)bytes);
    }
    EXPECT(golden_read(golden));
    EXPECT(size == SIZE && memcmp(bytes, golden, SIZE) == 0);
    tmpdir_write(&t, ROSTER_FILE, golden, SIZE);
    EXPECT(loads(t.env, &r));
    free(bytes);
    tmpdir_remove(&t);
}

TAP_MAIN({
    RUN(roster__reads_back);
    RUN(roster__one_copy_is_enough);
    RUN(roster__damage_to_both_is_told);
    RUN(roster__each_failure_leaves_a_whole_one);
    RUN(roster__is_as_released);
})
