/* peertest.h - random messages of consensus, and whether two are the same. */
#ifndef TESTS_NODE_PEERTEST_H
#define TESTS_NODE_PEERTEST_H

#include "base/prng.h"
#include "node/peerwire.h"

#define PEERTEST_ENTRIES 40

struct peertest {
    struct peerwire_in in;
    struct raft_item items[PEERTEST_ENTRIES];
    struct raft_entry entries[PEERTEST_ENTRIES];
    struct raft_config config;
    char bytes[8192];
    size_t used;
};

void peertest_random(struct peertest *t, struct prng *g);
void peertest_config(struct raft_config *c, struct prng *g);
bool peertest_config_same(const struct raft_config *a, const struct raft_config *b);
bool peertest_same(const struct peerwire_in *a, const struct peerwire_in *b);

#endif
