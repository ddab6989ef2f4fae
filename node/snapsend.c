/* snapsend.c - see snapsend.h. */
#include "node/snapsend.h"

#include "base/ck.h"
#include "env/addr.h"
#include "env/fullio.h"
#include "net/bulk.h"

#define MS        UINT64_C(1000000)
#define FRAME_MAX (64u * 1024u) /* of what the other side says */

struct snapsend {
    struct env *env;
    struct snapsend_options o;
    struct nodelog log;
    struct env_thread thread;
    bool started;
    struct bulk bulk;
    char *piece;
    struct peermsg_file *files; /* of the offer */
    struct peermsg_member rows[RAFT_MEMBERS_MAX];
    int fd; /* of file `opened` */
    uint32_t opened;
    struct snapset_at at; /* what is sent next */
    uint64_t acked;       /* bytes of the set that the other side has */
    uint64_t moved_ns;    /* when that last grew */
    uint64_t free_ns;     /* the rate allows the next chunk then */
    const char *why;      /* it ends for good */
    struct env_mutex m;   /* guards what follows */
    bool stopping;
    uint64_t told_acked;
    uint64_t tries;
};

static bool stop_asked(void *arg)
{
    struct snapsend *s = (struct snapsend *)arg;
    env_mutex_lock(s->env, &s->m);
    bool stopping = s->stopping;
    env_mutex_unlock(s->env, &s->m);
    return stopping;
}

static uint64_t after_ms(struct snapsend *s, uint64_t ms)
{
    return env_clock_mono(s->env) + ms * MS;
}

static struct peermsg message(const struct snapsend *s, uint32_t body)
{
    return (struct peermsg){.cluster = s->o.cluster,
                            .from_node = s->o.self,
                            .to_node = s->o.to,
                            .incarnation = s->o.incarnation,
                            .term = s->o.term,
                            .session = s->o.session,
                            .body = body};
}

static enum status say(struct snapsend *s, const struct peermsg *m)
{
    return bulk_say(&s->bulk, m, after_ms(s, s->o.reply_ms));
}

/* ---- the beginning of a try ---- */

static enum status greet(struct snapsend *s)
{
    struct peermsg m = message(s, PEERMSG_HELLO), reply;
    m.probe = 1;
    m.hello = (struct peermsg_hello){.version = PEERMSG_VERSION,
                                     .version_least = PEERMSG_VERSION,
                                     .channel = PEERMSG_CHANNEL_BULK,
                                     .life = s->o.life};
    enum status st = say(s, &m);
    st = st == ST_OK ? bulk_hear(&s->bulk, &reply, after_ms(s, s->o.connect_ms)) : st;
    if (st != ST_OK) {
        return st;
    }
    bool ours = reply.cluster == s->o.cluster && reply.from_node == s->o.to;
    if (reply.body != PEERMSG_HELLO_REPLY || !ours || reply.hello_reply.refusal != 0) {
        s->why = "the other side refuses the connection";
        return ST_REFUSED;
    }
    return ST_OK;
}

static enum status offer(struct snapsend *s)
{
    struct peermsg m = message(s, PEERMSG_OFFER);
    snapset_write(s->o.set, s->files, s->rows, &m.offer);
    return say(s, &m);
}

/* ---- what the other side says ---- */

static void acked_set(struct snapsend *s, uint64_t acked)
{
    if (acked > s->acked) {
        s->moved_ns = env_clock_mono(s->env);
    }
    s->acked = acked;
    env_mutex_lock(s->env, &s->m);
    s->told_acked = acked;
    env_mutex_unlock(s->env, &s->m);
}

/* ST_OK: it has everything. ST_AGAIN: it wants more. */
static enum status reply_take(struct snapsend *s, const struct peermsg *m, bool first)
{
    const struct snapset *set = s->o.set;
    const struct peermsg_chunk_reply *r = &m->chunk_reply;
    if (m->body != PEERMSG_CHUNK_REPLY || r->id != set->id) {
        s->bulk.why = "a reply to something else";
        return ST_CORRUPT;
    }
    if (r->state == PEERMSG_CHUNK_STAGED) {
        acked_set(s, set->bytes);
        return ST_OK;
    }
    if (r->state != PEERMSG_CHUNK_WANTED) {
        nodelog_line(&s->log, ENV_LOG_WARN, "node %llu refuses the snapshot: %.*s",
                     (unsigned long long)s->o.to,
                     (int)(r->message.size < 200 ? r->message.size : 200),
                     r->message.size > 0 ? r->message.data : "");
        return ST_BUSY;
    }
    if (r->file >= set->count || r->offset >= set->files[r->file].size) {
        s->bulk.why = "it wants what there is not";
        return ST_CORRUPT;
    }
    struct snapset_at at = {r->file, r->offset};
    if (!first && snapset_before(set, at) > snapset_before(set, s->at)) {
        s->bulk.why = "it wants what was not sent yet";
        return ST_CORRUPT;
    }
    if (first) {
        s->at = at;
    }
    acked_set(s, snapset_before(set, at));
    return ST_AGAIN;
}

