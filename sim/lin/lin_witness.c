/* lin_witness.c - see lin_witness.h. */
#include "sim/lin/lin_witness.h"
#include "sim/lin/lin_search.h"
#include "sim/lin/lin_sort.h"

#define STEPS_EACH   400000u  /* of one try */
#define STEPS_ALL    8000000u /* of all tries together */
#define BACK_MAX     64       /* writers looked through for one that ended in time */
#define WINDOW_FIRST 6        /* operations before the failure that are tried at first */

struct finder {
    struct mem *mem;
    const struct lin_history *h;
    const struct lin_split *s;
    const struct lin_part *part;
    struct lin_key *writes; /* (key, value) -> operation of the part, sorted */
    size_t write_count;
    size_t write_cap;
    struct lin_key *loose; /* key -> every operation that writes it, sorted */
    size_t loose_count;
    size_t loose_cap;
    uint8_t *unnamed; /* keys with writes whose value is not known */
    uint8_t *keep;    /* of each operation of the part: what is known to have no order */
    uint8_t *next;    /* what is tried */
    uint8_t *firm;    /* it cannot be spared: without it what was kept had an order */
    uint32_t *todo;
    uint32_t todo_count;
    uint32_t
        *list; /* the operations that can be in `next`, ascending: all, later those of `keep` */
    uint32_t list_count;
    uint32_t *places; /* of what is tried, */
    uint8_t *levels;  /* and how it is kept */
    bool narrowed;
    bool escaped;     /* a set would need an operation that is not in the list */
    uint64_t changes; /* of `next` */
    uint64_t steps;
    uint64_t steps_max;
    size_t bytes_max;
};

static const struct lin_rec *op_at(const struct finder *f, uint32_t i)
{
    return &f->h->ops[f->part->ops[i]];
}

/* ---- who writes what ---- */

static enum status note(struct finder *f, uint32_t i, const struct lin_sub *s)
{
    /* Replacing a value by itself is a look: it is not where the value comes from. */
    bool still = s->kind == LIN_CAS && ((s->known && s->result == 0) || s->expect == s->value);
    if (s->kind == LIN_GET || still) {
        return ST_OK;
    }
    enum status st =
        lin_grow(f->mem, &f->loose, &f->loose_cap, f->loose_count + 1, sizeof *f->loose);
    if (st != ST_OK) {
        return st;
    }
    f->loose[f->loose_count++] = (struct lin_key){s->key, i};
    bool named = s->kind != LIN_APPEND && !(s->kind == LIN_INCR && !s->known);
    if (!named) {
        f->unnamed[s->key] = 1;
        return ST_OK;
    }
    uint32_t value = s->kind == LIN_INCR ? s->result : s->value;
    st = lin_grow(f->mem, &f->writes, &f->write_cap, f->write_count + 1, sizeof *f->writes);
    if (st == ST_OK) {
        f->writes[f->write_count++] = (struct lin_key){lin_map_pair(s->key, value), i};
    }
    return st;
}

static struct lin_sub single(const struct lin_rec *op)
{
    bool told = op->known && op->outcome == LIN_OK;
    return (struct lin_sub){op->key, op->value, op->expect, op->result, op->kind, told};
}

/* The parts of an operation: itself, or those of a batch or scan. */
static uint32_t sub_count(const struct lin_rec *op)
{
    return op->kind == LIN_SCAN || op->kind == LIN_BATCH ? op->result : 1;
}

static struct lin_sub sub_at(const struct finder *f, const struct lin_rec *op, uint32_t n)
{
    if (op->kind != LIN_SCAN && op->kind != LIN_BATCH) {
        return single(op);
    }
    struct lin_sub s = f->h->subs[op->expect + n];
    s.known = s.known && op->known && op->outcome == LIN_OK;
    return s;
}

