/* mem.c - see mem.h. */
#include "base/mem.h"

#include <string.h>

void *mem_zalloc(struct mem *m, size_t size)
{
    void *p = mem_alloc(m, size);
    if (p != NULL) {
        memset(p, 0, size);
    }
    return p;
}
