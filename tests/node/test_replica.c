/* test_replica.c - a group of one with real threads and files: it serves, it comes back, it stops
 * in good order, and refused memory ends in an error or in nothing at all. */
#include "node/replica.h"

#include "env/env_posix.h"
#include "raft/raftlogfmt.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdio.h>
#include <stdlib.h>

#define SECOND 1000000000ull

struct rig {
    struct tmpdir t;
    struct inject te;
    struct replica *replica;
    struct env_mutex mutex;
    struct env_cond cond;
    int done;
    uint64_t log_entries; /* option */
};

struct ask {
    struct replica_request q;
    struct rig *rig;
    struct slice args[3];
    struct replica_command command;
    uint64_t size; /* what a read found */
};

static struct replica_options options(void)
{
    return (struct replica_options){.dir = ".", .log = {.segment_bytes = 64 * 1024}};
}

static void rig_init(struct rig *g)
{
    memset(g, 0, sizeof *g);
    tmpdir_make(&g->t);
    test_env_init(&g->te, g->t.env);
    env_mutex_init(g->t.env, &g->mutex);
    env_cond_init(g->t.env, &g->cond);
}

static void rig_release(struct rig *g)
{
    EXPECT(g->te.live == 0);
    EXPECT(g->te.descriptors == 0);
    env_cond_release(g->t.env, &g->cond);
    env_mutex_release(g->t.env, &g->mutex);
    tmpdir_remove(&g->t);
}

static enum status make_of(struct rig *g, uint32_t voters, struct err *err)
{
    struct replica_options o = options();
    struct raftlog_identity identity = {.cluster = 1, .node = 1, .incarnation = 1};
    struct raft_config config = {.count = voters, .members = {{1, 1, RAFT_IN}, {2, 1, RAFT_IN}}};
    return replica_create(&g->te.env, &o, &identity, &config, err);
}

static enum status make(struct rig *g, struct err *err)
{
    return make_of(g, 1, err);
}

static enum status begin(struct rig *g, struct err *err)
{
    struct replica_options o = options();
    o.log_entries = g->log_entries;
    enum status st = replica_open(&g->te.env, &o, &g->replica, err);
    if (st != ST_OK) {
        g->replica = NULL;
        return st;
    }
    return replica_start(g->replica);
}

static void end(struct rig *g)
{
    if (g->replica != NULL) {
        replica_stop(g->replica);
        enum status st = replica_close(g->replica);
        EXPECT(st == ST_OK || g->te.fail_at >= 0);
    }
    g->replica = NULL;
}

static void on_done(struct replica_request *q)
{
    struct ask *a = LIST_ENTRY(q, struct ask, q);
    if (q->reads && q->outcome == REPLICA_DONE) {
        struct view_value value;
        struct view *v = &replica_machine(a->rig->replica)->view;
        if (view_get(v, slice_text("k"), &value) == ST_OK) {
            a->size = value.bytes.size;
            view_value_release(v, &value);
        }
    }
    env_mutex_lock(a->rig->t.env, &a->rig->mutex);
    a->rig->done++;
    env_cond_signal(a->rig->t.env, &a->rig->cond);
    env_mutex_unlock(a->rig->t.env, &a->rig->mutex);
}

static void ask_init(struct rig *g, struct ask *a, bool reads)
{
    *a = (struct ask){.rig = g};
    a->args[0] = slice_text("append");
    a->args[1] = slice_text("k");
    a->args[2] = slice_text("x");
    a->command = (struct replica_command){a->args, 3};
    a->q.reads = reads;
    a->q.deadline = env_clock_mono(g->t.env) + 60 * SECOND;
    a->q.done = on_done;
    a->q.head.commands = 1;
    a->q.commands = &a->command;
    list_init(&a->q.link);
    buf_init(&a->q.reply, &g->te.env.mem);
}

/* Submits so many at once and waits for all. */
static void ask_all(struct rig *g, struct ask *asks, int count)
{
    struct list all;
    list_init(&all);
    g->done = 0;
    for (int i = 0; i < count; i++) {
        list_insert(&all, &asks[i].q.link);
    }
    replica_submit(g->replica, &all);
    EXPECT(list_empty(&all));
    env_mutex_lock(g->t.env, &g->mutex);
    while (g->done < count) {
        (void)env_cond_wait(g->t.env, &g->cond, &g->mutex, ENV_NEVER); /* the loop decides */
    }
    env_mutex_unlock(g->t.env, &g->mutex);
}

