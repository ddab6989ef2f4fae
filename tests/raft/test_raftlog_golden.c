/* test_raftlog_golden.c - a segment that a released version wrote is read, and written again byte
 * for byte; and told as lines.
 *
 * The files are found by GOLDEN_DIR: an offset and 16 bytes a line, lines of zeros left out. With
 * RAFTLOG_GOLDEN_WRITE set in the environment it is printed. */
#include "raft/raftlog.h"
#include "raft/raftlogdump.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

#include <stdlib.h>

#define SIZE      ((size_t)32 << 10)
#define PRESENT   GOLDEN_DIR "/raft-000002.log.hex"
#define VERSION_1 GOLDEN_DIR "/raft-000002-v1.log.hex"

static uint64_t epoch_random(struct env *e)
{
    (void)e;
    return 0x11223344;
}

/* Writes the example: a vote, two entries, a truncation and what replaced one. */
static void example_write(struct env *env, const char *second)
{
    struct raftlog_options o = {.segment_bytes = SIZE};
    struct raftlog_identity identity = {1, 2, 3, 4};
    struct raftlog_snapshot first = {{0, 0}, slice_text("cfg"), false};
    struct raftlog *log = NULL;
    struct raft_hard hard = {1, 2};
    struct raft_hard later = {2, 0};
    struct raft_entry two[] = {{1, 1, RAFT_NOOP, slice_of(NULL, 0)},
                               {2, 1, RAFT_COMMAND, slice_text(second)}};
    struct raft_entry again = {2, 2, RAFT_COMMAND, slice_text("put b 22")};
    struct raftlog_write w = {.seq = 1, .hard = &hard, .entries = two, .count = 2};
    uint64_t durable = 0;
    EXPECT(raftlog_create(env, "log", &o, &identity, &first, NULL) == ST_OK);
    EXPECT(raftlog_open(env, "log", &o, &log, NULL) == ST_OK);
    EXPECT(raftlog_append(log, &w) == ST_OK && raftlog_sync(log, &durable) == ST_OK);
    w = (struct raftlog_write){
        .seq = 2, .hard = &later, .truncate = 2, .entries = &again, .count = 1};
    EXPECT(raftlog_append(log, &w) == ST_OK && raftlog_sync(log, &durable) == ST_OK);
    EXPECT(durable == 2);
    raftlog_close(log);
}

/* The segment of the example, whose epoch is always the same. */
static char *example_bytes(struct tmpdir *t, const char *second, size_t *size)
{
    struct env_vt vt = *t->env->vt;
    const struct env_vt *real = t->env->vt;
    vt.random_u64 = epoch_random;
    t->env->vt = &vt;
    example_write(t->env, second);
    t->env->vt = real;
    return tmpdir_read(t, "log/raft-000002.log", size);
}

static void lines_print(const unsigned char *p)
{
    for (size_t at = 0; at < SIZE; at += 16) {
        static const unsigned char zeros[16];
        if (memcmp(p + at, zeros, 16) != 0) {
            printf("%04x ", (unsigned)at);
            for (size_t i = 0; i < 16; i++) {
                printf(" %02x", p[at + i]);
            }
            printf("\n");
        }
    }
}

static bool golden_read(const char *file, unsigned char *p)
{
    FILE *f = fopen(file, "r");
    char text[128];
    memset(p, 0, SIZE);
    while (f != NULL && fgets(text, sizeof text, f) != NULL) {
        char *at = text;
        unsigned long offset = strtoul(at, &at, 16);
        for (size_t i = 0; i < 16 && offset + i < SIZE; i++) {
            p[offset + i] = (unsigned char)strtoul(at, &at, 16);
        }
    }
    return f != NULL && fclose(f) == 0;
}

static void raftlog__writes_the_golden_segment(void)
{
    static unsigned char golden[SIZE];
    struct tmpdir t;
    size_t size = 0;
    tmpdir_make(&t);
    char *bytes = example_bytes(&t, "put a 1", &size);
    EXPECT(size == SIZE);
    if (getenv("RAFTLOG_GOLDEN_WRITE") != NULL) {
        lines_print((const unsigned char *)bytes);
    }
    EXPECT(golden_read(PRESENT, golden) && memcmp(bytes, golden, SIZE) == 0);
    free(bytes);
    tmpdir_clear(&t, "log");
    tmpdir_remove(&t);
}

