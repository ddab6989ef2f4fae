/* raftwatch.c - see raftwatch.h: starts, steps, commits, members. */
#include "sim/cluster/raftwatch_int.h"

/* ---- starts: RE ---- */

static void believe(struct raftwatch *w, struct raftwatch_node *n, const struct raft_start *s)
{
    n->known = true;
    n->floor = n->based = s->base.index;
    n->floor_term = s->base.term;
    n->runs.count = 0;
    for (uint32_t i = 0; i < s->run_count; i++) {
        raftwatch_disk_run(w, n, s->runs[i].first, s->runs[i].term);
    }
    n->last = s->last;
    n->hard = (struct raft_hard){0, 0};
    raftwatch_disk_hard(w, n, s->hard);
    n->latest = n->hard;
}

static uint64_t start_term(const struct raft_start *s, uint64_t index)
{
    for (uint32_t i = s->run_count; i-- > 0;) {
        if (s->runs[i].first <= index) {
            return s->runs[i].term;
        }
    }
    return 0;
}

/* The first index of a run of D that the start has with another term; 0: none. */
static uint64_t other_term(const struct raftwatch_node *n, const struct raft_start *s)
{
    const struct raft_run *runs = n->runs.data;
    for (size_t i = 0; i < n->runs.count; i++) {
        uint64_t at = runs[i].first > s->base.index ? runs[i].first : s->base.index + 1;
        uint64_t end = i + 1 < n->runs.count ? runs[i + 1].first - 1 : n->last;
        if (at <= end &&
            (start_term(s, at) != runs[i].term || start_term(s, end) != runs[i].term)) {
            return at;
        }
    }
    return 0;
}

/* What the start is given is what D has. */
static bool fits(const struct raftwatch_node *n, const struct raft_start *s)
{
    return s->hard.term == n->hard.term && s->hard.vote == n->hard.vote && s->last == n->last &&
           other_term(n, s) == 0;
}

/* Of the writes that were on their way when it died, so many are on D that the start is explained;
 * none, where that cannot be. */
static void decide(struct raftwatch *w, struct raftwatch_node *n, const struct raft_start *s)
{
    while (!fits(n, s) && raftwatch_disk_next(w, n)) {
    }
    raftwatch_disk_drop(n);
}

static void compare_start(struct raftwatch *w, const struct raftwatch_node *n,
                          const struct raft_start *s)
{
    if (s->hard.term != n->hard.term || s->hard.vote != n->hard.vote) {
        raftwatch_violated(
            w, "RE: node %llu starts in term %llu with a vote for %llu, it was %llu and %llu",
            U(n->id), U(s->hard.term), U(s->hard.vote), U(n->hard.term), U(n->hard.vote));
    }
    if (s->last != n->last) {
        raftwatch_violated(w, "RE: node %llu starts with a log to %llu, it was to %llu", U(n->id),
                           U(s->last), U(n->last));
    }
    if (s->base.index > n->based) {
        raftwatch_violated(w,
                           "RE: the log of node %llu begins behind %llu, only %llu were given up",
                           U(n->id), U(s->base.index), U(n->based));
    }
    uint64_t at = other_term(n, s);
    if (at != 0) {
        raftwatch_violated(w, "RE: node %llu starts with other terms than it had at %llu", U(n->id),
                           U(at));
    }
}

void raftwatch_started(struct raftwatch *w, const struct raft *r, const struct raft_start *start)
{
    struct raft_view v;
    raft_view(r, &v);
    struct raftwatch_node *n = raftwatch_node_make(w, v.self);
    if (n == NULL || !raftwatch_ok(w)) {
        return;
    }
    if (n->known && n->incarnation == v.incarnation) {
        if (n->doubt) {
            decide(w, n, start);
        }
        compare_start(w, n, start);
    } else {
        believe(w, n, start);
        n->incarnation = v.incarnation;
    }
    if (start->applied > w->committed && w->steps > 0) {
        raftwatch_violated(w, "SM: node %llu starts with %llu applied, %llu are committed",
                           U(n->id), U(start->applied), U(w->committed));
    }
    if (w->entries.count == 0) {
        w->entries_from = start->base.index + 1;
    }
    n->running = true;
    n->state = 0;
    n->term = v.term;
    n->commit = v.commit;
    n->apply_next = start->applied + 1;
    n->config_index = v.config_index;
    n->config = *start->config;
    if (w->steps == 0 && w->committed < start->applied) {
        w->committed = start->applied; /* a group that has a past */
    }
}

/* ---- steps ---- */

