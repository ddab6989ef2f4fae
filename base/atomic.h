/* atomic.h - the atomic operations that the tree uses, and no others.
 *
 * Loads acquire, stores release, sums and swaps do both: enough to hand a finished object from one
 * writer to lock-free readers and to count references. A build with TINYKV_EXPLORE defined calls
 * atomic_explore() before each of them, so that a scheduler can switch threads there. */
#ifndef BASE_ATOMIC_H
#define BASE_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#ifdef TINYKV_EXPLORE
void atomic_explore(const void *at); /* supplied by the exploring program */
#define ATOMIC_POINT(at) atomic_explore(at)
#else
#define ATOMIC_POINT(at) ((void)0)
#endif

static inline uint64_t atomic_get_u64(const uint64_t *p)
{
    ATOMIC_POINT(p);
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void atomic_set_u64(uint64_t *p, uint64_t v)
{
    ATOMIC_POINT(p);
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}

/* Adds n (subtract with a negative one) and returns the new value. */
static inline uint64_t atomic_add_u64(uint64_t *p, int64_t n)
{
    ATOMIC_POINT(p);
    return __atomic_add_fetch(p, (uint64_t)n, __ATOMIC_ACQ_REL);
}

/* Replaces v by `to` if it is there, in one step; false: something else was. */
static inline bool atomic_swap_u64(uint64_t *p, uint64_t v, uint64_t to)
{
    ATOMIC_POINT(p);
    return __atomic_compare_exchange_n(p, &v, to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* Getting and setting a pointer of any type: p is the address of the pointer. */
#define ATOMIC_GET_PTR(p)    (ATOMIC_POINT(p), __atomic_load_n((p), __ATOMIC_ACQUIRE))
#define ATOMIC_SET_PTR(p, v) (ATOMIC_POINT(p), __atomic_store_n((p), (v), __ATOMIC_RELEASE))

#endif
