/* compact.c - see compact.h. */
#include "engine/compact.h"

#include "base/ck.h"
#include "engine/collapse.h"
#include "engine/mergeruns.h"
#include "engine/outwrite.h"

#define BEYOND_TABLES 10 /* tables of the level after next that an output may overlap */
#define STOP_EVERY    64 /* entries between two looks at whether the database is being closed */

/* What a merge of any kind is made of. */
struct work {
    struct tkv *db;
    struct run *runs;
    size_t count;
    size_t ready; /* runs that are initialised */
    struct mergeruns_place *heap;
    struct arena bytes;   /* of tombs whose tables are closed again */
    struct buf tombs;     /* struct tomb: of all inputs */
    struct tomb_set *set; /* the same, fragmented and thinned */
    struct buf kept;      /* struct tomb: those that the outputs get */
    struct collapse collapse;
    struct outwrite out;
    struct err *err;
    bool shed; /* a delete was left out */
};

static enum status work_init(struct work *w, struct tkv *db, size_t count, struct err *err)
{
    *w = (struct work){.db = db, .count = count, .err = err};
    arena_init(&w->bytes, &db->env->mem);
    buf_init(&w->tombs, &db->env->mem);
    buf_init(&w->kept, &db->env->mem);
    w->runs = env_alloc(db->env, count * sizeof *w->runs);
    w->heap = env_alloc(db->env, count * sizeof *w->heap);
    return w->runs != NULL && w->heap != NULL ? ST_OK : ST_NOMEM;
}

static void work_release(struct work *w)
{
    outwrite_release(&w->out);
    collapse_release(&w->collapse);
    for (size_t i = 0; i < w->ready; i++) {
        run_release(&w->runs[i]);
    }
    tomb_set_free(w->set);
    buf_release(&w->tombs);
    arena_release(&w->bytes);
    buf_release(&w->kept);
    env_release(w->db->env, w->heap);
    env_release(w->db->env, w->runs);
}

/* ---- range tombs ---- */

/* Adds the pieces of a set, one tomb for each sequence; their bytes stay the set's. */
static enum status tombs_list(struct buf *list, const struct tomb_set *set)
{
    enum status st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < tomb_set_count(set); i++) {
        struct tomb_piece p = tomb_set_piece(set, i);
        for (size_t k = 0; st == ST_OK && k < p.count; k++) {
            struct tomb t = {p.begin, p.end, p.sequences[k]};
            st = buf_append(list, &t, sizeof t);
        }
    }
    return st;
}

/* Fragments what was gathered, and decides which tombs the outputs get. */
static enum status tombs_settle(struct work *w)
{
    struct collapse *c = &w->collapse;
    struct tomb_prune prune = {c->snapshots[c->snapshot_count - 1], c->snapshots,
                               c->snapshot_count};
    const struct tomb *list = (const void *)w->tombs.data;
    enum status st = ST_OK;
    if (w->tombs.size > 0) {
        st = tomb_set_pruned(&w->db->env->mem, w->db->order, list, w->tombs.size / sizeof *list,
                             &prune, &w->set);
    }
    c->tombs = w->set;
    for (size_t i = 0; st == ST_OK && i < tomb_set_count(w->set); i++) {
        struct tomb_piece p = tomb_set_piece(w->set, i);
        for (size_t k = 0; st == ST_OK && k < p.count; k++) {
            struct tomb t = {p.begin, p.end, p.sequences[k]};
            if (collapse_tomb(c, p.begin, p.end, p.sequences[k])) {
                st = buf_append(&w->kept, &t, sizeof t);
            }
        }
    }
    w->out.tombs = (const void *)w->kept.data;
    w->out.tomb_count = w->kept.size / sizeof(struct tomb);
    return st;
}

/* ---- the pass over everything ---- */

static bool stopping(const struct tkv *db)
{
    return atomic_get_u64(&db->stopping) != 0;
}

