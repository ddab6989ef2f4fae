/* replica_int.h - inside of the replica: replica*.c only. */
#ifndef NODE_REPLICA_INT_H
#define NODE_REPLICA_INT_H

#include "node/peerbox.h"
#include "node/replica.h"
#include "node/replicamsg.h"
#include "node/slept.h"

#define REPLICA_MS      1000000ull
#define REPLICA_FOUNDED 1u /* index that the founders' logs begin behind */

/* An envelope under way. */
struct replica_proposal {
    uint64_t ordinal; /* 0: the slot is free */
    struct buf payload;
    struct list requests;
    struct replica_request **index; /* the same by position */
    uint32_t count;
    uint32_t cap;
    enum {
        PROPOSAL_WAITS,  /* not proposed: nothing of it can happen */
        PROPOSAL_ASKED,  /* the leader was told; no answer yet */
        PROPOSAL_PLACED, /* in the log at `place`, unless that is lost */
    } state;
    struct raft_place place;
    bool safe;           /* every request has a session: sending twice is harmless */
    uint32_t sent;       /* askings of which it is not known that nothing came */
    bool risked;         /* there are such: it may happen */
    uint64_t executed;   /* at this index, not committed to the database yet; 0: not */
    uint64_t context;    /* of the last asking */
    uint64_t again_at;   /* WAITS: propose then; ASKED and safe: too */
    uint64_t overdue_at; /* the earliest deadline */
};

/* Reads that came in one turn. */
struct replica_reads {
    uint64_t context; /* 0: the slot is free */
    bool lease;       /* will do */
    struct list requests;
    uint64_t again_at;
    uint64_t overdue_at;
};

/* A change of the group that is under way: the first of replica.changes. */
struct replica_changing {
    enum {
        CHANGE_NEW,
        CHANGE_NOTES,   /* its address is on its way through the log, as a request of `note` */
        CHANGE_ASKED,   /* the core was, with `context` */
        CHANGE_CATCHES, /* the learner gets what it lacks */
    } state;
    uint64_t context;
    bool placed;  /* in the log at `place`, unless that is lost */
    bool partial; /* something of it is done */
    struct raft_place place;
};

/* The request by which a change has an address written down: RAFT ADDRESS. */
struct replica_addressing {
    struct replica_request request;
    struct replica_command command;
    struct slice args[4];
    char node[24];
    bool busy; /* the request is under way */
};

#define REPLICA_READS_MAX     64u
#define REPLICA_ADMIN_CONTEXT (UINT64_C(1) << 63) /* set in contexts of changes only */

/* Old entries for a member. */
struct replica_fetch {
    uint64_t node; /* 0: free */
    uint64_t lo;   /* asked for */
    uint64_t hi;
    uint64_t bytes;
    enum { FETCH_IDLE, FETCH_WANTED, FETCH_READING, FETCH_READ } state;
    enum status st;
    struct raftlog_batch batch; /* the reader's while WANTED and READING */
    bool had;                   /* the replica thread's: the batch holds these */
    uint64_t had_lo;
    uint64_t had_hi;
};

/* A state of the machine that the log may begin at. */
struct replica_mark {
    struct raft_place place;
    uint64_t config_index;
    struct raft_config config;
};

#define REPLICA_SHIPS 4u

/* A snapshot for a member: a copy of the database in a directory of its own. */
struct replica_ship {
    enum {
        SHIP_FREE,
        SHIP_WANTED, /* to be made, by the snapshotter */
        SHIP_MADE,   /* or failed: `st` */
        SHIP_SENDING,
        SHIP_SENT,
        SHIP_GONE, /* to be removed, by the snapshotter */
    } state;       /* under the replica's mutex; the rest is its who has the next move */
    struct raft_msg msg;
    uint64_t after;
    uint64_t least;            /* it has to cover this index */
    struct replica_mark first; /* an older mark: its configuration holds if no entry brought one */
    enum status st;
    bool ok;
    struct snapset set;
    char dir[ENV_PATH_MAX]; /* where its files are; whoever sends it borrows this */
};

