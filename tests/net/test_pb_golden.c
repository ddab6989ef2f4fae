/* test_pb_golden.c - one message of each kind as the reference implementation writes it (protobuf
 * 4.21.12): these bytes are what version 1 of the protocol is, and they do not change. */
#include "net/pbdec.h"
#include "net/pbenc.h"
#include "net/pbmsg.h"
#include "net/peermsg.h"
#include "tests/net/pbdump.h"
#include "tests/net/testmem.h"
#include "tests/tap.h"

static const struct {
    const struct pb_table *table;
    const char *hex;
    const char *dump;
} golden[] = {
    {&pbmsg_request_table, "08 07 10 83 02 18 05 52 0c 0a 03 6b 65 79 12 05 76 61 6c 75 65",
     "id=7;session=259;sequence=5;put={key=6b6579;value=76616c7565;};"},
    {&pbmsg_request_table, "08 08 28 ac 02 38 02 4a 05 0a 03 6b 65 79",
     "id=8;min_index=300;consistency=2;get={key=6b6579;};"},
    {&pbmsg_request_table, "08 09 62 08 0a 01 6b 12 00 1a 01 76",
     "id=9;cas={key=6b;expected=;value=76;};"},
    {&pbmsg_request_table, "08 0a 62 06 0a 01 6b 1a 01 76", "id=10;cas={key=6b;value=76;};"},
    {&pbmsg_request_table, "08 0b 10 83 02 18 06 20 06 72 05 0a 01 6e 10 05",
     "id=11;session=259;sequence=6;answered=6;incr={key=6e;delta=-3;};"},
    {&pbmsg_request_table,
     "08 0c 40 01 82 01 1d 0a 0a 52 08 0a 01 61 12 01 31 18 01 0a 05 5a 03 0a 01 62 0a 08 6a 06 0a "
     "01 63 12 01 32",
     "id=12;durability=1;batch={ops=[{put={key=61;value=31;condition=1;};},{delete={key=62;};},{"
     "append={key=63;value=32;};}];};"},
    {&pbmsg_request_table, "08 0d 7a 0a 0a 01 61 12 01 7a 18 64 28 01",
     "id=13;scan={start=61;end=7a;limit=100;reverse=1;};"},
    {&pbmsg_request_table, "08 0e 30 f4 03 8a 01 02 18 01",
     "id=14;timeout_ms=500;delete_range={to_end=1;};"},
    {&pbmsg_request_table, "08 0f 9a 01 04 08 e0 d4 03", "id=15;open_session={ttl_ms=60000;};"},
    {&pbmsg_request_table, "08 10 10 83 02 a2 01 00", "id=16;session=259;renew_session={};"},
    {&pbmsg_request_table,
     "08 11 8a 02 1a 08 04 12 0a 5b 3a 3a 31 5d 3a 36 33 37 39 1a 0a 5b 3a 3a 31 5d 3a 37 33 37 39",
     "id=17;add_member={node=4;address=5b3a3a315d3a36333739;peer_address=5b3a3a315d3a37333739;};"},
    {&pbmsg_request_table, "92 01 07 0a 05 68 65 6c 6c 6f", "ping={payload=68656c6c6f;};"},
    {&pbmsg_response_table, "08 07 20 e7 24 52 02 08 01", "id=7;index=4711;put={done=1;};"},
    {&pbmsg_response_table, "08 08 20 e7 24 4a 0b 08 01 12 05 76 61 6c 75 65 18 05",
     "id=8;index=4711;get={found=1;value=76616c7565;size=5;};"},
    {&pbmsg_response_table, "08 08 4a 00", "id=8;get={};"},
    {&pbmsg_response_table, "08 09 10 02 2a 11 08 03 12 0d 31 30 2e 30 2e 30 2e 33 3a 36 33 37 39",
     "id=9;code=2;leader={node=3;address=31302e302e302e333a36333739;};"},
    {&pbmsg_response_table,
     "08 07 10 04 1a 12 74 68 65 20 6c 65 61 64 65 72 20 63 68 61 6e 67 65 64",
     "id=7;code=4;message=746865206c6561646572206368616e676564;"},
    {&pbmsg_response_table, "08 0b 72 0b 08 fd ff ff ff ff ff ff ff ff 01",
     "id=11;incr={value=-3;};"},
    {&pbmsg_response_table, "08 0c 82 01 10 0a 06 52 04 08 01 12 00 0a 02 5a 00 0a 02 08 08",
     "id=12;batch={results=[{put={done=1;previous=;};},{delete={};},{code=8;}];};"},
    {&pbmsg_response_table, "08 0d 7a 12 0a 06 0a 01 61 12 01 31 0a 03 0a 01 62 12 01 62 18 02",
     "id=13;scan={pairs=[{key=61;value=31;},{key=62;}];continuation=62;count=2;};"},
    {&pbmsg_response_table, "08 0f 9a 01 07 08 83 02 10 e0 d4 03",
     "id=15;open_session={session=259;ttl_ms=60000;};"},
    {&pbmsg_response_table,
     "08 12 82 02 1b 08 09 12 17 08 01 11 ff 00 00 00 00 00 00 00 18 01 22 03 61 3a 31 2a 03 61 3a "
     "32",
     "id=18;members={index=9;members=[{node=1;incarnation=255;roles=1;address=613a31;peer_address="
     "613a32;}];};"},
    {&pbmsg_response_table,
     "08 13 aa 02 3c 09 01 00 00 00 00 00 00 00 10 02 19 03 00 00 00 00 00 00 00 20 03 28 04 30 02 "
     "38 05 40 06 48 07 50 08 58 09 60 0a 68 0b 70 0c 7a 03 30 2e 31 82 01 0a 08 01 10 06 18 07 20 "
     "1e 28 02",
     "id=19;status={cluster=1;node=2;incarnation=3;role=3;term=4;leader=2;first_index=5;last_index="
     "6;durable_index=7;commit_index=8;applied_index=9;snapshot_index=10;sessions=11;uptime_ms=12;"
     "version=302e31;progress=[{node=1;match=6;next=7;silent_ms=30;flow=2;}];};"},
    {&peermsg_table,
     "09 01 00 00 00 00 00 00 00 10 01 18 02 21 99 00 00 00 00 00 00 00 62 10 08 01 10 01 18 01 22 "
     "03 61 3a 31 2a 03 61 3a 32",
     "cluster=1;from_node=1;to_node=2;incarnation=153;hello={version=1;version_least=1;channel=1;"
     "address=613a31;peer_address=613a32;};"},
    {&peermsg_table,
     "09 02 00 00 00 00 00 00 00 10 02 18 01 6a 0b 08 02 12 05 6f 74 68 65 72 18 01",
     "cluster=2;from_node=2;to_node=1;hello_reply={refusal=2;message=6f74686572;version=1;};"},
    {&peermsg_table, "10 01 18 02 28 07 42 08 08 01 30 28 38 06 58 08",
     "from_node=1;to_node=2;term=7;raft={type=1;place_index=40;place_term=6;campaign=8;};"},
    {&peermsg_table,
     "10 02 18 01 28 07 30 04 38 ac 02 42 11 08 06 10 01 29 10 00 00 00 00 00 00 00 40 2b 48 2c",
     "from_node=2;to_node=1;term=7;session=4;probe=300;raft={type=6;ok=1;stamp=16;index=43;"
     "accepted=44;};"},
    {&peermsg_table,
     "10 01 18 02 28 07 42 1e 08 05 6a 1a 0a 04 08 06 10 01 0a 04 08 07 10 02 12 03 01 02 01 1a 01 "
     "78 1a 00 1a 02 79 7a",
     "from_node=1;to_node=2;term=7;raft={type=5;entries={runs=[{term=6;count=1;},{term=7;count=2;}]"
     ";kinds=010201;payload=[78,,797a];};};"},
    {&peermsg_table, "10 02 18 01 42 06 08 10 20 02 60 05",
     "from_node=2;to_node=1;raft={type=16;outcome=2;context=5;};"},
    {&peermsg_table,
     "10 01 18 02 28 07 42 1d 08 09 30 29 38 02 72 15 0a 0d 08 01 11 99 00 00 00 00 00 00 00 18 01 "
     "0a 04 08 02 18 04",
     "from_node=1;to_node=2;term=7;raft={type=9;place_index=41;place_term=2;config={members=[{node="
     "1;incarnation=153;roles=1;},{node=2;roles=4;}];};};"},
    {&peermsg_table,
     "5a 2d 09 4d 00 00 00 00 00 00 00 10 29 18 02 20 09 2a 06 0a 04 08 01 18 01 32 14 0a 0a 30 30 "
     "30 30 31 32 2e 73 73 74 10 ac 02 1d ff ff ff ff",
     "offer={id=77;place_index=41;place_term=2;config_index=9;config={members=[{node=1;roles=1;}];}"
     ";files=[{name=3030303031322e737374;size=300;crc=4294967295;}];};"},
    {&peermsg_table, "4a 14 09 4d 00 00 00 00 00 00 00 10 01 18 80 80 04 22 03 61 62 63",
     "chunk={id=77;file=1;offset=65536;data=616263;};"},
    {&peermsg_table, "52 0f 09 4d 00 00 00 00 00 00 00 18 01 20 83 80 04",
     "chunk_reply={id=77;file=1;offset=65539;};"},
};

