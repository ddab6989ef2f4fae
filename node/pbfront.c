/* pbfront.c - requests; see pbfront.h. pbfront_answer.c has the responses. */
#include "base/ck.h"
#include "env/env.h"
#include "net/pbdec.h"
#include "node/once.h"
#include "node/pbfront_int.h"

#include <string.h>

#define ARENA_KEEP   (64u << 10)
#define WORDS_MAX    14
#define PAIRS_MAX    65536 /* of a page */
#define SESSIONS_MAX 10000 /* in a group; then the longest unused go */
#define MS           1000000ull

void pbfront_init(struct pbfront *f, struct mem *mem)
{
    *f = (struct pbfront){.mem = mem};
    pbarena_init(&f->arena, mem, PBFRONT_ARENA_MAX, ARENA_KEEP);
    respval_init(&f->value, mem);
}

void pbfront_release(struct pbfront *f)
{
    pbarena_release(&f->arena);
    respval_release(&f->value);
}

/* ---- a command in words ---- */

struct words {
    struct slice args[WORDS_MAX];
    uint32_t count;
    char text[3][24]; /* numbers */
    uint32_t texts;
    struct job_shape shape;
    enum pbmsg_code code; /* not OK: it is refused, and why */
    const char *why;
};

static void refuse(struct words *w, enum pbmsg_code code, const char *why)
{
    if (w->code == PBMSG_CODE_OK) {
        w->code = code;
        w->why = why;
    }
}

/* No bytes at all are an argument too, not a null. */
static void add(struct words *w, struct slice arg)
{
    CK(w->count < WORDS_MAX);
    w->args[w->count++] = arg.data != NULL ? arg : slice_of("", 0);
}

static void add_word(struct words *w, const char *word)
{
    add(w, slice_text(word));
}

static void add_null(struct words *w)
{
    CK(w->count < WORDS_MAX);
    w->args[w->count++] = slice_of(NULL, 0);
}

static void add_number(struct words *w, int64_t number)
{
    CK(w->texts < sizeof w->text / sizeof *w->text);
    char *text = w->text[w->texts++];
    int size = snprintf(text, sizeof w->text[0], "%" PRId64, number);
    add(w, slice_of(text, (size_t)size));
}

/* A key is looked at here, for what is in a transaction is executed without a look at it. */
static void add_key(struct words *w, struct slice key)
{
    if (key.size > TKV_KEY_MAX) {
        refuse(w, PBMSG_CODE_TOO_LARGE, "the key is too long");
    } else if (view_key_reserved(key)) {
        refuse(w, PBMSG_CODE_BAD_REQUEST, "keys may not begin with the bytes ff ff");
    }
    add(w, key);
}

static void begin(struct words *w, enum pbmsg_which op, const char *name)
{
    *w = (struct words){.shape.op = (uint8_t)op};
    add_word(w, name);
}

/* ---- operations that can be in a batch ---- */

static void words_get(struct words *w, const struct pbmsg_get *m)
{
    begin(w, PBMSG_GET, "GET");
    add_key(w, m->key);
    w->shape.flags = m->size_only ? PBFRONT_SIZE_ONLY : 0;
}

static void words_put(struct words *w, const struct pbmsg_put *m)
{
    begin(w, PBMSG_PUT, "SET");
    add_key(w, m->key);
    add(w, m->value);
    if (m->condition == PBMSG_CONDITION_ABSENT) {
        add_word(w, "NX");
        w->shape.flags |= PBFRONT_ABSENT;
    } else if (m->condition == PBMSG_CONDITION_PRESENT) {
        add_word(w, "XX");
        w->shape.flags |= PBFRONT_PRESENT;
    } else if (m->condition != PBMSG_CONDITION_NONE) {
        refuse(w, PBMSG_CODE_UNSUPPORTED, "this node does not know the condition");
    }
    if (m->previous) {
        add_word(w, "GET");
        w->shape.flags |= PBFRONT_PREVIOUS;
    }
}

static void words_delete(struct words *w, const struct pbmsg_delete *m)
{
    begin(w, PBMSG_DELETE, "DEL");
    add_key(w, m->key);
}

static void words_cas(struct words *w, const struct pbmsg_cas *m)
{
    begin(w, PBMSG_CAS, "CAS");
    add_key(w, m->key);
    if (m->has_expected) {
        add(w, m->expected);
    } else {
        add_null(w);
    }
    add(w, m->value);
}

static void words_append(struct words *w, const struct pbmsg_append *m)
{
    begin(w, PBMSG_APPEND, "APPEND");
    add_key(w, m->key);
    add(w, m->value);
}

static void words_incr(struct words *w, const struct pbmsg_incr *m)
{
    begin(w, PBMSG_INCR, "INCRBY");
    add_key(w, m->key);
    add_number(w, m->delta);
}

