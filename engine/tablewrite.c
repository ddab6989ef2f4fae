/* tablewrite.c - see tablewrite.h. */
#include "engine/tablewrite.h"

#include "base/ck.h"
#include "base/code.h"
#include "base/crc32c.h"
#include "engine/blockwrite.h"
#include "engine/filter.h"
#include "engine/lz4.h"
#include "engine/tabindex.h"
#include "env/fullio.h"

#define PIECE ((size_t)1 << 20) /* bytes of a write */

struct tablewrite_state {
    struct tablewrite_options o;
    bool hardware;
    int fd; /* -1: closed */
    char *path;
    struct buf out;   /* framed blocks that are to be written */
    uint64_t written; /* bytes before them */
    uint32_t check;   /* over the CRCs so far */
    struct blockwrite block;
    struct buf raw; /* a block before compression */
    char *work;     /* of the compressor; NULL: there is none */
    struct tabindex_build index;
    uint64_t *hashes; /* for the filter */
    size_t hash_count, hash_cap;
    struct buf last; /* key of the last entry */
    uint64_t last_sequence;
    struct buf least, most;          /* as of table_info, range tombs included */
    struct buf tombs;                /* encoded */
    struct buf tomb_begin, tomb_end; /* what they span */
    struct tablefmt_props props;
    struct err err;
};

static enum status state_init(struct tablewrite_state *s, const struct tablewrite_options *o,
                              const char *path)
{
    struct mem *mem = &o->env->mem;
    size_t size = strlen(path) + 1;
    *s = (struct tablewrite_state){.o = *o, .fd = -1};
    s->hardware = (env_cpu_features(o->env) & ENV_CPU_CRC32C) != 0;
    buf_init(&s->out, mem);
    buf_init(&s->raw, mem);
    buf_init(&s->last, mem);
    buf_init(&s->least, mem);
    buf_init(&s->most, mem);
    buf_init(&s->tombs, mem);
    buf_init(&s->tomb_begin, mem);
    buf_init(&s->tomb_end, mem);
    blockwrite_init(&s->block, mem);
    tabindex_build_init(&s->index, mem);
    s->props.info.number = o->number;
    s->props.info.sequence_min = UINT64_MAX;
    s->props.order = slice_text(order_name(o->order));
    s->props.block_bytes = o->block_bytes;
    s->props.filter_bits = o->filter_bits;
    s->props.prefix_bytes = o->prefix_bytes;
    s->props.compression = o->compression;
    s->path = mem_alloc(mem, size);
    if (s->path == NULL) {
        return ST_NOMEM;
    }
    memcpy(s->path, path, size);
    if (o->compression == TABLEFMT_LZ4) {
        s->work = mem_alloc(mem, LZ4_WORK);
        return s->work == NULL ? ST_NOMEM : ST_OK;
    }
    return ST_OK;
}

enum status tablewrite_open(struct tablewrite *w, const struct tablewrite_options *o,
                            const char *path)
{
    CK(o->block_bytes > 0);
    CK(o->compression <= TABLEFMT_LZ4);
    w->state = env_alloc(o->env, sizeof *w->state);
    if (w->state == NULL) {
        return ST_NOMEM;
    }
    enum status st = state_init(w->state, o, path);
    if (st == ST_OK) {
        st = env_file_open(o->env, path, ENV_WRITE | ENV_CREATE | ENV_EXCLUSIVE, &w->state->fd);
        w->state->fd = st == ST_OK ? w->state->fd : -1;
    }
    if (st != ST_OK) {
        tablewrite_release(w);
    }
    return st;
}

