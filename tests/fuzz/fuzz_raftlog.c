/* fuzz_raftlog.c - any bytes as a segment of the Raft log: it opens or says what is wrong, reads
 * and goes on being written, and opens again as what it was.
 *
 * A fuzzer cannot guess a checksum. So the first byte of an input says what is done to the rest:
 * bit 0, the CRCs of state blocks are put right; bit 1, those of records that can be walked from
 * the first group on, with their chain. The bytes are laid over an empty segment: first a u16, how
 * much of the header pages they are, then those, then groups. */
#include "base/ck.h"
#include "base/code.h"
#include "base/crc32c.h"
#include "env/env_posix.h"
#include "raft/raftlogfmt.h"
#include "tests/engine/diskenv.h"
#include "tests/fuzz/fuzz_target.h"

#include <stdlib.h>
#include <string.h>

#define SIZE  ((size_t)48 << 10)
#define EPOCH 0x11223344u

static void seal_block(char *page, uint64_t at)
{
    uint32_t size = code_get32(page + 4);
    if (size < 24 || size > RAFTLOGFMT_PAGE) {
        return;
    }
    char place[8];
    code_put64(place, at);
    uint32_t crc = raftlogfmt_seed(2, code_get32(page + 32));
    crc = crc32c(crc, place, sizeof place);
    code_put32(page, crc32c(crc, page + 4, size - 4));
}

static void seal_records(char *file, uint32_t epoch)
{
    uint32_t seed = raftlogfmt_seed(2, epoch);
    uint32_t chain = code_get32(file + 88); /* what the header says */
    for (uint64_t at = RAFTLOGFMT_DATA_AT; at + RAFTLOGFMT_RECORD <= SIZE;) {
        uint64_t size = raftlogfmt_size(code_get32(file + at + 8));
        bool last = (code_get16(file + at + 14) & RAFTLOGFMT_LAST) != 0;
        if (file[at + 12] == 0 || size > SIZE - at) {
            return;
        }
        chain = raftlogfmt_seal(false, seed, at, chain, last, file + at);
        at = last ? raftlogfmt_up(at + size, 512) : at + size;
    }
}

static void use(struct env *env)
{
    struct raftlog_options o = {.segment_bytes = 32 << 10, .cache_bytes = 4096, .verify = true};
    struct raftlog *log = NULL;
    struct raftlog_batch b = {.count = 0};
    enum status st = raftlog_open(env, "raft", &o, &log, NULL);
    CK(st == ST_OK || st == ST_CORRUPT || st == ST_UNSUPPORTED || st == ST_NOENT);
    if (st != ST_OK) {
        return;
    }
    struct raft_place last = raftlog_start(log)->last;
    struct raft_hard hard = raftlog_start(log)->hard;
    uint64_t first = raftlog_start(log)->base.index + 1;
    for (uint64_t i = 0; i < 50 && first + i <= last.index; i++) {
        st = raftlog_read(log, first + i, last.index + 1, 1000, &b);
        CK(st == ST_OK || st == ST_CORRUPT);
        CK(st != ST_OK || b.entries[0].index == first + i);
    }
    struct raft_entry e = {last.index + 1, last.term > 0 ? last.term : 1, RAFT_COMMAND,
                           slice_text("more")};
    struct raftlog_write w = {.seq = 1, .entries = &e, .count = 1};
    uint64_t durable;
    CK(raftlog_append(log, &w) == ST_OK);
    CK(raftlog_sync(log, &durable) == ST_OK);
    raftlog_batch_release(&b);
    raftlog_close(log);
    CK(raftlog_open(env, "raft", &o, &log, NULL) == ST_OK);
    CK(raftlog_start(log)->last.index == last.index + 1);
    CK(raftlog_start(log)->hard.term == hard.term);
    CK(raftlog_start(log)->hard.vote == hard.vote);
    raftlog_close(log);
}

static void file_put(struct env *env, const char *data)
{
    int fd;
    size_t put;
    CK(env_dir_make(env, "raft") == ST_OK);
    CK(env_file_open(env, "raft/raft-000002.log", ENV_WRITE | ENV_CREATE, &fd) == ST_OK);
    CK(env_file_pwrite(env, fd, data, SIZE, 0, &put) == ST_OK && put == SIZE);
    CK(env_fd_close(env, fd) == ST_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct env *real;
    struct env_posix_options o = {NULL, ENV_LOG_ERROR + 1};
    struct diskenv disk;
    if (size < 3 || size > SIZE) {
        return 0;
    }
    size_t head = code_get16(data + 1) % (RAFTLOGFMT_DATA_AT + 1);
    head = head < size - 3 ? head : size - 3;
    char *file = calloc(1, SIZE);
    CK(file != NULL);
    memcpy(file, data + 3, head);
    size_t rest = size - 3 - head;
    rest = rest < SIZE - RAFTLOGFMT_DATA_AT ? rest : SIZE - RAFTLOGFMT_DATA_AT;
    memcpy(file + RAFTLOGFMT_DATA_AT, data + 3 + head, rest);
    for (uint64_t at = 0; at < RAFTLOGFMT_DATA_AT && (data[0] & 1) != 0; at += RAFTLOGFMT_PAGE) {
        seal_block(file + at, at);
    }
    if ((data[0] & 2) != 0) {
        seal_records(file, code_get32(file + 32) != 0 ? code_get32(file + 32) : EPOCH);
    }
    CK(env_posix_new(&o, &real) == ST_OK);
    diskenv_init(&disk, real, NULL);
    file_put(&disk.te.env, file);
    use(&disk.te.env);
    CK(disk.te.live == 0);
    diskenv_release(&disk);
    env_posix_free(real);
    free(file);
    return 0;
}
