/* soup.c - see soup.h: messages, steps, what comes of them, the network. */
#include "tests/raft/soup_int.h"

#include <stdarg.h>

void soup_wrong(struct soup *s, const char *format, ...)
{
    va_list args;
    if (soup_what(s)[0] == '\0') {
        va_start(args, format);
        (void)vsnprintf(s->what, sizeof s->what, format, args);
        va_end(args);
    }
}

void soup_trace(const struct soup *s, const char *format, ...)
{
    va_list args;
    if (s->traced) {
        va_start(args, format);
        (void)printf("# %llu: ", U(s->now));
        (void)vprintf(format, args);
        (void)printf("\n");
        va_end(args);
    }
}

const char *soup_what(const struct soup *s)
{
    return s->what[0] != '\0' ? s->what : s->watch.what;
}

uint64_t soup_clock(const struct soup *s, const struct soup_node *n)
{
    return n->clock_at + (s->now - n->clock_from) * n->rate / 1000000;
}

void soup_pace(struct soup *s, uint64_t id, uint64_t rate)
{
    s->node[id].clock_at = soup_clock(s, &s->node[id]);
    s->node[id].clock_from = s->now;
    s->node[id].rate = rate;
}

/* ---- messages ---- */

static void msg_free(struct soup_msg *m)
{
    free(m->entries);
    free(m->items);
}

static void list_push(struct soup_list *l, struct soup_msg m)
{
    GROW(l->msgs, l->count, l->cap);
    l->msgs[l->count++] = m;
}

static struct soup_msg list_take(struct soup_list *l, size_t i)
{
    struct soup_msg m = l->msgs[i];
    l->count--;
    memmove(&l->msgs[i], &l->msgs[i + 1], (l->count - i) * sizeof m);
    return m;
}

void soup_list_clear(struct soup_list *l)
{
    while (l->count > 0) {
        struct soup_msg m = list_take(l, l->count - 1);
        msg_free(&m);
    }
}

static const struct raft_config *keep_config(struct soup *s, const struct raft_config *c)
{
    GROW(s->configs, s->config_count, s->config_cap);
    struct raft_config *copy = malloc(sizeof *copy);
    memset(copy, 0, sizeof *copy);
    copy->count = c->count;
    memcpy(copy->members, c->members, c->count * sizeof c->members[0]);
    s->configs[s->config_count++] = copy;
    return copy;
}

/* The entries that a message names, out of the sender's log. */
static void attach(struct soup *s, struct soup_node *n, struct soup_msg *m, uint64_t first)
{
    m->entries = malloc((m->m.count + 1) * sizeof *m->entries);
    m->items = malloc((m->m.count + 1) * sizeof *m->items);
    for (uint32_t i = 0; i < m->m.count; i++) {
        const struct soup_entry *e = log_at(&n->log, first + i);
        if (e == NULL || e->id == LOST_ID) {
            soup_wrong(s, "C4: node %llu sends entry %llu, which it does not have", U(n->id),
                       U(first + i));
            m->m.count = i;
            break;
        }
        m->entries[i] = *e;
        m->items[i] = e->item;
    }
    m->m.items = m->items;
}

static struct soup_msg msg_copy(const struct soup_msg *m)
{
    struct soup_msg c = *m;
    c.entries = malloc((m->m.count + 1) * sizeof *c.entries);
    c.items = malloc((m->m.count + 1) * sizeof *c.items);
    if (m->entries != NULL) {
        memcpy(c.entries, m->entries, m->m.count * sizeof *c.entries);
        memcpy(c.items, m->items, m->m.count * sizeof *c.items);
    }
    c.m.items = m->m.items != NULL ? c.items : NULL;
    return c;
}

