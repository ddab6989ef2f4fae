/* raftseg.c - see raftseg.h. */
#include "raft/raftseg.h"

#include "base/ck.h"
#include "base/code.h"
#include "env/fullio.h"

#define ZEROS     ((size_t)64 << 10)
#define AHEAD_MIN ((uint64_t)256 << 10)
#define AHEAD_MAX ((uint64_t)1 << 20)
#define PLACES    64

enum status raftseg_init(struct raftseg *s, struct env *env, const char *dir,
                         const struct raftlog_options *options,
                         const struct raftlog_identity *identity)
{
    memset(s, 0, sizeof *s);
    s->env = env;
    s->fd = -1;
    s->dir = dir;
    s->identity = *identity;
    s->hardware = (env_cpu_features(env) & ENV_CPU_CRC32C) != 0;
    s->segment_bytes = options->segment_bytes;
    s->sector = options->sector_bytes;
    s->spare_cap = options->spares == UINT32_MAX ? 0 : options->spares;
    s->page = env_alloc(env, RAFTLOGFMT_DATA_AT);
    s->zeros = env_alloc(env, ZEROS);
    s->spares = env_alloc(env, (s->spare_cap + 1) * sizeof *s->spares);
    if (s->page == NULL || s->zeros == NULL || s->spares == NULL) {
        raftseg_release(s);
        return ST_NOMEM;
    }
    memset(s->zeros, 0, ZEROS);
    return ST_OK;
}

static void seg_shut(struct raftseg *s)
{
    if (s->fd >= 0) {
        (void)env_fd_close(s->env, s->fd); /* what counts has been synced */
        s->fd = -1;
    }
}

void raftseg_release(struct raftseg *s)
{
    if (s->env == NULL) {
        return;
    }
    seg_shut(s);
    env_release(s->env, s->page);
    env_release(s->env, s->zeros);
    env_release(s->env, s->spares);
    env_release(s->env, s->places);
    env_release(s->env, s->repairs);
    memset(s, 0, sizeof *s);
    s->fd = -1;
}

void raftseg_remember(struct raftseg *s, const struct raftlogfmt_block *b)
{
    s->before = *b;
    if (b->snapshot.size > 0) {
        memcpy(s->configs, b->snapshot.data, b->snapshot.size);
    }
    if (b->config.size > 0) {
        memcpy(s->configs + RAFTLOG_CONFIG_MAX, b->config.data, b->config.size);
    }
    s->before.runs = slice_of(NULL, 0); /* a header needs none */
    s->before.snapshot.data = s->configs;
    s->before.config.data = s->configs + RAFTLOG_CONFIG_MAX;
}

/* ---- files ---- */

static enum status write_at(struct raftseg *s, int fd, const void *data, size_t size, uint64_t at)
{
    size_t put = 0;
    enum status st = fullio_pwrite(s->env, fd, data, size, at, &put);
    s->written += put;
    return st;
}

static enum status zeros_write(struct raftseg *s, int fd, uint64_t from, uint64_t to)
{
    enum status st = ST_OK;
    while (st == ST_OK && from < to) {
        size_t n = to - from < ZEROS ? (size_t)(to - from) : ZEROS;
        st = write_at(s, fd, s->zeros, n, from);
        from += n;
    }
    return st;
}

/* Reserves the space of a new file. Where the file system cannot, zeros do. */
static enum status space_reserve(struct raftseg *s, int fd, uint64_t size, bool *zeroed)
{
    enum status st = env_file_allocate(s->env, fd, 0, size, false);
    *zeroed = st == ST_UNSUPPORTED;
    return *zeroed ? zeros_write(s, fd, 0, size) : st;
}

/* A file that nobody needs. One that stays is removed by the next open. */
static void file_remove(struct raftseg *s, const char *path)
{
    enum status st = env_path_remove(s->env, path);
    (void)st; /* nothing depends on it */
}