void tablewrite_release(struct tablewrite *w)
{
    struct tablewrite_state *s = w->state;
    if (s == NULL) {
        return;
    }
    struct env *env = s->o.env;
    if (s->fd >= 0) {
        enum status st = env_fd_close(env, s->fd);
        (void)st; /* finish has synced what counts */
    }
    blockwrite_release(&s->block);
    tabindex_build_release(&s->index);
    buf_release(&s->out);
    buf_release(&s->raw);
    buf_release(&s->last);
    buf_release(&s->least);
    buf_release(&s->most);
    buf_release(&s->tombs);
    buf_release(&s->tomb_begin);
    buf_release(&s->tomb_end);
    env_release(env, s->hashes);
    env_release(env, s->work);
    env_release(env, s->path);
    env_release(env, s);
    w->state = NULL;
}

const char *tablewrite_error(const struct tablewrite *w)
{
    return w->state == NULL ? "" : w->state->err.text;
}

static enum status failed(struct tablewrite_state *s, enum status st, const char *what)
{
    err_set(&s->err, "%s: %s at %" PRIu64 ": %s", s->path, what, s->written, status_text(st));
    return st;
}

/* Writes what waits, in pieces; all of it, or as many whole pieces as there are. */
static enum status flush(struct tablewrite_state *s, bool all)
{
    size_t at = 0;
    enum status st = ST_OK;
    while (st == ST_OK && (s->out.size - at >= PIECE || (all && at < s->out.size))) {
        size_t put = 0;
        size_t left = s->out.size - at;
        struct env_slice part = {s->out.data + at, left < PIECE ? left : PIECE};
        if (s->o.pace != NULL) {
            st = s->o.pace(s->o.pace_arg, part.size);
        }
        if (st == ST_OK) {
            st = fullio_append(s->o.env, s->fd, &part, 1, &put);
            if (st != ST_OK) {
                st = failed(s, st, "append");
            } else if (put == PIECE) {
                /* A hint, so that the sync at the end has less to do. */
                enum status hint = env_file_writeback(s->o.env, s->fd, s->written, put);
                (void)hint;
            }
        }
        s->written += put;
        at += put;
    }
    buf_consume(&s->out, at);
    return st;
}

/* Frames a payload and hands it on. The size with its frame is *size. */
static enum status put_block(struct tablewrite_state *s, struct slice raw, uint64_t *size)
{
    size_t cap = raw.size + TABLEFMT_TRAIL;
    enum status st = buf_reserve(&s->out, cap);
    if (st != ST_OK) {
        return st;
    }
    char *p = s->out.data + s->out.size;
    size_t packed = 0;
    size_t worth = raw.size - raw.size / 8; /* else not worth the time of readers */
    if (s->work != NULL && worth > 4 && raw.size <= UINT32_MAX) {
        packed = lz4_pack(raw.data, raw.size, p + 4, worth - 4, s->work);
    }
    if (packed > 0) {
        code_put32(p, (uint32_t)raw.size);
        packed += 4;
    } else if (raw.size > 0) { /* an index of no blocks is empty */
        memcpy(p, raw.data, raw.size);
    }
    size_t payload = packed > 0 ? packed : raw.size;
    char sum[4];
    code_put32(sum, tablefmt_seal(s->hardware, p, payload, packed > 0 ? TABLEFMT_LZ4 : TABLEFMT_RAW,
                                  s->o.number, s->written + s->out.size));
    s->check = crc32c_on(s->hardware, s->check, sum, sizeof sum);
    *size = payload + TABLEFMT_TRAIL;
    s->out.size += payload + TABLEFMT_TRAIL;
    return s->out.size >= PIECE ? flush(s, false) : ST_OK;
}

/* The present block is full: next (NULL: nothing) begins another. */
static enum status finish_block(struct tablewrite_state *s, const struct slice *next)
{
    uint64_t size = 0;
    buf_clear(&s->raw);
    enum status st = blockwrite_finish(&s->block, &s->raw);
    if (st == ST_OK) {
        st = put_block(s, buf_slice(&s->raw), &size);
    }
    if (st == ST_OK) {
        st = tabindex_build_add(&s->index, s->o.order, buf_slice(&s->last), s->last_sequence, next,
                                size);
    }
    blockwrite_clear(&s->block);
    return st;
}

