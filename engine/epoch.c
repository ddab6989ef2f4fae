/* epoch.c - see epoch.h. */
#include "engine/epoch.h"

#include "base/atomic.h"
#include "base/ck.h"

#include <stddef.h>

#define LINE 64u /* bytes that caches move at once */

/* 0: free; else what `now` was when its reader entered. The last two lines have the
 * counts of readers without a word, in their first words. */
struct epoch_line {
    uint64_t words[EPOCH_WORDS];
    uint64_t pad[LINE / sizeof(uint64_t) - EPOCH_WORDS];
};
_Static_assert(sizeof(struct epoch_line) == LINE, "readers of other lines are not disturbed");
_Static_assert(EPOCH_LINES == 64, "home() takes six bits");

enum status epoch_init(struct epoch *e, struct env *env)
{
    *e = (struct epoch){.env = env, .now = 1};
    e->block = mem_zalloc(&env->mem, (EPOCH_LINES + 2) * sizeof(struct epoch_line) + LINE - 1);
    if (e->block == NULL) {
        return ST_NOMEM;
    }
    uintptr_t at = ((uintptr_t)e->block + LINE - 1) & ~(uintptr_t)(LINE - 1);
    e->lines = (struct epoch_line *)at;
    env_mutex_init(env, &e->mutex);
    return ST_OK;
}

static uint64_t *word_of(struct epoch *e, unsigned slot)
{
    return &e->lines[slot / EPOCH_WORDS].words[slot % EPOCH_WORDS];
}

static uint64_t *count_of(struct epoch *e, unsigned i)
{
    return &e->lines[EPOCH_LINES + i].words[0];
}

static void free_list(struct epoch_item *item)
{
    while (item != NULL) {
        struct epoch_item *next = item->next;
        item->drop(item);
        item = next;
    }
}

void epoch_release(struct epoch *e)
{
    if (e->block != NULL) {
        for (unsigned i = 0; i < EPOCH_SLOTS; i++) {
            CK(atomic_get_u64(word_of(e, i)) == 0);
        }
        CK(atomic_get_u64(count_of(e, 0)) == 0);
        CK(atomic_get_u64(count_of(e, 1)) == 0);
        while (epoch_reclaim(e)) {
            ENV_YIELD(e->env, "epoch: freeing retired something");
        }
        env_mutex_release(e->env, &e->mutex);
        mem_release(&e->env->mem, e->block);
    }
    *e = (struct epoch){0};
}

/* The first word of this thread's home line. Stacks lie at about equal distances: multiples of the
 * golden ratio spread these evenly. All frames within 64 KB have the same home. */
static unsigned home(void)
{
    uint64_t at = (uint64_t)(uintptr_t)__builtin_frame_address(0) >> 16;
    return (unsigned)((at * 0x9e3779b97f4a7c15u) >> 58) * EPOCH_WORDS;
}

unsigned epoch_enter(struct epoch *e)
{
    uint64_t now = atomic_get_u64(&e->now); /* before claiming: see epoch.h */
    unsigned first = home();
    for (unsigned i = 0; i < EPOCH_SLOTS; i++) {
        unsigned slot = (first + i) % EPOCH_SLOTS;
        uint64_t *word = word_of(e, slot);
        if (atomic_get_u64(word) == 0 && atomic_swap_u64(word, 0, now)) {
            return slot;
        }
    }
    unsigned phase = (unsigned)atomic_get_u64(&e->phase);
    (void)atomic_add_u64(count_of(e, phase), 1);
    return EPOCH_SLOTS + phase;
}

void epoch_exit(struct epoch *e, unsigned slot)
{
    CK(slot < EPOCH_PLACES);
    if (slot < EPOCH_SLOTS) {
        uint64_t *word = word_of(e, slot);
        CK(atomic_get_u64(word) != 0);
        atomic_set_u64(word, 0);
    } else {
        uint64_t left = atomic_add_u64(count_of(e, slot - EPOCH_SLOTS), -1);
        CK(left != UINT64_MAX);
    }
}

void epoch_retire(struct epoch *e, struct epoch_item *item, void (*drop)(struct epoch_item *item))
{
    item->drop = drop;
    item->next = NULL;
    env_mutex_lock(e->env, &e->mutex);
    item->at = atomic_add_u64(&e->now, 1);
    if (e->first == NULL) {
        e->first = item;
    } else {
        CK(e->last->at < item->at);
        e->last->next = item;
    }
    e->last = item;
    (void)atomic_add_u64(&e->waiting, 1);
    env_mutex_unlock(e->env, &e->mutex);
}

/* Up to which stamp nobody who was counted can see anything. Sends newcomers to the other count
 * when that one has drained, so that each drains in its turn. Under the mutex. */
static uint64_t scan_counts(struct epoch *e, uint64_t now)
{
    uint64_t limit = now;
    bool empty[2];
    for (unsigned i = 0; i < 2; i++) {
        empty[i] = atomic_add_u64(count_of(e, i), 0) == 0;
        if (empty[i]) {
            e->drained[i] = now;
        }
        limit = limit < e->drained[i] ? limit : e->drained[i];
    }
    uint64_t phase = atomic_get_u64(&e->phase);
    if (!empty[phase] && empty[1 - phase]) {
        atomic_set_u64(&e->phase, 1 - phase);
    }
    return limit;
}

/* Items with a stamp up to this one can be seen by nobody. Under the mutex: so no item that is in
 * the list has a later stamp than `now`. */
static uint64_t scan(struct epoch *e)
{
    uint64_t limit = scan_counts(e, atomic_get_u64(&e->now));
    for (unsigned i = 0; i < EPOCH_SLOTS; i++) {
        uint64_t v = atomic_add_u64(word_of(e, i), 0);
        if (v != 0 && v < limit) {
            limit = v;
            e->blocker = i;
        }
    }
    return limit;
}

/* True: the reader who held back most the last time still holds back all that waits, so that a scan
 * is in vain. A reader who stays long, for a disk, would have each who reclaims pay for one. Under
 * the mutex. */
static bool still_blocked(struct epoch *e)
{
    uint64_t v = atomic_get_u64(word_of(e, e->blocker));
    return v != 0 && e->first != NULL && v < e->first->at;
}

/* Takes from the list what nobody can see any more. Under the mutex. */
static struct epoch_item *take(struct epoch *e)
{
    uint64_t limit = scan(e);
    struct epoch_item *list = e->first;
    struct epoch_item **end = &list;
    int64_t count = 0;
    while (*end != NULL && (*end)->at <= limit) {
        end = &(*end)->next;
        count++;
    }
    e->first = *end;
    *end = NULL;
    (void)atomic_add_u64(&e->waiting, -count);
    return list;
}

/* Whether a scan was spared depends on who of several readers was found first, and so on where
 * stacks lie. Nothing that others see may: the same yields, the same answer. */
bool epoch_reclaim(struct epoch *e)
{
    if (atomic_get_u64(&e->waiting) == 0) {
        return false;
    }
    env_mutex_lock(e->env, &e->mutex);
    struct epoch_item *list = still_blocked(e) ? NULL : take(e);
    env_mutex_unlock(e->env, &e->mutex);
    ENV_YIELD(e->env, "epoch: before freeing");
    free_list(list);
    return atomic_get_u64(&e->waiting) != 0;
}

uint64_t epoch_waiting(const struct epoch *e)
{
    return atomic_get_u64(&e->waiting);
}