static void replica__what_comes_together_is_one_entry(void)
{
    struct rig g;
    struct err err = {""};
    struct ask asks[50];
    struct replica_status s;
    rig_init(&g);
    EXPECT(begin(&g, &err) == ST_NOENT);
    EXPECT(make(&g, &err) == ST_OK);
    EXPECT(make(&g, &err) == ST_EXIST);
    for (int life = 1; life <= 2; life++) {
        EXPECT(begin(&g, &err) == ST_OK);
        for (int i = 0; i < 50; i++) {
            ask_init(&g, &asks[i], false);
        }
        ask_all(&g, asks, 50);
        for (int i = 0; i < 50; i++) {
            char want[16];
            (void)snprintf(want, sizeof want, ":%d\r\n", 50 * (life - 1) + i + 1);
            EXPECT(asks[i].q.outcome == REPLICA_DONE);
            EXPECT(slice_equal(buf_slice(&asks[i].q.reply), slice_text(want)));
            buf_release(&asks[i].q.reply);
        }
        ask_init(&g, &asks[0], true);
        ask_all(&g, asks, 1);
        EXPECT(asks[0].q.outcome == REPLICA_DONE && asks[0].size == 50 * (uint64_t)life);
        replica_stop(g.replica);
        replica_status(g.replica, &s);
        EXPECT(s.counts.entries == 2); /* the no-op of a new leader, and one of ours */
        EXPECT(s.counts.requests == 50);
        end(&g);
    }
    rig_release(&g);
}

/* What the database holds in tables is not in the log for ever, here nor after a restart. */
static void replica__the_log_is_compacted(void)
{
    struct rig g;
    struct err err = {""};
    struct ask a;
    struct replica_status s;
    rig_init(&g);
    g.log_entries = 16;
    EXPECT(make(&g, &err) == ST_OK);
    uint64_t base = 1;
    uint64_t written = 0;
    for (int life = 1; life <= 2; life++) {
        EXPECT(begin(&g, &err) == ST_OK);
        replica_status(g.replica, &s);
        EXPECT(s.raft.base.index >= base); /* its threads may have gone on */
        do {                               /* the disk has its own pace */
            ask_init(&g, &a, false);
            ask_all(&g, &a, 1);
            EXPECT(a.q.outcome == REPLICA_DONE);
            buf_release(&a.q.reply);
            written++;
            replica_status(g.replica, &s);
        } while (s.compacted < 3 || s.raft.last - s.raft.base.index > 60);
        end(&g);
        struct raftlog *log;
        EXPECT(raftlog_open(g.t.env, "raft", NULL, &log, &err) == ST_OK);
        base = raftlog_start(log)->base.index;
        EXPECT(base > 1);
        EXPECT(raftlog_start(log)->snapshot.place.index > base);
        EXPECT(raftlog_start(log)->snapshot.config.size > 0);
        raftlog_close(log);
    }
    EXPECT(begin(&g, &err) == ST_OK);
    ask_init(&g, &a, true);
    ask_all(&g, &a, 1);
    EXPECT(a.size == written);
    end(&g);
    rig_release(&g);
}

/* One of two voters alone: nobody leads, and who cannot wait any longer does not have to. */
static void replica__what_is_abandoned_ends(void)
{
    struct rig g;
    struct err err = {""};
    struct ask asks[3];
    struct replica_change change = {.kind = REPLICA_REMOVE, .node = 2};
    struct list all;
    rig_init(&g);
    EXPECT(make_of(&g, 2, &err) == ST_OK);
    EXPECT(begin(&g, &err) == ST_OK);
    list_init(&all);
    for (int i = 0; i < 3; i++) {
        ask_init(&g, &asks[i], i == 1);
        list_insert(&all, &asks[i].q.link);
    }
    asks[2].q.change = &change;
    replica_submit(g.replica, &all);
    env_mutex_lock(g.t.env, &g.mutex);
    while (g.done < 3) {
        env_mutex_unlock(g.t.env, &g.mutex);
        replica_abandon(g.replica);
        env_mutex_lock(g.t.env, &g.mutex);
        if (g.done < 3) {
            (void)env_cond_wait(g.t.env, &g.cond, &g.mutex, ENV_NEVER); /* the loop decides */
        }
    }
    env_mutex_unlock(g.t.env, &g.mutex);
    for (int i = 0; i < 3; i++) {
        EXPECT(asks[i].q.outcome == REPLICA_NOT_DONE);
        buf_release(&asks[i].q.reply);
    }
    EXPECT(replica_failed(g.replica) == ST_OK); /* and it runs on */
    end(&g);
    rig_release(&g);
}

static void append(struct rig *g, uint64_t *index)
{
    struct ask a;
    ask_init(g, &a, false);
    ask_all(g, &a, 1);
    EXPECT(a.q.outcome == REPLICA_DONE && a.q.index > *index);
    *index = a.q.index;
    buf_release(&a.q.reply);
}

