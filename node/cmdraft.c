/* cmdraft.c - see cmdraft.h. */
#include "node/cmdraft.h"

#include "env/addr.h"
#include "node/node.h"
#include "node/rowkey.h"

#include <inttypes.h>
#include <stdio.h>

#define MS 1000000ull

/* ---- in the log ---- */

/* Decimal, above 0, of 64 bits: what lives are called does not fit into RESP's integers. */
static bool number_read(const struct call *c, uint32_t i, uint64_t *value)
{
    struct slice text = c->args[i];
    uint64_t v = 0;
    for (size_t k = 0; k < text.size; k++) {
        uint64_t digit = (uint64_t)(text.data[k] - '0');
        if (text.data[k] < '0' || text.data[k] > '9' || v > (UINT64_MAX - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
    }
    *value = v;
    return v > 0;
}

static void number_text(struct call *c, uint64_t v)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, v);
    reply_text(c->reply, text);
}

/* An address that everybody takes for one, as it is printed. */
static bool address_read(const struct call *c, uint32_t i, char text[ADDR_TEXT_MAX])
{
    struct env_addr addr;
    char copy[2 * ADDR_TEXT_MAX];
    int n = snprintf(copy, sizeof copy, "%.*s", (int)c->args[i].size, c->args[i].data);
    if (n < 0 || (size_t)n >= sizeof copy || addr_parse(copy, &addr, NULL) != ST_OK) {
        return false;
    }
    (void)addr_format(&addr, text);
    return true;
}

static enum status address_put(struct call *c, uint64_t node, const char *text)
{
    char key[ROWKEY_MAX];
    struct slice k = rowkey(key, CMDRAFT_ADDRESS_KIND, 1, node, 0);
    size_t size = strlen(text);
    char *copy = overlay_copy_room(&c->view->overlay, k.size + size);
    if (copy == NULL) {
        return ST_NOMEM;
    }
    memcpy(copy, k.data, k.size);
    memcpy(copy + k.size, text, size);
    return view_put(c->view, slice_of(copy, k.size), slice_of(copy + k.size, size));
}

enum status cmdraft_raft(struct call *c)
{
    uint64_t node;
    char text[ADDR_TEXT_MAX];
    if (c->addresses_changed == NULL) {
        reply_error(c->reply, "ERR this node does not replicate");
        return ST_OK;
    }
    if (!command_is(c, 1, "address") || c->count != 4) {
        return command_bad_subcommand(c);
    }
    if (!number_read(c, 2, &node)) {
        return command_not_integer(c);
    }
    if (!address_read(c, 3, text)) {
        reply_error(c->reply, "ERR an address is ADDR:PORT, numeric");
        return ST_OK;
    }
    enum status st = address_put(c, node, text);
    if (st == ST_OK) {
        *c->addresses_changed = true;
        reply_simple(c->reply, "OK");
    }
    return st;
}

/* ---- looking ---- */

static const char *flow_text(const struct raft_peer_view *p)
{
    static const char *const names[] = {"none", "probe", "stream", "snapshot"};
    return names[p->flow < 4 ? p->flow : 0];
}

static const char *roles_text(const struct raft_peer_view *p)
{
    if ((p->roles & RAFT_LEARNER) != 0) {
        return "learner";
    }
    return (p->roles & RAFT_OUT) == 0 ? "voter" : (p->roles & RAFT_IN) != 0 ? "both" : "leaving";
}

static void number_reply(struct call *c, const char *name, uint64_t value)
{
    reply_text(c->reply, name);
    reply_integer(c->reply, (int64_t)value);
}

static void text_reply(struct call *c, const char *name, const char *value)
{
    reply_text(c->reply, name);
    reply_text(c->reply, value);
}

/* How far it is, as a leader knows it. */
static void progress_reply(struct call *c, const struct replica_members *m,
                           const struct raft_peer_view *p)
{
    number_reply(c, "match", p->match);
    number_reply(c, "next", p->next);
    text_reply(c, "flow", flow_text(p));
    number_reply(c, "silent_ms", m->now > p->contact ? (m->now - p->contact) / MS : 0);
}

