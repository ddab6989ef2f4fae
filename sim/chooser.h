/* chooser.h - the only source of nondeterminism in the simulated world.
 *
 * A decision is asked of a stream, which stands for one (domain, actor): "how long does the
 * next write of disk 2 take". Its answer is a function of (seed, domain, actor, ordinal), where
 * the ordinal counts the decisions of that stream: one more decision in one place shifts no
 * other. Instead of the seed, a tape can answer:
 *
 *   seed     the hash of (seed, domain, actor, ordinal), reduced to the range
 *   tape     the next value of the tape, reduced to the range; past its end, the seed again
 *
 * Tape: a sequence of LEB128 varints, one per decision with n > 1, in the order in which they
 * were asked; a value is taken modulo n, and a varint cut short ends the tape. So a recording
 * replays exactly, and any bytes at all (a fuzzer's) are a tape.
 *
 * Invariants: I1 an answer is below n (n == 0 is a bug)   I2 replaying a recording gives the
 * recorded answers   I3 streams do not influence each other in seed mode
 * (tests/sim/test_chooser.c). Failure: recording may meet ST_NOMEM; it stops, and
 * chooser_recording() says so. */
#ifndef SIM_CHOOSER_H
#define SIM_CHOOSER_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* What is decided. The number is part of every seed's meaning: append only. */
enum chooser_domain {
    CHOOSE_PLAN = 1,   /* the swarm: which faults, sizes, knobs */
    CHOOSE_SCHED,      /* who runs next */
    CHOOSE_DISK_TIME,  /* latency of a disk operation */
    CHOOSE_DISK_FAULT, /* short I/O, errors, failing fsync sets */
    CHOOSE_DISK_CRASH, /* which version of each cell survives */
    CHOOSE_NET_TIME,   /* latency, bandwidth */
    CHOOSE_NET_FAULT,  /* splits, resets, batch order */
    CHOOSE_CLOCK,      /* drift and steps */
    CHOOSE_HEAP,       /* refused allocations, fill pattern */
    CHOOSE_RANDOM,     /* what the process sees as random_u64 */
    CHOOSE_WORKLOAD,   /* what a client does */
    CHOOSE_NEMESIS,    /* kills, restarts, pauses */
    CHOOSE_SHADOW,     /* where a shadow crash happens, and how */
    CHOOSE_MEDIA,      /* which media faults strike, and where */
    CHOOSE_DOMAINS
};

struct chooser {
    uint64_t seed;
    const unsigned char *tape; /* borrowed; NULL: the seed answers */
    size_t tape_size;
    size_t tape_at;
    struct buf *record; /* borrowed; NULL: not recording */
    bool record_failed; /* an append was refused: the recording ends there */
    uint64_t decisions; /* asked so far, with n > 1 */
};

struct chooser_stream {
    struct chooser *chooser; /* borrowed; outlives the stream */
    uint64_t key;            /* hash of (seed, domain, actor) */
    uint64_t ordinal;
};

void chooser_init(struct chooser *c, uint64_t seed);

/* From now on the tape's values answer. Borrowed until the chooser is done. */
void chooser_play(struct chooser *c, const void *tape, size_t size);

/* From now on every decision is appended to out. */
void chooser_record(struct chooser *c, struct buf *out);

/* The stream of (domain, actor). Two streams with the same pair would repeat each other. */
void chooser_stream_init(struct chooser_stream *s, struct chooser *c, enum chooser_domain domain,
                         uint64_t actor);

/* Uniform in [0, n), n > 0. n == 1 asks nothing and writes nothing to a tape. */
uint64_t choose(struct chooser_stream *s, uint64_t n);

/* Uniform in [low, high], low <= high. */
uint64_t choose_between(struct chooser_stream *s, uint64_t low, uint64_t high);

/* True with probability ppm / 1,000,000; 0 and 1,000,000 ask nothing. On a tape, and where the
 * answer is unlikely, 0 means false. */
bool choose_chance(struct chooser_stream *s, uint32_t ppm);

/* An index into weights[count], drawn by weight; their sum must be above 0. */
unsigned choose_weighted(struct chooser_stream *s, const uint32_t *weights, unsigned count);

/* 64 bits, as one decision. */
uint64_t choose_u64(struct chooser_stream *s);

#endif
