/* fuzz_client.c - any bytes as what nodes say to the client library: each call ends once, at its
 * deadline at the latest, and nothing is left behind.
 *
 * The world is a clock that only waiting moves on, and a node that takes every byte and says the
 * next ones of the input; at its end it hangs up. */
#include "base/ck.h"
#include "net/client.h"
#include "net/frame.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/test_env.h"

#include <string.h>

#define CALLS  12
#define MS     1000000ull
#define SECOND (1000 * MS)
#define FD     5

struct world {
    struct inject te; /* first: an Env is its world */
    uint64_t now;
    uint64_t drawn;
    const uint8_t *data;
    size_t size;
    size_t piece; /* bytes of a read, at most */
    bool greeted;
    bool open;
    uint32_t ended;
};

static struct world *world_of(struct env *e)
{
    return (struct world *)(void *)((char *)e - offsetof(struct world, te.env));
}

static uint64_t clock_mono(struct env *e)
{
    return world_of(e)->now;
}

static uint64_t random_u64(struct env *e)
{
    return world_of(e)->drawn++;
}

static enum status poller_open(struct env *e, int *poller)
{
    (void)e;
    *poller = 4;
    return ST_OK;
}

static enum status poller_set(struct env *e, int poller, int fd, unsigned interest, uint64_t token)
{
    (void)e, (void)poller, (void)fd, (void)interest, (void)token;
    return ST_OK;
}

/* Something is there until the input is at its end; then time passes. */
static enum status poller_wait(struct env *e, int poller, struct env_event *events, int max,
                               uint64_t mono_ns, int *count)
{
    struct world *w = world_of(e);
    (void)poller, (void)max;
    *count = w->open && (w->size > 0 || !w->greeted);
    if (*count > 0) {
        events[0] = (struct env_event){.token = 0, .ready = ENV_IN};
        w->now += 1000;
    } else {
        CK(mono_ns != ENV_NEVER);
        w->now = mono_ns > w->now ? mono_ns : w->now + 1000;
    }
    return ST_OK;
}

static enum status fd_close(struct env *e, int fd)
{
    world_of(e)->open = fd == FD ? false : world_of(e)->open;
    return ST_OK;
}

static enum status sock_connect(struct env *e, const struct env_addr *addr, int *fd)
{
    struct world *w = world_of(e);
    (void)addr;
    CK(!w->open);
    w->now += MS;
    if (w->size == 0) {
        return ST_REFUSED;
    }
    w->open = true;
    w->greeted = false;
    *fd = FD;
    return ST_OK;
}

static enum status sock_option(struct env *e, int fd, enum env_sockopt option, int value)
{
    (void)e, (void)fd, (void)option, (void)value;
    return ST_OK;
}

static enum status sock_read(struct env *e, int fd, void *buf, size_t size, size_t *got)
{
    struct world *w = world_of(e);
    CK(fd == FD && w->open);
    if (!w->greeted) {
        CK(size >= FRAME_PREAMBLE_SIZE);
        frame_preamble(FRAME_CLIENT, buf);
        w->greeted = true;
        *got = FRAME_PREAMBLE_SIZE;
        return ST_OK;
    }
    *got = w->size < w->piece ? w->size : w->piece;
    *got = *got < size ? *got : size;
    memcpy(buf, w->data, *got);
    w->data += *got;
    w->size -= *got;
    return ST_OK;
}

static enum status sock_write(struct env *e, int fd, const struct env_slice *parts, int count,
                              size_t *put)
{
    CK(fd == FD && world_of(e)->open && count == 1);
    *put = parts->size;
    return ST_OK;
}

static void on_done(struct client_call *call)
{
    struct world *w = call->arg;
    w->ended++;
    CK(call->ended && w->now <= call->deadline + SECOND);
    CK((call->outcome == CLIENT_DONE) == (call->code == PBMSG_CODE_OK));
    CK(call->outcome != CLIENT_DONE || call->response->result == call->request.op);
}

static void call_make(struct client_call *call, struct world *w, int i)
{
    static const uint32_t ops[] = {PBMSG_OPEN_SESSION, PBMSG_GET,  PBMSG_INCR,
                                   PBMSG_PUT,          PBMSG_SCAN, PBMSG_CLOSE_SESSION};
    *call = (struct client_call){.deadline = w->now + (uint64_t)(i + 1) * SECOND,
                                 .done = on_done,
                                 .arg = w,
                                 .once = i % 2 == 1};
    call->request.op = ops[i % 6];
    call->once = call->once && (call->request.op == PBMSG_PUT);
}

static void world_init(struct world *w)
{
    test_env_init(&w->te, NULL);
    struct env_vt *vt = &w->te.vt;
    vt->clock_mono = clock_mono;
    vt->random_u64 = random_u64;
    vt->poller_open = poller_open;
    vt->poller_set = poller_set;
    vt->poller_wait = poller_wait;
    vt->fd_close = fd_close;
    vt->sock_connect = sock_connect;
    vt->sock_option = sock_option;
    vt->sock_read = sock_read;
    vt->sock_write = sock_write;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct env_addr nodes[2] = {{.family = 4, .port = 1}, {.family = 4, .port = 2}};
    static struct client_call calls[CALLS];
    struct client_options o;
    struct client *c;
    if (size == 0) {
        return 0;
    }
    struct world w = {.now = 1, .data = data + 1, .size = size - 1, .piece = 1u + data[0]};
    world_init(&w);
    client_options_init(&o);
    o.nodes = nodes;
    o.node_count = 2;
    o.inflight = 8;
    CK(client_new(&w.te.env, &o, &c) == ST_OK);
    for (int i = 0; i < CALLS; i++) {
        call_make(&calls[i], &w, i);
        client_send(c, &calls[i]);
        CK(client_step(c, w.now) == ST_OK);
    }
    while (client_pending(c) > 2) { /* the last two are left to client_free */
        CK(client_step(c, ENV_NEVER) == ST_OK);
    }
    client_free(c);
    CK(w.ended == CALLS);
    CK(w.te.live == 0);
    return 0;
}
