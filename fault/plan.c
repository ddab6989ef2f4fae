/* plan.c - see plan.h. */
#include "fault/plan.h"

#include "base/hash.h"
#include "base/prng.h"

#define VERSION      1
#define WEIGHTS_MAX  10
#define TEXT_KEY_MAX 64

enum draw { DRAW_FIX, DRAW_LIN, DRAW_LOG, DRAW_PICK };
/* A bit for a fault, and one for each world that has the knob. */
enum class {
    CLASS_FAULT = 1,
    CLASS_NODE = 2,
    CLASS_STORE = 4,
    CLASS_NET = 8,    /* worlds of several hosts */
    CLASS_GROUP = 16, /* the world of clusters alone */
    NODE_SIZE = CLASS_NODE,
    NODE_FAULT = CLASS_NODE | CLASS_FAULT,
    STORE_SIZE = CLASS_STORE,
    STORE_FAULT = CLASS_STORE | CLASS_FAULT,
    NET_SIZE = CLASS_NET,
    NET_FAULT = CLASS_NET | CLASS_FAULT,
    GROUP_SIZE = CLASS_GROUP,
    GROUP_FAULT = CLASS_GROUP | CLASS_FAULT,
    SIZE = CLASS_NODE | CLASS_STORE,
    FAULT = CLASS_NODE | CLASS_STORE | CLASS_FAULT,
};

struct row {
    const char *name;
    enum class class;
    uint64_t min, max, def;
    struct {
        enum draw kind;
        uint64_t n[WEIGHTS_MAX]; /* low and high; or the weights / the values of PICK */
        unsigned count;
    } draw;
    uint32_t on_ppm;
    const char *doc;
};

#define COUNT(...) (sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))
#define FIX              \
    {                    \
        DRAW_FIX, {0}, 0 \
    }
#define LIN(a, b)           \
    {                       \
        DRAW_LIN, {a, b}, 2 \
    }
#define LOG(a, b)           \
    {                       \
        DRAW_LOG, {a, b}, 2 \
    }
#define PICK(...)                                    \
    {                                                \
        DRAW_PICK, {__VA_ARGS__}, COUNT(__VA_ARGS__) \
    }

static const struct row rows[PLAN_KNOBS] = {
#define PLAN_KNOB(id, name, class, min, max, def, draw, on_ppm, doc) \
    {name, class, min, max, def, draw, on_ppm, doc},
#include "fault/catalogue.h"
#undef PLAN_KNOB
};

const char *plan_name(enum plan_knob k)
{
    return rows[k].name;
}

const char *plan_doc(enum plan_knob k)
{
    return rows[k].doc;
}

uint64_t plan_min(enum plan_knob k)
{
    return rows[k].min;
}

uint64_t plan_max(enum plan_knob k)
{
    return rows[k].max;
}

uint64_t plan_default(enum plan_knob k)
{
    return rows[k].def;
}

bool plan_is_fault(enum plan_knob k)
{
    return (rows[k].class & CLASS_FAULT) != 0;
}

static const char *const worlds[PLAN_WORLDS] = {"node", "store", "cluster"};

const char *plan_world_name(enum plan_world w)
{
    return worlds[w];
}

bool plan_world_of(const char *name, enum plan_world *w)
{
    for (int i = 0; i < PLAN_WORLDS; i++) {
        if (strcmp(name, worlds[i]) == 0) {
            *w = (enum plan_world)i;
            return true;
        }
    }
    return false;
}

bool plan_concerns(enum plan_knob k, enum plan_world w)
{
    static const unsigned of_world[PLAN_WORLDS] = {
        [PLAN_WORLD_NODE] = CLASS_NODE,
        [PLAN_WORLD_STORE] = CLASS_STORE,
        [PLAN_WORLD_CLUSTER] = CLASS_NODE | CLASS_NET | CLASS_GROUP,
    };
    return ((unsigned)rows[k].class & of_world[w]) != 0;
}

bool plan_is_net(enum plan_knob k)
{
    return (rows[k].class & CLASS_NET) != 0;
}

