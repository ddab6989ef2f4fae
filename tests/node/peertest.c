/* peertest.c - see peertest.h. */
#include "tests/node/peertest.h"

#include "node/confcode.h"

#include <string.h>

/* Small, edge or any. */
static uint64_t number(struct prng *g)
{
    switch (prng_below(g, 4)) {
    case 0:
        return 0;
    case 1:
        return prng_below(g, 300);
    case 2:
        return UINT64_MAX - prng_below(g, 2);
    default:
        return prng_next(g);
    }
}

void peertest_config(struct raft_config *c, struct prng *g)
{
    uint64_t id = 0;
    c->count = 0;
    while (c->count < RAFT_MEMBERS_MAX && prng_below(g, 8) != 0) {
        id += 1 + prng_below(g, prng_below(g, 4) == 0 ? UINT64_MAX / 128 : 3);
        c->members[c->count++] = (struct raft_member){
            .id = id, .incarnation = number(g), .roles = (uint8_t)prng_below(g, 8)};
    }
}

static void entry_make(struct peertest *t, struct prng *g, uint32_t i)
{
    struct raft_entry *e = &t->entries[i];
    bool propose = t->in.msg.type == RAFT_MSG_PROPOSE;
    uint64_t first = t->in.msg.place.index + (t->in.msg.type == RAFT_MSG_APPEND);
    size_t size = prng_below(g, 3) == 0 ? 0 : prng_below(g, 100);
    char *to = t->bytes + t->used;
    for (size_t k = 0; k < size; k++) {
        to[k] = (char)prng_next(g);
    }
    *e = (struct raft_entry){.index = propose ? 0 : first + i,
                             .term = propose ? 0 : 1 + prng_below(g, 3),
                             .kind = prng_below(g, 10) == 0 ? RAFT_NOOP : RAFT_COMMAND};
    t->items[i].config = NULL;
    if (i == 7) {
        e->kind = RAFT_CONFIG;
        peertest_config(&t->config, g);
        size = confcode_write(&t->config, to);
        t->items[i].config = &t->config;
    }
    e->data = slice_of(to, size);
    t->used += size;
    t->items[i].term = e->term;
    t->items[i].kind = (uint8_t)e->kind;
    t->items[i].bytes = (uint32_t)size;
}

void peertest_random(struct peertest *t, struct prng *g)
{
    struct raft_msg *m = &t->in.msg;
    memset(t, 0, sizeof *t);
    *m = (struct raft_msg){
        .type = (uint8_t)(1 + prng_below(g, RAFT_MSG_TYPES - 1)),
        .ok = prng_below(g, 2) == 0,
        .transfer = prng_below(g, 2) == 0,
        .outcome = (uint8_t)prng_below(g, RAFT_OUTCOMES),
        .cluster = number(g),
        .from = number(g),
        .to = number(g),
        .term = number(g),
        .incarnation = number(g),
        .session = number(g),
        .probe = number(g),
        .stamp = number(g),
        .place = {1 + prng_below(g, 1000), number(g)},
        .index = number(g),
        .accepted = number(g),
        .commit = number(g),
        .campaign = number(g),
        .context = number(g),
    };
    bool carries = m->type == RAFT_MSG_APPEND || m->type == RAFT_MSG_FETCH_REPLY ||
                   m->type == RAFT_MSG_PROPOSE;
    m->count = carries ? (uint32_t)prng_below(g, PEERTEST_ENTRIES) : 0;
    for (uint32_t i = 0; i < m->count; i++) {
        entry_make(t, g, i);
    }
    m->items = m->count > 0 ? t->items : NULL;
    t->in.entries = m->count > 0 ? t->entries : NULL;
    if (m->type == RAFT_MSG_SNAPSHOT) {
        peertest_config(&t->config, g);
        m->config = &t->config;
    }
}

bool peertest_config_same(const struct raft_config *a, const struct raft_config *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    for (uint32_t i = 0; a->count == b->count && i < a->count; i++) {
        const struct raft_member *x = &a->members[i], *y = &b->members[i];
        if (x->id != y->id || x->incarnation != y->incarnation || x->roles != y->roles) {
            return false;
        }
    }
    return a->count == b->count;
}

static bool header_same(const struct raft_msg *a, const struct raft_msg *b)
{
    return a->type == b->type && a->ok == b->ok && a->transfer == b->transfer &&
           a->outcome == b->outcome && a->count == b->count && a->cluster == b->cluster &&
           a->from == b->from && a->to == b->to && a->term == b->term &&
           a->incarnation == b->incarnation && a->session == b->session && a->probe == b->probe &&
           a->stamp == b->stamp && a->place.index == b->place.index &&
           a->place.term == b->place.term && a->index == b->index && a->accepted == b->accepted &&
           a->commit == b->commit && a->campaign == b->campaign && a->context == b->context;
}

static bool entry_same(const struct peerwire_in *a, const struct peerwire_in *b, uint32_t i)
{
    const struct raft_entry *x = &a->entries[i], *y = &b->entries[i];
    const struct raft_item *p = &a->msg.items[i], *q = &b->msg.items[i];
    return x->index == y->index && x->term == y->term && x->kind == y->kind &&
           slice_equal(x->data, y->data) && p->term == q->term && p->bytes == q->bytes &&
           p->kind == q->kind && peertest_config_same(p->config, q->config);
}

bool peertest_same(const struct peerwire_in *a, const struct peerwire_in *b)
{
    bool same = header_same(&a->msg, &b->msg) && peertest_config_same(a->msg.config, b->msg.config);
    for (uint32_t i = 0; same && i < a->msg.count; i++) {
        same = entry_same(a, b, i);
    }
    return same;
}
