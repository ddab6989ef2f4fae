/* front.c - see front.h.
 *
 * A flight is a job's request while the replica has it. on_done runs on the replica's thread: it
 * executes reads there, where the state stands still, and puts the flight on the core's list. */
#include "node/front.h"

#include "base/ck.h"
#include "env/note.h"
#include "net/respdown.h"
#include "node/cmdraft.h"
#include "node/command.h"
#include "node/replica.h"

#define RUN_BYTES  (64u * 1024u) /* of a run's requests, about: one envelope holds them */
#define RUN_COUNT  4096u
#define FLIGHT_MIN 4u            /* commands that a flight has room for at first */
#define KEEP_BYTES (64u * 1024u) /* a larger reply buffer is given back */
#define MS         1000000ull

#define CARRIED_OUT "-UNKNOWN out of memory for the reply: it was carried out\r\n"

struct flight {
    struct replica_request request;
    struct list link; /* in the core's `landed`, or in front.idle */
    struct front *front;
    struct job *job;
    struct replica_command *commands;
    uint32_t cap;
};

struct front {
    struct core *core; /* borrowed */
    struct replica *replica;
    struct list idle;    /* flights for later */
    struct list touched; /* sessions of which something changed in this turn */
    struct list submit;  /* requests of this turn */
    uint64_t flying;
    uint64_t now;
    bool ended;
};

enum status front_new(struct core *core, struct replica *replica, struct front **front)
{
    struct front *f = env_alloc(core->env, sizeof *f);
    if (f == NULL) {
        return ST_NOMEM;
    }
    *f = (struct front){.core = core, .replica = replica};
    list_init(&f->idle);
    list_init(&f->touched);
    list_init(&f->submit);
    *front = f;
    return ST_OK;
}

static void flight_free(struct front *f, struct flight *x)
{
    buf_release(&x->request.reply);
    env_release(f->core->env, x->commands);
    env_release(f->core->env, x);
}

void front_free(struct front *f)
{
    if (f == NULL) {
        return;
    }
    CK(f->flying == 0);
    while (!list_empty(&f->idle)) {
        struct flight *x = LIST_ENTRY(f->idle.next, struct flight, link);
        list_remove(&x->link);
        flight_free(f, x);
    }
    env_release(f->core->env, f);
}

uint64_t front_flying(const struct front *f)
{
    return f->flying;
}

/* ---- flights ---- */

static enum status commands_room(struct front *f, struct flight *x, uint32_t count)
{
    if (count <= x->cap) {
        return ST_OK;
    }
    uint32_t cap = x->cap == 0 ? FLIGHT_MIN : x->cap;
    while (cap < count) {
        cap *= 2;
    }
    struct replica_command *room = env_resize(f->core->env, x->commands, cap * sizeof *x->commands);
    if (room == NULL) {
        return ST_NOMEM;
    }
    x->commands = room;
    x->cap = cap;
    return ST_OK;
}

static struct flight *flight_take(struct front *f, uint32_t commands)
{
    struct flight *x;
    if (!list_empty(&f->idle)) {
        x = LIST_ENTRY(f->idle.next, struct flight, link);
        list_remove(&x->link);
    } else {
        x = mem_zalloc(&f->core->env->mem, sizeof *x);
        if (x == NULL) {
            return NULL;
        }
        x->front = f;
        list_init(&x->link);
        list_init(&x->request.link);
        buf_init(&x->request.reply, &f->core->env->mem);
    }
    if (commands_room(f, x, commands) != ST_OK) {
        list_insert(&f->idle, &x->link);
        return NULL;
    }
    return x;
}

static void flight_keep(struct front *f, struct flight *x)
{
    if (x->request.reply.cap > KEEP_BYTES) {
        buf_release(&x->request.reply);
    }
    buf_clear(&x->request.reply);
    x->job = NULL;
    list_insert(&f->idle, &x->link);
}

/* ---- on the replica's thread ---- */

/* Executes a job that only reads on the state that stands still here. */
static enum status read_run(struct flight *x, struct statemachine *sm, struct reply *reply)
{
    enum status st = ST_OK;
    if (x->request.head.transaction) {
        reply_array(reply, x->request.head.commands);
    }
    for (uint32_t i = 0; st == ST_OK && i < x->request.head.commands; i++) {
        const struct replica_command *command = &x->commands[i];
        struct call c = {.env = sm->env,
                         .view = &sm->view,
                         .scratch = &sm->scratch,
                         .args = command->args,
                         .count = command->count,
                         .reply = reply,
                         .cursor = &x->front->core->cursor};
        buf_clear(&sm->scratch);
        st = command_apply(&c);
    }
    return st == ST_OK ? reply->st : st;
}

