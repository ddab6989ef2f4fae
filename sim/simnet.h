/* simnet.h - simulated TCP: byte streams between hosts, and pollers over them.
 *
 * A passive structure but for timers: the network's own events (a segment arrives, a SYN is
 * answered) fire from the world's scheduler. The level is the socket API, as in the design's
 * net_model §2-5: streams split and coalesce anywhere, buffers are bounded, bytes inside one
 * direction of a connection are FIFO and exactly once; bytes that a dead process wrote still
 * arrive; a dead host is silent; a rebooted one answers old connections with RST.
 *
 * Invariants: I1 what is read is a prefix of what was written   I2 at most `buffer` bytes wait on
 * each side of a direction   I3 a poller reports every socket that is ready, sooner or later. */
#ifndef SIM_SIMNET_H
#define SIM_SIMNET_H

#include "env/env.h"
#include "sim/world.h"

#define SIMNET_PORT_FIRST 32768 /* ephemeral, as Linux has them */
#define SIMNET_PORT_SPAN  28232

struct simsock;
struct simpoller;

/* What has happened to connections: a sweep can prove that each does. */
enum simnet_effect {
    SIMNET_STALE,       /* bytes arrived that a cut had held up */
    SIMNET_DEAF,        /* a direction fell silent for want of acknowledgements */
    SIMNET_SYN_CUT,     /* a SYN, or the answer to one, met a cut */
    SIMNET_REJECTED,    /* a router or a firewall answered a connect */
    SIMNET_RST_LOST,    /* a reset met a cut: half a connection is left */
    SIMNET_UNKNOWN,     /* a kernel answered for a connection that it does not know */
    SIMNET_GAVE_UP,     /* bytes stayed unacknowledged for too long */
    SIMNET_KEEPALIVE,   /* probes stayed unanswered */
    SIMNET_GHOST_WHOLE, /* half a connection became whole: the accept queue drained in time */
    SIMNET_GHOST_RESET, /* or it did not */
    SIMNET_WINDOW,      /* a receiver's buffer was full */
    SIMNET_NO_PORT,     /* ephemeral ports ran out */
    SIMNET_LOST,        /* a packet was lost, and sent again */
    SIMNET_EFFECTS
};
uint64_t simnet_effect(const struct simnet *n, enum simnet_effect e);
const char *simnet_effect_name(enum simnet_effect e);

struct simnet *simnet_new(struct world *w);
void simnet_free(struct simnet *n);

/* Every socket of the host is gone without a word (power loss). */
void simnet_host_down(struct simnet *n, struct host *h);
/* Its machine answers again. */
void simnet_host_up(struct simnet *n, struct host *h);

/* The id of the i-th connection, oldest first, that one of these hosts made to the other and that
 * neither side has closed; 0: there is none. */
uint64_t simnet_conn_between(struct simnet *n, const struct host *a, const struct host *b,
                             size_t i);

/* Connections of that host that have something to read of which no poller will tell: nobody has
 * asked, or an edge was told and its bytes were left. A program that is not throttling has none
 * when it sleeps. */
size_t simnet_unwatched(struct simnet *n, const struct host *h);

/* As the Env calls of the same name; `owner` draws the faults. */
enum status simsock_listen(struct proc *owner, const struct env_addr *addr, int backlog,
                           struct simsock **sock);
enum status simsock_accept(struct proc *owner, struct simsock *listener, struct simsock **sock,
                           struct env_addr *peer);
enum status simsock_connect(struct proc *owner, const struct env_addr *addr, struct simsock **sock);
enum status simsock_error(struct simsock *s);
enum status simsock_read(struct proc *owner, struct simsock *s, void *buf, size_t size,
                         size_t *got);
enum status simsock_write(struct proc *owner, struct simsock *s, const struct env_slice *parts,
                          int count, size_t *put);
enum status simsock_shutdown(struct simsock *s);
enum status simsock_option(struct simsock *s, enum env_sockopt option, int value);
void simsock_local(const struct simsock *s, struct env_addr *addr);
/* The process's close(2), or its death. */
void simsock_close(struct simsock *s);
uint64_t simsock_id(const struct simsock *s);

struct simpoller *simpoller_new(struct proc *owner);
void simpoller_free(struct simpoller *p);
enum status simpoller_set(struct simpoller *p, struct simsock *s, unsigned interest,
                          uint64_t token);
/* Parks the running task. */
enum status simpoller_wait(struct simpoller *p, struct env_event *events, int max, uint64_t mono_ns,
                           int *count);
void simpoller_wake(struct simpoller *p);
void simpoller_subscribe_stop(struct simpoller *p);
/* Stop was requested: wakes it when it subscribed. */
void simpoller_stop(struct simpoller *p);
struct list *simpoller_link(struct simpoller *p);
struct simpoller *simpoller_of_link(struct list *link);

#endif
