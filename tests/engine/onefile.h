/* onefile.h - an Env with one file, in memory, for tests that look at or damage every byte of it.
 *
 * Whatever name is opened is that file. It stands on a test_env without anything below, whose
 * switches (refused allocations, short I/O) work. */
#ifndef TESTS_ENGINE_ONEFILE_H
#define TESTS_ENGINE_ONEFILE_H

#include "tests/test_env.h"

struct onefile {
    struct inject te;    /* hand &f.te.env to what is tested */
    unsigned char *data; /* malloc'ed; the caller may change it */
    size_t size;
    size_t cap;
    long fail_at; /* the n-th call on the file fails with ST_IO; -1: none */
    long calls;
};

void onefile_init(struct onefile *f);
void onefile_release(struct onefile *f);
void onefile_set(struct onefile *f, const void *data, size_t size);

#endif