/* Asks for one, and for `more` along with it. */
static struct raft_place snapshot(struct rig *g, int more)
{
    struct ask asks[4];
    struct replica_change x[4];
    for (int i = 0; i <= more; i++) {
        ask_init(g, &asks[i], false);
        x[i] = (struct replica_change){.kind = REPLICA_SNAPSHOT};
        asks[i].q.change = &x[i];
    }
    ask_all(g, asks, more + 1);
    for (int i = 0; i <= more; i++) {
        EXPECT(asks[i].q.outcome == REPLICA_DONE);
        EXPECT(x[i].place.index == x[0].place.index && x[i].place.term == x[0].place.term);
    }
    return x[0].place;
}

/* Long before the log would be compacted for its size. */
static void replica__a_snapshot_is_taken_when_asked(void)
{
    struct rig g;
    struct err err = {""};
    struct replica_status s;
    uint64_t index = 0;
    rig_init(&g);
    EXPECT(make(&g, &err) == ST_OK);
    EXPECT(begin(&g, &err) == ST_OK);
    append(&g, &index);
    struct raft_place first = snapshot(&g, 3);
    EXPECT(first.index == index && first.term > 0);
    struct raft_place same = snapshot(&g, 0); /* there is nothing new: at once */
    EXPECT(same.index == first.index && same.term == first.term);
    append(&g, &index);
    struct raft_place second = snapshot(&g, 0);
    EXPECT(second.index == index);
    append(&g, &index); /* the log says so with this one at the latest */
    EXPECT(snapshot(&g, 0).index == index);
    append(&g, &index);
    replica_stop(g.replica);
    replica_status(g.replica, &s);
    EXPECT(s.compacted == 3 && s.raft.base.index == second.index);
    end(&g);
    struct raftlog *log;
    EXPECT(raftlog_open(g.t.env, "raft", NULL, &log, &err) == ST_OK);
    EXPECT(raftlog_start(log)->snapshot.place.index + 1 == index);
    EXPECT(raftlog_start(log)->base.index == second.index);
    raftlog_close(log);
    rig_release(&g);
}

/* A group of several terms of which nothing is left but an identity that does not tell them. */
static void log_maim(struct rig *g)
{
    struct raftlog_options o = options().log;
    struct raftlog *log = NULL;
    struct raftlogfmt_block b;
    uint64_t durable = 0;
    size_t size = 0;
    EXPECT(raftlog_open(g->t.env, "raft", &o, &log, NULL) == ST_OK);
    struct raft_place last = raftlog_start(log)->last;
    for (uint64_t i = 1; i <= 4; i++) {
        struct raft_hard hard = {last.term + i, 0};
        struct raft_entry e = {last.index + i, hard.term, RAFT_NOOP, slice_of(NULL, 0)};
        struct raftlog_write w = {.seq = i, .hard = &hard, .entries = &e, .count = 1};
        EXPECT(raftlog_append(log, &w) == ST_OK);
    }
    EXPECT(raftlog_sync(log, &durable) == ST_OK && durable == 4);
    char *bytes = tmpdir_read(&g->t, "raft/raft-000002.log", &size);
    raftlog_close(log); /* its mark is lost with what follows */
    uint64_t at = raftlogfmt_slot_at(0);
    EXPECT(raftlogfmt_get_block(false, bytes + at, 2, at, &b) == ST_OK && b.told);
    char page[RAFTLOGFMT_PAGE];
    b.told = false;
    b.runs = slice_of(NULL, 0);
    raftlogfmt_put_block(false, page, &b, at);
    memcpy(bytes + at, page, sizeof page);
    memset(bytes + b.offset, 0, (size_t)b.info.bytes);
    tmpdir_write(&g->t, "raft/raft-000002.log", bytes, size);
    free(bytes);
}

/* Consensus cannot do with a lower bound: docs/raft.md says why. */
static void replica__a_log_that_lost_terms_is_not_started(void)
{
    struct rig g;
    struct err err = {.text = ""};
    rig_init(&g);
    EXPECT(make(&g, &err) == ST_OK);
    log_maim(&g);
    EXPECT(begin(&g, &err) == ST_CORRUPT);
    EXPECT(strstr(err.text, "terms of entries") != NULL);
    end(&g);
    rig_release(&g);
}

/* Has a node join that is not there; how that ends. */
static enum replica_outcome join(struct rig *g, struct replica_change x, uint64_t patience_ms,
                                 enum raft_outcome *why)
{
    struct ask a;
    ask_init(g, &a, false);
    x.kind = REPLICA_JOIN;
    x.node = 2;
    a.q.change = &x;
    a.q.deadline = env_clock_mono(g->t.env) + patience_ms * 1000000;
    ask_all(g, &a, 1);
    EXPECT(a.q.outcome != REPLICA_DONE || x.place.index > 0);
    *why = x.why;
    return a.q.outcome;
}

