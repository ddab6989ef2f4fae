/* lin.h - is this history of a key-value store linearizable?
 *
 * A history is a list of client operations with the times of call and return. It is
 * linearizable when some of the operations of unknown outcome can be kept, and all kept and
 * acknowledged ones be put in one order that respects real time (A before B when A.ret < B.call)
 * and in which every result is what a plain sequential store gives. docs/checking-histories.md
 * has the model in full; docs/lin.md says how it is decided.
 *
 *     struct lin_history h;
 *     lin_history_init(&h, mem);
 *     st = lin_history_add(&h, &op, &err);              // once an operation, in any order
 *     st = lin_check(&h, &options, &verdict);
 *     if (verdict.result == LIN_NON_LINEARIZABLE) puts(verdict.text);
 *     lin_verdict_release(&verdict);
 *     lin_history_release(&h);
 *
 * Invariants
 *   1. The answer is exact: LIN_UNKNOWN is said where a limit was hit, never guessed around
 *      (tests/lin/test_fuzz: compared with a brute-force checker).
 *   2. The witness of a "no" contradicts itself: those operations alone have no legal order, and
 *      what was left out could not have helped (test_fuzz, test_files).
 *   3. Keys and values are compared as bytes; each different one is stored once.
 *
 * Failure: ST_NOMEM (nothing changed by that call), ST_INVAL and ST_CORRUPT (with a message).
 * Ownership: a history copies all it is given. A verdict owns its arrays.
 * Determinism: limits count steps and bytes, not seconds, so an answer is a function of the
 * history and the options alone. */
#ifndef SIM_LIN_LIN_H
#define SIM_LIN_LIN_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/slice.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define LIN_NEVER INT64_MAX /* the return time of an operation that got no answer */

enum lin_kind {
    LIN_GET,
    LIN_PUT,
    LIN_DEL,
    LIN_CAS,    /* expect -> value; result: did it take place? */
    LIN_APPEND, /* text at the end; absent counts as "" */
    LIN_INCR,   /* value: decimal delta; result: the new number; absent counts as 0 */
    LIN_SCAN,   /* keys in [lo, hi), byte order */
    LIN_BATCH,  /* several single-key operations as one */
    LIN_KIND_COUNT
};

enum lin_outcome {
    LIN_OK,   /* took effect once, between call and return */
    LIN_FAIL, /* certainly never took effect */
    LIN_INFO, /* may take effect once at any time after the call, or never */
};

/* A value, or the absence of one. */
struct lin_value {
    bool present;
    struct slice text; /* borrowed; read only when present */
};

struct lin_pair {
    struct slice key;
    struct slice value;
};

/* What a single-key operation asks and saw; the parts of a batch are these too. */
struct lin_step {
    enum lin_kind kind; /* neither scan nor batch */
    struct slice key;
    struct lin_value value;  /* put, append, cas: text. incr: a decimal number */
    struct lin_value expect; /* cas */
    bool result_known;       /* false: it took effect, what it saw is unknown */
    bool result_true;        /* cas: it was equal and is replaced */
    struct lin_value result; /* get, incr */
};

/* One operation, as the caller describes it; all is copied. */
struct lin_op {
    int64_t client;
    enum lin_kind kind;
    enum lin_outcome outcome;
    int64_t call;
    int64_t ret; /* LIN_NEVER when no answer came */

    struct lin_step step;         /* all kinds but scan and batch; its kind is ignored */
    const struct lin_step *steps; /* batch */
    size_t step_count;

    struct slice lo;              /* scan: from here */
    struct slice hi;              /* scan: to before here */
    const struct lin_pair *pairs; /* scan: all that was in range, ascending */
    size_t pair_count;
    bool result_known; /* scan and batch; false for a whole batch overrides its steps */

    uint64_t index; /* commit index, 0 when unknown: the order check uses it */
    int32_t node;   /* that answered, -1 when unknown: for people */
    uint32_t line;  /* of the file it came from, 0 when none */
};

/* Something that happened beside the operations: for people, no check looks at it. */
enum lin_mark_kind {
    LIN_MARK_FAULT,
    LIN_MARK_LEADER, /* node became the leader */
    LIN_MARK_TERM,   /* text: its number */
    LIN_MARK_COUNT
};

struct lin_mark {
    enum lin_mark_kind kind;
    int64_t at;
    int64_t until;     /* the same as `at`: a moment; LIN_NEVER: it did not end */
    int32_t node;      /* -1 when none is named */
    struct slice text; /* may be empty */
};

struct lin_rec;
struct lin_sub;
struct lin_mark_rec;

