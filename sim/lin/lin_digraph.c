/* lin_digraph.c - see lin_digraph.h. Components after Tarjan (1972), without recursion; then a
 * breadth-first walk from each node of a component back to itself. */
#include "sim/lin/lin_digraph.h"

#define WALK_MAX 20000000u /* edges looked at in search of the shortest cycle */

/* The edges by node, and what the walks need for each node. */
struct walk {
    uint32_t *first; /* node n has the edges to[first[n], first[n + 1]) */
    uint32_t *to;
    uint32_t *at;    /* the next edge to look at */
    uint32_t *index; /* order of discovery, 0: not yet */
    uint32_t *low;
    uint32_t *component; /* LIN_NONE: not known yet; 0: alone */
    uint32_t *path;
    uint32_t *stack;
    uint32_t *parent;
    uint32_t *seen; /* in which walk */
    uint32_t walks;
    uint32_t components;
    uint64_t steps;
};

enum status lin_digraph_edge(struct lin_digraph *g, uint32_t from, uint32_t to)
{
    enum status st = lin_grow(g->mem, &g->edges, &g->edge_cap, g->edge_count + 1, sizeof *g->edges);
    if (st == ST_OK) {
        g->edges[g->edge_count++] = (struct lin_edge){from, to};
    }
    return st;
}

void lin_digraph_release(struct lin_digraph *g)
{
    if (g->mem != NULL) {
        mem_release(g->mem, g->edges);
        mem_release(g->mem, g->cycle);
    }
    *g = (struct lin_digraph){0};
}

/* All arrays in one block that begins at w->first. */
static enum status walk_init(struct walk *w, const struct lin_digraph *g)
{
    size_t n = g->node_count;
    w->first = mem_zalloc(g->mem, (9 * n + 1 + g->edge_count) * sizeof *w->first);
    if (w->first == NULL) {
        return ST_NOMEM;
    }
    w->at = w->first + n + 1;
    w->index = w->at + n;
    w->low = w->index + n;
    w->component = w->low + n;
    w->path = w->component + n;
    w->stack = w->path + n;
    w->parent = w->stack + n;
    w->seen = w->parent + n;
    w->to = w->seen + n;
    for (size_t i = 0; i < g->edge_count; i++) {
        w->first[g->edges[i].from + 1]++;
    }
    for (size_t i = 0; i < n; i++) {
        w->first[i + 1] += w->first[i];
        w->at[i] = w->first[i];
        w->component[i] = LIN_NONE;
    }
    for (size_t i = 0; i < g->edge_count; i++) {
        w->to[w->at[g->edges[i].from]++] = g->edges[i].to;
    }
    for (size_t i = 0; i < n; i++) {
        w->at[i] = w->first[i];
    }
    return ST_OK;
}

/* Takes the component of `node` off the stack. */
static void close_component(struct walk *w, uint32_t node, size_t *stack_count)
{
    bool alone = w->stack[*stack_count - 1] == node;
    uint32_t number = alone ? 0 : ++w->components;
    uint32_t top;
    do {
        top = w->stack[--*stack_count];
        w->component[top] = number;
    } while (top != node);
}

static void components_from(struct walk *w, uint32_t root, uint32_t *next_index)
{
    size_t path_count = 0;
    size_t stack_count = 0;
    w->path[path_count++] = root;
    while (path_count > 0) {
        uint32_t node = w->path[path_count - 1];
        if (w->index[node] == 0) {
            w->index[node] = ++*next_index;
            w->low[node] = *next_index;
            w->stack[stack_count++] = node;
        }
        if (w->at[node] < w->first[node + 1]) {
            uint32_t to = w->to[w->at[node]++];
            if (w->index[to] == 0) {
                w->path[path_count++] = to;
            } else if (w->component[to] == LIN_NONE && w->index[to] < w->low[node]) {
                w->low[node] = w->index[to];
            }
            continue;
        }
        if (w->low[node] == w->index[node]) {
            close_component(w, node, &stack_count);
        }
        path_count--;
        if (path_count > 0) {
            uint32_t up = w->path[path_count - 1];
            w->low[up] = w->low[node] < w->low[up] ? w->low[node] : w->low[up];
        }
    }
}

/* The way that the parents tell, from `end` back to `start`. */
static enum status take_cycle(struct lin_digraph *g, const struct walk *w, uint32_t start,
                              uint32_t end, size_t length)
{
    enum status st = ST_OK;
    g->cycle_count = 0;
    g->cycle_length = length;
    for (uint32_t n = end;; n = w->parent[n]) {
        st = lin_grow(g->mem, &g->cycle, &g->cycle_cap, g->cycle_count + 1, sizeof *g->cycle);
        if (st != ST_OK) {
            return st;
        }
        g->cycle[g->cycle_count++] = n;
        if (n == start) {
            break;
        }
    }
    for (size_t i = 0; i < g->cycle_count / 2; i++) {
        uint32_t swap = g->cycle[i];
        g->cycle[i] = g->cycle[g->cycle_count - 1 - i];
        g->cycle[g->cycle_count - 1 - i] = swap;
    }
    return ST_OK;
}

/* From a heavy node back to itself, if that is shorter than what is known. Nodes at this distance
 * are on w->path, those one further on w->stack. */
static enum status walk_from(struct lin_digraph *g, struct walk *w, uint32_t start)
{
    size_t here = 0;
    size_t further = 0;
    size_t length = 1;
    w->walks++;
    w->path[here++] = start;
    while (g->cycle_length == 0 || length < g->cycle_length) {
        while (here > 0) {
            uint32_t node = w->path[--here];
            for (uint32_t e = w->first[node]; e < w->first[node + 1]; e++) {
                uint32_t to = w->to[e];
                w->steps++;
                if (to == start) {
                    return take_cycle(g, w, start, node, length);
                }
                if (w->seen[to] == w->walks || w->component[to] != w->component[start]) {
                    continue;
                }
                w->seen[to] = w->walks;
                w->parent[to] = node;
                if (to < g->heavy) {
                    w->stack[further++] = to;
                } else {
                    w->path[here++] = to;
                }
            }
        }
        if (further == 0) {
            break;
        }
        uint32_t *swap = w->path;
        w->path = w->stack;
        w->stack = swap;
        here = further;
        further = 0;
        length++;
    }
    return ST_OK;
}

enum status lin_digraph_cycle(struct lin_digraph *g)
{
    struct walk w = {0};
    uint32_t next_index = 0;
    g->cycle_count = 0;
    g->cycle_length = 0;
    enum status st = walk_init(&w, g);
    for (uint32_t i = 0; i < g->node_count && st == ST_OK; i++) {
        if (w.index[i] == 0) {
            components_from(&w, i, &next_index);
        }
    }
    for (uint32_t i = 0; i < g->heavy && st == ST_OK && w.components > 0; i++) {
        bool more = g->cycle_length == 0 || w.steps < WALK_MAX;
        if (w.component[i] != 0 && more) {
            st = walk_from(g, &w, i);
        }
    }
    mem_release(g->mem, w.first);
    return st;
}
