/* simheap.c - a process's heap: malloc blocks on a list, so that a kill frees them all, an exit can
 * be checked for leaks, and a sanitizer sees each block. Fresh memory holds a drawn pattern, freed
 * memory another: reading either shows, and shows the same way every time. */
#include "base/ck.h"
#include "sim/proc.h"

#include <string.h>

#define MAGIC_LIVE 0x6c697665u
#define MAGIC_GONE 0x676f6e65u
#define FREED      0xdd
#define SCRIBBLE                                                                     \
    256 /* bytes of a block that are filled at each end: enough to notice, and cheap \
         */

struct block {
    struct list link;
    size_t size;
    uint32_t magic;
    uint32_t owner;
};

_Static_assert(sizeof(struct block) % 16 == 0, "user bytes stay aligned");

static void scribble(unsigned char *p, size_t size, unsigned char with)
{
    if (size <= 2 * (size_t)SCRIBBLE) {
        memset(p, with, size);
        return;
    }
    memset(p, with, SCRIBBLE);
    memset(p + size - SCRIBBLE, with, SCRIBBLE);
}

static struct proc *proc_of_mem(struct mem *m)
{
    return (struct proc *)(void *)((char *)m - offsetof(struct proc, env.mem));
}

static bool refused(struct proc *p, size_t size)
{
    struct world *w = p->world;
    p->allocations++;
    if (!p->faulty) {
        return false;
    }
    bool planned =
        p->host->incarnations == 1 && plan_get(w->plan, PLAN_REFUSE_AT) == p->allocations;
    if (planned) {
        world_injected(w, PLAN_REFUSE_AT);
    } else if (!world_fault(w, &p->heap_stream, PLAN_REFUSE)) {
        return false;
    }
    proc_trace(p, TRACE_REFUSE, "", size, p->allocations, 0, ST_NOMEM);
    return true;
}

static void *heap_alloc(struct mem *m, size_t size)
{
    struct proc *p = proc_of_mem(m);
    if (refused(p, size) || size > SIZE_MAX / 4) {
        return NULL;
    }
    struct block *b = mem_alloc(p->world->mem, sizeof *b + size);
    b->size = size;
    b->magic = MAGIC_LIVE;
    b->owner = p->id;
    list_insert(&p->heap, &b->link);
    p->heap_blocks++;
    p->heap_bytes += size;
    scribble((unsigned char *)(b + 1), size, p->fill);
    return b + 1;
}

static void heap_release(struct mem *m, void *user)
{
    struct proc *p = proc_of_mem(m);
    if (user == NULL) {
        return;
    }
    struct block *b = (struct block *)user - 1;
    CK(b->magic == MAGIC_LIVE);
    CK(b->owner == p->id);
    b->magic = MAGIC_GONE;
    list_remove(&b->link);
    p->heap_blocks--;
    p->heap_bytes -= b->size;
    scribble(user, b->size, FREED);
    mem_release(p->world->mem, b);
}

/* Always moves: a pointer kept across it shows. */
static void *heap_resize(struct mem *m, void *user, size_t size)
{
    void *bigger = heap_alloc(m, size);
    if (bigger != NULL && user != NULL) {
        size_t old = ((struct block *)user - 1)->size;
        memcpy(bigger, user, old < size ? old : size);
        heap_release(m, user);
    }
    return bigger;
}

void simheap_init(struct proc *p)
{
    list_init(&p->heap);
    p->env.mem = (struct mem){heap_alloc, heap_resize, heap_release};
    p->fill = (unsigned char)choose(&p->heap_stream, 256);
}

void simheap_free_all(struct proc *p)
{
    while (!list_empty(&p->heap)) {
        struct block *b = LIST_ENTRY(p->heap.next, struct block, link);
        list_remove(&b->link);
        mem_release(p->world->mem, b);
    }
    p->heap_blocks = 0;
    p->heap_bytes = 0;
}
