/* test_node.c - node_main as a whole on the POSIX Env: real threads, sockets, files and engine.
 *
 * The node runs on a thread of its own with its own Env under a test_env, which counts what it
 * holds and cuts its reads and writes; clients talk to it through net/respclient. */
#include "node/node.h"

#include "env/addr.h"
#include "env/env_posix.h"
#include "net/client.h"
#include "net/respclient.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdio.h>
#include <stdlib.h>

#define SECOND    1000000000ull
#define ARGS_MAX  24
#define BIG_BYTES (3u << 20)

struct node {
    struct tmpdir dir;
    struct env *real; /* the node's, rooted in dir, under te */
    struct inject te;
    struct env *here; /* of the test's own thread */
    struct env_thread thread;
    struct env_mutex mutex;
    struct env_cond said;
    char console[4096];
    size_t console_size;
    bool ended;
    int code;
    int argc;
    char *argv[ARGS_MAX];
    struct env_addr addr;
};

static struct node *running; /* console carries no argument of ours */

static void on_console(struct env *e, bool error, const char *text, size_t size)
{
    (void)e, (void)error;
    struct node *n = running;
    env_mutex_lock(n->here, &n->mutex);
    if (n->console_size + size < sizeof n->console) {
        memcpy(n->console + n->console_size, text, size);
        n->console_size += size;
    }
    env_cond_broadcast(n->here, &n->said);
    env_mutex_unlock(n->here, &n->mutex);
}

static void on_log(struct env *e, enum env_log_level level, const char *text)
{
    (void)e, (void)level, (void)text;
}

static void node_thread(void *arg)
{
    struct node *n = (struct node *)arg;
    int code = node_main(&n->te.env, n->argc, n->argv);
    env_mutex_lock(n->here, &n->mutex);
    n->code = code;
    n->ended = true;
    env_cond_broadcast(n->here, &n->said);
    env_mutex_unlock(n->here, &n->mutex);
}

/* Starts node_main with arguments that end with NULL, and waits until it listens or ends. */
static void node_begin(struct node *n, char *const *args)
{
    struct env_posix_options o = {.root = n->dir.path};
    EXPECT(env_posix_new(&o, &n->real) == ST_OK);
    long fail_at = n->te.fail_at;
    size_t io_max = n->te.io_max;
    test_env_init(&n->te, n->real);
    n->te.fail_at = fail_at;
    n->te.io_max = io_max;
    n->te.vt.console = on_console;
    n->te.vt.log = on_log;
    running = n;
    n->console_size = 0;
    memset(n->console, 0, sizeof n->console);
    n->ended = false;
    n->argc = 0;
    static char program[] = "tinykv";
    n->argv[n->argc++] = program;
    while (*args != NULL && n->argc < ARGS_MAX) {
        n->argv[n->argc++] = *args++;
    }
    EXPECT(env_thread_start(n->here, &n->thread, "node", node_thread, n) == ST_OK);
    env_mutex_lock(n->here, &n->mutex);
    while (!n->ended && strstr(n->console, "listening on") == NULL) {
        (void)env_cond_wait(n->here, &n->said, &n->mutex, ENV_NEVER);
    }
    char *at = strstr(n->console, "listening on ");
    if (at != NULL) {
        char text[ADDR_TEXT_MAX] = "";
        (void)sscanf(at + 13, "%47s", text);
        EXPECT(addr_parse(text, &n->addr, NULL) == ST_OK);
    }
    env_mutex_unlock(n->here, &n->mutex);
}

static void node_init(struct node *n)
{
    memset(n, 0, sizeof *n);
    EXPECT(env_posix_new(NULL, &n->here) == ST_OK);
    env_mutex_init(n->here, &n->mutex);
    env_cond_init(n->here, &n->said);
    tmpdir_make(&n->dir);
    n->te.fail_at = -1;
}

/* Waits for its end: this exit code, and nothing is held any more. */
static void node_join(struct node *n, int code)
{
    env_thread_join(n->here, &n->thread);
    EXPECT(n->code == code);
    EXPECT(n->te.live == 0);
    EXPECT(n->te.descriptors == 0);
    env_posix_free(n->real);
}

static void node_stop(struct node *n)
{
    env_posix_request_stop(n->real);
    node_join(n, 0);
}

static void node_release(struct node *n)
{
    env_cond_release(n->here, &n->said);
    env_mutex_release(n->here, &n->mutex);
    tmpdir_remove(&n->dir);
    env_posix_free(n->here);
}

