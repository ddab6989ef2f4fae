/* bench_pb.c - the protobuf codec's speed, alone and with frames.
 *
 *     bench_pb [ROUNDS]      (default 7)
 *
 * A line of JSON a case: bytes of the message, nanoseconds to encode and to decode one (median of
 * the rounds, each of about 50 ms of CPU time), both in MB/s, and what decoding allocates once it
 * is warm. Frames of peers include both checksums. memcpy of the same bytes is the floor. */
#include "base/ck.h"
#include "net/frame.h"
#include "net/pbdec.h"
#include "net/pbenc.h"
#include "net/pbmsg.h"
#include "net/peermsg.h"
#include "tests/net/testmem.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS_MAX 101
#define ROUND_NS   50e6
#define ENTRIES    64
#define FRAME_MAX  (1u << 20)

struct bench {
    struct testmem memory;
    struct pbarena arena;
    struct buf out;
    const struct pb_table *table;
    const void *message;
    void *back;
    bool framed; /* for peers */
    bool hardware;
};

static double now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void encode(struct bench *b)
{
    buf_clear(&b->out);
    CK((b->framed ? frame_append_peer(&b->out, b->table, b->message, b->hardware)
                  : pbenc_append(b->table, b->message, &b->out)) == ST_OK);
}

static void decode(struct bench *b)
{
    struct slice bytes = buf_slice(&b->out);
    struct frame_reader r;
    if (b->framed) {
        frame_init(&r, FRAME_PEER, FRAME_MAX, b->hardware);
        CK(frame_parse(&r, b->out.data, b->out.size, &bytes) == ST_OK);
    }
    pbarena_reset(&b->arena);
    CK(pbdec_read(b->table, bytes, &b->arena, b->back, NULL) == ST_OK);
}

static void copy(struct bench *b)
{
    static char to[FRAME_MAX];
    CK(b->out.size <= sizeof to);
    memcpy(to, b->out.data, b->out.size);
    __asm__ volatile("" : : "r"(to) : "memory"); /* it counts as read */
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Nanoseconds of one run. */
static double measure(struct bench *b, void (*run)(struct bench *), int rounds)
{
    double times[ROUNDS_MAX];
    long batch = 1024;
    for (int i = 0; i < rounds; i++) {
        double start = now_ns();
        double took = 0;
        long runs = 0;
        while (took < ROUND_NS) {
            for (long n = 0; n < batch; n++) {
                run(b);
            }
            runs += batch;
            took = now_ns() - start;
        }
        times[i] = took / (double)runs;
    }
    qsort(times, (size_t)rounds, sizeof *times, compare);
    return times[rounds / 2];
}

static void bench_case(const char *name, struct bench *b, int rounds)
{
    double enc = measure(b, encode, rounds);
    decode(b);
    decode(b);
    b->memory.fail_in = 1000000; /* counts down with every request */
    double dec = measure(b, decode, rounds);
    long requests = 1000000 - b->memory.fail_in;
    b->memory.fail_in = -1;
    double floor = measure(b, copy, rounds);
    double size = (double)b->out.size;
    printf("{\"bench\":\"pb\",\"case\":\"%s\",\"bytes\":%zu,\"encode_ns\":%.1f,\"decode_ns\":%.1f,"
           "\"encode_mb_s\":%.0f,\"decode_mb_s\":%.0f,\"memcpy_ns\":%.1f,"
           "\"decode_allocations\":%ld}\n",
           name, b->out.size, enc, dec, size / enc * 1e3, size / dec * 1e3, floor, requests);
}

static void bench_put(struct bench *b, size_t value_size, const char *name, int rounds)
{
    static char value[65536];
    static struct pbmsg_request request;
    static struct pbmsg_request back;
    request =
        (struct pbmsg_request){.id = 123456, .session = 4711, .sequence = 99, .op = PBMSG_PUT};
    request.put.key = slice_text("user000000012345");
    request.put.value = slice_of(value, value_size);
    b->table = &pbmsg_request_table;
    b->message = &request;
    b->back = &back;
    b->framed = false;
    bench_case(name, b, rounds);
}

static void bench_append(struct bench *b, size_t entry_size, bool framed, const char *name,
                         int rounds)
{
    static char value[65536];
    static struct slice payloads[ENTRIES];
    static struct peermsg_run run = {.term = 7, .count = ENTRIES};
    static struct peermsg m;
    static struct peermsg back;
    for (size_t i = 0; i < ENTRIES; i++) {
        payloads[i] = slice_of(value + i, entry_size);
    }
    m = (struct peermsg){.cluster = 0x1122334455667788,
                         .from_node = 1,
                         .to_node = 2,
                         .incarnation = 0x99,
                         .term = 7,
                         .session = 12,
                         .probe = 100000,
                         .body = PEERMSG_RAFT};
    m.raft = (struct peermsg_raft){.type = PEERMSG_RAFT_APPEND,
                                   .stamp = 1234567890123,
                                   .place_index = 1000000,
                                   .place_term = 7,
                                   .commit = 999990,
                                   .has_entries = true};
    m.raft.entries.runs.items = &run;
    m.raft.entries.runs.count = 1;
    m.raft.entries.payload.items = payloads;
    m.raft.entries.payload.count = ENTRIES;
    b->table = &peermsg_table;
    b->message = &m;
    b->back = &back;
    b->framed = framed;
    bench_case(name, b, rounds);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 7;
    rounds = rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
    struct bench b = {.memory = TESTMEM(), .hardware = false};
#if defined(__x86_64__)
    b.hardware = __builtin_cpu_supports("sse4.2");
#endif
    (void)setvbuf(stdout, NULL, _IOLBF, 4096);
    pbarena_init(&b.arena, &b.memory.mem, FRAME_MAX, 1u << 16);
    buf_init(&b.out, &b.memory.mem);
    bench_put(&b, 100, "put_100", rounds);
    bench_put(&b, 4096, "put_4096", rounds);
    bench_append(&b, 64, false, "append_64x64", rounds);
    bench_append(&b, 64, true, "append_64x64_framed", rounds);
    bench_append(&b, 1024, true, "append_64x1024_framed", rounds);
    pbarena_release(&b.arena);
    buf_release(&b.out);
    CK(b.memory.live == 0);
    return 0;
}
