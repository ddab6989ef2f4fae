/* resume.c - see resume.h. */
#include "engine/resume.h"

#include "base/ck.h"
#include "engine/dbdir.h"
#include "engine/install.h"
#include "env/note.h"

#include <string.h>

/* ---- whether ---- */

/* Nothing of ours lies there but what counts (U1). */
static bool directory_right(const struct resume *r)
{
    size_t count[FNAME_LOCK + 1] = {0};
    for (size_t at = 0; at < r->files->size; at += sizeof(struct dbdir_file)) {
        struct dbdir_file f;
        memcpy(&f, r->files->data + at, sizeof f);
        count[f.kind]++;
    }
    return count[FNAME_MANIFEST] == 1 && count[FNAME_TABLE] == r->tables && count[FNAME_TMP] == 0 &&
           count[FNAME_LOG] == (r->state->closing.log != 0);
}

/* The record's log is the one that was found, as it was (U2). */
static bool log_right(const struct resume *r)
{
    const struct manifest_closed *c = &r->state->closing;
    if (c->log == 0) {
        return r->log == 0;
    }
    return r->log == c->log && r->log_size == c->log_size && r->log_epoch == c->log_epoch &&
           r->log_bare;
}

bool resume_allowed(const struct resume *r, const struct tkv_options *o)
{
    const struct manifest_state *s = r->state;
    if (o->read_only || !s->closed || s->torn || (s->closing.log != 0 && !o->log)) {
        return false;
    }
    return log_right(r) && directory_right(r);
}

/* ---- how ---- */

/* The log of the record goes on where it ended. */
static enum status log_resume(struct tkv *db, const struct resume *r)
{
    char path[ENV_PATH_MAX];
    fname_make(path, db->dir, FNAME_LOG, r->log);
    enum status st = db_logs_reserve(db);
    if (st == ST_OK) {
        st = wal_reopen(&db->log, path, r->log, r->log_epoch, r->log_size, r->log_size);
    }
    if (st == ST_OK) {
        db_logs_add(db, r->log, r->log_size);
        db_note(db, NOTE_RESUMED, r->log, r->log_size, 0);
    }
    return st;
}

/* There was none, for what it held went into tables. */
static enum status log_first(struct tkv *db)
{
    uint64_t number = db->next_file++;
    enum status st = db_logs_reserve(db);
    if (st == ST_OK) {
        st = db_log_make(db, number, (struct db_log){0, 0});
    }
    if (st == ST_OK) {
        db_logs_add(db, number, db->log.size);
    }
    return st;
}

enum status resume_run(struct tkv *db, const struct resume *r)
{
    enum status st = manifest_reopen(&db->manifest, r->manifest, r->state);
    if (st != ST_OK) {
        return st;
    }
    install_resumed(db);
    if (r->log != 0) {
        st = log_resume(db, r);
    } else if (db->options.log) {
        st = log_first(db);
        ENV_PROBE(db->env, "recover: closed cleanly, a new log and nothing else");
    }
    if (st == ST_OK && (r->log != 0 || !db->options.log)) {
        ENV_PROBE(db->env, "recover: closed cleanly, nothing made anew");
    }
    return st;
}
