/* memtable.c - see memtable.h. */
#include "engine/memtable.h"

#include "base/ck.h"

/* The words before a node's links, its sequence first, are the chain's until it is linked. */
_Static_assert(offsetof(struct skl_node, sequence) == 0, "chain lies over the sequence");
_Static_assert(sizeof(struct memtable_node) <= sizeof(uint64_t), "chain lies over the sequence");

struct memtable_tomb {
    struct memtable_tomb *next; /* older ones */
    struct tomb tomb;
    struct skl_node *node; /* holds the bytes */
};

enum status memtable_new(struct env *env, struct order order, enum memtable_kind kind, uint64_t log,
                         struct memtable **table)
{
    struct memtable *t = env_alloc(env, sizeof *t);
    if (t == NULL) {
        return ST_NOMEM;
    }
    *t = (struct memtable){.env = env, .refs = 1, .log = log, .order = order, .kind = kind};
    arena_init(&t->arena, &env->mem);
    enum status st = skl_init(&t->skl, env, order, &t->arena);
    if (st != ST_OK) {
        memtable_unref(t);
        return st;
    }
    *table = t;
    return ST_OK;
}

void memtable_ref(struct memtable *t)
{
    uint64_t refs = atomic_add_u64(&t->refs, 1);
    CK(refs > 1);
}

void memtable_unref(struct memtable *t)
{
    if (t == NULL) {
        return;
    }
    uint64_t refs = atomic_add_u64(&t->refs, -1);
    CK(refs < UINT64_MAX / 2);
    if (refs == 0) {
        arena_release(&t->arena);
        env_release(t->env, t);
    }
}

enum status memtable_prepare(struct memtable *t, const struct batch_entry *e,
                             struct memtable_node **node)
{
    CK(e->type >= BATCH_PUT);
    CK(e->type <= BATCH_DELETE_RANGE);
    struct memtable_tomb *tomb = NULL;
    if (e->type == BATCH_DELETE_RANGE) {
        tomb = arena_alloc(&t->arena, sizeof *tomb);
        if (tomb == NULL) {
            return ST_NOMEM;
        }
    }
    struct skl_node *n = skl_node_new(&t->skl, e->type, e->key, e->value);
    if (n == NULL) {
        return ST_NOMEM;
    }
    if (tomb != NULL) {
        *tomb = (struct memtable_tomb){.tomb = {.begin = skl_key(n), .end = skl_value(n)}};
        memcpy(n->next, &tomb, sizeof tomb); /* it will not be in the list: its link is free */
    }
    *node = (struct memtable_node *)n;
    (*node)->chain = NULL;
    return ST_OK;
}

static void tomb_link(struct memtable *t, const struct skl_node *n, uint64_t sequence)
{
    struct memtable_tomb *tomb;
    memcpy(&tomb, n->next, sizeof tomb);
    tomb->tomb.sequence = sequence;
    tomb->next = t->tombs;
    ATOMIC_SET_PTR(&t->tombs, tomb);
    atomic_set_u64(&t->tomb_count, t->tomb_count + 1);
}

void memtable_link(struct memtable *t, struct memtable_node *node, uint64_t sequence)
{
    struct skl_node *n = (struct skl_node *)node;
    CK(sequence > 0);
    CK(sequence <= ENTRY_SEQUENCE_MAX);
    t->first = t->first == 0 || sequence < t->first ? sequence : t->first;
    if (n->type != BATCH_DELETE_RANGE) {
        skl_link(&t->skl, n, sequence);
    } else if (order_compare(t->order, skl_key(n), skl_value(n)) < 0) {
        tomb_link(t, n, sequence);
    }
}

void memtable_prune(struct memtable *t, uint64_t visible, const uint64_t *snapshots, size_t count)
{
    (void)t; /* the skip list keeps everything */
    (void)visible;
    (void)snapshots;
    (void)count;
}

