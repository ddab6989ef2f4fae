/* peers.c - see peers.h: the table of nodes, sending, and the thread's loop. */
#include "node/peers_int.h"

#define BACKLOG        64
#define EVENTS_MAX     64
#define LISTENER_TOKEN (UINT64_MAX - 1)
#define ARENA_LIMIT    (16u << 20) /* of what a message holds beside its bytes */
#define ARENA_KEEP     (1u << 20)

/* ---- the table ---- */

struct peers_slot *peers_slot(struct peers *p, uint64_t id)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->slots[i]->id == id) {
            return p->slots[i];
        }
    }
    return NULL;
}

/* A slot for one more node: fresh, or that of one which was removed and has no link. */
static struct peers_slot *slot_fresh(struct peers *p)
{
    if (p->count < PEERS_MAX) {
        struct peers_slot *s = mem_zalloc(&p->env->mem, sizeof *s);
        if (s != NULL) {
            p->slots[p->count++] = s;
        }
        return s;
    }
    for (size_t i = 0; i < p->count; i++) {
        struct peers_slot *s = p->slots[i];
        if (s->removed && s->links == 0) {
            *s = (struct peers_slot){0};
            return s;
        }
    }
    return NULL;
}

struct peers_slot *peers_slot_make(struct peers *p, uint64_t id)
{
    struct peers_slot *s = peers_slot(p, id);
    if (s == NULL) {
        s = slot_fresh(p);
        if (s != NULL) {
            s->id = id;
        }
    }
    return s;
}

static bool addr_same(const struct env_addr *a, const struct env_addr *b)
{
    size_t bytes = a->family == 4 ? 4 : 16;
    return a->family == b->family && a->port == b->port && memcmp(a->ip, b->ip, bytes) == 0;
}

enum status peers_set(struct peers *p, uint64_t id, const struct env_addr *addr)
{
    CK(id != 0);
    if (id == p->o.self) {
        return ST_OK;
    }
    peers_lock(p);
    struct peers_slot *s = peers_slot_make(p, id);
    if (s != NULL) {
        bool moved = addr->family != 0 && !addr_same(&s->addr, addr);
        s->removed = false;
        if (moved) {
            s->addr = *addr;
            s->tries = 0;
            s->next_ns = 0;
        }
        s->told = s->told || addr->family != 0;
        if (moved && s->out != NULL) {
            s->out->broken = ST_ABORTED;
        }
    }
    peers_unlock(p);
    env_poller_wake(p->env, p->poller);
    return s != NULL ? ST_OK : ST_TOOBIG;
}

void peers_remove(struct peers *p, uint64_t id, uint64_t incarnation)
{
    peers_lock(p);
    struct peers_slot *s = peers_slot(p, id);
    if (s != NULL) {
        s->removed = true;
        s->removed_life = incarnation;
        s->told = false;
    }
    peers_unlock(p);
    env_poller_wake(p->env, p->poller);
}

bool peers_find(struct peers *p, uint64_t id, struct env_addr *addr)
{
    peers_lock(p);
    const struct peers_slot *s = peers_slot(p, id);
    bool known = s != NULL && !s->removed && s->addr.family != 0;
    if (known) {
        *addr = s->addr;
    }
    peers_unlock(p);
    return known;
}

/* ---- sending ---- */

/* Messages that carry entries may fill the queue; the small ones have a little room beyond. */
static bool room_for(const struct peers *p, const struct peers_link *l, const struct raft_msg *m,
                     const struct raft_entry *entries)
{
    size_t queued = peers_link_queued(l);
    size_t size = 256;
    for (uint32_t i = 0; i < m->count; i++) {
        size += entries[i].data.size + 16;
    }
    /* Before the handshake is done only a little waits: it grows old. */
    size_t limit = l->state == LINK_UP ? p->o.queue_max : 0;
    limit += m->count == 0 || l->state != LINK_UP ? PEERS_RESERVE : 0;
    return (queued == 0 && l->state == LINK_UP) || (queued <= limit && size <= limit - queued);
}

