/* fuzz_wal.c - any bytes as a log file: records come out in order and inside the file, reading ends
 * at the end or says where the damage is, and short reads change nothing.
 *
 * A fuzzer cannot guess a checksum. So the first byte of an input says what is done to the rest
 * before it is read: bit 0, the checksums of all fragments are put right; bit 1, the file's
 * number and the first fragment's epoch are put into all of them. */
#include "base/ck.h"
#include "base/hash.h"
#include "engine/walread.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/walseal.h"
#include "tests/test_env.h"

#include <stdlib.h>

#define NUMBER 1

/* An Env with one file, in memory. */
struct world {
    struct inject te; /* first */
    const uint8_t *data;
    size_t size;
};

static struct world *world_of(struct env *e)
{
    return (struct world *)(void *)e;
}

static enum status one_open(struct env *e, const char *path, unsigned flags, int *fd)
{
    (void)e;
    (void)path;
    (void)flags;
    *fd = 3;
    return ST_OK;
}

static enum status one_pread(struct env *e, int fd, void *buf, size_t size, uint64_t offset,
                             size_t *got)
{
    struct world *w = world_of(e);
    (void)fd;
    size_t left = offset < w->size ? w->size - (size_t)offset : 0;
    size_t n = size < left ? size : left;
    size_t most = w->te.io_max;
    *got = most > 0 && n > most ? most : n;
    memcpy(buf, w->data + (left > 0 ? offset : 0), *got);
    return ST_OK;
}

static enum status one_size(struct env *e, int fd, uint64_t *size)
{
    (void)fd;
    *size = world_of(e)->size;
    return ST_OK;
}

static enum status one_close(struct env *e, int fd)
{
    (void)e;
    (void)fd;
    return ST_OK;
}

static unsigned no_features(struct env *e)
{
    (void)e;
    return 0;
}

static void world_init(struct world *w, const uint8_t *data, size_t size, size_t io_max)
{
    test_env_init(&w->te, NULL);
    w->te.io_max = io_max;
    w->te.vt.file_open = one_open;
    w->te.vt.file_pread = one_pread;
    w->te.vt.file_size = one_size;
    w->te.vt.fd_close = one_close;
    w->te.vt.cpu_features = no_features;
    w->data = data;
    w->size = size;
}

/* Reads the file to its end or its damage; returns a hash of all that was seen. */
static uint64_t read_all(const uint8_t *data, size_t size, size_t io_max)
{
    struct world w;
    struct walread r;
    struct walread_record rec;
    uint64_t hash = 0;
    uint64_t last = 0;
    world_init(&w, data, size, io_max);
    enum status st = walread_open(&r, &w.te.env, "log", NUMBER, UINT64_MAX);
    CK(st == ST_OK);
    while ((st = walread_next(&r, &rec)) == ST_OK && rec.type != WALFMT_NONE) {
        CK(rec.start >= last);
        CK(rec.end > rec.start);
        CK(rec.end <= size);
        CK(rec.data.size <= rec.end - rec.start);
        last = rec.end;
        hash = hash_add(hash, rec.type);
        hash = hash_add(hash, rec.sequence);
        hash = hash_add(hash, rec.synced);
        hash = hash_bytes(hash, rec.data.data, rec.data.size);
    }
    CK(st == ST_OK || st == ST_CORRUPT);
    if (st == ST_CORRUPT) {
        bool found = false;
        CK(r.damage <= size);
        hash = hash_add(hash, r.damage);
        CK(walread_evidence(&r, &found) == ST_OK);
        hash = hash_add(hash, found);
    }
    walread_close(&r);
    walread_close(&r);
    CK(w.te.live == 0);
    return hash_add(hash, (uint64_t)st);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 4 * WALFMT_BLOCK) {
        return 0;
    }
    uint8_t *file = malloc(size); /* one byte more than needed, for malloc(0) */
    CK(file != NULL);
    memcpy(file, data + 1, size - 1);
    walseal_run(file, size - 1, NUMBER, data[0] & (WALSEAL_CRC | WALSEAL_FILE));
    uint64_t whole = read_all(file, size - 1, 0);
    CK(read_all(file, size - 1, 1 + data[0] / 4) == whole);
    free(file);
    return 0;
}
