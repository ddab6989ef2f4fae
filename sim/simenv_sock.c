/* simenv_sock.c - sockets and pollers of a simulated process: simnet behind descriptors. */
#include "sim/simenv_int.h"

#include <stdio.h>

/* A descriptor for a socket; the socket is closed again when there is none. */
static enum status sock_fd(struct proc *p, struct simsock *s, int *fd)
{
    struct fd_entry entry = {.kind = FD_SOCKET, .sock = s};
    (void)snprintf(entry.name, sizeof entry.name, "conn %llu", (unsigned long long)simsock_id(s));
    enum status st = proc_fd_new(p, entry, fd);
    if (st != ST_OK) {
        simsock_close(s);
    }
    return st;
}

static struct simsock *sock_at(struct proc *p, int fd)
{
    struct fd_entry *f = proc_fd(p, fd, FD_SOCKET);
    return f != NULL ? f->sock : NULL;
}

enum status simenv_sock_listen(struct env *e, const struct env_addr *addr, int backlog, int *fd)
{
    struct proc *p = proc_of(e);
    struct simsock *s;
    enum status st = simsock_listen(p, addr, backlog, &s);
    if (st == ST_OK) {
        st = sock_fd(p, s, fd);
    }
    proc_trace(p, TRACE_LISTEN, "", st == ST_OK ? (uint64_t)*fd : 0, addr->port, 0, st);
    return st;
}

enum status simenv_sock_accept(struct env *e, int listener, int *fd, struct env_addr *peer)
{
    struct proc *p = proc_of(e);
    struct simsock *l = sock_at(p, listener);
    if (l == NULL) {
        return ST_BADFD;
    }
    struct simsock *s;
    enum status st = proc_fd_room(p) ? simsock_accept(p, l, &s, peer) : ST_MFILE;
    if (st == ST_OK) {
        st = sock_fd(p, s, fd);
    }
    if (st != ST_AGAIN) {
        proc_trace(p, TRACE_ACCEPT, "", st == ST_OK ? (uint64_t)*fd : 0,
                   st == ST_OK ? simsock_id(s) : 0, 0, st);
    }
    return st;
}

enum status simenv_sock_connect(struct env *e, const struct env_addr *addr, int *fd)
{
    struct proc *p = proc_of(e);
    struct simsock *s;
    enum status st = proc_fd_room(p) ? simsock_connect(p, addr, &s) : ST_MFILE;
    enum status fd_st = st == ST_INPROGRESS ? sock_fd(p, s, fd) : st;
    proc_trace(p, TRACE_CONNECT, "", fd_st == ST_OK ? (uint64_t)*fd : 0, addr->port, 0, fd_st);
    return fd_st == ST_OK ? st : fd_st;
}

enum status simenv_sock_error(struct env *e, int fd)
{
    struct simsock *s = sock_at(proc_of(e), fd);
    return s != NULL ? simsock_error(s) : ST_BADFD;
}

enum status simenv_sock_read(struct env *e, int fd, void *buf, size_t size, size_t *got)
{
    struct proc *p = proc_of(e);
    struct simsock *s = sock_at(p, fd);
    if (s == NULL || size == 0) {
        return size == 0 ? ST_INVAL : ST_BADFD; /* 0 would look like the end of the stream */
    }
    *got = 0;
    enum status st = simsock_read(p, s, buf, size, got);
    if (st != ST_AGAIN) {
        proc_trace(p, TRACE_RECV, "", (uint64_t)fd, *got, 0, st);
    }
    return st;
}

enum status simenv_sock_write(struct env *e, int fd, const struct env_slice *parts, int count,
                              size_t *put)
{
    struct proc *p = proc_of(e);
    struct simsock *s = sock_at(p, fd);
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        size += parts[i].size;
    }
    if (s == NULL || size == 0) {
        return size == 0 ? ST_INVAL : ST_BADFD;
    }
    *put = 0;
    enum status st = simsock_write(p, s, parts, count, put);
    if (st != ST_AGAIN) {
        proc_trace(p, TRACE_SEND, "", (uint64_t)fd, *put, 0, st);
    }
    return st;
}

enum status simenv_sock_shutdown(struct env *e, int fd)
{
    struct proc *p = proc_of(e);
    struct simsock *s = sock_at(p, fd);
    enum status st = s != NULL ? simsock_shutdown(s) : ST_BADFD;
    proc_trace(p, TRACE_SHUTDOWN, "", (uint64_t)fd, 0, 0, st);
    return st;
}

enum status simenv_sock_option(struct env *e, int fd, enum env_sockopt option, int value)
{
    struct simsock *s = sock_at(proc_of(e), fd);
    if (value < 0 || option > ENV_OPT_KEEPALIVE_S) {
        return ST_INVAL;
    }
    return s != NULL ? simsock_option(s, option, value) : ST_BADFD;
}

enum status simenv_sock_local(struct env *e, int fd, struct env_addr *addr)
{
    struct simsock *s = sock_at(proc_of(e), fd);
    if (s == NULL) {
        return ST_BADFD;
    }
    simsock_local(s, addr);
    return ST_OK;
}

static struct simpoller *poller_at(struct proc *p, int fd)
{
    struct fd_entry *f = proc_fd(p, fd, FD_POLLER);
    return f != NULL ? f->poller : NULL;
}

enum status simenv_poller_open(struct env *e, int *poller)
{
    struct proc *p = proc_of(e);
    struct fd_entry entry = {.kind = FD_POLLER, .name = "poller"};
    entry.poller = simpoller_new(p);
    enum status st = proc_fd_new(p, entry, poller);
    if (st != ST_OK) {
        simpoller_free(entry.poller);
    }
    return st;
}

enum status simenv_poller_set(struct env *e, int poller, int fd, unsigned interest, uint64_t token)
{
    struct proc *p = proc_of(e);
    struct simpoller *at = poller_at(p, poller);
    struct simsock *s = sock_at(p, fd);
    if (at == NULL || s == NULL) {
        return ST_BADFD;
    }
    return simpoller_set(at, s, interest, token);
}

enum status simenv_poller_wait(struct env *e, int poller, struct env_event *events, int max,
                               uint64_t mono_ns, int *count)
{
    struct simpoller *at = poller_at(proc_of(e), poller);
    return at != NULL ? simpoller_wait(at, events, max, mono_ns, count) : ST_BADFD;
}

void simenv_poller_wake(struct env *e, int poller)
{
    struct simpoller *at = poller_at(proc_of(e), poller);
    if (at != NULL) {
        simpoller_wake(at);
    }
}

enum status simenv_stop_subscribe(struct env *e, int poller)
{
    struct simpoller *at = poller_at(proc_of(e), poller);
    if (at == NULL) {
        return ST_BADFD;
    }
    simpoller_subscribe_stop(at);
    return ST_OK;
}
