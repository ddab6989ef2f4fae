/* run.c - see run.h. */
#include "engine/run.h"

#include "base/ck.h"

/* ---- life ---- */

void run_init_memtable(struct run *r, const struct memtable *t)
{
    *r = (struct run){.kind = RUN_MEMTABLE, .order = t->order};
    memtable_cursor_init(&r->mem, t);
}

static enum status table_take(struct run *r, struct tabfile *f)
{
    enum status st = tabcache_get(r->tabcache, &f->slot, &f->info, &r->table, &r->err);
    if (st != ST_OK) {
        r->table = NULL;
        return st;
    }
    table_cursor_init(&r->cursor, r->table, r->flags);
    return ST_OK;
}

static void table_drop(struct run *r)
{
    if (r->table != NULL) {
        table_cursor_release(&r->cursor);
        table_unref(r->table);
        r->table = NULL;
    }
}

enum status run_init_table(struct run *r, struct tabcache *c, struct tabfile *f, unsigned flags,
                           struct err *err)
{
    *r = (struct run){.kind = RUN_TABLE, .tabcache = c, .flags = flags};
    enum status st = table_take(r, f);
    if (st != ST_OK && err != NULL) {
        *err = r->err;
    }
    return st;
}

void run_init_open(struct run *r, struct table *t, unsigned flags)
{
    *r = (struct run){.kind = RUN_TABLE, .table = t, .flags = flags};
    table_ref(t);
    table_cursor_init(&r->cursor, t, flags);
}

void run_init_level(struct run *r, struct tabcache *c, struct order order,
                    struct tabfile *const *files, size_t count, unsigned flags)
{
    *r = (struct run){.kind = RUN_LEVEL,
                      .tabcache = c,
                      .order = order,
                      .files = files,
                      .count = count,
                      .flags = flags};
}

void run_bounds(struct run *r, struct slice lower, struct slice upper)
{
    r->lower = lower;
    r->upper = upper;
}

void run_prefix(struct run *r, struct slice prefix)
{
    r->prefix = prefix;
}

void run_release(struct run *r)
{
    table_drop(r);
    *r = (struct run){.kind = RUN_NONE};
}

enum status run_error(const struct run *r, struct err *err)
{
    if (r->st != ST_OK && err != NULL) {
        *err = r->err;
    }
    return r->st;
}

/* ---- where the cursor inside stands ---- */

static void memtable_show(struct run *r)
{
    r->at = r->mem.valid ? &r->mem.entry : NULL;
}

static void table_show(struct run *r)
{
    r->at = r->cursor.valid ? &r->cursor.entry : NULL;
    if (r->cursor.st != ST_OK) {
        r->st = table_cursor_error(&r->cursor, &r->err);
    }
}

/* ---- levels ---- */

/* Makes file i the open one. False: it cannot be opened. */
static bool file_open(struct run *r, size_t i)
{
    if (r->table != NULL && r->file == i) {
        return true;
    }
    table_drop(r);
    r->file = i;
    r->st = table_take(r, r->files[i]);
    r->at = NULL;
    return r->st == ST_OK;
}

/* Whether the open table may have what is wanted of it. */
static bool wanted(const struct run *r)
{
    return r->prefix.size == 0 || table_may_have_prefix(r->table, r->prefix);
}

