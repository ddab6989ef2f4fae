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

/* Appends a framed Response without a result. */
NODISCARD enum status pbfront_say(uint64_t id, enum pbmsg_code code, const char *text,
                                  struct buf *out);

#endif
