/* nodeopt.c - see nodeopt.h. */
#include "node/nodeopt.h"

#include "base/slice.h"
#include "engine/tkv.h"
#include "env/addr.h"
#include "net/resp.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define VALUE_TEXT_MAX 64

enum kind {
    KIND_TEXT,
    KIND_ADDR,
    KIND_PEERS,
    KIND_COUNT,
    KIND_BYTES,
    KIND_FLAG,
    KIND_SYNC,
    KIND_LEVEL
};

struct option {
    const char *name;
    enum kind kind;
    bool live; /* the offset is in struct nodeopt_live */
    size_t offset;
    uint64_t least;
    uint64_t most;
    uint64_t preset;
    const char *help;
};

#define HERE(field) false, offsetof(struct nodeopt, field)
#define LIVE(field) true, offsetof(struct nodeopt_live, field)
#define GIB         (1024ull * 1024u * 1024u)
#define DAY_MS      (24ull * 3600u * 1000u)

#define CONNECT_LEAST 1000u /* ms: a lost SYN is sent again after about that */

static const struct option options[] = {
    {"data", KIND_TEXT, HERE(data), 0, 0, 0, "DIR          where the data lives (required)"},
    {"listen", KIND_ADDR, HERE(listen), 0, 0, 0,
     "ADDR:PORT  numeric; port 0 takes a free one (127.0.0.1:6379)"},
    {"durability", KIND_SYNC, LIVE(sync), 0, 1, 1,
     "sync|buffered  what OK to a write means (sync)"},
    {"write-buffer", KIND_BYTES, HERE(write_buffer_bytes), 1024, 64 * GIB, 64u << 20,
     "BYTES  memory for recent writes (64m)"},
    {"cache", KIND_BYTES, HERE(cache_bytes), 0, 1024 * GIB, 64u << 20,
     "BYTES         memory for blocks read from tables (64m)"},
    {"max-clients", KIND_COUNT, LIVE(clients_max), 1, 1000000, 10000, "N       (10000)"},
    {"max-request", KIND_BYTES, LIVE(request_bytes_max), 64, 960ull << 20,
     (512u << 20) + (64u << 10), "BYTES   of one request (512m and a little)"},
    {"output-limit", KIND_BYTES, LIVE(output_bytes_max), 1024, 64 * GIB, GIB,
     "BYTES  of one reply, and of replies a client does not read (1g)"},
    {"idle-timeout", KIND_COUNT, LIVE(idle_ms), 0, 365 * DAY_MS, 0,
     "MS     close a silent connection; 0 never (0)"},
    {"stop-grace", KIND_COUNT, HERE(grace_ms), 0, DAY_MS, 2000,
     "MS       at stop, to send the answers that are owed (2000)"},
    {"group-commands", KIND_COUNT, HERE(group_commands), 1, 1000000, 1024,
     "N    commands that share a commit, at most (1024)"},
    {"group-bytes", KIND_BYTES, HERE(group_bytes), 1, 32u << 20, 4u << 20,
     "BYTES   and their size (4m)"},
    {"inflight", KIND_COUNT, HERE(inflight), 1, 1000000, 1024,
     "N          requests of a connection taken in ahead of answers (1024)"},
    {"request-timeout", KIND_COUNT, HERE(request_ms), 1, DAY_MS, 5000,
     "MS  in a group: until a request without an answer is given up (5000)"},
    {"cursors", KIND_COUNT, HERE(cursors), 1, 1000000, 4096,
     "N           SCAN cursors remembered (4096)"},
    {"verify", KIND_FLAG, HERE(verify), 0, 1, 0, "            check whole structures as it runs"},
    {"log-level", KIND_LEVEL, HERE(log_least), 0, 3, ENV_LOG_INFO,
     "L         debug, info, warn or error (info)"},
    {"tight", KIND_FLAG, HERE(tight), 0, 1, 0,
     "             for tests: so little room between nodes that it runs out"},
    {"id", KIND_COUNT, HERE(id), 1, INT64_MAX, 0,
     "N                this node's number in its group: makes it replicated"},
    {"peers", KIND_PEERS, HERE(peers), 0, 0, 0,
     "ID=ADDR:PORT,… the nodes that found the group, this one too; none: alone"},
    {"peer-listen", KIND_ADDR, HERE(peer_listen), 0, 0, 0,
     "ADDR:PORT  for other nodes (its own address of --peers)"},
    {"join", KIND_FLAG, HERE(join), 0, 1, 0,
     "                wait to be added to a group that --peers names"},
    {"cluster", KIND_TEXT, HERE(cluster), 0, 0, 0,
     "NAME        nodes of another name are refused (tinykv)"},
    {"election", KIND_COUNT, HERE(election_ms), 10, DAY_MS, 1000,
     "MS         without a leader for so long, another is elected (1000)"},
    {"heartbeat", KIND_COUNT, HERE(heartbeat_ms), 1, DAY_MS, 100,
     "MS        between two signs of life of a leader (100)"},
    {"lease", KIND_COUNT, HERE(lease_ppm), 0, 200000, 0,
     "PPM            reads may go by lease; no clock's rate is off by more (0: none)"},
    {"connect-timeout", KIND_COUNT, HERE(connect_ms), 10, DAY_MS, 0,
     "MS  a call to another node is given up (three of --election, 1000 at least)"},
    {"log-segment", KIND_BYTES, HERE(log_segment_bytes), 32u << 10, GIB, 64u << 20,
     "BYTES  of a file of the replicated log (64m)"},
    {"log-compact", KIND_BYTES, HERE(log_compact_bytes), 1024, 1024 * GIB, 64u << 20,
     "BYTES  of what was applied, then old entries are given up (64m)"},
};