static void read_execute(struct flight *x)
{
    struct replica_request *q = &x->request;
    struct reply reply;
    buf_clear(&q->reply);
    reply_init(&reply, &q->reply, x->job->protocol, x->job->reply_max);
    struct statemachine *sm = replica_machine(x->front->replica);
    enum status st = read_run(x, sm, &reply);
    q->index = sm->applied.place.index;
    env_note(sm->env, &(struct env_note){.kind = NOTE_LOOKED,
                                         .a = x->job->session->id,
                                         .b = x->job->number,
                                         .c = sm->applied.place.index});
    if (st != ST_OK) {
        buf_release(&q->reply);
        x->job->failure = command_failure(st);
    }
}

static void on_done(struct replica_request *q)
{
    struct flight *x = LIST_ENTRY(q, struct flight, request);
    if (q->reads && q->outcome == REPLICA_DONE) {
        read_execute(x);
    }
    core_landed(x->front->core, &x->link);
}

/* ---- what became of a flight ---- */

static const char *outcome_text(const struct flight *x)
{
    if (x->request.outcome == REPLICA_UNKNOWN) {
        return "-UNKNOWN no answer in time: whether it was or will be carried out is not known\r\n";
    }
    return "-TRYAGAIN no leader answered in time, nothing was changed\r\n";
}

/* The reply that came out of the log is RESP3. */
static void reply_settle(struct flight *x)
{
    struct job *j = x->job;
    struct buf *from = &x->request.reply;
    enum status st = ST_OK;
    if (x->request.reads || j->protocol == 3 || !respdown_changes(buf_slice(from))) {
        struct buf old = j->reply;
        j->reply = *from;
        *from = old;
    } else {
        buf_clear(&j->reply);
        st = respdown(buf_slice(from), &j->reply);
        CK(st != ST_CORRUPT); /* our own commands wrote it */
    }
    if (st == ST_OK) {
        j->out.bytes = buf_slice(&j->reply);
    } else {
        job_reply_const(j, CARRIED_OUT);
    }
}

/* What became of a change of the group. */
static void change_settle(struct flight *x)
{
    struct job *j = x->job;
    bool done = x->request.outcome == REPLICA_DONE;
    buf_clear(&j->reply);
    cmdraft_changed(&j->reply, j->protocol, x->request.change, x->request.outcome);
    j->out.bytes = buf_slice(&j->reply);
    if (j->out.bytes.size == 0) {
        job_reply_const(j, done ? CARRIED_OUT : outcome_text(x));
    }
}

static void flight_land(struct front *f, struct flight *x)
{
    struct job *j = x->job;
    struct session *s = j->session;
    if (x->request.change != NULL) {
        change_settle(x);
    } else if (x->request.outcome != REPLICA_DONE) {
        job_reply_const(j, outcome_text(x));
        if (replica_failed(f->replica) != ST_OK) {
            core_shutdown(f->core);
        }
    } else if (j->failure != NULL) {
        job_reply_const(j, j->failure);
    } else {
        reply_settle(x);
    }
    j->index = x->request.index;
    j->settled = true;
    CK(s->flying > 0 && f->flying > 0);
    s->flying--;
    f->flying--;
    flight_keep(f, x);
    if (list_empty(&s->touched)) {
        list_insert(&f->touched, &s->touched);
    }
}

/* ---- taking jobs in ---- */

static void job_enter(struct front *f, struct job *j)
{
    struct session *s = j->session;
    if (j->kind == JOB_REQUEST) {
        j->number = ++s->requests;
        f->core->counts.commands++;
        command_execute(f->core, j);
        j->settled = j->route == JOB_HERE;
    }
    list_insert(&s->waiting, &j->link);
    if (list_empty(&s->touched)) {
        list_insert(&f->touched, &s->touched);
    }
}

/* ---- runs ---- */

/* Fills the flight's commands with those of the job. */
static void flight_load(struct flight *x, struct job *j)
{
    struct replica_request *q = &x->request;
    uint32_t count = 0;
    q->head = (struct envelope_request){.transaction = !list_empty(&j->transaction),
                                        .session = j->once.session,
                                        .sequence = j->once.sequence,
                                        .answered = j->once.answered};
    if (q->head.transaction) {
        for (struct list *l = j->transaction.next; l != &j->transaction; l = l->next) {
            struct job_queued *each = LIST_ENTRY(l, struct job_queued, link);
            x->commands[count++] = (struct replica_command){each->args, each->arg_count};
        }
    } else {
        x->commands[count++] =
            (struct replica_command){j->args + j->arg_skip, j->arg_count - j->arg_skip};
    }
    q->head.commands = count;
    q->commands = x->commands;
    x->job = j;
}

static uint32_t job_commands(struct job *j)
{
    uint32_t count = 0;
    for (struct list *l = j->transaction.next; l != &j->transaction; l = l->next) {
        count++;
    }
    return count == 0 ? 1 : count;
}

