/* storemodel.h - what the database should hold: every write of the workload, and for each key the
 * versions that they gave it.
 *
 * Nothing is ever thrown away, so the model can be read as of any moment. A moment is a *cut*: for
 * each worker the number of its writes that are in it. Where several workers write, each batch ends
 * with a put of its worker's stripe, a key whose value is the number of the write; so every view of
 * the database (a snapshot, a scan, what a recovery found) says itself which cut it is, and all
 * other keys have to agree with it. One worker alone may also write without a stripe: then a cut is
 * found by trying the few that are possible.
 *
 * The order of writes is that of their sequence numbers. One whose number is not known (under way,
 * failed, or ended by a crash) is placed when a recovery shows it.
 *
 * Invariants: M1 a worker has one write under way at most   M2 orders of writes that are in the
 * database are different and rise with their numbers for each worker. */
#ifndef SIM_STORE_STOREMODEL_H
#define SIM_STORE_STOREMODEL_H

#include "base/buf.h"
#include "base/err.h"
#include "engine/tkv.h"

#define STOREMODEL_WORKERS 4
#define STOREMODEL_NONE    SIZE_MAX

enum storewrite_state {
    STOREWRITE_PENDING, /* asked, not answered: in the database or not */
    STOREWRITE_OK,
    STOREWRITE_FAILED, /* answered with an error: invisible, and after a crash absent or whole */
    STOREWRITE_LOST,   /* a crash took it, legally */
    STOREWRITE_REPLAY, /* the same, in a database without a log: its owner will write it again */
};

struct storechange {
    enum tkv_change_type type;
    size_t key;         /* index in keys; a range: where it begins */
    size_t end;         /* a range: the first key that it spares, or key_count */
    struct slice value; /* kept */
};

struct storewrite {
    enum storewrite_state state;
    uint32_t worker;
    uint32_t number; /* of this worker's, from 1; without a log also its tag */
    bool sync;
    bool striped;
    bool seen;           /* by a reader while it was pending */
    size_t first, count; /* in changes */
    size_t numbers;      /* that it uses up: a range of nothing is no change */
    uint64_t order;      /* sequence of its last change, once known; else 0 */
    uint64_t after;      /* the highest order that was acknowledged when it began */
};

struct storeversion {
    size_t write;
    bool present;
    struct slice value;
};

struct storekey {
    struct slice key;              /* kept */
    struct storeversion *versions; /* as their writes began */
    size_t count, cap;
};

/* How many writes of each worker are in. */
struct storecut {
    uint32_t upto[STOREMODEL_WORKERS];
    bool last_failed; /* the last of a worker may be one that failed: after a crash only */
};

struct storemodel {
    struct mem *mem;
    const struct tkv_comparator *order; /* NULL: bytewise */
    size_t workers;
    struct storetext *texts; /* bytes that stay where they are: the engine borrows them */
    struct storekey *keys;   /* in order: the data's, and the workers' stripes */
    size_t key_count;
    size_t data_first, data_count;      /* where the data's keys lie among them */
    size_t stripes[STOREMODEL_WORKERS]; /* their index */
    struct storewrite *writes;          /* as they began */
    size_t write_count, write_cap;
    struct storechange *changes;
    size_t change_count, change_cap;
    struct storelist {
        size_t *writes; /* by number - 1 */
        size_t count, cap;
    } lists[STOREMODEL_WORKERS]; /* of each worker */
    uint64_t acked;              /* the highest order acknowledged */
    uint64_t synced;             /* orders up to this survive a power loss */
    uint64_t tag;                /* without a log: tags up to this do */
    bool log;
};

struct storemodel_options {
    size_t workers;
    size_t keys;
    size_t key_padding;
    bool log;
    const struct tkv_comparator *order;
};

void storemodel_init(struct storemodel *m, struct mem *mem, const struct storemodel_options *o);
void storemodel_release(struct storemodel *m);

static inline struct slice storemodel_key(const struct storemodel *m, size_t key)
{
    return m->keys[key].key;
}

int storemodel_compare(const struct storemodel *m, struct slice a, struct slice b);
/* How many keys come before this. */
size_t storemodel_rank(const struct storemodel *m, struct slice key);
/* The key with these bytes, or NONE. */
size_t storemodel_find(const struct storemodel *m, struct slice key);
/* A copy of some bytes, which stays as long as the model. */
struct slice storemodel_keep(struct storemodel *m, struct slice bytes);

/* ---- writes ---- */

/* A new write of that worker, with no changes. Its index. */
size_t storemodel_begin(struct storemodel *m, size_t worker, bool sync, bool striped);
/* To the write that was begun last, before it is asked of the database. */
void storemodel_add(struct storemodel *m, const struct storechange *change);
/* It is asked now. */
void storemodel_asked(struct storemodel *m, size_t write);
/* It returned TKV_OK with this sequence. False with why: the number cannot be (E18). */
bool storemodel_ok(struct storemodel *m, size_t write, uint64_t sequence, struct err *why);
/* It returned an error. False: somebody had read what it wrote (E5). */
bool storemodel_failed(struct storemodel *m, size_t write, struct err *why);
/* Everything up to that order is durable: somebody was told so. */
void storemodel_durable(struct storemodel *m, uint64_t order);

/* ---- reading ---- */

/* What every reader from now on has to see at least. */
void storemodel_low(const struct storemodel *m, struct storecut *cut);
/* The value of a key in a cut; false when it is absent. */
bool storemodel_lookup(const struct storemodel *m, const struct storecut *cut, size_t key,
                       struct slice *value);
/* Could the key have had this value (data NULL: none) in that cut? Where the order of two writes is
 * not known yet, either is right. */
bool storemodel_match(const struct storemodel *m, const struct storecut *cut, size_t key,
                      struct slice value);
/* Could a read that began at `low` and ends now have found this? Marks a pending write as seen. */
bool storemodel_match_now(struct storemodel *m, const struct storecut *low, size_t key,
                          struct slice value);
/* That write is in that cut. */
bool storemodel_in(const struct storemodel *m, const struct storecut *cut, size_t write);

/* "worker 1's write 17 (2 changes, acknowledged, sequence 40)", for reports. */
void storemodel_say(const struct storemodel *m, size_t write, char *text, size_t size);

#endif
