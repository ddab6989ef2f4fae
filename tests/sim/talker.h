/* talker.h - a small program for tests of the network: one connection, bytes both ways, a diary.
 *
 * It listens or connects, then says `size` bytes every `gap_ms` and reads what comes, until it is
 * time or the connection is over. The diary is in virtual time. */
#ifndef TESTS_SIM_TALKER_H
#define TESTS_SIM_TALKER_H

#include "sim/proc.h"

#define TALKER_HEARD_MAX 4096

struct talker {
    /* what it does */
    const struct host *peer; /* connect there; NULL: listen */
    uint16_t port;           /* 0: 4000 */
    int backlog;             /* 0: 8 */
    size_t size;             /* 0: it says nothing */
    uint64_t gap_ms;         /* 0: as fast as it can */
    uint64_t words;          /* so many times, 0: until the end */
    uint64_t start_ms;
    uint64_t end_ms; /* of virtual time; 0: never, until the connection ends */
    int user_timeout_ms;
    int keepalive_s;
    bool deaf; /* does not read */
    bool hold; /* listens, and never accepts */
    /* what it saw */
    struct proc *proc;
    enum status connected; /* ST_AGAIN: not decided */
    uint64_t connected_at;
    uint64_t said; /* bytes that write took */
    uint64_t heard;
    uint64_t wrong; /* bytes that are not what the other said */
    uint64_t first_at, last_at;
    struct {
        uint64_t at, bytes;
    } diary[TALKER_HEARD_MAX];
    size_t entries;
    enum status end; /* why it ended: ST_OK the stream's end or its time */
    bool eof;
    uint64_t ended_at;
};

int talker_main(struct env *env, int argc, char **argv);

/* Bytes that arrived in [from, to) of virtual ms. */
uint64_t talker_heard(const struct talker *t, uint64_t from_ms, uint64_t to_ms);

#endif