/* The words of an operation of a batch. */
static void words_op(struct words *w, const struct pbmsg_op *op)
{
    switch (op->op) {
    case PBMSG_GET:
        words_get(w, &op->get);
        break;
    case PBMSG_PUT:
        words_put(w, &op->put);
        break;
    case PBMSG_DELETE:
        words_delete(w, &op->delete);
        break;
    case PBMSG_CAS:
        words_cas(w, &op->cas);
        break;
    case PBMSG_APPEND:
        words_append(w, &op->append);
        break;
    case PBMSG_INCR:
        words_incr(w, &op->incr);
        break;
    default:
        *w = (struct words){.count = 0};
        refuse(w, PBMSG_CODE_UNSUPPORTED, "a batch with an operation that this node does not know");
    }
}

/* ---- operations that stand alone ---- */

/* The later of two starts, the earlier of two ends; data == NULL is open. */
static struct slice narrower(struct slice bound, struct slice place, int sign)
{
    return bound.data != NULL && slice_compare(bound, place) * sign > 0 ? bound : place;
}

static void add_bound(struct words *w, bool given, struct slice bound)
{
    if (given) {
        add(w, bound);
    } else {
        add_null(w);
    }
}

static void words_scan(struct words *w, const struct pbmsg_scan *m)
{
    bool goes_on = m->continuation.size > 0;
    struct slice start = m->start;
    struct slice end = m->has_end && m->end.data == NULL ? slice_of("", 0) : m->end;
    if (goes_on && m->reverse) {
        end = narrower(end, m->continuation, -1);
    } else if (goes_on) {
        start = narrower(start, m->continuation, 1);
    }
    begin(w, PBMSG_SCAN, "PAGE");
    add(w, start);
    add_bound(w, m->has_end || (goes_on && m->reverse), end);
    add_word(w, "LIMIT");
    add_number(w, m->limit > 0 && m->limit < PAIRS_MAX ? m->limit : PAIRS_MAX);
    if (m->bytes_limit > 0) {
        add_word(w, "BYTES");
        add_number(w, m->bytes_limit);
    }
    if (m->pattern.size > 0) {
        add_word(w, "MATCH");
        add(w, m->pattern);
    }
    if (m->reverse) {
        add_word(w, "REV");
    }
    if (m->keys_only) {
        add_word(w, "KEYS");
        w->shape.flags |= PBFRONT_KEYS;
    }
    if (m->count_only) {
        add_word(w, "COUNT");
        w->shape.flags |= PBFRONT_COUNT;
    }
}

static void words_delete_range(struct words *w, const struct pbmsg_delete_range *m)
{
    begin(w, PBMSG_DELETE_RANGE, "DELRANGE");
    if (m->has_end == m->to_end) {
        refuse(w, PBMSG_CODE_BAD_REQUEST, "a range needs either an end, or to_end");
    }
    if (m->start.size > TKV_KEY_MAX || m->end.size > TKV_KEY_MAX) {
        refuse(w, PBMSG_CODE_TOO_LARGE, "the key is too long");
    }
    add(w, m->start);
    add_bound(w, m->has_end, m->end);
}

static void words_session(struct words *w, const struct pbmsg_request *r)
{
    begin(w, (enum pbmsg_which)r->op, "SESSION");
    if (r->op == PBMSG_OPEN_SESSION) {
        add_word(w, "OPEN");
        add_number(w, SESSIONS_MAX);
        return;
    }
    if (r->session == 0 || r->session > INT64_MAX) {
        refuse(w, PBMSG_CODE_SESSION_EXPIRED, "there is no such session");
    }
    add_word(w, r->op == PBMSG_RENEW_SESSION ? "RENEW" : "CLOSE");
    add_number(w, (int64_t)(r->session & INT64_MAX));
}

static void add_node(struct words *w, uint64_t node)
{
    if (node == 0 || node > INT64_MAX) {
        refuse(w, PBMSG_CODE_NOT_FOUND, "a member has to be named");
    }
    add_number(w, (int64_t)(node & INT64_MAX));
}

/* Its incarnation may not fit into an int64. */
static void add_joining(struct words *w, const struct pbmsg_add_member *m)
{
    add_node(w, m->node);
    if (m->incarnation == 0) {
        refuse(w, PBMSG_CODE_BAD_REQUEST,
               "the incarnation is wanted: the new node's Status has it");
    }
    char *text = w->text[w->texts++];
    int size = snprintf(text, sizeof w->text[0], "%" PRIu64, m->incarnation);
    add(w, slice_of(text, (size_t)size));
    add(w, m->peer_address);
    if (m->learner) {
        add_word(w, "LEARNER");
    }
}

