/* gossip.c - see gossip.h. */
#include "tests/sim/gossip.h"

#include "base/code.h"
#include "base/crc32c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS         (uint64_t)1000000
#define TICK       (20 * MS)
#define COUNT_EACH 5 /* ticks */
#define DIAL_FOR   (1000 * MS)
#define DIAL_AGAIN (50 * MS)
#define IDLE_FOR   (3000 * MS)
#define GIVE_UP_MS 1000
#define HEAD       8 /* bytes: size, CRC */
#define FRAME_MIN  (HEAD + 8 + 8 * GOSSIP_MAX)
#define FRAME_MAX  2000
#define INS        16
#define TOKEN_OUT  100
#define TOKEN_IN   200

/* To one peer: what we tell. */
struct out {
    int fd; /* -1: none */
    bool connected;
    uint64_t since, retry_at;
    unsigned char bytes[FRAME_MAX];
    size_t size, at;
};

/* From somebody: what we are told. */
struct in {
    int fd;
    uint64_t heard;
    unsigned char bytes[FRAME_MAX];
    size_t size;
};

struct gossip {
    struct env *env;
    struct gossip_node *node;
    struct gossip_story *story;
    int poller, listener;
    struct out outs[GOSSIP_MAX];
    struct in ins[INS];
    uint64_t ticks;
};

static void wrong(struct gossip *g, const char *what)
{
    g->story->wrong = g->story->wrong == NULL ? what : g->story->wrong;
}

/* ---- the number ---- */

static enum status store(struct env *env, uint64_t n)
{
    char text[32];
    size_t put;
    int fd;
    int size = snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    enum status st = env_file_open(env, "count.tmp", ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &fd);
    if (st != ST_OK) {
        return st;
    }
    st = env_file_pwrite(env, fd, text, (size_t)size, 0, &put);
    st = st == ST_OK ? env_file_sync(env, fd) : st;
    (void)env_fd_close(env, fd);
    st = st == ST_OK ? env_path_rename(env, "count.tmp", "count") : st;
    return st == ST_OK ? env_dir_sync(env, ".") : st;
}

static enum status load(struct env *env, uint64_t *n)
{
    char text[32] = "";
    size_t got = 0;
    int fd;
    enum status st = env_path_remove(env, "count.tmp"); /* it may be the old file by another name */
    if (st != ST_OK && st != ST_NOENT) {
        return st;
    }
    st = env_file_open(env, "count", ENV_READ, &fd);
    if (st == ST_OK) {
        st = env_file_pread(env, fd, text, sizeof text - 1, 0, &got);
        (void)env_fd_close(env, fd);
    }
    *n = strtoull(text, NULL, 10);
    return st == ST_NOENT ? ST_OK : st;
}

static void count(struct gossip *g)
{
    unsigned me = g->node->number;
    uint64_t n = g->node->view[me] + 1;
    g->story->tried[me] = n > g->story->tried[me] ? n : g->story->tried[me];
    if (g->story->hasty) {
        g->node->view[me] = n;
        g->story->said[me] = n;
    }
    if (store(g->env, n) == ST_OK) {
        g->node->view[me] = n;
        g->story->said[me] = n;
    }
}

/* ---- telling ---- */

static void hang_up(struct gossip *g, struct out *o)
{
    if (o->fd >= 0) {
        (void)env_fd_close(g->env, o->fd);
    }
    o->fd = -1;
    o->size = 0;
    o->retry_at = env_clock_mono(g->env) + DIAL_AGAIN;
}

static void dial(struct gossip *g, unsigned i)
{
    struct out *o = &g->outs[i];
    uint32_t a = g->node->hosts[i]->address;
    const struct env_addr to = {
        .family = 4,
        .port = GOSSIP_PORT,
        .ip = {10, (uint8_t)(a >> 16), (uint8_t)(a >> 8), (uint8_t)a},
    };
    g->node->dialled++;
    enum status st = env_sock_connect(g->env, &to, &o->fd);
    if (st != ST_OK && st != ST_INPROGRESS) {
        o->fd = -1;
        o->retry_at = env_clock_mono(g->env) + DIAL_AGAIN;
        return;
    }
    o->connected = st == ST_OK;
    o->since = env_clock_mono(g->env);
    st = ST_OK;
    if (!g->story->believing) {
        st = env_sock_option(g->env, o->fd, ENV_OPT_USER_TIMEOUT_MS, GIVE_UP_MS);
        st = st == ST_OK ? env_sock_option(g->env, o->fd, ENV_OPT_KEEPALIVE_S, 2) : st;
    }
    st = st == ST_OK ? env_poller_set(g->env, g->poller, o->fd, ENV_OUT, TOKEN_OUT + i) : st;
    if (st != ST_OK) {
        hang_up(g, o);
    }
}

