/* manifest_read.c - from the bytes of a manifest to the version that it ends with. */
#include "base/ck.h"
#include "base/hash.h"
#include "engine/fname.h"
#include "engine/manifest.h"
#include "engine/walread.h"

#include <inttypes.h>

/* The files that live after the edits so far, found by number: open addressing, linear probing. */
struct live {
    struct env *env;
    struct edit_add *cells; /* file NULL: empty */
    size_t cap;             /* a power of two, or 0 */
    size_t count;
};

struct reading {
    struct env *env;
    struct tabset *set;
    struct order order;
    uint64_t number;
    struct live live;
    struct manifest_state *state;
    uint64_t synced; /* it says itself that it is on the medium up to here */
    bool headed;
    struct err *err;
};

static enum status say(struct reading *r, enum status st, const char *what, uint64_t offset)
{
    char name[FNAME_SIZE];
    fname_text(name, FNAME_MANIFEST, r->number);
    err_set(r->err, "%s: %s at offset %" PRIu64, name, what, offset);
    return st;
}

static enum status say_status(struct reading *r, enum status st)
{
    char name[FNAME_SIZE];
    fname_text(name, FNAME_MANIFEST, r->number);
    return err_status(r->err, st, name);
}

/* ---- files by number ---- */

/* The cell of a number, or the empty one where it would go. */
static size_t live_cell(const struct live *l, uint64_t number)
{
    size_t at = (size_t)hash_mix(number) & (l->cap - 1);
    while (l->cells[at].file != NULL && l->cells[at].file->info.number != number) {
        at = (at + 1) & (l->cap - 1);
    }
    return at;
}

static enum status live_grow(struct live *l)
{
    struct live wide = {.env = l->env, .cap = l->cap == 0 ? 64 : l->cap * 2, .count = l->count};
    wide.cells = env_alloc(l->env, wide.cap * sizeof *wide.cells);
    if (wide.cells == NULL) {
        return ST_NOMEM;
    }
    memset(wide.cells, 0, wide.cap * sizeof *wide.cells);
    for (size_t i = 0; i < l->cap; i++) {
        if (l->cells[i].file != NULL) {
            wide.cells[live_cell(&wide, l->cells[i].file->info.number)] = l->cells[i];
        }
    }
    env_release(l->env, l->cells);
    *l = wide;
    return ST_OK;
}

/* Takes a reference. ST_CORRUPT: it lives already. */
static enum status live_add(struct live *l, const struct edit_add *a)
{
    if (l->count * 2 >= l->cap) {
        enum status st = live_grow(l);
        if (st != ST_OK) {
            return st;
        }
    }
    size_t at = live_cell(l, a->file->info.number);
    if (l->cells[at].file != NULL) {
        return ST_CORRUPT;
    }
    tabfile_ref(a->file);
    l->cells[at] = *a;
    l->count++;
    return ST_OK;
}

static enum status live_remove(struct live *l, const struct edit_remove *r)
{
    size_t at = l->cap > 0 ? live_cell(l, r->number) : 0;
    if (l->cap == 0 || l->cells[at].file == NULL || l->cells[at].level != r->level) {
        return ST_CORRUPT;
    }
    tabfile_unref(l->cells[at].file);
    l->cells[at].file = NULL;
    l->count--;
    /* what probed past the hole moves up */
    for (size_t i = (at + 1) & (l->cap - 1); l->cells[i].file != NULL; i = (i + 1) & (l->cap - 1)) {
        struct edit_add moved = l->cells[i];
        l->cells[i].file = NULL;
        l->cells[live_cell(l, moved.file->info.number)] = moved;
    }
    return ST_OK;
}

static void live_release(struct live *l)
{
    for (size_t i = 0; i < l->cap; i++) {
        tabfile_unref(l->cells[i].file);
    }
    env_release(l->env, l->cells);
}

/* ---- records ---- */

static void numbers_take(struct manifest_state *s, const struct edit *e)
{
    s->database = e->database != 0 ? e->database : s->database;
    s->log_floor = e->has_log_floor ? e->log_floor : s->log_floor;
    s->flushed = e->has_flushed ? e->flushed : s->flushed;
    s->tag = e->has_tag ? e->tag : s->tag;
    s->next_file = e->next_file > s->next_file ? e->next_file : s->next_file;
    s->last_sequence = e->last_sequence > s->last_sequence ? e->last_sequence : s->last_sequence;
}

static enum status order_check(struct reading *r, struct slice name)
{
    if (slice_equal(name, slice_text(order_name(r->order)))) {
        return ST_OK;
    }
    err_set(r->err, "the database was made with the comparator \"%.*s\", not \"%s\"",
            (int)name.size, name.data, order_name(r->order));
    return ST_INVAL;
}

