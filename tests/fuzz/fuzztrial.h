/* fuzztrial.h - a whole small simulation, decided by a fuzzer's input: its first two bytes are the
 * seed of the plan, the rest is the tape that answers every choice until it ends. */
#ifndef TESTS_FUZZ_FUZZTRIAL_H
#define TESTS_FUZZ_FUZZTRIAL_H

#include "sim/trial.h"

/* No value of that knob above `most`: an input must take milliseconds. */
struct fuzztrial_limit {
    enum plan_knob knob;
    uint64_t most;
};

struct fuzztrial_world {
    enum plan_world world;
    void (*draw)(struct plan *p); /* what its seeds have beside the common draw; NULL: nothing */
    void (*run)(const struct trial_options *o, struct trial_result *r, struct buf *tail);
    const struct fuzztrial_limit *limits;
    size_t limit_count;
};

/* Runs it. A check that fails ends the process, after the plan and the last events were printed. */
void fuzztrial_run(const struct fuzztrial_world *w, const uint8_t *data, size_t size);

#endif