/* What a leader alone knows is missing elsewhere, and so are addresses that nobody knows. */
static void member_reply(struct call *c, const struct replica_members *m,
                         const struct raft_peer_view *p, const struct memberview_row *row)
{
    bool reached = row != NULL && row->peers[0] != '\0';
    bool serves = row != NULL && row->clients[0] != '\0';
    reply_map(c->reply, (m->leads ? 7u : 3u) + reached + serves);
    number_reply(c, "node", p->id);
    reply_text(c->reply, "incarnation");
    number_text(c, p->incarnation);
    text_reply(c, "role", roles_text(p));
    if (m->leads) {
        progress_reply(c, m, p);
    }
    if (reached) {
        text_reply(c, "peer_address", row->peers);
    }
    if (serves) {
        text_reply(c, "address", row->clients);
    }
}

/* RAFT MEMBERS: a list of maps. */
static void members_reply(struct call *c)
{
    struct replica_members m;
    struct memberview v = {.count = 0};
    replica_members(c->core->replica, &m);
    if (c->core->look != NULL) {
        c->core->look(c->core->look_arg, &v);
    }
    c->job->index = m.index;
    reply_array(c->reply, m.count);
    for (uint32_t i = 0; i < m.count; i++) {
        member_reply(c, &m, &m.member[i], memberview_find(&v, m.member[i].id));
    }
}

const char *cmdraft_state(unsigned state)
{
    static const char *const names[] = {"?",         "follower", "precandidate",
                                        "candidate", "leader",   "halted"};
    return names[state < 6 ? state : 0];
}

/* [node, match, next, flow, silent_ms] of each; of a leader. */
static void all_progress_reply(struct call *c)
{
    struct replica_members m;
    replica_members(c->core->replica, &m);
    reply_text(c->reply, "progress");
    reply_array(c->reply, m.leads ? m.count : 0);
    for (uint32_t i = 0; m.leads && i < m.count; i++) {
        reply_map(c->reply, 5);
        number_reply(c, "node", m.member[i].id);
        progress_reply(c, &m, &m.member[i]);
    }
}

static void status_reply(struct call *c, bool progress)
{
    struct replica_status s;
    replica_status(c->core->replica, &s);
    const struct env_addr *peer = &c->core->opt->peer_listen;
    char text[ADDR_TEXT_MAX] = "";
    if (peer->family != 0) {
        (void)addr_format(peer, text);
    }
    reply_map(c->reply, 18u + progress);
    number_reply(c, "node", s.raft.self);
    reply_text(c->reply, "incarnation");
    number_text(c, s.raft.incarnation);
    reply_text(c->reply, "state");
    reply_text(c->reply, cmdraft_state(s.raft.state));
    number_reply(c, "leader", s.raft.leader);
    number_reply(c, "term", s.raft.term);
    number_reply(c, "base", s.raft.base.index);
    number_reply(c, "last", s.raft.last);
    number_reply(c, "durable", s.raft.durable);
    number_reply(c, "commit", s.raft.commit);
    number_reply(c, "applied", s.applied.place.index);
    number_reply(c, "members", s.raft.members);
    number_reply(c, "damaged", s.raft.damaged);
    text_reply(c, "peer_address", text);
    reply_text(c->reply, "cluster");
    number_text(c, s.cluster);
    number_reply(c, "snapshot", s.snapshot);
    number_reply(c, "sessions", s.sessions);
    number_reply(c, "uptime_ms", (env_clock_mono(c->core->env) - c->core->started_ns) / MS);
    text_reply(c, "version", NODE_VERSION);
    if (progress) {
        all_progress_reply(c);
    }
}

/* ---- changing ---- */

struct change_word {
    const char *word;
    enum replica_change_kind kind;
    uint32_t count; /* arguments with RAFT */
};

static const struct change_word changes[] = {
    {"add", REPLICA_ADD, 4},           {"promote", REPLICA_PROMOTE, 3},
    {"remove", REPLICA_REMOVE, 3},     {"snapshot", REPLICA_SNAPSHOT, 2},
    {"transfer", REPLICA_TRANSFER, 2}, /* to whoever is furthest */
    {"transfer", REPLICA_TRANSFER, 3},
};

