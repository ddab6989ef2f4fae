/* test_core.c - groups of commands over an engine that fails when told to.
 *
 * A script is lines "session command…"; its jobs run as one group and each reply is compared. */
#include "node/core.h"

#include "env/env_posix.h"
#include "env/note.h"
#include "node/command.h"
#include "tests/node/faketkv.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <inttypes.h>
#include <stdlib.h>

#define SESSIONS 3

struct world {
    struct env *posix;
    struct inject te;
    struct nodeopt opt;
    struct tkv *db;
    struct core *core;
    struct session *sessions[SESSIONS];
    struct list group;
    uint64_t noted[64]; /* kinds, in order */
    int note_count;
};

static struct world *noting; /* notes carry no argument of ours */

static void on_note(struct env *e, const struct env_note *note)
{
    (void)e;
    if (noting->note_count < 64 && note->kind != NOTE_EXECUTED) {
        noting->noted[noting->note_count++] = note->kind;
    }
}

static void world_init(struct world *w)
{
    char data[] = "--data=x";
    char level[] = "--log-level=error";
    char *argv[] = {data, level};
    *w = (struct world){.note_count = 0};
    EXPECT(env_posix_new(NULL, &w->posix) == ST_OK);
    test_env_init(&w->te, w->posix);
    w->te.vt.note = on_note;
    noting = w;
    EXPECT(nodeopt_parse(&w->opt, 2, argv, NULL) == ST_OK);
    EXPECT(tkv_open(NULL, "x", &w->db, NULL) == TKV_OK);
    EXPECT(core_new(&w->te.env, w->db, NULL, &w->opt, &w->core) == ST_OK);
    for (int i = 0; i < SESSIONS; i++) {
        w->sessions[i] = job_session_new(&w->te.env.mem, (uint64_t)i + 1, true);
    }
    list_init(&w->group);
}

static void group_drop(struct world *w)
{
    while (!list_empty(&w->group)) {
        struct job *j = LIST_ENTRY(w->group.next, struct job, link);
        list_remove(&j->link);
        job_free(j);
    }
}

static void world_release(struct world *w)
{
    group_drop(w);
    for (int i = 0; i < SESSIONS; i++) {
        job_session_free(&w->te.env.mem, w->sessions[i]);
    }
    core_free(w->core);
    EXPECT(tkv_close(w->db) == TKV_OK);
    EXPECT(w->te.live == 0);
    env_posix_free(w->posix);
}

/* Adds a job to the group: "0 set a 1" is session 0's. Refused memory adds none. */
static void job_add(struct world *w, const char *line)
{
    struct testline {
        char text[256];
    } copy;
    struct resp_parser p;
    size_t size = (size_t)snprintf(copy.text, sizeof copy.text, "%s\n", line + 2);
    resp_init(&p, &w->te.env.mem, resp_limits_default());
    if (resp_parse(&p, copy.text, size) == ST_OK) {
        struct job *j = job_new_request(&w->te.env.mem, &p, copy.text);
        if (j != NULL) {
            j->session = w->sessions[line[0] - '0'];
            list_insert(&w->group, &j->link);
        }
    }
    resp_release(&p);
}

/* Runs lines and replies in turn, ended by NULL, as one group. */
static void run_group(struct world *w, const char *const *script)
{
    group_drop(w);
    for (int i = 0; script[i] != NULL; i += 2) {
        job_add(w, script[i]);
    }
    core_group_run(w->core, &w->group);
    struct list *l = w->group.next;
    for (int i = 0; script[i] != NULL; i += 2, l = l->next) {
        struct slice got = LIST_ENTRY(l, struct job, link)->out.bytes;
        bool same = script[i + 1][0] == '-' /* an error: its beginning is enough */
                        ? got.size >= strlen(script[i + 1]) &&
                              memcmp(got.data, script[i + 1], strlen(script[i + 1])) == 0
                        : slice_equal(got, slice_text(script[i + 1]));
        EXPECT(same);
        if (!same) {
            printf("# %s: %.*s\n", script[i], (int)got.size, got.data);
        }
    }
}

#define GROUP(w, ...) run_group(w, (const char *const[]){__VA_ARGS__, NULL})