static void leaves(struct soup *s, struct soup_msg m)
{
    raftwatch_sent(&s->watch, &m.m);
    m.due = s->now + s->options.heartbeat / 10;
    bool cut = m.m.to > SOUP_NODES || s->cut[m.m.from][m.m.to];
    if (cut && m.m.type != RAFT_MSG_SNAPSHOT) { /* of a snapshot the driver hears */
        msg_free(&m);
    } else {
        list_push(&s->net, m);
    }
}

static void leave_or_hold(struct soup *s, struct soup_node *n, struct soup_msg m)
{
    if (m.after > n->told) {
        list_push(&n->held, m);
    } else {
        leaves(s, m);
    }
}

void soup_release_held(struct soup *s, struct soup_node *n)
{
    for (size_t i = 0; i < n->held.count;) {
        if (n->held.msgs[i].after <= n->told) {
            leaves(s, list_take(&n->held, i));
        } else {
            i++;
        }
    }
}

/* ---- what a step asks for ---- */

/* What a log can tell of a write that a crash tears. */
static void check_runs(struct soup *s, const struct soup_node *n, const struct soup_write *w)
{
    uint32_t runs = 0;
    for (uint64_t i = w->w.lo + 1; i < w->w.hi && !w->w.repair; i++) {
        const struct soup_entry *e = &w->entries[i - w->w.lo];
        runs += e->item.term != e[-1].item.term;
    }
    if (runs >= RAFT_WRITE_RUNS) {
        soup_wrong(s, "node %llu writes %u runs of terms at once", U(n->id), runs + 1);
    }
}

static void take_write(struct soup *s, struct soup_node *n, const struct soup_msg *from,
                       const struct soup_entry *payload)
{
    const struct raft_write *w = &s->out.save;
    struct soup_write copy = {.w = *w};
    copy.entries = malloc((w->hi - w->lo + 1) * sizeof *copy.entries);
    for (uint64_t i = w->lo; i < w->hi; i++) {
        struct soup_entry e = {w->items[i - w->lo], 0};
        if (!w->own && payload != NULL) {
            e = payload[i - w->lo + w->skip];
        }
        e.item.term = w->term != 0 ? w->term : w->items[i - w->lo].term;
        if (w->own && e.item.config != NULL) {
            e.item.config = keep_config(s, e.item.config);
        }
        copy.entries[i - w->lo] = e;
    }
    check_runs(s, n, &copy);
    if (w->has_snapshot) {
        copy.w.config = keep_config(s, w->config);
        copy.digest = from->digest;
    }
    if (w->has_snapshot) {
        n->apply_to = n->machine.place.index + 1; /* what was to be applied is not there now */
    }
    if (!w->repair) {
        log_write(&n->log, w, copy.entries);
    }
    GROW(n->writes, n->write_count, n->write_cap);
    n->writes[n->write_count++] = copy;
}

static void take_send(struct soup *s, struct soup_node *n, const struct raft_action *a,
                      const struct soup_entry *payload)
{
    struct soup_msg m = {.m = a->msg, .after = a->after};
    if (m.m.type == RAFT_MSG_APPEND) {
        uint64_t lo = m.m.place.index + 1;
        const uint64_t *cold = n->fetched[m.m.to % (SOUP_NODES + 1)];
        if (m.m.count > 0 && lo < n->warm && (lo < cold[0] || lo + m.m.count > cold[1])) {
            soup_wrong(s, "C4: node %llu sends %llu.., warm from %llu", U(n->id), U(lo),
                       U(n->warm));
        }
        attach(s, n, &m, lo);
    } else if (m.m.type == RAFT_MSG_FETCH_REPLY) {
        attach(s, n, &m, m.m.place.index);
    } else if (m.m.type == RAFT_MSG_PROPOSE) {
        m.entries = malloc(m.m.count * sizeof *m.entries);
        m.items = malloc(m.m.count * sizeof *m.items);
        for (uint32_t i = 0; i < m.m.count; i++) {
            m.entries[i] = payload[i];
            m.items[i] = payload[i].item;
        }
        m.m.items = m.items;
    }
    leave_or_hold(s, n, m);
}

