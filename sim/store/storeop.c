/* storeop.c - one operation of a worker: what it is depends on its own stream of choices alone, so
 * leaving others out does not change it. Values are unique. */
#include "base/ck.h"
#include "sim/store/storecopy.h"
#include "sim/store/storeread.h"
#include "sim/store/storetwin.h"

#include <stdio.h>
#include <string.h>

#define NS_PER_US   1000u
#define NS_PER_MS   1000000u
#define MILLION     1000000u
#define CHANGES_MAX 6
#define TRIES       50 /* of a write that faults refuse, where it has to be done */

enum kind {
    K_BATCH,
    K_PUT,
    K_DELETE,
    K_RANGE,
    K_GET,
    K_PIN,
    K_UNPIN,
    K_MANY,
    K_SCAN,
    K_SNAPSHOT,
    K_BY_SNAPSHOT,
    K_CURSOR,
    K_MOVE,
    K_SYNC,
    K_FLUSH,
    K_COMPACT,
    K_TAG,
    K_IDLE,
    K_CHECKPOINT,
    K_LOOK,
    K_REOPEN,
    K_KINDS
};

/* Weights by the plan's mix: see the knob store_mix. */
static const uint32_t weights[6][K_KINDS] = {
    /* BAT PUT DEL RNG GET PIN UNP MNY SCN SNP BYS CUR MOV SYN FLU CMP TAG IDL CHK LOK REO */
    {18, 18, 8, 4, 10, 3, 2, 3, 3, 4, 4, 4, 8, 2, 3, 2, 2, 1, 1, 2, 1},
    {30, 35, 10, 3, 5, 1, 1, 1, 2, 1, 1, 1, 2, 2, 2, 1, 1, 0, 0, 1, 1},
    {15, 15, 25, 15, 6, 1, 1, 2, 4, 2, 3, 2, 4, 1, 3, 3, 1, 0, 1, 1, 1},
    {15, 12, 8, 5, 4, 6, 4, 3, 4, 8, 10, 8, 18, 1, 4, 3, 1, 0, 0, 1, 0},
    {18, 18, 8, 4, 6, 1, 1, 2, 3, 3, 3, 3, 6, 3, 10, 8, 3, 2, 2, 1, 2},
    {10, 10, 4, 2, 30, 6, 4, 10, 6, 3, 4, 3, 8, 1, 2, 1, 1, 0, 0, 2, 0},
};

static uint64_t knob(const struct storeworker *w, enum plan_knob k)
{
    return plan_get(w->store->plan, k);
}

/* ---- writes ---- */

static size_t data_key(struct storeworker *w)
{
    const struct storemodel *m = &w->store->model;
    bool hot = choose(&w->draw, 3) == 0;
    return m->data_first + choose(&w->draw, hot && m->data_count > 2 ? 2 : m->data_count);
}

/* A value that no other write has: "2.17.0" and some padding, which packs well or not at all. */
static void draw_value(struct storeworker *w, struct storechange *c, size_t nth)
{
    struct storemodel *m = &w->store->model;
    const struct storewrite *me = &m->writes[m->write_count - 1];
    char text[64];
    size_t pad = (size_t)choose(&w->draw, knob(w, PLAN_STORE_VALUE_BYTES) + 1);
    int n = snprintf(text, sizeof text, "%u.%u.%zu", me->worker, me->number, nth);
    buf_clear(&w->value);
    enum status st = buf_reserve(&w->value, (size_t)n + pad);
    CK(st == ST_OK);
    memcpy(w->value.data, text, (size_t)n);
    uint64_t noise = choose(&w->draw, 2) == 0 ? 0 : choose_u64(&w->draw);
    for (size_t i = 0; i < pad; i++) {
        w->value.data[(size_t)n + i] = noise == 0 ? 'x' : (char)('A' + (noise >> (i % 58)) % 32);
        noise = noise * 6364136223846793005u + (noise != 0);
    }
    c->value = storemodel_keep(m, slice_of(w->value.data, (size_t)n + pad));
}

static void add_change(struct storeworker *w, enum tkv_change_type type, size_t nth)
{
    struct storemodel *m = &w->store->model;
    struct storechange c = {.type = type, .key = data_key(w)};
    if (type == TKV_PUT) {
        draw_value(w, &c, nth);
    } else if (type == TKV_DELETE_RANGE) {
        size_t left = m->data_first + m->data_count - c.key;
        c.end = c.key + 1 + choose(&w->draw, left > 6 ? 6 : left);
    }
    storemodel_add(m, &c);
}

