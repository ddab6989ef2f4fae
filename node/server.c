/* server.c - see server.h. */
#include "node/server.h"

#include "base/ck.h"
#include "env/addr.h"
#include "env/note.h"
#include "net/conntab.h"
#include "node/intake.h"

#include <stdio.h>

#define EVENTS_MAX     64
#define BACKLOG        512
#define READ_CHUNK     (16u * 1024u)
#define READ_CHUNK_MAX (1024u * 1024u)
#define INFLIGHT_BYTES (4u * 1024u * 1024u)
#define MS             1000000ull
#define LINGER_NS      (1000 * MS) /* for a peer to end after we did */
#define ACCEPT_WAIT_NS (100 * MS)  /* after accepting failed for want of something */
#define KEEPALIVE_S    300
#define LISTENER_TOKEN (1ull << 63) /* no token of a connection */

struct client {
    struct conn conn;
    struct intake intake;
    struct session *session; /* the core's; only its END job is touched here */
    uint64_t token;
    struct list by_time; /* in server.active or server.lingering, longest silent first */
    struct list touched; /* in server.touched: a reply came */
    uint64_t since_ns;   /* of the last activity, or of the beginning of lingering */
    uint64_t inflight;   /* requests that the core has */
    size_t inflight_bytes;
    bool closing; /* no more requests are taken */
    bool lingering;
};

struct server {
    struct env *env;
    struct core *core;
    struct nodeopt *opt;
    struct nodelog log;
    struct nodeopt_live live;
    int poller;
    int listener;
    struct conntab clients;
    struct list active;
    struct list lingering;
    struct list touched;
    struct list submit; /* jobs for the core, handed over once a round */
    struct pbfront pb;
    uint64_t last_id;
    uint64_t now_ns;
    uint64_t accept_again_ns; /* ENV_NEVER: accepting is not paused */
    bool stopping;
    uint64_t stop_ns; /* when grace is over */
};

static struct client *client_by_time(struct list *l)
{
    return LIST_ENTRY(l, struct client, by_time);
}

/* ---- the end of a client ---- */

static void accept_resume(struct server *s)
{
    if (s->accept_again_ns == ENV_NEVER || s->listener < 0) {
        return;
    }
    enum status st = env_poller_set(s->env, s->poller, s->listener, ENV_IN, LISTENER_TOKEN);
    s->accept_again_ns = st == ST_OK ? ENV_NEVER : s->now_ns + ACCEPT_WAIT_NS;
}

/* Forgets the client; jobs of its that the core has come back to nobody. */
static void client_close(struct server *s, struct client *c)
{
    conntab_remove(&s->clients, c->token);
    list_remove(&c->by_time);
    list_remove(&c->touched);
    conn_release(&c->conn);
    intake_release(&c->intake);
    list_insert(&s->submit, &c->session->end.link);
    env_release(s->env, c);
    accept_resume(s);
}

/* Everything is answered and sent: ends our direction, and waits for the peer's end so that
 * unread input does not turn our close into a reset. */
static void client_finish(struct server *s, struct client *c)
{
    enum status st = conn_finish(&c->conn);
    if (st == ST_OK) {
        st = conn_drain(&c->conn);
    }
    if (st != ST_AGAIN || s->stopping) {
        client_close(s, c);
        return;
    }
    c->lingering = true;
    c->since_ns = s->now_ns;
    list_remove(&c->by_time);
    list_insert(&s->lingering, &c->by_time);
    if (conn_arm(&c->conn, true) != ST_OK) {
        client_close(s, c);
    }
}

/* ---- requests ---- */

static void client_active(struct server *s, struct client *c)
{
    c->since_ns = s->now_ns;
    list_remove(&c->by_time);
    list_insert(&s->active, &c->by_time);
}

/* May another request of this client be taken in? */
static bool client_has_room(const struct server *s, const struct client *c)
{
    if (c->inflight >= s->opt->inflight || c->inflight_bytes >= INFLIGHT_BYTES) {
        ENV_PROBE(s->env, "server: many requests in flight, reading stops");
        return false;
    }
    if (c->conn.out_bytes > s->live.output_bytes_max / 2) {
        ENV_PROBE(s->env, "server: replies are not read, reading stops");
        return false;
    }
    return true;
}

