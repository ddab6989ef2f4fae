/* tkv_iter.c - ordered cursors over a superversion; see tkv.h.
 *
 * A merge of one run a source: the active memtable, the full ones, each table of level 0, each
 * deeper level. Going forward the versions of a key come newest first: the first that the cursor's
 * sequence sees decides. Going back they come oldest first: a candidate is kept until another key
 * turns up. So forward the entry is the merge's own, and back it is a copy.
 *
 * Range tombs: of all sources the newest over a key counts. What an older source holds under it is
 * jumped in one seek, as everything there is older (E14). Versions of a hot key are passed by
 * seeking too, after a few steps.
 *
 * Invariants
 *   - forward, valid: the merge stands on the present entry, at every later one in each run
 *   - backward, valid: the merge stands on the last entry before the present key
 *   - a failure of any run or tomb makes the cursor invalid, with its status: never a short scan
 *
 * A move that has to pass over very many hidden entries of the active memtable has that flushed:
 * then compactions can drop them, and the next scan is short.
 *
 * Cursors that are freed are kept for reuse with their memory: a short scan allocates nothing. */
#include "base/ck.h"
#include "engine/background.h"
#include "engine/commit.h"
#include "engine/cover.h"
#include "engine/mergeruns.h"
#include "engine/pick.h"
#include "engine/tkv_impl.h"

#define STEPS_BEFORE_SEEK 8    /* versions of a key that are walked over before seeking past them */
#define WADE_MAX          2000 /* entries of the active memtable that one move passes over in peace */
#define KEPT_BYTES        4096 /* of a buffer that a cursor keeps when it is freed */
#define KEPT_SOURCES      64

/* A source with range tombs. */
struct hider {
    struct cover cover;
    size_t older; /* runs from this one on are older than it */
};

struct tkv_iter {
    struct tkv *db;
    struct superversion *sv;      /* reference */
    struct tkv_snapshot snapshot; /* registered */
    bool backward;
    bool filtered; /* under an own order keys with the prefix may lie anywhere */
    enum status st;
    const struct entry *at; /* the present entry; NULL: on nothing */
    struct entry saved;     /* backward: the present entry; in key and value */
    struct mergeruns merge;
    struct slice lower; /* data NULL: open; these lie in bytes */
    struct slice upper;
    struct slice prefix;
    size_t run_count;
    size_t hider_count;
    size_t level0_count;   /* of these runs, tables of level 0 */
    uint64_t level0_extra; /* looked into beyond the first, in all positionings */
    size_t cap;            /* of each of these arrays, in one block */
    struct run *runs;
    struct hider *hiders;
    struct mergeruns_place *heap;
    struct buf bytes;
    struct buf key; /* the last key that was decided, or is being */
    struct buf value;
};

/* ---- making and freeing ---- */

static void iter_destroy(struct tkv_iter *it)
{
    struct env *env = it->db->env;
    buf_release(&it->bytes);
    buf_release(&it->key);
    buf_release(&it->value);
    env_release(env, it->runs);
    env_release(env, it);
}

static void buf_shrink(struct buf *b)
{
    if (b->cap > KEPT_BYTES) {
        buf_release(b);
    }
}

/* Tells what its positionings cost for want of a compaction, and has one done when that is enough.
 */
static void level0_note(struct tkv_iter *it)
{
    struct tkv *db = it->db;
    if (it->level0_extra == 0 || db->options.read_only) {
        return;
    }
    uint64_t limit = pick_reads_limit(it->sv->version);
    uint64_t sum = atomic_add_u64(&db->level0_reads, (int64_t)it->level0_extra);
    if (sum >= limit && sum - it->level0_extra < limit) {
        env_mutex_lock(db->env, &db->mutex);
        background_kick(db);
        env_mutex_unlock(db->env, &db->mutex);
    }
}

/* Gives back all that it refers to. */
static void iter_close(struct tkv_iter *it)
{
    struct tkv *db = it->db;
    for (size_t i = 0; i < it->run_count; i++) {
        run_release(&it->runs[i]);
    }
    for (size_t i = 0; i < it->hider_count; i++) {
        cover_release(&it->hiders[i].cover);
    }
    level0_note(it);
    superversion_unref(it->sv);
    db_snapshot_drop(db, &it->snapshot);
    (void)atomic_add_u64(&db->readers, -1); /* looked at in tkv_close alone */
    buf_shrink(&it->bytes);
    buf_shrink(&it->key);
    buf_shrink(&it->value);
}

