/* blockcache.c - see blockcache.h.
 *
 * A shard is an array of pointers to blocks with linear probing, at most half full as a rule, and a
 * ring of the same blocks, whose first one is where the hand of the clock stands. The array only
 * ever changes by single stores of pointers: putting one in, pulling later ones back over a hole,
 * growing into a new array. A reader on his way may miss a block that moves then, which costs a
 * read from disk, and never finds a wrong one, for a block says itself what it is. */
#include "engine/blockcache.h"

#include "base/ck.h"
#include "base/hash.h"

#define LINE        64u
#define SHARD_MIN   ((uint64_t)4 << 20) /* bytes: several of the largest usual blocks fit */
#define SHARDS_MAX  64u
#define ARRAY_MIN   16u
#define ALLOC_EXTRA 16u   /* what an allocator needs beside a block, about */
#define WALK_STEP   256u  /* places looked at before others get the mutex */
#define DOOR_BLOCK  2048u /* bytes of a usual block: what fits of those is remembered */
#define DOOR_MIN    16u

struct array {
    struct epoch_item item;
    struct blockcache *cache;
    uint64_t mask;
    struct block *places[]; /* atomic */
};

struct shard {
    struct array *array; /* atomic; NULL: nothing was ever added */
    uint64_t full;       /* atomic: 1 since a block had to give way */
    uint64_t pad[LINE / sizeof(uint64_t) - 2];
    struct env_mutex mutex; /* guards what follows, and changes of the array */
    struct list ring;       /* struct block */
    uint64_t blocks;
    uint64_t bytes; /* the array's too */
    uint64_t evicted;
    uint64_t refused;
    uint64_t pad2[2];
};
_Static_assert(sizeof(struct shard) % LINE == 0, "adding to a shard disturbs no other's readers");

struct counter {
    uint64_t hits;
    uint64_t misses;
};

struct blockcache {
    struct env *env;
    struct epoch *epoch;
    uint64_t bytes;       /* never more */
    uint64_t shard_bytes; /* of blocks and array, when no eviction waits */
    uint64_t slack;       /* what waits beyond this is worth reclaiming */
    unsigned shard_count; /* a power of two; 0: caches nothing */
    struct shard *shards; /* aligned */
    uint64_t *door;       /* atomic: hashes of blocks that were asked for and not there */
    uint64_t door_mask;
    struct counter *counters; /* EPOCH_PLACES, aligned as the epoch's words are */
    uint64_t total;           /* atomic: all memory, evicted blocks that wait too */
    uint64_t waiting;         /* atomic: those alone */
};

static uint64_t charge_of(const struct block *b)
{
    return sizeof *b + b->size + ALLOC_EXTRA;
}

static uint64_t array_bytes(uint64_t count)
{
    return sizeof(struct array) + count * sizeof(struct block *) + ALLOC_EXTRA;
}

static uint64_t hash_of(uint64_t number, uint64_t offset)
{
    return hash_mix(number * 0x9e3779b97f4a7c15u + offset);
}

static struct shard *shard_of(struct blockcache *c, uint64_t hash)
{
    return &c->shards[(hash >> 32) & (c->shard_count - 1)];
}

static struct block *block_at(const struct array *a, uint64_t i)
{
    return ATOMIC_GET_PTR(&a->places[i & a->mask]);
}

/* In the epoch, or under the shard's mutex. */
static struct block *lookup(struct shard *s, uint64_t hash, uint64_t number, uint64_t offset)
{
    const struct array *a = ATOMIC_GET_PTR(&s->array);
    if (a == NULL) {
        return NULL;
    }
    for (uint64_t i = 0; i <= a->mask; i++) {
        struct block *b = block_at(a, hash + i);
        if (b == NULL || (b->offset == offset && b->number == number)) {
            return b;
        }
    }
    return NULL; /* a reader saw so many moving blocks; for others there is a free place */
}

/* ---- readers ---- */

/* Whoever owns a slot owns its counter: no atomic addition is needed. */
static void count(struct blockcache *c, unsigned slot, bool hit)
{
    uint64_t *n = hit ? &c->counters[slot].hits : &c->counters[slot].misses;
    if (slot < EPOCH_SLOTS) {
        atomic_set_u64(n, atomic_get_u64(n) + 1);
    } else {
        (void)atomic_add_u64(n, 1);
    }
}

struct block *blockcache_peek(struct blockcache *c, unsigned slot, uint64_t number, uint64_t offset)
{
    struct block *b = NULL;
    if (c->shard_count != 0) {
        uint64_t hash = hash_of(number, offset);
        b = lookup(shard_of(c, hash), hash, number, offset);
    }
    if (b != NULL && atomic_get_u64(&b->used) == 0) {
        atomic_set_u64(&b->used, 1);
    }
    count(c, slot, b != NULL);
    return b;
}

