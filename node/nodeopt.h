/* nodeopt.h - what the node can be told on its command line, and the part of it that CONFIG SET
 * can change while it runs.
 *
 * One table drives parsing, checking and the help text. Failure: ST_INVAL with one line for a
 * person. Ownership: strings are borrowed from argv. */
#ifndef NODE_NODEOPT_H
#define NODE_NODEOPT_H

#include "base/err.h"
#include "base/slice.h"
#include "env/env.h"
#include "node/peerlist.h"

#include <stdbool.h>
#include <stdint.h>

/* Can change while the node runs; copied between threads under the core's mutex. */
struct nodeopt_live {
    uint64_t sync; /* 1: writes are durable when answered, unless a connection says otherwise */
    uint64_t clients_max;
    uint64_t request_bytes_max;
    uint64_t output_bytes_max; /* a reply, and what waits on a connection that does not read */
    uint64_t idle_ms;          /* 0: for ever */
};

struct nodeopt {
    const char *data;
    struct env_addr listen;
    struct nodeopt_live live;
    uint64_t write_buffer_bytes;
    uint64_t cache_bytes;
    uint64_t verify;
    uint64_t tight;
    uint64_t log_least;      /* of enum env_log_level */
    uint64_t grace_ms;       /* at stop: to send what is owed */
    uint64_t group_commands; /* executed before a commit, at most */
    uint64_t group_bytes;
    uint64_t inflight;   /* requests of a connection that wait for the core, at most */
    uint64_t request_ms; /* with a group: until TRYAGAIN or UNKNOWN */
    uint64_t cursors;    /* SCAN cursors that are remembered */
    /* a member of a group; docs/node.md says which of these go together */
    uint64_t id;                  /* 0: the node is not replicated */
    struct peerlist peers;        /* the founders; with `join`: whom to call */
    struct env_addr peer_listen;  /* family 0: the node has no listener for other nodes */
    struct env_addr peer_address; /* where other nodes reach it: its entry in `peers`, else
                                     peer_listen */
    uint64_t join;
    const char *cluster;
    uint64_t election_ms;
    uint64_t heartbeat_ms;
    uint64_t lease_ppm; /* how far clocks' rates may be off; 0: there are no leases */
    uint64_t connect_ms;
    uint64_t log_segment_bytes;
    uint64_t log_compact_bytes;
};

/* Parses the arguments after `serve`. */
NODISCARD enum status nodeopt_parse(struct nodeopt *o, int argc, char **argv, struct err *err);

/* A setting by its command-line name without the dashes, for CONFIG. */
enum nodeopt_outcome { NODEOPT_SET, NODEOPT_UNKNOWN, NODEOPT_FIXED, NODEOPT_BAD };

/* Changes one of the live settings; NODEOPT_BAD: err says why. */
enum nodeopt_outcome nodeopt_set(struct nodeopt_live *live, struct slice name, struct slice value,
                                 struct err *err);

/* Number of settings that CONFIG shows; name and value (text of 32 bytes) of the i-th. */
int nodeopt_live_count(void);
const char *nodeopt_live_get(const struct nodeopt_live *live, int i, char *text);

/* Prints the help text to the console. */
void nodeopt_help(struct env *env);

#endif
