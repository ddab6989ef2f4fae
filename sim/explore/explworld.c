/* explworld.c - see explworld.h. */
#include "sim/explore/explworld.h"

#include "base/ck.h"
#include "sim/simck.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FETCHES (2 * EXPLWORLD_NODES)

__attribute__((format(printf, 2, 3))) static void wrong(struct explworld *w, const char *format,
                                                        ...)
{
    va_list args;
    if (w->what[0] == '\0') {
        va_start(args, format);
        (void)vsnprintf(w->what, sizeof w->what, format, args);
        va_end(args);
    }
}

#define U(x) ((unsigned long long)(x))

static void mark(struct explworld *w, enum explore_mark m)
{
    w->marks |= UINT64_C(1) << m;
}

/* ---- configurations ---- */

static uint16_t config_pack(const struct raft_config *c)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        CK(c->members[i].id >= 1 && c->members[i].id <= EXPLWORLD_NODES);
        bits |= (uint32_t)c->members[i].roles << (EXPLWORLD_ROLE_BITS * (c->members[i].id - 1));
    }
    return (uint16_t)bits;
}

static void config_unpack(uint16_t bits, struct raft_config *c)
{
    c->count = 0;
    for (uint32_t id = 1; id <= EXPLWORLD_NODES; id++) {
        uint8_t roles = (uint8_t)(bits >> (EXPLWORLD_ROLE_BITS * (id - 1)) & EXPLWORLD_ROLE_MASK);
        if (roles != 0) {
            c->members[c->count++] = (struct raft_member){id, 1, roles};
        }
    }
}

/* Voters of a mask, as a configuration. */
static void config_of_mask(uint32_t mask, struct raft_config *c)
{
    c->count = 0;
    for (uint32_t id = 1; id <= EXPLWORLD_NODES; id++) {
        if ((mask >> (id - 1) & 1) != 0) {
            c->members[c->count++] = (struct raft_member){id, 1, RAFT_IN};
        }
    }
}

/* ---- entries ---- */

static bool entry_equal(struct explworld_entry a, struct explworld_entry b)
{
    return a.term == b.term && a.kind == b.kind && a.what == b.what;
}

/* LM: what a node puts at index i is what any other has there under the same term, with the same
 * entry before it. */
static void check_match(struct explworld *w, uint64_t id, uint64_t i)
{
    const struct explworld_node *n = &w->node[id];
    for (uint64_t other = 1; other <= w->preset->nodes; other++) {
        const struct explworld_node *o = &w->node[other];
        if (other == id || i > o->last || o->log[i].term != n->log[i].term) {
            continue;
        }
        if (!entry_equal(o->log[i], n->log[i]) || o->log[i - 1].term != n->log[i - 1].term) {
            wrong(w, "LM: nodes %llu and %llu differ at entry %llu of term %u", U(id), U(other),
                  U(i), n->log[i].term);
        }
    }
}

/* DU: of each half of the configuration a majority has the entry on disk. */
static bool on_quorum(const struct explworld *w, const struct raft_config *c, uint64_t i,
                      uint8_t role)
{
    uint32_t all = 0;
    uint32_t have = 0;
    for (uint32_t k = 0; k < c->count; k++) {
        if ((c->members[k].roles & role) != 0) {
            const struct explworld_node *n = &w->node[c->members[k].id];
            all++;
            have += i <= n->disk_last && entry_equal(n->disk[i], w->agreed[i]);
        }
    }
    return all == 0 || have > all / 2;
}

/* Node id says that entry i is committed. */
static void check_commit(struct explworld *w, uint64_t id, uint64_t i)
{
    const struct explworld_node *n = &w->node[id];
    if (i <= w->committed) {
        if (i > n->last || !entry_equal(n->log[i], w->agreed[i])) {
            wrong(w, "SM: node %llu commits another entry %llu than was committed before", U(id),
                  U(i));
        }
        return;
    }
    const struct raft_config *c = raft_config(explworld_core(w, id));
    w->committed = i;
    w->agreed[i] = n->log[i];
    w->agreed_in[i] = (uint8_t)explworld_view(w, id).term;
    mark(w, EXPLORE_COMMITTED);
    if (!on_quorum(w, c, i, RAFT_IN) || !on_quorum(w, c, i, RAFT_OUT)) {
        wrong(w, "DU: node %llu commits entry %llu, which no quorum has on disk", U(id), U(i));
    }
}

