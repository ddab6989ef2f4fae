/* replica_step.c - one step of the core, and what comes of it: the write, the sends, the rest. */
#include "base/ck.h"
#include "env/note.h"
#include "node/confcode.h"
#include "node/replica_int.h"
#include "node/replicanote.h"

#define TRY_AGAIN_NS (10 * REPLICA_MS)

void replica_step_fail(struct replica *r, enum status why, const char *what)
{
    char line[160];
    struct err err;
    r->failed = r->failed == ST_OK ? why : r->failed;
    r->halted = true;
    err_set(&err, "replica: %s: %s, stopping", what, status_text(why));
    (void)snprintf(line, sizeof line, "%.159s", err.text);
    r->env->vt->log(r->env, ENV_LOG_ERROR, line);
}

/* ---- the write ---- */

static enum status scratch_reserve(struct replica *r, uint64_t count)
{
    if (count <= r->scratch_cap) {
        return ST_OK;
    }
    uint32_t cap = count < 64 ? 64 : (uint32_t)count;
    struct raft_entry *e = env_resize(r->env, r->scratch, cap * sizeof *e);
    if (e == NULL) {
        return ST_NOMEM;
    }
    r->scratch = e;
    r->scratch_cap = cap;
    return ST_OK;
}

/* The entries of out.save with their payloads; one of the core's own goes into `own`. */
static void entries_fill(struct replica *r, const struct replica_input *in, char own[CONFCODE_MAX])
{
    const struct raft_write *w = &r->out.save;
    for (uint64_t i = w->lo; i < w->hi; i++) {
        const struct raft_item *item = &w->items[i - w->lo];
        struct raft_entry *e = &r->scratch[i - w->lo];
        *e = (struct raft_entry){.index = i,
                                 .term = w->term != 0 ? w->term : item->term,
                                 .kind = (enum raft_kind)item->kind};
        if (!w->own) {
            CK(in != NULL);
            e->data = in->entries[i - w->lo + w->skip].data;
        } else if (item->config != NULL) {
            e->data = slice_of(own, confcode_write(item->config, own));
        }
    }
}

static enum status write_try(struct replica *r, const struct replica_input *in)
{
    const struct raft_write *w = &r->out.save;
    char own[CONFCODE_MAX];
    char config[RAFTLOG_CONFIG_MAX];
    struct raftlog_snapshot mark;
    enum status st = scratch_reserve(r, w->hi - w->lo);
    if (st != ST_OK) {
        return st;
    }
    entries_fill(r, in, own);
    struct raftlog_write lw = {.seq = w->seq,
                               .hard = w->has_hard ? &w->hard : NULL,
                               .truncate = w->truncate,
                               .entries = r->scratch,
                               .count = (size_t)(w->hi - w->lo),
                               .repair = w->repair};
    if (w->has_snapshot) {
        replica_install_write(r, &lw, &mark, config);
    } else {
        replica_snap_carry(r, &lw, &mark, config);
    }
    st = raftlog_append(r->log, &lw);
    if (st == ST_OK && w->has_snapshot) {
        replica_install_logged(r);
    } else if (st == ST_OK && lw.snapshot != NULL) {
        replica_snap_carried(r);
    }
    return st;
}

/* Hands the step's write to the log. There is no going back behind a step, so refused memory is
 * waited for. */
static void write_take(struct replica *r, const struct replica_input *in)
{
    enum status st = write_try(r, in);
    while (st == ST_NOMEM || st == ST_NOSPC) {
        ENV_PROBE(r->env, "replica: a write waits for memory");
        env_sleep_until(r->env, env_clock_mono(r->env) + TRY_AGAIN_NS);
        st = write_try(r, in);
    }
    if (st != ST_OK) {
        replica_step_fail(r, st, "writing the log");
        return;
    }
    if (r->appended == r->done) {
        r->pending_since = r->now;
    }
    r->appended = r->out.save.seq;
    env_mutex_lock(r->env, &r->mutex);
    r->write_pending = true;
    env_cond_signal(r->env, &r->disk);
    env_mutex_unlock(r->env, &r->mutex);
}

