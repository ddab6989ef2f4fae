/* test_once.c - sessions against a model that keeps everything, and their rows. */
#include "node/once.h"

#include "base/code.h"
#include "base/prng.h"
#include "tests/node/faketkv.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdlib.h>

#define SESSIONS 6
#define HISTORY  64

struct rig {
    struct inject te;
    struct tkv *db;
    struct view view;
    struct once once;
    struct buf reply;
};

static void rig_init(struct rig *g)
{
    test_env_init(&g->te, NULL);
    EXPECT(tkv_open(NULL, "x", &g->db, NULL) == TKV_OK);
    view_init(&g->view, &g->te.env, g->db);
    g->once = (struct once){.view = &g->view, .index = 1, .salt = 1};
    buf_init(&g->reply, &g->te.env.mem);
}

static void rig_release(struct rig *g)
{
    buf_release(&g->reply);
    view_release(&g->view);
    EXPECT(tkv_close(g->db) == TKV_OK);
    EXPECT(g->te.live == 0);
}

/* One request; its first execution replies with `reply`. */
static enum once_verdict request(struct rig *g, uint64_t session, uint64_t sequence,
                                 uint64_t answered, const char *reply)
{
    struct once_request r = {.session = session, .sequence = sequence, .answered = answered};
    enum once_verdict v = 0;
    buf_clear(&g->reply);
    EXPECT(once_begin(&g->once, &r, &g->reply, &v) == ST_OK);
    if (v == ONCE_NEW) {
        EXPECT(once_end(&g->once, &r, slice_text(reply)) == ST_OK);
    }
    return v;
}

static uint64_t open_one(struct rig *g, uint64_t most)
{
    uint64_t id = 0;
    g->once.salt++;
    EXPECT(once_open(&g->once, most, &id) == ST_OK);
    EXPECT(id > 0 && id <= INT64_MAX);
    return id;
}

/* ---- rows ---- */

struct rows {
    uint64_t sessions;
    uint64_t uses;
    uint64_t replies;
    uint64_t others;
};

static struct rows rows_count(struct rig *g)
{
    struct rows n = {0};
    struct view_iter it;
    struct slice all = {NULL, 0};
    EXPECT(view_iter_open_all(&it, &g->view, all, all, false) == ST_OK);
    for (; it.valid; view_iter_next(&it)) {
        char kind = view_iter_key(&it).data[2];
        n.sessions += kind == 's';
        n.uses += kind == 'u';
        n.replies += kind == 'r';
        n.others += kind != 's' && kind != 'u' && kind != 'r' && kind != 'n';
    }
    view_iter_close(&it);
    uint64_t count = 0;
    EXPECT(once_count(&g->once, &count) == ST_OK);
    EXPECT(n.sessions == count);
    EXPECT(n.uses == count);
    EXPECT(n.others == 0);
    return n;
}

/* ---- single properties ---- */

static void once__a_number_is_executed_once(void)
{
    struct rig g;
    rig_init(&g);
    uint64_t a = open_one(&g, 10);
    uint64_t b = open_one(&g, 10);
    EXPECT(a != b);
    EXPECT(request(&g, a, 1, 0, ":1\r\n") == ONCE_NEW);
    EXPECT(request(&g, a, 1, 0, ":2\r\n") == ONCE_REPEAT);
    EXPECT(slice_equal(buf_slice(&g.reply), slice_text(":1\r\n")));
    EXPECT(request(&g, b, 1, 0, ":3\r\n") == ONCE_NEW);
    EXPECT(request(&g, a, 3, 0, ":4\r\n") == ONCE_NEW);
    EXPECT(request(&g, a, 2, 0, ":5\r\n") == ONCE_NEW); /* overtaken, not forgotten */
    EXPECT(request(&g, a, 2, 0, ":6\r\n") == ONCE_REPEAT);
    EXPECT(slice_equal(buf_slice(&g.reply), slice_text(":5\r\n")));
    EXPECT(request(&g, a, 3, 0, ":7\r\n") == ONCE_REPEAT);
    EXPECT(rows_count(&g).replies == 4);
    rig_release(&g);
}

