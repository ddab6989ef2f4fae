/* epoch.h - when may memory go that readers without a lock may still look at?
 *
 * A reader enters, follows pointers, exits. A writer unlinks an item, so that nobody who enters
 * from then on can find it, and retires it; it is freed once everybody who could have found it has
 * left. Entering is one compare-and-swap on a word that this thread finds by the address of its
 * stack (there are no thread-locals here), leaving is one store: no line is shared with other
 * readers as long as their stacks hash apart. When every word is taken, readers are counted
 * instead: nothing limits how many there may be, and nobody ever waits to enter.
 *
 * Why it is right. `now` counts retirings. A reader loads it and then claims a word with the value
 * v that it saw. Retiring adds one to it and stamps the item with the result, `at`. A scan reads
 * every word by adding zero to it: a read-modify-write, so that it has a place in the word's one
 * order of changes.
 *   - The scan finds v >= at: that load of `now` read what retiring wrote, or something later in
 *     its chain of read-modify-writes. So the unlinking happens before all that the reader does,
 * and it cannot find the item.
 *   - The scan finds v < at: the reader may have found the item. It stays.
 *   - The scan finds 0, or a reader with v >= at: whoever held the word before and left it with a
 *     releasing store did his reading before the scan, which acquires. Whoever claims the word
 *     after the scan acquires what the scan released (or a later change of its chain), and the
 * unlinking is before that: he cannot find the item. The order of changes of one single word
 * decides every case, so no fence and no sequentially consistent access is needed, and a race
 * detector follows the argument. The price is paid by the scan: one atomic addition a word, for
 * many items at once. The counters of the readers without a word work the same way: one that a scan
 * finds at 0 proves that everybody who entered by it has left, and that who enters later cannot
 * find what was retired before. There are two, so that one can drain while newcomers take the
 * other.
 *
 * Invariants
 *   E1  an item is freed once, after every reader who entered before it was unlinked has left;
 *       tests epoch__a_reader_keeps_what_it_can_see, epoch__threads
 *   E2  stamps of waiting items ascend (CK)
 *   E3  who leaves holds what he leaves with (CK)
 *
 * Failure: only epoch_init can fail (ST_NOMEM).
 *
 * Ownership: an item belongs to the epoch from retiring until its drop function is called. Drop
 * functions run in epoch_reclaim and epoch_release alone, with no lock of the epoch held: in
 * whichever thread calls them. They may retire further items.
 *
 * Determinism: which word a reader gets depends on addresses; nothing that a caller can see does.
 */
#ifndef ENGINE_EPOCH_H
#define ENGINE_EPOCH_H

#include "base/status.h"
#include "env/env.h"

#include <stdbool.h>
#include <stdint.h>

#define EPOCH_LINES  64u /* cache lines of words; a thread has a home line */
#define EPOCH_WORDS  4u  /* of a line: what a thread enters several times */
#define EPOCH_SLOTS  (EPOCH_LINES * EPOCH_WORDS) /* below: owned; from here: counted readers */
#define EPOCH_PLACES (EPOCH_SLOTS + 2)           /* what epoch_enter returns is below this */

struct epoch_line;

struct epoch_item {
    struct epoch_item *next;
    uint64_t at;
    void (*drop)(struct epoch_item *item);
};

struct epoch {
    struct env *env;          /* borrowed */
    void *block;              /* owned: the memory of lines */
    struct epoch_line *lines; /* aligned */
    uint64_t now;             /* atomic */
    uint64_t waiting;         /* items; atomic */
    uint64_t phase;           /* which count newcomers without a word take; atomic */
    struct env_mutex mutex;   /* guards what follows */
    struct epoch_item *first, *last;
    unsigned blocker;    /* the slot that held back most in the last scan */
    uint64_t drained[2]; /* a count of readers was 0 when `now` was at least this */
};

NODISCARD enum status epoch_init(struct epoch *e, struct env *env);

/* Nobody reads any more: frees all that waits. Safe on a zeroed struct. */
void epoch_release(struct epoch *e);

/* What was linked when this returns stays until epoch_exit with the same slot. A thread may enter
 * several times. The slot is below EPOCH_PLACES; below EPOCH_SLOTS nobody else has it until exit.
 */
unsigned epoch_enter(struct epoch *e);
void epoch_exit(struct epoch *e, unsigned slot);

/* Hands over an item that nobody can find any more who enters from now on: what led to it has been
 * stored before. Frees nothing itself; takes the epoch's mutex for a moment. */
void epoch_retire(struct epoch *e, struct epoch_item *item, void (*drop)(struct epoch_item *item));

/* Frees what nobody can see. True: something still waits. To be called without any lock that a drop
 * function takes. Costs one load when nothing waits. */
bool epoch_reclaim(struct epoch *e);

/* Items that wait, at a glance: to decide whether reclaiming is worth it. */
uint64_t epoch_waiting(const struct epoch *e);

#endif
