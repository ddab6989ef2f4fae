/* background.c - see background.h. */
#include "engine/background.h"

#include "base/ck.h"
#include "engine/compact.h"
#include "engine/install.h"
#include "engine/pick.h"

#include <stdio.h>

#define RETRY_NS_MIN ((uint64_t)10000000)   /* after a first failure */
#define RETRY_NS_MAX ((uint64_t)2000000000) /* after many */
#define SWEEP_NS_MIN ((uint64_t)1000000)    /* until readers are looked for again */
#define SWEEP_NS_MAX ((uint64_t)100000000)

/* ---- trying again ---- */

static bool retry_due(const struct db_retry *r, uint64_t now)
{
    return r->at == 0 || r->wanted || now >= r->at;
}

/* Under mutex, after an attempt. */
static void retry_note(struct tkv *db, struct db_retry *r, enum status st)
{
    r->wanted = false;
    if (st == ST_OK) {
        r->at = 0;
        r->wait_ns = 0;
        return;
    }
    db_unsettle(db);
    r->failed++;
    r->status = st;
    r->wait_ns = r->wait_ns == 0 ? RETRY_NS_MIN : r->wait_ns * 2;
    r->wait_ns = r->wait_ns > RETRY_NS_MAX ? RETRY_NS_MAX : r->wait_ns;
    r->at = env_clock_mono(db->env) + r->wait_ns;
    db->stats.flush_errors++;
}

static void failure_log(struct tkv *db, const char *what, enum status st, const struct err *err)
{
    char text[320];
    if (st != ST_OK && st != ST_AGAIN) {
        (void)snprintf(text, sizeof text, "%s: %s", what,
                       err->text[0] != '\0' ? err->text : status_text(st)); /* it may be cut */
        env_log(db->env, ENV_LOG_ERROR, text);
    }
}

/* ---- flushing ---- */

/* One flush, from its plan to its installation. */
struct job {
    struct superversion *source; /* referenced; all its full tables are flushed */
    uint64_t *snapshots;
    size_t snapshot_count;
    struct edit edit;
};

/* Fixes what is to be done. floor: logs below it are not needed once it is. Under mutex. */
static enum status job_plan(struct tkv *db, struct job *j, uint64_t floor, uint64_t last)
{
    struct superversion *sv = db->superversion;
    *j = (struct job){.source = sv};
    superversion_ref(sv);
    edit_init(&j->edit, db->env);
    j->edit.has_log_floor = true;
    j->edit.log_floor = floor;
    j->edit.has_flushed = true;
    j->edit.flushed = last;
    for (size_t i = 0; i < sv->full_count; i++) {
        if (sv->full[i]->tag > (j->edit.has_tag ? j->edit.tag : db->durable_tag)) {
            j->edit.has_tag = true;
            j->edit.tag = sv->full[i]->tag;
        }
    }
    return db_snapshots(db, &j->snapshots, &j->snapshot_count);
}

/* Writes the table and gives it its durable name. */
static enum status job_write(struct tkv *db, struct job *j, uint64_t *bytes, struct err *err)
{
    struct compact_flush f = {.db = db,
                              .tables = j->source->full,
                              .count = j->source->full_count,
                              .snapshots = j->snapshots,
                              .snapshot_count = j->snapshot_count,
                              .version = j->source->version};
    struct tabfile *file = NULL;
    if (f.count == 0) {
        return ST_OK;
    }
    uint64_t begun = db_names_begin(db);
    enum status st = compact_flush(&f, &file, err);
    if (st == ST_OK && file != NULL) {
        ENV_YIELD(db->env, "flush: table synced, its name not yet");
        st = db_names_sync(db, begun);
    }
    if (st == ST_OK && file != NULL) {
        *bytes = file->info.size;
        st = edit_add_file(&j->edit, 0, file);
    }
    tabfile_unref(file);
    return st;
}

/* Flushes all full tables. Under mutex, which it lets go. */
static enum status flush(struct tkv *db, uint64_t floor, uint64_t last)
{
    struct job j;
    struct err err = {.text = ""};
    uint64_t bytes = 0;
    uint64_t since = env_clock_mono(db->env);
    enum status st = job_plan(db, &j, floor, last);
    env_mutex_unlock(db->env, &db->mutex);
    if (st == ST_OK) {
        st = job_write(db, &j, &bytes, &err);
    }
    if (st == ST_OK) {
        ENV_YIELD(db->env, "flush: table durable, not installed");
        st = install_run(db, &j.edit, j.source->full_count);
    }
    failure_log(db, "flush", st, &err);
    edit_release(&j.edit);
    superversion_unref(j.source);
    env_release(db->env, j.snapshots);
    if (st == ST_OK) {
        (void)install_sweep(db); /* the logs go; what readers hold goes later */
    }
    env_mutex_lock(db->env, &db->mutex);
    if (st == ST_OK) {
        db->stats.flushes++;
        db->stats.flush_bytes += bytes;
        db->stats.flush_ns += env_clock_mono(db->env) - since;
        ENV_PROBE(db->env, "flush: installed");
    } else {
        ENV_PROBE(db->env, "flush: failed");
    }
    return st;
}

