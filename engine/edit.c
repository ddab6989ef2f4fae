/* edit.c - see edit.h. */
#include "engine/edit.h"

#include "base/ck.h"
#include "base/code.h"

/* Never reuse a number; one that is not known here is a newer format. */
enum field {
    FIELD_ORDER = 1,
    FIELD_LOG_FLOOR = 2,
    FIELD_FLUSHED = 3,
    FIELD_TAG = 4,
    FIELD_NEXT_FILE = 5,
    FIELD_LAST_SEQUENCE = 6,
    FIELD_REMOVE = 7, /* level, number */
    FIELD_ADD = 8,    /* level, and all of table_info */
    FIELD_DATABASE = 9,
};

void edit_init(struct edit *e, struct env *env)
{
    *e = (struct edit){.env = env};
}

void edit_release(struct edit *e)
{
    if (e->env == NULL) {
        return;
    }
    for (size_t i = 0; i < e->added_count; i++) {
        tabfile_unref(e->added[i].file);
    }
    env_release(e->env, e->added);
    env_release(e->env, e->removed);
    edit_init(e, e->env);
}

enum status edit_add_file(struct edit *e, int level, struct tabfile *f)
{
    CK(level >= 0 && level < TKV_LEVELS);
    if (e->added_count == e->added_cap) {
        size_t cap = e->added_cap == 0 ? 4 : e->added_cap * 2;
        struct edit_add *added = env_resize(e->env, e->added, cap * sizeof *added);
        if (added == NULL) {
            return ST_NOMEM;
        }
        e->added = added;
        e->added_cap = cap;
    }
    tabfile_ref(f);
    e->added[e->added_count++] = (struct edit_add){level, f};
    return ST_OK;
}

enum status edit_remove_file(struct edit *e, int level, uint64_t number)
{
    CK(level >= 0 && level < TKV_LEVELS);
    if (e->removed_count == e->removed_cap) {
        size_t cap = e->removed_cap == 0 ? 8 : e->removed_cap * 2;
        struct edit_remove *removed = env_resize(e->env, e->removed, cap * sizeof *removed);
        if (removed == NULL) {
            return ST_NOMEM;
        }
        e->removed = removed;
        e->removed_cap = cap;
    }
    e->removed[e->removed_count++] = (struct edit_remove){level, number};
    return ST_OK;
}

/* ---- bytes ---- */

static enum status put(struct buf *out, uint64_t v)
{
    char p[CODE_VARINT_MAX];
    return buf_append(out, p, code_put_varint(p, v));
}

static enum status put_all(struct buf *out, const uint64_t *v, size_t count)
{
    enum status st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < count; i++) {
        st = put(out, v[i]);
    }
    return st;
}

static enum status put_bytes(struct buf *out, struct slice s)
{
    enum status st = put(out, s.size);
    return st == ST_OK ? buf_append(out, s.data, s.size) : st;
}

static enum status put_field(struct buf *out, bool there, enum field field, uint64_t v)
{
    return there ? put_all(out, (uint64_t[]){field, v}, 2) : ST_OK;
}

static enum status put_file(struct buf *out, const struct edit_add *a)
{
    const struct table_info *t = &a->file->info;
    const uint64_t v[] = {
        FIELD_ADD,       (uint64_t)a->level, t->number,    t->size,
        t->check,        t->entries,         t->deletes,   t->tombs,
        t->sequence_min, t->sequence_max,    t->raw_bytes, t->most_open,
    };
    enum status st = put_all(out, v, sizeof v / sizeof v[0]);
    if (st == ST_OK) {
        st = put_bytes(out, t->least);
    }
    return st == ST_OK ? put_bytes(out, t->most) : st;
}

static enum status encode(const struct edit *e, struct slice order_text, struct buf *out)
{
    enum status st = ST_OK;
    if (order_text.size > 0) {
        st = put(out, FIELD_ORDER);
        st = st == ST_OK ? put_bytes(out, order_text) : st;
    }
    st = st == ST_OK ? put_field(out, e->database != 0, FIELD_DATABASE, e->database) : st;
    st = st == ST_OK ? put_field(out, e->has_log_floor, FIELD_LOG_FLOOR, e->log_floor) : st;
    st = st == ST_OK ? put_field(out, e->has_flushed, FIELD_FLUSHED, e->flushed) : st;
    st = st == ST_OK ? put_field(out, e->has_tag, FIELD_TAG, e->tag) : st;
    st = st == ST_OK ? put_field(out, true, FIELD_NEXT_FILE, e->next_file) : st;
    st = st == ST_OK ? put_field(out, true, FIELD_LAST_SEQUENCE, e->last_sequence) : st;
    for (size_t i = 0; st == ST_OK && i < e->removed_count; i++) {
        const struct edit_remove *r = &e->removed[i];
        st = put_all(out, (uint64_t[]){FIELD_REMOVE, (uint64_t)r->level, r->number}, 3);
    }
    for (size_t i = 0; st == ST_OK && i < e->added_count; i++) {
        st = put_file(out, &e->added[i]);
    }
    return st;
}

