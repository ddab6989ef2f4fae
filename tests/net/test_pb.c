/* test_pb.c - what messages mean as bytes: the rules of proto3, each with bytes that show it. */
#include "tests/net/pbcase.h"
#include "tests/net/pbrandom.h"

/* Bytes and meaning, both ways. They were taken from the encoding specification and from the
 * reference implementation. */
static const struct {
    const char *hex;
    const char *dump;
} both[] = {
    {"", ""},
    {"08 96 01", "a_int32=150;"},
    {"08 01", "a_int32=1;"},
    {"08 ff ff ff ff ff ff ff ff ff 01", "a_int32=-1;"},
    {"08 80 80 80 80 f8 ff ff ff ff 01", "a_int32=-2147483648;"},
    {"08 ff ff ff ff 07", "a_int32=2147483647;"},
    {"10 80 80 80 80 80 80 80 80 80 01", "a_int64=-9223372036854775808;"},
    {"10 ff ff ff ff ff ff ff ff 7f", "a_int64=9223372036854775807;"},
    {"18 ff ff ff ff 0f", "a_uint32=4294967295;"},
    {"20 ff ff ff ff ff ff ff ff ff 01", "a_uint64=18446744073709551615;"},
    {"28 01", "a_sint32=-1;"},
    {"28 02", "a_sint32=1;"},
    {"28 ff ff ff ff 0f", "a_sint32=-2147483648;"},
    {"28 fe ff ff ff 0f", "a_sint32=2147483647;"},
    {"30 ff ff ff ff ff ff ff ff ff 01", "a_sint64=-9223372036854775808;"},
    {"30 03", "a_sint64=-2;"},
    {"3d 04 03 02 01", "a_fixed32=16909060;"},
    {"41 08 07 06 05 04 03 02 01", "a_fixed64=72623859790382856;"},
    {"4d fe ff ff ff", "a_sfixed32=-2;"},
    {"51 fd ff ff ff ff ff ff ff", "a_sfixed64=-3;"},
    {"58 01", "a_bool=1;"},
    {"60 01", "a_colour=1;"},
    {"60 2a", "a_colour=42;"}, /* enums are open */
    {"60 ff ff ff ff ff ff ff ff ff 01", "a_colour=-1;"},
    {"6a 07 74 65 73 74 69 6e 67", "a_string=74657374696e67;"},
    {"72 03 00 ff 80", "a_bytes=00ff80;"},
    {"7a 00", "a_tree={};"},
    {"7a 03 08 96 01", "a_tree={leaf=150;};"},
    {"7a 06 12 00 12 02 08 07", "a_tree={kids=[{},{leaf=7;}];};"},
    {"a8 01 00", "o_int32=0;"}, /* optional: a default is written */
    {"80 02 00", "o_colour=0;"},
    {"f8 01 00", "o_bool=0;"},
    {"8a 02 00", "o_string=;"},
    {"92 02 00", "o_bytes=;"},
    {"ca 02 04 00 01 96 01", "l_int32=[0,1,150];"},
    {"fa 02 08 01 00 00 00 00 00 00 80", "l_fixed32=[1,2147483648];"},
    {"9a 03 03 01 00 01", "l_bool=[1,0,1];"},
    {"aa 03 00 aa 03 01 61", "l_string=[,61];"},
    {"ba 03 00 ba 03 02 08 01", "l_tree=[{},{leaf=1;}];"},
    {"e8 03 00", "p_int32=0;"}, /* the member of a oneof that is set is written, default or not */
    {"d2 04 00", "p_bytes=;"},
    {"da 04 00", "p_tree={};"},
    {"e2 04 00", "p_empty={};"},
    {"f8 ff ff ff 0f 01", "last=1;"}, /* the greatest field number */
};

static void test_pb__bytes_and_meaning(void)
{
    struct pbcase c;
    pbcase_init(&c);
    for (size_t i = 0; i < sizeof both / sizeof *both; i++) {
        EXPECT(pbcase_means(&c, both[i].hex, both[i].dump));
        EXPECT(pbcase_writes(&c, both[i].hex));
    }
    pbcase_release(&c);
}

