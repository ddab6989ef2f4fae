/* job.c - see job.h. */
#include "node/job.h"

#include "base/ck.h"
#include "env/env.h"
#include "net/reply.h"

#include <string.h>

static void on_sent(struct conn_out *out)
{
    job_free(LIST_ENTRY(out, struct job, out));
}

static struct job *job_make(struct mem *mem, enum job_kind kind, uint32_t args, size_t bytes)
{
    size_t size = sizeof(struct job) + args * sizeof(struct slice) + bytes;
    struct job *j = mem_alloc(mem, size);
    if (j == NULL) {
        return NULL;
    }
    *j = (struct job){.kind = kind,
                      .mem = mem,
                      .bytes = size,
                      .protocol = 2,
                      .deadline = ENV_NEVER,
                      .arg_count = args,
                      .args = (struct slice *)(void *)(j + 1)};
    list_init(&j->link);
    list_init(&j->out.link);
    list_init(&j->transaction);
    j->out.sent = on_sent;
    buf_init(&j->reply, mem);
    return j;
}

struct job *job_new_request(struct mem *mem, const struct resp_parser *p, const char *data)
{
    struct job *j = job_make(mem, JOB_REQUEST, p->arg_count, p->at);
    if (j == NULL) {
        return NULL;
    }
    char *bytes = (char *)&j->args[p->arg_count];
    memcpy(bytes, data, p->at);
    for (uint32_t i = 0; i < p->arg_count; i++) {
        const struct resp_arg *a = &p->args[i];
        j->args[i] = a->null ? slice_of(NULL, 0) : slice_of(bytes + a->offset, a->size);
    }
    return j;
}

/* Copies arguments to `at`, one behind the other; returns where they end. */
static char *args_copy(struct slice *to, const struct slice *args, uint32_t count, char *at)
{
    for (uint32_t i = 0; i < count; i++) {
        to[i] = args[i];
        if (args[i].data != NULL) {
            to[i].data = at;
            memcpy(at, args[i].data, args[i].size);
            at += args[i].size;
        }
    }
    return at;
}

static size_t args_bytes(const struct slice *args, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        bytes += args[i].size;
    }
    return bytes;
}

struct job *job_new_args(struct mem *mem, const struct slice *args, uint32_t count, uint32_t shapes)
{
    size_t bytes = args_bytes(args, count);
    struct job *j = job_make(mem, JOB_REQUEST, count, bytes + shapes * sizeof *j->shapes);
    if (j == NULL) {
        return NULL;
    }
    char *end = args_copy(j->args, args, count, (char *)&j->args[count]);
    j->shapes = (struct job_shape *)(void *)end; /* two bytes: they lie anywhere */
    return j;
}

struct job *job_new_canned(struct mem *mem, struct buf *bytes, bool ends)
{
    struct job *j = job_make(mem, JOB_CANNED, 0, 0);
    if (j == NULL) {
        return NULL;
    }
    j->reply = *bytes;
    buf_init(bytes, mem);
    j->out.bytes = buf_slice(&j->reply);
    j->ends = ends;
    j->settled = true;
    return j;
}

struct job *job_new_error(struct mem *mem, const char *text)
{
    struct reply reply;
    struct buf bytes;
    buf_init(&bytes, mem);
    reply_init(&reply, &bytes, 2, SIZE_MAX);
    reply_error(&reply, "ERR %s", text);
    struct job *j = reply.st == ST_OK ? job_new_canned(mem, &bytes, true) : NULL;
    buf_release(&bytes);
    return j;
}

void job_free(struct job *j)
{
    CK(j->kind != JOB_END);
    job_queued_free(j->mem, &j->transaction);
    buf_release(&j->reply);
    mem_release(j->mem, j);
}

void job_reply_const(struct job *j, const char *text)
{
    buf_release(&j->reply);
    j->out.bytes = slice_text(text);
}

struct job_queued *job_queued_new(struct mem *mem, const struct slice *args, uint32_t count)
{
    size_t size = sizeof(struct job_queued) + count * sizeof *args + args_bytes(args, count);
    struct job_queued *q = mem_alloc(mem, size);
    if (q == NULL) {
        return NULL;
    }
    q->bytes = size;
    q->arg_count = count;
    list_init(&q->link);
    char *end = args_copy(q->args, args, count, (char *)&q->args[count]);
    CK(end == (char *)q + size);
    return q;
}

void job_queued_free(struct mem *mem, struct list *queued)
{
    while (!list_empty(queued)) {
        struct job_queued *q = LIST_ENTRY(queued->next, struct job_queued, link);
        list_remove(&q->link);
        mem_release(mem, q);
    }
}

struct session *job_session_new(struct mem *mem, uint64_t id, bool sync)
{
    struct session *s = mem_alloc(mem, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    *s = (struct session){.id = id, .protocol = 2, .sync = sync};
    s->end = (struct job){.kind = JOB_END, .session = s, .mem = mem};
    list_init(&s->end.link);
    list_init(&s->queued);
    list_init(&s->waiting);
    list_init(&s->touched);
    return s;
}

void job_session_free(struct mem *mem, struct session *s)
{
    job_queued_free(mem, &s->queued);
    mem_release(mem, s);
}