/* What we know, now and then in a big frame. */
static void compose(struct gossip *g, struct out *o)
{
    o->size = g->ticks % 8 == 0 ? FRAME_MAX : FRAME_MIN;
    o->at = 0;
    memset(o->bytes, 0, o->size);
    code_put32(o->bytes, (uint32_t)o->size);
    code_put64(o->bytes + HEAD, g->node->number);
    for (unsigned i = 0; i < GOSSIP_MAX; i++) {
        code_put64(o->bytes + HEAD + 8 + 8 * i, g->node->view[i]);
    }
    code_put32(o->bytes + 4, crc32c(0, o->bytes + HEAD, o->size - HEAD));
}

static void tell(struct gossip *g, unsigned i)
{
    struct out *o = &g->outs[i];
    while (o->at < o->size) {
        struct env_slice part = {o->bytes + o->at, o->size - o->at};
        size_t put;
        enum status st = env_sock_write(g->env, o->fd, &part, 1, &put);
        if (st == ST_AGAIN || st == ST_INTR) {
            break;
        }
        if (st != ST_OK) {
            hang_up(g, o);
            return;
        }
        o->at += put;
    }
    bool more = o->at < o->size;
    o->size = more ? o->size : 0;
    if (env_poller_set(g->env, g->poller, o->fd, more ? ENV_OUT : ENV_IN, TOKEN_OUT + i) != ST_OK) {
        hang_up(g, o);
    }
}

/* Writable, or over: nobody says anything on these. */
static void out_event(struct gossip *g, unsigned i, unsigned ready)
{
    struct out *o = &g->outs[i];
    if (o->fd < 0) {
        return;
    }
    if (!o->connected && (ready & ENV_OUT) != 0) {
        o->connected = env_sock_error(g->env, o->fd) == ST_OK;
        if (!o->connected) {
            hang_up(g, o);
            return;
        }
    }
    if (o->connected && (ready & ENV_IN) != 0) {
        char none[16];
        size_t got = 0;
        enum status st = env_sock_read(g->env, o->fd, none, sizeof none, &got);
        if (st != ST_AGAIN && st != ST_INTR) {
            hang_up(g, o);
            return;
        }
    }
    if (o->connected) {
        tell(g, i);
    }
}

/* ---- being told ---- */

static void drop(struct gossip *g, struct in *in)
{
    (void)env_fd_close(g->env, in->fd);
    in->fd = -1;
    in->size = 0;
}

static void learn(struct gossip *g, const unsigned char *body)
{
    uint64_t from = code_get64(body);
    for (unsigned i = 0; i < g->story->nodes; i++) {
        uint64_t n = code_get64(body + 8 + 8 * i);
        if (n > g->story->tried[i]) {
            wrong(g, "a number out of nowhere");
        } else if (i == g->node->number && n > g->node->view[i]) {
            wrong(g, "others know more of a node than it does itself");
        } else if (n > g->node->view[i]) {
            g->node->view[i] = n;
        }
        g->node->direct[i] = i == from && n > g->node->direct[i] ? n : g->node->direct[i];
    }
}

/* Takes whole frames off what came; false: this is no frame of ours. */
static bool take_frames(struct gossip *g, struct in *in)
{
    while (in->size >= HEAD) {
        size_t size = code_get32(in->bytes);
        if (size != FRAME_MIN && size != FRAME_MAX) {
            return false;
        }
        if (in->size < size) {
            return true;
        }
        uint32_t crc = crc32c(0, in->bytes + HEAD, size - HEAD);
        if (crc != code_get32(in->bytes + 4) && !g->story->trusting) {
            return false;
        }
        learn(g, in->bytes + HEAD);
        memmove(in->bytes, in->bytes + size, in->size - size);
        in->size -= size;
    }
    return true;
}

static void in_event(struct gossip *g, struct in *in)
{
    while (in->fd >= 0) {
        size_t got;
        enum status st =
            env_sock_read(g->env, in->fd, in->bytes + in->size, sizeof in->bytes - in->size, &got);
        if (st == ST_AGAIN || st == ST_INTR) {
            return;
        }
        if (st != ST_OK || got == 0) {
            drop(g, in);
            return;
        }
        in->heard = env_clock_mono(g->env);
        in->size += got;
        if (!take_frames(g, in)) {
            g->node->refused_frames++;
            drop(g, in);
        }
    }
}

/* A free place, or that of whoever was silent longest. */
static struct in *place(struct gossip *g)
{
    struct in *best = &g->ins[0];
    for (unsigned i = 0; i < INS; i++) {
        struct in *in = &g->ins[i];
        if (in->fd < 0) {
            return in;
        }
        best = in->heard < best->heard ? in : best;
    }
    drop(g, best);
    return best;
}

static void watch_listener(struct gossip *g, unsigned interest)
{
    enum status st = env_poller_set(g->env, g->poller, g->listener, interest, 1);
    (void)st; /* the next tick tries again */
}