static enum status pass(struct work *w, bool may_stop)
{
    struct mergeruns m;
    unsigned since = 0;
    mergeruns_init(&m, w->db->order, w->runs, w->count, w->heap);
    mergeruns_first(&m);
    enum status st = ST_OK;
    while (st == ST_OK && m.at != NULL) {
        bool keep;
        st = collapse_keep(&w->collapse, m.at, &keep);
        if (st == ST_OK && keep) {
            st = outwrite_add(&w->out, m.at);
        }
        if (st == ST_OK && !keep && m.at->type == BATCH_DELETE && !w->shed) {
            w->shed = true;
            ENV_PROBE(w->db->env, "compact: a delete dropped");
        }
        if (++since == STOP_EVERY) {
            since = 0;
            ENV_YIELD(w->db->env, "compact: between two entries");
            st = st == ST_OK && may_stop && stopping(w->db) ? ST_AGAIN : st;
        }
        mergeruns_step(&m);
    }
    if (st == ST_OK) {
        st = mergeruns_error(&m, w->err); /* an input that ends early is no end */
    }
    return st == ST_OK ? outwrite_end(&w->out) : st;
}

/* E21, with options.verify: what was written is read again, every byte, before anything depends on
 * it. */
static enum status outputs_verify(struct work *w)
{
    struct tkv *db = w->db;
    enum status st = ST_OK;
    for (size_t i = 0; db->options.verify && st == ST_OK && i < w->out.count; i++) {
        struct tabfile *f = w->out.files[i];
        struct table *t;
        st = tabcache_get(&db->tabcache, &f->slot, &f->info, &t, w->err);
        if (st == ST_OK) {
            st = table_verify(t, &f->info, w->err);
            table_unref(t);
        }
    }
    return st;
}

/* ---- flush ---- */

enum status compact_flush(const struct compact_flush *f, struct tabfile **file, struct err *err)
{
    struct work w;
    struct tkv *db = f->db;
    *file = NULL;
    enum status st = work_init(&w, db, f->count, err);
    w.collapse = (struct collapse){.order = db->order,
                                   .snapshots = f->snapshots,
                                   .snapshot_count = f->snapshot_count,
                                   .version = f->version};
    w.out = (struct outwrite){.db = db, .level = 0, .limit = UINT64_MAX, .err = err};
    collapse_init(&w.collapse, &db->env->mem);
    outwrite_init(&w.out);
    struct tomb_set **sets = env_alloc(db->env, f->count * sizeof(struct tomb_set *));
    st = st == ST_OK && sets == NULL ? ST_NOMEM : st;
    size_t set_count = 0;
    struct tomb_prune prune = {f->snapshots[f->snapshot_count - 1], f->snapshots,
                               f->snapshot_count};
    for (size_t i = 0; st == ST_OK && i < f->count; i++) {
        run_init_memtable(&w.runs[w.ready++], f->tables[i]);
        st = memtable_tombs(f->tables[i], ENTRY_SEQUENCE_MAX, &prune, &sets[i]);
        if (st == ST_OK) {
            set_count++;
            st = tombs_list(&w.tombs, sets[i]);
        }
    }
    if (st == ST_OK) {
        st = tombs_settle(&w);
    }
    if (st == ST_OK) {
        st = pass(&w, false);
    }
    if (st == ST_OK) {
        st = outputs_verify(&w);
    }
    if (st == ST_OK && w.out.count > 0) {
        CK(w.out.count == 1);
        *file = w.out.files[0];
        tabfile_ref(*file);
    }
    work_release(&w);
    for (size_t i = 0; i < set_count; i++) {
        tomb_set_free(sets[i]);
    }
    env_release(db->env, sets);
    return st;
}

/* ---- compaction ---- */

/* Inputs of level 0 are runs of their own, those of another level are one. */
static size_t runs_needed(const struct compaction *c)
{
    size_t upper = c->level == 0 ? c->upper_count : 1;
    return upper + (c->input_count > c->upper_count ? 1 : 0);
}

static enum status runs_open(struct work *w, const struct compaction *c)
{
    struct tkv *db = w->db;
    enum status st = ST_OK;
    if (c->level > 0) {
        run_init_level(&w->runs[w->ready++], &db->tabcache, db->order, c->inputs, c->upper_count,
                       TABLE_SCAN);
    }
    for (size_t i = 0; st == ST_OK && c->level == 0 && i < c->upper_count; i++) {
        st = run_init_table(&w->runs[w->ready], &db->tabcache, c->inputs[i], TABLE_SCAN, w->err);
        w->ready += st == ST_OK;
    }
    if (st == ST_OK && c->input_count > c->upper_count) {
        run_init_level(&w->runs[w->ready++], &db->tabcache, db->order, c->inputs + c->upper_count,
                       c->input_count - c->upper_count, TABLE_SCAN);
    }
    return st;
}

