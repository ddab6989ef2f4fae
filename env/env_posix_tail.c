/* env_posix_tail.c - the end of a growing file, mapped: small writes without a system call.
 *
 * A small write costs half a microsecond in the kernel, of which its bytes are a hundredth. Through
 * a shared mapping they go to the same pages of the page cache with a copy: whoever reads the file
 * sees them, they survive the process, a sync takes them along, and an error of the device is told
 * by the sync that follows, all as with a write. What differs is who finds out that there is no
 * room: a store into a page without a block ends the process with SIGBUS. So a window is allocated
 * before it is mapped, on the file systems alone where that is known to keep a promise of room, and
 * whenever anything does not fit, the write is a plain one.
 *
 * Syncs write-protect the pages, and the first stores into fresh blocks cost a sync its metadata.
 * So a file that is synced often is never mapped: only after CALM writes in a row without a sync.
 *
 * The window is where writes go on; it is allocated with the file's size, so the file ends in zeros
 * behind what was written (ENV_GROWS allows it). One thread at a time writes a file. */
#define _GNU_SOURCE
#include "env/env_posix_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#define CALM   64                  /* writes without a sync before a window is worth its making */
#define WINDOW ((uint64_t)1 << 20) /* bytes of a window */
#define SMALL  ((size_t)1 << 10)   /* larger ones are cheaper in a call than as faults of pages */
#define PAGE   ((uint64_t)4096)    /* windows begin at a multiple; mmap wants its own page size */

struct env_posix_tail {
    char *map;     /* WINDOW bytes of the file from `from` on; NULL: none */
    uint64_t from; /* offset in the file */
    uint64_t end;  /* offset behind the last write */
    unsigned calm; /* writes since the last sync, up to CALM */
    bool off;      /* it does not work here */
};

/* Where allocated blocks stay, so that a store cannot fail for room. Not so on those that copy on
 * write, and unknown on those of a network. */
static bool keeps_room(int fd)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0) {
        return false;
    }
    const unsigned long known[] = {0xef53 /* ext4 */, 0x58465342 /* xfs */, 0x01021994 /* tmpfs */};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if ((unsigned long)fs.f_type == known[i]) {
            return true;
        }
    }
    return false;
}

static void window_drop(struct env_posix_tail *t)
{
    if (t->map != NULL) {
        (void)munmap(t->map, WINDOW); /* it is a mapping of ours */
        t->map = NULL;
    }
}

/* A window that begins at the page of the offset. */
static bool window_make(struct env_posix_tail *t, int fd, uint64_t offset)
{
    window_drop(t);
    t->from = offset / PAGE * PAGE;
    int rc;
    do {
        rc = fallocate(fd, 0, (off_t)t->from, (off_t)WINDOW);
    } while (rc != 0 && errno == EINTR);
    if (rc != 0) {
        return false;
    }
    void *p = mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)t->from);
    t->map = p != MAP_FAILED ? p : NULL;
    return t->map != NULL;
}

struct env_posix_tail *env_posix_tail_new(int fd)
{
    struct env_posix_tail *t = calloc(1, sizeof *t);
    if (t != NULL && (!keeps_room(fd) || PAGE % (uint64_t)sysconf(_SC_PAGESIZE) != 0)) {
        free(t);
        t = NULL;
    }
    return t;
}

void env_posix_tail_free(struct env_posix_tail *t)
{
    if (t != NULL) {
        window_drop(t);
        free(t);
    }
}

bool env_posix_tail_put(struct env_posix_tail *t, int fd, const void *buf, size_t size,
                        uint64_t offset)
{
    if (t->off || offset != t->end || size > SMALL) {
        return false;
    }
    if (t->calm < CALM) {
        t->calm++;
        return false;
    }
    if (t->map == NULL || offset + size > t->from + WINDOW) {
        t->off = !window_make(t, fd, offset);
        if (t->off) {
            return false;
        }
    }
    memcpy(t->map + (offset - t->from), buf, size);
    t->end = offset + size;
    return true;
}

void env_posix_tail_wrote(struct env_posix_tail *t, uint64_t end)
{
    t->end = end;
}

void env_posix_tail_synced(struct env_posix_tail *t)
{
    t->calm = 0;
}