/* Bytes that are read, but that we would write otherwise. */
static const struct {
    const char *hex;
    const char *dump;
    const char *why;
} read_only[] = {
    {"08 00", "", "a default on the wire is the default"},
    {"08 05 08 00", "", "the last one wins, a default too"},
    {"08 05 08 07", "a_int32=7;", "the last one wins"},
    {"6a 01 61 6a 01 62", "a_string=62;", "for strings too"},
    {"20 03 08 02 18 01", "a_int32=2;a_uint32=1;a_uint64=3;", "any order"},
    {"08 81 80 00", "a_int32=1;", "a longer varint than needed"},
    {"08 ff ff ff ff 0f", "a_int32=-1;", "a negative number in five bytes"},
    {"08 81 80 80 80 10", "a_int32=1;", "bits over 32 are cut"},
    {"18 ff ff ff ff ff ff ff ff ff 01", "a_uint32=4294967295;", "here too"},
    {"28 81 80 80 80 10", "a_sint32=-1;", "and here, before the zigzag"},
    {"60 ff ff ff ff 0f", "a_colour=-1;", "and for enums"},
    {"58 02", "a_bool=1;", "anything but 0 is true"},
    {"58 80 80 80 80 80 80 80 80 80 01", "a_bool=1;", "the 64th bit too"},
    {"58 80 00", "", "a long 0 is false"},
    {"88 00 05", "a_int32=5;", "a longer tag than needed"},
    {"88 80 80 80 00 05", "a_int32=5;", "five bytes of it"},
    {"6a 81 00 61", "a_string=61;", "a longer length than needed"},
    {"f8 07 05 08 01", "a_int32=1;", "unknown varint is skipped"},
    {"fd 07 01 02 03 04 08 01", "a_int32=1;", "unknown fixed32"},
    {"f9 07 01 02 03 04 05 06 07 08 08 01", "a_int32=1;", "unknown fixed64"},
    {"fa 07 02 08 05 08 01", "a_int32=1;", "unknown bytes"},
    {"fb 07 fc 07 08 01", "a_int32=1;", "unknown group"},
    {"fb 07 08 09 0b 08 01 0c 6a 01 ff fc 07 08 01", "a_int32=1;", "with a group in it"},
    {"0d 01 02 03 04 18 01", "a_uint32=1;", "known number, wrong wire type: unknown"},
    {"0a 01 05 18 01", "a_uint32=1;", "packed where the field is not repeated: unknown"},
    {"68 05 18 01", "a_uint32=1;", "a varint where a string belongs"},
    {"0b 0c 18 01", "a_uint32=1;", "a group where a number belongs"},
    {"c8 02 01 c8 02 02", "l_int32=[1,2];", "a list written one by one"},
    {"c8 02 01 ca 02 02 02 03 c8 02 04", "l_int32=[1,2,3,4];", "in both forms at once"},
    {"ca 02 00", "", "an empty list"},
    {"fd 02 01 00 00 00 fa 02 04 02 00 00 00", "l_fixed32=[1,2];", "fixed width, both forms"},
    {"7a 02 08 01 7a 02 12 00 7a 04 08 02 12 00", "a_tree={leaf=2;kids=[{},{}];};",
     "messages are merged"},
    {"e8 03 05 f0 03 07", "p_int64=7;", "a oneof: the last member"},
    {"e8 03 05 f0 03 07 e8 03 00", "p_int32=0;", "and back"},
    {"da 04 02 08 05 e8 03 01", "p_int32=1;", "over a message"},
    {"e8 03 05 da 04 00", "p_tree={};", "a message over a number: nothing of it is left"},
    {"da 04 02 08 05 da 04 02 12 00", "p_tree={leaf=5;kids=[{}];};", "a oneof's message is merged"},
    {"da 04 02 08 05 e8 03 01 da 04 02 12 00", "p_tree={kids=[{}];};", "unless it was gone"},
};

static void test_pb__what_is_read_otherwise(void)
{
    struct pbcase c;
    pbcase_init(&c);
    for (size_t i = 0; i < sizeof read_only / sizeof *read_only; i++) {
        bool good = pbcase_means(&c, read_only[i].hex, read_only[i].dump);
        EXPECT(good);
        if (!good) {
            printf("# %s\n", read_only[i].why);
        }
    }
    pbcase_release(&c);
}