static union {
    struct pbmsg_request request;
    struct pbmsg_response response;
    struct peermsg peer;
} message;

static unsigned digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static size_t bytes_of(const char *hex, char *out)
{
    size_t size = 0;
    for (; *hex != '\0'; hex += hex[2] == ' ' ? 3 : 2) {
        out[size++] = (char)(digit(hex[0]) * 16 + digit(hex[1]));
    }
    return size;
}

static void test_pb_golden__messages_are_these_bytes(void)
{
    struct testmem memory = TESTMEM();
    struct pbarena arena;
    struct buf out;
    struct buf dump;
    char bytes[400];
    pbarena_init(&arena, &memory.mem, 1u << 16, 1u << 16);
    buf_init(&out, &memory.mem);
    buf_init(&dump, &memory.mem);
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        const struct pb_table *t = golden[i].table;
        struct slice in = slice_of(bytes, bytes_of(golden[i].hex, bytes));
        const char *what = "";
        buf_clear(&out);
        buf_clear(&dump);
        pbarena_reset(&arena);
        EXPECT(pbdec_read(t, in, &arena, &message, NULL) == ST_OK);
        EXPECT(pbdump(&dump, t, &message) == ST_OK);
        EXPECT(slice_equal(buf_slice(&dump), slice_text(golden[i].dump)));
        EXPECT(pbenc_append(t, &message, &out) == ST_OK);
        EXPECT(slice_equal(buf_slice(&out), in));
        EXPECT(t != &peermsg_table || peermsg_check(&message.peer, &what) == ST_OK);
    }
    pbarena_release(&arena);
    buf_release(&out);
    buf_release(&dump);
    EXPECT(memory.live == 0);
}

TAP_MAIN(RUN(test_pb_golden__messages_are_these_bytes);)