static void words_raft(struct words *w, const struct pbmsg_request *r)
{
    begin(w, (enum pbmsg_which)r->op, "RAFT");
    switch (r->op) {
    case PBMSG_STATUS:
        add_word(w, "STATUS");
        add_word(w, "PROGRESS");
        break;
    case PBMSG_ADD_MEMBER:
        add_word(w, "JOIN");
        add_joining(w, &r->add_member);
        break;
    case PBMSG_MEMBERS:
        add_word(w, "MEMBERS");
        break;
    case PBMSG_SNAPSHOT:
        add_word(w, "SNAPSHOT");
        break;
    case PBMSG_TRANSFER:
        add_word(w, "TRANSFER");
        if (r->transfer.node != 0) {
            add_node(w, r->transfer.node);
        }
        break;
    default:
        CK(r->op == PBMSG_REMOVE_MEMBER);
        add_word(w, "REMOVE");
        add_node(w, r->remove_member.node);
    }
}

/* The words of a request that is no batch. */
static void words_request(struct words *w, const struct pbmsg_request *r)
{
    struct pbmsg_op op = {.op = r->op};
    switch (r->op) {
    case PBMSG_GET:
        op.get = r->get;
        break;
    case PBMSG_PUT:
        op.put = r->put;
        break;
    case PBMSG_DELETE:
        op.delete = r->delete;
        break;
    case PBMSG_CAS:
        op.cas = r->cas;
        break;
    case PBMSG_APPEND:
        op.append = r->append;
        break;
    case PBMSG_INCR:
        op.incr = r->incr;
        break;
    case PBMSG_SCAN:
        words_scan(w, &r->scan);
        return;
    case PBMSG_DELETE_RANGE:
        words_delete_range(w, &r->delete_range);
        return;
    case PBMSG_PING:
        begin(w, PBMSG_PING, "PING");
        add(w, r->ping.payload);
        return;
    case PBMSG_OPEN_SESSION:
    case PBMSG_RENEW_SESSION:
    case PBMSG_CLOSE_SESSION:
        words_session(w, r);
        return;
    case PBMSG_STATUS:
    case PBMSG_MEMBERS:
    case PBMSG_ADD_MEMBER:
    case PBMSG_TRANSFER:
    case PBMSG_SNAPSHOT:
    case PBMSG_REMOVE_MEMBER:
        words_raft(w, r);
        return;
    case PBMSG_NONE:
        *w = (struct words){.count = 0};
        refuse(w, PBMSG_CODE_BAD_REQUEST, "no operation, or one that this node does not know");
        return;
    default:
        *w = (struct words){.count = 0};
        refuse(w, PBMSG_CODE_UNSUPPORTED, "this node does not do that operation");
        return;
    }
    words_op(w, &op);
}

/* ---- jobs ---- */

static bool op_writes(uint32_t op)
{
    return op == PBMSG_PUT || op == PBMSG_DELETE || op == PBMSG_CAS || op == PBMSG_APPEND ||
           op == PBMSG_INCR || op == PBMSG_BATCH || op == PBMSG_DELETE_RANGE;
}

_Static_assert((int)PBMSG_CONSISTENCY_LEASE == (int)REPLICA_LEASE, "consistency");
_Static_assert((int)PBMSG_CONSISTENCY_LOCAL == (int)REPLICA_LOCAL, "consistency");

/* A number in a session has to be one; other requests have none. */
static void head_check(struct words *w, const struct pbmsg_request *r)
{
    if (r->consistency < PBMSG_CONSISTENCY_LINEARIZABLE ||
        r->consistency > PBMSG_CONSISTENCY_LOCAL) {
        refuse(w, PBMSG_CODE_UNSUPPORTED, "this node does not know the consistency");
    }
    if (r->session == 0 && r->sequence != 0) {
        refuse(w, PBMSG_CODE_BAD_REQUEST, "a sequence number without a session");
    }
    if (r->session != 0 && op_writes(r->op) &&
        (r->sequence == 0 || r->sequence > ONCE_SEQUENCE_MAX)) {
        refuse(w, PBMSG_CODE_BAD_REQUEST, "a write in a session needs a sequence number, from 1");
    }
}

/* What holds for the request whatever it does. */
static void head_set(struct job *j, const struct pbmsg_request *r, uint64_t now_ns)
{
    j->pb_id = r->id;
    j->fresh = (enum replica_freshness)r->consistency; /* head_check knows it */
    j->min_index = r->min_index;
    j->shape.op = (uint8_t)r->op;
    if (r->timeout_ms > 0) {
        j->deadline = now_ns + r->timeout_ms * MS;
    }
    if (r->durability == PBMSG_DURABILITY_SYNC) {
        j->sync_wish = JOB_SYNC_YES;
    } else if (r->durability == PBMSG_DURABILITY_BUFFERED) {
        j->sync_wish = JOB_SYNC_NO;
    }
    if (r->session != 0 && op_writes(r->op)) {
        j->once.session = r->session;
        j->once.sequence = r->sequence;
        j->once.answered = r->answered;
    }
}

