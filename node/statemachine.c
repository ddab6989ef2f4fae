/* statemachine.c - see statemachine.h. */
#include "node/statemachine.h"

#include "base/ck.h"
#include "base/code.h"
#include "base/hash.h"
#include "node/cmdraft.h"
#include "node/cmdsession.h"
#include "node/command.h"
#include "node/once.h"
#include "node/rowkey.h"

#include <inttypes.h>

#define BATCH_KEEP      (4u << 20) /* a larger batch is given back after its commit */
#define WRITE_OVERHEAD  32u        /* bytes of a batch beside key and value, at most */
#define ROW_APPLIED     VIEW_RESERVED "a"
#define ROW_CONFIG      VIEW_RESERVED "c"
#define APPLIED_BYTES   24
#define CONFIG_OVERHEAD 16

/* ---- beginning and end ---- */

static void mark_encode(const struct statemachine_mark *m, char bytes[APPLIED_BYTES])
{
    code_put64(bytes, m->place.index);
    code_put64(bytes + 8, m->place.term);
    code_put64(bytes + 16, m->digest);
}

/* Row 'a'; zeros when there is none. */
static enum status mark_read(struct statemachine *sm, struct statemachine_mark *m)
{
    struct view_value value;
    *m = (struct statemachine_mark){.digest = 0};
    enum status st = view_get(&sm->view, slice_text(ROW_APPLIED), &value);
    if (st == ST_OK) {
        const char *p = value.bytes.data;
        st = value.bytes.size == APPLIED_BYTES ? ST_OK : ST_CORRUPT;
        if (st == ST_OK) {
            m->place = (struct raft_place){code_get64(p), code_get64(p + 8)};
            m->digest = code_get64(p + 16);
        }
        view_value_release(&sm->view, &value);
    }
    return st == ST_NOENT ? ST_OK : st;
}

/* Whether there is any row at all. */
static enum status is_empty(struct statemachine *sm, bool *empty)
{
    struct view_iter it;
    struct slice all = {NULL, 0};
    enum status st = view_iter_open_all(&it, &sm->view, all, all, false);
    if (st == ST_OK) {
        *empty = !it.valid;
        st = view_iter_status(&it);
    }
    view_iter_close(&it);
    return st;
}

static enum status stand_read(struct statemachine *sm, struct err *err)
{
    uint64_t tag;
    bool empty = true;
    enum status st = view_status(tkv_durable_tag(sm->db, &tag));
    if (st == ST_OK) {
        st = mark_read(sm, &sm->committed);
    }
    if (st == ST_OK && tag == 0) {
        st = is_empty(sm, &empty);
    }
    if (st != ST_OK) {
        return err_status(err, st, "reading the applied index");
    }
    if (!empty) {
        err_set(err, "the database was not written by a replicated node");
        return ST_CORRUPT;
    }
    if (tag != sm->committed.place.index) {
        err_set(err, "the database has tag %" PRIu64 " and applied index %" PRIu64, tag,
                sm->committed.place.index);
        return ST_CORRUPT;
    }
    sm->applied = sm->committed;
    st = once_count(&(struct once){.view = &sm->view}, &sm->sessions);
    return st == ST_OK ? ST_OK : err_status(err, st, "counting sessions");
}

enum status statemachine_open(struct statemachine *sm, struct env *env, struct tkv *db,
                              struct err *err)
{
    *sm = (struct statemachine){.env = env, .db = db, .addresses_changed = true};
    view_init(&sm->view, env, db);
    buf_init(&sm->scratch, &env->mem);
    buf_init(&sm->reply, &env->mem);
    envelope_reader_init(&sm->reader, &env->mem);
    enum status st = stand_read(sm, err);
    if (st != ST_OK) {
        statemachine_release(sm);
    }
    return st;
}

void statemachine_found(struct statemachine *sm, struct raft_place place)
{
    CK(sm->applied.place.index == 0);
    sm->applied.place = sm->committed.place = place;
}