/* ES, LC. */
static void check_leader(struct explworld *w, uint64_t id)
{
    struct raft_view v = explworld_view(w, id);
    if (v.state != RAFT_LEADER || w->leader[v.term] == id) {
        return;
    }
    if (w->leader[v.term] != 0) {
        wrong(w, "ES: nodes %llu and %llu both lead term %llu", U(w->leader[v.term]), U(id),
              U(v.term));
    }
    w->leader[v.term] = id;
    mark(w, EXPLORE_LEADER);
    for (uint64_t o = 1; o <= w->preset->nodes; o++) {
        if (o != id && explworld_view(w, o).state == RAFT_LEADER) {
            mark(w, EXPLORE_TWO_LEADERS);
        }
    }
    const struct explworld_node *n = &w->node[id];
    for (uint64_t i = 1; i <= w->committed; i++) {
        if (w->agreed_in[i] < v.term && (i > n->last || !entry_equal(n->log[i], w->agreed[i]))) {
            wrong(w, "LC: node %llu leads term %llu without entry %llu, committed in term %u",
                  U(id), U(v.term), U(i), w->agreed_in[i]);
        }
    }
}

/* ---- the network ---- */

/* VD, HS: what leaves is on the disk. */
static void check_sent(struct explworld *w, const struct raft_msg *m)
{
    const struct explworld_node *n = &w->node[m->from];
    if (m->term > n->hard.term) {
        wrong(w, "HS: node %llu sends in term %llu, its disk says %llu", U(m->from), U(m->term),
              U(n->hard.term));
    }
    if (m->type == RAFT_MSG_VOTE_REPLY && m->ok &&
        (n->hard.term < m->term || (n->hard.term == m->term && n->hard.vote != m->to))) {
        wrong(w, "VD: node %llu gives node %llu a vote in term %llu that its disk does not know",
              U(m->from), U(m->to), U(m->term));
    }
}

static void net_remove(struct explworld *w, uint32_t i)
{
    w->net_count--;
    memmove(&w->net[i], &w->net[i + 1], (w->net_count - i) * sizeof w->net[0]);
}

/* A full net loses a message of the earliest term that is in it. */
static void net_room(struct explworld *w)
{
    uint32_t first = 0;
    for (uint32_t i = 1; i < w->net_count; i++) {
        first = w->net[i].m.term < w->net[first].m.term ? i : first;
    }
    net_remove(w, first);
    w->lost++;
}

static void leaves(struct explworld *w, const struct explworld_msg *m)
{
    check_sent(w, &m->m);
    if (w->net_count >= w->preset->net) {
        net_room(w);
    }
    struct explworld_msg *to = &w->net[w->net_count++];
    memcpy(to, m, sizeof *to);
    to->after = 0;
}

/* ---- a step and what comes of it ---- */

/* What a step leaves to be done at once. */
struct follow_up {
    uint64_t applied; /* up to here; 0: nothing */
    uint32_t fetch_count;
    struct raft_action fetches[FETCHES];
};

static void take_write(struct explworld *w, uint64_t id, const struct raft_write *save,
                       const struct explworld_entry *payload)
{
    struct explworld_node *n = &w->node[id];
    uint64_t count = save->hi - save->lo;
    if (n->write_count == EXPLWORLD_WRITES || count > EXPLWORLD_ITEMS ||
        save->hi > EXPLWORLD_LOG + 1) {
        w->cut = true;
        return;
    }
    CK(!save->has_snapshot && !save->repair);
    struct explworld_write *to = &n->writes[n->write_count++];
    *to = (struct explworld_write){.seq = save->seq,
                                   .has_hard = save->has_hard,
                                   .hard = save->hard,
                                   .truncate = save->truncate,
                                   .lo = save->lo,
                                   .hi = save->hi};
    if (save->truncate != 0) {
        n->last = save->truncate - 1;
    }
    for (uint64_t k = 0; k < count; k++) {
        const struct raft_item *item = &save->items[k];
        struct explworld_entry e = {.kind = item->kind};
        e.term = (uint8_t)(save->term != 0 ? save->term : item->term);
        if (!save->own) {
            e.what = payload[k + save->skip].what;
        } else if (item->kind == RAFT_CONFIG) {
            e.what = config_pack(item->config);
            mark(w, EXPLORE_JOINT);
        }
        to->entries[k] = e;
        n->last = save->lo + k;
        n->log[n->last] = e;
        check_match(w, id, n->last);
    }
}

