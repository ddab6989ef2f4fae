/* install.c - see install.h. */
#include "engine/install.h"

#include "base/ck.h"
#include "env/note.h"

static void note_flushed(struct tkv *db, uint64_t flushed)
{
    db_note(db, NOTE_FLUSHED, db->manifest.wal.size, db->manifest_number, flushed);
}

/* ---- manifests ---- */

/* The whole state as an edit. Under installing. */
static enum status state_make(struct tkv *db, const struct version *v, struct edit *e)
{
    edit_init(e, db->env);
    for (int level = 0; level < TKV_LEVELS; level++) {
        for (size_t i = 0; i < v->levels[level].count; i++) {
            enum status st = edit_add_file(e, level, v->levels[level].files[i]);
            if (st != ST_OK) {
                return st;
            }
        }
    }
    env_mutex_lock(db->env, &db->mutex);
    e->database = db->database;
    e->has_log_floor = true;
    e->log_floor = db->log_floor;
    e->has_flushed = true;
    e->flushed = db->flushed;
    e->has_tag = true;
    e->tag = db->durable_tag;
    e->next_file = db->next_file;
    e->last_sequence = db->given;
    env_mutex_unlock(db->env, &db->mutex);
    return ST_OK;
}

/* Notes a manifest that CURRENT may name after a crash, so that a later one removes it. */
static enum status stale_add(struct tkv *db, uint64_t number)
{
    return number == 0 ? ST_OK : buf_append(&db->manifest_stale, &number, sizeof number);
}

static void stale_remove(struct tkv *db)
{
    for (size_t at = 0; at < db->manifest_stale.size; at += sizeof(uint64_t)) {
        uint64_t number;
        memcpy(&number, db->manifest_stale.data + at, sizeof number);
        db_remove(db, FNAME_MANIFEST, number);
    }
    buf_clear(&db->manifest_stale);
}

/* Writes a manifest with the state and makes CURRENT name it, all of it durable. *renamed: CURRENT
 * may name it after a crash, even if this failed. */
static enum status manifest_write(struct tkv *db, const struct edit *state, uint64_t number,
                                  uint64_t tmp, bool *renamed)
{
    uint64_t begun = db_names_begin(db);
    enum status st = manifest_create(&db->manifest, number, state);
    if (st == ST_OK) {
        ENV_YIELD(db->env, "manifest: written, its name not durable");
        st = db_names_sync(db, begun);
    }
    if (st == ST_OK) {
        begun = db_names_begin(db);
        st = manifest_publish(&db->manifest, tmp, renamed);
    }
    if (st == ST_OK) {
        ENV_YIELD(db->env, "manifest: CURRENT renamed, not durable");
        st = db_names_sync(db, begun);
    }
    return st;
}

/* A new manifest with the state of v takes over. Under installing. */
static enum status manifest_renew(struct tkv *db, const struct version *v)
{
    struct edit state = {0};
    bool renamed = false;
    uint64_t number = db_file_number(db);
    uint64_t tmp = db_file_number(db);
    uint64_t old = db->manifest_number;
    enum status st = state_make(db, v, &state);
    if (st == ST_OK) {
        st = buf_reserve(&db->manifest_stale, 2 * sizeof number);
    }
    if (st == ST_OK) {
        atomic_set_u64(&db->in_doubt, 1);
        st = manifest_write(db, &state, number, tmp, &renamed);
    }
    edit_release(&state);
    if (st == ST_OK) {
        enum status noted = stale_add(db, old);
        CK(noted == ST_OK); /* there is room */
        atomic_set_u64(&db->in_doubt, 0);
        atomic_set_u64(&db->manifest_number, number);
        note_flushed(db, db->flushed);
        stale_remove(db);
        ENV_PROBE(db->env, "manifest: a new one");
    } else if (renamed) {
        enum status noted = stale_add(db, number);
        CK(noted == ST_OK);
        db_unsettle(db);
    } else if (atomic_get_u64(&db->in_doubt) != 0) {
        db_remove(db, FNAME_MANIFEST, number);
    }
    return st;
}

