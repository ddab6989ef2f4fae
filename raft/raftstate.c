/* raftstate.c - see raftstate.h. */
#include "raft/raftstate.h"

#include "base/ck.h"

#define RUNS_MIN 16

void raftstate_init(struct raftstate *s, struct env *env)
{
    memset(s, 0, sizeof *s);
    s->env = env;
    raftplaces_init(&s->places, &env->mem);
}

static struct raftstate_config *config_pop(struct raftstate *s)
{
    struct raftstate_config *c = s->configs;
    s->configs = c->older;
    return c;
}

void raftstate_release(struct raftstate *s)
{
    if (s->env == NULL) {
        return;
    }
    while (s->configs != NULL) {
        env_release(s->env, config_pop(s));
    }
    env_release(s->env, s->runs);
    raftplaces_release(&s->places);
    memset(s, 0, sizeof *s);
}

static enum status runs_reserve(struct raftstate *s, size_t n)
{
    if (s->run_cap - s->run_head - s->run_count >= n) {
        return ST_OK;
    }
    if (s->run_head >= s->run_count + n) {
        memmove(s->runs, s->runs + s->run_head, s->run_count * sizeof *s->runs);
        s->run_head = 0;
        if (s->run_cap - s->run_count >= n) {
            return ST_OK;
        }
    }
    size_t cap = s->run_cap < RUNS_MIN ? RUNS_MIN : s->run_cap;
    while (cap - s->run_head - s->run_count < n) {
        cap *= 2;
    }
    struct raft_run *runs = env_resize(s->env, s->runs, cap * sizeof *runs);
    if (runs == NULL) {
        return ST_NOMEM;
    }
    s->runs = runs;
    s->run_cap = cap;
    return ST_OK;
}

enum status raftstate_reserve(struct raftstate *s, size_t runs, size_t places)
{
    enum status st = runs_reserve(s, runs);
    return st == ST_OK ? raftplaces_reserve(&s->places, places) : st;
}

struct raftstate_config *raftstate_config_new(struct env *env, const struct raft_place *place,
                                              struct slice data)
{
    struct raftstate_config *c = env_alloc(env, sizeof *c + data.size);
    if (c != NULL) {
        *c = (struct raftstate_config){.place = *place, .lost = data.size == 0, .size = data.size};
        if (data.size > 0) {
            memcpy(c->data, data.data, data.size);
        }
    }
    return c;
}

static struct raft_run *run_last(const struct raftstate *s)
{
    return s->run_count > 0 ? s->runs + s->run_head + s->run_count - 1 : NULL;
}

void raftstate_entry(struct raftstate *s, const struct raft_place *place)
{
    struct raft_run *last = run_last(s);
    CK(place->index == s->last.index + 1);
    CK(place->term >= s->last.term);
    if (last == NULL || last->term != place->term) {
        CK(s->run_head + s->run_count < s->run_cap);
        s->runs[s->run_head + s->run_count++] = (struct raft_run){place->index, place->term};
    }
    s->last = *place;
}

void raftstate_config(struct raftstate *s, struct raftstate_config *c)
{
    struct raftstate_config **at = &s->configs;
    if (c->place.index <= s->snapshot.index) {
        env_release(s->env, c);
        return;
    }
    CK(c->place.index <= s->last.index);
    while (*at != NULL && (*at)->place.index > c->place.index) {
        at = &(*at)->older;
    }
    struct raftstate_config *lost = *at;
    if (lost != NULL && lost->place.index == c->place.index) {
        *at = lost->older;
        env_release(s->env, lost);
    }
    c->older = *at;
    *at = c;
}

static void cut_note(struct raftstate *s, uint64_t from, uint64_t sequence)
{
    if (s->cut_sequence == sequence) {
        s->cut_from = from < s->cut_from ? from : s->cut_from;
        return;
    }
    s->cut_before = s->cut_sequence;
    s->cut_sequence = sequence;
    s->cut_from = from;
}

void raftstate_truncate(struct raftstate *s, uint64_t from, uint64_t sequence)
{
    cut_note(s, from, sequence);
    if (from > s->last.index) {
        return;
    }
    CK(from > s->base.index);
    s->last = (struct raft_place){from - 1, raftstate_term(s, from - 1)};
    while (s->run_count > 0 && run_last(s)->first >= from) {
        s->run_count--;
    }
    raftplaces_cut(&s->places, from);
    while (s->configs != NULL && s->configs->place.index >= from) {
        env_release(s->env, config_pop(s));
    }
}

/* Frees the configurations at or below index. */
static void configs_drop(struct raftstate *s, uint64_t index)
{
    struct raftstate_config **at = &s->configs;
    while (*at != NULL && (*at)->place.index > index) {
        at = &(*at)->older;
    }
    while (*at != NULL) {
        struct raftstate_config *c = *at;
        *at = c->older;
        env_release(s->env, c);
    }
}