static void take_send(struct explworld *w, uint64_t id, const struct raft_action *a,
                      const struct explworld_entry *payload)
{
    struct explworld_node *n = &w->node[id];
    struct explworld_msg m;
    memset(&m, 0, sizeof m);
    memcpy(&m.m, &a->msg, sizeof m.m);
    m.m.items = NULL;
    m.after = a->after;
    if (m.m.to < 1 || m.m.to > w->preset->nodes) {
        return;
    }
    if (m.m.count > EXPLWORLD_ITEMS) {
        w->cut = true;
        return;
    }
    for (uint32_t k = 0; k < m.m.count; k++) {
        uint64_t i = m.m.place.index + (m.m.type == RAFT_MSG_APPEND) + k;
        if (m.m.type == RAFT_MSG_PROPOSE) {
            m.entries[k] = payload[k];
        } else if (i > n->last) {
            wrong(w, "C4: node %llu sends entry %llu, which it does not have", U(id), U(i));
        } else {
            m.entries[k] = n->log[i];
        }
    }
    if (m.after <= n->told) {
        leaves(w, &m);
    } else if (n->held_count == EXPLWORLD_HELD) {
        w->cut = true;
    } else {
        memcpy(&n->held[n->held_count++], &m, sizeof m);
    }
}

static void take_action(struct explworld *w, uint64_t id, const struct raft_action *a,
                        const struct explworld_entry *payload, struct follow_up *f)
{
    switch (a->type) {
    case RAFT_SEND:
        take_send(w, id, a, payload);
        break;
    case RAFT_FETCH:
        CK(f->fetch_count < FETCHES);
        f->fetches[f->fetch_count++] = *a;
        break;
    case RAFT_READY: {
        uint64_t asked = w->asked[a->context - 1];
        uint64_t applied = explworld_view(w, id).applied;
        mark(w, EXPLORE_READ);
        if (applied < asked) {
            wrong(w, "RD: node %llu serves a read at %llu, %llu were committed when it was asked",
                  U(id), U(applied), U(asked));
        }
        break;
    }
    default: /* answers to proposals, changes and reads; snapshots, which nobody needs here */
        break;
    }
}

/* A step whose failed assertion is a violation, and not the end of the search. */
static enum status step_caught(struct explworld *w, uint64_t id, const struct raft_event *event,
                               struct raft_out *out)
{
    struct simck_trap trap;
    volatile enum status st = ST_STOPPED; /* read after the jump */
    if (setjmp(trap.at) == 0) {
        simck_trap_set(&trap);
        st = raft_step(explworld_core(w, id), event, out);
    } else {
        wrong(w, "node %llu: %s", U(id), trap.why);
    }
    simck_trap_set(NULL);
    return st;
}

static void step_once(const struct explworld_tools *t, struct explworld *w, uint64_t id,
                      const struct raft_event *event, const struct explworld_entry *payload,
                      struct follow_up *f)
{
    struct raft_out out = {.actions = t->actions, .cap = t->action_cap};
    uint64_t commit = explworld_view(w, id).commit;
    enum status st = step_caught(w, id, event, &out);
    if (st != ST_OK) {
        wrong(w, "node %llu refuses event %u: %s", U(id), event->type, status_name(st));
        return;
    }
    if (out.save.seq != 0) {
        take_write(w, id, &out.save, payload);
    }
    if (w->cut) {
        return;
    }
    uint64_t now = explworld_view(w, id).commit;
    if (now < commit) {
        wrong(w, "CM: node %llu takes its commit index back from %llu to %llu", U(id), U(commit),
              U(now));
    }
    for (uint64_t i = commit + 1; i <= now; i++) {
        check_commit(w, id, i);
    }
    check_leader(w, id);
    for (uint32_t i = 0; i < out.count && !w->cut; i++) {
        take_action(w, id, &out.actions[i], payload, f);
    }
    if (out.apply_hi > out.apply_lo) {
        f->applied = out.apply_hi - 1;
    }
}