/* A snapshot that came in. */
struct replica_install {
    enum {
        INSTALL_NONE,
        INSTALL_STAGED, /* to be taken and looked at, by the snapshotter */
        INSTALL_TAKEN,  /* or failed: `st`; the core is asked */
        INSTALL_LOGGED, /* the log's write that says so is under way */
        INSTALL_SWITCH, /* it is durable: the database is exchanged, by the snapshotter */
        INSTALL_OVER,   /* that is done, or failed */
        INSTALL_DROP,   /* the core does not want it: to be removed, by the snapshotter */
        INSTALL_FAILED, /* not exchanged, and the node stops: db.next is owed to the log's record,
                           so no other snapshot may take its place */
    } state;            /* under the replica's mutex, as above */
    struct raft_msg msg;
    struct raft_config config;
    uint64_t config_index;
    uint64_t seq; /* of the write */
    enum status st;
    struct err err;
};

struct replica_refused {
    uint64_t node;
    uint64_t session;
};

/* Compaction and snapshots. */
struct replica_snap {
    /* of the replica thread */
    struct replica_mark last; /* what the log says that it may begin at */
    struct replica_mark next; /* the one after it */
    enum {
        SNAP_IDLE,  /* there is no next */
        SNAP_WAITS, /* until the database holds it durably */
        SNAP_READY, /* goes with the next write */
    } state;
    uint64_t bytes;    /* of entries applied since the latest mark was taken */
    bool wanted;       /* the core remembers too many terms */
    uint64_t retry_at; /* a flush that failed is not asked for again before */
    uint64_t compacted;
    uint64_t shipped;
    uint64_t installed;
    uint32_t refused_count; /* members whose wish for a snapshot was not granted */
    struct replica_refused refused[RAFT_MEMBERS_MAX];
    struct raft_place covered; /* by the last snapshot that was installed */
    struct list asked;         /* requests: snapshots of this node, for their own sake */
    bool news;                 /* the snapshotter has some, as this turn found it */
    bool switching;            /* the database and the state machine are the snapshotter's */
    /* under the replica's mutex */
    struct env_cond cond;
    uint64_t flush_to; /* index; 0: nothing to flush */
    enum status flush_st;
    bool flushed; /* news of it */
    struct replica_ship ships[REPLICA_SHIPS];
    struct replica_install install;
    /* */
    struct env_thread thread;
};

struct replica {
    struct env *env; /* borrowed */
    struct replica_options o;
    char dir[ENV_PATH_MAX];
    char db_dir[ENV_PATH_MAX];
    char log_dir[ENV_PATH_MAX];
    struct tkv_options engine;
    struct tkv *db;
    struct raftlog *log;
    struct raft *core;
    struct statemachine sm;
    uint64_t life;
    struct raftlog_identity identity;

    struct env_thread thread;
    struct env_thread writer;
    struct env_thread reader;
    bool running;

    struct peerbox inbox; /* has a lock of its own */

    struct env_mutex mutex;                 /* guards the next block */
    struct env_cond work;                   /* for the replica thread */
    struct env_cond disk;                   /* for the writer */
    struct env_cond old;                    /* for the reader */
    bool mail;                              /* the inbox is not empty any more */
    struct list submitted;                  /* struct replica_request */
    uint64_t unreachable[RAFT_MEMBERS_MAX]; /* nodes, each once */
    uint32_t unreachable_count;
    uint64_t durable;    /* the writer's word */
    enum status disk_st; /* the writer's last failure */
    bool write_pending;
    bool abandon;
    bool quit;
    bool quit_disk;
    bool turning;   /* somebody has the turn: what is "of the replica thread" is theirs */
    bool more;      /* the last turn left something to do */
    uint64_t armed; /* when the replica thread wakes up by itself */
    bool reads_old; /* the reader has something to do */
    bool old_read;  /* it did */
    struct replica_status shared;
    struct replica_members shared_members;
    struct replica_fetch fetches[RAFT_MEMBERS_MAX];

