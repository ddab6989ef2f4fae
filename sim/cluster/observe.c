/* observe.c - what the node says of itself and what its world sees, held against each other.
 *
 * ACK-AUDIT: when a reply that promises durability leaves, the bytes that carry the promise and the
 * names needed to find them must be guaranteed on the disk at that moment, under the disk's model.
 */
#include "sim/cluster/cluster_int.h"

#include "env/note.h"
#include "node/node.h"

#include <stdio.h>
#include <string.h>

static void on_probe(void *arg, struct proc *p, const struct env_site *site)
{
    struct cluster *c = arg;
    (void)p;
    trial_probe_reached(c->options, site);
}

/* ---- logs, as the engine tells of them ---- */

static void on_append(struct cluster *c, const struct env_note *n)
{
    for (size_t i = c->log_count; i-- > 0;) {
        if (c->logs[i].number == n->a) {
            c->logs[i].end = n->b;
            c->logs[i].sequence = n->c;
            return;
        }
    }
    if (c->log_count == c->log_cap) {
        c->log_cap = c->log_cap == 0 ? 16 : c->log_cap * 2;
        c->logs = mem_resize(c->world.mem, c->logs, c->log_cap * sizeof *c->logs);
    }
    c->logs[c->log_count++] = (struct log_mark){n->a, n->b, n->c};
}

static void on_table(struct cluster *c, const struct env_note *n)
{
    size_t at = 0;
    while (at < c->table_count && c->tables[at].number != n->a) {
        at++;
    }
    if (n->c == 0) {
        if (at < c->table_count) {
            c->tables[at] = c->tables[--c->table_count];
        }
        return;
    }
    if (at == c->table_cap) {
        c->table_cap = c->table_cap == 0 ? 16 : c->table_cap * 2;
        c->tables = mem_resize(c->world.mem, c->tables, c->table_cap * sizeof *c->tables);
    }
    c->tables[at] = (struct table_mark){n->a, n->b};
    c->table_count += at == c->table_count;
}

static void on_flushed(struct cluster *c, const struct env_note *n)
{
    c->manifest_size = n->a;
    c->manifest_number = n->b;
    c->flushed = n->c;
    size_t kept = 0;
    for (size_t i = 0; i < c->log_count; i++) {
        if (c->logs[i].sequence > n->c) {
            c->logs[kept++] = c->logs[i];
        }
    }
    c->log_count = kept;
}

static bool on_medium(const struct cluster *c, const char *name, uint64_t size)
{
    char path[64];
    const struct simdisk *d = c->node_host->disk;
    (void)snprintf(path, sizeof path, CLUSTER_DIR "/%s", name);
    return simdisk_name_guaranteed(d, path) && simdisk_guaranteed(d, path, 0, size);
}

/* CURRENT, the manifest that it names and the tables that this one names. */
static bool state_audit(struct cluster *c)
{
    char name[32];
    /* a new CURRENT may be on its way: whichever there is names a manifest that was whole before */
    if (!simdisk_name_bound(c->node_host->disk, CLUSTER_DIR "/CURRENT")) {
        world_fail(&c->world, "ACK-AUDIT", "a promise leaves, and CURRENT is not on the medium");
        return false;
    }
    (void)snprintf(name, sizeof name, "MANIFEST-%06llu", (unsigned long long)c->manifest_number);
    if (!on_medium(c, name, c->manifest_size)) {
        world_fail(&c->world, "ACK-AUDIT",
                   "a promise leaves, and %s up to %llu is not on the medium", name,
                   (unsigned long long)c->manifest_size);
        return false;
    }
    for (size_t i = 0; i < c->table_count; i++) {
        (void)snprintf(name, sizeof name, "%06llu.sst", (unsigned long long)c->tables[i].number);
        if (!on_medium(c, name, c->tables[i].size)) {
            world_fail(&c->world, "ACK-AUDIT", "a promise leaves, and %s is not on the medium",
                       name);
            return false;
        }
    }
    return true;
}

/* Everything up to `sequence` has been promised: is it there? */
static void audit(struct cluster *c, uint64_t sequence)
{
    char name[32];
    if (!state_audit(c) || sequence <= c->flushed) {
        return;
    }
    bool found = false;
    for (size_t i = 0; i < c->log_count && !found; i++) {
        const struct log_mark *log = &c->logs[i];
        (void)snprintf(name, sizeof name, "%06llu.log", (unsigned long long)log->number);
        if (!on_medium(c, name, log->end)) {
            world_fail(&c->world, "ACK-AUDIT",
                       "a promise for sequence %llu leaves, and %s up to %llu is not on the medium",
                       (unsigned long long)sequence, name, (unsigned long long)log->end);
            return;
        }
        found = log->sequence >= sequence;
    }
    if (!found) {
        world_fail(&c->world, "ACK-AUDIT",
                   "a promise for sequence %llu leaves, and no log holds it",
                   (unsigned long long)sequence);
    }
}