static bool goes_on(const struct explworld *w)
{
    return !w->cut && w->what[0] == '\0';
}

/* One event, and what it leads to within the node at once: applying and reading old entries take
 * no time in this world. */
static void step(const struct explworld_tools *t, struct explworld *w, uint64_t id,
                 const struct raft_event *event, const struct explworld_entry *payload)
{
    struct follow_up f = {.applied = 0};
    step_once(t, w, id, event, payload, &f);
    while (goes_on(w) && (f.applied != 0 || f.fetch_count > 0)) {
        struct raft_event e = {.type = RAFT_EV_APPLIED, .index = f.applied};
        if (f.applied == 0) {
            const struct raft_action *a = &f.fetches[--f.fetch_count];
            e = (struct raft_event){
                .type = RAFT_EV_FETCHED, .node = a->node, .lo = a->lo, .hi = a->hi, .bytes = 1};
        }
        f.applied = 0;
        step_once(t, w, id, &e, NULL, &f);
    }
}

/* ---- disks ---- */

static void release_held(struct explworld *w, struct explworld_node *n)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n->held_count; i++) {
        if (n->held[i].after <= n->told) {
            leaves(w, &n->held[i]);
        } else {
            memmove(&n->held[kept++], &n->held[i], sizeof n->held[0]);
        }
    }
    n->held_count = kept;
}

/* The node's oldest write becomes durable, and the core hears of it. */
static void persist(const struct explworld_tools *t, struct explworld *w, uint64_t id)
{
    struct explworld_node *n = &w->node[id];
    const struct explworld_write *from = &n->writes[0];
    if (from->has_hard) {
        if (from->hard.term < n->hard.term) {
            wrong(w, "HS: node %llu puts term %llu over %llu", U(id), U(from->hard.term),
                  U(n->hard.term));
        }
        n->hard = from->hard;
    }
    if (from->truncate != 0) {
        if (from->truncate <= n->disk_last) {
            mark(w, EXPLORE_TRUNCATED);
        }
        n->disk_last = from->truncate - 1;
    }
    for (uint64_t i = from->lo; i < from->hi; i++) {
        n->disk[i] = from->entries[i - from->lo];
        n->disk_last = i;
    }
    n->told = from->seq;
    n->write_count--;
    memmove(&n->writes[0], &n->writes[1], n->write_count * sizeof n->writes[0]);
    release_held(w, n);
    if (goes_on(w)) {
        step(t, w, id, &(struct raft_event){.type = RAFT_EV_PERSISTED, .index = n->told}, NULL);
    }
}

/* A process of the node begins on what the disk has. */
static void start(const struct explworld_tools *t, struct explworld *w, uint64_t id)
{
    struct explworld_node *n = &w->node[id];
    struct raft_run runs[EXPLWORLD_LOG];
    struct raft_config config[2];
    struct raft_start s = {.hard = n->hard, .last = n->disk_last, .runs = runs};
    struct raft_options options = t->options;
    options.self = id;
    options.seed = ++n->lives;
    config_of_mask((1u << w->preset->voters) - 1, &config[0]);
    s.config = &config[0];
    for (uint64_t i = 1; i <= n->disk_last; i++) {
        if (s.run_count == 0 || n->disk[i].term != n->disk[i - 1].term) {
            runs[s.run_count++] = (struct raft_run){i, n->disk[i].term};
        }
        if (n->disk[i].kind == RAFT_CONFIG) {
            if (s.config_index > 0) {
                config[0] = config[1];
            }
            config_unpack(n->disk[i].what, &config[1]);
            s.before = &config[0];
            s.before_index = s.config_index;
            s.config = &config[1];
            s.config_index = i;
        }
    }
    n->last = n->disk_last;
    memcpy(n->log, n->disk, sizeof n->log);
    n->told = 0;
    n->write_count = 0;
    n->held_count = 0;
    struct raft *r = raft_init(explworld_core(w, id), &options);
    CK(r != NULL);
    step(t, w, id, &(struct raft_event){.type = RAFT_EV_START, .start = &s}, NULL);
}

