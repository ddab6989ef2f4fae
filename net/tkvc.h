/* tkvc.h - a client of TinyKV for programs: blocking calls, one after the other, to one node or to
 * a group of them.
 *
 *     struct tkvc_options o;
 *     struct tkvc *c;
 *     struct tkvc_result r;
 *     tkvc_env_new(&env);
 *     tkvc_options_init(&o);
 *     o.env = env;
 *     o.nodes = "10.0.0.1:6379,10.0.0.2:6379,10.0.0.3:6379";
 *     if (tkvc_open(&o, &c, &error) == TKVC_OPENED) {
 *         if (tkvc_put(c, "key", 3, "value", 5, &r) == TKVC_DONE) { … }
 *         tkvc_close(c);
 *     }
 *
 * Every call waits for its outcome, timeout_ms at most; within it another node is tried when one
 * fails. TKVC_UNKNOWN is as true an answer as the others: the call may have been carried out, or
 * may be yet. With o.once it is rare: writes are numbered in a session of the group, which carries
 * out a number once however often it is sent, so that they can be sent again. Nodes that do not
 * replicate have no sessions; with o.once a write to one is TKVC_NOT_DONE, `error` says why.
 *
 * Threads: one at a time. Ownership: what is passed in is borrowed for the call; a result's value
 * and message until the next call. */
#ifndef TKVC_H
#define TKVC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct env;
struct tkvc;

/* How fresh reads are. */
enum tkvc_consistency {
    TKVC_LINEARIZABLE = 0, /* they see every write that was answered, to anybody, before them */
    TKVC_LEASE,            /* the same, as long as the nodes' clocks are as good as they are told */
    TKVC_LOCAL,            /* what the node has that they come to: this client's own writes, no less
                              than it has seen before, and of other clients' perhaps an old state */
};

struct tkvc_options {
    uint32_t size;       /* of this struct, set by tkvc_options_init */
    const char *nodes;   /* "ADDR:PORT,…", numeric */
    uint64_t timeout_ms; /* of a call [5000] */
    bool once;           /* writes are carried out once, see above [false] */
    struct env *env;     /* the world to run in: of tkvc_env_new, or a simulated one */
    enum tkvc_consistency consistency;
};

enum tkvc_opened {
    TKVC_OPENED = 0,
    TKVC_BAD_OPTIONS, /* `error` says which */
    TKVC_NO_MEMORY,
    TKVC_NO_WORLD, /* the system refuses what is needed to wait */
};

enum tkvc_outcome {
    TKVC_DONE = 1,
    TKVC_NOT_DONE, /* and it never will be */
    TKVC_UNKNOWN,
};

struct tkvc_error {
    char text[256];
};

struct tkvc_result {
    int code;            /* of enum Code of tinykv.proto; 0: OK */
    const char *message; /* for a person; "" with TKVC_DONE */
    bool yes;            /* get: it is there; put_if, cas: it was done; delete: it was there */
    int64_t number;      /* incr: the new value; append: the new size */
    const void *value;   /* get */
    size_t value_size;
};

/* The real world; it outlives its clients. */
enum tkvc_opened tkvc_env_new(struct env **env);
void tkvc_env_free(struct env *env);

void tkvc_options_init(struct tkvc_options *o);

/* Connects to nobody yet. error may be NULL. */
enum tkvc_opened tkvc_open(const struct tkvc_options *o, struct tkvc **c, struct tkvc_error *error);

/* NULL is harmless. */
void tkvc_close(struct tkvc *c);

enum tkvc_outcome tkvc_get(struct tkvc *c, const void *key, size_t key_size, struct tkvc_result *r);
enum tkvc_outcome tkvc_put(struct tkvc *c, const void *key, size_t key_size, const void *value,
                           size_t value_size, struct tkvc_result *r);
/* Only when the key is there (present), or is not. */
enum tkvc_outcome tkvc_put_if(struct tkvc *c, const void *key, size_t key_size, bool present,
                              const void *value, size_t value_size, struct tkvc_result *r);
enum tkvc_outcome tkvc_delete(struct tkvc *c, const void *key, size_t key_size,
                              struct tkvc_result *r);
/* Sets it when it is `expected`; NULL: when it is not there. */
enum tkvc_outcome tkvc_cas(struct tkvc *c, const void *key, size_t key_size, const void *expected,
                           size_t expected_size, const void *value, size_t value_size,
                           struct tkvc_result *r);
enum tkvc_outcome tkvc_append(struct tkvc *c, const void *key, size_t key_size, const void *value,
                              size_t value_size, struct tkvc_result *r);
enum tkvc_outcome tkvc_incr(struct tkvc *c, const void *key, size_t key_size, int64_t delta,
                            struct tkvc_result *r);

/* Walks over start <= key < end in pages; a NULL end is open. Each page is one state of the store.
 * Return false from `each` to stop; that is TKVC_DONE. */
typedef bool tkvc_each(void *arg, const void *key, size_t key_size, const void *value,
                       size_t value_size);
enum tkvc_outcome tkvc_scan(struct tkvc *c, const void *start, size_t start_size, const void *end,
                            size_t end_size, tkvc_each *each, void *arg, struct tkvc_result *r);

#ifdef __cplusplus
}
#endif

#endif
