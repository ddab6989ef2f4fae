/* outwrite.c - see outwrite.h. */
#include "engine/outwrite.h"

#include "base/ck.h"

void outwrite_init(struct outwrite *o)
{
    buf_init(&o->last, &o->db->env->mem);
    buf_init(&o->lower, &o->db->env->mem);
}

void outwrite_release(struct outwrite *o)
{
    if (o->db == NULL) {
        return;
    }
    tablewrite_release(&o->table);
    if (o->begun) {
        db_remove(o->db, FNAME_TABLE, o->number);
    }
    for (size_t i = 0; i < o->count; i++) {
        tabfile_unref(o->files[i]);
    }
    env_release(o->db->env, o->files);
    buf_release(&o->last);
    buf_release(&o->lower);
    *o = (struct outwrite){0};
}

static enum status table_begin(struct outwrite *o)
{
    struct tkv *db = o->db;
    const struct tkv_options *t = &db->options;
    char path[ENV_PATH_MAX];
    o->number = db_file_number(db);
    fname_make(path, db->dir, FNAME_TABLE, o->number);
    struct tablewrite_options w = {.env = db->env,
                                   .order = db->order,
                                   .number = o->number,
                                   .block_bytes = t->block_bytes,
                                   .filter_bits = t->filter_bits,
                                   .prefix_bytes = t->prefix_bytes,
                                   .compression = t->compression[o->level],
                                   .pace = pacer_pace,
                                   .pace_arg = &db->pacer};
    o->begun = true; /* it may exist whatever the outcome */
    enum status st = tablewrite_open(&o->table, &w, path);
    if (st != ST_OK) {
        err_set(o->err, "%s", tablewrite_error(&o->table));
    }
    return st;
}

/* ---- the tombs of one table ---- */

static struct slice later(struct order o, struct slice a, struct slice b)
{
    return order_compare(o, a, b) >= 0 ? a : b;
}

/* Adds the tombs in [lower, upper) to the present table; upper NULL: to the end. */
static enum status tombs_add(struct outwrite *o, const struct slice *upper)
{
    struct order order = o->db->order;
    struct slice lower = buf_slice(&o->lower);
    while (o->tomb_at < o->tomb_count && o->bounded &&
           order_compare(order, o->tombs[o->tomb_at].end, lower) <= 0) {
        o->tomb_at++;
    }
    size_t end = o->tomb_at;
    while (end < o->tomb_count &&
           (upper == NULL || order_compare(order, o->tombs[end].begin, *upper) < 0)) {
        end++;
    }
    size_t count = end - o->tomb_at;
    if (count == 0) {
        return ST_OK;
    }
    struct tomb *cut = env_alloc(o->db->env, count * sizeof *cut);
    struct tomb_set *set = NULL;
    enum status st = cut != NULL ? ST_OK : ST_NOMEM;
    for (size_t i = 0; st == ST_OK && i < count; i++) {
        cut[i] = o->tombs[o->tomb_at + i];
        cut[i].begin = o->bounded ? later(order, cut[i].begin, lower) : cut[i].begin;
        if (upper != NULL && order_compare(order, cut[i].end, *upper) > 0) {
            cut[i].end = *upper;
        }
    }
    if (st == ST_OK) { /* an empty range is skipped */
        st = tomb_set_new(&o->db->env->mem, order, cut, count, &set);
    }
    if (st == ST_OK) {
        st = tablewrite_add_tombs(&o->table, set);
    }
    tomb_set_free(set);
    env_release(o->db->env, cut);
    return st;
}

/* ---- ending a table ---- */

static enum status file_reserve(struct outwrite *o)
{
    if (o->count < o->cap) {
        return ST_OK;
    }
    size_t cap = o->cap == 0 ? 4 : o->cap * 2;
    struct tabfile **files = env_resize(o->db->env, o->files, cap * sizeof(struct tabfile *));
    if (files == NULL) {
        return ST_NOMEM;
    }
    o->files = files;
    o->cap = cap;
    return ST_OK;
}

/* The next table begins at upper (NULL: there is none). */
static enum status table_end(struct outwrite *o, const struct slice *upper)
{
    struct table_info info;
    enum status st = tombs_add(o, upper);
    if (st == ST_OK) {
        st = file_reserve(o);
    }
    if (st == ST_OK && tablewrite_count(&o->table) == 0) {
        tablewrite_release(&o->table); /* its tombs were empty ranges: no table */
        o->begun = false;
        db_remove(o->db, FNAME_TABLE, o->number);
        return ST_OK;
    }
    if (st == ST_OK) {
        st = tablewrite_finish(&o->table, &info);
    }
    if (st == ST_OK) {
        st = tabfile_new(&o->db->tabset, &info, &o->files[o->count]);
    }
    if (st != ST_OK) {
        if (tablewrite_error(&o->table)[0] != '\0') {
            err_set(o->err, "%s", tablewrite_error(&o->table));
        }
        return st;
    }
    o->bytes += info.size;
    o->count++;
    o->begun = false; /* the list has it now */
    tablewrite_release(&o->table);
    if (upper != NULL) {
        buf_clear(&o->lower);
        st = buf_append(&o->lower, upper->data, upper->size);
        o->bounded = true;
    }
    o->overlapped = 0;
    return st;
}

/* ---- where to cut ---- */

/* The key is a new one: counts what of `beyond` it brings, and says whether that is too much. */
static bool beyond_passed(struct outwrite *o, struct slice key)
{
    if (o->beyond == NULL) {
        return false;
    }
    while (o->beyond_at < o->beyond->count &&
           version_file_before(o->db->order, o->beyond->files[o->beyond_at], key)) {
        o->overlapped += o->begun ? o->beyond->files[o->beyond_at]->info.size : 0;
        o->beyond_at++;
    }
    return o->overlapped > o->beyond_limit;
}

enum status outwrite_add(struct outwrite *o, const struct entry *e)
{
    enum status st = ST_OK;
    bool fresh = !o->begun || !slice_equal(buf_slice(&o->last), e->key);
    if (fresh) {
        bool far = beyond_passed(o, e->key);
        if (o->begun && (far || tablewrite_size(&o->table) >= o->limit)) {
            st = table_end(o, &e->key);
        }
        if (st == ST_OK) {
            buf_clear(&o->last);
            st = buf_append(&o->last, e->key.data, e->key.size);
        }
        if (st == ST_OK && !o->begun) {
            st = table_begin(o);
        }
    }
    if (st == ST_OK) {
        st = tablewrite_add(&o->table, e);
        if (st != ST_OK) {
            err_set(o->err, "%s", tablewrite_error(&o->table));
        }
    }
    return st;
}

enum status outwrite_end(struct outwrite *o)
{
    enum status st = ST_OK;
    if (!o->begun && o->tomb_count > 0 && o->count == 0) {
        st = table_begin(o); /* for tombs alone */
    }
    return st == ST_OK && o->begun ? table_end(o, NULL) : st;
}