#define OPTION_COUNT (sizeof options / sizeof *options)

static const char *const levels[] = {"debug", "info", "warn", "error"};

static const struct option *option_find(struct slice name)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (slice_equal(name, slice_text(options[i].name))) {
            return &options[i];
        }
    }
    return NULL;
}

static bool is_number(const struct option *o)
{
    return o->kind != KIND_TEXT && o->kind != KIND_ADDR && o->kind != KIND_PEERS;
}

static void *field_of(void *base, const struct option *o)
{
    return (char *)base + o->offset;
}

static uint64_t *number_of(void *base, const struct option *o)
{
    return field_of(base, o);
}

/* ---- values ---- */

/* Decimal digits, and for bytes one of k, m, g. */
static bool number_read(const struct option *o, struct slice text, uint64_t *value)
{
    uint64_t v = 0;
    size_t at = 0;
    while (at < text.size && text.data[at] >= '0' && text.data[at] <= '9') {
        if (v > UINT64_MAX / 10 - 1) {
            return false;
        }
        v = v * 10 + (uint64_t)(text.data[at++] - '0');
    }
    if (at == 0) {
        return false;
    }
    if (o->kind == KIND_BYTES && at + 1 == text.size) {
        static const char suffixes[] = "kmg";
        const char *hit = strchr(suffixes, text.data[at] | 32);
        int shift = hit != NULL ? (int)(hit - suffixes + 1) * 10 : 0;
        if (shift == 0 || v > UINT64_MAX >> shift) {
            return false;
        }
        v <<= shift;
        at++;
    }
    *value = v;
    return at == text.size;
}

static enum status word_read(const char *const *words, size_t count, struct slice text,
                             uint64_t *value)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(text, slice_text(words[i]))) {
            *value = i;
            return ST_OK;
        }
    }
    return ST_INVAL;
}

/* Parses a value of any kind that is a number. */
static enum status value_read(const struct option *o, struct slice text, uint64_t *value,
                              struct err *err)
{
    static const char *const syncs[] = {"buffered", "sync"};
    char shown[VALUE_TEXT_MAX];
    (void)snprintf(shown, sizeof shown, "%.*s", (int)(text.size < 60 ? text.size : 60), text.data);
    enum status st = ST_OK;
    if (o->kind == KIND_SYNC) {
        st = word_read(syncs, 2, text, value);
        err_set(err, "%s must be sync or buffered, not '%s'", o->name, shown);
    } else if (o->kind == KIND_LEVEL) {
        st = word_read(levels, 4, text, value);
        err_set(err, "%s must be debug, info, warn or error, not '%s'", o->name, shown);
    } else if (!number_read(o, text, value) || *value < o->least || *value > o->most) {
        st = ST_INVAL;
        err_set(err, "%s must be a number from %" PRIu64 " to %" PRIu64 ", not '%s'", o->name,
                o->least, o->most, shown);
    }
    return st;
}

