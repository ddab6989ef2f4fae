/* cmdadmin.c - see cmdadmin.h. */
#include "node/cmdadmin.h"

#include "base/err.h"
#include "node/cmdraft.h"
#include "node/glob.h"
#include "node/node.h"
#include "node/replica.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define MS 1000000u

/* ---- COMMAND ---- */

static void command_reply(struct call *c, const struct command *cmd)
{
    reply_array(c->reply, 6);
    reply_text(c->reply, cmd->name);
    reply_integer(c->reply, cmd->arity);
    reply_array(c->reply, (cmd->flags & (COMMAND_READ | COMMAND_WRITE)) != 0);
    if ((cmd->flags & COMMAND_WRITE) != 0) {
        reply_simple(c->reply, "write");
    } else if ((cmd->flags & COMMAND_READ) != 0) {
        reply_simple(c->reply, "readonly");
    }
    reply_integer(c->reply, cmd->key_first);
    reply_integer(c->reply, cmd->key_last);
    reply_integer(c->reply, cmd->key_step);
}

/* COMMAND INFO name…: an entry each, null for an unknown one. */
static enum status command_info(struct call *c)
{
    reply_array(c->reply, c->count - 2);
    for (uint32_t i = 2; i < c->count; i++) {
        const struct command *cmd = command_find(c->args[i]);
        if (cmd != NULL) {
            command_reply(c, cmd);
        } else {
            reply_null_array(c->reply);
        }
    }
    return ST_OK;
}

enum status cmdadmin_command(struct call *c)
{
    size_t count;
    const struct command *table = command_table(&count);
    if (c->count == 1) {
        reply_array(c->reply, count);
        for (size_t i = 0; i < count; i++) {
            command_reply(c, &table[i]);
        }
    } else if (command_is(c, 1, "count") && c->count == 2) {
        reply_integer(c->reply, (int64_t)count);
    } else if (command_is(c, 1, "docs")) {
        reply_map(c->reply, 0); /* redis-cli asks, and does without */
    } else if (command_is(c, 1, "info") && c->count > 2) {
        return command_info(c);
    } else {
        return command_bad_subcommand(c);
    }
    return ST_OK;
}

/* ---- CONFIG ---- */

struct setting {
    const char *name;
    const char *value;
};

/* What Redis's tools ask for, and is always so here. */
static const struct setting fixed[] = {
    {"appendonly", "yes"},
    {"databases", "1"},
    {"maxmemory", "0"},
    {"save", ""},
};

#define FIXED_COUNT ((int)(sizeof fixed / sizeof *fixed))

/* Setting number i; text has 32 bytes. */
static struct setting setting_at(const struct call *c, int i, char *text)
{
    if (i < FIXED_COUNT) {
        return fixed[i];
    }
    const char *name = nodeopt_live_get(&c->core->live, i - FIXED_COUNT, text);
    return (struct setting){name, text};
}

static bool setting_asked(const struct call *c, const char *name)
{
    for (uint32_t i = 2; i < c->count; i++) {
        if (glob_match(c->args[i], slice_text(name))) {
            return true;
        }
    }
    return false;
}

static enum status config_get(struct call *c)
{
    char text[32];
    int all = FIXED_COUNT + nodeopt_live_count();
    uint64_t asked = 0;
    for (int i = 0; i < all; i++) {
        asked += setting_asked(c, setting_at(c, i, text).name);
    }
    reply_map(c->reply, asked);
    for (int i = 0; i < all; i++) {
        struct setting s = setting_at(c, i, text);
        if (setting_asked(c, s.name)) {
            reply_text(c->reply, s.name);
            reply_text(c->reply, s.value);
        }
    }
    return ST_OK;
}

/* CONFIG SET name value …: all or none. */
static enum status config_set(struct call *c)
{
    struct nodeopt_live live = c->core->live;
    for (uint32_t i = 2; i < c->count; i += 2) {
        struct err err = {.text = ""};
        int size = c->args[i].size < 64 ? (int)c->args[i].size : 64;
        switch (nodeopt_set(&live, c->args[i], c->args[i + 1], &err)) {
        case NODEOPT_SET:
            break;
        case NODEOPT_UNKNOWN:
            reply_error(c->reply,
                        "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'", size,
                        c->args[i].data);
            return ST_OK;
        case NODEOPT_FIXED:
            reply_error(c->reply, "ERR CONFIG SET failed - '%.*s' cannot change while it runs",
                        size, c->args[i].data);
            return ST_OK;
        case NODEOPT_BAD:
            reply_error(c->reply, "ERR CONFIG SET failed - %s", err.text);
            return ST_OK;
        }
    }
    c->core->live = live;
    core_live_changed(c->core);
    reply_simple(c->reply, "OK");
    return ST_OK;
}

