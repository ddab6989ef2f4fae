/* test_env_posix_sock.c - TCP of the POSIX Env, on loopback, ports chosen by the kernel. */
#define _GNU_SOURCE
#include "env/env_posix.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#define LONG_NS 10000000000u /* a test that waits this long has failed */

static const struct env_addr loopback4 = {.family = 4, .ip = {127, 0, 0, 1}};
static const struct env_addr loopback6 = {.family = 6, .ip = {[15] = 1}};

struct pair {
    struct env *env;
    int listener;
    int client;
    int server;
    int poller;
    struct env_addr addr; /* where the listener is */
};

/* Waits until fd shows one of the bits; returns what it shows, 0 when it never does. */
static uint32_t wait_ready(struct pair *p, int fd, unsigned interest)
{
    struct env_event ev;
    int count = 0;
    uint64_t end = env_clock_mono(p->env) + LONG_NS;
    if (env_poller_set(p->env, p->poller, fd, interest, 1) != ST_OK) {
        return 0;
    }
    while (count == 0 && env_clock_mono(p->env) < end) {
        if (env_poller_wait(p->env, p->poller, &ev, 1, end, &count) != ST_OK) {
            count = 0; /* ST_INTR: again */
        }
    }
    return env_poller_set(p->env, p->poller, fd, 0, 0) == ST_OK && count == 1 ? ev.ready : 0;
}

static bool listen_on(struct pair *p, struct env *env, const struct env_addr *where)
{
    *p = (struct pair){.env = env, .listener = -1, .client = -1, .server = -1};
    return env_poller_open(env, &p->poller) == ST_OK &&
           env_sock_listen(env, where, 8, &p->listener) == ST_OK &&
           env_sock_local(env, p->listener, &p->addr) == ST_OK;
}

static bool connect_pair(struct pair *p, struct env *env, const struct env_addr *where)
{
    struct env_addr peer, local;
    if (!listen_on(p, env, where)) {
        return false;
    }
    enum status st = env_sock_connect(env, &p->addr, &p->client);
    if (st != ST_OK && st != ST_INPROGRESS) {
        return false;
    }
    return (wait_ready(p, p->client, ENV_OUT) & ENV_OUT) != 0 &&
           env_sock_error(env, p->client) == ST_OK &&
           (wait_ready(p, p->listener, ENV_IN) & ENV_IN) != 0 &&
           env_sock_accept(env, p->listener, &p->server, &peer) == ST_OK &&
           env_sock_local(env, p->client, &local) == ST_OK &&
           memcmp(&peer, &local, sizeof peer) == 0;
}

static void close_pair(struct pair *p)
{
    const int fds[] = {p->client, p->server, p->listener, p->poller};
    for (int i = 0; i < 4; i++) {
        if (fds[i] >= 0) {
            EXPECT(env_fd_close(p->env, fds[i]) == ST_OK);
        }
    }
}

static enum status write_text(struct pair *p, int fd, const char *text, size_t *put)
{
    struct env_slice part = {text, strlen(text)};
    return env_sock_write(p->env, fd, &part, 1, put);
}

