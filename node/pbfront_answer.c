/* pbfront_answer.c - responses; see pbfront.h.
 *
 * A reply is what this node itself has just written, so one that has not the form that its command
 * gives is a bug (CK), not damage. */
#include "base/ck.h"
#include "node/command.h"
#include "node/pbfront_int.h"

#define NODES_KEEP 4096u /* of respval; more are given back */

const struct respval_node *pbfront_answer_node(const struct pbfront_telling *t, uint32_t i)
{
    CK(i < t->f->value.count);
    return &t->f->value.nodes[i];
}

struct slice pbfront_answer_text(const struct pbfront_telling *t, uint32_t i)
{
    return respval_text(&t->f->value, t->data, i);
}

/* ---- errors ---- */

struct meaning {
    const char *prefix;
    enum pbmsg_code code;
};

/* The first that fits. docs/commands.md says of each what it tells about the outcome. */
static const struct meaning meanings[] = {
    {"ERR value is not an integer", PBMSG_CODE_NOT_INTEGER},
    {"ERR increment or decrement would overflow", PBMSG_CODE_OVERFLOW},
    {"ERR string exceeds", PBMSG_CODE_TOO_LARGE},
    {"ERR key is too long", PBMSG_CODE_TOO_LARGE},
    {"ERR the reply or the transaction is too big", PBMSG_CODE_TOO_LARGE},
    {"ERR the writes are too big", PBMSG_CODE_TOO_LARGE},
    {"ERR there are no sessions here", PBMSG_CODE_UNSUPPORTED},
    {"ERR a node that replicates knows sync only", PBMSG_CODE_UNSUPPORTED},
    {"ERR this node does not replicate", PBMSG_CODE_UNSUPPORTED},
    {"ERR node ", PBMSG_CODE_NOT_FOUND},
    {"ERR ", PBMSG_CODE_BAD_REQUEST},
    {"OOM ", PBMSG_CODE_NO_MEMORY},
    {"CORRUPT ", PBMSG_CODE_DAMAGED},
    {"READERR ", PBMSG_CODE_READ_FAILED},
    {"TIMEOUT ", PBMSG_CODE_TIMEOUT},
    {"NOTLEADER ", PBMSG_CODE_NOT_LEADER},
    {"TRYAGAIN another change", PBMSG_CODE_CONFLICT},
    {"TRYAGAIN this node is stopping", PBMSG_CODE_STOPPING},
    {"TRYAGAIN ", PBMSG_CODE_UNAVAILABLE},
    {"BUSY ", PBMSG_CODE_BUSY},
    {"STOPPING ", PBMSG_CODE_STOPPING},
    {"SESSIONEXPIRED ", PBMSG_CODE_SESSION_EXPIRED},
    {"FORGOTTEN ", PBMSG_CODE_FORGOTTEN},
};

static bool begins(struct slice text, const char *prefix)
{
    struct slice p = slice_text(prefix);
    return text.size >= p.size && slice_equal(slice_of(text.data, p.size), p);
}

/* Whatever is not in the table, IOERR and NOSPC of a commit and UNKNOWN among it, may have been
 * done. */
static enum pbmsg_code code_of(struct slice text)
{
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
        if (begins(text, meanings[i].prefix)) {
            return meanings[i].code;
        }
    }
    return PBMSG_CODE_UNKNOWN;
}

/* ---- results ---- */

static void tell_get(const struct pbfront_telling *t, struct job_shape s, uint32_t i,
                     struct pbmsg_get_result *r)
{
    *r = (struct pbmsg_get_result){.found = pbfront_answer_node(t, i)->type != RESPVAL_NULL};
    if (r->found) {
        CK(pbfront_answer_node(t, i)->type == RESPVAL_BULK);
        r->size = pbfront_answer_node(t, i)->size;
        r->value =
            (s.flags & PBFRONT_SIZE_ONLY) == 0 ? pbfront_answer_text(t, i) : slice_of(NULL, 0);
    }
}

/* With GET the reply is what was there, and that tells whether the condition held; without it a
 * null says that it did not. */
