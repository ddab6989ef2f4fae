/* fuzz_block.c - any bytes as a data block: nothing outside it is read, whatever is asked. */
#include "base/ck.h"
#include "engine/blockread.h"
#include "engine/filter.h"
#include "tests/fuzz/fuzz_target.h"

#include <stdlib.h>

#define KEY_CAP 300

static int by_size(void *arg, const void *a, size_t a_size, const void *b, size_t b_size)
{
    (void)arg;
    return a_size != b_size ? (a_size < b_size ? -1 : 1)
                            : slice_compare(slice_of(a, a_size), slice_of(b, b_size));
}

static const struct tkv_comparator custom = {"fuzz.size", NULL, by_size};

static void inside(struct slice block, struct slice s)
{
    CK(s.data >= block.data);
    CK(s.data + s.size <= block.data + block.size);
}

/* Asks for a key at its own sequence, in both kinds of order. */
static void ask(const struct blockread *r, struct slice block, struct slice key, uint64_t sequence)
{
    char scratch[KEY_CAP];
    struct entry e;
    uint32_t at = 0;
    enum status st = blockread_find(r, key, filter_hash(key), sequence, &e);
    if (st == ST_OK) {
        inside(block, e.value);
        CK(e.sequence <= sequence);
    } else {
        CK(st == ST_NOENT || st == ST_CORRUPT);
    }
    st = blockread_seek(r, (struct order){NULL}, key, sequence, scratch, sizeof scratch, &at);
    CK(st == ST_OK || st == ST_CORRUPT);
    CK(at <= r->count);
    st = blockread_seek(r, (struct order){&custom}, key, sequence, scratch, sizeof scratch, &at);
    CK(st == ST_OK || st == ST_CORRUPT);
    CK(at <= r->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct blockread r;
    struct slice block = slice_of(data, size);
    char key[KEY_CAP];
    if (blockread_init(&r, block) != ST_OK) {
        return 0;
    }
    uint32_t step = r.count / 64 + 1; /* a row may take no more than a byte or two */
    for (uint32_t i = 0; i < r.count; i += step) {
        struct blockread_item it;
        struct slice head;
        if (!blockread_item(&r, i, &it)) {
            continue;
        }
        inside(block, it.rest);
        inside(block, it.value);
        if (!blockread_head(&r, i, &head) || it.shared > head.size ||
            it.shared + it.rest.size > sizeof key) {
            continue;
        }
        inside(block, head);
        memcpy(key, head.data, it.shared);
        memcpy(key + it.shared, it.rest.data, it.rest.size);
        ask(&r, block, slice_of(key, it.shared + it.rest.size), blockread_sequence(&r, i));
    }
    ask(&r, block, slice_of(data, size < 20 ? size : 20), ENTRY_SEQUENCE_MAX);
    return 0;
}
