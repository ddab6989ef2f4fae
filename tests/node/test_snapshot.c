/* test_snapshot.c - snapshots on their way from one simulated node to another: cuts, resets,
 * crashes of the receiver, another snapshot in between. */
#include "base/ck.h"
#include "env/fullio.h"
#include "node/snaprecv.h"
#include "node/snapsend.h"
#include "sim/simlink.h"
#include "tests/node/peertest.h"
#include "tests/sim/simtest.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#define MS   1000000ull
#define PORT 7000

struct lab {
    struct simtest t;
    struct host *from, *to;
    struct list tasks;
    void (*steer)(struct lab *lab);
    uint64_t end_ms;
    /* the sender */
    unsigned files;
    size_t file_bytes;
    size_t chunk;
    uint64_t rate;
    uint64_t give_up_ms;
    uint64_t linger_ms; /* the receiver goes on so long after the sender */
    unsigned rounds;    /* snapshots one after the other */
    unsigned done, good, bad;
    uint64_t tries;
    struct proc *sender;
    long sender_fails; /* this allocation is refused */
    uint64_t sender_allocs;
    long receiver_fails;
    uint64_t receiver_allocs;
    bool receiver_opened;
    /* the receiver */
    struct proc *receiver;
    uint64_t found; /* installed ones, at its start */
    uint64_t starts, staged, taken, wrong, left_over;
    bool keeps; /* does not take what is whole */
    struct snaprecv *r;
    struct peers *p;
    uint64_t want_id; /* of the snapshot that is sent */
    char leaks[2][256];
};

static struct lab lab;

static struct env_addr address(const struct host *h)
{
    struct env_addr a = {.family = 4, .port = PORT};
    a.ip[0] = 10;
    a.ip[1] = (uint8_t)(h->address >> 16);
    a.ip[2] = (uint8_t)(h->address >> 8);
    a.ip[3] = (uint8_t)h->address;
    return a;
}

static void describe(struct snapset *s, uint64_t index)
{
    s->place = (struct raft_place){index, 3};
    s->config_index = index - 1;
    s->config.count = 2;
    s->config.members[0] = (struct raft_member){1, 11, RAFT_IN};
    s->config.members[1] = (struct raft_member){2, 12, RAFT_IN};
}

/* ---- the sender's program ---- */

static void file_make(struct env *env, const char *dir, unsigned i, uint64_t seed)
{
    char path[ENV_PATH_MAX], piece[1000];
    struct prng g = {seed * 1000 + i};
    size_t size = i % 4 == 1 ? 0 : lab.file_bytes - prng_below(&g, lab.file_bytes / 2 + 1);
    int fd;
    (void)snprintf(path, sizeof path, "%s/%03u.sst", dir, i);
    CK(env_file_open(env, path, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &fd) == ST_OK);
    for (size_t at = 0; at < size; at += sizeof piece) {
        size_t put, n = size - at < sizeof piece ? size - at : sizeof piece;
        for (size_t k = 0; k < n; k++) {
            piece[k] = (char)prng_next(&g);
        }
        CK(fullio_pwrite(env, fd, piece, n, at, &put) == ST_OK);
    }
    (void)env_fd_close(env, fd);
}