/* A copy of the bytes, which lives as long as the work. */
static enum status bytes_copy(struct work *w, struct slice *s)
{
    if (s->size == 0) {
        return ST_OK;
    }
    char *copy = arena_alloc(&w->bytes, s->size);
    if (copy == NULL) {
        return ST_NOMEM;
    }
    memcpy(copy, s->data, s->size);
    s->data = copy;
    return ST_OK;
}

/* The range tombs of one table, copied: many may have some, and they are not all to be open. */
static enum status tombs_take(struct work *w, struct tabfile *f)
{
    struct table *t;
    size_t had = w->tombs.size;
    enum status st = tabcache_get(&w->db->tabcache, &f->slot, &f->info, &t, w->err);
    if (st != ST_OK) {
        return st;
    }
    st = tombs_list(&w->tombs, table_tombs(t));
    struct tomb *list = (void *)w->tombs.data;
    size_t count = w->tombs.size / sizeof *list;
    for (size_t i = had / sizeof *list; st == ST_OK && i < count; i++) {
        st = bytes_copy(w, &list[i].begin);
        if (st == ST_OK) {
            st = bytes_copy(w, &list[i].end);
        }
    }
    table_unref(t);
    return st;
}

static enum status tombs_gather(struct work *w, const struct compaction *c)
{
    enum status st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < c->input_count; i++) {
        if (c->inputs[i]->info.tombs > 0) {
            st = tombs_take(w, c->inputs[i]);
        }
    }
    return st;
}

static enum status edit_fill(const struct compaction *c, const struct outwrite *out, struct edit *e)
{
    enum status st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < c->input_count; i++) {
        int level = i < c->upper_count ? c->level : c->output;
        st = edit_remove_file(e, level, c->inputs[i]->info.number);
    }
    for (size_t i = 0; st == ST_OK && i < out->count; i++) {
        st = edit_add_file(e, c->output, out->files[i]);
    }
    return st;
}

static enum status move_fill(const struct compaction *c, struct edit *e)
{
    enum status st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < c->input_count; i++) {
        st = edit_remove_file(e, c->level, c->inputs[i]->info.number);
        if (st == ST_OK) {
            st = edit_add_file(e, c->output, c->inputs[i]);
        }
    }
    return st;
}

enum status compact_run(struct compaction *c, struct edit *e, struct err *err)
{
    struct work w;
    struct tkv *db = c->db;
    if (c->move) {
        ENV_PROBE(db->env, "compact: moved");
        return move_fill(c, e);
    }
    uint64_t begun = env_clock_mono(db->env);
    enum status st = work_init(&w, db, runs_needed(c), err);
    bool beyond = c->output + 1 < TKV_LEVELS;
    w.collapse = (struct collapse){.order = db->order,
                                   .snapshots = c->snapshots,
                                   .snapshot_count = c->snapshot_count,
                                   .version = c->version,
                                   .deeper = c->output + 1};
    w.out = (struct outwrite){.db = db,
                              .level = c->output,
                              .limit = db->options.table_bytes,
                              .beyond = beyond ? &c->version->levels[c->output + 1] : NULL,
                              .beyond_limit = BEYOND_TABLES * db->options.table_bytes,
                              .err = err};
    collapse_init(&w.collapse, &db->env->mem);
    outwrite_init(&w.out);
    if (st == ST_OK) {
        st = tombs_gather(&w, c);
    }
    if (st == ST_OK) {
        st = runs_open(&w, c);
    }
    if (st == ST_OK) {
        st = tombs_settle(&w);
    }
    if (st == ST_OK) {
        st = pass(&w, true);
    }
    if (st == ST_OK) {
        st = outputs_verify(&w);
    }
    if (st == ST_OK) {
        st = edit_fill(c, &w.out, e);
    }
    c->bytes_out = w.out.bytes;
    c->ns = env_clock_mono(db->env) - begun;
    work_release(&w);
    return st;
}
