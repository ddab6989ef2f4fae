/* cmdtxn.c - see cmdtxn.h. */
#include "node/cmdtxn.h"

#include "base/ck.h"

#define BATCH_SLACK (64u << 20) /* room in a batch for framing and for the rest of its group */

void cmdtxn_forget(struct core *core, struct session *s)
{
    job_queued_free(&core->env->mem, &s->queued);
    s->multi = false;
    s->multi_failed = false;
    s->queued_count = 0;
    s->queued_bytes = 0;
}

enum status cmdtxn_multi(struct call *c)
{
    if (c->session->multi) {
        reply_error(c->reply, "ERR MULTI calls can not be nested");
        return ST_OK;
    }
    reply_simple(c->reply, "OK");
    c->session->multi = c->reply->st == ST_OK;
    if (!c->session->multi) {
        /* What the client has sent behind it was meant as one: better nothing of it than some. */
        c->session->closing = true;
        c->job->ends = true;
    }
    return ST_OK;
}

enum status cmdtxn_discard(struct call *c)
{
    if (!c->session->multi) {
        reply_error(c->reply, "ERR DISCARD without MULTI");
        return ST_OK;
    }
    cmdtxn_forget(c->core, c->session);
    reply_simple(c->reply, "OK");
    return ST_OK;
}

enum status cmdtxn_queue(struct call *c)
{
    struct session *s = c->session;
    struct job_queued *q = NULL;
    bool room = s->queued_bytes < c->core->live.request_bytes_max;
    if (room) {
        q = job_queued_new(&c->core->env->mem, c->args, c->count);
    }
    if (q == NULL) {
        s->multi_failed = true;
        if (room) {
            return ST_NOMEM;
        }
        reply_error(c->reply, "ERR transaction is over max-request");
        return ST_OK;
    }
    list_insert(&s->queued, &q->link);
    s->queued_count++;
    s->queued_bytes += q->bytes;
    reply_simple(c->reply, "QUEUED");
    s->multi_failed = s->multi_failed || c->reply->st != ST_OK; /* it was not told so */
    return c->reply->st;
}

/* Moves the queue to the job, once: when the job runs again it is there already. */
static void queue_take(struct call *c)
{
    struct session *s = c->session;
    struct job *j = c->job;
    if (!list_empty(&s->queued)) {
        CK(list_empty(&j->transaction));
        j->transaction = s->queued;
        j->transaction.next->prev = &j->transaction;
        j->transaction.prev->next = &j->transaction;
        list_init(&s->queued);
    }
    cmdtxn_forget(c->core, s);
}

static enum status queued_run(struct call *c, struct list *queue)
{
    enum status st = ST_OK;
    for (struct list *l = queue->next; st == ST_OK && l != queue; l = l->next) {
        struct job_queued *q = LIST_ENTRY(l, struct job_queued, link);
        struct call one = *c;
        one.args = q->args;
        one.count = q->arg_count;
        const struct command *cmd = command_find(q->args[0]);
        CK(cmd != NULL); /* it was checked when it was queued */
        st = command_run(&one, cmd);
        if (st == ST_OK && c->view->overlay.bytes > TKV_BATCH_MAX - BATCH_SLACK) {
            st = ST_TOOBIG;
        }
    }
    return st;
}

/* One way for all of them: by the log if one writes. */
static enum job_route queued_route(struct list *queue)
{
    enum job_route route = JOB_READS;
    for (struct list *l = queue->next; l != queue; l = l->next) {
        const struct job_queued *q = LIST_ENTRY(l, struct job_queued, link);
        enum job_route each = command_route(command_find(q->args[0]));
        route = each > route ? each : route;
    }
    return route;
}

enum status cmdtxn_exec(struct call *c)
{
    struct session *s = c->session;
    bool rerun = !list_empty(&c->job->transaction); /* the session may have moved on since */
    if (!s->multi && !rerun) {
        reply_error(c->reply, "ERR EXEC without MULTI");
        return ST_OK;
    }
    if (!rerun && s->multi_failed) {
        cmdtxn_forget(c->core, s);
        reply_error(c->reply, "EXECABORT Transaction discarded because of previous errors.");
        return ST_OK;
    }
    uint32_t count = 0;
    if (!rerun) {
        queue_take(c);
    }
    for (struct list *l = c->job->transaction.next; l != &c->job->transaction; l = l->next) {
        count++;
    }
    if (c->core->front != NULL && count > 0) {
        c->job->route = queued_route(&c->job->transaction);
        return ST_OK;
    }
    if (c->core->view.overlay.count > 0) {
        ENV_PROBE(c->core->env, "exec: after uncommitted writes");
    }
    reply_array(c->reply, count);
    return queued_run(c, &c->job->transaction);
}
