/* table.c - see table.h. */
#include "engine/table_impl.h"

#include "base/ck.h"
#include "base/code.h"
#include "base/crc32c.h"
#include "base/hash.h"
#include "engine/lz4.h"
#include "engine/table_cursor.h"
#include "env/fullio.h"

#define VERIFY_PIECE ((size_t)1 << 20) /* bytes read at once */

/* ---- counters ---- */

static struct table_stripe *stripe(const struct table *t)
{
    int here; /* threads differ in where their stack is */
    uint64_t h = hash_mix((uint64_t)(uintptr_t)&here >> 16);
    return &t->te.stats->stripes[h % TABLE_STRIPES];
}

static void count_filter(const struct table *t, bool spared)
{
    if (t->te.stats != NULL) {
        struct table_stripe *s = stripe(t);
        (void)atomic_add_u64(spared ? &s->filter_misses : &s->filter_checks, 1);
    }
}

void table_stats_sum(const struct table_stats *stats, struct table_stripe *sum)
{
    *sum = (struct table_stripe){.read_bytes = 0};
    for (size_t i = 0; i < TABLE_STRIPES; i++) {
        const struct table_stripe *s = &stats->stripes[i];
        uint64_t misses = atomic_get_u64(&s->filter_misses);
        sum->filter_checks += atomic_get_u64(&s->filter_checks) + misses;
        sum->filter_misses += misses;
        sum->read_bytes += atomic_get_u64(&s->read_bytes);
        sum->read_blocks += atomic_get_u64(&s->read_blocks);
    }
}

/* ---- reading bytes ---- */

static enum status corrupt(const struct table *t, uint64_t offset, const char *what,
                           struct err *err)
{
    err_set(err, "%s: %s at %" PRIu64, t->path, what, offset);
    return ST_CORRUPT;
}

enum status table_pread(const struct table *t, char *p, size_t size, uint64_t offset,
                        struct err *err)
{
    size_t got = 0;
    enum status st = fullio_pread(t->te.env, t->fd, p, size, offset, &got);
    if (st != ST_OK) {
        err_set(err, "%s: read of %zu bytes at %" PRIu64 ": %s", t->path, size, offset,
                status_text(st));
        return st;
    }
    if (t->te.stats != NULL) {
        struct table_stripe *s = stripe(t);
        (void)atomic_add_u64(&s->read_bytes, (int64_t)got);
        (void)atomic_add_u64(&s->read_blocks, 1);
    }
    if (got < size) {
        err_set(err, "%s: ends at %" PRIu64 ", expected %zu more bytes", t->path, offset + got,
                size - got);
        return ST_CORRUPT;
    }
    return ST_OK;
}

static enum status check_frame(const struct table *t, const char *p, size_t size, uint64_t offset,
                               struct err *err)
{
    uint32_t found;
    uint32_t want;
    if (!tablefmt_sealed(t->hardware, p, size, t->footer.number, offset, &found, &want)) {
        err_set(err, "%s: block at %" PRIu64 ": CRC is %08" PRIx32 ", expected %08" PRIx32, t->path,
                offset, found, want);
        return ST_CORRUPT;
    }
    return ST_OK;
}

enum status table_frame(const struct table *t, const char *p, size_t size, uint64_t offset,
                        size_t *raw, struct err *err)
{
    enum status st = check_frame(t, p, size, offset, err);
    if (st != ST_OK) {
        return st;
    }
    unsigned type = (unsigned char)p[size - TABLEFMT_TRAIL];
    size_t payload = size - TABLEFMT_TRAIL;
    *raw = payload;
    if (type == TABLEFMT_RAW) {
        return ST_OK;
    }
    if (type != TABLEFMT_LZ4 || payload < 4) {
        return corrupt(t, offset, "unknown kind of block", err);
    }
    *raw = code_get32(p);
    if (*raw / 256 > payload) { /* more than the format can say; so no absurd allocation */
        return corrupt(t, offset, "impossible size of a packed block", err);
    }
    return ST_OK;
}

enum status table_unpack(const struct table *t, const char *p, size_t size, uint64_t offset,
                         char *to, size_t raw, struct err *err)
{
    size_t payload = size - TABLEFMT_TRAIL;
    if (p[payload] == TABLEFMT_RAW) {
        memcpy(to, p, raw);
        return ST_OK;
    }
    if (lz4_unpack(p + 4, payload - 4, to, raw) != ST_OK) {
        return corrupt(t, offset, "damaged packed block", err);
    }
    return ST_OK;
}

