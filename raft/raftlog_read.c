/* raftlog_read.c - see raftlog.h: entries from memory or from the files. */
#include "raft/raftlog_impl.h"
#include "raft/raftscan.h"

#include "base/ck.h"
#include "base/code.h"

#define WINDOW ((size_t)64 << 10)

/* Where a run of entries lies, as it was known under m. */
struct source {
    struct raftplace place;
    uint64_t first; /* behind the base */
    uint64_t hi;    /* entries that are wanted end here, */
    uint64_t end;   /* and those at this place, cached ones too */
    uint64_t want;  /* the first one that is wanted, */
    uint64_t term;  /* and its term */
    struct raftlog_file file;
    struct raftplace next; /* the place behind, if it is in the same file behind this one; else
                              where is 0 */
};

/* ---- the batch ---- */

static enum status grow(struct env *env, char **data, size_t *cap, size_t need)
{
    if (need <= *cap) {
        return ST_OK;
    }
    size_t to = *cap > 0 ? *cap : 4096;
    while (to < need) {
        to *= 2;
    }
    char *p = env_resize(env, *data, to);
    if (p == NULL) {
        return ST_NOMEM;
    }
    *data = p;
    *cap = to;
    return ST_OK;
}

static void batch_begin(struct raftlog_batch *b, struct env *env)
{
    if (b->env == NULL) {
        b->env = env;
        b->fd = -1;
    }
    b->count = 0;
    b->bytes = 0;
    b->data_size = 0;
    b->bad_lo = b->bad_hi = 0;
}

static void batch_shut(struct raftlog_batch *b)
{
    if (b->fd >= 0) {
        (void)env_fd_close(b->env, b->fd); /* it was only read */
        b->fd = -1;
    }
}

static enum status batch_add(struct raftlog_batch *b, uint64_t index, uint64_t term, uint8_t kind,
                             struct slice data)
{
    if (b->count == b->cap) {
        size_t cap = b->cap > 0 ? 2 * b->cap : 64;
        struct raft_entry *entries = env_resize(b->env, b->entries, cap * sizeof *entries);
        if (entries == NULL) {
            return ST_NOMEM;
        }
        b->entries = entries;
        b->cap = cap;
    }
    enum status st = grow(b->env, &b->data, &b->data_cap, b->data_size + data.size);
    if (st != ST_OK) {
        return st;
    }
    if (data.size > 0) {
        memcpy(b->data + b->data_size, data.data, data.size);
    }
    b->entries[b->count++] =
        (struct raft_entry){index, term, (enum raft_kind)kind, slice_of(NULL, data.size)};
    b->data_size += data.size;
    b->bytes += data.size;
    return ST_OK;
}

/* Entries point into data, which has stopped moving. */
static void batch_end(struct raftlog_batch *b)
{
    size_t at = 0;
    for (size_t i = 0; i < b->count; i++) {
        b->entries[i].data.data = b->data_size > 0 ? b->data + at : NULL;
        at += b->entries[i].data.size;
    }
}

static bool batch_full(const struct raftlog_batch *b, size_t next, size_t max_bytes)
{
    return b->count > 0 && b->bytes + next > max_bytes;
}

/* ---- from memory ---- */

/* The writer seals records while they are read: only fields that it leaves alone are looked at. */
static enum status cache_read(struct raftlog *log, uint64_t lo, uint64_t hi, size_t max_bytes,
                              struct raftlog_batch *b)
{
    enum status st = ST_OK;
    for (uint64_t i = lo; i < hi && st == ST_OK; i++) {
        const char *p = raftstage_entry(&log->stage, i);
        size_t size = code_get32(p + 8);
        if (batch_full(b, size, max_bytes)) {
            break;
        }
        CK(code_get64(p + 24) == i);
        st = batch_add(b, i, code_get64(p + 32), (uint8_t)p[13],
                       slice_of(p + RAFTLOGFMT_RECORD, size));
    }
    return st;
}