enum status cmdadmin_config(struct call *c)
{
    if (command_is(c, 1, "get") && c->count > 2) {
        return config_get(c);
    }
    if (command_is(c, 1, "set") && c->count > 2 && c->count % 2 == 0) {
        return config_set(c);
    }
    if (command_is(c, 1, "resetstat") && c->count == 2) {
        c->core->counts = (struct core_counts){.clients = c->core->counts.clients};
        reply_simple(c->reply, "OK");
        return ST_OK;
    }
    return command_bad_subcommand(c);
}

/* ---- INFO ---- */

__attribute__((format(__printf__, 2, 3))) static void info_line(struct reply *r, const char *fmt,
                                                                ...)
{
    char line[160];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof line, fmt, args); /* long enough for every line below */
    va_end(args);
    if (n > 0) {
        reply_raw(r, slice_text(line));
    }
}

static bool section_asked(const struct call *c, const char *name)
{
    for (uint32_t i = 1; i < c->count; i++) {
        if (command_is(c, i, name) || command_is(c, i, "all") || command_is(c, i, "everything") ||
            command_is(c, i, "default")) {
            return true;
        }
    }
    return c->count == 1;
}

static void info_server(const struct call *c, struct reply *r)
{
    uint64_t up = (env_clock_mono(c->core->env) - c->core->started_ns) / 1000000000u;
    info_line(r, "# Server\r\ntinykv_version:%s\r\nredis_mode:standalone\r\n", NODE_VERSION);
    info_line(r, "tcp_port:%u\r\nuptime_in_seconds:%" PRIu64 "\r\n",
              (unsigned)c->core->opt->listen.port, up);
    info_line(r, "server_time_usec:%" PRId64 "\r\n\r\n", env_clock_wall(c->core->env) / 1000);
}

static void info_stats(const struct call *c, struct reply *r)
{
    const struct core_counts *n = &c->core->counts;
    info_line(r, "# Stats\r\ntotal_commands_processed:%" PRIu64 "\r\n", n->commands);
    info_line(r, "groups:%" PRIu64 "\r\ngroup_most:%" PRIu64 "\r\n", n->groups, n->group_most);
    info_line(r, "commits:%" PRIu64 "\r\ncommits_failed:%" PRIu64 "\r\n\r\n", n->commits,
              n->commits_failed);
}

/* False: the database is being exchanged. */
static bool engine_stats(const struct call *c, struct tkv_stats *s)
{
    *s = (struct tkv_stats){.size = sizeof *s};
    if (c->core->replica != NULL) {
        return replica_engine(c->core->replica, s);
    }
    tkv_stats(c->core->db, s);
    return true;
}

static void info_persistence(const struct call *c, struct reply *r)
{
    struct tkv_stats s;
    bool there = engine_stats(c, &s);
    info_line(r, "# Persistence\r\nloading:%d\r\n", !there);
    if (!there) {
        info_line(r, "\r\n");
        return;
    }
    info_line(r, "sequence:%" PRIu64 "\r\n", s.sequence);
    info_line(r, "memory_bytes:%" PRIu64 "\r\nlog_bytes:%" PRIu64 "\r\nlogs:%" PRIu64 "\r\n",
              s.memory_bytes, s.log_bytes, s.logs);
    info_line(r, "syncs:%" PRIu64 "\r\nflushes:%" PRIu64 "\r\nflush_errors:%" PRIu64 "\r\n",
              s.syncs, s.flushes, s.flush_errors);
    info_line(r, "recovered_records:%" PRIu64 "\r\nrecovered_dropped:%" PRIu64 "\r\n",
              s.recovered_records, s.recovered_dropped);
    info_line(r, "write_error:%s\r\n\r\n", tkv_status_text(s.write_error));
}

static void info_engine(const struct call *c, struct reply *r)
{
    struct tkv_stats s;
    uint64_t tables = 0;
    uint64_t bytes = 0;
    if (!engine_stats(c, &s)) {
        return;
    }
    for (int level = 0; level < TKV_LEVELS; level++) {
        tables += s.levels[level].tables;
        bytes += s.levels[level].bytes;
    }
    info_line(r, "# Engine\r\ntables:%" PRIu64 "\r\ntable_bytes:%" PRIu64 "\r\n", tables, bytes);
    info_line(r, "level0_tables:%" PRIu64 "\r\n", (uint64_t)s.levels[0].tables);
    info_line(r, "written_bytes:%" PRIu64 "\r\nflush_bytes:%" PRIu64 "\r\n", s.written_bytes,
              s.flush_bytes);
    info_line(r, "compactions:%" PRIu64 "\r\ncompaction_bytes:%" PRIu64 "\r\n", s.compactions,
              s.compaction_bytes_out);
    info_line(r, "stalls:%" PRIu64 "\r\nstall_ms:%" PRIu64 "\r\n", s.stalls, s.stall_ns / MS);
    info_line(r, "slowdowns:%" PRIu64 "\r\nslowdown_ms:%" PRIu64 "\r\n", s.slowdowns,
              s.slowdown_ns / MS);
    info_line(r, "cache_bytes:%" PRIu64 "\r\nmeta_bytes:%" PRIu64 "\r\n", s.cache_bytes,
              s.meta_bytes);
    info_line(r, "cache_hits:%" PRIu64 "\r\ncache_misses:%" PRIu64 "\r\n\r\n", s.cache_hits,
              s.cache_misses);
}