enum status table_bad_entry(const struct table *t, uint64_t offset, uint32_t at, struct err *err)
{
    err_set(err, "%s: damaged entry %" PRIu32 " in the block at %" PRIu64, t->path, at, offset);
    return ST_CORRUPT;
}

/* Reads the frame of size bytes at offset into a block of its own, unpacked. */
static enum status read_block(const struct table *t, uint64_t offset, size_t size,
                              struct block **block, struct err *err)
{
    struct mem *mem = &t->te.env->mem;
    struct block *packed = block_new(mem, t->footer.number, offset, size);
    size_t raw = 0;
    *block = NULL;
    if (packed == NULL) {
        return err_status(err, ST_NOMEM, t->path);
    }
    enum status st = table_pread(t, packed->data, size, offset, err);
    if (st == ST_OK) {
        st = table_frame(t, packed->data, size, offset, &raw, err);
    }
    if (st != ST_OK || packed->data[size - TABLEFMT_TRAIL] == TABLEFMT_RAW) {
        goto out;
    }
    *block = block_new(mem, t->footer.number, offset, raw);
    st = *block == NULL ? err_status(err, ST_NOMEM, t->path)
                        : table_unpack(t, packed->data, size, offset, (*block)->data, raw, err);
    block_unref(packed);
    packed = *block;
out:
    if (st != ST_OK) {
        block_unref(packed);
        *block = NULL;
        return st;
    }
    packed->size = raw;
    *block = packed;
    return ST_OK;
}

enum status table_block_read(const struct table *t, uint32_t i, unsigned flags,
                             struct block **block, struct blockread *r, struct err *err)
{
    uint64_t offset = t->index.offsets[i];
    struct block *b;
    enum status st = read_block(t, offset, (size_t)(t->index.offsets[i + 1] - offset), &b, err);
    if (st != ST_OK) {
        return st;
    }
    st = blockread_init(r, slice_of(b->data, b->size));
    if (st != ST_OK) {
        block_unref(b);
        return corrupt(t, offset, "damaged block", err);
    }
    if (t->te.cache != NULL && (flags & TABLE_NO_FILL) == 0) {
        blockcache_add(t->te.cache, b);
    }
    *block = b;
    return ST_OK;
}

bool table_block_cached(const struct table *t, uint32_t i, struct block **block,
                        struct blockread *r)
{
    struct blockcache *cache = t->te.cache;
    *block = cache != NULL ? blockcache_find(cache, t->footer.number, t->index.offsets[i])
                           : (struct block *)NULL;
    if (*block == NULL) {
        return false;
    }
    enum status st = blockread_init(r, slice_of((*block)->data, (*block)->size));
    CK(st == ST_OK); /* it was looked at before it was added */
    return true;
}

enum status table_block(const struct table *t, uint32_t i, unsigned flags, struct block **block,
                        struct blockread *r, struct err *err)
{
    return table_block_cached(t, i, block, r) ? ST_OK
                                              : table_block_read(t, i, flags, block, r, err);
}

/* ---- opening ---- */

/* Takes a part of the file apart: its payload, unpacked, appended to out. part: its bytes. */
static enum status open_part(const struct table *t, struct slice part, uint64_t offset,
                             struct buf *out, struct err *err)
{
    size_t raw;
    enum status st = table_frame(t, part.data, part.size, offset, &raw, err);
    if (st == ST_OK) {
        st = buf_reserve(out, raw + 1); /* + 1: never NULL */
        st = st == ST_OK ? st : err_status(err, st, t->path);
    }
    if (st == ST_OK) {
        st = table_unpack(t, part.data, part.size, offset, out->data + out->size, raw, err);
        out->size += st == ST_OK ? raw : 0;
    }
    return st;
}

