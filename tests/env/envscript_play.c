/* envscript_play.c - plays a script on an Env and writes down what came of it; see envscript.h. */
#include "base/ck.h"
#include "base/hash.h"
#include "base/prng.h"
#include "tests/env/envscript.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK     16384u
#define FLOOD_MAX ((uint64_t)32 << 20)
#define ROUNDS    12       /* waits whose events are joined */
#define MS        1000000u /* ns */
#define S         1000000000u
#define NAMES_MAX 64
#define DEPTH_MAX 8

/* One end of a connection, or whatever else a slot holds. */
struct slot {
    int fd;        /* -1: nothing */
    uint16_t port; /* of a listener, the last one that was here */
    uint16_t own;  /* of a connection's connecting side */
    uint64_t sent, received;
    int peer; /* the slot of the other end, -1 when not known */
    bool poller;
};

struct play {
    const struct envscript *s;
    const struct envscript_world *w;
    struct env *env;
    struct buf *log;
    int base;
    struct slot slots[ENVSCRIPT_SLOTS];
    unsigned watched_edge[ENVSCRIPT_SLOTS]; /* of a poller: a bit a slot */
    char bytes[CHUNK];
};

__attribute__((format(printf, 2, 3))) static void say(struct play *p, const char *fmt, ...)
{
    char text[700];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    enum status st = buf_append_text(p->log, text);
    CK(st == ST_OK);
}

static void say_status(struct play *p, enum status st)
{
    say(p, "%s", status_name(st));
}

static void settle(struct play *p)
{
    p->w->settle(p->w->arg, false);
}

/* After the end of a direction was sent: its acknowledgement is an event of its own. */
static void settle_end(struct play *p)
{
    p->w->settle(p->w->arg, true);
}

static int fd_at(const struct play *p, int slot)
{
    return slot >= 0 ? p->slots[slot].fd : -1;
}

/* What a call that makes a descriptor came to. A slot that was in use is closed first. */
static void hold(struct play *p, int slot, enum status st, int fd)
{
    say_status(p, st);
    if (st == ST_OK || st == ST_INPROGRESS) {
        say(p, " fd %d", fd - p->base);
        CK(p->slots[slot].fd < 0);
        p->slots[slot] = (struct slot){.fd = fd, .peer = -1, .port = p->slots[slot].port};
        p->watched_edge[slot] = 0;
    }
}

/* ---- files ---- */

/* The byte at an offset of anything that this script writes. */
static char byte_at(const struct play *p, uint64_t offset)
{
    return (char)(hash_mix(p->s->seed + offset / 8) >> (offset % 8 * 8));
}

static void fill_bytes(struct play *p, uint64_t offset, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        p->bytes[i] = byte_at(p, offset + i);
    }
}

static void do_pread(struct play *p, const struct envscript_call *c, int fd)
{
    size_t size = (size_t)c->y;
    size_t got = 0;
    size_t done = 0;
    enum status st = ST_OK;
    do { /* what one call leaves out is read by the next */
        got = 0;
        st = env_file_pread(p->env, fd, p->bytes + done, size - done, c->x + done, &got);
        done += st == ST_OK ? got : 0;
    } while (st == ST_OK && got > 0 && done < size);
    say_status(p, st);
    say(p, " %zu %016llx", done, (unsigned long long)hash_bytes(0, p->bytes, done));
}

static void do_pwrite(struct play *p, const struct envscript_call *c, int fd)
{
    size_t size = (size_t)c->y;
    size_t put = 0;
    size_t done = 0;
    enum status st = ST_OK;
    fill_bytes(p, c->x + c->flags, size);
    do {
        put = 0;
        st = env_file_pwrite(p->env, fd, p->bytes + done, size - done, c->x + done, &put);
        done += st == ST_OK ? put : 0;
    } while (st == ST_OK && put > 0 && done < size);
    say_status(p, st);
    say(p, " %zu", done);
}

static void do_append(struct play *p, const struct envscript_call *c, int fd)
{
    size_t size = (size_t)c->y;
    size_t put = 0;
    fill_bytes(p, c->x, size);
    struct env_slice parts[3] = {{p->bytes, size / 3}, {p->bytes + size / 3, 0}, {NULL, 0}};
    parts[2] = (struct env_slice){p->bytes + size / 3, size - size / 3};
    enum status st = env_file_append(p->env, fd, parts, 3, &put);
    say_status(p, st);
    say(p, " %zu", st == ST_OK ? put : 0);
}

