/* tkv_whole.c - calls on whole databases: copies, checks, removal. */
#include "base/ck.h"
#include "engine/dbdir.h"
#include "engine/install.h"
#include "engine/repair.h"
#include "engine/tkv_impl.h"
#include "engine/version.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static enum tkv_status answer(enum status st, const struct err *err, struct tkv_error *error)
{
    if (error != NULL) {
        memcpy(error->text, err->text, sizeof error->text);
    }
    return tkv_impl_status(st);
}

/* ---- checkpoint ---- */

struct checkpoint {
    struct tkv *db;
    const char *dir;
    struct version *version; /* a reference: its files stay */
    uint64_t flushed;
    uint64_t tag;
    uint64_t next_file;
    struct err *err;
};

/* What the copy is to hold: all that is in tables at this moment. */
static void moment_take(struct checkpoint *c)
{
    struct tkv *db = c->db;
    env_mutex_lock(db->env, &db->mutex);
    c->version = db_superversion(db)->version;
    version_ref(c->version);
    c->flushed = db->flushed;
    c->tag = db->durable_tag;
    c->next_file = db->next_file;
    env_mutex_unlock(db->env, &db->mutex);
}

static enum status tables_link(struct checkpoint *c, struct edit *state)
{
    enum status st = ST_OK;
    for (int level = 0; level < TKV_LEVELS; level++) {
        const struct version_level *l = &c->version->levels[level];
        for (size_t i = 0; st == ST_OK && i < l->count; i++) {
            char from[ENV_PATH_MAX];
            char to[ENV_PATH_MAX];
            fname_make(from, c->db->dir, FNAME_TABLE, l->files[i]->info.number);
            fname_make(to, c->dir, FNAME_TABLE, l->files[i]->info.number);
            st = env_path_link(c->db->env, from, to);
            if (st != ST_OK) {
                return err_status(c->err, st, to);
            }
            st = edit_add_file(state, level, l->files[i]);
        }
    }
    return st;
}

/* Writes the manifest of the copy and CURRENT, all of it durable. */
static enum status manifest_make(struct checkpoint *c, const struct edit *state)
{
    struct manifest m = {0};
    bool renamed;
    struct env *env = c->db->env;
    enum status st = manifest_init(&m, env, c->dir, c->db->order);
    if (st == ST_OK) {
        st = manifest_create(&m, c->next_file, state);
    }
    if (st == ST_OK) {
        st = env_dir_sync(env, c->dir);
    }
    if (st == ST_OK) {
        st = manifest_publish(&m, c->next_file + 1, &renamed);
    }
    if (st == ST_OK) {
        st = env_dir_sync(env, c->dir);
    }
    if (st == ST_OK) {
        st = dbdir_parent_sync(env, c->dir);
    }
    manifest_release(&m);
    return st == ST_OK ? ST_OK : err_status(c->err, st, c->dir);
}

static enum status checkpoint_fill(struct checkpoint *c)
{
    struct edit state;
    edit_init(&state, c->db->env);
    enum status st = tables_link(c, &state);
    state.database = (uint32_t)env_random_u64(c->db->env); /* its logs are not ours */
    state.has_log_floor = true;
    state.log_floor = c->next_file; /* no log comes along */
    state.has_flushed = true;
    state.flushed = c->flushed;
    state.has_tag = true;
    state.tag = c->tag;
    state.next_file = c->next_file + 2;
    state.last_sequence = c->flushed;
    if (st == ST_OK) {
        ENV_YIELD(c->db->env, "checkpoint: tables linked, no manifest");
        st = manifest_make(c, &state);
    }
    edit_release(&state);
    return st;
}

enum tkv_status tkv_checkpoint(struct tkv *db, const char *dir, struct tkv_error *error)
{
    struct err err = {.text = ""};
    struct checkpoint c = {.db = db, .dir = dir, .err = &err};
    size_t n = strlen(dir);
    if (n == 0 || n > ENV_PATH_MAX - FNAME_SIZE) {
        err_set(&err, "the directory's name is empty or too long");
        return answer(ST_INVAL, &err, error);
    }
    enum tkv_status flushed = db->options.read_only ? TKV_READONLY : tkv_flush(db);
    if (flushed != TKV_OK) {
        return answer(err_status(&err, (enum status)flushed, "flushing"), &err, error);
    }
    enum status st = env_dir_make(db->env, dir);
    if (st != ST_OK) {
        return answer(err_status(&err, st, dir), &err, error);
    }
    moment_take(&c);
    st = checkpoint_fill(&c);
    version_unref(c.version);
    if (st != ST_OK) {
        enum status gone = dbdir_remove(db->env, dir);
        if (gone != ST_OK) {
            env_log(db->env, ENV_LOG_WARN, "checkpoint: what a failed one left is still there");
        }
    } else {
        ENV_PROBE(db->env, "checkpoint: made");
    }
    return answer(st, &err, error);
}

