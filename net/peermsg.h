/* peermsg.h - what nodes say to each other, as structs.
 *
 * tinykv.proto says what each of them means; these are its messages with the same names, without
 * "Peer". Entries lie in columns (terms as runs, kinds as a string of bytes); peermsg_check makes
 * sure that the columns fit each other, and a cursor reads them row by row.
 *
 * Failure: bytes that lie are found by peermsg_check, whose ST_CORRUPT names what is wrong.
 * Ownership: strings and bytes are borrowed, see pbdec.h. Determinism: plain data. */
#ifndef NET_PEERMSG_H
#define NET_PEERMSG_H

#include "base/status.h"
#include "net/pb.h"

#define PEERMSG_VERSION      1u
#define PEERMSG_KIND_COMMAND 1 /* what an entry is when `kinds` is empty (raft/rafttypes.h) */

enum peermsg_channel {
    PEERMSG_CHANNEL_CONTROL = 0,
    PEERMSG_CHANNEL_BULK = 1,
};

enum peermsg_refusal {
    PEERMSG_REFUSAL_NONE = 0,
    PEERMSG_REFUSAL_VERSION = 1,
    PEERMSG_REFUSAL_CLUSTER = 2,
    PEERMSG_REFUSAL_NODE = 3,
    PEERMSG_REFUSAL_INCARNATION = 4,
    PEERMSG_REFUSAL_REMOVED = 5,
};

enum peermsg_raft_type {
    PEERMSG_RAFT_NONE = 0,
    PEERMSG_RAFT_PREVOTE = 1,
    PEERMSG_RAFT_PREVOTE_REPLY = 2,
    PEERMSG_RAFT_VOTE = 3,
    PEERMSG_RAFT_VOTE_REPLY = 4,
    PEERMSG_RAFT_APPEND = 5,
    PEERMSG_RAFT_APPEND_REPLY = 6,
    PEERMSG_RAFT_HEARTBEAT = 7,
    PEERMSG_RAFT_HEARTBEAT_REPLY = 8,
    PEERMSG_RAFT_SNAPSHOT = 9,
    PEERMSG_RAFT_READ = 10,
    PEERMSG_RAFT_READ_REPLY = 11,
    PEERMSG_RAFT_FETCH = 12,
    PEERMSG_RAFT_FETCH_REPLY = 13,
    PEERMSG_RAFT_TIMEOUT_NOW = 14,
    PEERMSG_RAFT_PROPOSE = 15,
    PEERMSG_RAFT_PROPOSE_REPLY = 16,
};

enum peermsg_outcome {
    PEERMSG_OUTCOME_NONE = 0,
    PEERMSG_OUTCOME_TAKEN = 1,
    PEERMSG_OUTCOME_NOT_LEADER = 2,
    PEERMSG_OUTCOME_BUSY = 3,
    PEERMSG_OUTCOME_CHANGING = 4,
    PEERMSG_OUTCOME_BAD_CHANGE = 5,
    PEERMSG_OUTCOME_LOST = 6,
    PEERMSG_OUTCOME_MOVED = 7,
};

enum peermsg_chunk_state {
    PEERMSG_CHUNK_WANTED = 0,
    PEERMSG_CHUNK_STAGED = 1,
    PEERMSG_CHUNK_REFUSED = 2,
};

/* Which member of peermsg.body is set. */
enum peermsg_body {
    PEERMSG_NONE = 0,
    PEERMSG_RAFT = 8,
    PEERMSG_CHUNK = 9,
    PEERMSG_CHUNK_REPLY = 10,
    PEERMSG_OFFER = 11,
    PEERMSG_HELLO = 12,
    PEERMSG_HELLO_REPLY = 13,
};

struct peermsg_run {
    uint64_t term;
    uint64_t count;
};

struct peermsg_entries {
    PB_LIST(struct peermsg_run) runs;
    struct slice kinds;
    PB_LIST(struct slice) payload;
};

struct peermsg_member {
    uint64_t node;
    uint64_t incarnation;
    uint32_t roles;
};

struct peermsg_config {
    PB_LIST(struct peermsg_member) members;
};

struct peermsg_raft {
    int32_t type;
    bool ok;
    bool transfer;
    int32_t outcome;
    uint64_t stamp;
    uint64_t place_index;
    uint64_t place_term;
    uint64_t index;
    uint64_t accepted;
    uint64_t commit;
    uint64_t campaign;
    uint64_t context;
    bool has_entries;
    struct peermsg_entries entries;
    bool has_config;
    struct peermsg_config config;
};

struct peermsg_chunk {
    uint64_t id;
    uint32_t file;
    uint64_t offset;
    struct slice data;
};

struct peermsg_chunk_reply {
    uint64_t id;
    int32_t state;
    uint32_t file;
    uint64_t offset;
    struct slice message;
};

struct peermsg_file {
    struct slice name;
    uint64_t size;
    uint32_t crc;
};

struct peermsg_offer {
    uint64_t id;
    uint64_t place_index;
    uint64_t place_term;
    uint64_t config_index;
    bool has_config;
    struct peermsg_config config;
    PB_LIST(struct peermsg_file) files;
};

struct peermsg_hello {
    uint32_t version;
    uint32_t version_least;
    int32_t channel;
    struct slice address;
    struct slice peer_address;
    uint64_t life;
    uint64_t disk;
};

struct peermsg_hello_reply {
    int32_t refusal;
    struct slice message;
    uint32_t version;
    uint64_t life;
};

struct peermsg {
    uint64_t cluster;
    uint64_t from_node;
    uint64_t to_node;
    uint64_t incarnation;
    uint64_t term;
    uint64_t session;
    uint64_t probe;
    uint32_t body; /* of enum peermsg_body */
    union {
        struct peermsg_raft raft;
        struct peermsg_chunk chunk;
        struct peermsg_chunk_reply chunk_reply;
        struct peermsg_offer offer;
        struct peermsg_hello hello;
        struct peermsg_hello_reply hello_reply;
    };
};

extern const struct pb_table peermsg_table;        /* struct peermsg */
extern const struct pb_table peermsg_config_table; /* struct peermsg_config */

/* What tables cannot say: there is a body, terms and kinds are there for all entries or for none,
 * no run is empty, members ascend, a chunk lies within 2^63. *what names what is wrong. */
NODISCARD enum status peermsg_check(const struct peermsg *m, const char **what);

/* One row of the columns. */
struct peermsg_entry {
    uint64_t term; /* 0: none yet */
    uint8_t kind;
    struct slice payload; /* borrowed */
};

struct peermsg_cursor {
    const struct peermsg_entries *entries; /* borrowed */
    uint32_t at;                           /* the next row */
    uint32_t run;
    uint64_t left; /* rows of that run */
};

/* Before the first entry of a message that peermsg_check has passed. */
void peermsg_cursor_init(struct peermsg_cursor *c, const struct peermsg_entries *entries);

/* False: there is no other. */
bool peermsg_cursor_next(struct peermsg_cursor *c, struct peermsg_entry *entry);

#endif
