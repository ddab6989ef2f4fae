/* explore.c - see explore.h: the presets, and the search.
 *
 * A state that was found is kept as its digest (so that it is not visited twice), its parent and
 * the move that leads to it from there: 24 to 40 bytes. To expand it, its world is made again from
 * that of an ancestor. States of a level are numbered in the order of their parents, so two that
 * follow each other share nearly all of their way: with the worlds on the way to the last one kept,
 * one level each, a world costs one or two moves. */
#include "sim/explore/explore.h"

#include "base/ck.h"
#include "sim/explore/explworld.h"

#include <stdio.h>
#include <string.h>

#define PROGRESS_EVERY 4096u /* states */
#define SET_MIN        (1u << 16)
#define DEPTH_MAX      200u
#define NO_STATE       UINT32_MAX

static const struct explore_preset presets[] = {
    {.name = "votes",
     .purpose = "elections with crashes: votes count, leave and survive as they must (ES, VD, HS)",
     .nodes = 3,
     .voters = 3,
     .terms = 3,
     .crashes = 1,
     .net = 6},
    {.name = "crashes",
     .purpose = "one term, late disks and four crashes: nothing is said that a disk does not have",
     .nodes = 3,
     .voters = 3,
     .terms = 1,
     .crashes = 4,
     .proposals = 1,
     .net = 6},
    {.name = "prevote",
     .purpose = "the same with pre-votes",
     .nodes = 3,
     .voters = 3,
     .terms = 2,
     .crashes = 1,
     .net = 6,
     .prevote = true},
    {.name = "figure8",
     .purpose = "entries of earlier terms are not committed by counting (3.6.2, figure 3.7)",
     .nodes = 3,
     .voters = 3,
     .terms = 4,
     .net = 4,
     .instant = true,
     .message_entries = 1,
     .prelude = {{1, 2, 1}, {3, 2, 2}}},
    {.name = "stream",
     .purpose = "one leader's appends and heartbeats, late, doubled and reordered in any way (3.5)",
     .nodes = 3,
     .voters = 3,
     .terms = 1,
     .beats = 1,
     .twice = 2,
     .proposals = 2,
     .net = 5,
     .instant = true,
     .prelude = {{1, 2, 1}}},
    {.name = "truncate",
     .purpose = "late, doubled and reordered appends and heartbeats shorten no log (3.5)",
     .nodes = 3,
     .voters = 3,
     .terms = 2,
     .beats = 1,
     .twice = 1,
     .proposals = 2,
     .net = 5,
     .instant = true,
     .prelude = {{1, 2, 1}}},
    {.name = "members",
     .purpose = "a voter is replaced, by way of a joint configuration (4.3)",
     .nodes = 4,
     .voters = 3,
     .terms = 2,
     .changes = 1,
     .net = 6,
     .instant = true,
     .change = {0xe}},
    {.name = "joint",
     .purpose = "the same under one leader: however the change is heard of, and in whatever order",
     .nodes = 4,
     .voters = 3,
     .terms = 1,
     .changes = 1,
     .net = 6,
     .instant = true,
     .change = {0xe}},
    {.name = "reads",
     .purpose = "reads without the log see all that was committed when they were asked (6.4)",
     .nodes = 3,
     .voters = 3,
     .terms = 2,
     .beats = 2,
     .proposals = 1,
     .reads = 1,
     .net = 6,
     .instant = true},
};

const struct explore_preset *explore_at(unsigned i)
{
    return i < sizeof presets / sizeof presets[0] ? &presets[i] : NULL;
}

const struct explore_preset *explore_find(const char *name)
{
    const struct explore_preset *p = NULL;
    for (unsigned i = 0; (p = explore_at(i)) != NULL && strcmp(p->name, name) != 0; i++) {
    }
    return p;
}

const char *explore_name(const struct explore_preset *p)
{
    return p->name;
}

const char *explore_purpose(const struct explore_preset *p)
{
    return p->purpose;
}

const char *explore_mark_name(enum explore_mark m)
{
    static const char *const names[] = {
        "a leader",
        "two leaders at a time",
        "something committed",
        "a durable entry truncated",
        "a change of members",
        "a read served",
        "a vote lost in a crash",
    };
    _Static_assert(sizeof names / sizeof names[0] == EXPLORE_MARKS, "one name a mark");
    return names[m];
}