static void once__what_was_answered_is_forgotten(void)
{
    struct rig g;
    rig_init(&g);
    uint64_t a = open_one(&g, 10);
    EXPECT(request(&g, a, 0, 0, "x") == ONCE_FORGOTTEN); /* numbers begin at 1 */
    for (uint64_t s = 1; s <= 5; s++) {
        EXPECT(request(&g, a, s, 0, "x") == ONCE_NEW);
    }
    EXPECT(request(&g, a, 6, 5, "x") == ONCE_NEW);
    EXPECT(rows_count(&g).replies == 2);
    EXPECT(request(&g, a, 4, 0, "x") == ONCE_FORGOTTEN);
    EXPECT(request(&g, a, 5, 0, "x") == ONCE_REPEAT);
    EXPECT(request(&g, a, 7, 9, "x") == ONCE_FORGOTTEN); /* it says so itself */
    EXPECT(request(&g, a, UINT64_MAX, 0, "x") == ONCE_FORGOTTEN);
    EXPECT(request(&g, a, 7, 7, "x") == ONCE_NEW);
    EXPECT(rows_count(&g).replies == 1);
    rig_release(&g);
}

/* No more than ONCE_WINDOW replies are kept, whether or not the client says what it has. */
static void once__the_window_is_bounded(void)
{
    struct rig g;
    rig_init(&g);
    uint64_t a = open_one(&g, 10);
    for (uint64_t s = 1; s <= ONCE_WINDOW + 10; s++) {
        EXPECT(request(&g, a, s, 0, "x") == ONCE_NEW);
    }
    EXPECT(rows_count(&g).replies == ONCE_WINDOW);
    EXPECT(request(&g, a, 10, 0, "x") == ONCE_FORGOTTEN);
    EXPECT(request(&g, a, 11, 0, "x") == ONCE_REPEAT);
    EXPECT(request(&g, a, 1000000, 0, "x") == ONCE_NEW); /* far ahead */
    EXPECT(rows_count(&g).replies == 1);
    EXPECT(request(&g, a, 1000000 - ONCE_WINDOW + 1, 0, "x") == ONCE_NEW);
    EXPECT(request(&g, a, 1000000 - ONCE_WINDOW, 0, "x") == ONCE_FORGOTTEN);
    EXPECT(once_close(&g.once, a) == ST_OK);
    struct rows n = rows_count(&g);
    EXPECT(n.sessions == 0 && n.replies == 0);
    rig_release(&g);
}

static void once__a_large_reply_is_not_kept(void)
{
    struct rig g;
    rig_init(&g);
    char *large = malloc(ONCE_REPLY_MAX + 2);
    memset(large, 'x', ONCE_REPLY_MAX + 1);
    large[ONCE_REPLY_MAX + 1] = '\0';
    uint64_t a = open_one(&g, 10);
    EXPECT(request(&g, a, 1, 0, large) == ONCE_NEW);
    EXPECT(request(&g, a, 1, 0, "x") == ONCE_DROPPED);
    large[ONCE_REPLY_MAX] = '\0';
    EXPECT(request(&g, a, 2, 0, large) == ONCE_NEW);
    EXPECT(request(&g, a, 2, 0, "x") == ONCE_REPEAT);
    EXPECT(slice_equal(buf_slice(&g.reply), slice_text(large)));
    free(large);
    rig_release(&g);
}

static void once__the_oldest_goes_when_there_are_too_many(void)
{
    struct rig g;
    rig_init(&g);
    uint64_t id[3];
    for (int i = 0; i < 3; i++) {
        g.once.index += ONCE_USE_STEP;
        id[i] = open_one(&g, 3);
    }
    g.once.index += ONCE_USE_STEP;
    EXPECT(request(&g, id[0], 1, 0, "x") == ONCE_NEW); /* now it is the youngest */
    uint64_t fourth = open_one(&g, 3);
    EXPECT(request(&g, id[1], 1, 0, "x") == ONCE_EXPIRED);
    EXPECT(request(&g, id[0], 2, 0, "x") == ONCE_NEW);
    EXPECT(request(&g, id[2], 1, 0, "x") == ONCE_NEW);
    EXPECT(request(&g, fourth, 1, 0, "x") == ONCE_NEW);
    g.once.index += 10 * ONCE_USE_STEP;
    EXPECT(once_renew(&g.once, id[2]) == ST_OK);
    EXPECT(once_renew(&g.once, id[1]) == ST_NOENT);
    uint64_t fifth = open_one(&g, 1); /* the bound is smaller now: all others go */
    EXPECT(rows_count(&g).sessions == 1);
    EXPECT(request(&g, id[2], 2, 0, "x") == ONCE_EXPIRED);
    EXPECT(once_close(&g.once, id[2]) == ST_NOENT);
    EXPECT(once_close(&g.once, fifth) == ST_OK);
    EXPECT(rows_count(&g).sessions == 0);
    rig_release(&g);
}