/* ---- from a file ---- */

static const struct raftlog_file *file_of(const struct raftlog *log, uint64_t number)
{
    for (size_t i = log->file_count; i-- > 0;) {
        if (log->files[i].number == number) {
            return &log->files[i];
        }
    }
    return NULL;
}

/* Where lo lies; with m held. Sets the bad range when it is damaged. */
static enum status source_find(struct raftlog *log, uint64_t lo, uint64_t hi, struct source *src,
                               struct raftlog_batch *b)
{
    uint64_t next;
    const struct raftplace *p = raftplaces_find(&log->state.places, lo, &next);
    uint64_t end = next < log->stage.from ? next : log->stage.from;
    CK(p != NULL);
    if ((raftplace_flags(p) & RAFTPLACE_DAMAGED) != 0) {
        b->bad_lo = p->index > log->state.base.index ? p->index : log->state.base.index + 1;
        b->bad_hi = end;
        return ST_CORRUPT;
    }
    const struct raftlog_file *f = file_of(log, p->segment);
    CK(f != NULL);
    *src = (struct source){.place = *p,
                           .first = log->state.base.index + 1,
                           .hi = end < hi ? end : hi,
                           .end = next <= log->state.last.index ? next : log->state.last.index + 1,
                           .want = lo,
                           .term = raftstate_term(&log->state, lo),
                           .file = *f};
    if (next != UINT64_MAX && p[1].segment == p->segment && p[1].where > p->where &&
        (raftplace_flags(&p[1]) & RAFTPLACE_DAMAGED) == 0) {
        src->next = p[1];
    }
    return ST_OK;
}

static enum status source_open(struct raftlog *log, const struct source *src,
                               struct raftlog_batch *b)
{
    char path[ENV_PATH_MAX];
    if (b->fd >= 0 && b->segment == src->file.number) {
        return ST_OK;
    }
    batch_shut(b);
    b->segment = src->file.number;
    raftlogfmt_path(path, log->dir, src->file.number);
    enum status st = env_file_open(log->env, path, ENV_READ, &b->fd);
    b->fd = st == ST_OK ? b->fd : -1;
    return st;
}

/* Bytes from offset on, at least `need` of them if the file has so many. */
static enum status window_read(struct raftlog *log, const struct source *src, uint64_t offset,
                               size_t need, struct raftlog_batch *b, struct raftscan *scan)
{
    size_t size = need > WINDOW ? need : WINDOW;
    uint64_t left = offset < src->file.size ? src->file.size - offset : 0;
    size = size < left ? size : (size_t)left;
    enum status st = grow(log->env, &b->window, &b->window_cap, size + 1);
    if (st == ST_OK) {
        st = raftscan_read(log->env, b->fd, b->window, size, offset);
    }
    scan->hardware = log->seg.hardware;
    scan->seed = raftlogfmt_seed(src->file.number, src->file.epoch);
    scan->data = b->window;
    scan->at = offset;
    scan->size = size;
    return st;
}

/* The record at offset, whose bytes are fetched if the window does not have them all. A record
 * that is wrong is read again: ST_CORRUPT only when it stays wrong. */
static enum status record_read(struct raftlog *log, const struct source *src, uint64_t offset,
                               struct raftlog_batch *b, struct raftscan *scan,
                               struct raftlogfmt_record *r)
{
    for (int i = 0; i <= RAFTSCAN_TRIES; i++) {
        if (raftscan_get(scan, offset, r)) {
            return ST_OK;
        }
        size_t need = RAFTLOGFMT_RECORD;
        if (offset >= scan->at && offset + RAFTLOGFMT_RECORD <= scan->at + scan->size) {
            struct raftlogfmt_record head;
            raftlogfmt_head(scan->data + (offset - scan->at), &head);
            need = (size_t)raftlogfmt_size(head.size); /* or nonsense: the file is the limit */
        }
        enum status st = window_read(log, src, offset, need, b, scan);
        if (st != ST_OK) {
            return st;
        }
    }
    return ST_CORRUPT;
}