/* ---- sends ---- */

/* Those that were fetched for this member. */
static const struct raft_entry *entries_fetched(const struct replica *r, uint64_t node, uint64_t lo,
                                                uint64_t count)
{
    for (uint32_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        const struct replica_fetch *f = &r->fetches[i];
        if (f->had && f->node == node && lo >= f->had_lo && lo + count <= f->had_hi) {
            return f->batch.entries + (lo - f->had_lo);
        }
    }
    return NULL;
}

/* Entries [lo, lo + m->count) for a message; fewer when there are no more at hand, and then
 * m->count says so. */
static const struct raft_entry *entries_attach(struct replica *r, struct raft_msg *m, uint64_t lo)
{
    const struct raft_entry *e = entries_fetched(r, m->to, lo, m->count);
    if (e != NULL) {
        return e;
    }
    enum status st = raftlog_peek(r->log, lo, lo + m->count, SIZE_MAX, &r->send_batch);
    if (st == ST_AGAIN) {
        ENV_PROBE(r->env, "replica: entries to send are not in memory");
        st = raftlog_read(r->log, lo, lo + m->count, SIZE_MAX, &r->send_batch);
    }
    m->count = st == ST_OK ? (uint32_t)r->send_batch.count : 0;
    return m->count > 0 ? r->send_batch.entries : NULL;
}

static void hand_over(struct replica *r, const struct raft_msg *m, const struct raft_entry *entries)
{
    env_note(r->env, &(struct env_note){.kind = NOTE_CORE_SENT, .data = m, .size = sizeof *m});
    if (r->o.transport.deliver != NULL) {
        r->o.transport.deliver(r->o.transport.arg, m, entries);
        r->unflushed = true;
    }
}

void replica_step_flush(struct replica *r)
{
    if (r->unflushed && r->o.transport.flush != NULL) {
        r->o.transport.flush(r->o.transport.arg);
    }
    r->unflushed = false;
}

static void send_or_hold(struct replica *r, uint64_t after, const struct raft_msg *m,
                         const struct raft_entry *entries)
{
    if (after <= r->done) {
        hand_over(r, m, entries);
        return;
    }
    struct replicamsg *held;
    enum status st = replicamsg_new(&r->env->mem, m, entries, &held);
    if (st != ST_OK) {
        r->dropped++; /* as the network may */
        return;
    }
    held->after = after;
    list_insert(&r->held, &held->link);
}

static void send_take(struct replica *r, const struct raft_action *a,
                      const struct replica_input *in)
{
    struct raft_msg m = a->msg;
    const struct raft_entry *entries = NULL;
    uint32_t count = m.count;
    if (m.type == RAFT_MSG_APPEND && count > 0) {
        entries = entries_attach(r, &m, m.place.index + 1);
    } else if (m.type == RAFT_MSG_FETCH_REPLY && count > 0) {
        entries = entries_attach(r, &m, m.place.index);
    } else if (m.type == RAFT_MSG_PROPOSE) {
        CK(in != NULL);
        entries = in->entries;
    }
    if (count > 0 && entries == NULL) {
        ENV_PROBE(r->env, "replica: nothing to send in a message");
        r->dropped++;
        return;
    }
    send_or_hold(r, a->after, &m, entries);
}

/* What depended on writes that are durable now. */
void replica_step_release(struct replica *r)
{
    for (struct list *l = r->held.next; l != &r->held;) {
        struct replicamsg *m = LIST_ENTRY(l, struct replicamsg, link);
        l = l->next;
        if (m->after <= r->done) {
            list_remove(&m->link);
            hand_over(r, &m->m, m->entries);
            replicamsg_free(&r->env->mem, m);
        }
    }
}

/* ---- other actions ---- */

/* The place for what this member needs; a member that is gone makes room. */
static struct replica_fetch *fetch_slot(struct replica *r, uint64_t node)
{
    struct replica_fetch *idle = NULL;
    for (uint32_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        struct replica_fetch *f = &r->fetches[i];
        if (f->node == node) {
            return f;
        }
        bool vacant = f->node == 0 || (f->state == FETCH_IDLE && idle == NULL);
        idle = vacant && (idle == NULL || idle->node != 0) ? f : idle;
    }
    return idle;
}