#define NODE_BEGIN(n, ...)                                                                 \
    do {                                                                                   \
        static char node_args[][40] = {"serve", "--data=data", "--listen=127.0.0.1:0",     \
                                       __VA_ARGS__};                                       \
        char *node_argv[sizeof node_args / sizeof *node_args + 1] = {NULL};                \
        for (size_t node_i = 0; node_i < sizeof node_args / sizeof *node_args; node_i++) { \
            node_argv[node_i] = node_args[node_i];                                         \
        }                                                                                  \
        node_begin((n), node_argv);                                                        \
    } while (0)

/* ---- clients ---- */

static uint64_t soon(struct node *n)
{
    return env_clock_mono(n->here) + 20 * SECOND;
}

static void resp_open(struct node *n, struct respclient *c)
{
    EXPECT(respclient_open(c, n->here, &n->addr, soon(n)) == ST_OK);
}

/* Calls words that end with NULL; true when the reply's root has this text, or for "(nil)". */
static bool call(struct node *n, struct respclient *c, const char *want, const char *const *words)
{
    size_t count = 0;
    while (words[count] != NULL) {
        count++;
    }
    enum status st = respclient_call(c, words, count, soon(n));
    if (st != ST_OK) {
        printf("# %s: %s\n", words[0], status_name(st));
        return false;
    }
    const struct respval_node *root = &c->value.nodes[0];
    char number[24];
    (void)snprintf(number, sizeof number, "%lld", (long long)root->integer);
    struct slice got = root->type == RESPVAL_INTEGER ? slice_text(number)
                       : root->type == RESPVAL_NULL  ? slice_text("(nil)")
                                                     : respclient_text(c, 0);
    bool same = slice_equal(got, slice_text(want));
    if (!same) {
        printf("# %s: %.*s\n", words[0], (int)(got.size < 200 ? got.size : 200), got.data);
    }
    return same;
}

#define CALL(n, c, want, ...) \
    EXPECT(call((n), (c), (want), (const char *const[]){__VA_ARGS__, NULL}))

static void test_node__keeps_what_it_answered_over_a_restart(void)
{
    struct node n;
    struct respclient c;
    node_init(&n);
    NODE_BEGIN(&n, "--verify");
    resp_open(&n, &c);
    CALL(&n, &c, "OK", "SET", "a", "1");
    CALL(&n, &c, "OK", "DURABILITY", "buffered");
    CALL(&n, &c, "OK", "MSET", "b", "2", "c", "3");
    CALL(&n, &c, "1", "DEL", "c");
    CALL(&n, &c, "OK", "MULTI");
    CALL(&n, &c, "QUEUED", "INCR", "a");
    CALL(&n, &c, "QUEUED", "GET", "a");
    EXPECT(respclient_call(&c, (const char *[]){"EXEC"}, 1, soon(&n)) == ST_OK);
    EXPECT(c.value.nodes[0].count == 2 && c.value.nodes[1].integer == 2);
    respclient_close(&c);
    node_stop(&n);
    NODE_BEGIN(&n, "--verify");
    resp_open(&n, &c);
    CALL(&n, &c, "2", "GET", "a");
    CALL(&n, &c, "2", "GET", "b");
    CALL(&n, &c, "2", "DBSIZE");
    respclient_close(&c);
    node_stop(&n);
    node_release(&n);
}

/* Reads and writes of a few bytes at a time, thousands of pipelined requests, large values: the
 * replies are those, in that order (P27, P28). */
static void test_node__pipelines_in_pieces(void)
{
    enum { REQUESTS = 3000 };
    struct node n;
    struct respclient c;
    static char big[5000];
    node_init(&n);
    n.te.io_max = 7;
    NODE_BEGIN(&n, "--durability=buffered", "--inflight=50");
    resp_open(&n, &c);
    memset(big, 'x', sizeof big);
    for (int i = 0; i < REQUESTS; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        size_t size = i % 500 == 0 ? sizeof big : (size_t)(i % 20);
        struct slice set[] = {slice_text("SET"), slice_text(key), slice_of(big, size)};
        struct slice get[] = {slice_text("GET"), slice_text(key)};
        EXPECT(respclient_queue(&c, set, 3, NULL) == ST_OK);
        EXPECT(respclient_queue(&c, get, 2, NULL) == ST_OK);
    }
    for (int i = 0; i < REQUESTS; i++) {
        size_t size = i % 500 == 0 ? sizeof big : (size_t)(i % 20);
        if (respclient_receive(&c, soon(&n)) != ST_OK || respclient_text(&c, 0).size != 2 ||
            respclient_receive(&c, soon(&n)) != ST_OK ||
            !slice_equal(respclient_text(&c, 0), slice_of(big, size))) {
            EXPECT(!"a wrong reply");
            break;
        }
    }
    respclient_close(&c);
    node_stop(&n);
    n.te.io_max = 0;
    node_release(&n);
}