/* The last change of a batch where several workers write: which write of which worker it is. */
static void add_stripe(struct storeworker *w)
{
    struct storemodel *m = &w->store->model;
    const struct storewrite *me = &m->writes[m->write_count - 1];
    char text[16];
    int n = snprintf(text, sizeof text, "%u", me->number);
    struct storechange c = {.type = TKV_PUT, .key = m->stripes[w->number]};
    c.value = storemodel_keep(m, slice_of(text, (size_t)n));
    storemodel_add(m, &c);
}

/* Where a range ends: at a key, or behind the last of the data's. */
static struct slice range_end(const struct storemodel *m, const struct storechange *c)
{
    if (c->end < m->data_first + m->data_count) {
        return storemodel_key(m, c->end);
    }
    return slice_text(m->order == NULL ? "l" : "j"); /* the data's keys begin with k */
}

static enum tkv_status batch_add(struct tkv_batch *b, const struct storemodel *m,
                                 const struct storechange *c)
{
    struct slice k = storemodel_key(m, c->key), v = c->value;
    switch (c->type) {
    case TKV_PUT:
        return tkv_batch_put(b, k.data, k.size, v.data, v.size);
    case TKV_DELETE:
        return tkv_batch_delete(b, k.data, k.size);
    case TKV_DELETE_RANGE:
        v = range_end(m, c);
        return tkv_batch_delete_range(b, k.data, k.size, v.data, v.size);
    }
    return TKV_INVALID;
}

/* The batch of a write, changes [from, to), made anew. */
static enum tkv_status batch_make(struct env *env, const struct storemodel *m,
                                  const struct storewrite *write, size_t from, size_t to,
                                  struct tkv_batch **b)
{
    enum tkv_status st = tkv_batch_new(env, b);
    for (size_t i = from; i < to && st == TKV_OK; i++) {
        st = batch_add(*b, m, &m->changes[write->first + i]);
        if (st != TKV_OK) {
            tkv_batch_free(*b);
        }
    }
    return st;
}

/* The same batch in one of the ways to make one: at once, of two, or from its encoded form. */
static enum tkv_status batch_draw(struct storeworker *w, struct env *env,
                                  const struct storewrite *write, struct tkv_batch **b)
{
    const struct storemodel *m = &w->store->model;
    uint64_t how = choose(&w->draw, 4);
    size_t part = how == 0 || how == 3 ? write->count : choose(&w->draw, write->count + 1);
    struct tkv_batch *second;
    enum tkv_status st = batch_make(env, m, write, 0, part, b);
    if (how == 0 || how == 3 || st != TKV_OK) {
        return st;
    }
    st = batch_make(env, m, write, part, write->count, &second);
    if (st == TKV_OK) {
        size_t size;
        const void *data = tkv_batch_data(second, &size);
        st = how == 1 ? tkv_batch_append(*b, second) : tkv_batch_decode(*b, data, size);
        tkv_batch_free(second);
    }
    if (st != TKV_OK) {
        tkv_batch_free(*b);
    }
    return st;
}

/* E27: a write comes back, when nothing but the engine could hold it up. */
struct patience {
    uint64_t since;
    uint64_t faults;
};

static struct patience patience_start(const struct store *s)
{
    return (struct patience){s->world.sched.now, storecheck_faults(s)};
}

static void patience_check(struct store *s, const struct patience *p)
{
    uint64_t took = s->world.sched.now - p->since;
    uint64_t most = plan_get(s->plan, PLAN_STORE_STALL_MS) * NS_PER_MS;
    if (took > most && storecheck_faults(s) == p->faults &&
        simdisk_free_bytes(s->host->disk) > 65536) {
        world_fail(&s->world, "E27 stall", "a write took %llu ms of virtual time, without a fault",
                   (unsigned long long)(took / NS_PER_MS));
    }
}

/* What came of a write. */
static void settle(struct storeworker *w, size_t write, enum tkv_status st, uint64_t sequence)
{
    struct store *s = w->store;
    struct err why = {{0}};
    w->write = STOREMODEL_NONE;
    if (st == TKV_OK) {
        if (!storemodel_ok(&s->model, write, sequence, &why)) {
            storecheck_fail(s, "E18 sequence", &why);
        }
        if (s->model.writes[write].sync) {
            shadowing_promise(&s->shadows, s->host->disk);
        }
        return;
    }
    (void)storecheck_status(s, "a write", st);
    s->closing = s->closing || st == TKV_CORRUPT; /* it may refuse all writes from now on */
    if (!storemodel_failed(&s->model, write, &why)) {
        storecheck_fail(s, "E5 failed write", &why);
    }
}

