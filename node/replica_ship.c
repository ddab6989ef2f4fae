/* replica_ship.c - snapshots for members that are behind the log's begin.
 *
 * For each a checkpoint of the database is made in a directory of its own (tables are hard links),
 * looked at for what it holds, summed, verified whole, and lent to the transport until that says
 * that it is over. The snapshotter makes and removes them. There are few at a time; who does not
 * get one now is told that it went wrong, and asks again with the next heartbeat. */
#include "base/ck.h"
#include "node/replica_int.h"

#include <stdio.h>

/* It fits: replica_open has looked. */
static void dir_make(const struct replica *r, const struct replica_ship *s, char path[ENV_PATH_MAX])
{
    (void)snprintf(path, ENV_PATH_MAX, "%.*s/snap-%d", ENV_PATH_MAX - 16, r->dir,
                   (int)(s - r->snap.ships));
}

enum status replica_ship_open(struct replica *r, struct err *err)
{
    enum status st = ST_OK;
    for (uint32_t i = 0; i < REPLICA_SHIPS; i++) {
        char path[ENV_PATH_MAX];
        snapset_init(&r->snap.ships[i].set, &r->env->mem);
        dir_make(r, &r->snap.ships[i], path);
        st = st == ST_OK ? replica_snap_wipe(r, path, err) : st;
    }
    return st;
}

void replica_ship_close(struct replica *r)
{
    for (uint32_t i = 0; i < REPLICA_SHIPS; i++) {
        CK(r->snap.ships[i].state != SHIP_SENDING);
        if (r->snap.ships[i].set.mem != NULL) {
            snapset_release(&r->snap.ships[i].set);
        }
    }
}

/* ---- the snapshotter's part ---- */

static bool stops(void *arg)
{
    struct replica *r = arg;
    env_mutex_lock(r->env, &r->mutex);
    bool quit = r->quit_disk;
    env_mutex_unlock(r->env, &r->mutex);
    return quit;
}

static void report(void *arg, const char *line)
{
    (void)arg;
    (void)line; /* the first thing wrong comes back as an error */
}

/* What a sum covers may be damage already, and would be another node's database then. Behind the
 * summing: what is damaged later does not fit the sums. */
static enum status verify(struct replica *r, const char *dir, struct err *err)
{
    struct tkv_error error = {.text = ""};
    enum status st = view_status(tkv_verify(&r->engine, dir, report, NULL, &error));
    if (st != ST_OK) {
        err_set(err, "%s", error.text);
    }
    return st;
}

static enum status make(struct replica *r, struct replica_ship *s, struct err *err)
{
    struct replica_mark m;
    struct tkv_error error = {.text = ""};
    char path[ENV_PATH_MAX];
    dir_make(r, s, path);
    enum status st = replica_snap_wipe(r, path, err);
    if (st == ST_OK) {
        st = view_status(tkv_checkpoint(r->db, path, &error));
        ENV_YIELD(r->env, "replica: a checkpoint was made");
    }
    if (st == ST_OK) {
        st = replica_snap_look(r, path, &m, err);
    }
    if (st == ST_OK && m.place.index < s->least) {
        st = ST_AGAIN;
    }
    if (st == ST_OK) {
        bool first = m.config.count == 0; /* that of the group's founding */
        s->set.place = m.place;
        s->set.config = first ? s->first.config : m.config;
        s->set.config_index = first ? s->first.config_index : m.config_index;
        st = snapset_scan(&s->set, r->env, path, stops, r, err);
    }
    return st == ST_OK ? verify(r, path, err) : st;
}

/* The mutex is held, and let go meanwhile. */
static void ship_work(struct replica *r, struct replica_ship *s)
{
    struct err err;
    if (s->state == SHIP_WANTED) {
        env_mutex_unlock(r->env, &r->mutex);
        s->st = make(r, s, &err);
        env_mutex_lock(r->env, &r->mutex);
        s->state = SHIP_MADE;
        env_cond_signal(r->env, &r->work);
        return;
    }
    char path[ENV_PATH_MAX];
    env_mutex_unlock(r->env, &r->mutex);
    snapset_release(&s->set);
    dir_make(r, s, path);
    s->st = replica_snap_wipe(r, path, &err); /* else the next one wipes it */
    env_mutex_lock(r->env, &r->mutex);
    s->state = SHIP_FREE;
}

bool replica_ship_work(struct replica *r)
{
    for (uint32_t i = 0; i < REPLICA_SHIPS; i++) {
        struct replica_ship *s = &r->snap.ships[i];
        if (s->state == SHIP_WANTED || s->state == SHIP_GONE) {
            ship_work(r, s);
            return true;
        }
    }
    return false;
}

/* ---- the replica thread's part ---- */