static void test_core__a_group_is_one_commit(void)
{
    struct world w;
    world_init(&w);
    GROUP(&w, "0 set a 1", "+OK\r\n", "1 get a", "$1\r\n1\r\n", "2 incr a", ":2\r\n", "1 del a",
          ":1\r\n", "1 get a", "$-1\r\n", "0 set b x", "+OK\r\n", "0 append b y", ":2\r\n",
          "1 range - +", "*2\r\n$1\r\nb\r\n$2\r\nxy\r\n");
    EXPECT(faketkv_knobs()->writes == 1);
    EXPECT(faketkv_knobs()->syncs == 1);
    EXPECT(w.note_count == 3);
    EXPECT(w.noted[0] == NOTE_COMMIT_BEGIN && w.noted[1] == NOTE_COMMIT_END);
    EXPECT(w.noted[2] == NOTE_ACK);
    GROUP(&w, "0 get b", "$2\r\nxy\r\n", "0 exists a b b", ":2\r\n");
    EXPECT(faketkv_knobs()->writes == 1); /* reading commits nothing */
    world_release(&w);
}

/* A group is synced when one of its writers asked for it, and only then. */
static void test_core__sync_when_somebody_asks(void)
{
    struct world w;
    world_init(&w);
    GROUP(&w, "0 durability buffered", "+OK\r\n", "0 durability", "$8\r\nbuffered\r\n");
    GROUP(&w, "0 set a 1", "+OK\r\n", "1 get a", "$1\r\n1\r\n");
    EXPECT(faketkv_knobs()->syncs == 0);
    GROUP(&w, "0 set a 1", "+OK\r\n", "1 set b 1", "+OK\r\n", "0 set c 1", "+OK\r\n");
    EXPECT(faketkv_knobs()->syncs == 1);
    EXPECT(faketkv_knobs()->last_count == 3);
    world_release(&w);
}

/* The commit fails: writers get an error, and who read their writes reads again. */
static void test_core__failed_commit_is_read_by_nobody(void)
{
    struct world w;
    world_init(&w);
    GROUP(&w, "0 set a old", "+OK\r\n", "0 set n 5", "+OK\r\n");
    faketkv_knobs()->write_fails = TKV_IO;
    faketkv_knobs()->fail_count = 1;
    w.note_count = 0;
    GROUP(&w, "1 get a", "$3\r\nold\r\n", "0 set a new", "-IOERR", "1 get a", "$3\r\nold\r\n",
          "2 incr n", "-IOERR", "1 get n", "$1\r\n5\r\n", "1 strlen a", ":3\r\n", "1 dbsize",
          ":2\r\n", "1 range - + limit 1", "*2\r\n$1\r\na\r\n$3\r\nold\r\n", "1 mget n zz",
          "*2\r\n$1\r\n5\r\n$-1\r\n");
    EXPECT(w.note_count == 2); /* begin and end, no acknowledgement */
    GROUP(&w, "0 set a new", "+OK\r\n");
    faketkv_knobs()->write_fails = TKV_NOSPC;
    faketkv_knobs()->fail_count = 1;
    GROUP(&w, "0 set a newer", "-NOSPC", "1 get a", "$3\r\nnew\r\n");
    world_release(&w);
}

/* A conditional write that lost against an uncommitted write wins when that one fails. */
static void test_core__conditional_write_runs_again(void)
{
    struct world w;
    world_init(&w);
    faketkv_knobs()->write_fails = TKV_IO;
    faketkv_knobs()->fail_count = 1;
    GROUP(&w, "0 set a 1", "-IOERR", "1 set a 2 nx", "+OK\r\n", "2 cas a 7 8", ":0\r\n");
    EXPECT(faketkv_knobs()->writes == 2);
    GROUP(&w, "0 get a", "$1\r\n2\r\n");
    world_release(&w);
}

/* What a connection said after a read does not change the read when it runs again. */
static void test_core__running_again_keeps_the_session_of_then(void)
{
    struct world w;
    world_init(&w);
    faketkv_knobs()->write_fails = TKV_IO;
    faketkv_knobs()->fail_count = 2;
    GROUP(&w, "0 set a 1", "-IOERR", "1 get a", "$-1\r\n", "1 multi", "+OK\r\n", "1 incr x",
          "+QUEUED\r\n", "1 get a", "+QUEUED\r\n", "1 exec", "-IOERR", "1 multi", "+OK\r\n",
          "1 get a", "+QUEUED\r\n", "1 exec", "*1\r\n$-1\r\n", "1 get a", "$-1\r\n", "1 multi",
          "+OK\r\n", "1 discard", "+OK\r\n", "1 quit", "+OK\r\n", "1 get a", "");
    world_release(&w);
}

