/* raftwatch.c - see raftwatch.h. */
#include "sim/cluster/raftwatch.h"

#include "base/hash.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One entry as it was first written anywhere. */
struct raftwatch_entry {
    uint64_t term; /* 0: none seen */
    uint64_t prev; /* term of the entry before */
    uint64_t id;
    uint64_t committed; /* 1 + the term it was committed with; 0: not (yet). At the index's first */
    uint64_t committed_id;
    uint64_t other; /* 1 + the place in `others` of another entry of this index; 0: none */
};

/* A write on its way to the disk. Its runs are in the node's `runs_ahead`. */
struct write {
    uint64_t seq;
    struct raft_hard hard;
    struct raft_place place;
    uint64_t truncate;
    uint64_t hi;
    uint32_t runs; /* how many */
    bool has_hard;
    bool has_snapshot;
    bool keep;
};

/* A queue in an array: what is taken is moved out when it is half of it. */
struct queue {
    struct raftwatch_array a;
    size_t head;
};

struct raftwatch_node {
    uint64_t id;
    uint64_t incarnation;
    bool known;   /* D is */
    bool running; /* and the rest is of its process */
    /* D */
    struct raft_hard hard;
    uint64_t based; /* D may begin anywhere up to here: what was compacted or installed */
    uint64_t floor; /* what is at or below is in a snapshot */
    uint64_t floor_term;
    uint64_t last;
    struct raftwatch_array runs;
    struct raftwatch_array votes; /* of a term: whom (pairs), ascending; what is on D */
    /* on its way there */
    struct queue writes;
    struct queue runs_ahead;
    struct raft_hard latest; /* with all of them */
    /* the process */
    uint8_t state;
    uint64_t term;
    uint64_t commit;
    uint64_t apply_next;
    uint64_t config_index;
    struct raft_config config;
};