/* A free one; NULL: none, or this member has one. The mutex is held. */
static struct replica_ship *ship_free(struct replica *r, uint64_t node)
{
    struct replica_ship *idle = NULL;
    for (uint32_t i = 0; i < REPLICA_SHIPS; i++) {
        struct replica_ship *s = &r->snap.ships[i];
        if (s->state == SHIP_FREE) {
            idle = s;
        } else if (s->msg.to == node) {
            return NULL;
        }
    }
    return idle;
}

void replica_ship_want(struct replica *r, const struct raft_action *a)
{
    uint64_t applied = r->sm.committed.place.index;
    bool can = r->o.transport.send_snapshot != NULL && applied >= a->lo;
    env_mutex_lock(r->env, &r->mutex);
    struct replica_ship *s = can ? ship_free(r, a->node) : NULL;
    if (s != NULL) {
        s->msg = a->msg;
        s->after = a->after;
        s->least = a->lo;
        s->first = r->snap.last;
        s->state = SHIP_WANTED;
        env_cond_signal(r->env, &r->snap.cond);
    }
    env_mutex_unlock(r->env, &r->mutex);
    if (s == NULL && r->snap.refused_count < RAFT_MEMBERS_MAX) {
        ENV_PROBE(r->env, "replica: a member does not get a snapshot now");
        r->snap.refused[r->snap.refused_count++] = (struct replica_refused){a->node, a->session};
    }
}

static void core_tell(struct replica *r, uint64_t node, uint64_t session, bool ok)
{
    struct raft_event e = {
        .type = RAFT_EV_SNAPSHOT_SENT, .node = node, .session = session, .ok = ok};
    replica_step(r, &e, NULL);
}

static void ship_over(struct replica *r, struct replica_ship *s, bool ok)
{
    core_tell(r, s->msg.to, s->msg.session, ok);
    r->snap.shipped += ok;
    env_mutex_lock(r->env, &r->mutex);
    s->state = SHIP_GONE;
    env_cond_signal(r->env, &r->snap.cond);
    env_mutex_unlock(r->env, &r->mutex);
}

static void ship_leave(struct replica *r, struct replica_ship *s)
{
    struct raft_view v;
    raft_view(r->core, &v);
    if (v.state != RAFT_LEADER || v.term != s->msg.term) {
        ENV_PROBE(r->env, "replica: a snapshot comes too late to be sent");
        ship_over(r, s, false);
        return;
    }
    env_mutex_lock(r->env, &r->mutex);
    s->state = SHIP_SENDING;
    env_mutex_unlock(r->env, &r->mutex);
    dir_make(r, s, s->dir);
    s->msg.place = s->set.place;
    s->msg.config = &s->set.config;
    r->o.transport.send_snapshot(r->o.transport.arg, &s->msg, &s->set, s->dir);
}

static void refused_tell(struct replica *r)
{
    struct replica_refused refused[RAFT_MEMBERS_MAX];
    uint32_t count = r->snap.refused_count;
    memcpy(refused, r->snap.refused, count * sizeof *refused);
    r->snap.refused_count = 0; /* a step may bring new ones */
    for (uint32_t i = 0; i < count; i++) {
        core_tell(r, refused[i].node, refused[i].session, false);
    }
}

void replica_ship_turn(struct replica *r)
{
    refused_tell(r);
    for (uint32_t i = 0; i < REPLICA_SHIPS; i++) {
        struct replica_ship *s = &r->snap.ships[i];
        env_mutex_lock(r->env, &r->mutex);
        int state = s->state;
        env_mutex_unlock(r->env, &r->mutex);
        if (state == SHIP_SENT) {
            ship_over(r, s, s->ok);
        } else if (state == SHIP_MADE && s->st != ST_OK) {
            enum status st = s->st; /* when it is over the place is the snapshotter's */
            ENV_PROBE(r->env, "replica: a snapshot could not be made");
            ship_over(r, s, false);
            if (st == ST_CORRUPT) { /* as whenever it meets damage; another one has to lead */
                replica_step_fail(r, st, "making a snapshot");
            }
        } else if (state == SHIP_MADE && s->after <= r->done) {
            ship_leave(r, s);
        }
    }
}

bool replica_ship_news(const struct replica *r)
{
    bool news = false;
    for (uint32_t i = 0; i < REPLICA_SHIPS; i++) {
        const struct replica_ship *s = &r->snap.ships[i];
        news = news || s->state == SHIP_SENT ||
               (s->state == SHIP_MADE && (s->st != ST_OK || s->after <= r->done));
    }
    return news;
}

/* ---- from any thread ---- */

void replica_ship_sent(struct replica *r, uint64_t node, uint64_t session, bool ok)
{
    env_mutex_lock(r->env, &r->mutex);
    for (uint32_t i = 0; i < REPLICA_SHIPS; i++) {
        struct replica_ship *s = &r->snap.ships[i];
        if (s->state == SHIP_SENDING && s->msg.to == node && s->msg.session == session) {
            s->ok = ok;
            s->state = SHIP_SENT;
            env_cond_signal(r->env, &r->work);
        }
    }
    env_mutex_unlock(r->env, &r->mutex);
}