void statemachine_release(struct statemachine *sm)
{
    if (sm->env == NULL) {
        return;
    }
    envelope_reader_release(&sm->reader);
    buf_release(&sm->reply);
    buf_release(&sm->scratch);
    view_release(&sm->view);
    tkv_batch_free(sm->batch);
    *sm = (struct statemachine){.env = NULL};
}

/* ---- a request ---- */

/* What is being executed. */
struct work {
    struct statemachine *sm;
    const struct statemachine_sink *sink;
    struct envelope head;
    struct envelope_request q;
    struct once once;
    uint32_t position;   /* of the request in its envelope */
    uint32_t entry_mark; /* writes in the overlay before the entry, */
    size_t entry_bytes;  /* and their bytes */
};

/* Bytes that the entry's effects take in a batch. */
static bool effects_fit(const struct work *w)
{
    const struct overlay *o = &w->sm->view.overlay;
    uint64_t writes = o->count - w->entry_mark;
    return o->bytes - w->entry_bytes + writes * WRITE_OVERHEAD <= STATEMACHINE_ENTRY_BYTES;
}

static enum status commands_run(struct work *w, struct reply *reply)
{
    struct statemachine *sm = w->sm;
    enum status st = ST_OK;
    if (w->q.transaction) {
        reply_array(reply, w->q.commands);
    }
    for (uint32_t i = 0; st == ST_OK && i < w->q.commands; i++) {
        struct call c = {.env = sm->env,
                         .view = &sm->view,
                         .scratch = &sm->scratch,
                         .reply = reply,
                         .once = w->q.transaction ? NULL : &w->once,
                         .addresses_changed = &sm->addresses_changed};
        c.args = envelope_args(&sm->reader, &c.count);
        buf_clear(&sm->scratch);
        st = command_apply(&c);
        st = st == ST_OK && !effects_fit(w) ? ST_TOOBIG : st;
    }
    return st == ST_OK ? reply->st : st;
}

/* Carries the request out, whole or not at all. ST_OK: its reply, a failure's too, is in `out`. */
static enum status request_execute(struct work *w, struct buf *out)
{
    struct overlay *o = &w->sm->view.overlay;
    uint32_t mark = o->count;
    struct reply reply;
    buf_clear(out);
    reply_init(&reply, out, 3, w->head.reply_max);
    enum status st = commands_run(w, &reply);
    if (st == ST_TOOBIG) { /* the same on every node */
        ENV_PROBE(w->sm->env, "statemachine: too big, undone");
        overlay_undo(o, mark);
        buf_clear(out);
        st = buf_append_text(out, command_failure(st));
    }
    return st;
}

static const char *verdict_text(enum once_verdict v)
{
    switch (v) {
    case ONCE_EXPIRED:
        return "-" CMDSESSION_EXPIRED "\r\n";
    case ONCE_DROPPED:
        return "-FORGOTTEN it was done before, and its reply was too large to keep\r\n";
    default:
        return "-FORGOTTEN the session has left this sequence number behind, nothing was done "
               "now\r\n";
    }
}

/* A request with a number: executed if it is new. */
static enum status request_once(struct work *w, struct buf *out)
{
    struct once_request r = {
        .session = w->q.session, .sequence = w->q.sequence, .answered = w->q.answered};
    enum once_verdict verdict;
    buf_clear(out);
    enum status st = once_begin(&w->once, &r, out, &verdict);
    if (st != ST_OK) {
        return st;
    }
    if (verdict == ONCE_NEW) {
        st = request_execute(w, out);
        return st == ST_OK ? once_end(&w->once, &r, buf_slice(out)) : st;
    }
    w->sm->counts.repeats++;
    ENV_PROBE(w->sm->env, "statemachine: not executed again");
    return verdict == ONCE_REPEAT ? ST_OK : buf_append_text(out, verdict_text(verdict));
}

