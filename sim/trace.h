/* trace.h - what happened, as a rolling hash and as lines for a person.
 *
 * Every event of a world goes through here: it is folded into the hash, kept in a ring for the
 * report of a failure, and printed when somebody watches. An event holds numbers and a short text
 * only, no pointer and no size of a host type, so that the hash is equal on every machine.
 *
 * Invariants: I1 the hash depends on every field of every event and on their order   I2 watching or
 * not watching does not change it. */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include "base/mem.h"

#include <stddef.h>
#include <stdint.h>

enum trace_kind {
    TRACE_SWITCH, /* a task runs: folded into the hash, not kept */
    TRACE_START,
    TRACE_EXIT,
    TRACE_KILL,
    TRACE_POWER,
    TRACE_PAUSE,
    TRACE_RESUME,
    TRACE_THREAD,
    TRACE_OPEN,
    TRACE_READ,
    TRACE_WRITE,
    TRACE_APPEND,
    TRACE_SYNC,
    TRACE_TRUNCATE,
    TRACE_ALLOCATE,
    TRACE_CLOSE,
    TRACE_DIR,
    TRACE_RENAME,
    TRACE_LINK,
    TRACE_REMOVE,
    TRACE_DIRSYNC,
    TRACE_LOCK,
    TRACE_LISTEN,
    TRACE_CONNECT,
    TRACE_ACCEPT,
    TRACE_RECV,
    TRACE_SEND,
    TRACE_SHUTDOWN,
    TRACE_DELIVER,
    TRACE_RESET,
    TRACE_REFUSE, /* an allocation */
    TRACE_NOTE,
    TRACE_LOG,
    TRACE_CONSOLE,
    TRACE_CLIENT, /* an operation of a client began or ended */
    TRACE_FAULT,
    TRACE_PHASE,
    TRACE_VIOLATION,
    TRACE_KINDS
};

#define TRACE_TEXT 64

struct trace_event {
    uint64_t time; /* virtual ns */
    uint32_t proc; /* 0: the world itself */
    uint32_t task;
    enum trace_kind kind;
    uint32_t status; /* enum status */
    uint64_t a, b, c;
    char who[12];          /* process name, for the eye; not hashed */
    char text[TRACE_TEXT]; /* NUL-padded */
};

/* Called for each event as it happens. */
typedef void trace_watch_fn(void *arg, const struct trace_event *e);

struct trace {
    struct mem *mem;
    uint64_t hash;
    uint64_t events;
    struct trace_event *ring;
    size_t cap; /* events kept; 0: none */
    trace_watch_fn *watch;
    void *watch_arg;
};

void trace_init(struct trace *t, struct mem *mem, size_t keep);
void trace_release(struct trace *t);

/* Folds numbers that are not worth a line. */
void trace_mix(struct trace *t, uint64_t a, uint64_t b);
void trace_add(struct trace *t, const struct trace_event *e);

/* Event i of the ring, 0 the oldest kept; NULL past the newest. */
const struct trace_event *trace_kept(const struct trace *t, size_t i);

/* One line without \n, at most size bytes with the NUL: time, process, task, kind, text, numbers,
 * status; columns are fixed. */
void trace_format(const struct trace_event *e, char *line, size_t size);

/* Copies text into e->text, cut to fit. */
void trace_text(struct trace_event *e, const char *text);

#endif
