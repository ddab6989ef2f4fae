/* test_tkvc.c - the client for programs against the real node, in a simulated world. */
#include "net/tkvc.h"

#include "base/slice.h"
#include "fault/inject.h"
#include "node/node.h"
#include "tests/net/clientlab.h"
#include "tests/tap.h"

#define PAIRS 40

static struct clientlab lab;
static char text[64];
static bool once;
static enum tkvc_consistency fresh;

static bool open_on(struct env *env, uint64_t timeout_ms, struct tkvc **c)
{
    struct tkvc_options o;
    struct tkvc_error error;
    struct env_addr a = clientlab_address(lab.nodes[1].host);
    (void)snprintf(text, sizeof text, "%u.%u.%u.%u:%u,10.9.9.9:1", a.ip[0], a.ip[1], a.ip[2],
                   a.ip[3], a.port);
    tkvc_options_init(&o);
    o.env = env;
    o.nodes = text;
    o.once = once;
    o.consistency = fresh;
    o.timeout_ms = timeout_ms;
    return tkvc_open(&o, c, &error) == TKVC_OPENED;
}

static bool holds(struct tkvc *c, const char *key, const char *want)
{
    struct tkvc_result r;
    bool done = tkvc_get(c, key, strlen(key), &r) == TKVC_DONE && r.code == 0;
    bool same = want == NULL
                    ? !r.yes
                    : r.yes && slice_equal(slice_of(r.value, r.value_size), slice_text(want));
    return done && same;
}

struct seen {
    int count;
    int stop_at;
};

static bool see(void *arg, const void *key, size_t key_size, const void *value, size_t value_size)
{
    struct seen *s = arg;
    char want[8];
    int size = snprintf(want, sizeof want, "p%03d", s->count++);
    EXPECT(key_size == (size_t)size && memcmp(key, want, key_size) == 0);
    EXPECT(value_size == 100000 && ((const char *)value)[99999] == 'v');
    return s->count != s->stop_at;
}

static void scans(struct tkvc *c)
{
    static char big[100000];
    struct tkvc_result r;
    char key[8];
    memset(big, 'v', sizeof big);
    for (int i = 0; i < PAIRS; i++) { /* several pages of a MiB */
        (void)snprintf(key, sizeof key, "p%03d", i);
        EXPECT(tkvc_put(c, key, 4, big, sizeof big, &r) == TKVC_DONE);
    }
    struct seen all = {.stop_at = -1};
    EXPECT(tkvc_scan(c, "p", 1, "q", 1, see, &all, &r) == TKVC_DONE && all.count == PAIRS);
    struct seen some = {.stop_at = 17};
    EXPECT(tkvc_scan(c, "p", 1, NULL, 0, see, &some, &r) == TKVC_DONE && some.count == 17);
    struct seen none = {.stop_at = -1};
    EXPECT(tkvc_scan(c, "zz", 2, NULL, 0, see, &none, &r) == TKVC_DONE && none.count == 0);
}

static int every_call(struct clientlab *l, struct env *env)
{
    struct tkvc *c;
    struct tkvc_result r;
    (void)l;
    EXPECT(open_on(env, 20000, &c));
    EXPECT(holds(c, "k", NULL));
    EXPECT(tkvc_put(c, "k", 1, "v", 1, &r) == TKVC_DONE && holds(c, "k", "v"));
    EXPECT(tkvc_put_if(c, "k", 1, false, "w", 1, &r) == TKVC_DONE && !r.yes);
    EXPECT(tkvc_put_if(c, "k", 1, true, "w", 1, &r) == TKVC_DONE && r.yes);
    EXPECT(tkvc_cas(c, "k", 1, "v", 1, "x", 1, &r) == TKVC_DONE && !r.yes);
    EXPECT(tkvc_cas(c, "k", 1, "w", 1, "", 0, &r) == TKVC_DONE && r.yes && holds(c, "k", ""));
    EXPECT(tkvc_cas(c, "z", 1, NULL, 0, "1", 1, &r) == TKVC_DONE && r.yes);
    EXPECT(tkvc_append(c, "k", 1, "ab", 2, &r) == TKVC_DONE && r.number == 2);
    EXPECT(tkvc_incr(c, "n", 1, -5, &r) == TKVC_DONE && r.number == -5);
    EXPECT(tkvc_incr(c, "k", 1, 1, &r) == TKVC_NOT_DONE && r.code == 11 && r.message[0] != '\0');
    EXPECT(tkvc_delete(c, "k", 1, &r) == TKVC_DONE && r.yes && holds(c, "k", NULL));
    EXPECT(tkvc_delete(c, "k", 1, &r) == TKVC_DONE && !r.yes);
    EXPECT(tkvc_get(c, "\xff\xff", 2, &r) == TKVC_NOT_DONE && r.message[0] != '\0');
    scans(c);
    tkvc_close(c);
    return 0;
}