/* Entries [lo, src->hi) into the batch; *bad is the first that cannot be read, at *offset. */
static enum status file_read(struct raftlog *log, const struct source *src, uint64_t lo,
                             size_t max_bytes, struct raftlog_batch *b, struct raftscan *scan,
                             uint64_t *bad, uint64_t *offset)
{
    enum status st = ST_OK;
    uint64_t index = src->place.index;
    *offset = raftplace_offset(&src->place);
    while (index < src->hi) {
        struct raftlogfmt_record r;
        *bad = index;
        st = record_read(log, src, *offset, b, scan, &r);
        if (st != ST_OK) {
            return st;
        }
        if (r.type == RAFTLOGFMT_ENTRY || r.type == RAFTLOGFMT_REPAIR) {
            if (r.index != index || (index == lo && r.term != src->term)) {
                return ST_CORRUPT;
            }
            if (index >= lo && batch_full(b, r.size, max_bytes)) {
                return ST_OK;
            }
            if (index >= lo) {
                st = batch_add(b, index, r.term, r.kind, slice_of(r.payload, r.size));
            }
            if (st != ST_OK) {
                return st;
            }
            index++;
        }
        *offset += raftlogfmt_size(r.size);
        if ((r.flags & RAFTLOGFMT_LAST) != 0) {
            *offset = raftlogfmt_up(*offset, src->file.sector);
        }
    }
    return ST_OK;
}

/* ---- damage that was not known ---- */

/* Looks for the first entry of this place behind a broken record, perhaps the one wanted;
 * rest->where 0: there is none. */
static void rest_find(struct raftlog *log, const struct source *src, uint64_t bad, uint64_t offset,
                      struct raftlog_batch *b, struct raftplace *rest)
{
    struct raftscan scan;
    struct raftlogfmt_record r;
    uint64_t end = src->next.where > 0 ? raftplace_offset(&src->next) : offset + (WINDOW << 4);
    *rest = (struct raftplace){0, src->file.number, 0};
    if (b->fd < 0 || window_read(log, src, offset, (size_t)(end - offset), b, &scan) != ST_OK) {
        return; /* all of it, then */
    }
    for (uint64_t at = offset + RAFTLOGFMT_ALIGN; raftscan_next(&scan, &at, 1, UINT64_MAX, &r);
         at += RAFTLOGFMT_ALIGN) {
        if (r.type == RAFTLOGFMT_ENTRY && r.index >= bad && r.index < src->end &&
            (r.index != src->want || r.term == src->term)) {
            rest->index = r.index;
            rest->where = at;
            return;
        }
    }
}

/* Puts the damage that was met into the places: [bad, hi), or, when only something that is no
 * live entry is broken, just where reading goes on. With m held; room is reserved. */
static uint64_t damage_put(struct raftlog *log, const struct source *src, uint64_t bad,
                           const struct raftplace *rest)
{
    struct raftplaces *places = &log->state.places;
    uint64_t first = log->state.base.index + 1;
    uint64_t next;
    (void)raftplaces_find(places, bad, &next);
    bad = bad > first ? bad : first;
    if (rest->where > 0 && rest->index <= bad) {
        raftplaces_set(places, rest, next, NULL);
        return bad;
    }
    struct raftplace damaged = {bad, src->place.segment, RAFTPLACE_DAMAGED};
    uint64_t hi = rest->where > 0 ? rest->index : src->end;
    raftplaces_set(places, &damaged, hi, rest->where > 0 ? rest : NULL);
    return hi;
}

/* Notes that entries from bad on, which is at most lo, cannot be read, as far as that goes.
 * ST_AGAIN: lo may be read all the same. */
