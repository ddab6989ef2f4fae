/* libc_mem.h - memory from libc, for tests. */
#ifndef TESTS_LIN_LIBC_MEM_H
#define TESTS_LIN_LIBC_MEM_H

#include "base/mem.h"

#include <stdlib.h>

static inline void *libc_mem_alloc(struct mem *m, size_t size)
{
    (void)m;
    return malloc(size);
}

static inline void *libc_mem_resize(struct mem *m, void *block, size_t size)
{
    (void)m;
    return realloc(block, size);
}

static inline void libc_mem_release(struct mem *m, void *block)
{
    (void)m;
    free(block);
}

static inline struct mem libc_mem(void)
{
    return (struct mem){libc_mem_alloc, libc_mem_resize, libc_mem_release};
}

#endif