static void test_core__a_transaction_that_read_runs_again(void)
{
    struct world w;
    world_init(&w);
    faketkv_knobs()->write_fails = TKV_IO;
    faketkv_knobs()->fail_count = 1;
    GROUP(&w, "0 set a 1", "-IOERR", "1 multi", "+OK\r\n", "1 get a", "+QUEUED\r\n", "1 set b 2 nx",
          "+QUEUED\r\n", "1 exec", "-IOERR", "2 get b", "$-1\r\n", "2 multi", "+OK\r\n", "2 get a",
          "+QUEUED\r\n", "2 dbsize", "+QUEUED\r\n", "2 exec", "*2\r\n$-1\r\n:0\r\n", "2 multi",
          "+OK\r\n");
    GROUP(&w, "2 get a", "+QUEUED\r\n", "2 exec", "*1\r\n$-1\r\n"); /* still in that MULTI */
    world_release(&w);
}

static void test_core__multi(void)
{
    struct world w;
    world_init(&w);
    GROUP(&w, "0 set a 1", "+OK\r\n", "0 multi", "+OK\r\n", "0 multi", "-ERR MULTI calls can not",
          "0 incr a", "+QUEUED\r\n", "1 get a", "$1\r\n1\r\n", "0 range - +", "+QUEUED\r\n",
          "0 append a x", "+QUEUED\r\n", "0 incr a", "+QUEUED\r\n", "0 del a", "+QUEUED\r\n",
          "0 range - + rev", "+QUEUED\r\n", "0 scan 0", "+QUEUED\r\n", "0 exec",
          "*7\r\n:2\r\n*2\r\n$1\r\na\r\n$1\r\n2\r\n:2\r\n-ERR value is not an integer or out of "
          "range\r\n:1\r\n*0\r\n*2\r\n$1\r\n0\r\n*0\r\n",
          "0 exec", "-ERR EXEC without MULTI");
    EXPECT(faketkv_knobs()->writes == 1);
    GROUP(&w, "0 multi", "+OK\r\n", "0 set b 1", "+QUEUED\r\n", "0 nosuch", "-ERR unknown command",
          "0 exec", "-EXECABORT Transaction discarded", "0 exists b", ":0\r\n", "0 discard",
          "-ERR DISCARD without MULTI", "0 multi", "+OK\r\n", "0 hello 3",
          "-ERR Command not allowed", "0 exec", "-EXECABORT", "0 multi", "+OK\r\n", "0 exec",
          "*0\r\n");
    world_release(&w);
}

static void test_core__replies_and_errors_as_redis(void)
{
    struct world w;
    world_init(&w);
    GROUP(&w, "0 ping", "+PONG\r\n", "0 PING hi", "$2\r\nhi\r\n", "0 ping a b",
          "-ERR wrong number of arguments for 'ping' command", "0 echo", "-ERR wrong number of",
          "0 get", "-ERR wrong number of arguments for 'get' command", "0 Foo a b",
          "-ERR unknown command 'Foo', with args beginning with: 'a' 'b' ", "0 select 0", "+OK\r\n",
          "0 select 1", "-ERR DB index is out of range", "0 set a 1 nx xx", "-ERR syntax error",
          "0 set a 1 xx", "$-1\r\n", "0 set a 1 get", "$-1\r\n", "0 set a 2 nx get", "$1\r\n1\r\n",
          "0 set a abc xx", "+OK\r\n", "0 incr a", "-ERR value is not an integer or out of range",
          "0 set a 9223372036854775807", "+OK\r\n", "0 incr a",
          "-ERR increment or decrement would overflow", "0 decrby a -1", "-ERR increment",
          "0 decrby a -9223372036854775808", "-ERR decrement would overflow", "0 set a 007",
          "+OK\r\n", "0 incr a", "-ERR value is not", "0 mset a 1 b",
          "-ERR wrong number of arguments for 'mset' command", "0 scan x", "-ERR invalid cursor",
          "0 scan 12345", "-ERR cursor is unknown", "0 scan 0 count 0", "-ERR syntax error",
          "0 range a", "-ERR wrong number of", "0 range a b limit x", "-ERR value is not");
    world_release(&w);
}