static void take_snapshot(struct soup *s, struct soup_node *n, const struct raft_action *a)
{
    struct soup_msg m = {.m = a->msg, .after = a->after, .session = a->session};
    if (n->machine.place.index < a->lo) {
        soup_wrong(s, "node %llu wants a snapshot of %llu, %llu are applied", U(n->id), U(a->lo),
                   U(n->machine.place.index));
    }
    m.m.place = n->machine.place;
    m.m.config = keep_config(s, &n->machine.config);
    m.digest = n->machine.digest;
    leave_or_hold(s, n, m);
}

/* An answer may come twice: the one that nobody waits for any more is nothing. */
static void read_over(struct soup *s, struct soup_node *n, uint64_t context, bool served)
{
    for (size_t i = 0; i < s->read_count; i++) {
        if (s->reads[i].context == context && s->reads[i].node == n->id) {
            if (served) {
                raftwatch_served(&s->watch, n->core, s->reads[i].asked);
                s->reads_served++;
            }
            s->reads[i] = s->reads[--s->read_count];
            return;
        }
    }
}

static void take_action(struct soup *s, struct soup_node *n, const struct raft_action *a,
                        const struct soup_entry *payload)
{
    switch (a->type) {
    case RAFT_SEND:
        take_send(s, n, a, payload);
        break;
    case RAFT_FETCH:
        GROW(s->fetches, s->fetch_count, s->fetch_cap);
        s->fetches[s->fetch_count++] = (struct soup_fetch){n->id, a->node, a->lo, a->hi};
        break;
    case RAFT_SNAPSHOT:
        take_snapshot(s, n, a);
        break;
    case RAFT_READY:
        read_over(s, n, a->context, true);
        break;
    case RAFT_REPLY:
        s->replies[a->outcome]++;
        read_over(s, n, a->context, false);
        break;
    default:
        soup_wrong(s, "unknown action %u", a->type);
        break;
    }
}

static void tell_step(const struct soup *s, const struct soup_node *n, const struct raft_event *e)
{
    struct raft_view v;
    raft_view(n->core, &v);
    soup_trace(
        s,
        "node %llu event %u (%s %llu>%llu t%llu i%llu) term %llu state %u leader %llu log %llu "
        "durable %llu commit %llu applied %llu seen %llx",
        U(n->id), e->type, e->msg != NULL ? raftmsg_name(e->msg->type) : "",
        U(e->msg != NULL ? e->msg->from : 0), U(e->msg != NULL ? e->msg->to : 0),
        U(e->msg != NULL ? e->msg->term : 0), U(e->index), U(v.term), v.state, U(v.leader),
        U(v.last), U(v.durable), U(v.commit), U(v.applied), U(s->out.seen));
}

/* The core stands still for want of room for terms. */
static void make_room(struct soup *s, struct soup_node *n)
{
    struct raft_options o = s->options;
    struct raft *old = n->core;
    o.self = n->id;
    o.runs = n->runs *= 2;
    n->core = raft_copy_grown(malloc(raft_size(&o)), old, o.runs);
    n->wants_room = false;
    if (raft_digest(n->core) != raft_digest(old)) {
        soup_wrong(s, "node %llu is another when it has grown", U(n->id));
    }
    free(old);
}

