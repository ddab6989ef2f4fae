/* test_epoch.c - readers keep what they can see, and nothing else. */
#include "base/atomic.h"
#include "base/prng.h"
#include "engine/epoch.h"
#include "env/env_posix.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdlib.h>

#define ALIVE   0x600d600d600d600du
#define READERS 3
#define CELLS   8
#define SWAPS   20000

struct thing {
    struct epoch_item item;
    struct mem *mem;
    uint64_t mark; /* plain: a race detector sees who touches it when */
    int *freed;
};

static struct env *posix;

static void thing_free(struct epoch_item *item)
{
    struct thing *t = (struct thing *)(void *)item;
    t->mark = 0;
    if (t->freed != NULL) {
        ++*t->freed;
    }
    mem_release(t->mem, t);
}

static struct thing *thing_new(struct mem *mem, int *freed)
{
    struct thing *t = mem_zalloc(mem, sizeof *t);
    if (t == NULL) {
        abort();
    }
    t->mem = mem;
    t->mark = ALIVE;
    t->freed = freed;
    return t;
}

static void retire(struct epoch *e, struct thing *t)
{
    epoch_retire(e, &t->item, thing_free);
}

static void begin(struct epoch *e, struct inject *te)
{
    test_env_init(te, posix);
    EXPECT(epoch_init(e, &te->env) == ST_OK);
}

static void end(struct epoch *e, struct inject *te)
{
    epoch_release(e);
    EXPECT(atomic_load(&te->live) == 0);
}

static void epoch__a_refused_allocation_leaves_nothing(void)
{
    struct inject te;
    struct epoch e;
    test_env_init(&te, posix);
    te.fail_at = 0;
    EXPECT(epoch_init(&e, &te.env) == ST_NOMEM);
    epoch_release(&e);
    EXPECT(atomic_load(&te.live) == 0);
}

static void epoch__a_reader_keeps_what_it_can_see(void)
{
    struct inject te;
    struct epoch e;
    int freed = 0;
    begin(&e, &te);
    EXPECT(!epoch_reclaim(&e));
    unsigned early = epoch_enter(&e);
    retire(&e, thing_new(&te.env.mem, &freed));
    unsigned late = epoch_enter(&e);
    EXPECT(late != early);
    EXPECT(epoch_reclaim(&e));
    EXPECT(freed == 0);
    retire(&e, thing_new(&te.env.mem, &freed));
    EXPECT(epoch_waiting(&e) == 2);
    epoch_exit(&e, early);
    EXPECT(epoch_reclaim(&e)); /* the late one cannot see the first */
    EXPECT(freed == 1);
    epoch_exit(&e, late);
    EXPECT(!epoch_reclaim(&e));
    EXPECT(freed == 2);
    retire(&e, thing_new(&te.env.mem, &freed));
    end(&e, &te);
    EXPECT(freed == 3);
}

/* The reader who held back most leaves, comes back, and others hold back instead. */
static void epoch__who_holds_back_changes(void)
{
    struct test_env te;
    struct epoch e;
    int freed = 0;
    begin(&e, &te);
    unsigned a = epoch_enter(&e);
    retire(&e, thing_new(&te.env.mem, &freed));
    unsigned b = epoch_enter(&e);
    retire(&e, thing_new(&te.env.mem, &freed));
    EXPECT(epoch_reclaim(&e) && freed == 0);
    EXPECT(epoch_reclaim(&e) && freed == 0);
    epoch_exit(&e, a);
    a = epoch_enter(&e); /* the same word, and sees neither */
    EXPECT(epoch_reclaim(&e) && freed == 1);
    EXPECT(epoch_reclaim(&e) && freed == 1);
    epoch_exit(&e, b);
    EXPECT(!epoch_reclaim(&e) && freed == 2);
    retire(&e, thing_new(&te.env.mem, &freed));
    EXPECT(epoch_reclaim(&e) && freed == 2);
    epoch_exit(&e, a);
    EXPECT(!epoch_reclaim(&e) && freed == 3);
    end(&e, &te);
}