/* ---- what was seen ---- */

/* Open addressing over digests; 0 is a free place. */
struct seen {
    uint64_t *places;
    uint64_t mask;
    uint64_t count;
};

static bool seen_put(struct seen *s, uint64_t digest)
{
    uint64_t i = digest & s->mask;
    for (; s->places[i] != 0; i = (i + 1) & s->mask) {
        if (s->places[i] == digest) {
            return false;
        }
    }
    s->places[i] = digest;
    s->count++;
    return true;
}

static enum status seen_grow(struct seen *s, struct mem *mem)
{
    uint64_t size = s->places == NULL ? SET_MIN : 2 * (s->mask + 1);
    struct seen next = {mem_zalloc(mem, size * sizeof(uint64_t)), size - 1, 0};
    if (next.places == NULL) {
        return ST_NOMEM;
    }
    for (uint64_t i = 0; s->places != NULL && i <= s->mask; i++) {
        if (s->places[i] != 0) {
            (void)seen_put(&next, s->places[i]); /* it is new there */
        }
    }
    mem_release(mem, s->places);
    *s = next;
    return ST_OK;
}

/* A state: how to get there. */
struct found {
    uint32_t parent;
    explworld_move move;
    uint16_t depth;
};

/* A world on the way to the state that was looked at last. */
struct waypoint {
    uint32_t state;
    struct explworld *world;
};

struct search {
    const struct explore_preset *preset;
    const struct explore_options *o;
    struct mem *mem;
    struct explworld_tools tools;
    struct seen seen;
    struct found *found;
    size_t found_cap;
    struct waypoint way[DEPTH_MAX + 1];
    struct explworld *next; /* where a move is tried */
    struct explore_result *result;
    struct buf *trace;
};

static struct explworld *world_new(struct search *s)
{
    return mem_alloc(s->mem, s->tools.size);
}

static enum status remember(struct search *s, uint32_t parent, explworld_move move, uint16_t depth)
{
    uint64_t n = s->result->end.states;
    if (n == s->found_cap) {
        size_t cap = s->found_cap == 0 ? SET_MIN : 2 * s->found_cap;
        struct found *more =
            n < NO_STATE / 2 ? mem_alloc(s->mem, cap * sizeof *more) : (struct found *)NULL;
        if (more == NULL) {
            return ST_NOMEM;
        }
        if (n > 0) {
            memcpy(more, s->found, n * sizeof *more);
        }
        mem_release(s->mem, s->found);
        s->found = more;
        s->found_cap = cap;
    }
    s->found[n] = (struct found){parent, move, depth};
    s->result->end.states++;
    return ST_OK;
}

/* The world of a state, made again; NULL: no memory. */
static struct explworld *world_of(struct search *s, uint32_t state)
{
    uint32_t depth = s->found[state].depth;
    uint32_t path[DEPTH_MAX + 1];
    uint32_t at = state;
    uint32_t known = depth;
    for (; s->way[known].world == NULL || s->way[known].state != at; known--) {
        path[known] = at;
        at = s->found[at].parent;
    }
    for (uint32_t d = known + 1; d <= depth; d++) {
        struct waypoint *p = &s->way[d];
        p->world = p->world == NULL ? world_new(s) : p->world;
        if (p->world == NULL) {
            return NULL;
        }
        explworld_copy(p->world, s->way[d - 1].world);
        explworld_make(&s->tools, p->world, s->found[path[d]].move);
        p->state = path[d];
    }
    return s->way[depth].world;
}

/* ---- the run that led to a violation ---- */

static void trace_number(struct buf *out, uint32_t n)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%4u  ", n);
    enum status st = buf_append(out, text, strlen(text));
    (void)st; /* a trace that ends early is better than none */
}

static void trace_write(struct search *s, uint32_t state, explworld_move last)
{
    explworld_move moves[DEPTH_MAX + 2];
    uint32_t depth = s->found[state].depth;
    moves[depth] = last;
    for (uint32_t d = depth, at = state; d > 0; d--, at = s->found[at].parent) {
        moves[d - 1] = s->found[at].move;
    }
    struct explworld *w = s->next;
    explworld_copy(w, s->way[0].world);
    for (uint32_t i = 0; i <= depth; i++) {
        trace_number(s->trace, i + 1);
        explworld_tell(w, moves[i], s->trace);
        explworld_make(&s->tools, w, moves[i]);
        explworld_show(w, s->trace);
    }
    s->result->trace_moves = depth + 1;
}