/* ---- chunks ---- */

static void file_close(struct snapsend *s)
{
    if (s->fd >= 0) {
        (void)env_fd_close(s->env, s->fd); /* only read */
        s->fd = -1;
    }
}

static enum status file_open(struct snapsend *s)
{
    char path[ENV_PATH_MAX];
    if (s->fd >= 0 && s->opened == s->at.file) {
        return ST_OK;
    }
    file_close(s);
    enum status st = snapset_path(s->o.dir, s->o.set->files[s->at.file].name, path);
    st = st == ST_OK ? env_file_open(s->env, path, ENV_READ, &s->fd) : st;
    if (st != ST_OK) {
        s->fd = -1;
    }
    s->opened = s->at.file;
    return st;
}

/* Our own disk fails us: that is the end of it. */
static enum status disk_fail(struct snapsend *s, enum status st)
{
    s->why = st == ST_OK ? "a file of the snapshot has changed" : "a file cannot be read";
    return ST_REFUSED;
}

static enum status chunk_send(struct snapsend *s)
{
    const struct snapset_file *f = &s->o.set->files[s->at.file];
    uint64_t left = f->size - s->at.offset;
    size_t size = left < s->o.chunk ? (size_t)left : s->o.chunk;
    size_t got = 0;
    enum status st = file_open(s);
    st = st == ST_OK ? fullio_pread(s->env, s->fd, s->piece, size, s->at.offset, &got) : st;
    if (st != ST_OK || got < size) {
        return disk_fail(s, st);
    }
    struct peermsg m = message(s, PEERMSG_CHUNK);
    m.chunk = (struct peermsg_chunk){.id = s->o.set->id,
                                     .file = s->at.file,
                                     .offset = s->at.offset,
                                     .data = slice_of(s->piece, size)};
    s->at = snapset_at(s->o.set, s->at.file, s->at.offset + size);
    uint64_t now = env_clock_mono(s->env);
    s->free_ns = s->free_ns > now ? s->free_ns : now;
    s->free_ns += s->o.rate > 0 ? (uint64_t)size * 1000 * MS / s->o.rate : 0;
    return say(s, &m);
}

/* The window and the rate allow one more. */
static bool chunk_may(struct snapsend *s, uint64_t now)
{
    uint64_t sent = snapset_before(s->o.set, s->at);
    return s->at.file < s->o.set->count && sent - s->acked < s->o.window && now >= s->free_ns;
}

/* Chunks out, replies in. ST_OK: all is there. */
static enum status stream(struct snapsend *s)
{
    struct peermsg m;
    bool first = true;
    enum status st = ST_AGAIN;
    while (st == ST_AGAIN) {
        uint64_t now = env_clock_mono(s->env);
        if (!first && chunk_may(s, now)) {
            st = chunk_send(s);
            if (st != ST_OK) {
                break;
            }
        }
        now = env_clock_mono(s->env);
        bool paced = !first && s->at.file < s->o.set->count && now < s->free_ns;
        uint64_t until = !first && chunk_may(s, now) ? now
                         : paced                     ? s->free_ns
                                                     : now + s->o.reply_ms * MS;
        st = bulk_hear(&s->bulk, &m, until);
        if (st == ST_OK) {
            st = reply_take(s, &m, first);
            first = false;
        } else if (st == ST_TIMEOUT && until < now + s->o.reply_ms * MS) {
            st = ST_AGAIN; /* it was the pace's */
        }
    }
    return st;
}

static enum status attempt(struct snapsend *s)
{
    enum status st = bulk_dial(&s->bulk, &s->o.addr, after_ms(s, s->o.connect_ms));
    st = st == ST_OK ? greet(s) : st;
    st = st == ST_OK ? offer(s) : st;
    st = st == ST_OK ? stream(s) : st;
    return st;
}