static void pool_put(struct tkv *db, struct tkv_iter *it)
{
    for (size_t i = 0; it->cap <= KEPT_SOURCES && i < DB_ITERS; i++) {
        if (atomic_get_u64(&db->iters[i]) == 0 &&
            atomic_swap_u64(&db->iters[i], 0, (uint64_t)(uintptr_t)it)) {
            return;
        }
    }
    iter_destroy(it);
}

static struct tkv_iter *pool_take(struct tkv *db)
{
    for (size_t i = 0; i < DB_ITERS; i++) {
        uint64_t v = atomic_get_u64(&db->iters[i]);
        if (v != 0 && atomic_swap_u64(&db->iters[i], v, 0)) {
            return (struct tkv_iter *)(uintptr_t)v;
        }
    }
    struct tkv_iter *it = env_alloc(db->env, sizeof *it);
    if (it != NULL) {
        *it = (struct tkv_iter){.db = db};
        buf_init(&it->bytes, &db->env->mem);
        buf_init(&it->key, &db->env->mem);
        buf_init(&it->value, &db->env->mem);
    }
    return it;
}

void tkv_impl_iters_release(struct tkv *db)
{
    for (size_t i = 0; i < DB_ITERS; i++) {
        uint64_t v = atomic_get_u64(&db->iters[i]);
        if (v != 0) {
            iter_destroy((struct tkv_iter *)(uintptr_t)v);
            atomic_set_u64(&db->iters[i], 0);
        }
    }
}

/* ---- bounds ---- */

/* Copies bytes; data NULL stays NULL, and nothing keeps a pointer. There is room. */
static struct slice bytes_keep(struct buf *b, const void *data, size_t size)
{
    if (data == NULL) {
        return slice_of(NULL, 0);
    }
    char *at = b->data + b->size;
    if (size > 0) {
        memcpy(at, data, size);
    }
    b->size += size;
    return slice_of(at, size);
}

/* The first key behind all that start with prefix, bytewise; data NULL: there is none. */
static struct slice prefix_end(struct buf *b, struct slice prefix)
{
    size_t n = prefix.size;
    while (n > 0 && (unsigned char)prefix.data[n - 1] == 0xff) {
        n--;
    }
    if (n == 0) {
        return slice_of(NULL, 0);
    }
    struct slice end = bytes_keep(b, prefix.data, n);
    b->data[b->size - 1]++;
    return end;
}

static enum status bounds_set(struct tkv_iter *it, const struct tkv_read_options *o)
{
    struct order order = it->db->order;
    it->lower = it->upper = it->prefix = slice_of(NULL, 0);
    it->filtered = false;
    buf_clear(&it->bytes);
    if (o == NULL) {
        return ST_OK;
    }
    enum status st =
        buf_reserve(&it->bytes, o->lower_size + o->upper_size + 2 * o->prefix_size + 1);
    if (st != ST_OK) {
        return st;
    }
    it->lower = bytes_keep(&it->bytes, o->lower, o->lower_size);
    it->upper = bytes_keep(&it->bytes, o->upper, o->upper_size);
    if (o->prefix == NULL || o->prefix_size == 0) {
        return ST_OK;
    }
    it->prefix = bytes_keep(&it->bytes, o->prefix, o->prefix_size);
    it->filtered = !order_bytewise(order);
    if (!it->filtered) {
        struct slice end = prefix_end(&it->bytes, it->prefix);
        if (it->lower.data == NULL || slice_compare(it->lower, it->prefix) < 0) {
            it->lower = it->prefix;
        }
        if (end.data != NULL && (it->upper.data == NULL || slice_compare(end, it->upper) < 0)) {
            it->upper = end;
        }
    }
    return ST_OK;
}

/* ---- sources ---- */

static enum status arrays_reserve(struct tkv_iter *it, size_t count)
{
    if (count <= it->cap) {
        return ST_OK;
    }
    size_t each = sizeof *it->runs + sizeof *it->hiders + sizeof *it->heap;
    char *block = env_alloc(it->db->env, count * each);
    if (block == NULL) {
        return ST_NOMEM;
    }
    env_release(it->db->env, it->runs);
    it->runs = (struct run *)(void *)block;
    it->hiders = (struct hider *)(void *)(it->runs + count);
    it->heap = (struct mergeruns_place *)(void *)(it->hiders + count);
    it->cap = count;
    return ST_OK;
}