static void crash(const struct explworld_tools *t, struct explworld *w, uint64_t id)
{
    const struct explworld_node *n = &w->node[id];
    for (uint32_t i = 0; i < n->write_count; i++) {
        if (n->writes[i].has_hard && n->writes[i].hard.vote != 0) {
            mark(w, EXPLORE_CRASHED_VOTE);
        }
    }
    start(t, w, id);
}

/* ---- moves ---- */

static void force(const struct explworld_tools *t, struct explworld *w, uint64_t id,
                  enum raft_force what)
{
    step(t, w, id, &(struct raft_event){.type = RAFT_EV_TIME, .force = (uint8_t)what}, NULL);
}

static bool asks_for_votes(const struct raft_msg *m)
{
    return m->type == RAFT_MSG_VOTE || m->type == RAFT_MSG_PREVOTE;
}

static void deliver(const struct explworld_tools *t, struct explworld *w, uint32_t at, bool stays)
{
    struct explworld_msg m;
    struct raft_item items[EXPLWORLD_ITEMS];
    struct raft_config configs[EXPLWORLD_ITEMS];
    memcpy(&m, &w->net[at], sizeof m);
    if (!stays) {
        net_remove(w, at);
    }
    for (uint32_t k = 0; k < m.m.count; k++) {
        const struct explworld_entry *e = &m.entries[k];
        items[k] = (struct raft_item){.term = e->term, .kind = e->kind, .bytes = 8};
        if (e->kind == RAFT_CONFIG) {
            config_unpack(e->what, &configs[k]);
            items[k].config = &configs[k];
        }
    }
    m.m.items = m.m.count > 0 ? items : NULL;
    if (asks_for_votes(&m.m)) {
        force(t, w, m.m.to, RAFT_FORCE_LAPSE); /* who is bound to a leader loses it: no news */
    }
    step(t, w, m.m.to, &(struct raft_event){.type = RAFT_EV_RECEIVE, .msg = &m.m}, m.entries);
}

/* An answer of a term that is over, on the disk too, of who asked. */
static bool is_stale(const struct explworld *w, const struct raft_msg *m)
{
    bool answer = m->type == RAFT_MSG_VOTE_REPLY || m->type == RAFT_MSG_APPEND_REPLY ||
                  m->type == RAFT_MSG_HEARTBEAT_REPLY;
    return answer && m->term < w->node[m->to].hard.term;
}

/* Stale answers are to change nothing, whenever they come: they come at once, so that states which
 * differ in them alone are one, and a core that does heed them is still caught. */
static void net_settle(const struct explworld_tools *t, struct explworld *w)
{
    for (uint32_t i = 0; goes_on(w) && i < w->net_count;) {
        if (is_stale(w, &w->net[i].m)) {
            deliver(t, w, i, false);
            i = 0;
        } else {
            i++;
        }
    }
}

static void propose(const struct explworld_tools *t, struct explworld *w, uint64_t id)
{
    struct explworld_entry e = {.kind = RAFT_COMMAND, .what = ++w->proposals};
    struct raft_item item = {.kind = RAFT_COMMAND, .bytes = 8};
    struct raft_event event = {
        .type = RAFT_EV_PROPOSE, .items = &item, .count = 1, .context = w->proposals};
    step(t, w, id, &event, &e);
}

static void change(const struct explworld_tools *t, struct explworld *w, uint64_t id)
{
    struct raft_config c;
    config_of_mask(w->preset->change[w->changes++], &c);
    step(t, w, id, &(struct raft_event){.type = RAFT_EV_CONFIGURE, .config = &c, .context = 1},
         NULL);
}

