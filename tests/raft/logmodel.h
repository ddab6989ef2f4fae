/* logmodel.h - what a Raft log should say: a plain model, and random writes for both.
 *
 * A logmodel holds the state after each write (the log in a test is short), so that what a crash
 * left can be compared with each state that it may be. Payloads are made from a tag and a size. */
#ifndef TESTS_RAFT_LOGMODEL_H
#define TESTS_RAFT_LOGMODEL_H

#include "base/prng.h"
#include "raft/raftlog.h"

#include <stdbool.h>

#define LOGMODEL_ENTRIES 512 /* the most between base and last */
#define LOGMODEL_WRITES  512

struct logmodel_entry {
    uint64_t term;
    uint64_t tag;
    uint32_t size;
    uint8_t kind;
};

struct logmodel_state {
    struct raft_hard hard;
    struct raft_place base;
    struct raft_place snapshot;
    uint64_t snapshot_tag;
    uint64_t last;
    struct logmodel_entry entries[LOGMODEL_ENTRIES]; /* of (base.index, last] */
};

struct logmodel {
    uint64_t count;                                     /* writes since the beginning */
    struct logmodel_state *states[LOGMODEL_WRITES + 1]; /* states[n]: after n writes; owned */
    uint64_t durable;                                   /* writes that were said to be durable */
    struct prng prng;
    uint32_t size_max; /* of a payload */
    uint64_t history;  /* writes before this life: seq = n - history */
    bool catches_up;   /* entries of several terms come in one write, and truncations before them */
};

/* The founding configuration, as raftlog_create wants it. */
struct raftlog_snapshot logmodel_founding(void);
struct raftlog_identity logmodel_identity(void);

void logmodel_init(struct logmodel *m, uint64_t seed);
void logmodel_release(struct logmodel *m);

/* The present state. */
struct logmodel_state *logmodel_now(struct logmodel *m);

/* Forgets all states but number n, which becomes the present and durable one. */
void logmodel_settle(struct logmodel *m, uint64_t n);

/* One random write: appended to the log, then to the model if it was taken. */
enum status logmodel_write(struct logmodel *m, struct raftlog *log);

/* Whole writes by hand. */
enum status logmodel_append(struct logmodel *m, struct raftlog *log, uint64_t term, size_t count,
                            uint32_t size);
enum status logmodel_truncate(struct logmodel *m, struct raftlog *log, uint64_t from);
enum status logmodel_hard(struct logmodel *m, struct raftlog *log, uint64_t term, uint64_t vote);
enum status logmodel_snapshot(struct logmodel *m, struct raftlog *log, struct raft_place place,
                              bool keep);
enum status logmodel_compact(struct logmodel *m, struct raftlog *log, uint64_t index);
/* Appends a repair of [lo, hi) with what the model has; it changes nothing in the model. */
enum status logmodel_repair(struct logmodel *m, struct raftlog *log, uint64_t lo, uint64_t hi);

/* Makes all durable. */
enum status logmodel_sync(struct logmodel *m, struct raftlog *log);

/* What a log says against a state. With `masked`, entries that are damaged are passed over. Says in
 * `why` (may be NULL) what differs first. */
bool logmodel_equal(const struct logmodel_state *s, struct raftlog *log, bool masked,
                    char why[160]);
/* The same for what its start says, entries apart. */
bool logmodel_start_equal(const struct logmodel_state *s, const struct raftlog_start *start,
                          char why[160]);

/* The number of the state that a freshly opened log is in, the latest if several are equal; -1:
 * none from m->durable on. */
long logmodel_find(struct logmodel *m, struct raftlog *log, char why[160]);

#endif