static enum status memtable_add(struct tkv_iter *it, const struct memtable *t)
{
    enum status st = ST_OK;
    run_init_memtable(&it->runs[it->run_count++], t);
    if (memtable_has_tombs(t)) {
        struct hider *h = &it->hiders[it->hider_count];
        st = cover_init_memtable(&h->cover, t, it->snapshot.sequence);
        h->older = it->run_count;
        it->hider_count += st == ST_OK;
    }
    return st;
}

static void hider_add(struct tkv_iter *it, struct tabfile *const *files, size_t count)
{
    struct hider *h = &it->hiders[it->hider_count++];
    cover_init_files(&h->cover, &it->db->tabcache, it->db->order, files, count,
                     it->snapshot.sequence);
    h->older = it->run_count;
}

/* Whether the bounds leave any of the file, and the cursor sees any of it. */
static bool file_meets(const struct tkv_iter *it, const struct tabfile *f)
{
    struct order o = it->db->order;
    return f->info.sequence_min <= it->snapshot.sequence &&
           (it->upper.data == NULL || order_compare(o, f->info.least, it->upper) < 0) &&
           (it->lower.data == NULL || !version_file_before(o, f, it->lower));
}

static void level0_add(struct tkv_iter *it, unsigned flags)
{
    const struct version_level *l = &it->sv->version->levels[0];
    for (size_t i = 0; i < l->count; i++) {
        if (file_meets(it, l->files[i])) {
            struct run *r = &it->runs[it->run_count];
            run_init_level(r, &it->db->tabcache, it->db->order, &l->files[i], 1, flags);
            run_bounds(r, it->lower, it->upper);
            run_prefix(r, it->prefix);
            it->run_count++;
            it->level0_count++;
            if (l->files[i]->info.tombs > 0) {
                hider_add(it, &l->files[i], 1);
            }
        }
    }
}

static void level_add(struct tkv_iter *it, int level, unsigned flags)
{
    const struct version_level *l = &it->sv->version->levels[level];
    struct run *r = &it->runs[it->run_count++];
    run_init_level(r, &it->db->tabcache, it->db->order, l->files, l->count, flags);
    run_bounds(r, it->lower, it->upper);
    run_prefix(r, it->prefix);
    if (l->tombs > 0) {
        hider_add(it, l->files, l->count);
    }
}

/* Newest first. */
static enum status sources_set(struct tkv_iter *it, unsigned flags)
{
    const struct superversion *sv = it->sv;
    it->run_count = 0;
    it->hider_count = 0;
    it->level0_count = 0;
    enum status st =
        arrays_reserve(it, 1 + sv->full_count + sv->version->levels[0].count + TKV_LEVELS - 1);
    if (st == ST_OK) {
        st = memtable_add(it, sv->active);
    }
    for (size_t i = 0; st == ST_OK && i < sv->full_count; i++) {
        st = memtable_add(it, sv->full[i]);
    }
    if (st != ST_OK) {
        return st;
    }
    level0_add(it, flags);
    for (int level = 1; level < TKV_LEVELS; level++) {
        if (sv->version->levels[level].count > 0) {
            level_add(it, level, flags);
        }
    }
    return ST_OK;
}

enum tkv_status tkv_iter_new(struct tkv *db, const struct tkv_read_options *o,
                             struct tkv_iter **iter)
{
    struct tkv_iter *it = pool_take(db);
    if (it == NULL) {
        return TKV_NOMEM;
    }
    it->sv = o != NULL && o->snapshot != NULL ? db_snapshot_copy(db, o->snapshot, &it->snapshot)
                                              : db_snapshot_take(db, &it->snapshot);
    (void)atomic_add_u64(&db->readers, 1);
    it->at = NULL;
    it->backward = false;
    it->st = ST_OK;
    it->run_count = 0;
    it->hider_count = 0;
    it->level0_extra = 0;
    enum status st = bounds_set(it, o);
    if (st == ST_OK) {
        st = sources_set(it, o != NULL && o->skip_cache ? TABLE_NO_FILL : 0);
    }
    if (st != ST_OK) {
        iter_close(it);
        pool_put(db, it);
        return tkv_impl_status(st);
    }
    mergeruns_init(&it->merge, db->order, it->runs, it->run_count, it->heap);
    *iter = it;
    return TKV_OK;
}