static void test_core__cas(void)
{
    struct world w;
    world_init(&w);
    GROUP(&w, "0 cas k a b", ":0\r\n", "0 cas k v IF ABSENT", ":1\r\n", "0 cas k w if absent",
          ":0\r\n", "0 cas k v v2", ":1\r\n", "0 get k", "$2\r\nv2\r\n", "0 cas k \"\" x", ":0\r\n",
          "0 cas k v2 \"\"", ":1\r\n", "0 cas k \"\" IF", ":1\r\n", "0 cas k a b c d",
          "-ERR syntax error", "0 cas k a b c", "-ERR syntax error");
    group_drop(&w);
    struct resp_parser p;
    char null[] = "*4\r\n$3\r\nCAS\r\n$1\r\nq\r\n$-1\r\n$1\r\nv\r\n";
    resp_init(&p, &w.te.env.mem, resp_limits_default());
    EXPECT(resp_parse(&p, null, sizeof null - 1) == ST_OK);
    struct job *j = job_new_request(&w.te.env.mem, &p, null);
    j->session = w.sessions[0];
    list_insert(&w.group, &j->link);
    core_group_run(w.core, &w.group);
    EXPECT(slice_equal(j->out.bytes, slice_text(":1\r\n")));
    char bad[] = "*2\r\n$3\r\nGET\r\n$-1\r\n";
    resp_release(&p);
    resp_init(&p, &w.te.env.mem, resp_limits_default());
    EXPECT(resp_parse(&p, bad, sizeof bad - 1) == ST_OK);
    j = job_new_request(&w.te.env.mem, &p, bad);
    j->session = w.sessions[0];
    group_drop(&w);
    list_insert(&w.group, &j->link);
    core_group_run(w.core, &w.group);
    EXPECT(memcmp(j->out.bytes.data, "-ERR null argument", 18) == 0);
    resp_release(&p);
    world_release(&w);
}

/* SCAN returns every key once, across steps, through writes between them, with any COUNT. */
static void test_core__scan_sees_every_key(void)
{
    for (int count = 1; count < 9; count++) {
        struct world w;
        uint64_t cursor = 0;
        int seen[20] = {0};
        int steps = 0;
        world_init(&w);
        for (int i = 0; i < 20; i++) {
            char line[32];
            (void)snprintf(line, sizeof line, "0 set k%02d v", i);
            GROUP(&w, line, "+OK\r\n");
        }
        do {
            char line[64];
            (void)snprintf(line, sizeof line, "0 scan %" PRIu64 " count %d match k*", cursor,
                           count);
            group_drop(&w);
            job_add(&w, "1 set zz x"); /* uncommitted, and not matching */
            job_add(&w, line);
            core_group_run(w.core, &w.group);
            struct slice out = LIST_ENTRY(w.group.prev, struct job, link)->out.bytes;
            char text[512];
            memcpy(text, out.data, out.size);
            text[out.size] = '\0';
            cursor = strtoull(strchr(text + 4, '\n') + 1, NULL, 10);
            for (const char *k = text; (k = strstr(k, "\r\nk")) != NULL; k += 3) {
                seen[(k[3] - '0') * 10 + (k[4] - '0')]++;
            }
            steps++;
        } while (cursor != 0 && steps < 100);
        EXPECT(steps == (21 + count - 1) / count);
        for (int i = 0; i < 20; i++) {
            EXPECT(seen[i] == 1);
        }
        world_release(&w);
    }
}

/* A range is a write as any other: undone with a commit that fails, one commit with its group. */
static void test_core__a_range_is_deleted(void)
{
    struct world w;
    world_init(&w);
    GROUP(&w, "0 mset a 1 b 2 c 3 d 4", "+OK\r\n", "0 delrange b d", "+OK\r\n", "1 get b",
          "$-1\r\n", "1 set c 5", "+OK\r\n", "2 range - +",
          "*6\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nc\r\n$1\r\n5\r\n$1\r\nd\r\n$1\r\n4\r\n");
    EXPECT(faketkv_knobs()->writes == 1);
    faketkv_knobs()->fail_count = 1;
    faketkv_knobs()->write_fails = TKV_IO;
    GROUP(&w, "0 delrange \"\" to end", "-IOERR", "1 dbsize", ":3\r\n");
    GROUP(&w, "0 multi", "+OK\r\n", "0 delrange c d", "+QUEUED\r\n", "0 get c", "+QUEUED\r\n",
          "0 exec", "*2\r\n+OK\r\n$-1\r\n", "1 dbsize", ":2\r\n");
    GROUP(&w, "1 dbsize", ":2\r\n", "0 delrange a", "-ERR wrong number");
    world_release(&w);
}

/* A cursor goes on at the very next key: the same one with a zero byte behind it. */
static void test_core__scan_goes_on_at_the_successor(void)
{
    struct world w;
    world_init(&w);
    GROUP(&w, "0 set a 1", "+OK\r\n", "0 set \"a\\x00\" 2", "+OK\r\n");
    w.core->cursor.next = 7;
    GROUP(&w, "0 scan 0 count 1", "*2\r\n$1\r\n7\r\n*1\r\n$1\r\na\r\n");
    group_drop(&w);
    job_add(&w, "0 scan 7 count 1");
    core_group_run(w.core, &w.group);
    static const char want[] = "*2\r\n$1\r\n0\r\n*1\r\n$2\r\na\0\r\n";
    EXPECT(slice_equal(LIST_ENTRY(w.group.next, struct job, link)->out.bytes,
                       slice_of(want, sizeof want - 1)));
    world_release(&w);
}