/* Words run out, and counted readers hold items just as well. */
static void epoch__readers_without_a_word_count(void)
{
    static unsigned slots[EPOCH_SLOTS];
    static bool seen[EPOCH_PLACES];
    struct inject te;
    struct epoch e;
    int freed = 0;
    begin(&e, &te);
    for (unsigned i = 0; i < EPOCH_SLOTS; i++) {
        slots[i] = epoch_enter(&e);
        EXPECT(slots[i] < EPOCH_SLOTS && !seen[slots[i]]);
        seen[slots[i]] = true;
    }
    unsigned a = epoch_enter(&e), b = epoch_enter(&e);
    EXPECT(a >= EPOCH_SLOTS && a < EPOCH_PLACES);
    EXPECT(b == a);
    for (unsigned i = 0; i < EPOCH_SLOTS; i++) {
        epoch_exit(&e, slots[i]);
    }
    retire(&e, thing_new(&te.env.mem, &freed));
    EXPECT(epoch_reclaim(&e));
    epoch_exit(&e, a);
    EXPECT(epoch_reclaim(&e));
    EXPECT(freed == 0);
    epoch_exit(&e, b);
    EXPECT(!epoch_reclaim(&e));
    EXPECT(freed == 1);
    end(&e, &te);
}

/* There is always somebody who is counted, and yet everything is freed sooner or later. */
static void epoch__counted_readers_starve_nothing(void)
{
    static unsigned slots[EPOCH_SLOTS];
    struct inject te;
    struct epoch e;
    int freed = 0;
    begin(&e, &te);
    for (unsigned i = 0; i < EPOCH_SLOTS; i++) {
        slots[i] = epoch_enter(&e);
    }
    unsigned last = epoch_enter(&e);
    retire(&e, thing_new(&te.env.mem, &freed));
    for (unsigned i = 0; i < EPOCH_SLOTS; i++) { /* words are taken all the time, by newcomers */
        epoch_exit(&e, slots[i]);
        slots[i] = epoch_enter(&e);
    }
    for (int round = 0; round < 4; round++) {
        unsigned next = epoch_enter(&e);
        EXPECT(next >= EPOCH_SLOTS);
        epoch_exit(&e, last);
        last = next;
        (void)epoch_reclaim(&e);
        EXPECT(round > 0 || freed == 0); /* one of them was there at the time */
    }
    EXPECT(freed == 1);
    epoch_exit(&e, last);
    for (unsigned i = 0; i < EPOCH_SLOTS; i++) {
        epoch_exit(&e, slots[i]);
    }
    end(&e, &te);
}

static struct epoch *chain_epoch;
static int chain_left;

static void chain_free(struct epoch_item *item)
{
    if (--chain_left > 0) {
        epoch_retire(chain_epoch, item, chain_free);
    }
}

static void epoch__freeing_may_retire(void)
{
    struct inject te;
    struct epoch e;
    struct epoch_item item;
    begin(&e, &te);
    chain_epoch = &e;
    chain_left = 5;
    epoch_retire(&e, &item, chain_free);
    (void)epoch_reclaim(&e);
    EXPECT(chain_left == 4);
    end(&e, &te);
    EXPECT(chain_left == 0);
}

/* Any order of entering, leaving, retiring and reclaiming, against a model: an item is there
 * exactly as long as a reader who entered before. (Counted readers may hold it longer.) */
static void epoch__any_order(void)
{
    enum { ITEMS = 64, MANY = 40 };
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct prng r = {seed};
        struct inject te;
        struct epoch e;
        begin(&e, &te);
        unsigned slots[MANY];
        uint64_t entered[MANY], retired[ITEMS];
        int freed[ITEMS] = {0}, readers = 0, items = 0;
        for (uint64_t step = 1; step < 400; step++) {
            uint64_t what = prng_next(&r) % 4;
            if (what == 0 && readers < MANY) {
                slots[readers] = epoch_enter(&e);
                entered[readers++] = step;
            } else if (what == 1 && readers > 0) {
                int i = (int)(prng_next(&r) % (unsigned)readers);
                epoch_exit(&e, slots[i]);
                readers--;
                slots[i] = slots[readers];
                entered[i] = entered[readers];
            } else if (what == 2 && items < ITEMS) {
                retire(&e, thing_new(&te.env.mem, &freed[items]));
                retired[items++] = step;
            } else if (what == 3) {
                (void)epoch_reclaim(&e);
                uint64_t oldest = UINT64_MAX;
                for (int i = 0; i < readers; i++) {
                    oldest = entered[i] < oldest ? entered[i] : oldest;
                }
                for (int i = 0; i < items; i++) {
                    EXPECT(freed[i] == (retired[i] < oldest));
                }
            }
        }
        while (readers > 0) {
            epoch_exit(&e, slots[--readers]);
        }
        end(&e, &te);
        for (int i = 0; i < items; i++) {
            EXPECT(freed[i] == 1);
        }
    }
}

