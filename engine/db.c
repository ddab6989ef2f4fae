/* db.c - see db.h. */
#include "engine/db.h"

#include "base/ck.h"

#include <stdio.h>
#include <string.h>

/* ---- snapshots ---- */

/* A reference to the present superversion, for s. Under mutex. */
static struct superversion *hold(struct tkv *db)
{
    struct superversion *sv = db->superversion;
    superversion_ref(sv);
    return sv;
}

struct superversion *db_snapshot_take(struct tkv *db, struct tkv_snapshot *s)
{
    env_mutex_lock(db->env, &db->mutex);
    s->sequence = db_sequence(db);
    list_insert(&db->snapshots, &s->link);
    db->snapshots_changed++;
    struct superversion *sv = hold(db);
    env_mutex_unlock(db->env, &db->mutex);
    return sv;
}

struct superversion *db_snapshot_copy(struct tkv *db, const struct tkv_snapshot *of,
                                      struct tkv_snapshot *s)
{
    env_mutex_lock(db->env, &db->mutex);
    s->sequence = of->sequence;
    list_insert(of->link.next, &s->link);
    db->snapshots_changed++;
    struct superversion *sv = hold(db);
    env_mutex_unlock(db->env, &db->mutex);
    return sv;
}

void db_snapshot_drop(struct tkv *db, struct tkv_snapshot *s)
{
    env_mutex_lock(db->env, &db->mutex);
    list_remove(&s->link);
    db->snapshots_changed++;
    if (tabset_waiting(&db->tabset)) {
        env_cond_signal(db->env, &db->work);
    }
    env_mutex_unlock(db->env, &db->mutex);
}

enum status db_snapshots(struct tkv *db, uint64_t **list, size_t *count)
{
    size_t n = 1;
    for (struct list *at = db->snapshots.next; at != &db->snapshots; at = at->next) {
        n++;
    }
    uint64_t *all = env_alloc(db->env, n * sizeof *all);
    if (all == NULL) {
        return ST_NOMEM;
    }
    n = 0;
    for (struct list *at = db->snapshots.next; at != &db->snapshots; at = at->next) {
        uint64_t sequence = LIST_ENTRY(at, struct tkv_snapshot, link)->sequence;
        CK(n == 0 || all[n - 1] <= sequence);
        if (n == 0 || all[n - 1] < sequence) {
            all[n++] = sequence;
        }
    }
    if (n == 0 || all[n - 1] < db_sequence(db)) {
        all[n++] = db_sequence(db);
    }
    *list = all;
    *count = n;
    return ST_OK;
}

/* ---- files ---- */

uint64_t db_file_number(struct tkv *db)
{
    env_mutex_lock(db->env, &db->mutex);
    uint64_t number = db->next_file++;
    env_mutex_unlock(db->env, &db->mutex);
    return number;
}

void db_remove(struct tkv *db, enum fname_kind kind, uint64_t number)
{
    char path[ENV_PATH_MAX];
    fname_make(path, db->dir, kind, number);
    enum status st = env_path_remove(db->env, path);
    if (st != ST_OK && st != ST_NOENT) {
        char name[FNAME_SIZE];
        char text[96];
        fname_text(name, kind, number);
        (void)snprintf(text, sizeof text, "%s: not removed: %s", name, status_text(st));
        env_log(db->env, ENV_LOG_WARN, text);
    }
}

uint64_t db_names_begin(struct tkv *db)
{
    return atomic_get_u64(&db->names_failed);
}

enum status db_names_sync(struct tkv *db, uint64_t begun)
{
    env_mutex_lock(db->env, &db->names);
    enum status st = env_dir_sync(db->env, db->dir);
    if (st != ST_OK) {
        (void)atomic_add_u64(&db->names_failed, 1); /* the value matters to names_begin alone */
        db_unsettle(db);
    } else if (atomic_get_u64(&db->names_failed) != begun) {
        st = ST_IO; /* somebody else's sync failed: it may have lost our names too */
    }
    env_mutex_unlock(db->env, &db->names);
    return st;
}

void db_note(struct tkv *db, uint32_t kind, uint64_t a, uint64_t b, uint64_t c)
{
    if (env_noting(db->env)) {
        struct env_note note = {
            .kind = kind, .a = a, .b = b, .c = c, .data = db->dir, .size = strlen(db->dir)};
        env_note(db->env, &note);
    }
}

/* ---- logs ---- */

enum status db_logs_reserve(struct tkv *db)
{
    if (db->logs_count < db->logs_cap) {
        return ST_OK;
    }
    size_t cap = db->logs_cap == 0 ? 8 : db->logs_cap * 2;
    struct db_log *logs = env_resize(db->env, db->logs, cap * sizeof *logs);
    if (logs == NULL) {
        return ST_NOMEM;
    }
    db->logs = logs;
    db->logs_cap = cap;
    return ST_OK;
}

void db_logs_add(struct tkv *db, uint64_t number, uint64_t size)
{
    CK(db->logs_count < db->logs_cap);
    CK(db->logs_count == 0 || db->logs[db->logs_count - 1].number < number);
    db->logs[db->logs_count++] = (struct db_log){number, size};
}

enum status db_log_make(struct tkv *db, uint64_t number, struct db_log prev)
{
    struct walfmt_head head = {
        WALFMT_LOG_MAGIC, WALFMT_VERSION, number,
        prev.number,      prev.size,      atomic_get_u64(&db->manifest_number),
        db->database,
    };
    char path[ENV_PATH_MAX];
    fname_make(path, db->dir, FNAME_LOG, number);
    uint64_t begun = db_names_begin(db);
    enum status st = wal_create(&db->log, path, &head);
    if (st == ST_OK) {
        st = wal_append_mark(&db->log);
    }
    if (st == ST_OK) {
        st = wal_sync(&db->log);
    }
    if (st == ST_OK) {
        ENV_YIELD(db->env, "log: new one synced, its name not yet");
        st = db_names_sync(db, begun);
    }
    if (st != ST_OK) {
        wal_shut(&db->log);
        db_remove(db, FNAME_LOG, number);
    }
    return st;
}

void db_unsettle(struct tkv *db)
{
    atomic_set_u64(&db->unsettled, 1);
}

void db_break(struct tkv *db, enum status st, bool needs_flush)
{
    CK(st != ST_OK);
    db_unsettle(db);
    char text[96];
    (void)snprintf(text, sizeof text, "log: no more writes until it is renewed: %s",
                   status_text(st)); /* it fits */
    env_log(db->env, ENV_LOG_ERROR, text);
    wal_shut(&db->log);
    db->broken = st;
    db->needs_flush = db->needs_flush || needs_flush;
}
