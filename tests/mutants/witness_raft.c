/* witness_raft.c - for each planted bug of consensus and of what is built on it, a scripted run
 * that the correct tree passes and the mutant fails.
 *
 * Cores in memory (tests/raft/soup.h) for what is the core's; a state machine on a simulated disk
 * for what lies between log and database; the client library against stand-ins for nodes. */
#include "base/ck.h"
#include "node/statemachine.h"
#include "sim/explore/explore.h"
#include "sim/simdisk.h"
#include "sim/simmem.h"
#include "tests/net/clientload.h"
#include "tests/node/group.h"
#include "tests/raft/directed.h"
#include "tests/sim/simtest.h"

#include <string.h>

/* ---- cores ---- */

/* Three cores without pre-votes, and nobody leads. */
static void three(struct soup *s)
{
    soup_init(s, 3, 1);
    s->options.no_prevote = true;
    s->options.message_entries = 1;
    soup_up_all(s);
}

/* Three cores at rest; returns who leads. */
static uint64_t three_led(struct soup *s)
{
    soup_init(s, 3, 7);
    soup_up_all(s);
    uint64_t leader = soup_elect(s);
    soup_run(s, 500);
    lose_all(s);
    return leader;
}

/* `id` stands for the given term, and all other messages are lost. */
static void stand(struct soup *s, uint64_t id, uint64_t term)
{
    lose_all(s);
    s->now += 3 * s->options.election; /* nobody remembers a leader */
    while (soup_what(s)[0] == '\0' && view(s, id).term < term) {
        soup_force(s, id, RAFT_FORCE_ELECTION);
    }
    lose_all(s);
    persist(s, id);
}

/* The vote of one makes the other a leader. */
static void elect(struct soup *s, uint64_t id, uint64_t term, uint64_t voter)
{
    stand(s, id, term);
    (void)soup_pass(s, RAFT_MSG_VOTE, id, voter);
    persist(s, voter);
    (void)soup_pass(s, RAFT_MSG_VOTE_REPLY, voter, id);
    EXPECT(view(s, id).state == RAFT_LEADER);
    persist(s, id);
}

/* R2, R1: a vote that a crash takes back was never given; so two cannot lead a term. */
static void test_witness__P20_vote_not_durable(void)
{
    struct soup s;
    three(&s);
    stand(&s, 1, 2);
    EXPECT(soup_pass(&s, RAFT_MSG_VOTE, 1, 2) == 1);
    EXPECT(soup_find(&s, RAFT_MSG_VOTE_REPLY, 2, 1) < 0);
    soup_crash(&s, 2);
    soup_up(&s, 2);
    elect(&s, 3, 2, 2);
    EXPECT(soup_find(&s, RAFT_MSG_VOTE_REPLY, 2, 1) < 0);
    done(&s);
}

/* R3: what a follower acknowledges survives the power of all. */
static void test_witness__P21_append_ack_before_fsync(void)
{
    struct soup s;
    uint64_t leader = three_led(&s);
    uint64_t other = leader % 3 + 1;
    uint64_t index = soup_propose(&s, leader);
    persist(&s, leader);
    EXPECT(soup_pass(&s, RAFT_MSG_APPEND, leader, other) == 1);
    (void)soup_pass(&s, RAFT_MSG_APPEND_REPLY, other, leader);
    EXPECT(view(&s, leader).commit < index);
    persist(&s, other);
    (void)soup_pass(&s, RAFT_MSG_APPEND_REPLY, other, leader);
    EXPECT(view(&s, leader).commit == index);
    done(&s);
}

/* Figure 8 of the paper with three nodes: 1 leads, then 3, and nobody hears of it; 1 leads again,
 * and brings its old entry to 2. That makes two of three, and is still no commitment: 3 may lead.
 */