static void listener_event(struct gossip *g)
{
    for (;;) {
        int fd;
        enum status st = env_sock_accept(g->env, g->listener, &fd, NULL);
        if (st == ST_INTR || st == ST_ABORTED) {
            continue;
        }
        if (st != ST_OK) {
            g->node->no_descriptor += st == ST_MFILE;
            if (st != ST_AGAIN) { /* no descriptor: not again before the next tick */
                watch_listener(g, 0);
            }
            return;
        }
        struct in *in = place(g);
        *in = (struct in){.fd = fd, .heard = env_clock_mono(g->env)};
        g->node->accepted++;
        uint64_t token = TOKEN_IN + (uint64_t)(in - g->ins);
        if (env_poller_set(g->env, g->poller, fd, ENV_IN, token) != ST_OK) {
            drop(g, in);
        }
    }
}

/* ---- the loop ---- */

static void tick(struct gossip *g)
{
    uint64_t now = env_clock_mono(g->env);
    g->ticks++;
    (void)env_clock_wall(g->env); /* it may jump: nothing here minds */
    watch_listener(g, ENV_IN);
    if (g->ticks % COUNT_EACH == 0) {
        count(g);
    }
    for (unsigned i = 0; i < g->story->nodes; i++) {
        struct out *o = &g->outs[i];
        bool patient = g->story->believing || now - o->since < DIAL_FOR;
        if (i == g->node->number) {
            continue;
        }
        if (o->fd < 0 && now >= o->retry_at) {
            dial(g, i);
        } else if (o->fd >= 0 && !o->connected && !patient) {
            hang_up(g, o);
        } else if (o->fd >= 0 && o->connected && o->size == 0) {
            compose(g, o);
            tell(g, i);
        }
    }
    for (unsigned i = 0; i < INS; i++) {
        bool idle = g->ins[i].fd >= 0 && now - g->ins[i].heard > IDLE_FOR;
        if (idle && !g->story->believing) {
            drop(g, &g->ins[i]);
        }
    }
}

static void handle(struct gossip *g, const struct env_event *e)
{
    if (e->token == 1) {
        listener_event(g);
    } else if (e->token < TOKEN_IN) {
        out_event(g, (unsigned)e->token - TOKEN_OUT, e->ready);
    } else {
        in_event(g, &g->ins[e->token - TOKEN_IN]);
    }
}

static enum status run(struct gossip *g)
{
    struct env *env = g->env;
    uint64_t next = env_clock_mono(env);
    enum status st = env_stop_subscribe(env, g->poller);
    while (st == ST_OK && !env_stop_requested(env)) {
        struct env_event events[8];
        int n = 0;
        st = env_poller_wait(env, g->poller, events, 8, next, &n);
        st = st == ST_INTR ? ST_OK : st;
        for (int i = 0; i < n; i++) {
            handle(g, &events[i]);
        }
        if (env_clock_mono(env) >= next) {
            tick(g);
            next = env_clock_mono(env) + TICK;
        }
    }
    return st;
}

static enum status open_all(struct gossip *g)
{
    const struct env_addr here = {.family = 4, .port = GOSSIP_PORT};
    unsigned me = g->node->number;
    enum status st = load(g->env, &g->node->view[me]);
    if (st == ST_OK && (g->node->view[me] < g->story->said[me])) {
        wrong(g, "a number that was said is gone");
    }
    if (st == ST_OK && (g->node->view[me] > g->story->tried[me])) {
        wrong(g, "a number that was never stored");
    }
    st = st == ST_OK ? env_poller_open(g->env, &g->poller) : st;
    st = st == ST_OK ? env_sock_listen(g->env, &here, 1, &g->listener) : st;
    return st == ST_OK ? env_poller_set(g->env, g->poller, g->listener, ENV_IN, 1) : st;
}

int gossip_main(struct env *env, int argc, char **argv)
{
    struct gossip_node *node = proc_of(env)->user;
    struct gossip *g = mem_zalloc(&env->mem, sizeof *g);
    (void)argc;
    (void)argv;
    if (g == NULL) {
        return 1;
    }
    *g = (struct gossip){
        .env = env, .node = node, .story = node->story, .poller = -1, .listener = -1};
    memset(node->view, 0, sizeof node->view);
    memset(node->direct, 0, sizeof node->direct);
    for (unsigned i = 0; i < GOSSIP_MAX; i++) {
        g->outs[i].fd = -1;
    }
    for (unsigned i = 0; i < INS; i++) {
        g->ins[i].fd = -1;
    }
    enum status st = open_all(g);
    st = st == ST_OK ? run(g) : st;
    for (unsigned i = 0; i < GOSSIP_MAX; i++) {
        hang_up(g, &g->outs[i]);
    }
    for (unsigned i = 0; i < INS; i++) {
        if (g->ins[i].fd >= 0) {
            drop(g, &g->ins[i]);
        }
    }
    if (g->listener >= 0) {
        (void)env_fd_close(env, g->listener);
    }
    if (g->poller >= 0) {
        (void)env_fd_close(env, g->poller);
    }
    mem_release(&env->mem, g);
    return st == ST_OK ? 0 : 1;
}
