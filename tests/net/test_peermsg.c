/* test_peermsg.c - columns that do not fit each other are refused by name; a cursor gives the rows.
 */
#include "net/peermsg.h"

#include "tests/tap.h"

static struct slice payloads[4];

/* An append of four entries: terms 3 3 5 5. */
static void append_make(struct peermsg *m, struct peermsg_run runs[2])
{
    for (size_t i = 0; i < 4; i++) {
        payloads[i] = slice_of(&"abcd"[i], 1);
    }
    runs[0] = (struct peermsg_run){.term = 3, .count = 2};
    runs[1] = (struct peermsg_run){.term = 5, .count = 2};
    *m = (struct peermsg){.cluster = 7, .from_node = 1, .to_node = 2, .body = PEERMSG_RAFT};
    m->raft = (struct peermsg_raft){.type = PEERMSG_RAFT_APPEND, .has_entries = true};
    m->raft.entries.runs.items = runs;
    m->raft.entries.runs.count = 2;
    m->raft.entries.payload.items = payloads;
    m->raft.entries.payload.count = 4;
}

static bool refused(const struct peermsg *m, const char *text)
{
    const char *what = "";
    return peermsg_check(m, &what) == ST_CORRUPT && strcmp(what, text) == 0;
}

static void test_peermsg__cursor_gives_rows(void)
{
    struct peermsg m;
    struct peermsg_run runs[2];
    struct peermsg_cursor c;
    struct peermsg_entry e;
    const char *what;
    static const uint64_t terms[] = {3, 3, 5, 5};
    append_make(&m, runs);
    for (int with_kinds = 0; with_kinds < 2; with_kinds++) {
        m.raft.entries.kinds = with_kinds ? slice_of("\2\1\3\1", 4) : slice_of(NULL, 0);
        EXPECT(peermsg_check(&m, &what) == ST_OK);
        peermsg_cursor_init(&c, &m.raft.entries);
        for (int i = 0; i < 4; i++) {
            EXPECT(peermsg_cursor_next(&c, &e));
            EXPECT(e.term == terms[i]);
            EXPECT(e.kind == (with_kinds ? "\2\1\3\1"[i] : PEERMSG_KIND_COMMAND));
            EXPECT(slice_equal(e.payload, payloads[i]));
        }
        EXPECT(!peermsg_cursor_next(&c, &e));
        EXPECT(!peermsg_cursor_next(&c, &e));
    }
}

static void test_peermsg__entries_without_terms(void)
{
    struct peermsg m;
    struct peermsg_run runs[2];
    struct peermsg_cursor c;
    struct peermsg_entry e;
    const char *what;
    append_make(&m, runs);
    m.raft.type = PEERMSG_RAFT_PROPOSE;
    m.raft.entries.runs.count = 0;
    EXPECT(peermsg_check(&m, &what) == ST_OK);
    peermsg_cursor_init(&c, &m.raft.entries);
    EXPECT(peermsg_cursor_next(&c, &e));
    EXPECT(e.term == 0);
    m.raft.entries.payload.count = 0;
    EXPECT(peermsg_check(&m, &what) == ST_OK);
    peermsg_cursor_init(&c, &m.raft.entries);
    EXPECT(!peermsg_cursor_next(&c, &e));
}

static void test_peermsg__columns_must_fit(void)
{
    struct peermsg m;
    struct peermsg_run runs[2];
    append_make(&m, runs);
    runs[1].count = 3;
    EXPECT(refused(&m, "a run of terms does not fit its entries"));
    runs[1].count = UINT64_MAX;
    EXPECT(refused(&m, "a run of terms does not fit its entries"));
    runs[1].count = 0;
    EXPECT(refused(&m, "a run of terms does not fit its entries"));
    runs[1].count = 1;
    EXPECT(refused(&m, "entries without a term"));
    runs[1].count = 2;
    m.raft.entries.kinds = slice_of("\1\1\1", 3);
    EXPECT(refused(&m, "kinds do not fit their entries"));
    m.raft.entries.kinds = slice_of("\1\1\1\1\1", 5);
    EXPECT(refused(&m, "kinds do not fit their entries"));
}

static void test_peermsg__bodies_must_make_sense(void)
{
    struct peermsg m = {.cluster = 1};
    const char *what;
    EXPECT(refused(&m, "a message without a body"));
    m.body = PEERMSG_RAFT;
    EXPECT(refused(&m, "unknown type"));
    m.raft.type = PEERMSG_RAFT_PROPOSE_REPLY + 1;
    EXPECT(refused(&m, "unknown type"));
    m.raft.type = -1;
    EXPECT(refused(&m, "unknown type"));
    m = (struct peermsg){.body = PEERMSG_CHUNK};
    EXPECT(peermsg_check(&m, &what) == ST_OK);
    m.chunk.data = slice_of("xy", 2);
    m.chunk.offset = (uint64_t)INT64_MAX - 2;
    EXPECT(peermsg_check(&m, &what) == ST_OK);
    m.chunk.offset++;
    EXPECT(refused(&m, "a chunk beyond any file"));
    m.chunk.offset = UINT64_MAX;
    EXPECT(refused(&m, "a chunk beyond any file"));
    m = (struct peermsg){.body = PEERMSG_HELLO};
    EXPECT(peermsg_check(&m, &what) == ST_OK);
}

static void test_peermsg__members_ascend(void)
{
    struct peermsg m = {.body = PEERMSG_RAFT};
    struct peermsg_member members[] = {{1, 9, 1}, {2, 9, 255}, {UINT64_MAX, 9, 4}};
    const char *what;
    for (int offer = 0; offer < 2; offer++) {
        struct peermsg_config config = {.members = {members, 3}};
        m = (struct peermsg){.body = offer ? PEERMSG_OFFER : PEERMSG_RAFT};
        if (offer) {
            m.offer = (struct peermsg_offer){.has_config = true, .config = config};
        } else {
            m.raft = (struct peermsg_raft){
                .type = PEERMSG_RAFT_SNAPSHOT, .has_config = true, .config = config};
        }
        EXPECT(peermsg_check(&m, &what) == ST_OK);
        members[1].node = 1;
        EXPECT(refused(&m, "members do not ascend"));
        members[1].node = 2;
        members[0].node = 0;
        EXPECT(refused(&m, "members do not ascend"));
        members[0].node = 1;
        members[1].roles = 256;
        EXPECT(refused(&m, "a member has unknown roles"));
        members[1].roles = 255;
    }
}

TAP_MAIN(RUN(test_peermsg__cursor_gives_rows); RUN(test_peermsg__entries_without_terms);
         RUN(test_peermsg__columns_must_fit); RUN(test_peermsg__bodies_must_make_sense);
         RUN(test_peermsg__members_ascend);)