static enum status flush_full(struct tkv *db)
{
    const struct superversion *sv = db->superversion;
    return sv->full_count == 0 ? ST_OK : flush(db, sv->active->log, sv->full[0]->last);
}

/* The active table counts as full, and one without a log of its own takes its place: it belongs to
 * log `number`. Under mutex. */
static enum status active_leave(struct tkv *db, uint64_t number)
{
    struct memtable *active = db->superversion->active;
    struct superversion *next;
    struct memtable *table = NULL;
    if (memtable_count(active) == 0 && active->tag == 0) {
        active->log = number; /* it holds nothing from any log */
        return ST_OK;
    }
    enum status st = superversion_new(db->env, db->options.memtables_max + 2, &next);
    if (st != ST_OK) {
        return st;
    }
    st = memtable_new(db->env, db->order, MEMTABLE_TREE, number, &table);
    if (st == ST_OK) {
        superversion_rotate(next, db->superversion, table, db->given);
        install_show(db, next);
        next = NULL;
    }
    memtable_unref(table);
    superversion_unref(next);
    return st;
}

/* Under mutex, which it lets go. */
static enum status flush_everything(struct tkv *db)
{
    uint64_t number = db->next_file++;
    enum status st = active_leave(db, number);
    return st == ST_OK ? flush(db, number, db->given) : st;
}

enum status background_flush_all(struct tkv *db)
{
    env_mutex_lock(db->env, &db->mutex);
    enum status st = flush_everything(db);
    env_mutex_unlock(db->env, &db->mutex);
    return st;
}

/* ---- renewing the log ---- */

/* Makes a log to go on with, on top of the tables or of a log that was synced to its end. Under
 * mutex, which it lets go. */
static enum status log_renew(struct tkv *db)
{
    struct db_log prev = {0, 0};
    enum status st = db_logs_reserve(db);
    uint64_t number = db->next_file++;
    if (db->logs_count > 0 && db->logs[db->logs_count - 1].number >= db->log_floor) {
        prev = db->logs[db->logs_count - 1];
    }
    env_mutex_unlock(db->env, &db->mutex);
    if (st == ST_OK) {
        st = db_log_make(db, number, prev);
    }
    env_mutex_lock(db->env, &db->mutex);
    if (st == ST_OK) {
        db_logs_add(db, number, db->log.size);
        db->broken = ST_OK;
        env_log(db->env, ENV_LOG_INFO, "log: renewed, writes go on");
        ENV_PROBE(db->env, "log: renewed after an error");
    }
    return st;
}

static enum status renew(struct tkv *db)
{
    enum status st = ST_OK;
    if (db->needs_flush) {
        st = flush_everything(db);
        db->needs_flush = st != ST_OK;
    }
    return st == ST_OK ? log_renew(db) : st;
}

/* ---- compacting ---- */

/* Under mutex. */
static void compaction_count(struct tkv *db, const struct compaction *c)
{
    struct tkv_level_stats *l = &db->stats.levels[c->output];
    if (c->move) {
        db->stats.moves += c->input_count;
        return;
    }
    db->stats.compactions++;
    db->stats.compaction_bytes_in += c->bytes_in;
    db->stats.compaction_bytes_out += c->bytes_out;
    db->stats.compaction_ns += c->ns;
    l->compactions++;
    l->bytes_in += c->bytes_in;
    l->bytes_out += c->bytes_out;
}