static void on_done(void *arg, uint64_t node, uint64_t session, bool ok)
{
    (void)arg;
    EXPECT(node == 2 && session == 77);
    lab.done++;
    lab.good += ok;
    lab.bad += !ok;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static void send_one(struct env *env, unsigned round)
{
    char dir[16];
    struct snapset set;
    struct snapsend *s;
    struct err err = {0};
    uint64_t bytes, of;
    (void)snprintf(dir, sizeof dir, "snap%u", round);
    snapset_init(&set, &env->mem);
    describe(&set, 100 + round);
    if (snapset_scan(&set, env, dir, never, NULL, &err) != ST_OK) {
        snapset_release(&set);
        return;
    }
    lab.want_id = set.id;
    struct snapsend_options o = {.env = env,
                                 .log_least = ENV_LOG_INFO,
                                 .cluster = 5,
                                 .self = 1,
                                 .incarnation = 11,
                                 .life = 1,
                                 .to = 2,
                                 .addr = address(lab.to),
                                 .term = 9,
                                 .session = 77,
                                 .set = &set,
                                 .dir = dir,
                                 .chunk = lab.chunk,
                                 .window = 4 * lab.chunk,
                                 .rate = lab.rate,
                                 .give_up_ms = lab.give_up_ms,
                                 .done = on_done};
    unsigned before = lab.done;
    if (snapsend_start(&o, &s) == ST_OK) {
        while (lab.done == before && lab.t.world.sched.now < lab.end_ms * MS) {
            env_sleep_until(env, env_clock_mono(env) + 5 * MS);
        }
        snapsend_progress(s, &bytes, &of, &lab.tries);
        EXPECT(lab.bad > 0 || bytes == of);
        snapsend_free(s);
        EXPECT(lab.done == before + 1);
    }
    snapset_release(&set);
}

static int sender_main(struct env *real, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct inject in;
    inject_init(&in, real);
    in.fail_at = lab.sender_fails;
    lab.sender = proc_of(real);
    for (unsigned round = 0; round < lab.rounds; round++) {
        char dir[16];
        (void)snprintf(dir, sizeof dir, "snap%u", round);
        enum status st = env_dir_make(real, dir);
        CK(st == ST_OK || st == ST_EXIST); /* an earlier life made it */
        for (unsigned i = 0; i < lab.files; i++) {
            file_make(real, dir, i, round);
        }
    }
    for (unsigned round = 0; round < lab.rounds; round++) {
        send_one(lab.sender_fails >= 0 ? &in.env : real, round);
    }
    lab.sender_allocs = (uint64_t)in.allocs;
    EXPECT(in.live == 0);
    inject_release(&in);
    lab.end_ms = lab.t.world.sched.now / MS + 100 + lab.linger_ms;
    lab.sender = NULL;
    return 0;
}

/* ---- the receiver's ---- */

static bool exists(struct env *env, const char *path)
{
    struct env_stat st;
    return env_path_stat(env, path, &st) == ST_OK && st.kind == ENV_KIND_DIR;
}

/* What is installed is what was sent, to the byte. */
static void installed_check(struct env *env, const char *dir, uint64_t index)
{
    struct snapset set;
    struct err err = {0};
    snapset_init(&set, &env->mem);
    describe(&set, index);
    enum status st = snapset_scan(&set, env, dir, never, NULL, &err);
    lab.wrong += st != ST_OK || set.id != lab.want_id;
    if (st != ST_OK || set.id != lab.want_id) {
        printf("# %s is not what was sent: %s\n", dir, err.text);
    }
    snapset_release(&set);
}

static void on_staged(void *arg, const struct snaprecv_staged *s)
{
    (void)arg;
    EXPECT(s->msg.type == RAFT_MSG_SNAPSHOT && s->msg.from == 1 && s->msg.to == 2);
    EXPECT(s->msg.term == 9 && s->msg.session == 77 && s->msg.incarnation == 11);
    EXPECT(s->msg.config->count == 2 && s->config_index + 1 == s->msg.place.index);
    lab.staged = s->msg.place.index;
}

static void on_bulk(void *arg, const struct peers_caller *caller)
{
    (void)arg;
    snaprecv_call(lab.r, caller);
}

static enum status on_deliver(void *arg, const struct peerwire_in *in)
{
    (void)arg;
    (void)in;
    return ST_OK;
}

static void take_whole(struct env *env)
{
    struct err err = {0};
    uint64_t index = lab.staged;
    if (index == 0 || lab.keeps) {
        return;
    }
    if (exists(env, "installed")) {
        char path[64];
        for (unsigned i = 0; i < lab.files; i++) {
            (void)snprintf(path, sizeof path, "installed/%03u.sst", i);
            CK(env_path_remove(env, path) == ST_OK);
        }
        CK(env_path_remove(env, "installed") == ST_OK);
    }
    lab.staged = 0;
    if (snaprecv_take(lab.r, "installed", &err) == ST_OK) {
        lab.taken++;
        installed_check(env, "installed", index);
    }
}

static int receiver_main(struct env *real, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct err err = {0};
    struct inject in;
    inject_init(&in, real);
    in.fail_at = lab.receiver_fails;
    struct env *env = lab.receiver_fails >= 0 ? &in.env : real;
    lab.receiver = proc_of(real);
    lab.starts++;
    if (exists(real, "installed")) {
        lab.found++;
        installed_check(real, "installed", 100);
    }
    lab.staged = 0;
    struct snaprecv_options ro = {.env = env,
                                  .log_least = ENV_LOG_INFO,
                                  .cluster = 5,
                                  .self = 2,
                                  .dir = "stage",
                                  .silence_ms = 3000,
                                  .staged = on_staged};
    struct peers_options po = {.env = env,
                               .log_least = ENV_LOG_INFO,
                               .cluster = 5,
                               .self = 2,
                               .listen = {.family = 4, .port = PORT},
                               .deliver = on_deliver,
                               .bulk = on_bulk};
    enum status st = snaprecv_open(&ro, &lab.r, &err);
    lab.left_over += st == ST_OK && exists(env, "stage");
    st = st == ST_OK ? peers_open(&po, &lab.p, &err) : st;
    st = st == ST_OK ? peers_start(lab.p) : st;
    lab.receiver_opened = st == ST_OK;
    while (st == ST_OK && lab.t.world.sched.now < lab.end_ms * MS) {
        env_sleep_until(env, env_clock_mono(env) + 2 * MS);
        take_whole(real);
    }
    peers_close(lab.p);
    snaprecv_close(lab.r);
    lab.p = NULL;
    lab.r = NULL;
    lab.receiver_allocs = (uint64_t)in.allocs;
    EXPECT(in.live == 0);
    inject_release(&in);
    return 0;
}

/* ---- the world ---- */

static void ended(void *arg, struct proc *p)
{
    struct simtest *t = arg;
    if (p->state == PROC_EXITED) {
        proc_leaks(p, lab.leaks[p->host == lab.to], sizeof lab.leaks[0]);
    }
    if (--t->running == 0) {
        world_stop(&t->world);
    }
}

static void steer_body(void *arg)
{
    (void)arg;
    lab.steer(&lab);
}

static void lab_open(uint64_t seed)
{
    memset(&lab, 0, sizeof lab);
    plan_init(&lab.t.plan, simmem(), seed);
    list_init(&lab.tasks);
    lab.end_ms = 60000;
    lab.files = 7;
    lab.file_bytes = 40000;
    lab.chunk = 4096;
    lab.rounds = 1;
    lab.sender_fails = -1;
    lab.receiver_fails = -1;
}

static void lab_run(void)
{
    simtest_open_plan(&lab.t);
    lab.t.hooks.ended = ended;
    lab.from = lab.t.host;
    lab.to = world_host(&lab.t.world, NULL);
    lab.t.world.faults = true;
    (void)simtest_start(&lab.t, lab.from, "sender", sender_main, NULL);
    (void)simtest_start(&lab.t, lab.to, "receiver", receiver_main, NULL);
    if (lab.steer != NULL) {
        (void)world_task(&lab.t.world, "steer", &lab.tasks, steer_body, &lab);
    }
    bool well = simtest_run(&lab.t);
    EXPECT(well);
    if (!well) {
        printf("# %s: %s\n", lab.t.world.failure.class, lab.t.world.failure.text);
    }
    EXPECT(lab.wrong == 0);
    EXPECT(lab.left_over == 0);
    EXPECT(lab.leaks[0][0] == '\0' && lab.leaks[1][0] == '\0');
    if (lab.leaks[0][0] != '\0' || lab.leaks[1][0] != '\0') {
        printf("# left: %s; %s\n", lab.leaks[0], lab.leaks[1]);
    }
}

static void lab_close(void)
{
    while (!list_empty(&lab.tasks)) {
        task_kill(LIST_ENTRY(lab.tasks.next, struct task, link));
    }
    simtest_close(&lab.t);
}

static void at(uint64_t ms)
{
    task_sleep_until(&lab.t.world.sched, ms * MS);
}

/* ---- what is to hold ---- */

static void snapshot__arrives_whole(void)
{
    lab_open(1);
    lab.rounds = 2;
    lab_run();
    EXPECT(lab.good == 2 && lab.taken == 2);
    EXPECT(lab.tries == 1);
    lab_close();
}

static void snapshot__without_a_byte(void)
{
    lab_open(2);
    lab.files = 2;
    lab.file_bytes = 0;
    lab_run();
    EXPECT(lab.good == 1 && lab.taken == 1);
    lab_close();
    lab_open(3);
    lab.files = 0;
    lab_run();
    EXPECT(lab.good == 1 && lab.taken == 1);
    lab_close();
}

static void resets(struct lab *l)
{
    for (uint64_t ms = 100; ms < 4000; ms += 150) {
        static const struct simlink_cut reset = {.mode = SIMLINK_RESET};
        at(ms);
        (void)simlink_cut(&l->t.world, l->from, l->to, &reset);
        at(ms + 60);
        simlink_heal_all(&l->t.world);
    }
}

/* 150 KB at 100 KB/s with a reset each 150 ms: it would never end if each try began anew. */
static void snapshot__goes_on_where_it_was(void)
{
    lab_open(4);
    lab.rate = 100000;
    lab.steer = resets;
    lab_run();
    EXPECT(lab.good == 1 && lab.taken == 1);
    EXPECT(lab.tries > 5);
    lab_close();
}

static void power(struct lab *l)
{
    struct prng g = {l->t.plan.seed};
    uint64_t ms = 0;
    for (int i = 0; i < 6; i++) {
        ms += 30 + prng_below(&g, 700);
        at(ms);
        l->t.running++;
        host_power_off(l->to, (enum simdisk_strategy)prng_below(&g, SIMDISK_META_FIRST));
        ms += 20;
        at(ms);
        host_power_on(l->to);
        (void)simtest_start(&l->t, l->to, "receiver", receiver_main, NULL);
        l->t.running--;
    }
}

static void snapshot__receiver_loses_power(void)
{
    uint64_t found = 0, tries = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        lab_open(seed);
        lab.rate = 400000;
        lab.linger_ms = 4000;
        lab.steer = power;
        lab_run();
        EXPECT(lab.good == 1);
        EXPECT(lab.starts == 7);
        found += lab.found;
        tries += lab.tries;
        if (tap_failed) {
            printf("# seed %llu\n", (unsigned long long)seed);
        }
        lab_close();
    }
    printf("# %llu tries, installed ones met again %llu times\n", (unsigned long long)tries,
           (unsigned long long)found);
    EXPECT(tries > 60 && found > 40);
}