struct block *blockcache_find(struct blockcache *c, uint64_t number, uint64_t offset)
{
    unsigned slot = epoch_enter(c->epoch);
    struct block *b = blockcache_peek(c, slot, number, offset);
    ENV_YIELD(c->env, "blockcache: found without a reference");
    if (b != NULL) {
        block_ref(b); /* the cache's own is there until readers have left: it was not 0 */
    }
    epoch_exit(c->epoch, slot);
    return b;
}

bool blockcache_wants(struct blockcache *c, uint64_t number, uint64_t offset)
{
    if (c->shard_count == 0) {
        return false;
    }
    uint64_t hash = hash_of(number, offset);
    uint64_t *seen = &c->door[hash & c->door_mask];
    if (atomic_get_u64(&shard_of(c, hash)->full) == 0 || atomic_get_u64(seen) == hash) {
        return true;
    }
    atomic_set_u64(seen, hash);
    return false;
}

/* ---- what waits for readers ---- */

static void memory_gone(struct blockcache *c, uint64_t bytes)
{
    (void)atomic_add_u64(&c->waiting, -(int64_t)bytes);
    (void)atomic_add_u64(&c->total, -(int64_t)bytes);
}

static void block_left(struct epoch_item *item)
{
    struct block *b = LIST_ENTRY(item, struct block, at.item);
    memory_gone(b->cache, charge_of(b));
    block_unref(b);
}

static void array_left(struct epoch_item *item)
{
    struct array *a = LIST_ENTRY(item, struct array, item);
    struct blockcache *c = a->cache;
    memory_gone(c, array_bytes(a->mask + 1));
    mem_release(&c->env->mem, a);
}

/* ---- changes: everything below is under the shard's mutex ---- */

/* Counts bytes of memory unless that would be too many. */
static bool reserve(struct blockcache *c, uint64_t bytes)
{
    if (atomic_add_u64(&c->total, (int64_t)bytes) <= c->bytes) {
        return true;
    }
    (void)atomic_add_u64(&c->total, -(int64_t)bytes);
    return false;
}

static void place(struct array *a, struct block *b)
{
    uint64_t i = hash_of(b->number, b->offset);
    while (block_at(a, i) != NULL) {
        i++;
    }
    ATOMIC_SET_PTR(&a->places[i & a->mask], b);
}

/* Takes the block at index `hole` out, and pulls back those that were pushed past it. */
static void unplace(struct array *a, uint64_t hole)
{
    uint64_t i = hole;
    for (;;) {
        i = (i + 1) & a->mask;
        struct block *b = block_at(a, i);
        if (b == NULL) {
            break;
        }
        uint64_t from_home = (i - hash_of(b->number, b->offset)) & a->mask;
        if (from_home >= ((i - hole) & a->mask)) {
            ATOMIC_SET_PTR(&a->places[hole], b); /* seen twice rather than not at all */
            hole = i;
        }
    }
    ATOMIC_SET_PTR(&a->places[hole], NULL);
}

static void evict(struct blockcache *c, struct shard *s, uint64_t index)
{
    struct block *b = block_at(s->array, index);
    unplace(s->array, index & s->array->mask);
    list_remove(&b->at.ring);
    s->blocks--;
    s->bytes -= charge_of(b);
    (void)atomic_add_u64(&c->waiting, (int64_t)charge_of(b));
    epoch_retire(c->epoch, &b->at.item, block_left);
}

static uint64_t index_of(const struct array *a, const struct block *b)
{
    uint64_t i = hash_of(b->number, b->offset);
    while (block_at(a, i) != b) {
        CK(block_at(a, i) != NULL);
        i++;
    }
    return i & a->mask;
}

/* Evicts the first block that was not hit since the hand passed it. */
static void evict_any(struct blockcache *c, struct shard *s)
{
    for (;;) {
        struct block *b = LIST_ENTRY(s->ring.next, struct block, at.ring);
        if (atomic_get_u64(&b->used) == 0) {
            s->evicted++;
            evict(c, s, index_of(s->array, b));
            return;
        }
        atomic_set_u64(&b->used, 0);
        list_remove(&b->at.ring);
        list_insert(&s->ring, &b->at.ring);
    }
}

