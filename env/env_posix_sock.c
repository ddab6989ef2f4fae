/* env_posix_sock.c - TCP over IPv4 and IPv6, never blocking. */
#define _GNU_SOURCE
#include "env/env_posix_impl.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEEPALIVE_PROBES 3
#define KEEPALIVE_MAX_S  32767 /* the kernel's limit */

union sockaddr_any {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Fills `to`; returns its size, 0 when the family is neither 4 nor 6. */
static socklen_t to_sockaddr(const struct env_addr *a, union sockaddr_any *to)
{
    memset(to, 0, sizeof *to);
    if (a->family == 4) {
        to->v4.sin_family = AF_INET;
        to->v4.sin_port = htons(a->port);
        memcpy(&to->v4.sin_addr, a->ip, 4);
        return sizeof to->v4;
    }
    if (a->family == 6) {
        to->v6.sin6_family = AF_INET6;
        to->v6.sin6_port = htons(a->port);
        memcpy(&to->v6.sin6_addr, a->ip, 16);
        return sizeof to->v6;
    }
    return 0;
}

static void from_sockaddr(const union sockaddr_any *from, struct env_addr *a)
{
    memset(a, 0, sizeof *a);
    if (from->any.sa_family == AF_INET) {
        a->family = 4;
        a->port = ntohs(from->v4.sin_port);
        memcpy(a->ip, &from->v4.sin_addr, 4);
    } else if (from->any.sa_family == AF_INET6) {
        a->family = 6;
        a->port = ntohs(from->v6.sin6_port);
        memcpy(a->ip, &from->v6.sin6_addr, 16);
    }
}

static enum status set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0 ? ST_OK : env_posix_last();
}