void raftstate_snapshot(struct raftstate *s, const struct raft_place *place, struct slice config,
                        bool keep, uint64_t sequence)
{
    CK(place->index >= s->snapshot.index);
    CK(config.size <= sizeof s->snapshot_config);
    if (!keep) {
        cut_note(s, place->index + 1, sequence);
        s->base = s->last = *place;
        s->run_head = s->run_count = 0;
        s->places.head = s->places.count = 0;
        configs_drop(s, UINT64_MAX);
    }
    CK(place->index <= s->last.index);
    s->snapshot = *place;
    s->snapshot_size = config.size;
    if (config.size > 0) {
        memcpy(s->snapshot_config, config.data, config.size);
    }
    configs_drop(s, place->index);
}

void raftstate_compact(struct raftstate *s, const struct raft_place *place)
{
    CK(place->index >= s->base.index);
    CK(place->index <= s->snapshot.index);
    while (s->run_count > 1 && s->runs[s->run_head + 1].first <= place->index + 1) {
        s->run_head++;
        s->run_count--;
    }
    if (s->run_count > 0) {
        struct raft_run *r = &s->runs[s->run_head];
        r->first = r->first > place->index + 1 ? r->first : place->index + 1;
    }
    if (place->index == s->last.index) {
        s->run_count = s->run_head = 0;
    }
    s->base = *place;
    raftplaces_drop(&s->places, place->index + 1);
}

/* The run that index, in (base, last], is in. */
static struct raft_run *run_of(const struct raftstate *s, uint64_t index)
{
    struct raft_run *runs = s->runs + s->run_head;
    size_t lo = 0;
    size_t hi = s->run_count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (runs[mid].first <= index) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    CK(lo > 0);
    return &runs[lo - 1];
}

uint64_t raftstate_term(const struct raftstate *s, uint64_t index)
{
    CK(index >= s->base.index);
    CK(index <= s->last.index);
    return index == s->base.index ? s->base.term : run_of(s, index)->term;
}

uint64_t raftstate_run(const struct raftstate *s, uint64_t index)
{
    return index <= s->base.index ? index : run_of(s, index)->first;
}

bool raftstate_repairable(const struct raftstate *s, const struct raft_place *place)
{
    const struct raft_run *run = run_of(s, place->index);
    const struct raft_run *end = s->runs + s->run_head + s->run_count;
    return place->term >= run->term && place->term <= (run + 1 < end ? run[1].term : run->term);
}

void raftstate_repair(struct raftstate *s, const struct raft_place *place)
{
    struct raft_run *run = run_of(s, place->index);
    struct raft_run *end = s->runs + s->run_head + s->run_count;
    if (place->term <= run->term) {
        return;
    }
    CK(raftstate_repairable(s, place));
    if (run + 1 < end && run[1].term <= place->term) {
        run[1].first = place->index; /* entries behind are of that term at least */
    } else if (run->first == place->index) {
        run->term = place->term;
    } else {
        CK(s->run_head + s->run_count < s->run_cap);
        memmove(run + 2, run + 1, (size_t)(end - run - 1) * sizeof *run);
        run[1] = (struct raft_run){place->index, place->term};
        s->run_count++;
    }
    if (run + 1 < s->runs + s->run_head + s->run_count && run->first == run[1].first) {
        memmove(run, run + 1,
                (size_t)(s->runs + s->run_head + s->run_count - run - 1) * sizeof *run);
        s->run_count--;
    }
}

void raftstate_tell(const struct raftstate *s, struct raftlogfmt_block *b)
{
    struct raftlogfmt_info *i = &b->info;
    i->hard = s->hard;
    i->last = s->last;
    i->last_run = raftstate_run(s, s->last.index);
    i->base = s->base;
    i->snapshot = s->snapshot;
    i->cut_sequence = s->cut_sequence;
    i->cut_from = s->cut_from;
    i->cut_before = s->cut_before;
    i->config_index = s->configs != NULL ? s->configs->place.index : 0;
    b->snapshot = slice_of(s->snapshot_config, s->snapshot_size);
    b->config = slice_of(NULL, 0);
    b->config_term = 0;
    if (s->configs != NULL) {
        b->config = slice_of(s->configs->data, s->configs->size);
        b->config_term = s->configs->place.term;
    }
}

static bool runs_good(const struct raftstate *s)
{
    const struct raft_run *runs = s->runs + s->run_head;
    if ((s->run_count == 0) != (s->last.index == s->base.index)) {
        return false;
    }
    for (size_t i = 0; i < s->run_count; i++) {
        uint64_t index = i > 0 ? runs[i - 1].first : s->base.index;
        uint64_t term = i > 0 ? runs[i - 1].term + 1 : s->base.term;
        if (runs[i].first <= index || runs[i].term < term) {
            return false;
        }
    }
    return s->run_count == 0 ||
           (runs[0].first == s->base.index + 1 && run_last(s)->first <= s->last.index);
}

bool raftstate_check(const struct raftstate *s)
{
    uint64_t above = s->last.index + 1;
    for (const struct raftstate_config *c = s->configs; c != NULL; c = c->older) {
        if (c->place.index >= above || c->place.index <= s->snapshot.index) {
            return false; /* S3 */
        }
        above = c->place.index;
    }
    return s->base.index <= s->snapshot.index && s->snapshot.index <= s->last.index && /* S1 */
           runs_good(s) && raftplaces_check(&s->places);                               /* S2 */
}
