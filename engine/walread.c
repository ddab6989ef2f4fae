/* walread.c - see walread.h. */
#include "engine/walread.h"

#include "base/ck.h"
#include "base/code.h"
#include "engine/tkv.h"
#include "env/fullio.h"

enum status walread_open(struct walread *r, struct env *env, const char *path, uint64_t number,
                         uint64_t limit)
{
    *r = (struct walread){.env = env, .fd = -1, .number = number, .block_at = UINT64_MAX};
    r->hardware_crc = (env_cpu_features(env) & ENV_CPU_CRC32C) != 0;
    buf_init(&r->whole, &env->mem);
    enum status st = env_file_open(env, path, ENV_READ, &r->fd);
    if (st != ST_OK) {
        r->fd = -1;
        return st;
    }
    st = env_file_size(env, r->fd, &r->file_size);
    r->end = limit < UINT64_MAX ? limit : r->file_size;
    r->block = env_alloc(env, WALFMT_BLOCK);
    if (st == ST_OK && r->block == NULL) {
        st = ST_NOMEM;
    }
    if (st != ST_OK) {
        walread_close(r);
    }
    return st;
}

void walread_close(struct walread *r)
{
    if (r->env != NULL) {
        if (r->fd >= 0) {
            (void)env_fd_close(r->env, r->fd); /* it was only read */
        }
        env_release(r->env, r->block);
        buf_release(&r->whole);
    }
    *r = (struct walread){.fd = -1};
}

/* Makes the block that holds offset the present one. */
static enum status block_load(struct walread *r, uint64_t offset)
{
    uint64_t start = offset - offset % WALFMT_BLOCK;
    if (r->block_at == start) {
        return ST_OK;
    }
    r->block_at = UINT64_MAX;
    enum status st = fullio_pread(r->env, r->fd, r->block, WALFMT_BLOCK, start, &r->block_size);
    if (st == ST_OK) {
        r->block_at = start;
    }
    return st;
}

/* The fragment at offset of the present block, if there is a right one that ends by `end`;
 * NULL otherwise. */
static const char *fragment_at(const struct walread *r, uint64_t offset, uint64_t end,
                               struct walfmt_frag *f)
{
    size_t in = (size_t)(offset - r->block_at);
    uint64_t block_end = r->block_at + r->block_size;
    end = end < block_end ? end : block_end;
    if (end < offset || end - offset < WALFMT_FRAG) {
        return NULL;
    }
    const char *p = r->block + in;
    walfmt_get_frag(p, f);
    if (f->number != (uint32_t)r->number || f->type == WALFMT_NONE || f->type >= WALFMT_TYPES ||
        f->size > end - offset - WALFMT_FRAG ||
        f->crc != walfmt_crc(r->hardware_crc, p, r->number, offset)) {
        return NULL;
    }
    return p + WALFMT_FRAG;
}

static enum status damaged(struct walread *r, uint64_t offset)
{
    r->damage = offset;
    return ST_CORRUPT;
}

/* Reads the fragment at r->at, skipping a block's unused end; *payload is NULL at the end. */
static enum status fragment_next(struct walread *r, struct walfmt_frag *f, const char **payload,
                                 uint64_t *start)
{
    *payload = NULL;
    uint64_t left = WALFMT_BLOCK - r->at % WALFMT_BLOCK;
    *start = left < WALFMT_FRAG ? r->at + left : r->at;
    if (r->at >= r->end || *start >= r->end) {
        /* a file that is shorter than it is known to have been */
        return r->end > r->file_size ? damaged(r, r->file_size) : ST_OK;
    }
    enum status st = block_load(r, *start);
    if (st != ST_OK) {
        return st;
    }
    *payload = fragment_at(r, *start, r->end, f);
    if (*payload == NULL || (r->epoch_known && f->epoch != r->epoch) ||
        (f->type == WALFMT_HEADER) != (*start == 0)) {
        *payload = NULL;
        return damaged(r, *start < r->file_size ? *start : r->file_size);
    }
    r->epoch = f->epoch;
    r->epoch_known = true;
    r->at = *start + WALFMT_FRAG + f->size;
    return ST_OK;
}

/* Gathers the fragments that follow a FIRST into r->whole. */
static enum status record_rest(struct walread *r, struct walread_record *record)
{
    struct walfmt_frag f = {0};
    do {
        const char *payload;
        uint64_t start;
        enum status st = fragment_next(r, &f, &payload, &start);
        if (st != ST_OK) {
            return st;
        }
        if (payload == NULL || (f.type != WALFMT_MIDDLE && f.type != WALFMT_LAST) ||
            f.sequence != record->sequence || r->whole.size + f.size > TKV_BATCH_MAX) {
            return damaged(r, start < r->end ? start : r->end);
        }
        record->synced = f.synced > record->synced ? f.synced : record->synced;
        st = buf_append(&r->whole, payload, f.size);
        if (st != ST_OK) {
            return st;
        }
    } while (f.type != WALFMT_LAST);
    record->data = buf_slice(&r->whole);
    record->type = WALFMT_FULL;
    return ST_OK;
}

enum status walread_next(struct walread *r, struct walread_record *record)
{
    struct walfmt_frag f;
    const char *payload;
    *record = (struct walread_record){.type = WALFMT_NONE, .start = r->at, .end = r->at};
    enum status st = fragment_next(r, &f, &payload, &record->start);
    if (st != ST_OK || payload == NULL) {
        return st;
    }
    record->type = f.type;
    record->sequence = f.sequence;
    record->synced = f.synced;
    record->data = slice_of(payload, f.size);
    if (f.type == WALFMT_MIDDLE || f.type == WALFMT_LAST) {
        return damaged(r, record->start); /* its beginning is missing */
    }
    if (f.type == WALFMT_FIRST) {
        buf_clear(&r->whole);
        st = buf_append(&r->whole, payload, f.size);
        if (st == ST_OK) {
            st = record_rest(r, record);
        }
    }
    record->end = r->at;
    return st;
}

/* Whether the present block holds evidence at or behind offset. */
static bool block_evidence(const struct walread *r, uint64_t offset)
{
    uint64_t end = r->block_at + r->block_size;
    for (; offset + WALFMT_FRAG <= end; offset++) {
        struct walfmt_frag f;
        /* the cheap half of the test first: most offsets are in the middle of something */
        if (code_get32(r->block + (offset - r->block_at) + 8) == (uint32_t)r->number &&
            fragment_at(r, offset, end, &f) != NULL && (!r->epoch_known || f.epoch == r->epoch) &&
            f.synced > r->damage) {
            return true;
        }
    }
    return false;
}

enum status walread_evidence(struct walread *r, bool *found)
{
    *found = false;
    uint64_t offset = r->damage;
    while (offset < r->file_size && !*found) {
        enum status st = block_load(r, offset);
        if (st != ST_OK) {
            return st;
        }
        *found = block_evidence(r, offset);
        offset = r->block_at + WALFMT_BLOCK;
    }
    return ST_OK;
}

enum status walread_blank(struct walread *r, bool *blank)
{
    uint64_t offset = r->damage;
    *blank = true;
    while (offset < r->file_size && *blank) {
        enum status st = block_load(r, offset);
        if (st != ST_OK) {
            return st;
        }
        for (size_t i = (size_t)(offset - r->block_at); i < r->block_size && *blank; i++) {
            *blank = r->block[i] == 0;
        }
        offset = r->block_at + WALFMT_BLOCK;
    }
    return ST_OK;
}
