/* chooser.c - see chooser.h. */
#include "sim/chooser.h"

#include "base/ck.h"
#include "base/code.h"
#include "base/hash.h"

#define MILLION 1000000u

void chooser_init(struct chooser *c, uint64_t seed)
{
    *c = (struct chooser){.seed = seed};
}

void chooser_play(struct chooser *c, const void *tape, size_t size)
{
    static const unsigned char nothing;
    c->tape = size > 0 ? tape : &nothing;
    c->tape_size = size;
    c->tape_at = 0;
}

void chooser_record(struct chooser *c, struct buf *out)
{
    c->record = out;
    c->record_failed = false;
}

void chooser_stream_init(struct chooser_stream *s, struct chooser *c, enum chooser_domain domain,
                         uint64_t actor)
{
    uint64_t key = hash_add(hash_mix(c->seed + 1), (uint64_t)domain);
    *s = (struct chooser_stream){.chooser = c, .key = hash_add(key, actor)};
}

/* The tape's next value into *v; false past its end. */
static bool from_tape(struct chooser *c, uint64_t *v)
{
    if (c->tape == NULL || c->tape_at >= c->tape_size) {
        return false;
    }
    size_t n = code_get_varint(c->tape + c->tape_at, c->tape + c->tape_size, v);
    if (n == 0) {
        c->tape_at = c->tape_size;
        return false;
    }
    c->tape_at += n;
    return true;
}

/* An answer before it is reduced: 64 bits that belong to this decision. */
static uint64_t draw(struct chooser_stream *s)
{
    return hash_mix(s->key + 0x9e3779b97f4a7c15u * ++s->ordinal);
}

static uint64_t settle(struct chooser_stream *s, uint64_t answer)
{
    struct chooser *c = s->chooser;
    c->decisions++;
    if (c->record != NULL && !c->record_failed) {
        char bytes[CODE_VARINT_MAX];
        c->record_failed = buf_append(c->record, bytes, code_put_varint(bytes, answer)) != ST_OK;
    }
    return answer;
}

uint64_t choose(struct chooser_stream *s, uint64_t n)
{
    CK(n > 0);
    if (n == 1) {
        return 0;
    }
    uint64_t own = draw(s);
    uint64_t v;
    if (from_tape(s->chooser, &v)) {
        return settle(s, v % n);
    }
    /* High bits times n: unbiased enough (below n / 2^64) and without a division. */
    return settle(s, (uint64_t)(((__uint128_t)own * n) >> 64));
}

uint64_t choose_between(struct chooser_stream *s, uint64_t low, uint64_t high)
{
    CK(low <= high);
    return low == 0 && high == UINT64_MAX ? choose_u64(s) : low + choose(s, high - low + 1);
}

bool choose_chance(struct chooser_stream *s, uint32_t ppm)
{
    if (ppm == 0 || ppm >= MILLION) {
        return ppm != 0;
    }
    uint64_t own = draw(s);
    uint64_t v;
    if (from_tape(s->chooser, &v)) {
        return settle(s, v % 2) != 0;
    }
    return settle(s, (uint64_t)(((__uint128_t)own * MILLION) >> 64) < ppm) != 0;
}

unsigned choose_weighted(struct chooser_stream *s, const uint32_t *weights, unsigned count)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < count; i++) {
        sum += weights[i];
    }
    uint64_t at = choose(s, sum);
    for (unsigned i = 0;; i++) {
        CK(i < count);
        if (at < weights[i]) {
            return i;
        }
        at -= weights[i];
    }
}

uint64_t choose_u64(struct chooser_stream *s)
{
    uint64_t own = draw(s);
    uint64_t v;
    return settle(s, from_tape(s->chooser, &v) ? v : own);
}
