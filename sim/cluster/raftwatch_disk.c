/* raftwatch_disk.c - what the watch remembers: entries as first written, each node's disk. */
#include "sim/cluster/raftwatch_int.h"

#include <stdarg.h>
#include <stdio.h>

void raftwatch_violated(struct raftwatch *w, const char *format, ...)
{
    va_list args;
    if (w->what[0] == '\0') {
        va_start(args, format);
        (void)vsnprintf(w->what, sizeof w->what, format, args);
        va_end(args);
    }
}

/* ---- arrays ---- */

/* The next element, zeroed; NULL: no memory, which is said. */
void *raftwatch_grow(struct raftwatch *w, struct raftwatch_array *a, size_t size)
{
    if (a->count == a->cap) {
        size_t cap = a->cap > 0 ? 2 * a->cap : 16;
        void *data = mem_resize(w->mem, a->data, cap * size);
        if (data == NULL) {
            raftwatch_violated(w, "NOMEM: the watch has no memory");
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

void *raftwatch_queue_push(struct raftwatch *w, struct raftwatch_queue *q, size_t size)
{
    if (q->head > 32 && q->head * 2 > q->a.count) {
        q->a.count -= q->head;
        memmove(q->a.data, (char *)q->a.data + q->head * size, q->a.count * size);
        q->head = 0;
    }
    return raftwatch_grow(w, &q->a, size);
}

/* ---- entries: LM ---- */

struct raftwatch_entry *raftwatch_first_at(const struct raftwatch *w, uint64_t index)
{
    uint64_t i = index - w->entries_from;
    return index >= w->entries_from && i < w->entries.count
               ? &((struct raftwatch_entry *)w->entries.data)[i]
               : NULL;
}

struct raftwatch_entry *raftwatch_entry_of(const struct raftwatch *w, uint64_t index, uint64_t term)
{
    struct raftwatch_entry *e = raftwatch_first_at(w, index);
    while (e != NULL && e->term != term) {
        e = e->other != 0 ? &((struct raftwatch_entry *)w->others.data)[e->other - 1] : NULL;
    }
    return e;
}

/* The slot for an entry that was not seen before. */
static struct raftwatch_entry *entry_new(struct raftwatch *w, uint64_t index)
{
    while (raftwatch_first_at(w, index) == NULL) {
        if (index < w->entries_from ||
            raftwatch_grow(w, &w->entries, sizeof(struct raftwatch_entry)) == NULL) {
            return NULL;
        }
    }
    struct raftwatch_entry *e = raftwatch_first_at(w, index);
    if (e->term == 0) {
        return e;
    }
    struct raftwatch_entry *other = raftwatch_grow(w, &w->others, sizeof *other);
    if (other != NULL) {
        other->other = e->other;
        e->other = w->others.count;
    }
    return other;
}

uint64_t raftwatch_identity(const struct raft_item *item, uint64_t id)
{
    /* How many bytes a configuration takes is known to those only who have encoded it. */
    uint64_t bytes = item->config == NULL ? item->bytes : 0;
    uint64_t h = hash_add(hash_add(id, item->kind), bytes);
    for (uint32_t i = 0; item->config != NULL && i < item->config->count; i++) {
        const struct raft_member *m = &item->config->members[i];
        h = hash_add(hash_add(hash_add(h, m->id), m->incarnation), m->roles);
    }
    return h | 1;
}

void raftwatch_note_entry(struct raftwatch *w, struct raftwatch_node *n, uint64_t index,
                          uint64_t term, uint64_t prev, uint64_t id)
{
    struct raftwatch_entry *e = raftwatch_entry_of(w, index, term);
    if (e == NULL) {
        e = entry_new(w, index);
        if (e != NULL) {
            e->term = term;
            e->prev = prev;
            e->id = id;
        }
    } else if (e->prev != prev && prev != 0 && e->prev != 0) {
        raftwatch_violated(
            w, "LM: node %llu has entry %llu of term %llu behind term %llu, others term %llu",
            U(n->id), U(index), U(term), U(prev), U(e->prev));
    } else if (e->id != id) {
        raftwatch_violated(w, "LM: node %llu has another entry %llu of term %llu than others",
                           U(n->id), U(index), U(term));
    }
}

uint64_t raftwatch_committed_id(const struct raftwatch *w, uint64_t index)
{
    const struct raftwatch_entry *e = raftwatch_first_at(w, index);
    return e != NULL && e->committed != 0 ? e->committed_id : 0;
}

/* ---- nodes, their disks ---- */

struct raftwatch_node *raftwatch_node_of(struct raftwatch *w, uint64_t id)
{
    for (uint32_t i = 0; i < w->node_count; i++) {
        if (w->nodes[i].id == id) {
            return &w->nodes[i];
        }
    }
    return NULL;
}

struct raftwatch_node *raftwatch_node_make(struct raftwatch *w, uint64_t id)
{
    struct raftwatch_node *n = raftwatch_node_of(w, id);
    if (n == NULL && w->node_count < RAFTWATCH_NODES) {
        if (w->nodes == NULL) {
            w->nodes = mem_zalloc(w->mem, RAFTWATCH_NODES * sizeof *w->nodes);
        }
        if (w->nodes == NULL) {
            raftwatch_violated(w, "NOMEM: the watch has no memory");
            return NULL;
        }
        n = &w->nodes[w->node_count++];
        n->id = id;
    }
    return n;
}

/* Terms of D: newest runs are asked for most. */
uint64_t raftwatch_disk_term(const struct raftwatch_node *n, uint64_t index)
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
bool raftwatch_disk_has(const struct raftwatch_node *n, uint64_t index, uint64_t term)
{
    return n->known && (index <= n->floor || raftwatch_disk_term(n, index) == term);
}

void raftwatch_disk_run(struct raftwatch *w, struct raftwatch_node *n, uint64_t first,
                        uint64_t term)
{
    const struct raft_run *runs = n->runs.data;
    if (n->runs.count > 0 && runs[n->runs.count - 1].term == term) {
        return;
    }
    struct raft_run *run = raftwatch_grow(w, &n->runs, sizeof *run);
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

void raftwatch_disk_hard(struct raftwatch *w, struct raftwatch_node *n, struct raft_hard hard)
{
    if (hard.term < n->hard.term) {
        raftwatch_violated(w, "HS: term %llu of node %llu went back to %llu", U(n->hard.term),
                           U(n->id), U(hard.term));
    } else if (hard.term == n->hard.term && n->hard.vote != 0 && hard.vote != n->hard.vote) {
        raftwatch_violated(w, "VD: node %llu votes for %llu and %llu in term %llu", U(n->id),
                           U(n->hard.vote), U(hard.vote), U(hard.term));
    }
    if (hard.vote != 0 && vote_on_disk(n, hard.term) == 0) {
        struct raft_hard *vote = raftwatch_grow(w, &n->votes, sizeof *vote);
        if (vote != NULL) {
            *vote = hard;
        }
    }
    n->hard = hard;
}

static void disk_write(struct raftwatch *w, struct raftwatch_node *n,
                       const struct raftwatch_write *write)
{
    struct raft_run *runs = n->runs_ahead.a.data;
    if (write->has_snapshot) {
        if (!write->keep) {
            n->runs.count = 0;
            raftwatch_disk_run(w, n, write->place.index, write->place.term);
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
        raftwatch_disk_run(w, n, run.first, run.term);
    }
    if (write->hi != 0) {
        n->last = write->hi - 1;
    }
    if (write->has_hard) {
        raftwatch_disk_hard(w, n, write->hard);
    }
}

bool raftwatch_disk_next(struct raftwatch *w, struct raftwatch_node *n)
{
    if (n->writes.head == n->writes.a.count) {
        return false;
    }
    disk_write(w, n, &((struct raftwatch_write *)n->writes.a.data)[n->writes.head++]);
    return true;
}

void raftwatch_disk_drop(struct raftwatch_node *n)
{
    n->writes.head = n->writes.a.count;
    n->runs_ahead.head = n->runs_ahead.a.count;
    n->latest = n->hard;
    n->doubt = false;
}

void raftwatch_durable(struct raftwatch *w, uint64_t node, uint64_t seq)
{
    struct raftwatch_node *n = raftwatch_node_of(w, node);
    if (n == NULL || !raftwatch_ok(w)) {
        return;
    }
    while (n->writes.head < n->writes.a.count &&
           ((struct raftwatch_write *)n->writes.a.data)[n->writes.head].seq <= seq) {
        (void)raftwatch_disk_next(w, n); /* there is one */
    }
}

void raftwatch_died(struct raftwatch *w, uint64_t node)
{
    struct raftwatch_node *n = raftwatch_node_of(w, node);
    if (n != NULL) {
        n->doubt = true;
        n->running = false;
        n->state = 0;
    }
}

void raftwatch_crashed(struct raftwatch *w, uint64_t node)
{
    struct raftwatch_node *n = raftwatch_node_of(w, node);
    if (n != NULL) {
        raftwatch_died(w, node);
        raftwatch_disk_drop(n);
    }
}

void raftwatch_wiped(struct raftwatch *w, uint64_t node)
{
    struct raftwatch_node *n = raftwatch_node_of(w, node);
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
    struct raftwatch_node *n = raftwatch_node_of(w, m->from);
    if (n == NULL || !raftwatch_ok(w)) {
        return;
    }
    if (m->term > n->hard.term) {
        raftwatch_violated(w, "HS: node %llu sends %s in term %llu, its disk has %llu", U(n->id),
                           raftmsg_name(m->type), U(m->term), U(n->hard.term));
    }
    uint64_t whom = m->type == RAFT_MSG_VOTE                  ? m->from
                    : m->type == RAFT_MSG_VOTE_REPLY && m->ok ? m->to
                                                              : 0;
    uint64_t term = m->type == RAFT_MSG_VOTE ? m->term : m->campaign;
    if (whom != 0 && vote_on_disk(n, term) != whom) {
        raftwatch_violated(w, "VD: node %llu sends a vote for %llu in term %llu, its disk has %llu",
                           U(n->id), U(whom), U(term), U(vote_on_disk(n, term)));
    }
}
