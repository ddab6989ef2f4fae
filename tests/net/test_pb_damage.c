/* test_pb_damage.c - bytes that are no message are refused, with place and cause; limits hold; a
 * refused allocation loses nothing but the message. */
#include "tests/net/pbcase.h"
#include "tests/net/pbrandom.h"

static const struct {
    const char *hex;
    enum pbdec_fault fault;
    size_t offset;
    const char *path;
} bad[] = {
    {"08", PBDEC_FAULT_CUT, 0, "a_int32"},
    {"08 80", PBDEC_FAULT_CUT, 0, "a_int32"},
    {"18 01 08 80 80", PBDEC_FAULT_CUT, 2, "a_int32"},
    {"80", PBDEC_FAULT_CUT, 0, ""},
    {"3d 01 02 03", PBDEC_FAULT_CUT, 0, "a_fixed32"},
    {"41 01 02 03 04 05 06 07", PBDEC_FAULT_CUT, 0, "a_fixed64"},
    {"fd 07 01 02 03", PBDEC_FAULT_CUT, 0, ""},
    {"fb 07", PBDEC_FAULT_CUT, 0, ""},
    {"fb 07 08", PBDEC_FAULT_CUT, 0, ""},
    {"20 ff ff ff ff ff ff ff ff ff 02", PBDEC_FAULT_VARINT, 0, "a_uint64"},
    {"20 80 80 80 80 80 80 80 80 80 80 00", PBDEC_FAULT_VARINT, 0, "a_uint64"},
    {"f8 07 80 80 80 80 80 80 80 80 80 80 00", PBDEC_FAULT_VARINT, 0, ""},
    {"88 80 80 80 10 05", PBDEC_FAULT_VARINT, 0, ""},
    {"88 80 80 80 80 00 05", PBDEC_FAULT_VARINT, 0, ""},
    {"72 80 80 80 80 80 00", PBDEC_FAULT_VARINT, 0, "a_bytes"},
    {"00 01", PBDEC_FAULT_NUMBER, 0, ""},
    {"08 01 02 00", PBDEC_FAULT_NUMBER, 2, ""},
    {"fb 07 00 00 fc 07", PBDEC_FAULT_NUMBER, 0, ""},
    {"0e", PBDEC_FAULT_WIRE, 0, ""},
    {"fe 07", PBDEC_FAULT_WIRE, 0, ""},
    {"ff 07", PBDEC_FAULT_WIRE, 0, ""},
    {"fb 07 0f fc 07", PBDEC_FAULT_WIRE, 0, ""},
    {"6a 02 61", PBDEC_FAULT_LENGTH, 0, "a_string"},
    {"72 ff ff ff ff 0f", PBDEC_FAULT_LENGTH, 0, "a_bytes"},
    {"7a 01", PBDEC_FAULT_LENGTH, 0, "a_tree"},
    {"ca 02 01", PBDEC_FAULT_LENGTH, 0, "l_int32"},
    {"fa 07 05 01", PBDEC_FAULT_LENGTH, 0, ""},
    {"7a 03 08 96 80", PBDEC_FAULT_CUT, 2, "a_tree.leaf"},
    {"7a 04 12 03 08 01 08", PBDEC_FAULT_LENGTH, 2, "a_tree.kids[0]"},
    {"7a 08 12 02 08 01 12 02 08 80", PBDEC_FAULT_CUT, 8, "a_tree.kids[1].leaf"},
    {"ba 03 00 ba 03 02 12 05", PBDEC_FAULT_LENGTH, 6, "l_tree[1].kids[0]"},
    {"ca 02 02 01 80", PBDEC_FAULT_CUT, 0, "l_int32"},
    {"fa 02 05 01 02 03 04 05", PBDEC_FAULT_CUT, 0, "l_fixed32"},
    {"0c", PBDEC_FAULT_GROUP, 0, ""},
    {"fb 07 f4 07", PBDEC_FAULT_GROUP, 0, ""},
    {"7a 01 0c", PBDEC_FAULT_GROUP, 2, "a_tree"},
    {"6a 01 ff", PBDEC_FAULT_UTF8, 0, "a_string"},
    {"aa 03 01 61 aa 03 02 c3 28", PBDEC_FAULT_UTF8, 4, "l_string"},
    {"ca 04 02 c0 80", PBDEC_FAULT_UTF8, 0, "p_string"},
};

