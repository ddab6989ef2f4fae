/* test_grouporder.c - requests get the places that their envelopes have in the log. */
#include "sim/group/grouporder.h"

#include "base/ck.h"
#include "sim/simmem.h"
#include "tests/tap.h"

#define NODE 2
#define LIFE 77

/* An envelope of `count` requests from NODE. */
static void envelope(struct buf *out, uint64_t ordinal, uint32_t count)
{
    struct envelope head = {.origin = NODE, .life = LIFE, .ordinal = ordinal, .reply_max = 100};
    struct slice args[1] = {slice_text("dbsize")};
    struct envelope_writer w;
    buf_clear(out);
    envelope_begin(&w, out, &head);
    for (uint32_t i = 0; i < count; i++) {
        envelope_request(&w, &(struct envelope_request){.commands = 1});
        envelope_command(&w, args, 1);
    }
    enum status st = envelope_end(&w);
    CK(st == ST_OK);
}

static void test_grouporder__places_follow_the_log(void)
{
    struct grouporder o;
    struct buf e;
    char flights[2]; /* their addresses are names */
    const void *requests[2] = {&flights[0], &flights[1]};
    grouporder_init(&o, simmem());
    buf_init(&e, simmem());
    grouporder_session(&o, NODE, 1, 500);
    grouporder_session(&o, NODE, 2, 600);
    grouporder_submitted(&o, NODE, &flights[0], 1, 7);
    grouporder_submitted(&o, NODE, &flights[1], 2, 3);
    grouporder_packed(&o, NODE, LIFE, 10, requests, 2);
    EXPECT(grouporder_place(&o, 500, 7) == 0);
    envelope(&e, 10, 2);
    EXPECT(grouporder_executed(&o, 40, buf_slice(&e)));
    uint64_t first = grouporder_place(&o, 500, 7);
    uint64_t second = grouporder_place(&o, 600, 3);
    EXPECT(first != 0 && first < second);
    /* a look at what entry 40 left comes behind both, and before entry 41 */
    grouporder_looked(&o, NODE, 1, 8, 40);
    EXPECT(grouporder_place(&o, 500, 8) > second);
    grouporder_submitted(&o, NODE, &flights[0], 1, 9);
    grouporder_packed(&o, NODE, LIFE, 11, requests, 1);
    envelope(&e, 11, 1);
    EXPECT(grouporder_executed(&o, 41, buf_slice(&e)));
    EXPECT(grouporder_place(&o, 500, 9) > grouporder_place(&o, 500, 8));
    grouporder_release(&o);
    buf_release(&e);
}

static void test_grouporder__a_second_execution_is_seen(void)
{
    struct grouporder o;
    struct buf e;
    char flight;
    const void *request = &flight;
    grouporder_init(&o, simmem());
    buf_init(&e, simmem());
    grouporder_session(&o, NODE, 1, 500);
    grouporder_submitted(&o, NODE, request, 1, 1);
    grouporder_packed(&o, NODE, LIFE, 1, &request, 1);
    envelope(&e, 1, 1);
    EXPECT(grouporder_executed(&o, 5, buf_slice(&e)));
    EXPECT(!grouporder_executed(&o, 6, buf_slice(&e)));
    envelope(&e, 99, 1); /* nobody's */
    EXPECT(grouporder_executed(&o, 7, buf_slice(&e)));
    EXPECT(grouporder_executed(&o, 8, slice_text("no envelope")));
    grouporder_release(&o);
    buf_release(&e);
}

/* Session numbers and addresses come again in the next life of a node. */
static void test_grouporder__names_are_used_again(void)
{
    struct grouporder o;
    char flights[600];
    grouporder_init(&o, simmem());
    for (uint64_t i = 0; i < 600; i++) {
        const void *request = &flights[i % 3];
        grouporder_session(&o, NODE, i % 5, 1000 + i);
        grouporder_submitted(&o, NODE, request, i % 5, 1);
        grouporder_packed(&o, NODE, LIFE, i, &request, 1);
    }
    struct buf e;
    buf_init(&e, simmem());
    for (uint64_t i = 0; i < 600; i++) {
        envelope(&e, i, 1);
        EXPECT(grouporder_executed(&o, i + 1, buf_slice(&e)));
        EXPECT(grouporder_place(&o, 1000 + i, 1) / 65536 == i + 1);
    }
    buf_release(&e);
    grouporder_release(&o);
}

TAP_MAIN({
    RUN(test_grouporder__places_follow_the_log);
    RUN(test_grouporder__a_second_execution_is_seen);
    RUN(test_grouporder__names_are_used_again);
})