static void exchange(const struct env_addr *where)
{
    struct tmpdir t;
    struct pair p;
    size_t n = 0;
    char b[16];
    struct env_slice parts[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    tmpdir_make(&t);
    EXPECT(connect_pair(&p, t.env, where));
    EXPECT(p.addr.port != 0);
    EXPECT(env_sock_read(t.env, p.server, b, sizeof b, &n) == ST_AGAIN);
    EXPECT(env_sock_write(t.env, p.client, parts, 3, &n) == ST_OK);
    EXPECT(n == 5);
    EXPECT((wait_ready(&p, p.server, ENV_IN) & ENV_IN) != 0);
    EXPECT(env_sock_read(t.env, p.server, b, sizeof b, &n) == ST_OK);
    EXPECT(n == 5 && memcmp(b, "abcde", 5) == 0);
    EXPECT(env_sock_read(t.env, p.server, b, 0, &n) == ST_INVAL);
    EXPECT(env_sock_write(t.env, p.server, parts + 1, 1, &n) == ST_INVAL);
    close_pair(&p);
    tmpdir_remove(&t);
}

static void test_sock__bytes_cross_on_ipv4(void)
{
    exchange(&loopback4);
}

static void test_sock__bytes_cross_on_ipv6(void)
{
    struct tmpdir t;
    struct pair p;
    tmpdir_make(&t);
    bool there = listen_on(&p, t.env, &loopback6);
    close_pair(&p);
    tmpdir_remove(&t);
    if (there) {
        exchange(&loopback6);
    } else {
        SKIP("this machine has no IPv6 loopback");
    }
}

/* Half close: the end is read once the bytes are, and the other way stays open. */
static void test_sock__shutdown_ends_one_direction(void)
{
    struct tmpdir t;
    struct pair p;
    size_t n = 9;
    char b[8];
    tmpdir_make(&t);
    EXPECT(connect_pair(&p, t.env, &loopback4));
    EXPECT(write_text(&p, p.client, "bye", &n) == ST_OK);
    EXPECT(env_sock_shutdown(t.env, p.client) == ST_OK);
    EXPECT((wait_ready(&p, p.server, ENV_IN) & ENV_IN) != 0);
    EXPECT(env_sock_read(t.env, p.server, b, sizeof b, &n) == ST_OK);
    EXPECT(n == 3);
    EXPECT((wait_ready(&p, p.server, ENV_IN) & ENV_IN) != 0);
    EXPECT(env_sock_read(t.env, p.server, b, sizeof b, &n) == ST_OK);
    EXPECT(n == 0);
    EXPECT(write_text(&p, p.client, "x", &n) == ST_PIPE);
    EXPECT(write_text(&p, p.server, "yes", &n) == ST_OK);
    EXPECT((wait_ready(&p, p.client, ENV_IN) & ENV_IN) != 0);
    EXPECT(env_sock_read(t.env, p.client, b, sizeof b, &n) == ST_OK);
    EXPECT(n == 3);
    EXPECT(env_sock_shutdown(t.env, p.server) == ST_OK);
    EXPECT((wait_ready(&p, p.server, ENV_IN) & ENV_HUP) != 0); /* both directions */
    close_pair(&p);
    tmpdir_remove(&t);
}

/* Closing with bytes unread resets; the writer sees the reset, then a broken pipe. */
static void test_sock__unread_bytes_at_close_reset(void)
{
    struct tmpdir t;
    struct pair p;
    size_t n;
    char b[8];
    tmpdir_make(&t);
    EXPECT(connect_pair(&p, t.env, &loopback4));
    EXPECT(write_text(&p, p.client, "unread", &n) == ST_OK);
    EXPECT((wait_ready(&p, p.server, ENV_IN) & ENV_IN) != 0);
    EXPECT(env_fd_close(t.env, p.server) == ST_OK);
    p.server = -1;
    uint32_t ready = wait_ready(&p, p.client, ENV_IN);
    EXPECT((ready & ENV_ERR) != 0);
    EXPECT((ready & ENV_HUP) != 0);
    EXPECT(env_sock_read(t.env, p.client, b, sizeof b, &n) == ST_RESET);
    EXPECT(write_text(&p, p.client, "x", &n) == ST_PIPE);
    close_pair(&p);
    tmpdir_remove(&t);
}

static void test_sock__a_full_stream_says_again(void)
{
    struct tmpdir t;
    struct pair p;
    char *block = calloc(1, 1 << 16);
    struct env_slice part = {block, 1 << 16};
    size_t n, sent = 0, seen = 0;
    enum status st;
    tmpdir_make(&t);
    EXPECT(connect_pair(&p, t.env, &loopback4));
    EXPECT(env_sock_option(t.env, p.client, ENV_OPT_SEND_BUFFER, 1 << 16) == ST_OK);
    while ((st = env_sock_write(t.env, p.client, &part, 1, &n)) == ST_OK) {
        sent += n;
    }
    EXPECT(st == ST_AGAIN);
    EXPECT(sent > 1 << 16);
    while (seen < sent && (wait_ready(&p, p.server, ENV_IN) & ENV_IN) != 0) {
        EXPECT(env_sock_read(t.env, p.server, block, 1 << 16, &n) == ST_OK);
        seen += n;
    }
    EXPECT(seen == sent);
    EXPECT((wait_ready(&p, p.client, ENV_OUT) & ENV_OUT) != 0);
    close_pair(&p);
    free(block);
    tmpdir_remove(&t);
}

static void test_sock__nobody_listening_refuses(void)
{
    struct tmpdir t;
    struct pair p;
    int fd = -1;
    tmpdir_make(&t);
    EXPECT(listen_on(&p, t.env, &loopback4));
    EXPECT(env_fd_close(t.env, p.listener) == ST_OK);
    p.listener = -1;
    enum status st = env_sock_connect(t.env, &p.addr, &fd);
    if (st == ST_INPROGRESS) {
        EXPECT((wait_ready(&p, fd, ENV_OUT) & ENV_ERR) != 0);
        EXPECT(env_sock_error(t.env, fd) == ST_REFUSED);
        EXPECT(env_sock_error(t.env, fd) == ST_OK); /* asking cleared it */
        EXPECT(env_fd_close(t.env, fd) == ST_OK);
    } else {
        EXPECT(st == ST_REFUSED);
    }
    close_pair(&p);
    tmpdir_remove(&t);
}

static void test_sock__listen_errors(void)
{
    struct tmpdir t;
    struct pair p;
    struct env_addr peer, bad = {.family = 5};
    struct env_addr foreign = {.family = 4, .ip = {192, 0, 2, 1}}; /* TEST-NET: not ours */
    int fd = -1;
    tmpdir_make(&t);
    EXPECT(listen_on(&p, t.env, &loopback4));
    EXPECT(env_sock_listen(t.env, &p.addr, 8, &fd) == ST_ADDRUSE);
    EXPECT(env_sock_listen(t.env, &bad, 8, &fd) == ST_INVAL);
    EXPECT(env_sock_listen(t.env, &loopback4, 0, &fd) == ST_INVAL);
    EXPECT(env_sock_listen(t.env, &foreign, 8, &fd) == ST_UNREACH);
    EXPECT(env_sock_connect(t.env, &bad, &fd) == ST_INVAL);
    EXPECT(env_sock_accept(t.env, p.listener, &fd, &peer) == ST_AGAIN);
    EXPECT(fd == -1);
    /* the address is free again at once, although connections were there */
    EXPECT(env_fd_close(t.env, p.listener) == ST_OK);
    EXPECT(env_sock_listen(t.env, &p.addr, 8, &p.listener) == ST_OK);
    close_pair(&p);
    tmpdir_remove(&t);
}

/* Each family listens for itself: the same port can be had for both. */
static void test_sock__families_do_not_share_a_listener(void)
{
    struct tmpdir t;
    struct env_addr any6 = {.family = 6}, any4 = {.family = 4};
    int six, four;
    tmpdir_make(&t);
    if (env_sock_listen(t.env, &any6, 8, &six) != ST_OK) {
        SKIP("this machine has no IPv6");
    } else {
        EXPECT(env_sock_local(t.env, six, &any6) == ST_OK);
        any4.port = any6.port;
        EXPECT(env_sock_listen(t.env, &any4, 8, &four) == ST_OK);
        EXPECT(env_fd_close(t.env, four) == ST_OK);
        EXPECT(env_fd_close(t.env, six) == ST_OK);
    }
    tmpdir_remove(&t);
}

/* A server that closed first leaves its port in TIME_WAIT; SO_REUSEADDR lets it listen again. */
static void test_sock__a_restarted_server_gets_its_port(void)
{
    struct tmpdir t;
    struct pair p;
    tmpdir_make(&t);
    EXPECT(connect_pair(&p, t.env, &loopback4));
    EXPECT(env_fd_close(t.env, p.server) == ST_OK);
    EXPECT(env_fd_close(t.env, p.listener) == ST_OK);
    p.server = -1;
    EXPECT(env_sock_listen(t.env, &p.addr, 8, &p.listener) == ST_OK);
    close_pair(&p);
    tmpdir_remove(&t);
}

static int get_option(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    EXPECT(getsockopt(fd, level, name, &value, &size) == 0);
    return value;
}

static void test_sock__options_are_set(void)
{
    struct tmpdir t;
    struct pair p;
    tmpdir_make(&t);
    EXPECT(connect_pair(&p, t.env, &loopback4));
    EXPECT(env_sock_option(t.env, p.client, ENV_OPT_NODELAY, 1) == ST_OK);
    EXPECT(get_option(p.client, IPPROTO_TCP, TCP_NODELAY) != 0);
    EXPECT(env_sock_option(t.env, p.client, ENV_OPT_NODELAY, 0) == ST_OK);
    EXPECT(get_option(p.client, IPPROTO_TCP, TCP_NODELAY) == 0);
    EXPECT(env_sock_option(t.env, p.client, ENV_OPT_USER_TIMEOUT_MS, 1234) == ST_OK);
    EXPECT(get_option(p.client, IPPROTO_TCP, TCP_USER_TIMEOUT) == 1234);
    EXPECT(env_sock_option(t.env, p.client, ENV_OPT_KEEPALIVE_S, 30) == ST_OK);
    EXPECT(get_option(p.client, SOL_SOCKET, SO_KEEPALIVE) != 0);
    EXPECT(get_option(p.client, IPPROTO_TCP, TCP_KEEPIDLE) == 30);
    EXPECT(env_sock_option(t.env, p.client, ENV_OPT_KEEPALIVE_S, 1000000) == ST_OK);
    EXPECT(env_sock_option(t.env, p.client, ENV_OPT_KEEPALIVE_S, 0) == ST_OK);
    EXPECT(get_option(p.client, SOL_SOCKET, SO_KEEPALIVE) == 0);
    EXPECT(env_sock_option(t.env, p.client, ENV_OPT_SEND_BUFFER, 32768) == ST_OK);
    EXPECT(get_option(p.client, SOL_SOCKET, SO_SNDBUF) >= 32768);
    EXPECT(env_sock_option(t.env, p.client, ENV_OPT_RECEIVE_BUFFER, 32768) == ST_OK);
    EXPECT(get_option(p.client, SOL_SOCKET, SO_RCVBUF) >= 32768);
    EXPECT(env_sock_option(t.env, p.client, ENV_OPT_SEND_BUFFER, -1) == ST_INVAL);
    EXPECT(env_sock_option(t.env, p.client, (enum env_sockopt)99, 1) == ST_INVAL);
    close_pair(&p);
    tmpdir_remove(&t);
}

static void test_sock__wrong_kinds_are_bad_descriptors(void)
{
    struct tmpdir t;
    struct env_addr addr;
    struct env_slice part = {"x", 1};
    int file, fd;
    size_t n;
    char c;
    tmpdir_make(&t);
    EXPECT(env_file_open(t.env, "f", ENV_READ | ENV_WRITE | ENV_CREATE, &file) == ST_OK);
    EXPECT(env_sock_read(t.env, file, &c, 1, &n) == ST_BADFD);
    EXPECT(env_sock_write(t.env, file, &part, 1, &n) == ST_BADFD);
    EXPECT(env_sock_accept(t.env, file, &fd, &addr) == ST_BADFD);
    EXPECT(env_sock_error(t.env, file) == ST_BADFD);
    EXPECT(env_sock_shutdown(t.env, file) == ST_BADFD);
    EXPECT(env_sock_local(t.env, file, &addr) == ST_BADFD);
    EXPECT(env_sock_option(t.env, file, ENV_OPT_NODELAY, 1) == ST_BADFD);
    EXPECT(env_fd_close(t.env, file) == ST_OK);
    tmpdir_remove(&t);
}

static void test_sock__accept_wants_a_listener(void)
{
    struct tmpdir t;
    struct pair p;
    struct env_addr peer;
    int fd = -1;
    tmpdir_make(&t);
    EXPECT(connect_pair(&p, t.env, &loopback4));
    EXPECT(env_sock_accept(t.env, p.client, &fd, &peer) == ST_BADFD);
    EXPECT(fd == -1);
    close_pair(&p);
    tmpdir_remove(&t);
}

TAP_MAIN({
    RUN(test_sock__bytes_cross_on_ipv4);
    RUN(test_sock__bytes_cross_on_ipv6);
    RUN(test_sock__shutdown_ends_one_direction);
    RUN(test_sock__unread_bytes_at_close_reset);
    RUN(test_sock__a_full_stream_says_again);
    RUN(test_sock__nobody_listening_refuses);
    RUN(test_sock__listen_errors);
    RUN(test_sock__a_restarted_server_gets_its_port);
    RUN(test_sock__families_do_not_share_a_listener);
    RUN(test_sock__options_are_set);
    RUN(test_sock__wrong_kinds_are_bad_descriptors);
    RUN(test_sock__accept_wants_a_listener);
})