static enum status next_make(struct raftseg *s, const char *path, uint64_t size)
{
    int fd;
    enum status st = env_path_remove(s->env, path); /* what an attempt before this one left */
    if (st != ST_OK && st != ST_NOENT) {
        return st;
    }
    st = env_file_open(s->env, path, ENV_READ | ENV_WRITE | ENV_CREATE | ENV_EXCLUSIVE, &fd);
    if (st != ST_OK) {
        return st;
    }
    st = space_reserve(s, fd, size, &s->next_used);
    (void)env_fd_close(s->env, fd); /* it is synced when its header is written */
    if (st != ST_OK) {
        file_remove(s, path); /* gives the space back */
    }
    return st;
}

/* Renames a spare file of the usual size; false: there is none that can be. */
static bool next_recycle(struct raftseg *s, const char *path)
{
    char from[ENV_PATH_MAX];
    if (s->spare_count == 0) {
        return false;
    }
    raftlogfmt_path(from, s->dir, s->spares[--s->spare_count]);
    s->next_used = env_path_rename(s->env, from, path) == ST_OK;
    if (!s->next_used) {
        file_remove(s, from);
    }
    return s->next_used;
}

enum status raftseg_prepare(struct raftseg *s, uint64_t size)
{
    char path[ENV_PATH_MAX];
    enum status st = ST_OK;
    size = size < s->segment_bytes ? s->segment_bytes : raftlogfmt_up(size, RAFTLOGFMT_PAGE);
    if (s->next_size >= size) {
        return ST_OK;
    }
    s->next_size = 0;
    raftlogfmt_path(path, s->dir, s->next_number);
    if (size != s->segment_bytes || !next_recycle(s, path)) {
        st = next_make(s, path, size);
    }
    if (st == ST_OK) {
        st = env_dir_sync(s->env, s->dir);
        s->failed = st != ST_OK;
    }
    s->next_size = st == ST_OK ? size : 0;
    return st;
}

void raftseg_retire(struct raftseg *s, uint64_t number, uint64_t size)
{
    char path[ENV_PATH_MAX];
    if (size == s->segment_bytes && s->spare_count < s->spare_cap) {
        s->spares[s->spare_count++] = number;
        return;
    }
    raftlogfmt_path(path, s->dir, number);
    file_remove(s, path);
}

/* ---- switching ---- */

bool raftseg_fits(const struct raftseg *s, uint64_t bytes)
{
    return s->fd >= 0 && !s->spoiled && bytes <= s->size - s->at;
}

/* Writes the header, twice, and empty slots between. */
static enum status header_write(struct raftseg *s, int fd, uint64_t sequence)
{
    struct raftlogfmt_block b = s->before;
    b.kind = RAFTLOGFMT_HEADER;
    b.told = true;
    b.runs = slice_of(NULL, 0);
    b.identity = s->identity;
    b.chained = s->chained;
    b.chain = s->chain;
    b.previous = s->number;
    b.number = s->next_number;
    b.epoch = (uint32_t)env_random_u64(s->env);
    b.sector = s->sector;
    b.sequence = sequence;
    b.offset = RAFTLOGFMT_DATA_AT;
    b.info.epoch = b.epoch;
    b.info.bytes = 0;
    b.info.records = 0;
    b.info.synced = s->synced;
    b.info.before = b.info.last;
    b.info.before_run = b.info.last_run;
    memset(s->page, 0, RAFTLOGFMT_DATA_AT);
    raftlogfmt_put_block(s->hardware, s->page, &b, 0);
    raftlogfmt_put_block(s->hardware, s->page + RAFTLOGFMT_COPY_AT, &b, RAFTLOGFMT_COPY_AT);
    s->epoch = b.epoch;
    return write_at(s, fd, s->page, RAFTLOGFMT_DATA_AT, 0);
}

enum status raftseg_switch(struct raftseg *s, uint64_t sequence, uint64_t bytes)
{
    char path[ENV_PATH_MAX];
    int fd;
    enum status st = raftseg_prepare(s, RAFTLOGFMT_DATA_AT + bytes);
    if (st != ST_OK) {
        return st;
    }
    raftlogfmt_path(path, s->dir, s->next_number);
    st = env_file_open(s->env, path, ENV_READ | ENV_WRITE, &fd);
    if (st != ST_OK) {
        return st;
    }
    st = header_write(s, fd, sequence);
    if (st == ST_OK) {
        st = env_file_sync(s->env, fd);
        s->failed = st != ST_OK;
    }
    if (st != ST_OK) {
        (void)env_fd_close(s->env, fd); /* nothing in it counts */
        return st;
    }
    seg_shut(s);
    s->fd = fd;
    s->number = s->next_number++;
    s->size = s->next_size;
    s->next_size = 0;
    s->at = RAFTLOGFMT_DATA_AT;
    s->filled = s->next_used ? s->size : s->at;
    s->ahead = AHEAD_MIN;
    s->seed = raftlogfmt_seed(s->number, s->epoch);
    s->spoiled = false;
    return ST_OK;
}

