/* job.h - a request on its way through the node, and the session it belongs to.
 *
 * A job is one block of memory: the request's arguments, where its reply will stand, and the
 * links of whatever queue it is in. The reactor makes it, hands it to the core thread, gets it
 * back with a reply and sends that straight from the job. It always belongs to exactly one of
 * the two, so it needs no lock.
 *
 * A session is what the node knows of a connection beyond its bytes. The reactor makes it and
 * from then on only the core thread looks at it; the last job of a connection, JOB_END, stands
 * in the session itself, so that closing a connection cannot be refused memory. */
#ifndef NODE_JOB_H
#define NODE_JOB_H

#include "base/buf.h"
#include "base/list.h"
#include "net/conn.h"
#include "net/resp.h"
#include "node/replica.h"

#include <stdbool.h>

#define SESSION_NAME_MAX 64

enum job_kind {
    JOB_REQUEST,
    JOB_CANNED, /* the reply is there already: it only waits for its turn */
    JOB_END,    /* the connection is gone: drop its session */
};

/* Who executes it, on a node that replicates. */
enum job_route {
    JOB_HERE,    /* this node alone: it is answered already */
    JOB_READS,   /* the state, on this node or by way of the log */
    JOB_CURSOR,  /* the same, but this node's only: SCAN */
    JOB_WRITES,  /* the log */
    JOB_CHANGES, /* the leader's core: members, leadership */
};

struct session;

/* A request that came as protobuf, and for which a command, or a transaction of them, stands in:
 * what its response has to know of it (pbfront.h). */
struct job_shape {
    uint8_t op;    /* of enum pbmsg_which; 0: the request came as RESP */
    uint8_t flags; /* pbfront's */
};

/* A request with a number in a session of the replicated state (once.h). session 0: none. */
struct job_once {
    uint64_t session;
    uint64_t sequence;
    uint64_t answered;
};

enum job_sync { JOB_SYNC_SESSION, JOB_SYNC_YES, JOB_SYNC_NO };

struct job {
    struct list link;
    struct conn_out out; /* the reply's bytes */
    enum job_kind kind;
    uint64_t token;  /* of the connection; it may be gone by now */
    uint64_t number; /* on its connection, from 1; set when it is first executed */
    struct session *session;
    struct mem *mem; /* borrowed */
    size_t bytes;    /* memory taken, for limits */
    struct buf reply;
    bool begun;           /* executed at least once: protocol and sync are set */
    bool wrote;           /* it has writes in the group's batch */
    bool dirty;           /* it read one of them */
    bool settled;         /* its reply is final */
    bool sync;            /* its writes must be durable before the reply leaves */
    bool ends;            /* the connection ends after this reply */
    enum job_route route; /* this and what follows: of a node that replicates (node/front.h) */
    const char *failure;  /* executed, but it failed */
    uint64_t reply_max;
    struct job_once once;
    struct replica_change change; /* with JOB_CHANGES */
    uint32_t arg_skip;            /* the command is behind so many arguments */
    int protocol;
    enum job_sync sync_wish;      /* what the request itself says */
    enum replica_freshness fresh; /* of reads; what the request says, or its connection */
    uint64_t min_index;
    uint64_t deadline; /* mono; what is not begun by then is not done */
    uint64_t pb_id;    /* of a request of protobuf */
    uint64_t index;    /* of the log: of the write, or of the state that was read; 0: none */
    struct job_shape shape;
    struct job_shape *shapes; /* of the requests of a transaction, in the same block */
    struct list transaction;  /* EXEC: its queued requests, struct job_queued; or it brought them */
    uint32_t arg_count;
    struct slice *args; /* in the same block; data == NULL: a null bulk */
};

/* A request that MULTI put aside. */
struct job_queued {
    struct list link;
    size_t bytes;
    uint32_t arg_count;
    struct slice args[];
};

struct session {
    struct job end;
    uint64_t id;       /* CLIENT ID */
    uint64_t requests; /* executed so far */
    int protocol;
    bool sync;
    enum replica_freshness fresh; /* of reads */
    bool closing;                 /* QUIT was answered: ignore the rest */
    bool multi;
    bool multi_failed;
    struct list waiting; /* struct job, in order; of a node that replicates, as the next two */
    struct list touched;
    uint32_t flying;    /* requests that the replica has */
    struct list queued; /* struct job_queued */
    uint32_t queued_count;
    size_t queued_bytes;
    size_t name_size;
    char name[SESSION_NAME_MAX];
};

/* Makes a job of a parsed request at data; NULL when refused. */
struct job *job_new_request(struct mem *mem, const struct resp_parser *p, const char *data);

/* Makes a job of arguments, which are copied, with room for so many shapes; NULL when refused. */
struct job *job_new_args(struct mem *mem, const struct slice *args, uint32_t count,
                         uint32_t shapes);

/* Makes a job whose reply is `bytes`, whose ownership goes to it; NULL when refused. */
struct job *job_new_canned(struct mem *mem, struct buf *bytes, bool ends);

/* Makes a job whose reply is the error "ERR <text>" (copied), after which the connection ends. */
struct job *job_new_error(struct mem *mem, const char *text);

/* Frees a job that is in no list; not a JOB_END. */
void job_free(struct job *j);

/* Sets the final reply to a constant text. */
void job_reply_const(struct job *j, const char *text);

/* Copies a request for MULTI; NULL when refused. */
struct job_queued *job_queued_new(struct mem *mem, const struct slice *args, uint32_t count);

/* Frees a list of struct job_queued. */
void job_queued_free(struct mem *mem, struct list *queued);

/* NULL when refused. */
struct session *job_session_new(struct mem *mem, uint64_t id, bool sync);
void job_session_free(struct mem *mem, struct session *s);

#endif
