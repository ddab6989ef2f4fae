/* background.c - see background.h. */
#include "engine/background.h"

#include "base/ck.h"
#include "engine/rewrite.h"
#include "env/note.h"

/* One rewrite of the base, from its plan to its installation. */
struct job {
    struct tkv *db;
    bool renew;             /* of everything, and with a fresh active table */
    struct memview *source; /* referenced */
    size_t from;            /* source->tables[from..] are merged */
    struct memview *next;   /* empty until it is installed: made early, so that nothing can fail */
    struct memtable *active;
    uint64_t *snapshots;
    size_t snapshot_count;
    uint64_t number;
    uint64_t floor; /* logs below go */
    uint64_t last;
    struct memtable *base;
    uint64_t size;
};

static enum status snapshots_copy(struct job *j)
{
    struct tkv *db = j->db;
    size_t count = 0;
    for (struct list *at = db->snapshots.next; at != &db->snapshots; at = at->next) {
        count++;
    }
    if (count == 0) {
        return ST_OK;
    }
    j->snapshots = env_alloc(db->env, count * sizeof *j->snapshots);
    if (j->snapshots == NULL) {
        return ST_NOMEM;
    }
    for (struct list *at = db->snapshots.next; at != &db->snapshots; at = at->next) {
        j->snapshots[j->snapshot_count++] = LIST_ENTRY(at, struct tkv_snapshot, link)->sequence;
    }
    return ST_OK;
}

/* Fixes what is to be done, and takes what doing it needs. Under mutex. */
static enum status job_plan(struct job *j)
{
    struct tkv *db = j->db;
    struct memview *v = db->version;
    memview_ref(v);
    j->source = v;
    j->from = j->renew ? 0 : 1;
    j->number = db->next_file++;
    j->floor = j->renew ? j->number : memview_active(v)->log;
    j->last = j->renew ? db->given : v->tables[1]->last;
    enum status st = snapshots_copy(j);
    if (st == ST_OK) {
        st = memview_new(db->env, db->full_max + 3, &j->next);
    }
    if (st == ST_OK && j->renew) {
        st = memtable_new(db->env, (struct order){NULL}, MEMTABLE_SKIPLIST, j->number, &j->active);
    }
    return st;
}

/* Writes the file and gives it its durable name. */
static enum status job_write(struct job *j)
{
    struct tkv *db = j->db;
    char tmp[ENV_PATH_MAX];
    char path[ENV_PATH_MAX];
    fname_make(tmp, db->dir, FNAME_TMP, j->number);
    fname_make(path, db->dir, FNAME_BASE, j->number);
    struct rewrite r = {.env = db->env,
                        .tables = j->source->tables + j->from,
                        .count = j->source->count - j->from,
                        .snapshots = j->snapshots,
                        .snapshot_count = j->snapshot_count,
                        .path = tmp,
                        .number = j->number,
                        .log_floor = j->floor,
                        .last = j->last};
    enum status st = rewrite_run(&r, &j->base, &j->size);
    if (st != ST_OK) {
        db_remove(db, FNAME_TMP, j->number);
        return st;
    }
    env_mutex_lock(db->env, &db->names);
    st = env_path_rename(db->env, tmp, path);
    if (st == ST_OK) {
        ENV_YIELD(db->env, "base: renamed, its name not durable");
        st = env_dir_sync(db->env, db->dir);
    }
    env_mutex_unlock(db->env, &db->names);
    if (st != ST_OK) {
        /* it may be there after a crash all the same, and then it is right */
        db_remove(db, FNAME_BASE, j->number);
        db_remove(db, FNAME_TMP, j->number);
    }
    return st;
}

/* The new base takes the place of what was merged. Under mutex; cannot fail. */
static void job_install(struct job *j)
{
    struct tkv *db = j->db;
    struct memview *v = db->version;
    if (j->renew) {
        CK(v == j->source); /* nobody writes while the log is broken */
        memview_add(j->next, j->active);
    } else {
        /* tables that were filled meanwhile stay in front of the new base */
        size_t stay = v->count - (j->source->count - j->from);
        for (size_t i = 0; i < stay; i++) {
            memview_add(j->next, v->tables[i]);
        }
    }
    memview_add(j->next, j->base);
    db->version = j->next;
    j->next = v; /* dropped with the job, outside the mutex */
    db->flushes++;
    CK_SLOW(db->verify, memview_check(db->version));
}

/* Removes the logs below floor and the base that was replaced; they are not needed any more. */
static void old_remove(struct tkv *db, uint64_t floor, uint64_t old_base)
{
    ENV_YIELD(db->env, "base: installed, old files not removed");
    if (old_base != 0) {
        db_remove(db, FNAME_BASE, old_base);
    }
    env_mutex_lock(db->env, &db->mutex);
    while (db->logs_count > 0 && db->logs[0].number < floor) {
        uint64_t number = db->logs[0].number;
        db->logs_count--;
        memmove(db->logs, db->logs + 1, db->logs_count * sizeof *db->logs);
        env_mutex_unlock(db->env, &db->mutex);
        db_remove(db, FNAME_LOG, number);
        env_mutex_lock(db->env, &db->mutex);
    }
    env_mutex_unlock(db->env, &db->mutex);
}

