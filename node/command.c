/* command.c - see command.h. */
#include "node/command.h"

#include "base/ck.h"
#include "node/cmdadmin.h"
#include "node/cmdconn.h"
#include "node/cmdpage.h"
#include "node/cmdraft.h"
#include "node/cmdscan.h"
#include "node/cmdsession.h"
#include "node/cmdstr.h"
#include "node/cmdtxn.h"

#include <stdio.h>
#include <string.h>

#define R  COMMAND_READ
#define W  COMMAND_WRITE
#define RW (COMMAND_READ | COMMAND_WRITE)

static const struct command commands[] = {
    {"append", 3, RW, 1, 1, 1, cmdstr_append},
    {"cas", -4, RW | COMMAND_NULLS, 1, 1, 1, cmdstr_cas},
    {"client", -2, 0, 0, 0, 0, cmdconn_client},
    {"command", -1, 0, 0, 0, 0, cmdadmin_command},
    {"config", -2, 0, 0, 0, 0, cmdadmin_config},
    {"consistency", -1, 0, 0, 0, 0, cmdconn_consistency},
    {"dbsize", 1, R, 0, 0, 0, cmdscan_dbsize},
    {"decr", 2, RW, 1, 1, 1, cmdstr_decr},
    {"decrby", 3, RW, 1, 1, 1, cmdstr_decrby},
    {"del", -2, RW, 1, -1, 1, cmdstr_del},
    {"delrange", -3, W | COMMAND_NULLS, 0, 0, 0, cmdscan_delrange},
    {"discard", 1, COMMAND_AT_ONCE, 0, 0, 0, cmdtxn_discard},
    {"durability", -1, 0, 0, 0, 0, cmdconn_durability},
    {"echo", 2, COMMAND_PURE, 0, 0, 0, cmdconn_echo},
    {"exec", 1, COMMAND_AT_ONCE, 0, 0, 0, cmdtxn_exec},
    {"exists", -2, R, 1, -1, 1, cmdstr_exists},
    {"get", 2, R, 1, 1, 1, cmdstr_get},
    {"hello", -1, COMMAND_NO_MULTI, 0, 0, 0, cmdconn_hello},
    {"incr", 2, RW, 1, 1, 1, cmdstr_incr},
    {"incrby", 3, RW, 1, 1, 1, cmdstr_incrby},
    {"info", -1, 0, 0, 0, 0, cmdadmin_info},
    {"mget", -2, R, 1, -1, 1, cmdstr_mget},
    {"mset", -3, W, 1, -1, 2, cmdstr_mset},
    {"multi", 1, COMMAND_AT_ONCE, 0, 0, 0, cmdtxn_multi},
    {"page", -3, R | COMMAND_NULLS, 0, 0, 0, cmdpage_page},
    {"ping", -1, COMMAND_PURE, 0, 0, 0, cmdconn_ping},
    {"quit", -1, COMMAND_AT_ONCE, 0, 0, 0, cmdconn_quit},
    {"raft", -2, W | COMMAND_NO_MULTI, 0, 0, 0, cmdraft_raft},
    {"range", -3, R, 0, 0, 0, cmdscan_range},
    {"reset", 1, COMMAND_AT_ONCE, 0, 0, 0, cmdconn_reset},
    {"scan", -2, R | COMMAND_CURSOR, 0, 0, 0, cmdscan_scan},
    {"select", 2, COMMAND_PURE, 0, 0, 0, cmdconn_select},
    {"session", -2, W | COMMAND_NO_MULTI, 0, 0, 0, cmdsession_session},
    {"set", -3, RW, 1, 1, 1, cmdstr_set},
    {"shutdown", -1, COMMAND_NO_MULTI, 0, 0, 0, cmdadmin_shutdown},
    {"strlen", 2, R, 1, 1, 1, cmdstr_strlen},
};

#define COMMAND_COUNT (sizeof commands / sizeof *commands)