/* ---- groups ---- */

/* Walks the records of a group where they lie in memory. */
struct cursor {
    struct raftstage_chunk *chunk;
    const struct raftstage_chunk *end; /* others write behind the group there */
    size_t at;
};

static char *cursor_record(struct cursor *c)
{
    while (c->chunk != c->end && c->at == c->chunk->used) {
        c->chunk = c->chunk->next;
        c->at = 0;
    }
    return c->chunk->data + c->at;
}

static enum status places_reserve(struct raftseg *s, size_t n)
{
    size_t cap = s->place_cap < PLACES ? PLACES : s->place_cap;
    while (cap < n) {
        cap *= 2;
    }
    if (cap == s->place_cap) {
        return ST_OK;
    }
    struct raftplace *places = env_resize(s->env, s->places, cap * sizeof *places);
    if (places == NULL) {
        return ST_NOMEM;
    }
    s->places = places;
    bool *repairs = env_resize(s->env, s->repairs, cap * sizeof *repairs);
    if (repairs == NULL) {
        return ST_NOMEM;
    }
    s->repairs = repairs;
    s->place_cap = cap;
    return ST_OK;
}

static void place_add(struct raftseg *s, uint64_t index, uint64_t where, bool repair)
{
    CK(s->place_count < s->place_cap);
    s->places[s->place_count] = (struct raftplace){index, s->number, where};
    s->repairs[s->place_count++] = repair;
}

/* Entries from index on are not those of this group that were noted. */
static void places_cut(struct raftseg *s, uint64_t from)
{
    size_t n = 0;
    for (size_t i = 0; i < s->place_count; i++) {
        if (s->places[i].index < from) {
            s->places[n] = s->places[i];
            s->repairs[n++] = s->repairs[i];
        }
    }
    s->place_count = n;
}

/* Notes where a record's entry lies, if the place before it does not say so. */
static void place_note(struct raftseg *s, const struct raftlogfmt_record *r, uint64_t offset)
{
    uint64_t *next = &s->place_next;
    switch (r->type) {
    case RAFTLOGFMT_ENTRY: {
        const struct raftplace *last = s->place_count > 0 ? &s->places[s->place_count - 1] : NULL;
        if (r->index != *next || last == NULL || offset - last->where >= RAFTSEG_STRIDE) {
            place_add(s, r->index, offset, false);
        }
        *next = r->index + 1;
        break;
    }
    case RAFTLOGFMT_TRUNCATE:
        places_cut(s, r->index);
        s->place_cut = true;
        *next = 0;
        break;
    case RAFTLOGFMT_SNAPSHOT:
        if ((r->flags & RAFTLOGFMT_KEEP) == 0) {
            places_cut(s, 0);
        }
        break;
    case RAFTLOGFMT_LOST: {
        uint64_t flags = RAFTPLACE_DAMAGED;
        flags |= (r->flags & RAFTLOGFMT_DOUBT) != 0 ? RAFTPLACE_DOUBT : 0;
        flags |= (r->flags & RAFTLOGFMT_VAGUE) != 0 ? RAFTPLACE_VAGUE : 0;
        place_add(s, r->index, flags, false);
        *next = 0;
        break;
    }
    case RAFTLOGFMT_REPAIR:
        place_add(s, r->index, offset, true);
        *next = 0;
        break;
    default:
        break;
    }
}