static enum status message_queue(struct peers *p, struct peers_slot *s, const struct raft_msg *m,
                                 const struct raft_entry *entries)
{
    struct peers_link *l = s->out;
    if (l == NULL || l->broken != ST_OK) {
        return ST_NOTCONN;
    }
    if (!room_for(p, l, m, entries)) {
        ENV_PROBE(p->env, "peers: a queue is full");
        return ST_BUSY;
    }
    size_t before = l->filling.size;
    enum status st = peerwire_append(&p->wire, m, entries, &l->filling);
    if (st == ST_OK) {
        s->dirty = true;
        s->stats.sent++;
        s->stats.sent_bytes += l->filling.size - before;
    }
    return st;
}

enum status peers_send(struct peers *p, const struct raft_msg *m, const struct raft_entry *entries)
{
    bool wake = false;
    enum status st = ST_NOENT;
    peers_lock(p);
    struct peers_slot *s = peers_slot(p, m->to);
    if (s != NULL && !s->removed) {
        st = message_queue(p, s, m, entries);
        if (st != ST_OK) {
            s->stats.dropped++;
            wake = !s->lost;
            s->lost = true;
        }
    }
    peers_unlock(p);
    if (wake) {
        env_poller_wake(p->env, p->poller);
    }
    return st;
}

void peers_flush(struct peers *p)
{
    bool wake = false;
    peers_lock(p);
    for (size_t i = 0; i < p->count; i++) {
        struct peers_slot *s = p->slots[i];
        struct peers_link *l = s->out;
        if (!s->dirty || l == NULL || l->state != LINK_UP || l->broken != ST_OK) {
            continue;
        }
        s->dirty = false;
        if (l->conn.interest & ENV_OUT) {
            continue; /* the socket is full: the thread goes on when it is not */
        }
        enum status st = peers_link_flush(l);
        if (st != ST_OK) {
            l->broken = st == ST_AGAIN ? ST_OK : st;
            l->attention = true;
            wake = true;
        }
    }
    peers_unlock(p);
    if (wake) {
        env_poller_wake(p->env, p->poller);
    }
}

void peers_resume(struct peers *p)
{
    peers_lock(p);
    p->resume = true;
    peers_unlock(p);
    env_poller_wake(p->env, p->poller);
}

/* ---- the thread ---- */

static void removed_end(struct peers *p, struct peers_slot *s)
{
    if (s->out != NULL) {
        s->out->why = "it was removed";
        peers_dial_fail(p, s->out, ST_ABORTED);
        s->lost = false;
    }
    if (s->in != NULL) {
        peers_link_free(p, s->in);
    }
}

/* What is to be told when the lock is not held: ids of nodes. */
struct told {
    size_t lost_count;
    size_t admitted_count;
    uint64_t lost[PEERS_MAX];
    uint64_t admitted[PEERS_MAX];
};

/* What is due of each node. */
static void slots_run(struct peers *p, struct told *t)
{
    for (size_t i = 0; i < p->count; i++) {
        struct peers_slot *s = p->slots[i];
        if (s->removed) {
            removed_end(p, s);
        }
        peers_dial_tick(p, s);
        if (s->lost) {
            s->lost = false;
            t->lost[t->lost_count++] = s->id;
        }
        if (s->admitted) {
            s->admitted = false;
            t->admitted[t->admitted_count++] = s->id;
        }
    }
}

static void tell(struct peers *p, const struct told *t)
{
    for (size_t i = 0; i < t->admitted_count && p->o.admitted != NULL; i++) {
        p->o.admitted(p->o.arg, t->admitted[i]);
    }
    for (size_t i = 0; i < t->lost_count && p->o.lost != NULL; i++) {
        p->o.lost(p->o.arg, t->lost[i]);
    }
}

static void links_run(struct peers *p, bool resume)
{
    for (struct list *n = p->links.next; n != &p->links;) {
        struct peers_link *l = LIST_ENTRY(n, struct peers_link, node);
        uint64_t token = l->token;
        n = n->next;
        if (l->state < LINK_STRANGER) {
            continue;
        }
        if (resume) {
            peers_take_resume(p, l);
        }
        if (conntab_find(&p->tokens, token) != NULL) {
            peers_take_tick(p, l);
        }
    }
}