/* Each allocation once, of opening and of a write: it ends, and truly. */
static int refused(struct clientlab *l, struct env *env)
{
    struct tkvc_result r;
    struct inject in;
    bool all = false;
    int64_t sure = 0, maybe = 0;
    (void)l;
    for (long n = 0; !all && n < 100; n++) {
        struct tkvc *c = NULL;
        inject_init(&in, env);
        in.fail_at = n;
        if (open_on(&in.env, 2000, &c)) {
            enum tkvc_outcome o = tkvc_incr(c, "sum", 3, 1, &r);
            sure += o == TKVC_DONE;
            maybe += o == TKVC_UNKNOWN;
        }
        tkvc_close(c);
        EXPECT(in.live == 0 && in.descriptors == 0);
        all = in.allocs <= n;
        inject_release(&in);
    }
    struct tkvc *c = NULL;
    EXPECT(all && open_on(env, 20000, &c));
    EXPECT(tkvc_incr(c, "sum", 3, 0, &r) == TKVC_DONE);
    EXPECT(r.number >= sure && r.number <= sure + maybe && sure > 0);
    tkvc_close(c);
    return 0;
}

static int no_sessions(struct clientlab *l, struct env *env)
{
    struct tkvc *c;
    struct tkvc_result r;
    (void)l;
    EXPECT(open_on(env, 2000, &c));
    EXPECT(tkvc_put(c, "k", 1, "v", 1, &r) == TKVC_NOT_DONE && r.code == 19);
    EXPECT(holds(c, "k", NULL));
    tkvc_close(c);
    return 0;
}

static char words[][40] = {
    "tinykv", "serve", "--data=data", "--listen=0.0.0.0:7000", "--log-level=error", "--id=1"};
static char *args[] = {words[0], words[1], words[2], words[3], words[4], words[5], NULL};

static void run_with(int (*client)(struct clientlab *l, struct env *env), bool group)
{
    clientlab_open(&lab, 1);
    lab.client = client;
    lab.program = node_main;
    lab.argc = group ? 6 : 5;
    lab.argv[1] = args;
    lab.node_count = 1;
    bool well = clientlab_run(&lab);
    EXPECT(well);
    if (!well) {
        printf("# %s: %s\n", lab.t.world.failure.class, lab.t.world.failure.text);
    }
    EXPECT(lab.leaks[0] == '\0');
    clientlab_close(&lab);
}

static void test_tkvc__every_call(void)
{
    once = false;
    for (fresh = TKVC_LINEARIZABLE; fresh <= TKVC_LOCAL; fresh++) {
        once = false;
        run_with(every_call, false);
        once = true;
        run_with(every_call, true);
    }
    fresh = TKVC_LINEARIZABLE;
}

static void test_tkvc__once_is_refused_where_there_are_no_sessions(void)
{
    once = true;
    run_with(no_sessions, false);
}

static void test_tkvc__refused_memory(void)
{
    once = true;
    run_with(refused, true);
    once = false;
    run_with(refused, false);
}

static void test_tkvc__options_are_looked_at(void)
{
    static const char *const bad[] = {"", "10.0.0.1", "10.0.0.1:1,", "host:1", "1.2.3.4:99999"};
    struct tkvc_options o;
    struct tkvc_error error;
    struct tkvc *c;
    struct env nowhere = {.vt = NULL};
    tkvc_options_init(&o);
    EXPECT(tkvc_open(&o, &c, &error) == TKVC_BAD_OPTIONS);
    o.env = &nowhere;
    EXPECT(tkvc_open(&o, &c, NULL) == TKVC_BAD_OPTIONS);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        o.nodes = bad[i];
        error.text[0] = '\0';
        EXPECT(tkvc_open(&o, &c, &error) == TKVC_BAD_OPTIONS && error.text[0] != '\0');
    }
    o.nodes = "10.0.0.1:1";
    o.consistency = (enum tkvc_consistency)3;
    EXPECT(tkvc_open(&o, &c, &error) == TKVC_BAD_OPTIONS);
    o.consistency = TKVC_LOCAL;
    o.timeout_ms = 0;
    EXPECT(tkvc_open(&o, &c, &error) == TKVC_BAD_OPTIONS);
    o.size--;
    EXPECT(tkvc_open(&o, &c, &error) == TKVC_BAD_OPTIONS && c == NULL);
    tkvc_close(NULL);
}

TAP_MAIN(RUN(test_tkvc__every_call); RUN(test_tkvc__once_is_refused_where_there_are_no_sessions);
         RUN(test_tkvc__refused_memory); RUN(test_tkvc__options_are_looked_at);)
