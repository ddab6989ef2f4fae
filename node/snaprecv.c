/* snaprecv.c - see snaprecv.h. */
#include "node/snaprecv.h"

#include "base/ck.h"
#include "net/bulk.h"

#define MS UINT64_C(1000000)

struct snaprecv {
    struct env *env;
    struct snaprecv_options o;
    struct nodelog log;
    struct env_thread thread;
    bool started;
    struct bulk bulk;
    struct peers_caller caller; /* who is served; rest is empty */
    struct env_mutex stage_m;   /* guards the stage */
    struct snapstage stage;
    struct env_mutex m; /* guards what follows */
    struct env_cond called;
    bool stopping;
    bool waiting;             /* a caller */
    struct peers_caller next; /* that one */
    struct buf rest;          /* its bytes */
};

/* Somebody else wants the thread. */
static bool stop_asked(void *arg)
{
    struct snaprecv *r = (struct snaprecv *)arg;
    env_mutex_lock(r->env, &r->m);
    bool stop = r->stopping || r->waiting;
    env_mutex_unlock(r->env, &r->m);
    return stop;
}

static uint64_t patience(struct snaprecv *r)
{
    return env_clock_mono(r->env) + r->o.silence_ms * MS;
}

static struct peermsg message(const struct snaprecv *r, uint32_t body)
{
    return (struct peermsg){.cluster = r->o.cluster,
                            .from_node = r->o.self,
                            .to_node = r->caller.id,
                            .incarnation = r->o.incarnation,
                            .body = body};
}

static enum status hello_reply(struct snaprecv *r)
{
    struct peermsg m = message(r, PEERMSG_HELLO_REPLY);
    m.probe = r->caller.probe;
    m.hello_reply = (struct peermsg_hello_reply){.version = PEERMSG_VERSION, .life = r->o.life};
    return bulk_say(&r->bulk, &m, patience(r));
}

/* How far it is, or why it is refused. */
static struct peermsg reply_make(struct snaprecv *r, uint64_t id, enum status st,
                                 const struct err *err)
{
    struct peermsg m = message(r, PEERMSG_CHUNK_REPLY);
    m.chunk_reply.id = id;
    if (st != ST_OK) {
        m.chunk_reply.state = PEERMSG_CHUNK_REFUSED;
        m.chunk_reply.message = slice_text(err->text);
        nodelog_line(&r->log, ENV_LOG_WARN, "snapshot from node %llu: %s",
                     (unsigned long long)r->caller.id, err->text);
    } else if (r->stage.state == SNAPSTAGE_WHOLE) {
        m.chunk_reply.state = PEERMSG_CHUNK_STAGED;
    } else {
        m.chunk_reply.file = r->stage.at.file;
        m.chunk_reply.offset = r->stage.at.offset;
    }
    return m;
}

static void tell(struct snaprecv *r, const struct peermsg *header, const struct snapset *set)
{
    struct snaprecv_staged s = {
        .msg = {.type = RAFT_MSG_SNAPSHOT,
                .cluster = r->o.cluster,
                .from = r->caller.id,
                .to = r->o.self,
                .term = header->term,
                .incarnation = header->incarnation,
                .session = header->session,
                .probe = header->probe,
                .place = set->place,
                .config = &set->config},
        .config_index = set->config_index,
        .bytes = set->bytes,
        .dir = r->o.dir,
    };
    ENV_PROBE(r->env, "snaprecv: a snapshot is whole");
    r->o.staged(r->o.arg, &s);
}

/* After a step of the stage, which is locked: unlocks it, tells whoever is to know. What is told is
 * a copy, for the stage may be taken as soon as its lock is free. */
static enum status settle(struct snaprecv *r, const struct peermsg *header, uint64_t id,
                          enum status st, const struct err *err)
{
    struct snapset told = r->stage.set; /* but for its files */
    bool whole = st == ST_OK && r->stage.state == SNAPSTAGE_WHOLE;
    struct peermsg m = reply_make(r, id, st, err);
    env_mutex_unlock(r->env, &r->stage_m);
    if (whole) {
        tell(r, header, &told);
    }
    enum status said = bulk_say(&r->bulk, &m, patience(r));
    return said == ST_OK ? st : said;
}

static enum status offer_take(struct snaprecv *r, const struct peermsg *m, struct peermsg *header)
{
    struct err err;
    *header = *m;
    env_mutex_lock(r->env, &r->stage_m);
    enum status st = snapstage_offer(&r->stage, &m->offer, &err);
    return settle(r, header, m->offer.id, st, &err);
}

static enum status chunk_take(struct snaprecv *r, const struct peermsg *m,
                              const struct peermsg *header)
{
    struct err err;
    env_mutex_lock(r->env, &r->stage_m);
    enum status st = snapstage_chunk(&r->stage, &m->chunk, &err);
    return settle(r, header, m->chunk.id, st, &err);
}

/* Until the connection ends, one way or another. */
static enum status serve(struct snaprecv *r)
{
    struct peermsg m, header = {0};
    enum status st = hello_reply(r);
    while (st == ST_OK) {
        st = bulk_hear(&r->bulk, &m, patience(r));
        if (st != ST_OK) {
            break;
        }
        bool ours =
            m.cluster == r->o.cluster && m.from_node == r->caller.id && m.to_node == r->o.self;
        if (ours && m.body == PEERMSG_OFFER) {
            st = offer_take(r, &m, &header);
        } else if (ours && m.body == PEERMSG_CHUNK && header.body == PEERMSG_OFFER) {
            st = chunk_take(r, &m, &header);
        } else {
            r->bulk.why = "a message that has no place here";
            st = ST_CORRUPT;
        }
    }
    return st;
}

