/* tabcache.c - see tabcache.h. */
#include "engine/tabcache.h"

#include "base/ck.h"
#include "engine/fname.h"

/* What the cache knows of a table in a slot; later the epoch's record of the reference to give
 * back. It is not a part of the slot, which may be opened again before that. */
struct tabcache_held {
    struct epoch_item item;
    struct list ring;
    struct tabcache *cache;
    struct tabcache_slot *slot;
    struct table *table; /* the cache's reference */
    uint64_t bytes;
};

enum status tabcache_init(struct tabcache *c, const struct table_env *options, const char *dir,
                          struct epoch *epoch, uint64_t files_max, uint64_t meta_bytes)
{
    *c = (struct tabcache){
        .env = options->env,
        .dir = dir,
        .epoch = epoch,
        .options = *options,
        .files_max = files_max > 0 ? files_max : 1,
        .bytes_max = meta_bytes,
    };
    c->options.descriptors = &c->descriptors;
    env_mutex_init(c->env, &c->mutex);
    env_cond_init(c->env, &c->opened);
    list_init(&c->ring);
    return ST_OK;
}

void tabcache_release(struct tabcache *c)
{
    if (c->env == NULL) {
        return;
    }
    CK(c->files == 0);
    CK(c->opening == 0);
    (void)epoch_reclaim(c->epoch);
    CK(atomic_get_u64(&c->waiting) == 0);
    CK(atomic_get_u64(&c->descriptors) == 0);
    env_cond_release(c->env, &c->opened);
    env_mutex_release(c->env, &c->mutex);
    *c = (struct tabcache){0};
}

static void held_drop(struct epoch_item *item)
{
    struct tabcache_held *h = LIST_ENTRY(item, struct tabcache_held, item);
    struct tabcache *c = h->cache;
    table_unref(h->table);
    env_release(c->env, h);
    (void)atomic_add_u64(&c->waiting, -1);
}

/* ---- under the mutex ---- */

/* Takes a table out of its slot. It is closed when readers have left. */
static void close_slot(struct tabcache *c, struct tabcache_held *h)
{
    ATOMIC_SET_PTR(&h->slot->table, NULL);
    h->slot->held = NULL;
    list_remove(&h->ring);
    c->files--;
    c->bytes -= h->bytes;
    (void)atomic_add_u64(&c->waiting, 1);
    epoch_retire(c->epoch, &h->item, held_drop);
}

/* How many tables may be in slots: fewer when readers hold evicted ones open. */
static uint64_t files_target(struct tabcache *c)
{
    uint64_t held = atomic_get_u64(&c->descriptors);
    uint64_t ours = c->files + c->opening + atomic_get_u64(&c->waiting);
    uint64_t lent = held > ours ? held - ours : 0;
    uint64_t least = c->files_max / 4 > 0 ? c->files_max / 4 : 1;
    return c->files_max > lent + least ? c->files_max - lent : least;
}

/* Evicts until at most `files` tables are left, and not too many bytes; one stays in any case
 * where files says so. */