static enum status edit_take(struct reading *r, const struct walread_record *record)
{
    struct edit e;
    struct slice order_text;
    edit_init(&e, r->env);
    enum status st = edit_decode(&e, r->set, record->data, &order_text);
    if (st == ST_OK && (record->sequence != r->state->edits + 1 ||
                        (order_text.size > 0) != (r->state->edits == 0))) {
        st = ST_CORRUPT;
    }
    if (st == ST_OK && order_text.size > 0) {
        st = order_check(r, order_text);
        if (st != ST_OK) {
            goto out;
        }
    }
    for (size_t i = 0; st == ST_OK && i < e.removed_count; i++) {
        st = live_remove(&r->live, &e.removed[i]);
    }
    for (size_t i = 0; st == ST_OK && i < e.added_count; i++) {
        const struct table_info *t = &e.added[i].file->info;
        bool right = t->number < e.next_file && version_bounds_right(r->order, t);
        st = right ? live_add(&r->live, &e.added[i]) : ST_CORRUPT;
    }
    if (st == ST_OK) {
        numbers_take(r->state, &e);
        r->state->edits++;
    } else if (st == ST_CORRUPT || st == ST_UNSUPPORTED) {
        st = say(r, st, st == ST_CORRUPT ? "an edit that is none" : "a newer kind of edit",
                 record->start);
    } else {
        st = say_status(r, st);
    }
out:
    edit_release(&e);
    return st;
}

/* Whether a record says that the database was closed, with all before it on the medium. */
static bool closed_take(struct reading *r, const struct walread_record *record)
{
    struct manifest_state *s = r->state;
    if (record->type != WALFMT_MARK || record->synced != record->start ||
        !manifest_get_closed(record->data, &s->closing)) {
        return false;
    }
    s->closed_at = record->start;
    s->next_file = s->closing.next_file > s->next_file ? s->closing.next_file : s->next_file;
    s->last_sequence =
        s->closing.last_sequence > s->last_sequence ? s->closing.last_sequence : s->last_sequence;
    return true;
}

static enum status record_take(struct reading *r, const struct walread_record *record)
{
    struct walfmt_head head;
    enum status st = ST_OK;
    r->state->closed = closed_take(r, record);
    switch (record->type) {
    case WALFMT_HEADER:
        st = walfmt_get_head(record->data, WALFMT_MANIFEST_MAGIC, r->number, &head);
        if (st != ST_OK) {
            return say(r, st, st == ST_UNSUPPORTED ? "a newer format version" : "damaged", 0);
        }
        r->headed = true;
        break;
    case WALFMT_FULL:
        st = edit_take(r, record);
        r->state->snapshot = r->state->edits == 1 ? record->end : r->state->snapshot;
        break;
    case WALFMT_MARK:
        break;
    default:
        st = say(r, ST_CORRUPT, "a record that does not belong", record->start);
    }
    r->state->size = record->end;
    r->synced = record->synced > r->synced ? record->synced : r->synced;
    return st;
}

/* A crash can have left this only behind the state record, and behind what is known to be synced.
 */
static enum status damage_judge(struct reading *r, struct walread *reader)
{
    bool evidence;
    uint64_t damage = reader->damage;
    enum status st = walread_evidence(reader, &evidence);
    if (st != ST_OK) {
        return say_status(r, st);
    }
    if (evidence || r->synced > damage || r->state->edits == 0) {
        return say(r, ST_CORRUPT, "damaged", damage);
    }
    r->state->torn = true;
    r->state->closed = false;
    return ST_OK;
}

static enum status records_read(struct reading *r, struct walread *reader)
{
    for (;;) {
        struct walread_record record;
        enum status st = walread_next(reader, &record);
        if (st == ST_CORRUPT) {
            return damage_judge(r, reader);
        }
        if (st != ST_OK) {
            return say_status(r, st);
        }
        if (record.type == WALFMT_NONE) {
            r->state->epoch = reader->epoch;
            r->state->closed = r->state->closed && r->state->size == reader->file_size;
            return r->headed && r->state->edits > 0
                       ? ST_OK
                       : say(r, ST_CORRUPT, "ends before its first edit", record.start);
        }
        st = record_take(r, &record);
        if (st != ST_OK) {
            return st;
        }
    }
}

/* All that lives, as one edit on an empty version. */
static enum status version_make(struct reading *r, struct version **version)
{
    struct edit all;
    struct version *empty = NULL;
    edit_init(&all, r->env);
    enum status st = version_new(r->env, r->order, &empty);
    for (size_t i = 0; st == ST_OK && i < r->live.cap; i++) {
        struct edit_add *a = &r->live.cells[i];
        if (a->file != NULL) {
            st = edit_add_file(&all, a->level, a->file);
        }
    }
    if (st == ST_OK) {
        st = version_apply(empty, &all, version);
    }
    edit_release(&all);
    version_unref(empty);
    if (st == ST_CORRUPT) {
        return say(r, st, "tables that do not go together, up to the edit", r->state->size);
    }
    return st == ST_OK ? st : say_status(r, st);
}

enum status manifest_read(struct env *env, const char *dir, uint64_t number, struct order order,
                          struct tabset *set, struct version **version,
                          struct manifest_state *state, struct err *err)
{
    struct reading r = {.env = env,
                        .set = set,
                        .order = order,
                        .number = number,
                        .live = {.env = env},
                        .state = state,
                        .err = err};
    struct walread reader;
    char path[ENV_PATH_MAX];
    *state = (struct manifest_state){0};
    fname_make(path, dir, FNAME_MANIFEST, number);
    enum status st = walread_open(&reader, env, path, number, UINT64_MAX);
    if (st == ST_NOENT) {
        return say(&r, ST_CORRUPT, "CURRENT names it, and it is not there: nothing", 0);
    }
    if (st != ST_OK) {
        return say_status(&r, st);
    }
    st = records_read(&r, &reader);
    walread_close(&reader);
    if (st == ST_OK) {
        st = version_make(&r, version);
    }
    live_release(&r.live);
    return st;
}