/* The peer ends its direction behind its requests: all are answered, then the node closes. */
/* The same port, in protobuf, by real sockets in pieces of seven bytes. */
static void test_node__speaks_protobuf(void)
{
    struct node n;
    struct client *c = NULL;
    struct client_options o;
    static struct client_call calls[500];
    node_init(&n);
    n.te.io_max = 7;
    NODE_BEGIN(&n, "--inflight=100");
    client_options_init(&o);
    o.nodes = &n.addr;
    o.node_count = 1;
    EXPECT(client_new(n.here, &o, &c) == ST_OK);
    for (int i = 0; i < 500; i++) {
        calls[i] = (struct client_call){.deadline = soon(&n)};
        calls[i].request.op = PBMSG_INCR;
        calls[i].request.incr = (struct pbmsg_incr){.key = slice_text("n"), .delta = 2};
        client_send(c, &calls[i]);
    }
    struct client_call get = {.deadline = soon(&n)};
    get.request.op = PBMSG_GET;
    get.request.get.key = slice_text("n");
    EXPECT(client_run(c, &get) == ST_OK && get.outcome == CLIENT_DONE);
    EXPECT(slice_equal(get.response->get.value, slice_text("1000")));
    for (int i = 0; i < 500; i++) {
        EXPECT(calls[i].outcome == CLIENT_DONE && calls[i].attempts == 1);
    }
    node_stop(&n);
    get.deadline = env_clock_mono(n.here); /* nobody is there, and it says so at once */
    EXPECT(client_run(c, &get) == ST_OK && get.outcome == CLIENT_NOT_DONE);
    client_free(c);
    node_release(&n);
}

static void test_node__half_close_is_answered(void)
{
    struct node n;
    struct respclient c;
    node_init(&n);
    NODE_BEGIN(&n, "--inflight=3");
    resp_open(&n, &c);
    for (int i = 0; i < 50; i++) {
        EXPECT(respclient_queue_raw(&c, slice_text("incr n\r\n"), NULL) == ST_OK);
    }
    EXPECT(respclient_queue_raw(&c, slice_text("*1\r\n$4\r\nPI"), NULL) == ST_OK);
    EXPECT(respclient_flush(&c, soon(&n)) == ST_OK);
    EXPECT(respclient_end(&c) == ST_OK);
    for (int i = 1; i <= 50; i++) {
        EXPECT(respclient_receive(&c, soon(&n)) == ST_OK);
        EXPECT(c.value.nodes[0].integer == i);
    }
    EXPECT(respclient_receive(&c, soon(&n)) == ST_RESET); /* nothing more: it closed */
    EXPECT(respclient_left(&c, c.queued - 1));
    respclient_close(&c);
    node_stop(&n);
    node_release(&n);
}

/* Framing is lost: what came before is answered, then the error, then the close. */
static void test_node__protocol_error_answers_and_closes(void)
{
    static const char *const bad[] = {"*1\r\n:3\r\n", "*1\r\n$-5\r\n", "a \"b\r\n",
                                      "*1\r\n$9000\r\n"};
    struct node n;
    node_init(&n);
    NODE_BEGIN(&n, "--max-request=4096");
    for (size_t i = 0; i < 4; i++) {
        struct respclient c;
        resp_open(&n, &c);
        EXPECT(respclient_queue_raw(&c, slice_text("PING\r\n"), NULL) == ST_OK);
        EXPECT(respclient_queue_raw(&c, slice_text(bad[i]), NULL) == ST_OK);
        for (int more = 0; more < 1000; more++) {
            EXPECT(respclient_queue_raw(&c, slice_text("SET a 1\r\n"), NULL) == ST_OK);
        }
        EXPECT(respclient_receive(&c, soon(&n)) == ST_OK);
        EXPECT(slice_equal(respclient_text(&c, 0), slice_text("PONG")));
        EXPECT(respclient_receive(&c, soon(&n)) == ST_OK);
        EXPECT(c.value.nodes[0].type == RESPVAL_ERROR);
        EXPECT(memcmp(respclient_text(&c, 0).data, "ERR Protocol error: ", 20) == 0);
        EXPECT(respclient_receive(&c, soon(&n)) == ST_RESET);
        respclient_close(&c);
    }
    struct respclient c;
    resp_open(&n, &c);
    CALL(&n, &c, "0", "EXISTS", "a"); /* nothing behind the damage was executed */
    respclient_close(&c);
    node_stop(&n);
    node_release(&n);
}

