/* memview.c - see memview.h. */
#include "engine/memview.h"

#include "base/ck.h"

enum status memview_new(struct env *env, size_t cap, struct memview **version)
{
    struct memview *v = env_alloc(env, sizeof *v + cap * sizeof(struct memtable *));
    if (v == NULL) {
        return ST_NOMEM;
    }
    *v = (struct memview){.env = env, .refs = 1, .cap = cap};
    *version = v;
    return ST_OK;
}

void memview_add(struct memview *v, struct memtable *t)
{
    CK(v->count < v->cap);
    memtable_ref(t);
    v->tables[v->count++] = t;
}

void memview_ref(struct memview *v)
{
    uint64_t refs = atomic_add_u64(&v->refs, 1);
    CK(refs > 1);
}

void memview_unref(struct memview *v)
{
    if (v == NULL) {
        return;
    }
    uint64_t refs = atomic_add_u64(&v->refs, -1);
    CK(refs < UINT64_MAX / 2);
    if (refs == 0) {
        for (size_t i = 0; i < v->count; i++) {
            memtable_unref(v->tables[i]);
        }
        env_release(v->env, v);
    }
}

const struct skl_node *memview_get(const struct memview *v, struct slice key, uint64_t sequence,
                                   struct memtable **owner)
{
    for (size_t i = 0; i < v->count; i++) {
        const struct skl_node *n = memtable_old_get(v->tables[i], key, sequence);
        if (n != NULL) {
            *owner = v->tables[i];
            return n;
        }
    }
    return NULL;
}

uint64_t memview_bytes(const struct memview *v)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < v->count; i++) {
        bytes += memtable_bytes(v->tables[i]);
    }
    return bytes;
}

/* The least and the greatest sequence in a table; false when it is empty. */
static bool table_range(const struct memtable *t, uint64_t *least, uint64_t *most)
{
    *least = UINT64_MAX;
    *most = 0;
    for (const struct skl_node *n = skl_first(&t->skl); n != NULL; n = skl_next(n)) {
        *least = n->sequence < *least ? n->sequence : *least;
        *most = n->sequence > *most ? n->sequence : *most;
    }
    return *most > 0;
}

bool memview_check(const struct memview *v)
{
    uint64_t bound = UINT64_MAX; /* the least sequence of the newer tables */
    for (size_t i = 0; i < v->count; i++) {
        uint64_t least, most;
        if (i > 0 && !skl_check(&v->tables[i]->skl)) {
            return false;
        }
        if (table_range(v->tables[i], &least, &most)) {
            if (most >= bound) {
                return false;
            }
            bound = least;
        }
    }
    return true;
}
