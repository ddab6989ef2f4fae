/* client_int.h - what client.c (calls) and client_link.c (the connection) share. */
#ifndef NET_CLIENT_INT_H
#define NET_CLIENT_INT_H

#include "base/buf.h"
#include "net/client.h"
#include "net/frame.h"
#include "net/pbarena.h"

enum client_state {
    CLIENT_AWAY,    /* no connection */
    CLIENT_DIALING, /* one that is not decided yet */
    CLIENT_LINKED,
};

struct client {
    struct env *env; /* borrowed */
    struct client_options o;
    struct env_addr *nodes; /* owned */
    int poller;
    uint64_t now;
    /* the connection: client_link.c */
    enum client_state state;
    int fd;
    unsigned interest;
    uint32_t node; /* the address in use, or the next one */
    bool led;      /* `leader` instead */
    struct env_addr leader;
    bool ready;          /* the poller said so */
    bool choked;         /* the socket was full */
    bool greeted;        /* the node's preamble has come */
    bool served;         /* and a response */
    uint64_t give_up_at; /* while dialing */
    uint64_t heard_at;   /* while linked */
    uint64_t try_at;     /* while away: not before */
    uint32_t troubles;   /* since a node last did what it was asked */
    struct buf out;      /* from out_at on unsent */
    size_t out_at;
    uint64_t queued; /* bytes of this connection, unsent ones too */
    uint64_t sent;   /* of these, bytes handed to the socket */
    struct buf in;   /* from in_at on not understood */
    size_t in_at;
    size_t in_held; /* bytes of the response that was last handed out */
    struct frame_reader frames;
    /* calls: client.c */
    struct list waiting;     /* to be sent, in order */
    struct list flying;      /* sent, in order */
    struct list by_deadline; /* all of them */
    struct list numbered;    /* those with a number of the present session, in its order */
    uint64_t pending;
    uint32_t fly_count;
    uint32_t repeatable;        /* of the flying ones, those that may be sent again */
    struct client_call **slots; /* owned; flying ones by id */
    uint64_t last_id;
    bool leaving;      /* this node cannot serve: no more is sent to it */
    uint64_t retry_ns; /* what it said about when to try again */
    uint64_t index;    /* of the log: the highest that a response named */
    uint64_t session;  /* 0: none */
    uint64_t next_sequence;
    uint64_t ended; /* calls, ever */
    struct pbarena arena;
    struct pbmsg_response response;
};

/* ---- client_link.c ---- */

void client_link_init(struct client *c);
void client_link_release(struct client *c);

/* Goes to the next node, soon or after a pause; the connection, if there is one, is closed. */
void client_link_next(struct client *c);

/* Brings the connection forward without waiting: dials, sends, receives. */
void client_link_move(struct client *c);

/* Sends what can be sent at once. */
void client_link_flush(struct client *c);

/* The next response's bytes, which stay until client_link_consume or the next one. */
bool client_link_frame(struct client *c, struct slice *payload);
void client_link_consume(struct client *c);

/* When something has to be done though nothing comes. */
uint64_t client_link_due(const struct client *c);

/* Waits for what the connection waits for. */
NODISCARD enum status client_link_wait(struct client *c, uint64_t until_mono);

/* ---- client.c ---- */

/* The connection is gone: what flew waits again, or its outcome is unknown. */
void client_grounded(struct client *c);

#endif