static void test_witness__P22_commit_old_term(void)
{
    struct soup s;
    three(&s);
    elect(&s, 1, 2, 2);
    elect(&s, 3, 3, 2);
    elect(&s, 1, 4, 2);
    for (int i = 0; i < 4 && view(&s, 2).last < 2; i++) {
        (void)soup_pass(&s, RAFT_MSG_APPEND, 1, 2);
        persist(&s, 2);
        (void)soup_pass(&s, RAFT_MSG_APPEND_REPLY, 2, 1);
    }
    EXPECT(view(&s, 2).last == 2 && raft_term_at(s.node[2].core, 2) == 2);
    EXPECT(view(&s, 1).commit == 1);
    elect(&s, 3, 5, 2);
    soup_heal(&s);
    done(&s);
}

/* R8: an append that comes late, with nothing new in it, shortens no log. */
static void test_witness__P23_heartbeat_truncates(void)
{
    struct soup s;
    uint64_t leader = three_led(&s);
    uint64_t other = leader % 3 + 1;
    (void)soup_propose(&s, leader);
    soup_twice(&s, (size_t)soup_find(&s, RAFT_MSG_APPEND, leader, other));
    struct soup_msg old = s.net.msgs[--s.net.count]; /* on a longer way */
    uint64_t index = soup_propose(&s, leader);
    EXPECT(soup_pass(&s, RAFT_MSG_APPEND, leader, other) == 2);
    persist(&s, other);
    EXPECT(view(&s, other).last == index);
    s.net.msgs[s.net.count++] = old;
    EXPECT(soup_pass(&s, RAFT_MSG_APPEND, leader, other) == 1);
    EXPECT(view(&s, other).last == index);
    (void)soup_pass(&s, RAFT_MSG_APPEND_REPLY, other, leader);
    soup_heal(&s);
    done(&s);
}

/* X1: who was cut off and does not know that another leads answers nothing. */
static void test_witness__P24_stale_leader_read(void)
{
    struct soup s;
    uint64_t leader = three_led(&s);
    soup_isolate(&s, leader, true);
    soup_pace(&s, leader, 1000); /* its time all but stands still: it does not step down */
    soup_run(&s, 5 * s.options.election);
    uint64_t next = soup_leader(&s);
    EXPECT(next != 0 && next != leader);
    EXPECT(soup_propose(&s, next) != 0);
    soup_run(&s, 100);
    EXPECT(view(&s, leader).state == RAFT_LEADER);
    soup_read(&s, leader);
    EXPECT(s.reads_served == 0);
    done(&s);
}

/* A leader whose first entry went to `other` and, with a crash, from its own disk. Leaves nothing
 * in the net. */
static void elect_and_lose(struct soup *s, uint64_t id, uint64_t term, uint64_t voter,
                           uint64_t other)
{
    stand(s, id, term);
    (void)soup_pass(s, RAFT_MSG_VOTE, id, voter);
    persist(s, voter);
    (void)soup_pass(s, RAFT_MSG_VOTE_REPLY, voter, id);
    EXPECT(soup_pass(s, RAFT_MSG_APPEND, id, other) == 1);
    soup_crash(s, id);
    soup_up(s, id);
    lose_all(s);
}

/* What the leader has sent goes to one other, which has it on its disk and says so. */
static void replicate(struct soup *s, uint64_t leader, uint64_t to)
{
    (void)soup_pass(s, RAFT_MSG_APPEND, leader, to);
    persist(s, to);
    (void)soup_pass(s, RAFT_MSG_APPEND_REPLY, to, leader);
}

/* R3: a leader's own disk is one of those that are counted, and as late as it is. */
static void test_witness__P31_leader_counts_unsynced(void)
{
    struct soup s;
    uint64_t leader = three_led(&s);
    uint64_t index = soup_propose(&s, leader);
    replicate(&s, leader, leader % 3 + 1);
    EXPECT(view(&s, leader).commit < index);
    persist(&s, leader);
    EXPECT(view(&s, leader).commit == index);
    done(&s);
}

/* R6: node 1 has an entry that nobody else has, and hears that another one at its place is
 * committed before it gets that one. */
