/* roster.h - what a member of a group knows of itself and of the others beside its log: whose disk
 * this is, the disk on which each other member was first met, and where they are reached.
 *
 * One small file, `roster`, in the node's directory, written anew and renamed at each change, in
 * two copies of which reading needs one (docs/format-roster.md).
 *
 * Invariants (tests/node/test_roster.c): I1 after ST_OK of roster_save, whatever crashes, loads
 * what was saved; before, that or what was there   I2 a sector of it that is damaged loses nothing.
 * Failure: NOSPC IO NOMEM ROFS: what was there is there. ST_CORRUPT: neither copy is whole, or they
 * are of another version (ST_UNSUPPORTED). Ownership: plain data. */
#ifndef NODE_ROSTER_H
#define NODE_ROSTER_H

#include "base/err.h"
#include "env/env.h"
#include "raft/rafttypes.h"

#define ROSTER_FILE     "roster"
#define ROSTER_NAME_MAX 64u
#define ROSTER_ROWS_MAX RAFT_MEMBERS_MAX

struct roster_row {
    uint64_t id;
    uint64_t incarnation;
    uint64_t disk;        /* on which it was first met; 0: it was not yet */
    struct env_addr addr; /* family 0: not known */
    bool ruled;           /* the group's own rows say so; not saved */
};

struct roster {
    /* whose disk this is */
    char cluster[ROSTER_NAME_MAX + 1]; /* the group's name */
    uint64_t id;
    uint64_t incarnation;
    uint64_t disk; /* drawn when this was made; never 0 */
    bool founder;
    bool made;  /* its log was: from then on it must be there */
    bool known; /* all members that could forget it have this disk on theirs: it may speak */
    /* the members, itself among them */
    uint32_t count;
    struct roster_row rows[ROSTER_ROWS_MAX];
};

/* ST_NOENT: there is none. */
NODISCARD enum status roster_load(struct env *env, const char *dir, struct roster *r,
                                  struct err *err);

/* There is one in dir, readable or not. */
bool roster_is(struct env *env, const char *dir);

NODISCARD enum status roster_save(struct env *env, const char *dir, const struct roster *r);

/* NULL: none. The row of that id, of whatever incarnation; there is at most one of each id. */
struct roster_row *roster_find(struct roster *r, uint64_t id);

#endif