static void evict_to(struct tabcache *c, uint64_t files)
{
    while (c->files > files || (c->bytes > c->bytes_max && c->files > 1)) {
        struct tabcache_held *h = LIST_ENTRY(c->ring.next, struct tabcache_held, ring);
        if (atomic_get_u64(&h->slot->used) == 0) {
            c->evicted++;
            close_slot(c, h);
        } else {
            atomic_set_u64(&h->slot->used, 0);
            list_remove(&h->ring);
            list_insert(&c->ring, &h->ring);
        }
    }
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* ---- opening ---- */

/* Opens the table; once more, with others closed, when the process has no descriptors left. */
static enum status open_table(struct tabcache *c, const struct table_info *info,
                              struct table **table, struct err *err)
{
    char path[ENV_PATH_MAX];
    fname_make(path, c->dir, FNAME_TABLE, info->number);
    enum status st = table_open(&c->options, path, info, table, err);
    if (st == ST_MFILE) {
        env_mutex_lock(c->env, &c->mutex);
        evict_to(c, c->files / 2);
        env_mutex_unlock(c->env, &c->mutex);
        (void)epoch_reclaim(c->epoch);
        st = table_open(&c->options, path, info, table, err);
    }
    return st;
}

/* For those who are opening, who were counted. Evicting a table that a reader holds gives nothing
 * back, which shows when the epoch has been reclaimed: so it goes on until there was nothing to
 * evict. */
static void make_room(struct tabcache *c)
{
    for (bool more = true; more;) {
        env_mutex_lock(c->env, &c->mutex);
        uint64_t before = c->files;
        evict_to(c, less(files_target(c), c->opening));
        more = c->files < before;
        env_mutex_unlock(c->env, &c->mutex);
        (void)epoch_reclaim(c->epoch);
    }
}

/* Waits for whoever is at it. True: the slot is open, or else the caller is to open it. Under the
 * mutex. */
static bool wait_open(struct tabcache *c, struct tabcache_slot *slot)
{
    while (slot->opening) {
        (void)env_cond_wait(c->env, &c->opened, &c->mutex, ENV_NEVER);
    }
    return slot->table != NULL;
}

/* Puts an opened table into its slot. Under the mutex. */
static void fill_slot(struct tabcache *c, struct tabcache_slot *slot, struct tabcache_held *h)
{
    h->cache = c;
    h->slot = slot;
    h->bytes = table_memory(h->table) + sizeof *h;
    table_ref(h->table); /* the caller's */
    slot->held = h;
    atomic_set_u64(&slot->used, 1); /* so that those that nobody asks for go before it */
    ATOMIC_SET_PTR(&slot->table, h->table);
    list_insert(&c->ring, &h->ring);
    c->files++;
    c->opens++;
    c->bytes += h->bytes;
    evict_to(c, files_target(c));
}

/* The miss: opens the file for everybody who waits for it. */
static enum status open_slot(struct tabcache *c, struct tabcache_slot *slot,
                             const struct table_info *info, struct table **table, struct err *err)
{
    env_mutex_lock(c->env, &c->mutex);
    if (wait_open(c, slot)) {
        *table = slot->table;
        table_ref(*table);
        env_mutex_unlock(c->env, &c->mutex);
        return ST_OK;
    }
    slot->opening = true;
    c->opening++;
    env_mutex_unlock(c->env, &c->mutex);
    make_room(c);

    ENV_YIELD(c->env, "tabcache: about to open");
    enum status st = ST_NOMEM;
    struct tabcache_held *h = env_alloc(c->env, sizeof *h);
    if (h == NULL) {
        err_set(err, "no memory to open table %llu", (unsigned long long)info->number);
    } else {
        st = open_table(c, info, &h->table, err);
    }

    env_mutex_lock(c->env, &c->mutex);
    slot->opening = false;
    c->opening--;
    if (st == ST_OK) {
        *table = h->table;
        fill_slot(c, slot, h);
    } else {
        c->failed++;
    }
    env_cond_broadcast(c->env, &c->opened);
    env_mutex_unlock(c->env, &c->mutex);
    if (st != ST_OK) {
        env_release(c->env, h);
    }
    (void)epoch_reclaim(c->epoch);
    return st;
}

enum status tabcache_get(struct tabcache *c, struct tabcache_slot *slot,
                         const struct table_info *info, struct table **table, struct err *err)
{
    unsigned reader = epoch_enter(c->epoch);
    struct table *t = tabcache_peek(slot);
    ENV_YIELD(c->env, "tabcache: found without a reference");
    if (t != NULL) {
        table_ref(t); /* the cache's own is there until readers have left */
    }
    epoch_exit(c->epoch, reader);
    if (t != NULL) {
        *table = t;
        return ST_OK;
    }
    return open_slot(c, slot, info, table, err);
}

void tabcache_drop(struct tabcache *c, struct tabcache_slot *slot)
{
    env_mutex_lock(c->env, &c->mutex);
    CK(!slot->opening);
    if (slot->held != NULL) {
        close_slot(c, slot->held);
    }
    env_mutex_unlock(c->env, &c->mutex);
}

void tabcache_stats(struct tabcache *c, struct tabcache_stats *s)
{
    env_mutex_lock(c->env, &c->mutex);
    *s = (struct tabcache_stats){
        .files = c->files,
        .bytes = c->bytes,
        .descriptors = atomic_get_u64(&c->descriptors),
        .opens = c->opens,
        .evicted = c->evicted,
        .failed = c->failed,
    };
    env_mutex_unlock(c->env, &c->mutex);
}