static void test_witness__P32_commit_unverified(void)
{
    struct soup s;
    three(&s);
    elect(&s, 1, 2, 2);
    elect(&s, 3, 3, 2);
    replicate(&s, 3, 2);
    EXPECT(view(&s, 3).commit == 2);
    soup_force(&s, 3, RAFT_FORCE_HEARTBEAT);
    EXPECT(soup_pass(&s, RAFT_MSG_HEARTBEAT, 3, 1) == 1);
    EXPECT(view(&s, 1).last == 2 && view(&s, 1).commit == 1);
    done(&s);
}

/* R5: node 1 has many entries of an early term, the others one of a later term, which is committed.
 */
static void test_witness__P33_vote_by_length(void)
{
    struct soup s;
    three(&s);
    elect(&s, 1, 2, 2);
    EXPECT(soup_propose(&s, 1) == 3 && soup_propose(&s, 1) == 4);
    persist(&s, 1);
    elect(&s, 3, 3, 2);
    replicate(&s, 3, 2);
    EXPECT(view(&s, 3).commit == 2);
    stand(&s, 1, 4);
    (void)soup_pass(&s, RAFT_MSG_VOTE, 1, 2);
    persist(&s, 2);
    (void)soup_pass(&s, RAFT_MSG_VOTE_REPLY, 2, 1);
    EXPECT(view(&s, 1).state != RAFT_LEADER);
    done(&s);
}

/* R1: on the way from {1, 2, 3} to {1, 4, 5} the votes of 1, 4 and 5 elect nobody. */
static void test_witness__P34_joint_new_majority(void)
{
    struct soup s;
    soup_init(&s, 3, 1);
    s.options.no_prevote = true;
    s.nodes = 5;
    soup_blank(&s, 4);
    soup_blank(&s, 5);
    soup_up_all(&s);
    elect(&s, 1, 2, 2);
    replicate(&s, 1, 2);
    EXPECT(view(&s, 1).commit == 2);
    struct raft_config to = {.count = 3};
    static const uint64_t ids[] = {1, 4, 5};
    for (int i = 0; i < 3; i++) {
        to.members[i] = (struct raft_member){ids[i], s.node[ids[i]].incarnation, RAFT_IN};
    }
    (void)soup_change(&s, 1, &to);
    EXPECT(view(&s, 1).last == 3);
    persist(&s, 1);
    stand(&s, 1, 3);
    for (uint64_t id = 4; id <= 5; id++) {
        EXPECT(soup_pass(&s, RAFT_MSG_VOTE, 1, id) == 1);
        persist(&s, id);
        EXPECT(soup_pass(&s, RAFT_MSG_VOTE_REPLY, id, 1) == 1);
    }
    EXPECT(view(&s, 1).state == RAFT_CANDIDATE);
    done(&s);
}

/* X1: node 2 has an entry that is committed, and leads, but does not know that it is. */
static void test_witness__P35_read_before_own_commit(void)
{
    struct soup s;
    three(&s);
    elect(&s, 1, 2, 2);
    replicate(&s, 1, 2);
    EXPECT(view(&s, 1).commit == 2);
    elect(&s, 2, 3, 3);
    EXPECT(view(&s, 2).commit == 1);
    soup_read(&s, 2);
    EXPECT(soup_pass(&s, RAFT_MSG_HEARTBEAT, 2, 3) == 1);
    EXPECT(soup_pass(&s, RAFT_MSG_HEARTBEAT_REPLY, 3, 2) == 1);
    EXPECT(s.reads_served == 0);
    done(&s);
}

/* R3: node 2's disk is late. Its first entry is truncated and another put there before the first
 * one is written: that write says nothing of the other entry. */
