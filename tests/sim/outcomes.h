/* outcomes.h - every crash outcome of a small disk, as text, for the litmus tests.
 *
 * An outcome reads "a=AAAA;b=;": names of the root directory in order, each with its bytes; a zero
 * byte reads '0', a byte that may be anything '?', and one that is no letter '!'. The enumerator
 * follows the executable reference of the disk model: it multiplies out the versions of all cells
 * (model E: once for every cut), where simdisk_crash picks one. */
#ifndef TESTS_SIM_OUTCOMES_H
#define TESTS_SIM_OUTCOMES_H

#include "sim/simdisk.h"

#define UNIT 16 /* bytes of a sector, and of a page, in these tests */

struct outcomes {
    char **v; /* sorted, each once */
    size_t count;
    size_t cap;
};

/* A disk with sectors and pages of UNIT bytes. Ends the program when refused. */
struct simdisk *outcomes_disk(enum simdisk_model model);

/* All that a power loss now could leave. */
void outcomes_all(const struct simdisk *d, struct outcomes *o);
/* All that could be left of the bytes of one file, under whatever name: texts without names. */
void outcomes_file(const struct simdisk *d, const char *path, struct outcomes *o);
void outcomes_release(struct outcomes *o);

/* The volatile image as such a text; the caller frees it. */
char *outcomes_text(struct simdisk *d);

/* Whether `text` is the same as `like`, a '?' in `like` standing for any byte. */
bool outcomes_like(const char *text, const char *like);
/* Whether some outcome is like that: o may hold '?'. */
bool outcomes_hold(const struct outcomes *o, const char *text);

/* The bytes of one file in an outcome, one character a unit: "A", "?"; NULL: no such file; in a
 * static buffer. */
const char *outcomes_units(const char *text, const char *name);

#endif
