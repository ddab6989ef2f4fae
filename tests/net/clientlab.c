/* clientlab.c - see clientlab.h. */
#include "tests/net/clientlab.h"

#include "base/buf.h"
#include "base/ck.h"
#include "net/frame.h"
#include "net/pbdec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNS    32
#define LISTENER UINT64_C(1000000)

/* One connection of a node. */
struct line {
    int fd; /* -1: none */
    uint64_t serial;
    bool greeted;
    bool mute;
    bool ends; /* closed once `out` is sent */
    struct frame_reader frames;
    struct buf in;
    struct buf out;
};

struct node {
    struct clientlab_node *own;
    struct env *env;
    int poller;
    int listener;
    struct line lines[CONNS];
    uint64_t serial;
};

struct slice clientlab_key(uint32_t counter, char text[8])
{
    int size = snprintf(text, 8, "%u", counter % 10000);
    return slice_of(text, (size_t)size);
}

static uint32_t counter_of(struct slice key)
{
    char text[8] = "";
    CK(key.size < sizeof text);
    memcpy(text, key.data, key.size);
    uint32_t n = (uint32_t)strtoul(text, NULL, 10);
    CK(n < CLIENTLAB_CALLS);
    return n;
}

/* ---- the state of the group ---- */

static void session_run(struct clientlab *lab, const struct pbmsg_request *q, uint32_t counter,
                        struct pbmsg_response *r)
{
    CK(q->sequence > 0 && q->sequence < CLIENTLAB_NUMBERS && q->answered <= q->sequence);
    CK(q->sequence - q->answered < CLIENT_WINDOW);
    struct clientlab_session *s =
        q->session <= lab->session_count ? &lab->sessions[q->session] : NULL;
    if (s == NULL || s->gone) {
        r->code = PBMSG_CODE_SESSION_EXPIRED;
        return;
    }
    s->floor = q->answered > s->floor ? q->answered : s->floor;
    if (q->sequence < s->floor) {
        r->code = PBMSG_CODE_FORGOTTEN;
        return;
    }
    uint64_t *value = &s->values[q->sequence];
    lab->repeats += *value != 0;
    if (*value == 0) {
        *value = ++lab->counters[counter];
    }
    r->incr.value = (int64_t)*value;
}

/* Carries a request out. */
static void execute(struct clientlab *lab, const struct pbmsg_request *q, uint32_t counter,
                    struct pbmsg_response *r)
{
    *r = (struct pbmsg_response){.id = q->id};
    switch (q->op) {
    case PBMSG_INCR:
        if (q->session != 0) {
            session_run(lab, q, counter, r);
        } else {
            r->incr.value = ++lab->counters[counter];
        }
        break;
    case PBMSG_GET:
        r->get.found = lab->counters[counter] > 0;
        break;
    case PBMSG_OPEN_SESSION:
        CK(lab->session_count < CLIENTLAB_SESSIONS);
        r->open_session.session = ++lab->session_count;
        break;
    default:
        CK(q->op == PBMSG_PING);
    }
    r->result = r->code == PBMSG_CODE_OK ? q->op : 0;
    lab->served++;
}

static void later(struct node *n, const struct line *l, const struct pbmsg_request *q,
                  uint32_t counter, bool answer)
{
    struct clientlab *lab = n->own->lab;
    if (lab->late_count < CLIENTLAB_LATE) {
        lab->late[lab->late_count++] = (struct clientlab_late){
            .at = lab->t.world.sched.now + prng_below(&lab->prng, 2000 * CLIENTLAB_MS),
            .node = answer ? n->own->id : 0,
            .conn = l->serial,
            .request = *q,
            .counter = counter};
    }
}

/* ---- connections ---- */

static void line_close(struct node *n, struct line *l)
{
    (void)env_fd_close(n->env, l->fd);
    l->fd = -1;
    buf_release(&l->in);
    buf_release(&l->out);
}

static void line_flush(struct node *n, struct line *l)
{
    while (l->out.size > 0) {
        struct env_slice part = {l->out.data, l->out.size};
        size_t put = 0;
        enum status st = env_sock_write(n->env, l->fd, &part, 1, &put);
        if (st == ST_AGAIN) {
            break;
        }
        if (st != ST_OK && st != ST_INTR) {
            line_close(n, l);
            return;
        }
        buf_consume(&l->out, put);
    }
    if (l->ends && l->out.size == 0) {
        line_close(n, l);
        return;
    }
    unsigned interest = ENV_IN | (l->out.size > 0 ? ENV_OUT : 0u);
    CK(env_poller_set(n->env, n->poller, l->fd, interest, (uint64_t)(l - n->lines)) == ST_OK);
}