static void test_witness__P36_durable_after_truncate(void)
{
    struct soup s;
    three(&s);
    elect_and_lose(&s, 1, 2, 3, 2);
    stand(&s, 3, 3);
    EXPECT(soup_pass(&s, RAFT_MSG_VOTE, 3, 2) == 1); /* tells the term, and is refused */
    EXPECT(soup_pass(&s, RAFT_MSG_VOTE, 3, 1) == 1);
    persist(&s, 1);
    (void)soup_pass(&s, RAFT_MSG_VOTE_REPLY, 1, 3);
    EXPECT(view(&s, 3).state == RAFT_LEADER);
    persist(&s, 3);
    EXPECT(soup_pass(&s, RAFT_MSG_APPEND, 3, 2) == 1);
    size_t writes = s.node[2].write_count;
    EXPECT(view(&s, 2).last == 2 && writes >= 2);
    soup_persist(&s, 2, writes - 1, true); /* all but the last, which is about the new entry */
    EXPECT(view(&s, 2).durable == 1);
    (void)soup_pass(&s, RAFT_MSG_APPEND_REPLY, 2, 3);
    EXPECT(view(&s, 3).commit == 1);
    done(&s);
}

/* X1: whoever was told to stand may be elected while the lease would last. */
static void test_witness__P37_lease_after_handover(void)
{
    struct soup s;
    soup_init(&s, 3, 7);
    s.options.lease = true;
    soup_up_all(&s);
    uint64_t leader = soup_elect(&s);
    soup_run(&s, 500);
    soup_read(&s, leader);
    EXPECT(s.reads_served == 1);
    soup_transfer(&s, leader, leader % 3 + 1);
    soup_read(&s, leader);
    EXPECT(s.reads_served == 1);
    done(&s);
}

/* R2: one vote a term. */
static void test_witness__P38_vote_twice(void)
{
    struct soup s;
    three(&s);
    stand(&s, 1, 2);
    EXPECT(soup_pass(&s, RAFT_MSG_VOTE, 1, 2) == 1);
    persist(&s, 2);
    stand(&s, 3, 2);
    EXPECT(soup_pass(&s, RAFT_MSG_VOTE, 3, 2) == 1);
    persist(&s, 2);
    (void)soup_pass(&s, RAFT_MSG_VOTE_REPLY, 2, 3);
    EXPECT(view(&s, 3).state != RAFT_LEADER);
    done(&s);
}

/* R1: two of four are no majority: the other two may be one as well. */
static void test_witness__P39_half_is_a_majority(void)
{
    struct soup s;
    soup_init(&s, 4, 1);
    s.options.no_prevote = true;
    soup_up_all(&s);
    stand(&s, 1, 2);
    EXPECT(soup_pass(&s, RAFT_MSG_VOTE, 1, 2) == 1);
    persist(&s, 2);
    EXPECT(soup_pass(&s, RAFT_MSG_VOTE_REPLY, 2, 1) == 1);
    EXPECT(view(&s, 1).state == RAFT_CANDIDATE);
    done(&s);
}

/* R6: node 2 had its entry from a leader, whose successor has committed another at that place. */
static void test_witness__P40_trust_outlives_term(void)
{
    struct soup s;
    three(&s);
    elect_and_lose(&s, 1, 2, 3, 2);
    EXPECT(view(&s, 2).last == 2);
    elect(&s, 3, 3, 1);
    replicate(&s, 3, 1);
    EXPECT(view(&s, 3).commit == 2);
    soup_force(&s, 3, RAFT_FORCE_HEARTBEAT);
    EXPECT(soup_pass(&s, RAFT_MSG_HEARTBEAT, 3, 2) == 1);
    EXPECT(view(&s, 2).commit == 1);
    done(&s);
}

/* ---- every interleaving ---- */

/* Within so many states of a preset nothing is wrong. */
static void explored(const char *preset, uint64_t states)
{
    struct explore_options o = {.states_max = states};
    struct explore_result r;
    struct buf trace;
    buf_init(&trace, simmem());
    explore_run(explore_find(preset), &o, simmem(), &r, &trace);
    EXPECT(r.st == ST_OK && !r.violated);
    if (r.violated) {
        printf("# %s: after %llu states, %u moves: %s\n", preset, (unsigned long long)r.end.states,
               r.trace_moves, r.what);
    }
    buf_release(&trace);
}

static void test_witness__P20_by_explore(void)
{
    explored("votes", 1000);
}

static void test_witness__P22_by_explore(void)
{
    explored("figure8", 100000);
}

static void test_witness__P23_by_explore(void)
{
    explored("stream", 100000);
}