static void write_options(const struct store *s, const struct storewrite *write,
                          struct tkv_write_options *o)
{
    tkv_write_options_init(o);
    o->sync = write->sync;
    o->tag = s->model.log ? 0 : write->number;
}

/* Asks it of the database and settles it. */
static enum tkv_status write_batch(struct storeworker *w, struct env *env, size_t write, bool plain)
{
    struct store *s = w->store;
    struct storewrite *me = &s->model.writes[write];
    struct tkv_write_options o;
    struct tkv_batch *b;
    uint64_t sequence = 0;
    enum tkv_status st =
        plain ? batch_make(env, &s->model, me, 0, me->count, &b) : batch_draw(w, env, me, &b);
    if (st != TKV_OK) {
        (void)storecheck_status(s, "making a batch", st);
        return st; /* never asked: it counts as lost */
    }
    struct patience p = patience_start(s);
    write_options(s, me, &o);
    storemodel_asked(&s->model, write);
    w->write = write;
    st = tkv_write(s->db, &o, b, &sequence);
    settle(w, write, st, sequence);
    tkv_batch_free(b);
    patience_check(s, &p);
    return st;
}

/* With one worker, by the calls for single changes: the sequence is the database's then. */
static void write_single(struct storeworker *w, size_t write)
{
    struct store *s = w->store;
    const struct storewrite *me = &s->model.writes[write];
    const struct storechange *c = &s->model.changes[me->first];
    struct tkv_write_options o;
    struct tkv_stats stats = {.size = sizeof stats};
    struct slice k = storemodel_key(&s->model, c->key);
    struct slice v = c->value;
    enum tkv_status st;
    struct patience p = patience_start(s);
    write_options(s, me, &o);
    storemodel_asked(&s->model, write);
    w->write = write;
    if (c->type == TKV_PUT) {
        st = tkv_put(s->db, &o, k.data, k.size, v.data, v.size);
    } else if (c->type == TKV_DELETE) {
        st = tkv_delete(s->db, &o, k.data, k.size);
    } else {
        v = range_end(&s->model, c);
        st = tkv_delete_range(s->db, &o, k.data, k.size, v.data, v.size);
    }
    tkv_stats(s->db, &stats);
    settle(w, write, st, stats.sequence);
    patience_check(s, &p);
}

/* In a database without a log one worker writes: its writes are in the order of their tags. */
static bool may_write(const struct storeworker *w)
{
    return w->store->model.log || w->number == 0;
}

/* A range of nothing: no change, and no number. */
static void delete_nothing(struct storeworker *w)
{
    struct store *s = w->store;
    struct slice k = storemodel_key(&s->model, data_key(w));
    (void)storecheck_status(s, "tkv_delete_range of nothing",
                            tkv_delete_range(s->db, NULL, k.data, k.size, k.data, k.size));
}

static void do_write(struct storeworker *w, struct env *env, enum kind kind)
{
    struct store *s = w->store;
    bool alone = s->model.workers == 1;
    bool sync = s->model.log && choose_chance(&w->draw, (uint32_t)knob(w, PLAN_STORE_SYNC));
    size_t count = kind == K_BATCH ? 1 + choose(&w->draw, CHANGES_MAX) : 1;
    bool single = alone && kind != K_BATCH;
    static const enum tkv_change_type types[] = {
        [K_PUT] = TKV_PUT, [K_DELETE] = TKV_DELETE, [K_RANGE] = TKV_DELETE_RANGE};
    if (kind == K_RANGE && choose(&w->draw, 16) == 0) {
        delete_nothing(w);
        return;
    }
    size_t write = storemodel_begin(&s->model, w->number, sync, !single);
    for (size_t i = 0; i < count; i++) {
        uint64_t r = choose(&w->draw, 10);
        enum tkv_change_type type = kind != K_BATCH ? types[kind]
                                    : r < 6         ? TKV_PUT
                                    : r < 9         ? TKV_DELETE
                                                    : TKV_DELETE_RANGE;
        add_change(w, type, i);
    }
    if (single) {
        write_single(w, write);
        return;
    }
    add_stripe(w);
    (void)write_batch(w, env, write, false);
}

