/* raftlog.c - see raftlog.h: taking writes, and what needs no disk. */
#include "raft/raftlog_impl.h"

#include "base/ck.h"

enum status raftlog_defaults(const struct raftlog_options *from, struct raftlog_options *to)
{
    static const struct raftlog_options none;
    *to = from != NULL ? *from : none;
    to->segment_bytes = to->segment_bytes > 0 ? to->segment_bytes : (uint64_t)64 << 20;
    to->group_bytes = to->group_bytes > 0 ? to->group_bytes : (uint64_t)1 << 20;
    to->cache_bytes = to->cache_bytes > 0 ? to->cache_bytes : (uint64_t)16 << 20;
    to->sector_bytes = to->sector_bytes > 0 ? to->sector_bytes : 512;
    to->spares = to->spares > 0 ? to->spares : 1;
    bool good = to->segment_bytes >= 8 * RAFTLOGFMT_PAGE &&
                to->segment_bytes % RAFTLOGFMT_PAGE == 0 && to->sector_bytes >= 512 &&
                to->sector_bytes <= RAFTLOGFMT_PAGE &&
                (to->sector_bytes & (to->sector_bytes - 1)) == 0 &&
                (to->spares <= 1024 || to->spares == UINT32_MAX);
    return good ? ST_OK : ST_INVAL;
}

enum status raftlog_make(struct env *env, const char *dir, const struct raftlog_options *options,
                         const struct raftlog_identity *identity, struct raftlog **log)
{
    struct raftlog *l = mem_zalloc(&env->mem, sizeof *l);
    if (l == NULL) {
        return ST_NOMEM;
    }
    size_t size = strlen(dir) + 1;
    l->env = env;
    l->options = *options;
    l->identity = *identity;
    env_mutex_init(env, &l->m);
    raftstate_init(&l->state, env);
    raftstage_init(&l->stage, env, options->cache_bytes);
    l->dir = env_alloc(env, size);
    enum status st = l->dir != NULL ? ST_OK : ST_NOMEM;
    if (st == ST_OK) {
        memcpy(l->dir, dir, size);
        st = raftseg_init(&l->seg, env, l->dir, options, identity);
    }
    if (st != ST_OK) {
        raftlog_drop(l);
        return st;
    }
    *log = l;
    return ST_OK;
}

void raftlog_drop(struct raftlog *log)
{
    struct env *env = log->env;
    raftseg_release(&log->seg);
    raftstage_release(&log->stage);
    raftstate_release(&log->state);
    env_mutex_release(env, &log->m);
    env_release(env, log->files);
    env_release(env, log->start_runs);
    env_release(env, log->start_configs);
    env_release(env, log->start_faults);
    env_release(env, log->dir);
    env_release(env, log);
}

const struct raftlog_start *raftlog_start(const struct raftlog *log)
{
    return &log->start;
}

/* ---- groups ---- */

enum status raftlog_reserve(struct raftlog *log, uint64_t bytes, size_t entries, size_t places)
{
    enum status st = raftstate_reserve(&log->state, entries + 1, log->stage.places + places);
    return st == ST_OK ? raftstage_reserve(&log->stage, bytes, entries) : st;
}

/* The runs of terms that begin among the group's entries: should those be lost, their terms are
 * not, see docs/raft.md. */
static void runs_tell(const struct raftlog *log, struct raftstage_group *g)
{
    struct raftlogfmt_block *b = &g->block;
    const struct raft_run *runs = raftstate_runs(&log->state);
    uint64_t from = b->info.before.index + 1;
    size_t end = log->state.run_count;
    size_t n = end;
    if (b->info.cut_sequence == g->sequence && b->info.cut_from < from) {
        from = b->info.cut_from;
    }
    while (n > 0 && runs[n - 1].first >= from) {
        n--;
    }
    b->told = !g->vague && end - n <= RAFTLOGFMT_RUNS;
    b->runs = slice_of(g->run_bytes, b->told ? (end - n) * RAFTLOGFMT_RUN : 0);
    for (size_t i = n; b->told && i < end; i++) {
        raftlogfmt_put_run(g->run_bytes + (i - n) * RAFTLOGFMT_RUN, &runs[i]);
    }
}

