/* tkvc.c - see tkvc.h: blocking calls over net/client.h. */
#include "net/tkvc.h"

#include "base/buf.h"
#include "env/addr.h"
#include "net/client.h"

#include <stdio.h>
#include <string.h>

_Static_assert((int)TKVC_LEASE == (int)PBMSG_CONSISTENCY_LEASE, "consistency");
_Static_assert((int)TKVC_LOCAL == (int)PBMSG_CONSISTENCY_LOCAL, "consistency");

#define MS         1000000ull
#define NODES_MAX  64
#define PAGE_BYTES (1u << 20)

struct tkvc {
    struct env *env;
    bool once;
    uint64_t timeout_ms;
    int32_t consistency; /* of reads */
    struct client *client;
    struct buf place; /* where a scan goes on */
    char message[256];
};

void tkvc_options_init(struct tkvc_options *o)
{
    *o = (struct tkvc_options){.size = sizeof *o, .timeout_ms = 5000};
}

/* ---- opening ---- */

static enum tkvc_opened refuse(struct tkvc_error *error, enum tkvc_opened why, const char *text)
{
    if (error != NULL) {
        (void)snprintf(error->text, sizeof error->text, "%s", text);
    }
    return why;
}

/* Reads "ADDR:PORT,…"; 0: it is none, and err says why. */
static uint32_t nodes_read(const char *text, struct env_addr *nodes, struct err *err)
{
    uint32_t count = 0;
    while (text != NULL && count < NODES_MAX) {
        char one[ADDR_TEXT_MAX + 16];
        const char *comma = strchr(text, ',');
        size_t size = comma != NULL ? (size_t)(comma - text) : strlen(text);
        (void)snprintf(one, sizeof one, "%.*s", (int)size, text);
        if (addr_parse(one, &nodes[count], err) != ST_OK) {
            return 0;
        }
        count++;
        text = comma != NULL ? comma + 1 : NULL;
    }
    return count;
}

static enum tkvc_opened opened(const struct tkvc_options *o, const struct env_addr *nodes,
                               uint32_t count, struct tkvc **out)
{
    struct env *env = o->env;
    struct client_options co;
    struct tkvc *c = mem_zalloc(&env->mem, sizeof *c);
    if (c == NULL) {
        return TKVC_NO_MEMORY;
    }
    client_options_init(&co);
    co.nodes = nodes;
    co.node_count = count;
    enum status st = client_new(env, &co, &c->client);
    if (st != ST_OK) {
        env_release(env, c);
        return st == ST_NOMEM ? TKVC_NO_MEMORY : TKVC_NO_WORLD;
    }
    c->env = env;
    c->once = o->once;
    c->timeout_ms = o->timeout_ms;
    c->consistency = (int32_t)o->consistency;
    buf_init(&c->place, &env->mem);
    *out = c;
    return TKVC_OPENED;
}

enum tkvc_opened tkvc_open(const struct tkvc_options *o, struct tkvc **c, struct tkvc_error *error)
{
    struct env_addr nodes[NODES_MAX];
    struct err err = {""};
    *c = NULL;
    if (o->size != sizeof *o) {
        return refuse(error, TKVC_BAD_OPTIONS, "options of another version");
    }
    if (o->env == NULL || o->nodes == NULL || o->timeout_ms == 0 || o->timeout_ms > UINT32_MAX) {
        return refuse(error, TKVC_BAD_OPTIONS, "env, nodes and a timeout are needed");
    }
    if (o->consistency != TKVC_LINEARIZABLE && o->consistency != TKVC_LEASE &&
        o->consistency != TKVC_LOCAL) {
        return refuse(error, TKVC_BAD_OPTIONS, "there is no such consistency");
    }
    uint32_t count = nodes_read(o->nodes, nodes, &err);
    if (count == 0) {
        return refuse(error, TKVC_BAD_OPTIONS, err.text);
    }
    enum tkvc_opened done = opened(o, nodes, count, c);
    return done == TKVC_OPENED ? done : refuse(error, done, "out of memory or descriptors");
}

