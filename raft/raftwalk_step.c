/* raftwalk_step.c - see raftwalk_step.h. */
#include "raft/raftwalk_step.h"

#include "base/ck.h"
#include "base/code.h"

static struct raftstate *state_of(struct raftwalk_step *s)
{
    return &s->walk->log->state;
}

/* Room for a step: a record of so many bytes, a few runs and places. */
static bool ready(struct raftwalk_step *s, size_t payload)
{
    struct raftlog *log = s->walk->log;
    if (s->st == ST_OK) {
        s->st = s->walk->restaging ? raftlog_reserve(log, raftlogfmt_size(payload), 2, 4)
                                   : raftstate_reserve(&log->state, 2, 4);
    }
    if (s->st == ST_OK && s->walk->restaging) {
        log->stage.filling->places += 4;
        log->stage.places += 4;
    }
    return s->st == ST_OK;
}

static void put(struct raftwalk_step *s, enum raftlogfmt_type type, const struct raft_place *place,
                unsigned flags, uint8_t kind, struct slice data)
{
    struct raftlogfmt_record r = {.size = (uint32_t)data.size,
                                  .type = (uint8_t)type,
                                  .kind = kind,
                                  .flags = (uint16_t)flags,
                                  .sequence = s->sequence,
                                  .index = place->index,
                                  .term = place->term,
                                  .payload = data.data};
    if (s->walk->restaging) {
        raftstage_put(&s->walk->log->stage, &r);
    }
}

/* ---- entries ---- */

static void place_entry(struct raftwalk_step *s, uint64_t index, uint64_t offset)
{
    struct raftwalk *w = s->walk;
    if (index != w->next || offset - w->next_where >= RAFTSEG_STRIDE) {
        struct raftplace p = {index, w->file->number, offset};
        raftplaces_add(&state_of(s)->places, &p);
        w->next_where = offset;
    }
    w->next = index + 1;
}

/* A configuration entry, known or lost. */
static void config_enter(struct raftwalk_step *s, const struct raft_place *place, struct slice data)
{
    struct raftstate *state = state_of(s);
    if (place->index <= state->snapshot.index || place->index > state->last.index) {
        return;
    }
    struct raftstate_config *c = raftstate_config_new(s->walk->log->env, place, data);
    if (c == NULL) {
        s->st = ST_NOMEM;
        return;
    }
    raftstate_config(state, c);
}

static bool entry_good(const struct raftlogfmt_record *r)
{
    return r->kind > 0 && r->kind < RAFT_KINDS && r->term > 0 &&
           (r->kind != RAFT_CONFIG || (r->size > 0 && r->size <= RAFTLOG_CONFIG_MAX));
}

static bool step_entry(struct raftwalk_step *s, const struct raftlogfmt_record *r, uint64_t offset)
{
    struct raftstate *state = state_of(s);
    struct raft_place place = {r->index, r->term};
    if (!entry_good(r) || r->index != state->last.index + 1 || r->term < state->last.term) {
        return false;
    }
    if (!ready(s, r->size)) {
        return true;
    }
    struct slice data = slice_of(r->payload, r->size);
    raftstate_entry(state, &place);
    put(s, RAFTLOGFMT_ENTRY, &place, 0, r->kind, data);
    if (!s->walk->restaging) {
        place_entry(s, r->index, offset);
    }
    if (r->kind == RAFT_CONFIG) {
        config_enter(s, &place, data);
    }
    return true;
}

static bool step_repair(struct raftwalk_step *s, const struct raftlogfmt_record *r, uint64_t offset)
{
    struct raftstate *state = state_of(s);
    uint64_t next;
    const struct raftplace *old = raftplaces_find(&state->places, r->index, &next);
    struct raft_place place = {r->index, r->term};
    if (!entry_good(r)) {
        return false;
    }
    bool wanted = r->index > state->base.index && r->index <= state->last.index && old != NULL &&
                  (raftplace_flags(old) & RAFTPLACE_DAMAGED) != 0;
    if (wanted && !raftstate_repairable(state, &place)) {
        return false;
    }
    if (!wanted || !ready(s, r->size)) {
        return true; /* gone since, or it was never damaged for good */
    }
    struct slice data = slice_of(r->payload, r->size);
    put(s, RAFTLOGFMT_REPAIR, &place, 0, r->kind, data);
    raftstate_repair(state, &place);
    if (!s->walk->restaging) {
        struct raftplace p = {r->index, s->walk->file->number, offset};
        old = raftplaces_find(&state->places, r->index,
                              &next); /* room was made: they may lie elsewhere */
        struct raftplace rest = *old;
        bool more = next > r->index + 1 && state->last.index > r->index;
        raftplaces_set(&state->places, &p, r->index + 1, more ? &rest : NULL);
    }
    if (r->kind == RAFT_CONFIG) {
        config_enter(s, &place, data);
    }
    s->walk->next = 0;
    return true;
}

