/* ctl.c - see ctl.h. */
#include "node/ctl.h"

#include "env/addr.h"
#include "net/respclient.h"
#include "node/nodelog.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MS          1000000ull
#define DEFAULT_MS  10000u
#define TRY_MS      2000u /* for one address */
#define AGAIN_MS    100u
#define WORDS_MAX   4
#define NEAR_ENOUGH 64 /* entries that a learner may be behind when it gets its vote */

enum { EXIT_OK = 0, EXIT_WRONG = 1, EXIT_USAGE = 2, EXIT_UNKNOWN = 3 };

struct ctl {
    struct env *env;
    const char *connect; /* addresses, with commas between them */
    uint64_t timeout_ms;
    uint64_t deadline;
    bool learner;
    struct respclient client;
    bool connected;
    char error[256]; /* why there is no reply */
};

static uint64_t now(const struct ctl *c)
{
    return env_clock_mono(c->env);
}

static uint64_t soon(const struct ctl *c)
{
    uint64_t at = now(c) + TRY_MS * MS;
    return at < c->deadline ? at : c->deadline;
}

static void rest(const struct ctl *c, uint64_t ms)
{
    env_sleep_until(c->env, now(c) + ms * MS);
}

/* ---- asking ---- */

static void hang_up(struct ctl *c)
{
    if (c->connected) {
        respclient_close(&c->client);
        c->connected = false;
    }
}

/* The address that begins at `at`, and where the next one does; NULL: there are no more. */
static const char *address_next(const char *at, char text[ADDR_TEXT_MAX])
{
    size_t n = strcspn(at, ",");
    (void)snprintf(text, ADDR_TEXT_MAX, "%.*s", (int)n, at); /* a longer one is none */
    return at[n] == ',' ? at + n + 1 : NULL;
}

/* Asks one node. ST_OK: there is a reply, an error perhaps. *sent: it may have been carried out. */
static enum status ask_one(struct ctl *c, const char *where, const char *const *words, size_t count,
                           bool *sent)
{
    struct env_addr addr;
    struct err err = {.text = ""};
    hang_up(c);
    *sent = false;
    if (addr_parse(where, &addr, &err) != ST_OK) {
        (void)snprintf(c->error, sizeof c->error, "%s: %.180s", where, err.text);
        return ST_INVAL;
    }
    enum status st = respclient_open(&c->client, c->env, &addr, soon(c));
    c->connected = true;
    if (st == ST_OK) {
        st = respclient_call(&c->client, words, count, c->deadline);
        *sent = respclient_left(&c->client, 0);
    }
    if (st != ST_OK) {
        (void)snprintf(c->error, sizeof c->error, "%s: %s", where, status_text(st));
    }
    return st;
}

static bool reply_is_error(const struct ctl *c)
{
    return c->client.value.nodes[0].type == RESPVAL_ERROR;
}

/* Why there is no good reply to what ask_one said. */
static struct slice why_not(const struct ctl *c, enum status st)
{
    return st == ST_OK ? respclient_text(&c->client, 0) : slice_text(c->error);
}

static bool reply_begins(const struct ctl *c, const char *word)
{
    struct slice text = respclient_text(&c->client, 0);
    size_t n = strlen(word);
    return reply_is_error(c) && text.size >= n && memcmp(text.data, word, n) == 0;
}