/* RAFT JOIN node incarnation address [LEARNER] */
static enum status join_route(struct call *c)
{
    struct replica_change x = {.kind = REPLICA_JOIN, .address = c->args[4]};
    char text[ADDR_TEXT_MAX];
    x.learner = c->count == 6 && command_is(c, 5, "learner");
    if (c->count == 6 && !x.learner) {
        return command_syntax_error(c);
    }
    if (!number_read(c, 2, &x.node) || !number_read(c, 3, &x.incarnation)) {
        return command_not_integer(c);
    }
    if (x.address.size > 0 && !address_read(c, 4, text)) {
        reply_error(c->reply, "ERR an address is ADDR:PORT, numeric");
        return ST_OK;
    }
    c->job->change = x;
    c->job->route = JOB_CHANGES;
    return ST_OK;
}

static enum status change_route(struct call *c)
{
    if (command_is(c, 1, "join") && (c->count == 5 || c->count == 6)) {
        return join_route(c);
    }
    struct replica_change x = {.kind = REPLICA_ADD};
    const struct change_word *w = NULL;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        bool hit = command_is(c, 1, changes[i].word) && c->count == changes[i].count;
        w = hit ? &changes[i] : w;
    }
    if (w == NULL) {
        return command_bad_subcommand(c);
    }
    x.kind = w->kind;
    if ((w->count > 2 && !number_read(c, 2, &x.node)) ||
        (w->count > 3 && !number_read(c, 3, &x.incarnation))) {
        return command_not_integer(c);
    }
    c->job->change = x;
    c->job->route = JOB_CHANGES;
    return ST_OK;
}

enum status cmdraft_route(struct call *c)
{
    c->job->route = JOB_HERE;
    if (command_is(c, 1, "members") && c->count == 2) {
        members_reply(c);
    } else if (command_is(c, 1, "status") && c->count == 2) {
        status_reply(c, false);
    } else if (command_is(c, 1, "status") && c->count == 3 && command_is(c, 2, "progress")) {
        status_reply(c, true);
    } else if (command_is(c, 1, "address")) {
        c->job->route = JOB_WRITES;
    } else {
        return change_route(c);
    }
    return ST_OK;
}

static void refused_reply(struct reply *r, const struct replica_change *x,
                          enum replica_outcome outcome)
{
    if (outcome == REPLICA_UNKNOWN) {
        const char *join = x->kind == REPLICA_JOIN ? "; asked for again it goes on" : "";
        reply_error(r, "UNKNOWN no answer in time: whether the change came about is not known%s",
                    join);
    } else if (x->kind == REPLICA_SNAPSHOT) {
        reply_error(r, "TRYAGAIN the database was not written out in time");
    } else if (x->why == RAFT_NOT_LEADER) {
        reply_error(r, "NOTLEADER node %" PRIu64 " leads, nothing was changed", x->leader);
    } else if (x->why == RAFT_BAD_CHANGE) {
        reply_error(r, "ERR node %" PRIu64 " is not, or is already, such a member", x->node);
    } else if (x->why == RAFT_CHANGING || x->why == RAFT_BUSY) {
        reply_error(r,
                    "TRYAGAIN another change or transfer is under way, or that node has nothing of "
                    "the log yet; nothing was changed");
    } else {
        reply_error(r, "TRYAGAIN it did not come about in time, nothing was changed");
    }
}

void cmdraft_changed(struct buf *out, int protocol, const struct replica_change *x,
                     enum replica_outcome outcome)
{
    struct reply r;
    reply_init(&r, out, protocol, 512);
    if (outcome != REPLICA_DONE) {
        refused_reply(&r, x, outcome);
    } else if (x->kind == REPLICA_SNAPSHOT) {
        reply_map(&r, 2);
        reply_text(&r, "index");
        reply_integer(&r, (int64_t)x->place.index);
        reply_text(&r, "term");
        reply_integer(&r, (int64_t)x->place.term);
    } else {
        reply_simple(&r, "OK");
    }
    if (r.st != ST_OK) {
        buf_clear(out);
    }
}