bool storeop_write_again(struct store *s, struct env *env)
{
    struct storeworker *w = &s->workers[0];
    enum tkv_status st = TKV_OK;
    chooser_stream_init(&w->draw, &s->world.chooser, CHOOSE_WORKLOAD,
                        ((uint64_t)2 << 40) + s->host->incarnations);
    for (int i = 0; i < TRIES && !s->world.failure.set; i++) {
        size_t write = storemodel_begin(&s->model, 0, s->model.log, true);
        add_change(w, TKV_PUT, 0);
        add_stripe(w);
        st = write_batch(w, env, write, true);
        if (st == TKV_OK) {
            return true;
        }
        env_sleep_until(env, env_clock_mono(env) + 10 * NS_PER_MS);
    }
    if (!s->world.failure.set) {
        world_fail(&s->world, "E23 recovery", "all faults are over, and %d writes failed: %s",
                   TRIES, tkv_status_text(st));
    }
    return false;
}

bool storeop_replay(struct store *s)
{
    struct storeworker *w = &s->workers[0];
    const struct storelist *l = &s->model.lists[0];
    struct env *env = &s->proc->env;
    for (size_t i = 0; i < l->count && !s->world.failure.set; i++) {
        enum tkv_status st = TKV_OK;
        for (int tries = 0; tries < TRIES; tries++) {
            enum storewrite_state state = s->model.writes[l->writes[i]].state;
            if (state != STOREWRITE_REPLAY && (tries == 0 || st == TKV_OK)) {
                break;
            }
            st = write_batch(w, env, l->writes[i], true);
        }
        if (st != TKV_OK) {
            return false;
        }
    }
    return !s->world.failure.set;
}

/* ---- others ---- */

/* Everything acknowledged before the call is durable after it. */
static void do_durable(struct storeworker *w, const char *call,
                       enum tkv_status (*run)(struct tkv *))
{
    struct store *s = w->store;
    uint64_t acked = s->model.acked;
    struct storecut low;
    storemodel_low(&s->model, &low);
    if (storecheck_status(s, call, run(s->db))) {
        storemodel_durable(&s->model, acked);
        if (!s->model.log && low.upto[0] > s->model.tag) {
            s->model.tag = low.upto[0];
        }
        shadowing_promise(&s->shadows, s->host->disk);
    }
}

static void do_compact(struct storeworker *w)
{
    struct store *s = w->store;
    struct slice a = slice_of(NULL, 0), b = slice_of(NULL, 0);
    if (choose(&w->draw, 3) != 0) {
        a = storemodel_key(&s->model, data_key(w));
    }
    if (choose(&w->draw, 3) != 0) {
        b = storemodel_key(&s->model, data_key(w));
    }
    if (a.data != NULL && b.data != NULL && storemodel_compare(&s->model, a, b) > 0) {
        struct slice c = a;
        a = b;
        b = c;
    }
    (void)storecheck_status(s, "tkv_compact_range",
                            tkv_compact_range(s->db, a.data, a.size, b.data, b.size));
}

static void tag_told(struct store *s, uint64_t tag)
{
    if (tag < s->tag_told) {
        world_fail(&s->world, "tag", "the durable tag went from %llu back to %llu",
                   (unsigned long long)s->tag_told, (unsigned long long)tag);
    }
    s->tag_told = tag;
    s->model.tag = tag > s->model.tag ? tag : s->model.tag;
    for (size_t i = 0; i < s->model.lists[0].count && i < tag; i++) {
        const struct storewrite *w = &s->model.writes[s->model.lists[0].writes[i]];
        if (w->state == STOREWRITE_OK) {
            storemodel_durable(&s->model, w->order);
        }
    }
}

static void do_tag(struct storeworker *w)
{
    struct store *s = w->store;
    uint64_t tag = 0;
    struct storecut low;
    if (s->model.log) {
        return;
    }
    storemodel_low(&s->model, &low);
    uint64_t want = low.upto[0];
    if (want > 0 && choose(&w->draw, 2) == 0) {
        want = 1 + choose(&w->draw, want);
        if (!storecheck_status(s, "tkv_flush_to", tkv_flush_to(s->db, want))) {
            return;
        }
    } else {
        want = 0;
    }
    if (!storecheck_status(s, "tkv_durable_tag", tkv_durable_tag(s->db, &tag))) {
        return;
    }
    if (tag < want || tag > s->model.lists[0].count) {
        world_fail(&s->world, "tag", "the durable tag is %llu after a flush to %llu, of %zu",
                   (unsigned long long)tag, (unsigned long long)want, s->model.lists[0].count);
    }
    tag_told(s, tag);
    shadowing_promise(&s->shadows, s->host->disk);
}

