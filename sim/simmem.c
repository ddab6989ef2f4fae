/* simmem.c - see simmem.h. */
#include "sim/simmem.h"

#include <stdio.h>
#include <stdlib.h>

static void *checked(void *p)
{
    if (p == NULL) {
        (void)fprintf(stderr, "tinykv-sim: out of memory\n");
        exit(3);
    }
    return p;
}

static void *sim_alloc(struct mem *m, size_t size)
{
    (void)m;
    return checked(malloc(size));
}

static void *sim_resize(struct mem *m, void *block, size_t size)
{
    (void)m;
    return checked(realloc(block, size));
}

static void sim_release(struct mem *m, void *block)
{
    (void)m;
    free(block);
}

struct mem *simmem(void)
{
    static struct mem mem = {sim_alloc, sim_resize, sim_release};
    return &mem;
}