static void client_submit(struct server *s, struct client *c, struct job *j)
{
    j->token = c->token;
    j->session = c->session;
    c->inflight++;
    c->inflight_bytes += j->bytes;
    list_insert(&s->submit, &j->link);
}

/* Takes one request from the input. ST_OK: there may be more; ST_AGAIN: not now; anything else:
 * close. */
static enum status request_take(struct server *s, struct client *c)
{
    struct job *j;
    size_t size;
    (void)conn_input(&c->conn, &size); /* only its size is of interest */
    enum status st = intake_take(&c->intake, &s->pb, &c->conn, &s->live, s->now_ns, &j);
    if (st == ST_AGAIN && size > 0) {
        ENV_PROBE(s->env, "server: part of a request");
    }
    if (c->intake.lost && !c->closing) {
        ENV_PROBE(s->env, "server: protocol error");
        c->closing = true;
    }
    if (st == ST_OK && j != NULL) {
        client_submit(s, c, j);
    }
    return st;
}

/* Takes what requests there are and there is room for. False: the client must be closed. */
static bool requests_take(struct server *s, struct client *c)
{
    enum status st = ST_OK;
    while (st == ST_OK && !c->closing && client_has_room(s, c)) {
        st = request_take(s, c);
        if (st == ST_OK) {
            client_active(s, c);
        }
    }
    return st == ST_OK || st == ST_AGAIN;
}

/* Brings a client forward as far as it goes: sends, takes requests, arms or ends it. */
static void client_service(struct server *s, struct client *c)
{
    size_t before = c->conn.out_bytes;
    enum status st = conn_flush(&c->conn);
    if (st != ST_OK && st != ST_AGAIN) {
        ENV_PROBE(s->env, "server: peer is gone while sending");
        client_close(s, c);
        return;
    }
    if (c->conn.out_bytes < before) {
        client_active(s, c);
    }
    if (c->conn.out_bytes > s->live.output_bytes_max) {
        nodelog_line(&s->log, ENV_LOG_WARN, "closing a client that does not read its replies");
        client_close(s, c);
        return;
    }
    if (!requests_take(s, c)) {
        client_close(s, c);
        return;
    }
    bool quiet = c->inflight == 0 && c->conn.out_bytes == 0;
    if (quiet && c->conn.ended) {
        ENV_PROBE(s->env, "server: closed after the peer ended");
        client_close(s, c);
    } else if (quiet && (c->closing || s->stopping)) {
        client_finish(s, c);
    } else if (conn_arm(&c->conn, !c->closing && !s->stopping && client_has_room(s, c)) != ST_OK) {
        client_close(s, c);
    }
}

/* ---- events ---- */

static void client_event(struct server *s, struct client *c, uint32_t ready)
{
    if (c->lingering) {
        if (conn_drain(&c->conn) != ST_AGAIN) {
            client_close(s, c);
        }
        return;
    }
    bool reading = (c->conn.interest & ENV_IN) != 0;
    if (reading && (ready & (ENV_IN | ENV_ERR | ENV_HUP)) != 0) {
        size_t size;
        (void)conn_input(&c->conn, &size); /* only its size is of interest */
        size_t missing = intake_missing(&c->intake, size);
        missing = missing < READ_CHUNK_MAX ? missing : READ_CHUNK_MAX;
        enum status st = conn_read(&c->conn, missing > READ_CHUNK ? missing : READ_CHUNK);
        if (st != ST_OK && st != ST_AGAIN) {
            client_close(s, c);
            return;
        }
        if (st == ST_OK) {
            client_active(s, c);
        }
        if (c->conn.ended && c->inflight > 0) {
            ENV_PROBE(s->env, "server: peer ended with requests in flight");
        }
    } else if ((ready & (ENV_ERR | ENV_HUP)) != 0) {
        client_close(s, c);
        return;
    }
    client_service(s, c);
}

/* ---- accepting ---- */

