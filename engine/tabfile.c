/* tabfile.c - see tabfile.h. */
#include "engine/tabfile.h"

#include "base/atomic.h"
#include "base/ck.h"

static struct slice bytes_copy(char **at, struct slice s)
{
    struct slice copy = slice_of(*at, s.size);
    if (s.size > 0) {
        memcpy(*at, s.data, s.size);
    }
    *at += s.size;
    return copy;
}

enum status tabfile_new(struct tabset *set, const struct table_info *info, struct tabfile **file)
{
    struct tabfile *f = env_alloc(set->env, sizeof *f + info->least.size + info->most.size);
    if (f == NULL) {
        return ST_NOMEM;
    }
    *f = (struct tabfile){.refs = 1, .set = set, .info = *info};
    char *at = f->bytes;
    f->info.least = bytes_copy(&at, info->least);
    f->info.most = bytes_copy(&at, info->most);
    *file = f;
    return ST_OK;
}

void tabfile_free(struct tabfile *f)
{
    CK(f->refs == 0);
    env_release(f->set->env, f);
}

void tabfile_ref(struct tabfile *f)
{
    uint64_t refs = atomic_add_u64(&f->refs, 1);
    CK(refs > 1);
}

void tabfile_unref(struct tabfile *f)
{
    if (f == NULL) {
        return;
    }
    uint64_t refs = atomic_add_u64(&f->refs, -1);
    CK(refs < UINT64_MAX / 2);
    if (refs == 0) {
        tabset_add(f->set, f);
    }
}