/* Asks one after the other until somebody says yes or no. Exit code; the reply is in c->client. */
static int ask(struct ctl *c, const char *const *words, size_t count)
{
    char where[ADDR_TEXT_MAX];
    for (;;) {
        for (const char *at = c->connect; at != NULL;) {
            bool sent;
            at = address_next(at, where);
            enum status st = ask_one(c, where, words, count, &sent);
            if (st == ST_INVAL) {
                nodelog_say(c->env, true, "tinykv: ctl: --connect: %s", c->error);
                return EXIT_USAGE;
            }
            if (st != ST_OK && sent) {
                nodelog_say(c->env, true, "tinykv: ctl: %s; whether it was done is not known",
                            c->error);
                return EXIT_UNKNOWN;
            }
            if (st == ST_OK && !reply_begins(c, "NOTLEADER") && !reply_begins(c, "TRYAGAIN")) {
                return EXIT_OK;
            }
            if (st == ST_OK) {
                struct slice text = respclient_text(&c->client, 0);
                (void)snprintf(c->error, sizeof c->error, "%s: %.*s", where,
                               (int)(text.size < 180 ? text.size : 180), text.data);
            }
        }
        if (now(c) + AGAIN_MS * MS >= c->deadline) {
            nodelog_say(c->env, true, "tinykv: ctl: %s", c->error);
            return EXIT_WRONG;
        }
        rest(c, AGAIN_MS);
    }
}

/* The same, and an error is one. */
static int ask_well(struct ctl *c, const char *const *words, size_t count)
{
    int code = ask(c, words, count);
    if (code == EXIT_OK && reply_is_error(c)) {
        struct slice text = respclient_text(&c->client, 0);
        nodelog_say(c->env, true, "tinykv: ctl: %.*s", (int)(text.size < 400 ? text.size : 400),
                    text.data);
        code = reply_begins(c, "UNKNOWN") ? EXIT_UNKNOWN : EXIT_WRONG;
    }
    return code;
}

/* ---- maps in replies (lists of names and values) ---- */

/* The number under this name in the map at `node`; false: there is none. */
static bool map_number(const struct ctl *c, uint32_t node, const char *name, uint64_t *value)
{
    const struct respval *v = &c->client.value;
    for (uint32_t i = 0; i + 1 < v->nodes[node].count; i += 2) {
        uint32_t at = respval_child(v, node, i + 1);
        bool hit =
            slice_equal(respclient_text(&c->client, respval_child(v, node, i)), slice_text(name));
        if (hit && v->nodes[at].type == RESPVAL_INTEGER) {
            *value = (uint64_t)v->nodes[at].integer;
            return true;
        }
    }
    return false;
}

static struct slice map_text(const struct ctl *c, uint32_t node, const char *name)
{
    const struct respval *v = &c->client.value;
    for (uint32_t i = 0; i + 1 < v->nodes[node].count; i += 2) {
        if (slice_equal(respclient_text(&c->client, respval_child(v, node, i)), slice_text(name))) {
            return respclient_text(&c->client, respval_child(v, node, i + 1));
        }
    }
    return slice_of("", 0);
}

/* "name value" for each of the map, in one line. */
static void map_say(const struct ctl *c, uint32_t node)
{
    const struct respval *v = &c->client.value;
    char line[480];
    size_t at = 0;
    line[0] = '\0';
    for (uint32_t i = 0; i + 1 < v->nodes[node].count && at < sizeof line - 1; i += 2) {
        uint32_t value = respval_child(v, node, i + 1);
        struct slice name = respclient_text(&c->client, respval_child(v, node, i));
        struct slice text = respclient_text(&c->client, value);
        char number[24];
        if (v->nodes[value].type == RESPVAL_INTEGER) {
            (void)snprintf(number, sizeof number, "%" PRIu64, (uint64_t)v->nodes[value].integer);
            text = slice_text(number);
        }
        int n = snprintf(line + at, sizeof line - at, "%s%.*s %.*s", i > 0 ? "  " : "",
                         (int)name.size, name.data, (int)text.size, text.data);
        at += n > 0 ? (size_t)n : 0;
    }
    nodelog_say(c->env, false, "%s", line);
}

/* ---- the commands ---- */