__attribute__((format(printf, 2, 3))) static void violated(struct raftwatch *w, const char *format,
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

/* ---- arrays ---- */

/* The next element, zeroed; NULL: no memory, which is said. */
static void *grow(struct raftwatch *w, struct raftwatch_array *a, size_t size)
{
    if (a->count == a->cap) {
        size_t cap = a->cap > 0 ? 2 * a->cap : 16;
        void *data = mem_resize(w->mem, a->data, cap * size);
        if (data == NULL) {
            violated(w, "NOMEM: the watch has no memory");
            return NULL;
        }
        a->data = data;
        a->cap = cap;
    }
    void *at = (char *)a->data + a->count * size;
    memset(at, 0, size);
    a->count++;
    return at;
}

static void *queue_push(struct raftwatch *w, struct queue *q, size_t size)
{
    if (q->head > 32 && q->head * 2 > q->a.count) {
        q->a.count -= q->head;
        memmove(q->a.data, (char *)q->a.data + q->head * size, q->a.count * size);
        q->head = 0;
    }
    return grow(w, &q->a, size);
}

/* ---- entries: LM ---- */

static struct raftwatch_entry *first_at(const struct raftwatch *w, uint64_t index)
{
    uint64_t i = index - w->entries_from;
    return index >= w->entries_from && i < w->entries.count
               ? &((struct raftwatch_entry *)w->entries.data)[i]
               : NULL;
}

static struct raftwatch_entry *entry_of(const struct raftwatch *w, uint64_t index, uint64_t term)
{
    struct raftwatch_entry *e = first_at(w, index);
    while (e != NULL && e->term != term) {
        e = e->other != 0 ? &((struct raftwatch_entry *)w->others.data)[e->other - 1] : NULL;
    }
    return e;
}

/* The slot for an entry that was not seen before. */
static struct raftwatch_entry *entry_new(struct raftwatch *w, uint64_t index)
{
    while (first_at(w, index) == NULL) {
        if (index < w->entries_from ||
            grow(w, &w->entries, sizeof(struct raftwatch_entry)) == NULL) {
            return NULL;
        }
    }
    struct raftwatch_entry *e = first_at(w, index);
    if (e->term == 0) {
        return e;
    }
    struct raftwatch_entry *other = grow(w, &w->others, sizeof *other);
    if (other != NULL) {
        other->other = e->other;
        e->other = w->others.count;
    }
    return other;
}

static uint64_t identity(const struct raft_item *item, uint64_t id)
{
    uint64_t h = hash_add(hash_add(id, item->kind), item->bytes);
    for (uint32_t i = 0; item->config != NULL && i < item->config->count; i++) {
        const struct raft_member *m = &item->config->members[i];
        h = hash_add(hash_add(hash_add(h, m->id), m->incarnation), m->roles);
    }
    return h | 1;
}

static void note_entry(struct raftwatch *w, struct raftwatch_node *n, uint64_t index, uint64_t term,
                       uint64_t prev, uint64_t id)
{
    struct raftwatch_entry *e = entry_of(w, index, term);
    if (e == NULL) {
        e = entry_new(w, index);
        if (e != NULL) {
            e->term = term;
            e->prev = prev;
            e->id = id;
        }
    } else if (e->prev != prev && prev != 0 && e->prev != 0) {
        violated(w, "LM: node %llu has entry %llu of term %llu behind term %llu, others term %llu",
                 U(n->id), U(index), U(term), U(prev), U(e->prev));
    } else if (e->id != id) {
        violated(w, "LM: node %llu has another entry %llu of term %llu than others", U(n->id),
                 U(index), U(term));
    }
}

uint64_t raftwatch_committed_id(const struct raftwatch *w, uint64_t index)
{
    const struct raftwatch_entry *e = first_at(w, index);
    return e != NULL && e->committed != 0 ? e->committed_id : 0;
}

/* ---- nodes, their disks ---- */

static struct raftwatch_node *node_of(struct raftwatch *w, uint64_t id)
{
    for (uint32_t i = 0; i < w->node_count; i++) {
        if (w->nodes[i].id == id) {
            return &w->nodes[i];
        }
    }
    return NULL;
}

static struct raftwatch_node *node_make(struct raftwatch *w, uint64_t id)
{
    struct raftwatch_node *n = node_of(w, id);
    if (n == NULL && w->node_count < RAFTWATCH_NODES) {
        if (w->nodes == NULL) {
            w->nodes = mem_zalloc(w->mem, RAFTWATCH_NODES * sizeof *w->nodes);
        }
        if (w->nodes == NULL) {
            violated(w, "NOMEM: the watch has no memory");
            return NULL;
        }
        n = &w->nodes[w->node_count++];
        n->id = id;
    }
    return n;
}

/* Terms of D: newest runs are asked for most. */
static uint64_t disk_term(const struct raftwatch_node *n, uint64_t index)
{
    const struct raft_run *runs = n->runs.data;
    if (index > n->last) {
        return 0;
    }
    for (size_t i = n->runs.count; i-- > 0;) {
        if (runs[i].first <= index) {
            return runs[i].term;
        }
    }
    return 0;
}

/* The entry, or a snapshot that covers it. */
static bool disk_has(const struct raftwatch_node *n, uint64_t index, uint64_t term)
{
    return n->known && (index <= n->floor || disk_term(n, index) == term);
}

static void disk_run(struct raftwatch *w, struct raftwatch_node *n, uint64_t first, uint64_t term)
{
    const struct raft_run *runs = n->runs.data;
    if (n->runs.count > 0 && runs[n->runs.count - 1].term == term) {
        return;
    }
    struct raft_run *run = grow(w, &n->runs, sizeof *run);
    if (run != NULL) {
        *run = (struct raft_run){first, term};
    }
}

static void disk_truncate(struct raftwatch_node *n, uint64_t index)
{
    const struct raft_run *runs = n->runs.data;
    while (n->runs.count > 0 && runs[n->runs.count - 1].first >= index) {
        n->runs.count--;
    }
    n->last = index - 1;
}

/* ---- votes: VD, HS ---- */

/* A pair per term, ascending, as terms on a disk ascend. */
static uint64_t vote_on_disk(const struct raftwatch_node *n, uint64_t term)
{
    const struct raft_hard *votes = n->votes.data;
    for (size_t i = n->votes.count; i-- > 0 && votes[i].term >= term;) {
        if (votes[i].term == term) {
            return votes[i].vote;
        }
    }
    return 0;
}

static void disk_hard(struct raftwatch *w, struct raftwatch_node *n, struct raft_hard hard)
{
    if (hard.term < n->hard.term) {
        violated(w, "HS: term %llu of node %llu went back to %llu", U(n->hard.term), U(n->id),
                 U(hard.term));
    } else if (hard.term == n->hard.term && n->hard.vote != 0 && hard.vote != n->hard.vote) {
        violated(w, "VD: node %llu votes for %llu and %llu in term %llu", U(n->id), U(n->hard.vote),
                 U(hard.vote), U(hard.term));
    }
    if (hard.vote != 0 && vote_on_disk(n, hard.term) == 0) {
        struct raft_hard *vote = grow(w, &n->votes, sizeof *vote);
        if (vote != NULL) {
            *vote = hard;
        }
    }
    n->hard = hard;
}

static void disk_write(struct raftwatch *w, struct raftwatch_node *n, const struct write *write)
{
    struct raft_run *runs = n->runs_ahead.a.data;
    if (write->has_snapshot) {
        if (!write->keep) {
            n->runs.count = 0;
            disk_run(w, n, write->place.index, write->place.term);
            n->last = write->place.index;
        }
        n->floor = write->place.index;
        n->floor_term = write->place.term;
    }
    if (write->truncate != 0) {
        disk_truncate(n, write->truncate);
    }
    for (uint32_t i = 0; i < write->runs; i++) {
        struct raft_run run = runs[n->runs_ahead.head++];
        disk_run(w, n, run.first, run.term);
    }
    if (write->hi != 0) {
        n->last = write->hi - 1;
    }
    if (write->has_hard) {
        disk_hard(w, n, write->hard);
    }
}

void raftwatch_durable(struct raftwatch *w, uint64_t node, uint64_t seq)
{
    struct raftwatch_node *n = node_of(w, node);
    if (n == NULL || !raftwatch_ok(w)) {
        return;
    }
    while (n->writes.head < n->writes.a.count) {
        const struct write *write = &((struct write *)n->writes.a.data)[n->writes.head];
        if (write->seq > seq) {
            break;
        }
        disk_write(w, n, write);
        n->writes.head++;
    }
}

void raftwatch_crashed(struct raftwatch *w, uint64_t node)
{
    struct raftwatch_node *n = node_of(w, node);
    if (n != NULL) {
        n->writes.head = n->writes.a.count;
        n->runs_ahead.head = n->runs_ahead.a.count;
        n->latest = n->hard;
        n->running = false;
        n->state = 0;
    }
}

void raftwatch_wiped(struct raftwatch *w, uint64_t node)
{
    struct raftwatch_node *n = node_of(w, node);
    if (n != NULL) {
        raftwatch_crashed(w, node);
        n->known = false;
        n->runs.count = 0;
        n->votes.count = 0;
        n->hard = n->latest = (struct raft_hard){0, 0};
        n->based = n->floor = n->floor_term = n->last = 0;
    }
}

void raftwatch_sent(struct raftwatch *w, const struct raft_msg *m)
{
    struct raftwatch_node *n = node_of(w, m->from);
    if (n == NULL || !raftwatch_ok(w)) {
        return;
    }
    if (m->term > n->hard.term) {
        violated(w, "HS: node %llu sends %s in term %llu, its disk has %llu", U(n->id),
                 raftmsg_name(m->type), U(m->term), U(n->hard.term));
    }
    uint64_t whom = m->type == RAFT_MSG_VOTE                  ? m->from
                    : m->type == RAFT_MSG_VOTE_REPLY && m->ok ? m->to
                                                              : 0;
    uint64_t term = m->type == RAFT_MSG_VOTE ? m->term : m->campaign;
    if (whom != 0 && vote_on_disk(n, term) != whom) {
        violated(w, "VD: node %llu sends a vote for %llu in term %llu, its disk has %llu", U(n->id),
                 U(whom), U(term), U(vote_on_disk(n, term)));
    }
}

/* ---- starts: RE ---- */

static void believe(struct raftwatch *w, struct raftwatch_node *n, const struct raft_start *s)
{
    n->known = true;
    n->floor = n->based = s->base.index;
    n->floor_term = s->base.term;
    n->runs.count = 0;
    for (uint32_t i = 0; i < s->run_count; i++) {
        disk_run(w, n, s->runs[i].first, s->runs[i].term);
    }
    n->last = s->last;
    n->hard = (struct raft_hard){0, 0};
    disk_hard(w, n, s->hard);
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

static void compare_start(struct raftwatch *w, const struct raftwatch_node *n,
                          const struct raft_start *s)
{
    if (s->hard.term != n->hard.term || s->hard.vote != n->hard.vote) {
        violated(w, "RE: node %llu starts in term %llu with a vote for %llu, it was %llu and %llu",
                 U(n->id), U(s->hard.term), U(s->hard.vote), U(n->hard.term), U(n->hard.vote));
    }
    if (s->last != n->last) {
        violated(w, "RE: node %llu starts with a log to %llu, it was to %llu", U(n->id), U(s->last),
                 U(n->last));
    }
    if (s->base.index > n->based) {
        violated(w, "RE: the log of node %llu begins behind %llu, only %llu were given up",
                 U(n->id), U(s->base.index), U(n->based));
    }
    const struct raft_run *runs = n->runs.data;
    for (size_t i = 0; i < n->runs.count; i++) {
        uint64_t at = runs[i].first > s->base.index ? runs[i].first : s->base.index + 1;
        uint64_t end = i + 1 < n->runs.count ? runs[i + 1].first - 1 : n->last;
        if (at <= end &&
            (start_term(s, at) != runs[i].term || start_term(s, end) != runs[i].term)) {
            violated(w, "RE: node %llu starts with other terms than it had at %llu", U(n->id),
                     U(at));
        }
    }
}

void raftwatch_started(struct raftwatch *w, const struct raft *r, const struct raft_start *start)
{
    struct raft_view v;
    raft_view(r, &v);
    struct raftwatch_node *n = node_make(w, v.self);
    if (n == NULL || !raftwatch_ok(w)) {
        return;
    }
    if (n->known && n->incarnation == v.incarnation) {
        compare_start(w, n, start);
    } else {
        believe(w, n, start);
        n->incarnation = v.incarnation;
    }
    if (start->applied > w->committed && w->steps > 0) {
        violated(w, "SM: node %llu starts with %llu applied, %llu are committed", U(n->id),
                 U(start->applied), U(w->committed));
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
    struct write *write = queue_push(w, &n->writes, sizeof *write);
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
            struct raft_run *run = queue_push(w, &n->runs_ahead, sizeof *run);
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
            violated(w, "VD: node %llu goes from term %llu, vote %llu to term %llu, vote %llu",
                     U(n->id), U(n->latest.term), U(n->latest.vote), U(s->hard.term),
                     U(s->hard.vote));
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
        note_entry(w, n, i, term, prev, identity(item, ids != NULL ? ids[i - s->lo] : 0));
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
            violated(w, "NOMEM: the watch has no memory");
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
        violated(w, "ES: nodes %llu and %llu both lead term %llu", U(slots[2 * at + 1]), U(node),
                 U(term));
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
    const struct raftwatch_entry *e = first_at(w, index);
    uint64_t term = raft_term_at(r, index);
    if (e == NULL || index <= v->base.index) {
        return;
    }
    if (index > v->last || (term != 0 && term != e->committed - 1)) {
        violated(w, "LC: node %llu leads term %llu without entry %llu, committed in term %llu",
                 U(n->id), U(v->term), U(index), U(commits[i - 1].term));
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
            const struct raftwatch_node *n = node_of(w, c->members[i].id);
            voters++;
            have += n != NULL && n->incarnation == c->members[i].incarnation &&
                    disk_has(n, index, term);
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
        violated(w, "CM: node %llu, no leader, is the first to commit %llu", U(n->id),
                 U(v->commit));
        return;
    }
    /* The configuration before this step: what is committed may bring the next one about. */
    if (!on_quorum(w, &n->config, RAFT_IN, v->commit, term) ||
        !on_quorum(w, &n->config, RAFT_OUT, v->commit, term)) {
        violated(w, "DU: node %llu commits %llu of term %llu, which no quorum has on disk",
                 U(n->id), U(v->commit), U(term));
    }
    for (uint64_t i = v->commit; i > w->committed && i >= w->entries_from; i--) {
        struct raftwatch_entry *first = first_at(w, i);
        struct raftwatch_entry *e = entry_of(w, i, term);
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
        struct raftwatch_commit *c = grow(w, &w->commits, sizeof *c);
        if (c != NULL) {
            *c = (struct raftwatch_commit){v->term, v->commit};
        }
    }
}

static void check_commit(struct raftwatch *w, struct raftwatch_node *n, const struct raft *r,
                         const struct raft_view *v, bool led)
{
    if (v->commit < n->commit || v->commit > v->last) {
        violated(w, "CM: node %llu goes from commit %llu to %llu, its log to %llu", U(n->id),
                 U(n->commit), U(v->commit), U(v->last));
    }
    if (v->commit == n->commit) {
        return;
    }
    if (led && raft_term_at(r, v->commit) != v->term) {
        violated(w, "CM: leader %llu of term %llu commits %llu of term %llu", U(n->id), U(v->term),
                 U(v->commit), U(raft_term_at(r, v->commit)));
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
        violated(w, "SM: node %llu applies %llu..%llu, %llu was next and %llu are committed",
                 U(n->id), U(out->apply_lo), U(out->apply_hi - 1), U(n->apply_next),
                 U(w->committed));
    }
    for (uint64_t i = out->apply_lo; i < out->apply_hi; i++) {
        const struct raftwatch_entry *first = first_at(w, i);
        uint64_t term = raft_term_at(r, i);
        const struct raftwatch_entry *mine = term != 0 ? entry_of(w, i, term) : NULL;
        if (first == NULL || first->committed == 0 || term == 0) {
            continue; /* from before the watch, or a term that the core forgot */
        }
        if (mine == NULL || term != first->committed - 1 || mine->id != first->committed_id) {
            violated(w, "SM: node %llu applies %llu of term %llu, committed was term %llu",
                     U(n->id), U(i), U(term), U(first->committed - 1));
        }
    }
    n->apply_next = out->apply_hi;
}

static void check_snapshot(struct raftwatch *w, struct raftwatch_node *n,
                           const struct raft_write *s)
{
    const struct raftwatch_entry *first = first_at(w, s->place.index);
    if (s->place.index > w->committed ||
        (first != NULL && first->committed != 0 && first->committed - 1 != s->place.term)) {
        violated(w, "SM: node %llu installs a snapshot of %llu, term %llu: not what was committed",
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
        violated(w, "ME: leader %llu appends configuration %llu, %llu is not committed", U(n->id),
                 U(v->config_index), U(n->config_index));
    } else if (appended && !adjacent(&n->config, raft_config(r))) {
        violated(w, "ME: configuration %llu of leader %llu: quorums may miss those of %llu",
                 U(v->config_index), U(n->id), U(n->config_index));
    }
    n->config_index = v->config_index;
    n->config = *raft_config(r);
}

/* ---- leaders: AO, MA ---- */

/* After an answer: what the leader now believes of the sender. A peer in a later term may have
 * dropped it since. */
static void check_match(struct raftwatch *w, const struct raft *r, const struct raft_view *v,
                        const struct raft_msg *m)
{
    struct raft_peer_view p;
    struct raftwatch_node *peer = node_of(w, m->from);
    for (uint32_t i = 0; i < v->members; i++) {
        raft_peer_view(r, i, &p);
        if (p.id != m->from) {
            continue;
        }
        bool same = peer != NULL && peer->known && peer->incarnation == p.incarnation &&
                    peer->latest.term <= v->term;
        uint64_t term = raft_term_at(r, p.match);
        if (same && p.match != 0 && term != 0 && !disk_has(peer, p.match, term)) {
            violated(w, "MA: leader %llu believes that %llu has %llu of term %llu; its disk: %llu",
                     U(v->self), U(p.id), U(p.match), U(term), U(disk_term(peer, p.match)));
        }
        return;
    }
}

static void check_role(struct raftwatch *w, struct raftwatch_node *n, const struct raft *r,
                       const struct raft_view *v, const struct raft_out *out)
{
    bool new_leader = v->state == RAFT_LEADER && (n->state != RAFT_LEADER || n->term != v->term);
    if (v->state == RAFT_LEADER && out->save.truncate != 0 && !new_leader) {
        violated(w, "AO: leader %llu of term %llu truncates its log at %llu", U(n->id), U(v->term),
                 U(out->save.truncate));
    }
    if (new_leader) {
        note_leader(w, v->term, v->self);
        check_complete(w, n, r, v);
    }
    if (v->term < n->term) {
        violated(w, "HS: node %llu goes from term %llu to %llu", U(n->id), U(n->term), U(v->term));
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
    struct raftwatch_node *n = node_of(w, v.self);
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
        violated(w, "RD: node %llu serves a read from %llu, %llu were committed when it was asked",
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