static enum status make_socket(const union sockaddr_any *addr, int *fd)
{
    *fd = socket(addr->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return *fd < 0 ? env_posix_last() : ST_OK;
}

static enum status sock_listen(struct env *e, const struct env_addr *addr, int backlog, int *fd)
{
    (void)e;
    union sockaddr_any any;
    int got;
    socklen_t size = to_sockaddr(addr, &any);
    if (size == 0 || backlog < 1) {
        return ST_INVAL;
    }
    enum status st = make_socket(&any, &got);
    if (st != ST_OK) {
        return st;
    }
    st = set_int(got, SOL_SOCKET, SO_REUSEADDR, 1);
    if (st == ST_OK && addr->family == 6) {
        st = set_int(got, IPPROTO_IPV6, IPV6_V6ONLY, 1); /* each family has its own listener */
    }
    if (st == ST_OK && (bind(got, &any.any, size) != 0 || listen(got, backlog) != 0)) {
        st = env_posix_last();
    }
    if (st != ST_OK) {
        (void)close(got); /* never connected */
        return st;
    }
    *fd = got;
    return ST_OK;
}

/* Linux hands accept() the errors that befell the connection in the queue; all of them mean
 * that this one is gone and the next may be well. */
static enum status accept_status(void)
{
    switch (errno) {
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case EPERM:
    case ETIMEDOUT:
    case ECONNRESET:
        return ST_ABORTED;
    case EINVAL:
    case EOPNOTSUPP:
        return ST_BADFD; /* not a listener */
    default:
        return env_posix_last();
    }
}

static enum status sock_accept(struct env *e, int listener, int *fd, struct env_addr *peer)
{
    (void)e;
    union sockaddr_any any;
    socklen_t size = sizeof any;
    int got = accept4(listener, &any.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (got < 0) {
        return accept_status();
    }
    from_sockaddr(&any, peer);
    *fd = got;
    return ST_OK;
}

static enum status sock_connect(struct env *e, const struct env_addr *addr, int *fd)
{
    (void)e;
    union sockaddr_any any;
    int got;
    socklen_t size = to_sockaddr(addr, &any);
    if (size == 0) {
        return ST_INVAL;
    }
    enum status st = make_socket(&any, &got);
    if (st != ST_OK) {
        return st;
    }
    if (connect(got, &any.any, size) != 0) {
        /* a signal does not stop the attempt: it goes on as one in progress */
        st = errno == EINTR ? ST_INPROGRESS : env_posix_last();
    }
    if (st != ST_OK && st != ST_INPROGRESS) {
        (void)close(got); /* never connected */
        return st;
    }
    *fd = got;
    return st;
}

static enum status sock_error(struct env *e, int fd)
{
    (void)e;
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        return env_posix_last();
    }
    return error == 0 ? ST_OK : env_posix_status(error);
}

static enum status sock_read(struct env *e, int fd, void *buf, size_t size, size_t *got)
{
    (void)e;
    if (size == 0) {
        return ST_INVAL; /* the answer would look like the end of the stream */
    }
    ssize_t n = recv(fd, buf, size, 0);
    if (n < 0) {
        return env_posix_last();
    }
    *got = (size_t)n;
    return ST_OK;
}

static enum status sock_write(struct env *e, int fd, const struct env_slice *parts, int count,
                              size_t *put)
{
    (void)e;
    struct iovec iov[ENV_POSIX_PARTS];
    struct msghdr msg = {.msg_iov = iov};
    int used = env_posix_gather(parts, count, iov);
    if (used == 0) {
        return ST_INVAL;
    }
    msg.msg_iovlen = (unsigned)used;
    ssize_t n = sendmsg(fd, &msg, MSG_NOSIGNAL);
    if (n < 0) {
        return env_posix_last();
    }
    *put = (size_t)n;
    return ST_OK;
}

static enum status sock_shutdown(struct env *e, int fd)
{
    (void)e;
    return shutdown(fd, SHUT_WR) == 0 ? ST_OK : env_posix_last();
}

static enum status set_keepalive(int fd, int seconds)
{
    int idle = seconds < KEEPALIVE_MAX_S ? seconds : KEEPALIVE_MAX_S;
    int interval = idle / KEEPALIVE_PROBES > 0 ? idle / KEEPALIVE_PROBES : 1;
    enum status st = set_int(fd, SOL_SOCKET, SO_KEEPALIVE, seconds > 0);
    if (seconds > 0) {
        st = st != ST_OK ? st : set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle);
        st = st != ST_OK ? st : set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval);
        st = st != ST_OK ? st : set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
    }
    return st;
}

static enum status sock_option(struct env *e, int fd, enum env_sockopt option, int value)
{
    (void)e;
    if (value < 0) {
        return ST_INVAL;
    }
    switch (option) {
    case ENV_OPT_NODELAY:
        return set_int(fd, IPPROTO_TCP, TCP_NODELAY, value != 0);
    case ENV_OPT_USER_TIMEOUT_MS:
        return set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, value);
    case ENV_OPT_SEND_BUFFER:
        return set_int(fd, SOL_SOCKET, SO_SNDBUF, value);
    case ENV_OPT_RECEIVE_BUFFER:
        return set_int(fd, SOL_SOCKET, SO_RCVBUF, value);
    case ENV_OPT_KEEPALIVE_S:
        return set_keepalive(fd, value);
    default:
        return ST_INVAL;
    }
}

static enum status sock_local(struct env *e, int fd, struct env_addr *addr)
{
    (void)e;
    union sockaddr_any any;
    socklen_t size = sizeof any;
    if (getsockname(fd, &any.any, &size) != 0) {
        return env_posix_last();
    }
    from_sockaddr(&any, addr);
    return ST_OK;
}

void env_posix_sock_fill(struct env_vt *vt)
{
    vt->sock_listen = sock_listen;
    vt->sock_accept = sock_accept;
    vt->sock_connect = sock_connect;
    vt->sock_error = sock_error;
    vt->sock_read = sock_read;
    vt->sock_write = sock_write;
    vt->sock_shutdown = sock_shutdown;
    vt->sock_option = sock_option;
    vt->sock_local = sock_local;
}
