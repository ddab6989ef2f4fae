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
