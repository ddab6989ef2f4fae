/* client.h - a client of a group of nodes, in protobuf: finds a node that answers, pipelines, waits
 * and tries again within each call's deadline, and says honestly what became of it.
 *
 *     client_new(env, &options, &c)
 *     call = (struct client_call){.request = {.op = PBMSG_GET, .get.key = key}, .deadline = at};
 *     client_run(c, &call);                        one call, and wait for it; or
 *     client_send(c, &call); … client_step(c, at)  many, each with a done() of its own
 *
 * Any node takes any request, so there is one connection, to one node at a time; when it breaks,
 * falls silent or cannot serve, the next address is tried, with a growing, jittered pause once all
 * have failed. A call ends in one of three ways:
 *
 *     CLIENT_DONE      it was carried out; its response is there
 *     CLIENT_NOT_DONE  it was not, and never will be; `code` says why
 *     CLIENT_UNKNOWN   it may have been carried out, or may be yet: nobody here can tell
 *
 * A read is sent again as often as needed. A write is sent again only while it is certain that it
 * was not carried out; or, with `once`, under its number in the client's session (OPEN_SESSION),
 * by which the group carries it out once however often it comes. A session that the group has
 * dropped is an error (PBMSG_CODE_SESSION_EXPIRED) until another one is opened.
 *
 * Calls that are under way together have no order among them. docs/client.md has the rest.
 *
 * Invariants (tests/net/test_client.c, tests/node/test_clientnode.c: under simulation)
 *   I1  done() is called once for each call that was sent, from client_step, client_run,
 *       client_cancel or client_free
 *   I2  a write without `once` of which the last byte was handed to a socket is not sent again,
 *       unless a node said that it did not do it
 *   I3  a call ends at its deadline at the latest, as soon as somebody steps
 *   I4  a number of the session is used for one call only; at most CLIENT_WINDOW are unanswered
 *   I5  a stream of like calls allocates nothing
 *
 * Failure: ST_NOMEM and what the poller says; everything else is the outcome of a call.
 * Threads: one at a time; client_wake alone may be called from any.
 * Ownership: a call and the bytes that its request points to are the caller's, and stay as they
 * are from client_send to done(). A response is borrowed until the next client_step or client_run.
 * Determinism: a function of the Env. */
#ifndef NET_CLIENT_H
#define NET_CLIENT_H

#include "base/list.h"
#include "env/env.h"
#include "net/pbmsg.h"

#define CLIENT_WINDOW 512u /* unanswered numbers of a session; nodes keep 1,024 */

struct client;

struct client_options {
    const struct env_addr *nodes; /* borrowed for client_new; at least one */
    uint32_t node_count;
    uint32_t inflight;       /* calls that wait for responses, a power of two [256] */
    uint64_t connect_ns;     /* for a connection to come about [1 s] */
    uint64_t patience_ns;    /* silence of a node that owes answers, before the next [3 s] */
    uint64_t pause_least_ns; /* after all nodes failed; it doubles from there [20 ms] */
    uint64_t pause_most_ns;  /* [2 s] */
    uint64_t response_max;   /* bytes of a response [1 GiB] */
};

enum client_outcome { CLIENT_DONE = 1, CLIENT_NOT_DONE, CLIENT_UNKNOWN };

struct client_call {
    /* the caller's */
    struct pbmsg_request request;           /* id, session, sequence, answered, timeout_ms: ours;
                                               min_index of a LOCAL read is raised to what this
                                               client knows of */
    bool once;                              /* a write, under the client's session */
    uint64_t deadline;                      /* mono */
    void (*done)(struct client_call *call); /* may be NULL */
    void *arg;                              /* for done() */
    /* what became of it */
    bool ended;
    enum client_outcome outcome;
    int32_t code;                          /* of enum pbmsg_code; OK with CLIENT_DONE */
    const struct pbmsg_response *response; /* NULL: no node had the last word */
    uint32_t attempts;                     /* how often it was sent */
    /* ours */
    struct list link;        /* in client.waiting or .flying */
    struct list by_deadline; /* in client.by_deadline */
    struct list numbered;    /* in client.numbered */
    uint64_t end_at;         /* in the connection's bytes, where its request ends */
    bool flying;
    bool maybe; /* an attempt may have been carried out */
};

/* The defaults; nodes are the caller's to fill in. */
void client_options_init(struct client_options *o);

/* Connects to nobody yet. */
NODISCARD enum status client_new(struct env *env, const struct client_options *o,
                                 struct client **client);

/* Calls under way end: done() is called. NULL is harmless. */
void client_free(struct client *c);

/* Takes a call; it is sent by the next steps. */
void client_send(struct client *c, struct client_call *call);

/* Sends and receives what can be, ending calls; when nothing can, waits for it until that time.
 * Returns sooner as soon as a call ended, or somebody woke it. */
NODISCARD enum status client_step(struct client *c, uint64_t until_mono);

/* Sends a call and steps until it has ended; its response is there until the next step. It has
 * ended too when the poller failed and a status says so. */
NODISCARD enum status client_run(struct client *c, struct client_call *call);

/* Ends a call as if its deadline had come. */
void client_cancel(struct client *c, struct client_call *call);

/* Ends a client_step that waits. From any thread. */
void client_wake(struct client *c);

/* Calls that have not ended. */
uint64_t client_pending(const struct client *c);

/* The session that `once` calls use; 0: none was opened, or it is gone. */
uint64_t client_session(const struct client *c);

#endif