/* Index of the first file that does not lie before key. */
static size_t file_find(const struct run *r, struct slice key)
{
    size_t low = 0;
    size_t high = r->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (version_file_before(r->order, r->files[middle], key)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Goes to the first entry of file i, or of the first one after it that has any. */
static void files_forward(struct run *r, size_t i)
{
    r->at = NULL;
    for (; r->at == NULL && r->st == ST_OK && i < r->count; i++) {
        const struct table_info *info = &r->files[i]->info;
        if (r->upper.data != NULL && order_compare(r->order, info->least, r->upper) >= 0) {
            return;
        }
        if (file_open(r, i) && wanted(r)) {
            table_cursor_first(&r->cursor);
            table_show(r);
        }
    }
}

/* Goes to the last entry of file i - 1, or of the first one before it that has any. */
static void files_backward(struct run *r, size_t i)
{
    r->at = NULL;
    for (; r->at == NULL && r->st == ST_OK && i > 0; i--) {
        if (r->lower.data != NULL && version_file_before(r->order, r->files[i - 1], r->lower)) {
            return;
        }
        if (file_open(r, i - 1) && wanted(r)) {
            table_cursor_last(&r->cursor);
            table_show(r);
        }
    }
}

static void level_seek(struct run *r, struct slice key, uint64_t sequence)
{
    size_t i = file_find(r, key);
    r->at = NULL;
    if (i == r->count || !file_open(r, i)) {
        return;
    }
    if (wanted(r)) {
        table_cursor_seek(&r->cursor, key, sequence);
        table_show(r);
    }
    if (r->at == NULL && r->st == ST_OK) {
        files_forward(r, i + 1);
    }
}

static void level_seek_before(struct run *r, struct slice key, uint64_t sequence)
{
    size_t i = file_find(r, key);
    r->at = NULL;
    if (i < r->count && order_compare(r->order, r->files[i]->info.least, key) <= 0) {
        if (!file_open(r, i)) {
            return;
        }
        if (wanted(r)) {
            table_cursor_seek_before(&r->cursor, key, sequence);
            table_show(r);
        }
    }
    if (r->at == NULL && r->st == ST_OK) {
        files_backward(r, i);
    }
}

/* ---- moving ---- */

void run_first(struct run *r)
{
    r->st = ST_OK;
    switch (r->kind) {
    case RUN_MEMTABLE:
        memtable_cursor_first(&r->mem);
        memtable_show(r);
        break;
    case RUN_TABLE:
        table_cursor_first(&r->cursor);
        table_show(r);
        break;
    case RUN_LEVEL:
        files_forward(r, 0);
        break;
    case RUN_NONE:
        CK(r->kind != RUN_NONE);
    }
}

void run_last(struct run *r)
{
    r->st = ST_OK;
    switch (r->kind) {
    case RUN_MEMTABLE:
        memtable_cursor_last(&r->mem);
        memtable_show(r);
        break;
    case RUN_TABLE:
        table_cursor_last(&r->cursor);
        table_show(r);
        break;
    case RUN_LEVEL:
        files_backward(r, r->count);
        break;
    case RUN_NONE:
        CK(r->kind != RUN_NONE);
    }
}

void run_seek(struct run *r, struct slice key, uint64_t sequence)
{
    r->st = ST_OK;
    switch (r->kind) {
    case RUN_MEMTABLE:
        memtable_cursor_seek(&r->mem, key, sequence);
        memtable_show(r);
        break;
    case RUN_TABLE:
        table_cursor_seek(&r->cursor, key, sequence);
        table_show(r);
        break;
    case RUN_LEVEL:
        level_seek(r, key, sequence);
        break;
    case RUN_NONE:
        CK(r->kind != RUN_NONE);
    }
}

void run_seek_before(struct run *r, struct slice key, uint64_t sequence)
{
    r->st = ST_OK;
    switch (r->kind) {
    case RUN_MEMTABLE:
        memtable_cursor_seek_before(&r->mem, key, sequence);
        memtable_show(r);
        break;
    case RUN_TABLE:
        table_cursor_seek_before(&r->cursor, key, sequence);
        table_show(r);
        break;
    case RUN_LEVEL:
        level_seek_before(r, key, sequence);
        break;
    case RUN_NONE:
        CK(r->kind != RUN_NONE);
    }
}

void run_next(struct run *r)
{
    switch (r->kind) {
    case RUN_MEMTABLE:
        memtable_cursor_next(&r->mem);
        memtable_show(r);
        break;
    case RUN_TABLE:
        table_cursor_next(&r->cursor);
        table_show(r);
        break;
    case RUN_LEVEL:
        table_cursor_next(&r->cursor);
        table_show(r);
        if (r->at == NULL && r->st == ST_OK) {
            files_forward(r, r->file + 1);
        }
        break;
    case RUN_NONE:
        CK(r->kind != RUN_NONE);
    }
}

void run_prev(struct run *r)
{
    switch (r->kind) {
    case RUN_MEMTABLE:
        memtable_cursor_prev(&r->mem);
        memtable_show(r);
        break;
    case RUN_TABLE:
        table_cursor_prev(&r->cursor);
        table_show(r);
        break;
    case RUN_LEVEL:
        table_cursor_prev(&r->cursor);
        table_show(r);
        if (r->at == NULL && r->st == ST_OK) {
            files_backward(r, r->file);
        }
        break;
    case RUN_NONE:
        CK(r->kind != RUN_NONE);
    }
}
