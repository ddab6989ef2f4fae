/* test_memtree_explore.c - a reader that is stopped at each of its atomic steps in turn while the
 * writer goes on: what the reader may see is found all the same.
 *
 * Built with its own copy of the tree, whose atomic operations call atomic_explore(). One thread:
 * the writer runs inside of the reader's step. */
#include "base/hash.h"
#include "engine/memtree.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdlib.h>

#define MEANWHILE 150 /* records that the writer links while the reader stands */

struct world {
    struct test_env te;
    struct arena arena;
    struct memtree tree;
    uint64_t linked;
    bool rising;
    long steps_left; /* until the writer comes in; < 0: it does not */
    bool writing;
};

static struct world w;

void atomic_explore(const void *at);

static struct slice key_make(char *room, uint64_t number)
{
    uint64_t v = w.rising ? number : hash_mix(number) % 1000000;
    return slice_of(room, (size_t)snprintf(room, 24, "%016llu", (unsigned long long)v));
}

static void link_some(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        char room[24];
        struct record *r =
            memtree_new_record(&w.tree, BATCH_PUT, key_make(room, w.linked + 1), slice_of("", 0));
        EXPECT(r != NULL);
        memtree_link(&w.tree, r, ++w.linked);
    }
}

void atomic_explore(const void *at)
{
    (void)at;
    if (w.writing || w.steps_left < 0) {
        return;
    }
    if (w.steps_left-- == 0) {
        w.writing = true;
        link_some(MEANWHILE);
        w.writing = false;
    }
}

static void world_open(uint64_t count, bool rising)
{
    w = (struct world){.steps_left = -1, .rising = rising};
    test_env_init(&w.te, NULL);
    arena_init(&w.arena, &w.te.env.mem);
    EXPECT(memtree_init(&w.tree, (struct order){NULL}, &w.arena) == ST_OK);
    link_some(count);
}

/* The keys up to `count` are there; the reader asks for one of them at that sequence. */
static void look(uint64_t count, uint64_t number, int how)
{
    char room[24];
    struct slice key = key_make(room, number);
    struct memtree_cursor c;
    const struct record *r;
    bool stale;
    switch (how) {
    case 0:
        r = memtree_get(&w.tree, key, count, &stale);
        EXPECT(!stale);
        break;
    case 1:
        memtree_cursor_init(&c, &w.tree);
        r = memtree_cursor_seek(&c, key, count);
        break;
    default: /* the record is the last one before what comes right behind it */
        memtree_cursor_init(&c, &w.tree);
        r = memtree_cursor_before(&c, key, 0);
        break;
    }
    EXPECT(r != NULL && slice_equal(record_key(r), key));
}

static void explore(uint64_t count, bool rising)
{
    for (int how = 0; how < 3; how++) {
        for (uint64_t ask = 0; ask < 12; ask++) {
            bool reached = true;
            for (long step = 0; reached; step++) {
                world_open(count, rising);
                w.steps_left = step;
                look(count, ask == 0 ? count : 1 + hash_mix(ask) % count, how);
                reached = w.steps_left < 0;
                w.steps_left = -1;
                EXPECT(memtree_check(&w.tree));
                arena_release(&w.arena);
            }
        }
    }
}

static void memtree_explore__readers_find_all_that_was_there(void)
{
    explore(40, false);
    explore(64, false);
    explore(300, false);
    explore(1600, false);
}

static void memtree_explore__beside_an_ascending_run_too(void)
{
    explore(40, true);
    explore(64, true);
    explore(1025, true);
}

/* A cursor that is on its way meets splits before, at and behind its place. */
static void memtree_explore__a_walk_passes_through_splits(void)
{
    for (long step = 0; step < 120; step++) {
        struct memtree_cursor c;
        uint64_t seen = 0;
        world_open(500, false);
        memtree_cursor_init(&c, &w.tree);
        w.steps_left = step;
        const struct record *last = NULL;
        for (const struct record *r = memtree_cursor_first(&c); r != NULL;
             r = memtree_cursor_next(&c, r)) {
            EXPECT(last == NULL || slice_compare(record_key(last), record_key(r)) < 0);
            seen += r->sequence <= 500;
            last = r;
        }
        EXPECT(seen == 500);
        w.steps_left = step;
        seen = 0;
        for (const struct record *r = memtree_cursor_last(&c); r != NULL;
             r = memtree_cursor_prev(&c, r)) {
            seen += r->sequence <= 500;
        }
        EXPECT(seen == 500);
        w.steps_left = -1;
        arena_release(&w.arena);
    }
}

TAP_MAIN({
    RUN(memtree_explore__readers_find_all_that_was_there);
    RUN(memtree_explore__beside_an_ascending_run_too);
    RUN(memtree_explore__a_walk_passes_through_splits);
})
