/* raft_copy.c - a state beside another: what a search branches with. */
#include "raft/raft_int.h"

void raft_copy(struct raft *to, const struct raft *from)
{
    uint64_t mask = from->o.window - 1;
    memcpy(to, from, sizeof *to);
    memcpy(peers_of(to), peers_of(from), from->peer_count * sizeof(struct raft_peer));
    memcpy(runs_of(to) + from->run_begin, runs_of(from) + from->run_begin,
           (from->run_end - from->run_begin) * sizeof(struct raft_run));
    for (uint64_t i = from->warm - (from->warm > 0); i <= from->last; i++) {
        sums_of(to)[i & mask] = sums_of(from)[i & mask];
    }
    for (uint64_t i = from->read_lo; i < from->read_hi; i++) {
        *read_at(to, i) = *read_at(from, i);
    }
}
