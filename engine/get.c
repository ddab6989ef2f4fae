/* get.c - see get.h. */
#include "engine/get.h"

#include "engine/blockcache.h"
#include "engine/db.h"

struct search {
    struct tkv *db;
    struct table_ask *ask;
    struct get_result *result;
    struct err *err;
};

/* What one source says. */
enum answer { ANSWER_NONE, ANSWER_FOUND, ANSWER_GONE, ANSWER_FAILED };

/* The newest version of the key in a source, and the newest tomb over the key in it. */
static enum answer judge(const struct entry *e, uint64_t cover)
{
    return e->type == BATCH_PUT && e->sequence > cover ? ANSWER_FOUND : ANSWER_GONE;
}

static enum answer ask_memtable(const struct search *s, struct memtable *t, enum status *st)
{
    struct entry e;
    uint64_t cover = memtable_has_tombs(t) ? memtable_cover(t, s->ask->key, s->ask->sequence) : 0;
    switch (memtable_get(t, s->ask->key, s->ask->sequence, &e)) {
    case MEMTABLE_STALE:
        *st = ST_AGAIN;
        return ANSWER_FAILED;
    case MEMTABLE_ABSENT:
        return cover > 0 ? ANSWER_GONE : ANSWER_NONE;
    case MEMTABLE_FOUND:
        break;
    }
    s->result->value = e.value;
    s->result->memtable = t;
    return judge(&e, cover);
}

/* The file spans the key. */
static enum answer ask_table(const struct search *s, struct tabfile *f, enum status *st)
{
    struct table_hit hit;
    struct table *held = NULL;
    struct table *t = tabcache_peek(&f->slot);
    if (f->info.sequence_min > s->ask->sequence) {
        return ANSWER_NONE;
    }
    if (t == NULL) {
        *st = tabcache_get(&s->db->tabcache, &f->slot, &f->info, &held, s->err);
        if (*st != ST_OK) {
            return ANSWER_FAILED;
        }
        t = held;
    }
    uint64_t cover = 0;
    if (f->info.tombs > 0) {
        cover = tomb_set_cover(table_tombs(t), s->ask->key, s->ask->sequence);
    }
    enum answer a = cover > 0 ? ANSWER_GONE : ANSWER_NONE;
    *st = table_find(t, s->ask, &hit, s->err);
    if (*st == ST_OK) {
        s->result->value = hit.entry.value;
        s->result->block = hit.block;
        a = judge(&hit.entry, cover);
    } else if (*st != ST_NOENT) {
        a = ANSWER_FAILED;
    }
    if (held != NULL) {
        table_unref(held);
    }
    return a;
}

/* Tables of level 0 overlap; a newer one comes first. */
static enum answer ask_level0(const struct search *s, const struct version *v, enum status *st)
{
    const struct version_level *l = &v->levels[0];
    enum answer a = ANSWER_NONE;
    for (size_t i = 0; a == ANSWER_NONE && i < l->count; i++) {
        struct tabfile *f = l->files[i];
        if (order_compare(v->order, f->info.least, s->ask->key) <= 0 &&
            !version_file_before(v->order, f, s->ask->key)) {
            a = ask_table(s, f, st);
        }
    }
    return a;
}

static enum answer ask_level(const struct search *s, const struct version *v, int level,
                             enum status *st)
{
    const struct version_level *l = &v->levels[level];
    size_t i = version_find(v, level, s->ask->key);
    if (i == l->count || order_compare(v->order, l->files[i]->info.least, s->ask->key) > 0) {
        return ANSWER_NONE;
    }
    return ask_table(s, l->files[i], st);
}

static enum answer ask_tables(struct search *s, const struct version *v, enum status *st)
{
    s->ask->hash = table_hash(s->ask->key);
    enum answer a = ask_level0(s, v, st);
    for (int level = 1; a == ANSWER_NONE && level < TKV_LEVELS; level++) {
        if (v->levels[level].count > 0) {
            a = ask_level(s, v, level, st);
        }
    }
    return a;
}

enum status get_run(struct tkv *db, struct superversion *sv, struct table_ask *ask,
                    struct get_result *result, struct err *err)
{
    struct search s = {.db = db, .ask = ask, .result = result, .err = err};
    enum status st = ST_OK;
    *result = (struct get_result){.block = NULL};
    enum answer a = ask_memtable(&s, sv->active, &st);
    for (size_t i = 0; a == ANSWER_NONE && i < sv->full_count; i++) {
        a = ask_memtable(&s, sv->full[i], &st);
    }
    if (a == ANSWER_NONE) {
        a = ask_tables(&s, sv->version, &st);
    }
    if (a == ANSWER_FOUND) {
        return ST_OK;
    }
    block_unref(result->block);
    *result = (struct get_result){.block = NULL};
    return a == ANSWER_FAILED ? st : ST_NOENT;
}