/* All fields at once, then read by a table that knows three of them. */
static void test_pb__an_old_table_reads_a_new_message(void)
{
    struct pbcase c;
    struct pbtest_old old;
    struct prng g = {5};
    pbcase_init(&c);
    for (int i = 0; i < 500; i++) {
        pbarena_reset(&c.arena);
        buf_clear(&c.out);
        EXPECT(pbrandom(&g, &pbtest_kinds_table, &c.arena, &c.kinds) == ST_OK);
        EXPECT(pbenc_append(&pbtest_kinds_table, &c.kinds, &c.out) == ST_OK);
        EXPECT(pbdec_read(&pbtest_old_table, buf_slice(&c.out), &c.arena, &old, NULL) == ST_OK);
        EXPECT(old.a_int32 == c.kinds.a_int32);
        EXPECT(slice_equal(old.o_bytes, c.kinds.has_o_bytes ? c.kinds.o_bytes : slice_of(NULL, 0)));
        EXPECT(old.l_uint32.count == c.kinds.l_uint32.count);
        for (uint32_t n = 0; n < old.l_uint32.count && n < c.kinds.l_uint32.count; n++) {
            EXPECT(old.l_uint32.items[n] == c.kinds.l_uint32.items[n]);
        }
    }
    pbcase_release(&c);
}

/* Random messages come back as they were, whatever stood in the struct before. */
static void test_pb__random_messages_come_back(void)
{
    struct pbcase c;
    struct pbtest_kinds back;
    struct prng g = {77};
    pbcase_init(&c);
    for (int i = 0; i < 2000; i++) {
        struct buf dump;
        size_t size;
        buf_init(&dump, &c.memory.mem);
        pbarena_reset(&c.arena);
        buf_clear(&c.out);
        buf_clear(&c.dump);
        EXPECT(pbrandom(&g, &pbtest_kinds_table, &c.arena, &c.kinds) == ST_OK);
        EXPECT(pbenc_size(&pbtest_kinds_table, &c.kinds, &size) == ST_OK);
        EXPECT(pbenc_append(&pbtest_kinds_table, &c.kinds, &c.out) == ST_OK);
        EXPECT(c.out.size == size);
        EXPECT(pbdump(&c.dump, &pbtest_kinds_table, &c.kinds) == ST_OK);
        memset(&back, 0xa5, sizeof back);
        EXPECT(pbdec_read(&pbtest_kinds_table, buf_slice(&c.out), &c.arena, &back, &c.error) ==
               ST_OK);
        EXPECT(pbdump(&dump, &pbtest_kinds_table, &back) == ST_OK);
        EXPECT(slice_equal(buf_slice(&dump), buf_slice(&c.dump)));
        buf_release(&dump);
    }
    pbcase_release(&c);
}

/* Two messages one behind the other are the two merged: what the rules above say of each field
 * must hold of all of them. Decoding both in one go is decoding the second over the first. */
static void test_pb__joined_messages_are_merged(void)
{
    struct pbcase c;
    pbcase_init(&c);
    EXPECT(pbcase_means(&c,
                        "08 01 ca 02 01 01 7a 02 08 01 e8 03 01"
                        "10 02 ca 02 01 02 7a 02 12 00 f0 03 02",
                        "a_int32=1;a_int64=2;a_tree={leaf=1;kids=[{}];};l_int32=[1,2];p_int64=2;"));
    pbcase_release(&c);
}

static void test_pb__strings_borrow_from_the_input(void)
{
    struct pbcase c;
    pbcase_init(&c);
    EXPECT(pbcase_read(&c, "6a 01 61 72 02 62 63") == ST_OK);
    EXPECT(c.kinds.a_string.data == c.in.data + 2);
    EXPECT(c.kinds.a_bytes.data == c.in.data + 5);
    EXPECT(c.arena.chunk == NULL);
    pbcase_release(&c);
}