static void line_say(struct line *l, const struct pbmsg_response *r)
{
    if (!l->mute) {
        CK(frame_append_client(&l->out, &pbmsg_response_table, r) == ST_OK);
    }
}

static void line_accept(struct node *n)
{
    int fd;
    struct env_addr peer;
    char hello[FRAME_PREAMBLE_SIZE];
    if (env_sock_accept(n->env, n->listener, &fd, &peer) != ST_OK) {
        return;
    }
    for (int i = 0; i < CONNS; i++) {
        struct line *l = &n->lines[i];
        if (l->fd < 0) {
            *l = (struct line){.fd = fd, .serial = ++n->serial};
            buf_init(&l->in, &n->env->mem);
            buf_init(&l->out, &n->env->mem);
            frame_init(&l->frames, FRAME_CLIENT, 1u << 20, false);
            frame_preamble(FRAME_CLIENT, hello);
            CK(buf_append(&l->out, hello, sizeof hello) == ST_OK);
            line_flush(n, l);
            return;
        }
    }
    (void)env_fd_close(n->env, fd);
}

/* ---- moods ---- */

static enum clientlab_mood mood_draw(struct clientlab *lab)
{
    uint32_t sum = 0;
    for (int i = 0; i < MOODS; i++) {
        sum += lab->weight[i];
    }
    uint64_t at = prng_below(&lab->prng, sum);
    for (int i = 0; i < MOODS; i++) {
        if (at < lab->weight[i]) {
            return lab->calm ? MOOD_SERVE : (enum clientlab_mood)i;
        }
        at -= lab->weight[i];
    }
    return MOOD_SERVE;
}

static void say_leader(struct clientlab *lab, struct line *l, struct pbmsg_response *r, uint32_t id)
{
    char text[32];
    struct env_addr a = clientlab_address(lab->nodes[id].host);
    (void)snprintf(text, sizeof text, "%u.%u.%u.%u:%u", a.ip[0], a.ip[1], a.ip[2], a.ip[3], a.port);
    r->code = PBMSG_CODE_NOT_LEADER;
    r->has_leader = true;
    r->leader.address = slice_text(text);
    line_say(l, r);
}

static void refuse(struct clientlab *lab, struct line *l, struct pbmsg_response *r, bool leader)
{
    static const int32_t codes[] = {PBMSG_CODE_UNAVAILABLE, PBMSG_CODE_BUSY, PBMSG_CODE_STOPPING};
    r->retry_ms = (uint32_t)prng_below(&lab->prng, 30);
    if (leader && prng_below(&lab->prng, 3) > 0) {
        say_leader(lab, l, r, 1 + (uint32_t)prng_below(&lab->prng, lab->node_count));
        return;
    }
    r->code = leader ? PBMSG_CODE_NOT_LEADER : codes[prng_below(&lab->prng, 3)];
    line_say(l, r);
}

/* What was done, and a connection that breaks on the way back. */
static void half_reply(struct clientlab *lab, struct line *l, const struct pbmsg_response *r)
{
    size_t before = l->out.size;
    line_say(l, r);
    l->out.size = before + prng_below(&lab->prng, l->out.size - before + 1);
    l->ends = true;
}

static void request_run(struct node *n, struct line *l, const struct pbmsg_request *q,
                        enum clientlab_mood mood)
{
    struct clientlab *lab = n->own->lab;
    bool keyed = q->op == PBMSG_INCR || q->op == PBMSG_GET;
    uint32_t counter = !keyed                ? 0
                       : q->op == PBMSG_INCR ? counter_of(q->incr.key)
                                             : counter_of(q->get.key);
    struct pbmsg_response r = {.id = q->id};
    struct pbmsg_response unknown = {.id = q->id, .code = PBMSG_CODE_UNKNOWN};
    if (lab->leader != 0 && lab->leader != n->own->id) {
        say_leader(lab, l, &r, lab->leader);
        return;
    }
    lab->moods[mood]++;
    if (mood == MOOD_EXPIRE && q->session != 0 && q->session <= lab->session_count) {
        lab->sessions[q->session].gone = true;
    }
    l->mute = l->mute || mood == MOOD_MUTE;
    switch (mood) {
    case MOOD_DROP_BEFORE:
        l->ends = true;
        break;
    case MOOD_UNKNOWN_LATE:
    case MOOD_LATE:
        later(n, l, q, counter, mood == MOOD_LATE);
        break;
    case MOOD_REFUSE:
    case MOOD_LEADER:
        refuse(lab, l, &r, mood == MOOD_LEADER);
        break;
    case MOOD_FULL:
        r.code = PBMSG_CODE_NO_MEMORY;
        line_say(l, &r);
        break;
    case MOOD_UNKNOWN_NOT:
        break;
    default:
        execute(lab, q, counter, &r);
    }
    if (mood == MOOD_SERVE || mood == MOOD_EXPIRE) {
        line_say(l, &r);
    } else if (mood == MOOD_DROP_AFTER) {
        l->ends = true;
    } else if (mood == MOOD_HALF_REPLY) {
        half_reply(lab, l, &r);
    } else if (mood == MOOD_UNKNOWN_DONE || mood == MOOD_UNKNOWN_LATE || mood == MOOD_UNKNOWN_NOT) {
        line_say(l, &unknown);
    }
}