static enum status index_writes(struct finder *f)
{
    enum status st = ST_OK;
    for (uint32_t i = 0; i < f->part->op_count && st == ST_OK; i++) {
        const struct lin_rec *op = op_at(f, i);
        for (uint32_t n = 0; n < sub_count(op) && op->kind != LIN_SCAN && st == ST_OK; n++) {
            struct lin_sub s = sub_at(f, op, n);
            st = note(f, i, &s);
        }
    }
    st = st == ST_OK ? lin_sort(f->mem, f->writes, f->write_count) : st;
    return st == ST_OK ? lin_sort(f->mem, f->loose, f->loose_count) : st;
}

static size_t first_of(const struct lin_key *keys, size_t count, uint64_t key)
{
    size_t lo = 0;
    size_t hi = count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (keys[mid].key < key) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

/* ---- closing a set ---- */

static void want(struct finder *f, uint32_t i, enum lin_keep level)
{
    if (f->next[i] >= level) {
        return;
    }
    f->escaped = f->escaped || (f->narrowed && f->keep[i] == LIN_DROP);
    f->next[i] = (uint8_t)level;
    f->changes++;
    if (level == LIN_FULL) {
        f->todo[f->todo_count++] = i;
    }
}

/* A writer of a value: only its writing matters, unless that depends on what was there. */
static enum lin_keep as_writer(const struct finder *f, const struct lin_rec *op)
{
    for (uint32_t n = 0; n < sub_count(op); n++) {
        struct lin_sub s = sub_at(f, op, n);
        bool named = s.kind == LIN_INCR && s.known && op->kind == LIN_INCR;
        bool plain = s.kind == LIN_GET || s.kind == LIN_PUT || s.kind == LIN_DEL;
        if (!named && !plain && op->kind != LIN_CAS) {
            return LIN_FULL;
        }
    }
    return LIN_WEAK;
}

static bool in_time(const struct finder *f, uint32_t writer, const struct lin_rec *looker)
{
    return looker->outcome == LIN_INFO || op_at(f, writer)->call <= looker->ret;
}

/* Every writer of the key, as it is. */
static void want_key(struct finder *f, const struct lin_rec *looker, uint32_t key)
{
    size_t at = first_of(f->loose, f->loose_count, key);
    for (; at < f->loose_count && f->loose[at].key == key; at++) {
        if (in_time(f, f->loose[at].item, looker)) {
            want(f, f->loose[at].item, LIN_FULL);
        }
    }
}

static bool certain_write(const struct finder *f, uint32_t i, uint32_t key)
{
    const struct lin_rec *op = op_at(f, i);
    for (uint32_t n = 0; n < sub_count(op); n++) {
        struct lin_sub s = sub_at(f, op, n);
        bool maybe = s.kind == LIN_CAS && !s.known;
        if (s.key == key && s.kind != LIN_GET && !maybe && (s.kind != LIN_CAS || s.result != 0)) {
            return op->outcome == LIN_OK;
        }
    }
    return false;
}

/* What was overwritten for certain before the look began: all writes that ended before this. */
static int64_t overwritten_until(const struct finder *f, const struct lin_rec *looker, uint32_t key)
{
    /* The writers of a key ascend by call: the last that ended in time begins last. */
    size_t lo = first_of(f->loose, f->loose_count, key);
    size_t hi = first_of(f->loose, f->loose_count, (uint64_t)key + 1);
    size_t first = lo;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (op_at(f, f->loose[mid].item)->call < looker->call) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    for (int tries = 0; lo > first && tries < BACK_MAX; tries++) {
        uint32_t i = f->loose[--lo].item;
        if (op_at(f, i)->ret < looker->call && certain_write(f, i, key)) {
            return op_at(f, i)->call;
        }
    }
    return INT64_MIN;
}

static void want_value(struct finder *f, const struct lin_rec *looker, uint32_t key, uint32_t value)
{
    if (f->unnamed[key] != 0) {
        want_key(f, looker, key);
        return;
    }
    uint64_t pair = lin_map_pair(key, value);
    int64_t over = overwritten_until(f, looker, key);
    size_t at = first_of(f->writes, f->write_count, pair);
    uint32_t gone = LIN_NONE; /* the last of those that cannot have been it */
    bool any = f->s->init[key] == value && over == INT64_MIN;
    for (; at < f->write_count && f->writes[at].key == pair; at++) {
        uint32_t writer = f->writes[at].item;
        const struct lin_rec *op = op_at(f, writer);
        if (!in_time(f, writer, looker)) {
            continue;
        }
        if (op->outcome == LIN_OK && op->ret < over) {
            gone = writer;
        } else {
            any = true;
            want(f, writer, as_writer(f, op));
        }
    }
    if (!any && gone != LIN_NONE) { /* for people: this is where the stale value comes from */
        want(f, gone, as_writer(f, op_at(f, gone)));
    }
}

/* Saw that the key is not `value`. A write can only be left out where that does not bring the
 * value back: where it ended before each write of the value that is kept. */
static void want_other(struct finder *f, const struct lin_rec *looker)
{
    uint32_t key = looker->key;
    if (f->unnamed[key] != 0 || f->s->init[key] == looker->expect) {
        want_key(f, looker, key);
        return;
    }
    int64_t first_call = INT64_MAX;
    uint64_t pair = lin_map_pair(key, looker->expect);
    size_t at = first_of(f->writes, f->write_count, pair);
    for (; at < f->write_count && f->writes[at].key == pair; at++) {
        uint32_t writer = f->writes[at].item;
        int64_t call = op_at(f, writer)->call;
        first_call = f->next[writer] != LIN_DROP && call < first_call ? call : first_call;
    }
    at = first_of(f->loose, f->loose_count, key);
    for (; at < f->loose_count && f->loose[at].key == key; at++) {
        uint32_t writer = f->loose[at].item;
        const struct lin_rec *op = op_at(f, writer);
        bool before = op->outcome == LIN_OK && op->ret < first_call;
        if (in_time(f, writer, looker) && !before) {
            want(f, writer, as_writer(f, op));
        }
    }
}

static void want_sub(struct finder *f, const struct lin_rec *op, const struct lin_sub *s)
{
    switch (s->kind) {
    case LIN_GET:
        if (s->known) {
            want_value(f, op, s->key, s->result);
        }
        break;
    case LIN_CAS:
        if ((s->known && s->result != 0) || (op->outcome == LIN_INFO && op->kind == LIN_CAS)) {
            want_value(f, op, s->key, s->expect);
        } else {
            want_key(f, op, s->key);
        }
        break;
    case LIN_APPEND:
    case LIN_INCR:
        want_key(f, op, s->key);
        break;
    default:
        break;
    }
}

/* A scan also saw that the other keys of its range were absent. */
static void want_scan(struct finder *f, const struct lin_rec *op)
{
    uint32_t first;
    uint32_t end;
    uint32_t n = 0;
    lin_split_range(f->h, f->part, op, &first, &end);
    for (uint32_t k = first; k < end; k++) {
        uint32_t key = f->part->keys[k];
        bool there = n < op->result && f->h->subs[op->expect + n].key == key;
        want_value(f, op, key, there ? f->h->subs[op->expect + n++].result : LIN_ABSENT);
    }
}

static bool is_other(const struct lin_rec *op)
{
    return op->kind == LIN_CAS && op->outcome == LIN_OK && op->known && op->result == 0;
}

static void want_op(struct finder *f, const struct lin_rec *op)
{
    if (op->kind == LIN_SCAN) {
        want_scan(f, op);
        return;
    }
    for (uint32_t n = 0; n < sub_count(op) && !is_other(op); n++) {
        struct lin_sub s = sub_at(f, op, n);
        want_sub(f, op, &s);
    }
}

static void close_others(struct finder *f)
{
    for (uint32_t n = 0; n < f->list_count; n++) {
        uint32_t i = f->list[n];
        if (f->next[i] == LIN_FULL && is_other(op_at(f, i))) {
            want_other(f, op_at(f, i));
        }
    }
}

/* Adds to f->next what the operations in it need. */
static void close_set(struct finder *f)
{
    f->todo_count = 0;
    f->escaped = false;
    for (uint32_t n = 0; n < f->list_count; n++) {
        if (f->next[f->list[n]] == LIN_FULL) {
            f->todo[f->todo_count++] = f->list[n];
        }
    }
    uint32_t t = 0;
    uint64_t before;
    do {
        for (; t < f->todo_count; t++) {
            want_op(f, op_at(f, f->todo[t]));
        }
        before = f->changes;
        close_others(f);
        /* What the others need depends on which writes are kept: until nothing is added. */
    } while (f->changes != before);
}

/* ---- trying ---- */

static size_t weight(const struct finder *f, const uint8_t *keep)
{
    size_t sum = 0;
    for (uint32_t n = 0; n < f->list_count; n++) {
        uint8_t level = keep[f->list[n]];
        sum += level == LIN_FULL ? 3 : level == LIN_WEAK ? 2 : 0;
    }
    return sum;
}

/* Makes the part that f->next leaves. */
static struct lin_part part_next(struct finder *f)
{
    struct lin_part part = *f->part;
    part.ops = f->places;
    part.op_count = 0;
    for (uint32_t n = 0; n < f->list_count; n++) {
        uint32_t i = f->list[n];
        if (f->next[i] != LIN_DROP) {
            f->levels[part.op_count] = f->next[i];
            f->places[part.op_count++] = f->part->ops[i];
        }
    }
    return part;
}

/* If f->next has no order it becomes f->keep. */
static enum status try_set(struct finder *f, enum lin_result *result)
{
    struct lin_prog prog;
    struct lin_search search = {0};
    struct lin_part part = part_next(f);
    uint32_t event;
    *result = LIN_UNKNOWN;
    uint64_t left = f->steps < f->steps_max ? f->steps_max - f->steps : 0;
    enum status st = lin_prog_make(&prog, f->h, f->s, &part, f->levels);
    if (st == ST_OK) {
        st = lin_search_init(&search, &prog, left < STEPS_EACH ? left : STEPS_EACH, f->bytes_max);
    }
    if (st == ST_OK) {
        st = lin_search_run(&search, result, &event);
    }
    f->steps += search.steps + prog.op_count;
    lin_search_release(&search);
    lin_prog_release(&prog);
    if (st == ST_OK && *result == LIN_NON_LINEARIZABLE) {
        memcpy(f->keep, f->next, f->part->op_count);
    }
    return st;
}

/* Windows of growing length before the failure. */
static enum status try_windows(struct finder *f, uint32_t last, bool *taken)
{
    enum status st = ST_OK;
    *taken = false;
    for (uint32_t n = WINDOW_FIRST; st == ST_OK && !*taken && f->steps < f->steps_max; n *= 2) {
        memset(f->next, LIN_DROP, f->part->op_count);
        uint32_t from = last >= n ? last - n : 0;
        for (uint32_t i = from; i <= last; i++) {
            f->next[i] = LIN_FULL;
        }
        close_set(f);
        enum lin_result result;
        st = try_set(f, &result);
        *taken = result == LIN_NON_LINEARIZABLE;
        if (from == 0) {
            break;
        }
    }
    return st;
}

/* From here on only what is kept can be kept: a closed set lies within that of a larger one. */
static void narrow(struct finder *f)
{
    uint32_t count = 0;
    for (uint32_t n = 0; n < f->list_count; n++) {
        if (f->keep[f->list[n]] != LIN_DROP) {
            f->list[count++] = f->list[n];
        }
    }
    f->list_count = count;
    f->narrowed = true;
}

/* Tries to do without list[from, end). What had an order without one operation has it without
 * that one and others, too: such an operation is firm. */
static enum status spare(struct finder *f, uint32_t from, uint32_t end, bool *taken)
{
    bool any = false;
    *taken = false;
    for (uint32_t n = from; n < end; n++) {
        uint32_t i = f->list[n];
        any = any || (f->keep[i] != LIN_DROP && (end - from > 1 || f->firm[i] == 0));
    }
    if (!any) {
        return ST_OK;
    }
    memcpy(f->next, f->keep, f->part->op_count);
    for (uint32_t n = from; n < end; n++) {
        f->next[f->list[n]] = LIN_DROP;
    }
    close_set(f);
    if (f->escaped || weight(f, f->next) >= weight(f, f->keep)) {
        return ST_OK;
    }
    enum lin_result result;
    enum status st = try_set(f, &result);
    *taken = result == LIN_NON_LINEARIZABLE;
    if (result == LIN_LINEARIZABLE && end - from == 1) {
        f->firm[f->list[from]] = 1;
    }
    return st;
}

/* Leaves out runs of kept operations, of half the length each round, while it helps. */
static enum status shrink(struct finder *f)
{
    enum status st = ST_OK;
    bool helped = false;
    narrow(f);
    uint32_t size = f->list_count / 2 > 0 ? f->list_count / 2 : 1;
    while (st == ST_OK && f->steps < f->steps_max) {
        for (uint32_t from = 0; from < f->list_count && st == ST_OK; from += size) {
            uint32_t end = f->list_count - from > size ? from + size : f->list_count;
            bool taken;
            st = spare(f, from, end, &taken);
            helped = helped || taken;
        }
        if (size == 1 && !helped) {
            break;
        }
        helped = size == 1 ? false : helped;
        size = size > 1 ? size / 2 : 1;
    }
    return st;
}

static enum status collect(struct finder *f, uint32_t **places, size_t *count)
{
    *count = 0;
    for (uint32_t i = 0; i < f->part->op_count; i++) {
        *count += f->keep[i] != LIN_DROP ? 1 : 0;
    }
    *places = mem_alloc(f->mem, (*count + 1) * sizeof **places);
    if (*places == NULL) {
        return ST_NOMEM;
    }
    size_t n = 0;
    for (uint32_t i = 0; i < f->part->op_count; i++) {
        if (f->keep[i] != LIN_DROP) {
            (*places)[n++] = f->part->ops[i];
        }
    }
    return ST_OK;
}

static enum status find(struct finder *f, uint32_t place, uint32_t **places, size_t *count)
{
    uint32_t last = 0;
    for (uint32_t i = 0; i < f->part->op_count; i++) {
        last = f->part->ops[i] == place ? i : last;
    }
    /* What was called while the failed operation was open can matter too. */
    while (last + 1 < f->part->op_count && op_at(f, last + 1)->call <= f->h->ops[place].ret) {
        last++;
    }
    memset(f->keep, LIN_FULL, f->part->op_count);
    bool taken;
    enum status st = index_writes(f);
    st = st == ST_OK ? try_windows(f, last, &taken) : st;
    st = st == ST_OK ? shrink(f) : st;
    return st == ST_OK ? collect(f, places, count) : st;
}

/* What every try needs, for the operations of the part, in one block. */
static enum status finder_init(struct finder *f)
{
    size_t n = f->part->op_count;
    f->todo = mem_zalloc(f->mem, n * (3 * sizeof *f->todo + 4) + 1);
    if (f->todo == NULL) {
        return ST_NOMEM;
    }
    f->list = f->todo + n;
    f->places = f->list + n;
    f->keep = (uint8_t *)(f->places + n);
    f->next = f->keep + n;
    f->firm = f->next + n;
    f->levels = f->firm + n;
    f->list_count = (uint32_t)n;
    for (uint32_t i = 0; i < n; i++) {
        f->list[i] = i;
    }
    return ST_OK;
}

static void finder_release(struct finder *f)
{
    mem_release(f->mem, f->writes);
    mem_release(f->mem, f->loose);
    mem_release(f->mem, f->unnamed);
    mem_release(f->mem, f->todo);
}

enum status lin_witness_find(const struct lin_history *h, const struct lin_split *s,
                             const struct lin_part *part, uint32_t place, uint64_t steps_max,
                             size_t bytes_max, uint32_t **places, size_t *count)
{
    struct finder f = {.mem = h->mem, .h = h, .s = s, .part = part, .bytes_max = bytes_max};
    f.steps_max = steps_max < STEPS_ALL ? steps_max : STEPS_ALL;
    f.unnamed = mem_zalloc(h->mem, (size_t)h->keys.count + 1);
    enum status st = f.unnamed != NULL ? finder_init(&f) : ST_NOMEM;
    if (st == ST_OK) {
        st = find(&f, place, places, count);
    }
    finder_release(&f);
    return st;
}

static enum status grow_seeds(struct finder *f, const uint32_t *seeds, size_t seed_count,
                              uint32_t **places, size_t *count)
{
    for (uint32_t i = 0; i < f->part->op_count; i++) {
        for (size_t n = 0; n < seed_count; n++) {
            f->next[i] = f->part->ops[i] == seeds[n] ? LIN_FULL : f->next[i];
        }
    }
    enum lin_result result = LIN_UNKNOWN;
    enum status st = index_writes(f);
    if (st == ST_OK) {
        close_set(f);
        st = try_set(f, &result);
    }
    *count = 0;
    if (st != ST_OK || result != LIN_NON_LINEARIZABLE) {
        return st;
    }
    st = shrink(f);
    return st == ST_OK ? collect(f, places, count) : st;
}

enum status lin_witness_from(const struct lin_history *h, const struct lin_split *s,
                             const struct lin_part *part, const uint32_t *seeds, size_t seed_count,
                             uint32_t **places, size_t *count)
{
    struct finder f = {.mem = h->mem, .h = h, .s = s, .part = part};
    f.steps_max = STEPS_ALL;
    f.bytes_max = SIZE_MAX;
    f.unnamed = mem_zalloc(h->mem, (size_t)h->keys.count + 1);
    enum status st = f.unnamed != NULL ? finder_init(&f) : ST_NOMEM;
    if (st == ST_OK) {
        st = grow_seeds(&f, seeds, seed_count, places, count);
    }
    finder_release(&f);
    return st;
}

/* ---- trimming what zones found ---- */

/* Every value that the set saw was written in it, so that it has no order for its own sake. */
static bool stands_alone(const struct finder *f, const uint32_t *places, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct lin_rec *op = &f->h->ops[places[i]];
        if (op->kind > LIN_CAS) {
            return false;
        }
        bool looks = op->kind == LIN_GET || (op->kind == LIN_CAS && op->known && op->result != 0);
        uint32_t saw = op->kind == LIN_GET ? op->result : op->expect;
        bool there = !looks || f->s->init[op->key] == saw;
        for (size_t n = 0; n < count && !there; n++) {
            const struct lin_rec *w = &f->h->ops[places[n]];
            there = n != i && w->kind != LIN_GET && w->value == saw && w->key == op->key;
        }
        if (!there) {
            return false;
        }
    }
    return true;
}

