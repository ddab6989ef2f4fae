/* lin_digraph.h - a directed graph, and its shortest cycle. Internal to sim/lin.
 *
 * Nodes below `heavy` count one each for the length of a cycle, the others nothing: they only
 * stand for many edges at once. */
#ifndef SIM_LIN_LIN_DIGRAPH_H
#define SIM_LIN_LIN_DIGRAPH_H

#include "sim/lin/lin_rec.h"

struct lin_edge {
    uint32_t from;
    uint32_t to;
};

struct lin_digraph {
    struct mem *mem;
    struct lin_edge *edges;
    size_t edge_count;
    size_t edge_cap;
    uint32_t node_count;
    uint32_t heavy;
    uint32_t *cycle; /* the nodes of the shortest cycle that was found, in order */
    size_t cycle_count;
    size_t cycle_cap;
    size_t cycle_length; /* heavy nodes in it */
};

NODISCARD enum status lin_digraph_edge(struct lin_digraph *g, uint32_t from, uint32_t to);

/* Fills g->cycle; empty when there is none. Of the cycles it is a shortest one, unless the graph
 * is so tangled that the limit of steps ends the search for it: then the best that was found.
 * Linear where there is no cycle. */
NODISCARD enum status lin_digraph_cycle(struct lin_digraph *g);

void lin_digraph_release(struct lin_digraph *g);

#endif