static void test_pb_damage__is_named_with_its_place(void)
{
    struct pbcase c;
    static const struct pbtest_kinds zero;
    pbcase_init(&c);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        EXPECT(pbcase_fails(&c, bad[i].hex, bad[i].fault, bad[i].offset, bad[i].path));
        EXPECT(memcmp(&c.kinds, &zero, sizeof zero) == 0);
    }
    pbcase_release(&c);
}

static void test_pb_damage__text_says_where(void)
{
    struct pbcase c;
    struct err err;
    pbcase_init(&c);
    EXPECT(pbcase_read(&c, "7a 08 12 02 08 01 12 02 08 80") == ST_CORRUPT);
    pbdec_error_text(&pbtest_kinds_table, &c.error, &err);
    EXPECT(strcmp(err.text, "Kinds: a_tree.kids[1].leaf at byte 8: "
                            "the bytes end inside a field") == 0);
    EXPECT(pbcase_read(&c, "00") == ST_CORRUPT);
    pbdec_error_text(&pbtest_kinds_table, &c.error, &err);
    EXPECT(strcmp(err.text, "Kinds: at byte 0: there is no field number 0") == 0);
    EXPECT(pbcase_read(&c, "08 01") == ST_OK);
    EXPECT(c.error.fault == PBDEC_FAULT_NONE);
    pbcase_release(&c);
}

/* Puts `depth` empty trees into each other, the outermost into a_tree, and decodes that. */
static enum status read_nested(struct pbcase *c, unsigned depth, bool group)
{
    buf_clear(&c->in);
    for (unsigned i = 0; i < depth && group; i++) {
        EXPECT(buf_append(&c->in, "\xfb\x07", 2) == ST_OK);
    }
    for (unsigned i = 0; i < depth && group; i++) {
        EXPECT(buf_append(&c->in, "\xfc\x07", 2) == ST_OK);
    }
    for (unsigned i = 0; i < depth && !group; i++) {
        unsigned char head[4] = {i + 1 == depth ? 0x7a : 0x12, (unsigned char)c->in.size, 0, 0};
        size_t head_size = 2;
        if (c->in.size >= 0x80) {
            head[1] = (unsigned char)(c->in.size | 0x80);
            head[2] = (unsigned char)(c->in.size >> 7);
            head_size = 3;
        }
        EXPECT(buf_reserve(&c->in, head_size) == ST_OK);
        memmove(c->in.data + head_size, c->in.data, c->in.size);
        memcpy(c->in.data, head, head_size);
        c->in.size += head_size;
    }
    pbarena_reset(&c->arena);
    return pbdec_read(&pbtest_kinds_table, buf_slice(&c->in), &c->arena, &c->kinds, &c->error);
}

static void test_pb_damage__nesting_has_a_limit(void)
{
    struct pbcase c;
    pbcase_init(&c);
    EXPECT(read_nested(&c, PB_DEPTH_MAX, false) == ST_OK);
    EXPECT(pbenc_append(&pbtest_kinds_table, &c.kinds, &c.out) == ST_OK);
    EXPECT(slice_equal(buf_slice(&c.out), buf_slice(&c.in)));
    EXPECT(read_nested(&c, PB_DEPTH_MAX + 1, false) == ST_CORRUPT);
    EXPECT(c.error.fault == PBDEC_FAULT_DEEP);
    EXPECT(strlen(c.error.path) == sizeof c.error.path - 1); /* its beginning is cut off */
    EXPECT(strcmp(c.error.path + strlen(c.error.path) - 8, ".kids[0]") == 0);
    EXPECT(read_nested(&c, PB_DEPTH_MAX, true) == ST_OK);
    EXPECT(read_nested(&c, PB_DEPTH_MAX + 1, true) == ST_CORRUPT);
    EXPECT(c.error.fault == PBDEC_FAULT_DEEP);
    pbcase_release(&c);
}

/* Groups count on from the messages that they stand in. */
static void test_pb_damage__groups_in_messages_nest_on(void)
{
    struct pbcase c;
    pbcase_init(&c);
    for (unsigned depth = PB_DEPTH_MAX - 1; depth <= PB_DEPTH_MAX; depth++) {
        (void)read_nested(&c, depth, true); /* for its bytes */
        unsigned char head[3] = {0x7a, (unsigned char)(c.in.size | 0x80),
                                 (unsigned char)(c.in.size >> 7)};
        EXPECT(buf_reserve(&c.in, sizeof head) == ST_OK);
        memmove(c.in.data + sizeof head, c.in.data, c.in.size);
        memcpy(c.in.data, head, sizeof head);
        c.in.size += sizeof head;
        enum status st =
            pbdec_read(&pbtest_kinds_table, buf_slice(&c.in), &c.arena, &c.kinds, &c.error);
        EXPECT(st == (depth < PB_DEPTH_MAX ? ST_OK : ST_CORRUPT));
        EXPECT(st == ST_OK || c.error.fault == PBDEC_FAULT_DEEP);
    }
    pbcase_release(&c);
}