/* A table of byte strings, each stored once; the id of a string is its place. */
struct lin_strtab {
    struct mem *mem;
    char *bytes;
    size_t size;
    size_t cap;
    uint32_t *ends; /* string i is bytes[ends[i-1], ends[i]) */
    uint32_t count;
    uint32_t count_cap;
    uint64_t *slots; /* open addressing: half of the hash, then id + 1; 0 is free */
    uint32_t slot_count;
};

struct lin_meta {
    uint64_t index;
    int32_t node;
};

struct lin_history {
    struct mem *mem; /* borrowed */
    struct lin_rec *ops;
    size_t count;
    size_t cap;
    struct lin_sub *subs; /* the parts of scans and batches */
    size_t sub_count;
    size_t sub_cap;
    struct lin_meta *meta; /* one for each op, or NULL while no op has any */
    size_t meta_cap;
    struct lin_mark_rec *marks; /* faults and the like, as they were added */
    size_t mark_count;
    size_t mark_cap;
    struct lin_strtab keys;
    struct lin_strtab values; /* id 0 stands for "absent" */
    struct lin_strtab clients;
    uint32_t fallback; /* value of a key never written */
    uint32_t *init;    /* pairs: key, value */
    size_t init_count;
    size_t init_cap;
};

/* An empty history; every key is absent at first. Cannot fail: memory is taken on demand. */
void lin_history_init(struct lin_history *h, struct mem *mem);

/* Frees all. Safe on a zeroed struct. */
void lin_history_release(struct lin_history *h);

/* The value of every key that was never written. */
NODISCARD enum status lin_history_set_default(struct lin_history *h, struct lin_value value);

/* The first value of one key. */
NODISCARD enum status lin_history_set_init(struct lin_history *h, struct slice key,
                                           struct lin_value value);

/* Adds one operation; its place (0, 1, …) is its name in verdicts. ST_INVAL, with a message and
 * nothing added: return before call, an acknowledged operation without a return, a scan result
 * outside its range or unsorted, an increment that is no 64-bit decimal number. */
NODISCARD enum status lin_history_add(struct lin_history *h, const struct lin_op *op,
                                      struct err *err);

/* Adds a mark; its text is copied. ST_INVAL: it ends before it begins. */
NODISCARD enum status lin_history_mark(struct lin_history *h, const struct lin_mark *mark);

/* Checks what only the whole shows: no client has two operations open. ST_INVAL with a message. */
NODISCARD enum status lin_history_validate(const struct lin_history *h, struct err *err);

/* Appends a line for people: `3: client 7 get k = "v1" [12, 30]`. */
NODISCARD enum status lin_history_say(const struct lin_history *h, size_t op, struct buf *out);

/* ---- files ---- */

/* A reader of JSON lines that is fed any pieces of a file. */
struct lin_jsonl {
    struct lin_history *h; /* borrowed */
    const char *name;      /* borrowed; of the file, for messages */
    struct buf rest;       /* an incomplete last line */
    struct lin_step *steps;
    size_t step_cap;
    struct lin_pair *pairs;
    size_t pair_cap;
    struct buf text; /* strings with escapes, decoded */
    uint64_t line;
    int64_t declared; /* operations, as the header says, or -1 */
    bool header;
};

void lin_jsonl_init(struct lin_jsonl *r, struct lin_history *h, const char *name);
void lin_jsonl_release(struct lin_jsonl *r);

/* Takes the next piece. ST_CORRUPT with "file:line: what is wrong". */
NODISCARD enum status lin_jsonl_feed(struct lin_jsonl *r, struct slice piece, struct err *err);

/* The file is over: checks that it was whole, then lin_history_validate. */
NODISCARD enum status lin_jsonl_end(struct lin_jsonl *r, struct err *err);

/* All at once. */
NODISCARD enum status lin_jsonl_read(struct lin_history *h, const char *name, struct slice text,
                                     struct err *err);

/* Logs of other tools: one event (invocation or completion) a line, or EDN maps.
 *   LIN_PORCUPINE  the test data of porcupine: jepsen.util lines of a register, or maps of a
 *                  key-value store. A failed cas was not equal; a read of nil saw "absent".
 *   LIN_EDN        Jepsen and Knossos histories: maps with :process :type :f :value. What failed
 *                  did not happen; what a read of nil saw is not known.
 * Times are the places of the events. Operations without a key have key "r"; a mutex is key
 * "lock". ST_CORRUPT with "file:line: what is wrong". */
enum lin_format { LIN_PORCUPINE, LIN_EDN };

NODISCARD enum status lin_edn_read(struct lin_history *h, const char *name, struct slice text,
                                   enum lin_format format, struct err *err);

/* Appends the whole history as JSON lines. */
NODISCARD enum status lin_jsonl_write(const struct lin_history *h, struct buf *out);

/* ---- the check ---- */