static enum status load_props(struct table *t, struct slice part, uint64_t offset, bool any_order,
                              struct err *err)
{
    enum status st = open_part(t, part, offset, &t->texts, err);
    if (st != ST_OK) {
        return st;
    }
    st = tablefmt_get_props(buf_slice(&t->texts), &t->props);
    if (st != ST_OK) {
        return corrupt(t, offset, "damaged properties", err);
    }
    if (!any_order && !slice_equal(t->props.order, slice_text(order_name(t->te.order)))) {
        err_set(err, "%s: its order is %.*s, not %s", t->path, (int)t->props.order.size,
                t->props.order.data, order_name(t->te.order));
        return ST_INVAL;
    }
    t->props.info.number = t->footer.number;
    t->props.info.size = t->footer.data + t->footer.filter + t->footer.tombs + t->footer.index +
                         t->footer.props + TABLEFMT_FOOTER;
    t->props.info.check = t->footer.check;
    return ST_OK;
}

static enum status load_index(struct table *t, struct slice part, uint64_t offset, struct err *err)
{
    struct buf raw;
    buf_init(&raw, &t->te.env->mem);
    struct order o = t->te.order;
    enum status st = open_part(t, part, offset, &raw, err);
    if (st == ST_OK) {
        st = tabindex_load(&t->index, &t->te.env->mem, o, buf_slice(&raw), t->props.blocks,
                           t->footer.data);
        st = st == ST_CORRUPT ? corrupt(t, offset, "damaged index", err)
             : st == ST_OK    ? st
                              : err_status(err, st, t->path);
    }
    buf_release(&raw);
    return st;
}

static enum status load_filter(struct table *t, struct slice part, uint64_t offset, struct err *err)
{
    struct buf raw;
    if (part.size == 0) {
        return ST_OK;
    }
    buf_init(&raw, &t->te.env->mem);
    enum status st = open_part(t, part, offset, &raw, err);
    if (st == ST_OK) {
        st = filter_load(&t->filter, &t->te.env->mem, buf_slice(&raw));
        st = st == ST_CORRUPT ? corrupt(t, offset, "damaged filter", err)
             : st == ST_OK    ? st
                              : err_status(err, st, t->path);
    }
    buf_release(&raw);
    return st;
}

static enum status load_tombs(struct table *t, struct slice part, uint64_t offset, bool any_order,
                              struct err *err)
{
    struct buf raw;
    if (part.size == 0) {
        return t->props.info.tombs == 0 ? ST_OK
                                        : corrupt(t, offset, "missing range tombstones", err);
    }
    if (any_order && !slice_equal(t->props.order, slice_text(order_name(t->te.order)))) {
        return ST_OK; /* they could not be told right from wrong */
    }
    buf_init(&raw, &t->te.env->mem);
    enum status st = open_part(t, part, offset, &raw, err);
    if (st == ST_OK) {
        st = tomb_set_decode(&t->te.env->mem, t->te.order, buf_slice(&raw), &t->tombs);
        if (st == ST_OK && tomb_set_count(t->tombs) != t->props.info.tombs) {
            st = ST_CORRUPT;
        }
        st = st == ST_CORRUPT ? corrupt(t, offset, "damaged range tombstones", err)
             : st == ST_OK    ? st
                              : err_status(err, st, t->path);
    }
    buf_release(&raw);
    return st;
}

static enum status load_footer(struct table *t, const struct table_info *expect, struct err *err)
{
    uint64_t size;
    char bytes[TABLEFMT_FOOTER];
    enum status st = env_file_size(t->te.env, t->fd, &size);
    if (st != ST_OK) {
        return err_status(err, st, t->path);
    }
    if (size < TABLEFMT_FOOTER || (expect->size != 0 && size != expect->size)) {
        err_set(err, "%s: is %" PRIu64 " bytes, expected %" PRIu64, t->path, size,
                expect->size != 0 ? expect->size : (uint64_t)TABLEFMT_FOOTER);
        return ST_CORRUPT;
    }
    st = table_pread(t, bytes, sizeof bytes, size - TABLEFMT_FOOTER, err);
    if (st != ST_OK) {
        return st;
    }
    st = tablefmt_get_footer(bytes, expect->number, size, &t->footer);
    if (st == ST_UNSUPPORTED) {
        err_set(err, "%s: written by a newer version", t->path);
        return st;
    }
    if (st != ST_OK) {
        return corrupt(t, size - TABLEFMT_FOOTER, "damaged footer", err);
    }
    if (expect->check != 0 && expect->check != t->footer.check) {
        err_set(err, "%s: check is %08" PRIx32 ", expected %08" PRIx32, t->path, t->footer.check,
                expect->check);
        return ST_CORRUPT;
    }
    return ST_OK;
}

