/* replica_admin.c - changes of the group: one at a time, asked of the leader's core, done when the
 * configuration that comes of it is applied here.
 *
 * A change is made of the configuration as it is when its turn comes, so two operators cannot undo
 * each other's by what they knew. Only the leader can: everybody else says so, and who leads. */
#include "base/ck.h"
#include "node/replica_int.h"

#include <inttypes.h>
#include <stdio.h>

#define NEAR_ENOUGH 64 /* entries that a learner may be behind when it gets its vote */

static struct replica_request *first_change(struct replica *r)
{
    return LIST_ENTRY(r->changes.next, struct replica_request, link);
}

static void change_done(struct replica *r, enum replica_outcome outcome, enum raft_outcome why)
{
    struct replica_request *q = first_change(r);
    struct raft_view v;
    raft_view(r->core, &v);
    list_remove(&q->link);
    bool partial = r->change.partial && outcome == REPLICA_NOT_DONE;
    r->change = (struct replica_changing){.state = CHANGE_NEW};
    q->change->why = why;
    q->change->leader = v.leader;
    q->outcome = partial ? REPLICA_UNKNOWN : outcome;
    q->done(q);
}

/* ---- the configuration that is wanted ---- */

static void member_put(struct raft_config *c, const struct raft_member *m)
{
    uint32_t i = c->count++;
    for (; i > 0 && c->members[i - 1].id > m->id; i--) {
        c->members[i] = c->members[i - 1];
    }
    c->members[i] = *m;
}

static bool member_take(struct raft_config *c, uint64_t id, struct raft_member *out)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->members[i].id == id) {
            *out = c->members[i];
            memmove(&c->members[i], &c->members[i + 1], (--c->count - i) * sizeof c->members[0]);
            return true;
        }
    }
    return false;
}

/* False: it makes no sense here and now. */
static bool config_make(const struct replica *r, const struct replica_change *x,
                        struct raft_config *c)
{
    struct raft_member m;
    *c = *raft_config(r->core);
    bool there = member_take(c, x->node, &m);
    enum replica_change_kind kind = x->kind;
    if (kind == REPLICA_JOIN) { /* replica_admin's join() has looked at who is there */
        kind = there ? REPLICA_PROMOTE : REPLICA_ADD;
    }
    switch (kind) {
    case REPLICA_ADD:
        m = (struct raft_member){x->node, x->incarnation, RAFT_LEARNER};
        if (there || x->node == 0 || c->count == RAFT_MEMBERS_MAX) {
            return false;
        }
        member_put(c, &m);
        return true;
    case REPLICA_PROMOTE:
        if (!there || m.roles != RAFT_LEARNER) {
            return false;
        }
        m.roles = RAFT_IN;
        member_put(c, &m);
        return true;
    default:
        return there && c->count > 0;
    }
}

/* Of the others that vote, the one that has most of the log; 0: there is none. */
static uint64_t furthest(const struct replica *r, const struct raft_view *v)
{
    struct raft_peer_view p;
    uint64_t node = 0;
    uint64_t match = 0;
    for (uint32_t i = 0; i < v->members; i++) {
        raft_peer_view(r->core, i, &p);
        bool votes = (p.roles & RAFT_IN) != 0 && p.id != v->self;
        if (votes && (node == 0 || p.match > match)) {
            node = p.id;
            match = p.match;
        }
    }
    return node;
}

/* Nobody was named: the choice is the leader's. */
static void heir_choose(const struct replica *r, struct replica_change *x)
{
    struct raft_view v;
    raft_view(r->core, &v);
    if (x->node == 0 && v.state == RAFT_LEADER) {
        x->node = furthest(r, &v);
    }
}

/* A learner that has nothing of the log yet. With its vote it may be needed to commit anything, and
 * a leader that has committed nothing since it started has no snapshot to give it. */
static bool is_blank(const struct replica *r, uint64_t node)
{
    struct raft_view v;
    struct raft_peer_view p;
    raft_view(r->core, &v);
    for (uint32_t i = 0; v.state == RAFT_LEADER && i < v.members; i++) {
        raft_peer_view(r->core, i, &p);
        if (p.id == node) {
            return p.match == 0;
        }
    }
    return false;
}

static void change_ask(struct replica *r, struct replica_change *x)
{
    struct raft_config config;
    struct raft_event e = {.type = RAFT_EV_CONFIGURE};
    if (x->kind == REPLICA_TRANSFER) {
        heir_choose(r, x);
        e.type = RAFT_EV_TRANSFER;
        e.node = x->node;
    } else if (x->kind == REPLICA_PROMOTE && is_blank(r, x->node)) {
        change_done(r, REPLICA_NOT_DONE, RAFT_BUSY);
        return;
    } else if (config_make(r, x, &config)) {
        e.config = &config;
    } else {
        change_done(r, REPLICA_NOT_DONE, RAFT_BAD_CHANGE);
        return;
    }
    r->change.state = CHANGE_ASKED;
    e.context = r->change.context = ++r->change_count | REPLICA_ADMIN_CONTEXT;
    replica_step(r, &e, NULL);
}

