/* test_peerwire.c - messages of consensus on the wire. */
#include "node/peerwire.h"

#include "net/frame.h"
#include "net/pbdec.h"
#include "node/confcode.h"
#include "tests/node/peertest.h"
#include "tests/tap.h"
#include "tests/test_env.h"

struct fix {
    struct inject te;
    struct peerwire w;
    struct buf out;
    struct pbarena arena;
};

static void fix_open(struct fix *f)
{
    memset(f, 0, sizeof *f);
    test_env_init(&f->te, NULL);
    f->w.mem = &f->te.env.mem;
    buf_init(&f->out, f->w.mem);
    pbarena_init(&f->arena, f->w.mem, 1u << 20, 1u << 16);
}

static void fix_close(struct fix *f)
{
    peerwire_release(&f->w);
    buf_release(&f->out);
    pbarena_release(&f->arena);
    EXPECT(f->te.live == 0);
}

/* The frame in f->out, read back. */
static enum status read_back(struct fix *f, struct peerwire_in *in, const char **what)
{
    struct frame_reader r;
    struct slice payload;
    struct peermsg m;
    frame_init(&r, FRAME_PEER, 1u << 20, false);
    enum status st = frame_parse(&r, f->out.data, f->out.size, &payload);
    EXPECT(st == ST_OK);
    EXPECT(r.at == f->out.size);
    pbarena_reset(&f->arena);
    st = pbdec_read(&peermsg_table, payload, &f->arena, &m, NULL);
    st = st == ST_OK ? peermsg_check(&m, what) : st;
    return st == ST_OK ? peerwire_read(&m, &f->arena, in, what) : st;
}

static void peerwire__what_is_written_reads_back(void)
{
    struct fix f;
    struct prng g = {7};
    const char *what = NULL;
    static struct peertest t;
    fix_open(&f);
    for (int i = 0; i < 3000; i++) {
        struct peerwire_in in = {0};
        peertest_random(&t, &g);
        buf_clear(&f.out);
        EXPECT(peerwire_append(&f.w, &t.in.msg, t.entries, &f.out) == ST_OK);
        EXPECT(read_back(&f, &in, &what) == ST_OK);
        EXPECT(peertest_same(&t.in, &in));
    }
    fix_close(&f);
}

static void peerwire__nothing_is_allocated_once_it_is_warm(void)
{
    struct fix f;
    struct prng g = {7};
    static struct peertest t;
    fix_open(&f);
    EXPECT(buf_reserve(&f.out, 1u << 16) == ST_OK);
    long warm = 0;
    for (int i = 0; i < 500; i++) {
        warm = i == 400 ? f.te.allocs : warm;
        peertest_random(&t, &g);
        buf_clear(&f.out);
        EXPECT(peerwire_append(&f.w, &t.in.msg, t.entries, &f.out) == ST_OK);
    }
    EXPECT(f.te.allocs == warm);
    fix_close(&f);
}

static void peerwire__refused_memory_leaves_the_output(void)
{
    struct prng g = {3};
    static struct peertest t;
    do {
        peertest_random(&t, &g);
    } while (t.in.msg.count < 10);
    for (long n = 0;; n++) {
        struct fix f;
        struct peerwire_in in;
        const char *what = "";
        fix_open(&f);
        EXPECT(buf_append_text(&f.out, "before") == ST_OK);
        long first = f.te.allocs;
        f.te.fail_at = first + n;
        enum status st = peerwire_append(&f.w, &t.in.msg, t.entries, &f.out);
        bool reached = f.te.allocs > first + n;
        EXPECT((st == ST_NOMEM) == reached);
        EXPECT(st == ST_OK || f.out.size == 6);
        if (st == ST_OK) {
            buf_consume(&f.out, 6);
            f.te.fail_at = -1;
            EXPECT(read_back(&f, &in, &what) == ST_OK);
        }
        fix_close(&f);
        if (!reached) {
            break;
        }
    }
}

/* A raft body that a correct node never sends. */
static enum status read_body(struct fix *f, struct peermsg *m, const char **what)
{
    struct peerwire_in in;
    m->body = PEERMSG_RAFT;
    EXPECT(peermsg_check(m, what) == ST_OK);
    pbarena_reset(&f->arena);
    return peerwire_read(m, &f->arena, &in, what);
}

static void peerwire__bytes_that_lie_are_named(void)
{
    struct fix f;
    const char *what = "";
    struct slice payload[2] = {slice_text("\x0a\x02\x08\x01"), slice_text("x")};
    struct peermsg_run run = {.term = 1, .count = 2};
    fix_open(&f);
    struct peermsg m = {.raft = {.type = RAFT_MSG_APPEND, .outcome = 99}};
    EXPECT(read_body(&f, &m, &what) == ST_CORRUPT && strstr(what, "outcome"));
    m.raft.outcome = 0;
    m.raft.has_entries = true;
    m.raft.entries.payload.items = payload;
    m.raft.entries.payload.count = 2;
    EXPECT(read_body(&f, &m, &what) == ST_CORRUPT && strstr(what, "without a place"));
    m.raft.entries.runs.items = &run;
    m.raft.entries.runs.count = 1;
    EXPECT(read_body(&f, &m, &what) == ST_OK);
    m.raft.place_index = UINT64_MAX - 1;
    EXPECT(read_body(&f, &m, &what) == ST_CORRUPT && strstr(what, "without a place"));
    m.raft.place_index = 4;
    run.term = 0;
    EXPECT(read_body(&f, &m, &what) == ST_CORRUPT && strstr(what, "term 0"));
    run.term = 3;
    m.raft.entries.kinds = slice_of("\x03\x01", 2);
    EXPECT(read_body(&f, &m, &what) == ST_OK);
    m.raft.entries.kinds = slice_of("\x01\x03", 2);
    EXPECT(read_body(&f, &m, &what) == ST_CORRUPT && strstr(what, "configuration"));
    m.raft.entries.kinds = slice_of("\x04\x01", 2);
    EXPECT(read_body(&f, &m, &what) == ST_CORRUPT && strstr(what, "kind"));
    m.raft.entries.kinds = slice_of("\x00\x01", 2);
    EXPECT(read_body(&f, &m, &what) == ST_CORRUPT && strstr(what, "kind"));
    m.raft.has_entries = false;
    struct peermsg_member unknown = {.node = 1, .roles = 8};
    m.raft.has_config = true;
    m.raft.config.members.items = &unknown;
    m.raft.config.members.count = 1;
    EXPECT(read_body(&f, &m, &what) == ST_CORRUPT && strstr(what, "configuration"));
    fix_close(&f);
}

TAP_MAIN(RUN(peerwire__what_is_written_reads_back);
         RUN(peerwire__nothing_is_allocated_once_it_is_warm);
         RUN(peerwire__refused_memory_leaves_the_output); RUN(peerwire__bytes_that_lie_are_named);)
