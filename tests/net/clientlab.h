/* clientlab.h - a client of net/client.h in a simulated world, against stand-ins for nodes that do
 * everything that nodes and networks may do to a request, short of lying.
 *
 * The stand-ins share one state: counters, and sessions with exact memory. Every call increments a
 * counter of its own, so that what became of it can be told for certain afterwards. */
#ifndef TESTS_NET_CLIENTLAB_H
#define TESTS_NET_CLIENTLAB_H

#include "base/prng.h"
#include "net/client.h"
#include "tests/sim/simtest.h"

#define CLIENTLAB_NODES    3 /* at most */
#define CLIENTLAB_PORT     7000
#define CLIENTLAB_CALLS    600
#define CLIENTLAB_SESSIONS 64
#define CLIENTLAB_NUMBERS  1024
#define CLIENTLAB_LATE     512
#define CLIENTLAB_MS       1000000ull

/* What happens to a request, drawn by weight. */
enum clientlab_mood {
    MOOD_SERVE,
    MOOD_DROP_BEFORE, /* the connection ends, and nothing was done */
    MOOD_DROP_AFTER,  /* it was */
    MOOD_HALF_REPLY,  /* it was, and some of the response leaves */
    MOOD_UNKNOWN_DONE,
    MOOD_UNKNOWN_LATE, /* it will be */
    MOOD_UNKNOWN_NOT,
    MOOD_REFUSE, /* UNAVAILABLE, BUSY, STOPPING */
    MOOD_LEADER, /* NOT_LEADER, with an address or without */
    MOOD_LATE,   /* done later, and then answered */
    MOOD_MUTE,   /* nothing more is answered on this connection, though it is done */
    MOOD_EXPIRE, /* the session is evicted first */
    MOOD_FULL,   /* NO_MEMORY */
    MOODS
};

struct clientlab;
struct clientload;

struct clientlab_session {
    uint64_t floor;
    uint64_t values[CLIENTLAB_NUMBERS]; /* replies; 0: not executed */
    bool gone;
};

struct clientlab_late {
    uint64_t at;
    uint32_t node; /* who answers it; 0: nobody */
    uint64_t conn;
    struct pbmsg_request request;
    uint32_t counter;
};

struct clientlab_node {
    struct clientlab *lab;
    struct host *host;
    struct proc *proc; /* NULL: not running */
    uint32_t id;       /* from 1 */
};

struct clientlab {
    struct simtest t;
    struct prng prng;
    struct clientlab_node nodes[CLIENTLAB_NODES + 1];
    struct host *client_host;
    struct list tasks;
    uint32_t weight[MOODS];
    bool calm;  /* every request is served */
    bool kills; /* nodes are killed and come back */
    bool over;  /* the client has ended: so do the nodes */
    int (*client)(struct clientlab *lab, struct env *env);
    struct clientload *load; /* for it */
    bool sessions_known;     /* the nodes have sessions */
    uint32_t node_count;
    uint32_t leader; /* the others name it and serve nobody; 0: all serve */
    /* Another program in the place of the stand-ins; they are told to stop when the client ends. */
    proc_main_fn *program;
    int argc;
    char **argv[CLIENTLAB_NODES + 1];
    /* the state of the group */
    uint32_t counters[CLIENTLAB_CALLS];
    struct clientlab_session sessions[CLIENTLAB_SESSIONS + 1]; /* by id, from 1 */
    uint64_t session_count;
    struct clientlab_late late[CLIENTLAB_LATE];
    uint32_t late_count;
    /* what happened */
    uint64_t moods[MOODS];
    uint64_t repeats; /* numbers that came again and were known */
    uint64_t served;
    uint64_t lost; /* connections, as the client says */
    char leaks[160];
};

/* A lab with all weights at 0 but MOOD_SERVE, and no faults of the network; change it, run it. */
void clientlab_open(struct clientlab *lab, uint64_t seed);

/* Runs lab->client on a host of its own to its end; false: the world failed. */
bool clientlab_run(struct clientlab *lab);
void clientlab_close(struct clientlab *lab);

/* Options with the addresses of the nodes, and one where nobody listens. */
void clientlab_options(struct clientlab *lab, struct client_options *o, struct env_addr *addrs);

/* Draws the knobs that concern the network, and leaves the disks alone. */
void clientlab_draw(struct clientlab *lab);

/* The address of a host. */
struct env_addr clientlab_address(const struct host *h);

/* The key of a counter. */
struct slice clientlab_key(uint32_t counter, char text[8]);

#endif