static void ask(const struct explworld_tools *t, struct explworld *w, uint64_t id)
{
    w->asked[w->reads++] = w->committed;
    step(t, w, id, &(struct raft_event){.type = RAFT_EV_READ, .context = w->reads}, NULL);
}

void explworld_make(const struct explworld_tools *t, struct explworld *w, explworld_move move)
{
    uint32_t at = explworld_at_of(move);
    switch (explworld_kind_of(move)) {
    case EXPLWORLD_TIMEOUT:
        force(t, w, at, RAFT_FORCE_ELECTION);
        break;
    case EXPLWORLD_BEAT:
        w->beats++;
        force(t, w, at, RAFT_FORCE_HEARTBEAT);
        break;
    case EXPLWORLD_DELIVER:
        deliver(t, w, at, false);
        break;
    case EXPLWORLD_TWICE:
        w->twice++;
        deliver(t, w, at, true);
        break;
    case EXPLWORLD_PERSIST:
        persist(t, w, at);
        break;
    case EXPLWORLD_CRASH:
        w->crashes++;
        crash(t, w, at);
        break;
    case EXPLWORLD_PROPOSE:
        propose(t, w, at);
        break;
    case EXPLWORLD_CHANGE:
        change(t, w, at);
        break;
    case EXPLWORLD_READ:
        ask(t, w, at);
        break;
    }
    for (uint64_t id = 1; w->preset->instant && id <= w->preset->nodes; id++) {
        while (goes_on(w) && w->node[id].write_count > 0) {
            persist(t, w, id);
        }
    }
    net_settle(t, w);
}

/* Is the i-th message the same as an earlier one? */
static bool repeated(const struct explworld *w, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++) {
        if (memcmp(&w->net[k], &w->net[i], sizeof w->net[0]) == 0) {
            return true;
        }
    }
    return false;
}

/* A leader that hears no quorum steps down by itself: until then nobody unseats it by asking. */
static bool is_ignored(const struct explworld *w, const struct raft_msg *m)
{
    struct raft_view v = explworld_view(w, m->to);
    return asks_for_votes(m) && !m->transfer && m->term >= v.term && v.state == RAFT_LEADER;
}

static uint32_t node_moves(const struct explworld *w, uint64_t id, explworld_move *moves)
{
    const struct explore_preset *p = w->preset;
    struct raft_view v = explworld_view(w, id);
    bool leads = v.state == RAFT_LEADER;
    uint32_t n = 0;
    if (v.term < p->terms) { /* a leader that hears no quorum steps down */
        moves[n++] = explworld_move_of(EXPLWORLD_TIMEOUT, (uint32_t)id);
    }
    if (leads && w->beats < p->beats) {
        moves[n++] = explworld_move_of(EXPLWORLD_BEAT, (uint32_t)id);
    }
    if (w->node[id].write_count > 0) {
        moves[n++] = explworld_move_of(EXPLWORLD_PERSIST, (uint32_t)id);
    }
    if (w->crashes < p->crashes) {
        moves[n++] = explworld_move_of(EXPLWORLD_CRASH, (uint32_t)id);
    }
    if (leads && w->proposals < p->proposals) {
        moves[n++] = explworld_move_of(EXPLWORLD_PROPOSE, (uint32_t)id);
    }
    if (leads && w->changes < p->changes) {
        moves[n++] = explworld_move_of(EXPLWORLD_CHANGE, (uint32_t)id);
    }
    if (w->reads < p->reads && (leads || v.leader != 0)) {
        moves[n++] = explworld_move_of(EXPLWORLD_READ, (uint32_t)id);
    }
    return n;
}

uint32_t explworld_moves(const struct explworld *w, explworld_move *moves)
{
    const struct explore_preset *p = w->preset;
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->net_count; i++) {
        if (repeated(w, i) || is_ignored(w, &w->net[i].m)) {
            continue;
        }
        moves[n++] = explworld_move_of(EXPLWORLD_DELIVER, i);
        if (w->twice < p->twice) {
            moves[n++] = explworld_move_of(EXPLWORLD_TWICE, i);
        }
    }
    for (uint64_t id = 1; id <= p->nodes; id++) {
        n += node_moves(w, id, moves + n);
    }
    CK(n <= EXPLWORLD_MOVES);
    return n;
}

