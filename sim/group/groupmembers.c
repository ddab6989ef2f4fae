/* groupmembers.c - whom the group consists of, as only somebody who sees all nodes can say.
 *
 * A configuration *may count* if it is the last one that is known to be committed, or one by which
 * a node acts and that stands behind that one in its log; and what the operator's change makes of
 * each of these, as long as its request may still be on its way. Whoever is a quorum of all of them
 * gets on, whichever comes true: a change is one voter at most, and the next one waits for it. */
#include "sim/group/groupworld_int.h"

/* A look at each configuration that may count, one after another. */
struct walk {
    const struct groupworld *g;
    unsigned next; /* 0: the committed one; then those of the nodes */
    bool changed;  /* the next one is the last one, changed */
    struct raft_config config;
};

/* What the request that is on its way would make of it. */
static void change(const struct groupworld *g, struct raft_config *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->members[i].id == g->pending.node + 1) {
            c->members[i].roles = g->pending.votes ? RAFT_IN : 0;
        }
    }
}

static bool walk_next(struct walk *w)
{
    const struct groupworld *g = w->g;
    const struct raft_config *c;
    uint64_t index;
    if (w->changed) {
        w->changed = false;
        change(g, &w->config);
        return true;
    }
    for (; w->next <= g->nodes; w->next++) {
        bool counts = w->next == 0;
        c = &g->config;
        if (w->next > 0 && raftwatch_config(&g->watch, w->next, &c, &index)) {
            counts = index > g->config_index;
        }
        if (counts) {
            w->next++;
            w->config = *c;
            w->changed = g->pending.proc != 0;
            return true;
        }
    }
    return false;
}

static bool has_quorum(const struct raft_config *c, uint8_t role, uint64_t set)
{
    uint32_t voters = 0;
    uint32_t have = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        if ((c->members[i].roles & role) != 0) {
            voters++;
            have += (uint32_t)(set >> (c->members[i].id - 1) & 1);
        }
    }
    return voters == 0 ? role == RAFT_OUT : have > voters / 2;
}

static uint64_t members_of(const struct raft_config *c, uint8_t roles)
{
    uint64_t set = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        if ((c->members[i].roles & roles) != 0) {
            set |= (uint64_t)1 << (c->members[i].id - 1);
        }
    }
    return set;
}

void groupmembers_learn(struct groupworld *g, const struct raft *core)
{
    struct raft_view v;
    raft_view(core, &v);
    if (v.config_index <= v.commit && v.config_index >= g->config_index) {
        g->config_index = v.config_index;
        g->config = *raft_config(core);
    }
}

uint64_t groupmembers_now(const struct groupworld *g)
{
    return members_of(&g->config, RAFT_IN | RAFT_OUT | RAFT_LEARNER);
}

uint64_t groupmembers_voters(const struct groupworld *g)
{
    return members_of(&g->config, RAFT_IN | RAFT_OUT);
}

uint64_t groupmembers_perhaps(const struct groupworld *g)
{
    struct walk w = {.g = g};
    uint64_t set = g->pending.proc != 0 ? (uint64_t)1 << g->pending.node : 0;
    while (walk_next(&w)) {
        set |= members_of(&w.config, RAFT_IN | RAFT_OUT | RAFT_LEARNER);
    }
    return set;
}

bool groupmembers_quorum(const struct groupworld *g, uint64_t set)
{
    struct walk w = {.g = g};
    while (walk_next(&w)) {
        if (!has_quorum(&w.config, RAFT_IN, set) || !has_quorum(&w.config, RAFT_OUT, set)) {
            return false;
        }
    }
    return true;
}