/* Moves to an array of `size` places, if `more` bytes still fit then. False: it is too much. */
static bool grow(struct blockcache *c, struct shard *s, uint64_t size, uint64_t more)
{
    if (s->bytes + array_bytes(size) + more > c->shard_bytes || !reserve(c, array_bytes(size))) {
        return false;
    }
    struct array *a = mem_zalloc(&c->env->mem, sizeof *a + size * sizeof(struct block *));
    if (a == NULL) {
        (void)atomic_add_u64(&c->total, -(int64_t)array_bytes(size));
        return false;
    }
    a->cache = c;
    a->mask = size - 1;
    for (struct list *l = s->ring.next; l != &s->ring; l = l->next) {
        place(a, LIST_ENTRY(l, struct block, at.ring));
    }
    struct array *old = s->array;
    ATOMIC_SET_PTR(&s->array, a);
    s->bytes += array_bytes(size);
    if (old != NULL) {
        uint64_t bytes = array_bytes(old->mask + 1);
        s->bytes -= bytes;
        (void)atomic_add_u64(&c->waiting, (int64_t)bytes);
        epoch_retire(c->epoch, &old->item, array_left);
    }
    return true;
}

/* Sees to a free place in the array; false: there is no array, nor memory for one. */
static bool room_in_array(struct blockcache *c, struct shard *s, uint64_t more)
{
    if (s->array == NULL) {
        return grow(c, s, ARRAY_MIN, more);
    }
    uint64_t size = s->array->mask + 1;
    if (s->blocks < size / 2 || grow(c, s, size * 2, more)) {
        return true;
    }
    while (s->blocks >= size - size / 8) { /* it cannot grow: it gets fuller, up to here */
        evict_any(c, s);
    }
    return true;
}

/* False: it is not in; once what was evicted has been reclaimed it may work. */
static bool try_add(struct blockcache *c, struct shard *s, struct block *b)
{
    uint64_t charge = charge_of(b);
    uint64_t array = s->array != NULL ? array_bytes(s->array->mask + 1) : 0;
    if (array + charge > c->shard_bytes) { /* it grew large when blocks were small */
        return false;
    }
    while (s->bytes + charge > c->shard_bytes) {
        atomic_set_u64(&s->full, 1);
        evict_any(c, s);
    }
    if (!room_in_array(c, s, charge) || !reserve(c, charge)) {
        return false;
    }
    block_ref(b);
    b->cache = c;
    s->bytes += charge;
    s->blocks++;
    list_insert(&s->ring, &b->at.ring);
    place(s->array, b);
    return true;
}

void blockcache_add(struct blockcache *c, struct block *b)
{
    if (c->shard_count == 0 || charge_of(b) > c->shard_bytes) {
        return;
    }
    if (atomic_get_u64(&c->waiting) > c->slack) {
        (void)epoch_reclaim(c->epoch);
    }
    uint64_t hash = hash_of(b->number, b->offset);
    struct shard *s = shard_of(c, hash);
    for (int tries = 0; tries < 2; tries++) {
        env_mutex_lock(c->env, &s->mutex);
        /* A block is cached once in its life: an evicted one still waits in the epoch. */
        bool done =
            b->cache != NULL || lookup(s, hash, b->number, b->offset) != NULL || try_add(c, s, b);
        s->refused += !done && tries == 1;
        env_mutex_unlock(c->env, &s->mutex);
        if (done) {
            break;
        }
        (void)epoch_reclaim(c->epoch);
    }
}

/* ---- whole files ---- */

/* One step of the walk over a shard: from *at on, which it moves. False: all was seen. */
static bool drop_step(struct blockcache *c, struct shard *s, uint64_t number, uint64_t *at)
{
    env_mutex_lock(c->env, &s->mutex);
    const struct array *a = s->array;
    uint64_t size = a != NULL ? a->mask + 1 : 0;
    uint64_t end = size - *at > WALK_STEP ? *at + WALK_STEP : size;
    while (*at < end) {
        const struct block *b = block_at(a, *at);
        if (b != NULL && b->number == number) {
            evict(c, s, *at); /* another may be pulled in here: looks again */
        } else {
            ++*at;
        }
    }
    if (s->bytes < c->shard_bytes - c->shard_bytes / 8) {
        atomic_set_u64(&s->full, 0);
    }
    env_mutex_unlock(c->env, &s->mutex);
    return *at < size;
}

void blockcache_drop_file(struct blockcache *c, uint64_t number)
{
    for (unsigned i = 0; i < c->shard_count; i++) {
        uint64_t at = 0;
        while (drop_step(c, &c->shards[i], number, &at)) {
            ENV_YIELD(c->env, "blockcache: between steps of dropping");
        }
    }
    (void)epoch_reclaim(c->epoch);
}

/* ---- life ---- */

static void *aligned(void *p)
{
    return (void *)(((uintptr_t)p + LINE - 1) & ~(uintptr_t)(LINE - 1));
}