/* ---- the command line ---- */

/* A failure of a parser that does not know the option's name. */
static enum status option_bad(const struct option *opt, const struct err *why, struct err *err)
{
    err_set(err, "--%s: %s", opt->name, why->text);
    return ST_INVAL;
}

static enum status option_take(struct nodeopt *o, const struct option *opt, const char *value,
                               struct err *err)
{
    struct err why = {.text = ""};
    switch (opt->kind) {
    case KIND_TEXT:
        memcpy(field_of(o, opt), &value, sizeof value);
        return ST_OK;
    case KIND_ADDR:
        return addr_parse(value, field_of(o, opt), &why) == ST_OK ? ST_OK
                                                                  : option_bad(opt, &why, err);
    case KIND_PEERS:
        return peerlist_parse(slice_text(value), field_of(o, opt), &why) == ST_OK
                   ? ST_OK
                   : option_bad(opt, &why, err);
    default:
        break;
    }
    void *base = opt->live ? (void *)&o->live : (void *)o;
    return value_read(opt, slice_text(value), number_of(base, opt), err);
}

static void presets(struct nodeopt *o)
{
    *o = (struct nodeopt){.data = NULL};
    o->listen = (struct env_addr){.family = 4, .port = 6379, .ip = {127, 0, 0, 1}};
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (is_number(&options[i])) {
            void *base = options[i].live ? (void *)&o->live : (void *)o;
            *number_of(base, &options[i]) = options[i].preset;
        }
    }
}

/* Takes argv[*i], and its value after '=' or from the next argument. */
static enum status argument_take(struct nodeopt *o, int argc, char **argv, int *i, struct err *err)
{
    const char *arg = argv[*i];
    if (strncmp(arg, "--", 2) != 0) {
        err_set(err, "unexpected argument '%s'", arg);
        return ST_INVAL;
    }
    const char *equals = strchr(arg, '=');
    size_t size = equals != NULL ? (size_t)(equals - arg) - 2 : strlen(arg) - 2;
    const struct option *opt = option_find(slice_of(arg + 2, size));
    if (opt == NULL) {
        err_set(err, "unknown option '%s'", arg);
        return ST_INVAL;
    }
    if (opt->kind == KIND_FLAG) {
        if (equals != NULL) {
            err_set(err, "--%s takes no value", opt->name);
            return ST_INVAL;
        }
        *number_of(o, opt) = 1;
        return ST_OK;
    }
    if (equals == NULL && *i + 1 == argc) {
        err_set(err, "--%s needs a value", opt->name);
        return ST_INVAL;
    }
    return option_take(o, opt, equals != NULL ? equals + 1 : argv[++*i], err);
}

/* ---- what goes together ---- */

static enum status alone_check(const struct nodeopt *o, struct err *err)
{
    const char *name = o->peers.count > 0           ? "peers"
                       : o->join != 0               ? "join"
                       : o->peer_listen.family != 0 ? "peer-listen"
                       : o->cluster != NULL         ? "cluster"
                       : o->lease_ppm != 0          ? "lease"
                                                    : NULL;
    if (name != NULL) {
        err_set(err, "--%s needs --id: which node of the group is this?", name);
        return ST_INVAL;
    }
    return ST_OK;
}

