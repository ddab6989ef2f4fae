/* raftmsg.h - what nodes of a group say to each other, as a plain struct.
 *
 * The core neither sends nor parses bytes: the wire form is made elsewhere from this struct, and
 * the payloads of entries never pass through here. A message that the core sends names a range of
 * entries and the driver attaches them (from its cache, or from the log); a message that the core
 * receives comes with one struct raft_item for each entry, which is all that consensus needs of it.
 *
 * One flat struct serves all types. What each type uses, besides the header:
 *
 *   PREVOTE          place = last entry of the sender; campaign = the term it would stand in
 *                    (term + 1, which is not its own: the header's term stays behind it)
 *   PREVOTE_REPLY    ok = yes; campaign, probe echoed
 *   VOTE             place = last entry; transfer = the leader asked for it (lease does not hold)
 *   VOTE_REPLY       ok = granted
 *   APPEND           place = entry before the first; count, items; commit; stamp
 *   APPEND_REPLY     ok: index = durable match. Not ok: index = the place that was refused,
 *                    place = where to go on (see below). Both: accepted; probe, stamp echoed
 *   HEARTBEAT        commit; stamp. No statement about the log is made
 *   HEARTBEAT_REPLY  index = durable match, accepted; probe, stamp echoed
 *   SNAPSHOT         place, config = what it covers. As received: all chunks have come, and the
 *                    driver holds them staged
 *   READ             context = the asker's name for it; probe = the asker's life (a number drawn
 *                    at its start, so that an answer to an earlier life is known as such)
 *   READ_REPLY       ok, index; commit; context, probe echoed
 *   FETCH            [place.index, index) = entries that were damaged; probe = the asker's life
 *   FETCH_REPLY      place.index = first; count, items = what is there; index = the sender's last
 *                    entry; ok = the first one is there whole, or is not in the sender's log for
 *                    sure (not: thrown away, or damaged there too); probe echoed
 *   TIMEOUT_NOW      stand for election at once
 *   PROPOSE          count, items (the driver attaches payloads); context; probe as in READ
 *   PROPOSE_REPLY    outcome; place = of the first entry, when it was taken; context, probe echoed
 *
 * A refused append says in `place` where the two logs may still agree, so that the leader steps
 * back by terms and not by entries (dissertation 3.3 and 3.4 leave the form open): the largest
 * place of the follower that is not above the refused one in index or in term. The leader does the
 * same with that: the largest place of its own that is not above it in either. Each round trip
 * rules out at least one term of one of the two logs.
 *
 * A session names one stream of a leader to one peer: (leader's term, index of the configuration
 * in which the peer joined what this leader replicates to). It makes acknowledgements of a node
 * that was removed and added again within a term harmless. `incarnation` does so for one whose
 * disk was replaced. `accepted` is what the follower holds in memory that this leader has vouched
 * for in this session; it moves pipelines, never commits.
 *
 * Ownership: items and config are borrowed for the call.
 * Determinism: no field depends on addresses, clocks other than the sender's, or byte order. */
#ifndef RAFT_RAFTMSG_H
#define RAFT_RAFTMSG_H

#include "raft/rafttypes.h"

#include <stdbool.h>

/* Values are on the wire. */
enum raft_msg_type {
    RAFT_MSG_PREVOTE = 1,
    RAFT_MSG_PREVOTE_REPLY = 2,
    RAFT_MSG_VOTE = 3,
    RAFT_MSG_VOTE_REPLY = 4,
    RAFT_MSG_APPEND = 5,
    RAFT_MSG_APPEND_REPLY = 6,
    RAFT_MSG_HEARTBEAT = 7,
    RAFT_MSG_HEARTBEAT_REPLY = 8,
    RAFT_MSG_SNAPSHOT = 9, /* answered by APPEND_REPLY */
    RAFT_MSG_READ = 10,
    RAFT_MSG_READ_REPLY = 11,
    RAFT_MSG_FETCH = 12,
    RAFT_MSG_FETCH_REPLY = 13,
    RAFT_MSG_TIMEOUT_NOW = 14,
    RAFT_MSG_PROPOSE = 15,
    RAFT_MSG_PROPOSE_REPLY = 16,
    RAFT_MSG_TYPES
};

/* Why a proposal, read, change or transfer ended as it did. Values are on the wire. */
enum raft_outcome {
    RAFT_TAKEN = 1,      /* it has a place in the log; committed only when applied with that term */
    RAFT_NOT_LEADER = 2, /* nothing happened; ask the leader, if one is known */
    RAFT_BUSY = 3,       /* nothing happened: too much is uncommitted, or a transfer is under way */
    RAFT_CHANGING = 4,   /* nothing happened: another change is not committed yet (or no entry of
                            this term is) */
    RAFT_BAD_CHANGE = 5, /* nothing happened: this configuration cannot be */
    RAFT_LOST = 6,       /* leadership went before it was confirmed: ask again (reads), or
                            the transfer did not come about in time */
    RAFT_MOVED = 7,      /* the transfer came about */
    RAFT_OUTCOMES
};

/* One entry as consensus sees it. */
struct raft_item {
    uint64_t term;
    uint32_t bytes;                   /* of its payload, as limits count them */
    uint8_t kind;                     /* enum raft_kind */
    const struct raft_config *config; /* decoded payload of a RAFT_CONFIG; else NULL */
};

struct raft_msg {
    /* header */
    uint8_t type; /* enum raft_msg_type */
    bool ok;
    bool transfer;
    uint8_t outcome; /* enum raft_outcome */
    uint32_t count;  /* of items */
    uint64_t cluster;
    uint64_t from;
    uint64_t to;
    uint64_t term;        /* the sender's own */
    uint64_t incarnation; /* the sender's */
    uint64_t session;     /* APPEND, HEARTBEAT, SNAPSHOT and their replies */
    uint64_t probe;       /* the sender's count of rounds; replies echo it */
    /* body */
    uint64_t stamp; /* the leader's clock when it sent; replies echo it */
    struct raft_place place;
    uint64_t index;
    uint64_t accepted;
    uint64_t commit;
    uint64_t campaign;
    uint64_t context;
    const struct raft_item *items;    /* NULL in what the core sends */
    const struct raft_config *config; /* SNAPSHOT */
};

/* A short lower-case name for traces ("append"); "?" for what is no type. */
const char *raftmsg_name(unsigned type);

#endif
