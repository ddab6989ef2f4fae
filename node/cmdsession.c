/* cmdsession.c - see cmdsession.h. */
#include "node/cmdsession.h"

#include "node/once.h"

static enum status session_open(struct call *c, int64_t most)
{
    uint64_t id;
    enum status st = once_open(c->once, most > 0 ? (uint64_t)most : 1, &id);
    if (st == ST_OK) {
        reply_integer(c->reply, (int64_t)id);
    }
    return st;
}

/* What became of RENEW or CLOSE. */
static enum status session_told(struct call *c, enum status st)
{
    if (st == ST_NOENT) {
        reply_error(c->reply, CMDSESSION_EXPIRED);
        return ST_OK;
    }
    reply_simple(c->reply, "OK");
    return st;
}

enum status cmdsession_session(struct call *c)
{
    int64_t number;
    if (c->once == NULL) {
        reply_error(c->reply, "ERR there are no sessions here");
        return ST_OK;
    }
    if (c->count != 3 || c->args[2].data == NULL) {
        return command_bad_subcommand(c);
    }
    if (!command_integer(c->args[2], &number)) {
        return command_not_integer(c);
    }
    if (command_is(c, 1, "open")) {
        return session_open(c, number);
    }
    if (command_is(c, 1, "renew")) {
        return session_told(c, once_renew(c->once, (uint64_t)number));
    }
    if (command_is(c, 1, "close")) {
        return session_told(c, once_close(c->once, (uint64_t)number));
    }
    return command_bad_subcommand(c);
}

#define RUN_ARGS 5u /* SESSION RUN id sequence answered */

/* What follows is a command that the log takes. */
static enum status run_route(struct call *c)
{
    struct job *j = c->job;
    int64_t numbers[3];
    for (uint32_t i = 0; i < 3; i++) {
        if (!command_integer(c->args[2 + i], &numbers[i]) || (i == 0 && numbers[i] == 0)) {
            return command_not_integer(c);
        }
    }
    struct call inner = *c;
    inner.args = c->args + RUN_ARGS;
    inner.count = c->count - RUN_ARGS;
    const struct command *cmd = command_check(&inner);
    if (cmd == NULL) {
        return ST_OK;
    }
    enum job_route route = command_route(cmd);
    if ((route != JOB_READS && route != JOB_WRITES) || (cmd->flags & COMMAND_NO_MULTI) != 0) {
        reply_error(c->reply, "ERR '%s' cannot be done in a session", cmd->name);
        return ST_OK;
    }
    j->once.session = (uint64_t)numbers[0];
    j->once.sequence = (uint64_t)numbers[1];
    j->once.answered = (uint64_t)numbers[2];
    j->arg_skip = RUN_ARGS;
    j->route = JOB_WRITES;
    return ST_OK;
}

enum status cmdsession_route(struct call *c)
{
    c->job->route = JOB_HERE; /* what is wrong is answered here */
    if (!command_is(c, 1, "run")) {
        c->job->route = JOB_WRITES;
        return ST_OK;
    }
    if (c->count <= RUN_ARGS) {
        return command_bad_subcommand(c);
    }
    return run_route(c);
}