const struct skl_node *memtable_old_get(const struct memtable *t, struct slice key,
                                        uint64_t sequence)
{
    const struct skl_node *n = skl_seek(&t->skl, key, sequence);
    return n != NULL && slice_equal(skl_key(n), key) ? n : NULL;
}

static struct entry entry_of(const struct skl_node *n)
{
    return (struct entry){skl_key(n), n->sequence, skl_value(n), n->type};
}

enum memtable_answer memtable_get(const struct memtable *t, struct slice key, uint64_t sequence,
                                  struct entry *e)
{
    const struct skl_node *n = memtable_old_get(t, key, sequence);
    if (n == NULL) {
        return MEMTABLE_ABSENT;
    }
    *e = entry_of(n);
    return MEMTABLE_FOUND;
}

uint64_t memtable_cover(const struct memtable *t, struct slice key, uint64_t sequence)
{
    uint64_t best = 0;
    for (const struct memtable_tomb *m = ATOMIC_GET_PTR(&t->tombs); m != NULL; m = m->next) {
        if (m->tomb.sequence <= sequence && m->tomb.sequence > best &&
            order_compare(t->order, m->tomb.begin, key) <= 0 &&
            order_compare(t->order, key, m->tomb.end) < 0) {
            best = m->tomb.sequence;
        }
    }
    return best;
}

enum status memtable_tombs(const struct memtable *t, uint64_t limit, const struct tomb_prune *prune,
                           struct tomb_set **set)
{
    const struct memtable_tomb *newest = ATOMIC_GET_PTR(&t->tombs);
    size_t count = 0;
    *set = NULL;
    for (const struct memtable_tomb *m = newest; m != NULL; m = m->next) {
        count += m->tomb.sequence <= limit;
    }
    if (count == 0) {
        return ST_OK;
    }
    struct tomb *list = env_alloc(t->env, count * sizeof *list);
    if (list == NULL) {
        return ST_NOMEM;
    }
    size_t at = 0;
    for (const struct memtable_tomb *m = newest; m != NULL; m = m->next) {
        if (m->tomb.sequence <= limit) {
            list[at++] = m->tomb;
        }
    }
    enum status st = tomb_set_pruned(&t->env->mem, t->order, list, count, prune, set);
    env_release(t->env, list);
    return st;
}

uint64_t memtable_count(const struct memtable *t)
{
    return skl_count(&t->skl) + atomic_get_u64(&t->tomb_count);
}

bool memtable_check(const struct memtable *t)
{
    uint64_t tombs = 0;
    for (const struct memtable_tomb *m = t->tombs; m != NULL; m = m->next) {
        if (order_compare(t->order, m->tomb.begin, m->tomb.end) >= 0) {
            return false;
        }
        tombs++;
    }
    return tombs == t->tomb_count && skl_check(&t->skl);
}

/* ---- in order ---- */

static void stand(struct memtable_cursor *c, const struct skl_node *n)
{
    c->at = n;
    c->valid = n != NULL;
    if (n != NULL) {
        c->entry = entry_of(n);
    }
}

void memtable_cursor_init(struct memtable_cursor *c, const struct memtable *t)
{
    *c = (struct memtable_cursor){.table = t};
}

void memtable_cursor_first(struct memtable_cursor *c)
{
    stand(c, skl_first(&c->table->skl));
}

void memtable_cursor_last(struct memtable_cursor *c)
{
    stand(c, skl_last(&c->table->skl));
}

void memtable_cursor_seek(struct memtable_cursor *c, struct slice key, uint64_t sequence)
{
    stand(c, skl_seek(&c->table->skl, key, sequence));
}

void memtable_cursor_seek_before(struct memtable_cursor *c, struct slice key, uint64_t sequence)
{
    stand(c, skl_before(&c->table->skl, key, sequence));
}

void memtable_cursor_next(struct memtable_cursor *c)
{
    CK(c->valid);
    stand(c, skl_next(c->at));
}

void memtable_cursor_prev(struct memtable_cursor *c)
{
    CK(c->valid);
    stand(c, skl_before(&c->table->skl, c->entry.key, c->entry.sequence));
}
