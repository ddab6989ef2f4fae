/* test_overlay.c - the overlay against a list that is searched from its end. */
#include "node/overlay.h"

#include "base/prng.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdbool.h>
#include <stdio.h>

enum { KEYS = 40, STEPS = 3000 };

static char names[KEYS][8];

static struct slice name(size_t i)
{
    (void)snprintf(names[i], sizeof names[i], "k%zu", i);
    return slice_text(names[i]);
}

struct model {
    size_t key[STEPS];
    uint64_t value[STEPS];
    bool erase[STEPS];
    bool range[STEPS]; /* from key to before `value`, which is a key's number */
    uint32_t count;
};

static struct model model;
static uint64_t values[STEPS];

/* Write i is one of key k's. */
static bool touches(uint32_t i, size_t k)
{
    if (!model.range[i]) {
        return model.key[i] == k;
    }
    return slice_compare(name(model.key[i]), name(k)) <= 0 &&
           slice_compare(name(k), name(model.value[i])) < 0;
}

/* Finds every key as the model does: its last write. */
static bool same(const struct overlay *o)
{
    if (o->count != model.count) {
        return false;
    }
    for (size_t k = 0; k < KEYS; k++) {
        const struct overlay_write *w = overlay_find(o, name(k));
        uint32_t i = model.count;
        while (i > 0 && !touches(i - 1, k)) {
            i--;
        }
        if ((w == NULL) != (i == 0)) {
            return false;
        }
        if (w != NULL && w != &o->writes[i - 1]) {
            return false;
        }
        if (w != NULL && (w->erase != model.erase[i - 1] || !overlay_is_last(o, i - 1) ||
                          (!w->erase && memcmp(w->value.data, &model.value[i - 1], 8) != 0))) {
            return false;
        }
    }
    return true;
}

/* Write i is a delete from its key to that one, or the other way round. */
static void range_add(struct overlay *o, uint32_t i, size_t to)
{
    size_t from = model.key[i];
    int c = slice_compare(name(from), name(to));
    if (c == 0) {
        model.count--;
        return;
    }
    model.key[i] = c < 0 ? from : to;
    model.value[i] = c < 0 ? to : from;
    model.erase[i] = true;
    model.range[i] = true;
    EXPECT(overlay_add_range(o, name(model.key[i]), name(model.value[i])) == ST_OK);
}

/* Random writes and undos, growing over several table sizes (I1, I2). */
static void test_overlay__matches_a_list_under_undo(void)
{
    struct inject te;
    struct overlay o;
    struct prng g = {.state = 11};
    test_env_init(&te, NULL);
    overlay_init(&o, &te.env.mem);
    for (int step = 0; step < 20000; step++) {
        if (prng_below(&g, 10) < 8 && model.count < STEPS) {
            uint32_t i = model.count++;
            model.key[i] = prng_below(&g, KEYS);
            model.value[i] = values[i] = prng_next(&g);
            model.erase[i] = prng_below(&g, 3) == 0;
            model.range[i] = false;
            if (prng_below(&g, 20) == 0) {
                range_add(&o, i, prng_below(&g, KEYS));
                continue;
            }
            EXPECT(overlay_add(&o, name(model.key[i]), slice_of(&values[i], 8), model.erase[i]) ==
                   ST_OK);
        } else {
            uint32_t back = (uint32_t)prng_below(&g, 6);
            model.count -= back < model.count ? back : model.count;
            overlay_undo(&o, model.count);
        }
        if (step % 7 == 0) {
            EXPECT(same(&o));
        }
    }
    overlay_undo(&o, 0);
    model.count = 0;
    EXPECT(same(&o) && o.bytes == 0 && o.key_count == 0 && o.ranges == 0);
    overlay_release(&o);
    EXPECT(te.live == 0);
}

/* Undoing over a growth of the table still frees exactly the slots that the keys had (I2). */
static void test_overlay__undo_across_growth(void)
{
    enum { MANY = 5000 };
    static uint32_t keys[MANY];
    struct inject te;
    struct overlay o;
    test_env_init(&te, NULL);
    overlay_init(&o, &te.env.mem);
    for (uint32_t i = 0; i < MANY; i++) {
        keys[i] = i;
        EXPECT(overlay_add(&o, slice_of(&keys[i], 4), slice_of(NULL, 0), false) == ST_OK);
    }
    overlay_undo(&o, 10);
    for (uint32_t i = 0; i < MANY; i++) {
        EXPECT((overlay_find(&o, slice_of(&keys[i], 4)) != NULL) == (i < 10));
    }
    overlay_reset(&o);
    EXPECT(o.cap == 0); /* large tables are given back */
    overlay_release(&o);
    EXPECT(te.live == 0);
}

static void test_overlay__copies_live_until_reset(void)
{
    struct inject te;
    struct overlay o;
    char *rooms[300];
    test_env_init(&te, NULL);
    overlay_init(&o, &te.env.mem);
    for (int i = 0; i < 300; i++) {
        size_t size = i % 50 == 0 ? 100000 : 1000;
        rooms[i] = overlay_copy_room(&o, size);
        memset(rooms[i], i, size);
    }
    for (int i = 0; i < 300; i++) {
        EXPECT(rooms[i][0] == (char)i && rooms[i][999] == (char)i);
    }
    overlay_reset(&o);
    EXPECT(te.live <= 1);
    overlay_release(&o);
    EXPECT(te.live == 0);
}

/* Each allocation refused once: ST_NOMEM, and what was there is there. */
static void test_overlay__refused_memory_changes_nothing(void)
{
    for (long n = 0;; n++) {
        static uint32_t keys[200];
        struct inject te;
        struct overlay o;
        uint32_t added = 0;
        test_env_init(&te, NULL);
        te.fail_at = n;
        overlay_init(&o, &te.env.mem);
        for (uint32_t i = 0; i < 200; i++) {
            keys[i] = i;
            enum status st = overlay_add(&o, slice_of(&keys[i], 4), slice_of(NULL, 0), false);
            EXPECT(st == ST_OK || st == ST_NOMEM);
            EXPECT((overlay_find(&o, slice_of(&keys[i], 4)) != NULL) == (st == ST_OK));
            added += st == ST_OK;
        }
        EXPECT(o.count == added && added >= 199);
        overlay_release(&o);
        EXPECT(te.live == 0);
        if (te.allocs <= n) {
            break;
        }
    }
}

TAP_MAIN({
    RUN(test_overlay__matches_a_list_under_undo);
    RUN(test_overlay__undo_across_growth);
    RUN(test_overlay__copies_live_until_reset);
    RUN(test_overlay__refused_memory_changes_nothing);
})
