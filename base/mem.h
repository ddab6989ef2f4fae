/* mem.h - where memory comes from: the allocator that every container is handed.
 *
 * It is the memory group of the Env (env/env.h embeds one), kept here so that base/ can
 * allocate without knowing the Env. Any call may be refused; a refused call changes nothing. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

struct mem {
    void *(*alloc)(struct mem *m, size_t size);               /* NULL: refused */
    void *(*resize)(struct mem *m, void *block, size_t size); /* NULL: refused, block stays */
    void (*release)(struct mem *m, void *block);              /* NULL is fine */
};

/* size > 0 bytes aligned for any object, contents undefined. NULL when refused. */
static inline void *mem_alloc(struct mem *m, size_t size)
{
    return m->alloc(m, size);
}

/* As realloc: block may be NULL. On NULL the old block is untouched. */
static inline void *mem_resize(struct mem *m, void *block, size_t size)
{
    return m->resize(m, block, size);
}

/* Gives a block back. NULL is harmless. */
static inline void mem_release(struct mem *m, void *block)
{
    m->release(m, block);
}

/* As mem_alloc, filled with zeros. */
void *mem_zalloc(struct mem *m, size_t size);

#endif