/* ---- life ---- */

enum status explworld_tools_init(struct explworld_tools *t, struct mem *mem,
                                 const struct explore_preset *p)
{
    CK(p->nodes <= EXPLWORLD_NODES && p->net <= EXPLWORLD_NET && p->terms <= EXPLWORLD_TERMS);
    CK(p->reads <= EXPLWORLD_READS);
    CK(p->reads == 0 || p->crashes == 0);
    *t = (struct explworld_tools){.mem = mem};
    t->options = (struct raft_options){
        .cluster = 1,
        .self = 1,
        .incarnation = 1,
        .election = 1000,
        .heartbeat = 100,
        .no_prevote = !p->prevote,
        .lazy_commit = true,
        .members = EXPLWORLD_NODES,
        .runs = 16,
        .window = 64,
        .reads = EXPLWORLD_READS,
        .message_entries = p->message_entries != 0 ? p->message_entries : EXPLWORLD_ITEMS,
    };
    size_t core = raft_size(&t->options);
    CK(core > 0);
    t->size = sizeof(struct explworld) + p->nodes * core;
    struct raft *r = mem_alloc(mem, core);
    if (r != NULL) {
        t->action_cap = raft_actions_max(raft_init(r, &t->options));
        t->actions = mem_alloc(mem, t->action_cap * sizeof *t->actions);
    }
    mem_release(mem, r);
    return t->actions != NULL ? ST_OK : ST_NOMEM;
}

void explworld_tools_release(struct explworld_tools *t)
{
    mem_release(t->mem, t->actions);
    t->actions = NULL;
}

/* Delivers the message of this type between these two. */
static void pass(const struct explworld_tools *t, struct explworld *w, unsigned type, uint64_t from,
                 uint64_t to)
{
    uint32_t i = 0;
    while (i < w->net_count &&
           (w->net[i].m.type != type || w->net[i].m.from != from || w->net[i].m.to != to)) {
        i++;
    }
    CK(i < w->net_count);
    explworld_make(t, w, explworld_move_of(EXPLWORLD_DELIVER, i));
}

/* One of what came before: a leader was elected by another's vote, and nobody heard of it. */
static void prelude(const struct explworld_tools *t, struct explworld *w,
                    const struct explworld_election *e)
{
    CK(w->preset->instant && !w->preset->prevote);
    while (explworld_view(w, e->leader).term < e->term) {
        w->net_count = 0;
        explworld_make(t, w, explworld_move_of(EXPLWORLD_TIMEOUT, e->leader));
    }
    pass(t, w, RAFT_MSG_VOTE, e->leader, e->voter);
    pass(t, w, RAFT_MSG_VOTE_REPLY, e->voter, e->leader);
    CK(explworld_view(w, e->leader).state == RAFT_LEADER);
    w->net_count = 0;
}

void explworld_begin(const struct explworld_tools *t, struct explworld *w,
                     const struct explore_preset *p)
{
    memset(w, 0, sizeof *w);
    w->preset = p;
    w->core_size = raft_size(&t->options);
    for (uint64_t id = 1; id <= p->nodes; id++) {
        start(t, w, id);
    }
    for (uint32_t i = 0; i < EXPLWORLD_PRELUDE && p->prelude[i].leader != 0; i++) {
        prelude(t, w, &p->prelude[i]);
    }
}

void explworld_copy(struct explworld *to, const struct explworld *from)
{
    memcpy(to, from, offsetof(struct explworld, node));
    to->core_size = from->core_size;
    for (uint32_t id = 1; id <= from->preset->nodes; id++) {
        const struct explworld_node *f = &from->node[id];
        struct explworld_node *n = &to->node[id];
        memcpy(n, f, offsetof(struct explworld_node, writes));
        memcpy(n->writes, f->writes, f->write_count * sizeof f->writes[0]);
        memcpy(n->held, f->held, f->held_count * sizeof f->held[0]);
        raft_copy(explworld_core(to, id), explworld_core(from, id));
    }
    memcpy(to->net, from->net, from->net_count * sizeof from->net[0]);
}
