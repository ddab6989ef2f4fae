/* raftscan.c - see raftscan.h. */
#include "raft/raftscan.h"

#include "base/code.h"
#include "env/fullio.h"

#define AT_TYPE     12
#define AT_SEQUENCE 16

/* Reads a few times; the rest is zeroed. */
static enum status read_tries(struct env *env, int fd, char *data, size_t size, uint64_t offset)
{
    enum status st = ST_OK;
    for (int i = 0; i < RAFTSCAN_TRIES; i++) {
        size_t got = 0;
        st = fullio_pread(env, fd, data, size, offset, &got);
        if (st != ST_IO) {
            memset(data + got, 0, size - got);
            return st;
        }
    }
    memset(data, 0, size);
    return st;
}

enum status raftscan_read(struct env *env, int fd, char *data, size_t size, uint64_t offset)
{
    enum status st = read_tries(env, fd, data, size, offset);
    size_t done = 0;
    if (st != ST_IO) {
        return st;
    }
    while (done < size) {
        size_t n = (size_t)(RAFTLOGFMT_PAGE - (offset + done) % RAFTLOGFMT_PAGE);
        n = n < size - done ? n : size - done;
        st = read_tries(env, fd, data + done, n, offset + done);
        if (st != ST_OK && st != ST_IO) {
            return st;
        }
        done += n;
    }
    return ST_OK;
}

bool raftscan_get(const struct raftscan *s, uint64_t offset, struct raftlogfmt_record *r)
{
    if (offset < s->at || offset - s->at >= s->size) {
        return false;
    }
    uint64_t in = offset - s->at;
    return raftlogfmt_get(s->hardware, s->seed, offset, s->data + in, s->size - in, r);
}

bool raftscan_next(const struct raftscan *s, uint64_t *offset, uint64_t lo, uint64_t hi,
                   struct raftlogfmt_record *r)
{
    uint64_t in = raftlogfmt_up(*offset, RAFTLOGFMT_ALIGN) - s->at;
    for (; in + RAFTLOGFMT_RECORD <= s->size; in += RAFTLOGFMT_ALIGN) {
        const char *p = s->data + in;
        uint64_t sequence = code_get64(p + AT_SEQUENCE);
        /* the cheap half of the test first: most offsets are in the middle of something */
        if (sequence >= lo && sequence <= hi && (uint8_t)p[AT_TYPE] < RAFTLOGFMT_TYPES &&
            raftlogfmt_get(s->hardware, s->seed, s->at + in, p, s->size - in, r)) {
            *offset = s->at + in;
            return true;
        }
    }
    return false;
}
