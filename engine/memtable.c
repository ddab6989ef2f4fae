/* memtable.c - see memtable.h. */
#include "engine/memtable.h"

#include "base/ck.h"

enum status memtable_new(struct env *env, uint64_t log, struct memtable **table)
{
    struct memtable *t = env_alloc(env, sizeof *t);
    if (t == NULL) {
        return ST_NOMEM;
    }
    *t = (struct memtable){.env = env, .refs = 1, .log = log};
    arena_init(&t->arena, &env->mem);
    enum status st = skl_init(&t->skl, env, &t->arena);
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

const struct skl_node *memtable_get(const struct memtable *t, struct slice key, uint64_t sequence)
{
    const struct skl_node *n = skl_seek(&t->skl, key, sequence);
    return n != NULL && slice_equal(skl_key(n), key) ? n : NULL;
}