static void do_file(struct play *p, const struct envscript_call *c)
{
    struct env *e = p->env;
    int fd = fd_at(p, c->a);
    uint64_t size = 0;
    enum status st;
    switch (c->code) {
    case CALL_PREAD:
        do_pread(p, c, fd);
        return;
    case CALL_PWRITE:
        do_pwrite(p, c, fd);
        return;
    case CALL_APPEND:
        do_append(p, c, fd);
        return;
    case CALL_SYNC:
        st = env_file_sync(e, fd);
        break;
    case CALL_DATASYNC:
        st = env_file_datasync(e, fd);
        break;
    case CALL_TRUNCATE:
        st = env_file_truncate(e, fd, c->x);
        break;
    case CALL_ALLOCATE:
        st = env_file_allocate(e, fd, c->x, c->y, (c->flags & 1) != 0);
        break;
    case CALL_WRITEBACK:
        st = env_file_writeback(e, fd, c->x, c->y);
        break;
    default:
        st = env_file_size(e, fd, &size);
        break;
    }
    say_status(p, st);
    say(p, " %llu", (unsigned long long)(st == ST_OK ? size : 0));
}

/* ---- names ---- */

struct names {
    char name[NAMES_MAX][64];
    size_t count;
};

static bool take_name(void *arg, const char *name)
{
    struct names *n = arg;
    CK(n->count < NAMES_MAX);
    (void)snprintf(n->name[n->count++], sizeof n->name[0], "%s", name);
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static enum status list(struct play *p, const char *path, struct names *n)
{
    n->count = 0;
    enum status st = env_dir_list(p->env, path, take_name, n);
    qsort(n->name, n->count, sizeof n->name[0], by_name);
    return st;
}

static void do_list(struct play *p, const char *path)
{
    struct names n;
    enum status st = list(p, path, &n);
    say_status(p, st);
    for (size_t i = 0; i < n.count; i++) {
        say(p, " %s", n.name[i]);
    }
}

static void say_stat(struct play *p, const char *path)
{
    struct env_stat at = {.kind = ENV_KIND_NONE};
    enum status st = env_path_stat(p->env, path, &at);
    say_status(p, st);
    if (st == ST_OK && at.kind == ENV_KIND_DIR) {
        say(p, " directory %llu", (unsigned long long)at.size);
    } else if (st == ST_OK) {
        say(p, " kind %d size %llu links %llu", (int)at.kind, (unsigned long long)at.size,
            (unsigned long long)at.links);
    }
}

static void do_name(struct play *p, const struct envscript_call *c)
{
    struct env *e = p->env;
    uint64_t bytes;
    enum status st;
    switch (c->code) {
    case CALL_LIST:
        do_list(p, c->path);
        return;
    case CALL_STAT:
        say_stat(p, c->path);
        return;
    case CALL_MKDIR:
        st = env_dir_make(e, c->path);
        break;
    case CALL_DIRSYNC:
        st = env_dir_sync(e, c->path);
        break;
    case CALL_RENAME:
        st = env_path_rename(e, c->path, c->to);
        break;
    case CALL_LINK:
        st = env_path_link(e, c->path, c->to);
        break;
    case CALL_REMOVE:
        st = env_path_remove(e, c->path);
        break;
    default:
        st = env_path_free_space(e, c->path, &bytes);
        break;
    }
    say_status(p, st);
}

/* ---- sockets ---- */

static void do_listen(struct play *p, const struct envscript_call *c)
{
    struct env_addr at = {.family = 4};
    int fd = -1;
    if (c->flags == 0) {
        memcpy(at.ip, "\x7f\x00\x00\x01", 4);
    }
    if (c->code == CALL_RELISTEN && c->b >= 0) {
        at.port = p->slots[c->b].port; /* 0, any, where it never listened */
    }
    enum status st = env_sock_listen(p->env, &at, (int)c->x, &fd);
    hold(p, c->a, st, fd);
    if (st == ST_OK) {
        struct env_addr local;
        st = env_sock_local(p->env, fd, &local);
        CK(st == ST_OK);
        p->slots[c->a].port = local.port;
    }
}

static void no_delay(struct play *p, int fd)
{
    enum status st = env_sock_option(p->env, fd, ENV_OPT_NODELAY, 1);
    if (st != ST_OK) {
        say(p, " with delays");
    }
}

static void do_connect(struct play *p, const struct envscript_call *c)
{
    struct env_addr to = {.family = 4, .ip = {127, 0, 0, 1}};
    int fd = -1;
    to.port = p->slots[c->b].port;
    if (to.port == 0) {
        say(p, "no port");
        return;
    }
    enum status st = env_sock_connect(p->env, &to, &fd);
    hold(p, c->a, st == ST_OK ? ST_INPROGRESS : st, fd);
    struct env_addr local;
    if (p->slots[c->a].fd == fd && env_sock_local(p->env, fd, &local) == ST_OK) {
        no_delay(p, fd);
        p->slots[c->a].own = local.port; /* how an accepting side finds it */
    }
    settle(p);
}

static void do_accept(struct play *p, const struct envscript_call *c)
{
    struct env_addr peer = {0};
    int fd = -1;
    enum status st = env_sock_accept(p->env, fd_at(p, c->b), &fd, &peer);
    hold(p, c->a, st, fd);
    if (st != ST_OK) {
        return;
    }
    no_delay(p, fd);
    for (int i = 0; i < ENVSCRIPT_SLOTS; i++) {
        if (i != c->a && p->slots[i].fd >= 0 && p->slots[i].own == peer.port) {
            p->slots[c->a].peer = i;
            p->slots[i].peer = c->a;
        }
    }
    say(p, " from %u.%u, slot %d", peer.ip[0], peer.ip[3], p->slots[c->a].peer);
    settle(p);
}

static enum status send_some(struct play *p, int slot, size_t size, size_t *put)
{
    struct slot *at = &p->slots[slot];
    *put = 0;
    fill_bytes(p, at->sent, size);
    struct env_slice parts[2] = {{p->bytes, size / 2}, {p->bytes + size / 2, size - size / 2}};
    enum status st = env_sock_write(p->env, at->fd, parts, 2, put);
    *put = st == ST_OK ? *put : 0;
    at->sent += *put;
    return st;
}

static void do_send(struct play *p, const struct envscript_call *c)
{
    size_t done = 0;
    size_t put = 0;
    enum status st;
    do {
        st = send_some(p, c->a, (size_t)c->x - done, &put);
        done += put;
    } while (st == ST_OK && put > 0 && done < c->x);
    say_status(p, st);
    say(p, " %zu", done);
    settle(p);
}

/* False when the bytes are not the ones that were sent. */
static bool genuine(struct play *p, uint64_t offset, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (p->bytes[i] != byte_at(p, offset + i)) {
            return false;
        }
    }
    return true;
}