static enum status add_hash(struct tablewrite_state *s, uint64_t hash)
{
    if (s->hash_count == s->hash_cap) {
        size_t cap = s->hash_cap == 0 ? 1024 : s->hash_cap * 2;
        uint64_t *hashes = env_resize(s->o.env, s->hashes, cap * sizeof s->hashes[0]);
        if (hashes == NULL) {
            return ST_NOMEM;
        }
        s->hashes = hashes;
        s->hash_cap = cap;
    }
    s->hashes[s->hash_count++] = hash;
    return ST_OK;
}

/* Of a user key that differs from the last one. */
static enum status add_to_filter(struct tablewrite_state *s, struct slice key, uint64_t hash,
                                 bool first)
{
    size_t n = s->o.prefix_bytes;
    enum status st = add_hash(s, hash);
    if (st != ST_OK || n == 0 || key.size < n) {
        return st;
    }
    if (!first && s->last.size >= n && memcmp(s->last.data, key.data, n) == 0) {
        return ST_OK; /* neighbours mostly share it */
    }
    return add_hash(s, filter_hash_prefix(slice_of(key.data, n)));
}

static enum status copy(struct buf *b, struct slice s)
{
    buf_clear(b);
    return buf_append(b, s.data, s.size);
}

static void count_entry(struct table_info *info, const struct entry *e)
{
    info->entries++;
    info->deletes += e->type == BATCH_DELETE;
    info->raw_bytes += e->key.size + e->value.size;
    info->sequence_min = e->sequence < info->sequence_min ? e->sequence : info->sequence_min;
    info->sequence_max = e->sequence > info->sequence_max ? e->sequence : info->sequence_max;
}

enum status tablewrite_add(struct tablewrite *w, const struct entry *e)
{
    struct tablewrite_state *s = w->state;
    bool first = s->props.info.entries == 0;
    int order = first ? -1 : order_compare(s->o.order, buf_slice(&s->last), e->key);
    CK(order < 0 || (order == 0 && s->last_sequence > e->sequence));
    CK(e->type == BATCH_PUT || e->type == BATCH_DELETE);
    CK(e->sequence <= ENTRY_SEQUENCE_MAX);
    CK(e->key.size <= TKV_KEY_MAX);
    uint64_t hash = filter_hash(e->key);
    enum status st = ST_OK;
    if (s->block.count > 0 &&
        blockwrite_size_with(&s->block, e->key.size, e->value.size) + TABLEFMT_TRAIL >
            s->o.block_bytes) {
        st = finish_block(s, &e->key);
    }
    if (st == ST_OK && first) {
        st = copy(&s->least, e->key);
    }
    if (st == ST_OK && order != 0 && s->o.filter_bits > 0) {
        st = add_to_filter(s, e->key, hash, first);
    }
    if (st == ST_OK) {
        st = blockwrite_add(&s->block, e, hash);
    }
    if (st == ST_OK && order != 0) {
        st = copy(&s->last, e->key);
    }
    if (st != ST_OK) {
        return st;
    }
    s->last_sequence = e->sequence;
    s->props.key_max = e->key.size > s->props.key_max ? e->key.size : s->props.key_max;
    count_entry(&s->props.info, e);
    return ST_OK;
}

enum status tablewrite_add_tombs(struct tablewrite *w, const struct tomb_set *set)
{
    struct tablewrite_state *s = w->state;
    struct table_info *info = &s->props.info;
    size_t count = tomb_set_count(set);
    CK(info->tombs == 0);
    if (count == 0) {
        return ST_OK;
    }
    enum status st = tomb_set_encode(set, &s->tombs);
    if (st == ST_OK) {
        st = copy(&s->tomb_begin, tomb_set_piece(set, 0).begin);
    }
    if (st == ST_OK) {
        st = copy(&s->tomb_end, tomb_set_piece(set, count - 1).end);
    }
    for (size_t i = 0; i < count; i++) {
        struct tomb_piece piece = tomb_set_piece(set, i);
        uint64_t newest = piece.sequences[0];
        uint64_t oldest = piece.sequences[piece.count - 1];
        info->sequence_max = newest > info->sequence_max ? newest : info->sequence_max;
        info->sequence_min = oldest < info->sequence_min ? oldest : info->sequence_min;
    }
    info->tombs = count;
    return st;
}

