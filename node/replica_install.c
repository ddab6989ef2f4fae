/* replica_install.c - a snapshot from another node takes the place of the database.
 *
 * What makes the exchange atomic is the log's record that it begins at the snapshot:
 *
 *     db.next              the snapshot, whole and durable, looked at
 *     the record           until it is durable the database is the old one
 *     db/CURRENT           removed: from here on db is no database
 *     db                   emptied; then the files of db.next as hard links
 *     db/CURRENT           linked: now it is one again
 *     db.next/CURRENT      removed, then the rest of it
 *
 * each durable before the next. Renaming the directories would be less work; but a power loss may
 * keep that the old name is gone and lose the new one (POSIX promises nothing), and then there is
 * no database at all.
 *
 * A database that has applied less than the log's mark is what only a durable record leaves behind,
 * for other marks are of what the database holds. So an open knows which of the two counts, without
 * a file that says so; and a db.next that no record speaks of is removed. What has no CURRENT is no
 * database, and no snapshot.
 *
 * The snapshotter does all that touches files. From the record on nothing is applied; while the
 * databases change places the replica thread leaves the state machine alone, and the core hears of
 * the record only when that is over (C5 of raft.h). */
#include "base/ck.h"
#include "env/note.h"
#include "node/confcode.h"
#include "node/replica_int.h"
#include "node/snapstage.h"

#include <stdio.h>
#include <string.h>

#define CURRENT      "CURRENT" /* names what is valid of a database: without it there is none */
#define TRY_AGAIN_NS (50 * REPLICA_MS)

/* ---- directories ---- */

/* It fits: replica_open has looked. */
static void next_name(const struct replica *r, char path[ENV_PATH_MAX])
{
    (void)snprintf(path, ENV_PATH_MAX, "%.*s/db.next", ENV_PATH_MAX - 16, r->dir);
}

static enum status is_there(const struct replica *r, const char *path, bool *there)
{
    struct env_stat stat;
    enum status st = env_path_stat(r->env, path, &stat);
    *there = st == ST_OK;
    return st == ST_NOENT ? ST_OK : st;
}

static enum status is_whole(const struct replica *r, const char *dir, bool *whole)
{
    char path[ENV_PATH_MAX];
    enum status st = snapset_path(dir, CURRENT, path);
    return st == ST_OK ? is_there(r, path, whole) : st;
}

/* It is no database from now on, whatever happens. */
static enum status unmake(const struct replica *r, const char *dir)
{
    char path[ENV_PATH_MAX];
    enum status st = snapset_path(dir, CURRENT, path);
    st = st == ST_OK ? env_path_remove(r->env, path) : st;
    if (st == ST_NOENT) {
        return ST_OK;
    }
    ENV_YIELD(r->env, "replica: a database was unmade");
    return st == ST_OK ? env_dir_sync(r->env, dir) : st;
}

/* The names of a directory, each with its end. */
struct listing {
    struct buf names;
    enum status st;
};

static bool list_name(void *arg, const char *name)
{
    struct listing *l = arg;
    if (strcmp(name, CURRENT) != 0 && strcmp(name, "LOCK") != 0) {
        l->st = buf_append(&l->names, name, strlen(name) + 1);
    }
    return l->st == ST_OK;
}

static enum status link_file(const struct replica *r, const char *from, const char *to,
                             const char *name)
{
    char old[ENV_PATH_MAX];
    char new[ENV_PATH_MAX];
    enum status st = snapset_path(from, name, old);
    st = st == ST_OK ? snapset_path(to, name, new) : st;
    return st == ST_OK ? env_path_link(r->env, old, new) : st;
}

