/* test_front.c - jobs on their way to a replica that does what the test says. */
#include "node/front.h"

#include "env/env_posix.h"
#include "net/pbdec.h"
#include "net/pbenc.h"
#include "node/core.h"
#include "node/pbfront.h"
#include "tests/node/fakereplica.h"
#include "tests/node/faketkv.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <inttypes.h>

#define SESSIONS 3

struct rig {
    struct env *posix;
    struct inject te;
    struct nodeopt opt;
    struct tkv *db;
    struct replica replica;
    struct core *core;
    struct session *sessions[SESSIONS];
    struct list jobs;
    struct list done;
};

static void rig_init(struct rig *g)
{
    char data[] = "--data=x";
    char level[] = "--log-level=error";
    char *argv[] = {data, level};
    *g = (struct rig){.core = NULL};
    EXPECT(env_posix_new(NULL, &g->posix) == ST_OK);
    test_env_init(&g->te, g->posix);
    EXPECT(nodeopt_parse(&g->opt, 2, argv, NULL) == ST_OK);
    EXPECT(tkv_open(NULL, "x", &g->db, NULL) == TKV_OK);
    fakereplica_init(&g->replica, &g->te.env, g->db);
    EXPECT(core_new(&g->te.env, NULL, &g->replica, &g->opt, &g->core) == ST_OK);
    EXPECT(env_poller_open(g->posix, &g->core->poller) == ST_OK);
    for (int i = 0; i < SESSIONS; i++) {
        g->sessions[i] = job_session_new(&g->te.env.mem, (uint64_t)i + 1, true);
    }
    list_init(&g->jobs);
    list_init(&g->done);
}

static void done_drop(struct rig *g)
{
    while (!list_empty(&g->done)) {
        struct job *j = LIST_ENTRY(g->done.next, struct job, link);
        list_remove(&j->link);
        job_free(j);
    }
}

static void turn(struct rig *g)
{
    struct list landed;
    list_init(&landed);
    list_splice(&landed, &g->core->landed);
    front_turn(g->core->front, &g->jobs, &landed, &g->done);
    EXPECT(list_empty(&g->jobs) && list_empty(&landed));
}

/* Everything that is under way is done, and what comes after it. */
static void settle(struct rig *g)
{
    turn(g);
    while (fakereplica_end(&g->replica, UINT32_MAX, REPLICA_DONE) > 0) {
        turn(g);
    }
}

/* Sessions end as they do when their connections go. */
static void rig_release(struct rig *g)
{
    for (int i = 0; i < SESSIONS; i++) {
        if (g->sessions[i] != NULL) {
            list_insert(&g->jobs, &g->sessions[i]->end.link);
        }
    }
    settle(g);
    done_drop(g);
    EXPECT(front_flying(g->core->front) == 0);
    EXPECT(env_fd_close(g->posix, g->core->poller) == ST_OK);
    core_free(g->core);
    fakereplica_release(&g->replica);
    EXPECT(tkv_close(g->db) == TKV_OK);
    EXPECT(g->te.live == 0);
    env_posix_free(g->posix);
}

/* "0 set a 1" is session 0's. */
static void job_add(struct rig *g, const char *line)
{
    char text[256];
    struct resp_parser p;
    size_t size = (size_t)snprintf(text, sizeof text, "%s\n", line + 2);
    resp_init(&p, &g->te.env.mem, resp_limits_default());
    if (resp_parse(&p, text, size) == ST_OK) {
        struct job *j = job_new_request(&g->te.env.mem, &p, text);
        if (j != NULL) {
            j->session = g->sessions[line[0] - '0'];
            list_insert(&g->jobs, &j->link);
        }
    }
    resp_release(&p);
}

static void jobs_add(struct rig *g, const char *const *lines)
{
    for (int i = 0; lines[i] != NULL; i++) {
        job_add(g, lines[i]);
    }
    turn(g);
}

#define JOBS(g, ...) jobs_add(g, (const char *const[]){__VA_ARGS__, NULL})

/* What was handed back since the last time, all of it; of errors the beginning. */
static void expect_replies(struct rig *g, const char *const *replies)
{
    int i = 0;
    struct list *l = g->done.next;
    for (; replies[i] != NULL && l != &g->done; i++, l = l->next) {
        struct slice got = LIST_ENTRY(l, struct job, link)->out.bytes;
        size_t size = strlen(replies[i]);
        bool same = got.size >= size && memcmp(got.data, replies[i], size) == 0 &&
                    (got.size == size || replies[i][0] == '-');
        EXPECT(same);
        if (!same) {
            printf("# reply %d: %.*s\n", i, (int)got.size, got.data);
        }
    }
    EXPECT(replies[i] == NULL);
    EXPECT(l == &g->done);
    done_drop(g);
}