static void note_write(struct raftwatch *w, struct raftwatch_node *n, const struct raft_write *s)
{
    struct raftwatch_write *write = raftwatch_queue_push(w, &n->writes, sizeof *write);
    if (write == NULL) {
        return;
    }
    write->seq = s->seq;
    write->hard = s->hard;
    write->has_hard = s->has_hard;
    write->has_snapshot = s->has_snapshot;
    write->keep = s->keep;
    write->place = s->place;
    write->truncate = s->truncate;
    write->hi = s->repair ? 0 : s->hi;
    uint64_t before = 0;
    for (uint64_t i = s->lo; i < s->hi && !s->repair; i++) {
        uint64_t term = s->term != 0 ? s->term : s->items[i - s->lo].term;
        if (term != before) {
            struct raft_run *run = raftwatch_queue_push(w, &n->runs_ahead, sizeof *run);
            if (run == NULL) {
                return;
            }
            *run = (struct raft_run){i, term};
            write->runs++;
            before = term;
        }
    }
    if (s->has_hard) {
        if (s->hard.term < n->latest.term ||
            (s->hard.term == n->latest.term && n->latest.vote != 0 &&
             s->hard.vote != n->latest.vote)) {
            raftwatch_violated(
                w, "VD: node %llu goes from term %llu, vote %llu to term %llu, vote %llu", U(n->id),
                U(n->latest.term), U(n->latest.vote), U(s->hard.term), U(s->hard.vote));
        }
        n->latest = s->hard;
    }
}

static void note_entries(struct raftwatch *w, struct raftwatch_node *n, const struct raft *r,
                         const struct raft_write *s, const uint64_t *ids)
{
    uint64_t prev = s->lo < s->hi ? raft_term_at(r, s->lo - 1) : 0;
    for (uint64_t i = s->lo; i < s->hi; i++) {
        const struct raft_item *item = &s->items[i - s->lo];
        uint64_t term = s->term != 0 ? s->term : item->term;
        raftwatch_note_entry(w, n, i, term, prev,
                             raftwatch_identity(item, ids != NULL ? ids[i - s->lo] : 0));
        prev = term;
    }
}

/* A term has one leader: a table of (term, node), open addressing. */
static void note_leader(struct raftwatch *w, uint64_t term, uint64_t node)
{
    uint64_t *slots = w->leaders.data;
    if (w->leader_count * 4 >= w->leaders.cap) {
        size_t cap = w->leaders.cap > 0 ? 2 * w->leaders.cap : 64;
        uint64_t *bigger = mem_zalloc(w->mem, cap * 2 * sizeof *bigger);
        if (bigger == NULL) {
            raftwatch_violated(w, "NOMEM: the watch has no memory");
            return;
        }
        for (size_t i = 0; i < w->leaders.cap; i++) {
            if (slots[2 * i] != 0) {
                size_t at = hash_mix(slots[2 * i]) & (cap - 1);
                while (bigger[2 * at] != 0) {
                    at = (at + 1) & (cap - 1);
                }
                bigger[2 * at] = slots[2 * i];
                bigger[2 * at + 1] = slots[2 * i + 1];
            }
        }
        mem_release(w->mem, slots);
        w->leaders.data = slots = bigger;
        w->leaders.cap = cap;
    }
    size_t at = hash_mix(term) & (w->leaders.cap - 1);
    while (slots[2 * at] != 0 && slots[2 * at] != term) {
        at = (at + 1) & (w->leaders.cap - 1);
    }
    if (slots[2 * at] == term && slots[2 * at + 1] != node) {
        raftwatch_violated(w, "ES: nodes %llu and %llu both lead term %llu", U(slots[2 * at + 1]),
                           U(node), U(term));
    }
    w->leader_count += slots[2 * at] == 0;
    slots[2 * at] = term;
    slots[2 * at + 1] = node;
}

/* LC: what was committed by leaders of earlier terms. By LM the last of it is enough. */
static void check_complete(struct raftwatch *w, const struct raftwatch_node *n,
                           const struct raft *r, const struct raft_view *v)
{
    const struct raftwatch_commit *commits = w->commits.data;
    size_t i = w->commits.count;
    while (i > 0 && commits[i - 1].term >= v->term) {
        i--;
    }
    if (i == 0) {
        return;
    }
    uint64_t index = commits[i - 1].index;
    const struct raftwatch_entry *e = raftwatch_first_at(w, index);
    uint64_t term = raft_term_at(r, index);
    if (e == NULL || index <= v->base.index) {
        return;
    }
    if (index > v->last || (term != 0 && term != e->committed - 1)) {
        raftwatch_violated(
            w, "LC: node %llu leads term %llu without entry %llu, committed in term %llu", U(n->id),
            U(v->term), U(index), U(commits[i - 1].term));
    }
}