/* One client asks for far more than it reads: the others are served, it is not read any more,
 * and it gets everything once it does read. */
static void test_node__who_does_not_read_is_not_read(void)
{
    enum { REQUESTS = 60 };
    struct node n;
    struct respclient slow;
    struct respclient c;
    char *big = malloc(BIG_BYTES);
    node_init(&n);
    NODE_BEGIN(&n, "--durability=buffered", "--inflight=2", "--output-limit=16m");
    resp_open(&n, &slow);
    resp_open(&n, &c);
    memset(big, 'y', BIG_BYTES);
    struct slice set[] = {slice_text("SET"), slice_text("big"), slice_of(big, BIG_BYTES)};
    EXPECT(respclient_queue(&c, set, 3, NULL) == ST_OK);
    EXPECT(respclient_receive(&c, soon(&n)) == ST_OK);
    for (int i = 0; i < REQUESTS; i++) {
        EXPECT(respclient_queue_raw(&slow, slice_text("get big\r\n"), NULL) == ST_OK);
    }
    struct env_slice part = {slow.out.data, slow.out.size};
    size_t put;
    EXPECT(env_sock_write(n.here, slow.fd, &part, 1, &put) == ST_OK);
    EXPECT(put == slow.out.size); /* sent without reading */
    buf_clear(&slow.out);
    for (int i = 0; i < 200; i++) {
        CALL(&n, &c, "PONG", "PING");
    }
    for (int i = 0; i < REQUESTS; i++) {
        EXPECT(respclient_receive(&slow, soon(&n)) == ST_OK);
        EXPECT(respclient_text(&slow, 0).size == BIG_BYTES);
    }
    respclient_close(&slow);
    respclient_close(&c);
    node_stop(&n);
    node_release(&n);
    free(big);
}

static void test_node__limits_on_clients_and_silence(void)
{
    struct node n;
    struct respclient a;
    struct respclient b;
    node_init(&n);
    NODE_BEGIN(&n, "--max-clients=1");
    resp_open(&n, &a);
    CALL(&n, &a, "PONG", "PING");
    resp_open(&n, &b);
    EXPECT(respclient_receive(&b, soon(&n)) == ST_OK);
    EXPECT(slice_equal(respclient_text(&b, 0), slice_text("ERR max number of clients reached")));
    EXPECT(respclient_receive(&b, soon(&n)) == ST_RESET);
    respclient_close(&b);
    CALL(&n, &a, "OK", "CONFIG", "SET", "max-clients", "2", "idle-timeout", "60");
    resp_open(&n, &b);
    EXPECT(respclient_receive(&b, soon(&n)) == ST_RESET); /* silent for 60 ms */
    EXPECT(respclient_receive(&a, soon(&n)) == ST_RESET);
    respclient_close(&a);
    respclient_close(&b);
    node_stop(&n);
    node_release(&n);
}

static void test_node__quit_and_shutdown(void)
{
    struct node n;
    struct respclient c;
    node_init(&n);
    NODE_BEGIN(&n, "--group-commands=1");
    resp_open(&n, &c);
    EXPECT(respclient_queue_raw(&c, slice_text("set a 1\r\nquit\r\nset a 2\r\n"), NULL) == ST_OK);
    EXPECT(respclient_receive(&c, soon(&n)) == ST_OK);
    EXPECT(respclient_receive(&c, soon(&n)) == ST_OK);
    EXPECT(respclient_receive(&c, soon(&n)) == ST_RESET);
    respclient_close(&c);
    resp_open(&n, &c);
    CALL(&n, &c, "1", "GET", "a");
    EXPECT(respclient_queue_raw(&c, slice_text("shutdown\r\n"), NULL) == ST_OK);
    EXPECT(respclient_receive(&c, soon(&n)) == ST_RESET);
    respclient_close(&c);
    node_join(&n, 0);
    node_release(&n);
}