/* What `from` has, as a database in the empty directory `to`. */
static enum status link_all(const struct replica *r, const char *from, const char *to)
{
    struct listing l = {.st = ST_OK};
    buf_init(&l.names, &r->env->mem);
    enum status st = env_dir_list(r->env, from, list_name, &l);
    st = st == ST_OK ? l.st : st;
    for (size_t at = 0; st == ST_OK && at < l.names.size; at += strlen(l.names.data + at) + 1) {
        st = link_file(r, from, to, l.names.data + at);
    }
    buf_release(&l.names);
    st = st == ST_OK ? env_dir_sync(r->env, to) : st;
    st = st == ST_OK ? link_file(r, from, to, CURRENT) : st;
    ENV_YIELD(r->env, "replica: a database was linked");
    st = st == ST_OK ? env_dir_sync(r->env, to) : st;
    return st == ST_OK ? env_dir_sync(r->env, r->dir) : st;
}

/* db.next becomes db. Wherever it was interrupted, it goes on there. */
static enum status exchange(const struct replica *r, struct err *err)
{
    char next[ENV_PATH_MAX];
    bool whole;
    next_name(r, next);
    enum status st = is_whole(r, next, &whole);
    if (st == ST_OK && whole) {
        st = unmake(r, r->db_dir);
        st = st == ST_OK ? replica_snap_wipe(r, r->db_dir, err) : st;
        st = st == ST_OK ? env_dir_make(r->env, r->db_dir) : st;
        st = st == ST_OK ? link_all(r, next, r->db_dir) : st;
        st = st == ST_OK ? unmake(r, next) : st;
    }
    st = st == ST_OK ? replica_snap_wipe(r, next, err) : st;
    return st == ST_OK ? st : err_status(err, st, "exchanging databases");
}

enum status replica_install_mend(struct replica *r, struct err *err)
{
    char next[ENV_PATH_MAX];
    bool db;
    bool whole = false;
    next_name(r, next);
    enum status st = is_whole(r, r->db_dir, &db);
    st = st == ST_OK && !db ? is_whole(r, next, &whole) : st;
    if (st != ST_OK) {
        return err_status(err, st, "looking at the databases");
    }
    if (whole) {
        ENV_PROBE(r->env, "replica: an exchange of databases goes on after a crash");
        return exchange(r, err);
    }
    return ST_OK;
}

static void db_close(struct replica *r)
{
    statemachine_release(&r->sm);
    if (r->db != NULL) {
        enum status st = view_status(tkv_close(r->db));
        (void)st; /* nobody will open it again */
        r->db = NULL;
    }
}

enum status replica_install_owed(struct replica *r, const struct raft_place *mark, struct err *err)
{
    char next[ENV_PATH_MAX];
    bool there;
    next_name(r, next);
    enum status st = is_there(r, next, &there);
    if (st != ST_OK || !there) {
        return st == ST_OK ? st : err_status(err, st, next);
    }
    if (r->sm.applied.place.index >= mark->index) {
        ENV_PROBE(r->env, "replica: a snapshot that no record speaks of is removed");
        return replica_snap_wipe(r, next, err);
    }
    ENV_PROBE(r->env, "replica: a snapshot is installed after a crash");
    db_close(r);
    st = exchange(r, err);
    return st == ST_OK ? replica_db_open(r, err) : st;
}

/* ---- the snapshotter's part ---- */

static bool same_config(const struct raft_config *a, const struct raft_config *b)
{
    char x[CONFCODE_MAX];
    char y[CONFCODE_MAX];
    size_t n = confcode_write(a, x);
    return n == confcode_write(b, y) && memcmp(x, y, n) == 0;
}

/* Is it what its message says? */
static enum status look(struct replica *r, const char *dir, struct err *err)
{
    const struct replica_install *in = &r->snap.install;
    struct replica_mark m;
    enum status st = replica_snap_look(r, dir, &m, err);
    if (st != ST_OK) {
        return st;
    }
    bool same = m.place.index == in->msg.place.index && m.place.term == in->msg.place.term &&
                in->config.count > 0 &&
                (m.config.count == 0 || same_config(&m.config, &in->config));
    if (!same) {
        err_set(err, "it is not what was said of it");
    }
    return same ? ST_OK : ST_CORRUPT;
}

