/* basefile.c - see basefile.h. */
#include "engine/basefile.h"

#include "base/ck.h"
#include "engine/fname.h"
#include "engine/walread.h"

#include <inttypes.h>

#define RECORD_SIZE ((size_t)16 << 10) /* entries are gathered up to about this */

enum status basefile_begin(struct basefile *b, struct env *env, const char *path, uint64_t number,
                           uint64_t log_floor, uint64_t last)
{
    struct walfmt_head head = {
        WALFMT_BASE_MAGIC, WALFMT_VERSION, number, log_floor, last, 0,
    };
    *b = (struct basefile){.last = last};
    buf_init(&b->gathered, &env->mem);
    enum status st = wal_init(&b->wal, env);
    return st == ST_OK ? wal_create(&b->wal, path, &head) : st;
}

void basefile_release(struct basefile *b)
{
    wal_release(&b->wal);
    buf_release(&b->gathered);
}

static enum status gathered_write(struct basefile *b)
{
    if (b->gathered.size == 0) {
        return ST_OK;
    }
    struct env_slice part = {b->gathered.data, b->gathered.size};
    enum status st = wal_append(&b->wal, b->last, &part, 1);
    buf_clear(&b->gathered);
    return st;
}

/* A large value goes out by itself, without a copy. */
static enum status large_write(struct basefile *b, struct slice key, struct slice value)
{
    char head[BATCH_HEAD + BATCH_ENTRY_HEAD_MAX];
    batch_put_head(head, 1);
    size_t size = BATCH_HEAD;
    size += batch_put_entry_head(head + size, BATCH_PUT, key.size, value.size);
    struct env_slice parts[] = {{head, size}, {key.data, key.size}, {value.data, value.size}};
    enum status st = gathered_write(b);
    return st == ST_OK ? wal_append(&b->wal, b->last, parts, 3) : st;
}

enum status basefile_add(struct basefile *b, struct slice key, struct slice value)
{
    struct batch_entry entry = {BATCH_PUT, key, value};
    enum status st;
    if (key.size + value.size >= RECORD_SIZE) {
        st = large_write(b, key, value);
    } else {
        st = batch_add(&b->gathered, &entry);
        if (st == ST_OK && b->gathered.size >= RECORD_SIZE) {
            st = gathered_write(b);
        }
    }
    b->count += st == ST_OK;
    return st;
}

enum status basefile_finish(struct basefile *b, uint64_t *size)
{
    enum status st = gathered_write(b);
    if (st == ST_OK) {
        st = wal_append_trail(&b->wal, b->last, b->count);
    }
    if (st == ST_OK) {
        st = wal_sync(&b->wal);
    }
    *size = b->wal.size;
    return st;
}

/* ---- reading ---- */

struct load {
    struct walread reader;
    struct memtable *table;
    struct walfmt_head head;
    uint64_t bad; /* after ST_CORRUPT: where */
    bool whole;   /* the end record was there */
};

static enum status load_entries(struct load *l, struct slice data)
{
    struct batch_walk w;
    struct batch_entry e;
    bool more;
    enum status st = batch_walk_init(&w, data);
    while (st == ST_OK) {
        st = batch_walk_next(&w, &e, &more);
        if (st != ST_OK || !more) {
            break;
        }
        const struct skl_node *last = l->table->skl.hint[0]; /* keys ascend */
        if (e.type != BATCH_PUT ||
            (skl_count(&l->table->skl) > 0 && slice_compare(skl_key(last), e.key) >= 0)) {
            return ST_CORRUPT;
        }
        struct skl_node *n = skl_node_new(&l->table->skl, e.type, e.key, e.value);
        if (n == NULL) {
            return ST_NOMEM;
        }
        skl_link(&l->table->skl, n, l->head.b);
    }
    return st;
}

/* One record; false in *more once there are none. */
static enum status load_record(struct load *l, bool *more)
{
    struct walread_record r;
    enum status st = walread_next(&l->reader, &r);
    *more = false;
    l->bad = st == ST_CORRUPT ? l->reader.damage : r.start;
    if (st != ST_OK) {
        return st;
    }
    switch (r.type) {
    case WALFMT_NONE:
        return l->whole ? ST_OK : ST_CORRUPT;
    case WALFMT_HEADER:
        st = walfmt_get_head(r.data, WALFMT_BASE_MAGIC, l->reader.number, &l->head);
        break;
    case WALFMT_FULL:
        /* sequence 0 would sort behind its own key; a base without changes has no entries */
        st = l->whole || l->head.b == 0 || r.sequence != l->head.b ? ST_CORRUPT
                                                                   : load_entries(l, r.data);
        break;
    case WALFMT_TRAIL:
        st = l->whole || r.sequence != l->head.b || r.synced != skl_count(&l->table->skl)
                 ? ST_CORRUPT
                 : ST_OK;
        l->whole = true;
        break;
    default:
        st = ST_CORRUPT;
    }
    *more = true;
    return st;
}

static void load_say(const struct load *l, enum status st, struct err *err)
{
    char name[FNAME_SIZE];
    fname_text(name, FNAME_BASE, l->reader.number);
    if (st == ST_CORRUPT) {
        err_set(err, "%s: damaged at offset %" PRIu64, name, l->bad);
    } else if (st == ST_UNSUPPORTED) {
        err_set(err, "%s: written by a newer version", name);
    } else {
        err_set(err, "%s: %s", name, status_text(st));
    }
}

enum status basefile_load(struct env *env, const char *dir, uint64_t number,
                          struct memtable **table, struct basefile_info *info, struct err *err)
{
    char path[ENV_PATH_MAX];
    struct load l = {.reader = {.number = number}};
    bool more = true;
    fname_make(path, dir, FNAME_BASE, number);
    enum status st = memtable_new(env, (struct order){NULL}, MEMTABLE_SKIPLIST, 0, &l.table);
    if (st == ST_OK) {
        st = walread_open(&l.reader, env, path, number, UINT64_MAX);
    }
    while (st == ST_OK && more) {
        st = load_record(&l, &more);
    }
    if (st != ST_OK) {
        l.reader.number = number;
        load_say(&l, st, err);
        memtable_unref(l.table);
    } else {
        *table = l.table;
        l.table->last = l.head.b;
        *info = (struct basefile_info){l.head.a, l.head.b, l.reader.file_size};
    }
    walread_close(&l.reader);
    return st;
}