void raftlog_close_group(struct raftlog *log)
{
    struct raftstage_group *g = log->stage.filling;
    struct raftlogfmt_block *b = &g->block;
    raftstate_tell(&log->state, b);
    runs_tell(log, g);
    b->info.floor = log->floor;
    if (b->snapshot.size > 0) {
        memcpy(g->configs, b->snapshot.data, b->snapshot.size);
    }
    if (b->config.size > 0) {
        memcpy(g->configs + RAFTLOG_CONFIG_MAX, b->config.data, b->config.size);
    }
    b->snapshot.data = g->configs;
    b->config.data = g->configs + RAFTLOG_CONFIG_MAX;
    g->closed = true;
    log->stage.filling = NULL;
}

void raftlog_group(struct raftlog *log, uint64_t bytes, size_t runs)
{
    struct raftstage_group *g = log->stage.filling;
    if (g != NULL && (g->block.info.bytes + bytes > log->options.group_bytes ||
                      g->runs + runs > RAFTLOGFMT_RUNS)) {
        raftlog_close_group(log);
        g = NULL;
    }
    if (g == NULL) {
        g = raftstage_begin(&log->stage, ++log->sequence);
        g->block.info.before = log->state.last;
        g->block.info.before_run = raftstate_run(&log->state, log->state.last.index);
    }
    g->runs += runs;
}

/* ---- a write ---- */

/* What a write needs. */
struct needs {
    uint64_t bytes;
    size_t entries;
    size_t places;
    size_t runs;                      /* of terms that begin */
    struct raftstate_config *configs; /* to be entered, oldest first */
};

/* Whether an entry of a repair has a place to go to: it is damaged still. */
static bool repair_wanted(const struct raftlog *log, const struct raft_entry *e)
{
    uint64_t next;
    const struct raftplace *p = raftplaces_find(&log->state.places, e->index, &next);
    return e->index > log->state.base.index && e->index <= log->state.last.index && p != NULL &&
           e->index < log->stage.from && (raftplace_flags(p) & RAFTPLACE_DAMAGED) != 0;
}

static bool repair_fits(const struct raftlog *log, const struct raft_entry *e)
{
    uint64_t next;
    const struct raftplace *p = raftplaces_find(&log->state.places, e->index, &next);
    struct raft_place place = {e->index, e->term};
    return (raftplace_flags(p) & RAFTPLACE_VAGUE) != 0
               ? raftstate_repairable(&log->state, &place)
               : e->term == raftstate_term(&log->state, e->index);
}

static void configs_free(struct raftlog *log, struct raftstate_config *c)
{
    while (c != NULL) {
        struct raftstate_config *next = c->older;
        env_release(log->env, c);
        c = next;
    }
}

/* Copies of the configurations among the entries, linked oldest first. */
static enum status configs_copy(struct raftlog *log, const struct raftlog_write *w,
                                struct needs *need)
{
    struct raftstate_config **end = &need->configs;
    for (size_t i = 0; i < w->count; i++) {
        const struct raft_entry *e = &w->entries[i];
        if (e->kind != RAFT_CONFIG || (w->repair && !repair_wanted(log, e))) {
            continue;
        }
        struct raft_place place = {e->index, e->term};
        CK(e->data.size > 0);
        CK(e->data.size <= RAFTLOG_CONFIG_MAX);
        *end = raftstate_config_new(log->env, &place, e->data);
        if (*end == NULL) {
            configs_free(log, need->configs);
            return ST_NOMEM;
        }
        end = &(*end)->older;
    }
    return ST_OK;
}

/* The term of the entry that a write's entries follow. */
static uint64_t term_before(const struct raftlog *log, const struct raftlog_write *w)
{
    const struct raftstate *state = &log->state;
    if (w->snapshot != NULL && !w->snapshot->keep) {
        return w->snapshot->place.term;
    }
    bool cut = w->truncate > state->base.index && w->truncate <= state->last.index;
    return cut ? raftstate_term(state, w->truncate - 1) : state->last.term;
}