void tkv_iter_free(struct tkv_iter *iter)
{
    if (iter != NULL) {
        iter_close(iter);
        pool_put(iter->db, iter);
    }
}

/* ---- what is hidden ---- */

static void fail(struct tkv_iter *it, enum status st, const struct err *err)
{
    it->st = st;
    it->at = NULL;
    if (err->text[0] != '\0') {
        env_log(it->db->env, ENV_LOG_ERROR, err->text);
    }
}

/* The merge has come to its end, or to a failure. */
static void merge_ended(struct tkv_iter *it)
{
    struct err err;
    err.text[0] = '\0';
    enum status st = mergeruns_error(&it->merge, &err);
    if (st != ST_OK) {
        fail(it, st, &err);
    }
}

/* The source whose range tomb hides the merge's present entry; NULL: none does, or it->st. */
static const struct hider *hidden(struct tkv_iter *it)
{
    struct err err;
    const struct entry *e = it->merge.at;
    err.text[0] = '\0';
    for (size_t i = 0; i < it->hider_count; i++) {
        struct hider *h = &it->hiders[i];
        enum status st = cover_at(&h->cover, e->key, it->backward, &err);
        if (st != ST_OK) {
            fail(it, st, &err);
            return NULL;
        }
        if (h->cover.tomb > e->sequence) {
            return h; /* the newest source first: the most is older than it */
        }
    }
    return NULL;
}

/* Passes the present entry, which h hides: by one step, or over all that the tomb spans. */
static void hidden_pass(struct tkv_iter *it, const struct hider *h)
{
    struct mergeruns *m = &it->merge;
    if ((size_t)(m->from - it->runs) < h->older) {
        mergeruns_step(m);
    } else {
        mergeruns_jump(m, it->backward ? h->cover.begin : h->cover.end, ENTRY_SEQUENCE_MAX);
    }
}

static void hiders_reset(struct tkv_iter *it)
{
    for (size_t i = 0; i < it->hider_count; i++) {
        cover_reset(&it->hiders[i].cover);
    }
}

/* it->key; with a data pointer even when it is empty. */
static struct slice key_kept(const struct tkv_iter *it)
{
    return slice_of(it->key.size > 0 ? it->key.data : "", it->key.size);
}

static bool key_keep(struct tkv_iter *it, struct slice key)
{
    struct err none = {.text = ""};
    buf_clear(&it->key);
    enum status st = buf_append(&it->key, key.data, key.size);
    if (st != ST_OK) {
        fail(it, st, &none);
    }
    return st == ST_OK;
}

static bool matches(const struct tkv_iter *it, struct slice key)
{
    return key.size >= it->prefix.size && memcmp(key.data, it->prefix.data, it->prefix.size) == 0;
}

/* Has the active memtable flushed, unless that was done, or would make a reader wait for what
 * writers wait for. */
static void relieve(struct tkv_iter *it)
{
    struct tkv *db = it->db;
    env_mutex_lock(db->env, &db->mutex);
    const struct superversion *sv = db->superversion;
    bool worth = !db->options.read_only && db->broken == ST_OK && list_empty(&db->commits) &&
                 sv->active == it->sv->active && sv->full_count == 0 &&
                 sv->version->levels[0].count < db->options.level0_slow;
    env_mutex_unlock(db->env, &db->mutex);
    if (worth) {
        struct commit c = {.rotate = true};
        enum status st = commit_run(db, &c);
        (void)st; /* the move went well; who writes next meets what failed */
    }
}

/* ---- forward ---- */

/* The present entry is an older version of the key that was decided. */
static void older_pass(struct tkv_iter *it, unsigned *steps)
{
    if (++*steps <= STEPS_BEFORE_SEEK) {
        mergeruns_step(&it->merge);
    } else {
        mergeruns_skip(&it->merge, key_kept(it), 0);
    }
}

/* The present entry is newer than what the cursor sees. */
static void newer_pass(struct tkv_iter *it, unsigned *steps)
{
    if (++*steps <= STEPS_BEFORE_SEEK) {
        mergeruns_step(&it->merge);
    } else if (key_keep(it, it->merge.at->key)) {
        mergeruns_skip(&it->merge, key_kept(it), it->snapshot.sequence);
        *steps = 0;
    }
}