/* Reads until most bytes came, or nothing more does. */
static enum status receive(struct play *p, int slot, uint64_t most, uint64_t *done, bool *end)
{
    struct slot *at = &p->slots[slot];
    enum status st = ST_OK;
    *done = 0;
    *end = false;
    while (st == ST_OK && *done < most && !*end) {
        size_t want = most - *done < CHUNK ? (size_t)(most - *done) : CHUNK;
        size_t got = 0;
        st = env_sock_read(p->env, at->fd, p->bytes, want, &got);
        if (st == ST_OK) {
            *end = got == 0;
            if (!genuine(p, at->received, got)) {
                say(p, "WRONG BYTES at %llu ", (unsigned long long)at->received);
            }
            at->received += got;
            *done += got;
        }
    }
    return st;
}

static void do_receive(struct play *p, const struct envscript_call *c)
{
    uint64_t done = 0;
    bool end = false;
    enum status st;
    if (c->x == 0) {
        size_t got;
        st = env_sock_read(p->env, fd_at(p, c->a), p->bytes, 0, &got);
    } else {
        st = receive(p, c->a, c->x, &done, &end);
    }
    say_status(p, st);
    say(p, " %llu%s", (unsigned long long)done, end ? " end" : "");
    settle(p);
}

/* Whether the socket becomes ready for that within the time. */
static unsigned ready_within(struct play *p, int fd, unsigned what, uint64_t ns)
{
    struct env_event ev = {0};
    int poller, count = 0;
    uint64_t until = env_clock_mono(p->env) + ns;
    if (env_poller_open(p->env, &poller) != ST_OK) {
        return 0;
    }
    enum status st = env_poller_set(p->env, poller, fd, what, 1);
    while (st == ST_OK && count == 0) {
        bool late = env_clock_mono(p->env) >= until;
        st = env_poller_wait(p->env, poller, &ev, 1, until, &count);
        if (late) {
            break;
        }
    }
    (void)env_fd_close(p->env, poller); /* nothing depends on it */
    return count > 0 ? ev.ready : 0;
}