/* How many runs of terms a write's entries begin. */
static size_t runs_count(const struct raftlog *log, const struct raftlog_write *w)
{
    uint64_t term = term_before(log, w);
    size_t n = 0;
    for (size_t i = 0; i < w->count; i++) {
        n += w->entries[i].term != term;
        term = w->entries[i].term;
    }
    CK(w->repair || n <= RAFT_WRITE_RUNS);
    return w->repair ? 0 : n;
}

static enum status needs_count(struct raftlog *log, const struct raftlog_write *w,
                               struct needs *need)
{
    *need = (struct needs){.entries = w->count, .runs = runs_count(log, w)};
    for (size_t i = 0; i < w->count; i++) {
        CK(w->entries[i].data.size <= RAFTLOG_ENTRY_MAX);
        CK(i == 0 || w->entries[i].index == w->entries[i - 1].index + 1);
        need->bytes += raftlogfmt_size(w->entries[i].data.size);
        if (w->repair && repair_wanted(log, &w->entries[i]) && !repair_fits(log, &w->entries[i])) {
            return ST_INVAL;
        }
    }
    need->bytes += w->truncate > 0 ? raftlogfmt_size(0) : 0;
    need->bytes += w->compact > 0 ? raftlogfmt_size(0) : 0;
    need->bytes += w->snapshot != NULL ? raftlogfmt_size(w->snapshot->config.size) : 0;
    need->places = 4 + (size_t)(need->bytes / RAFTSEG_STRIDE) + (w->repair ? 3 * w->count : 0);
    enum status st = raftlog_reserve(log, need->bytes, need->entries, need->places);
    return st == ST_OK ? configs_copy(log, w, need) : st;
}

static void put(struct raftlog *log, enum raftlogfmt_type type, const struct raft_place *place,
                uint16_t flags, uint8_t kind, struct slice data)
{
    struct raftlogfmt_record r = {.size = (uint32_t)data.size,
                                  .type = (uint8_t)type,
                                  .kind = kind,
                                  .flags = flags,
                                  .sequence = log->sequence,
                                  .index = place->index,
                                  .term = place->term,
                                  .payload = data.data};
    raftstage_put(&log->stage, &r);
}

static void take_snapshot(struct raftlog *log, const struct raftlog_snapshot *s)
{
    const struct raft_place *place = &s->place;
    CK(s->config.size > 0);
    CK(place->index > log->state.snapshot.index);
    CK(!s->keep || (place->index <= log->state.last.index &&
                    raftstate_term(&log->state, place->index) <= place->term));
    put(log, RAFTLOGFMT_SNAPSHOT, place, s->keep ? RAFTLOGFMT_KEEP : 0, 0, s->config);
    raftstate_snapshot(&log->state, place, s->config, s->keep, log->sequence);
    if (!s->keep) {
        raftstage_clear(&log->stage, place->index + 1);
    }
}

static void take_truncate(struct raftlog *log, uint64_t from)
{
    struct raft_place place = {from, 0};
    CK(from > log->state.snapshot.index); /* what a snapshot covers is committed */
    put(log, RAFTLOGFMT_TRUNCATE, &place, 0, 0, slice_of(NULL, 0));
    raftstate_truncate(&log->state, from, log->sequence);
    raftstage_truncate(&log->stage, from);
}

static void take_entry(struct raftlog *log, const struct raft_entry *e, bool repair,
                       struct needs *need)
{
    struct raft_place place = {e->index, e->term};
    put(log, repair ? RAFTLOGFMT_REPAIR : RAFTLOGFMT_ENTRY, &place, 0, (uint8_t)e->kind, e->data);
    if (repair) {
        raftstate_repair(&log->state, &place);
    } else {
        raftstate_entry(&log->state, &place);
    }
    if (e->kind == RAFT_CONFIG) {
        struct raftstate_config *c = need->configs;
        need->configs = c->older;
        raftstate_config(&log->state, c);
    }
}

static void take_entries(struct raftlog *log, const struct raftlog_write *w, struct needs *need)
{
    for (size_t i = 0; i < w->count; i++) {
        const struct raft_entry *e = &w->entries[i];
        if (!w->repair || repair_wanted(log, e)) {
            take_entry(log, e, w->repair, need);
        }
    }
}