static int status_show(struct ctl *c)
{
    char where[ADDR_TEXT_MAX];
    int code = EXIT_OK;
    for (const char *at = c->connect; at != NULL;) {
        bool sent;
        at = address_next(at, where);
        enum status st = ask_one(c, where, (const char *[]){"RAFT", "STATUS"}, 2, &sent);
        if (st == ST_OK && !reply_is_error(c)) {
            map_say(c, 0);
            continue;
        }
        struct slice text = why_not(c, st);
        nodelog_say(c->env, true, "tinykv: ctl: %.*s", (int)text.size, text.data);
        code = EXIT_WRONG;
    }
    return code;
}

/* The list of members as a leader has it, with how far each one is. False: none is one now. */
static bool leader_list(struct ctl *c)
{
    char where[ADDR_TEXT_MAX];
    for (const char *at = c->connect; at != NULL;) {
        bool sent;
        uint64_t match;
        at = address_next(at, where);
        enum status st = ask_one(c, where, (const char *[]){"RAFT", "MEMBERS"}, 2, &sent);
        if (st == ST_OK && !reply_is_error(c) && c->client.value.nodes[0].count > 0 &&
            map_number(c, respval_child(&c->client.value, 0, 0), "match", &match)) {
            return true;
        }
    }
    return false;
}

static int members_show(struct ctl *c)
{
    int code = EXIT_OK;
    if (!leader_list(c)) { /* then without that */
        code = ask_well(c, (const char *[]){"RAFT", "MEMBERS"}, 2);
    }
    const struct respval *v = &c->client.value;
    for (uint32_t i = 0; code == EXIT_OK && i < v->nodes[0].count; i++) {
        map_say(c, respval_child(v, 0, i));
    }
    return code;
}

/* What the leader's list says of this one: how far it is, and the furthest of all. */
static bool progress(const struct ctl *c, uint64_t node, uint64_t *match, uint64_t *end)
{
    const struct respval *v = &c->client.value;
    bool found = false;
    *end = 0;
    for (uint32_t i = 0; i < v->nodes[0].count; i++) {
        uint64_t id, at;
        uint32_t row = respval_child(v, 0, i);
        if (map_number(c, row, "node", &id) && map_number(c, row, "match", &at)) {
            *end = at > *end ? at : *end;
            *match = id == node ? at : *match;
            found = found || id == node;
        }
    }
    return found;
}

/* Waits until the learner has what the others have. The time for it begins anew with each entry
 * that it gets. */
static int catch_up(struct ctl *c, uint64_t node)
{
    uint64_t before = 0;
    for (;;) {
        uint64_t match = 0, end;
        if (leader_list(c) && progress(c, node, &match, &end)) {
            if (match + NEAR_ENOUGH >= end && match > 0) {
                return EXIT_OK;
            }
            if (match != before) {
                nodelog_say(c->env, false,
                            "node %" PRIu64 " has %" PRIu64 " of %" PRIu64 " entries", node, match,
                            end);
                c->deadline = now(c) + c->timeout_ms * MS;
                before = match;
            }
        }
        if (now(c) >= c->deadline) {
            nodelog_say(c->env, true,
                        "tinykv: ctl: node %" PRIu64 " does not catch up; it stays a learner",
                        node);
            return EXIT_WRONG;
        }
        rest(c, AGAIN_MS);
    }
}

static int promote(struct ctl *c, const char *node)
{
    int code = ask_well(c, (const char *[]){"RAFT", "PROMOTE", node}, 3);
    if (code == EXIT_OK) {
        nodelog_say(c->env, false, "node %s votes", node);
    }
    return code;
}

