/* envelope.c - see envelope.h. */
#include "node/envelope.h"

#include "base/ck.h"
#include "base/code.h"

enum { FLAG_TRANSACTION = 1, FLAG_SESSION = 2, FLAGS_KNOWN = 3 };

enum { AT_VERSION = 0, AT_COUNT = 4, AT_LIFE = 8, AT_ORIGIN = 16, AT_ORDINAL = 24, AT_REPLY = 32 };
_Static_assert(AT_REPLY + 8 == ENVELOPE_HEAD_BYTES, "the head");

/* ---- writing ---- */

static void put(struct envelope_writer *w, const void *bytes, size_t size)
{
    if (w->st == ST_OK) {
        w->st = buf_append(w->out, bytes, size);
    }
}

static void put_varint(struct envelope_writer *w, uint64_t v)
{
    char bytes[CODE_VARINT_MAX];
    put(w, bytes, code_put_varint(bytes, v));
}

void envelope_begin(struct envelope_writer *w, struct buf *out, const struct envelope *head)
{
    char bytes[ENVELOPE_HEAD_BYTES] = {0};
    *w = (struct envelope_writer){.out = out, .from = out->size, .st = ST_OK};
    bytes[AT_VERSION] = ENVELOPE_VERSION;
    code_put64(bytes + AT_LIFE, head->life);
    code_put64(bytes + AT_ORIGIN, head->origin);
    code_put64(bytes + AT_ORDINAL, head->ordinal);
    code_put64(bytes + AT_REPLY, head->reply_max);
    put(w, bytes, sizeof bytes);
}

void envelope_request(struct envelope_writer *w, const struct envelope_request *q)
{
    CK(w->owed == 0);
    CK(q->transaction || q->commands == 1);
    unsigned char flags = (unsigned char)((q->transaction ? FLAG_TRANSACTION : 0) |
                                          (q->session != 0 ? FLAG_SESSION : 0));
    if (w->st == ST_OK && w->count == ENVELOPE_REQUESTS_MAX) {
        w->st = ST_TOOBIG;
    }
    put(w, &flags, 1);
    if (q->session != 0) {
        char id[8];
        code_put64(id, q->session);
        put(w, id, sizeof id);
        put_varint(w, q->sequence);
        put_varint(w, q->answered);
    }
    if (q->transaction) {
        put_varint(w, q->commands);
    }
    w->owed = q->commands;
    w->count++;
}

void envelope_command(struct envelope_writer *w, const struct slice *args, uint32_t count)
{
    CK(w->owed > 0);
    CK(count > 0);
    w->owed--;
    put_varint(w, count);
    for (uint32_t i = 0; i < count; i++) {
        put_varint(w, args[i].data != NULL ? (uint64_t)args[i].size + 1 : 0);
        if (args[i].size > 0) {
            put(w, args[i].data, args[i].size);
        }
    }
}

enum status envelope_end(struct envelope_writer *w)
{
    CK(w->owed == 0);
    if (w->st == ST_OK && w->count == 0) {
        w->st = ST_INVAL;
    }
    if (w->st != ST_OK) {
        w->out->size = w->from;
        return w->st;
    }
    code_put32(w->out->data + w->from + AT_COUNT, w->count);
    return ST_OK;
}

/* ---- reading: bytes that may lie ---- */

/* A place in the bytes; `bad` sticks. */
struct cut {
    const char *at;
    const char *end;
    bool bad;
};

static uint64_t cut_varint(struct cut *c)
{
    uint64_t v = 0;
    size_t n = c->bad ? 0 : code_get_varint(c->at, c->end, &v);
    c->bad = n == 0;
    c->at += n;
    return n == 0 ? 0 : v;
}

static const char *cut_bytes(struct cut *c, uint64_t size)
{
    const char *at = c->at;
    c->bad = c->bad || size > (uint64_t)(c->end - c->at);
    c->at += c->bad ? 0 : size;
    return at;
}

/* One argument; nothing when it is bad. */
static struct slice cut_arg(struct cut *c)
{
    static const char empty[1] = "";
    uint64_t size = cut_varint(c);
    if (c->bad || size == 0) {
        return slice_of(NULL, 0);
    }
    const char *at = cut_bytes(c, size - 1);
    return c->bad ? slice_of(NULL, 0) : slice_of(size == 1 ? empty : at, (size_t)(size - 1));
}

/* What stands before a request's commands. */
static void cut_request(struct cut *c, struct envelope_request *q)
{
    const char *flag = cut_bytes(c, 1);
    unsigned flags = c->bad ? 0 : (unsigned char)*flag;
    *q = (struct envelope_request){.commands = 1};
    c->bad = c->bad || (flags & ~(unsigned)FLAGS_KNOWN) != 0;
    if ((flags & FLAG_SESSION) != 0) {
        const char *id = cut_bytes(c, 8);
        q->session = c->bad ? 0 : code_get64(id);
        q->sequence = cut_varint(c);
        q->answered = cut_varint(c);
        c->bad = c->bad || q->session == 0;
    }
    if ((flags & FLAG_TRANSACTION) != 0) {
        uint64_t commands = cut_varint(c);
        q->transaction = true;
        c->bad = c->bad || commands > (uint64_t)(c->end - c->at);
        q->commands = c->bad ? 0 : (uint32_t)commands;
    }
}