static void tell_put(const struct pbfront_telling *t, struct job_shape s, uint32_t i,
                     struct pbmsg_put_result *r)
{
    bool null = pbfront_answer_node(t, i)->type == RESPVAL_NULL;
    *r = (struct pbmsg_put_result){.done = !null};
    if ((s.flags & PBFRONT_PREVIOUS) != 0) {
        r->has_previous = !null;
        r->previous = null ? slice_of(NULL, 0) : pbfront_answer_text(t, i);
        r->done = (s.flags & PBFRONT_ABSENT) != 0    ? null
                  : (s.flags & PBFRONT_PRESENT) != 0 ? !null
                                                     : true;
    }
}

static int64_t integer_at(const struct pbfront_telling *t, uint32_t i)
{
    CK(pbfront_answer_node(t, i)->type == RESPVAL_INTEGER);
    return pbfront_answer_node(t, i)->integer;
}

/* Fills one result; it has the layout of all operations that can be in a batch. */
static void tell_op(const struct pbfront_telling *t, struct job_shape s, uint32_t i,
                    struct pbmsg_op_result *r)
{
    *r = (struct pbmsg_op_result){.code = PBMSG_CODE_OK};
    if (pbfront_answer_node(t, i)->type == RESPVAL_ERROR) {
        r->code = code_of(pbfront_answer_text(t, i));
        return;
    }
    r->result = s.op;
    switch (s.op) {
    case PBMSG_GET:
        tell_get(t, s, i, &r->get);
        break;
    case PBMSG_PUT:
        tell_put(t, s, i, &r->put);
        break;
    case PBMSG_DELETE:
        r->delete.existed = integer_at(t, i) > 0;
        break;
    case PBMSG_CAS:
        r->cas.done = integer_at(t, i) != 0;
        break;
    case PBMSG_APPEND:
        r->append.size = (uint64_t)integer_at(t, i);
        break;
    default:
        CK(s.op == PBMSG_INCR);
        r->incr.value = integer_at(t, i);
    }
}

/* A result that stands alone. */
static void tell_single(const struct pbfront_telling *t, struct job_shape s,
                        struct pbmsg_response *r)
{
    struct pbmsg_op_result one;
    tell_op(t, s, 0, &one);
    CK(one.code == PBMSG_CODE_OK);
    switch (s.op) {
    case PBMSG_GET:
        r->get = one.get;
        break;
    case PBMSG_PUT:
        r->put = one.put;
        break;
    case PBMSG_DELETE:
        r->delete = one.delete;
        break;
    case PBMSG_CAS:
        r->cas = one.cas;
        break;
    case PBMSG_APPEND:
        r->append = one.append;
        break;
    default:
        r->incr = one.incr;
    }
}

static enum status tell_batch(const struct pbfront_telling *t, const struct job *j,
                              struct pbmsg_batch_result *r)
{
    uint32_t count = pbfront_answer_node(t, 0)->count;
    void *items = NULL;
    enum status st = pbarena_grow(&t->f->arena, &items, 0, count * sizeof *r->results.items);
    if (st != ST_OK) {
        return st;
    }
    r->results.items = items;
    r->results.count = count;
    for (uint32_t i = 0; i < count; i++) {
        tell_op(t, j->shapes[i], 1 + i, &r->results.items[i]); /* each is one node */
    }
    return ST_OK;
}

/* [where to go on, [key, value, …]], or how many. */
static enum status tell_scan(const struct pbfront_telling *t, struct job_shape s,
                             struct pbmsg_scan_result *r)
{
    if ((s.flags & PBFRONT_COUNT) != 0) {
        r->count = (uint64_t)integer_at(t, 0);
        return ST_OK;
    }
    uint32_t step = (s.flags & PBFRONT_KEYS) != 0 ? 1 : 2;
    uint32_t place = respval_child(&t->f->value, 0, 0);
    uint32_t list = respval_child(&t->f->value, 0, 1);
    uint32_t count = pbfront_answer_node(t, list)->count / step;
    void *items = NULL;
    if (count > 0) {
        enum status st = pbarena_grow(&t->f->arena, &items, 0, count * sizeof *r->pairs.items);
        if (st != ST_OK) {
            return st;
        }
    }
    if (pbfront_answer_node(t, place)->type != RESPVAL_NULL) {
        r->continuation = pbfront_answer_text(t, place);
    }
    r->pairs.items = items;
    r->pairs.count = count;
    r->count = count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = list + 1 + i * step; /* leaves: each is one node */
        r->pairs.items[i] = (struct pbmsg_pair){.key = pbfront_answer_text(t, at)};
        if (step == 2) {
            r->pairs.items[i].value = pbfront_answer_text(t, at + 1);
        }
    }
    return ST_OK;
}