struct lin_options {
    uint64_t steps; /* budget of search steps; 0: the default, 50 million */
    size_t memory;  /* bytes the search may hold; 0: the default, 1 GiB */

    /* Called now and then with how many of the operations are decided; may be NULL. */
    void (*progress)(void *arg, uint64_t done, uint64_t total);
    void *progress_arg;
};

enum lin_result {
    LIN_LINEARIZABLE,
    LIN_NON_LINEARIZABLE,
    LIN_UNKNOWN, /* a limit was hit */
};

struct lin_verdict {
    struct mem *mem;
    enum lin_result result;
    uint32_t *witness; /* places of operations that contradict each other; NULL otherwise */
    size_t witness_count;
    uint64_t steps;       /* spent in search */
    uint32_t parts;       /* independent groups of keys */
    uint32_t parts_zones; /* of them decided by zones, the others by search */
    bool limit_memory;    /* LIN_UNKNOWN: the limit was memory; otherwise steps */
    uint32_t hard_ops;    /* LIN_UNKNOWN: the part that was too hard: operations, */
    uint32_t hard_keys;   /* keys, */
    uint32_t hard_open;   /* and how many were open at once */
    char *text;           /* a plain sentence; never NULL after lin_check succeeds */
};

/* Decides. ST_NOMEM where memory was refused (reaching options->memory is LIN_UNKNOWN). options
 * may be NULL. Release the verdict in every case. */
NODISCARD enum status lin_check(const struct lin_history *h, const struct lin_options *options,
                                struct lin_verdict *v);

void lin_verdict_release(struct lin_verdict *v);

/* ---- while the world runs ---- */

struct lin_key_engine;
struct lin_pending;

/* A call or return that is to come. */
struct lin_event {
    int64_t time;
    uint64_t order; /* among those at one time */
    struct lin_pending *pending;
};

/* Events in their order: events[first, end). */
struct lin_run {
    struct lin_event *events;
    size_t first;
    size_t end;
    size_t cap;
};

/* All that are to come: two runs, and a heap of those that came out of order. */
struct lin_queue {
    struct lin_run calls;
    struct lin_run returns;
    struct lin_event *heap;
    size_t heap_count;
    size_t heap_cap;
};

/* A checker that is fed operations as they complete and forgets what is decided. Its memory is
 * bounded by the operations that overlap one which is still open, and by the keys.
 *
 * It decides key by key: of a scan or batch each key's share is checked by itself. So a "no" is
 * final and comes at once; a "yes" covers all but contradictions between keys, which lin_check
 * finds in the whole history. */
struct lin_online {
    struct mem *mem;                 /* borrowed */
    struct lin_history h;            /* for its tables: no operation stays in it */
    struct lin_key_engine **engines; /* by key */
    size_t engine_cap;
    uint32_t *zeros; /* as many as there are keys */
    size_t zero_cap;
    struct lin_queue queue;
    struct lin_pending *spare;
    size_t values_max; /* when to forget values */
    uint64_t taken;    /* operations so far; the next one's number */
    int64_t horizon;
    struct lin_options limits;
    enum lin_result result; /* so far; LIN_UNKNOWN: some key was given up */
    uint64_t culprit;       /* of a "no": the number of the operation that has no place */
};

/* limits may be NULL; its steps are for one return, its memory for one key. */
void lin_online_init(struct lin_online *o, struct mem *mem, const struct lin_options *limits);
void lin_online_release(struct lin_online *o);

/* Before the first operation: as for a history. */
NODISCARD enum status lin_online_set_init(struct lin_online *o, struct slice key,
                                          struct lin_value value);

/* An operation is over (or known to have been lost: LIN_INFO). Any order; its call is not before
 * the horizon. Statuses as lin_history_add. */
NODISCARD enum status lin_online_take(struct lin_online *o, const struct lin_op *op,
                                      struct err *err);

/* Promises that every operation that is still to be taken was called at `horizon` or later (the
 * least call among the open ones), and decides all that this allows. Then see o->result. */
NODISCARD enum status lin_online_advance(struct lin_online *o, int64_t horizon);

/* ---- the order that the store claims ---- */

struct lin_order_verdict {
    enum lin_result result;
    uint32_t place;  /* the operation that does not fit */
    const char *why; /* a constant text about it */
};

/* Replays the history by the commit indexes of its operations (a look carries the index of the
 * last write it reflects). LIN_LINEARIZABLE is a proof, at the price of a sort. A "no" says that
 * the claimed order is wrong, which is a bug of the store; whether clients could have seen it,
 * lin_check tells. LIN_UNKNOWN: an acknowledged operation has no index. */
NODISCARD enum status lin_order_check(const struct lin_history *h, struct lin_order_verdict *v);

/* "linearizable", "non-linearizable", "unknown". */
const char *lin_result_text(enum lin_result result);

#endif
