/* fuzz_raft.c - bytes choose what happens to a Raft group: who steps with what, which message is
 * delivered, lost or doubled, which disk gets on, who crashes. Every invariant is checked after
 * every step, and at the end the group must recover and converge. */
#include "base/ck.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/raft/soup.h"

#include <stdio.h>

#define MOVES_MAX 1500

struct bytes {
    const uint8_t *data;
    size_t left;
};

static uint32_t next(struct bytes *b)
{
    if (b->left == 0) {
        return 0;
    }
    b->left--;
    return *b->data++;
}

static void change(struct soup *s, uint64_t id, uint32_t bits)
{
    struct raft_config c = {0};
    for (uint64_t m = 1; m <= s->nodes; m++, bits >>= 2) {
        static const uint8_t roles[4] = {0, RAFT_IN, RAFT_IN, RAFT_LEARNER};
        if (roles[bits & 3] != 0) {
            c.members[c.count++] = (struct raft_member){m, s->node[m].incarnation, roles[bits & 3]};
        }
    }
    (void)soup_change(s, id, &c);
}

static void network(struct soup *s, uint32_t what, uint32_t which)
{
    if (s->net.count == 0) {
        return;
    }
    size_t i = which % s->net.count;
    if (what == 0) {
        soup_lose(s, i);
    } else if (what == 1 && s->net.msgs[i].m.type != RAFT_MSG_SNAPSHOT && s->net.count < 200) {
        soup_twice(s, i);
    } else {
        soup_deliver(s, i);
    }
}

static void process(struct soup *s, uint64_t id)
{
    if (s->node[id].up) {
        soup_crash(s, id);
    } else {
        soup_up(s, id);
    }
}

static void move(struct soup *s, struct bytes *b) /* dispatch */
{
    uint32_t what = next(b);
    uint32_t arg = next(b);
    uint64_t id = 1 + arg % s->nodes;
    struct raft_event e = {.type = RAFT_EV_UNREACHABLE, .node = 1 + arg / 8 % s->nodes};
    switch (what % 20) {
    default:
        network(s, what % 20, arg);
        break;
    case 8:
    case 9:
        soup_persist(s, id, 1 + arg / 8, arg < 192);
        break;
    case 10:
        soup_apply(s, id, 1 + arg / 8);
        break;
    case 11:
        s->now += arg * 4;
        for (uint64_t n = 1; n <= s->nodes; n++) {
            if (s->node[n].up && s->node[n].deadline <= soup_clock(s, &s->node[n])) {
                soup_event(s, n, RAFT_EV_TIME);
            }
        }
        break;
    case 12:
        soup_force(s, id, arg < 128 ? RAFT_FORCE_ELECTION : RAFT_FORCE_HEARTBEAT);
        break;
    case 13:
        (void)soup_propose(s, id);
        break;
    case 14:
        soup_read(s, id);
        break;
    case 15:
        process(s, id);
        break;
    case 16:
        s->cut[id][e.node] = !s->cut[id][e.node];
        break;
    case 17:
        change(s, soup_leader(s) != 0 ? soup_leader(s) : id, arg);
        break;
    case 18:
        soup_flush(s, id);
        soup_compact(s, id, s->node[id].base.place.index + 1 + arg / 8);
        break;
    case 19:
        if (arg < 100) {
            soup_transfer(s, id, e.node);
        } else if (arg < 150) {
            soup_event(s, id, RAFT_EV_DISK_STALLED);
        } else {
            (void)soup_step(s, id, &e);
        }
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes b = {data, size < 2 * MOVES_MAX + 2 ? size : 2 * MOVES_MAX + 2};
    struct soup s;
    uint32_t shape = next(&b);
    soup_init(&s, 1 + shape % 5, next(&b));
    s.options.no_prevote = (shape & 8) != 0;
    s.options.window = (shape & 16) != 0 ? 16 : 256;
    s.options.message_entries = (shape & 32) != 0 ? 2 : 64;
    soup_up_all(&s);
    while (b.left >= 2 && soup_what(&s)[0] == '\0') {
        move(&s, &b);
    }
    soup_heal(&s);
    if (soup_what(&s)[0] != '\0') {
        (void)fprintf(stderr, "%s\n", soup_what(&s));
    }
    CK(soup_what(&s)[0] == '\0');
    soup_release(&s);
    return 0;
}