/* By SESSION RENEW id. */
static uint64_t session_named(const struct job *j)
{
    int64_t id = 0;
    bool number = j->arg_count == 3 && command_integer(j->args[2], &id);
    CK(number); /* pbfront.c wrote it */
    return (uint64_t)id;
}

static enum status tell_result(const struct pbfront_telling *t, const struct job *j,
                               struct pbmsg_response *r)
{
    r->result = j->shape.op;
    switch (j->shape.op) {
    case PBMSG_BATCH:
        return tell_batch(t, j, &r->batch);
    case PBMSG_SCAN:
        return tell_scan(t, j->shape, &r->scan);
    case PBMSG_PING:
        r->ping.payload = pbfront_answer_text(t, 0);
        return ST_OK;
    case PBMSG_OPEN_SESSION:
        r->open_session.session = (uint64_t)integer_at(t, 0);
        return ST_OK;
    case PBMSG_MEMBERS:
        r->members.index = j->index;
        r->index = 0; /* no state was read */
        return pbfront_raft_members(t, &r->members);
    case PBMSG_STATUS:
        return pbfront_raft_status(t, &r->status);
    case PBMSG_ADD_MEMBER:
        r->add_member.index = j->change.place.index;
        return ST_OK;
    case PBMSG_TRANSFER:
        r->transfer.leader = j->change.node;
        return ST_OK;
    case PBMSG_SNAPSHOT:
        r->snapshot.index = j->change.place.index;
        r->snapshot.term = j->change.place.term;
        return ST_OK;
    case PBMSG_REMOVE_MEMBER:
        r->remove_member.index = j->change.place.index;
        return ST_OK;
    case PBMSG_RENEW_SESSION:
        r->renew_session.session = session_named(j);
        return ST_OK;
    case PBMSG_DELETE_RANGE:
    case PBMSG_CLOSE_SESSION:
        return ST_OK;
    default:
        tell_single(t, j->shape, r);
        return ST_OK;
    }
}

/* ---- responses ---- */

static enum status tell(struct pbfront_telling *t, const struct job *j, struct buf *out)
{
    struct pbmsg_response r = {.id = j->pb_id};
    struct respval *v = &t->f->value;
    enum status st = respval_parse(v, t->data, j->out.bytes.size);
    CK(st == ST_OK || st == ST_NOMEM);
    if (st != ST_OK) {
        return st;
    }
    CK(v->at == j->out.bytes.size);
    if (pbfront_answer_node(t, 0)->type == RESPVAL_ERROR) {
        r.message = pbfront_answer_text(t, 0);
        r.code = code_of(r.message);
        r.has_leader = r.code == PBMSG_CODE_NOT_LEADER && j->change.leader != 0;
        r.leader.node = r.has_leader ? j->change.leader : 0;
    } else {
        r.index = j->index;
        st = tell_result(t, j, &r);
    }
    return st == ST_OK ? frame_append_client(out, &pbmsg_response_table, &r) : st;
}

/* Ready for the next reply, with not too much memory in hand. */
static void value_reset(struct respval *v)
{
    struct mem *mem = v->mem;
    if (v->cap > NODES_KEEP || !v->done) {
        respval_release(v);
        respval_init(v, mem);
    }
}

enum status pbfront_answer(struct pbfront *f, struct job *j)
{
    struct pbfront_telling t = {.f = f, .data = j->out.bytes.data};
    struct buf out;
    if (j->shape.op == 0) {
        return ST_OK;
    }
    CK(j->out.bytes.size > 0);
    buf_init(&out, f->mem);
    pbarena_reset(&f->arena);
    enum status st = tell(&t, j, &out);
    pbarena_reset(&f->arena);
    value_reset(&f->value);
    if (st != ST_OK && st != ST_NOMEM) {
        st = pbfront_say(j->pb_id, PBMSG_CODE_UNKNOWN, "the response is over its limit", &out);
    }
    if (st == ST_OK) {
        buf_release(&j->reply);
        j->reply = out;
        j->out.bytes = buf_slice(&j->reply);
    } else {
        buf_release(&out);
    }
    return st;
}