static void make_random(struct pbcase *c, uint64_t seed)
{
    struct prng g = {seed};
    pbarena_reset(&c->arena);
    buf_clear(&c->out);
    EXPECT(pbrandom(&g, &pbtest_kinds_table, &c->arena, &c->kinds) == ST_OK);
    EXPECT(pbenc_append(&pbtest_kinds_table, &c->kinds, &c->out) == ST_OK);
}

/* Reads a copy in a block of its very size, so that a sanitizer sees a byte too many. */
static enum status read_copy(struct pbcase *c, const char *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, data, size);
    pbarena_reset(&c->arena);
    enum status st =
        pbdec_read(&pbtest_kinds_table, slice_of(copy, size), &c->arena, &c->kinds, &c->error);
    if (st == ST_OK) { /* what was read can be written, and is read again as the same */
        struct buf again;
        struct buf dump;
        struct pbtest_kinds back;
        buf_init(&again, &c->memory.mem);
        buf_init(&dump, &c->memory.mem);
        buf_clear(&c->dump);
        EXPECT(pbenc_append(&pbtest_kinds_table, &c->kinds, &again) == ST_OK);
        EXPECT(pbdump(&c->dump, &pbtest_kinds_table, &c->kinds) == ST_OK);
        EXPECT(pbdec_read(&pbtest_kinds_table, buf_slice(&again), &c->arena, &back, NULL) == ST_OK);
        EXPECT(pbdump(&dump, &pbtest_kinds_table, &back) == ST_OK);
        EXPECT(slice_equal(buf_slice(&dump), buf_slice(&c->dump)));
        buf_release(&again);
        buf_release(&dump);
    } else {
        EXPECT(st == ST_CORRUPT);
        EXPECT(c->error.fault != PBDEC_FAULT_NONE);
        EXPECT(c->error.offset < size);
    }
    free(copy);
    return st;
}

/* Cut at every byte; every bit turned; every byte left out, doubled, made 0, 0x7f, 0x80 and 0xff.
 */
static void test_pb_damage__every_damage_is_read_or_refused(void)
{
    struct pbcase c;
    struct buf whole;
    long refused = 0;
    pbcase_init(&c);
    buf_init(&whole, &c.memory.mem);
    for (uint64_t seed = 1; seed <= 6; seed++) {
        make_random(&c, seed);
        buf_clear(&whole);
        EXPECT(buf_append(&whole, c.out.data, c.out.size) == ST_OK);
        EXPECT(buf_reserve(&whole, 1) == ST_OK);
        for (size_t at = 0; at < whole.size; at++) {
            static const unsigned char made[] = {0, 0x7f, 0x80, 0xff};
            char old = whole.data[at];
            refused += read_copy(&c, whole.data, at) != ST_OK;
            for (int bit = 0; bit < 8; bit++) {
                whole.data[at] = (char)(old ^ (1 << bit));
                refused += read_copy(&c, whole.data, whole.size) != ST_OK;
            }
            for (size_t i = 0; i < sizeof made; i++) {
                whole.data[at] = (char)made[i];
                refused += read_copy(&c, whole.data, whole.size) != ST_OK;
            }
            whole.data[at] = old;
            memmove(whole.data + at + 1, whole.data + at, whole.size - at);
            refused += read_copy(&c, whole.data, whole.size + 1) != ST_OK;
            memmove(whole.data + at, whole.data + at + 1, whole.size - at);
            memmove(whole.data + at, whole.data + at + 1, whole.size - at - 1);
            refused += read_copy(&c, whole.data, whole.size - 1) != ST_OK;
            memmove(whole.data + at + 1, whole.data + at, whole.size - at - 1);
            whole.data[at] = old;
        }
        EXPECT(read_copy(&c, whole.data, whole.size) == ST_OK);
    }
    EXPECT(refused > 1000);
    buf_release(&whole);
    pbcase_release(&c);
}