bool plan_is_drawn(enum plan_knob k)
{
    return rows[k].draw.kind != DRAW_FIX && rows[k].on_ppm > 0;
}

/* ---- life ---- */

void plan_init(struct plan *p, struct mem *mem, uint64_t seed)
{
    *p = (struct plan){.mem = mem, .seed = seed};
    for (int k = 0; k < PLAN_KNOBS; k++) {
        p->value[k] = rows[k].def;
    }
}

void plan_release(struct plan *p)
{
    if (p->mem != NULL) {
        mem_release(p->mem, p->ops.ranges);
        mem_release(p->mem, p->events.ranges);
    }
    *p = (struct plan){0};
}

static enum status skips_copy(struct mem *mem, const struct plan_skips *from, struct plan_skips *to)
{
    *to = (struct plan_skips){0};
    if (from->count == 0) {
        return ST_OK;
    }
    to->ranges = mem_alloc(mem, from->count * sizeof *to->ranges);
    if (to->ranges == NULL) {
        return ST_NOMEM;
    }
    memcpy(to->ranges, from->ranges, from->count * sizeof *to->ranges);
    to->count = from->count;
    to->cap = from->count;
    return ST_OK;
}

enum status plan_copy(const struct plan *from, struct plan *to)
{
    struct plan p = *from;
    p.events = (struct plan_skips){0};
    enum status st = skips_copy(p.mem, &from->ops, &p.ops);
    if (st == ST_OK) {
        st = skips_copy(p.mem, &from->events, &p.events);
    }
    if (st != ST_OK) {
        plan_release(&p);
        return st;
    }
    *to = p;
    return ST_OK;
}

/* ---- the swarm ---- */

static uint64_t draw_log(struct prng *g, uint64_t low, uint64_t high)
{
    /* A power of two between the bounds by magnitude, then uniform inside it. */
    unsigned a = 63 - (unsigned)__builtin_clzll(low | 1);
    unsigned b = 63 - (unsigned)__builtin_clzll(high | 1);
    unsigned bits = a + (unsigned)prng_below(g, b - a + 1);
    uint64_t v = ((uint64_t)1 << bits) + prng_below(g, (uint64_t)1 << bits);
    return v < low ? low : v > high ? high : v;
}

static uint64_t draw_weighted(struct prng *g, const struct row *r)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < r->draw.count; i++) {
        sum += r->draw.n[i];
    }
    uint64_t at = prng_below(g, sum);
    unsigned i = 0;
    while (at >= r->draw.n[i]) {
        at -= r->draw.n[i++];
    }
    return i;
}

/* PICK over 0..max draws an index by weight; where the limits are wider it draws one of the values.
 */
static uint64_t draw_pick(struct prng *g, const struct row *r)
{
    if (r->max < r->draw.count) {
        return draw_weighted(g, r);
    }
    uint64_t v;
    do {
        v = r->draw.n[prng_below(g, r->draw.count)];
    } while (v < r->min);
    return v;
}

static uint64_t draw_knob(uint64_t seed, const struct row *r, uint32_t on_ppm)
{
    struct prng g = {hash_bytes(hash_mix(seed + 1), r->name, strlen(r->name))};
    bool on = prng_below(&g, 1000000) < on_ppm;
    if (r->draw.kind == DRAW_FIX) {
        return r->def;
    }
    if (!on) {
        return (r->class & CLASS_FAULT) != 0 ? r->min : r->def;
    }
    switch (r->draw.kind) {
    case DRAW_LIN:
        return r->draw.n[0] + prng_below(&g, r->draw.n[1] - r->draw.n[0] + 1);
    case DRAW_LOG:
        return draw_log(&g, r->draw.n[0], r->draw.n[1]);
    case DRAW_PICK:
        return draw_pick(&g, r);
    case DRAW_FIX:
        break;
    }
    return r->def;
}

void plan_draw(struct plan *p)
{
    for (int k = 0; k < PLAN_KNOBS; k++) {
        enum plan_knob knob = (enum plan_knob)k;
        if (plan_concerns(knob, p->world)) {
            plan_draw_one(p, knob, rows[k].on_ppm);
        } else {
            p->value[k] = rows[k].def;
        }
    }
}

