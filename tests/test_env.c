/* test_env.c - see test_env.h. */
#include "tests/test_env.h"

#include <stdlib.h>

static void *heap_alloc(struct mem *m, size_t size)
{
    (void)m;
    return malloc(size);
}

static void *heap_resize(struct mem *m, void *block, size_t size)
{
    (void)m;
    return realloc(block, size);
}

static void heap_release(struct mem *m, void *block)
{
    (void)m;
    free(block);
}

static struct mem heap = {heap_alloc, heap_resize, heap_release};

void test_env_init(struct inject *te, struct env *under)
{
    if (under != NULL) {
        inject_init(te, under);
    } else {
        inject_init_mem(te, &heap);
    }
}