/* A use counts once it is a whole step behind the one that is written down, and not before. */
static void once__uses_are_noted_by_steps(void)
{
    for (uint64_t step = ONCE_USE_STEP - 1; step <= ONCE_USE_STEP; step++) {
        struct rig g;
        rig_init(&g);
        uint64_t a = open_one(&g, 2);
        g.once.index++;
        uint64_t b = open_one(&g, 2);
        g.once.index += step - 1;
        EXPECT(request(&g, a, 1, 0, "x") == ONCE_NEW);
        (void)open_one(&g, 2);
        bool noted = step == ONCE_USE_STEP;
        EXPECT(request(&g, a, 2, 0, "x") == (noted ? ONCE_NEW : ONCE_EXPIRED));
        EXPECT(request(&g, b, 1, 0, "x") == (noted ? ONCE_EXPIRED : ONCE_NEW));
        rig_release(&g);
    }
}

/* Two openings in one entry get different numbers, also when the first one was evicted. */
static void once__ids_differ(void)
{
    struct rig g;
    rig_init(&g);
    uint64_t a = open_one(&g, 1);
    uint64_t b = open_one(&g, 1);
    EXPECT(a != b);
    g.once.salt--; /* a hash that collides: the next free number is taken */
    uint64_t c = 0;
    EXPECT(once_open(&g.once, 10, &c) == ST_OK);
    uint64_t d = 0;
    EXPECT(once_open(&g.once, 10, &d) == ST_OK);
    EXPECT(c != b && d != b && c != d);
    EXPECT(rows_count(&g).sessions == 3);
    rig_release(&g);
}

static void once__rows_that_are_none_are_corrupt(void)
{
    struct rig g;
    rig_init(&g);
    uint64_t a = open_one(&g, 10);
    char key[11] = VIEW_RESERVED "s";
    char row[25] = {1};
    struct once_request r = {.session = a, .sequence = 1};
    enum once_verdict v;
    for (int i = 0; i < 8; i++) {
        key[3 + i] = (char)(unsigned char)(a >> (56 - 8 * i));
    }
    struct slice k = slice_of(key, sizeof key);
    EXPECT(view_exists(&g.view, k) == ST_OK);
    EXPECT(view_put(&g.view, k, slice_of(row, 24)) == ST_OK);
    EXPECT(once_begin(&g.once, &r, &g.reply, &v) == ST_CORRUPT);
    code_put64(row + 17, ONCE_WINDOW); /* last, with floor 0 */
    EXPECT(view_put(&g.view, k, slice_of(row, 25)) == ST_OK);
    EXPECT(once_begin(&g.once, &r, &g.reply, &v) == ST_CORRUPT);
    code_put64(row + 17, ONCE_WINDOW - 1);
    EXPECT(once_begin(&g.once, &r, &g.reply, &v) == ST_OK);
    row[0] = 2;
    EXPECT(once_close(&g.once, a) == ST_CORRUPT);
    rig_release(&g);
}

/* ---- against a model ---- */

struct model {
    uint64_t id; /* 0: free */
    uint64_t floor;
    uint64_t last;
    uint64_t use;
    bool done[HISTORY]; /* sequence numbers stay below it */
};

static void model_evict(struct model *m, uint64_t most)
{
    for (;;) {
        struct model *oldest = NULL;
        uint64_t count = 0;
        for (int i = 0; i < SESSIONS; i++) {
            bool older = m[i].id != 0 && (oldest == NULL || m[i].use < oldest->use ||
                                          (m[i].use == oldest->use && m[i].id < oldest->id));
            count += m[i].id != 0;
            oldest = older ? &m[i] : oldest;
        }
        if (count < most) {
            return;
        }
        *oldest = (struct model){.id = 0};
    }
}

static void model_open(struct rig *g, struct model *m, struct prng *r)
{
    uint64_t most = 1 + prng_below(r, SESSIONS);
    uint64_t id = open_one(g, most);
    model_evict(m, most);
    int at = 0;
    while (m[at].id != 0) {
        at++;
    }
    m[at] = (struct model){.id = id, .use = g->once.index, .floor = 1};
}

static void model_touch(struct rig *g, struct model *s)
{
    if (g->once.index - s->use >= ONCE_USE_STEP) {
        s->use = g->once.index;
    }
}