/* From where the merge stands to the first entry that counts. decided: it->key is passed. Returns
 * how many entries of the active memtable it looked at. */
static size_t walk_forward(struct tkv_iter *it, bool decided)
{
    struct mergeruns *m = &it->merge;
    unsigned steps = 0;
    size_t waded = 0;
    it->at = NULL;
    while (m->at != NULL && it->st == ST_OK) {
        const struct entry *e = m->at;
        waded += m->from == it->runs;
        if (decided && slice_equal(e->key, key_kept(it))) {
            older_pass(it, &steps);
            continue;
        }
        if (it->upper.data != NULL && order_compare(m->order, e->key, it->upper) >= 0) {
            return waded;
        }
        if (e->sequence > it->snapshot.sequence) {
            newer_pass(it, &steps);
            decided = false; /* it->key may have been used */
            continue;
        }
        const struct hider *h = it->hider_count > 0 ? hidden(it) : NULL;
        if (h != NULL) {
            hidden_pass(it, h);
            continue;
        }
        if (e->type == BATCH_PUT && it->st == ST_OK && (!it->filtered || matches(it, e->key))) {
            it->at = e;
            return waded;
        }
        if (it->st == ST_OK && key_keep(it, e->key)) {
            decided = true;
            steps = 0;
            mergeruns_step(m);
        }
    }
    merge_ended(it);
    return waded;
}

static void settle_forward(struct tkv_iter *it, bool decided)
{
    if (walk_forward(it, decided) > WADE_MAX) {
        relieve(it);
    }
}

/* ---- backward ---- */

/* Copies the present entry's value: it is a version of it->key that the cursor sees. */
static void candidate_keep(struct tkv_iter *it)
{
    struct err none = {.text = ""};
    const struct entry *e = it->merge.at;
    it->saved.type = e->type;
    it->saved.sequence = e->sequence;
    if (it->merge.from->kind == RUN_MEMTABLE) {
        it->saved.value = e->value; /* it stays where it is */
        return;
    }
    buf_clear(&it->value);
    enum status st = buf_append(&it->value, e->value.data, e->value.size);
    it->saved.value = buf_slice(&it->value);
    if (st != ST_OK) {
        fail(it, st, &none);
    }
}

/* A key with many versions, in it->key: finds the one that counts from the newest on, and goes on
 * before the key. *have: there is one. */
static void candidate_seek(struct tkv_iter *it, bool *have)
{
    struct mergeruns *m = &it->merge;
    mergeruns_seek(m, key_kept(it), it->snapshot.sequence);
    *have = false;
    if (m->at != NULL && slice_equal(m->at->key, key_kept(it))) {
        *have = it->hider_count == 0 || hidden(it) == NULL;
        if (*have && it->st == ST_OK) {
            candidate_keep(it);
        }
    }
    if (it->st == ST_OK && m->st == ST_OK) {
        mergeruns_seek_before(m, key_kept(it), ENTRY_SEQUENCE_MAX);
    }
}

static bool candidate_counts(const struct tkv_iter *it)
{
    return it->saved.type == BATCH_PUT && (!it->filtered || matches(it, key_kept(it)));
}

/* The present entry is a version of it->key: takes note of it and goes one entry back. */
static void version_pass(struct tkv_iter *it, unsigned *steps, bool *have)
{
    struct mergeruns *m = &it->merge;
    const struct hider *h = NULL;
    if (++*steps > STEPS_BEFORE_SEEK) {
        candidate_seek(it, have);
        *steps = 0;
        return;
    }
    if (m->at->sequence <= it->snapshot.sequence) {
        h = it->hider_count > 0 ? hidden(it) : NULL;
        if (h == NULL && it->st == ST_OK) {
            candidate_keep(it);
            *have = true;
        }
    }
    if (it->st != ST_OK) {
        return;
    }
    if (h != NULL) {
        hidden_pass(it, h);
    } else {
        mergeruns_step(m);
    }
}

