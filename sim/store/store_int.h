/* store_int.h - the struct of a run, shared by the files of this folder. */
#ifndef SIM_STORE_STORE_INT_H
#define SIM_STORE_STORE_INT_H

#include "sim/nemesis.h"
#include "sim/proc.h"
#include "sim/shadowing.h"
#include "sim/store/store.h"
#include "sim/store/storejudge.h"
#include "sim/store/storeorder.h"

#define STORE_DIR   "data"
#define STORE_HOLDS 4 /* snapshots, cursors and pins that a worker holds of each kind, at most */

struct storehold {
    const struct tkv_snapshot *snapshot; /* NULL: none */
    struct storecut cut;
};

/* A cursor held open, and where it should be. */
struct storecursor {
    struct tkv_iter *iter; /* NULL: none */
    struct storecut cut;
    bool *in;                  /* one a key: within its bounds; kept for the next one */
    size_t at;                 /* the key it is on; NONE: on nothing */
    struct storehold snapshot; /* that it reads by; its own */
};

struct storepin {
    struct tkv_pin pin; /* owner NULL: none */
    struct slice had;   /* what it has to hold: a copy */
};

/* A thread of the process; what it holds lasts as long as the database is open. */
struct storeworker {
    struct store *store;
    size_t number;
    uint64_t next; /* ordinal of its next operation */
    struct storehold snapshots[STORE_HOLDS];
    struct storecursor cursors[STORE_HOLDS];
    struct storepin pins[STORE_HOLDS];
    struct storeview view;
    struct buf value; /* that a read returns */
    size_t write;     /* of the model, on its way; NONE: none */
    struct env_thread thread;
    struct chooser_stream draw; /* of the operation that it is on */
    uint64_t answers;           /* to it, as a hash */
};

enum storephase { STOREPHASE_CHAOS, STOREPHASE_HEALED, STOREPHASE_AGAIN, STOREPHASE_OVER };

struct store {
    struct world world;
    const struct trial_options *options;
    const struct plan *plan;
    struct trial_result *result;
    struct list tasks;
    struct host *host;
    struct proc *proc; /* the present incarnation; NULL while it is down */
    struct task *director;
    struct task *keeper;
    struct nemesis nemesis;
    struct shadowing shadows;
    struct storeorder order;
    enum storephase phase;
    bool keep_down;
    bool stopping; /* somebody asked it to end */
    bool open;     /* the database serves */
    uint64_t ops_started;
    size_t busy; /* workers that have operations left */
    unsigned failed_starts;
    /* what went before the database was opened last */
    enum storecrash crash;
    uint64_t sync_errors;             /* failed syncs when the state was last decided */
    uint64_t faults_then[PLAN_KNOBS]; /* injected when the present incarnation started */
    uint64_t damage_then;             /* met when the present incarnation started */
    uint64_t damage_decided;          /* when a recovery was judged last */
    bool full_then;                   /* the disk was full then */
    /* the session */
    struct tkv *db;
    bool closing; /* the workers are to leave, for the database is to be opened again */
    struct storeview view;
    struct storemodel model;
    struct storeworker workers[STOREMODEL_WORKERS];
    struct buf *answers; /* of struct storetwin_answer; NULL: nobody asks */
    uint64_t *tables;    /* numbers of those that the manifest names */
    size_t table_count, table_cap;
    uint64_t tag_told; /* the highest that tkv_durable_tag() has told in this session */
};

extern const struct tkv_comparator storeopt_reverse;

/* storeopt.c: the options of the database, by the plan. */
void storeopt_make(const struct store *s, struct env *env, struct tkv_options *o);

/* storeproc.c: the process under test. */
int storeproc_main(struct env *env, int argc, char **argv);

/* storeop.c: one operation of a worker. */
void storeop_run(struct storeworker *w, struct env *env, uint64_t ordinal);
/* Lets go of everything that it holds. */
void storeop_release(struct storeworker *w);
/* Its process is gone with everything that it held. */
void storeop_forget(struct storeworker *w);
/* The writes that a crash took from a database without a log, again. False: one failed. */
bool storeop_replay(struct store *s);
/* After the heal: a write has to succeed. */
bool storeop_write_again(struct store *s, struct env *env);

/* storecheck.c */
/* May the engine answer so now? Fails the run otherwise; true: TKV_OK. */
bool storecheck_status(struct store *s, const char *call, enum tkv_status st);
/* The same without failing it. */
bool storecheck_excused(const struct store *s, enum tkv_status st);
/* Faults injected so far, of all kinds. */
uint64_t storecheck_faults(const struct store *s);
/* Media faults have made something fail or lie to this incarnation. */
bool storecheck_damaged(const struct store *s);
/* Media have lied since they had met `damage`, or will: what was promised may be gone. */
bool storecheck_tainted(const struct simdisk *d, uint64_t damage);
void storecheck_fail(struct store *s, const char *class, const struct err *why);
/* Reads all, by a snapshot or the present, and judges it. Retries what faults excuse. */
void storecheck_scan(struct store *s, struct storeview *v, const struct storehold *hold, bool back);
/* The sequence and the durable tag of the open database, for its view. */
bool storecheck_state(struct store *s, struct storeview *v);
/* What an opened database holds, judged and decided. False: it could not be read. */
bool storecheck_opened(struct store *s);
/* A durable manifest names that table, or does so no more. */
void storecheck_table(struct store *s, uint64_t number, bool live);
void storecheck_files(struct store *s, uint64_t logs);
void storecheck_descriptors(struct store *s);

/* storeshadow.c: what `struct shadowing` asks for. */
int storeshadow_main(struct env *env, int argc, char **argv);
void storeshadow_judge(struct shadowed *base);
void storeshadow_crash(struct shadowing *run, struct shadowed *outer, const struct simdisk *d,
                       enum simdisk_strategy strategy, unsigned depth, const char *what);
/* The disk as it is now can be repaired, and nothing is invented on the way. */
void storeshadow_repair(struct store *s);
/* Everything unsynced is dropped: what is promised is there. */
void storeshadow_drop(struct store *s, const char *what);

#endif