static void golden_open(const char *file)
{
    static unsigned char golden[SIZE];
    struct tmpdir t;
    struct raftlog *log = NULL;
    struct raftlog_batch b = {.count = 0};
    struct raftlog_options o = {.segment_bytes = SIZE};
    tmpdir_make(&t);
    EXPECT(golden_read(file, golden));
    EXPECT(env_dir_make(t.env, "log") == ST_OK);
    tmpdir_write(&t, "log/raft-000002.log", golden, SIZE);
    EXPECT(raftlog_open(t.env, "log", &o, &log, NULL) == ST_OK);
    if (log != NULL) {
        const struct raftlog_start *s = raftlog_start(log);
        EXPECT(s->identity.cluster == 1 && s->identity.database == 4);
        EXPECT(s->hard.term == 2 && s->hard.vote == 0 && s->last.index == 2 && s->last.term == 2);
        EXPECT(slice_equal(s->snapshot.config, slice_text("cfg")) && s->fault_count == 0);
        EXPECT(raftlog_read(log, 1, 3, 100, &b) == ST_OK && b.count == 2);
        EXPECT(b.entries[0].kind == RAFT_NOOP && b.entries[1].term == 2);
        EXPECT(slice_equal(b.entries[1].data, slice_text("put b 22")));
    }
    raftlog_batch_release(&b);
    raftlog_close(log);
    tmpdir_clear(&t, "log");
    tmpdir_remove(&t);
}

static void raftlog__reads_the_golden_segment(void)
{
    golden_open(PRESENT);
}

static void raftlog__reads_the_golden_segment_of_version_1(void)
{
    golden_open(VERSION_1);
}

/* A group of another history, right in itself: the chain tells. */
static void raftlog__a_group_of_another_history_is_damage(void)
{
    static unsigned char golden[SIZE];
    struct tmpdir t;
    struct raftlog *log = NULL;
    struct raftlog_options o = {.segment_bytes = SIZE};
    size_t size = 0;
    tmpdir_make(&t);
    char *other = example_bytes(&t, "put a 2", &size);
    EXPECT(golden_read(PRESENT, golden) && size == SIZE);
    memcpy(golden + 0x4200, other + 0x4200, 0x200);
    tmpdir_clear(&t, "log");
    EXPECT(env_dir_make(t.env, "log") == ST_OK);
    tmpdir_write(&t, "log/raft-000002.log", golden, SIZE);
    EXPECT(raftlog_open(t.env, "log", &o, &log, NULL) == ST_OK);
    if (log != NULL) {
        EXPECT(raftlog_start(log)->last.index == 2 && raftlog_start(log)->fault_count == 1);
        EXPECT(raftlog_start(log)->hard.term == 2);
    }
    raftlog_close(log);
    free(other);
    tmpdir_clear(&t, "log");
    tmpdir_remove(&t);
}

struct told {
    int lines;
    bool entry;
    bool damaged;
};

static void tell(void *arg, const char *line)
{
    struct told *t = arg;
    t->lines++;
    t->entry = t->entry || strstr(line, "entry 2 (term 2) command, 8 bytes") != NULL;
    t->damaged = t->damaged || strstr(line, "damaged, up to") != NULL;
}

static void raftlogdump__tells_records_and_damage(void)
{
    static unsigned char golden[SIZE];
    struct tmpdir t;
    struct told told = {0, false, false};
    tmpdir_make(&t);
    EXPECT(golden_read(PRESENT, golden));
    tmpdir_write(&t, "raft-000002.log", golden, SIZE);
    EXPECT(raftlogdump_file(t.env, "raft-000002.log", tell, &told, NULL) == ST_OK);
    EXPECT(told.lines > 10 && told.entry && !told.damaged);
    golden[0x4000 + 520] ^= 1; /* in the head of the second group */
    tmpdir_write(&t, "raft-000002.log", golden, SIZE);
    EXPECT(raftlogdump_file(t.env, "raft-000002.log", tell, &told, NULL) == ST_CORRUPT);
    EXPECT(told.damaged);
    EXPECT(raftlogdump_file(t.env, "raft-000003.log", tell, &told, NULL) == ST_NOENT);
    EXPECT(raftlogdump_file(t.env, "000003.log", tell, &told, NULL) == ST_INVAL);
    tmpdir_remove(&t);
}

TAP_MAIN({
    RUN(raftlog__writes_the_golden_segment);
    RUN(raftlog__reads_the_golden_segment);
    RUN(raftlog__reads_the_golden_segment_of_version_1);
    RUN(raftlog__a_group_of_another_history_is_damage);
    RUN(raftlogdump__tells_records_and_damage);
})