/* One step, and all that comes of it but what takes time. */
static enum status step_with(struct soup *s, struct soup_node *n, const struct raft_event *event,
                             const struct soup_msg *from, const struct soup_entry *payload)
{
    struct raft_event e = *event;
    uint64_t ids[64];
    if (!soup_fine(s) || !n->up) {
        return ST_STOPPED;
    }
    if (n->wants_room) {
        make_room(s, n);
    }
    e.now = soup_clock(s, n);
    s->steps++;
    enum status st = raft_step(n->core, &e, &s->out);
    if (st != ST_OK) {
        soup_wrong(s, "node %llu refuses event %u: %s", U(n->id), e.type, status_name(st));
        return st;
    }
    s->seen |= s->out.seen;
    for (uint64_t seen = s->out.seen; seen != 0; seen &= seen - 1) {
        s->seen_count[__builtin_ctzll(seen)]++;
    }
    n->wants_snapshot = n->wants_snapshot || (s->out.seen & RAFT_SEEN(RAFT_SEEN_RUNS_FULL)) != 0;
    n->wants_room = n->wants_room || (s->out.seen & RAFT_SEEN(RAFT_SEEN_RUNS_STUCK)) != 0;
    const struct raft_write *w = &s->out.save;
    uint64_t *many = w->hi - w->lo > 64 ? malloc((w->hi - w->lo) * sizeof *many) : ids;
    for (uint64_t i = w->lo; i < w->hi; i++) {
        many[i - w->lo] = w->own || payload == NULL ? 0 : payload[i - w->lo + w->skip].id;
    }
    if (s->traced) {
        tell_step(s, n, &e);
    }
    raftwatch_stepped(&s->watch, n->core, &e, &s->out, many);
    if (many != ids) {
        free(many);
    }
    n->deadline = s->out.deadline;
    n->warm = s->out.warm;
    if (w->seq != 0) {
        take_write(s, n, from, payload);
    }
    if (s->out.apply_hi > s->out.apply_lo) {
        n->apply_to = s->out.apply_hi;
    }
    for (uint32_t i = 0; i < s->out.count; i++) {
        take_action(s, n, &s->out.actions[i], payload);
    }
    return ST_OK;
}

static void say_fetched(struct soup *s)
{
    while (s->fetch_count > 0) {
        struct soup_fetch f = s->fetches[--s->fetch_count];
        struct soup_node *n = &s->node[f.node];
        if (s->fetch_fails > 0) {
            s->fetch_fails--;
            (void)step_with(s, n, &(struct raft_event){.type = RAFT_EV_UNREACHABLE, .node = f.peer},
                            NULL, NULL);
            continue;
        }
        uint64_t hi = f.lo + 1 + prng_below(&s->prng, f.hi - f.lo);
        n->fetched[f.peer % (SOUP_NODES + 1)][0] = f.lo;
        n->fetched[f.peer % (SOUP_NODES + 1)][1] = hi;
        struct raft_event e = {.type = RAFT_EV_FETCHED, .node = f.peer, .lo = f.lo, .hi = hi};
        e.bytes = (hi - f.lo) * 10;
        (void)step_with(s, n, &e, NULL, NULL);
    }
}

enum status soup_step(struct soup *s, uint64_t id, const struct raft_event *event)
{
    enum status st = step_with(s, &s->node[id], event, NULL, NULL);
    say_fetched(s);
    return st;
}

void soup_event(struct soup *s, uint64_t id, enum raft_event_type type)
{
    (void)soup_step(s, id, &(struct raft_event){.type = (uint8_t)type});
}

void soup_force(struct soup *s, uint64_t id, enum raft_force force)
{
    (void)soup_step(s, id, &(struct raft_event){.type = RAFT_EV_TIME, .force = (uint8_t)force});
}

/* ---- clients ---- */

uint64_t soup_propose(struct soup *s, uint64_t id)
{
    struct raft_view before;
    struct raft_view after;
    if (!s->node[id].up || !soup_fine(s)) {
        return 0;
    }
    uint32_t bytes = (uint32_t)prng_below(&s->prng, 20);
    struct soup_entry e = {{.kind = RAFT_COMMAND, .bytes = bytes}, ++s->next_id};
    struct raft_event event = {.type = RAFT_EV_PROPOSE, .items = &e.item, .count = 1, .ok = true};
    event.context = ++s->next_id;
    soup_view(s, id, &before);
    (void)step_with(s, &s->node[id], &event, NULL, &e);
    soup_view(s, id, &after);
    say_fetched(s);
    return after.last > before.last ? after.last : 0;
}

