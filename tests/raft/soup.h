/* soup.h - a Raft group in memory: cores, disks that are late and lose what was not durable, a
 * network that loses, doubles and reorders, and all checks on after every step.
 *
 * Two ways to use it. A directed test calls the moves below one by one, or lets a quiet world run
 * (soup_run). soup_stir() makes random moves instead: a seed decides which faults there are, how
 * often, and everything else. Both end with soup_heal(): after it the group must elect, commit and
 * converge (LV, CV), or that is a violation too.
 *
 * A node's process is a core in memory; its disk is what soup_persist() moved there; its state
 * machine is a digest of what was applied, durable now and then. A violation (of raftwatch.h or
 * of the fixture's own checks: the driver's contract, state digests) is in soup_what(), "" if none;
 * nothing happens after it. Failure: malloc is taken to succeed. One thread; deterministic. */
#ifndef TESTS_RAFT_SOUP_H
#define TESTS_RAFT_SOUP_H

#include "base/prng.h"
#include "raft/raft.h"
#include "sim/cluster/raftwatch.h"

#define SOUP_NODES 8 /* at most */

/* An entry with its payload, which is one number. */
struct soup_entry {
    struct raft_item item;
    uint64_t id;
};

/* Entries from `from` on. */
struct soup_log {
    uint64_t from;
    size_t count;
    size_t cap;
    struct soup_entry *entries;
};

struct soup_write {
    struct raft_write w;
    struct soup_entry *entries; /* owned */
    uint64_t digest;            /* of the snapshot */
};

/* A message with all that is attached. Owned by whatever list it is in. */
struct soup_msg {
    struct raft_msg m;
    uint64_t after;
    uint64_t due; /* when a network that is not random delivers it */
    uint64_t digest;
    uint64_t session; /* of a snapshot, for the sender's driver */
    struct soup_entry *entries;
    struct raft_item *items;
};

struct soup_list {
    struct soup_msg *msgs;
    size_t count;
    size_t cap;
};

struct soup_snapshot {
    struct raft_place place;
    struct raft_config config;
    uint64_t config_index;
    uint64_t digest;
};

struct soup_node {
    /* its clock reads clock_at + (now - clock_from) * rate / 1,000,000 */
    uint64_t clock_at, clock_from, rate;
    bool made;
    bool up;
    bool wants_snapshot; /* the core said so */
    bool wants_room;     /* for terms, as well */
    uint32_t runs;       /* what it has */
    bool mute;           /* its disk does nothing by itself (soup_run) */
    uint64_t id;
    uint64_t incarnation;
    struct raft *core;
    uint64_t seed;
    /* the process */
    struct soup_log log;
    struct soup_write *writes; /* FIFO, not durable */
    size_t write_count, write_cap;
    uint64_t done; /* durable; told[] may be behind */
    uint64_t told;
    struct soup_list held;
    uint64_t apply_to;            /* handed out, exclusive */
    struct soup_snapshot machine; /* its state at applied: place, configuration, digest */
    uint64_t deadline;            /* by its own clock */
    uint64_t warm;
    uint64_t fetched[SOUP_NODES + 1][2]; /* per peer: the range just read */
    /* the disk */
    struct raft_hard hard;
    struct soup_log disk;
    struct soup_snapshot base;    /* the log begins behind it */
    struct soup_snapshot flushed; /* the state machine's durable state */
};

/* What a seed turns on, as chances in a thousand a move; 0: never. */
struct soup_knobs {
    uint32_t lose, twice, reorder, crash, cut, propose, read, change, transfer, snapshot, stall,
        unreachable, persist, apply, force, damage, skew, heal;
    uint32_t pace; /* time that a move takes, at most */
};

struct soup_read {
    uint64_t node;
    uint64_t asked;
    uint64_t context;
};

struct soup_fetch {
    uint64_t node;
    uint64_t peer;
    uint64_t lo;
    uint64_t hi;
};

