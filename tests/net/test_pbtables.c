/* test_pbtables.c - what pb.h demands of tables, for all of ours; and random messages of each come
 * back. That they are those of tinykv.proto is tested by tests/tidy/proto.py. */
#include "net/pbdec.h"
#include "net/pbenc.h"
#include "net/pbmsg.h"
#include "net/peermsg.h"
#include "tests/net/pbdump.h"
#include "tests/net/pbrandom.h"
#include "tests/net/pbtest.h"
#include "tests/net/testmem.h"
#include "tests/tap.h"

static const struct pb_table *const roots[] = {&pbmsg_request_table, &pbmsg_response_table,
                                               &peermsg_table,       &pbtest_kinds_table,
                                               &pbtest_tree_table,   &pbtest_old_table};

#define ROOT_COUNT (sizeof roots / sizeof *roots)

static size_t size_of_kind(const struct pb_field *f)
{
    switch ((enum pb_kind)f->kind) {
    case PB_INT32:
    case PB_UINT32:
    case PB_SINT32:
    case PB_FIXED32:
    case PB_SFIXED32:
    case PB_ENUM:
        return sizeof(uint32_t);
    case PB_BOOL:
        return sizeof(bool);
    case PB_STRING:
    case PB_BYTES:
        return sizeof(struct slice);
    case PB_MESSAGE:
        return f->sub != NULL ? f->sub->size : 0;
    default:
        return sizeof(uint64_t);
    }
}

/* Bytes that a field takes in its struct, without its flag. */
static size_t extent(const struct pb_field *f)
{
    return f->label == PB_REPEATED ? sizeof(struct pb_list) : f->size;
}

static void row_check(const struct pb_table *t, uint32_t i)
{
    const struct pb_field *f = &t->fields[i];
    size_t flag = f->label == PB_OPTIONAL ? sizeof(bool)
                  : f->label == PB_ONEOF  ? sizeof(uint32_t)
                                          : 0;
    EXPECT(f->number > 0);
    EXPECT(f->number <= PB_NUMBER_MAX);
    EXPECT(f->number < 19000 || f->number > 19999); /* reserved by protobuf itself */
    EXPECT(i == 0 || f->number > t->fields[i - 1].number);
    EXPECT(f->size == size_of_kind(f));
    EXPECT((f->kind == PB_MESSAGE) == (f->sub != NULL));
    EXPECT(f->kind != PB_MESSAGE || f->label != PB_PLAIN);
    EXPECT(f->offset + extent(f) <= t->size);
    EXPECT(f->has + flag <= t->size);
    EXPECT(pb_field_find(t, f->number) == f);
}

/* No two members lie over each other, but for those of a oneof, which share their flag too. */
static void overlap_check(const struct pb_field *f, const struct pb_field *g)
{
    bool apart = f->offset + extent(f) <= g->offset || g->offset + extent(g) <= f->offset;
    bool one = f->label == PB_ONEOF && g->label == PB_ONEOF;
    EXPECT(one ? f->offset == g->offset && f->has == g->has : apart);
    EXPECT(strcmp(f->name, g->name) != 0);
    if (f->label == PB_OPTIONAL && g->label == PB_OPTIONAL) {
        EXPECT(f->has != g->has);
    }
}

static void table_check(const struct pb_table *t, unsigned depth)
{
    EXPECT(t->size > 0);
    for (uint32_t i = 0; i < t->count; i++) {
        row_check(t, i);
        for (uint32_t k = 0; k < i; k++) {
            overlap_check(&t->fields[i], &t->fields[k]);
        }
        if (t->fields[i].sub != NULL && depth < 8) {
            table_check(t->fields[i].sub, depth + 1);
        }
    }
    EXPECT(pb_field_find(t, 0) == NULL);
    EXPECT(pb_field_find(t, 19000) == NULL);
}

static void test_pbtables__rows_fit_their_structs(void)
{
    for (size_t i = 0; i < ROOT_COUNT; i++) {
        table_check(roots[i], 0);
    }
}

static union {
    struct pbmsg_request request;
    struct pbmsg_response response;
    struct peermsg peer;
    struct pbtest_kinds kinds;
} one, two;

static void test_pbtables__random_messages_come_back(void)
{
    struct testmem memory = TESTMEM();
    struct pbarena arena;
    struct prng g = {2026};
    struct buf bytes;
    struct buf before;
    struct buf after;
    pbarena_init(&arena, &memory.mem, 8u << 20, 1u << 20);
    buf_init(&bytes, &memory.mem);
    buf_init(&before, &memory.mem);
    buf_init(&after, &memory.mem);
    for (size_t i = 0; i < 3000; i++) {
        const struct pb_table *t = roots[i % ROOT_COUNT];
        buf_clear(&bytes);
        buf_clear(&before);
        buf_clear(&after);
        pbarena_reset(&arena);
        EXPECT(pbrandom(&g, t, &arena, &one) == ST_OK);
        EXPECT(pbenc_append(t, &one, &bytes) == ST_OK);
        EXPECT(pbdec_read(t, buf_slice(&bytes), &arena, &two, NULL) == ST_OK);
        EXPECT(pbdump(&before, t, &one) == ST_OK);
        EXPECT(pbdump(&after, t, &two) == ST_OK);
        EXPECT(slice_equal(buf_slice(&before), buf_slice(&after)));
    }
    buf_release(&bytes);
    buf_release(&before);
    buf_release(&after);
    pbarena_release(&arena);
    EXPECT(memory.live == 0);
}

TAP_MAIN(RUN(test_pbtables__rows_fit_their_structs); RUN(test_pbtables__random_messages_come_back);)