/* Passes over one command: how many arguments it has. Each takes a byte at least. */
static uint32_t cut_command(struct cut *c)
{
    uint64_t count = cut_varint(c);
    c->bad = c->bad || count == 0 || count > (uint64_t)(c->end - c->at);
    for (uint64_t i = 0; !c->bad && i < count; i++) {
        (void)cut_arg(c); /* only c->bad is of interest */
    }
    return c->bad ? 0 : (uint32_t)count;
}

/* Walks over all of it: the most arguments that a command has, or c->bad. */
static uint32_t cut_all(struct cut *c, uint32_t count)
{
    uint32_t most = 0;
    for (uint32_t i = 0; !c->bad && i < count; i++) {
        struct envelope_request q;
        cut_request(c, &q);
        for (uint32_t k = 0; !c->bad && k < q.commands; k++) {
            uint32_t args = cut_command(c);
            most = args > most ? args : most;
        }
    }
    c->bad = c->bad || c->at != c->end;
    return most;
}

void envelope_reader_init(struct envelope_reader *r, struct mem *mem)
{
    *r = (struct envelope_reader){.mem = mem};
}

void envelope_reader_release(struct envelope_reader *r)
{
    if (r->mem != NULL) {
        mem_release(r->mem, r->args);
        *r = (struct envelope_reader){.mem = r->mem};
    }
}

static enum status args_reserve(struct envelope_reader *r, uint32_t count)
{
    if (count <= r->arg_cap) {
        return ST_OK;
    }
    uint32_t cap = count < 16 ? 16 : count;
    struct slice *args = mem_resize(r->mem, r->args, cap * sizeof *args);
    if (args == NULL) {
        return ST_NOMEM;
    }
    r->args = args;
    r->arg_cap = cap;
    return ST_OK;
}

static enum status head_read(struct slice bytes, struct envelope *head)
{
    const char *p = bytes.data;
    if (bytes.size == 0 || p[AT_VERSION] == 0) {
        return ST_CORRUPT;
    }
    if ((unsigned char)p[AT_VERSION] > ENVELOPE_VERSION) {
        return ST_UNSUPPORTED;
    }
    if (bytes.size < ENVELOPE_HEAD_BYTES || p[1] != 0 || p[2] != 0 || p[3] != 0) {
        return ST_CORRUPT;
    }
    *head = (struct envelope){.origin = code_get64(p + AT_ORIGIN),
                              .life = code_get64(p + AT_LIFE),
                              .ordinal = code_get64(p + AT_ORDINAL),
                              .reply_max = code_get64(p + AT_REPLY),
                              .count = code_get32(p + AT_COUNT)};
    return head->count == 0 || head->count > ENVELOPE_REQUESTS_MAX ? ST_CORRUPT : ST_OK;
}

enum status envelope_open(struct envelope_reader *r, struct slice bytes, struct envelope *head)
{
    r->left = 0;
    r->owed = 0;
    enum status st = head_read(bytes, head);
    if (st != ST_OK) {
        return st;
    }
    struct cut c = {.at = bytes.data + ENVELOPE_HEAD_BYTES, .end = bytes.data + bytes.size};
    uint32_t args = cut_all(&c, head->count);
    if (c.bad) {
        return ST_CORRUPT;
    }
    st = args_reserve(r, args);
    if (st == ST_OK) {
        r->at = bytes.data + ENVELOPE_HEAD_BYTES;
        r->end = bytes.data + bytes.size;
        r->left = head->count;
    }
    return st;
}

bool envelope_next(struct envelope_reader *r, struct envelope_request *q)
{
    struct cut c = {.at = r->at, .end = r->end};
    for (; r->owed > 0; r->owed--) {
        (void)cut_command(&c); /* passed over */
    }
    if (r->left > 0) {
        cut_request(&c, q);
        CK(!c.bad); /* envelope_open looked at it */
        r->left--;
        r->owed = q->commands;
        r->commands = q->commands;
        r->first = c.at;
        r->at = c.at;
        return true;
    }
    r->at = c.at;
    return false;
}

const struct slice *envelope_args(struct envelope_reader *r, uint32_t *count)
{
    CK(r->owed > 0);
    struct cut c = {.at = r->at, .end = r->end};
    *count = (uint32_t)cut_varint(&c);
    CK(*count <= r->arg_cap);
    for (uint32_t i = 0; i < *count; i++) {
        r->args[i] = cut_arg(&c);
    }
    CK(!c.bad);
    r->at = c.at;
    r->owed--;
    return r->args;
}

void envelope_rewind(struct envelope_reader *r)
{
    CK(r->owed <= r->commands);
    r->at = r->first;
    r->owed = r->commands;
}