enum status blockcache_new(struct env *env, struct epoch *epoch, uint64_t bytes,
                           struct blockcache **cache)
{
    unsigned shards = bytes > 0 ? 1 : 0;
    while (shards != 0 && shards < SHARDS_MAX && bytes / (2 * shards) >= SHARD_MIN) {
        shards *= 2;
    }
    size_t counters_size = (EPOCH_PLACES * sizeof(struct counter) + LINE - 1) / LINE * LINE;
    size_t shards_size = shards * sizeof(struct shard);
    size_t door = DOOR_MIN;
    while (shards != 0 && door < bytes / DOOR_BLOCK) {
        door *= 2;
    }
    struct blockcache *c =
        mem_zalloc(&env->mem, sizeof *c + LINE + counters_size + shards_size + door * 8);
    if (c == NULL) {
        return ST_NOMEM;
    }
    char *rest = aligned(c + 1);
    *c = (struct blockcache){
        .env = env,
        .epoch = epoch,
        .bytes = bytes,
        .slack = bytes / 32,
        .shard_bytes = shards > 0 ? (bytes - bytes / 16) / shards : 0,
        .shard_count = shards,
        .counters = (struct counter *)(void *)rest,
        .shards = (struct shard *)(void *)(rest + counters_size),
        .door = (uint64_t *)(void *)(rest + counters_size + shards_size),
        .door_mask = door - 1,
    };
    for (unsigned i = 0; i < shards; i++) {
        env_mutex_init(env, &c->shards[i].mutex);
        list_init(&c->shards[i].ring);
    }
    *cache = c;
    return ST_OK;
}

void blockcache_free(struct blockcache *c)
{
    if (c == NULL) {
        return;
    }
    for (unsigned i = 0; i < c->shard_count; i++) {
        struct shard *s = &c->shards[i];
        while (s->blocks > 0) {
            struct block *b = LIST_ENTRY(s->ring.next, struct block, at.ring);
            list_remove(&b->at.ring);
            s->blocks--;
            (void)atomic_add_u64(&c->total, -(int64_t)charge_of(b));
            block_unref(b);
        }
        if (s->array != NULL) {
            (void)atomic_add_u64(&c->total, -(int64_t)array_bytes(s->array->mask + 1));
            mem_release(&c->env->mem, s->array);
        }
        env_mutex_release(c->env, &s->mutex);
    }
    (void)epoch_reclaim(c->epoch);
    CK(c->waiting == 0); /* or somebody is still in the epoch */
    CK(c->total == 0);
    mem_release(&c->env->mem, c);
}

/* ---- what there is ---- */

void blockcache_stats(struct blockcache *c, struct blockcache_stats *st)
{
    *st = (struct blockcache_stats){.waiting = atomic_get_u64(&c->waiting)};
    for (unsigned i = 0; i < c->shard_count; i++) {
        struct shard *s = &c->shards[i];
        env_mutex_lock(c->env, &s->mutex);
        st->bytes += s->bytes;
        st->blocks += s->blocks;
        st->evicted += s->evicted;
        st->refused += s->refused;
        env_mutex_unlock(c->env, &s->mutex);
    }
    for (unsigned i = 0; i < EPOCH_PLACES; i++) {
        st->hits += atomic_get_u64(&c->counters[i].hits);
        st->misses += atomic_get_u64(&c->counters[i].misses);
    }
}

static bool shard_check(struct blockcache *c, struct shard *s)
{
    uint64_t blocks = 0, bytes = s->array != NULL ? array_bytes(s->array->mask + 1) : 0;
    for (struct list *l = s->ring.next; l != &s->ring; l = l->next) {
        struct block *b = LIST_ENTRY(l, struct block, at.ring);
        uint64_t hash = hash_of(b->number, b->offset);
        if (b->cache != c || shard_of(c, hash) != s || atomic_get_u64(&b->refs) == 0 ||
            lookup(s, hash, b->number, b->offset) != b) {
            return false;
        }
        blocks++;
        bytes += charge_of(b);
    }
    uint64_t placed = 0;
    for (uint64_t i = 0; s->array != NULL && i <= s->array->mask; i++) {
        placed += block_at(s->array, i) != NULL;
    }
    return blocks == s->blocks && placed == blocks && bytes == s->bytes && bytes <= c->shard_bytes;
}

bool blockcache_check(struct blockcache *c)
{
    bool right = atomic_get_u64(&c->total) <= c->bytes;
    for (unsigned i = 0; i < c->shard_count; i++) {
        env_mutex_lock(c->env, &c->shards[i].mutex);
        right = right && shard_check(c, &c->shards[i]);
        env_mutex_unlock(c->env, &c->shards[i].mutex);
    }
    return right;
}