static void take_compact(struct raftlog *log, uint64_t index)
{
    if (index <= log->state.base.index) {
        return;
    }
    CK(index <= log->state.snapshot.index);
    struct raft_place place = {index, raftstate_term(&log->state, index)};
    put(log, RAFTLOGFMT_COMPACT, &place, 0, 0, slice_of(NULL, 0));
    raftstate_compact(&log->state, &place);
}

static void take(struct raftlog *log, const struct raftlog_write *w, struct needs *need)
{
    raftlog_group(log, need->bytes, need->runs);
    log->stage.filling->seq = w->seq;
    log->stage.filling->places += need->places;
    log->stage.places += need->places;
    log->appended = w->seq;
    if (w->hard != NULL) {
        CK(w->hard->term >= log->state.hard.term);
        log->state.hard = *w->hard;
    }
    if (w->snapshot != NULL) {
        take_snapshot(log, w->snapshot);
    }
    if (w->truncate > 0) {
        take_truncate(log, w->truncate);
    }
    take_entries(log, w, need);
    if (w->compact > 0) {
        take_compact(log, w->compact);
    }
    if (w->compact > 0 || w->snapshot != NULL) {
        log->floor = raftplaces_floor(&log->state.places, log->number);
    }
}

enum status raftlog_append(struct raftlog *log, const struct raftlog_write *w)
{
    struct needs need;
    env_mutex_lock(log->env, &log->m);
    enum status st = log->broken ? ST_IO : ST_OK;
    if (st == ST_OK) {
        CK(w->seq > log->appended);
        st = needs_count(log, w, &need);
    }
    if (st == ST_OK) {
        take(log, w, &need);
    }
    CK_SLOW(log->options.verify, raftstate_check(&log->state));
    env_mutex_unlock(log->env, &log->m);
    return st;
}

/* ---- looking ---- */

enum status raftlog_term(struct raftlog *log, uint64_t index, uint64_t *term)
{
    enum status st = ST_OK;
    uint64_t next;
    env_mutex_lock(log->env, &log->m);
    const struct raftplace *p = raftplaces_find(&log->state.places, index, &next);
    if (index < log->state.base.index || index > log->state.last.index) {
        st = ST_NOENT;
    } else if (index > log->state.base.index && index < log->stage.from && p != NULL &&
               (raftplace_flags(p) & RAFTPLACE_VAGUE) != 0) {
        st = ST_CORRUPT;
    } else {
        *term = raftstate_term(&log->state, index);
    }
    env_mutex_unlock(log->env, &log->m);
    return st;
}

void raftlog_stats(struct raftlog *log, struct raftlog_stats *stats)
{
    env_mutex_lock(log->env, &log->m);
    *stats = (struct raftlog_stats){
        .first = log->state.base.index + 1,
        .last = log->state.last.index,
        .durable = log->durable,
        .pending = log->stage.pending,
        .damaged =
            raftplaces_damaged(&log->state.places, log->state.base.index + 1, log->stage.from),
        .cached_from = log->stage.from,
        .cache_bytes = log->stage.held,
        .groups = log->groups,
        .written = log->written,
        .broken = log->broken,
    };
    for (size_t i = 0; i < log->file_count; i++) {
        stats->segments += log->files[i].number >= log->done;
        stats->spares += log->files[i].number < log->done;
        stats->segment_bytes += log->files[i].size;
    }
    stats->untidy = stats->spares > 0 || !log->ready;
    env_mutex_unlock(log->env, &log->m);
}

enum status raftlog_peek(struct raftlog *log, uint64_t lo, uint64_t hi, size_t max_bytes,
                         struct raftlog_batch *batch)
{
    return raftlog_read_cached(log, lo, hi, max_bytes, batch);
}

void raftlog_batch_release(struct raftlog_batch *b)
{
    if (b->env != NULL) {
        if (b->fd >= 0) {
            (void)env_fd_close(b->env, b->fd); /* it was only read */
        }
        env_release(b->env, b->entries);
        env_release(b->env, b->data);
        env_release(b->env, b->window);
    }
    memset(b, 0, sizeof *b);
}