/* ---- notes ---- */

static void note_tables(struct tkv *db, const struct version *v)
{
    for (int level = 0; env_noting(db->env) && level < TKV_LEVELS; level++) {
        for (size_t i = 0; i < v->levels[level].count; i++) {
            const struct table_info *t = &v->levels[level].files[i]->info;
            db_note(db, NOTE_TABLE, t->number, t->size, 1);
        }
    }
}

static void note_edit(struct tkv *db, const struct edit *e)
{
    for (size_t i = 0; env_noting(db->env) && i < e->removed_count; i++) {
        db_note(db, NOTE_TABLE, e->removed[i].number, 0, 0);
    }
    for (size_t i = 0; env_noting(db->env) && i < e->added_count; i++) {
        const struct table_info *t = &e->added[i].file->info;
        db_note(db, NOTE_TABLE, t->number, t->size, 1);
    }
}

/* ---- showing ---- */

void install_show(struct tkv *db, struct superversion *next)
{
    struct superversion *old = db->superversion;
    ATOMIC_SET_PTR(&db->superversion, next);
    if (old != NULL) {
        superversion_retire(old, &db->epoch);
    }
}

/* The edit is durable: says so in its files, and shows the version. Under mutex. */
static void show(struct tkv *db, const struct edit *e, struct version *v, struct superversion *next,
                 size_t flushed_tables)
{
    const struct superversion *old = db->superversion;
    superversion_set(next, v, old->active);
    CK(flushed_tables <= old->full_count);
    for (size_t i = 0; i < old->full_count - flushed_tables; i++) {
        superversion_add_full(next, old->full[i]);
    }
    install_show(db, next);
    db->log_floor = e->has_log_floor ? e->log_floor : db->log_floor;
    db->flushed = e->has_flushed ? e->flushed : db->flushed;
    db->durable_tag = e->has_tag ? e->tag : db->durable_tag;
    env_cond_broadcast(db->env, &db->progress);
}

/* Files that the edit drops may go once nobody refers to them; those that it adds may not. */
static void kept_set(struct tkv *db, const struct version *base, const struct edit *e)
{
    for (size_t i = 0; i < e->removed_count; i++) {
        const struct edit_remove *r = &e->removed[i];
        const struct version_level *l = &base->levels[r->level];
        for (size_t n = 0; n < l->count; n++) {
            if (l->files[n]->info.number == r->number) {
                atomic_set_u64(&l->files[n]->kept, 0);
            }
        }
    }
    for (size_t i = 0; i < e->added_count; i++) {
        atomic_set_u64(&e->added[i].file->kept, 1); /* last: a move removes and adds it */
    }
    note_edit(db, e);
}

/* ---- an install ---- */

/* A reference to the present version; nobody else replaces it under installing. */
static struct version *version_hold(struct tkv *db)
{
    env_mutex_lock(db->env, &db->mutex);
    struct version *v = db->superversion->version;
    version_ref(v);
    env_mutex_unlock(db->env, &db->mutex);
    return v;
}

/* Makes e durable on top of base. Under installing. */
static enum status edit_log(struct tkv *db, const struct version *base, struct edit *e)
{
    enum status st = ST_OK;
    if (atomic_get_u64(&db->in_doubt) != 0 || manifest_grown(&db->manifest)) {
        st = manifest_renew(db, base);
    }
    if (st != ST_OK) {
        return st;
    }
    env_mutex_lock(db->env, &db->mutex);
    e->next_file = db->next_file;
    e->last_sequence = db->given;
    env_mutex_unlock(db->env, &db->mutex);
    st = manifest_append(&db->manifest, e);
    if (st != ST_OK) {
        atomic_set_u64(&db->in_doubt, 1);
        db_unsettle(db);
        ENV_PROBE(db->env, "manifest: in doubt");
    }
    return st;
}

