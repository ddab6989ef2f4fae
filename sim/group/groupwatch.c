/* groupwatch.c - what the nodes say of themselves, and what must hold then: every invariant of
 * raftwatch.h after each step, one state after each entry, ends that have a reason. */
#include "base/ck.h"
#include "base/hash.h"
#include "env/note.h"
#include "node/node.h"
#include "node/replicanote.h"
#include "sim/group/groupworld_int.h"

#include <stdio.h>
#include <string.h>

static struct groupnode *node_of(struct groupworld *g, const struct proc *p)
{
    for (unsigned i = 0; i < g->nodes; i++) {
        if (g->procs[i] == p) {
            return &g->node[i];
        }
    }
    return NULL;
}

static void on_probe(void *arg, struct proc *p, const struct env_site *site)
{
    struct groupworld *g = arg;
    (void)p;
    trial_probe_reached(g->options, site);
}

/* ---- the core ---- */

static void check_watch(struct groupworld *g)
{
    if (!raftwatch_ok(&g->watch)) {
        char class[4] = {g->watch.what[0], g->watch.what[1], '\0'};
        char name[24];
        (void)snprintf(name, sizeof name, "raft %s", class);
        world_fail(&g->world, name, "%s", g->watch.what);
    }
}

/* What names the payloads of the entries that this step writes; NULL: none does. The core's own,
 * and configurations, are named by what the watch sees of them. */
static const uint64_t *name_entries(struct groupworld *g, const struct replicanote_step *s)
{
    const struct raft_write *w = &s->out->save;
    if (w->seq == 0 || w->hi <= w->lo) {
        return NULL;
    }
    buf_clear(&g->ids);
    for (uint64_t i = w->lo; i < w->hi; i++) {
        uint64_t id = 0;
        if (!w->own && s->entries != NULL) {
            const struct raft_entry *e = &s->entries[i - w->lo + w->skip];
            id = w->items[i - w->lo].kind == RAFT_COMMAND
                     ? hash_bytes(1, e->data.data, e->data.size)
                     : 0;
        }
        enum status st = buf_append(&g->ids, &id, sizeof id);
        CK(st == ST_OK);
    }
    return (const uint64_t *)(const void *)g->ids.data;
}

static void on_started(struct groupworld *g, struct groupnode *n, const struct env_note *note)
{
    const struct replicanote_start *s = note->data;
    raftwatch_started(&g->watch, s->core, s->start);
    raft_view(s->core, &n->view);
    n->up = true;
    n->failed_starts = 0;
    groupmembers_learn(g, s->core);
    check_watch(g);
    groupworld_news(g);
}

static void on_stepped(struct groupworld *g, struct groupnode *n, const struct env_note *note)
{
    const struct replicanote_step *s = note->data;
    raftwatch_stepped(&g->watch, s->core, s->event, s->out, name_entries(g, s));
    raft_view(s->core, &n->view);
    groupmembers_learn(g, s->core);
    check_watch(g);
    if (s->out->role_changed || s->event->type == RAFT_EV_APPLIED) {
        groupworld_news(g);
    }
}

/* ---- the state ---- */

static struct groupmark *mark_of(struct groupworld *g, uint64_t index)
{
    if (index >= g->mark_count) {
        size_t count = (size_t)index * 2 + 256;
        g->marks = mem_resize(g->world.mem, g->marks, count * sizeof *g->marks);
        CK(g->marks != NULL);
        memset(g->marks + g->mark_count, 0, (count - g->mark_count) * sizeof *g->marks);
        g->mark_count = count;
    }
    return &g->marks[index];
}