/* Looks that have few wrong answers. */
static void do_look(struct storeworker *w, struct env *env)
{
    static const char *const names[] = {"stats", "levels", "tables", "memory", "options", "nosuch"};
    struct store *s = w->store;
    char text[512];
    size_t size = 0;
    uint64_t bytes = 0;
    size_t which = choose(&w->draw, sizeof names / sizeof *names);
    enum tkv_status st = tkv_property(s->db, names[which], text, sizeof text, &size);
    bool unknown = which + 1 == sizeof names / sizeof *names;
    if (st != (unknown ? TKV_NOTFOUND : TKV_OK)) {
        (void)storecheck_status(s, "tkv_property", st);
    }
    st = tkv_approximate_size(s->db, NULL, 0, NULL, 0, &bytes);
    (void)storecheck_status(s, "tkv_approximate_size", st);
    struct tkv_options o;
    struct tkv *db;
    storeopt_make(s, env, &o);
    st = tkv_open(&o, STORE_DIR, &db, NULL);
    if (st != TKV_BUSY && !storecheck_excused(s, st)) {
        world_fail(&s->world, "E25 lock", "a second opener was told '%s'", tkv_status_text(st));
    }
    if (s->model.workers == 1) {
        storecheck_descriptors(s); /* others may be in the middle of a scan */
    }
}

static void think(struct storeworker *w, struct env *env)
{
    uint64_t us = choose(&w->draw, knob(w, PLAN_STORE_THINK_US) + 1);
    if (us > 0) {
        env_sleep_until(env, env_clock_mono(env) + us * NS_PER_US);
    }
}

static enum kind draw_kind(struct storeworker *w)
{
    const struct store *s = w->store;
    enum kind k = (enum kind)choose_weighted(&w->draw, weights[knob(w, PLAN_STORE_MIX)], K_KINDS);
    bool writes = k == K_BATCH || k == K_PUT || k == K_DELETE || k == K_RANGE;
    return writes && !may_write(w) ? K_GET : k == K_TAG && s->model.log ? K_SYNC : k;
}

void storeop_run(struct storeworker *w, struct env *env, uint64_t ordinal)
{
    struct store *s = w->store;
    chooser_stream_init(&w->draw, &s->world.chooser, CHOOSE_WORKLOAD, ordinal);
    w->answers = 0;
    think(w, env);
    enum kind kind = draw_kind(w);
    world_trace(&s->world, TRACE_CLIENT, "operation", ordinal << 8 | kind);
    switch (kind) {
    case K_BATCH:
    case K_PUT:
    case K_DELETE:
    case K_RANGE:
        do_write(w, env, kind);
        break;
    case K_GET:
        storeread_get(w, env);
        break;
    case K_PIN:
        storeread_pin(w);
        break;
    case K_UNPIN:
        storeread_unpin(w);
        break;
    case K_MANY:
        storeread_many(w, env);
        break;
    case K_SCAN:
        storeread_scan(w);
        break;
    case K_SNAPSHOT:
        storeread_snapshot(w);
        break;
    case K_BY_SNAPSHOT:
        storeread_by_snapshot(w);
        break;
    case K_CURSOR:
        storeread_cursor(w);
        break;
    case K_MOVE:
        storeread_move(w);
        break;
    case K_SYNC:
        do_durable(w, "tkv_sync", tkv_sync);
        break;
    case K_FLUSH:
        do_durable(w, "tkv_flush", tkv_flush);
        break;
    case K_COMPACT:
        do_compact(w);
        break;
    case K_TAG:
        do_tag(w);
        break;
    case K_IDLE:
        (void)storecheck_status(s, "tkv_wait_idle", tkv_wait_idle(s->db));
        break;
    case K_CHECKPOINT:
        storecopy_run(w, env, ordinal);
        break;
    case K_LOOK:
        do_look(w, env);
        break;
    case K_REOPEN:
        s->closing = true;
        break;
    case K_KINDS:
        break;
    }
    s->result->replies++;
    if (s->answers != NULL) {
        struct storetwin_answer a = {ordinal, w->answers};
        enum status st = buf_append(s->answers, &a, sizeof a);
        CK(st == ST_OK);
    }
}

void storeop_release(struct storeworker *w)
{
    storeread_release(w);
}

void storeop_forget(struct storeworker *w)
{
    w->write = STOREMODEL_NONE; /* it stays pending in the model: a recovery decides it */
    for (size_t i = 0; i < STORE_HOLDS; i++) {
        w->snapshots[i].snapshot = NULL;
        w->cursors[i].iter = NULL;
        w->cursors[i].snapshot.snapshot = NULL;
        w->pins[i].pin = (struct tkv_pin){0};
    }
}