/* The new node is asked who it is; then it is a learner; when it has the log, it votes. */
static int add(struct ctl *c, const char *where)
{
    uint64_t id;
    char node[24], life[24], peer[ADDR_TEXT_MAX];
    bool sent;
    enum status st = ask_one(c, where, (const char *[]){"RAFT", "STATUS"}, 2, &sent);
    if (st != ST_OK || reply_is_error(c)) {
        struct slice text = why_not(c, st);
        nodelog_say(c->env, true, "tinykv: ctl: asking the new node: %.*s", (int)text.size,
                    text.data);
        return EXIT_WRONG;
    }
    struct slice address = map_text(c, 0, "peer_address");
    struct slice incarnation = map_text(c, 0, "incarnation");
    if (!map_number(c, 0, "node", &id) || incarnation.size >= sizeof life || address.size == 0 ||
        address.size >= sizeof peer) {
        nodelog_say(c->env, true,
                    "tinykv: ctl: %s is no node that others could reach (--peer-listen)", where);
        return EXIT_WRONG;
    }
    (void)snprintf(node, sizeof node, "%" PRIu64, id);
    (void)snprintf(life, sizeof life, "%.*s", (int)incarnation.size, incarnation.data);
    (void)snprintf(peer, sizeof peer, "%.*s", (int)address.size, address.data);
    int code = ask_well(c, (const char *[]){"RAFT", "ADDRESS", node, peer}, 4);
    if (code == EXIT_OK) {
        code = ask_well(c, (const char *[]){"RAFT", "ADD", node, life}, 4);
    }
    if (code != EXIT_OK) {
        return code;
    }
    nodelog_say(c->env, false, "node %s at %s is a learner", node, peer);
    if (c->learner) {
        return EXIT_OK;
    }
    code = catch_up(c, id);
    return code == EXIT_OK ? promote(c, node) : code;
}

static int change(struct ctl *c, const char *word, const char *node, const char *done)
{
    int code = ask_well(c, (const char *[]){"RAFT", word, node}, 3);
    if (code == EXIT_OK) {
        nodelog_say(c->env, false, "node %s %s", node, done);
    }
    return code;
}

static int transfer(struct ctl *c)
{
    int code = ask_well(c, (const char *[]){"RAFT", "TRANSFER"}, 2);
    if (code == EXIT_OK) {
        nodelog_say(c->env, false, "another node leads");
    }
    return code;
}

/* One node; what it cannot do in its time it is asked for again: what it has written out stays. */
static int snapshot_one(struct ctl *c, const char *where)
{
    uint64_t index = 0, term = 0;
    for (;;) {
        bool sent;
        enum status st = ask_one(c, where, (const char *[]){"RAFT", "SNAPSHOT"}, 2, &sent);
        if (st == ST_OK && !reply_is_error(c) && map_number(c, 0, "index", &index) &&
            map_number(c, 0, "term", &term)) {
            nodelog_say(c->env, false, "%s: snapshot at index %" PRIu64 "  term %" PRIu64, where,
                        index, term);
            return EXIT_OK;
        }
        bool again = st == ST_OK ? reply_begins(c, "TRYAGAIN") : st != ST_INVAL;
        if (!again || now(c) + AGAIN_MS * MS >= c->deadline) {
            struct slice text = why_not(c, st);
            nodelog_say(c->env, true, "tinykv: ctl: %s: %.*s", where,
                        (int)(text.size < 300 ? text.size : 300), text.data);
            return st == ST_INVAL ? EXIT_USAGE : EXIT_WRONG;
        }
        rest(c, AGAIN_MS);
    }
}

/* Each of the addressed nodes, for each has a log of its own; the time is for each. */
static int snapshot(struct ctl *c)
{
    char where[ADDR_TEXT_MAX];
    int worst = EXIT_OK;
    for (const char *at = c->connect; at != NULL;) {
        at = address_next(at, where);
        c->deadline = now(c) + c->timeout_ms * MS;
        int code = snapshot_one(c, where);
        worst = code > worst ? code : worst;
    }
    return worst;
}

/* ---- the command line ---- */

