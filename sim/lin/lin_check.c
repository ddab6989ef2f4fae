/* lin_check.c - decides a whole history, part by part. See lin.h. */
#include "sim/lin/lin_search.h"
#include "sim/lin/lin_witness.h"
#include "sim/lin/lin_zones.h"

#include <stdio.h>

#define STEPS_DEFAULT  50000000u
#define MEMORY_DEFAULT ((size_t)1 << 30)
#define ZONES_WORK_MAX 20000000u /* keys times operations, when looking for a witness */

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
};

static void take_places(struct lin_verdict *v, struct lin_zones *z)
{
    v->result = LIN_NON_LINEARIZABLE;
    v->witness = z->places;
    v->witness_count = z->place_count;
    z->places = NULL;
    z->place_count = 0;
    z->place_cap = 0;
}

/* A contradiction on one key alone, if that is what it is. */
static enum status zones_witness(const struct job *j, struct lin_verdict *v)
{
    const struct lin_part *part = j->part;
    if (part->key_count == 1 || (uint64_t)part->key_count * part->op_count > ZONES_WORK_MAX) {
        return ST_OK;
    }
    for (uint32_t k = 0; k < part->key_count; k++) {
        enum lin_result result;
        enum status st = lin_zones_check(j->zones, j->split, part, k, &result);
        if (st != ST_OK) {
            return st;
        }
        if (result == LIN_NON_LINEARIZABLE) {
            take_places(v, j->zones);
            return ST_OK;
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

static enum status search_part(const struct job *j, struct lin_verdict *v)
{
    struct lin_prog prog;
    struct lin_search search = {0};
    enum lin_result result = LIN_UNKNOWN;
    uint32_t event = 0;
    uint32_t place = 0;
    enum status st = lin_prog_make(&prog, j->h, j->split, j->part, NULL);
    if (st == ST_OK) {
        uint64_t left = v->steps < j->options->steps ? j->options->steps - v->steps : 0;
        st = lin_search_init(&search, &prog, left, j->options->memory);
    }
    if (st == ST_OK) {
        st = lin_search_run(&search, &result, &event);
    }
    if (st == ST_OK && result == LIN_NON_LINEARIZABLE) {
        place = prog.ops[prog.events[event] / 2].place;
    }
    v->steps += search.steps;
    v->result = result == LIN_LINEARIZABLE ? v->result : result;
    lin_search_release(&search);
    lin_prog_release(&prog);
    return st == ST_OK && result == LIN_NON_LINEARIZABLE ? find_witness(j, place, v) : st;
}

static enum status check_part(const struct job *j, struct lin_verdict *v)
{
    if (j->part->key_count > 1) {
        return search_part(j, v);
    }
    enum lin_result result;
    enum status st = lin_zones_check(j->zones, j->split, j->part, 0, &result);
    if (st != ST_OK || result == LIN_UNKNOWN) {
        return st != ST_OK ? st : search_part(j, v);
    }
    v->parts_zones++;
    if (result == LIN_NON_LINEARIZABLE) {
        take_places(v, j->zones);
    }
    return ST_OK;
}

static enum status explain(const struct lin_history *h, struct lin_verdict *v)
{
    struct buf text;
    buf_init(&text, v->mem);
    enum status st = ST_OK;
    if (v->result == LIN_LINEARIZABLE) {
        st = buf_append_text(&text, "linearizable: there is one order that explains every result");
    } else if (v->result == LIN_UNKNOWN) {
        st = buf_append_text(&text, "unknown: the search reached its limit");
    } else {
        st = buf_append_text(&text, "no order explains operation ");
        st = st == ST_OK ? lin_history_say(h, v->witness[0], &text) : st;
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
    lin_zones_init(&zones, h);
    enum status st = lin_split_make(&split, h);
    for (uint32_t i = 0; st == ST_OK && i < split.part_count; i++) {
        if (split.parts[i].op_count == 0) {
            continue;
        }
        v->parts++;
        struct job j = {h, &split, &split.parts[i], &zones, &o};
        st = check_part(&j, v);
        if (v->result == LIN_NON_LINEARIZABLE) {
            break; /* one part is enough */
        }
    }
    lin_zones_release(&zones);
    lin_split_release(&split);
    return st == ST_OK ? explain(h, v) : st;
}
