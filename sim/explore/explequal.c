/* explequal.c - when two worlds are the same: equal but for which node has which number.
 *
 * Each node gets a signature that does not depend on numbers; nodes in the order of these get new
 * numbers, and the world is digested under them. Among nodes that look alike all orders are tried
 * and the least digest counts. What has no order (messages in flight, members) goes in as a sum. */
#include "base/hash.h"
#include "sim/explore/explworld.h"

/* A packed entry, with its members renamed. */
static uint64_t entry_named(struct explworld_entry e, const uint64_t *names)
{
    uint64_t what = e.what;
    if (e.kind == RAFT_CONFIG) {
        what = 0;
        for (uint32_t id = 1; id <= EXPLWORLD_NODES; id++) {
            uint64_t roles = e.what >> (EXPLWORLD_ROLE_BITS * (id - 1)) & EXPLWORLD_ROLE_MASK;
            what += HASH_FOLD(roles, names[id]) * (roles != 0); /* a sum: in any order of names */
        }
    }
    return HASH_FOLD(what, e.term, e.kind);
}

static uint64_t entries_named(uint64_t h, const struct explworld_entry *e, uint64_t count,
                              const uint64_t *names)
{
    h = hash_add(h, count);
    for (uint64_t i = 0; i < count; i++) {
        h = hash_add(h, entry_named(e[i], names));
    }
    return h;
}

/* A read's probe names its asker's life: there is one only (explworld_tools_init). */
static uint64_t probe_of(const struct raft_msg *m)
{
    return m->type == RAFT_MSG_READ || m->type == RAFT_MSG_READ_REPLY ? 0 : m->probe;
}

static uint64_t msg_named(const struct explworld_msg *x, const uint64_t *names)
{
    const struct raft_msg *m = &x->m;
    uint64_t h =
        HASH_FOLD(3, m->type, m->ok, m->transfer, m->outcome, names[m->from], names[m->to], m->term,
                  m->session, probe_of(m), m->place.index, m->place.term, m->index);
    h = HASH_FOLD(h, m->accepted, m->commit, m->campaign, m->context);
    return entries_named(h, x->entries, m->count, names);
}

static uint64_t node_named(const struct explworld *w, uint64_t id, const uint64_t *names)
{
    const struct explworld_node *n = &w->node[id];
    const struct explore_preset *p = w->preset;
    uint64_t seq = explworld_view(w, id).write_seq;
    uint64_t h = raft_digest_timeless(explworld_core(w, id), names);
    h = HASH_FOLD(h, names[id], id <= p->voters, p->change[0] >> (id - 1) & 1,
                  p->change[1] >> (id - 1) & 1, n->hard.term, names[n->hard.vote], n->write_count,
                  n->held_count);
    h = entries_named(h, n->log + 1, n->last, names);
    h = entries_named(h, n->disk + 1, n->disk_last, names);
    for (uint32_t i = 0; i < n->write_count; i++) {
        const struct explworld_write *x = &n->writes[i];
        h = HASH_FOLD(h, seq - x->seq, x->has_hard, x->hard.term, names[x->hard.vote], x->truncate,
                      x->lo);
        h = entries_named(h, x->entries, x->hi - x->lo, names);
    }
    for (uint32_t i = 0; i < n->held_count; i++) {
        h = HASH_FOLD(h, seq - n->held[i].after, msg_named(&n->held[i], names));
    }
    return h;
}

static uint64_t world_named(const struct explworld *w, const uint64_t *names)
{
    uint64_t sum = 0;
    for (uint64_t id = 1; id <= w->preset->nodes; id++) {
        sum += hash_mix(node_named(w, id, names));
    }
    for (uint32_t i = 0; i < w->net_count; i++) {
        sum += hash_mix(msg_named(&w->net[i], names));
    }
    uint64_t h = HASH_FOLD(sum, w->crashes, w->beats, w->twice, w->proposals, w->reads, w->changes);
    for (uint32_t i = 0; i <= w->preset->terms; i++) {
        h = hash_add(h, names[w->leader[i]]);
    }
    for (uint32_t i = 0; i < w->reads; i++) {
        h = hash_add(h, w->asked[i]);
    }
    for (uint64_t i = 1; i <= w->committed; i++) {
        h = hash_add(h, w->agreed_in[i]);
    }
    return entries_named(h, w->agreed + 1, w->committed, names);
}

/* What a node is, with the messages from and to it, seen without telling the others apart. */
static uint64_t signature(const struct explworld *w, uint64_t id)
{
    uint64_t names[EXPLWORLD_NODES + 1] = {0, 2, 2, 2, 2, 2};
    names[id] = 1;
    uint64_t sum = node_named(w, id, names);
    for (uint32_t i = 0; i < w->net_count; i++) {
        if (w->net[i].m.from == id || w->net[i].m.to == id) {
            sum += hash_mix(msg_named(&w->net[i], names));
        }
    }
    return sum;
}

/* Tries all orders among nodes that look alike; order[from..] are still free. */
static uint64_t least_named(const struct explworld *w, uint64_t *order, const uint64_t *signatures,
                            uint32_t from)
{
    uint32_t count = w->preset->nodes;
    if (from + 1 >= count) {
        uint64_t names[EXPLWORLD_NODES + 1] = {0};
        for (uint32_t i = 0; i < count; i++) {
            names[order[i]] = i + 1;
        }
        return world_named(w, names);
    }
    uint64_t least = UINT64_MAX;
    for (uint32_t i = from; i < count && signatures[order[i]] == signatures[order[from]]; i++) {
        uint64_t other = order[i];
        order[i] = order[from];
        order[from] = other;
        uint64_t h = least_named(w, order, signatures, from + 1);
        least = h < least ? h : least;
        order[from] = order[i];
        order[i] = other;
    }
    return least;
}

uint64_t explworld_digest(const struct explworld *w)
{
    uint64_t signatures[EXPLWORLD_NODES + 1];
    uint64_t order[EXPLWORLD_NODES];
    uint32_t count = w->preset->nodes;
    for (uint32_t id = 1; id <= count; id++) {
        uint32_t i = id - 1;
        signatures[id] = signature(w, id);
        for (; i > 0 && signatures[order[i - 1]] > signatures[id]; i--) {
            order[i] = order[i - 1];
        }
        order[i] = id;
    }
    return least_named(w, order, signatures, 0);
}