static enum status take(struct replica *r, struct err *err)
{
    char next[ENV_PATH_MAX];
    next_name(r, next);
    enum status st = replica_snap_wipe(r, next, err);
    enum status taken = r->o.transport.take_snapshot(r->o.transport.arg, next, err);
    st = st == ST_OK ? taken : st;
    return st == ST_OK ? look(r, next, err) : st;
}

static bool stops(struct replica *r)
{
    env_mutex_lock(r->env, &r->mutex);
    bool quit = r->quit_disk;
    env_mutex_unlock(r->env, &r->mutex);
    return quit;
}

static enum status switch_try(struct replica *r, struct err *err)
{
    const struct raft_place *place = &r->snap.install.msg.place;
    db_close(r);
    enum status st = exchange(r, err);
    st = st == ST_OK ? replica_db_open(r, err) : st;
    if (st == ST_OK && place->index == REPLICA_FOUNDED && r->sm.applied.place.index == 0) {
        statemachine_found(&r->sm, *place);
    }
    if (st == ST_OK && r->sm.applied.place.index != place->index) {
        err_set(err, "the database is not the snapshot");
        st = ST_CORRUPT;
    }
    return st;
}

static enum status switch_run(struct replica *r, struct err *err)
{
    struct statemachine_counts counts = r->sm.counts;
    struct raftlog_stats stats;
    raftlog_stats(r->log, &stats);
    CK(stats.durable >= r->snap.install.seq); /* else a crash could leave a log that ends below */
    enum status st = switch_try(r, err);
    while ((st == ST_NOMEM || st == ST_NOSPC) && !stops(r)) {
        ENV_PROBE(r->env, "replica: an exchange of databases is tried again");
        env_sleep_until(r->env, env_clock_mono(r->env) + TRY_AGAIN_NS);
        st = switch_try(r, err);
    }
    r->sm.counts = counts;
    return st;
}

bool replica_install_work(struct replica *r)
{
    struct replica_install *in = &r->snap.install;
    char next[ENV_PATH_MAX];
    switch (in->state) {
    case INSTALL_STAGED:
        env_mutex_unlock(r->env, &r->mutex);
        in->st = take(r, &in->err);
        env_mutex_lock(r->env, &r->mutex);
        in->state = INSTALL_TAKEN;
        break;
    case INSTALL_SWITCH:
        env_mutex_unlock(r->env, &r->mutex);
        in->st = switch_run(r, &in->err);
        env_mutex_lock(r->env, &r->mutex);
        in->state = INSTALL_OVER;
        break;
    case INSTALL_DROP:
        env_mutex_unlock(r->env, &r->mutex);
        next_name(r, next);
        in->st = replica_snap_wipe(r, next, &in->err); /* else the next one wipes it */
        env_mutex_lock(r->env, &r->mutex);
        in->state = INSTALL_NONE;
        break;
    default:
        return false;
    }
    env_cond_signal(r->env, &r->work);
    return true;
}

/* ---- the replica thread's part ---- */

static void state_set(struct replica *r, int state)
{
    env_mutex_lock(r->env, &r->mutex);
    r->snap.install.state = state;
    env_cond_signal(r->env, &r->snap.cond);
    env_mutex_unlock(r->env, &r->mutex);
}

static void complain(struct replica *r, const char *what)
{
    char line[ENV_PATH_MAX];
    (void)snprintf(line, sizeof line, "replica: %s: %.200s", what, r->snap.install.err.text);
    env_log(r->env, ENV_LOG_WARN, line);
}

/* The core decides. What it wants goes to the log within this step. */
static void core_ask(struct replica *r)
{
    struct replica_install *in = &r->snap.install;
    in->seq = 0;
    if (in->st == ST_OK) {
        in->msg.config = &in->config;
        replica_step(r, &(struct raft_event){.type = RAFT_EV_RECEIVE, .msg = &in->msg}, NULL);
    } else {
        complain(r, "a snapshot is thrown away");
    }
    if (in->seq == 0) {
        ENV_PROBE(r->env, "replica: a snapshot is not wanted");
        state_set(r, INSTALL_DROP);
    }
}