struct soup {
    struct prng prng;
    struct mem mem;
    struct raftwatch watch;
    struct raft_options options; /* of every core made from now on */
    struct soup_knobs knobs;
    uint32_t nodes;                           /* ids 1 .. nodes may exist */
    struct soup_node node[SOUP_NODES + 1];    /* by id */
    bool cut[SOUP_NODES + 1][SOUP_NODES + 1]; /* from, to */
    struct soup_list net;
    uint64_t now;
    uint64_t next_id; /* of payloads, contexts, incarnations */
    uint64_t steps;
    uint64_t delivered;
    uint64_t seen;                        /* RAFT_SEEN bits of all, */
    uint64_t seen_count[RAFT_SEEN_COUNT]; /* and how often */
    uint64_t reads_served;
    uint64_t replies[RAFT_OUTCOMES];
    struct soup_read *reads;
    size_t read_count, read_cap;
    uint64_t *digests; /* of the state machine after each index, by the first to apply it */
    size_t digest_cap;
    struct raft_config **configs; /* made on the way; freed at the end */
    size_t config_count, config_cap;
    uint32_t fetch_fails;       /* the next so many cannot be read */
    struct soup_fetch *fetches; /* to be said when the step is over */
    size_t fetch_count, fetch_cap;
    struct raft_action *actions;
    uint32_t action_cap;
    struct raft_out out; /* of the last step */
    bool traced;
    char what[200];
};

/* A group of n voters that are all down; options may be changed before soup_up. Its log begins
 * behind entry 1: who joins with an empty log gets a snapshot, and the founders with it. */
void soup_init(struct soup *s, uint32_t n, uint64_t seed);
void soup_release(struct soup *s);

/* "" or what was violated. */
const char *soup_what(const struct soup *s);

/* What a node's clock says; how fast it goes from now on, in parts per million of the world's. */
uint64_t soup_clock(const struct soup *s, const struct soup_node *n);
void soup_pace(struct soup *s, uint64_t id, uint64_t rate);

/* Starts a node on what its disk has. */
void soup_up(struct soup *s, uint64_t id);
void soup_up_all(struct soup *s);
void soup_crash(struct soup *s, uint64_t id);
/* An empty disk under a new incarnation: waits to be made a member. */
void soup_blank(struct soup *s, uint64_t id);

/* One event of a node that is up; what comes of it is carried out. */
enum status soup_step(struct soup *s, uint64_t id, const struct raft_event *event);
/* The same, with only the type. */
void soup_event(struct soup *s, uint64_t id, enum raft_event_type type);
void soup_force(struct soup *s, uint64_t id, enum raft_force force);
/* One command; returns its index, 0: refused. */
uint64_t soup_propose(struct soup *s, uint64_t id);
void soup_read(struct soup *s, uint64_t id);
void soup_transfer(struct soup *s, uint64_t id, uint64_t to);
enum raft_outcome soup_change(struct soup *s, uint64_t id, const struct raft_config *config);

/* The next `count` writes become durable, and the core is told (or not yet). */
void soup_persist(struct soup *s, uint64_t id, size_t count, bool tell);
void soup_apply(struct soup *s, uint64_t id, uint64_t count);
/* The state machine's state becomes durable; a snapshot of it; the log up to `index` goes. */
void soup_flush(struct soup *s, uint64_t id);
void soup_compact(struct soup *s, uint64_t id, uint64_t index);
void soup_damage(struct soup *s, uint64_t id, uint64_t lo, uint64_t hi); /* at the next start */

/* Delivers the i-th message of the net, or throws it away. */
void soup_deliver(struct soup *s, size_t i);
void soup_lose(struct soup *s, size_t i);
void soup_twice(struct soup *s, size_t i);
/* The first message of this type (0: any) between these (0: any); -1: none. */
long soup_find(const struct soup *s, unsigned type, uint64_t from, uint64_t to);
/* Delivers all such that are there now; returns how many. */
uint32_t soup_pass(struct soup *s, unsigned type, uint64_t from, uint64_t to);
void soup_split(struct soup *s, uint64_t a, uint64_t b, bool cut); /* both ways */
void soup_isolate(struct soup *s, uint64_t id, bool cut);

/* A quiet world for this long: everything persists, applies and arrives in order, after a
 * tenth of a heartbeat each way. */
void soup_run(struct soup *s, uint64_t time);
/* Until somebody leads and has committed in his term; returns him, 0: nobody in 40 timeouts. */
uint64_t soup_elect(struct soup *s);

/* Random moves. */
void soup_draw(struct soup *s); /* the knobs */
void soup_stir(struct soup *s, uint32_t moves);
/* No faults any more: LV, then CV. */
void soup_heal(struct soup *s);
/* All of that, in a world of its own for each seed: 1, 3, 4 or 5 voters, room for some more. */
void soup_world(struct soup *s, uint64_t seed, uint32_t moves);

/* Looking in. */
void soup_view(const struct soup *s, uint64_t id, struct raft_view *v);
uint64_t soup_leader(const struct soup *s); /* of the highest term; 0: none */
/* Voters 1..n as a configuration. */
struct raft_config soup_voters(const struct soup *s, uint32_t n);

#endif