/* The reader is to fetch entries. What it had for this member is not needed any more. */
static void fetch_take(struct replica *r, const struct raft_action *a)
{
    env_mutex_lock(r->env, &r->mutex);
    struct replica_fetch *f = fetch_slot(r, a->node);
    if (f != NULL) {
        f->had = false;
        f->node = a->node;
        f->lo = a->lo;
        f->hi = a->hi;
        f->bytes = a->bytes;
        f->state = f->state == FETCH_READING ? FETCH_READING : FETCH_WANTED;
        r->reads_old = true;
        env_cond_signal(r->env, &r->old);
    }
    env_mutex_unlock(r->env, &r->mutex);
}

static void actions_take(struct replica *r, const struct replica_input *in)
{
    for (uint32_t i = 0; i < r->out.count; i++) {
        const struct raft_action *a = &r->out.actions[i];
        switch (a->type) {
        case RAFT_SEND:
            send_take(r, a, in);
            break;
        case RAFT_FETCH:
            fetch_take(r, a);
            break;
        case RAFT_READY:
            replica_ask_ready(r, a);
            break;
        case RAFT_REPLY:
            replica_ask_reply(r, a);
            break;
        case RAFT_SNAPSHOT:
            replica_ship_want(r, a);
            break;
        default:
            break;
        }
    }
}

/* ---- the step ---- */

static void note_role(struct replica *r)
{
    struct raft_view v;
    raft_view(r->core, &v);
    env_note(r->env,
             &(struct env_note){.kind = NOTE_ROLE, .a = v.term, .b = v.state, .c = v.leader});
}

static void note_step(struct replica *r, const struct raft_event *e, const struct replica_input *in)
{
    struct replicanote_step step = {r->core, e, &r->out, in != NULL ? in->entries : NULL};
    env_note(r->env,
             &(struct env_note){.kind = NOTE_CORE_STEPPED, .data = &step, .size = sizeof step});
}

/* Room for twice as many terms. Without memory for that the core asks again. */
static void core_grow(struct replica *r)
{
    struct raft_options o = r->o.raft;
    o.runs *= 2;
    size_t size = raft_size(&o);
    void *memory = size > 0 ? env_alloc(r->env, size) : NULL;
    r->cramped = false;
    if (memory != NULL) {
        struct raft *old = r->core;
        ENV_PROBE(r->env, "replica: the core gets room for more terms");
        r->core = raft_copy_grown(memory, old, o.runs);
        r->o.raft.runs = o.runs;
        env_release(r->env, old);
    }
}

void replica_step(struct replica *r, struct raft_event *e, const struct replica_input *in)
{
    if (r->halted) {
        return;
    }
    if (r->cramped) {
        core_grow(r);
    }
    e->now = r->now;
    enum status st = raft_step(r->core, e, &r->out);
    if (st == ST_CORRUPT) {
        ENV_PROBE(r->env, "replica: a message that no peer sends");
        r->dropped++;
        return;
    }
    CK(st == ST_OK);
    note_step(r, e, in);
    r->deadline = r->out.deadline;
    replica_snap_seen(r, r->out.seen);
    r->cramped = r->cramped || (r->out.seen & RAFT_SEEN(RAFT_SEEN_RUNS_STUCK)) != 0;
    if (r->out.apply_hi > r->out.apply_lo) {
        CK(r->out.apply_lo == r->apply_to); /* C5: in order, each once */
        r->apply_to = r->out.apply_hi;
    }
    if (r->out.save.seq != 0) {
        write_take(r, in);
    }
    if (!r->halted) {
        actions_take(r, in);
    }
    if (r->out.role_changed) {
        note_role(r);
        replica_ask_role(r);
    }
}

void replica_step_persisted(struct replica *r, uint64_t seq)
{
    r->done = seq;
    r->stalled = false;
    r->pending_since = r->now;
    replica_step(r, &(struct raft_event){.type = RAFT_EV_PERSISTED, .index = seq}, NULL);
    replica_step_release(r);
}