#define REPLIES(g, ...) expect_replies(g, (const char *const[]){__VA_ARGS__, NULL})
#define NO_REPLY(g)     EXPECT(list_empty(&(g)->done))

/* The requests that the replica has: w a write, r a read, c a change, behind one another: W. */
static void expect_flying(struct rig *g, const char *kinds)
{
    char got[64];
    size_t n = 0;
    for (struct list *l = g->replica.requests.next; l != &g->replica.requests && n < 63;
         l = l->next) {
        const struct replica_request *q = LIST_ENTRY(l, struct replica_request, link);
        got[n++] = q->change != NULL ? 'c' : q->reads ? 'r' : q->follows ? 'W' : 'w';
    }
    got[n] = '\0';
    EXPECT(strcmp(got, kinds) == 0);
    if (strcmp(got, kinds) != 0) {
        printf("# flying: %s\n", got);
    }
}

static void front__a_pipeline_is_a_run_by_the_log(void)
{
    struct rig g;
    rig_init(&g);
    JOBS(&g, "0 set a 1", "0 get a", "0 incr a", "0 ping", "1 set b 1");
    expect_flying(&g, "wWWw");
    EXPECT(g.replica.submits == 1);
    NO_REPLY(&g);
    EXPECT(fakereplica_end(&g.replica, 2, REPLICA_DONE) == 2);
    turn(&g);
    REPLIES(&g, "+OK\r\n", "$1\r\n1\r\n");
    JOBS(&g, "0 get a"); /* the run before has not landed */
    expect_flying(&g, "Ww");
    NO_REPLY(&g);
    settle(&g);
    REPLIES(&g, ":2\r\n", "+PONG\r\n", "+OK\r\n", "$1\r\n2\r\n");
    rig_release(&g);
}

static void front__reads_ask_and_are_executed_here(void)
{
    struct rig g;
    rig_init(&g);
    JOBS(&g, "0 set a 1");
    settle(&g);
    REPLIES(&g, "+OK\r\n");
    JOBS(&g, "0 get a", "0 exists a b", "0 mget a b", "0 scan 0", "0 hello 3", "0 get b");
    expect_flying(&g, "rrrrr");
    settle(&g);
    turn(&g);
    struct list *hello = g.done.prev->prev;
    EXPECT(LIST_ENTRY(hello, struct job, link)->out.bytes.data[0] == '%');
    list_remove(hello);
    job_free(LIST_ENTRY(hello, struct job, link));
    REPLIES(&g, "$1\r\n1\r\n", ":1\r\n", "*2\r\n$1\r\n1\r\n$-1\r\n",
            "*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n", "_\r\n");
    rig_release(&g);
}