enum status edit_encode(const struct edit *e, struct slice order_text, struct buf *out)
{
    size_t before = out->size;
    enum status st = encode(e, order_text, out);
    if (st != ST_OK) {
        out->size = before;
    }
    return st;
}

/* ---- and back ---- */

static bool get(struct slice *s, uint64_t *v)
{
    size_t n = code_get_varint(s->data, s->data + s->size, v);
    *s = slice_of(s->data + n, s->size - n);
    return n > 0;
}

static bool get_all(struct slice *s, uint64_t *v, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!get(s, &v[i])) {
            return false;
        }
    }
    return true;
}

static bool get_bytes(struct slice *s, size_t max, struct slice *bytes)
{
    uint64_t size;
    if (!get(s, &size) || size > s->size || size > max) {
        return false;
    }
    *bytes = slice_of(s->data, (size_t)size);
    *s = slice_of(s->data + size, s->size - (size_t)size);
    return true;
}

static enum status get_file(struct edit *e, struct tabset *set, struct slice *s)
{
    enum { LEVEL, NUMBER, SIZE, CHECK, ENTRIES, DELETES, TOMBS, MIN, MAX, RAW, OPEN, FIELDS };
    uint64_t v[FIELDS];
    struct table_info t = {0};
    if (!get_all(s, v, FIELDS) || v[LEVEL] >= TKV_LEVELS || v[CHECK] > UINT32_MAX || v[OPEN] > 1 ||
        v[NUMBER] == 0 || v[MIN] > v[MAX] || !get_bytes(s, TKV_KEY_MAX, &t.least) ||
        !get_bytes(s, TKV_KEY_MAX, &t.most)) {
        return ST_CORRUPT;
    }
    t.number = v[NUMBER];
    t.size = v[SIZE];
    t.check = (uint32_t)v[CHECK];
    t.entries = v[ENTRIES];
    t.deletes = v[DELETES];
    t.tombs = v[TOMBS];
    t.sequence_min = v[MIN];
    t.sequence_max = v[MAX];
    t.raw_bytes = v[RAW];
    t.most_open = v[OPEN] == 1;
    struct tabfile *f;
    enum status st = tabfile_new(set, &t, &f);
    if (st == ST_OK) {
        f->kept = 1; /* nobody else sees it yet; a durable edit names it, whatever becomes of f */
        st = edit_add_file(e, (int)v[LEVEL], f);
        tabfile_unref(f);
    }
    return st;
}

static enum status get_field(struct edit *e, struct tabset *set, struct slice *s,
                             struct slice *order_text)
{
    uint64_t field;
    uint64_t v[2];
    bool good = get(s, &field);
    switch (good ? field : 0) {
    case FIELD_ORDER:
        good = get_bytes(s, ORDER_NAME_MAX, order_text);
        break;
    case FIELD_LOG_FLOOR:
        good = get(s, &e->log_floor);
        e->has_log_floor = true;
        break;
    case FIELD_FLUSHED:
        good = get(s, &e->flushed);
        e->has_flushed = true;
        break;
    case FIELD_TAG:
        good = get(s, &e->tag);
        e->has_tag = true;
        break;
    case FIELD_NEXT_FILE:
        good = get(s, &e->next_file);
        break;
    case FIELD_LAST_SEQUENCE:
        good = get(s, &e->last_sequence);
        break;
    case FIELD_DATABASE:
        good = get(s, &v[0]) && v[0] <= UINT32_MAX;
        e->database = good ? (uint32_t)v[0] : 0;
        break;
    case FIELD_REMOVE:
        good = get_all(s, v, 2) && v[0] < TKV_LEVELS;
        return good ? edit_remove_file(e, (int)v[0], v[1]) : ST_CORRUPT;
    case FIELD_ADD:
        return get_file(e, set, s);
    case 0:
        return ST_CORRUPT;
    default:
        return ST_UNSUPPORTED;
    }
    return good ? ST_OK : ST_CORRUPT;
}

enum status edit_decode(struct edit *e, struct tabset *set, struct slice bytes,
                        struct slice *order_text)
{
    enum status st = ST_OK;
    *order_text = slice_of(NULL, 0);
    while (st == ST_OK && bytes.size > 0) {
        st = get_field(e, set, &bytes, order_text);
    }
    return st;
}
