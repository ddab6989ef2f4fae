/* node.c - see node.h. */
#include "node/node.h"

#include "base/ck.h"
#include "env/note.h"
#include "node/ctl.h"
#include "node/dbtool.h"
#include "node/member.h"
#include "node/roster.h"
#include "node/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static enum status db_open(struct env *env, const struct nodeopt *opt, struct tkv **db,
                           struct err *err)
{
    struct tkv_options o;
    struct tkv_error error = {.text = ""};
    if (roster_is(env, opt->data)) {
        err_set(err, "%.200s holds the data of a member of a group: --id is missing", opt->data);
        return ST_EXIST;
    }
    tkv_options_init(&o);
    o.env = env;
    o.verify = opt->verify != 0;
    o.write_buffer_bytes = opt->write_buffer_bytes;
    o.cache_bytes = opt->cache_bytes;
    enum tkv_status st = tkv_open(&o, opt->data, db, &error);
    if (st == TKV_OK) {
        return ST_OK;
    }
    const char *why = error.text[0] != '\0' ? error.text : tkv_status_text(st);
    if (st == TKV_BUSY) {
        err_set(err, "%s is in use by another process", opt->data);
    } else {
        err_set(err, "cannot open %.64s: %s", opt->data, why);
    }
    return view_status(st);
}

static void say_recovered(struct env *env, const struct nodeopt *opt, struct tkv *db)
{
    struct nodelog log = {env, (enum env_log_level)opt->log_least};
    struct tkv_stats s = {.size = sizeof s};
    tkv_stats(db, &s);
    nodelog_line(&log, ENV_LOG_INFO,
                 "opened %s: sequence %" PRIu64 ", %" PRIu64 " records replayed, %" PRIu64
                 " bytes of torn tail cut",
                 opt->data, s.sequence, s.recovered_records, s.recovered_dropped);
    env_note(env, &(struct env_note){.kind = NOTE_RECOVERED, .a = s.sequence});
}

/* A member of a group, and its clients. */
static enum status member_serve(struct env *env, struct nodeopt *opt, struct err *err)
{
    struct member *m;
    struct core *core = NULL;
    enum status st = member_open(env, opt, &m, err);
    if (st != ST_OK) {
        return st;
    }
    st = core_new(env, NULL, member_replica(m), opt, &core);
    if (st == ST_OK) {
        core->look = member_look;
        core->look_arg = m;
        replica_on_over(member_replica(m), core_replica_over, core);
    }
    st = st == ST_OK ? member_start(m, err) : err_status(err, st, "cannot start");
    if (st == ST_OK) {
        opt->peer_listen = member_address(m); /* RAFT STATUS tells it */
        st = server_run(env, core, opt, err);
        enum status failed = replica_failed(member_replica(m));
        st = st == ST_OK && failed != ST_OK ? err_status(err, failed, "the replica stopped") : st;
    }
    member_stop(m);
    core_free(core);
    enum status closed = member_close(m);
    if (st == ST_OK && closed != ST_OK) {
        st = err_status(err, closed, "closing the database");
    }
    return st;
}

/* Opens, serves, closes. */
static enum status serve(struct env *env, struct nodeopt *opt, struct err *err)
{
    struct tkv *db;
    struct core *core = NULL;
    enum status st = db_open(env, opt, &db, err);
    if (st != ST_OK) {
        return st;
    }
    say_recovered(env, opt, db);
    st = core_new(env, db, NULL, opt, &core);
    if (st != ST_OK) {
        st = err_status(err, st, "cannot start");
    } else {
        st = server_run(env, core, opt, err);
    }
    core_free(core);
    enum status closed = view_status(tkv_close(db));
    if (st == ST_OK && closed != ST_OK) {
        st = err_status(err, closed, "closing the database");
    }
    return st;
}

static int serve_main(struct env *env, int argc, char **argv)
{
    struct nodeopt opt;
    struct err err = {.text = ""};
    if (nodeopt_parse(&opt, argc, argv, &err) != ST_OK) {
        nodelog_say(env, true, "tinykv: %s (see tinykv --help)", err.text);
        return EXIT_USAGE;
    }
    enum status st = opt.id != 0 ? member_serve(env, &opt, &err) : serve(env, &opt, &err);
    if (st != ST_OK) {
        nodelog_say(env, true, "tinykv: %s", err.text);
        return EXIT_FAILED;
    }
    return EXIT_OK;
}

int node_main(struct env *env, int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    if (strcmp(word, "serve") == 0) {
        return serve_main(env, argc - 2, argv + 2);
    }
    if (strcmp(word, "ctl") == 0) {
        return ctl_run(env, argc - 1, argv + 1);
    }
    if (dbtool_knows(word)) {
        return dbtool_run(env, argc - 1, argv + 1);
    }
    if (strcmp(word, "version") == 0 || strcmp(word, "--version") == 0) {
        nodelog_say(env, false, "tinykv %s", NODE_VERSION);
        return EXIT_OK;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "help") == 0 || strcmp(word, "-h") == 0) {
        nodeopt_help(env);
        return EXIT_OK;
    }
    if (argc < 2) {
        nodelog_say(env, true, "tinykv: a command is needed, such as serve (see tinykv --help)");
    } else {
        nodelog_say(env, true, "tinykv: unknown command '%.100s' (see tinykv --help)", word);
    }
    return EXIT_USAGE;
}