static enum status trim(struct finder *f, uint32_t *places, size_t *count)
{
    enum status st = ST_OK;
    for (size_t i = *count; i-- > 0 && st == ST_OK;) {
        if (f->h->ops[places[i]].kind != LIN_GET) {
            continue;
        }
        memset(f->next, LIN_DROP, f->part->op_count);
        size_t n = 0;
        for (uint32_t p = 0; p < f->part->op_count; p++) {
            bool kept = false;
            for (size_t w = 0; w < *count; w++) {
                kept = kept || (w != i && places[w] == f->part->ops[p]);
            }
            f->next[p] = kept ? LIN_FULL : LIN_DROP;
            n += kept ? 1 : 0;
        }
        enum lin_result result = LIN_UNKNOWN;
        st = n + 1 == *count ? try_set(f, &result) : ST_OK;
        if (result == LIN_NON_LINEARIZABLE) {
            memmove(places + i, places + i + 1, (*count - i - 1) * sizeof *places);
            (*count)--;
        }
    }
    return st;
}

enum status lin_witness_trim(const struct lin_history *h, const struct lin_split *s,
                             const struct lin_part *part, uint32_t *places, size_t *count)
{
    struct finder f = {.mem = h->mem, .h = h, .s = s, .part = part};
    f.steps_max = STEPS_ALL;
    f.bytes_max = SIZE_MAX;
    if (*count <= 3 || *count > 12 || !stands_alone(&f, places, *count)) {
        return ST_OK;
    }
    enum status st = finder_init(&f);
    st = st == ST_OK ? trim(&f, places, count) : st;
    mem_release(h->mem, f.todo);
    return st;
}