/* From slot to its peer: until nothing more fits, then everything out again. */
static void do_flood(struct play *p, const struct envscript_call *c)
{
    int fd = fd_at(p, c->a);
    int peer = c->a >= 0 && fd >= 0 ? p->slots[c->a].peer : -1;
    if (peer < 0 || p->slots[peer].fd < 0) {
        say(p, "no pair");
        return;
    }
    struct slot *from = &p->slots[c->a];
    struct slot *to = &p->slots[peer];
    uint64_t before = from->sent;
    size_t put;
    enum status st;
    do {
        st = send_some(p, c->a, CHUNK, &put);
    } while ((st == ST_OK || (st == ST_AGAIN && ready_within(p, fd, ENV_OUT, 5 * MS) != 0)) &&
             from->sent - before < FLOOD_MAX);
    say(p, "%s, ready %u; ", status_name(st), ready_within(p, fd, ENV_OUT, MS));
    uint64_t done;
    bool end = false;
    do {
        st = receive(p, peer, UINT64_MAX, &done, &end);
    } while (st == ST_AGAIN && to->received < from->sent &&
             ready_within(p, to->fd, ENV_IN, S) != 0);
    settle(p);
    say(p, "%s%s, %s, ready %u", status_name(st), end ? " end" : "",
        to->received == from->sent ? "whole" : "in part", ready_within(p, fd, ENV_OUT, 20 * MS));
}

static void do_close(struct play *p, const struct envscript_call *c)
{
    struct slot *at = &p->slots[c->a];
    say_status(p, env_fd_close(p->env, at->fd));
    at->fd = -1;
    for (int i = 0; i < ENVSCRIPT_SLOTS; i++) {
        p->watched_edge[i] &= ~(1u << c->a);
        p->slots[i].peer = p->slots[i].peer == c->a ? -1 : p->slots[i].peer;
    }
    settle_end(p);
}

static void do_socket(struct play *p, const struct envscript_call *c)
{
    int fd = fd_at(p, c->a);
    struct env_addr at = {0};
    switch (c->code) {
    case CALL_ERROR:
        say_status(p, env_sock_error(p->env, fd));
        break;
    case CALL_SHUTDOWN:
        say_status(p, env_sock_shutdown(p->env, fd));
        settle_end(p);
        break;
    case CALL_OPTION:
        say_status(
            p, env_sock_option(p->env, fd, (enum env_sockopt)c->flags, c->y > 0 ? -1 : (int)c->x));
        break;
    default: {
        enum status st = env_sock_local(p->env, fd, &at);
        say_status(p, st);
        say(p, " %u.%u %s", at.ip[0], at.ip[3], at.port != 0 ? "port" : "none");
        break;
    }
    }
}

/* ---- pollers ---- */

static void do_interest(struct play *p, const struct envscript_call *c)
{
    unsigned bit = 1u << c->b;
    if (p->slots[c->b].fd >= 0 && p->slots[c->b].poller) {
        say(p, "a poller of a poller");
        return;
    }
    enum status st =
        env_poller_set(p->env, fd_at(p, c->a), fd_at(p, c->b), c->flags, (uint64_t)c->b);
    say_status(p, st);
    if (st == ST_OK && c->a >= 0) {
        p->watched_edge[c->a] &= ~bit;
        p->watched_edge[c->a] |= (c->flags & ENV_EDGE) != 0 ? bit : 0;
    }
}

