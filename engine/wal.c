/* wal.c - see wal.h. */
#include "engine/wal.h"

#include "base/ck.h"
#include "base/code.h"
#include "env/fullio.h"

#define AHEAD_MIN ((uint64_t)64 << 10)
#define AHEAD_MAX ((uint64_t)1 << 20)
#define START     ((uint64_t)1 << 20)  /* bytes whose way to the medium is begun together */
#define PAGES     ((uint64_t)64 << 10) /* a multiple of any page size */

/* Walks the bytes of several parts as one run. */
struct cursor {
    const struct env_slice *parts;
    int count;
    size_t skip; /* of parts[0], done */
};

enum status wal_init(struct wal *w, struct env *env)
{
    *w = (struct wal){.env = env, .fd = -1};
    w->hardware_crc = (env_cpu_features(env) & ENV_CPU_CRC32C) != 0;
    w->stage = env_alloc(env, WAL_STAGE);
    return w->stage != NULL ? ST_OK : ST_NOMEM;
}

void wal_release(struct wal *w)
{
    if (w->env != NULL) {
        wal_shut(w);
        env_release(w->env, w->stage);
    }
    *w = (struct wal){.fd = -1};
}

void wal_shut(struct wal *w)
{
    if (w->fd >= 0) {
        (void)env_fd_close(w->env, w->fd); /* what counts has been synced, the rest is lost */
        w->fd = -1;
    }
    w->staged = 0;
}

/* Has what lies behind `started` begin its way to the medium, so that the sync at the end of a log
 * of many megabytes does not stand for all of it. Not the last page: it is still being written. */
static void writeback(struct wal *w)
{
    if (w->size - w->started >= START + PAGES) {
        uint64_t end = w->size / PAGES * PAGES;
        enum status hint = env_file_writeback(w->env, w->fd, w->started, end - w->started);
        (void)hint; /* the sync tells */
        w->started = end;
    }
}

enum status wal_flush(struct wal *w)
{
    CK(w->fd >= 0);
    if (w->staged == 0) {
        return ST_OK;
    }
    size_t size = w->staged;
    size_t put = 0;
    w->staged = 0;
    enum status st = fullio_pwrite(w->env, w->fd, w->stage, size, w->size - size, &put);
    w->filled = w->size > w->filled ? w->size : w->filled;
    w->written += put;
    if (st == ST_OK) {
        writeback(w);
    }
    return st;
}

enum status wal_ahead(struct wal *w, uint64_t limit)
{
    enum status st = wal_flush(w);
    if (st != ST_OK || w->ahead == 0 || w->filled > w->size || w->size >= limit) {
        return st;
    }
    uint64_t left = limit - w->size < w->ahead ? limit - w->size : w->ahead;
    memset(w->stage, 0, WAL_STAGE);
    while (left > 0) {
        size_t size = left < WAL_STAGE ? (size_t)left : WAL_STAGE;
        size_t put = 0;
        if (fullio_pwrite(w->env, w->fd, w->stage, size, w->filled, &put) != ST_OK) {
            w->ahead = 0; /* no room, or worse: the sync that follows will tell */
            return ST_OK;
        }
        w->filled += size;
        w->written += size;
        left -= size;
    }
    w->ahead = w->ahead < AHEAD_MAX ? w->ahead * 2 : AHEAD_MAX;
    return ST_OK;
}

enum status wal_sync(struct wal *w)
{
    enum status st = wal_flush(w);
    if (st != ST_OK) {
        return st;
    }
    st = env_file_datasync(w->env, w->fd);
    if (st == ST_OK) {
        w->synced = w->size;
        w->started = w->size / PAGES * PAGES;
    }
    return st;
}

/* Copies the next size bytes of c to p. */
static void cursor_copy(struct cursor *c, char *p, size_t size)
{
    while (size > 0) {
        CK(c->count > 0);
        size_t left = c->parts[0].size - c->skip;
        size_t n = left < size ? left : size;
        if (n > 0) {
            memcpy(p, (const char *)c->parts[0].data + c->skip, n);
        }
        p += n;
        size -= n;
        c->skip += n;
        if (c->skip == c->parts[0].size) {
            c->parts++;
            c->count--;
            c->skip = 0;
        }
    }
}

/* Zeros up to the next block when no fragment fits in this one. */
static void stage_padding(struct wal *w)
{
    size_t left = WALFMT_BLOCK - (size_t)(w->size % WALFMT_BLOCK);
    if (left < WALFMT_FRAG) {
        CK(w->staged + left <= WAL_STAGE);
        memset(w->stage + w->staged, 0, left);
        w->staged += left;
        w->size += left;
    }
}