/* It becomes a learner and stays one, and whoever asks again is told how far it is. */
static void replica__who_does_not_catch_up_gets_no_vote(void)
{
    struct rig g;
    struct err err = {""};
    struct replica_members m;
    struct buf text;
    struct replica_change x = {.incarnation = 9, .address = slice_text("10.0.0.2:7")};
    enum raft_outcome why;
    uint64_t index = 0;
    rig_init(&g);
    buf_init(&text, &g.te.env.mem);
    EXPECT(make(&g, &err) == ST_OK);
    EXPECT(begin(&g, &err) == ST_OK);
    append(&g, &index); /* it leads */
    enum replica_outcome outcome;
    do { /* the disk has its own pace */
        outcome = join(&g, x, 200, &why);
        replica_members(g.replica, &m);
    } while (m.count < 2);
    EXPECT(outcome == REPLICA_UNKNOWN); /* part of it is done */
    x.address = slice_of(NULL, 0);
    EXPECT(join(&g, x, 200, &why) == REPLICA_NOT_DONE && why == RAFT_LOST); /* by this one */
    struct ask a;
    struct replica_change vote = {.kind = REPLICA_PROMOTE, .node = 2};
    ask_init(&g, &a, false);
    a.q.change = &vote;
    ask_all(&g, &a, 1); /* at once, as RAFT PROMOTE does: it has nothing of the log */
    EXPECT(a.q.outcome == REPLICA_NOT_DONE && vote.why == RAFT_BUSY);
    x.learner = true;
    EXPECT(join(&g, x, 60000, &why) == REPLICA_DONE);
    x.incarnation = 10; /* another disk */
    EXPECT(join(&g, x, 60000, &why) == REPLICA_NOT_DONE && why == RAFT_BAD_CHANGE);
    replica_stop(g.replica);
    replica_members(g.replica, &m);
    EXPECT(m.count == 2 && m.member[1].id == 2 && m.member[1].incarnation == 9);
    EXPECT(m.member[1].roles == RAFT_LEARNER && m.index > 0);
    EXPECT(statemachine_address(replica_machine(g.replica), 2, &text) == ST_OK);
    EXPECT(slice_equal(buf_slice(&text), slice_text("10.0.0.2:7")));
    buf_release(&text);
    end(&g);
    rig_release(&g);
}

/* Requests whose time is over, and those that find it stopping, end. */
static void replica__what_it_cannot_do_in_time_is_not_done(void)
{
    struct rig g;
    struct err err = {""};
    struct ask asks[2];
    struct list all;
    rig_init(&g);
    EXPECT(make(&g, &err) == ST_OK);
    EXPECT(begin(&g, &err) == ST_OK);
    replica_stop(g.replica);
    list_init(&all);
    for (int i = 0; i < 2; i++) {
        ask_init(&g, &asks[i], i == 1);
        list_insert(&all, &asks[i].q.link);
    }
    replica_submit(g.replica, &all); /* nobody is there */
    EXPECT(replica_start(g.replica) == ST_OK);
    replica_stop(g.replica);
    EXPECT(g.done == 2);
    EXPECT(asks[0].q.outcome != 0 && asks[1].q.outcome != 0);
    buf_release(&asks[0].q.reply);
    end(&g);
    rig_release(&g);
}

/* Every allocation refused once: an error that says so, or it is overcome. */
static void replica__refused_memory_is_met(void)
{
    for (long n = 0;; n++) {
        struct rig g;
        struct err err = {""};
        struct ask a;
        rig_init(&g);
        g.te.fail_at = n;
        enum status st = make(&g, &err);
        EXPECT(st == ST_OK || st == ST_NOMEM);
        bool made = st == ST_OK || make(&g, &err) == ST_OK;
        st = made ? begin(&g, &err) : ST_NOENT;
        EXPECT(st == ST_OK || st == ST_NOMEM);
        if (st == ST_OK) {
            ask_init(&g, &a, false);
            ask_all(&g, &a, 1);
            EXPECT(a.q.outcome == REPLICA_DONE);
            EXPECT(replica_failed(g.replica) == ST_OK);
            buf_release(&a.q.reply);
        } else {
            EXPECT(strstr(err.text, "memory") != NULL);
        }
        end(&g);
        bool reached = g.te.allocs > n;
        rig_release(&g);
        if (!reached || tap_failed) {
            EXPECT(n > 30);
            printf("# %ld allocations\n", n);
            return;
        }
    }
}

TAP_MAIN({
    RUN(replica__what_comes_together_is_one_entry);
    RUN(replica__the_log_is_compacted);
    RUN(replica__what_is_abandoned_ends);
    RUN(replica__a_snapshot_is_taken_when_asked);
    RUN(replica__a_log_that_lost_terms_is_not_started);
    RUN(replica__who_does_not_catch_up_gets_no_vote);
    RUN(replica__what_it_cannot_do_in_time_is_not_done);
    RUN(replica__refused_memory_is_met);
})
