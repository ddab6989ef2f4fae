/* memberview.h - what a member knows of the group's nodes beyond its replica, for people: who is
 * where, and who of the founders has not been met yet. member_look fills it; INFO and RAFT MEMBERS
 * show it. */
#ifndef NODE_MEMBERVIEW_H
#define NODE_MEMBERVIEW_H

#include "env/addr.h"
#include "node/roster.h"

struct memberview_row {
    uint64_t id;
    bool met;                    /* it has this node's disk noted; only while `waits` */
    char peers[ADDR_TEXT_MAX];   /* where other nodes reach it; "": not known */
    char clients[ADDR_TEXT_MAX]; /* where clients do */
};

struct memberview {
    bool waits; /* it takes part when all founders have met it */
    uint32_t count;
    struct memberview_row rows[ROSTER_ROWS_MAX];
};

/* The row of that node; NULL: none. */
static inline const struct memberview_row *memberview_find(const struct memberview *v, uint64_t id)
{
    for (uint32_t i = 0; i < v->count; i++) {
        if (v->rows[i].id == id) {
            return &v->rows[i];
        }
    }
    return NULL;
}

#endif