    /* of the replica thread, or of who has the turn */
    struct raft_out out;
    uint64_t now;
    uint64_t deadline; /* of the core */
    uint64_t done;     /* write that is durable, as the core was told */
    uint64_t appended; /* the last write */
    uint64_t pending_since;
    bool stalled;
    bool halted;             /* nothing more happens but the end */
    void (*over)(void *arg); /* to be told of that; NULL: nobody, or it was */
    void *over_arg;
    bool cramped;      /* the core stands still for want of room for terms */
    bool unflushed;    /* messages were handed to the transport */
    struct list held;  /* struct replicamsg, by their `after` */
    uint64_t apply_to; /* entries below it are to be applied */
    uint64_t apply_at; /* not before this time */
    struct raftlog_batch apply_batch;
    struct raftlog_batch send_batch;
    struct raft_entry *scratch; /* entries of a write */
    uint32_t scratch_cap;
    struct list waiting; /* requests that are in no envelope yet */
    struct list changes; /* requests; the first is under way */
    struct replica_changing change;
    struct replica_addressing note;
    uint64_t change_count;
    struct raft_place members_told; /* place of the configuration that the transport knows, */
    bool members_open;              /* which was not committed */
    struct list asking;             /* reads that are in no batch yet */
    struct list leasing;            /* the same, for which a lease will do */
    struct list local;              /* reads that wait for an index to be applied here */
    struct slept slept;
    uint64_t rested_at;                 /* mono: leases count again from then on */
    struct replica_proposal *proposals; /* o.proposals of them; slot: ordinal modulo that */
    uint64_t ordinal;                   /* of the last one, */
    uint64_t oldest;                    /* and of the first that is under way */
    struct replica_reads reads[REPLICA_READS_MAX];
    uint64_t asked; /* number of the last asking, of proposals and reads */
    uint64_t envelopes;
    uint64_t again;
    uint64_t dropped;
    enum status failed;
    struct replica_snap snap; /* says itself whose each part is */
};

/* What a step came with, for what comes out of it. */
struct replica_input {
    const struct raft_entry *entries; /* of a message that was received, or of a proposal */
};

/* ---- replica_turn.c ---- */

/* The replica thread. */
void replica_turn_main(void *arg);
/* What people may know of the core and what is around it, by who has the turn; the lock is held, or
 * there is one thread only. */
void replica_turn_share(struct replica *r);

/* ---- replica_disk.c: the threads that wait for the disk ---- */

/* All of them, or none. */
NODISCARD enum status replica_disk_start(struct replica *r);
/* What was written is on the disk, if it can be. */
void replica_disk_stop(struct replica *r);

/* ---- replica_step.c: the core and what it wants ---- */

/* One event; everything that comes of it. */
void replica_step(struct replica *r, struct raft_event *e, const struct replica_input *in);
void replica_step_persisted(struct replica *r, uint64_t seq);
void replica_step_release(struct replica *r);
/* What was handed to the transport leaves. */
void replica_step_flush(struct replica *r);
/* The replica cannot go on. */
void replica_step_fail(struct replica *r, enum status why, const char *what);

/* ---- replica_apply.c ---- */

/* Applies some of what is to be applied; false: there is more, and it can be gone on with now.
 * little: only what is small and at hand. */
bool replica_apply_some(struct replica *r, bool little);

/* ---- replica_admin.c: changes of the group ---- */

void replica_admin_turn(struct replica *r);
/* True: the answer was to a change. */
bool replica_admin_reply(struct replica *r, const struct raft_action *a);
void replica_admin_applied(struct replica *r, struct raft_place place);
uint64_t replica_admin_deadline(struct replica *r);
/* The same when a snapshot covers it. */
void replica_admin_installed(struct replica *r, struct raft_place place);
void replica_admin_end(struct replica *r);
/* Fills r->shared_members; the lock is held. */
void replica_admin_share(struct replica *r);
/* Tells the transport when members or addresses changed. */
void replica_admin_tell(struct replica *r);

/* ---- replica.c ---- */

/* The database in r->db_dir and the state machine over it. */
NODISCARD enum status replica_db_open(struct replica *r, struct err *err);

/* ---- replica_snap.c: compaction, and the snapshotter ---- */