/* A cursor is this node's: what needs it waits for the writes, and those behind it for that. */
static void front__what_the_log_cannot_do_parts_a_pipeline(void)
{
    struct rig g;
    rig_init(&g);
    JOBS(&g, "0 set a 1", "0 scan 0", "0 set b 1", "0 get b");
    expect_flying(&g, "w");
    EXPECT(fakereplica_end(&g.replica, 1, REPLICA_DONE) == 1);
    turn(&g);
    expect_flying(&g, "r");
    EXPECT(fakereplica_end(&g.replica, 1, REPLICA_DONE) == 1);
    turn(&g);
    expect_flying(&g, "wW");
    settle(&g);
    REPLIES(&g, "+OK\r\n", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n", "+OK\r\n", "$1\r\n1\r\n");
    rig_release(&g);
}

static void front__a_transaction_is_one_request(void)
{
    struct rig g;
    rig_init(&g);
    JOBS(&g, "0 multi", "0 set a 1", "0 get zz", "0 incr a", "0 exec");
    expect_flying(&g, "w");
    settle(&g);
    REPLIES(&g, "+OK\r\n", "+QUEUED\r\n", "+QUEUED\r\n", "+QUEUED\r\n",
            "*3\r\n+OK\r\n$-1\r\n:2\r\n");
    JOBS(&g, "0 multi", "0 get a", "0 ping", "0 exec", "0 multi", "0 exec");
    expect_flying(&g, "r");
    settle(&g);
    REPLIES(&g, "+OK\r\n", "+QUEUED\r\n", "+QUEUED\r\n", "*2\r\n$1\r\n2\r\n+PONG\r\n", "+OK\r\n",
            "*0\r\n");
    JOBS(&g, "0 multi", "0 set a", "0 exec", "0 discard");
    expect_flying(&g, "");
    REPLIES(&g, "+OK\r\n", "-ERR wrong number", "-EXECABORT", "-ERR DISCARD");
    rig_release(&g);
}

static void front__says_what_is_known(void)
{
    struct rig g;
    rig_init(&g);
    JOBS(&g, "0 set a 1", "1 get a", "2 set b 1");
    EXPECT(fakereplica_end(&g.replica, 1, REPLICA_UNKNOWN) == 1);
    EXPECT(fakereplica_end(&g.replica, 2, REPLICA_NOT_DONE) == 2);
    turn(&g);
    REPLIES(&g, "-UNKNOWN", "-TRYAGAIN", "-TRYAGAIN");
    EXPECT(!g.core->stop_asked);
    JOBS(&g, "0 durability buffered", "0 set a", "0 nosuch");
    REPLIES(&g, "-ERR a node that replicates", "-ERR wrong number", "-ERR unknown command");
    JOBS(&g, "0 info raft");
    struct slice info = LIST_ENTRY(g.done.next, struct job, link)->out.bytes;
    EXPECT(info.size > 30 && memcmp(info.data + 4, "\r\n# Raft\r\nnode:7", 16) == 0);
    done_drop(&g);
    rig_release(&g);
}

static void front__requests_of_a_session_carry_their_number(void)
{
    struct rig g;
    rig_init(&g);
    JOBS(&g, "0 session run 5 9 3 get a", "1 session open 10", "2 session run 5 10 3 ping",
         "2 session run 5 x 3 get a", "2 session run 5 1 3", "2 session run 5 1 3 get",
         "2 session run 0 1 3 get a");
    expect_flying(&g, "ww");
    const struct replica_request *q =
        LIST_ENTRY(g.replica.requests.next, struct replica_request, link);
    EXPECT(q->head.session == 5 && q->head.sequence == 9 && q->head.answered == 3);
    EXPECT(q->commands[0].count == 2 && slice_equal(q->commands[0].args[0], slice_text("get")));
    REPLIES(&g, "-ERR 'ping' cannot be done in a session", "-ERR value is not an integer",
            "-ERR unknown subcommand", "-ERR wrong number of arguments for 'get'",
            "-ERR value is not an integer");
    settle(&g);
    REPLIES(&g, "$-1\r\n", "-ERR there are no sessions here");
    rig_release(&g);
}

static void front__changes_go_to_the_core_one_by_one(void)
{
    struct rig g;
    rig_init(&g);
    JOBS(&g, "0 set a 1", "0 raft add 4 77", "0 raft remove 2", "0 get a");
    expect_flying(&g, "w");
    EXPECT(fakereplica_end(&g.replica, 1, REPLICA_DONE) == 1);
    turn(&g);
    expect_flying(&g, "c");
    struct replica_request *q = LIST_ENTRY(g.replica.requests.next, struct replica_request, link);
    EXPECT(q->change->kind == REPLICA_ADD && q->change->node == 4);
    EXPECT(q->change->incarnation == 77);
    EXPECT(fakereplica_end(&g.replica, 1, REPLICA_DONE) == 1);
    turn(&g);
    expect_flying(&g, "c");
    q = LIST_ENTRY(g.replica.requests.next, struct replica_request, link);
    EXPECT(q->change->kind == REPLICA_REMOVE && q->change->node == 2);
    q->change->why = RAFT_NOT_LEADER;
    q->change->leader = 9;
    EXPECT(fakereplica_end(&g.replica, 1, REPLICA_NOT_DONE) == 1);
    settle(&g);
    REPLIES(&g, "+OK\r\n", "+OK\r\n", "-NOTLEADER node 9 leads", "$1\r\n1\r\n");
    JOBS(&g, "0 raft snapshot", "0 raft snapshot", "0 raft transfer");
    q = LIST_ENTRY(g.replica.requests.next, struct replica_request, link);
    EXPECT(q->change->kind == REPLICA_SNAPSHOT);
    q->change->place = (struct raft_place){70, 6};
    EXPECT(fakereplica_end(&g.replica, 1, REPLICA_DONE) == 1);
    turn(&g);
    EXPECT(fakereplica_end(&g.replica, 1, REPLICA_NOT_DONE) == 1);
    turn(&g);
    q = LIST_ENTRY(g.replica.requests.next, struct replica_request, link);
    EXPECT(q->change->kind == REPLICA_TRANSFER && q->change->node == 0);
    settle(&g);
    REPLIES(&g, "*4\r\n$5\r\nindex\r\n:70\r\n$4\r\nterm\r\n:6\r\n",
            "-TRYAGAIN the database was not written out", "+OK\r\n");
    JOBS(&g, "0 raft join 4 18446744073709551615 127.0.0.1:7 learner", "0 raft join 4 77 here",
         "0 raft join 4 77 127.0.0.1:7 voter", "0 raft join 4 0 127.0.0.1:7");
    expect_flying(&g, "c");
    q = LIST_ENTRY(g.replica.requests.next, struct replica_request, link);
    EXPECT(q->change->kind == REPLICA_JOIN && q->change->node == 4 && q->change->learner);
    EXPECT(q->change->incarnation == UINT64_MAX);
    EXPECT(slice_equal(q->change->address, slice_text("127.0.0.1:7")));
    EXPECT(fakereplica_end(&g.replica, 1, REPLICA_UNKNOWN) == 1);
    turn(&g);
    REPLIES(&g, "-UNKNOWN", "-ERR an address is", "-ERR syntax error", "-ERR value is not");
    JOBS(&g, "0 raft promote x", "0 raft promote", "0 raft transfer 0", "0 raft nonsense",
         "0 multi", "0 raft remove 2", "0 exec", "0 raft address 4 nowhere",
         "0 raft address 4 127.0.0.1:7", "0 raft members");
    expect_flying(&g, "wW");
    settle(&g);
    EXPECT(g.replica.sm.addresses_changed);
    REPLIES(&g, "-ERR value is not an integer", "-ERR unknown subcommand",
            "-ERR value is not an integer", "-ERR unknown subcommand", "+OK\r\n",
            "-ERR Command not allowed", "-EXECABORT", "-ERR an address is", "+OK\r\n",
            "*2\r\n*6\r\n$4\r\nnode\r\n:3\r\n$11\r\nincarnation\r\n$2\r\n30\r\n$4\r\nrole\r\n"
            "$5\r\nvoter\r\n*6\r\n$4\r\nnode\r\n:4\r\n$11\r\nincarnation\r\n$2\r\n40\r\n$4\r\n"
            "role\r\n$7\r\nlearner\r\n");
    rig_release(&g);
}

static void look_around(void *arg, struct memberview *v)
{
    EXPECT(arg == NULL);
    *v = (struct memberview){
        .waits = true, .count = 3, .rows = {{.id = 5, .met = true}, {.id = 6}, {.id = 8}}};
}

/* The one reply that was handed back contains that, or does not. */
static bool tells(struct rig *g, const char *what)
{
    struct slice info = LIST_ENTRY(g->done.next, struct job, link)->out.bytes;
    size_t size = strlen(what);
    bool found = false;
    for (size_t i = 0; i + size <= info.size && !found; i++) {
        found = memcmp(info.data + i, what, size) == 0;
    }
    return found;
}

static void front__info_tells_of_group_and_engine(void)
{
    struct rig g;
    rig_init(&g);
    g.core->look = look_around;
    JOBS(&g, "0 info");
    EXPECT(tells(&g, "founders_missing:6,8\r\n"));
    EXPECT(tells(&g, "# Persistence\r\nloading:0\r\nsequence:"));
    EXPECT(tells(&g, "memory_bytes:77\r\n") && tells(&g, "# Engine\r\ntables:3\r\n"));
    EXPECT(tells(&g, "log_first:11\r\nlog_files:2\r\nlog_bytes:4096\r\n"));
    EXPECT(tells(&g, "sessions:44\r\n") && tells(&g, "snapshot:33\r\n"));
    done_drop(&g);
    g.core->look = NULL;
    g.replica.exchanging = true;
    JOBS(&g, "0 info persistence", "0 info engine");
    EXPECT(tells(&g, "loading:1\r\n") && !tells(&g, "sequence"));
    done_drop(&g);
    JOBS(&g, "0 info engine raft");
    EXPECT(!tells(&g, "# Engine") && tells(&g, "# Raft") && !tells(&g, "founders"));
    done_drop(&g);
    rig_release(&g);
}

/* Connections go while their requests are under way; the node stops. */
static void front__ends_in_good_order(void)
{
    struct rig g;
    rig_init(&g);
    JOBS(&g, "0 set a 1", "0 get a", "1 quit", "1 set c 1");
    list_insert(&g.jobs, &g.sessions[0]->end.link);
    g.sessions[0] = NULL;
    front_end(g.core->front);
    EXPECT(g.replica.abandoned);
    JOBS(&g, "2 set b 1", "2 ping");
    expect_flying(&g, "wW");
    EXPECT(front_flying(g.core->front) == 2);
    REPLIES(&g, "+OK\r\n", "", "-TRYAGAIN this node is stopping", "+PONG\r\n");
    EXPECT(fakereplica_end(&g.replica, 2, REPLICA_UNKNOWN) == 2);
    turn(&g);
    REPLIES(&g, "-UNKNOWN", "-UNKNOWN");
    g.replica.failed = ST_IO;
    rig_release(&g);
}

static void front__a_failed_replica_ends_the_node(void)
{
    struct rig g;
    rig_init(&g);
    JOBS(&g, "0 set a 1");
    g.replica.failed = ST_IO;
    EXPECT(fakereplica_end(&g.replica, 1, REPLICA_UNKNOWN) == 1);
    turn(&g);
    EXPECT(g.core->stop_asked);
    REPLIES(&g, "-UNKNOWN");
    rig_release(&g);
}

/* However often memory is refused, each job is answered, once, in order. */
static void front__refused_memory_is_answered(void)
{
    long reached = 0;
    for (long n = 0;; n++) {
        struct rig g;
        rig_init(&g);
        JOBS(&g, "0 set warm 1");
        settle(&g);
        done_drop(&g);
        long before = g.te.allocs;
        g.te.fail_at = before + n;
        job_add(&g, "0 set a 1");
        job_add(&g, "0 get a");
        job_add(&g, "1 multi");
        job_add(&g, "1 set b 1");
        job_add(&g, "1 get nothing");
        job_add(&g, "1 exec");
        job_add(&g, "2 range - +");
        uint32_t jobs = 0;
        for (struct list *l = g.jobs.next; l != &g.jobs; l = l->next) {
            jobs++;
        }
        settle(&g);
        uint32_t answers = 0;
        for (struct list *l = g.done.next; l != &g.done; l = l->next) {
            const struct job *j = LIST_ENTRY(l, struct job, link);
            EXPECT(j->out.bytes.size > 0 || j->session->closing);
            answers++;
        }
        EXPECT(answers == jobs);
        bool refused = g.te.allocs > before + n;
        g.te.fail_at = -1;
        rig_release(&g);
        if (!refused) {
            break;
        }
        reached = n;
    }
    EXPECT(reached > 15);
}

/* ---- jobs of protobuf ---- */

struct pbrig {
    struct rig g;
    struct pbfront pb;
    struct pbarena arena;
    struct pbmsg_response r; /* the last one */
};

static void pbrig_init(struct pbrig *p)
{
    rig_init(&p->g);
    pbfront_init(&p->pb, &p->g.te.env.mem);
    pbarena_init(&p->arena, &p->g.posix->mem, 1u << 20, 0);
}

static void pbrig_release(struct pbrig *p)
{
    pbarena_release(&p->arena);
    pbfront_release(&p->pb);
    rig_release(&p->g);
}

/* Hands a request in, of session 0. */
static struct job *pb_add(struct pbrig *p, const struct pbmsg_request *r, uint64_t now)
{
    struct buf message;
    struct job *j;
    buf_init(&message, &p->g.posix->mem);
    EXPECT(pbenc_append(&pbmsg_request_table, r, &message) == ST_OK);
    EXPECT(pbfront_job(&p->pb, buf_slice(&message), now, &j) == ST_OK);
    buf_release(&message);
    j->session = p->g.sessions[0];
    list_insert(&p->g.jobs, &j->link);
    return j;
}

/* Its response, when nothing else was handed back; it points into the job. */
static void pb_answer(struct pbrig *p, struct job *j)
{
    struct frame_reader reader;
    struct pbdec_error error;
    struct slice message;
    EXPECT(p->g.done.next == &j->link && p->g.done.prev == &j->link);
    EXPECT(pbfront_answer(&p->pb, j) == ST_OK);
    frame_init(&reader, FRAME_CLIENT, 1u << 30, false);
    EXPECT(buf_slice(&j->reply).data == j->out.bytes.data);
    EXPECT(frame_parse(&reader, j->reply.data, j->reply.size, &message) == ST_OK);
    pbarena_reset(&p->arena);
    EXPECT(pbdec_read(&pbmsg_response_table, message, &p->arena, &p->r, &error) == ST_OK);
}

static void pb_ask(struct pbrig *p, const struct pbmsg_request *r)
{
    done_drop(&p->g);
    struct job *j = pb_add(p, r, 0);
    settle(&p->g);
    pb_answer(p, j);
}

/* A batch that brought its queue, in a session, with a deadline of its own. */
static void front__a_request_brings_its_head_along(void)
{
    struct pbrig p;
    struct pbmsg_op ops[] = {{.op = PBMSG_INCR, .incr = {.key = slice_text("n"), .delta = 3}},
                             {.op = PBMSG_GET, .get.key = slice_text("n")}};
    struct pbmsg_request r = {.id = 1,
                              .session = 8,
                              .sequence = 5,
                              .answered = 4,
                              .timeout_ms = 70,
                              .op = PBMSG_BATCH,
                              .batch.ops = {ops, 2}};
    pbrig_init(&p);
    uint64_t now = env_clock_mono(p.g.posix) + 1000000000; /* time enough for a busy machine */
    struct job *j = pb_add(&p, &r, now);
    turn(&p.g);
    EXPECT(!list_empty(&p.g.replica.requests));
    const struct replica_request *q =
        LIST_ENTRY(p.g.replica.requests.next, struct replica_request, link);
    EXPECT(!q->reads && q->head.transaction && q->head.commands == 2);
    EXPECT(q->head.session == 8 && q->head.sequence == 5 && q->head.answered == 4);
    EXPECT(q->deadline == now + 70000000);
    settle(&p.g);
    pb_answer(&p, j);
    EXPECT(p.r.batch.results.count == 2);
    pbrig_release(&p);
}

/* Of a write its entry's, of a read that of the state that it saw. */
static void front__responses_tell_their_index(void)
{
    struct pbrig p;
    pbrig_init(&p);
    p.g.replica.index = 40;
    struct pbmsg_request write = {.id = 1, .op = PBMSG_PUT, .put.key = slice_text("k")};
    pb_ask(&p, &write);
    EXPECT(p.r.code == PBMSG_CODE_OK && p.r.index == 41);
    pb_ask(&p, &write);
    EXPECT(p.r.index == 42);
    pb_ask(&p, &(struct pbmsg_request){.id = 2, .op = PBMSG_GET, .get.key = slice_text("k")});
    EXPECT(p.r.get.found && p.r.index == 42);
    pb_ask(&p, &(struct pbmsg_request){.id = 3, .op = PBMSG_PING});
    EXPECT(p.r.code == PBMSG_CODE_OK && p.r.index == 0);
    pbrig_release(&p);
}

static void look(void *arg, struct memberview *v)
{
    EXPECT(arg == NULL);
    *v = (struct memberview){
        .count = 2, .rows = {{.id = 9, .peers = "x"}, {.id = 3, .peers = "p:1", .clients = "c:2"}}};
}

/* All fields of the schema. */
static void front__a_group_is_looked_at(void)
{
    struct pbrig p;
    pbrig_init(&p);
    p.g.core->look = look;
    p.g.replica.leads = true;
    pb_ask(&p, &(struct pbmsg_request){.id = 1, .op = PBMSG_STATUS});
    const struct pbmsg_status_result *s = &p.r.status;
    EXPECT(p.r.code == PBMSG_CODE_OK && s->cluster == UINT64_MAX - 1 && s->node == 7);
    EXPECT(s->incarnation == UINT64_MAX && s->role == PBMSG_ROLE_LEADER && s->term == 5);
    EXPECT(s->leader == 7 && s->first_index == 11 && s->last_index == 99);
    EXPECT(s->durable_index == 98 && s->commit_index == 97 && s->applied_index == 96);
    EXPECT(s->snapshot_index == 33 && s->sessions == 44);
    EXPECT(s->version.size > 0 && s->progress.count == 2);
    const struct pbmsg_progress *one = &s->progress.items[0];
    EXPECT(one->node == 3 && one->match == 90 && one->next == 95 && one->silent_ms == 3);
    EXPECT(one->flow == PBMSG_FLOW_STREAM && s->progress.items[1].node == 4);
    pb_ask(&p, &(struct pbmsg_request){.id = 2, .op = PBMSG_MEMBERS});
    const struct pbmsg_members_result *m = &p.r.members;
    EXPECT(p.r.index == 0 && m->index == 12 && m->members.count == 2);
    EXPECT(m->members.items[0].incarnation == 30 && m->members.items[0].roles == 1);
    EXPECT(slice_equal(m->members.items[0].peer_address, slice_text("p:1")));
    EXPECT(slice_equal(m->members.items[0].address, slice_text("c:2")));
    EXPECT(m->members.items[1].roles == 4 && m->members.items[1].address.size == 0);
    p.g.replica.leads = false;
    pb_ask(&p, &(struct pbmsg_request){.id = 3, .op = PBMSG_STATUS});
    EXPECT(s->progress.count == 0 && s->sessions == 44);
    pbrig_release(&p);
}

/* The first request under way. */
static const struct replica_request *first_flying(struct rig *g)
{
    EXPECT(!list_empty(&g->replica.requests));
    return LIST_ENTRY(g->replica.requests.next, struct replica_request, link);
}

/* Reads of one freshness go together; those behind them wait, or they might see less. */
static void front__reads_are_as_fresh_as_their_connection_says(void)
{
    struct rig g;
    rig_init(&g);
    JOBS(&g, "0 consistency", "0 get a", "0 consistency local", "0 get a", "0 get b",
         "0 consistency", "0 consistency lease", "0 get a", "1 get c");
    expect_flying(&g, "rr");
    EXPECT(first_flying(&g)->fresh == REPLICA_LINEARIZABLE);
    EXPECT(fakereplica_end(&g.replica, 2, REPLICA_DONE) == 2);
    turn(&g);
    expect_flying(&g, "rr");
    EXPECT(first_flying(&g)->fresh == REPLICA_LOCAL && first_flying(&g)->min_index == 0);
    EXPECT(fakereplica_end(&g.replica, 2, REPLICA_DONE) == 2);
    turn(&g);
    expect_flying(&g, "r");
    EXPECT(first_flying(&g)->fresh == REPLICA_LEASE);
    settle(&g);
    REPLIES(&g, "$12\r\nlinearizable\r\n", "$-1\r\n", "+OK\r\n", "$-1\r\n", "$-1\r\n", "$-1\r\n",
            "$5\r\nlocal\r\n", "+OK\r\n", "$-1\r\n");
    JOBS(&g, "0 consistency stale", "0 consistency local now", "0 reset", "0 consistency");
    REPLIES(&g, "-ERR syntax error", "-ERR syntax error", "+RESET\r\n", "$12\r\nlinearizable\r\n");
    rig_release(&g);
}

static void front__reads_are_as_fresh_as_the_request_says(void)
{
    struct pbrig p;
    pbrig_init(&p);
    struct pbmsg_request r = {.id = 1,
                              .consistency = PBMSG_CONSISTENCY_LOCAL,
                              .min_index = 9,
                              .op = PBMSG_GET,
                              .get.key = slice_text("k")};
    (void)pb_add(&p, &r, 0);
    r.min_index = 8;
    (void)pb_add(&p, &r, 0);
    r.consistency = PBMSG_CONSISTENCY_LEASE;
    (void)pb_add(&p, &r, 0);
    turn(&p.g);
    expect_flying(&p.g, "rr");
    EXPECT(first_flying(&p.g)->fresh == REPLICA_LOCAL && first_flying(&p.g)->min_index == 9);
    EXPECT(fakereplica_end(&p.g.replica, 1, REPLICA_DONE) == 1);
    EXPECT(first_flying(&p.g)->min_index == 8);
    EXPECT(fakereplica_end(&p.g.replica, 1, REPLICA_DONE) == 1);
    turn(&p.g);
    expect_flying(&p.g, "r");
    EXPECT(first_flying(&p.g)->fresh == REPLICA_LEASE);
    settle(&p.g);
    r.consistency = 3;
    pb_ask(&p, &r);
    EXPECT(p.r.code == PBMSG_CODE_UNSUPPORTED);
    pbrig_release(&p);
}

static void front__members_are_added_by_protobuf(void)
{
    struct pbrig p;
    pbrig_init(&p);
    struct pbmsg_request add = {.id = 1,
                                .op = PBMSG_ADD_MEMBER,
                                .add_member = {.node = 4,
                                               .incarnation = UINT64_MAX,
                                               .peer_address = slice_text("127.0.0.1:7")}};
    struct job *j = pb_add(&p, &add, 0);
    turn(&p.g);
    struct replica_request *q = LIST_ENTRY(p.g.replica.requests.next, struct replica_request, link);
    EXPECT(q->change->kind == REPLICA_JOIN && q->change->node == 4 && !q->change->learner);
    EXPECT(q->change->incarnation == UINT64_MAX);
    EXPECT(slice_equal(q->change->address, slice_text("127.0.0.1:7")));
    q->change->place.index = 8;
    settle(&p.g);
    pb_answer(&p, j);
    EXPECT(p.r.code == PBMSG_CODE_OK && p.r.add_member.index == 8);
    add.add_member.incarnation = 0;
    pb_ask(&p, &add);
    EXPECT(p.r.code == PBMSG_CODE_BAD_REQUEST);
    pbrig_release(&p);
}

static void front__changes_are_answered_with_what_came_of_them(void)
{
    struct pbrig p;
    pbrig_init(&p);
    struct job *j = pb_add(&p, &(struct pbmsg_request){.id = 1, .op = PBMSG_SNAPSHOT}, 0);
    turn(&p.g);
    struct replica_request *q = LIST_ENTRY(p.g.replica.requests.next, struct replica_request, link);
    EXPECT(q->change != NULL && q->change->kind == REPLICA_SNAPSHOT);
    q->change->place = (struct raft_place){70, 6};
    settle(&p.g);
    pb_answer(&p, j);
    EXPECT(p.r.code == PBMSG_CODE_OK && p.r.snapshot.index == 70 && p.r.snapshot.term == 6);
    done_drop(&p.g);
    j = pb_add(&p, &(struct pbmsg_request){.id = 2, .op = PBMSG_TRANSFER}, 0);
    turn(&p.g);
    q = LIST_ENTRY(p.g.replica.requests.next, struct replica_request, link);
    EXPECT(q->change->kind == REPLICA_TRANSFER && q->change->node == 0);
    q->change->node = 3;
    settle(&p.g);
    pb_answer(&p, j);
    EXPECT(p.r.code == PBMSG_CODE_OK && p.r.transfer.leader == 3);
    done_drop(&p.g);
    struct pbmsg_request remove = {.id = 3, .op = PBMSG_REMOVE_MEMBER, .remove_member.node = 4};
    j = pb_add(&p, &remove, 0);
    turn(&p.g);
    q = LIST_ENTRY(p.g.replica.requests.next, struct replica_request, link);
    q->change->why = RAFT_NOT_LEADER;
    q->change->leader = 9;
    EXPECT(fakereplica_end(&p.g.replica, 1, REPLICA_NOT_DONE) == 1);
    turn(&p.g);
    pb_answer(&p, j);
    EXPECT(p.r.code == PBMSG_CODE_NOT_LEADER && p.r.has_leader && p.r.leader.node == 9);
    pbrig_release(&p);
}

TAP_MAIN({
    RUN(front__a_request_brings_its_head_along);
    RUN(front__responses_tell_their_index);
    RUN(front__changes_are_answered_with_what_came_of_them);
    RUN(front__members_are_added_by_protobuf);
    RUN(front__reads_are_as_fresh_as_their_connection_says);
    RUN(front__reads_are_as_fresh_as_the_request_says);
    RUN(front__a_group_is_looked_at);
    RUN(front__a_pipeline_is_a_run_by_the_log);
    RUN(front__reads_ask_and_are_executed_here);
    RUN(front__what_the_log_cannot_do_parts_a_pipeline);
    RUN(front__a_transaction_is_one_request);
    RUN(front__says_what_is_known);
    RUN(front__requests_of_a_session_carry_their_number);
    RUN(front__changes_go_to_the_core_one_by_one);
    RUN(front__info_tells_of_group_and_engine);
    RUN(front__ends_in_good_order);
    RUN(front__a_failed_replica_ends_the_node);
    RUN(front__refused_memory_is_answered);
})