/* Founders that this one has not met: as long as there are some it takes no part. */
static void info_missing(const struct call *c, struct reply *r)
{
    struct memberview v = {.count = 0};
    const char *between = "founders_missing:";
    if (c->core->look != NULL) {
        c->core->look(c->core->look_arg, &v);
    }
    for (uint32_t i = 0; i < v.count; i++) {
        if (!v.rows[i].met) {
            info_line(r, "%s%" PRIu64, between, v.rows[i].id);
            between = ",";
        }
    }
    if (between[0] == ',') {
        info_line(r, "\r\n");
    }
}

static void info_log(const struct call *c, struct reply *r)
{
    struct raftlog_stats s;
    replica_log(c->core->replica, &s);
    info_line(r, "log_first:%" PRIu64 "\r\nlog_files:%" PRIu64 "\r\nlog_bytes:%" PRIu64 "\r\n",
              s.first, (uint64_t)s.segments, s.segment_bytes);
    info_line(r, "log_syncs:%" PRIu64 "\r\nlog_written:%" PRIu64 "\r\n", s.groups, s.written);
}

static void info_raft(const struct call *c, struct reply *r)
{
    struct replica_status s;
    replica_status(c->core->replica, &s);
    info_line(r, "# Raft\r\nnode:%" PRIu64 "\r\nstate:%s\r\nleader:%" PRIu64 "\r\n", s.raft.self,
              cmdraft_state(s.raft.state), s.raft.leader);
    info_line(r, "incarnation:%" PRIu64 "\r\n", s.raft.incarnation);
    info_line(r, "term:%" PRIu64 "\r\nlast:%" PRIu64 "\r\ncommit:%" PRIu64 "\r\n", s.raft.term,
              s.raft.last, s.raft.commit);
    info_line(r, "applied:%" PRIu64 "\r\ndigest:%016" PRIx64 "\r\ndurable:%" PRIu64 "\r\n",
              s.applied.place.index, s.applied.digest, s.raft.durable);
    info_line(r, "entries:%" PRIu64 "\r\nrequests:%" PRIu64 "\r\nrepeats:%" PRIu64 "\r\n",
              s.counts.entries, s.counts.requests, s.counts.repeats);
    info_line(r, "envelopes:%" PRIu64 "\r\nagain:%" PRIu64 "\r\ndropped:%" PRIu64 "\r\n",
              s.envelopes, s.again, s.dropped);
    info_line(r, "members:%" PRIu64 "\r\nsessions:%" PRIu64 "\r\n", (uint64_t)s.raft.members,
              s.sessions);
    info_log(c, r);
    info_line(r, "snapshot:%" PRIu64 "\r\ncompacted:%" PRIu64 "\r\n", s.snapshot, s.compacted);
    info_line(r, "snapshots_sent:%" PRIu64 "\r\nsnapshots_installed:%" PRIu64 "\r\n", s.shipped,
              s.installed);
    info_missing(c, r);
    info_line(r, "\r\n");
}

enum status cmdadmin_info(struct call *c)
{
    struct reply text;
    buf_clear(&c->core->scratch);
    reply_init(&text, &c->core->scratch, 2, c->reply->bytes_max);
    if (section_asked(c, "server")) {
        info_server(c, &text);
    }
    if (section_asked(c, "clients")) {
        info_line(&text,
                  "# Clients\r\nconnected_clients:%" PRIu64 "\r\nmaxclients:%" PRIu64 "\r\n\r\n",
                  c->core->counts.clients, c->core->live.clients_max);
    }
    if (c->core->replica != NULL && section_asked(c, "raft")) {
        info_raft(c, &text);
    }
    if (section_asked(c, "persistence")) {
        info_persistence(c, &text);
    }
    if (section_asked(c, "engine")) {
        info_engine(c, &text);
    }
    if (section_asked(c, "stats")) {
        info_stats(c, &text);
    }
    reply_bulk(c->reply, buf_slice(&c->core->scratch));
    return text.st;
}

/* ---- SHUTDOWN ---- */

/* SHUTDOWN [SAVE|NOSAVE]: as SIGTERM. The connection closes without a reply, as in Redis. */
enum status cmdadmin_shutdown(struct call *c)
{
    bool known = c->count == 1 || command_is(c, 1, "save") || command_is(c, 1, "nosave");
    if (!known || c->count > 2) {
        return command_syntax_error(c);
    }
    core_shutdown(c->core);
    c->session->closing = true;
    c->job->ends = true;
    return ST_OK;
}
