/* fuzz_resp.c - any bytes as a client's stream: the requests found are the same whether the bytes
 * come at once or cut anywhere, arguments lie inside the request, a broken stream stays broken, and
 * memory grows with what was received, not with what was announced.
 *
 * The first byte of an input seeds the cuts; the rest is the stream. */
#include "base/buf.h"
#include "base/ck.h"
#include "base/hash.h"
#include "base/prng.h"
#include "net/resp.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/test_env.h"

struct reader {
    struct resp_parser parser;
    struct buf in;
    uint64_t hash; /* of all requests, and of the error in the end */
    bool broken;
};

static void add_request(struct reader *r)
{
    const struct resp_parser *p = &r->parser;
    CK(p->at > 0);
    CK(p->at <= r->in.size);
    for (uint32_t i = 0; i < p->arg_count; i++) {
        const struct resp_arg *a = &p->args[i];
        CK(a->null || a->offset <= p->at);
        CK(a->null || a->size <= p->at - a->offset);
        r->hash =
            a->null ? hash_add(r->hash, 1) : hash_bytes(r->hash, r->in.data + a->offset, a->size);
    }
    r->hash = hash_add(r->hash, p->arg_count);
    buf_consume(&r->in, p->at);
}

/* Hands over some bytes and takes the requests that are whole. */
static void feed(struct reader *r, const uint8_t *data, size_t size)
{
    enum status st = ST_OK;
    CK(buf_append(&r->in, data, size) == ST_OK);
    while (!r->broken && st == ST_OK && r->in.size > 0) {
        st = resp_parse(&r->parser, r->in.data, r->in.size);
        CK(st == ST_OK || st == ST_AGAIN || st == ST_CORRUPT);
        CK(r->parser.arg_count <= r->in.size);
        if (st == ST_OK) {
            add_request(r);
        } else if (st == ST_CORRUPT) {
            r->broken = true;
            CK(r->parser.error[0] != '\0');
            r->hash = hash_bytes(r->hash, r->parser.error, strlen(r->parser.error));
            CK(resp_parse(&r->parser, r->in.data, r->in.size) == ST_CORRUPT);
        }
    }
}

static uint64_t read_all(const uint8_t *data, size_t size, uint64_t seed)
{
    struct inject te;
    struct reader r = {.hash = 0};
    struct prng g = {seed};
    struct resp_limits limits = {.request_bytes_max = 4096, .args_max = 64};
    test_env_init(&te, NULL);
    resp_init(&r.parser, &te.env.mem, limits);
    buf_init(&r.in, &te.env.mem);
    while (size > 0) {
        size_t step = seed == 0 ? size : 1 + (size_t)prng_below(&g, size < 20 ? size : 20);
        feed(&r, data, step);
        data += step;
        size -= step;
    }
    resp_release(&r.parser);
    buf_release(&r.in);
    CK(te.live == 0);
    return hash_add(r.hash, r.broken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0) {
        uint64_t whole = read_all(data + 1, size - 1, 0);
        CK(read_all(data + 1, size - 1, 1 + (uint64_t)data[0]) == whole);
    }
    return 0;
}