static void line_requests(struct node *n, struct line *l)
{
    struct pbarena arena;
    struct slice payload;
    pbarena_init(&arena, &n->env->mem, 1u << 20, 0);
    if (!l->greeted && l->in.size >= FRAME_PREAMBLE_SIZE) {
        enum frame_speaker who;
        enum frame_fault fault;
        CK(frame_detect(buf_slice(&l->in), &who, &fault) == ST_OK && who == FRAME_CLIENT);
        buf_consume(&l->in, FRAME_PREAMBLE_SIZE);
        l->greeted = true;
    }
    while (l->greeted && !l->ends && l->in.size > 0) {
        enum status st = frame_parse(&l->frames, l->in.data, l->in.size, &payload);
        if (st != ST_OK) {
            CK(st == ST_AGAIN);
            break;
        }
        struct pbmsg_request q;
        CK(pbdec_read(&pbmsg_request_table, payload, &arena, &q, NULL) == ST_OK);
        request_run(n, l, &q, mood_draw(n->own->lab));
        buf_consume(&l->in, l->frames.at);
    }
    pbarena_release(&arena);
}

static void line_event(struct node *n, struct line *l)
{
    for (;;) {
        size_t got = 0;
        CK(buf_reserve(&l->in, 4096) == ST_OK);
        enum status st = env_sock_read(n->env, l->fd, l->in.data + l->in.size, 4096, &got);
        if (st == ST_AGAIN) {
            break;
        }
        if (st != ST_INTR && (st != ST_OK || got == 0)) {
            line_close(n, l);
            return;
        }
        l->in.size += got;
        line_requests(n, l);
    }
    line_flush(n, l);
}

/* Carries out what was put off. */
static void late_run(struct node *n)
{
    struct clientlab *lab = n->own->lab;
    for (uint32_t i = 0; i < lab->late_count;) {
        struct clientlab_late x = lab->late[i];
        struct pbmsg_response r;
        if (x.at > lab->t.world.sched.now || (x.node != 0 && x.node != n->own->id)) {
            i++;
            continue;
        }
        lab->late[i] = lab->late[--lab->late_count];
        execute(lab, &x.request, x.counter, &r);
        for (int k = 0; x.node != 0 && k < CONNS; k++) {
            if (n->lines[k].fd >= 0 && n->lines[k].serial == x.conn) {
                line_say(&n->lines[k], &r);
                line_flush(n, &n->lines[k]);
            }
        }
    }
}

/* ---- processes ---- */

static int stand_in(struct env *env, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct clientlab_node *own = proc_of(env)->user;
    struct env_addr addr = {.family = 4, .port = CLIENTLAB_PORT};
    struct node *n = mem_zalloc(&env->mem, sizeof *n);
    struct env_event events[8];
    CK(n != NULL);
    n->own = own;
    n->env = env;
    n->serial = env_random_u64(env) & UINT32_MAX; /* not that of an earlier life */
    for (int i = 0; i < CONNS; i++) {
        n->lines[i].fd = -1;
    }
    CK(env_poller_open(env, &n->poller) == ST_OK);
    CK(env_sock_listen(env, &addr, 64, &n->listener) == ST_OK);
    CK(env_poller_set(env, n->poller, n->listener, ENV_IN, LISTENER) == ST_OK);
    while (!own->lab->over) {
        int count = 0;
        enum status st = env_poller_wait(env, n->poller, events, 8,
                                         env_clock_mono(env) + 50 * CLIENTLAB_MS, &count);
        CK(st == ST_OK || st == ST_INTR);
        for (int i = 0; i < count; i++) {
            if (events[i].token == LISTENER) {
                line_accept(n);
            } else if (n->lines[events[i].token].fd >= 0) {
                line_event(n, &n->lines[events[i].token]);
            }
        }
        late_run(n);
    }
    return 0; /* the world takes everything back */
}

static void node_start(struct clientlab_node *n)
{
    struct clientlab *lab = n->lab;
    lab->t.running++;
    n->proc = lab->program != NULL
                  ? proc_start(n->host, "node", lab->program, lab->argc, lab->argv[n->id], n)
                  : proc_start(n->host, "node", stand_in, 0, NULL, n);
}