/* A quorum of those with this role has entry (index, term) on its disks. */
static bool on_quorum(struct raftwatch *w, const struct raft_config *c, uint8_t role,
                      uint64_t index, uint64_t term)
{
    uint32_t voters = 0;
    uint32_t have = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        if ((c->members[i].roles & role) != 0) {
            const struct raftwatch_node *n = raftwatch_node_of(w, c->members[i].id);
            voters++;
            have += n != NULL && n->incarnation == c->members[i].incarnation &&
                    raftwatch_disk_has(n, index, term);
        }
    }
    return voters == 0 ? role == RAFT_OUT : have > voters / 2;
}

/* DU, and what LC and SM go by. */
static void note_commit(struct raftwatch *w, struct raftwatch_node *n, const struct raft *r,
                        const struct raft_view *v, bool led)
{
    uint64_t term = raft_term_at(r, v->commit);
    if (!led) {
        raftwatch_violated(w, "CM: node %llu, no leader, is the first to commit %llu", U(n->id),
                           U(v->commit));
        return;
    }
    /* The configuration before this step: what is committed may bring the next one about. */
    if (!on_quorum(w, &n->config, RAFT_IN, v->commit, term) ||
        !on_quorum(w, &n->config, RAFT_OUT, v->commit, term)) {
        raftwatch_violated(w,
                           "DU: node %llu commits %llu of term %llu, which no quorum has on disk",
                           U(n->id), U(v->commit), U(term));
    }
    for (uint64_t i = v->commit; i > w->committed && i >= w->entries_from; i--) {
        struct raftwatch_entry *first = raftwatch_first_at(w, i);
        struct raftwatch_entry *e = raftwatch_entry_of(w, i, term);
        if (first == NULL || e == NULL) {
            break; /* written before the watch began */
        }
        first->committed = 1 + term;
        first->committed_id = e->id;
        term = e->prev;
    }
    w->committed = v->commit;
}

static void note_commit_term(struct raftwatch *w, const struct raft_view *v)
{
    struct raftwatch_commit *commits = w->commits.data;
    size_t i = w->commits.count;
    while (i > 0 && commits[i - 1].term > v->term) {
        i--;
    }
    if (i > 0 && commits[i - 1].term == v->term) {
        commits[i - 1].index = v->commit > commits[i - 1].index ? v->commit : commits[i - 1].index;
    } else if (i == w->commits.count) {
        struct raftwatch_commit *c = raftwatch_grow(w, &w->commits, sizeof *c);
        if (c != NULL) {
            *c = (struct raftwatch_commit){v->term, v->commit};
        }
    }
}

static void check_commit(struct raftwatch *w, struct raftwatch_node *n, const struct raft *r,
                         const struct raft_view *v, bool led)
{
    if (v->commit < n->commit || v->commit > v->last) {
        raftwatch_violated(w, "CM: node %llu goes from commit %llu to %llu, its log to %llu",
                           U(n->id), U(n->commit), U(v->commit), U(v->last));
    }
    if (v->commit == n->commit) {
        return;
    }
    if (led && raft_term_at(r, v->commit) != v->term) {
        raftwatch_violated(w, "CM: leader %llu of term %llu commits %llu of term %llu", U(n->id),
                           U(v->term), U(v->commit), U(raft_term_at(r, v->commit)));
    }
    if (v->commit > w->committed) {
        note_commit(w, n, r, v, led);
    }
    if (led) {
        note_commit_term(w, v);
    }
}

/* SM: in order, and what was committed first. */
static void check_apply(struct raftwatch *w, struct raftwatch_node *n, const struct raft *r,
                        const struct raft_out *out)
{
    if (out->apply_lo != n->apply_next || out->apply_hi - 1 > w->committed) {
        raftwatch_violated(
            w, "SM: node %llu applies %llu..%llu, %llu was next and %llu are committed", U(n->id),
            U(out->apply_lo), U(out->apply_hi - 1), U(n->apply_next), U(w->committed));
    }
    for (uint64_t i = out->apply_lo; i < out->apply_hi; i++) {
        const struct raftwatch_entry *first = raftwatch_first_at(w, i);
        uint64_t term = raft_term_at(r, i);
        const struct raftwatch_entry *mine = term != 0 ? raftwatch_entry_of(w, i, term) : NULL;
        if (first == NULL || first->committed == 0 || term == 0) {
            continue; /* from before the watch, or a term that the core forgot */
        }
        if (mine == NULL || term != first->committed - 1 || mine->id != first->committed_id) {
            raftwatch_violated(w,
                               "SM: node %llu applies %llu of term %llu, committed was term %llu",
                               U(n->id), U(i), U(term), U(first->committed - 1));
        }
    }
    n->apply_next = out->apply_hi;
}