/* Everything but events. False: the end. */
static bool turn_begin(struct peers *p)
{
    struct told told;
    told.lost_count = told.admitted_count = 0;
    p->now_ns = env_clock_mono(p->env);
    peers_lock(p);
    bool on = !p->stopping;
    bool resume = p->resume;
    p->resume = false;
    if (on) {
        slots_run(p, &told);
    }
    peers_unlock(p);
    if (!on) {
        return false;
    }
    tell(p, &told);
    links_run(p, resume);
    if (p->now_ns >= p->accept_ns) {
        peers_take_accept(p);
    }
    if (p->o.settled != NULL) {
        p->o.settled(p->o.arg);
    }
    return true;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_deadline(struct peers *p)
{
    uint64_t at = p->accept_ns;
    peers_lock(p);
    for (size_t i = 0; i < p->count; i++) {
        at = p->slots[i]->lost ? 0 : earlier(at, peers_dial_next(p, p->slots[i]));
    }
    peers_unlock(p);
    for (struct list *n = p->links.next; n != &p->links; n = n->next) {
        const struct peers_link *l = LIST_ENTRY(n, struct peers_link, node);
        if (l->state >= LINK_STRANGER) {
            at = earlier(at, peers_take_next(p, l));
        }
    }
    return at;
}

static void events_run(struct peers *p, const struct env_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        if (events[i].token == LISTENER_TOKEN) {
            peers_take_accept(p);
            continue;
        }
        struct peers_link *l = conntab_find(&p->tokens, events[i].token);
        if (l == NULL) {
            ENV_PROBE(p->env, "peers: a stale event is ignored");
        } else if (l->state >= LINK_STRANGER) {
            peers_take_event(p, l, events[i].ready);
        } else {
            peers_lock(p);
            peers_dial_event(p, l, events[i].ready);
            peers_unlock(p);
        }
    }
}

static void peers_run(void *arg)
{
    struct peers *p = (struct peers *)arg;
    struct env_event events[EVENTS_MAX];
    while (turn_begin(p)) {
        int count = 0;
        enum status st =
            env_poller_wait(p->env, p->poller, events, EVENTS_MAX, next_deadline(p), &count);
        p->now_ns = env_clock_mono(p->env);
        if (st == ST_OK) {
            events_run(p, events, count);
        } else if (st != ST_INTR) {
            nodelog_line(&p->log, ENV_LOG_ERROR, "poller of the peers: %s", status_text(st));
        }
    }
}

/* ---- beginning and end ---- */

static void defaults_fill(struct peers_options *o)
{
    o->connect_ms = o->connect_ms != 0 ? o->connect_ms : 1000;
    o->silence_ms = o->silence_ms != 0 ? o->silence_ms : 1000;
    o->ping_ms = o->ping_ms != 0 ? o->ping_ms : (o->silence_ms + 3) / 4;
    o->retry_least_ms = o->retry_least_ms != 0 ? o->retry_least_ms : 20;
    o->retry_most_ms = o->retry_most_ms != 0 ? o->retry_most_ms : 500;
    o->queue_max = o->queue_max != 0 ? o->queue_max : 16u << 20;
    o->frame_max = o->frame_max != 0 ? o->frame_max : 80u << 20;
    o->strangers_max = o->strangers_max != 0 ? o->strangers_max : 16;
}

static enum status listen_begin(struct peers *p, struct err *err)
{
    char text[ADDR_TEXT_MAX];
    enum status st = env_poller_open(p->env, &p->poller);
    if (st != ST_OK) {
        p->poller = -1;
        return err_status(err, st, "poller");
    }
    st = env_sock_listen(p->env, &p->o.listen, BACKLOG, &p->listener);
    if (st != ST_OK) {
        p->listener = -1;
        err_set(err, "cannot listen for nodes on %s: %s", addr_format(&p->o.listen, text),
                status_text(st));
        return st;
    }
    st = env_sock_local(p->env, p->listener, &p->listen);
    if (st == ST_OK) {
        st = env_poller_set(p->env, p->poller, p->listener, ENV_IN, LISTENER_TOKEN);
    }
    if (p->o.advertise.family == 0) {
        p->o.advertise = p->listen;
    }
    return st == ST_OK ? ST_OK : err_status(err, st, "cannot listen for nodes");
}