static int client_main(struct env *env, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct clientlab *lab = proc_of(env)->user;
    int code = lab->client(lab, env);
    lab->over = true;
    for (uint32_t id = 1; id <= lab->node_count; id++) {
        if (lab->nodes[id].proc != NULL && lab->program != NULL) {
            proc_request_stop(lab->nodes[id].proc);
        }
    }
    return code;
}

static void killer(void *arg)
{
    struct clientlab *lab = arg;
    struct sched *s = &lab->t.world.sched;
    while (!lab->over) {
        task_sleep_until(s, s->now + prng_below(&lab->prng, 1500 * CLIENTLAB_MS));
        struct clientlab_node *n = &lab->nodes[1 + prng_below(&lab->prng, lab->node_count)];
        if (lab->over || lab->calm || n->proc == NULL) {
            continue;
        }
        lab->t.running++; /* it comes back */
        proc_kill(n->proc);
        task_sleep_until(s, s->now + prng_below(&lab->prng, 800 * CLIENTLAB_MS));
        lab->t.running--;
        if (!lab->over) {
            node_start(n);
        }
    }
}

static void probed(void *arg, struct proc *p, const struct env_site *site)
{
    struct clientlab *lab = (struct clientlab *)arg;
    (void)p;
    lab->lost += strcmp(site->name, "client: a connection was lost") == 0;
}

static void ended(void *arg, struct proc *p)
{
    struct simtest *t = arg;
    struct clientlab *lab = (struct clientlab *)(void *)t; /* its first member */
    if (p->host == lab->client_host) {
        proc_leaks(p, lab->leaks, sizeof lab->leaks);
    } else {
        ((struct clientlab_node *)p->user)->proc = NULL;
    }
    if (--t->running == 0) {
        world_stop(&t->world);
    }
}

/* ---- the lab ---- */

struct env_addr clientlab_address(const struct host *h)
{
    struct env_addr a = {.family = 4, .port = CLIENTLAB_PORT};
    a.ip[0] = 10;
    a.ip[1] = (uint8_t)(h->address >> 16);
    a.ip[2] = (uint8_t)(h->address >> 8);
    a.ip[3] = (uint8_t)h->address;
    return a;
}

void clientlab_options(struct clientlab *lab, struct client_options *o, struct env_addr *addrs)
{
    client_options_init(o);
    for (uint32_t i = 0; i < lab->node_count; i++) {
        addrs[i] = clientlab_address(lab->nodes[i + 1].host);
    }
    addrs[lab->node_count] = addrs[0];
    addrs[lab->node_count].port++;
    o->nodes = addrs;
    o->node_count = lab->node_count + 1;
}

void clientlab_open(struct clientlab *lab, uint64_t seed)
{
    memset(lab, 0, sizeof *lab);
    plan_init(&lab->t.plan, simmem(), seed);
    lab->prng.state = seed;
    lab->weight[MOOD_SERVE] = 100;
    lab->node_count = CLIENTLAB_NODES;
    list_init(&lab->tasks);
}

void clientlab_draw(struct clientlab *lab)
{
    struct plan drawn;
    plan_init(&drawn, simmem(), lab->t.plan.seed);
    plan_draw(&drawn);
    plan_draw_net(&drawn);
    for (int k = 0; k < PLAN_KNOBS; k++) {
        if (strncmp(plan_name((enum plan_knob)k), "net_", 4) == 0) {
            lab->t.plan.value[k] = drawn.value[k];
        }
    }
    lab->t.plan.value[PLAN_NET_FLIP] = 0; /* this protocol has TCP's checksum only */
    plan_release(&drawn);
}

bool clientlab_run(struct clientlab *lab)
{
    simtest_open_plan(&lab->t);
    lab->t.hooks.ended = ended;
    lab->t.hooks.probe = probed;
    lab->client_host = lab->t.host;
    lab->t.world.faults = true;
    for (uint32_t id = 1; id <= lab->node_count; id++) {
        struct clientlab_node *n = &lab->nodes[id];
        *n = (struct clientlab_node){.lab = lab, .id = id, .host = world_host(&lab->t.world, NULL)};
        node_start(n);
    }
    (void)simtest_start(&lab->t, lab->client_host, "client", client_main, lab);
    if (lab->kills) {
        (void)world_task(&lab->t.world, "killer", &lab->tasks, killer, lab);
    }
    return simtest_run(&lab->t);
}

void clientlab_close(struct clientlab *lab)
{
    while (!list_empty(&lab->tasks)) {
        task_kill(LIST_ENTRY(lab->tasks.next, struct task, link));
    }
    simtest_close(&lab->t);
}
