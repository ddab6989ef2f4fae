/* fuzz_respval.c - any bytes as a server's replies: the same tree whether they come at once or cut
 * anywhere, its nodes and texts inside the reply, and no recursion to run out of.
 *
 * The first byte of an input seeds the cuts; the rest is the stream. */
#include "base/ck.h"
#include "base/hash.h"
#include "base/prng.h"
#include "net/respval.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/test_env.h"

#include <stdlib.h>

static uint64_t add_tree(uint64_t hash, const struct respval *v, const uint8_t *data)
{
    CK(v->count > 0);
    CK(v->nodes[0].next == v->count);
    for (uint32_t i = 0; i < v->count; i++) {
        const struct respval_node *n = &v->nodes[i];
        CK(n->next > i);
        CK(n->next <= v->count);
        CK(n->offset <= v->at);
        CK(n->size <= v->at - n->offset);
        hash = hash_add(hash, (uint64_t)n->type);
        hash = hash_add(hash, (uint64_t)n->integer);
        hash = hash_add(hash, n->count);
        hash = hash_bytes(hash, data + n->offset, n->size);
    }
    return hash;
}

/* The cuts end where the stream seems to end; a reply that came is dropped from the front. */
static uint64_t read_all(const uint8_t *data, size_t size, uint64_t seed)
{
    struct inject te;
    struct respval v;
    struct prng g = {seed};
    size_t seen = 0; /* bytes handed over of those that are left */
    uint64_t hash = 0;
    enum status st = ST_AGAIN;
    test_env_init(&te, NULL);
    respval_init(&v, &te.env.mem);
    while (st != ST_CORRUPT && (st == ST_OK ? seen > 0 : seen < size)) {
        if (st == ST_AGAIN) {
            seen += seed == 0 ? size - seen : 1 + (size_t)prng_below(&g, size - seen);
        }
        st = respval_parse(&v, (const char *)data, seen);
        CK(st == ST_OK || st == ST_AGAIN || st == ST_CORRUPT);
        CK(v.count <= seen);
        if (st == ST_OK) {
            CK(v.at > 0);
            CK(v.at <= seen);
            hash = add_tree(hash, &v, data);
            data += v.at;
            size -= v.at;
            seen -= v.at;
            st = seen > 0 ? ST_OK : ST_AGAIN;
        }
    }
    respval_release(&v);
    CK(te.live == 0);
    return hash_add(hash, st == ST_CORRUPT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0) {
        uint64_t whole = read_all(data + 1, size - 1, 0);
        CK(read_all(data + 1, size - 1, 1 + (uint64_t)data[0]) == whole);
    }
    return 0;
}