enum status install_run(struct tkv *db, struct edit *e, size_t flushed_tables)
{
    struct version *v = NULL;
    struct superversion *next = NULL;
    env_mutex_lock(db->env, &db->installing);
    struct version *base = version_hold(db);
    enum status st = version_apply(base, e, &v);
    CK(st != ST_CORRUPT); /* it was made for this database */
    if (st == ST_OK) {
        st = superversion_new(db->env, db->options.memtables_max + 2, &next);
    }
    if (st == ST_OK) {
        CK_SLOW(db->options.verify, version_check(v, NULL));
        st = edit_log(db, base, e);
    }
    if (st == ST_OK) {
        kept_set(db, base, e);
        note_flushed(db, e->has_flushed ? e->flushed : db->flushed);
        ENV_YIELD(db->env, "install: durable, not shown");
        env_mutex_lock(db->env, &db->mutex);
        show(db, e, v, next, flushed_tables);
        env_mutex_unlock(db->env, &db->mutex);
        next = NULL;
    }
    env_mutex_unlock(db->env, &db->installing);
    superversion_unref(next);
    version_unref(v);
    version_unref(base);
    return st;
}

/* A durable manifest names every table of the version. */
static void tables_named(struct tkv *db, const struct version *v)
{
    for (int level = 0; level < TKV_LEVELS; level++) {
        for (size_t i = 0; i < v->levels[level].count; i++) {
            v->levels[level].files[i]->kept = 1;
        }
    }
    note_tables(db, v);
}

enum status install_first(struct tkv *db)
{
    struct version *v = db->superversion->version;
    enum status st = manifest_renew(db, v);
    if (st == ST_OK) {
        tables_named(db, v);
    }
    return st;
}

void install_resumed(struct tkv *db)
{
    CK(db->manifest.number == db->manifest_number);
    note_flushed(db, db->flushed);
    tables_named(db, db->superversion->version);
}

/* ---- removing ---- */

/* Removes the logs below the floor. Under installing. */
static void logs_remove(struct tkv *db)
{
    env_mutex_lock(db->env, &db->mutex);
    while (db->logs_count > 0 && db->logs[0].number < db->log_floor) {
        uint64_t number = db->logs[0].number;
        db->logs_count--;
        memmove(db->logs, db->logs + 1, db->logs_count * sizeof *db->logs);
        env_mutex_unlock(db->env, &db->mutex);
        db_remove(db, FNAME_LOG, number);
        env_mutex_lock(db->env, &db->mutex);
    }
    env_mutex_unlock(db->env, &db->mutex);
}

static void tables_remove(struct tkv *db, bool remove)
{
    struct tabfile *f = tabset_take(&db->tabset);
    while (f != NULL) {
        struct tabfile *next = f->next;
        tabcache_drop(&db->tabcache, &f->slot);
        if (db->blockcache != NULL) {
            blockcache_drop_file(db->blockcache, f->info.number);
        }
        if (remove && atomic_get_u64(&f->kept) == 0) {
            db_remove(db, FNAME_TABLE, f->info.number);
        }
        tabfile_free(f);
        f = next;
    }
}

bool install_sweep(struct tkv *db)
{
    bool waiting = epoch_reclaim(&db->epoch);
    enum status st = ST_OK;
    env_mutex_lock(db->env, &db->installing);
    if (atomic_get_u64(&db->in_doubt) != 0) {
        struct version *v = version_hold(db);
        st = manifest_renew(db, v);
        version_unref(v);
    }
    if (st == ST_OK) {
        logs_remove(db);
        tables_remove(db, true);
    }
    env_mutex_unlock(db->env, &db->installing);
    return waiting || st != ST_OK;
}

void install_end(struct tkv *db)
{
    if (db->superversion != NULL) {
        superversion_unref(db->superversion); /* nobody reads any more */
        db->superversion = NULL;
    }
    (void)epoch_reclaim(&db->epoch); /* what it frees may refer to tables */
    tables_remove(db, !db->options.read_only && atomic_get_u64(&db->in_doubt) == 0);
}