/* All parts but the data in one read. */
static enum status load_parts(struct table *t, bool any_order, struct err *err)
{
    const struct tablefmt_footer *f = &t->footer;
    uint64_t size = f->filter + f->tombs + f->index + f->props;
    char *bytes = size > SIZE_MAX / 2 ? NULL : env_alloc(t->te.env, (size_t)size);
    if (bytes == NULL) {
        return err_status(err, ST_NOMEM, t->path);
    }
    const char *tombs = bytes + f->filter;
    const char *index = tombs + f->tombs;
    const char *props = index + f->index;
    enum status st = table_pread(t, bytes, (size_t)size, f->data, err);
    if (st == ST_OK) {
        st = load_props(t, slice_of(props, (size_t)f->props), f->data + size - f->props, any_order,
                        err);
    }
    if (st == ST_OK) {
        st = load_index(t, slice_of(index, (size_t)f->index), f->data + (uint64_t)(index - bytes),
                        err);
    }
    if (st == ST_OK) {
        st = load_filter(t, slice_of(bytes, (size_t)f->filter), f->data, err);
    }
    if (st == ST_OK) {
        st = load_tombs(t, slice_of(tombs, (size_t)f->tombs), f->data + f->filter, any_order, err);
    }
    env_release(t->te.env, bytes);
    return st;
}

enum status table_open_any(const struct table_env *e, const char *path,
                           const struct table_info *expect, bool any_order, struct table **table,
                           struct err *err)
{
    size_t size = strlen(path) + 1;
    struct table *t = mem_zalloc(&e->env->mem, sizeof *t + size);
    *table = NULL;
    if (t == NULL) {
        return err_status(err, ST_NOMEM, path);
    }
    memcpy(t->path, path, size);
    t->refs = 1;
    t->te = *e;
    t->fd = -1;
    t->hardware = (env_cpu_features(e->env) & ENV_CPU_CRC32C) != 0;
    buf_init(&t->texts, &e->env->mem);
    enum status st = env_file_open(e->env, path, ENV_READ, &t->fd);
    if (st != ST_OK) {
        t->fd = -1;
        st = err_status(err, st, path);
        goto out;
    }
    if (e->descriptors != NULL) {
        (void)atomic_add_u64(e->descriptors, 1);
    }
    st = load_footer(t, expect, err);
    if (st == ST_OK) {
        st = load_parts(t, any_order, err);
    }
out:
    if (st != ST_OK) {
        table_unref(t);
        return st;
    }
    *table = t;
    return ST_OK;
}

enum status table_open(const struct table_env *e, const char *path, const struct table_info *expect,
                       struct table **table, struct err *err)
{
    return table_open_any(e, path, expect, false, table, err);
}

void table_ref(struct table *t)
{
    (void)atomic_add_u64(&t->refs, 1);
}

void table_unref(struct table *t)
{
    if (t == NULL || atomic_add_u64(&t->refs, -1) > 0) {
        return;
    }
    struct env *env = t->te.env;
    if (t->fd >= 0) {
        enum status st = env_fd_close(env, t->fd);
        (void)st; /* it was only read */
        if (t->te.descriptors != NULL) {
            (void)atomic_add_u64(t->te.descriptors, -1);
        }
    }
    tabindex_release(&t->index);
    filter_release(&t->filter);
    tomb_set_free(t->tombs);
    buf_release(&t->texts);
    env_release(env, t);
}

uint64_t table_memory(const struct table *t)
{
    return sizeof *t + strlen(t->path) + t->texts.cap + t->index.memory +
           filter_memory(&t->filter) + tomb_set_bytes(t->tombs);
}

const struct tomb_set *table_tombs(const struct table *t)
{
    return t->tombs;
}

const struct table_info *table_info(const struct table *t)
{
    return &t->props.info;
}

/* ---- asking ---- */

uint64_t table_hash(struct slice key)
{
    return filter_hash(key);
}

bool table_may_have_prefix(const struct table *t, struct slice prefix)
{
    size_t n = t->props.prefix_bytes;
    if (n == 0 || prefix.size < n) {
        return true;
    }
    return filter_may_have(&t->filter, filter_hash_prefix(slice_of(prefix.data, n)));
}