/* Stages one fragment with the next size bytes of c; there is room for it. */
static void stage_fragment(struct wal *w, uint8_t type, uint64_t sequence, uint64_t synced,
                           struct cursor *c, size_t size)
{
    CK(w->staged + WALFMT_FRAG + size <= WAL_STAGE);
    struct walfmt_frag f = {.size = (uint16_t)size,
                            .type = type,
                            .number = (uint32_t)w->number,
                            .epoch = w->epoch,
                            .sequence = sequence,
                            .synced = synced};
    char *at = w->stage + w->staged;
    walfmt_put_frag(at, &f);
    cursor_copy(c, at + WALFMT_FRAG, size);
    code_put32(at, walfmt_crc(w->hardware_crc, at, w->number, w->size));
    w->staged += WALFMT_FRAG + size;
    w->size += WALFMT_FRAG + size;
}

enum status wal_create(struct wal *w, const char *path, const struct walfmt_head *head)
{
    CK(w->fd < 0);
    enum status st =
        env_file_open(w->env, path, ENV_WRITE | ENV_CREATE | ENV_EXCLUSIVE | ENV_GROWS, &w->fd);
    if (st != ST_OK) {
        w->fd = -1;
        return st;
    }
    w->number = head->number;
    w->epoch = (uint32_t)env_random_u64(w->env);
    w->size = 0;
    w->synced = 0;
    w->started = 0;
    w->staged = 0;
    w->filled = 0;
    w->ahead = AHEAD_MIN;
    char payload[WALFMT_HEAD];
    walfmt_put_head(payload, head);
    struct env_slice part = {payload, sizeof payload};
    struct cursor c = {&part, 1, 0};
    stage_fragment(w, WALFMT_HEADER, 0, 0, &c, sizeof payload);
    return ST_OK;
}

/* Room in the stage for padding and a fragment of any size. */
static enum status stage_room(struct wal *w)
{
    return WAL_STAGE - w->staged < WALFMT_BLOCK + WALFMT_FRAG ? wal_flush(w) : ST_OK;
}

static uint8_t fragment_type(bool first, bool last)
{
    return first ? (last ? WALFMT_FULL : WALFMT_FIRST) : (last ? WALFMT_LAST : WALFMT_MIDDLE);
}

enum status wal_append(struct wal *w, uint64_t sequence, const struct env_slice *parts, int count)
{
    struct cursor c = {parts, count, 0};
    size_t left = 0;
    for (int i = 0; i < count; i++) {
        left += parts[i].size;
    }
    CK(w->fd >= 0);
    for (bool first = true; first || left > 0; first = false) {
        enum status st = stage_room(w);
        if (st != ST_OK) {
            return st;
        }
        stage_padding(w);
        size_t room = WALFMT_BLOCK - (size_t)(w->size % WALFMT_BLOCK) - WALFMT_FRAG;
        size_t size = left < room ? left : room;
        left -= size;
        stage_fragment(w, fragment_type(first, left == 0), sequence, w->synced, &c, size);
    }
    return ST_OK;
}

enum status wal_append_mark(struct wal *w)
{
    CK(w->fd >= 0);
    enum status st = stage_room(w);
    if (st != ST_OK) {
        return st;
    }
    stage_padding(w);
    struct cursor none = {NULL, 0, 0};
    stage_fragment(w, WALFMT_MARK, 0, w->synced, &none, 0);
    return ST_OK;
}

bool wal_append_note(struct wal *w, const void *payload, size_t size)
{
    CK(w->fd >= 0);
    CK(w->staged == 0);
    if (WALFMT_BLOCK - (size_t)(w->size % WALFMT_BLOCK) < WALFMT_FRAG + size) {
        return false;
    }
    struct env_slice part = {payload, size};
    struct cursor c = {&part, 1, 0};
    stage_fragment(w, WALFMT_MARK, 0, w->synced, &c, size);
    return true;
}

enum status wal_reopen(struct wal *w, const char *path, uint64_t number, uint32_t epoch,
                       uint64_t size, uint64_t filled)
{
    CK(w->fd < 0);
    CK(size <= filled);
    enum status st = env_file_open(w->env, path, ENV_WRITE | ENV_GROWS, &w->fd);
    if (st != ST_OK) {
        w->fd = -1;
        return st;
    }
    w->number = number;
    w->epoch = epoch;
    w->size = size;
    w->synced = size;
    w->started = size / PAGES * PAGES;
    w->staged = 0;
    w->filled = filled;
    w->ahead = AHEAD_MIN;
    return ST_OK;
}

enum status wal_blank(struct wal *w)
{
    enum status st = ST_OK;
    uint64_t at = w->size;
    CK(w->staged == 0);
    if (at < w->filled) {
        memset(w->stage, 0, WAL_STAGE);
    }
    while (st == ST_OK && at < w->filled) {
        size_t size = w->filled - at < WAL_STAGE ? (size_t)(w->filled - at) : WAL_STAGE;
        size_t put = 0;
        st = fullio_pwrite(w->env, w->fd, w->stage, size, at, &put);
        at += put;
    }
    w->written += at - w->size;
    return st;
}