/* Everything that was received before the stop is answered. */
static void test_node__stop_answers_what_it_received(void)
{
    struct node n;
    struct respclient c;
    node_init(&n);
    NODE_BEGIN(&n, "--group-commands=2", "--inflight=4");
    resp_open(&n, &c);
    CALL(&n, &c, "PONG", "PING");
    for (int i = 0; i < 300; i++) {
        EXPECT(respclient_queue_raw(&c, slice_text("incr n\r\n"), NULL) == ST_OK);
    }
    EXPECT(respclient_flush(&c, soon(&n)) == ST_OK);
    EXPECT(respclient_receive(&c, soon(&n)) == ST_OK); /* it has read them: one small write */
    env_posix_request_stop(n.real);
    int64_t last = 1;
    while (respclient_receive(&c, soon(&n)) == ST_OK) {
        EXPECT(c.value.nodes[0].integer == last + 1);
        last = c.value.nodes[0].integer;
    }
    EXPECT(last == 300);
    respclient_close(&c);
    node_join(&n, 0);
    node_release(&n);
}

static void test_node__bad_usage_is_one_line(void)
{
    static const struct {
        const char *args[4];
        const char *says;
    } rows[] = {
        {{NULL}, "a command is needed"},
        {{"frob"}, "unknown command 'frob'"},
        {{"serve"}, "--data DIR is required"},
        {{"serve", "--nope"}, "unknown option '--nope'"},
        {{"serve", "x"}, "unexpected argument 'x'"},
        {{"serve", "--data"}, "--data needs a value"},
        {{"serve", "--data=d", "--listen=127.0.0.1:99999"}, "port must be"},
        {{"serve", "--data=d", "--listen=localhost:1"}, "numeric"},
        {{"serve", "--data=d", "--max-clients=0"}, "max-clients must be a number from 1"},
        {{"serve", "--data=d", "--write-buffer=9x"}, "write-buffer must be"},
        {{"serve", "--data=d", "--durability=maybe"}, "sync or buffered"},
        {{"serve", "--data=d", "--verify=1"}, "--verify takes no value"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct node n;
        char args[4][48];
        char *argv[5] = {NULL};
        node_init(&n);
        for (int a = 0; a < 4 && rows[i].args[a] != NULL; a++) {
            (void)snprintf(args[a], sizeof args[a], "%s", rows[i].args[a]);
            argv[a] = args[a];
        }
        node_begin(&n, argv);
        node_join(&n, 2);
        EXPECT(strstr(n.console, rows[i].says) != NULL);
        EXPECT(strchr(n.console, '\n') == n.console + n.console_size - 1);
        node_release(&n);
    }
}

/* Every allocation of starting, serving a client and stopping refused once: the node says why it
 * cannot start, or the client sees an error or a close; what was answered OK is there after. */
static void test_node__refused_memory_loses_nothing(void)
{
    struct node n;
    node_init(&n);
    for (long at = 0;; at++) {
        struct respclient c;
        bool acked = false;
        n.te.fail_at = at;
        char value[24];
        (void)snprintf(value, sizeof value, "%ld", at);
        NODE_BEGIN(&n, "--cursors=2");
        if (n.ended) {
            EXPECT(strncmp(n.console, "tinykv: ", 8) == 0);
            node_join(&n, 1);
            continue;
        }
        resp_open(&n, &c);
        enum status st = respclient_call(&c, (const char *[]){"SET", "k", value}, 3, soon(&n));
        acked = st == ST_OK && c.value.nodes[0].type == RESPVAL_SIMPLE;
        EXPECT(st == ST_OK || st == ST_RESET);
        respclient_close(&c);
        env_posix_request_stop(n.real);
        env_thread_join(n.here, &n.thread);
        bool reached = n.te.allocs > at;
        EXPECT(n.te.live == 0 && n.te.descriptors == 0);
        env_posix_free(n.real);
        n.te.fail_at = -1;
        NODE_BEGIN(&n, "--cursors=2");
        resp_open(&n, &c);
        EXPECT(respclient_call(&c, (const char *[]){"GET", "k"}, 2, soon(&n)) == ST_OK);
        EXPECT(!acked || slice_equal(respclient_text(&c, 0), slice_text(value)));
        respclient_close(&c);
        node_stop(&n);
        if (!reached) {
            EXPECT(at > 10);
            break;
        }
    }
    n.te.fail_at = -1;
    node_release(&n);
}

TAP_MAIN({
    RUN(test_node__keeps_what_it_answered_over_a_restart);
    RUN(test_node__pipelines_in_pieces);
    RUN(test_node__speaks_protobuf);
    RUN(test_node__half_close_is_answered);
    RUN(test_node__protocol_error_answers_and_closes);
    RUN(test_node__who_does_not_read_is_not_read);
    RUN(test_node__limits_on_clients_and_silence);
    RUN(test_node__quit_and_shutdown);
    RUN(test_node__stop_answers_what_it_received);
    RUN(test_node__bad_usage_is_one_line);
    RUN(test_node__refused_memory_loses_nothing);
})
