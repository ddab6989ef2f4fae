/* core.c - see core.h. */
#include "node/core.h"

#include "base/ck.h"
#include "env/note.h"
#include "node/command.h"
#include "node/front.h"

#define BATCH_KEEP (4u << 20) /* a larger batch is given back after its commit */

enum status core_new(struct env *env, struct tkv *db, struct replica *replica,
                     const struct nodeopt *opt, struct core **core)
{
    CK((db == NULL) == (replica != NULL));
    struct core *c = mem_zalloc(&env->mem, sizeof *c);
    if (c == NULL) {
        return ST_NOMEM;
    }
    c->env = env;
    c->db = db;
    c->replica = replica;
    c->opt = opt;
    c->log = (struct nodelog){env, (enum env_log_level)opt->log_least};
    c->started_ns = env_clock_mono(env);
    c->live = opt->live;
    c->shared = opt->live;
    list_init(&c->queue);
    list_init(&c->done);
    list_init(&c->landed);
    view_init(&c->view, env, db);
    buf_init(&c->scratch, &env->mem);
    cursor_init(&c->cursor, &env->mem, (uint32_t)opt->cursors, env_random_u64(env));
    env_mutex_init(env, &c->mutex);
    env_cond_init(env, &c->work);
    if (replica != NULL && front_new(c, replica, &c->front) != ST_OK) {
        core_free(c);
        return ST_NOMEM;
    }
    *core = c;
    return ST_OK;
}

void core_free(struct core *c)
{
    if (c == NULL) {
        return;
    }
    CK(!c->running);
    CK(list_empty(&c->queue));
    CK(list_empty(&c->done));
    front_free(c->front);
    env_cond_release(c->env, &c->work);
    env_mutex_release(c->env, &c->mutex);
    cursor_release(&c->cursor);
    buf_release(&c->scratch);
    view_release(&c->view);
    tkv_batch_free(c->batch);
    env_release(c->env, c);
}

static struct job *job_of(struct list *l)
{
    return LIST_ENTRY(l, struct job, link);
}

/* ---- the commit ---- */

/* What a writer is told when its group could not be committed. The engine may have written it
 * or not: it is not visible now, and after a restart it is absent or whole. */
static const char *commit_error(enum status st)
{
    switch (st) {
    case ST_NOSPC:
        return "-NOSPC commit failed: no space left on device; after a restart the write may be "
               "there or not\r\n";
    case ST_NOMEM:
        return "-IOERR commit failed: out of memory; after a restart the write may be there or "
               "not\r\n";
    default:
        return "-IOERR commit failed: input/output error; after a restart the write may be there "
               "or not\r\n";
    }
}

static enum status batch_fill(struct core *c)
{
    const struct overlay *o = &c->view.overlay;
    if (c->batch == NULL) {
        enum status st = view_status(tkv_batch_new(c->env, &c->batch));
        if (st != ST_OK) {
            c->batch = NULL;
            return st;
        }
    }
    tkv_batch_clear(c->batch);
    for (uint32_t i = 0; i < o->count; i++) {
        enum status st = view_batch_add(c->batch, &o->writes[i]);
        if (st != ST_OK) {
            return st;
        }
    }
    return ST_OK;
}

static void note_begin(struct core *c, bool sync)
{
    if (env_noting(c->env)) {
        size_t size;
        const void *data = tkv_batch_data(c->batch, &size);
        env_note(c->env, &(struct env_note){.kind = NOTE_COMMIT_BEGIN,
                                            .a = c->commit_ordinal,
                                            .b = sync,
                                            .data = data,
                                            .size = size});
    }
}

/* Commits the view's writes. *error: what to tell the writers when it failed. */
static enum status commit(struct core *c, bool sync, const char **error)
{
    enum status st = batch_fill(c);
    if (st != ST_OK) {
        *error = st == ST_NOMEM ? "-OOM out of memory, nothing was changed\r\n"
                                : "-ERR the writes are too big, nothing was changed\r\n";
        env_note(c->env, &(struct env_note){.kind = NOTE_COMMIT_REFUSED});
        return st;
    }
    struct tkv_write_options o;
    uint64_t sequence = 0;
    tkv_write_options_init(&o);
    o.sync = sync;
    c->commit_ordinal++;
    c->counts.commits++;
    note_begin(c, sync);
    st = view_status(tkv_write(c->db, &o, c->batch, &sequence));
    env_note(c->env, &(struct env_note){.kind = NOTE_COMMIT_END,
                                        .a = c->commit_ordinal,
                                        .b = st,
                                        .c = st == ST_OK ? sequence : 0});
    ENV_YIELD(c->env, "core: between commit and replies");
    size_t size;
    (void)tkv_batch_data(c->batch, &size);
    if (size > BATCH_KEEP) {
        tkv_batch_free(c->batch);
        c->batch = NULL;
    }
    *error = commit_error(st);
    return st;
}

