/* db.c - see db.h. */
#include "engine/db.h"

#include "base/ck.h"

#include <stdio.h>
#include <string.h>

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

enum status db_log_make(struct tkv *db, uint64_t number, struct db_log prev, uint64_t base)
{
    struct walfmt_head head = {
        WALFMT_LOG_MAGIC, WALFMT_VERSION, number, prev.number, prev.size, base,
    };
    char path[ENV_PATH_MAX];
    fname_make(path, db->dir, FNAME_LOG, number);
    env_mutex_lock(db->env, &db->names);
    enum status st = wal_create(&db->log, path, &head);
    if (st == ST_OK) {
        st = wal_append_mark(&db->log);
    }
    if (st == ST_OK) {
        st = wal_sync(&db->log);
    }
    if (st == ST_OK) {
        ENV_YIELD(db->env, "log: new one synced, its name not yet");
        st = env_dir_sync(db->env, db->dir);
    }
    env_mutex_unlock(db->env, &db->names);
    if (st != ST_OK) {
        wal_shut(&db->log);
        db_remove(db, FNAME_LOG, number);
    }
    return st;
}

void db_break(struct tkv *db, enum status st, bool needs_base)
{
    CK(st != ST_OK);
    char text[96];
    (void)snprintf(text, sizeof text, "log: no more writes until it is renewed: %s",
                   status_text(st)); /* it fits */
    env_log(db->env, ENV_LOG_ERROR, text);
    wal_shut(&db->log);
    db->broken = st;
    db->needs_base = db->needs_base || needs_base;
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

struct memview *db_view(struct tkv *db, uint64_t *sequence)
{
    env_mutex_lock(db->env, &db->mutex);
    struct memview *v = db->version;
    memview_ref(v);
    *sequence = db->sequence;
    env_mutex_unlock(db->env, &db->mutex);
    return v;
}
