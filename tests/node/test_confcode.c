/* test_confcode.c - configurations as bytes. */
#include "node/confcode.h"

#include "net/pbdec.h"
#include "tests/node/peertest.h"
#include "tests/tap.h"
#include "tests/test_env.h"

static void confcode__what_is_written_reads_back(void)
{
    struct prng g = {1};
    struct raft_config a, b;
    char bytes[CONFCODE_MAX];
    for (int i = 0; i < 2000; i++) {
        peertest_config(&a, &g);
        size_t size = confcode_write(&a, bytes);
        EXPECT(confcode_read(slice_of(bytes, size), &b) == ST_OK);
        EXPECT(peertest_config_same(&a, &b));
    }
}

static void confcode__bytes_are_those_of_the_tables(void)
{
    struct prng g = {2};
    struct inject te;
    struct pbarena arena;
    struct raft_config a, b;
    char bytes[CONFCODE_MAX];
    test_env_init(&te, NULL);
    pbarena_init(&arena, &te.env.mem, 1u << 20, 0);
    for (int i = 0; i < 500; i++) {
        struct peermsg_config m;
        peertest_config(&a, &g);
        size_t size = confcode_write(&a, bytes);
        if (a.count == 0) {
            EXPECT(size == 1 && bytes[0] == CONFCODE_EMPTY);
            continue;
        }
        EXPECT(pbdec_read(&peermsg_config_table, slice_of(bytes, size), &arena, &m, NULL) == ST_OK);
        EXPECT(confcode_from(&m, &b) == ST_OK);
        EXPECT(peertest_config_same(&a, &b));
        pbarena_reset(&arena);
    }
    pbarena_release(&arena);
    EXPECT(te.live == 0);
}

static void confcode__the_largest_fits(void)
{
    struct raft_config a = {.count = RAFT_MEMBERS_MAX}, b;
    char bytes[CONFCODE_MAX];
    for (uint32_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        a.members[i] = (struct raft_member){UINT64_MAX - RAFT_MEMBERS_MAX + i, UINT64_MAX, 7};
    }
    size_t size = confcode_write(&a, bytes);
    EXPECT(size == CONFCODE_MAX);
    EXPECT(confcode_read(slice_of(bytes, size), &b) == ST_OK);
    EXPECT(peertest_config_same(&a, &b));
}

static void confcode__bytes_that_lie_are_refused(void)
{
    static const struct {
        const char *bytes;
        size_t size;
    } lies[] = {
        {"\x0a", 1},                                          /* cut in a head */
        {"\x0a\x02\x08", 3},                                  /* a length past the end */
        {"\x0a\x02\x08\x80", 4},                              /* a varint without an end */
        {"\x0a\x00", 2},                                      /* a member without an id */
        {"\x0a\x02\x08\x00", 4},                              /* id 0 */
        {"\x0a\x02\x08\x02\x0a\x02\x08\x01", 8},              /* ids fall */
        {"\x0a\x02\x08\x02\x0a\x02\x08\x02", 8},              /* an id twice */
        {"\x0a\x04\x08\x02\x18\x08", 6},                      /* an unknown role */
        {"\x0a\x04\x08\x02\x20\x01", 6},                      /* an unknown field */
        {"\x12\x02\x08\x02", 4},                              /* not a member */
        {"\x0a\x05\x08\x02\x18\x81\x02", 7},                  /* roles over a byte */
        {"\x0a\x09\x08\x02\x11\x01\x01\x01\x01\x01\x01", 11}, /* a fixed64 that is cut */
    };
    struct raft_config c;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        c.count = 5;
        EXPECT(confcode_read(slice_of(lies[i].bytes, lies[i].size), &c) == ST_CORRUPT);
        EXPECT(c.count == 0);
    }
}

static void confcode__one_member_more_than_there_may_be_is_refused(void)
{
    char bytes[(RAFT_MEMBERS_MAX + 1) * 4];
    struct raft_config c;
    for (int i = 0; i <= RAFT_MEMBERS_MAX; i++) {
        memcpy(bytes + (size_t)4 * (size_t)i, "\x0a\x02\x08", 3);
        bytes[4 * i + 3] = (char)(i + 1);
    }
    EXPECT(confcode_read(slice_of(bytes, sizeof bytes - 4), &c) == ST_OK);
    EXPECT(confcode_read(slice_of(bytes, sizeof bytes), &c) == ST_CORRUPT);
}

TAP_MAIN(RUN(confcode__what_is_written_reads_back); RUN(confcode__bytes_are_those_of_the_tables);
         RUN(confcode__the_largest_fits); RUN(confcode__bytes_that_lie_are_refused);
         RUN(confcode__one_member_more_than_there_may_be_is_refused);)