static void client_refuse(struct server *s, int fd)
{
    static const char text[] = "-ERR max number of clients reached\r\n";
    struct env_slice part = {text, sizeof text - 1};
    size_t put;
    ENV_PROBE(s->env, "server: max clients reached");
    enum status st = env_sock_write(s->env, fd, &part, 1, &put);
    (void)st; /* a kindness: the close says it too */
    (void)env_fd_close(s->env, fd);
}

/* A hint that does not matter when it fails. */
static void socket_hint(struct server *s, int fd, enum env_sockopt option, int value)
{
    enum status st = env_sock_option(s->env, fd, option, value);
    if (st != ST_OK) {
        nodelog_line(&s->log, ENV_LOG_DEBUG, "socket option: %s", status_text(st));
    }
}

/* Makes a client of an accepted descriptor, or closes it. */
static void client_new(struct server *s, int fd)
{
    struct mem *mem = &s->env->mem;
    struct client *c = mem_zalloc(mem, sizeof *c);
    struct session *session = job_session_new(mem, ++s->last_id, s->live.sync != 0);
    uint64_t token;
    if (c == NULL || session == NULL || conntab_add(&s->clients, c, &token) != ST_OK) {
        ENV_PROBE(s->env, "server: no memory for a client");
        mem_release(mem, session);
        mem_release(mem, c);
        (void)env_fd_close(s->env, fd); /* gone whatever it says */
        return;
    }
    c->token = token;
    c->session = session;
    c->since_ns = s->now_ns;
    list_init(&c->touched);
    list_init(&c->by_time);
    list_insert(&s->active, &c->by_time);
    intake_init(&c->intake, mem);
    conn_init(&c->conn, s->env, s->poller, fd, token);
    env_note(s->env, &(struct env_note){.kind = NOTE_SESSION, .a = session->id, .b = (uint64_t)fd});
    socket_hint(s, fd, ENV_OPT_NODELAY, 1);
    socket_hint(s, fd, ENV_OPT_KEEPALIVE_S, KEEPALIVE_S);
    if (conn_arm(&c->conn, true) != ST_OK) {
        client_close(s, c);
    }
}

/* Nothing to accept with: a level-triggered listener would spin, so look away for a while. */
static void accept_pause(struct server *s, enum status why)
{
    ENV_PROBE(s->env, "server: accepting is paused");
    nodelog_line(&s->log, ENV_LOG_WARN, "accepting is paused: %s", status_text(why));
    s->accept_again_ns = s->now_ns + ACCEPT_WAIT_NS;
    enum status st = env_poller_set(s->env, s->poller, s->listener, 0, LISTENER_TOKEN);
    if (st != ST_OK) {
        nodelog_line(&s->log, ENV_LOG_WARN, "poller: %s", status_text(st));
    }
}

static void accept_some(struct server *s)
{
    for (int i = 0; i < EVENTS_MAX; i++) {
        int fd;
        struct env_addr peer;
        enum status st = env_sock_accept(s->env, s->listener, &fd, &peer);
        if (st == ST_AGAIN) {
            return;
        }
        if (st == ST_INTR || st == ST_ABORTED) {
            continue;
        }
        if (st != ST_OK) {
            accept_pause(s, st);
            return;
        }
        if (s->clients.count >= s->live.clients_max) {
            client_refuse(s, fd);
        } else {
            client_new(s, fd);
        }
    }
}

/* ---- replies ---- */

static void reply_attach(struct server *s, struct job *j)
{
    struct client *c = conntab_find(&s->clients, j->token);
    if (c == NULL) {
        ENV_PROBE(s->env, "server: reply for a closed connection dropped");
        job_free(j);
        return;
    }
    CK(!c->lingering);
    CK(c->inflight > 0);
    c->inflight--;
    c->inflight_bytes -= j->bytes;
    c->closing = c->closing || j->ends;
    if (pbfront_answer(&s->pb, j) != ST_OK) {
        ENV_PROBE(s->env, "server: no memory for a response");
        job_free(j);
        client_close(s, c);
        return;
    }
    conn_send(&c->conn, &j->out);
    if (list_empty(&c->touched)) {
        list_insert(&s->touched, &c->touched);
    }
}

