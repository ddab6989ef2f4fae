/* simnet_int.h - the structs that simnet*.c share. */
#ifndef SIM_SIMNET_INT_H
#define SIM_SIMNET_INT_H

#include "base/buf.h"
#include "sim/proc.h"
#include "sim/simnet.h"

enum sock_state {
    SOCK_LISTENING,
    SOCK_CONNECTING,
    SOCK_OPEN,
    SOCK_DEAD, /* reset, refused or timed out: `error` says how until it was told */
};

/* A run of bytes on its way, or the end of the stream. */
struct segment {
    uint64_t when; /* arrives then */
    size_t bytes;  /* of half.fly */
    bool fin;
    bool rst;
};

/* One direction of a connection. */
struct half {
    struct simconn *conn;
    int from;                 /* the side that writes */
    struct buf fly;           /* written, not yet in the receiver's buffer */
    struct buf in;            /* the receiver's buffer */
    struct segment *segments; /* a queue: [head, count) */
    size_t head;
    size_t count;
    size_t cap;
    uint64_t last_when; /* of the newest segment: the stream is FIFO */
    bool fin_sent;
    bool fin_in;         /* the receiver has seen the end */
    unsigned retries;    /* of a segment that nobody takes */
    uint64_t lost_since; /* when that began */
    struct timer timer;  /* the next arrival */
};

struct simconn {
    struct simnet *net;
    uint64_t id;
    struct simsock *side[2]; /* 0 connected to 1; NULL once it is freed or not there yet */
    struct half half[2];     /* half[s] carries what side s writes */
    struct timer handshake;
    unsigned syns; /* sent */
    uint64_t syn_first;
    bool answered; /* the handshake timer carries the answer */
    enum status answer;
    struct list link; /* in net.conns */
};

struct simsock {
    struct simnet *net;
    struct host *host;
    uint64_t id;
    enum sock_state state;
    bool owned;        /* a process has it open */
    bool gone;         /* its machine lost power */
    enum status error; /* pending */
    struct env_addr local, remote;
    struct simconn *conn; /* not for listeners */
    int side;
    bool never;      /* dead, and it never was connected: its end is no end of a stream */
    bool wants_room; /* a write, or a poll, found none: room that comes is news */
    uint64_t user_timeout_ns;
    /* listeners */
    int backlog;
    int queued_count;
    struct list queue; /* of simsock.queue_link, connections not accepted yet */
    struct list queue_link;
    struct list watchers; /* of interest.by_sock */
    struct list link;     /* in net.socks */
};

struct simnet {
    struct world *world;
    struct list socks;
    struct list conns;
    uint64_t ids;
    struct chooser_stream time;
};

struct interest {
    struct simpoller *poller;
    struct simsock *sock;
    unsigned mask;
    unsigned arrived; /* ENV_EDGE: what came since the last report */
    uint64_t token;
    struct list by_poller;
    struct list by_sock;
    struct list ready; /* in poller.ready while it may be ready */
};

struct simpoller {
    struct proc *owner;
    struct list interests;
    struct list ready;
    bool woken;
    bool wants_stop;
    struct list link; /* in proc.pollers */
};

#define SIMSOCK_ALL (ENV_IN | ENV_OUT | ENV_ERR | ENV_HUP)

/* The listener of that machine which takes a connection to that address, or NULL. */
struct simsock *simnet_listener(struct simnet *n, const struct host *h, const struct env_addr *to);
/* Both directions have ended and both sides know: the kernel has forgotten the connection. */
bool simsock_over(const struct simsock *s);
/* Something about the socket changed: its pollers look again. */
void simsock_notify(struct simsock *s, unsigned what);
/* What a level-triggered poller would report. */
unsigned simsock_ready(const struct simsock *s);
/* The socket's pollers forget it. */
void simsock_unwatch(struct simsock *s);

struct simsock *simsock_new(struct simnet *n, struct host *h, enum sock_state state);
void simsock_free(struct simsock *s);
struct simconn *simconn_new(struct simnet *n, struct simsock *client);
/* Frees the connection once neither side can do anything with it. */
void simconn_settle(struct simconn *c);
/* Queues bytes already in half.fly, or an end, for arrival. */
void simconn_send(struct half *h, size_t bytes, bool fin, bool rst);
/* Moves what has arrived into the receiver's buffer, as far as there is room. */
void simconn_deliver(struct half *h);
/* The connection is dead for this side, for this reason. */
void simsock_break(struct simsock *s, enum status why);
/* Sends the first SYN. */
void simconn_connect(struct simconn *c);
uint64_t simnet_latency(struct simnet *n);
size_t simnet_buffer(const struct simnet *n);

#endif
