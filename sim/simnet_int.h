/* simnet_int.h - the structs that simnet*.c share. */
#ifndef SIM_SIMNET_INT_H
#define SIM_SIMNET_INT_H

#include "base/buf.h"
#include "sim/proc.h"
#include "sim/simlink.h"
#include "sim/simnet.h"

#define SIMLINK_RTO_FIRST 200000000u
#define SIMLINK_RTO_LAST  120000000000u

enum sock_state {
    SOCK_LISTENING,
    SOCK_CONNECTING,
    SOCK_OPEN,
    SOCK_DEAD, /* reset, refused or timed out: `error` says how until it was told */
};

/* A run of bytes on its way, or the end of the stream. */
struct segment {
    uint64_t when; /* arrives then: sent + late + lag, or with the one before it */
    uint64_t sent; /* the link has let its last byte through */
    uint64_t late; /* sent again so much later, for it was lost */
    uint64_t lag;  /* on its way for so long */
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
    uint64_t last_when;  /* of the newest segment: the stream is FIFO */
    uint64_t head_since; /* the first segment is the first since then */
    bool fin_sent;
    bool fin_in;         /* the receiver has seen the end */
    unsigned retries;    /* of a segment that nobody takes */
    uint64_t lost_since; /* when that began */
    bool cut;            /* a link is why */
    size_t unacked;      /* bytes that arrived; the writer does not know */
    uint64_t deaf_since; /* the first of them; 0: none */
    uint64_t shut_since; /* the receiver has no room for what is due; 0: it has */
    struct timer timer;  /* the next arrival, or the next try */
};

/* When this side's keepalive gives up; armed only while it does not hear the other. */
struct simalive {
    struct simconn *conn;
    int side;
    struct timer timer;
};

struct simconn {
    struct simnet *net;
    uint64_t id;
    struct simsock *side[2]; /* 0 connected to 1; NULL once it is freed or not there yet */
    struct half half[2];     /* half[s] carries what side s writes */
    struct simlink *wire[2]; /* that it takes; NULL within a host */
    struct host *host[2];
    uint16_t port;     /* of the listener */
    uint64_t heard[2]; /* when side s last heard of the other */
    struct simalive alive[2];
    struct timer handshake;
    unsigned syns; /* sent */
    uint64_t syn_first;
    bool answered; /* the handshake timer carries the answer */
    enum status answer;
    bool from_host; /* the answer comes from the other host, not from a router on the way */
    bool ghost;     /* the client is connected, and no listener's queue has room for it */
    uint64_t ghost_since;
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
    bool forgot;     /* dead, and the other side was not told: what it sends is answered with RST */
    bool never;      /* dead, and it never was connected: its end is no end of a stream */
    bool wants_room; /* a write, or a poll, found none: room that comes is news */
    uint64_t user_timeout_ns;
    uint64_t keepalive_ns; /* 0: off */
    /* listeners */
    int backlog;
    int queued_count;
    struct list queue; /* of simsock.queue_link, connections not accepted yet */
    struct list queue_link;
    struct list watchers; /* of interest.by_sock */
    struct list link;     /* in net.socks */
};

struct simlink_numbered {
    uint64_t id;
    struct simlink_cut cut;
};

struct simlink {
    struct simnet *net;
    const struct host *from, *to;
    struct simlink_profile profile;
    struct chooser_stream time;
    struct simlink_numbered *cuts; /* in force */
    size_t cut_count;
    uint64_t clog;    /* bytes a second; 0: none */
    uint64_t free_at; /* all that was written is sent by then */
    uint64_t flips_due;
    uint64_t delivered, lost, flipped;
};

struct simlink_row {
    struct simlink **to; /* by the receiver's id; NULL: never asked for */
    size_t count;
};

struct simnet {
    struct world *world;
    struct list socks;
    struct list conns;
    uint64_t ids;
    struct chooser_stream time;
    struct chooser_stream fault;
    struct simlink_row *rows; /* by the sender's id */
    size_t row_count;
    uint64_t cut_ids;
    uint64_t flips; /* so far */
    uint64_t effects[SIMNET_EFFECTS];
};

/* What a cut judges a packet by. */
struct simlink_packet {
    uint64_t conn;
    uint16_t port;
    size_t bytes;
    bool ack; /* and nothing else */
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
/* Sets the half's timer for its first segment, or for the writer's patience with it. */
void simconn_arm(struct half *h);
/* Frees the connection once neither side can do anything with it. */
void simconn_settle(struct simconn *c);
/* Queues bytes already in half.fly, or an end, for arrival. */
void simconn_send(struct half *h, size_t bytes, bool fin, bool rst);
/* Moves what has arrived into the receiver's buffer, as far as there is room. */
void simconn_deliver(struct half *h);
/* The connection is dead for this side, for this reason. */
void simsock_break(struct simsock *s, enum status why);
/* That machine lost its power, or has it again. */
void simconn_host_changed(struct simnet *n, const struct host *h);
/* Its first SYN sets out. */
void simsyn_start(struct simconn *c);
void simsyn_fire(struct timer *t);
/* A client that nobody serves sends something: whoever could, looks again. */
void simsyn_ghost_retry(struct simconn *c);
size_t simnet_buffer(const struct simnet *n);
struct host *simnet_host_at(struct world *w, struct host *from, const struct env_addr *a);
/* Bytes that this side may write now. */
size_t simconn_room(const struct half *h);
/* Both sides are known now, or have changed. */
void simconn_wire(struct simconn *c, struct host *server);
/* How a packet of this half fares; an ack of what the half brings goes the other way. */
enum simlink_mode simconn_passes(const struct half *h, size_t bytes);
bool simconn_ack_passes(const struct half *h);

/* What would open the window of this half may be gone: it is asked, soon. */
void simconn_probe_window(struct half *h);

/* ---- simalive.c ---- */
/* Something changed for that side: its keepalive begins to count, or to hope again. */
void simalive_look(struct simconn *c, int side);
void simalive_fire(struct timer *t);

/* ---- simlink.c ---- */
/* The link; NULL within a host. */
struct simlink *simlink_between(struct simnet *n, const struct host *from, const struct host *to);
void simlink_free_all(struct simnet *n);
enum simlink_mode simlink_judge(const struct simlink *l, const struct simlink_packet *p);
/* Says when a segment arrives; g->bytes is set. l may be NULL, here and below. */
void simlink_send(struct simnet *n, struct simlink *l, struct segment *g);
/* When a packet without bytes of the stream arrives that is sent now. */
uint64_t simlink_packet(struct simnet *n, struct simlink *l);
bool simlink_lost(struct simlink *l); /* draws whether a packet is */
/* These bytes are in the receiver's buffer now. */
void simlink_arrived(struct simlink *l, unsigned char *data, size_t bytes);
/* The k-th retransmission timeout. */
uint64_t simlink_rto(unsigned k);
/* The link has other cuts now: whoever waits on it looks again. */
void simconn_link_changed(struct simlink *l);
static inline struct simlink *simconn_link(const struct half *h)
{
    return h->conn->wire[h->from];
}

#endif
