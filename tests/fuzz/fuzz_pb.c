/* fuzz_pb.c - any bytes as a message: what is read can be written, and that is read and written as
 * the same; what is refused has a cause and a place, and leaves nothing behind.
 *
 * The first byte of an input chooses the message. */
#include "base/ck.h"
#include "net/pbdec.h"
#include "net/pbenc.h"
#include "net/pbmsg.h"
#include "net/peermsg.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/net/pbtest.h"
#include "tests/test_env.h"

#define ARENA_MAX (1u << 18)

static const struct pb_table *const roots[] = {&pbmsg_request_table, &pbmsg_response_table,
                                               &peermsg_table,       &pbtest_kinds_table,
                                               &pbtest_tree_table,   &pbtest_old_table};

union message {
    struct pbmsg_request request;
    struct pbmsg_response response;
    struct peermsg peer;
    struct pbtest_kinds kinds;
    struct pbtest_tree tree;
    struct pbtest_old old;
    unsigned char bytes[1];
};

static void check_refusal(const struct pb_table *t, enum status st, const union message *m,
                          const struct pbdec_error *error, size_t size)
{
    struct err err;
    CK(st == ST_CORRUPT || st == ST_TOOBIG);
    CK((st == ST_TOOBIG) == (error->fault == PBDEC_FAULT_MANY));
    CK(error->fault != PBDEC_FAULT_NONE);
    CK(error->offset < size);
    for (size_t i = 0; i < t->size; i++) {
        CK(m->bytes[i] == 0);
    }
    pbdec_error_text(t, error, &err);
    CK(err.text[0] != '\0');
}

static void check_peer(const struct peermsg *m)
{
    const char *what = NULL;
    struct peermsg_cursor c;
    struct peermsg_entry e;
    uint32_t rows = 0;
    enum status st = peermsg_check(m, &what);
    CK(st == ST_OK || (st == ST_CORRUPT && what != NULL));
    if (st == ST_OK && m->body == PEERMSG_RAFT) {
        peermsg_cursor_init(&c, &m->raft.entries);
        while (peermsg_cursor_next(&c, &e)) {
            rows++;
        }
        CK(rows == m->raft.entries.payload.count);
    }
}

/* Written, read and written again: the same bytes twice. */
static void check_fixpoint(const struct pb_table *t, const union message *m, struct mem *mem)
{
    static union message back;
    struct pbarena arena;
    struct buf once;
    struct buf twice;
    size_t size;
    buf_init(&once, mem);
    buf_init(&twice, mem);
    pbarena_init(&arena, mem, 4 * ARENA_MAX, 0);
    CK(pbenc_size(t, m, &size) == ST_OK);
    CK(pbenc_append(t, m, &once) == ST_OK);
    CK(once.size == size);
    CK(pbdec_read(t, buf_slice(&once), &arena, &back, NULL) == ST_OK);
    CK(pbenc_append(t, &back, &twice) == ST_OK);
    CK(slice_equal(buf_slice(&once), buf_slice(&twice)));
    pbarena_release(&arena);
    buf_release(&once);
    buf_release(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static union message m;
    struct inject te;
    struct pbarena arena;
    struct pbdec_error error;
    if (size == 0) {
        return 0;
    }
    const struct pb_table *t = roots[data[0] % (sizeof roots / sizeof *roots)];
    test_env_init(&te, NULL);
    pbarena_init(&arena, &te.env.mem, ARENA_MAX, 0);
    memset(&m, 0xa5, sizeof m);
    enum status st = pbdec_read(t, slice_of(data + 1, size - 1), &arena, &m, &error);
    CK(arena.taken <= ARENA_MAX);
    if (st != ST_OK) {
        check_refusal(t, st, &m, &error, size - 1);
    } else {
        CK(error.fault == PBDEC_FAULT_NONE);
        check_fixpoint(t, &m, &te.env.mem);
        if (t == &peermsg_table) {
            check_peer(&m.peer);
        }
    }
    pbarena_release(&arena);
    CK(te.live == 0);
    return 0;
}