/* Block i for a moment: the cache's without a reference, or read into the room's bytes. ST_AGAIN:
 * it is wanted in the cache, or does not fit there. */
static enum status block_glance(const struct table *t, uint32_t i, const struct table_room *room,
                                struct blockread *r, struct err *err)
{
    uint64_t offset = t->index.offsets[i];
    size_t size = (size_t)(t->index.offsets[i + 1] - offset);
    struct blockcache *cache = t->te.cache;
    const struct block *b =
        cache != NULL ? blockcache_peek(cache, room->slot, t->footer.number, offset) : NULL;
    if (b != NULL) {
        enum status st = blockread_init(r, slice_of(b->data, b->size));
        CK(st == ST_OK); /* it was looked at before it was added */
        return ST_OK;
    }
    if (size > room->size || (cache != NULL && blockcache_wants(cache, t->footer.number, offset))) {
        return ST_AGAIN;
    }
    char *packed = room->bytes + (room->size - size); /* what is unpacked comes before it */
    size_t raw;
    enum status st = table_pread(t, packed, size, offset, err);
    if (st == ST_OK) {
        st = table_frame(t, packed, size, offset, &raw, err);
    }
    if (st != ST_OK) {
        return st;
    }
    const char *p = packed;
    if (packed[size - TABLEFMT_TRAIL] != TABLEFMT_RAW) {
        if (raw > room->size - size) {
            return ST_AGAIN;
        }
        st = table_unpack(t, packed, size, offset, room->bytes, raw, err);
        p = room->bytes;
    }
    if (st == ST_OK && blockread_init(r, slice_of(p, raw)) != ST_OK) {
        st = corrupt(t, offset, "damaged block", err);
    }
    return st;
}

enum status table_find(struct table *t, const struct table_ask *ask, struct table_hit *hit,
                       struct err *err)
{
    struct blockread r;
    struct block *block = NULL;
    struct entry e;
    if (t->filter.lines != NULL) {
        bool may = filter_may_have(&t->filter, ask->hash);
        count_filter(t, !may);
        if (!may) {
            return ST_NOENT;
        }
    }
    uint32_t i = tabindex_find(&t->index, ask->key, ask->sequence);
    if (i == t->index.count) {
        return ST_NOENT;
    }
    enum status st = ask->room != NULL ? block_glance(t, i, ask->room, &r, err) : ST_AGAIN;
    if (st == ST_AGAIN) {
        st = table_block(t, i, ask->flags, &block, &r, err);
    }
    if (st != ST_OK) {
        return st;
    }
    st = blockread_find(&r, ask->key, ask->hash, ask->sequence, &e);
    if (st != ST_OK) {
        block_unref(block);
        return st == ST_NOENT ? st
                              : corrupt(t, t->index.offsets[i], "damaged entry in the block", err);
    }
    *hit = (struct table_hit){e, block};
    return ST_OK;
}

uint64_t table_offset(const struct table *t, struct slice key)
{
    uint32_t i = tabindex_find(&t->index, key, ENTRY_SEQUENCE_MAX);
    return i < t->index.count ? t->index.offsets[i] : t->footer.data;
}

/* ---- verifying ---- */

/* Reads the file from end to end: frames fit, and their CRCs give `check`. */
static enum status verify_bytes(const struct table *t, struct err *err)
{
    const struct tablefmt_footer *f = &t->footer;
    const uint64_t parts[] = {f->filter, f->tombs, f->index, f->props};
    size_t cap = 0;
    char *bytes = NULL;
    uint64_t offset = 0;
    uint32_t check = 0;
    enum status st = ST_OK;
    for (uint64_t i = 0; st == ST_OK && i < t->index.count + sizeof parts / sizeof parts[0]; i++) {
        bool data = i < t->index.count;
        size_t size = (size_t)(data ? t->index.offsets[i + 1] - offset : parts[i - t->index.count]);
        if (size == 0) {
            continue;
        }
        if (size > cap) {
            env_release(t->te.env, bytes);
            cap = size > VERIFY_PIECE / 2 ? size : VERIFY_PIECE;
            bytes = env_alloc(t->te.env, cap);
            if (bytes == NULL) {
                return err_status(err, ST_NOMEM, t->path);
            }
        }
        st = table_pread(t, bytes, size, offset, err);
        if (st == ST_OK) {
            st = check_frame(t, bytes, size, offset, err);
        }
        if (st == ST_OK) {
            check = crc32c_on(t->hardware, check, bytes + size - 4, 4);
        }
        offset += size;
    }
    env_release(t->te.env, bytes);
    if (st == ST_OK && check != f->check) {
        err_set(err, "%s: check is %08" PRIx32 ", the footer says %08" PRIx32, t->path, check,
                f->check);
        return ST_CORRUPT;
    }
    return st;
}

