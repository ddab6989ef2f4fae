/* testmem.h - an allocator for tests: counts what is held, refuses the n-th request. */
#ifndef TESTS_NET_TESTMEM_H
#define TESTS_NET_TESTMEM_H

#include "base/mem.h"

#include <stdlib.h>

struct testmem {
    struct mem mem;
    long live;    /* blocks held */
    long fail_in; /* requests until one is refused; < 0: never */
};

static inline int testmem_refuse(struct testmem *t)
{
    return t->fail_in >= 0 && t->fail_in-- == 0;
}

static inline void *testmem_resize(struct mem *m, void *block, size_t size)
{
    struct testmem *t = (struct testmem *)m;
    if (testmem_refuse(t)) {
        return NULL;
    }
    void *p = realloc(block, size);
    t->live += block == NULL && p != NULL;
    return p;
}

static inline void *testmem_alloc(struct mem *m, size_t size)
{
    return testmem_resize(m, NULL, size);
}

static inline void testmem_release(struct mem *m, void *block)
{
    ((struct testmem *)m)->live -= block != NULL;
    free(block);
}

#define TESTMEM()                                                              \
    (struct testmem)                                                           \
    {                                                                          \
        .mem = {testmem_alloc, testmem_resize, testmem_release}, .fail_in = -1 \
    }

#endif
