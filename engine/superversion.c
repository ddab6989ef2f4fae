/* superversion.c - see superversion.h. */
#include "engine/superversion.h"

#include "base/atomic.h"
#include "base/ck.h"

enum status superversion_new(struct env *env, size_t full_cap, struct superversion **superversion)
{
    struct superversion *s = env_alloc(env, sizeof *s + full_cap * sizeof(struct memtable *));
    if (s == NULL) {
        return ST_NOMEM;
    }
    *s = (struct superversion){.env = env, .refs = 1, .full_cap = full_cap};
    *superversion = s;
    return ST_OK;
}

void superversion_set(struct superversion *s, struct version *version, struct memtable *active)
{
    CK(s->version == NULL);
    version_ref(version);
    memtable_ref(active);
    s->version = version;
    s->active = active;
}

void superversion_add_full(struct superversion *s, struct memtable *t)
{
    CK(s->full_count < s->full_cap);
    memtable_ref(t);
    s->full[s->full_count++] = t;
}

void superversion_rotate(struct superversion *s, const struct superversion *old,
                         struct memtable *table, uint64_t last)
{
    old->active->last = last;
    superversion_set(s, old->version, table);
    superversion_add_full(s, old->active);
    for (size_t i = 0; i < old->full_count; i++) {
        superversion_add_full(s, old->full[i]);
    }
}

void superversion_ref(struct superversion *s)
{
    uint64_t refs = atomic_add_u64(&s->refs, 1);
    CK(refs > 1);
}

void superversion_unref(struct superversion *s)
{
    if (s == NULL) {
        return;
    }
    uint64_t refs = atomic_add_u64(&s->refs, -1);
    CK(refs < UINT64_MAX / 2);
    if (refs == 0) {
        version_unref(s->version);
        memtable_unref(s->active);
        for (size_t i = 0; i < s->full_count; i++) {
            memtable_unref(s->full[i]);
        }
        env_release(s->env, s);
    }
}

static void item_drop(struct epoch_item *item)
{
    char *at = (char *)item;
    superversion_unref((struct superversion *)(void *)(at - offsetof(struct superversion, item)));
}

void superversion_retire(struct superversion *s, struct epoch *epoch)
{
    epoch_retire(epoch, &s->item, item_drop);
}

uint64_t superversion_bytes(const struct superversion *s)
{
    uint64_t bytes = memtable_bytes(s->active);
    for (size_t i = 0; i < s->full_count; i++) {
        bytes += memtable_bytes(s->full[i]);
    }
    return bytes;
}