/* ---- joining: several steps, each taken from what is there ---- */

static void on_noted(struct replica_request *q)
{
    struct replica_addressing *n = LIST_ENTRY(q, struct replica_addressing, request);
    n->busy = false;
}

/* Has the address written down, as RAFT ADDRESS of a client would. */
static void note_ask(struct replica *r, const struct replica_request *for_whom)
{
    struct replica_addressing *n = &r->note;
    (void)snprintf(n->node, sizeof n->node, "%" PRIu64, for_whom->change->node); /* fits */
    n->args[0] = slice_text("RAFT");
    n->args[1] = slice_text("ADDRESS");
    n->args[2] = slice_text(n->node);
    n->args[3] = for_whom->change->address;
    n->command = (struct replica_command){n->args, 4};
    struct buf reply = n->request.reply;
    n->request = (struct replica_request){.deadline = for_whom->deadline,
                                          .done = on_noted,
                                          .head = {.commands = 1},
                                          .commands = &n->command,
                                          .reply = reply};
    n->busy = true;
    r->change.state = CHANGE_NOTES;
    list_insert(&r->waiting, &n->request.link);
}

/* It has what the others have, about. */
static bool caught_up(const struct replica *r, const struct raft_view *v, uint64_t node)
{
    struct raft_peer_view p;
    for (uint32_t i = 0; i < v->members; i++) {
        raft_peer_view(r->core, i, &p);
        if (p.id == node) {
            return p.match > 0 && p.match + NEAR_ENOUGH >= v->commit;
        }
    }
    return false;
}

/* What it is in the active configuration; roles 0: nothing. */
static struct raft_member member_now(const struct replica *r, uint64_t node)
{
    struct raft_config c = *raft_config(r->core);
    struct raft_member m = {.roles = 0};
    (void)member_take(&c, node, &m); /* not there: nothing */
    return m;
}

/* The next step of a JOIN, or nothing now. */
static void join(struct replica *r, struct replica_request *q)
{
    struct replica_change *x = q->change;
    struct raft_member m = member_now(r, x->node);
    struct raft_view v;
    raft_view(r->core, &v);
    bool noted = x->address.size == 0 || r->change.state == CHANGE_CATCHES;
    r->change.state = CHANGE_CATCHES;
    if (v.state != RAFT_LEADER) {
        change_done(r, REPLICA_NOT_DONE, RAFT_NOT_LEADER);
    } else if (m.roles != 0 && m.incarnation != x->incarnation) {
        change_done(r, REPLICA_NOT_DONE, RAFT_BAD_CHANGE);
    } else if (!noted) {
        note_ask(r, q);
    } else if (m.roles == 0) {
        change_ask(r, x);
    } else if (v.applied < v.config_index) {
        return; /* what there is, is not sure yet */
    } else if (m.roles == RAFT_IN || (m.roles == RAFT_LEARNER && x->learner)) {
        x->place = (struct raft_place){v.config_index, raft_term_at(r->core, v.config_index)};
        change_done(r, REPLICA_DONE, RAFT_TAKEN);
    } else if (m.roles == RAFT_LEARNER && caught_up(r, &v, x->node)) {
        change_ask(r, x);
    }
}

/* ---- its course ---- */

/* A step of the first change. It waits for something afterwards, or is done. */
static void change_step(struct replica *r)
{
    struct replica_request *q = first_change(r);
    enum replica_outcome noted = r->note.request.outcome;
    if (r->change.state == CHANGE_NOTES && noted != REPLICA_DONE) {
        change_done(r, noted, RAFT_LOST);
    } else if (q->change->kind == REPLICA_JOIN) {
        r->change.state = r->change.state == CHANGE_NOTES ? CHANGE_CATCHES : r->change.state;
        join(r, q);
    } else {
        change_ask(r, q->change);
    }
}

static bool change_waits(const struct replica *r)
{
    return r->change.state == CHANGE_ASKED || (r->change.state == CHANGE_NOTES && r->note.busy);
}

void replica_admin_turn(struct replica *r)
{
    while (!list_empty(&r->changes)) {
        if (first_change(r)->deadline <= r->now && !r->note.busy) {
            change_done(r, r->change.placed ? REPLICA_UNKNOWN : REPLICA_NOT_DONE, RAFT_LOST);
            continue;
        }
        if (!change_waits(r)) {
            change_step(r);
        }
        if (r->change.state != CHANGE_NEW) {
            return;
        }
    }
}

