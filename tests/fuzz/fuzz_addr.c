/* fuzz_addr.c - any text as an address: refused with a reason, or the same after a round trip. */
#include "base/ck.h"
#include "env/addr.h"
#include "tests/fuzz/fuzz_target.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[128];
    char again[ADDR_TEXT_MAX];
    struct env_addr a;
    struct env_addr b;
    struct err err = {""};
    size_t n = size < sizeof text ? size : sizeof text - 1;
    memcpy(text, data, n);
    text[n] = '\0';
    if (addr_parse(text, &a, &err) != ST_OK) {
        CK(err.text[0] != '\0');
        return 0;
    }
    CK(a.family == 4 || a.family == 6);
    CK(addr_parse(addr_format(&a, again), &b, NULL) == ST_OK);
    CK(memcmp(&a, &b, sizeof a) == 0);
    return 0;
}
