/* memtable.c - see memtable.h. */
#include "engine/memtable.h"

#include "base/ck.h"

/* A node is a struct record, in a skip list with links behind its head: see skl.h. */
_Static_assert(offsetof(struct record, chain) == 0, "a node begins with its chain");

/* A node that becomes a tomb: begin and end follow. */
struct tomb_node {
    struct record head;
    struct tombtab_item item;
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
    tombtab_init(&t->tombs, order, &t->arena);
    enum status st = kind == MEMTABLE_TREE ? memtree_init(&t->tree, order, &t->arena)
                                           : skl_init(&t->skl, env, order, &t->arena);
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

static struct record *tomb_new(struct memtable *t, const struct batch_entry *e)
{
    if (tombtab_prepare(&t->tombs) != ST_OK) {
        return NULL;
    }
    struct tomb_node *n = arena_alloc(&t->arena, sizeof *n + e->key.size + e->value.size);
    if (n == NULL) {
        return NULL;
    }
    char *bytes = (char *)(n + 1);
    *n = (struct tomb_node){.head.type = BATCH_DELETE_RANGE};
    n->item.tomb.begin = slice_of(bytes, e->key.size);
    n->item.tomb.end = slice_of(bytes + e->key.size, e->value.size);
    if (e->key.size > 0) {
        memcpy(bytes, e->key.data, e->key.size);
    }
    if (e->value.size > 0) {
        memcpy(bytes + e->key.size, e->value.data, e->value.size);
    }
    return &n->head;
}

enum status memtable_prepare(struct memtable *t, const struct batch_entry *e,
                             struct memtable_node **node)
{
    CK(e->type >= BATCH_PUT);
    CK(e->type <= BATCH_DELETE_RANGE);
    void *n;
    if (e->type == BATCH_DELETE_RANGE) {
        n = tomb_new(t, e);
    } else if (t->kind == MEMTABLE_TREE) {
        n = memtree_new_record(&t->tree, e->type, e->key, e->value);
    } else {
        n = skl_node_new(&t->skl, e->type, e->key, e->value);
    }
    if (n == NULL) {
        return ST_NOMEM;
    }
    *node = n;
    (*node)->chain = NULL;
    return ST_OK;
}

static void tomb_link(struct memtable *t, struct tomb_node *n, uint64_t sequence)
{
    n->item.tomb.sequence = sequence;
    if (order_compare(t->order, n->item.tomb.begin, n->item.tomb.end) < 0) {
        tombtab_link(&t->tombs, &n->item);
    }
}

void memtable_link(struct memtable *t, struct memtable_node *node, uint64_t sequence)
{
    void *n = node;
    CK(sequence > 0);
    CK(sequence <= ENTRY_SEQUENCE_MAX);
    t->first = t->first == 0 || sequence < t->first ? sequence : t->first;
    if (((struct record *)n)->type == BATCH_DELETE_RANGE) {
        tomb_link(t, n, sequence);
    } else if (t->kind == MEMTABLE_TREE) {
        memtree_link(&t->tree, n, sequence);
    } else {
        skl_link(&t->skl, n, sequence);
    }
}

void memtable_prune(struct memtable *t, uint64_t visible, const uint64_t *snapshots, size_t count)
{
    if (t->kind == MEMTABLE_TREE) { /* the skip list keeps everything */
        memtree_prune(&t->tree, visible, snapshots, count);
    }
}

static const struct skl_node *node_get(const struct memtable *t, struct slice key,
                                       uint64_t sequence)
{
    const struct skl_node *n = skl_seek(&t->skl, key, sequence);
    return n != NULL && slice_equal(skl_key(n), key) ? n : NULL;
}

static struct entry node_entry(const struct skl_node *n)
{
    return (struct entry){skl_key(n), n->sequence, skl_value(n), n->type};
}

static struct entry record_entry(const struct record *r)
{
    return (struct entry){record_key(r), r->sequence, record_value(r), r->type};
}

enum memtable_answer memtable_get(const struct memtable *t, struct slice key, uint64_t sequence,
                                  struct entry *e)
{
    if (t->kind == MEMTABLE_TREE) {
        bool stale;
        const struct record *r = memtree_get(&t->tree, key, sequence, &stale);
        if (r != NULL && !stale) {
            *e = record_entry(r);
        }
        return stale ? MEMTABLE_STALE : r != NULL ? MEMTABLE_FOUND : MEMTABLE_ABSENT;
    }
    const struct skl_node *n = node_get(t, key, sequence);
    if (n != NULL) {
        *e = node_entry(n);
    }
    return n != NULL ? MEMTABLE_FOUND : MEMTABLE_ABSENT;
}

uint64_t memtable_cover(const struct memtable *t, struct slice key, uint64_t sequence)
{
    return tombtab_cover(&t->tombs, key, sequence);
}

enum status memtable_tombs(const struct memtable *t, uint64_t limit, const struct tomb_prune *prune,
                           struct tomb_set **set)
{
    return tombtab_set(&t->tombs, limit, prune, set);
}

uint64_t memtable_count(const struct memtable *t)
{
    uint64_t entries = t->kind == MEMTABLE_TREE ? memtree_count(&t->tree) : skl_count(&t->skl);
    return entries + atomic_get_u64(&t->tombs.count);
}

bool memtable_check(const struct memtable *t)
{
    return tombtab_check(&t->tombs) &&
           (t->kind == MEMTABLE_TREE ? memtree_check(&t->tree) : skl_check(&t->skl));
}

/* ---- in order ---- */

static void stand(struct memtable_cursor *c, const struct skl_node *n)
{
    c->node = n;
    c->valid = n != NULL;
    if (n != NULL) {
        c->entry = node_entry(n);
    }
}

static void stand_tree(struct memtable_cursor *c, const struct record *r)
{
    c->record = r;
    c->valid = r != NULL;
    if (r != NULL) {
        c->entry = record_entry(r);
    }
}

static bool in_tree(const struct memtable_cursor *c)
{
    return c->table->kind == MEMTABLE_TREE;
}

void memtable_cursor_init(struct memtable_cursor *c, const struct memtable *t)
{
    c->table = t;
    c->valid = false;
    c->node = NULL;
    c->record = NULL;
    memtree_cursor_init(&c->tree, &t->tree);
}

void memtable_cursor_first(struct memtable_cursor *c)
{
    if (in_tree(c)) {
        stand_tree(c, memtree_cursor_first(&c->tree));
    } else {
        stand(c, skl_first(&c->table->skl));
    }
}

void memtable_cursor_last(struct memtable_cursor *c)
{
    if (in_tree(c)) {
        stand_tree(c, memtree_cursor_last(&c->tree));
    } else {
        stand(c, skl_last(&c->table->skl));
    }
}

void memtable_cursor_seek(struct memtable_cursor *c, struct slice key, uint64_t sequence)
{
    if (in_tree(c)) {
        stand_tree(c, memtree_cursor_seek(&c->tree, key, sequence));
    } else {
        stand(c, skl_seek(&c->table->skl, key, sequence));
    }
}

void memtable_cursor_seek_before(struct memtable_cursor *c, struct slice key, uint64_t sequence)
{
    if (in_tree(c)) {
        stand_tree(c, memtree_cursor_before(&c->tree, key, sequence));
    } else {
        stand(c, skl_before(&c->table->skl, key, sequence));
    }
}

void memtable_cursor_next(struct memtable_cursor *c)
{
    CK(c->valid);
    if (in_tree(c)) {
        stand_tree(c, memtree_cursor_next(&c->tree, c->record));
    } else {
        stand(c, skl_next(c->node));
    }
}

void memtable_cursor_prev(struct memtable_cursor *c)
{
    CK(c->valid);
    if (in_tree(c)) {
        stand_tree(c, memtree_cursor_prev(&c->tree, c->record));
    } else {
        stand(c, skl_before(&c->table->skl, c->entry.key, c->entry.sequence));
    }
}
