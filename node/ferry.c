/* ferry.c - see ferry.h. */
#include "node/ferry.h"

#include "base/ck.h"
#include "node/snapsend.h"

/* One that leaves. */
struct passage {
    struct ferry *ferry;
    struct snapsend *sender; /* NULL: the slot is free */
    bool over;               /* guarded; the sender has nothing more to do */
};

struct ferry {
    struct env *env;
    struct ferry_options o;
    struct nodelog log;
    struct snaprecv *receiver;
    struct env_mutex m;
    struct passage passages[FERRY_SENDERS]; /* of the replica's thread, but for `over` */
};

/* ---- what leaves ---- */

static void on_done(void *arg, uint64_t node, uint64_t session, bool ok)
{
    struct passage *p = arg;
    struct ferry *f = p->ferry;
    replica_snapshot_sent(f->o.replica, node, session, ok);
    env_mutex_lock(f->env, &f->m);
    p->over = true;
    env_mutex_unlock(f->env, &f->m);
}

/* A free slot, perhaps of one that is over; NULL: all are under way. */
static struct passage *passage_free(struct ferry *f)
{
    struct passage *found = NULL;
    for (uint32_t i = 0; i < FERRY_SENDERS; i++) {
        struct passage *p = &f->passages[i];
        env_mutex_lock(f->env, &f->m);
        bool over = p->over;
        env_mutex_unlock(f->env, &f->m);
        if (p->sender != NULL && over) {
            snapsend_free(p->sender); /* at once: its thread is at its end */
            *p = (struct passage){.ferry = f};
        }
        found = found == NULL && p->sender == NULL ? p : found;
    }
    return found;
}

static enum status send_begin(struct ferry *f, const struct raft_msg *m, const struct snapset *set,
                              const char *dir)
{
    struct passage *p = passage_free(f);
    struct snapsend_options o = {.env = f->env,
                                 .log_least = f->o.log_least,
                                 .cluster = f->o.cluster,
                                 .self = f->o.self,
                                 .incarnation = f->o.incarnation,
                                 .life = f->o.life,
                                 .to = m->to,
                                 .term = m->term,
                                 .session = m->session,
                                 .set = set,
                                 .dir = dir,
                                 .connect_ms = f->o.connect_ms,
                                 .reply_ms = f->o.silence_ms,
                                 .arg = p,
                                 .done = on_done};
    if (p == NULL) {
        return ST_BUSY;
    }
    if (!peers_find(f->o.peers, m->to, &o.addr)) {
        return ST_NOENT;
    }
    return snapsend_start(&o, &p->sender);
}

void ferry_send(struct ferry *f, const struct raft_msg *m, const struct snapset *set,
                const char *dir)
{
    enum status st = send_begin(f, m, set, dir);
    if (st != ST_OK) {
        ENV_PROBE(f->env, "ferry: a snapshot cannot leave");
        nodelog_line(&f->log, ENV_LOG_WARN, "snapshot to node %llu: %s", (unsigned long long)m->to,
                     st == ST_NOENT ? "its address is not known" : status_text(st));
        replica_snapshot_sent(f->o.replica, m->to, m->session, false);
    }
}

/* ---- what comes ---- */

static void on_staged(void *arg, const struct snaprecv_staged *s)
{
    struct ferry *f = arg;
    if (replica_staged(f->o.replica, &s->msg, s->config_index) != ST_OK) {
        ENV_PROBE(f->env, "ferry: a snapshot comes while another one is looked at");
        snaprecv_drop(f->receiver); /* else it would keep out every other one */
    }
}

enum status ferry_take(struct ferry *f, const char *to, struct err *err)
{
    enum status st = snaprecv_take(f->receiver, to, err);
    if (st != ST_OK) {
        snaprecv_drop(f->receiver);
    }
    return st;
}

void ferry_call(struct ferry *f, const struct peers_caller *caller)
{
    snaprecv_call(f->receiver, caller);
}

/* ---- beginning and end ---- */

enum status ferry_open(const struct ferry_options *o, struct ferry **ferry, struct err *err)
{
    struct snaprecv_options ro = {.env = o->env,
                                  .log_least = o->log_least,
                                  .cluster = o->cluster,
                                  .self = o->self,
                                  .incarnation = o->incarnation,
                                  .life = o->life,
                                  .dir = o->dir,
                                  .silence_ms = o->silence_ms,
                                  .staged = on_staged};
    *ferry = NULL;
    struct ferry *f = mem_zalloc(&o->env->mem, sizeof *f);
    if (f == NULL) {
        return err_status(err, ST_NOMEM, "snapshots");
    }
    f->env = o->env;
    f->o = *o;
    f->log = (struct nodelog){o->env, o->log_least};
    for (uint32_t i = 0; i < FERRY_SENDERS; i++) {
        f->passages[i].ferry = f;
    }
    env_mutex_init(f->env, &f->m);
    ro.arg = f;
    enum status st = snaprecv_open(&ro, &f->receiver, err);
    if (st != ST_OK) {
        f->receiver = NULL;
        ferry_close(f);
        return st;
    }
    *ferry = f;
    return ST_OK;
}

void ferry_stop(struct ferry *f)
{
    for (uint32_t i = 0; f != NULL && i < FERRY_SENDERS; i++) {
        snapsend_free(f->passages[i].sender);
        f->passages[i].sender = NULL;
    }
}

void ferry_close(struct ferry *f)
{
    if (f == NULL) {
        return;
    }
    for (uint32_t i = 0; i < FERRY_SENDERS; i++) {
        CK(f->passages[i].sender == NULL);
    }
    snaprecv_close(f->receiver);
    env_mutex_release(f->env, &f->m);
    mem_release(&f->env->mem, f);
}