/* Joins what several waits tell, the first of them until that time. */
static void poll_until(struct play *p, const struct envscript_call *c, uint64_t mono_ns)
{
    unsigned ready[ENVSCRIPT_SLOTS] = {0};
    unsigned times[ENVSCRIPT_SLOTS] = {0};
    struct env_event ev[ENVSCRIPT_SLOTS];
    enum status st = ST_OK;
    for (int i = 0; i < ROUNDS && st == ST_OK; i++) {
        int count = 0;
        uint64_t until = i == 0 ? mono_ns : 0;
        st = env_poller_wait(p->env, fd_at(p, c->a), ev, ENVSCRIPT_SLOTS, until, &count);
        for (int k = 0; st == ST_OK && k < count; k++) {
            CK(ev[k].token < ENVSCRIPT_SLOTS);
            ready[ev[k].token] |= ev[k].ready;
            times[ev[k].token]++;
        }
    }
    say_status(p, st);
    for (int i = 0; i < ENVSCRIPT_SLOTS; i++) {
        bool edge = c->a >= 0 && (p->watched_edge[c->a] & 1u << i) != 0;
        if (times[i] > 0) {
            say(p, " %d:%s%s%s%s", i, (ready[i] & ENV_IN) != 0 ? "I" : "",
                (ready[i] & ENV_OUT) != 0 ? "O" : "", (ready[i] & ENV_ERR) != 0 ? "E" : "",
                (ready[i] & ENV_HUP) != 0 ? "H" : "");
            if (edge) { /* it is reported once */
                say(p, "*%u", times[i]);
            }
        }
    }
}

/* Waiting far ahead returns at once after a wake (or a stop, on a poller that subscribed). */
static void say_wait(struct play *p, const struct envscript_call *c)
{
    uint64_t from = env_clock_mono(p->env);
    poll_until(p, c, from + 20 * (uint64_t)S);
    say(p, " %s", env_clock_mono(p->env) - from < 10 * (uint64_t)S ? "at once" : "late");
}

static void do_poller(struct play *p, const struct envscript_call *c)
{
    int fd = fd_at(p, c->a);
    enum status st;
    switch (c->code) {
    case CALL_INTEREST:
        do_interest(p, c);
        break;
    case CALL_POLL:
        poll_until(p, c, 0);
        break;
    case CALL_WAKE:
        if (fd >= 0) {
            env_poller_wake(p->env, fd);
            say_wait(p, c);
        }
        break;
    default:
        st = env_stop_subscribe(p->env, fd);
        say_status(p, st);
        say(p, " %d", env_stop_requested(p->env));
        p->w->request_stop(p->w->arg);
        say(p, " %d ", env_stop_requested(p->env));
        if (st == ST_OK) {
            say_wait(p, c);
        }
        break;
    }
}

/* ---- the whole ---- */

static const char *const names[CALL_CODES] = {
    "open",     "pread",     "pwrite",  "append", "sync",     "datasync", "truncate", "allocate",
    "size",     "writeback", "close",   "mkdir",  "list",     "dirsync",  "stat",     "rename",
    "link",     "remove",    "lock",    "space",  "listen",   "relisten", "connect",  "accept",
    "error",    "send",      "receive", "flood",  "shutdown", "option",   "local",    "poller",
    "interest", "poll",      "wake",    "stop",
};

static void do_call(struct play *p, const struct envscript_call *c)
{
    int fd = -1;
    enum status st;
    if (c->code == CALL_OPEN) {
        st = env_file_open(p->env, c->path, c->flags, &fd);
        hold(p, c->a, st, fd);
    } else if (c->code == CALL_LOCK) {
        st = env_path_lock(p->env, c->path, &fd);
        hold(p, c->a, st, fd);
    } else if (c->code == CALL_POLLER) {
        st = env_poller_open(p->env, &fd);
        hold(p, c->a, st, fd);
        p->slots[c->a].poller = st == ST_OK;
    } else if (c->code == CALL_CLOSE) {
        do_close(p, c);
    } else if (c->code <= CALL_WRITEBACK) {
        do_file(p, c);
    } else if (c->code <= CALL_SPACE) {
        do_name(p, c);
    } else if (c->code <= CALL_RELISTEN) {
        do_listen(p, c);
    } else if (c->code == CALL_CONNECT) {
        do_connect(p, c);
    } else if (c->code == CALL_ACCEPT) {
        do_accept(p, c);
    } else if (c->code == CALL_SEND) {
        do_send(p, c);
    } else if (c->code == CALL_RECEIVE) {
        do_receive(p, c);
    } else if (c->code == CALL_FLOOD) {
        do_flood(p, c);
    } else if (c->code <= CALL_LOCAL) {
        do_socket(p, c);
    } else {
        do_poller(p, c);
    }
}