/* ---- destroy ---- */

enum tkv_status tkv_destroy(const struct tkv_options *o, const char *dir, struct tkv_error *error)
{
    struct err err = {.text = ""};
    int lock;
    enum status st = dbdir_lock(o->env, dir, &lock, &err);
    if (st == ST_OK) {
        st = dbdir_remove(o->env, dir);
        (void)env_fd_close(o->env, lock); /* the lock is dropped in any case */
        if (st != ST_OK) {
            st = err_status(&err, st, dir);
        }
    }
    return answer(st, &err, error);
}

/* ---- verify ---- */

struct verify {
    struct tkv *db;
    tkv_report_fn *report;
    void *arg;
    struct err first; /* what was found wrong first */
    enum status st;
};

__attribute__((format(__printf__, 2, 3))) static void say(const struct verify *v, const char *fmt,
                                                          ...)
{
    char line[sizeof(struct err) + 64];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof line, fmt, args); /* a longer one is cut */
    va_end(args);
    if (v->report != NULL && n >= 0) {
        v->report(v->arg, line);
    }
}

static void table_check(struct verify *v, int level, struct tabfile *f)
{
    struct err err = {.text = ""};
    struct table *t;
    enum status st = tabcache_get(&v->db->tabcache, &f->slot, &f->info, &t, &err);
    if (st == ST_OK) {
        st = table_verify(t, &f->info, &err);
        table_unref(t);
    }
    if (st == ST_OK) {
        say(v, "%06" PRIu64 ".sst: level %d, %" PRIu64 " entries, %" PRIu64 " bytes: right",
            f->info.number, level, f->info.entries, f->info.size);
        return;
    }
    say(v, "WRONG: %s", err.text[0] != '\0' ? err.text : status_text(st));
    if (v->st == ST_OK) {
        v->st = st;
        v->first = err;
    }
}

enum tkv_status tkv_verify(const struct tkv_options *o, const char *dir, tkv_report_fn *report,
                           void *arg, struct tkv_error *error)
{
    struct tkv_options options;
    struct tkv_error text = {.text = ""};
    struct verify v = {.report = report, .arg = arg};
    tkv_options_init(&options);
    options.env = o->env;
    options.comparator = o->comparator;
    options.read_only = true;
    options.verify = true;
    enum tkv_status st = tkv_open(&options, dir, &v.db, &text);
    if (st != TKV_OK) {
        say(&v, "WRONG: %s", text.text);
        if (error != NULL) {
            *error = text;
        }
        return st;
    }
    const struct version *version = db_superversion(v.db)->version; /* nobody else is here */
    say(&v, "manifest and logs: right, sequence %" PRIu64, db_sequence(v.db));
    for (int level = 0; level < TKV_LEVELS; level++) {
        for (size_t i = 0; i < version->levels[level].count; i++) {
            table_check(&v, level, version->levels[level].files[i]);
        }
    }
    if (!version_check(version, &v.first) && v.st == ST_OK) {
        v.st = ST_CORRUPT;
        say(&v, "WRONG: %s", v.first.text);
    }
    st = tkv_close(v.db);
    CK(st == TKV_OK || st == TKV_IO); /* it was opened for reading */
    return answer(v.st, &v.first, error);
}

/* ---- repair ---- */

enum tkv_status tkv_repair(const struct tkv_options *o, const char *dir, tkv_report_fn *report,
                           void *arg, struct tkv_error *error)
{
    struct err err = {.text = ""};
    int lock;
    enum status st = dbdir_lock(o->env, dir, &lock, &err);
    if (st == ST_OK) {
        (void)env_fd_close(o->env, lock); /* repair_run opens the database by itself */
        st = repair_run(o, dir, report, arg, &err);
    }
    return answer(st, &err, error);
}