/* ---- a group ---- */

/* A run of the group's jobs that share a commit: [from, end). */
struct span {
    struct list *from;
    struct list *end;
    uint32_t writers;
    bool sync;
};

/* Executes the jobs of the span that are not settled. The first time (end == NULL) the span
 * ends where the group does, or where enough bytes have come together. */
static void span_execute(struct core *c, struct list *group, struct span *s)
{
    s->writers = 0;
    s->sync = false;
    struct list *l = s->from;
    while (l != s->end && l != group &&
           (s->end != NULL || c->view.overlay.bytes < c->opt->group_bytes)) {
        struct job *j = job_of(l);
        l = l->next;
        if (j->kind != JOB_REQUEST || j->settled) {
            continue;
        }
        j->number = j->number > 0 ? j->number : ++j->session->requests;
        command_execute(c, j);
        env_note(c->env,
                 &(struct env_note){
                     .kind = NOTE_EXECUTED, .a = j->session->id, .b = j->number, .c = j->wrote});
        s->writers += j->wrote;
        s->sync = s->sync || (j->wrote && j->sync);
    }
    s->end = l;
}

/* After a failed commit: writers get the error, readers of their writes run again, all others
 * are done. */
static void span_fail(struct core *c, const struct span *s, const char *error)
{
    for (struct list *l = s->from; l != s->end; l = l->next) {
        struct job *j = job_of(l);
        if (j->kind != JOB_REQUEST || j->settled) {
            continue;
        }
        if (j->wrote) {
            job_reply_const(j, error);
        } else if (j->dirty) {
            ENV_PROBE(c->env, "core: read again after a failed commit");
        }
        j->settled = j->wrote || !j->dirty;
    }
}

/* Executes and commits one span; every round settles at least one writer, so it ends. */
static struct list *span_run(struct core *c, struct list *group, struct list *from)
{
    struct span s = {.from = from};
    for (;;) {
        const char *error;
        span_execute(c, group, &s);
        if (s.writers == 0) {
            break;
        }
        if (s.writers > 1) {
            ENV_PROBE(c->env, "core: writers shared a commit");
        }
        enum status st = commit(c, s.sync, &error);
        overlay_reset(&c->view.overlay);
        if (st == ST_OK) {
            env_note(c->env, &(struct env_note){.kind = NOTE_ACK, .a = c->commit_ordinal});
            break;
        }
        ENV_PROBE(c->env, "core: commit failed");
        c->counts.commits_failed++;
        nodelog_line(&c->log, ENV_LOG_WARN, "commit failed: %s", status_text(st));
        span_fail(c, &s, error);
    }
    overlay_reset(&c->view.overlay);
    return s.end;
}

void core_group_run(struct core *c, struct list *group)
{
    struct list *from = group->next;
    while (from != group) {
        from = span_run(c, group, from);
    }
    CK(c->view.overlay.count == 0);
}

/* ---- the thread ---- */

/* Takes the next group off the queue; false: there is none and there will be none. */
static bool group_take(struct core *c, struct list *group)
{
    uint64_t bytes = 0;
    uint64_t count = 0;
    env_mutex_lock(c->env, &c->mutex);
    while (list_empty(&c->queue) && !c->quit) {
        (void)env_cond_wait(c->env, &c->work, &c->mutex, ENV_NEVER); /* the loop decides */
    }
    while (!list_empty(&c->queue) && count < c->opt->group_commands &&
           bytes < c->opt->group_bytes) {
        struct job *j = job_of(c->queue.next);
        list_remove(&j->link);
        list_insert(group, &j->link);
        bytes += j->bytes;
        count++;
    }
    c->counts.clients = c->clients;
    env_mutex_unlock(c->env, &c->mutex);
    if (count > 1) {
        ENV_PROBE(c->env, "core: group of many");
    }
    c->counts.groups += count > 0;
    c->counts.commands += count;
    c->counts.group_most = count > c->counts.group_most ? count : c->counts.group_most;
    return count > 0;
}

/* Drops the sessions that ended in this group: nothing of theirs is left in it. */
static void group_end_sessions(struct core *c, struct list *group)
{
    for (struct list *l = group->next; l != group;) {
        struct job *j = job_of(l);
        l = l->next;
        if (j->kind == JOB_END) {
            list_remove(&j->link);
            job_session_free(&c->env->mem, j->session);
        }
    }
}

static void group_hand_back(struct core *c, struct list *group)
{
    if (list_empty(group)) {
        return;
    }
    env_mutex_lock(c->env, &c->mutex);
    list_splice(&c->done, group);
    env_mutex_unlock(c->env, &c->mutex);
    ENV_YIELD(c->env, "core: between handing back and waking");
    env_poller_wake(c->env, c->poller);
}

