/* test_replicamsg.c - messages with their payloads in one block. */
#include "node/replicamsg.h"

#include "env/env.h"
#include "node/confcode.h"
#include "tests/tap.h"
#include "tests/test_env.h"

static struct raft_config sample(void)
{
    struct raft_config c = {.count = 2};
    c.members[0] = (struct raft_member){1, 0x1122334455667788, RAFT_IN};
    c.members[1] = (struct raft_member){255, 9, RAFT_LEARNER};
    return c;
}

/* A message is copied whole, and its configurations are decoded. */
static void replicamsg__is_a_copy(void)
{
    struct inject te;
    struct replicamsg *m;
    struct raft_config config = sample();
    char payload[] = "payload";
    char bytes[CONFCODE_MAX];
    size_t size = confcode_write(&config, bytes);
    struct raft_entry entries[3] = {
        {.index = 5, .term = 2, .kind = RAFT_COMMAND, .data = slice_of(payload, 7)},
        {.index = 6, .term = 2, .kind = RAFT_CONFIG, .data = slice_of(bytes, size)},
        {.index = 7, .term = 3, .kind = RAFT_NOOP}};
    struct raft_msg msg = {
        .type = RAFT_MSG_APPEND, .count = 3, .from = 1, .to = 2, .config = &config};
    test_env_init(&te, NULL);
    EXPECT(replicamsg_new(&te.env.mem, &msg, entries, &m) == ST_OK);
    memset(payload, 0, sizeof payload);
    config.count = 0;
    EXPECT(m->m.to == 2 && m->m.config == &m->config && m->config.count == 2);
    EXPECT(slice_equal(m->entries[0].data, slice_text("payload")));
    EXPECT(m->entries[1].index == 6 && m->entries[2].data.size == 0);
    EXPECT(m->entries[1].data.size == size && m->entries[2].term == 3);
    replicamsg_free(&te.env.mem, m);
    EXPECT(replicamsg_new(&te.env.mem, &msg, NULL, &m) == ST_OK);
    EXPECT(m->entries == NULL && m->m.items == NULL);
    replicamsg_free(&te.env.mem, m);
    EXPECT(te.live == 0);
}

static void replicamsg__refused_memory_is_none(void)
{
    struct inject te;
    struct replicamsg *m;
    struct raft_entry entry = {.kind = RAFT_COMMAND, .data = slice_text("none")};
    struct raft_msg msg = {.type = RAFT_MSG_APPEND, .count = 1};
    test_env_init(&te, NULL);
    te.fail_at = te.allocs;
    EXPECT(replicamsg_new(&te.env.mem, &msg, &entry, &m) == ST_NOMEM);
    EXPECT(m == NULL);
    EXPECT(te.live == 0);
}

TAP_MAIN({
    RUN(replicamsg__is_a_copy);
    RUN(replicamsg__refused_memory_is_none);
})