void tkvc_close(struct tkvc *c)
{
    if (c == NULL) {
        return;
    }
    client_free(c->client);
    buf_release(&c->place);
    env_release(c->env, c);
}

/* ---- calls ---- */

static const char *code_text(int32_t code)
{
    switch (code) {
    case PBMSG_CODE_TIMEOUT:
        return "no answer in time";
    case PBMSG_CODE_SESSION_EXPIRED:
        return "the session is gone";
    case PBMSG_CODE_NO_MEMORY:
        return "out of memory";
    case PBMSG_CODE_TOO_LARGE:
        return "too large";
    default:
        return "the connection broke before the answer came";
    }
}

/* Tells how the call ended. */
static enum tkvc_outcome told(struct tkvc *c, const struct client_call *call, struct tkvc_result *r)
{
    *r = (struct tkvc_result){.code = call->code, .message = c->message};
    c->message[0] = '\0';
    if (call->outcome == CLIENT_DONE) {
        return TKVC_DONE;
    }
    if (call->response != NULL && call->response->message.size > 0) {
        (void)snprintf(c->message, sizeof c->message, "%.*s", (int)call->response->message.size,
                       call->response->message.data);
    } else {
        (void)snprintf(c->message, sizeof c->message, "%s", code_text(call->code));
    }
    return call->outcome == CLIENT_NOT_DONE ? TKVC_NOT_DONE : TKVC_UNKNOWN;
}

static enum tkvc_outcome run(struct tkvc *c, struct client_call *call, struct tkvc_result *r)
{
    call->deadline = env_clock_mono(c->env) + c->timeout_ms * MS;
    call->request.consistency = c->consistency; /* writes do not look at it */
    enum status st = client_run(c->client, call);
    (void)st; /* the call has ended in any case, and says how */
    return told(c, call, r);
}

/* A write, in the session if there is to be one. */
static enum tkvc_outcome run_write(struct tkvc *c, struct client_call *call, struct tkvc_result *r)
{
    if (c->once && client_session(c->client) == 0) {
        struct client_call session = {.request.op = PBMSG_OPEN_SESSION};
        if (run(c, &session, r) != TKVC_DONE) {
            return TKVC_NOT_DONE; /* the write was not even sent */
        }
    }
    call->once = c->once;
    return run(c, call, r);
}

enum tkvc_outcome tkvc_get(struct tkvc *c, const void *key, size_t key_size, struct tkvc_result *r)
{
    struct client_call call = {.request.op = PBMSG_GET};
    call.request.get.key = slice_of(key, key_size);
    enum tkvc_outcome o = run(c, &call, r);
    if (o == TKVC_DONE) {
        r->yes = call.response->get.found;
        r->value = call.response->get.value.data;
        r->value_size = call.response->get.value.size;
    }
    return o;
}

static enum tkvc_outcome put(struct tkvc *c, const struct pbmsg_put *m, struct tkvc_result *r)
{
    struct client_call call = {.request.op = PBMSG_PUT};
    call.request.put = *m;
    enum tkvc_outcome o = run_write(c, &call, r);
    r->yes = o == TKVC_DONE && call.response->put.done;
    return o;
}

enum tkvc_outcome tkvc_put(struct tkvc *c, const void *key, size_t key_size, const void *value,
                           size_t value_size, struct tkvc_result *r)
{
    struct pbmsg_put m = {.key = slice_of(key, key_size), .value = slice_of(value, value_size)};
    return put(c, &m, r);
}

enum tkvc_outcome tkvc_put_if(struct tkvc *c, const void *key, size_t key_size, bool present,
                              const void *value, size_t value_size, struct tkvc_result *r)
{
    struct pbmsg_put m = {.key = slice_of(key, key_size),
                          .value = slice_of(value, value_size),
                          .condition = present ? PBMSG_CONDITION_PRESENT : PBMSG_CONDITION_ABSENT};
    return put(c, &m, r);
}