/* Lists keep all their items, and their order, as they grow. */
static void test_pb__long_lists(void)
{
    struct pbcase c;
    uint32_t numbers[1000];
    struct slice texts[1000];
    pbcase_init(&c);
    for (uint32_t n = 1; n <= 1000; n = n < 20 ? n + 1 : n * 2 - 1) {
        for (uint32_t i = 0; i < n; i++) {
            numbers[i] = i * 1000;
            texts[i] = slice_text(i % 2 == 0 ? "even" : "odd");
        }
        c.kinds = (struct pbtest_kinds){.l_uint32 = {numbers, n}, .l_string = {texts, n}};
        buf_clear(&c.out);
        EXPECT(pbenc_append(&pbtest_kinds_table, &c.kinds, &c.out) == ST_OK);
        EXPECT(pbdec_read(&pbtest_kinds_table, buf_slice(&c.out), &c.arena, &c.kinds, NULL) ==
               ST_OK);
        EXPECT(c.kinds.l_uint32.count == n);
        EXPECT(c.kinds.l_string.count == n);
        for (uint32_t i = 0; i < n; i++) {
            EXPECT(c.kinds.l_uint32.items[i] == numbers[i]);
            EXPECT(slice_equal(c.kinds.l_string.items[i], texts[i]));
        }
        pbarena_reset(&c.arena);
    }
    pbcase_release(&c);
}

/* pbenc_append adds behind what is there, and leaves it alone when it cannot. */
static void test_pb__append_fails_without_a_trace(void)
{
    struct pbcase c;
    pbcase_init(&c);
    EXPECT(buf_append_text(&c.out, "before") == ST_OK);
    c.kinds = (struct pbtest_kinds){.a_string = slice_text("\xff")};
    EXPECT(pbenc_append(&pbtest_kinds_table, &c.kinds, &c.out) == ST_INVAL);
    EXPECT(slice_equal(buf_slice(&c.out), slice_text("before")));
    char large[200] = "";
    c.kinds = (struct pbtest_kinds){.a_bytes = slice_of(large, sizeof large)};
    c.memory.fail_in = 0;
    EXPECT(pbenc_append(&pbtest_kinds_table, &c.kinds, &c.out) == ST_NOMEM);
    EXPECT(slice_equal(buf_slice(&c.out), slice_text("before")));
    c.memory.fail_in = -1;
    EXPECT(pbenc_append(&pbtest_kinds_table, &c.kinds, &c.out) == ST_OK);
    EXPECT(c.out.size == 6 + 3 + sizeof large);
    EXPECT(memcmp(c.out.data, "before\x72\xc8\x01", 9) == 0);
    pbcase_release(&c);
}

/* 2 GiB less one byte is the limit: three values share one block of memory. */
static void test_pb__too_large_is_not_written(void)
{
    struct pbcase c;
    size_t size;
    pbcase_init(&c);
    static const char some[1] = "";
    struct slice half = slice_of(some, 1u << 30); /* only its size is looked at */
    struct slice parts[] = {half, half};
    c.kinds = (struct pbtest_kinds){.l_bytes = {parts, 2}};
    EXPECT(pbenc_size(&pbtest_kinds_table, &c.kinds, &size) == ST_TOOBIG);
    EXPECT(pbenc_append(&pbtest_kinds_table, &c.kinds, &c.out) == ST_TOOBIG);
    parts[1].size -= 14; /* tags and lengths are 2 * 7: one byte too many */
    EXPECT(pbenc_size(&pbtest_kinds_table, &c.kinds, &size) == ST_TOOBIG);
    parts[1].size -= 1;
    EXPECT(pbenc_size(&pbtest_kinds_table, &c.kinds, &size) == ST_OK);
    EXPECT(size == PB_SIZE_MAX);
    pbcase_release(&c);
}

TAP_MAIN(RUN(test_pb__bytes_and_meaning); RUN(test_pb__what_is_read_otherwise);
         RUN(test_pb__an_old_table_reads_a_new_message); RUN(test_pb__random_messages_come_back);
         RUN(test_pb__joined_messages_are_merged); RUN(test_pb__strings_borrow_from_the_input);
         RUN(test_pb__long_lists); RUN(test_pb__append_fails_without_a_trace);
         RUN(test_pb__too_large_is_not_written);)
