/* pbarena.c - see pbarena.h. */
#include "net/pbarena.h"

#include "base/ck.h"

#include <stdint.h>
#include <string.h>

#define CHUNK_MIN 1024u
#define ALIGNMENT 8u

void pbarena_init(struct pbarena *a, struct mem *mem, size_t limit, size_t keep)
{
    CK(limit <= SIZE_MAX / 2);
    *a = (struct pbarena){.mem = mem, .limit = limit, .keep = keep};
}

static void chunks_free(struct pbarena *a)
{
    while (a->chunk != NULL) {
        struct pbarena_chunk *older = a->chunk->older;
        mem_release(a->mem, a->chunk);
        a->chunk = older;
    }
    a->at = 0;
    a->taken = 0;
}

void pbarena_release(struct pbarena *a)
{
    if (a->mem != NULL) {
        chunks_free(a);
    }
    a->wish = 0;
}

/* One chunk is kept as it is; several are given back, and the next one will be as large as they
 * were together. */
void pbarena_reset(struct pbarena *a)
{
    size_t caps = 0;
    for (struct pbarena_chunk *c = a->chunk; c != NULL; c = c->older) {
        caps += c->cap;
    }
    bool one = a->chunk != NULL && a->chunk->older == NULL;
    if (!one || caps > a->keep) {
        chunks_free(a);
        a->wish = caps < a->keep ? caps : a->keep;
    }
    a->at = 0;
    a->taken = 0;
}

static enum status chunk_add(struct pbarena *a, size_t size)
{
    size_t cap = a->chunk != NULL ? a->chunk->cap * 2 : CHUNK_MIN;
    cap = cap < a->wish ? a->wish : cap;
    cap = cap > a->limit ? a->limit : cap;
    cap = cap < size ? size : cap;
    if (cap > SIZE_MAX / 2) {
        return ST_NOMEM;
    }
    struct pbarena_chunk *c = mem_alloc(a->mem, sizeof *c + cap);
    if (c == NULL) {
        return ST_NOMEM;
    }
    *c = (struct pbarena_chunk){.older = a->chunk, .cap = cap};
    a->chunk = c;
    a->at = 0;
    return ST_OK;
}

static char *chunk_data(struct pbarena_chunk *c)
{
    return (char *)(c + 1);
}

/* Whether the block is the last one of the newest chunk, with room behind it. */
static bool grows_in_place(const struct pbarena *a, const void *block, size_t old_size,
                           size_t new_size)
{
    return block != NULL && a->chunk != NULL &&
           (const char *)block + old_size == chunk_data(a->chunk) + a->at &&
           new_size - old_size <= a->chunk->cap - a->at;
}

static size_t rounded(size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

enum status pbarena_grow(struct pbarena *a, void **block, size_t old_size, size_t new_size)
{
    CK(new_size > old_size);
    if (new_size > a->limit) {
        return ST_TOOBIG;
    }
    old_size = *block != NULL ? rounded(old_size) : 0;
    new_size = rounded(new_size);
    bool in_place = grows_in_place(a, *block, old_size, new_size);
    size_t more = in_place ? new_size - old_size : new_size;
    if (more > a->limit - a->taken) {
        return ST_TOOBIG;
    }
    if (!in_place) {
        if (a->chunk == NULL || more > a->chunk->cap - a->at) {
            enum status st = chunk_add(a, more);
            if (st != ST_OK) {
                return st;
            }
        }
        char *to = chunk_data(a->chunk) + a->at;
        if (old_size > 0) {
            memcpy(to, *block, old_size);
        }
        *block = to;
    }
    a->at += more;
    a->taken += more;
    return ST_OK;
}