enum status pbfront_say(uint64_t id, enum pbmsg_code code, const char *text, struct buf *out)
{
    struct pbmsg_response r = {.id = id, .code = (int32_t)code, .message = slice_text(text)};
    return frame_append_client(out, &pbmsg_response_table, &r);
}

/* A job that is answered already. */
static enum status job_said(struct pbfront *f, uint64_t id, enum pbmsg_code code, const char *text,
                            bool ends, struct job **job)
{
    struct buf out;
    buf_init(&out, f->mem);
    enum status st = pbfront_say(id, code, text, &out);
    *job = st == ST_OK ? job_new_canned(f->mem, &out, ends) : NULL;
    buf_release(&out);
    return *job != NULL ? ST_OK : ST_NOMEM;
}

static enum status job_single(struct pbfront *f, const struct pbmsg_request *r, uint64_t now_ns,
                              struct job **job)
{
    struct words w;
    words_request(&w, r);
    head_check(&w, r);
    if (w.code != PBMSG_CODE_OK) {
        return job_said(f, r->id, w.code, w.why, false, job);
    }
    *job = job_new_args(f->mem, w.args, w.count, 0);
    if (*job == NULL) {
        return ST_NOMEM;
    }
    head_set(*job, r, now_ns);
    (*job)->shape = w.shape;
    return ST_OK;
}

/* Puts the operations into the queue of a job. False: refused, w says why; or (w->code is OK) by
 * the memory. */
static bool batch_queue(struct pbfront *f, const struct pbmsg_batch *b, struct job *j,
                        struct words *w)
{
    for (uint32_t i = 0; i < b->ops.count; i++) {
        words_op(w, &b->ops.items[i]);
        if (w->code != PBMSG_CODE_OK) {
            return false;
        }
        struct job_queued *q = job_queued_new(f->mem, w->args, w->count);
        if (q == NULL) {
            return false;
        }
        list_insert(&j->transaction, &q->link);
        j->bytes += q->bytes;
        j->shapes[i] = w->shape;
    }
    return true;
}

/* A batch is a transaction that brings its queue along. */
static enum status job_batch(struct pbfront *f, const struct pbmsg_request *r, uint64_t now_ns,
                             struct job **job)
{
    struct words w = {.count = 0};
    struct slice exec = slice_text("EXEC");
    head_check(&w, r);
    if (r->batch.ops.count == 0) {
        refuse(&w, PBMSG_CODE_BAD_REQUEST, "a batch of nothing");
    }
    if (w.code != PBMSG_CODE_OK) {
        return job_said(f, r->id, w.code, w.why, false, job);
    }
    struct job *j = job_new_args(f->mem, &exec, 1, r->batch.ops.count);
    if (j == NULL) {
        return ST_NOMEM;
    }
    head_set(j, r, now_ns);
    if (batch_queue(f, &r->batch, j, &w)) {
        *job = j;
        return ST_OK;
    }
    job_free(j);
    return w.code == PBMSG_CODE_OK ? ST_NOMEM : job_said(f, r->id, w.code, w.why, false, job);
}

enum status pbfront_job(struct pbfront *f, struct slice message, uint64_t now_ns, struct job **job)
{
    struct pbmsg_request r;
    struct pbdec_error error;
    struct err err;
    *job = NULL;
    pbarena_reset(&f->arena);
    enum status st = pbdec_read(&pbmsg_request_table, message, &f->arena, &r, &error);
    if (st == ST_NOMEM) {
        return st;
    }
    if (st != ST_OK) {
        pbdec_error_text(&pbmsg_request_table, &error, &err);
        enum pbmsg_code code = st == ST_TOOBIG ? PBMSG_CODE_TOO_LARGE : PBMSG_CODE_BAD_REQUEST;
        return job_said(f, 0, code, err.text, false, job);
    }
    st = r.op == PBMSG_BATCH ? job_batch(f, &r, now_ns, job) : job_single(f, &r, now_ns, job);
    pbarena_reset(&f->arena); /* what a large request needed is given back at once */
    return st;
}

enum status pbfront_job_lost(struct pbfront *f, enum frame_fault fault, struct job **job)
{
    bool large = fault == FRAME_FAULT_TOO_LONG;
    return job_said(f, 0, large ? PBMSG_CODE_TOO_LARGE : PBMSG_CODE_BAD_REQUEST,
                    frame_fault_text(fault), true, job);
}