static void check_snapshot(struct raftwatch *w, struct raftwatch_node *n,
                           const struct raft_write *s)
{
    const struct raftwatch_entry *first = raftwatch_first_at(w, s->place.index);
    if (s->place.index > w->committed ||
        (first != NULL && first->committed != 0 && first->committed - 1 != s->place.term)) {
        raftwatch_violated(
            w, "SM: node %llu installs a snapshot of %llu, term %llu: not what was committed",
            U(n->id), U(s->place.index), U(s->place.term));
    }
    n->based = s->place.index > n->based ? s->place.index : n->based;
    n->apply_next = s->place.index + 1 > n->apply_next ? s->place.index + 1 : n->apply_next;
}

/* ---- members: ME ---- */

static uint8_t roles_of(const struct raft_config *c, uint64_t id, uint64_t incarnation)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->members[i].id == id && c->members[i].incarnation == incarnation) {
            return c->members[i].roles;
        }
    }
    return 0;
}

static bool joint(const struct raft_config *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if ((c->members[i].roles & RAFT_OUT) != 0) {
            return true;
        }
    }
    return false;
}

/* How many voters of a (in this role) are none of b (in that). */
static uint32_t missing(const struct raft_config *a, uint8_t role, const struct raft_config *b,
                        uint8_t other)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct raft_member *m = &a->members[i];
        n += (m->roles & role) != 0 && (roles_of(b, m->id, m->incarnation) & other) == 0;
    }
    return n;
}

/* One voter comes or goes; or into a joint one; or out of it. */
static bool adjacent(const struct raft_config *a, const struct raft_config *b)
{
    if (joint(b)) {
        return !joint(a) && missing(a, RAFT_IN, b, RAFT_OUT) == 0 &&
               missing(b, RAFT_OUT, a, RAFT_IN) == 0;
    }
    uint32_t moved = missing(a, RAFT_IN, b, RAFT_IN) + missing(b, RAFT_IN, a, RAFT_IN);
    return moved == 0 || (moved == 1 && !joint(a));
}

static void check_config(struct raftwatch *w, struct raftwatch_node *n, const struct raft *r,
                         const struct raft_view *v, const struct raft_out *out)
{
    bool replaced = out->save.truncate != 0 && out->save.truncate <= n->config_index;
    if (v->config_index == n->config_index && !replaced && !out->save.has_snapshot) {
        return;
    }
    bool appended = out->save.own && v->config_index == out->save.lo && v->state == RAFT_LEADER;
    if (appended && n->config_index > v->commit) {
        raftwatch_violated(w, "ME: leader %llu appends configuration %llu, %llu is not committed",
                           U(n->id), U(v->config_index), U(n->config_index));
    } else if (appended && !adjacent(&n->config, raft_config(r))) {
        raftwatch_violated(w,
                           "ME: configuration %llu of leader %llu: quorums may miss those of %llu",
                           U(v->config_index), U(n->id), U(n->config_index));
    }
    n->config_index = v->config_index;
    n->config = *raft_config(r);
}

bool raftwatch_config(const struct raftwatch *w, uint64_t node, const struct raft_config **config,
                      uint64_t *index)
{
    for (uint32_t i = 0; i < w->node_count; i++) {
        const struct raftwatch_node *n = &w->nodes[i];
        if (n->id == node && n->known) {
            *config = &n->config;
            *index = n->config_index;
            return true;
        }
    }
    return false;
}

/* ---- leaders: AO, MA ---- */

/* After an answer: what the leader now believes of the sender. A peer in a later term may have
 * dropped it since. */
static void check_match(struct raftwatch *w, const struct raft *r, const struct raft_view *v,
                        const struct raft_msg *m)
{
    struct raft_peer_view p;
    struct raftwatch_node *peer = raftwatch_node_of(w, m->from);
    for (uint32_t i = 0; i < v->members; i++) {
        raft_peer_view(r, i, &p);
        if (p.id != m->from) {
            continue;
        }
        bool same = peer != NULL && peer->known && peer->incarnation == p.incarnation &&
                    peer->latest.term <= v->term;
        uint64_t term = raft_term_at(r, p.match);
        if (same && p.match != 0 && term != 0 && !raftwatch_disk_has(peer, p.match, term)) {
            raftwatch_violated(
                w, "MA: leader %llu believes that %llu has %llu of term %llu; its disk: %llu",
                U(v->self), U(p.id), U(p.match), U(term), U(raftwatch_disk_term(peer, p.match)));
        }
        return;
    }
}

