/* execorder.h - the order in which the node says it executed requests, matched to what clients
 * sent.
 *
 * A client knows its operation by the connection and the number of its request on it; the node
 * names the same pair when it executes it. So every operation of the history gets the place that
 * the node gave it, also those whose reply was lost, and the history can be checked against that
 * order in one pass.
 *
 * What a crash took back (its commit was lost, or failed) has no place. A commit whose fate only a
 * recovery decided gets its place then: nobody can have seen it before. */
#ifndef SIM_CLUSTER_EXECORDER_H
#define SIM_CLUSTER_EXECORDER_H

#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXECORDER_NONE    SIZE_MAX
#define EXECORDER_REFUSED (SIZE_MAX - 1)

struct execorder_record {
    uint64_t conn;
    uint64_t number;
    uint64_t place;
    size_t commit; /* that carries its writes; _NONE: it wrote nothing, _REFUSED: there was none */
    bool wrote;
};

struct execorder {
    struct mem *mem;
    struct execorder_record *records;
    size_t count, cap;
    size_t *slots; /* by (conn, number): index + 1 */
    size_t slot_cap;
    size_t open; /* records from here on may still be executed again or get a commit */
    uint64_t places;
    uint64_t *conns; /* of session id, in this incarnation */
    size_t conn_cap;
};

void execorder_init(struct execorder *o, struct mem *mem);
void execorder_release(struct execorder *o);

/* The node's words. */
void execorder_session(struct execorder *o, uint64_t session, uint64_t conn);
void execorder_executed(struct execorder *o, uint64_t session, uint64_t number, bool wrote);
void execorder_commit(struct execorder *o,
                      size_t commit);          /* begins: of what was executed and wrote */
void execorder_committed(struct execorder *o); /* it succeeded */
void execorder_node_ended(struct execorder *o);

/* A recovery found this commit in place: it happened now. */
void execorder_decided(struct execorder *o, size_t commit);

/* The record of a request, or NULL: it was never executed. */
const struct execorder_record *execorder_find(const struct execorder *o, uint64_t conn,
                                              uint64_t number);

#endif
