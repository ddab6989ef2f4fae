/* fuzz_lin_edn.c - libFuzzer target: any bytes as a log of Jepsen, Knossos or porcupine. The first
 * byte picks the format; what is accepted is checked under a small budget. */
#include "sim/lin/lin.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/lin/libc_mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct mem mem = libc_mem();
    struct lin_history h;
    struct lin_verdict v = {0};
    struct err err = {""};
    lin_history_init(&h, &mem);
    enum lin_format format = data[0] % 2 == 0 ? LIN_PORCUPINE : LIN_EDN;
    enum status st = lin_edn_read(&h, "fuzz", slice_of(data + 1, size - 1), format, &err);
    if (st == ST_OK) {
        struct lin_options o = {.steps = 2000, .memory = 1 << 20};
        if (lin_check(&h, &o, &v) != ST_OK) {
            __builtin_trap();
        }
    } else if (err.text[0] == '\0') {
        __builtin_trap();
    }
    lin_verdict_release(&v);
    lin_history_release(&h);
    return 0;
}
