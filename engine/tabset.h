/* tabset.h - the table files of a database that nothing refers to any more, until they are swept.
 */
#ifndef ENGINE_TABSET_H
#define ENGINE_TABSET_H

#include "env/env.h"

struct tabfile;

struct tabset {
    struct env *env;        /* borrowed */
    struct env_mutex mutex; /* a leaf: nothing is called under it */
    struct tabfile *gone;   /* without references, chained by `next` */
    uint64_t gone_count;    /* atomic: of that list */
};

void tabset_init(struct tabset *s, struct env *env);
void tabset_release(struct tabset *s); /* the list is empty */

/* A file whose last reference is gone. Any thread. */
void tabset_add(struct tabset *s, struct tabfile *f);

/* Takes the list of those that are gone: the caller owns them now (tabfile_free). */
struct tabfile *tabset_take(struct tabset *s);

/* Whether there is anything to take. Any thread, no lock. */
bool tabset_waiting(const struct tabset *s);

#endif
