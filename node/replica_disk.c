/* replica_disk.c - the threads that wait for the disk, so that the replica's own never does: one
 * syncs the log, one reads old entries for members that are behind, one flushes for snapshots
 * (replica_snap.c). */
#include "env/note.h"
#include "node/replica_int.h"

#define TRY_AGAIN_NS (20 * REPLICA_MS)

/* ---- the log writer ---- */

/* One group to the disk, and the news of it. False: it will not go on. */
static bool log_sync(struct replica *r)
{
    struct raftlog_stats stats;
    uint64_t seq = 0;
    enum status st = raftlog_sync(r->log, &seq);
    raftlog_stats(r->log, &stats);
    if (st == ST_OK) {
        env_note(r->env,
                 &(struct env_note){.kind = NOTE_CORE_DURABLE, .a = r->o.raft.self, .b = seq});
    }
    ENV_YIELD(r->env, "replica: between the log's sync and its news");
    env_mutex_lock(r->env, &r->mutex);
    r->durable = st == ST_OK && seq > r->durable ? seq : r->durable;
    r->disk_st = stats.broken ? ST_IO : ST_OK;
    r->write_pending = r->write_pending || stats.pending > 0;
    bool busy = r->write_pending || r->quit_disk;
    if (st != ST_OK && !stats.broken && !r->quit_disk) {
        ENV_PROBE(r->env, "replica: the log's sync is tried again");
        (void)env_cond_wait(r->env, &r->disk, &r->mutex, env_clock_mono(r->env) + TRY_AGAIN_NS);
    }
    if (busy) {
        env_cond_signal(r->env, &r->work);
    }
    env_mutex_unlock(r->env, &r->mutex);
    if (!busy) {
        replica_turn(r); /* what waited for the disk leaves from here */
    }
    return !stats.broken;
}

/* When there is time for it; segments that are obsolete do not wait for that, for under load it
 * may never come. */
static void log_tidy(struct replica *r, bool idle)
{
    struct raftlog_stats stats;
    raftlog_stats(r->log, &stats);
    if ((stats.spares > 0 || (idle && stats.untidy)) && raftlog_tidy(r->log) != ST_OK) {
        ENV_PROBE(r->env, "replica: the log is tidied later");
    }
}

static void writer_main(void *arg)
{
    struct replica *r = arg;
    bool goes = true;
    for (bool idle = false;; idle = true) {
        env_mutex_lock(r->env, &r->mutex);
        if (idle && !r->quit_disk && goes) {
            bool pending = r->write_pending;
            env_mutex_unlock(r->env, &r->mutex);
            log_tidy(r, !pending);
            env_mutex_lock(r->env, &r->mutex);
        }
        while ((!r->write_pending || !goes) && !r->quit_disk) {
            (void)env_cond_wait(r->env, &r->disk, &r->mutex, ENV_NEVER); /* the loop decides */
        }
        bool over = r->quit_disk && (!r->write_pending || !goes);
        bool last = r->quit_disk;
        r->write_pending = false;
        env_mutex_unlock(r->env, &r->mutex);
        if (over) {
            return;
        }
        goes = log_sync(r) && !last; /* at the end, once: what fails then is not acknowledged */
    }
}

/* ---- the reader of old entries ---- */

static struct replica_fetch *fetch_next(struct replica *r)
{
    for (uint32_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        if (r->fetches[i].node != 0 && r->fetches[i].state == FETCH_WANTED) {
            return &r->fetches[i];
        }
    }
    return NULL;
}

/* Reads for one member; the lock is held before and after. */
static void fetch_read(struct replica *r, struct replica_fetch *f)
{
    uint64_t lo = f->lo;
    uint64_t hi = f->hi;
    uint64_t bytes = f->bytes;
    f->state = FETCH_READING;
    env_mutex_unlock(r->env, &r->mutex);
    enum status st = raftlog_read(r->log, lo, hi, (size_t)bytes, &f->batch);
    ENV_YIELD(r->env, "replica: between reading old entries and their news");
    env_mutex_lock(r->env, &r->mutex);
    f->st = st;
    bool other = f->lo != lo || f->hi != hi; /* meanwhile something else was asked for */
    f->state = other ? FETCH_WANTED : FETCH_READ;
    r->reads_old = r->reads_old || other;
    r->old_read = true;
    env_cond_signal(r->env, &r->work);
}

static void reader_main(void *arg)
{
    struct replica *r = arg;
    env_mutex_lock(r->env, &r->mutex);
    while (!r->quit_disk) {
        struct replica_fetch *f = r->reads_old ? fetch_next(r) : NULL;
        if (f != NULL) {
            fetch_read(r, f);
            continue;
        }
        r->reads_old = false;
        (void)env_cond_wait(r->env, &r->old, &r->mutex, ENV_NEVER); /* the loop decides */
    }
    env_mutex_unlock(r->env, &r->mutex);
}

/* ---- starting and stopping ---- */

/* Ends the first so many of the threads. */
static void threads_stop(struct replica *r, int started)
{
    env_mutex_lock(r->env, &r->mutex);
    r->quit_disk = true;
    env_cond_signal(r->env, &r->disk);
    env_cond_signal(r->env, &r->old);
    env_mutex_unlock(r->env, &r->mutex);
    if (started > 0) {
        env_thread_join(r->env, &r->writer);
    }
    if (started > 1) {
        env_thread_join(r->env, &r->reader);
    }
    if (started > 2) {
        replica_snap_stop(r);
    }
    r->quit_disk = false;
}

enum status replica_disk_start(struct replica *r)
{
    int started = 0;
    enum status st = env_thread_start(r->env, &r->writer, "raftlog", writer_main, r);
    started += st == ST_OK;
    st = st == ST_OK ? env_thread_start(r->env, &r->reader, "raftold", reader_main, r) : st;
    started += st == ST_OK;
    st = st == ST_OK ? replica_snap_start(r) : st;
    if (st != ST_OK) {
        threads_stop(r, started);
    }
    return st;
}

void replica_disk_stop(struct replica *r)
{
    threads_stop(r, 3);
}