/* A command that changes nothing, whatever its arguments. */
static bool is_read(struct statemachine *sm)
{
    uint32_t count;
    const struct slice *args = envelope_args(&sm->reader, &count);
    const struct command *cmd = args[0].data != NULL ? command_find(args[0]) : NULL;
    return cmd == NULL || (cmd->flags & COMMAND_WRITE) == 0;
}

/* Only the node with the client has to execute a read. */
static bool request_is_idle(struct work *w)
{
    bool idle = w->q.session == 0;
    for (uint32_t i = 0; idle && i < w->q.commands; i++) {
        idle = is_read(w->sm);
    }
    envelope_rewind(&w->sm->reader);
    return idle;
}

static enum status request_apply(struct work *w)
{
    struct statemachine *sm = w->sm;
    struct buf *out = w->sink != NULL ? w->sink->reply(w->sink->arg, &w->head, w->position) : NULL;
    sm->counts.requests++;
    if (out == NULL) {
        if (request_is_idle(w)) {
            sm->counts.skipped++;
            return ST_OK;
        }
        out = &sm->reply;
    }
    w->once.salt = hash_add(hash_add(w->head.life, w->head.ordinal), w->position);
    return w->q.session != 0 ? request_once(w, out) : request_execute(w, out);
}

/* ---- an entry ---- */

static enum status command_entry(struct work *w, const struct raft_entry *e)
{
    enum status st = envelope_open(&w->sm->reader, e->data, &w->head);
    w->once = (struct once){.view = &w->sm->view, .index = e->index};
    for (w->position = 0; st == ST_OK && envelope_next(&w->sm->reader, &w->q); w->position++) {
        st = request_apply(w);
    }
    if (st == ST_OK && w->once.counted) {
        st = once_count(&w->once, &w->sm->sessions); /* the last thing that can fail */
    }
    return st;
}

/* Keeps the configuration for snapshots, which carry it. */
static enum status config_entry(struct statemachine *sm, const struct raft_entry *e)
{
    char *row = overlay_copy_room(&sm->view.overlay, CONFIG_OVERHEAD + e->data.size);
    if (row == NULL) {
        return ST_NOMEM;
    }
    code_put64(row, e->index);
    code_put64(row + 8, e->term);
    memcpy(row + CONFIG_OVERHEAD, e->data.data, e->data.size);
    return view_put(&sm->view, slice_text(ROW_CONFIG),
                    slice_of(row, CONFIG_OVERHEAD + e->data.size));
}

/* Folds what the entry did into the digest. */
static uint64_t effects_digest(const struct work *w, const struct raft_entry *e)
{
    const struct overlay *o = &w->sm->view.overlay;
    uint64_t h = hash_add(hash_add(w->sm->applied.digest, e->index), e->term);
    for (uint32_t i = w->entry_mark; i < o->count; i++) {
        const struct overlay_write *x = &o->writes[i];
        h = hash_add(hash_add(h, x->hash), (uint64_t)x->erase + x->range);
        h = hash_bytes(h, x->value.data, x->value.size);
    }
    return h;
}

enum status statemachine_apply(struct statemachine *sm, const struct raft_entry *entry,
                               const struct statemachine_sink *sink)
{
    CK(entry->index == sm->applied.place.index + 1);
    CK(!statemachine_full(sm));
    struct work w = {.sm = sm,
                     .sink = sink,
                     .entry_mark = sm->view.overlay.count,
                     .entry_bytes = sm->view.overlay.bytes};
    enum status st = ST_OK;
    if (entry->kind == RAFT_COMMAND) {
        st = command_entry(&w, entry);
    } else if (entry->kind == RAFT_CONFIG) {
        st = config_entry(sm, entry);
    }
    if (st != ST_OK) {
        ENV_PROBE(sm->env, "statemachine: an entry could not be applied");
        overlay_undo(&sm->view.overlay, w.entry_mark);
        return st;
    }
    sm->counts.entries++;
    sm->applied.digest = effects_digest(&w, entry);
    sm->applied.place = (struct raft_place){entry->index, entry->term};
    return ST_OK;
}

/* ---- the commit ---- */

