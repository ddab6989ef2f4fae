/* table_cursor.c - see table_cursor.h. */
#include "engine/table_cursor.h"

#include "base/ck.h"
#include "engine/table_impl.h"

/* Read at first: the next block too, if it is of the usual size. */
#define PIECE_SEEK ((size_t)4608)
#define PIECE_SCAN ((size_t)64 << 10)
#define PIECE_MAX  ((size_t)512 << 10)
#define RUN_CACHED 2 /* adjacent blocks of a journey that may get into the cache */

void table_cursor_init(struct table_cursor *c, struct table *t, unsigned flags)
{
    *c = (struct table_cursor){.table = t, .flags = flags};
}

void table_cursor_release(struct table_cursor *c)
{
    if (c->table == NULL) {
        return;
    }
    struct env *env = c->table->te.env;
    block_unref(c->block);
    env_release(env, c->ahead);
    env_release(env, c->unpacked);
    env_release(env, c->key);
    *c = (struct table_cursor){.table = NULL};
}

enum status table_cursor_error(const struct table_cursor *c, struct err *err)
{
    if (c->st != ST_OK && err != NULL) {
        *err = c->err;
    }
    return c->st;
}

static void fail(struct table_cursor *c, enum status st)
{
    c->valid = false;
    c->st = st;
}

static enum status refused(struct table_cursor *c)
{
    return err_status(&c->err, ST_NOMEM, c->table->path);
}

/* Makes *p hold at least size bytes, whatever they are. */
static enum status room(struct table_cursor *c, char **p, size_t *cap, size_t size)
{
    if (size <= *cap) {
        return ST_OK;
    }
    struct env *env = c->table->te.env;
    char *bytes = env_alloc(env, size);
    if (bytes == NULL) {
        return refused(c);
    }
    env_release(env, *p);
    *p = bytes;
    *cap = size;
    return ST_OK;
}

/* Where keys are put together; big enough for the longest of the table. */
static enum status key_room(struct table_cursor *c, char **key, size_t *cap)
{
    enum status st = ST_OK;
    *key = c->small;
    *cap = sizeof c->small;
    if (c->table->props.key_max > sizeof c->small) {
        st = room(c, &c->key, &c->key_cap, (size_t)c->table->props.key_max);
        *key = c->key;
        *cap = c->key_cap;
    }
    return st;
}

/* ---- blocks ---- */

/* Which blocks the next piece is to hold: block i at its front or at its back, others as they fit.
 */
static void piece_choose(const struct table_cursor *c, uint32_t i, bool back, uint32_t *from,
                         uint32_t *to)
{
    const uint64_t *offsets = c->table->index.offsets;
    *from = i;
    *to = i + 1;
    if (back) {
        while (*from > 0 && offsets[*to] - offsets[*from - 1] <= c->piece) {
            --*from;
        }
    } else {
        while (*to < c->table->index.count && offsets[*to + 1] - offsets[*from] <= c->piece) {
            ++*to;
        }
    }
}

/* Reads blocks [from, to). */
static enum status piece_read(struct table_cursor *c, uint32_t from, uint32_t to)
{
    const uint64_t *offsets = c->table->index.offsets;
    size_t size = (size_t)(offsets[to] - offsets[from]);
    c->ahead_size = 0;
    enum status st = room(c, &c->ahead, &c->ahead_cap, size > c->piece ? size : c->piece);
    if (st == ST_OK) {
        st = table_pread(c->table, c->ahead, size, offsets[from], &c->err);
    }
    if (st == ST_OK) {
        c->ahead_offset = offsets[from];
        c->ahead_size = size;
    }
    return st;
}

/* Reads block i and some that come next on the way. Those may never be asked for: what cannot be
 * read of them is no failure yet, and i is read alone then. */
static enum status read_ahead(struct table_cursor *c, uint32_t i, bool back)
{
    uint32_t from;
    uint32_t to;
    piece_choose(c, i, back, &from, &to);
    enum status st = piece_read(c, from, to);
    if (st == ST_OK) {
        c->piece = c->piece < PIECE_MAX ? c->piece * 2 : PIECE_MAX;
    } else if (st == ST_IO && to - from > 1 && (c->flags & TABLE_SCAN) == 0) {
        c->piece = PIECE_SEEK;
        st = piece_read(c, i, i + 1);
    }
    return st;
}

static bool in_ahead(const struct table_cursor *c, uint32_t i)
{
    const uint64_t *offsets = c->table->index.offsets;
    return offsets[i] >= c->ahead_offset && offsets[i + 1] <= c->ahead_offset + c->ahead_size;
}

/* Block i as it lies in what was read ahead. */
static enum status take_ahead(struct table_cursor *c, uint32_t i)
{
    const struct table *t = c->table;
    uint64_t offset = t->index.offsets[i];
    size_t size = (size_t)(t->index.offsets[i + 1] - offset);
    const char *p = c->ahead + (offset - c->ahead_offset);
    size_t raw;
    enum status st = table_frame(t, p, size, offset, &raw, &c->err);
    if (st == ST_OK && p[size - TABLEFMT_TRAIL] != TABLEFMT_RAW) {
        st = room(c, &c->unpacked, &c->unpacked_cap, raw);
        if (st == ST_OK) {
            st = table_unpack(t, p, size, offset, c->unpacked, raw, &c->err);
        }
        p = c->unpacked;
    }
    if (st == ST_OK) {
        st = blockread_init(&c->in, slice_of(p, raw));
        if (st != ST_OK) {
            err_set(&c->err, "%s: damaged block at %" PRIu64, t->path, offset);
        }
    }
    return st;
}