static void stop_begin(struct server *s);

static void replies_collect(struct server *s)
{
    struct list done;
    list_init(&done);
    if (core_collect(s->core, &done, &s->live) && !s->stopping) {
        stop_begin(s);
    }
    while (!list_empty(&done)) {
        struct job *j = LIST_ENTRY(done.next, struct job, link);
        list_remove(&j->link);
        reply_attach(s, j);
    }
    while (!list_empty(&s->touched)) {
        struct client *c = LIST_ENTRY(s->touched.next, struct client, touched);
        list_remove(&c->touched);
        client_service(s, c);
    }
}

/* ---- time ---- */

static void idle_close(struct server *s)
{
    uint64_t limit = s->live.idle_ms * MS;
    while (limit > 0 && !list_empty(&s->active)) {
        struct client *c = client_by_time(s->active.next);
        if (s->now_ns - c->since_ns < limit) {
            return;
        }
        if (c->inflight > 0) {
            client_active(s, c); /* it waits for us */
            continue;
        }
        ENV_PROBE(s->env, "server: idle timeout");
        client_close(s, c);
    }
}

static void linger_close(struct server *s)
{
    while (!list_empty(&s->lingering)) {
        struct client *c = client_by_time(s->lingering.next);
        if (s->now_ns - c->since_ns < LINGER_NS) {
            return;
        }
        client_close(s, c);
    }
}

