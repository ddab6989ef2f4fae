/* pbcase.h - for tests of the codec: bytes from hex, an arena, decoding in a line, comparing dumps.
 */
#ifndef TESTS_NET_PBCASE_H
#define TESTS_NET_PBCASE_H

#include "net/pbdec.h"
#include "net/pbenc.h"
#include "tests/net/pbdump.h"
#include "tests/net/pbtest.h"
#include "tests/net/testmem.h"
#include "tests/tap.h"

struct pbcase {
    struct testmem memory;
    struct pbarena arena;
    struct buf in;
    struct buf out;
    struct buf dump;
    struct pbdec_error error;
    struct pbtest_kinds kinds;
};

static inline void pbcase_init(struct pbcase *c)
{
    *c = (struct pbcase){.memory = TESTMEM()};
    pbarena_init(&c->arena, &c->memory.mem, 1u << 20, 1u << 16);
    buf_init(&c->in, &c->memory.mem);
    buf_init(&c->out, &c->memory.mem);
    buf_init(&c->dump, &c->memory.mem);
}

static inline void pbcase_release(struct pbcase *c)
{
    pbarena_release(&c->arena);
    buf_release(&c->in);
    buf_release(&c->out);
    buf_release(&c->dump);
    EXPECT(c->memory.live == 0);
}

/* "08 96 01" to bytes; other characters than hex digits are skipped. */
static inline struct slice pbcase_hex(struct pbcase *c, const char *hex)
{
    unsigned digits = 0;
    unsigned value = 0;
    buf_clear(&c->in);
    EXPECT(buf_reserve(&c->in, strlen(hex) + 1) == ST_OK);
    for (const char *p = hex; *p != '\0'; p++) {
        const char *all = "0123456789abcdef";
        const char *at = strchr(all, *p);
        if (at == NULL) {
            continue;
        }
        value = value * 16 + (unsigned)(at - all);
        if (++digits % 2 == 0) {
            c->in.data[c->in.size++] = (char)value;
            value = 0;
        }
    }
    return buf_slice(&c->in);
}

/* Decodes a Kinds. */
static inline enum status pbcase_read(struct pbcase *c, const char *hex)
{
    struct slice in = pbcase_hex(c, hex);
    pbarena_reset(&c->arena);
    return pbdec_read(&pbtest_kinds_table, in, &c->arena, &c->kinds, &c->error);
}

/* Whether the Kinds that these bytes are has this dump. */
static inline bool pbcase_means(struct pbcase *c, const char *hex, const char *dump)
{
    buf_clear(&c->dump);
    if (pbcase_read(c, hex) != ST_OK) {
        printf("# %s: %s\n", hex, pbdec_fault_text(c->error.fault));
        return false;
    }
    EXPECT(pbdump(&c->dump, &pbtest_kinds_table, &c->kinds) == ST_OK);
    bool same = slice_equal(buf_slice(&c->dump), slice_text(dump));
    if (!same) {
        printf("# %s: %.*s, not %s\n", hex, (int)c->dump.size, c->dump.data, dump);
    }
    return same;
}

/* Whether the Kinds in c->kinds is written as these bytes. */
static inline bool pbcase_writes(struct pbcase *c, const char *hex)
{
    struct slice want = pbcase_hex(c, hex);
    buf_clear(&c->out);
    EXPECT(pbenc_append(&pbtest_kinds_table, &c->kinds, &c->out) == ST_OK);
    return slice_equal(buf_slice(&c->out), want);
}

/* Whether decoding ends with this fault at this offset and path. */
static inline bool pbcase_fails(struct pbcase *c, const char *hex, enum pbdec_fault fault,
                                size_t offset, const char *path)
{
    enum status st = pbcase_read(c, hex);
    bool good = st != ST_OK && c->error.fault == fault && c->error.offset == offset &&
                strcmp(c->error.path, path) == 0;
    if (!good) {
        printf("# %s: %s, %s at %zu in '%s'\n", hex, status_name(st),
               pbdec_fault_text(c->error.fault), c->error.offset, c->error.path);
    }
    return good;
}

#endif