static void model_request(struct rig *g, struct model *s, struct prng *r)
{
    uint64_t sequence = prng_below(r, s->last + 4 < HISTORY ? s->last + 4 : HISTORY);
    uint64_t answered = prng_below(r, 4) == 0 ? prng_below(r, sequence + 2) : 0;
    uint64_t floor = answered > s->floor ? answered : s->floor;
    enum once_verdict want = sequence < floor    ? ONCE_FORGOTTEN
                             : s->done[sequence] ? ONCE_REPEAT
                                                 : ONCE_NEW;
    char reply[32];
    (void)snprintf(reply, sizeof reply, "%d", (int)sequence);
    EXPECT(request(g, s->id, sequence, answered, reply) == want);
    if (want == ONCE_REPEAT) {
        EXPECT(slice_equal(buf_slice(&g->reply), slice_text(reply)));
    } else if (want == ONCE_NEW) {
        s->done[sequence] = true;
        s->floor = floor;
        s->last = sequence > s->last ? sequence : s->last;
        model_touch(g, s);
    }
}

static void model_step(struct rig *g, struct model *m, struct prng *r)
{
    struct model *s = &m[prng_below(r, SESSIONS)];
    uint64_t dice = prng_below(r, 32);
    g->once.index += prng_below(r, 8) == 0 ? prng_below(r, 2 * ONCE_USE_STEP) : 1;
    if (dice == 0) {
        model_open(g, m, r);
    } else if (s->id == 0) {
        EXPECT(request(g, prng_next(r), 1, 0, "x") == ONCE_EXPIRED);
    } else if (dice == 1) {
        EXPECT(once_close(&g->once, s->id) == ST_OK);
        *s = (struct model){.id = 0};
    } else if (dice == 2) {
        EXPECT(once_renew(&g->once, s->id) == ST_OK);
        model_touch(g, s);
    } else {
        model_request(g, s, r);
    }
}

static void once__does_what_a_model_does(void)
{
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct rig g;
        struct prng r = {seed};
        struct model m[SESSIONS] = {{.id = 0}};
        rig_init(&g);
        for (int i = 0; i < 600; i++) {
            model_step(&g, m, &r);
        }
        uint64_t kept = 0;
        uint64_t sessions = 0;
        for (int i = 0; i < SESSIONS; i++) {
            sessions += m[i].id != 0;
            for (uint64_t s = m[i].floor; m[i].id != 0 && s < HISTORY; s++) {
                kept += m[i].done[s];
            }
        }
        struct rows n = rows_count(&g);
        EXPECT(n.sessions == sessions);
        EXPECT(n.replies == kept);
        rig_release(&g);
    }
}

/* Every allocation refused once: what failed is taken back, and then it is as if nothing was. */
static void once__refused_memory_can_be_taken_back(void)
{
    for (long n = 0;; n++) {
        struct rig g;
        rig_init(&g);
        long before = g.te.allocs;
        g.te.fail_at = before + n;
        uint64_t id = 0;
        while (once_open(&g.once, 2, &id) == ST_NOMEM) {
            overlay_undo(&g.view.overlay, 0);
        }
        for (uint64_t s = 1; s <= 80;) {
            uint32_t mark = g.view.overlay.count;
            struct once_request q = {.session = id, .sequence = s, .answered = s - 1};
            enum once_verdict v = ONCE_NEW;
            enum status st = once_begin(&g.once, &q, &g.reply, &v);
            EXPECT(st != ST_OK || v == ONCE_NEW);
            if (st == ST_OK) {
                st = once_end(&g.once, &q, slice_text("reply"));
            }
            EXPECT(st == ST_OK || st == ST_NOMEM);
            if (st == ST_NOMEM) {
                overlay_undo(&g.view.overlay, mark);
            }
            s += st == ST_OK;
        }
        bool reached = g.te.allocs > before + n;
        g.te.fail_at = -1;
        EXPECT(rows_count(&g).replies == 2);
        rig_release(&g);
        if (!reached) {
            EXPECT(n > 3);
            return;
        }
    }
}

TAP_MAIN({
    RUN(once__a_number_is_executed_once);
    RUN(once__what_was_answered_is_forgotten);
    RUN(once__the_window_is_bounded);
    RUN(once__a_large_reply_is_not_kept);
    RUN(once__the_oldest_goes_when_there_are_too_many);
    RUN(once__uses_are_noted_by_steps);
    RUN(once__ids_differ);
    RUN(once__rows_that_are_none_are_corrupt);
    RUN(once__does_what_a_model_does);
    RUN(once__refused_memory_can_be_taken_back);
})