/* Entries behind the last one, up to last, all of its term, are lost. */
static void lose(struct raftwalk_step *s, const struct raft_place *last, bool doubt, bool vague)
{
    struct raftstate *state = state_of(s);
    struct raft_place lo = {state->last.index + 1, last->term};
    char payload[8];
    if (lo.index > last->index || !ready(s, sizeof payload)) {
        return;
    }
    unsigned flags = (doubt ? RAFTLOGFMT_DOUBT : 0) | (vague ? RAFTLOGFMT_VAGUE : 0);
    code_put64(payload, last->index + 1);
    put(s, RAFTLOGFMT_LOST, &lo, flags, 0, slice_of(payload, sizeof payload));
    raftstate_entry(state, &lo);
    state->last.index = last->index;
    if (!s->walk->restaging) {
        uint64_t where = RAFTPLACE_DAMAGED;
        where |= doubt ? RAFTPLACE_DOUBT : 0;
        where |= vague ? RAFTPLACE_VAGUE : 0;
        struct raftplace p = {lo.index, s->walk->file->number, where};
        raftplaces_add(&state->places, &p);
    } else {
        raftstage_restart(&s->walk->log->stage, last->index + 1);
        s->walk->log->stage.filling->vague = s->walk->log->stage.filling->vague || vague;
    }
    s->walk->next = 0;
}

/* Entries up to index are lost, and their terms were told. */
static void lose_told(struct raftwalk_step *s, uint64_t index)
{
    while (s->st == ST_OK && state_of(s)->last.index < index) {
        struct raft_place to = {index, state_of(s)->last.term};
        uint64_t next = state_of(s)->last.index + 1;
        for (size_t at = 0; at < s->runs.size; at += RAFTLOGFMT_RUN) {
            struct raft_run run = raftlogfmt_get_run(s->runs.data + at);
            if (run.first <= next) {
                to.term = run.term > to.term ? run.term : to.term;
            } else {
                to.index = run.first - 1 < to.index ? run.first - 1 : to.index;
            }
        }
        to.term = to.term > 0 ? to.term : 1;
        lose(s, &to, s->doubt, false);
    }
}

/* The same where the terms may differ: from `known` on it is `term`, before that it is between
 * the present last one and that. */
static void lose_upto(struct raftwalk_step *s, uint64_t index, uint64_t term, uint64_t known)
{
    struct raft_place before = state_of(s)->last;
    if (s->told) {
        lose_told(s, index);
        return;
    }
    uint64_t least = before.term > 0 ? before.term : 1;
    known = term <= least ? before.index + 1 : known;
    if (known > before.index + 1) {
        struct raft_place vague = {known - 1 < index ? known - 1 : index, least};
        lose(s, &vague, s->doubt, true);
    }
    struct raft_place exact = {index, term > least ? term : least};
    lose(s, &exact, s->doubt, false);
}

void raftwalk_step_lose(struct raftwalk_step *s, const struct raft_place *last, uint64_t run,
                        uint64_t from, uint64_t to, uint64_t lo, uint64_t hi)
{
    struct raftscan scan = s->walk->scan;
    struct raftlogfmt_record r;
    uint64_t end = to > scan.at ? to - scan.at : 0;
    scan.size = end < scan.size ? end : scan.size;
    while (from < to && s->st == ST_OK && raftscan_next(&scan, &from, lo, hi, &r)) {
        const struct raft_place *at = &state_of(s)->last;
        if (r.type == RAFTLOGFMT_ENTRY && entry_good(&r) && r.index > at->index &&
            r.index <= last->index && r.term >= at->term && r.term <= last->term) {
            bool same = r.term == last->term && run > 0 && run < r.index;
            lose_upto(s, r.index - 1, r.term, same ? run : r.index);
            s->walk->next = 0;             /* what is between it and the one before may be broken */
            (void)step_entry(s, &r, from); /* it fits: that was looked at */
            from += RAFTLOGFMT_RECORD;
        }
        from += RAFTLOGFMT_ALIGN;
    }
    s->walk->next = 0;
    lose_upto(s, last->index, last->term, run > 0 && run <= last->index ? run : last->index);
}