static void say_contents(struct play *p, const char *path)
{
    uint64_t hash = 0;
    uint64_t at = 0;
    size_t got = 0;
    int fd;
    enum status st = env_file_open(p->env, path, ENV_READ, &fd);
    if (st != ST_OK) {
        say_status(p, st);
        return;
    }
    do {
        st = env_file_pread(p->env, fd, p->bytes, CHUNK, at, &got);
        hash = st == ST_OK && got > 0 && at < 4 * CHUNK ? hash_bytes(hash, p->bytes, got) : hash;
        at += got;
    } while (st == ST_OK && got > 0 && at < 4 * CHUNK);
    say(p, " %s %016llx", status_name(st), (unsigned long long)hash);
    (void)env_fd_close(p->env, fd); /* it was only read */
}

/* The tree below path, names in order. */
static void say_tree(struct play *p, const char *path, int depth)
{
    struct names n;
    char below[300];
    enum status st = list(p, path, &n);
    CK(st == ST_OK && depth < DEPTH_MAX);
    for (size_t i = 0; i < n.count; i++) {
        struct env_stat at;
        (void)snprintf(below, sizeof below, "%.220s/%s", path, n.name[i]);
        say(p, "tree %s = ", below);
        say_stat(p, below);
        st = env_path_stat(p->env, below, &at);
        CK(st == ST_OK);
        if (at.kind == ENV_KIND_FILE) {
            say_contents(p, below);
        }
        say(p, "\n");
        if (at.kind == ENV_KIND_DIR) {
            say_tree(p, below, depth + 1);
        }
    }
}

/* What each slot is like in the end: readiness once quiet, and all that is left to read. */
static void say_slots(struct play *p)
{
    for (int i = 0; i < ENVSCRIPT_SLOTS; i++) {
        int fd = p->slots[i].fd;
        uint64_t size = 0;
        uint64_t done = 0;
        bool end = false;
        if (fd < 0) {
            continue;
        }
        enum status st = env_file_size(p->env, fd, &size);
        say(p, "slot %d = size %s %llu", i, status_name(st),
            (unsigned long long)(st == ST_OK ? size : 0));
        if (st != ST_OK && !p->slots[i].poller) {
            say(p, ", ready %u", ready_within(p, fd, ENV_IN | ENV_OUT, 1));
            st = receive(p, i, UINT64_MAX, &done, &end);
            say(p, ", %s %llu%s", status_name(st), (unsigned long long)done, end ? " end" : "");
        }
        say(p, "\n");
    }
}

static void say_call(struct play *p, size_t i)
{
    const struct envscript_call *c = &p->s->calls[i];
    say(p, "%zu %s %d", i, names[c->code], c->a);
    switch (c->code) {
    case CALL_OPEN:
    case CALL_LOCK:
        say(p, " '%.20s' flags %u", c->path, c->flags);
        break;
    case CALL_INTEREST:
        say(p, " %d mask %u", c->b, c->flags);
        break;
    default:
        say(p, " %d", c->b);
        if (c->path[0] != '\0' || c->to[0] != '\0') {
            say(p, " '%.20s' '%.20s'", c->path, c->to);
        }
        say(p, " %u %llu %llu", c->flags, (unsigned long long)c->x, (unsigned long long)c->y);
        break;
    }
    say(p, " = ");
}

void envscript_play(const struct envscript *s, const struct envscript_world *w, struct buf *log)
{
    struct play *p = calloc(1, sizeof *p);
    CK(p != NULL);
    p->s = s;
    p->w = w;
    p->env = w->env;
    p->log = log;
    for (int i = 0; i < ENVSCRIPT_SLOTS; i++) {
        p->slots[i] = (struct slot){.fd = -1, .peer = -1};
    }
    enum status st = env_poller_open(p->env, &p->base);
    CK(st == ST_OK);
    (void)env_fd_close(p->env, p->base); /* its number is all that is wanted */
    for (size_t i = 0; i < s->count; i++) {
        say_call(p, i);
        do_call(p, &s->calls[i]);
        say(p, "\n");
    }
    settle(p);
    say_slots(p);
    say_tree(p, ".", 0);
    for (int i = 0; i < ENVSCRIPT_SLOTS; i++) {
        if (p->slots[i].fd >= 0) {
            say(p, "close %d = ", i);
            say_status(p, env_fd_close(p->env, p->slots[i].fd));
            say(p, "\n");
        }
    }
    free(p);
}
