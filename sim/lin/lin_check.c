/* lin_check.c - decides a whole history, part by part. See lin.h. */
#include "sim/lin/lin_search.h"
#include "sim/lin/lin_zones.h"

#include <stdio.h>

#define STEPS_DEFAULT  50000000u
#define MEMORY_DEFAULT ((size_t)1 << 30)

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

static enum status set_witness(struct lin_verdict *v, uint32_t place)
{
    v->witness = mem_alloc(v->mem, sizeof *v->witness);
    if (v->witness == NULL) {
        return ST_NOMEM;
    }
    v->witness[0] = place;
    v->witness_count = 1;
    return ST_OK;
}

static enum status search_part(const struct lin_history *h, const struct lin_split *split,
                               const struct lin_part *part, const struct lin_options *options,
                               struct lin_verdict *v)
{
    struct lin_prog prog;
    struct lin_search search = {0};
    enum lin_result result = LIN_UNKNOWN;
    uint32_t event = 0;
    enum status st = lin_prog_make(&prog, h, split, part, NULL);
    if (st == ST_OK) {
        st = lin_search_init(&search, &prog, options->steps - v->steps, options->memory);
    }
    if (st == ST_OK) {
        st = lin_search_run(&search, &result, &event);
    }
    if (st == ST_OK && result == LIN_NON_LINEARIZABLE) {
        st = set_witness(v, prog.ops[prog.events[event] / 2].place);
    }
    v->steps += search.steps;
    if (result != LIN_LINEARIZABLE) {
        v->result = result;
    }
    lin_search_release(&search);
    lin_prog_release(&prog);
    return st;
}

static enum status take_witness(struct lin_verdict *v, struct lin_zones *z)
{
    v->result = LIN_NON_LINEARIZABLE;
    v->witness = z->places;
    v->witness_count = z->place_count;
    z->places = NULL;
    z->place_count = 0;
    z->place_cap = 0;
    return ST_OK;
}

static enum status check_part(const struct lin_history *h, const struct lin_split *split,
                              const struct lin_part *part, struct lin_zones *z,
                              const struct lin_options *options, struct lin_verdict *v)
{
    if (part->key_count == 1) {
        enum lin_result result;
        enum status st = lin_zones_check(z, split, part, 0, &result);
        if (st != ST_OK || result == LIN_LINEARIZABLE) {
            v->parts_zones++;
            return st;
        }
        if (result == LIN_NON_LINEARIZABLE) {
            v->parts_zones++;
            return take_witness(v, z);
        }
    }
    return search_part(h, split, part, options, v);
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
        st = check_part(h, &split, &split.parts[i], &zones, &o, v);
        if (v->result == LIN_NON_LINEARIZABLE) {
            break; /* one part is enough */
        }
    }
    lin_zones_release(&zones);
    lin_split_release(&split);
    return st == ST_OK ? explain(h, v) : st;
}