/* Hands the job to the replica. False: there was no memory, and it is answered. */
static bool job_launch(struct front *f, struct job *j, bool by_log, bool first)
{
    struct flight *x = flight_take(f, job_commands(j));
    if (x == NULL) {
        ENV_PROBE(f->core->env, "front: no memory for a request");
        job_reply_const(j, command_failure(ST_NOMEM));
        j->settled = true;
        return false;
    }
    flight_load(x, j);
    x->request.change = j->route == JOB_CHANGES ? &j->change : NULL;
    x->request.reads = !by_log && x->request.change == NULL;
    x->request.follows = by_log && !first;
    x->request.fresh = j->fresh;
    x->request.min_index = j->min_index;
    x->request.deadline = f->now + f->core->opt->request_ms * MS;
    if (j->deadline < x->request.deadline) {
        x->request.deadline = j->deadline;
    }
    x->request.done = on_done;
    x->request.outcome = REPLICA_NOT_DONE;
    x->request.index = 0;
    list_insert(&f->submit, &x->request.link);
    env_note(f->core->env, &(struct env_note){.kind = NOTE_SUBMITTED,
                                              .a = j->session->id,
                                              .b = j->number,
                                              .data = &x->request,
                                              .size = sizeof x->request});
    j->session->flying++;
    f->flying++;
    return true;
}

/* Does a run that begins here go by the log? It does when a write comes before what cannot. */
static bool run_writes(struct session *s)
{
    uint64_t bytes = 0;
    for (struct list *l = s->waiting.next; l != &s->waiting && bytes < RUN_BYTES; l = l->next) {
        const struct job *j = LIST_ENTRY(l, struct job, link);
        if (j->route == JOB_CURSOR || j->route >= JOB_WRITES) {
            return j->route == JOB_WRITES;
        }
        bytes += j->bytes;
    }
    return false;
}

static void run_launch(struct front *f, struct session *s)
{
    bool by_log = run_writes(s);
    bool first = true;
    const struct job *lead = NULL; /* the first of the run: its reads are all as fresh as its */
    uint64_t bytes = 0;
    for (struct list *l = s->waiting.next;
         l != &s->waiting && bytes < RUN_BYTES && s->flying < RUN_COUNT; l = l->next) {
        struct job *j = LIST_ENTRY(l, struct job, link);
        if (j->kind != JOB_REQUEST || j->settled) {
            continue;
        }
        bool apart = j->route == JOB_CHANGES; /* a run of its own */
        if (by_log ? j->route == JOB_CURSOR : j->route == JOB_WRITES) {
            break;
        }
        if (apart && s->flying > 0) {
            break;
        }
        lead = lead != NULL ? lead : j;
        if (!by_log && j->fresh != lead->fresh) {
            break; /* else one that need not wait might see less than one before it */
        }
        if (f->ended) {
            job_reply_const(j, "-TRYAGAIN this node is stopping, nothing was changed\r\n");
            j->settled = true;
            continue;
        }
        first = !job_launch(f, j, by_log, first) && first;
        bytes += j->bytes;
        if (apart) {
            break;
        }
    }
    if (by_log && s->flying > 1) {
        ENV_PROBE(f->core->env, "front: a run of several by way of the log");
    }
}

/* Hands back what is answered, and goes on. */
static void session_go_on(struct front *f, struct session *s, struct list *done)
{
    for (;;) {
        while (!list_empty(&s->waiting)) {
            struct job *j = LIST_ENTRY(s->waiting.next, struct job, link);
            if (j->kind == JOB_REQUEST && !j->settled) {
                break;
            }
            list_remove(&j->link);
            if (j->kind == JOB_END) {
                CK(list_empty(&s->waiting) && s->flying == 0);
                job_session_free(&f->core->env->mem, s);
                return;
            }
            list_insert(done, &j->link);
        }
        if (s->flying > 0 || list_empty(&s->waiting)) {
            return;
        }
        run_launch(f, s);
    }
}

void front_turn(struct front *f, struct list *jobs, struct list *landed, struct list *done)
{
    f->now = env_clock_mono(f->core->env);
    while (!list_empty(landed)) {
        struct flight *x = LIST_ENTRY(landed->next, struct flight, link);
        list_remove(&x->link);
        flight_land(f, x);
    }
    while (!list_empty(jobs)) {
        struct job *j = LIST_ENTRY(jobs->next, struct job, link);
        list_remove(&j->link);
        job_enter(f, j);
    }
    while (!list_empty(&f->touched)) {
        struct session *s = LIST_ENTRY(f->touched.next, struct session, touched);
        list_remove(&s->touched);
        session_go_on(f, s, done);
    }
    if (!list_empty(&f->submit)) {
        replica_submit(f->replica, &f->submit);
    }
}

void front_end(struct front *f)
{
    if (!f->ended) {
        f->ended = true;
        replica_abandon(f->replica);
    }
}