const struct command *command_table(size_t *count)
{
    *count = COMMAND_COUNT;
    return commands;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Compares text, made lower case, with a lower-case word; as slice_compare. */
static int compare_word(struct slice text, const char *word)
{
    for (size_t i = 0; i < text.size; i++) {
        int c = (unsigned char)lower(text.data[i]) - (unsigned char)word[i];
        if (c != 0 || word[i] == '\0') {
            return word[i] == '\0' ? 1 : c;
        }
    }
    return word[text.size] == '\0' ? 0 : -1;
}

const struct command *command_find(struct slice name)
{
    size_t low = 0;
    size_t high = COMMAND_COUNT;
    while (low < high) {
        size_t mid = (low + high) / 2;
        int c = compare_word(name, commands[mid].name);
        if (c == 0) {
            return &commands[mid];
        }
        if (c < 0) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return NULL;
}

/* ---- help for handlers ---- */

bool command_is(const struct call *c, uint32_t i, const char *word)
{
    return compare_word(c->args[i], word) == 0;
}

bool command_integer(struct slice text, int64_t *value)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    size_t at = negative;
    if (at == text.size || text.size - at > 19 || (text.data[at] == '0' && text.size > 1)) {
        return false;
    }
    uint64_t u = 0;
    for (; at < text.size; at++) {
        if (text.data[at] < '0' || text.data[at] > '9') {
            return false;
        }
        u = u * 10 + (uint64_t)(text.data[at] - '0');
    }
    if (u > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *value = (int64_t)(negative ? 0 - u : u);
    return true;
}

enum status command_syntax_error(struct call *c)
{
    reply_error(c->reply, "ERR syntax error");
    return ST_OK;
}

enum status command_not_integer(struct call *c)
{
    reply_error(c->reply, "ERR value is not an integer or out of range");
    return ST_OK;
}

enum status command_bad_subcommand(struct call *c)
{
    int size = c->args[1].size < 128 ? (int)c->args[1].size : 128;
    reply_error(c->reply, "ERR unknown subcommand or wrong number of arguments for '%.*s'", size,
                c->args[1].data);
    return ST_OK;
}

/* ---- checks before execution ---- */

static void reply_unknown(struct call *c)
{
    char list[256];
    size_t at = 0;
    list[0] = '\0';
    for (uint32_t i = 1; i < c->count && at < 128; i++) {
        int size = c->args[i].size < 128 - at ? (int)c->args[i].size : (int)(128 - at);
        int n = snprintf(list + at, sizeof list - at, "'%.*s' ", size,
                         c->args[i].data != NULL ? c->args[i].data : "");
        at += n > 0 ? strlen(list + at) : 0;
    }
    int size = c->args[0].size < 128 ? (int)c->args[0].size : 128;
    reply_error(c->reply, "ERR unknown command '%.*s', with args beginning with: %s", size,
                c->args[0].data, list);
}

/* Looks at the keys; false: answered with an error. */
static bool keys_fit(struct call *c, const struct command *cmd)
{
    if (cmd->key_first == 0) {
        return true;
    }
    uint32_t last = cmd->key_last < 0 ? c->count - 1 : (uint32_t)cmd->key_last;
    for (uint32_t i = (uint32_t)cmd->key_first; i <= last; i += (uint32_t)cmd->key_step) {
        if (c->args[i].size > TKV_KEY_MAX) {
            reply_error(c->reply, "ERR key is too long (at most %u bytes)", TKV_KEY_MAX);
            return false;
        }
        if (view_key_reserved(c->args[i])) {
            reply_error(c->reply, "ERR keys may not begin with the bytes ff ff");
            return false;
        }
    }
    return true;
}

const struct command *command_check(struct call *c)
{
    const struct command *cmd = c->args[0].data != NULL ? command_find(c->args[0]) : NULL;
    if (cmd == NULL) {
        reply_unknown(c);
        return NULL;
    }
    uint32_t least = (uint32_t)(cmd->arity < 0 ? -cmd->arity : cmd->arity);
    if (c->count < least || (cmd->arity > 0 && c->count > least)) {
        reply_error(c->reply, "ERR wrong number of arguments for '%s' command", cmd->name);
        return NULL;
    }
    for (uint32_t i = 1; i < c->count; i++) {
        if (c->args[i].data == NULL && (cmd->flags & COMMAND_NULLS) == 0) {
            reply_error(c->reply, "ERR null argument for '%s' command", cmd->name);
            return NULL;
        }
    }
    if (!keys_fit(c, cmd)) {
        return NULL;
    }
    if (c->session != NULL && c->session->multi && (cmd->flags & COMMAND_NO_MULTI) != 0) {
        reply_error(c->reply, "ERR Command not allowed inside a transaction");
        return NULL;
    }
    return cmd;
}

/* ---- execution ---- */

const char *command_failure(enum status st)
{
    switch (st) {
    case ST_NOMEM:
        return "-OOM out of memory, nothing was changed\r\n";
    case ST_TOOBIG:
        return "-ERR the reply or the transaction is too big, nothing was changed\r\n";
    case ST_CORRUPT:
        return "-CORRUPT the data is damaged, nothing was changed\r\n";
    default:
        return "-READERR reading failed, nothing was changed\r\n";
    }
}

enum status command_run(struct call *c, const struct command *cmd)
{
    enum status st = cmd->run(c);
    return st == ST_OK ? c->reply->st : st;
}

enum job_route command_route(const struct command *cmd)
{
    if ((cmd->flags & COMMAND_WRITE) != 0) {
        return JOB_WRITES;
    }
    if ((cmd->flags & COMMAND_CURSOR) != 0) {
        return JOB_CURSOR;
    }
    return (cmd->flags & COMMAND_READ) != 0 ? JOB_READS : JOB_HERE;
}

enum status command_apply(struct call *c)
{
    const struct command *cmd = command_check(c);
    if (cmd == NULL) {
        return c->reply->st;
    }
    if ((cmd->flags & (COMMAND_READ | COMMAND_WRITE | COMMAND_PURE)) == 0) {
        reply_error(c->reply, "ERR '%s' cannot be replicated", cmd->name);
        return c->reply->st;
    }
    return command_run(c, cmd);
}

static enum status check_and_run(struct call *c)
{
    bool rerun = c->job->begun;
    c->job->begun = true;
    const struct command *cmd = command_check(c);
    if (cmd == NULL) {
        c->session->multi_failed = c->session->multi_failed || c->session->multi;
        return c->reply->st;
    }
    if (c->session->multi && !rerun && (cmd->flags & COMMAND_AT_ONCE) == 0) {
        enum status st = cmdtxn_queue(c);
        return st == ST_OK ? c->reply->st : st;
    }
    if (c->core->front != NULL && command_route(cmd) != JOB_HERE) {
        c->job->route = command_route(cmd);
        if (cmd->run == cmdraft_raft) {
            return cmdraft_route(c);
        }
        return cmd->run == cmdsession_session ? cmdsession_route(c) : ST_OK;
    }
    return command_run(c, cmd);
}

/* What a request says of itself forbids it here: answered. */
static bool refused(struct core *core, struct job *job)
{
    if (job->begun) {
        return false;
    }
    if (job->deadline != ENV_NEVER && env_clock_mono(core->env) >= job->deadline) {
        ENV_PROBE(core->env, "command: its time was over before it was begun");
        job_reply_const(job, "-TIMEOUT it was not begun in time, nothing was done\r\n");
        return true;
    }
    if (job->once.session != 0 && core->front == NULL) {
        job_reply_const(job, "-ERR there are no sessions here\r\n");
        return true;
    }
    return false;
}

void command_execute(struct core *core, struct job *job)
{
    struct session *s = job->session;
    uint32_t mark = core->view.overlay.count;
    struct reply reply;
    if (!job->begun && s->closing) {
        job_reply_const(job, "");
        job->settled = true;
        return;
    }
    if (refused(core, job)) {
        job->settled = true;
        return;
    }
    if (!job->begun) {
        job->protocol = s->protocol;
        job->sync = job->sync_wish == JOB_SYNC_SESSION ? s->sync : job->sync_wish == JOB_SYNC_YES;
        job->fresh = job->shape.op == 0 ? s->fresh : job->fresh;
        job->reply_max = core->live.output_bytes_max;
    }
    buf_clear(&job->reply);
    buf_clear(&core->scratch);
    core->view.dirty = false;
    reply_init(&reply, &job->reply, job->protocol, core->live.output_bytes_max);
    struct call c = {.env = core->env,
                     .view = &core->view,
                     .scratch = &core->scratch,
                     .args = job->args,
                     .count = job->arg_count,
                     .reply = &reply,
                     .cursor = &core->cursor,
                     .core = core,
                     .session = s,
                     .job = job};
    enum status st = check_and_run(&c);
    job->dirty = core->view.dirty;
    if (st != ST_OK) {
        ENV_PROBE(core->env, "command: undone");
        s->multi_failed = s->multi; /* a command that was not queued: EXEC must not go without it */
        overlay_undo(&core->view.overlay, mark);
        job_reply_const(job, command_failure(st));
        job->route = JOB_HERE;
    } else {
        job->out.bytes = buf_slice(&job->reply);
    }
    job->wrote = core->view.overlay.count > mark;
}