bool replica_admin_reply(struct replica *r, const struct raft_action *a)
{
    if ((a->context & REPLICA_ADMIN_CONTEXT) == 0) {
        return false;
    }
    if (a->context != r->change.context || r->change.state != CHANGE_ASKED) {
        return true; /* of one that was given up */
    }
    if (a->outcome == RAFT_TAKEN) {
        r->change.placed = true;
        r->change.place = a->place;
    } else if (a->outcome == RAFT_MOVED) {
        change_done(r, REPLICA_DONE, RAFT_MOVED);
    } else if (a->outcome == RAFT_CHANGING && first_change(r)->change->kind == REPLICA_JOIN) {
        r->change.state = CHANGE_CATCHES; /* the one before is not over */
    } else {
        change_done(r, REPLICA_NOT_DONE, (enum raft_outcome)a->outcome);
    }
    return true;
}

void replica_admin_applied(struct replica *r, struct raft_place place)
{
    const struct replica_changing *c = &r->change;
    if (!c->placed) {
        return;
    }
    if (place.index >= c->place.index) {
        first_change(r)->change->place = c->place;
        bool there = raft_term_at(r->core, c->place.index) == c->place.term;
        if (there && first_change(r)->change->kind == REPLICA_JOIN) {
            r->change = (struct replica_changing){.state = CHANGE_CATCHES, .partial = true};
            return;
        }
        change_done(r, there ? REPLICA_DONE : REPLICA_NOT_DONE, there ? RAFT_TAKEN : RAFT_LOST);
    } else if (place.term > c->place.term) {
        change_done(r, REPLICA_NOT_DONE, RAFT_LOST);
    }
}

void replica_admin_installed(struct replica *r, struct raft_place place)
{
    if (r->change.placed && r->change.place.index <= place.index) {
        change_done(r, REPLICA_UNKNOWN, RAFT_LOST);
    } else {
        replica_admin_applied(r, place);
    }
}

uint64_t replica_admin_deadline(struct replica *r)
{
    if (list_empty(&r->changes)) {
        return ENV_NEVER;
    }
    bool noted = r->change.state == CHANGE_NOTES && !r->note.busy;
    return noted ? r->now : first_change(r)->deadline;
}

void replica_admin_end(struct replica *r)
{
    while (!list_empty(&r->changes)) {
        change_done(r, r->change.placed ? REPLICA_UNKNOWN : REPLICA_NOT_DONE, RAFT_LOST);
    }
}

void replica_admin_share(struct replica *r)
{
    struct replica_members *m = &r->shared_members;
    const struct raft_config *c = raft_config(r->core);
    struct raft_view v;
    raft_view(r->core, &v);
    m->index = v.config_index;
    m->now = r->now;
    m->leads = v.state == RAFT_LEADER;
    m->count = c->count;
    for (uint32_t i = 0; i < c->count; i++) {
        m->member[i] = (struct raft_peer_view){.id = c->members[i].id,
                                               .incarnation = c->members[i].incarnation,
                                               .roles = c->members[i].roles};
    }
    for (uint32_t i = 0; m->leads && i < v.members && i < RAFT_MEMBERS_MAX; i++) {
        raft_peer_view(r->core, i, &m->member[i]);
        m->count = i + 1;
    }
}

/* Whom the transport has to reach: until a change is committed those who are to go count, too. A
 * leader that is removed needs the others to hear it, and a voter may have to be elected (4.2.2).
 */
static void members_reached(const struct replica *r, const struct raft_view *v,
                            struct raft_config *c)
{
    uint64_t index;
    *c = *raft_config(r->core);
    const struct raft_config *before =
        v->config_index > v->commit ? raft_config_at(r->core, v->config_index - 1, &index) : NULL;
    for (uint32_t i = 0; before != NULL && i < before->count; i++) {
        uint32_t k = 0;
        while (k < c->count && c->members[k].id != before->members[i].id) {
            k++;
        }
        if (k == c->count && k < RAFT_MEMBERS_MAX) {
            member_put(c, &before->members[i]);
        }
    }
}

void replica_admin_tell(struct replica *r)
{
    struct raft_view v;
    struct raft_config reached;
    if (r->snap.switching) {
        return;
    }
    raft_view(r->core, &v);
    /* With its term: another one may have come to the same place within a turn. */
    struct raft_place now = {v.config_index, raft_term_at(r->core, v.config_index)};
    bool uncommitted = v.config_index > v.commit;
    bool changed = now.index != r->members_told.index || now.term != r->members_told.term ||
                   uncommitted != r->members_open;
    if ((changed || r->sm.addresses_changed) && r->o.transport.members != NULL) {
        members_reached(r, &v, &reached);
        r->o.transport.members(r->o.transport.arg, &reached, &r->sm);
    }
    r->members_told = now;
    r->members_open = uncommitted;
    r->sm.addresses_changed = false;
}
