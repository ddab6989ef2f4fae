/* fuzz_envelope.c - any bytes as an envelope: opening says what they are, walking stays inside of
 * them, and what was read, written again, is read the same. */
#include "node/envelope.h"

#include "base/ck.h"
#include "base/hash.h"
#include "env/env.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/test_env.h"

#define SIZE_MOST (1u << 16)

struct seen {
    uint64_t hash;
    uint32_t requests;
};

static void args_see(struct seen *s, struct slice all, const struct slice *args, uint32_t count)
{
    s->hash = hash_add(s->hash, count);
    for (uint32_t i = 0; i < count; i++) {
        CK(args[i].size == 0 || args[i].data >= all.data);
        CK(args[i].size <= (size_t)(all.data + all.size - args[i].data) || args[i].size == 0);
        s->hash = hash_add(s->hash, args[i].data == NULL ? UINT64_MAX : args[i].size);
        s->hash = hash_bytes(s->hash, args[i].data, args[i].size);
    }
}

/* Walks over what is open; writes it again when w is not NULL. */
static struct seen walk(struct envelope_reader *r, struct slice all, struct envelope_writer *w)
{
    struct seen s = {0};
    struct envelope_request q;
    while (envelope_next(r, &q)) {
        s.requests++;
        s.hash = hash_add(hash_add(s.hash, q.session), q.sequence);
        s.hash = hash_add(hash_add(s.hash, q.answered), q.transaction);
        if (w != NULL) {
            envelope_request(w, &q);
        }
        for (uint32_t i = 0; i < q.commands; i++) {
            uint32_t count;
            const struct slice *args = envelope_args(r, &count);
            args_see(&s, all, args, count);
            if (w != NULL) {
                envelope_command(w, args, count);
            }
        }
    }
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct inject te;
    struct envelope_reader r;
    struct envelope_writer w;
    struct envelope head;
    struct envelope again;
    struct buf copy;
    struct slice all = slice_of(data, size);
    if (size > SIZE_MOST) {
        return 0;
    }
    test_env_init(&te, NULL);
    envelope_reader_init(&r, &te.env.mem);
    buf_init(&copy, &te.env.mem);
    enum status st = envelope_open(&r, all, &head);
    CK(st == ST_OK || st == ST_CORRUPT || st == ST_UNSUPPORTED);
    if (st == ST_OK) {
        envelope_begin(&w, &copy, &head);
        struct seen one = walk(&r, all, &w);
        CK(envelope_end(&w) == ST_OK);
        CK(one.requests == head.count);
        CK(envelope_open(&r, buf_slice(&copy), &again) == ST_OK);
        struct seen two = walk(&r, buf_slice(&copy), NULL);
        CK(one.hash == two.hash);
        CK(again.count == head.count);
        CK(again.life == head.life);
    }
    buf_release(&copy);
    envelope_reader_release(&r);
    CK(te.live == 0);
    return 0;
}
