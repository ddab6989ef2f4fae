/* lin_check.c - decides a whole history, part by part. See lin.h. */
#include "sim/lin/lin_deep.h"
#include "sim/lin/lin_graph.h"
#include "sim/lin/lin_search.h"
#include "sim/lin/lin_tell.h"
#include "sim/lin/lin_witness.h"
#include "sim/lin/lin_zones.h"

#include <stdio.h>

#define STEPS_DEFAULT   50000000u
#define MEMORY_DEFAULT  ((size_t)1 << 30)
#define WEAK_MIN        2000 /* operations of a key from which zones are worth a try for a "no" */
#define DEEP_MIN        64   /* events from which depth first is tried */
#define WITNESS_AIM     6    /* operations that a person can take in */
#define CIRCLE_TOLD_MAX 8    /* operations; a longer circle is no help to a reader */
#define ZONES_WORK_MAX  20000000u /* keys times operations, when looking for a witness */

const char *lin_result_text(enum lin_result result)
{
    static const char *const texts[] = {"linearizable", "non-linearizable", "unknown"};
    return texts[result];
}

void lin_verdict_release(struct lin_verdict *v)
{
    if (v->mem == NULL) {
        return;
    }
    mem_release(v->mem, v->witness);
    mem_release(v->mem, v->text);
    *v = (struct lin_verdict){0};
}

static enum status set_text(struct lin_verdict *v, const struct buf *text)
{
    v->text = mem_alloc(v->mem, text->size + 1);
    if (v->text == NULL) {
        return ST_NOMEM;
    }
    memcpy(v->text, text->data, text->size);
    v->text[text->size] = '\0';
    return ST_OK;
}

/* What one part is checked with. */
struct job {
    const struct lin_history *h;
    const struct lin_split *split;
    const struct lin_part *part;
    struct lin_zones *zones;
    const struct lin_options *options;
    uint64_t done;             /* operations of the parts before */
    struct lin_circle *circle; /* of a "no" by the graph */
};

/* Half of the events of a part is about how many of its operations are decided. */
static void search_progress(void *arg, uint64_t events)
{
    const struct job *j = arg;
    j->options->progress(j->options->progress_arg, j->done + events / 2, j->h->count);
}

static enum status take_places(const struct job *j, struct lin_verdict *v)
{
    struct lin_zones *z = j->zones;
    v->result = LIN_NON_LINEARIZABLE;
    v->witness = z->places;
    v->witness_count = z->place_count;
    z->places = NULL;
    z->place_count = 0;
    z->place_cap = 0;
    return lin_witness_trim(j->h, j->split, j->part, v->witness, &v->witness_count);
}

/* A contradiction on one key alone, if that is what it is. */
static enum status zones_witness(const struct job *j, struct lin_verdict *v)
{
    const struct lin_part *part = j->part;
    bool tried = part->key_count == 1 && part->op_count >= WEAK_MIN;
    if (tried || (uint64_t)part->key_count * part->op_count > ZONES_WORK_MAX) {
        return ST_OK;
    }
    for (uint32_t k = 0; k < part->key_count; k++) {
        enum lin_result result;
        enum status st = lin_zones_check(j->zones, j->split, part, k, true, &result);
        if (st != ST_OK) {
            return st;
        }
        if (result == LIN_NON_LINEARIZABLE) {
            return take_places(j, v);
        }
    }
    return ST_OK;
}

static enum status find_witness(const struct job *j, uint32_t place, struct lin_verdict *v)
{
    enum status st = zones_witness(j, v);
    if (st != ST_OK || v->witness != NULL) {
        return st;
    }
    return lin_witness_find(j->h, j->split, j->part, place, j->options->steps, j->options->memory,
                            &v->witness, &v->witness_count);
}

static enum status search_init(struct job *j, const struct lin_prog *prog,
                               const struct lin_verdict *v, struct lin_search *search)
{
    uint64_t left = v->steps < j->options->steps ? j->options->steps - v->steps : 0;
    enum status st = lin_search_init(search, prog, left, j->options->memory);
    search->progress = j->options->progress != NULL ? search_progress : NULL;
    search->progress_arg = j;
    return st;
}

/* Depth first where that is quicker: one key, and not just a few events. Over several keys it looks
 * at as many nodes as breadth first does. A "no" it leaves to that. */
