/* inject.h - an Env over any other Env, that makes calls fail and counts what is held.
 *
 * It passes every call on, and beside that
 *   - refuses the allocation number `fail_at` (from 0), or all from there on,
 *   - fails or shortens the n-th file or directory call that a rule names: by kind, by file name,
 *   - cuts every read and write of files and sockets to at most `io_max` bytes,
 *   - counts blocks and descriptors that are still held, and syncs of a file whose sync it failed.
 *
 *     struct inject in;
 *     struct inject_rule rule;
 *     for (long n = 0;; n++) {
 *         inject_init(&in, env);
 *         inject_rule_init(&rule);
 *         rule.calls = INJECT_WRITE | INJECT_SYNC;
 *         rule.name = "*.log";
 *         rule.at = n;
 *         inject_add(&in, &rule);
 *         enum status st = thing_run(&in.env, …);
 *         inject_release(&in);
 *         if (rule.seen <= n) break;      // it was never reached: each has failed once
 *     }
 *
 * Invariants: I1 without rules and switches every answer is that of the Env below   I2 all rules
 * that match a call count it, and the first that strikes decides (tests/fault/test_inject.c).
 * Failure: opening a file is ST_NOMEM when its name cannot be kept for a rule with a name.
 * Ownership: the Env below, rules and patterns are borrowed until inject_release. Safe with
 * threads; switches and rules are set while no other thread runs, but for those that are atomic. */
#ifndef FAULT_INJECT_H
#define FAULT_INJECT_H

#include "env/env.h"

#include <stdatomic.h>

enum inject_call {
    INJECT_OPEN = 1 << 0,
    INJECT_READ = 1 << 1,
    INJECT_WRITE = 1 << 2, /* append too */
    INJECT_SYNC = 1 << 3,  /* of a file, data alone too */
    INJECT_TRUNCATE = 1 << 4,
    INJECT_ALLOCATE = 1 << 5,
    INJECT_SIZE = 1 << 6,
    INJECT_MAKE = 1 << 7, /* a directory */
    INJECT_LIST = 1 << 8,
    INJECT_DIRSYNC = 1 << 9,
    INJECT_STAT = 1 << 10,
    INJECT_RENAME = 1 << 11, /* by either name; so are links */
    INJECT_LINK = 1 << 12,
    INJECT_REMOVE = 1 << 13,
    INJECT_LOCK = 1 << 14,
    INJECT_SPACE = 1 << 15,
    INJECT_ANY = (1 << 16) - 1
};

enum inject_how {
    INJECT_FAIL,  /* with the rule's status, and nothing is done */
    INJECT_SHORT, /* a read or write moves half of its bytes; other calls pass */
    INJECT_TEAR   /* a write moves half of its bytes, and the rule's next call fails; others fail */
};

struct inject_rule {
    struct inject_rule *next; /* inject's own */
    unsigned calls;           /* of enum inject_call */
    const char *name;         /* last part of a path, with one '*' at most; NULL: any */
    atomic_long at;           /* which of the calls that match, from 0; -1: none */
    bool rest;                /* and every later one fails */
    long every;               /* each so many-th too; 0: no */
    enum inject_how how;
    enum status with;
    atomic_long seen;   /* calls that matched */
    atomic_long struck; /* of these, failed or shortened */
    atomic_bool owes;   /* a torn write was short, the error is next */
};

struct inject {
    struct env env; /* first: hand &in.env to what is tested */
    struct env_vt vt;
    struct env *under; /* borrowed; NULL: memory only */
    struct mem *mem;   /* where memory comes from */
    /* memory */
    atomic_long fail_at; /* -1: none */
    bool fail_rest;      /* not only that one but every later one too */
    atomic_long allocs;  /* asked for so far, refused ones too; resizing is asking */
    atomic_long live;    /* blocks held */
    /* input and output */
    size_t io_max;           /* 0: no limit */
    atomic_long descriptors; /* files, locks, sockets and pollers held */
    struct inject_rule *rules;
    atomic_int failed_sync;           /* the descriptor whose sync it failed last; -1: none */
    atomic_long synced_after_failure; /* syncs of it since */
    /* names of open files, for rules with a name */
    bool named;
    struct env_mutex m; /* guards names */
    char **names;
    int name_cap;
};

/* Everything off, all counts 0, memory from the Env below. */
void inject_init(struct inject *in, struct env *under);
/* Memory and nothing else: enough for containers, which take &in.env.mem. */
void inject_init_mem(struct inject *in, struct mem *mem);
/* Needed after rules with names; harmless otherwise. Counts stay. */
void inject_release(struct inject *in);

/* Any call, any name, never, INJECT_FAIL with ST_IO. */
void inject_rule_init(struct inject_rule *r);
/* Rules with a name know files opened after they were added. Needs an Env below. */
void inject_add(struct inject *in, struct inject_rule *r);

#endif
