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

/* Bytes of a table that a tomb takes, about. */
static uint64_t tomb_size(const struct tomb *t)
{
    return t->begin.size + t->end.size + sizeof t->sequence;
}

/* Whether there is anything for the present table: entries, or tombs that have begun. */
static bool holding(const struct outwrite *o)
{
    return o->begun || o->tomb_at < o->tomb_next;
}

/* The next table begins here. Tombs that are over the place go on in it. */
static enum status lower_set(struct outwrite *o, struct slice at)
{
    buf_clear(&o->lower);
    o->bounded = true;
    o->overlapped = 0;
    o->tomb_bytes = 0;
    while (o->tomb_at < o->tomb_next &&
           order_compare(o->db->order, o->tombs[o->tomb_at].end, at) <= 0) {
        o->tomb_at++;
    }
    for (size_t i = o->tomb_at; i < o->tomb_next; i++) {
        o->tomb_bytes += tomb_size(&o->tombs[i]);
    }
    return buf_append(&o->lower, at.data, at.size);
}

/* Adds the finished table to the list. */
static enum status table_close(struct outwrite *o)
{
    struct table_info info;
    enum status st = file_reserve(o);
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
    return ST_OK;
}

/* The next table begins at upper (NULL: there is none). */
static enum status table_end(struct outwrite *o, const struct slice *upper)
{
    enum status st = o->begun ? ST_OK : table_begin(o); /* for tombs alone */
    if (st == ST_OK) {
        st = tombs_add(o, upper);
    }
    if (st == ST_OK) {
        st = table_close(o);
    }
    return st == ST_OK && upper != NULL ? lower_set(o, *upper) : st;
}

/* ---- where to cut ---- */

/* Counts what of `beyond` ends before the place, and says whether that is too much. */
static bool beyond_passed(struct outwrite *o, struct slice at)
{
    if (o->beyond == NULL) {
        return false;
    }
    while (o->beyond_at < o->beyond->count &&
           version_file_before(o->db->order, o->beyond->files[o->beyond_at], at)) {
        o->overlapped += holding(o) ? o->beyond->files[o->beyond_at]->info.size : 0;
        o->beyond_at++;
    }
    return o->overlapped > o->beyond_limit;
}

/* A place where a table may end: everything so far lies before it, what comes does not. */
static enum status place(struct outwrite *o, struct slice at)
{
    bool far = beyond_passed(o, at);
    uint64_t size = o->tomb_bytes + (o->begun ? tablewrite_size(&o->table) : 0);
    if (!holding(o) || (!far && size < o->limit)) {
        return ST_OK;
    }
    if (far) {
        ENV_PROBE(o->db->env, "compact: cut before too much overlap");
    }
    return table_end(o, &at);
}

/* Tombs that begin at the place or before count from here on. */
static void tombs_enter(struct outwrite *o, struct slice at)
{
    while (o->tomb_next < o->tomb_count &&
           order_compare(o->db->order, o->tombs[o->tomb_next].begin, at) <= 0) {
        o->tomb_bytes += tomb_size(&o->tombs[o->tomb_next]);
        o->tomb_next++;
    }
}

/* Where the next table of `beyond` begins, if a tomb that has begun is over that; else NULL. */
static const struct slice *beyond_under_tomb(struct outwrite *o, const struct slice *after)
{
    while (o->beyond != NULL && o->beyond_next < o->beyond->count) {
        const struct slice *at = &o->beyond->files[o->beyond_next]->info.least;
        if (after != NULL && order_compare(o->db->order, *at, *after) <= 0) {
            o->beyond_next++;
            continue;
        }
        const struct tomb *t = &o->tombs[o->tomb_next - 1];
        return order_compare(o->db->order, *at, t->end) < 0 ? at : NULL;
    }
    return NULL;
}

/* Visits the places that tombs make before key (NULL: all that are left). */
static enum status tombs_walk(struct outwrite *o, const struct slice *key)
{
    struct order order = o->db->order;
    enum status st = ST_OK;
    struct slice key_before = buf_slice(&o->last);
    const struct slice *last = o->begun ? &key_before : NULL;
    while (st == ST_OK) {
        const struct slice *at =
            o->tomb_next < o->tomb_count ? &o->tombs[o->tomb_next].begin : NULL;
        if (o->tomb_next > 0) {
            const struct slice *begun = &o->tombs[o->tomb_next - 1].begin;
            bool later = last == NULL || order_compare(order, *begun, *last) > 0;
            const struct slice *file = beyond_under_tomb(o, later ? begun : last);
            at = file != NULL && (at == NULL || order_compare(order, *file, *at) < 0) ? file : at;
        }
        if (at == NULL || (key != NULL && order_compare(order, *at, *key) >= 0)) {
            break;
        }
        st = place(o, *at);
        tombs_enter(o, *at);
        last = at;
    }
    return st;
}

/* A key that differs from the last one. */
static enum status key_begin(struct outwrite *o, struct slice key)
{
    enum status st = o->tomb_count > 0 ? tombs_walk(o, &key) : ST_OK;
    if (st == ST_OK) {
        st = place(o, key);
    }
    if (st == ST_OK) {
        tombs_enter(o, key);
        buf_clear(&o->last);
        st = buf_append(&o->last, key.data, key.size);
    }
    return st == ST_OK && !o->begun ? table_begin(o) : st;
}

enum status outwrite_add(struct outwrite *o, const struct entry *e)
{
    enum status st = ST_OK;
    if (!o->begun || !slice_equal(buf_slice(&o->last), e->key)) {
        st = key_begin(o, e->key);
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
    enum status st = tombs_walk(o, NULL);
    return st == ST_OK && holding(o) ? table_end(o, NULL) : st;
}