/* The file still ends as it did when it was opened. */
static enum status verify_footer(const struct table *t, struct err *err)
{
    char now[TABLEFMT_FOOTER];
    char then[TABLEFMT_FOOTER];
    uint64_t at = t->props.info.size - TABLEFMT_FOOTER;
    uint64_t size;
    enum status st = env_file_size(t->te.env, t->fd, &size);
    if (st != ST_OK) {
        return err_status(err, st, t->path);
    }
    if (size != t->props.info.size) {
        return corrupt(t, size, "the file changed its size", err);
    }
    st = table_pread(t, now, sizeof now, at, err);
    tablefmt_put_footer(then, &t->footer);
    if (st == ST_OK && memcmp(now, then, sizeof now) != 0) {
        return corrupt(t, at, "damaged footer", err);
    }
    return st;
}

/* What walking over all entries gathers. */
struct walk {
    struct table_info sum;
    uint64_t key_max;
    struct buf last; /* key */
    uint64_t last_sequence;
};

/* Is the separator of block i on the right side of an entry of block `of`? whole has room for any
 * key. */
static bool separated(const struct table *t, uint32_t i, uint32_t of, const struct entry *e,
                      struct buf *whole)
{
    struct slice front = t->index.shared;
    struct slice rest = tabindex_separator(&t->index, i);
    CK(front.size + rest.size <= whole->cap); /* tabindex_load has seen to it */
    if (front.size > 0) {
        memcpy(whole->data, front.data, front.size);
    }
    memcpy(whole->data + front.size, rest.data, rest.size);
    int c = entry_compare(t->te.order, e->key, e->sequence,
                          slice_of(whole->data, front.size + rest.size),
                          tabindex_sequence(&t->index, i));
    return of <= i ? c <= 0 : c > 0;
}

static const char *verify_entry(const struct table *t, const struct table_cursor *c, struct walk *w,
                                struct buf *whole)
{
    const struct entry *e = &c->entry;
    const struct tablefmt_props *p = &t->props;
    bool first = w->sum.entries == 0;
    int order = first ? -1 : order_compare(t->te.order, buf_slice(&w->last), e->key);
    if (order > 0 || (order == 0 && w->last_sequence <= e->sequence)) {
        return "entry out of order in the block";
    }
    if (!separated(t, c->index, c->index, e, whole) ||
        (c->index > 0 && !separated(t, c->index - 1, c->index, e, whole))) {
        return "entry outside the separators of the block";
    }
    if (!filter_may_have(&t->filter, filter_hash(e->key)) ||
        (p->prefix_bytes > 0 && e->key.size >= p->prefix_bytes &&
         !table_may_have_prefix(t, e->key))) {
        return "key missing in the filter, of the block";
    }
    struct entry found;
    if (blockread_find(&c->in, e->key, filter_hash(e->key), e->sequence, &found) != ST_OK ||
        found.sequence != e->sequence) {
        return "wrong mark in the block";
    }
    w->sum.entries++;
    w->sum.deletes += e->type == BATCH_DELETE;
    w->sum.raw_bytes += e->key.size + e->value.size;
    if (e->sequence < w->sum.sequence_min) {
        w->sum.sequence_min = e->sequence;
    }
    if (e->sequence > w->sum.sequence_max) {
        w->sum.sequence_max = e->sequence;
    }
    w->key_max = e->key.size > w->key_max ? e->key.size : w->key_max;
    w->last_sequence = e->sequence;
    return e->type == BATCH_DELETE && e->value.size > 0 ? "delete with a value in the block" : NULL;
}

