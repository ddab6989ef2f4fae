/* pbfront_int.h - what pbfront.c and pbfront_answer.c share. */
#ifndef NODE_PBFRONT_INT_H
#define NODE_PBFRONT_INT_H

#include "node/pbfront.h"

enum pbfront_flag {
    PBFRONT_SIZE_ONLY = 1, /* of a get */
    PBFRONT_PREVIOUS = 2,  /* of a put */
    PBFRONT_ABSENT = 4,
    PBFRONT_PRESENT = 8,
    PBFRONT_COUNT = 16, /* of a scan */
    PBFRONT_KEYS = 32,
};

/* The reply that is being told: its nodes, and the bytes that they lie in. */
struct pbfront_telling {
    struct pbfront *f;
    const char *data;
};

/* Node i, and its text. */
const struct respval_node *pbfront_answer_node(const struct pbfront_telling *t, uint32_t i);
struct slice pbfront_answer_text(const struct pbfront_telling *t, uint32_t i);

/* Of RAFT STATUS and RAFT MEMBERS. */
NODISCARD enum status pbfront_raft_status(const struct pbfront_telling *t,
                                          struct pbmsg_status_result *r);
NODISCARD enum status pbfront_raft_members(const struct pbfront_telling *t,
                                           struct pbmsg_members_result *r);

/* Appends a framed Response without a result. */
NODISCARD enum status pbfront_say(uint64_t id, enum pbmsg_code code, const char *text,
                                  struct buf *out);

#endif