/* The log's last mark, as recovery found it, and in how many files the log lies. */
void replica_snap_open(struct replica *r, const struct replica_mark *last, uint64_t segments);
NODISCARD enum status replica_snap_start(struct replica *r);
void replica_snap_stop(struct replica *r);
/* An entry of so many bytes was applied. */
void replica_snap_applied(struct replica *r, uint64_t bytes);
/* What the core saw in a step. */
void replica_snap_seen(struct replica *r, uint64_t seen);
/* Takes marks, has the database flushed, tells the core, and those who asked. */
void replica_snap_turn(struct replica *r);
uint64_t replica_snap_deadline(struct replica *r);
void replica_snap_end(struct replica *r);
/* The mutex is held. */
bool replica_snap_news(const struct replica *r);
/* The next mark goes with this write: the snapshot is filled in, and its configuration's bytes. */
void replica_snap_carry(struct replica *r, struct raftlog_write *w, struct raftlog_snapshot *s,
                        char config[RAFTLOG_CONFIG_MAX]);
/* The write with w->snapshot was taken. */
void replica_snap_carried(struct replica *r);
/* Removes a directory and what is in it; there may be none. */
NODISCARD enum status replica_snap_wipe(const struct replica *r, const char *dir, struct err *err);
/* Where the closed database in `dir` stands; m->config.count 0: no entry brought a configuration.
 * Changes nothing. */
NODISCARD enum status replica_snap_look(const struct replica *r, const char *dir,
                                        struct replica_mark *m, struct err *err);

/* ---- replica_ship.c: snapshots for others ---- */

/* Removes what an earlier process left. */
NODISCARD enum status replica_ship_open(struct replica *r, struct err *err);
void replica_ship_close(struct replica *r);
/* The core wants one. */
void replica_ship_want(struct replica *r, const struct raft_action *a);
void replica_ship_turn(struct replica *r);
/* From any thread: replica_snapshot_sent. */
void replica_ship_sent(struct replica *r, uint64_t node, uint64_t session, bool ok);
/* The mutex is held: something for the replica thread; something for the snapshotter, who does it
 * and lets the mutex go meanwhile. */
bool replica_ship_news(const struct replica *r);
bool replica_ship_work(struct replica *r);

/* ---- replica_install.c: snapshots from others ---- */

/* Goes on with an exchange of databases that a crash interrupted, before the database is opened;
 * after it was: does one that is owed. `mark` is the log's. */
NODISCARD enum status replica_install_mend(struct replica *r, struct err *err);
NODISCARD enum status replica_install_owed(struct replica *r, const struct raft_place *mark,
                                           struct err *err);
void replica_install_turn(struct replica *r);
/* From any thread: replica_staged. */
NODISCARD enum status replica_install_offer(struct replica *r, const struct raft_msg *m,
                                            uint64_t config_index);
bool replica_install_news(const struct replica *r);
bool replica_install_work(struct replica *r);
/* The write of the core that has a snapshot goes to the log. */
void replica_install_write(struct replica *r, struct raftlog_write *w, struct raftlog_snapshot *s,
                           char config[RAFTLOG_CONFIG_MAX]);
void replica_install_logged(struct replica *r);
/* Up to where the core may be told that writes are durable; the mutex is held. */
uint64_t replica_install_durable(const struct replica *r);

/* ---- replica_ask.c: proposals and reads ---- */

enum status replica_ask_init(struct replica *r);
void replica_ask_release(struct replica *r);
/* Takes requests in, proposes and asks what can be, again what was not answered, ends overdue. */
void replica_ask_turn(struct replica *r);
/* The core's answers. */
void replica_ask_reply(struct replica *r, const struct raft_action *a);
void replica_ask_ready(struct replica *r, const struct raft_action *a);
/* The leader changed: what waits for one need wait no longer. */
void replica_ask_role(struct replica *r);
/* Where the state machine puts replies. */
struct statemachine_sink replica_ask_sink(struct replica *r);
/* Entries up to `place` are in the database. */
void replica_ask_applied(struct replica *r, struct raft_place place);
/* The database is a snapshot's now. */
void replica_ask_installed(struct replica *r, struct raft_place place);
/* When it is to be called again without news. */
uint64_t replica_ask_deadline(struct replica *r);
/* The end: nothing more will be known. */
void replica_ask_end(struct replica *r);

#endif