/* What the arena may hold is the limit; what is announced takes nothing. */
static void test_pb_damage__memory_is_limited(void)
{
    struct pbcase c;
    pbcase_init(&c);
    pbarena_release(&c.arena);
    pbarena_init(&c.arena, &c.memory.mem, 64 * sizeof(uint32_t), 1024);
    uint32_t numbers[65] = {0};
    c.kinds = (struct pbtest_kinds){.l_uint32 = {numbers, 64}};
    EXPECT(pbenc_append(&pbtest_kinds_table, &c.kinds, &c.out) == ST_OK);
    EXPECT(pbdec_read(&pbtest_kinds_table, buf_slice(&c.out), &c.arena, &c.kinds, &c.error) ==
           ST_OK);
    EXPECT(c.kinds.l_uint32.count == 64);
    c.kinds = (struct pbtest_kinds){.l_uint32 = {numbers, 65}};
    buf_clear(&c.out);
    pbarena_reset(&c.arena);
    EXPECT(pbenc_append(&pbtest_kinds_table, &c.kinds, &c.out) == ST_OK);
    EXPECT(pbdec_read(&pbtest_kinds_table, buf_slice(&c.out), &c.arena, &c.kinds, &c.error) ==
           ST_TOOBIG);
    EXPECT(c.error.fault == PBDEC_FAULT_MANY);
    EXPECT(strcmp(c.error.path, "l_uint32") == 0);
    EXPECT(c.kinds.l_uint32.count == 0);
    /* a packed list of 2^31 bytes, of which none are there */
    pbarena_release(&c.arena);
    EXPECT(pbcase_fails(&c, "ca 02 ff ff ff ff 07", PBDEC_FAULT_LENGTH, 0, "l_int32"));
    EXPECT(c.arena.chunk == NULL);
    pbcase_release(&c);
}

static void test_pb_damage__input_over_the_limit(void)
{
    struct pbcase c;
    pbcase_init(&c);
    struct slice in = slice_of("", PB_SIZE_MAX + 1); /* it is not looked at */
    EXPECT(pbdec_read(&pbtest_kinds_table, in, &c.arena, &c.kinds, &c.error) == ST_TOOBIG);
    EXPECT(c.error.fault == PBDEC_FAULT_SIZE);
    pbcase_release(&c);
}

/* Every allocation refused once; then the same message is read with the same arena. */
static void test_pb_damage__refused_memory(void)
{
    struct pbcase c;
    long refusals = 0;
    pbcase_init(&c);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        make_random(&c, seed);
        for (long n = 0;; n++) {
            pbarena_release(&c.arena);
            c.memory.fail_in = n;
            enum status st =
                pbdec_read(&pbtest_kinds_table, buf_slice(&c.out), &c.arena, &c.kinds, &c.error);
            bool all = c.memory.fail_in >= 0;
            c.memory.fail_in = -1;
            if (st == ST_OK) {
                EXPECT(all);
                break;
            }
            EXPECT(st == ST_NOMEM);
            EXPECT(c.error.fault == PBDEC_FAULT_MEMORY);
            refusals++;
            EXPECT(pbdec_read(&pbtest_kinds_table, buf_slice(&c.out), &c.arena, &c.kinds, NULL) ==
                   ST_OK);
        }
    }
    EXPECT(refusals > 20);
    pbcase_release(&c);
}

/* A stream of like messages asks for memory in the beginning only. */
static void test_pb_damage__steady_state_allocates_nothing(void)
{
    struct pbcase c;
    pbcase_init(&c);
    make_random(&c, 3);
    pbarena_release(&c.arena);
    for (int i = 0; i < 100; i++) {
        if (i == 2) {
            c.memory.fail_in = 0; /* the next one would be refused */
        }
        pbarena_reset(&c.arena);
        EXPECT(pbdec_read(&pbtest_kinds_table, buf_slice(&c.out), &c.arena, &c.kinds, NULL) ==
               ST_OK);
    }
    pbcase_release(&c);
}

TAP_MAIN(RUN(test_pb_damage__is_named_with_its_place); RUN(test_pb_damage__text_says_where);
         RUN(test_pb_damage__nesting_has_a_limit); RUN(test_pb_damage__groups_in_messages_nest_on);
         RUN(test_pb_damage__every_damage_is_read_or_refused);
         RUN(test_pb_damage__memory_is_limited); RUN(test_pb_damage__input_over_the_limit);
         RUN(test_pb_damage__refused_memory); RUN(test_pb_damage__steady_state_allocates_nothing);)
