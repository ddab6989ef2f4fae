/* fuzz_lz4.c - any bytes, unpacked to any size, stay inside their buffers, as the real library says
 * where it is installed; and any bytes come back from packing.
 *
 * The first two bytes of an input are the size to unpack to. */
#include "base/ck.h"
#include "base/code.h"
#include "engine/lz4.h"
#include "tests/fuzz/fuzz_target.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef int real_unpack(const char *src, char *dst, int n, int cap);

/* NULL: not installed. */
static real_unpack *real_library(void)
{
    static real_unpack *f;
    static int asked;
    if (!asked) {
        void *lib = dlopen("liblz4.so.1", RTLD_NOW);
        asked = 1;
        if (lib != NULL) {
            *(void **)(void *)&f = dlsym(lib, "LZ4_decompress_safe");
        }
    }
    return f;
}

static void unpack(const uint8_t *data, size_t size)
{
    size_t want = code_get16(data);
    char *ours = malloc(want + 1);
    char *real = malloc(want + 1);
    CK(ours != NULL);
    CK(real != NULL);
    enum status st = lz4_unpack(data + 2, size - 2, ours, want);
    real_unpack *f = real_library();
    if (f != NULL && st == ST_OK) { /* it may take more than the format allows, never less */
        CK(f((const char *)data + 2, real, (int)(size - 2), (int)want) == (int)want);
        CK(memcmp(ours, real, want) == 0);
    }
    free(real);
    free(ours);
}

static void round_trip(const uint8_t *data, size_t size)
{
    static uint32_t work[LZ4_WORK / 4];
    size_t cap = lz4_bound(size);
    char *packed = malloc(cap);
    char *back = malloc(size + 1);
    CK(packed != NULL);
    CK(back != NULL);
    size_t n = lz4_pack(data, size, packed, cap, work);
    CK(n > 0);
    CK(lz4_unpack(packed, n, back, size) == ST_OK);
    CK(size == 0 || memcmp(back, data, size) == 0);
    CK(lz4_pack(data, size, packed, n - 1, work) == 0);
    free(back);
    free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 2) {
        unpack(data, size);
    }
    round_trip(data, size);
    return 0;
}
