/* walseal.c - see walseal.h. */
#include "tests/fuzz/walseal.h"

#include "base/code.h"
#include "engine/walfmt.h"

#define AT_SIZE     4
#define AT_TYPE     6
#define AT_NUMBER   8
#define AT_EPOCH    12
#define AT_SEQUENCE 16

static void seal(uint8_t *data, size_t at, uint64_t number, uint64_t *sequence, unsigned how)
{
    if ((how & WALSEAL_FILE) != 0) {
        code_put32(data + at + AT_NUMBER, (uint32_t)number);
        code_put32(data + at + AT_EPOCH, code_get32(data + AT_EPOCH));
    }
    if ((how & WALSEAL_SEQUENCE) != 0 && data[at + AT_TYPE] == WALFMT_FULL) {
        code_put64(data + at + AT_SEQUENCE, ++*sequence);
    }
    if ((how & WALSEAL_CRC) != 0) {
        code_put32(data + at, walfmt_crc(false, data + at, number, at));
    }
}

void walseal_run(uint8_t *data, size_t size, uint64_t number, unsigned how)
{
    uint64_t sequence = 0;
    size_t at = 0;
    while (size - at >= WALFMT_FRAG) {
        size_t room = WALFMT_BLOCK - at % WALFMT_BLOCK;
        size_t payload = code_get16(data + at + AT_SIZE);
        if (room < WALFMT_FRAG) {
            at += room;
            if (at > size) {
                return;
            }
            continue;
        }
        if (payload > room - WALFMT_FRAG || payload > size - at - WALFMT_FRAG) {
            return;
        }
        seal(data, at, number, &sequence, how);
        at += WALFMT_FRAG + payload;
    }
}