static void timers_run(struct server *s)
{
    idle_close(s);
    linger_close(s);
    if (s->now_ns >= s->accept_again_ns) {
        accept_resume(s);
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_deadline(const struct server *s)
{
    uint64_t at = s->accept_again_ns;
    if (s->live.idle_ms > 0 && !list_empty(&s->active)) {
        at = earlier(at, client_by_time(s->active.next)->since_ns + s->live.idle_ms * MS);
    }
    if (!list_empty(&s->lingering)) {
        at = earlier(at, client_by_time(s->lingering.next)->since_ns + LINGER_NS);
    }
    return s->stopping ? earlier(at, s->stop_ns) : at;
}

/* ---- the loop ---- */

/* No more connections, no more reading; what was received is answered. */
static void stop_begin(struct server *s)
{
    s->stopping = true;
    s->stop_ns = s->now_ns + s->opt->grace_ms * MS;
    (void)env_fd_close(s->env, s->listener); /* gone whatever it says */
    s->listener = -1;
    s->accept_again_ns = ENV_NEVER;
    nodelog_line(&s->log, ENV_LOG_INFO, "stopping with %u clients", s->clients.count);
    for (struct list *l = s->active.next; l != &s->active;) {
        struct client *c = client_by_time(l);
        l = l->next;
        if (c->inflight > 0) {
            ENV_PROBE(s->env, "server: stop with requests in flight");
        }
        if (list_empty(&c->touched)) {
            list_insert(&s->touched, &c->touched);
        }
    }
}

static void events_run(struct server *s, const struct env_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        if (events[i].token == LISTENER_TOKEN) {
            if (!s->stopping) {
                accept_some(s);
            }
            continue;
        }
        struct client *c = conntab_find(&s->clients, events[i].token);
        if (c == NULL) {
            ENV_PROBE(s->env, "server: stale event ignored");
            continue;
        }
        client_event(s, c, events[i].ready);
    }
}

/* True: some are done already. */
static bool jobs_submit(struct server *s)
{
    if (list_empty(&s->submit)) {
        return false;
    }
    ENV_YIELD(s->env, "server: before submitting");
    return core_submit(s->core, &s->submit, s->clients.count);
}

/* Replies come before events, so that an event of a connection that a reply's failure closed is
 * met as a stale one, here and not only in theory. */
static void serve(struct server *s)
{
    struct env_event events[EVENTS_MAX];
    for (;;) {
        int count = 0;
        s->now_ns = env_clock_mono(s->env);
        if (env_stop_requested(s->env) && !s->stopping) {
            stop_begin(s);
        }
        replies_collect(s);
        bool done = jobs_submit(s);
        if (s->stopping && (s->clients.count == 0 || s->now_ns >= s->stop_ns)) {
            return;
        }
        enum status st = env_poller_wait(s->env, s->poller, events, EVENTS_MAX,
                                         done ? 0 : next_deadline(s), &count);
        if (st != ST_OK) {
            count = 0;
            if (st != ST_INTR) {
                nodelog_line(&s->log, ENV_LOG_ERROR, "poller: %s", status_text(st));
            }
        }
        s->now_ns = env_clock_mono(s->env);
        replies_collect(s);
        timers_run(s);
        events_run(s, events, count);
        (void)jobs_submit(s); /* what is done is looked for next */
    }
}

/* ---- beginning and end ---- */

static void say_ready(struct server *s, const struct env_addr *addr)
{
    char text[ADDR_TEXT_MAX];
    char line[ADDR_TEXT_MAX + 32];
    int n = snprintf(line, sizeof line, "tinykv: listening on %s\n", addr_format(addr, text));
    env_console(s->env, false, line, (size_t)n);
}

static enum status listen_begin(struct server *s, struct err *err)
{
    char text[ADDR_TEXT_MAX];
    struct env_addr addr;
    enum status st = env_poller_open(s->env, &s->poller);
    if (st != ST_OK) {
        s->poller = -1;
        return err_status(err, st, "poller");
    }
    st = env_stop_subscribe(s->env, s->poller);
    if (st != ST_OK) {
        return err_status(err, st, "poller");
    }
    st = env_sock_listen(s->env, &s->opt->listen, BACKLOG, &s->listener);
    if (st != ST_OK) {
        s->listener = -1;
        err_set(err, "cannot listen on %s: %s", addr_format(&s->opt->listen, text),
                status_text(st));
        return st;
    }
    st = env_sock_local(s->env, s->listener, &addr);
    if (st == ST_OK) {
        st = env_poller_set(s->env, s->poller, s->listener, ENV_IN, LISTENER_TOKEN);
    }
    if (st == ST_OK) {
        s->opt->listen = addr; /* INFO tells the port */
        st = core_start(s->core, s->poller);
    }
    if (st != ST_OK) {
        return err_status(err, st, "cannot start");
    }
    say_ready(s, &addr);
    return ST_OK;
}

/* Ends whatever is left, and the core with it. */
static void server_end(struct server *s)
{
    while (!list_empty(&s->active)) {
        client_close(s, client_by_time(s->active.next));
    }
    while (!list_empty(&s->lingering)) {
        client_close(s, client_by_time(s->lingering.next));
    }
    if (!list_empty(&s->submit)) {
        (void)core_submit(s->core, &s->submit, 0); /* all of it is collected below */
    }
    core_stop(s->core);
    struct list done;
    list_init(&done);
    (void)core_collect(s->core, &done, &s->live); /* stopping already */
    while (!list_empty(&done)) {
        struct job *j = LIST_ENTRY(done.next, struct job, link);
        list_remove(&j->link);
        job_free(j);
    }
    conntab_release(&s->clients);
    pbfront_release(&s->pb);
    if (s->listener >= 0) {
        (void)env_fd_close(s->env, s->listener);
    }
    if (s->poller >= 0) {
        (void)env_fd_close(s->env, s->poller);
    }
}

enum status server_run(struct env *env, struct core *core, struct nodeopt *opt, struct err *err)
{
    struct server s = {.env = env,
                       .core = core,
                       .opt = opt,
                       .log = {env, (enum env_log_level)opt->log_least},
                       .live = opt->live,
                       .poller = -1,
                       .listener = -1,
                       .accept_again_ns = ENV_NEVER};
    conntab_init(&s.clients, &env->mem);
    pbfront_init(&s.pb, &env->mem);
    list_init(&s.active);
    list_init(&s.lingering);
    list_init(&s.touched);
    list_init(&s.submit);
    enum status st = listen_begin(&s, err);
    if (st == ST_OK) {
        serve(&s);
    }
    server_end(&s);
    return st;
}