static void job_release(struct job *j)
{
    env_release(j->db->env, j->snapshots);
    memview_unref(j->source);
    memview_unref(j->next);
    memtable_unref(j->active);
    memtable_unref(j->base);
}

/* Merges full tables, or everything, into a new base. Takes mutex. */
static enum status base_renew(struct tkv *db, bool everything)
{
    struct job j = {.db = db, .renew = everything};
    env_mutex_lock(db->env, &db->mutex);
    enum status st = job_plan(&j);
    env_mutex_unlock(db->env, &db->mutex);
    if (st == ST_OK) {
        st = job_write(&j);
    }
    uint64_t old_base = 0;
    if (st == ST_OK) {
        struct env_note note = {
            .kind = NOTE_BASE_INSTALLED, .a = j.number, .b = j.size, .c = j.last};
        env_note(db->env, &note);
        ENV_YIELD(db->env, "base: durable, not installed");
    }
    env_mutex_lock(db->env, &db->mutex);
    if (st == ST_OK) {
        job_install(&j);
        old_base = db->base_number;
        db->base_number = j.number;
        db->needs_base = db->needs_base && !everything;
        ENV_PROBE(db->env, "base: installed");
    } else {
        db->flush_errors++;
        ENV_PROBE(db->env, "base: rewrite failed");
    }
    env_mutex_unlock(db->env, &db->mutex);
    if (st == ST_OK) {
        old_remove(db, j.floor, old_base);
    }
    job_release(&j);
    return st;
}

/* Makes a log to go on with, on top of the base or of a log that was synced to its end. */
static enum status log_renew(struct tkv *db)
{
    struct db_log prev = {0, 0};
    env_mutex_lock(db->env, &db->mutex);
    enum status st = db_logs_reserve(db);
    uint64_t number = db->next_file++;
    uint64_t base = db->base_number;
    if (db->logs_count > 0) {
        prev = db->logs[db->logs_count - 1];
    }
    env_mutex_unlock(db->env, &db->mutex);
    if (st == ST_OK) {
        st = db_log_make(db, number, prev, base);
    }
    if (st == ST_OK) {
        env_mutex_lock(db->env, &db->mutex);
        db_logs_add(db, number, db->log.size);
        db->broken = ST_OK;
        env_mutex_unlock(db->env, &db->mutex);
        env_log(db->env, ENV_LOG_INFO, "log: renewed, writes go on");
        ENV_PROBE(db->env, "log: renewed after an error");
    }
    return st;
}

static enum status attempt(struct tkv *db)
{
    env_mutex_lock(db->env, &db->mutex);
    bool broken = db->broken != ST_OK;
    bool needs_base = db->needs_base;
    bool full = memview_full(db->version) > 0;
    env_mutex_unlock(db->env, &db->mutex);
    enum status st = ST_OK;
    if (broken) {
        st = needs_base ? base_renew(db, true) : ST_OK;
        return st == ST_OK ? log_renew(db) : st;
    }
    return full ? base_renew(db, false) : ST_OK;
}

static void background_main(void *arg)
{
    struct tkv *db = arg;
    env_mutex_lock(db->env, &db->mutex);
    for (;;) {
        while (!db->wanted && !db->stop) {
            (void)env_cond_wait(db->env, &db->work, &db->mutex, ENV_NEVER); /* no deadline */
        }
        if (db->stop) {
            break;
        }
        db->wanted = false;
        db->started++;
        env_mutex_unlock(db->env, &db->mutex);
        enum status st = attempt(db);
        env_mutex_lock(db->env, &db->mutex);
        db->attempt = st;
        db->finished = db->started;
        env_cond_broadcast(db->env, &db->progress);
    }
    env_mutex_unlock(db->env, &db->mutex);
}

enum status background_start(struct tkv *db)
{
    return env_thread_start(db->env, &db->thread, "tkv-rewrite", background_main, db);
}

void background_stop(struct tkv *db)
{
    env_mutex_lock(db->env, &db->mutex);
    db->stop = true;
    env_cond_signal(db->env, &db->work);
    env_mutex_unlock(db->env, &db->mutex);
    env_thread_join(db->env, &db->thread);
}

void background_kick(struct tkv *db)
{
    db->wanted = true;
    env_cond_signal(db->env, &db->work);
}

enum status background_wait(struct tkv *db)
{
    uint64_t target = db->started;
    if (db->started == db->finished) {
        target++;
        background_kick(db);
    }
    while (db->finished < target) {
        (void)env_cond_wait(db->env, &db->progress, &db->mutex, ENV_NEVER); /* no deadline */
    }
    return db->attempt;
}
