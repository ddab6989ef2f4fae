/* fuzz_lin_jsonl.c - libFuzzer target: any bytes as a history of JSON lines.
 *
 * Whole and in two pieces it must be read alike; what is accepted is checked under a small budget,
 * written, and read again. */
#include "sim/lin/lin.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/lin/libc_mem.h"

static enum status read_pieces(struct lin_history *h, struct slice a, struct slice b)
{
    struct lin_jsonl r;
    struct err err;
    lin_jsonl_init(&r, h, "fuzz");
    enum status st = lin_jsonl_feed(&r, a, &err);
    st = st == ST_OK ? lin_jsonl_feed(&r, b, &err) : st;
    st = st == ST_OK ? lin_jsonl_end(&r, &err) : st;
    lin_jsonl_release(&r);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mem mem = libc_mem();
    struct lin_history h;
    struct lin_history again;
    struct lin_verdict v = {0};
    struct buf text;
    struct err err;
    buf_init(&text, &mem);
    lin_history_init(&h, &mem);
    lin_history_init(&again, &mem);
    size_t cut = size > 0 ? data[size - 1] % size : 0;
    enum status pieces = read_pieces(&again, slice_of(data, cut), slice_of(data + cut, size - cut));
    enum status st = lin_jsonl_read(&h, "fuzz", slice_of(data, size), &err);
    if (st != pieces) {
        __builtin_trap();
    }
    lin_history_release(&again);
    lin_history_init(&again, &mem);
    if (st == ST_OK) {
        struct lin_options o = {.steps = 2000, .memory = 1 << 20};
        if (lin_check(&h, &o, &v) != ST_OK || lin_jsonl_write(&h, &text) != ST_OK) {
            __builtin_trap();
        }
    }
    lin_verdict_release(&v);
    lin_history_release(&h);
    lin_history_release(&again);
    buf_release(&text);
    return 0;
}