static void add_tombs(const struct table *t, struct table_info *sum)
{
    sum->tombs = tomb_set_count(t->tombs);
    for (size_t i = 0; i < sum->tombs; i++) {
        struct tomb_piece piece = tomb_set_piece(t->tombs, i);
        uint64_t newest = piece.sequences[0];
        uint64_t oldest = piece.sequences[piece.count - 1];
        sum->sequence_max = newest > sum->sequence_max ? newest : sum->sequence_max;
        sum->sequence_min = oldest < sum->sequence_min ? oldest : sum->sequence_min;
    }
}

/* The bounds of what was seen: first and last are keys of entries. */
static bool bounds_right(const struct table *t, bool entries, struct slice first, struct slice last)
{
    struct order o = t->te.order;
    const struct table_info *info = &t->props.info;
    size_t count = tomb_set_count(t->tombs);
    struct slice least = first;
    struct slice most = last;
    bool is_open = false;
    if (count > 0) {
        struct slice begin = tomb_set_piece(t->tombs, 0).begin;
        struct slice end = tomb_set_piece(t->tombs, count - 1).end;
        least = !entries || order_compare(o, begin, least) < 0 ? begin : least;
        is_open = !entries || order_compare(o, end, most) > 0;
        most = is_open ? end : most;
    }
    return slice_equal(least, info->least) && slice_equal(most, info->most) &&
           is_open == info->most_open;
}

static bool sums_equal(const struct table_info *a, const struct table_info *b)
{
    return a->entries == b->entries && a->deletes == b->deletes && a->tombs == b->tombs &&
           a->sequence_min == b->sequence_min && a->sequence_max == b->sequence_max &&
           a->raw_bytes == b->raw_bytes;
}

static enum status verify_entries(struct table *t, struct err *err)
{
    struct walk w = {.sum.sequence_min = UINT64_MAX};
    struct table_cursor c;
    struct buf first;
    struct buf whole;
    const char *wrong = NULL;
    buf_init(&w.last, &t->te.env->mem);
    buf_init(&first, &t->te.env->mem);
    buf_init(&whole, &t->te.env->mem);
    table_cursor_init(&c, t, TABLE_SCAN);
    enum status st = buf_reserve(&whole, TKV_KEY_MAX);
    table_cursor_first(&c);
    while (c.valid && st == ST_OK && wrong == NULL) {
        if (w.sum.entries == 0) {
            st = buf_append(&first, c.entry.key.data, c.entry.key.size);
        }
        wrong = verify_entry(t, &c, &w, &whole);
        buf_clear(&w.last);
        if (st == ST_OK) {
            st = buf_append(&w.last, c.entry.key.data, c.entry.key.size);
        }
        if (wrong == NULL) {
            table_cursor_next(&c);
        }
    }
    if (st != ST_OK) {
        st = err_status(err, st, t->path);
    } else if (wrong != NULL) {
        st = corrupt(t, t->index.offsets[c.index], wrong, err);
    } else {
        st = table_cursor_error(&c, err);
    }
    add_tombs(t, &w.sum);
    if (st == ST_OK &&
        (!sums_equal(&w.sum, &t->props.info) || w.key_max != t->props.key_max ||
         !bounds_right(t, w.sum.entries > 0, buf_slice(&first), buf_slice(&w.last)))) {
        err_set(err, "%s: its properties do not tell what is in it", t->path);
        st = ST_CORRUPT;
    }
    table_cursor_release(&c);
    buf_release(&w.last);
    buf_release(&first);
    buf_release(&whole);
    return st;
}

enum status table_verify(struct table *t, const struct table_info *info, struct err *err)
{
    const struct table_info *own = &t->props.info;
    enum status st = verify_footer(t, err);
    if (st == ST_OK) {
        st = verify_bytes(t, err);
    }
    if (st == ST_OK) {
        st = verify_entries(t, err);
    }
    if (st != ST_OK || info == NULL) {
        return st;
    }
    if (info->number != own->number || info->size != own->size || info->check != own->check ||
        !sums_equal(info, own) || !slice_equal(info->least, own->least) ||
        !slice_equal(info->most, own->most) || info->most_open != own->most_open) {
        err_set(err, "%s: is not the table that the manifest describes", t->path);
        return ST_CORRUPT;
    }
    return ST_OK;
}
