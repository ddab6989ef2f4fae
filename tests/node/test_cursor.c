/* test_cursor.c - cursors are found until their slot is needed, and then are an error. */
#include "node/cursor.h"

#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdio.h>

static void test_cursor__the_oldest_is_forgotten(void)
{
    struct inject te;
    struct cursor c;
    uint64_t ids[10];
    test_env_init(&te, NULL);
    cursor_init(&c, &te.env.mem, 4, UINT64_MAX);
    struct slice key;
    EXPECT(cursor_find(&c, 1, &key) == ST_NOENT);
    for (int i = 0; i < 10; i++) {
        char text[8];
        (void)snprintf(text, sizeof text, "key%d", i);
        EXPECT(cursor_add(&c, slice_text(text), &ids[i]) == ST_OK);
        EXPECT(ids[i] != 0 && ids[i] < 1ull << 63);
        for (int j = 0; j <= i; j++) {
            enum status st = cursor_find(&c, ids[j], &key);
            EXPECT(st == (j > i - 4 ? ST_OK : ST_NOENT));
            (void)snprintf(text, sizeof text, "key%d", j);
            EXPECT(st != ST_OK || slice_equal(key, slice_text(text)));
        }
    }
    EXPECT(cursor_find(&c, 0, &key) == ST_NOENT);
    cursor_release(&c);
    EXPECT(te.live == 0);
}

static void test_cursor__incarnations_do_not_share_numbers(void)
{
    struct inject te;
    struct cursor a;
    struct cursor b;
    uint64_t id;
    struct slice key;
    test_env_init(&te, NULL);
    cursor_init(&a, &te.env.mem, 8, 1000);
    cursor_init(&b, &te.env.mem, 8, 77777);
    EXPECT(cursor_add(&a, slice_text("x"), &id) == ST_OK);
    EXPECT(cursor_find(&b, id, &key) == ST_NOENT);
    EXPECT(cursor_add(&b, slice_text("y"), &id) == ST_OK);
    EXPECT(cursor_find(&a, id, &key) == ST_NOENT);
    cursor_release(&a);
    cursor_release(&b);
}

static void test_cursor__refused_memory_changes_nothing(void)
{
    for (long n = 0; n < 3; n++) {
        struct inject te;
        struct cursor c;
        uint64_t first = 0;
        uint64_t second = 0;
        struct slice key;
        test_env_init(&te, NULL);
        cursor_init(&c, &te.env.mem, 1, 5);
        te.fail_at = n;
        enum status st = cursor_add(&c, slice_text("a"), &first);
        enum status st2 = cursor_add(&c, slice_text("b"), &second);
        EXPECT((st == ST_NOMEM) == (n < 2) && (st2 == ST_NOMEM) == (n == 2));
        EXPECT(n < 2 || (cursor_find(&c, first, &key) == ST_OK && key.data[0] == 'a'));
        cursor_release(&c);
        EXPECT(te.live == 0);
    }
}

TAP_MAIN({
    RUN(test_cursor__the_oldest_is_forgotten);
    RUN(test_cursor__incarnations_do_not_share_numbers);
    RUN(test_cursor__refused_memory_changes_nothing);
})