/* Bounds of entries and range tombs together. The last entry is known only now. */
static enum status set_bounds(struct tablewrite_state *s)
{
    struct table_info *info = &s->props.info;
    bool entries = info->entries > 0;
    struct slice begin = buf_slice(&s->tomb_begin);
    struct slice end = buf_slice(&s->tomb_end);
    enum status st = copy(&s->most, buf_slice(&s->last));
    if (st == ST_OK && info->tombs > 0) {
        if (!entries || order_compare(s->o.order, begin, buf_slice(&s->least)) < 0) {
            st = copy(&s->least, begin);
        }
        if (st == ST_OK && (!entries || order_compare(s->o.order, end, buf_slice(&s->most)) > 0)) {
            st = copy(&s->most, end);
            info->most_open = true;
        }
    }
    info->least = buf_slice(&s->least);
    info->most = buf_slice(&s->most);
    return st;
}

uint64_t tablewrite_size(const struct tablewrite *w)
{
    const struct tablewrite_state *s = w->state;
    return s->written + s->out.size + blockwrite_size(&s->block) + s->tombs.size +
           s->index.out.size + s->hash_count * s->o.filter_bits / 8 + s->least.size + s->last.size +
           256;
}

uint64_t tablewrite_count(const struct tablewrite *w)
{
    return w->state->props.info.entries + w->state->props.info.tombs;
}

/* Everything behind the data blocks but the footer. */
static enum status put_parts(struct tablewrite_state *s, struct tablefmt_footer *f)
{
    enum status st = ST_OK;
    buf_clear(&s->raw);
    if (s->hash_count > 0) {
        st = filter_build(&s->raw, s->hashes, s->hash_count, s->o.filter_bits);
        if (st == ST_OK) {
            st = put_block(s, buf_slice(&s->raw), &f->filter);
        }
    }
    if (st == ST_OK && s->tombs.size > 0) {
        st = put_block(s, buf_slice(&s->tombs), &f->tombs);
    }
    if (st == ST_OK) {
        st = put_block(s, buf_slice(&s->index.out), &f->index);
    }
    buf_clear(&s->raw);
    if (st == ST_OK) {
        st = tablefmt_put_props(&s->raw, &s->props);
    }
    return st == ST_OK ? put_block(s, buf_slice(&s->raw), &f->props) : st;
}

enum status tablewrite_finish(struct tablewrite *w, struct table_info *info)
{
    struct tablewrite_state *s = w->state;
    struct tablefmt_footer f = {.number = s->o.number};
    char footer[TABLEFMT_FOOTER];
    CK(tablewrite_count(w) > 0);
    enum status st = set_bounds(s);
    if (st == ST_OK && s->block.count > 0) {
        st = finish_block(s, NULL);
    }
    f.data = s->written + s->out.size;
    s->props.blocks = s->index.blocks;
    if (st == ST_OK) {
        st = put_parts(s, &f);
    }
    if (st != ST_OK) {
        return st;
    }
    f.check = s->check;
    tablefmt_put_footer(footer, &f);
    st = buf_append(&s->out, footer, sizeof footer);
    if (st == ST_OK) {
        st = flush(s, true);
    }
    if (st == ST_OK) {
        st = env_file_sync(s->o.env, s->fd);
        st = st == ST_OK ? st : failed(s, st, "sync");
    }
    *info = s->props.info;
    info->size = s->written;
    info->check = s->check;
    return st;
}