/* Chains and seals the records of a group, as they will lie from s->at on. */
static void group_seal(struct raftseg *s, struct raftstage_group *g, uint32_t *chain)
{
    struct cursor c = {g->chunk, g->end_chunk, g->at};
    uint64_t offset = s->at;
    s->place_next = 0;
    s->place_count = 0;
    s->place_cut = false;
    g->block.info.epoch = s->epoch;
    g->block.info.synced = s->synced;
    raftlogfmt_put_info(cursor_record(&c) + RAFTLOGFMT_RECORD, &g->block.info);
    for (uint32_t i = 0; i <= g->block.info.records; i++) {
        struct raftlogfmt_record r;
        char *p = cursor_record(&c);
        *chain =
            raftlogfmt_seal(s->hardware, s->seed, offset, *chain, i == g->block.info.records, p);
        raftlogfmt_head(p, &r);
        place_note(s, &r, offset);
        size_t size = (size_t)raftlogfmt_size(r.size);
        c.at += size;
        offset += size;
    }
    CK(offset == s->at + g->block.info.bytes);
    CK(c.chunk == g->end_chunk);
    CK(c.at == g->end);
}

/* Zeros ahead of a group that ends at `end`: into space that was never written; or, in a recycled
 * file, over the page that the group ends in, so that it need not be read to be written in part,
 * and nothing old follows the group there. */
static enum status zeros_ahead(struct raftseg *s, uint64_t end)
{
    uint64_t page = end - end % RAFTLOGFMT_PAGE;
    if (end > s->filled) {
        uint64_t to = raftlogfmt_up(end, RAFTLOGFMT_PAGE) + s->ahead;
        to = to < s->size ? to : s->size;
        s->ahead = s->ahead < AHEAD_MAX ? s->ahead * 2 : AHEAD_MAX;
        enum status st = zeros_write(s, s->fd, s->filled, to);
        s->filled = st == ST_OK ? to : s->filled;
        return st;
    }
    if (page >= s->at && page < end) {
        uint64_t to = page + RAFTLOGFMT_PAGE < s->size ? page + RAFTLOGFMT_PAGE : s->size;
        return zeros_write(s, s->fd, page, to);
    }
    return ST_OK;
}

static enum status parts_write(struct raftseg *s, const struct raftstage_group *g)
{
    uint64_t offset = s->at;
    enum status st = ST_OK;
    const struct raftstage_chunk *c = g->chunk;
    for (size_t at = g->at; st == ST_OK; at = 0, c = c->next) {
        size_t end = c == g->end_chunk ? g->end : c->used;
        if (end > at) {
            st = write_at(s, s->fd, c->data + at, end - at, offset);
            offset += end - at;
        }
        if (c == g->end_chunk) {
            break;
        }
    }
    return st;
}

static enum status identity_write(struct raftseg *s, struct raftstage_group *g, uint32_t chain)
{
    struct raftlogfmt_block *b = &g->block;
    b->kind = RAFTLOGFMT_IDENTITY;
    b->chained = true;
    b->chain = chain;
    b->number = s->number;
    b->epoch = s->epoch;
    b->sector = s->sector;
    b->identity = s->identity;
    b->sequence = g->sequence;
    b->offset = s->at;
    uint64_t at = raftlogfmt_slot_at(g->sequence);
    raftlogfmt_put_block(s->hardware, s->page, b, at);
    return write_at(s, s->fd, s->page, RAFTLOGFMT_PAGE, at);
}

enum status raftseg_write(struct raftseg *s, struct raftstage_group *g)
{
    uint32_t chain = s->chain;
    CK(g->closed);
    CK(!s->failed);
    CK(raftseg_fits(s, g->block.info.bytes));
    enum status st = places_reserve(s, g->places);
    if (st != ST_OK) {
        return st;
    }
    group_seal(s, g, &chain);
    st = zeros_ahead(s, s->at + g->block.info.bytes);
    if (st == ST_OK) {
        st = parts_write(s, g);
    }
    if (st == ST_OK) {
        st = identity_write(s, g, chain);
    }
    if (st != ST_OK) {
        s->spoiled = true;
        return st;
    }
    st = env_file_datasync(s->env, s->fd);
    if (st != ST_OK) {
        s->failed = true;
        return st;
    }
    s->at = raftlogfmt_up(s->at + g->block.info.bytes, s->sector);
    s->chain = chain;
    s->chained = true;
    s->synced = g->sequence;
    raftseg_remember(s, &g->block);
    return ST_OK;
}