/* ---- the others ---- */

bool raftwalk_step_truncate(struct raftwalk_step *s, uint64_t from)
{
    struct raftstate *state = state_of(s);
    struct raft_place place = {from, 0};
    if (from <= state->snapshot.index || from == 0) {
        return false;
    }
    if (ready(s, 0)) {
        put(s, RAFTLOGFMT_TRUNCATE, &place, 0, 0, slice_of(NULL, 0));
        raftstate_truncate(state, from, s->sequence);
        if (s->walk->restaging) {
            raftstage_truncate(&s->walk->log->stage, from);
            raftstage_restart(&s->walk->log->stage, state->last.index + 1);
        }
        s->walk->next = 0;
    }
    return true;
}

bool raftwalk_step_snapshot(struct raftwalk_step *s, const struct raft_place *place,
                            struct slice config, bool keep)
{
    struct raftstate *state = state_of(s);
    if (place->index < state->snapshot.index || config.size > RAFTLOG_CONFIG_MAX ||
        (keep && place->index > state->last.index) || place->index >= UINT64_MAX / 2) {
        return false;
    }
    if (ready(s, config.size)) {
        put(s, RAFTLOGFMT_SNAPSHOT, place, keep ? RAFTLOGFMT_KEEP : 0, 0, config);
        raftstate_snapshot(state, place, config, keep, s->sequence);
        if (s->walk->restaging && !keep) {
            raftstage_clear(&s->walk->log->stage, place->index + 1);
        }
        s->walk->next = keep ? s->walk->next : 0;
    }
    return true;
}

bool raftwalk_step_compact(struct raftwalk_step *s, const struct raft_place *place)
{
    struct raftstate *state = state_of(s);
    if (place->index > state->snapshot.index) {
        return false;
    }
    if (place->index > state->base.index && ready(s, 0)) {
        struct raft_place base = {place->index, raftstate_term(state, place->index)};
        if (raftstate_repairable(state, place)) { /* the entry may be lost: then this is its term */
            raftstate_repair(state, place);
            base = *place;
        }
        put(s, RAFTLOGFMT_COMPACT, &base, 0, 0, slice_of(NULL, 0));
        raftstate_compact(state, &base);
    }
    return true;
}

void raftwalk_step_config(struct raftwalk_step *s, const struct raft_place *place,
                          struct slice data)
{
    const struct raftstate_config *c = state_of(s)->configs;
    if (s->st == ST_OK && place->index > 0 && data.size <= RAFTLOG_CONFIG_MAX &&
        (c == NULL || c->place.index < place->index ||
         (c->place.index == place->index && c->lost))) {
        config_enter(s, place, data);
    }
}

static bool step_lost(struct raftwalk_step *s, const struct raftlogfmt_record *r)
{
    const struct raft_place *last = &state_of(s)->last;
    if (r->size != 8 || r->index != last->index + 1 || r->term < last->term || r->term == 0) {
        return false;
    }
    uint64_t hi = code_get64(r->payload);
    if (hi <= r->index || hi >= UINT64_MAX / 2) {
        return false;
    }
    struct raft_place at = {hi - 1, r->term};
    lose(s, &at, (r->flags & RAFTLOGFMT_DOUBT) != 0, (r->flags & RAFTLOGFMT_VAGUE) != 0);
    return true;
}

bool raftwalk_step_record(struct raftwalk_step *s, const struct raftlogfmt_record *r,
                          uint64_t offset)
{
    struct raft_place place = {r->index, r->term};
    switch (r->type) {
    case RAFTLOGFMT_ENTRY:
        return step_entry(s, r, offset);
    case RAFTLOGFMT_TRUNCATE:
        return raftwalk_step_truncate(s, r->index);
    case RAFTLOGFMT_SNAPSHOT:
        return raftwalk_step_snapshot(s, &place, slice_of(r->payload, r->size),
                                      (r->flags & RAFTLOGFMT_KEEP) != 0);
    case RAFTLOGFMT_COMPACT:
        return raftwalk_step_compact(s, &place);
    case RAFTLOGFMT_LOST:
        return step_lost(s, r);
    case RAFTLOGFMT_REPAIR:
        return step_repair(s, r, offset);
    default:
        return false;
    }
}