static enum status batch_put(struct statemachine *sm, struct slice key, struct slice value)
{
    return view_status(tkv_batch_put(sm->batch, key.data, key.size, value.data, value.size));
}

/* The last write of each key, and where they lead to. */
static enum status batch_fill(struct statemachine *sm)
{
    const struct overlay *o = &sm->view.overlay;
    char row[APPLIED_BYTES];
    tkv_batch_clear(sm->batch);
    enum status st = ST_OK;
    for (uint32_t i = 0; st == ST_OK && i < o->count; i++) {
        const struct overlay_write *w = &o->writes[i];
        if (o->key_count < o->count && !overlay_is_last(o, i)) {
            continue;
        }
        st = view_batch_add(sm->batch, w);
    }
    mark_encode(&sm->applied, row);
    return st == ST_OK ? batch_put(sm, slice_text(ROW_APPLIED), slice_of(row, sizeof row)) : st;
}

static void batch_trim(struct statemachine *sm)
{
    size_t size;
    (void)tkv_batch_data(sm->batch, &size);
    if (size > BATCH_KEEP) {
        tkv_batch_free(sm->batch);
        sm->batch = NULL;
    }
}

enum status statemachine_commit(struct statemachine *sm)
{
    if (sm->applied.place.index == sm->committed.place.index) {
        return ST_OK;
    }
    enum status st = ST_OK;
    if (sm->batch == NULL) {
        st = view_status(tkv_batch_new(sm->env, &sm->batch));
        sm->batch = st == ST_OK ? sm->batch : NULL;
    }
    if (st == ST_OK) {
        st = batch_fill(sm);
    }
    if (st == ST_OK) {
        struct tkv_write_options o;
        tkv_write_options_init(&o);
        o.tag = sm->applied.place.index;
        st = view_status(tkv_write(sm->db, &o, sm->batch, NULL));
    }
    if (st != ST_OK) {
        return st;
    }
    overlay_reset(&sm->view.overlay);
    sm->committed = sm->applied;
    sm->counts.commits++;
    batch_trim(sm);
    return ST_OK;
}

/* ---- looking in ---- */

enum status statemachine_config(struct statemachine *sm, struct raft_place *place,
                                struct buf *payload)
{
    struct view_value value;
    enum status st = view_get(&sm->view, slice_text(ROW_CONFIG), &value);
    if (st == ST_OK) {
        const char *p = value.bytes.data;
        st = value.bytes.size >= CONFIG_OVERHEAD ? ST_OK : ST_CORRUPT;
        if (st == ST_OK) {
            *place = (struct raft_place){code_get64(p), code_get64(p + 8)};
            st = buf_append(payload, p + CONFIG_OVERHEAD, value.bytes.size - CONFIG_OVERHEAD);
        }
        view_value_release(&sm->view, &value);
    }
    return st;
}

enum status statemachine_address(struct statemachine *sm, uint64_t node, struct buf *text)
{
    char key[ROWKEY_MAX];
    struct view_value value;
    enum status st = view_get(&sm->view, rowkey(key, CMDRAFT_ADDRESS_KIND, 1, node, 0), &value);
    if (st == ST_OK) {
        st = buf_append(text, value.bytes.data, value.bytes.size);
        view_value_release(&sm->view, &value);
    }
    return st;
}

enum status statemachine_hash(struct statemachine *sm, uint64_t *hash)
{
    struct view_iter it;
    struct slice all = {NULL, 0};
    enum status st = view_iter_open_all(&it, &sm->view, all, all, false);
    *hash = 0;
    if (st == ST_OK) {
        for (; it.valid; view_iter_next(&it)) {
            struct slice key = view_iter_key(&it);
            struct slice value = view_iter_value(&it);
            *hash = hash_bytes(hash_add(*hash, key.size), key.data, key.size);
            *hash = hash_bytes(hash_add(*hash, value.size), value.data, value.size);
        }
        st = view_iter_status(&it);
    }
    view_iter_close(&it);
    return st;
}
