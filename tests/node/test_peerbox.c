/* test_peerbox.c - the box between the wire's thread and the core's: one thread
 * is enough for what it promises of one; two real ones are in test_peersreal.c. */
#include "node/peerbox.h"

#include "env/env_posix.h"
#include "tests/node/peertest.h"
#include "tests/tap.h"
#include "tests/test_env.h"

struct fix {
    struct env *posix;
    struct inject te;
    struct peerbox box;
};

static void fix_open(struct fix *f, size_t limit)
{
    memset(f, 0, sizeof *f);
    EXPECT(env_posix_new(NULL, &f->posix) == ST_OK);
    test_env_init(&f->te, f->posix);
    peerbox_init(&f->box, &f->te.env, limit);
}

static void fix_close(struct fix *f)
{
    peerbox_release(&f->box);
    EXPECT(f->te.live == 0);
    inject_release(&f->te);
    env_posix_free(f->posix);
}

static void peerbox__messages_come_out_as_they_went_in(void)
{
    struct fix f;
    struct prng in_g = {5}, out_g = {5};
    static struct peertest t;
    bool resume;
    fix_open(&f, 1u << 20);
    for (int turn = 0; turn < 200; turn++) {
        int count = turn % 7;
        for (int i = 0; i < count; i++) {
            bool first;
            peertest_random(&t, &in_g);
            EXPECT(peerbox_put(&f.box, &t.in, &first) == ST_OK);
            EXPECT(first == (i == 0));
            memset(&t, 0xee, sizeof t); /* it was copied */
        }
        struct list *got = peerbox_take(&f.box, &resume);
        EXPECT(!resume);
        for (struct list *l = got->next; l != got; l = l->next, count--) {
            peertest_random(&t, &out_g);
            EXPECT(peertest_same(&t.in, &LIST_ENTRY(l, struct peerbox_message, link)->in));
        }
        EXPECT(count == 0);
    }
    fix_close(&f);
}

static void peerbox__is_bounded_and_says_when_to_go_on(void)
{
    struct fix f;
    struct prng g = {9};
    static struct peertest t;
    bool resume;
    fix_open(&f, 4000);
    do {
        peertest_random(&t, &g);
    } while (t.in.msg.count < 5);
    int taken = 0;
    while (peerbox_put(&f.box, &t.in, NULL) == ST_OK) {
        taken++;
    }
    EXPECT(taken > 0);
    EXPECT(f.box.bytes <= 4000);
    EXPECT(!list_empty(peerbox_take(&f.box, &resume)));
    EXPECT(resume);
    EXPECT(list_empty(peerbox_take(&f.box, &resume)));
    EXPECT(!resume);
    fix_close(&f);
    fix_open(&f, 10); /* what is larger than the box goes in alone */
    EXPECT(peerbox_put(&f.box, &t.in, NULL) == ST_OK);
    EXPECT(peerbox_put(&f.box, &t.in, NULL) == ST_BUSY);
    EXPECT(!list_empty(peerbox_take(&f.box, &resume)) && resume);
    EXPECT(peerbox_put(&f.box, &t.in, NULL) == ST_OK);
    fix_close(&f);
}

static void peerbox__allocates_nothing_once_it_is_warm(void)
{
    struct fix f;
    static struct peertest t;
    bool resume;
    long warm = 0;
    fix_open(&f, 1u << 20);
    for (int turn = 0; turn < 100; turn++) {
        struct prng g = {77};
        warm = turn == 50 ? f.te.allocs : warm;
        for (int i = 0; i < 30; i++) {
            peertest_random(&t, &g);
            EXPECT(peerbox_put(&f.box, &t.in, NULL) == ST_OK);
        }
        (void)peerbox_take(&f.box, &resume);
    }
    EXPECT(f.te.allocs == warm);
    fix_close(&f);
}

static void peerbox__refused_memory_refuses_one_message(void)
{
    struct fix f;
    struct prng g = {5};
    static struct peertest t;
    bool resume;
    fix_open(&f, 1u << 20);
    peertest_random(&t, &g);
    f.te.fail_at = 0;
    EXPECT(peerbox_put(&f.box, &t.in, NULL) == ST_NOMEM);
    EXPECT(list_empty(peerbox_take(&f.box, &resume)));
    EXPECT(peerbox_put(&f.box, &t.in, NULL) == ST_OK);
    EXPECT(!list_empty(peerbox_take(&f.box, &resume)));
    fix_close(&f);
}

TAP_MAIN(RUN(peerbox__messages_come_out_as_they_went_in);
         RUN(peerbox__is_bounded_and_says_when_to_go_on);
         RUN(peerbox__allocates_nothing_once_it_is_warm);
         RUN(peerbox__refused_memory_refuses_one_message);)
