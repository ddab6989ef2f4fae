/* faketkv.h - an engine for tests of the node: a sorted array in memory, with failures on order.
 *
 * It stands in for engine/ at link time. One database at a time; no files. */
#ifndef TESTS_NODE_FAKETKV_H
#define TESTS_NODE_FAKETKV_H

#include "engine/tkv.h"

struct faketkv_knobs {
    enum tkv_status write_fails; /* what the next `fail_count` writes say */
    int fail_count;
    enum tkv_status read_fails; /* what every read says, when not TKV_OK */
    long writes;                /* tkv_write calls */
    long syncs;                 /* of them with sync */
    uint32_t last_count;        /* changes in the last one */
};

struct faketkv_knobs *faketkv_knobs(void);

#endif
