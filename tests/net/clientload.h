/* clientload.h - calls on a clientlab's group, and the judgement of what was said of them: each
 * call has a counter of its own, so what was done can be told from what was not, and from what was
 * done twice. */
#ifndef TESTS_NET_CLIENTLOAD_H
#define TESTS_NET_CLIENTLOAD_H

#include "tests/net/clientlab.h"

/* A call on the counter of its own number. */
struct clientload_record {
    struct client_call call;
    char key[8];
    uint64_t ended_at;
    bool ended; /* done() was called */
};

/* One run; it outlives the process of the client. */
struct clientload {
    struct clientlab *lab;
    struct env *env;
    struct client *c;
    struct client_options options;
    struct env_addr addrs[CLIENTLAB_NODES + 1];
    struct clientload_record records[CLIENTLAB_CALLS];
    uint32_t count;
    uint32_t wrong; /* done() twice, a call that ended late … */
    bool opening;
    struct client_call open;
};

enum clientload_kind { CLIENTLOAD_READ, CLIENTLOAD_WRITE, CLIENTLOAD_ONCE, CLIENTLOAD_KINDS };

/* Over many runs. */
struct clientload_tally {
    uint64_t ended[CLIENTLOAD_KINDS][4]; /* by outcome */
    uint64_t again;                      /* calls that were sent more than once */
};

/* To be the lab's client, with lab->load set: keeps some calls flying until all have ended; then
 * everything gets well, and what was put off happens. */
int clientload_main(struct clientlab *lab, struct env *env);

/* All that may become of a request, each in some seeds. */
void clientload_draw(struct clientlab *lab, uint64_t seed);

/* EXPECTs that what is said to have happened did, once, and that what is said not to did not.
 * False: something is wrong. */
bool clientload_judge(const struct clientload *load, struct clientload_tally *tally);

void clientload_print(const struct clientload_tally *tally);

#endif