/* ---- tries ---- */

static bool give_up(struct snapsend *s, enum status st)
{
    char text[ADDR_TEXT_MAX];
    bool late = env_clock_mono(s->env) - s->moved_ns >= s->o.give_up_ms * MS;
    bool over = late || s->why != NULL || stop_asked(s);
    const char *why = s->why != NULL ? s->why : s->bulk.why != NULL ? s->bulk.why : status_text(st);
    nodelog_line(&s->log, over ? ENV_LOG_WARN : ENV_LOG_INFO, "snapshot to node %llu at %s: %s%s",
                 (unsigned long long)s->o.to, addr_format(&s->o.addr, text), why,
                 over ? "" : "; it is tried again");
    return over;
}

static void run(void *arg)
{
    struct snapsend *s = (struct snapsend *)arg;
    enum status st;
    s->moved_ns = env_clock_mono(s->env);
    for (;;) {
        env_mutex_lock(s->env, &s->m);
        s->tries++;
        env_mutex_unlock(s->env, &s->m);
        s->bulk.why = NULL;
        st = attempt(s);
        if (st == ST_OK || give_up(s, st)) {
            break;
        }
        ENV_PROBE(s->env, "snapsend: a transfer goes on with another connection");
        bulk_hang_up(&s->bulk);
        uint64_t wait = s->o.retry_ms * MS;
        wait = wait / 2 + env_random_u64(s->env) % (wait / 2 + 1);
        if (bulk_rest(&s->bulk, env_clock_mono(s->env) + wait) != ST_OK) {
            break;
        }
    }
    bulk_hang_up(&s->bulk);
    file_close(s);
    s->o.done(s->o.arg, s->o.to, s->o.session, st == ST_OK);
}

static void defaults_fill(struct snapsend_options *o)
{
    o->chunk = o->chunk != 0 ? o->chunk : 256u * 1024u;
    o->window = o->window != 0 ? o->window : 1024u * 1024u;
    o->connect_ms = o->connect_ms != 0 ? o->connect_ms : 1000;
    o->reply_ms = o->reply_ms != 0 ? o->reply_ms : 10000;
    o->retry_ms = o->retry_ms != 0 ? o->retry_ms : 200;
    o->give_up_ms = o->give_up_ms != 0 ? o->give_up_ms : 60000;
}

enum status snapsend_start(const struct snapsend_options *o, struct snapsend **sender)
{
    struct mem *mem = &o->env->mem;
    *sender = NULL;
    struct snapsend *s = mem_zalloc(mem, sizeof *s);
    if (s == NULL) {
        return ST_NOMEM;
    }
    s->env = o->env;
    s->o = *o;
    s->fd = -1;
    s->log = (struct nodelog){o->env, o->log_least};
    defaults_fill(&s->o);
    env_mutex_init(s->env, &s->m);
    enum status st = bulk_init(&s->bulk, s->env, FRAME_MAX, stop_asked, s);
    s->piece = mem_alloc(mem, s->o.chunk);
    s->files = mem_alloc(mem, (s->o.set->count + 1) * sizeof *s->files);
    st = st == ST_OK && (s->piece == NULL || s->files == NULL) ? ST_NOMEM : st;
    st = st == ST_OK ? env_thread_start(s->env, &s->thread, "snapsend", run, s) : st;
    s->started = st == ST_OK;
    if (st != ST_OK) {
        snapsend_free(s);
        return st;
    }
    *sender = s;
    return ST_OK;
}

void snapsend_free(struct snapsend *s)
{
    if (s == NULL) {
        return;
    }
    struct mem *mem = &s->env->mem;
    if (s->started) {
        env_mutex_lock(s->env, &s->m);
        s->stopping = true;
        env_mutex_unlock(s->env, &s->m);
        bulk_wake(&s->bulk);
        env_thread_join(s->env, &s->thread);
    }
    bulk_release(&s->bulk);
    env_mutex_release(s->env, &s->m);
    mem_release(mem, s->piece);
    mem_release(mem, s->files);
    mem_release(mem, s);
}

void snapsend_progress(struct snapsend *s, uint64_t *bytes, uint64_t *of, uint64_t *tries)
{
    env_mutex_lock(s->env, &s->m);
    *bytes = s->told_acked;
    *tries = s->tries;
    env_mutex_unlock(s->env, &s->m);
    *of = s->o.set->bytes;
}