/* ---- the state machine ---- */

#define ENTRIES 60u
#define LINE    100u /* bytes that an entry appends */

struct machine {
    struct simtest sim;                 /* first: hooks get it */
    struct simdisk *disks[ENTRIES + 1]; /* after each entry; owned */
    uint64_t length; /* of the value when a reader had read the rest of the log */
};

static bool db_open(struct env *env, struct tkv **db)
{
    struct tkv_options o;
    tkv_options_init(&o);
    o.env = env;
    o.log = false;
    o.verify = true;
    o.write_buffer_bytes = 2048;
    return tkv_open(&o, "db", db, NULL) == TKV_OK;
}

/* Each entry makes the value longer. */
static void apply(struct env *env, struct statemachine *sm)
{
    char text[LINE];
    struct slice args[3] = {slice_text("append"), slice_text("k"), slice_of(text, LINE)};
    struct envelope head = {.origin = 1, .life = 1, .ordinal = 1, .reply_max = 1 << 16};
    struct envelope_request request = {.commands = 1};
    struct envelope_writer w;
    struct buf bytes;
    memset(text, 'x', sizeof text);
    buf_init(&bytes, &env->mem);
    envelope_begin(&w, &bytes, &head);
    envelope_request(&w, &request);
    envelope_command(&w, args, 3);
    CK(envelope_end(&w) == ST_OK);
    struct raft_entry e = {.index = sm->applied.place.index + 1,
                           .term = 1,
                           .kind = RAFT_COMMAND,
                           .data = buf_slice(&bytes)};
    CK(statemachine_apply(sm, &e, NULL) == ST_OK);
    CK(statemachine_commit(sm) == ST_OK);
    buf_release(&bytes);
}

/* Keeps the disk as it is after each entry, when all that was under way is on it. */
static int log_applied(struct env *env, int argc, char **argv)
{
    struct machine *m = proc_of(env)->user;
    struct statemachine sm;
    struct tkv *db;
    (void)argc;
    (void)argv;
    CK(db_open(env, &db));
    CK(statemachine_open(&sm, env, db, NULL) == ST_OK);
    for (uint32_t i = 1; i <= ENTRIES; i++) {
        apply(env, &sm);
        CK(tkv_wait_idle(db) == TKV_OK);
        CK(simdisk_clone(proc_of(env)->host->disk, &m->disks[i]) == ST_OK);
    }
    statemachine_release(&sm);
    return tkv_close(db) == TKV_OK ? 0 : 1;
}

static int log_replayed(struct env *env, int argc, char **argv)
{
    struct machine *m = proc_of(env)->user;
    struct statemachine sm;
    struct view_value value;
    struct tkv *db;
    (void)argc;
    (void)argv;
    CK(db_open(env, &db));
    CK(statemachine_open(&sm, env, db, NULL) == ST_OK);
    while (sm.applied.place.index < ENTRIES) {
        apply(env, &sm);
    }
    CK(view_get(&sm.view, slice_text("k"), &value) == ST_OK);
    m->length = value.bytes.size;
    view_value_release(&sm.view, &value);
    statemachine_release(&sm);
    return tkv_close(db) == TKV_OK ? 0 : 1;
}

/* R13: wherever a crash comes, what lies in the database and how far it says to have come agree, so
 * that the rest of the log leads to what an uninterrupted life leads to. */
static void test_witness__P25_applied_index_not_atomic(void)
{
    static struct machine m;
    memset(&m, 0, sizeof m);
    simtest_open(&m.sim, 1);
    simtest_start(&m.sim, m.sim.host, "writer", log_applied, &m)->watched = true;
    EXPECT(simtest_run(&m.sim));
    for (uint32_t i = 1; i <= ENTRIES; i++) {
        struct chooser c;
        struct chooser_stream stream;
        struct simdisk *after;
        chooser_init(&c, i);
        chooser_stream_init(&stream, &c, CHOOSE_DISK_CRASH, 0);
        CK(simdisk_crash(m.disks[i], SIMDISK_DROP_ALL, &stream, &after) == ST_OK);
        m.length = 0;
        (void)simtest_start(&m.sim, world_host(&m.sim.world, after), "reader", log_replayed, &m);
        EXPECT(simtest_run(&m.sim));
        EXPECT(m.length == (uint64_t)ENTRIES * LINE);
        simdisk_free(m.disks[i]);
    }
    simtest_close(&m.sim);
}

