/* raftlog_sync.c - see raftlog.h: making what was appended durable. */
#include "raft/raftlog_impl.h"

#include "base/ck.h"

enum status raftlog_sync_reserve(struct raftlog *log)
{
    if (log->file_count < log->file_cap) {
        return ST_OK;
    }
    size_t cap = log->file_cap > 0 ? 2 * log->file_cap : 16;
    struct raftlog_file *files = env_resize(log->env, log->files, cap * sizeof *files);
    if (files == NULL) {
        return ST_NOMEM;
    }
    log->files = files;
    log->file_cap = cap;
    return ST_OK;
}

/* Goes to the next segment, and has it in the list. */
static enum status switch_segment(struct raftlog *log, const struct raftstage_group *g)
{
    struct raftseg *seg = &log->seg;
    env_mutex_lock(log->env, &log->m);
    enum status st = raftlog_sync_reserve(log);
    env_mutex_unlock(log->env, &log->m);
    if (st == ST_OK) {
        st = raftseg_switch(seg, g->sequence, g->block.info.bytes);
    }
    env_mutex_lock(log->env, &log->m);
    if (st == ST_OK) {
        log->files[log->file_count++] =
            (struct raftlog_file){seg->number, seg->size, seg->epoch, seg->sector};
        log->number = seg->number;
    }
    log->ready = seg->next_size > 0;
    env_mutex_unlock(log->env, &log->m);
    return st;
}

/* A damaged entry was written again: it lies there. */
static void place_repair(struct raftlog *log, const struct raftplace *place)
{
    struct raftplaces *places = &log->state.places;
    uint64_t next;
    const struct raftplace *old = raftplaces_find(places, place->index, &next);
    if (old == NULL || (raftplace_flags(old) & RAFTPLACE_DAMAGED) == 0) {
        return; /* gone since, or healed */
    }
    struct raftplace rest = *old;
    uint64_t after = place->index + 1; /* damaged too? What was appended since is in memory. */
    bool more = next > after && log->state.last.index >= after && log->stage.from > after;
    raftplaces_set(places, place, place->index + 1, more ? &rest : NULL);
}

/* Whether an entry just follows those of the last place, near enough to need none of its own. */
static bool place_spared(const struct raftlog *log, const struct raftplace *place)
{
    uint64_t next;
    const struct raftplace *last = raftplaces_find(&log->state.places, place->index, &next);
    return last != NULL && log->indexed > 0 && !log->seg.place_cut &&
           place->index == log->indexed + 1 && last->segment == place->segment &&
           place->where - last->where < RAFTSEG_STRIDE &&
           ((raftplace_flags(last) | raftplace_flags(place)) & RAFTPLACE_DAMAGED) == 0;
}

/* The entries of the group that are still in the log lie where they were written. */
static void places_take(struct raftlog *log, const struct raftstage_group *g)
{
    const struct raftseg *seg = &log->seg;
    for (size_t i = 0; i < seg->place_count; i++) {
        const struct raftplace *place = &seg->places[i];
        if (place->index >= g->cut) {
            continue;
        }
        if (seg->repairs[i]) {
            place_repair(log, place);
        } else if (i > 0 || !place_spared(log, place)) {
            raftplaces_add(&log->state.places, place);
        }
    }
    log->indexed = g->cut == UINT64_MAX && seg->place_next > 0 ? seg->place_next - 1 : 0;
    raftplaces_drop(&log->state.places, log->state.base.index + 1);
}

enum status raftlog_sync_group(struct raftlog *log, struct raftstage_group *g, bool fresh)
{
    struct raftseg *seg = &log->seg;
    enum status st = ST_OK;
    if (fresh || !raftseg_fits(seg, g->block.info.bytes)) {
        st = switch_segment(log, g);
    }
    if (st == ST_OK) {
        st = raftseg_write(seg, g);
    }
    env_mutex_lock(log->env, &log->m);
    log->broken = seg->failed;
    log->written = seg->written;
    if (st == ST_OK) {
        places_take(log, g);
        log->durable = g->seq > log->durable ? g->seq : log->durable;
        log->done = g->block.info.floor;
        log->groups++;
        raftstage_done(&log->stage);
    }
    CK_SLOW(log->options.verify, raftstate_check(&log->state));
    env_mutex_unlock(log->env, &log->m);
    return st;
}

enum status raftlog_sync(struct raftlog *log, uint64_t *durable)
{
    env_mutex_lock(log->env, &log->m);
    struct raftstage_group *g = log->stage.groups;
    enum status st = log->broken ? ST_IO : ST_OK;
    if (g != NULL && !g->closed && st == ST_OK) {
        raftlog_close_group(log);
    }
    *durable = log->durable;
    env_mutex_unlock(log->env, &log->m);
    if (g == NULL || st != ST_OK) {
        return st;
    }
    uint64_t seq = g->seq;
    st = raftlog_sync_group(log, g, false); /* g is gone when it is done */
    *durable = st == ST_OK ? seq : *durable;
    return st;
}
