/* command.h - the table of commands, and executing one request.
 *
 * A handler reads and writes through the view and writes its reply. It returns a status other
 * than ST_OK when the world failed (memory, disk): then its writes are undone and its reply is
 * replaced, so that a command happens whole or not at all. A client's mistake is a reply, not a
 * status. docs/commands.md describes each command. */
#ifndef NODE_COMMAND_H
#define NODE_COMMAND_H

#include "net/reply.h"
#include "node/core.h"

struct once;

/* One execution. The first block is what any command may use. The second belongs to a request that
 * a connection just sent, and is NULL for one from the log: what that does must be the same
 * on every node, so only commands run there that are a function of the database and their
 * arguments. The third is there only for one from the log. */
struct call {
    struct env *env;
    struct view *view;
    struct buf *scratch;      /* a command's own, for as long as it runs */
    const struct slice *args; /* args[0] is the command's name */
    uint32_t count;
    struct reply *reply;

    struct cursor *cursor; /* of SCAN */
    struct core *core;
    struct session *session;
    struct job *job;

    struct once *once;
    bool *addresses_changed; /* set by RAFT ADDRESS */
};

enum command_flags {
    COMMAND_WRITE = 1,
    COMMAND_READ = 2,
    COMMAND_NULLS = 4,     /* takes null arguments */
    COMMAND_AT_ONCE = 8,   /* is executed inside MULTI instead of being queued */
    COMMAND_NO_MULTI = 16, /* refused inside MULTI */
    COMMAND_PURE = 32,     /* a function of its arguments */
    COMMAND_CURSOR = 64,   /* needs this node's cursors */
};

struct command {
    const char *name; /* lower case */
    int arity;        /* arguments with the name; negative: at least so many */
    unsigned flags;
    int key_first; /* argument numbers as COMMAND tells them; 0: no keys */
    int key_last;  /* negative: from the end */
    int key_step;
    enum status (*run)(struct call *c);
};

/* The table, sorted by name. */
const struct command *command_table(size_t *count);

/* NULL: there is none. Case does not matter. */
const struct command *command_find(struct slice name);

/* Executes the job's request and leaves its reply in it. */
void command_execute(struct core *core, struct job *job);

/* Executes one command of the log. A client's mistake, and a command that has no place there, is a
 * reply. ST_TOOBIG: the reply is over its limit. Any other status: this node could not. After
 * either of these the caller takes the writes back. */
NODISCARD enum status command_apply(struct call *c);

/* What a client is told when its command could not be carried out: "-…\r\n". Nothing was changed.
 */
const char *command_failure(enum status st);

/* Who executes a command that was checked, on a node that replicates. */
enum job_route command_route(const struct command *cmd);

/* Looks at a command with its arguments; NULL: it is answered with an error. */
const struct command *command_check(struct call *c);

/* Runs one known command with arguments that were checked: for EXEC. */
NODISCARD enum status command_run(struct call *c, const struct command *cmd);

/* ---- for handlers ---- */

/* args[i] equals the lower-case word, ignoring case. */
bool command_is(const struct call *c, uint32_t i, const char *word);

/* Decimal, exactly as it would be printed, as Redis wants it. */
bool command_integer(struct slice text, int64_t *value);

/* Replies "ERR syntax error" and the like; return the result. */
enum status command_syntax_error(struct call *c);
enum status command_not_integer(struct call *c);
enum status command_bad_subcommand(struct call *c);

#endif