static enum status damage_note(struct raftlog *log, const struct source *src, uint64_t lo,
                               uint64_t bad, uint64_t offset, struct raftlog_batch *b)
{
    struct raftplace rest;
    uint64_t next;
    enum status st = ST_AGAIN;
    rest_find(log, src, bad, offset, b, &rest);
    env_mutex_lock(log->env, &log->m);
    const struct raftplace *p = raftplaces_find(&log->state.places, lo, &next);
    bool same = lo > log->state.base.index && lo < log->stage.from && p != NULL &&
                p->segment == src->place.segment && p->where == src->place.where;
    if (same && raftplaces_reserve(&log->state.places, log->stage.places + 2) != ST_OK) {
        st = ST_NOMEM;
    } else if (same) { /* else the log is another than it was */
        uint64_t hi = damage_put(log, src, bad, &rest);
        b->bad_lo = bad > log->state.base.index ? bad : log->state.base.index + 1;
        b->bad_hi = hi < log->stage.from ? hi : log->stage.from;
        st = lo < hi ? ST_CORRUPT : ST_AGAIN;
    }
    env_mutex_unlock(log->env, &log->m);
    return st;
}

/* ---- reading ---- */

/* Finds lo: from memory it is read at once; else *src says where it lies. */
static enum status look(struct raftlog *log, uint64_t lo, uint64_t hi, size_t max_bytes, bool peek,
                        struct raftlog_batch *b, struct source *src)
{
    enum status st;
    src->hi = 0;
    env_mutex_lock(log->env, &log->m);
    hi = hi < log->state.last.index + 1 ? hi : log->state.last.index + 1;
    if (lo <= log->state.base.index || lo >= hi) {
        st = ST_NOENT;
    } else if (lo >= log->stage.from) {
        st = cache_read(log, lo, hi, max_bytes, b);
    } else if (peek) {
        st = ST_AGAIN;
    } else {
        st = source_find(log, lo, hi, src, b);
    }
    env_mutex_unlock(log->env, &log->m);
    return st;
}

/* Reads on from lo: entries of one place, or from memory. */
static enum status read_some(struct raftlog *log, uint64_t lo, uint64_t hi, size_t max_bytes,
                             struct raftlog_batch *b, struct raftscan *scan)
{
    struct source src;
    uint64_t bad = lo;
    uint64_t offset = 0;
    size_t before = b->count;
    enum status st = look(log, lo, hi, max_bytes, false, b, &src);
    if (st != ST_OK || src.hi == 0) {
        return st;
    }
    scan->size = b->fd >= 0 && b->segment == src.file.number ? scan->size : 0;
    st = source_open(log, &src, b);
    if (st == ST_OK) {
        st = file_read(log, &src, lo, max_bytes, b, scan, &bad, &offset);
    }
    if (b->count > before && st != ST_NOMEM) {
        return ST_OK; /* what is wrong behind them is met next time */
    }
    scan->size = 0; /* looking for the rest uses the window */
    return st == ST_CORRUPT || st == ST_NOENT ? damage_note(log, &src, lo, bad, offset, b) : st;
}

enum status raftlog_read(struct raftlog *log, uint64_t lo, uint64_t hi, size_t max_bytes,
                         struct raftlog_batch *batch)
{
    struct raftscan scan = {.size = 0};
    size_t before;
    enum status st;
    batch_begin(batch, log->env);
    do {
        before = batch->count;
        st = read_some(log, lo + before, hi, max_bytes, batch, &scan);
    } while (st == ST_AGAIN || (st == ST_OK && batch->count > before && lo + batch->count < hi &&
                                batch->bytes < max_bytes));
    st = batch->count > 0 && st != ST_NOMEM ? ST_OK : st;
    if (st == ST_OK) {
        batch_end(batch);
    }
    return st;
}

enum status raftlog_read_cached(struct raftlog *log, uint64_t lo, uint64_t hi, size_t max_bytes,
                                struct raftlog_batch *batch)
{
    struct source src;
    batch_begin(batch, log->env);
    enum status st = look(log, lo, hi, max_bytes, true, batch, &src);
    if (st == ST_OK) {
        batch_end(batch);
    }
    return st;
}