enum status background_compact(struct tkv *db, struct compaction *c)
{
    struct edit e;
    struct err err = {.text = ""};
    db->compacting++;
    env_mutex_unlock(db->env, &db->mutex);
    edit_init(&e, db->env);
    uint64_t begun = db_names_begin(db);
    enum status st = compact_run(c, &e, &err);
    bool made = false;
    for (size_t i = 0; i < e.added_count; i++) {
        made = made || atomic_get_u64(&e.added[i].file->kept) == 0;
    }
    if (st == ST_OK && made) {
        ENV_YIELD(db->env, "compact: tables synced, their names not yet");
        st = db_names_sync(db, begun);
    }
    if (st == ST_OK) {
        ENV_YIELD(db->env, "compact: tables durable, not installed");
        st = install_run(db, &e, 0);
    }
    failure_log(db, "compaction", st, &err);
    edit_release(&e);
    env_mutex_lock(db->env, &db->mutex);
    if (st == ST_OK) {
        compaction_count(db, c);
    }
    pick_done(c);
    db->sweep = true;
    db->compacting--;
    if (st == ST_OK) {
        ENV_PROBE(db->env, "compact: installed");
    }
    if (st != ST_AGAIN) { /* the database is not being closed */
        retry_note(db, &db->compact_retry, st);
    }
    env_cond_broadcast(db->env, &db->progress);
    env_cond_broadcast(db->env, &db->work); /* what met its inputs can go on */
    return st;
}

/* ---- a thread ---- */

/* Does a flush or renewal if one is due. Under mutex, which it lets go then. */
static bool flush_step(struct tkv *db, uint64_t now)
{
    bool due = db->broken != ST_OK || db->superversion->full_count > 0;
    if (db->flushing || !(db->flush_retry.wanted || (due && retry_due(&db->flush_retry, now)))) {
        return false;
    }
    db->flushing = true;
    db->flush_started++;
    enum status st = db->broken != ST_OK ? renew(db) : flush_full(db);
    retry_note(db, &db->flush_retry, st);
    db->flush_status = st;
    db->flush_finished = db->flush_started;
    db->flushing = false;
    db->sweep = true;
    env_cond_broadcast(db->env, &db->progress);
    background_kick(db); /* level 0 may want a compaction now */
    return true;
}

static bool compact_allowed(const struct tkv *db)
{
    size_t most = db->threads_count > 1 ? db->threads_count - 1 : 1;
    return db->compacting < most && db->manual == 0;
}

static bool compact_step(struct tkv *db, uint64_t now)
{
    struct compaction *c = NULL;
    if (!compact_allowed(db) || !retry_due(&db->compact_retry, now)) {
        return false;
    }
    enum status st = pick_next(db, &c);
    if (st == ST_OK && c == NULL) {
        if (db->compacting == 0) {
            retry_note(db, &db->compact_retry, ST_OK); /* there is nothing to try again */
        }
        db->compact_retry.at = 0; /* the end of the one in hand wakes us: no hour is due before */
        return false;
    }
    if (st != ST_OK) {
        retry_note(db, &db->compact_retry, st);
        env_cond_broadcast(db->env, &db->progress);
        return true;
    }
    background_kick(db); /* there may be another one beside it */
    st = background_compact(db, c);
    (void)st; /* noted for those who wait */
    db->sweep = true;
    return true;
}

/* Whether a sweep may find something to do. */
static bool sweep_wanted(const struct tkv *db)
{
    return db->sweep || tabset_waiting(&db->tabset) || epoch_waiting(&db->epoch) > 0 ||
           atomic_get_u64(&db->in_doubt) != 0;
}

static bool sweep_step(struct tkv *db, uint64_t now)
{
    if (db->sweeping || !sweep_wanted(db) || (!db->sweep && now < db->sweep_at)) {
        return false;
    }
    db->sweeping = true;
    db->sweep_ns = db->sweep || db->sweep_ns == 0 ? SWEEP_NS_MIN : db->sweep_ns * 2;
    db->sweep_ns = db->sweep_ns > SWEEP_NS_MAX ? SWEEP_NS_MAX : db->sweep_ns;
    db->sweep = false;
    env_mutex_unlock(db->env, &db->mutex);
    bool waiting = install_sweep(db);
    env_mutex_lock(db->env, &db->mutex);
    db->sweeping = false;
    db->sweep_at = waiting ? env_clock_mono(db->env) + db->sweep_ns : 0;
    env_cond_broadcast(db->env, &db->progress);
    return true;
}

/* The sooner of two moments; one that is past does not count: what was due then has been looked at,
 * and waits for something else. */
static uint64_t sooner(uint64_t until, uint64_t at, uint64_t now)
{
    return at > now && at < until ? at : until;
}

/* When a thread without work looks again by itself. */
static uint64_t sleep_until(const struct tkv *db, uint64_t now)
{
    uint64_t until = ENV_NEVER;
    if (db->broken != ST_OK || db->superversion->full_count > 0) {
        until = sooner(until, db->flush_retry.at, now);
    }
    until = sooner(until, db->compact_retry.at, now);
    if (sweep_wanted(db)) {
        until = sooner(until, db->sweep_at, now);
    }
    return until;
}

