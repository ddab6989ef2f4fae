/* latency.h - how long a simulated operation takes: log-normal around a median, by table, since
 * floating-point functions differ between C libraries and this must not. */
#ifndef SIM_LATENCY_H
#define SIM_LATENCY_H

#include "sim/chooser.h"

/* About median_ns times a log-normal factor with sigma 0.5. */
uint64_t latency_draw(struct chooser_stream *s, uint64_t median_ns);

/* A factor of 10 to 100, for the tail. */
uint64_t latency_tail(struct chooser_stream *s, uint64_t ns);

#endif
