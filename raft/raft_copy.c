/* raft_copy.c - a state beside another: what a search branches with; or in more room. */
#include "raft/raft_int.h"

/* The arrays, as far as they are in use; the head is copied. */
static void arrays_copy(struct raft *to, const struct raft *from)
{
    uint64_t mask = from->o.window - 1;
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

void raft_copy(struct raft *to, const struct raft *from)
{
    memcpy(to, from, sizeof *to);
    arrays_copy(to, from);
}

struct raft *raft_copy_grown(void *memory, const struct raft *from, uint32_t runs)
{
    struct raft *to = (struct raft *)memory;
    struct raft_options o = from->o;
    CK(runs >= o.runs);
    o.runs = runs;
    memset(memory, 0, raft_size(&o));
    memcpy(to, from, sizeof *to);
    to->o = o;
    arrays_copy(to, from);
    return to;
}