/* Whoever has executed everything up to an entry is in the same state. */
static void on_applied(struct groupworld *g, const struct groupnode *n, const struct env_note *note)
{
    struct groupmark *m = mark_of(g, note->a);
    if (m->term == 0) {
        *m = (struct groupmark){note->b, note->c};
        if (note->data != NULL &&
            !grouporder_executed(&g->order, note->a, slice_of(note->data, note->size))) {
            world_fail(&g->world, "raft X1", "entry %llu executes a request a second time",
                       (unsigned long long)note->a);
        }
    } else if (m->term != note->b || m->digest != note->c) {
        world_fail(&g->world, "raft SM",
                   "node %u is in another state after entry %llu of term %llu than others were "
                   "(theirs is of term %llu)",
                   n->number + 1, (unsigned long long)note->a, (unsigned long long)note->b,
                   (unsigned long long)m->term);
    }
}

static void on_note(void *arg, struct proc *p, const struct env_note *note)
{
    struct groupworld *g = arg;
    struct groupnode *n = node_of(g, p);
    if (n == NULL) {
        return;
    }
    switch (note->kind) {
    case NOTE_CORE_STARTED:
        on_started(g, n, note);
        break;
    case NOTE_CORE_STEPPED:
        on_stepped(g, n, note);
        break;
    case NOTE_CORE_DURABLE:
        raftwatch_durable(&g->watch, note->a, note->b);
        check_watch(g);
        break;
    case NOTE_CORE_SENT:
        raftwatch_sent(&g->watch, note->data);
        check_watch(g);
        break;
    case NOTE_SESSION:
        grouporder_session(&g->order, n->number + 1, note->a, simsock_id(p->fds[note->b].sock));
        break;
    case NOTE_SUBMITTED:
        grouporder_submitted(&g->order, n->number + 1, note->data, note->a, note->b);
        break;
    case NOTE_ENVELOPE:
        grouporder_packed(&g->order, n->number + 1, note->a, note->b, note->data,
                          note->size / sizeof(void *));
        break;
    case NOTE_LOOKED:
        grouporder_looked(&g->order, n->number + 1, note->a, note->b, note->c);
        break;
    case NOTE_APPLIED:
        on_applied(g, n, note);
        break;
    default: /* of the engine; of a node that is in no group */
        break;
    }
}

/* ---- ends ---- */

/* An exit that nobody asked for: was there a reason? */
static void judge_end(struct groupworld *g, const struct groupnode *n, const struct proc *p)
{
    char leaks[256];
    if (p->state == PROC_DIED) {
        world_fail(&g->world, "unexplained abort", "node %u ended itself: %s", n->number + 1,
                   p->death);
        return;
    }
    if (p->state != PROC_EXITED) {
        return;
    }
    proc_leaks(p, leaks, sizeof leaks);
    const struct simdisk *disk = g->hosts[n->number]->disk;
    bool excused = trial_excuses(&g->world) > n->errors_at_start ||
                   simdisk_damage_met(disk) > n->damage_at_start || trial_disk_unwell(disk);
    if (leaks[0] != '\0') {
        world_fail(&g->world, "leak", "after exit %d of node %u: %s", p->exit_code, n->number + 1,
                   leaks);
    } else if (p->exit_code != 0 && !excused) {
        world_fail(&g->world, "E6 recovery",
                   "node %u ended with exit code %d and no fault excuses it", n->number + 1,
                   p->exit_code);
    } else if (p->exit_code == 0 && !g->stopping[n->number]) {
        world_fail(&g->world, "unexplained exit", "node %u ended, and nobody asked it to",
                   n->number + 1);
    }
}

static void on_ended(void *arg, struct proc *p)
{
    struct groupworld *g = arg;
    struct groupnode *n = node_of(g, p);
    if (n == NULL) {
        return;
    }
    if (p->main == node_main) {
        judge_end(g, n, p);
        g->result->crashes += p->state != PROC_EXITED;
        raftwatch_died(&g->watch, n->number + 1);
        n->failed_starts += !n->up;
        n->up = false;
        n->view = (struct raft_view){.state = 0};
    }
    g->procs[n->number] = NULL;
    task_wake(n->keeper);
    groupworld_news(g);
}

const struct world_hooks groupwatch_hooks = {
    .note = on_note,
    .probe = on_probe,
    .ended = on_ended,
};
