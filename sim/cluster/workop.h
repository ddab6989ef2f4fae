/* workop.h - one operation of a client: what it is, and how it is asked.
 *
 * What operation `ordinal` is depends on its own stream of choices alone, so leaving others out
 * does not change it. Values are unique. */
#ifndef SIM_CLUSTER_WORKOP_H
#define SIM_CLUSTER_WORKOP_H

#include "net/respclient.h"
#include "sim/cluster/workload.h"

#define WORKOP_PARTS_MAX 4
#define WORKOP_TRIES     12
#define WORKOP_SCAN      3 /* parts[0].value_at of the W_OTHER that is a SCAN */

enum wkind {
    W_GET,
    W_SET,
    W_DEL,
    W_CAS,
    W_APPEND,
    W_INCR,
    W_SETNX,
    W_GETSET,
    W_MGET,
    W_MSET,
    W_MULTI,
    W_RANGE,
    W_BUFFERED,
    W_OTHER,
    W_KINDS
};

struct part {
    char key[32];
    size_t value_at; /* in wop.text */
    size_t value_size;
    enum lin_kind kind;
};

/* One operation on its way. */
struct wop {
    enum wkind kind;
    uint64_t ordinal;
    struct part parts[WORKOP_PARTS_MAX];
    unsigned part_count;
    bool expect_absent;
    size_t expect_at, expect_size;
    unsigned replies; /* owed */
    uint64_t start;   /* respclient_left() tells by this whether it left */
    uint64_t number;  /* of its last request on the connection, */
    uint64_t conn;    /* which was this one */
    int64_t call;
    bool queued;
    bool sent;
    bool settled;                           /* its outcome is in the history */
    struct history_try tries[WORKOP_TRIES]; /* before the present one */
    unsigned try_count;
};

struct session {
    struct client *me;
    struct env *env;
    struct workload *load;
    struct respclient rc;
    bool open;
    uint64_t conn;             /* as the network names it */
    uint64_t requests;         /* sent on it */
    struct chooser_stream own; /* of this client: pauses, faults */
    struct wop *ops;
    size_t op_count, op_cap;
    struct buf text;  /* values of the operations on their way */
    uint64_t cursor;  /* of a SCAN under way */
    struct buf *seen; /* per key: the value last read, for CAS */
    unsigned backoff;
    /* a session of the group's, in which requests are executed once */
    uint64_t once;     /* its number; 0: none */
    uint64_t sequence; /* of the last request in it */
    bool running;      /* the present operation goes by it */
};

/* The n-th key as the workload names it. */
void workop_key(uint64_t n, char *key, size_t size);
/* Draws operation `ordinal`; its values go to s->text. */
void workop_draw(struct session *s, struct wop *w, uint64_t ordinal);
/* It is a single write: it can be run in a session. */
bool workop_runs(const struct wop *w);
/* Queues its requests on the connection, counting the replies owed; s->running: in the session. */
NODISCARD enum status workop_queue(struct session *s, struct wop *w);
/* Texts of its values; borrowed until s->text grows. */
struct slice workop_text(const struct session *s, size_t at, size_t size);
struct slice workop_value(const struct session *s, const struct part *p);
void workop_keep(struct session *s, size_t *at, size_t *size, struct slice v);

#endif