/* From where the merge stands back to the last key that counts. */
static size_t walk_backward(struct tkv_iter *it)
{
    struct mergeruns *m = &it->merge;
    unsigned steps = 0;
    bool any = false; /* it->key is a key that we are at */
    size_t waded = 0;
    bool have = false; /* and saved its newest version so far that counts */
    it->at = NULL;
    while (m->at != NULL && it->st == ST_OK) {
        const struct entry *e = m->at;
        waded += m->from == it->runs;
        if (!any || !slice_equal(e->key, key_kept(it))) {
            if (have && candidate_counts(it)) {
                break;
            }
            have = false;
            if (it->lower.data != NULL && order_compare(m->order, e->key, it->lower) < 0) {
                return waded;
            }
            any = key_keep(it, e->key);
            steps = 0;
        }
        if (any) {
            version_pass(it, &steps, &have);
        }
    }
    merge_ended(it);
    if (it->st == ST_OK && have && candidate_counts(it)) {
        it->saved.key = key_kept(it);
        it->at = &it->saved;
    }
    return waded;
}

static void settle_backward(struct tkv_iter *it)
{
    if (walk_backward(it) > WADE_MAX) {
        relieve(it);
    }
}

/* ---- public ---- */

/* A new journey. */
static void begin(struct tkv_iter *it, bool backward)
{
    it->backward = backward;
    it->st = ST_OK;
    it->at = NULL;
    it->level0_extra += it->level0_count > 1 ? it->level0_count - 1 : 0;
    hiders_reset(it);
}

/* To the first key at or after `key` (data NULL: of all), or, with sequence 0, after it. */
static void forward_from(struct tkv_iter *it, struct slice key, uint64_t sequence)
{
    begin(it, false);
    if (key.data == NULL) {
        mergeruns_first(&it->merge);
    } else {
        mergeruns_seek(&it->merge, key, sequence);
    }
    settle_forward(it, false);
}

/* To the last key before `key` (data NULL: of all), or, with sequence 0, at or before it. */
static void back_from(struct tkv_iter *it, struct slice key, uint64_t sequence)
{
    begin(it, true);
    if (key.data == NULL) {
        mergeruns_last(&it->merge);
    } else {
        mergeruns_seek_before(&it->merge, key, sequence);
    }
    settle_backward(it);
}

void tkv_iter_first(struct tkv_iter *iter)
{
    forward_from(iter, iter->lower, iter->snapshot.sequence);
}

void tkv_iter_last(struct tkv_iter *iter)
{
    back_from(iter, iter->upper, ENTRY_SEQUENCE_MAX);
}

void tkv_iter_seek(struct tkv_iter *iter, const void *key, size_t key_size)
{
    struct slice k = slice_of(key_size > 0 ? key : "", key_size);
    bool below = iter->lower.data != NULL && order_compare(iter->db->order, k, iter->lower) < 0;
    forward_from(iter, below ? iter->lower : k, iter->snapshot.sequence);
}

void tkv_iter_seek_back(struct tkv_iter *iter, const void *key, size_t key_size)
{
    struct slice k = slice_of(key_size > 0 ? key : "", key_size);
    if (iter->upper.data != NULL && order_compare(iter->db->order, k, iter->upper) >= 0) {
        back_from(iter, iter->upper, ENTRY_SEQUENCE_MAX);
    } else {
        back_from(iter, k, 0);
    }
}

void tkv_iter_next(struct tkv_iter *iter)
{
    CK(iter->at != NULL);
    if (iter->backward) { /* its key is in iter->key */
        forward_from(iter, key_kept(iter), 0);
    } else if (key_keep(iter, iter->at->key)) {
        mergeruns_step(&iter->merge);
        settle_forward(iter, true);
    }
}

void tkv_iter_prev(struct tkv_iter *iter)
{
    CK(iter->at != NULL);
    if (iter->backward) {
        settle_backward(iter);
    } else if (key_keep(iter, iter->at->key)) {
        back_from(iter, key_kept(iter), ENTRY_SEQUENCE_MAX);
    }
}

bool tkv_iter_valid(const struct tkv_iter *iter)
{
    return iter->at != NULL;
}

const void *tkv_iter_key(const struct tkv_iter *iter, size_t *size)
{
    CK(iter->at != NULL);
    *size = iter->at->key.size;
    return iter->at->key.data;
}

const void *tkv_iter_value(const struct tkv_iter *iter, size_t *size)
{
    CK(iter->at != NULL);
    *size = iter->at->value.size;
    return iter->at->value.data;
}

enum tkv_status tkv_iter_status(const struct tkv_iter *iter)
{
    return tkv_impl_status(iter->st);
}