void plan_draw_net(struct plan *p)
{
    for (int k = 0; k < PLAN_KNOBS; k++) {
        if (plan_is_net((enum plan_knob)k)) {
            plan_draw_one(p, (enum plan_knob)k, rows[k].on_ppm);
        }
    }
}

void plan_draw_one(struct plan *p, enum plan_knob k, uint32_t on_ppm)
{
    p->value[k] = draw_knob(p->seed, &rows[k], on_ppm);
}

/* ---- things left out ---- */

enum status plan_skip(struct plan *p, struct plan_skips *list, struct plan_range range)
{
    if (list->count == list->cap) {
        size_t cap = list->cap == 0 ? 8 : list->cap * 2;
        struct plan_range *bigger = mem_resize(p->mem, list->ranges, cap * sizeof *bigger);
        if (bigger == NULL) {
            return ST_NOMEM;
        }
        list->ranges = bigger;
        list->cap = cap;
    }
    list->ranges[list->count++] = range;
    return ST_OK;
}

bool plan_skips(const struct plan_skips *list, uint64_t actor, uint64_t ordinal)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct plan_range *r = &list->ranges[i];
        if (r->actor == actor && ordinal >= r->first && ordinal <= r->last) {
            return true;
        }
    }
    return false;
}

/* ---- text ---- */

static void put_text(struct buf *out, enum status *st, const char *text)
{
    if (*st == ST_OK) {
        *st = buf_append_text(out, text);
    }
}

static void put_u64(struct buf *out, enum status *st, uint64_t v)
{
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%llu", (unsigned long long)v);
    put_text(out, st, digits);
}

static void put_skips(struct buf *out, enum status *st, const char *name,
                      const struct plan_skips *list)
{
    for (size_t i = 0; i < list->count; i++) {
        put_text(out, st, name);
        put_text(out, st, " = ");
        put_u64(out, st, list->ranges[i].actor);
        put_text(out, st, ":");
        put_u64(out, st, list->ranges[i].first);
        put_text(out, st, "-");
        put_u64(out, st, list->ranges[i].last);
        put_text(out, st, "\n");
    }
}

enum status plan_print(const struct plan *p, struct buf *out)
{
    enum status st = ST_OK;
    put_text(out, &st,
             "# a plan for tinykv-sim: replay it with tinykv-sim replay FILE\nversion = ");
    put_u64(out, &st, VERSION);
    put_text(out, &st, "\nworld = ");
    put_text(out, &st, plan_world_name(p->world));
    put_text(out, &st, "\nseed = ");
    put_u64(out, &st, p->seed);
    put_text(out, &st, "\n");
    for (int k = 0; k < PLAN_KNOBS; k++) {
        if (!plan_concerns((enum plan_knob)k, p->world) && p->value[k] == rows[k].def) {
            continue; /* of another world */
        }
        put_text(out, &st, rows[k].name);
        put_text(out, &st, " = ");
        put_u64(out, &st, p->value[k]);
        put_text(out, &st, "\n");
    }
    put_skips(out, &st, "skip_op", &p->ops);
    put_skips(out, &st, "skip_event", &p->events);
    return st;
}

struct scan {
    const char *at, *end;
    unsigned line;
};

static void skip_blanks(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\r')) {
        s->at++;
    }
}

static bool take(struct scan *s, char c)
{
    skip_blanks(s);
    if (s->at < s->end && *s->at == c) {
        s->at++;
        return true;
    }
    return false;
}

static bool take_u64(struct scan *s, uint64_t *v)
{
    skip_blanks(s);
    const char *from = s->at;
    uint64_t n = 0;
    for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++) {
        uint64_t digit = (uint64_t)(*s->at - '0');
        if (n > (UINT64_MAX - digit) / 10) {
            return false;
        }
        n = n * 10 + digit;
    }
    *v = n;
    return s->at > from;
}

static bool take_word(struct scan *s, char *word, size_t size)
{
    skip_blanks(s);
    size_t n = 0;
    while (s->at < s->end && n + 1 < size) {
        char c = *s->at;
        if (!((c >= 'a' && c <= 'z') || c == '_' || (n > 0 && c >= '0' && c <= '9'))) {
            break;
        }
        word[n++] = c;
        s->at++;
    }
    word[n] = '\0';
    return n > 0;
}