static void sender_power(struct lab *l)
{
    at(200);
    EXPECT(l->done == 0);
    l->t.running++;
    host_power_off(l->from, SIMDISK_KEEP_ALL);
    at(250);
    host_power_on(l->from);
    (void)simtest_start(&l->t, l->from, "sender", sender_main, NULL);
    l->t.running--;
}

/* The receiver believes in the old connection for three seconds; the new one is served at once. */
static void snapshot__the_newest_connection_is_served(void)
{
    lab_open(12);
    lab.rate = 300000;
    lab.steer = sender_power;
    lab_run();
    EXPECT(lab.good == 1 && lab.taken == 1);
    EXPECT(lab.t.world.sched.now < 2000 * MS);
    lab_close();
}

static void snapshot__any_network(void)
{
    uint64_t tries = 0, good = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        lab_open(seed);
        plan_draw(&lab.t.plan);
        plan_draw_net(&lab.t.plan);
        lab.t.plan.value[PLAN_NET_LOSS] = 0;
        lab.t.plan.value[PLAN_NET_BANDWIDTH] = 0;
        lab.file_bytes = 20000;
        lab_run();
        /* Its disk may fail it; then it is told so, and nothing is wrong. */
        EXPECT(lab.done <= 1);
        tries += lab.tries;
        good += lab.good;
        if (tap_failed) {
            printf("# seed %llu\n", (unsigned long long)seed);
        }
        lab_close();
    }
    printf("# %llu of 30 arrived, %llu tries\n", (unsigned long long)good,
           (unsigned long long)tries);
    EXPECT(good >= 20);
}

