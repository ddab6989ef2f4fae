/* merge.c - see merge.h. */
#include "engine/merge.h"

#include "base/ck.h"

static bool before(const struct skl_node *a, const struct skl_node *b)
{
    int c = slice_compare(skl_key(a), skl_key(b));
    CK(c != 0 || a->sequence != b->sequence);
    return c != 0 ? c < 0 : a->sequence > b->sequence;
}

static void least_find(struct merge *m)
{
    m->least = 0;
    for (size_t i = 1; i < m->count; i++) {
        const struct skl_node *n = m->at[i];
        if (n != NULL && (m->at[m->least] == NULL || before(n, m->at[m->least]))) {
            m->least = i;
        }
    }
}

enum status merge_init(struct merge *m, struct env *env, struct memtable *const *tables,
                       size_t count)
{
    CK(count > 0);
    *m = (struct merge){.env = env, .count = count};
    m->at = env_alloc(env, count * sizeof *m->at);
    if (m->at == NULL) {
        return ST_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        m->at[i] = skl_first(&tables[i]->skl);
    }
    least_find(m);
    return ST_OK;
}

void merge_release(struct merge *m)
{
    if (m->env != NULL) {
        env_release(m->env, m->at);
    }
    *m = (struct merge){0};
}

void merge_next(struct merge *m)
{
    CK(m->at[m->least] != NULL);
    m->at[m->least] = skl_next(m->at[m->least]);
    least_find(m);
}
