/* cmdconn.c - see cmdconn.h. */
#include "node/cmdconn.h"

#include "node/cmdtxn.h"
#include "node/node.h"

#include <string.h>

enum status cmdconn_ping(struct call *c)
{
    if (c->count > 2) {
        reply_error(c->reply, "ERR wrong number of arguments for 'ping' command");
    } else if (c->count == 2) {
        reply_bulk(c->reply, c->args[1]);
    } else {
        reply_simple(c->reply, "PONG");
    }
    return ST_OK;
}

enum status cmdconn_echo(struct call *c)
{
    reply_bulk(c->reply, c->args[1]);
    return ST_OK;
}

enum status cmdconn_quit(struct call *c)
{
    c->session->closing = true;
    c->job->ends = true;
    reply_simple(c->reply, "OK");
    return ST_OK;
}

enum status cmdconn_select(struct call *c)
{
    int64_t db;
    if (!command_integer(c->args[1], &db)) {
        return command_not_integer(c);
    }
    if (db != 0) {
        reply_error(c->reply, "ERR DB index is out of range");
    } else {
        reply_simple(c->reply, "OK");
    }
    return ST_OK;
}

enum status cmdconn_reset(struct call *c)
{
    struct session *s = c->session;
    cmdtxn_forget(c->core, s);
    s->protocol = 2;
    s->sync = c->core->live.sync != 0;
    s->fresh = REPLICA_LINEARIZABLE;
    s->name_size = 0;
    reply_simple(c->reply, "RESET");
    return ST_OK;
}

enum status cmdconn_durability(struct call *c)
{
    struct session *s = c->session;
    if (c->count == 1) {
        reply_text(c->reply, s->sync ? "sync" : "buffered");
        return ST_OK;
    }
    bool sync = command_is(c, 1, "sync");
    if (c->count > 2 || (!sync && !command_is(c, 1, "buffered"))) {
        return command_syntax_error(c);
    }
    if (c->core->front != NULL && !sync) {
        reply_error(c->reply, "ERR a node that replicates knows sync only");
        return ST_OK;
    }
    s->sync = sync;
    reply_simple(c->reply, "OK");
    return ST_OK;
}

/* CONSISTENCY [linearizable|lease|local]: of the reads that follow on this connection. */
enum status cmdconn_consistency(struct call *c)
{
    static const char *const words[] = {"linearizable", "lease", "local"};
    struct session *s = c->session;
    if (c->count == 1) {
        reply_text(c->reply, words[s->fresh]);
        return ST_OK;
    }
    for (unsigned i = 0; i < sizeof words / sizeof *words && c->count == 2; i++) {
        if (command_is(c, 1, words[i])) {
            s->fresh = (enum replica_freshness)i;
            reply_simple(c->reply, "OK");
            return ST_OK;
        }
    }
    return command_syntax_error(c);
}

/* ---- names ---- */

/* Names hold no spaces and nothing that would break a listing. False: answered with an error. */
static bool name_set(struct call *c, struct slice name)
{
    struct session *s = c->session;
    bool good = name.size < SESSION_NAME_MAX;
    for (size_t i = 0; good && i < name.size; i++) {
        good = name.data[i] > ' ' && name.data[i] < 0x7f;
    }
    if (!good) {
        reply_error(c->reply,
                    "ERR Client names cannot contain spaces, newlines or special "
                    "characters, and have at most %d bytes",
                    SESSION_NAME_MAX - 1);
        return false;
    }
    memcpy(s->name, name.data, name.size);
    s->name_size = name.size;
    return true;
}

enum status cmdconn_client(struct call *c)
{
    struct session *s = c->session;
    if (command_is(c, 1, "id") && c->count == 2) {
        reply_integer(c->reply, (int64_t)s->id);
    } else if (command_is(c, 1, "getname") && c->count == 2) {
        if (s->name_size == 0) {
            reply_null(c->reply);
        } else {
            reply_bulk(c->reply, slice_of(s->name, s->name_size));
        }
    } else if (command_is(c, 1, "setname") && c->count == 3) {
        if (name_set(c, c->args[2])) {
            reply_simple(c->reply, "OK");
        }
    } else if (command_is(c, 1, "setinfo") && c->count == 4) {
        reply_simple(c->reply, "OK"); /* the library's name and version: nobody asks for them */
    } else {
        return command_bad_subcommand(c);
    }
    return ST_OK;
}

/* ---- HELLO ---- */

static void hello_reply(struct call *c)
{
    reply_map(c->reply, 7);
    reply_text(c->reply, "server");
    reply_text(c->reply, "tinykv");
    reply_text(c->reply, "version");
    reply_text(c->reply, NODE_VERSION);
    reply_text(c->reply, "proto");
    reply_integer(c->reply, c->session->protocol);
    reply_text(c->reply, "id");
    reply_integer(c->reply, (int64_t)c->session->id);
    reply_text(c->reply, "mode");
    reply_text(c->reply, "standalone");
    reply_text(c->reply, "role");
    reply_text(c->reply, "master");
    reply_text(c->reply, "modules");
    reply_array(c->reply, 0);
}

/* HELLO [2|3 [SETNAME name]] */
enum status cmdconn_hello(struct call *c)
{
    int64_t protocol = c->session->protocol;
    if (c->count > 1 && !command_integer(c->args[1], &protocol)) {
        reply_error(c->reply, "ERR Protocol version is not an integer or out of range");
        return ST_OK;
    }
    if (protocol != 2 && protocol != 3) {
        reply_error(c->reply, "NOPROTO unsupported protocol version");
        return ST_OK;
    }
    for (uint32_t i = 2; i < c->count; i += 2) {
        if (command_is(c, i, "auth")) {
            reply_error(c->reply, "ERR AUTH called without any password configured");
            return ST_OK;
        }
        if (!command_is(c, i, "setname") || i + 1 == c->count) {
            return command_syntax_error(c);
        }
        if (!name_set(c, c->args[i + 1])) {
            return ST_OK;
        }
    }
    c->session->protocol = (int)protocol;
    c->job->protocol = (int)protocol;
    c->reply->protocol = (int)protocol;
    hello_reply(c);
    return ST_OK;
}