static void cut_for_long(struct lab *l)
{
    static const struct simlink_cut drop = {.mode = SIMLINK_DROP};
    at(300);
    (void)simlink_cut(&l->t.world, l->from, l->to, &drop);
}

static void snapshot__is_given_up_in_the_end(void)
{
    lab_open(6);
    lab.rate = 100000;
    lab.give_up_ms = 20000;
    lab.steer = cut_for_long;
    lab_run();
    EXPECT(lab.bad == 1 && lab.taken == 0);
    EXPECT(lab.t.world.sched.now < 45000 * MS);
    lab_close();
}

static void snapshot__one_that_waits_is_not_written_over(void)
{
    lab_open(7);
    lab.keeps = true;
    lab.rounds = 2;
    lab.give_up_ms = 3000;
    lab_run();
    EXPECT(lab.good == 1 && lab.bad == 1);
    EXPECT(lab.staged == 100);
    lab_close();
}

static void snapshot__refused_memory_is_told(void)
{
    long n = 0;
    bool reached = true;
    for (; reached; n++) {
        lab_open(8);
        lab.files = 3;
        lab.sender_fails = n;
        lab_run();
        reached = lab.sender_allocs > (uint64_t)n;
        EXPECT(lab.done <= 1 && lab.bad <= 1);
        if (tap_failed) {
            printf("# allocation %ld\n", n);
        }
        lab_close();
    }
    printf("# %ld allocations\n", n);
    EXPECT(n > 5);
}

static void snapshot__refused_memory_of_the_receiver_costs_time(void)
{
    long n = 0;
    for (bool reached = true; reached; n++) {
        lab_open(9);
        lab.files = 3;
        lab.give_up_ms = 5000;
        lab.receiver_fails = n;
        lab_run();
        reached = lab.receiver_allocs > (uint64_t)n;
        EXPECT(!lab.receiver_opened || lab.good == 1);
        if (tap_failed) {
            printf("# allocation %ld\n", n);
        }
        lab_close();
    }
    printf("# %ld allocations\n", n);
    EXPECT(n > 6);
}

TAP_MAIN(RUN(snapshot__arrives_whole); RUN(snapshot__without_a_byte);
         RUN(snapshot__goes_on_where_it_was); RUN(snapshot__is_given_up_in_the_end);
         RUN(snapshot__one_that_waits_is_not_written_over); RUN(snapshot__refused_memory_is_told);
         RUN(snapshot__refused_memory_of_the_receiver_costs_time);
         RUN(snapshot__receiver_loses_power); RUN(snapshot__the_newest_connection_is_served);
         RUN(snapshot__any_network);)