enum tkvc_outcome tkvc_delete(struct tkvc *c, const void *key, size_t key_size,
                              struct tkvc_result *r)
{
    struct client_call call = {.request.op = PBMSG_DELETE};
    call.request.delete.key = slice_of(key, key_size);
    enum tkvc_outcome o = run_write(c, &call, r);
    r->yes = o == TKVC_DONE && call.response->delete.existed;
    return o;
}

enum tkvc_outcome tkvc_cas(struct tkvc *c, const void *key, size_t key_size, const void *expected,
                           size_t expected_size, const void *value, size_t value_size,
                           struct tkvc_result *r)
{
    struct client_call call = {.request.op = PBMSG_CAS};
    call.request.cas = (struct pbmsg_cas){.key = slice_of(key, key_size),
                                          .has_expected = expected != NULL,
                                          .expected = slice_of(expected, expected_size),
                                          .value = slice_of(value, value_size)};
    enum tkvc_outcome o = run_write(c, &call, r);
    r->yes = o == TKVC_DONE && call.response->cas.done;
    return o;
}

enum tkvc_outcome tkvc_append(struct tkvc *c, const void *key, size_t key_size, const void *value,
                              size_t value_size, struct tkvc_result *r)
{
    struct client_call call = {.request.op = PBMSG_APPEND};
    call.request.append =
        (struct pbmsg_append){.key = slice_of(key, key_size), .value = slice_of(value, value_size)};
    enum tkvc_outcome o = run_write(c, &call, r);
    r->number = o == TKVC_DONE ? (int64_t)call.response->append.size : 0;
    return o;
}

enum tkvc_outcome tkvc_incr(struct tkvc *c, const void *key, size_t key_size, int64_t delta,
                            struct tkvc_result *r)
{
    struct client_call call = {.request.op = PBMSG_INCR};
    call.request.incr = (struct pbmsg_incr){.key = slice_of(key, key_size), .delta = delta};
    enum tkvc_outcome o = run_write(c, &call, r);
    r->number = o == TKVC_DONE ? call.response->incr.value : 0;
    return o;
}

/* ---- scans ---- */

/* Hands out a page; false: the caller wants no more. */
static bool page_tell(const struct pbmsg_scan_result *page, tkvc_each *each, void *arg)
{
    bool more = true;
    for (uint32_t i = 0; more && i < page->pairs.count; i++) {
        const struct pbmsg_pair *p = &page->pairs.items[i];
        more = each(arg, p->key.data, p->key.size, p->value.data, p->value.size);
    }
    return more;
}

enum tkvc_outcome tkvc_scan(struct tkvc *c, const void *start, size_t start_size, const void *end,
                            size_t end_size, tkvc_each *each, void *arg, struct tkvc_result *r)
{
    struct client_call call = {.request.op = PBMSG_SCAN};
    struct pbmsg_scan m = {.start = slice_of(start, start_size),
                           .has_end = end != NULL,
                           .end = slice_of(end, end_size),
                           .bytes_limit = PAGE_BYTES};
    buf_clear(&c->place);
    for (;;) {
        m.continuation = buf_slice(&c->place);
        call.request.scan = m;
        enum tkvc_outcome o = run(c, &call, r);
        if (o != TKVC_DONE) {
            return o;
        }
        struct slice place = call.response->scan.continuation;
        bool more = page_tell(&call.response->scan, each, arg);
        if (!more || place.size == 0) {
            return TKVC_DONE;
        }
        buf_clear(&c->place);
        if (buf_append(&c->place, place.data, place.size) != ST_OK) {
            r->code = PBMSG_CODE_NO_MEMORY;
            return TKVC_NOT_DONE;
        }
    }
}