/* ---- replicas ---- */

static struct group group;

/* X2, R9: who gets a snapshot gets what sessions remember with it. The last node comes when the log
 * of the others is short already; nothing else happens to anybody. */
static void test_witness__P26_dedupe_not_in_snapshot(void)
{
    group_run(&group, &(struct group_plan){.seed = 1,
                                           .nodes = 3,
                                           .clients = 1,
                                           .writes = 30,
                                           .rounds = 2,
                                           .log = 8,
                                           .away = true,
                                           .sessions = true});
    EXPECT(group.wrong[0] == '\0');
    EXPECT(group.installed > 0);
    if (group.wrong[0] != '\0') {
        printf("# %s\n", group.wrong);
    }
}

/* ---- the client ---- */

static struct clientlab lab;

/* One write in a session: it is carried out, and the connection ends before the answer. */
static int write_once(struct clientlab *l, struct env *env)
{
    char key[8];
    struct client *c;
    struct client_options o;
    struct env_addr addrs[CLIENTLAB_NODES + 1];
    clientlab_options(l, &o, addrs);
    CK(client_new(env, &o, &c) == ST_OK);
    struct client_call call = {.request.op = PBMSG_OPEN_SESSION,
                               .deadline = env_clock_mono(env) + 60000 * CLIENTLAB_MS};
    CK(client_run(c, &call) == ST_OK && call.outcome == CLIENT_DONE);
    l->weight[MOOD_SERVE] = 0;
    l->weight[MOOD_DROP_AFTER] = 1;
    call = (struct client_call){.request.op = PBMSG_INCR, .once = true};
    call.request.incr = (struct pbmsg_incr){.key = clientlab_key(0, key), .delta = 1};
    call.deadline = env_clock_mono(env) + 60000 * CLIENTLAB_MS;
    client_send(c, &call);
    while (!call.ended) {
        CK(client_step(c, env_clock_mono(env) + CLIENTLAB_MS) == ST_OK);
        l->calm = l->counters[0] > 0;
    }
    EXPECT(call.outcome == CLIENT_DONE && call.attempts > 1);
    client_free(c);
    return 0;
}

/* X2: a write that is sent again is the same write. */
static void test_witness__P29_client_new_id_on_retry(void)
{
    clientlab_open(&lab, 1);
    lab.sessions_known = true;
    lab.client = write_once;
    EXPECT(clientlab_run(&lab));
    EXPECT(lab.counters[0] == 1);
    clientlab_close(&lab);
}

TAP_MAIN(RUN(test_witness__P20_vote_not_durable); RUN(test_witness__P21_append_ack_before_fsync);
         RUN(test_witness__P22_commit_old_term); RUN(test_witness__P23_heartbeat_truncates);
         RUN(test_witness__P24_stale_leader_read); RUN(test_witness__P25_applied_index_not_atomic);
         RUN(test_witness__P26_dedupe_not_in_snapshot);
         RUN(test_witness__P29_client_new_id_on_retry); RUN(test_witness__P20_by_explore);
         RUN(test_witness__P22_by_explore); RUN(test_witness__P23_by_explore);
         RUN(test_witness__P31_leader_counts_unsynced); RUN(test_witness__P32_commit_unverified);
         RUN(test_witness__P33_vote_by_length); RUN(test_witness__P34_joint_new_majority);
         RUN(test_witness__P35_read_before_own_commit);
         RUN(test_witness__P36_durable_after_truncate); RUN(test_witness__P37_lease_after_handover);
         RUN(test_witness__P38_vote_twice); RUN(test_witness__P39_half_is_a_majority);
         RUN(test_witness__P40_trust_outlives_term);)