/* Fills in what the options of a member follow from. */
static enum status member_check(struct nodeopt *o, struct err *err)
{
    const struct env_addr *own = peerlist_find(&o->peers, o->id);
    const char *why = NULL;
    if (o->join == 0 && o->peers.count > 0 && own == NULL) {
        why = "is not in --peers; a node that is to be added later takes --join";
    } else if (o->join != 0 && own == NULL && o->peer_listen.family == 0) {
        why = "with --join needs --peer-listen, or an address of its own in --peers";
    } else if (o->join != 0 && o->peers.count == (own != NULL)) {
        why = "with --join needs --peers, with other nodes of the group";
    }
    if (why != NULL) {
        err_set(err, "--id %" PRIu64 " %s", o->id, why);
        return ST_INVAL;
    }
    if (2 * o->heartbeat_ms > o->election_ms) {
        err_set(err, "--heartbeat %" PRIu64 " must be at most half of --election %" PRIu64,
                o->heartbeat_ms, o->election_ms);
        return ST_INVAL;
    }
    if (o->connect_ms == 0) {
        o->connect_ms = 3 * o->election_ms > CONNECT_LEAST ? 3 * o->election_ms : CONNECT_LEAST;
    }
    if (o->cluster != NULL && o->cluster[0] == '\0') {
        err_set(err, "--cluster must not be empty");
        return ST_INVAL;
    }
    o->cluster = o->cluster != NULL ? o->cluster : "tinykv";
    o->peer_address = own != NULL ? *own : o->peer_listen;
    o->peer_listen = o->peer_listen.family == 0 && own != NULL ? *own : o->peer_listen;
    return ST_OK;
}

enum status nodeopt_parse(struct nodeopt *o, int argc, char **argv, struct err *err)
{
    presets(o);
    for (int i = 0; i < argc; i++) {
        enum status st = argument_take(o, argc, argv, &i, err);
        if (st != ST_OK) {
            return st;
        }
    }
    if (o->data == NULL || o->data[0] == '\0') {
        err_set(err, "--data DIR is required");
        return ST_INVAL;
    }
    return o->id != 0 ? member_check(o, err) : alone_check(o, err);
}

/* ---- CONFIG ---- */

enum nodeopt_outcome nodeopt_set(struct nodeopt_live *live, struct slice name, struct slice value,
                                 struct err *err)
{
    const struct option *o = option_find(name);
    if (o == NULL) {
        return NODEOPT_UNKNOWN;
    }
    if (!o->live) {
        return NODEOPT_FIXED;
    }
    uint64_t v;
    if (value_read(o, value, &v, err) != ST_OK) {
        return NODEOPT_BAD;
    }
    *number_of(live, o) = v;
    return NODEOPT_SET;
}

int nodeopt_live_count(void)
{
    int n = 0;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        n += options[i].live;
    }
    return n;
}

const char *nodeopt_live_get(const struct nodeopt_live *live, int i, char *text)
{
    const struct option *o = options;
    while (!o->live || i-- > 0) {
        o++;
    }
    uint64_t v;
    memcpy(&v, (const char *)live + o->offset, sizeof v);
    if (o->kind == KIND_SYNC) {
        (void)snprintf(text, 32, "%s", v != 0 ? "sync" : "buffered"); /* fits */
    } else {
        (void)snprintf(text, 32, "%" PRIu64, v); /* fits */
    }
    return o->name;
}

void nodeopt_help(struct env *env)
{
    static const char head[] = "usage: tinykv serve --data DIR [options]\n"
                               "       tinykv serve --data DIR --id N [--peers LIST] [options]\n"
                               "       tinykv ctl [OPTIONS] COMMAND      a group, from outside\n"
                               "       tinykv dump wal|sst|manifest FILE\n"
                               "       tinykv verify|repair|stats DIR\n"
                               "       tinykv version\n"
                               "       tinykv --help\n"
                               "\n"
                               "A key-value server that speaks the Redis protocol.\n"
                               "\n";
    static const char tail[] = "\nBYTES may end in k, m or g. Exit codes: 0 stopped when asked, 1 "
                               "failed, 2 bad usage.\n";
    env_console(env, false, head, sizeof head - 1);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char line[128];
        (void)snprintf(line, sizeof line, "  --%s %s\n", options[i].name, options[i].help);
        env_console(env, false, line, strlen(line));
    }
    env_console(env, false, tail, sizeof tail - 1);
}