/* Nothing is in hand, to be tried again, or to be removed. */
static bool is_idle(const struct tkv *db)
{
    bool doubt = atomic_get_u64(&db->in_doubt) != 0;
    return !db->flushing && db->compacting == 0 && !db->sweeping && db->flush_retry.at == 0 &&
           db->compact_retry.at == 0 && epoch_waiting(&db->epoch) == 0 &&
           (doubt || !tabset_waiting(&db->tabset));
}

static void thread_main(void *arg)
{
    struct tkv *db = arg;
    env_mutex_lock(db->env, &db->mutex);
    while (atomic_get_u64(&db->stopping) == 0) {
        uint64_t now = env_clock_mono(db->env); /* one for all, or a moment could be missed */
        if (flush_step(db, now) || compact_step(db, now) || sweep_step(db, now)) {
            continue;
        }
        db->idle = is_idle(db);
        if (db->idle) {
            env_cond_broadcast(db->env, &db->progress);
        }
        /* a missed deadline and a signal are the same: look again */
        (void)env_cond_wait(db->env, &db->work, &db->mutex, sleep_until(db, now));
    }
    env_mutex_unlock(db->env, &db->mutex);
}

enum status background_start(struct tkv *db)
{
    db->threads = env_alloc(db->env, db->options.threads * sizeof *db->threads);
    if (db->threads == NULL) {
        return ST_NOMEM;
    }
    env_mutex_lock(db->env, &db->mutex); /* they read threads_count */
    enum status st = ST_OK;
    while (st == ST_OK && db->threads_count < db->options.threads) {
        st =
            env_thread_start(db->env, &db->threads[db->threads_count], "tkv-work", thread_main, db);
        db->threads_count += st == ST_OK;
    }
    env_mutex_unlock(db->env, &db->mutex);
    if (st != ST_OK) {
        background_stop(db);
    }
    return st;
}

void background_stop(struct tkv *db)
{
    env_mutex_lock(db->env, &db->mutex);
    atomic_set_u64(&db->stopping, 1);
    env_cond_broadcast(db->env, &db->work);
    env_mutex_unlock(db->env, &db->mutex);
    pacer_hurry(&db->pacer, true);
    for (size_t i = 0; i < db->threads_count; i++) {
        env_thread_join(db->env, &db->threads[i]);
    }
    pacer_hurry(&db->pacer, false);
    db->threads_count = 0;
    env_release(db->env, db->threads);
    db->threads = NULL;
}

/* ---- from outside ---- */

void background_kick(struct tkv *db)
{
    db->idle = false;
    env_cond_signal(db->env, &db->work);
}

enum status background_wait_flush(struct tkv *db)
{
    uint64_t target = db->flush_started;
    if (db->flush_started == db->flush_finished) {
        target++;
        db->flush_retry.wanted = true;
        background_kick(db);
    }
    while (db->flush_finished < target) {
        (void)env_cond_wait(db->env, &db->progress, &db->mutex, ENV_NEVER); /* no deadline */
    }
    return db->flush_status;
}

enum status background_wait_level0(struct tkv *db)
{
    uint64_t failed = db->compact_retry.failed;
    db->compact_retry.wanted = true;
    background_kick(db);
    while (db->superversion->version->levels[0].count >= db->options.level0_stop) {
        if (db->compact_retry.failed != failed) {
            return db->compact_retry.status;
        }
        (void)env_cond_wait(db->env, &db->progress, &db->mutex, ENV_NEVER); /* no deadline */
    }
    return ST_OK;
}

enum status background_wait_idle(struct tkv *db)
{
    uint64_t flushes = db->flush_retry.failed;
    uint64_t compactions = db->compact_retry.failed;
    db->flush_retry.wanted = db->superversion->full_count > 0 || db->broken != ST_OK;
    db->compact_retry.wanted = db->compact_retry.at > 0;
    db->idle = false;
    env_cond_broadcast(db->env, &db->work);
    while (!db->idle) {
        if (db->flush_retry.failed != flushes) {
            return db->flush_retry.status;
        }
        if (db->compact_retry.failed != compactions) {
            return db->compact_retry.status;
        }
        (void)env_cond_wait(db->env, &db->progress, &db->mutex, ENV_NEVER); /* no deadline */
    }
    return ST_OK;
}
