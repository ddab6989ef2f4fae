/* diskenv.h - an Env whose files lie on a simulated disk, and whose threads are real.
 *
 * Enough for the engine: files and directories. `before` is called before each disk operation, on
 * whatever thread makes it: a test clones the disk there, and looks what a power loss would
 * leave. With fail_sync > 0 every so many-th sync fails in the disk's mode. */
#ifndef TESTS_ENGINE_DISKENV_H
#define TESTS_ENGINE_DISKENV_H

#include "sim/simdisk.h"
#include "tests/test_env.h"

#define DISKENV_FDS 64

typedef void diskenv_before_fn(void *arg);

struct diskenv {
    struct inject te;     /* hand &d.te.env to what is tested */
    struct simdisk *disk; /* owned */
    struct {
        bool used;
        bool lock;
        simdisk_ino ino;
        bool failed; /* a sync of it failed */
    } fds[DISKENV_FDS];
    struct chooser chooser;
    struct chooser_stream faults;
    long fail_sync;
    long syncs;
    diskenv_before_fn *before; /* atomic: threads of the engine ask while a test changes it */
    void *arg;
};

/* below: a real Env, for threads and memory. The disk is taken over; NULL: an empty one. */
void diskenv_init(struct diskenv *d, struct env *below, struct simdisk *disk);
void diskenv_release(struct diskenv *d);

/* Sets `before`; NULL: nobody is called any more, but for a call that is under way: arg lives until
 * the engine's threads have ended. */
void diskenv_watch(struct diskenv *d, diskenv_before_fn *before, void *arg);

/* A copy of the disk as it is, dirty pages and all; and what a power loss now would leave. Not from
 * within another operation. */
struct simdisk *diskenv_clone(struct diskenv *d);
struct simdisk *diskenv_crash(struct diskenv *d, enum simdisk_strategy strategy,
                              struct chooser_stream *s);

/* Held around anything else that is done to a disk: disks share memory with their clones. */
void diskenv_lock(void);
void diskenv_unlock(void);

#endif