static enum status set_knob(struct plan *p, const char *name, uint64_t v, struct err *err)
{
    for (int k = 0; k < PLAN_KNOBS; k++) {
        if (strcmp(name, rows[k].name) != 0) {
            continue;
        }
        if (v < rows[k].min || v > rows[k].max) {
            err_set(err, "%s = %llu is out of range: it takes %llu to %llu", name,
                    (unsigned long long)v, (unsigned long long)rows[k].min,
                    (unsigned long long)rows[k].max);
            return ST_INVAL;
        }
        p->value[k] = v;
        return ST_OK;
    }
    err_set(err, "there is no knob '%s'", name);
    return ST_INVAL;
}

enum status plan_set(struct plan *p, const char *name, uint64_t value, struct err *err)
{
    return set_knob(p, name, value, err);
}

static enum status parse_skip(struct plan *p, struct scan *s, struct plan_skips *list,
                              struct err *err)
{
    struct plan_range r;
    if (!take_u64(s, &r.actor) || !take(s, ':') || !take_u64(s, &r.first) || !take(s, '-') ||
        !take_u64(s, &r.last) || r.first > r.last) {
        err_set(err, "a skip is written ACTOR:FIRST-LAST");
        return ST_INVAL;
    }
    return plan_skip(p, list, r);
}

static enum status parse_value(struct plan *p, struct scan *s, const char *name, struct err *err)
{
    if (strcmp(name, "skip_op") == 0) {
        return parse_skip(p, s, &p->ops, err);
    }
    if (strcmp(name, "skip_event") == 0) {
        return parse_skip(p, s, &p->events, err);
    }
    if (strcmp(name, "world") == 0) {
        char world[TEXT_KEY_MAX];
        bool known = take_word(s, world, sizeof world) && plan_world_of(world, &p->world);
        err_set(err, "world is one of: node store cluster");
        return known ? ST_OK : ST_INVAL;
    }
    uint64_t v;
    if (!take_u64(s, &v)) {
        err_set(err, "%s wants a number below 2^64", name);
        return ST_INVAL;
    }
    if (strcmp(name, "seed") == 0) {
        p->seed = v;
        return ST_OK;
    }
    if (strcmp(name, "version") == 0) {
        err_set(err, "version %llu is not known here (this is %d)", (unsigned long long)v, VERSION);
        return v == VERSION ? ST_OK : ST_INVAL;
    }
    return set_knob(p, name, v, err);
}

/* One line: blank, a comment, or `name = value`. */
static enum status parse_line(struct plan *p, struct scan *s, struct err *err)
{
    char name[TEXT_KEY_MAX];
    skip_blanks(s);
    if (s->at == s->end || *s->at == '\n' || *s->at == '#') {
        return ST_OK;
    }
    if (!take_word(s, name, sizeof name) || !take(s, '=')) {
        err_set(err, "expected 'name = value'");
        return ST_INVAL;
    }
    enum status st = parse_value(p, s, name, err);
    if (st != ST_OK) {
        return st;
    }
    skip_blanks(s);
    if (s->at < s->end && *s->at != '\n' && *s->at != '#') {
        err_set(err, "text after the value of %s", name);
        return ST_INVAL;
    }
    return ST_OK;
}

enum status plan_parse(struct plan *p, struct slice text, struct err *err)
{
    struct plan fresh;
    plan_init(&fresh, p->mem, 0);
    struct scan s = {text.data, text.data + text.size, 1};
    for (; s.at < s.end; s.line++) {
        struct err why = {{0}};
        enum status st = parse_line(&fresh, &s, &why);
        if (st != ST_OK) {
            err_set(err, "line %u: %s", s.line, st == ST_NOMEM ? status_text(st) : why.text);
            plan_release(&fresh);
            return st;
        }
        while (s.at < s.end && *s.at++ != '\n') {
        }
    }
    plan_release(p);
    *p = fresh;
    return ST_OK;
}