/* ---- real threads ---- */

struct shared {
    struct epoch e;
    struct mem *mem;
    struct thing *cells[CELLS]; /* atomic */
    uint64_t stop;              /* atomic */
    uint64_t wrong;             /* atomic */
};

static void reader(void *arg)
{
    struct shared *s = arg;
    struct prng r = {(uint64_t)(uintptr_t)arg};
    while (atomic_get_u64(&s->stop) == 0) {
        unsigned outer = epoch_enter(&s->e);
        const struct thing *t = ATOMIC_GET_PTR(&s->cells[prng_next(&r) % CELLS]);
        unsigned inner = epoch_enter(&s->e);
        const struct thing *u = ATOMIC_GET_PTR(&s->cells[prng_next(&r) % CELLS]);
        bool right = u->mark == ALIVE;
        epoch_exit(&s->e, inner);
        right = right && t->mark == ALIVE;
        epoch_exit(&s->e, outer);
        if (!right) {
            (void)atomic_add_u64(&s->wrong, 1);
        }
    }
}

/* Each writer has cells of its own, and both reclaim. */
struct writer {
    struct shared *s;
    size_t first;
    struct env_thread thread;
};

static void writer(void *arg)
{
    struct writer *w = arg;
    struct shared *s = w->s;
    for (size_t n = 0; n < SWAPS; n++) {
        size_t i = w->first + n % (CELLS / 2);
        struct thing *old = ATOMIC_GET_PTR(&s->cells[i]);
        ATOMIC_SET_PTR(&s->cells[i], thing_new(s->mem, NULL));
        retire(&s->e, old);
        if (n % 16 == 0) {
            (void)epoch_reclaim(&s->e);
        }
    }
}

/* busy: all words but two are held, so that most readers are counted ones. */
static void threads(bool busy)
{
    static unsigned held[EPOCH_SLOTS];
    struct inject te;
    static struct shared s;
    s = (struct shared){.mem = &te.env.mem};
    begin(&s.e, &te);
    for (int i = 0; i < CELLS; i++) {
        s.cells[i] = thing_new(s.mem, NULL);
    }
    struct env_thread readers[READERS];
    struct writer writers[2] = {{.s = &s}, {.s = &s, .first = CELLS / 2}};
    for (unsigned i = 0; busy && i < EPOCH_SLOTS - 2; i++) {
        held[i] = epoch_enter(&s.e);
    }
    for (int i = 0; i < READERS; i++) {
        EXPECT(env_thread_start(posix, &readers[i], "reader", reader, &s) == ST_OK);
    }
    for (int i = 0; i < 2; i++) {
        EXPECT(env_thread_start(posix, &writers[i].thread, "writer", writer, &writers[i]) == ST_OK);
    }
    for (int i = 0; i < 2; i++) {
        env_thread_join(posix, &writers[i].thread);
    }
    for (unsigned i = 0; busy && i < EPOCH_SLOTS - 2; i++) {
        unsigned again = held[i];
        epoch_exit(&s.e, again);
    }
    (void)epoch_reclaim(&s.e);
    atomic_set_u64(&s.stop, 1);
    for (int i = 0; i < READERS; i++) {
        env_thread_join(posix, &readers[i]);
    }
    EXPECT(atomic_get_u64(&s.wrong) == 0);
    for (int i = 0; i < CELLS; i++) {
        mem_release(s.mem, s.cells[i]);
    }
    end(&s.e, &te);
}

static void epoch__threads(void)
{
    threads(false);
}

/* The words are claimed before the first retiring, so they hold everything: what is tested here is
 * that nothing goes wrong, and that all goes away in the end. */
static void epoch__threads_without_words(void)
{
    threads(true);
}

TAP_MAIN({
    if (env_posix_new(NULL, &posix) != ST_OK) {
        return 1;
    }
    RUN(epoch__a_refused_allocation_leaves_nothing);
    RUN(epoch__a_reader_keeps_what_it_can_see);
    RUN(epoch__who_holds_back_changes);
    RUN(epoch__readers_without_a_word_count);
    RUN(epoch__counted_readers_starve_nothing);
    RUN(epoch__freeing_may_retire);
    RUN(epoch__any_order);
    RUN(epoch__threads);
    RUN(epoch__threads_without_words);
    env_posix_free(posix);
})