enum status peers_open(const struct peers_options *o, struct peers **peers, struct err *err)
{
    CK(o->self != 0);
    CK(o->deliver != NULL);
    *peers = NULL;
    struct peers *p = mem_zalloc(&o->env->mem, sizeof *p);
    if (p == NULL) {
        return err_status(err, ST_NOMEM, "peers");
    }
    p->env = o->env;
    p->o = *o;
    defaults_fill(&p->o);
    p->log = (struct nodelog){o->env, o->log_least};
    p->hardware = (env_cpu_features(o->env) & ENV_CPU_CRC32C) != 0;
    p->wire = (struct peerwire){.mem = &o->env->mem, .hardware = p->hardware};
    p->poller = -1;
    p->listener = -1;
    p->accept_ns = ENV_NEVER;
    conntab_init(&p->tokens, &o->env->mem);
    list_init(&p->links);
    pbarena_init(&p->arena, &o->env->mem, ARENA_LIMIT, ARENA_KEEP);
    env_mutex_init(p->env, &p->m);
    enum status st = listen_begin(p, err);
    if (st != ST_OK) {
        peers_close(p);
        return st;
    }
    *peers = p;
    return ST_OK;
}

enum status peers_start(struct peers *p)
{
    CK(!p->started);
    enum status st = env_thread_start(p->env, &p->thread, "peers", peers_run, p);
    p->started = st == ST_OK;
    return st;
}

static void thread_end(struct peers *p)
{
    if (p->started) {
        peers_lock(p);
        p->stopping = true;
        peers_unlock(p);
        env_poller_wake(p->env, p->poller);
        env_thread_join(p->env, &p->thread);
    }
}

void peers_close(struct peers *p)
{
    if (p == NULL) {
        return;
    }
    thread_end(p);
    while (!list_empty(&p->links)) {
        peers_link_free(p, LIST_ENTRY(p->links.next, struct peers_link, node));
    }
    for (size_t i = 0; i < p->count; i++) {
        mem_release(&p->env->mem, p->slots[i]);
    }
    conntab_release(&p->tokens);
    pbarena_release(&p->arena);
    peerwire_release(&p->wire);
    env_mutex_release(p->env, &p->m);
    if (p->listener >= 0) {
        (void)env_fd_close(p->env, p->listener);
    }
    if (p->poller >= 0) {
        (void)env_fd_close(p->env, p->poller);
    }
    mem_release(&p->env->mem, p);
}

struct env_addr peers_address(const struct peers *p)
{
    return p->listen;
}

/* ---- for people ---- */

static void row_fill(const struct peers_slot *s, struct peers_stats *row)
{
    *row = s->stats;
    row->id = s->id;
    row->addr = s->addr;
    row->removed = s->removed;
    row->up = s->out != NULL && s->out->state == LINK_UP;
    row->heard = s->in != NULL;
    row->queued = s->out != NULL ? peers_link_queued(s->out) : 0;
}

size_t peers_stats(struct peers *p, struct peers_stats *rows, size_t most,
                   struct peers_totals *totals)
{
    size_t count = 0;
    uint64_t least = 0;
    peers_lock(p);
    while (count < most) {
        const struct peers_slot *next = NULL;
        for (size_t i = 0; i < p->count; i++) {
            const struct peers_slot *s = p->slots[i];
            next = s->id > least && (next == NULL || s->id < next->id) ? s : next;
        }
        if (next == NULL) {
            break;
        }
        row_fill(next, &rows[count++]);
        least = next->id;
    }
    if (totals != NULL) {
        *totals = p->totals;
    }
    peers_unlock(p);
    return count;
}