/* Block i, which is not among what was read ahead. */
static enum status fetch(struct table_cursor *c, uint32_t i, bool back)
{
    struct table *t = c->table;
    if ((c->flags & TABLE_SCAN) == 0) {
        if (table_block_cached(t, i, &c->block, &c->in)) {
            return ST_OK;
        }
        if (c->run < RUN_CACHED && (c->flags & TABLE_NO_FILL) == 0 && t->te.cache != NULL &&
            blockcache_wants(t->te.cache, t->footer.number, t->index.offsets[i])) {
            return table_block_read(t, i, c->flags, &c->block, &c->in, &c->err);
        }
    }
    enum status st = read_ahead(c, i, back);
    return st == ST_OK ? take_ahead(c, i) : st;
}

/* Makes block i the present one; on failure the cursor is done for. back: the way it goes. */
static bool enter(struct table_cursor *c, uint32_t i, bool back)
{
    block_unref(c->block);
    c->block = NULL;
    c->group = UINT32_MAX;
    c->index = i;
    enum status st = in_ahead(c, i) ? take_ahead(c, i) : fetch(c, i, back);
    if (st != ST_OK) {
        fail(c, st);
    }
    return st == ST_OK;
}

/* A neighbour of the present block. */
static bool step_block(struct table_cursor *c, bool back)
{
    uint32_t count = c->table->index.count;
    if (back ? c->index == 0 : c->index + 1 >= count) {
        c->valid = false;
        return false;
    }
    c->run += c->run < RUN_CACHED;
    return enter(c, back ? c->index - 1 : c->index + 1, back);
}

/* ---- entries ---- */

static void damaged(struct table_cursor *c)
{
    fail(c, table_bad_entry(c->table, c->table->index.offsets[c->index], c->at, &c->err));
}

/* Makes entry c->at the present one. */
static void load(struct table_cursor *c)
{
    struct blockread_item it;
    c->valid = false;
    if (!blockread_item(&c->in, c->at, &it)) {
        damaged(c);
        return;
    }
    c->entry.sequence = blockread_sequence(&c->in, c->at);
    c->entry.value = it.value;
    c->entry.type = it.type;
    if (it.shared == 0) {
        c->entry.key = it.rest;
        c->valid = true;
        return;
    }
    char *key;
    size_t cap;
    enum status st = key_room(c, &key, &cap);
    if (st != ST_OK) {
        fail(c, st);
        return;
    }
    uint32_t group = c->at / BLOCKREAD_GROUP;
    if (group != c->group) {
        if (!blockread_head(&c->in, c->at, &c->head)) {
            damaged(c);
            return;
        }
        c->group = group;
    }
    if (it.shared > c->head.size || it.shared + it.rest.size > cap) {
        damaged(c);
        return;
    }
    memcpy(key, c->head.data, it.shared);
    memcpy(key + it.shared, it.rest.data, it.rest.size);
    c->entry.key = slice_of(key, it.shared + it.rest.size);
    c->valid = true;
}

void table_cursor_next(struct table_cursor *c)
{
    CK(c->valid);
    if (c->at + 1 < c->in.count) {
        c->at++;
        load(c);
    } else if (step_block(c, false)) {
        c->at = 0;
        load(c);
    }
}

void table_cursor_prev(struct table_cursor *c)
{
    CK(c->valid);
    if (c->at > 0) {
        c->at--;
        load(c);
    } else if (step_block(c, true)) {
        c->at = c->in.count - 1;
        load(c);
    }
}

/* A new journey. */
static bool begin(struct table_cursor *c, uint32_t i, bool back)
{
    c->st = ST_OK;
    c->valid = false;
    c->run = 0;
    c->piece = (c->flags & TABLE_SCAN) != 0 ? PIECE_SCAN : PIECE_SEEK;
    return i < c->table->index.count && enter(c, i, back);
}

void table_cursor_first(struct table_cursor *c)
{
    if (begin(c, 0, false)) {
        c->at = 0;
        load(c);
    }
}

void table_cursor_last(struct table_cursor *c)
{
    uint32_t count = c->table->index.count;
    if (count == 0) {
        c->st = ST_OK;
        c->valid = false;
    } else if (begin(c, count - 1, true)) {
        c->at = c->in.count - 1;
        load(c);
    }
}

/* Finds the place of (key, sequence) in the block that the index names; c->at may be its count.
 * false: the table ends before it, or it failed. */
static bool locate(struct table_cursor *c, struct slice key, uint64_t sequence, bool back)
{
    char *scratch;
    size_t cap;
    struct table *t = c->table;
    if (!begin(c, tabindex_find(&t->index, key, sequence), back)) {
        return false;
    }
    enum status st = key_room(c, &scratch, &cap);
    if (st == ST_OK) {
        st = blockread_seek(&c->in, t->te.order, key, sequence, scratch, cap, &c->at);
        if (st != ST_OK) {
            damaged(c);
            return false;
        }
    }
    if (st != ST_OK) {
        fail(c, st);
    }
    return st == ST_OK;
}

void table_cursor_seek(struct table_cursor *c, struct slice key, uint64_t sequence)
{
    if (!locate(c, key, sequence, false)) {
        return;
    }
    if (c->at < c->in.count) {
        load(c);
    } else if (step_block(c, false)) {
        c->at = 0; /* between the last entry and the separator */
        load(c);
    }
}

void table_cursor_seek_before(struct table_cursor *c, struct slice key, uint64_t sequence)
{
    if (!locate(c, key, sequence, true)) {
        if (c->st == ST_OK) {
            table_cursor_last(c); /* everything is before it */
        }
        return;
    }
    if (c->at > 0) {
        c->at--;
        load(c);
    } else if (step_block(c, true)) {
        c->at = c->in.count - 1;
        load(c);
    }
}
