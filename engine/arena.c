/* arena.c - see arena.h. */
#include "engine/arena.h"

#include "base/ck.h"

#define ALIGN ((size_t)8)

struct arena_block {
    struct arena_block *next;
    uint64_t data[]; /* aligned as promised */
};

void arena_init(struct arena *a, struct mem *mem)
{
    *a = (struct arena){.mem = mem, .block_size = ARENA_BLOCK_MIN};
}

void arena_release(struct arena *a)
{
    while (a->blocks != NULL) {
        struct arena_block *next = a->blocks->next;
        mem_release(a->mem, a->blocks);
        a->blocks = next;
    }
    arena_init(a, a->mem);
}

/* A new block with room for size bytes, chained in; its memory or NULL. */
static char *block_new(struct arena *a, size_t size)
{
    struct arena_block *b = mem_alloc(a->mem, sizeof *b + size);
    if (b == NULL) {
        return NULL;
    }
    b->next = a->blocks;
    a->blocks = b;
    return (char *)b->data;
}

void *arena_alloc(struct arena *a, size_t size)
{
    CK(size > 0);
    CK(size <= SIZE_MAX / 2);
    size = (size + ALIGN - 1) & ~(ALIGN - 1);
    char *p;
    if (size <= a->left) {
        p = a->at;
        a->at += size;
        a->left -= size;
    } else if (size > a->block_size / 4) {
        p = block_new(a, size);
    } else {
        p = block_new(a, a->block_size);
        if (p != NULL) {
            a->at = p + size;
            a->left = a->block_size - size;
            a->block_size = a->block_size < ARENA_BLOCK_MAX ? a->block_size * 2 : ARENA_BLOCK_MAX;
        }
    }
    if (p != NULL) {
        atomic_set_u64(&a->bytes, a->bytes + size);
    }
    return p;
}