/* Waits for a caller; false: the end. */
static bool caller_wait(struct snaprecv *r, enum status *st)
{
    env_mutex_lock(r->env, &r->m);
    while (!r->stopping && !r->waiting) {
        (void)!env_cond_wait(r->env, &r->called, &r->m, ENV_NEVER);
    }
    bool on = !r->stopping;
    if (on) {
        r->waiting = false;
        r->caller = r->next;
        *st = bulk_adopt(&r->bulk, r->next.fd, buf_slice(&r->rest));
        buf_release(&r->rest);
    }
    env_mutex_unlock(r->env, &r->m);
    return on;
}

static void run(void *arg)
{
    struct snaprecv *r = (struct snaprecv *)arg;
    enum status st;
    while (caller_wait(r, &st)) {
        st = st == ST_OK ? serve(r) : st;
        nodelog_line(&r->log, ENV_LOG_INFO, "snapshot connection from node %llu ends: %s",
                     (unsigned long long)r->caller.id,
                     r->bulk.why != NULL ? r->bulk.why : status_text(st));
        bulk_hang_up(&r->bulk);
    }
}

/* ---- from other threads ---- */

void snaprecv_call(struct snaprecv *r, const struct peers_caller *caller)
{
    env_mutex_lock(r->env, &r->m);
    if (r->waiting) {
        (void)env_fd_close(r->env, r->next.fd); /* nobody heard it yet */
    }
    buf_clear(&r->rest);
    r->waiting = buf_append(&r->rest, caller->rest.data, caller->rest.size) == ST_OK;
    r->next = *caller;
    r->next.rest = (struct slice){0};
    if (!r->waiting) {
        (void)env_fd_close(r->env, caller->fd); /* no memory: it will call again */
    }
    env_cond_signal(r->env, &r->called);
    env_mutex_unlock(r->env, &r->m);
    bulk_wake(&r->bulk);
}

enum status snaprecv_take(struct snaprecv *r, const char *to, struct err *err)
{
    env_mutex_lock(r->env, &r->stage_m);
    bool whole = r->stage.state == SNAPSTAGE_WHOLE;
    enum status st = whole ? snapstage_take(&r->stage, to, err) : ST_NOENT;
    env_mutex_unlock(r->env, &r->stage_m);
    return st;
}

void snaprecv_drop(struct snaprecv *r)
{
    struct err err;
    env_mutex_lock(r->env, &r->stage_m);
    enum status st = snapstage_clear(&r->stage, &err);
    env_mutex_unlock(r->env, &r->stage_m);
    if (st != ST_OK) {
        nodelog_line(&r->log, ENV_LOG_WARN, "%s", err.text);
    }
}

enum status snaprecv_open(const struct snaprecv_options *o, struct snaprecv **receiver,
                          struct err *err)
{
    *receiver = NULL;
    struct snaprecv *r = mem_zalloc(&o->env->mem, sizeof *r);
    if (r == NULL) {
        return err_status(err, ST_NOMEM, "snapshots");
    }
    r->env = o->env;
    r->o = *o;
    r->o.frame_max = o->frame_max != 0 ? o->frame_max : 8u << 20;
    r->o.silence_ms = o->silence_ms != 0 ? o->silence_ms : 10000;
    r->log = (struct nodelog){o->env, o->log_least};
    buf_init(&r->rest, &o->env->mem);
    env_mutex_init(r->env, &r->m);
    env_mutex_init(r->env, &r->stage_m);
    env_cond_init(r->env, &r->called);
    enum status st = snapstage_open(&r->stage, r->env, o->dir, err);
    if (st == ST_OK) {
        st = bulk_init(&r->bulk, r->env, r->o.frame_max, stop_asked, r);
        st = st == ST_OK ? env_thread_start(r->env, &r->thread, "snaprecv", run, r) : st;
        r->started = st == ST_OK;
        st = st == ST_OK ? ST_OK : err_status(err, st, "snapshots");
    }
    if (st != ST_OK) {
        snaprecv_close(r);
        return st;
    }
    *receiver = r;
    return ST_OK;
}

void snaprecv_close(struct snaprecv *r)
{
    if (r == NULL) {
        return;
    }
    if (r->started) {
        env_mutex_lock(r->env, &r->m);
        r->stopping = true;
        env_cond_broadcast(r->env, &r->called);
        env_mutex_unlock(r->env, &r->m);
        bulk_wake(&r->bulk);
        env_thread_join(r->env, &r->thread);
    }
    if (r->waiting) {
        (void)env_fd_close(r->env, r->next.fd); /* nobody heard it */
    }
    bulk_release(&r->bulk);
    snapstage_close(&r->stage);
    buf_release(&r->rest);
    env_cond_release(r->env, &r->called);
    env_mutex_release(r->env, &r->m);
    env_mutex_release(r->env, &r->stage_m);
    mem_release(&r->env->mem, r);
}