/* A reply over output-limit is an error, and its command has no effect. */
static void test_core__reply_over_the_limit_is_undone(void)
{
    struct world w;
    world_init(&w);
    GROUP(&w, "0 set a 0123456789012345678901234567890123456789012345678901234567890123456789",
          "+OK\r\n", "0 config set output-limit 2k", "+OK\r\n");
    EXPECT(w.core->shared.output_bytes_max == 2048);
    w.core->live.output_bytes_max = 64;
    GROUP(&w, "0 get a", "-ERR the reply", "0 range - +", "-ERR the reply", "0 set a x get",
          "-ERR the reply", "0 strlen a", ":70\r\n");
    w.core->live.output_bytes_max = 2048;
    GROUP(&w, "0 config set output-limit 1", "-ERR CONFIG SET failed", "0 config set data x",
          "-ERR CONFIG SET failed", "0 config set nosuch 1", "-ERR Unknown option",
          "0 config get output-l*", "*2\r\n$12\r\noutput-limit\r\n$4\r\n2048\r\n");
    world_release(&w);
}

/* Damaged data is an error, in a scan too, and an EXEC that meets it is undone whole. */
static void test_core__read_failure_undoes_the_command(void)
{
    struct world w;
    world_init(&w);
    GROUP(&w, "0 set a 1", "+OK\r\n");
    faketkv_knobs()->read_fails = TKV_CORRUPT;
    GROUP(&w, "0 get a", "-CORRUPT", "0 range - +", "-CORRUPT", "0 dbsize", "-CORRUPT", "0 multi",
          "+OK\r\n", "0 set b 2", "+QUEUED\r\n", "0 get a", "+QUEUED\r\n", "0 exec", "-CORRUPT");
    faketkv_knobs()->read_fails = TKV_OK;
    GROUP(&w, "0 exists b", ":0\r\n");
    world_release(&w);
}

/* Every allocation refused once: each reply is right or says OOM, and an OOM had no effect. */
static void test_core__refused_memory_is_an_error_without_effect(void)
{
    for (long n = 0;; n++) {
        struct world w;
        world_init(&w);
        long before = w.te.allocs;
        w.te.fail_at = before + n;
        job_add(&w, "0 set a 1");
        job_add(&w, "0 append a 2");
        job_add(&w, "1 incr c");
        job_add(&w, "1 range - +");
        job_add(&w, "1 multi");
        job_add(&w, "1 incr c");
        job_add(&w, "1 exec");
        job_add(&w, "2 scan 0 count 1");
        bool whole = w.te.allocs <= before + n;
        core_group_run(w.core, &w.group);
        bool reached = w.te.allocs > before + n;
        w.te.fail_at = -1;
        int oom = 0;
        int wrote = 0;
        for (struct list *l = w.group.next; l != &w.group; l = l->next) {
            struct job *j = LIST_ENTRY(l, struct job, link);
            bool ended =
                j->session->closing; /* MULTI could not begin: nothing more is carried out */
            EXPECT(j->out.bytes.size > 0 || ended);
            if (j->out.bytes.size == 0) {
                if (!ended) {
                    printf("# no reply to %.*s, n %ld\n", (int)j->args[0].size, j->args[0].data, n);
                }
                continue;
            }
            oom += memcmp(j->out.bytes.data, "-OOM", 4) == 0;
            wrote += j->wrote;
        }
        EXPECT(!whole || !reached || oom > 0);
        EXPECT(oom == 0 || reached);
        EXPECT(faketkv_knobs()->writes == (wrote > 0) || oom > 0);
        world_release(&w);
        if (!reached) {
            EXPECT(n > 20);
            break;
        }
    }
}

TAP_MAIN({
    RUN(test_core__a_group_is_one_commit);
    RUN(test_core__sync_when_somebody_asks);
    RUN(test_core__failed_commit_is_read_by_nobody);
    RUN(test_core__conditional_write_runs_again);
    RUN(test_core__running_again_keeps_the_session_of_then);
    RUN(test_core__a_transaction_that_read_runs_again);
    RUN(test_core__multi);
    RUN(test_core__replies_and_errors_as_redis);
    RUN(test_core__cas);
    RUN(test_core__scan_sees_every_key);
    RUN(test_core__scan_goes_on_at_the_successor);
    RUN(test_core__a_range_is_deleted);
    RUN(test_core__reply_over_the_limit_is_undone);
    RUN(test_core__read_failure_undoes_the_command);
    RUN(test_core__refused_memory_is_an_error_without_effect);
})