static enum status search_deep(struct job *j, const struct lin_prog *prog, struct lin_verdict *v,
                               bool *found)
{
    struct lin_search search = {0};
    *found = false;
    if (prog->key_count > 1 || prog->event_count < DEEP_MIN) {
        return ST_OK;
    }
    enum status st = search_init(j, prog, v, &search);
    st = st == ST_OK ? lin_deep_run(&search, found) : st;
    v->steps += search.steps;
    lin_search_release(&search);
    return st;
}

static enum status search_part(struct job *j, struct lin_verdict *v)
{
    struct lin_prog prog;
    struct lin_search search = {0};
    enum lin_result result = LIN_UNKNOWN;
    uint32_t event = 0;
    uint32_t place = 0;
    bool found = false;
    enum status st = lin_prog_make(&prog, j->h, j->split, j->part, NULL);
    if (st == ST_OK) {
        st = search_deep(j, &prog, v, &found);
    }
    if (st != ST_OK || found) {
        lin_prog_release(&prog);
        return st;
    }
    st = search_init(j, &prog, v, &search);
    if (st == ST_OK) {
        st = lin_search_run(&search, &result, &event);
    }
    if (st == ST_OK && result == LIN_NON_LINEARIZABLE) {
        place = prog.ops[prog.events[event] / 2].place;
    }
    v->steps += search.steps;
    if (st == ST_OK && result == LIN_UNKNOWN) {
        v->limit_memory = search.steps <= search.steps_max;
        v->hard_ops = prog.op_count;
        v->hard_keys = prog.key_count;
        v->hard_open = prog.slot_count;
    }
    v->result = result == LIN_LINEARIZABLE ? v->result : result;
    lin_search_release(&search);
    lin_prog_release(&prog);
    if (st == ST_OK && result == LIN_UNKNOWN) {
        return zones_witness(j, v); /* too hard to search, but one key alone may show a "no" */
    }
    return st == ST_OK && result == LIN_NON_LINEARIZABLE ? find_witness(j, place, v) : st;
}

/* All that the circle's reasons name. */
static enum status circle_seeds(const struct lin_circle *c, struct lin_verdict *v, uint32_t **seeds,
                                size_t *count)
{
    *count = 0;
    *seeds = mem_alloc(v->mem, (3 * c->count + c->more_count + 1) * sizeof **seeds);
    if (*seeds == NULL) {
        return ST_NOMEM;
    }
    for (size_t i = 0; i < c->count; i++) {
        (*seeds)[(*count)++] = c->links[i].place;
    }
    for (size_t i = 0; i < c->more_count; i++) {
        (*seeds)[(*count)++] = c->more[i];
    }
    return ST_OK;
}

/* A large witness: perhaps the search meets a smaller one. */
static enum status smaller_witness(struct job *j, struct lin_verdict *v)
{
    struct lin_verdict other = {.mem = v->mem, .result = LIN_LINEARIZABLE, .steps = v->steps};
    enum status st = search_part(j, &other);
    v->steps = other.steps;
    if (st == ST_OK && other.witness_count > 0 && other.witness_count < v->witness_count) {
        uint32_t *swap = v->witness;
        v->witness = other.witness;
        v->witness_count = other.witness_count;
        other.witness = swap;
    }
    lin_verdict_release(&other);
    return st;
}

/* A circle is a proof, and it is proved once more: its operations, closed, have no order. That is
 * the witness; where it cannot be had, the search has the word. */
static enum status graph_part(struct job *j, struct lin_verdict *v)
{
    struct lin_circle *c = j->circle;
    uint32_t *seeds = NULL;
    size_t seed_count;
    enum status st = lin_graph_check(j->h, j->split, j->part, c);
    if (st == ST_OK && c->count > 0) {
        st = circle_seeds(c, v, &seeds, &seed_count);
        if (st == ST_OK) {
            st = lin_witness_from(j->h, j->split, j->part, seeds, seed_count, &v->witness,
                                  &v->witness_count);
        }
        mem_release(v->mem, seeds);
    }
    if (st == ST_OK && v->witness_count > WITNESS_AIM) {
        st = smaller_witness(j, v);
    }
    v->result = v->witness_count > 0 ? LIN_NON_LINEARIZABLE : v->result;
    if (st != ST_OK || v->witness_count == 0) {
        lin_circle_release(c);
    }
    return st;
}