static void core_main(void *arg)
{
    struct core *c = (struct core *)arg;
    struct list group;
    list_init(&group);
    while (group_take(c, &group)) {
        ENV_YIELD(c->env, "core: group taken");
        core_group_run(c, &group);
        group_end_sessions(c, &group);
        group_hand_back(c, &group);
    }
}

/* ---- on a node that replicates ---- */

/* Jobs to the front, and what is back from the replica, until nothing is. The lock is held. */
static void front_pump(struct core *c, struct list *jobs)
{
    struct list landed;
    struct list done;
    list_init(&landed);
    list_init(&done);
    c->counts.clients = c->clients;
    c->pumping = true;
    do {
        list_splice(&landed, &c->landed);
        env_mutex_unlock(c->env, &c->mutex);
        ENV_YIELD(c->env, "core: jobs and what landed are taken");
        c->counts.groups++;
        front_turn(c->front, jobs, &landed, &done);
        env_mutex_lock(c->env, &c->mutex);
    } while (!list_empty(&c->landed));
    c->pumping = false;
    list_splice(&c->done, &done);
}

void core_replica_over(void *arg)
{
    struct core *c = (struct core *)arg;
    env_mutex_lock(c->env, &c->mutex);
    c->stop_asked = true;
    bool served = c->running; /* else the server looks before it waits */
    env_mutex_unlock(c->env, &c->mutex);
    if (served) {
        env_poller_wake(c->env, c->poller);
    }
}

void core_landed(struct core *c, struct list *flight)
{
    env_mutex_lock(c->env, &c->mutex);
    bool first = list_empty(&c->landed) && !c->pumping;
    bool quit = c->quit;
    list_insert(&c->landed, flight);
    if (quit) {
        env_cond_signal(c->env, &c->work);
    }
    env_mutex_unlock(c->env, &c->mutex);
    if (first && !quit) {
        ENV_YIELD(c->env, "core: between landing and waking");
        env_poller_wake(c->env, c->poller);
    }
}

/* What the replica has comes back, as good as it is. */
static void front_stop(struct core *c)
{
    struct list none;
    list_init(&none);
    front_end(c->front);
    env_mutex_lock(c->env, &c->mutex);
    c->running = false;
    c->quit = true;
    front_pump(c, &none);
    while (front_flying(c->front) > 0) {
        while (list_empty(&c->landed)) {
            (void)env_cond_wait(c->env, &c->work, &c->mutex, ENV_NEVER); /* the loop decides */
        }
        front_pump(c, &none);
    }
    env_mutex_unlock(c->env, &c->mutex);
}

/* ---- for the reactor ---- */

enum status core_start(struct core *c, int poller)
{
    c->poller = poller;
    enum status st =
        c->front != NULL ? ST_OK : env_thread_start(c->env, &c->thread, "core", core_main, c);
    env_mutex_lock(c->env, &c->mutex);
    c->running = st == ST_OK;
    env_mutex_unlock(c->env, &c->mutex);
    return st;
}

void core_stop(struct core *c)
{
    if (!c->running) {
        return;
    }
    if (c->front != NULL) {
        front_stop(c);
        return;
    }
    env_mutex_lock(c->env, &c->mutex);
    c->running = false;
    c->quit = true;
    env_cond_signal(c->env, &c->work);
    env_mutex_unlock(c->env, &c->mutex);
    env_thread_join(c->env, &c->thread);
}

bool core_submit(struct core *c, struct list *jobs, uint64_t clients)
{
    bool done = false;
    env_mutex_lock(c->env, &c->mutex);
    c->clients = clients;
    if (c->front != NULL) {
        front_pump(c, jobs);
        done = !list_empty(&c->done);
    } else {
        bool sleeping = list_empty(&c->queue);
        list_splice(&c->queue, jobs);
        if (sleeping) {
            env_cond_signal(c->env, &c->work);
        }
    }
    env_mutex_unlock(c->env, &c->mutex);
    return done;
}

bool core_collect(struct core *c, struct list *done, struct nodeopt_live *live)
{
    struct list none;
    list_init(&none);
    env_mutex_lock(c->env, &c->mutex);
    if (!list_empty(&c->landed)) {
        front_pump(c, &none);
    }
    list_splice(done, &c->done);
    *live = c->shared;
    bool stop = c->stop_asked;
    env_mutex_unlock(c->env, &c->mutex);
    return stop;
}

void core_live_changed(struct core *c)
{
    env_mutex_lock(c->env, &c->mutex);
    c->shared = c->live;
    env_mutex_unlock(c->env, &c->mutex);
}

void core_shutdown(struct core *c)
{
    env_mutex_lock(c->env, &c->mutex);
    c->stop_asked = true;
    env_mutex_unlock(c->env, &c->mutex);
    env_poller_wake(c->env, c->poller);
}