static void check_role(struct raftwatch *w, struct raftwatch_node *n, const struct raft *r,
                       const struct raft_view *v, const struct raft_out *out)
{
    bool new_leader = v->state == RAFT_LEADER && (n->state != RAFT_LEADER || n->term != v->term);
    if (v->state == RAFT_LEADER && out->save.truncate != 0 && !new_leader) {
        raftwatch_violated(w, "AO: leader %llu of term %llu truncates its log at %llu", U(n->id),
                           U(v->term), U(out->save.truncate));
    }
    if (new_leader) {
        note_leader(w, v->term, v->self);
        check_complete(w, n, r, v);
    }
    if (v->term < n->term) {
        raftwatch_violated(w, "HS: node %llu goes from term %llu to %llu", U(n->id), U(n->term),
                           U(v->term));
    }
    n->state = v->state;
    n->term = v->term;
}

void raftwatch_stepped(struct raftwatch *w, const struct raft *r, const struct raft_event *event,
                       const struct raft_out *out, const uint64_t *ids)
{
    struct raft_view v;
    if (!raftwatch_ok(w)) {
        return;
    }
    raft_view(r, &v);
    struct raftwatch_node *n = raftwatch_node_of(w, v.self);
    if (n == NULL || !n->running) {
        return;
    }
    w->steps++;
    if (out->save.seq != 0) {
        note_write(w, n, &out->save);
        note_entries(w, n, r, &out->save, ids);
    }
    /* A leader may step down in the very step that commits its removal. */
    bool led = v.state == RAFT_LEADER || (n->state == RAFT_LEADER && n->term == v.term);
    check_role(w, n, r, &v, out);
    check_commit(w, n, r, &v, led);
    n->commit = v.commit;
    check_config(w, n, r, &v, out);
    if (out->save.has_snapshot) {
        check_snapshot(w, n, &out->save);
    }
    if (out->apply_lo < out->apply_hi) {
        check_apply(w, n, r, out);
    }
    if (event->type == RAFT_EV_RECEIVE && v.state == RAFT_LEADER) {
        check_match(w, r, &v, event->msg);
    }
    if (event->type == RAFT_EV_COMPACTED && event->index > n->based) {
        n->based = event->index;
    }
}

/* ---- reads ---- */

uint64_t raftwatch_asked(const struct raftwatch *w)
{
    return w->committed;
}

void raftwatch_served(struct raftwatch *w, const struct raft *r, uint64_t asked)
{
    struct raft_view v;
    raft_view(r, &v);
    if (v.applied < asked) {
        raftwatch_violated(
            w, "RD: node %llu serves a read from %llu, %llu were committed when it was asked",
            U(v.self), U(v.applied), U(asked));
    }
}

/* ---- life ---- */

void raftwatch_init(struct raftwatch *w, struct mem *mem)
{
    *w = (struct raftwatch){.mem = mem, .entries_from = 1};
}

void raftwatch_release(struct raftwatch *w)
{
    for (uint32_t i = 0; i < w->node_count; i++) {
        struct raftwatch_node *n = &w->nodes[i];
        mem_release(w->mem, n->runs.data);
        mem_release(w->mem, n->votes.data);
        mem_release(w->mem, n->writes.a.data);
        mem_release(w->mem, n->runs_ahead.a.data);
    }
    mem_release(w->mem, w->nodes);
    mem_release(w->mem, w->entries.data);
    mem_release(w->mem, w->others.data);
    mem_release(w->mem, w->leaders.data);
    mem_release(w->mem, w->commits.data);
    *w = (struct raftwatch){.mem = w->mem};
}

/* Moves only when half of it goes. */
void raftwatch_forget(struct raftwatch *w, uint64_t index)
{
    struct raftwatch_entry *e = w->entries.data;
    uint64_t n = index > w->entries_from ? index - w->entries_from : 0;
    n = n < w->entries.count ? n : w->entries.count;
    if (n > 1024 && n * 2 > w->entries.count) {
        memmove(e, e + n, (w->entries.count - n) * sizeof *e);
        w->entries.count -= n;
        w->entries_from += n;
    }
}
