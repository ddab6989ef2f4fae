/* disksteps.h - the steps that the tests of the simulated disk are written in; each expects
 * success. */
#ifndef TESTS_SIM_DISKSTEPS_H
#define TESTS_SIM_DISKSTEPS_H

#include "sim/simdisk.h"
#include "sim/simmem.h"
#include "tests/tap.h"

#define RW (ENV_READ | ENV_WRITE | ENV_CREATE)

static inline struct simdisk *disk(const struct simdisk_options *o)
{
    struct simdisk *d = NULL;
    EXPECT(simdisk_new(simmem(), o, &d) == ST_OK);
    return d;
}

static inline struct simdisk *plain_disk(void)
{
    struct simdisk_options o;
    simdisk_options_init(&o);
    return disk(&o);
}

static inline void stream(struct chooser *c, struct chooser_stream *s, uint64_t seed)
{
    chooser_init(c, seed);
    chooser_stream_init(s, c, CHOOSE_DISK_CRASH, 1);
}

static inline simdisk_ino must_open(struct simdisk *d, const char *path, unsigned flags)
{
    simdisk_ino ino = 0;
    EXPECT(simdisk_open(d, path, flags, &ino) == ST_OK);
    return ino;
}

static inline void append(struct simdisk *d, simdisk_ino ino, char c, size_t n)
{
    char bytes[20000];
    size_t done = 0;
    memset(bytes, c, sizeof bytes);
    EXPECT(simdisk_write(d, ino, bytes, n, simdisk_size(d, ino), &done) == ST_OK && done == n);
}

static inline void make_file(struct simdisk *d, const char *path, char c, size_t n)
{
    simdisk_ino ino = must_open(d, path, RW);
    append(d, ino, c, n);
    simdisk_close(d, ino);
}

static inline void sync_file(struct simdisk *d, simdisk_ino ino)
{
    simdisk_sync_end(d, ino, simdisk_sync_begin(d), false);
}

static inline void sync_root(struct simdisk *d)
{
    EXPECT(simdisk_dir_sync(d, "/", simdisk_sync_begin(d)) == ST_OK);
}

#endif
