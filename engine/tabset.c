/* tabset.c - see tabset.h. */
#include "engine/tabset.h"

#include "base/atomic.h"
#include "base/ck.h"
#include "engine/tabfile.h"

void tabset_init(struct tabset *s, struct env *env)
{
    *s = (struct tabset){.env = env};
    env_mutex_init(env, &s->mutex);
}

void tabset_release(struct tabset *s)
{
    CK(s->gone == NULL);
    env_mutex_release(s->env, &s->mutex);
}

struct tabfile *tabset_take(struct tabset *s)
{
    env_mutex_lock(s->env, &s->mutex);
    struct tabfile *f = s->gone;
    s->gone = NULL;
    atomic_set_u64(&s->gone_count, 0);
    env_mutex_unlock(s->env, &s->mutex);
    return f;
}

bool tabset_waiting(const struct tabset *s)
{
    return atomic_get_u64(&s->gone_count) > 0;
}

void tabset_add(struct tabset *s, struct tabfile *f)
{
    env_mutex_lock(s->env, &s->mutex);
    f->next = s->gone;
    s->gone = f;
    (void)atomic_add_u64(&s->gone_count, 1); /* looked at without the mutex */
    env_mutex_unlock(s->env, &s->mutex);
}
