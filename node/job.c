/* job.c - see job.h. */
#include "node/job.h"

#include "base/ck.h"
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

struct job *job_new_error(struct mem *mem, const char *text)
{
    struct reply reply;
    struct job *j = job_make(mem, JOB_CANNED, 0, 0);
    if (j == NULL) {
        return NULL;
    }
    reply_init(&reply, &j->reply, 2, SIZE_MAX);
    reply_error(&reply, "ERR %s", text);
    if (reply.st != ST_OK) {
        job_free(j);
        return NULL;
    }
    j->out.bytes = buf_slice(&j->reply);
    j->ends = true;
    j->settled = true;
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
    size_t size = sizeof(struct job_queued) + count * sizeof *args;
    size_t at = size;
    for (uint32_t i = 0; i < count; i++) {
        size += args[i].size;
    }
    struct job_queued *q = mem_alloc(mem, size);
    if (q == NULL) {
        return NULL;
    }
    q->bytes = size;
    q->arg_count = count;
    list_init(&q->link);
    for (uint32_t i = 0; i < count; i++) {
        q->args[i] = args[i];
        if (args[i].data != NULL) {
            q->args[i].data = (char *)q + at;
            memcpy((char *)q + at, args[i].data, args[i].size);
            at += args[i].size;
        }
    }
    CK(at == size);
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