static const char help[] =
    "usage: tinykv ctl [OPTIONS] COMMAND\n"
    "\n"
    "  status                    each of the addressed nodes: role, term, leader, log\n"
    "  members                   the group; from its leader with how far each one is\n"
    "  add ADDR:PORT             the node there, started with --join, becomes a learner, and "
    "votes\n"
    "                            when it has caught up\n"
    "  promote NODE              a learner gets its vote\n"
    "  remove NODE\n"
    "  transfer [NODE]           it is to lead; without one, whoever is furthest\n"
    "  snapshot                  each of the addressed nodes writes its database out, so that its\n"
    "                            log need not keep what is in it\n"
    "\n"
    "  --connect ADDR:PORT,...   nodes to ask, at their address for clients (127.0.0.1:6379)\n"
    "  --timeout MS              (10000)\n"
    "  --learner                 with add: it stays one\n"
    "\n"
    "Exit code 0: done; 1: not done; 2: usage; 3: not known whether it was.\n";

static int usage(const struct ctl *c, const char *what, const char *word)
{
    nodelog_say(c->env, true, "tinykv: ctl: %s '%.100s' (see tinykv ctl --help)", what, word);
    return EXIT_USAGE;
}

static bool number_parse(const char *text, uint64_t *value)
{
    size_t n = strspn(text, "0123456789");
    *value = 0;
    for (size_t i = 0; i < n; i++) {
        *value = *value * 10 + (uint64_t)(text[i] - '0');
    }
    return n > 0 && n < 19 && text[n] == '\0';
}

/* Takes "--name value" or "--name=value"; the value, or NULL when this is not that option. */
static const char *option_value(const char *name, int argc, char **argv, int *i)
{
    size_t n = strlen(name);
    if (strncmp(argv[*i], name, n) != 0) {
        return NULL;
    }
    if (argv[*i][n] == '=') {
        return argv[*i] + n + 1;
    }
    return argv[*i][n] == '\0' && *i + 1 < argc ? argv[++*i] : NULL;
}

static int dispatch(struct ctl *c, const char *const *words, int count)
{
    const char *word = count > 0 ? words[0] : "";
    uint64_t node;
    bool one = count == 2;
    bool numbered = one && number_parse(words[1], &node);
    if (strcmp(word, "status") == 0 && count == 1) {
        return status_show(c);
    }
    if (strcmp(word, "members") == 0 && count == 1) {
        return members_show(c);
    }
    if (strcmp(word, "add") == 0 && one) {
        return add(c, words[1]);
    }
    if (strcmp(word, "promote") == 0 && numbered) {
        return promote(c, words[1]);
    }
    if (strcmp(word, "remove") == 0 && numbered) {
        return change(c, "REMOVE", words[1], "is no member any more");
    }
    if (strcmp(word, "snapshot") == 0 && count == 1) {
        return snapshot(c);
    }
    if (strcmp(word, "transfer") == 0 && count == 1) {
        return transfer(c);
    }
    if (strcmp(word, "transfer") == 0 && numbered) {
        return change(c, "TRANSFER", words[1], "leads");
    }
    return usage(c, "there is no such command, or not with such arguments:", word);
}

int ctl_run(struct env *env, int argc, char **argv)
{
    struct ctl c = {.env = env, .connect = "127.0.0.1:6379", .timeout_ms = DEFAULT_MS};
    const char *words[WORDS_MAX];
    int count = 0;
    for (int i = 1; i < argc; i++) {
        const char *value;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            env_console(env, false, help, sizeof help - 1);
            return EXIT_OK;
        }
        if (strcmp(argv[i], "--learner") == 0) {
            c.learner = true;
        } else if ((value = option_value("--connect", argc, argv, &i)) != NULL) {
            c.connect = value;
        } else if ((value = option_value("--timeout", argc, argv, &i)) != NULL) {
            if (!number_parse(value, &c.timeout_ms)) {
                return usage(&c, "--timeout: no number:", value);
            }
        } else if (argv[i][0] == '-' || count == WORDS_MAX) {
            return usage(&c, "cannot make sense of", argv[i]);
        } else {
            words[count++] = argv[i];
        }
    }
    c.deadline = env_clock_mono(env) + c.timeout_ms * MS;
    int code = dispatch(&c, words, count);
    hang_up(&c);
    return code;
}