/* ---- the node's words ---- */

static void on_ack(struct cluster *c)
{
    const struct contract *k = &c->contract;
    if (!c->judging || k->count == 0) {
        return;
    }
    const struct contract_commit *last = &k->commits[k->count - 1];
    if (last->outcome == CONTRACT_OK && last->sync && last->sequence > 0) {
        audit(c, last->sequence);
        shadow_ack(c);
    }
}

static void on_recovered(struct cluster *c)
{
    c->serving = true;
    c->failed_starts = 0;
    shadow_decide(c);
    c->power_lost = false;
    task_wake(c->director);
}

static void on_note(void *arg, struct proc *p, const struct env_note *n)
{
    struct cluster *c = arg;
    if (p != c->node) {
        return;
    }
    switch ((enum note_kind)n->kind) {
    case NOTE_WAL_APPENDED:
        on_append(c, n);
        break;
    case NOTE_TABLE:
        on_table(c, n);
        break;
    case NOTE_FLUSHED:
        on_flushed(c, n);
        break;
    case NOTE_COMMIT_BEGIN:
        if (c->judging) {
            execorder_commit(&c->order, c->contract.count);
            contract_begin(&c->contract, slice_of(n->data, n->size), n->b != 0);
        }
        break;
    case NOTE_COMMIT_END:
        if (c->judging) {
            contract_end(&c->contract, (enum status)n->b, n->c);
            if (n->b == ST_OK) {
                execorder_committed(&c->order);
            }
        }
        break;
    case NOTE_COMMIT_REFUSED:
        execorder_commit(&c->order, EXECORDER_REFUSED);
        break;
    case NOTE_ACK:
        on_ack(c);
        break;
    case NOTE_RECOVERED:
        on_recovered(c);
        break;
    case NOTE_SESSION:
        execorder_session(&c->order, n->a, simsock_id(p->fds[n->b].sock));
        break;
    case NOTE_EXECUTED:
        execorder_executed(&c->order, n->a, n->b, n->c != 0);
        break;
    case NOTE_REPLAYED:
    case NOTE_APPLIED: /* of a group: nobody here is in one */
    case NOTE_INSTALLED:
    case NOTE_ROLE:
    case NOTE_SUBMITTED:
    case NOTE_ENVELOPE:
    case NOTE_LOOKED:
    case NOTE_CORE_STARTED:
    case NOTE_CORE_STEPPED:
    case NOTE_CORE_DURABLE:
    case NOTE_CORE_SENT:
    case NOTE_RESUMED:
    case NOTE_NONE:
        break;
    }
}

static void on_disk_point(void *arg, struct proc *p, enum disk_op op, bool before)
{
    struct cluster *c = arg;
    (void)before;
    if (p == c->node) {
        shadow_point(c, op);
    }
}

/* ---- ends ---- */

/* An exit that nobody asked for: was there a reason? */
static void judge_end(struct cluster *c, const struct proc *p)
{
    char leaks[256];
    if (p->state == PROC_DIED) {
        world_fail(&c->world, "unexplained abort", "the node ended itself: %s", p->death);
        return;
    }
    if (p->state != PROC_EXITED) {
        return;
    }
    proc_leaks(p, leaks, sizeof leaks);
    if (leaks[0] != '\0') {
        world_fail(&c->world, "leak", "after exit %d of the node: %s", p->exit_code, leaks);
        return;
    }
    bool excused =
        trial_excuses(&c->world) > c->errors_at_start || trial_disk_unwell(c->node_host->disk);
    if (p->exit_code != 0 && !excused) {
        world_fail(&c->world, "E6 recovery",
                   "the node ended with exit code %d and no fault excuses it", p->exit_code);
    } else if (p->exit_code == 0 && !c->stopping) {
        world_fail(&c->world, "unexplained exit", "the node ended, and nobody asked it to");
    }
}

static void on_ended(void *arg, struct proc *p)
{
    struct cluster *c = arg;
    if (p != c->node) {
        return;
    }
    /* A commit that was under way stays pending: the next recovery decides it. */
    judge_end(c, p);
    if (c->node_host->incarnations == 1) {
        c->result->allocations = p->allocations;
    }
    c->result->crashes += p->state != PROC_EXITED;
    c->power_lost = c->power_lost || !c->node_host->up;
    c->failed_starts += !c->serving;
    execorder_node_ended(&c->order);
    c->node = NULL;
    c->serving = false;
    c->log_count = 0;
    c->table_count = 0;
    c->manifest_number = 0;
    c->manifest_size = 0;
    c->flushed = 0;
    task_wake(c->keeper);
    task_wake(c->director);
}

const struct world_hooks cluster_hooks = {
    .note = on_note,
    .probe = on_probe,
    .disk_point = on_disk_point,
    .ended = on_ended,
};