/* ---- the search ---- */

/* Tries one move from a state. False: the search is over. */
static bool try_move(struct search *s, uint32_t state, const struct explworld *from,
                     explworld_move move)
{
    struct explore_result *r = s->result;
    struct explworld *w = s->next;
    explworld_copy(w, from);
    w->lost = 0;
    explworld_make(&s->tools, w, move);
    r->end.moves++;
    r->lost += w->lost;
    if (w->what[0] != '\0') {
        r->violated = true;
        memcpy(r->what, w->what, sizeof r->what);
        trace_write(s, state, move);
        return false;
    }
    if (w->cut) {
        r->cut++;
        return true;
    }
    r->reached |= w->marks;
    if (2 * s->seen.count > s->seen.mask && seen_grow(&s->seen, s->mem) != ST_OK) {
        r->st = ST_NOMEM;
        return false;
    }
    uint64_t digest = explworld_digest(w);
    if (seen_put(&s->seen, digest != 0 ? digest : 1)) {
        r->st = remember(s, state, move, (uint16_t)(s->found[state].depth + 1));
    }
    return r->st == ST_OK;
}

/* All moves from one state. False: the search is over. */
static bool expand(struct search *s, uint32_t state)
{
    explworld_move moves[EXPLWORLD_MOVES];
    struct explworld *w = world_of(s, state);
    if (w == NULL) {
        s->result->st = ST_NOMEM;
        return false;
    }
    uint32_t count = explworld_moves(w, moves);
    for (uint32_t i = 0; i < count; i++) {
        if (!try_move(s, state, w, moves[i])) {
            return false;
        }
    }
    return true;
}

static bool limits_allow(struct search *s)
{
    const struct explore_progress *p = &s->result->end;
    uint32_t most =
        s->o->depth_max != 0 && s->o->depth_max < DEPTH_MAX ? s->o->depth_max : DEPTH_MAX;
    if (p->depth >= most || (s->o->states_max != 0 && p->states >= s->o->states_max)) {
        return false;
    }
    return p->expanded % PROGRESS_EVERY != 0 || s->o->progress == NULL ||
           s->o->progress(s->o->arg, p);
}

static void search_run(struct search *s)
{
    struct explore_progress *p = &s->result->end;
    while (p->expanded < p->states) {
        p->depth = s->found[p->expanded].depth;
        if (!limits_allow(s) || !expand(s, (uint32_t)p->expanded)) {
            return;
        }
        p->expanded++;
    }
    s->result->complete = true;
}

static enum status search_begin(struct search *s)
{
    enum status st = explworld_tools_init(&s->tools, s->mem, s->preset);
    if (st != ST_OK) {
        return st;
    }
    s->way[0] = (struct waypoint){0, world_new(s)};
    s->next = world_new(s);
    if (s->way[0].world == NULL || s->next == NULL) {
        return ST_NOMEM;
    }
    explworld_begin(&s->tools, s->way[0].world, s->preset);
    CK(s->way[0].world->what[0] == '\0' && !s->way[0].world->cut);
    st = seen_grow(&s->seen, s->mem);
    if (st == ST_OK) {
        (void)seen_put(&s->seen, explworld_digest(s->way[0].world)); /* the first one is new */
        st = remember(s, NO_STATE, 0, 0);
    }
    return st;
}

void explore_run(const struct explore_preset *p, const struct explore_options *o, struct mem *mem,
                 struct explore_result *result, struct buf *trace)
{
    *result = (struct explore_result){.st = ST_OK};
    struct search *s = mem_zalloc(mem, sizeof *s);
    if (s == NULL) {
        result->st = ST_NOMEM;
        return;
    }
    *s = (struct search){.preset = p, .o = o, .mem = mem, .result = result, .trace = trace};
    result->st = search_begin(s);
    if (result->st == ST_OK) {
        search_run(s);
    }
    for (uint32_t d = 0; d <= DEPTH_MAX; d++) {
        mem_release(mem, s->way[d].world);
    }
    mem_release(mem, s->next);
    mem_release(mem, s->seen.places);
    mem_release(mem, s->found);
    explworld_tools_release(&s->tools);
    mem_release(mem, s);
}
