/* peers_int.h - what peers*.c share.
 *
 * Everything belongs to the peers' thread. The lock is for what senders and people touch too: the
 * table of slots, and of each slot the outgoing link with its output, and the counters. A link's
 * input is the thread's alone. */
#ifndef NODE_PEERS_INT_H
#define NODE_PEERS_INT_H

#include "base/ck.h"
#include "env/addr.h"
#include "net/conn.h"
#include "net/conntab.h"
#include "net/frame.h"
#include "net/peermsg.h"
#include "node/nodelog.h"
#include "node/peers.h"

#define PEERS_MS UINT64_C(1000000)

enum peers_state {
    LINK_DIALING,  /* out: connect is under way */
    LINK_GREETING, /* out: HELLO is said, no reply yet */
    LINK_UP,       /* out */
    LINK_STRANGER, /* in: no HELLO yet */
    LINK_GREETED,  /* in: one HELLO, answered */
    LINK_LIVE,     /* in: said something after our reply */
    LINK_ENDING,   /* in: refused; waits for the other side to close */
};

struct peers_slot;

/* One connection. */
struct peers_link {
    struct list node; /* of peers.links */
    struct peers_slot *slot;
    enum peers_state state;
    bool preamble;       /* in: it has been read */
    bool paused;         /* in: `held` waits for peers_resume */
    bool attention;      /* out: a sender met a full socket, or an error */
    enum status broken;  /* out: that error */
    const char *why;     /* it ends for this reason */
    struct env_addr far; /* the other end */
    struct conn conn;
    uint64_t token;
    struct frame_reader frames;
    struct slice held; /* a message that `deliver` refused: lies in conn.in */
    uint64_t begun_ns;
    uint64_t since_ns;   /* of this state */
    uint64_t heard_ns;   /* last input */
    uint64_t said_ns;    /* last HELLO, or beat of a paused link */
    uint64_t probe;      /* out: of the last HELLO; in: of the last one heard */
    uint64_t sent_then;  /* out: messages sent when it last said HELLO */
    uint64_t life;       /* of the other end */
    struct buf filling;  /* frames that wait */
    struct buf sending;  /* those that conn has, as `run` */
    struct conn_out run; /* linked while there are some */
};

/* Another node. */
struct peers_slot {
    uint64_t id;
    struct env_addr addr; /* family 0: not known */
    bool told;            /* by peers_set, not by the node itself */
    bool removed;
    uint64_t removed_life;  /* its incarnation then */
    bool lost;              /* to be told */
    bool admitted;          /* the same */
    bool dirty;             /* has frames that peers_flush is to send */
    struct peers_link *out; /* NULL: waits until next_ns */
    struct peers_link *in;
    unsigned links;  /* that point here */
    unsigned tries;  /* dials since the last success */
    int32_t refusal; /* the last one that the log tells of */
    uint64_t next_ns;
    struct peers_stats stats;
};

struct peers {
    struct env *env;
    struct peers_options o;
    struct nodelog log;
    bool hardware;
    int poller;
    int listener;
    struct env_addr listen; /* as bound */
    struct env_thread thread;
    bool started;
    uint64_t now_ns;    /* the thread's, of this turn */
    uint64_t accept_ns; /* when to look at the listener again; ENV_NEVER: it is armed */
    struct conntab tokens;
    struct list links; /* oldest first */
    size_t strangers;
    struct pbarena arena; /* of the message being read */
    struct env_mutex m;   /* guards what follows */
    bool stopping;
    bool resume;
    struct peerwire wire;
    size_t count;
    struct peers_slot *slots[PEERS_MAX];
    struct peers_totals totals;
};

/* ---- peers.c ---- */

/* The slot of that id; NULL: none. Locked. */
struct peers_slot *peers_slot(struct peers *p, uint64_t id);
/* The same, made when there is none. NULL: no memory, or too many. Locked. */
struct peers_slot *peers_slot_make(struct peers *p, uint64_t id);

static inline void peers_lock(struct peers *p)
{
    env_mutex_lock(p->env, &p->m);
}

static inline void peers_unlock(struct peers *p)
{
    env_mutex_unlock(p->env, &p->m);
}

/* ---- peers_link.c: what both directions have ---- */

/* Takes fd over, in every case. NULL: no memory. */
struct peers_link *peers_link_new(struct peers *p, int fd, enum peers_state state,
                                  const struct env_addr *far);
/* Closes and frees it. One that belongs to a slot: locked. */
void peers_link_free(struct peers *p, struct peers_link *l);
void peers_link_state(struct peers *p, struct peers_link *l, enum peers_state state);
static inline size_t peers_link_queued(const struct peers_link *l)
{
    return l->filling.size + l->conn.out_bytes;
}
/* Appends HELLO or its reply. */
NODISCARD enum status peers_link_hello(struct peers *p, struct peers_link *l, uint64_t to);
NODISCARD enum status peers_link_reply(struct peers *p, struct peers_link *l, uint64_t to,
                                       enum peermsg_refusal refusal);
/* Sends what there is. ST_OK: all of it; ST_AGAIN: the rest waits. */
NODISCARD enum status peers_link_flush(struct peers_link *l);
/* Gives buffers back that a quiet link does not need. */
void peers_link_trim(struct peers_link *l);

/* Reads what there is and hands each message to `each` until it says otherwise. ST_AGAIN: no more
 * has come. Else the link is over, l->why may say why: ST_STOPPED the stream's end, ST_BUSY paused
 * (it is not over). */
typedef enum status peers_each(struct peers *p, struct peers_link *l, const struct peermsg *m,
                               size_t bytes);
NODISCARD enum status peers_link_read(struct peers *p, struct peers_link *l, peers_each *each);
/* Offers `held` again, and goes on. */
NODISCARD enum status peers_link_again(struct peers *p, struct peers_link *l, peers_each *each);
/* The header names us, that node and this cluster. */
bool peers_link_ours(const struct peers *p, const struct peermsg *m);

/* ---- peers_dial.c: links out ---- */

/* Dials, pings, gives up: whatever is due. Locked. */
void peers_dial_tick(struct peers *p, struct peers_slot *s);
void peers_dial_event(struct peers *p, struct peers_link *l, unsigned ready);
/* When peers_dial_tick has something to do. Locked. */
uint64_t peers_dial_next(const struct peers *p, const struct peers_slot *s);
/* The node has just got through to us, by `in`: so may we. Locked. */
void peers_dial_kick(struct peers *p, struct peers_slot *s, const struct peers_link *in);
/* It is over. Locked. */
void peers_dial_fail(struct peers *p, struct peers_link *l, enum status st);

/* ---- peers_take.c: links in ---- */

void peers_take_accept(struct peers *p);
void peers_take_event(struct peers *p, struct peers_link *l, unsigned ready);
/* Ends what is overdue. */
void peers_take_tick(struct peers *p, struct peers_link *l);
uint64_t peers_take_next(const struct peers *p, const struct peers_link *l);
/* Offers what was held; true: there was something. */
void peers_take_resume(struct peers *p, struct peers_link *l);

#endif