static enum status check_part(struct job *j, struct lin_verdict *v)
{
    if (j->part->key_count > 1) {
        enum status st = graph_part(j, v);
        return st == ST_OK && v->witness_count == 0 ? search_part(j, v) : st;
    }
    enum lin_result result;
    bool weak = j->part->op_count >= WEAK_MIN;
    enum status st = lin_zones_check(j->zones, j->split, j->part, 0, weak, &result);
    if (st != ST_OK || result == LIN_UNKNOWN) {
        return st != ST_OK ? st : search_part(j, v);
    }
    v->parts_zones++;
    return result == LIN_NON_LINEARIZABLE ? take_places(j, v) : ST_OK;
}

/* A look for a value that only a failed write had: that write belongs to the story. */
static enum status add_failed_writer(const struct lin_history *h, struct lin_verdict *v)
{
    uint32_t failed = v->witness_count == 1 ? lin_tell_failed_writer(h, v->witness[0]) : LIN_NONE;
    if (failed == LIN_NONE) {
        return ST_OK;
    }
    uint32_t *places = mem_resize(v->mem, v->witness, 2 * sizeof *places);
    if (places == NULL) {
        return ST_NOMEM;
    }
    places[1] = failed;
    v->witness = places;
    v->witness_count = 2;
    return ST_OK;
}

/* The circle is told when the witness, which may have become smaller, still holds it. */
static bool circle_shows(const struct lin_circle *c, const struct lin_verdict *v)
{
    bool all = c->count > 0 && c->count <= CIRCLE_TOLD_MAX;
    for (size_t i = 0; i < c->count && all; i++) {
        bool found = false;
        for (size_t n = 0; n < v->witness_count; n++) {
            found = found || v->witness[n] == c->links[i].place;
        }
        all = found;
    }
    return all;
}

static enum status explain(const struct lin_history *h, const struct lin_circle *c,
                           struct lin_verdict *v)
{
    struct buf text;
    buf_init(&text, v->mem);
    enum status st = ST_OK;
    if (v->result == LIN_LINEARIZABLE) {
        st = buf_append_text(&text, "one order explains every result");
    } else if (v->result == LIN_UNKNOWN) {
        char why[200];
        (void)snprintf(why, sizeof why,
                       "the search reached its limit of %s after %llu steps; the hardest part has "
                       "%u operations on %u keys, up to %u of them open at once",
                       v->limit_memory ? "memory" : "steps", (unsigned long long)v->steps,
                       v->hard_ops, v->hard_keys, v->hard_open);
        st = buf_append_text(&text, why);
    } else {
        st = add_failed_writer(h, v);
        lin_tell_sort(h, v->witness, v->witness_count);
        st = st == ST_OK ? lin_tell(h, v->witness, v->witness_count, &text) : st;
        if (st == ST_OK && circle_shows(c, v)) {
            st = buf_append_text(&text, "; ");
            st = st == ST_OK ? lin_circle_say(h, c, &text) : st;
        }
    }
    if (st == ST_OK) {
        st = set_text(v, &text);
    }
    buf_release(&text);
    return st;
}

enum status lin_check(const struct lin_history *h, const struct lin_options *options,
                      struct lin_verdict *v)
{
    struct lin_options o = options != NULL ? *options : (struct lin_options){0};
    o.steps = o.steps > 0 ? o.steps : STEPS_DEFAULT;
    o.memory = o.memory > 0 ? o.memory : MEMORY_DEFAULT;
    *v = (struct lin_verdict){.mem = h->mem, .result = LIN_LINEARIZABLE};
    struct lin_split split;
    struct lin_zones zones;
    struct lin_circle circle = {0};
    lin_zones_init(&zones, h);
    enum status st = lin_split_make(&split, h);
    struct job j = {.h = h, .split = &split, .zones = &zones, .options = &o, .circle = &circle};
    for (uint32_t i = 0; st == ST_OK && i < split.part_count; i++) {
        if (split.parts[i].op_count == 0) {
            continue;
        }
        v->parts++;
        j.part = &split.parts[i];
        if (o.progress != NULL) {
            o.progress(o.progress_arg, j.done, h->count);
        }
        st = check_part(&j, v);
        j.done += split.parts[i].op_count;
        if (v->result == LIN_NON_LINEARIZABLE) {
            break; /* one part is enough */
        }
    }
    lin_zones_release(&zones);
    lin_split_release(&split);
    st = st == ST_OK ? explain(h, &circle, v) : st;
    lin_circle_release(&circle);
    return st;
}