void replica_install_write(struct replica *r, struct raftlog_write *w, struct raftlog_snapshot *s,
                           char config[RAFTLOG_CONFIG_MAX])
{
    const struct raft_write *save = &r->out.save;
    size_t size = confcode_write(save->config, config);
    *s = (struct raftlog_snapshot){save->place, slice_of(config, size), save->keep};
    w->snapshot = s;
}

void replica_install_logged(struct replica *r)
{
    struct replica_install *in = &r->snap.install;
    CK(in->state == INSTALL_TAKEN);
    CK(in->msg.place.index == r->out.save.place.index);
    in->seq = r->out.save.seq;
    r->apply_to = r->sm.applied.place.index + 1; /* what was not applied will not be */
    r->snap.state = SNAP_IDLE;
    r->snap.last =
        (struct replica_mark){in->msg.place, in->config_index, in->config}; /* of the log */
    state_set(r, INSTALL_LOGGED);
}

static void over(struct replica *r)
{
    struct replica_install *in = &r->snap.install;
    if (in->st != ST_OK) { /* still switching: there is no state to look at any more */
        complain(r, "a snapshot could not be installed");
        state_set(r, INSTALL_FAILED);
        replica_step_fail(r, in->st, "installing a snapshot");
        return;
    }
    ENV_PROBE(r->env, "replica: a snapshot was installed");
    r->snap.switching = false;
    r->snap.bytes = 0;
    r->snap.wanted = false;
    r->snap.installed++;
    r->snap.covered = in->msg.place;
    r->apply_to = in->msg.place.index + 1;
    env_note(r->env, &(struct env_note){.kind = NOTE_INSTALLED,
                                        .a = r->sm.applied.place.index,
                                        .b = r->sm.applied.place.term,
                                        .c = r->sm.applied.digest});
    replica_ask_installed(r, in->msg.place);
    replica_admin_installed(r, in->msg.place);
    state_set(r, INSTALL_NONE); /* from now on `in` may be another one */
}

void replica_install_turn(struct replica *r)
{
    struct replica_install *in = &r->snap.install;
    env_mutex_lock(r->env, &r->mutex);
    int state = in->state;
    bool durable = state == INSTALL_LOGGED && r->durable >= in->seq;
    env_mutex_unlock(r->env, &r->mutex);
    if (state == INSTALL_TAKEN) {
        core_ask(r);
    } else if (durable) {
        r->snap.switching = true;
        state_set(r, INSTALL_SWITCH);
    } else if (state == INSTALL_OVER) {
        over(r);
    }
}

bool replica_install_news(const struct replica *r)
{
    const struct replica_install *in = &r->snap.install;
    return in->state == INSTALL_TAKEN || in->state == INSTALL_OVER ||
           (in->state == INSTALL_LOGGED && r->durable >= in->seq);
}

uint64_t replica_install_durable(const struct replica *r)
{
    const struct replica_install *in = &r->snap.install;
    bool held = in->state == INSTALL_LOGGED || in->state == INSTALL_SWITCH ||
                in->state == INSTALL_OVER || in->state == INSTALL_FAILED;
    return held && r->durable >= in->seq ? in->seq - 1 : r->durable;
}

/* ---- from any thread ---- */

enum status replica_install_offer(struct replica *r, const struct raft_msg *m,
                                  uint64_t config_index)
{
    struct replica_install *in = &r->snap.install;
    if (r->o.transport.take_snapshot == NULL || m->config == NULL) {
        return ST_INVAL;
    }
    env_mutex_lock(r->env, &r->mutex);
    bool idle = in->state == INSTALL_NONE;
    if (idle) {
        in->msg = *m;
        in->config = *m->config;
        in->config_index = config_index;
        in->state = INSTALL_STAGED;
        env_cond_signal(r->env, &r->snap.cond);
    }
    env_mutex_unlock(r->env, &r->mutex);
    return idle ? ST_OK : ST_BUSY;
}