void soup_read(struct soup *s, uint64_t id)
{
    if (s->node[id].up && soup_fine(s)) {
        GROW(s->reads, s->read_count, s->read_cap);
        s->reads[s->read_count++] =
            (struct soup_read){id, raftwatch_asked(&s->watch), ++s->next_id};
        struct raft_event e = {.type = RAFT_EV_READ, .ok = true, .context = s->next_id};
        (void)soup_step(s, id, &e);
    }
}

void soup_transfer(struct soup *s, uint64_t id, uint64_t to)
{
    struct raft_event e = {.type = RAFT_EV_TRANSFER, .node = to, .context = ++s->next_id};
    (void)soup_step(s, id, &e);
}

enum raft_outcome soup_change(struct soup *s, uint64_t id, const struct raft_config *config)
{
    uint64_t before[RAFT_OUTCOMES];
    struct raft_event e = {.type = RAFT_EV_CONFIGURE, .config = config, .context = ++s->next_id};
    memcpy(before, s->replies, sizeof before);
    (void)soup_step(s, id, &e);
    for (int i = 1; i < RAFT_OUTCOMES; i++) {
        if (s->replies[i] != before[i]) {
            return (enum raft_outcome)i;
        }
    }
    return RAFT_LOST;
}

/* ---- the network ---- */

static void tell_snapshot(struct soup *s, const struct soup_msg *m, bool ok)
{
    if (m->m.type == RAFT_MSG_SNAPSHOT && s->node[m->m.from].up) {
        struct raft_event e = {.type = RAFT_EV_SNAPSHOT_SENT, .node = m->m.to, .ok = ok};
        e.session = m->session;
        (void)soup_step(s, m->m.from, &e);
    }
}

void soup_lose(struct soup *s, size_t i)
{
    struct soup_msg m = list_take(&s->net, i);
    tell_snapshot(s, &m, false);
    msg_free(&m);
}

void soup_twice(struct soup *s, size_t i)
{
    list_push(&s->net, msg_copy(&s->net.msgs[i]));
}

void soup_deliver(struct soup *s, size_t i)
{
    struct soup_msg m = list_take(&s->net, i);
    struct soup_node *n = &s->node[m.m.to];
    if (n->up && !s->cut[m.m.from][m.m.to]) {
        struct raft_event e = {.type = RAFT_EV_RECEIVE, .msg = &m.m};
        s->delivered++;
        (void)step_with(s, n, &e, &m, m.entries);
        say_fetched(s);
        tell_snapshot(s, &m, true);
    } else {
        tell_snapshot(s, &m, false);
    }
    msg_free(&m);
}

long soup_find(const struct soup *s, unsigned type, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < s->net.count; i++) {
        const struct raft_msg *m = &s->net.msgs[i].m;
        if ((type == 0 || m->type == type) && (from == 0 || m->from == from) &&
            (to == 0 || m->to == to)) {
            return (long)i;
        }
    }
    return -1;
}

uint32_t soup_pass(struct soup *s, unsigned type, uint64_t from, uint64_t to)
{
    uint32_t n = 0;
    size_t left = s->net.count;
    for (size_t i = 0; left > 0 && soup_fine(s); left--) {
        const struct raft_msg *m = &s->net.msgs[i].m;
        bool wanted = (type == 0 || m->type == type) && (from == 0 || m->from == from) &&
                      (to == 0 || m->to == to);
        if (wanted) {
            soup_deliver(s, i);
            n++;
        } else {
            i++;
        }
    }
    return n;
}

void soup_split(struct soup *s, uint64_t a, uint64_t b, bool cut)
{
    s->cut[a][b] = s->cut[b][a] = cut;
}

void soup_isolate(struct soup *s, uint64_t id, bool cut)
{
    for (uint64_t other = 1; other <= SOUP_NODES; other++) {
        if (other != id) {
            soup_split(s, id, other, cut);
        }
    }
}
