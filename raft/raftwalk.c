/* raftwalk.c - see raftwalk.h. */
#include "raft/raftwalk_step.h"

#include "base/ck.h"
#include "base/code.h"

void raftwalk_init(struct raftwalk *w, struct raftlog *log)
{
    *w = (struct raftwalk){.log = log};
    w->scan.hardware = log->seg.hardware;
}

void raftwalk_release(struct raftwalk *w)
{
    for (size_t i = 0; i < w->count; i++) {
        env_release(w->log->env, w->files[i].pages);
    }
    env_release(w->log->env, w->files);
    env_release(w->log->env, w->data);
    *w = (struct raftwalk){.log = w->log};
}

/* ---- the files ---- */

static enum status file_open(struct raftwalk *w, uint64_t number, int *fd, uint64_t *size)
{
    struct env *env = w->log->env;
    char path[ENV_PATH_MAX];
    raftlogfmt_path(path, w->log->dir, number);
    enum status st = env_file_open(env, path, ENV_READ, fd);
    if (st == ST_OK) {
        st = env_file_size(env, *fd, size);
        if (st != ST_OK) {
            (void)env_fd_close(env, *fd); /* it was only read */
        }
    }
    return st;
}

static bool page_blank(const char *page)
{
    static const char zeros[64];
    for (size_t i = 0; i < RAFTLOGFMT_PAGE; i += sizeof zeros) {
        if (memcmp(page + i, zeros, sizeof zeros) != 0) {
            return false;
        }
    }
    return true;
}

/* The block at an offset of the file's pages, of that kind. */
static enum status block_at(const struct raftwalk *w, const struct raftwalk_file *f, uint64_t at,
                            uint8_t kind, struct raftlogfmt_block *b)
{
    enum status st = raftlogfmt_get_block(w->scan.hardware, f->pages + at, f->number, at, b);
    return st == ST_OK && b->kind != kind ? ST_CORRUPT : st;
}

/* Reads what the header and the slots say. */
static enum status file_parse(struct raftwalk *w, struct raftwalk_file *f)
{
    enum status st = block_at(w, f, 0, RAFTLOGFMT_HEADER, &f->head);
    if (st == ST_CORRUPT) {
        st = block_at(w, f, RAFTLOGFMT_COPY_AT, RAFTLOGFMT_HEADER, &f->head);
    }
    if (st == ST_UNSUPPORTED) {
        return st;
    }
    f->headed = st == ST_OK;
    for (uint64_t i = 0; i < 2; i++) {
        struct raftlogfmt_block b;
        st = block_at(w, f, raftlogfmt_slot_at(i), RAFTLOGFMT_IDENTITY, &b);
        if (st == ST_UNSUPPORTED) {
            return st;
        }
        if (st != ST_OK || b.sequence % 2 != i || (f->headed && b.epoch != f->head.epoch)) {
            f->slots_bad += !page_blank(f->pages + raftlogfmt_slot_at(i));
        } else if (!f->slotted || b.sequence > f->slot.sequence) {
            f->slot = b;
            f->slotted = true;
        }
    }
    f->epoch = f->headed ? f->head.epoch : f->slotted ? f->slot.epoch : 0;
    f->sector = f->headed ? f->head.sector : f->slotted ? f->slot.sector : 512;
    f->first = f->headed ? f->head.sequence : 0;
    f->end = RAFTLOGFMT_DATA_AT;
    return ST_OK;
}

enum status raftwalk_add(struct raftwalk *w, uint64_t number)
{
    struct env *env = w->log->env;
    int fd;
    if (w->count == w->cap) {
        size_t cap = w->cap > 0 ? 2 * w->cap : 16;
        struct raftwalk_file *files = env_resize(env, w->files, cap * sizeof *files);
        if (files == NULL) {
            return ST_NOMEM;
        }
        w->files = files;
        w->cap = cap;
    }
    struct raftwalk_file *f = &w->files[w->count];
    *f = (struct raftwalk_file){.number = number};
    enum status st = file_open(w, number, &fd, &f->size);
    if (st != ST_OK) {
        return st;
    }
    f->pages = env_alloc(env, RAFTLOGFMT_DATA_AT);
    st = f->pages != NULL ? raftscan_read(env, fd, f->pages, RAFTLOGFMT_DATA_AT, 0) : ST_NOMEM;
    (void)env_fd_close(env, fd); /* it was only read */
    if (st == ST_OK) {
        st = file_parse(w, f);
    }
    if (st != ST_OK) {
        env_release(env, f->pages);
        return st;
    }
    w->count++;
    w->bytes += RAFTLOGFMT_DATA_AT;
    return ST_OK;
}

/* Makes f the file at hand: all of its bytes in memory. */
static enum status file_load(struct raftwalk *w, const struct raftwalk_file *f)
{
    struct env *env = w->log->env;
    uint64_t size;
    int fd;
    if (w->file == f) {
        return ST_OK;
    }
    w->file = NULL;
    enum status st = file_open(w, f->number, &fd, &size);
    if (st != ST_OK) {
        return st;
    }
    if (w->data_cap < f->size) {
        env_release(env, w->data);
        w->data = env_alloc(env, (size_t)f->size);
        w->data_cap = w->data != NULL ? (size_t)f->size : 0;
        st = w->data != NULL ? ST_OK : ST_NOMEM;
    }
    if (st == ST_OK && f->size > 0) {
        st = raftscan_read(env, fd, w->data, (size_t)f->size, 0);
    }
    (void)env_fd_close(env, fd); /* it was only read */
    if (st == ST_OK) {
        w->file = f;
        w->scan.seed = raftlogfmt_seed(f->number, f->epoch);
        w->scan.data = w->data;
        w->scan.at = 0;
        w->scan.size = f->size;
        w->bytes += f->size;
    }
    return st;
}

/* ---- groups where they lie ---- */

/* The GROUP record at offset. */
static bool group_at(const struct raftwalk *w, uint64_t offset, struct raftwalk_group *g)
{
    struct raftlogfmt_record r;
    if (offset >= w->scan.size ||
        !raftlogfmt_get_group(w->scan.hardware, w->scan.seed, offset, w->scan.data + offset,
                              w->scan.size - offset, &r, &g->info) ||
        g->info.epoch != w->file->epoch) {
        return false;
    }
    g->sequence = r.sequence;
    g->offset = offset;
    g->chain_before = r.chain;
    g->chained_before = true;
    g->end = g->info.bytes <= w->scan.size - offset ? offset + g->info.bytes : w->scan.size;
    g->block = w->file->slotted && w->file->slot.sequence == r.sequence ? &w->file->slot : NULL;
    return true;
}

/* Whether all its records are there and chained; *chain is the crc of the last. */
static bool group_whole(const struct raftwalk *w, const struct raftwalk_group *g, uint32_t *chain)
{
    struct raftlogfmt_record r = {.flags = 0};
    uint64_t at = g->offset;
    *chain = g->chain_before;
    for (uint32_t i = 0; i <= g->info.records; i++) {
        if (!raftscan_get(&w->scan, at, &r) || r.chain != *chain || r.sequence != g->sequence ||
            (r.type == RAFTLOGFMT_MARK) != (i == 0)) {
            return false;
        }
        *chain = r.crc;
        at += raftlogfmt_size(r.size);
    }
    return (r.flags & RAFTLOGFMT_LAST) != 0 && at == g->offset + g->info.bytes;
}

/* The next GROUP record from a sector boundary at or behind offset on, of a sequence in (above,
 * below). */
static bool group_next(const struct raftwalk *w, uint64_t offset, uint64_t above, uint64_t below,
                       struct raftwalk_group *g)
{
    for (offset = raftlogfmt_up(offset, w->file->sector); offset + RAFTLOGFMT_GROUP <= w->scan.size;
         offset += w->file->sector) {
        if (w->scan.data[offset + 12] == RAFTLOGFMT_MARK && group_at(w, offset, g) &&
            g->sequence > above && g->sequence < below) {
            return true;
        }
    }
    return false;
}

/* The highest sequence that a GROUP record in the file at hand has; 0: there is none. */
static uint64_t sequence_highest(const struct raftwalk *w)
{
    struct raftwalk_group g = {.sequence = 0};
    uint64_t highest = 0;
    uint64_t at = RAFTLOGFMT_DATA_AT;
    while (group_next(w, at, highest, UINT64_MAX, &g)) {
        highest = g.sequence;
        at = g.offset + 1;
    }
    return highest;
}

/* ---- applying ---- */

/* From where on the log is not known when the groups behind sequence `after` are missing, as a
 * group or header that comes later says: truncations among them took entries away. */
static uint64_t cut_since(const struct raftwalk *w, const struct raftlogfmt_info *i,
                          uint64_t sequence, uint64_t after)
{
    const struct raftstate *state = &w->log->state;
    bool own = i->cut_sequence == sequence;
    uint64_t latest = own ? i->cut_before : i->cut_sequence;
    if (w->strange) {
        return state->snapshot.index + 1;
    }
    if (latest == 0 || (latest <= after && after > 0)) {
        return UINT64_MAX;
    }
    if (!own && i->cut_before <= after && after > 0) {
        return i->cut_from;
    }
    return state->snapshot.index + 1; /* several, or not known: anything may have gone */
}

/* The snapshot mark, if it has moved. One that reached beyond the log and replaced it (the log
 * begins behind it) comes before what is lost; any other after, when its place is there. */
static void conform_snapshot(struct raftwalk_step *s, const struct raftlogfmt_info *i,
                             const struct raftlogfmt_block *b, bool jump)
{
    const struct raftstate *state = &s->walk->log->state;
    bool jumps = i->snapshot.index > state->last.index && i->base.index >= i->snapshot.index;
    if (s->st == ST_OK && i->snapshot.index > state->snapshot.index && jump == jumps &&
        (jump || i->snapshot.index <= state->last.index)) {
        bool known = b != NULL && b->info.snapshot.index == i->snapshot.index;
        (void)raftwalk_step_snapshot(s, &i->snapshot, known ? b->snapshot : slice_of(NULL, 0),
                                     !jump); /* it fits */
    }
}

/* The snapshot mark and where the log begins are what the info says, and the latest configuration
 * what the block does. */
static void conform_ends(struct raftwalk_step *s, const struct raftlogfmt_info *i,
                         const struct raftlogfmt_block *b)
{
    const struct raftstate *state = &s->walk->log->state;
    conform_snapshot(s, i, b, false);
    if (s->st == ST_OK && i->base.index <= state->snapshot.index) {
        (void)raftwalk_step_compact(s, &i->base); /* it fits */
    }
    if (b != NULL && b->info.config_index <= state->last.index) {
        struct raft_place place = {b->info.config_index, b->config_term};
        raftwalk_step_config(s, &place, b->config);
    }
}

/* The groups up to a point are missing or broken, and this is what the log was then: `last`, with
 * truncations down to `cut`. Entries found in [from, to), of groups [lo, hi], are kept. */
struct conform {
    const struct raftlogfmt_info *info;
    const struct raftlogfmt_block *block; /* or NULL */
    struct raft_place last;
    uint64_t run;
    uint64_t cut; /* UINT64_MAX: there was none */
    uint64_t from;
    uint64_t to;
    uint64_t lo;
    uint64_t hi;
    bool exact; /* info is about this very point; else about one behind it */
};

static void conform(struct raftwalk_step *s, const struct conform *c)
{
    struct raftstate *state = &s->walk->log->state;
    if (c->exact && c->info->snapshot.index <= c->last.index) {
        conform_snapshot(s, c->info, c->block, true);
    }
    uint64_t cut = c->cut < c->last.index + 1 ? c->cut : c->last.index + 1;
    cut = cut > state->snapshot.index ? cut : state->snapshot.index + 1;
    if (s->st == ST_OK && cut <= state->last.index) {
        (void)raftwalk_step_truncate(s, cut); /* above the snapshot: it fits */
    }
    if (s->st == ST_OK && c->last.index > state->last.index) {
        bool look = c->cut == UINT64_MAX;
        raftwalk_step_lose(s, &c->last, c->run, look ? c->from : 0, look ? c->to : 0, c->lo, c->hi);
    }
    if (c->exact) {
        conform_ends(s, c->info, c->block);
    }
    if (state->cut_sequence < c->info->cut_sequence && c->info->cut_sequence <= s->sequence) {
        state->cut_sequence = c->info->cut_sequence;
        state->cut_from = c->info->cut_from;
        state->cut_before = c->info->cut_before;
    }
    if (c->info->hard.term >= state->hard.term) {
        state->hard = c->info->hard;
    }
}

/* Groups between the last that counts and the one with this info, of `sequence`, are missing; what
 * is left of them lies in [from, to). */
static enum status gap(struct raftwalk *w, const struct raftlogfmt_info *info,
                       const struct raftlogfmt_block *block, uint64_t sequence, uint64_t from,
                       uint64_t to)
{
    struct raftwalk_step s = {.walk = w, .sequence = sequence - 1};
    struct conform c = {.info = info,
                        .block = block,
                        .last = info->before,
                        .run = info->before_run,
                        .cut = cut_since(w, info, sequence, w->sequence),
                        .from = from,
                        .to = to,
                        .lo = w->sequence + 1,
                        .hi = sequence - 1,
                        .exact = block != NULL && block->kind == RAFTLOGFMT_HEADER};
    conform(&s, &c);
    w->sequence = sequence - 1;
    w->chained = false;
    w->strange = false;
    w->next = 0;
    return s.st;
}

/* A group whose records are not all there. */
static void broken_apply(struct raftwalk_step *s, const struct raftwalk_group *g)
{
    bool cuts = g->info.cut_sequence == g->sequence;
    uint64_t begin = g->info.before.index + 1;
    struct conform c = {.info = &g->info,
                        .block = g->block,
                        .last = g->info.last,
                        .run = g->info.last_run,
                        .cut = !cuts                      ? UINT64_MAX
                               : g->info.cut_from < begin ? g->info.cut_from
                                                          : begin,
                        .from = g->offset,
                        .to = g->end,
                        .lo = g->sequence,
                        .hi = g->sequence,
                        .exact = true};
    s->doubt = g->how == RAFTWALK_DOUBT;
    if (g->block != NULL && g->block->told) {
        s->told = true;
        s->runs = g->block->runs;
    }
    conform(s, &c);
}

/* The records of a group that is whole; false: they contradict the log. */
static bool whole_apply(struct raftwalk_step *s, const struct raftwalk_group *g)
{
    struct raftwalk *w = s->walk;
    struct raftlogfmt_record r;
    uint64_t at = g->offset;
    for (uint32_t i = 0; i <= g->info.records && s->st == ST_OK; i++) {
        raftlogfmt_head(w->scan.data + at, &r); /* its CRC was looked at */
        if (i > 0 && !raftwalk_step_record(s, &r, at)) {
            return false;
        }
        at += raftlogfmt_size(r.size);
    }
    return w->log->state.last.index == g->info.last.index;
}

static enum status group_apply(struct raftwalk *w, const struct raftwalk_group *g)
{
    struct raftwalk_step s = {.walk = w, .sequence = g->sequence};
    struct raftstate *state = &w->log->state;
    if (g->how != RAFTWALK_WHOLE || !whole_apply(&s, g)) {
        broken_apply(&s, g);
    }
    conform_ends(&s, &g->info, g->block); /* a mark may have been in a group that is missing */
    if (g->info.hard.term >= state->hard.term) {
        state->hard = g->info.hard;
    }
    return s.st;
}

static enum status pending_apply(struct raftwalk *w)
{
    struct raftwalk_group g = w->pending;
    w->pending.how = RAFTWALK_NONE;
    return g.how != RAFTWALK_NONE ? group_apply(w, &g) : ST_OK;
}

/* The group is next; it waits if the file is the last. */
static enum status group_take(struct raftwalk *w, const struct raftwalk_group *g, bool last,
                              uint32_t chain)
{
    enum status st = pending_apply(w);
    if (st == ST_OK && last) {
        w->pending = *g;
        w->pending.chain_before = w->chain;
        w->pending.chained_before = w->chained;
        w->groups++;
    } else if (st == ST_OK) {
        st = group_apply(w, g);
    }
    w->sequence = g->sequence;
    w->chained = g->how == RAFTWALK_WHOLE;
    w->chain = chain;
    return st;
}

/* ---- one file ---- */

/* What is known of it beside its bytes. */
struct bounds {
    bool last;
    uint64_t below;   /* groups from this sequence on are in later files */
    uint64_t durable; /* groups below this sequence were durable */
};

static void file_bounds(const struct raftwalk *w, const struct raftwalk_file *f,
                        const struct raftwalk_file *next, struct bounds *b)
{
    uint64_t highest = sequence_highest(w);
    b->last = next == NULL;
    b->below = next != NULL && next->first > 0 ? next->first : UINT64_MAX;
    b->durable = f->slotted && f->slot.sequence > highest ? f->slot.sequence : highest;
    b->durable = next != NULL ? b->below : b->durable;
}

/* Whether a GROUP record is the one that comes next. */
static bool group_follows(const struct raftwalk *w, const struct raftwalk_group *g,
                          const struct bounds *b)
{
    return g->sequence < b->below && g->sequence == w->sequence + 1 &&
           (!w->chained || g->chain_before == w->chain);
}

/* Whole, broken, doubtful, or NONE: a torn tail. */
static void group_judge(struct raftwalk *w, struct raftwalk_group *g, const struct bounds *b,
                        uint32_t *chain)
{
    if (group_whole(w, g, chain)) {
        g->how = RAFTWALK_WHOLE;
    } else if (g->sequence < b->durable) {
        g->how = RAFTWALK_BROKEN;
    } else {
        g->how = g->block != NULL ? RAFTWALK_DOUBT : RAFTWALK_NONE;
    }
}

/* The log before the first group that is known: what its header or a first group says. */
static enum status begin(struct raftwalk *w, const struct raftlogfmt_info *i,
                         const struct raftlogfmt_block *b)
{
    struct raftstate *state = &w->log->state;
    struct raftwalk_step s = {.walk = w};
    w->begun = true;
    state->hard = i->hard;
    state->base = state->last = state->snapshot = i->base;
    state->cut_sequence = i->cut_sequence;
    state->cut_from = i->cut_from;
    state->cut_before = i->cut_before;
    if (i->before.index > i->base.index) {
        raftwalk_step_lose(&s, &i->before, i->before_run, 0, 0, 1, 0);
    }
    if (b != NULL && b->kind == RAFTLOGFMT_HEADER) {
        state->snapshot_size = b->snapshot.size;
        memcpy(state->snapshot_config, b->snapshot.data, b->snapshot.size);
        conform_ends(&s, i, b);
    }
    return s.st;
}

/* Groups are missing before this one, of the file at hand or told of by a header or identity. */
static enum status bridge(struct raftwalk *w, const struct raftlogfmt_info *info,
                          const struct raftlogfmt_block *block, uint64_t sequence, uint64_t from,
                          uint64_t to)
{
    if (!w->begun) {
        enum status st = begin(w, info, block);
        w->sequence = sequence - 1;
        return st;
    }
    enum status st = pending_apply(w);
    return st == ST_OK ? gap(w, info, block, sequence, from, to) : st;
}

/* Looks for a group behind offset at, where there is none that follows. */
static enum status group_search(struct raftwalk *w, const struct bounds *b, uint64_t *at,
                                bool *found)
{
    struct raftwalk_group g;
    uint64_t from = *at;
    *found = false;
    while (group_next(w, from, w->sequence, b->below, &g)) {
        if (g.sequence > w->sequence + 1 || group_follows(w, &g, b)) {
            *found = true;
            uint64_t begin_at = *at;
            *at = g.offset;
            return w->begun && g.sequence == w->sequence + 1
                       ? ST_OK
                       : bridge(w, &g.info, g.block, g.sequence, begin_at, g.offset);
        }
        from = g.offset + 1;
    }
    return ST_OK;
}

/* The groups of the file at hand, as far as they can be found; *at is behind the last. */
static enum status groups_walk(struct raftwalk *w, const struct bounds *b, uint64_t *at)
{
    enum status st = ST_OK;
    bool found = true;
    while (st == ST_OK && found) {
        struct raftwalk_group g = {.how = RAFTWALK_NONE};
        uint32_t chain = 0;
        found = w->begun && group_at(w, *at, &g) && group_follows(w, &g, b);
        if (!found) {
            st = group_search(w, b, at, &found);
            continue;
        }
        group_judge(w, &g, b, &chain);
        if (g.how == RAFTWALK_NONE) {
            w->torn = g.info.bytes;
            break;
        }
        st = group_take(w, &g, b->last, chain);
        *at = raftlogfmt_up(g.end, w->file->sector);
    }
    return st;
}

/* The last file's latest identity tells of a group that was not found: it is in doubt, and those
 * before it are damaged. */
static enum status identity_take(struct raftwalk *w, const struct raftwalk_file *f, uint64_t at)
{
    const struct raftlogfmt_block *b = &f->slot;
    struct raftwalk_group g = {.how = RAFTWALK_DOUBT,
                               .sequence = b->sequence,
                               .offset = b->offset,
                               .info = b->info,
                               .block = b};
    enum status st = ST_OK;
    if (!f->slotted || b->sequence <= w->sequence) {
        return ST_OK;
    }
    g.end = b->info.bytes <= f->size && b->offset <= f->size - b->info.bytes
                ? b->offset + b->info.bytes
                : f->size;
    if (!w->begun || b->sequence > w->sequence + 1) {
        st = bridge(w, &b->info, b, b->sequence, at, b->offset);
    }
    w->torn = 0;
    return st == ST_OK ? group_take(w, &g, true, b->chain) : st;
}

/* A tail without a GROUP record: how much of it there is. */
static void torn_measure(struct raftwalk *w, uint64_t at)
{
    struct raftlogfmt_record r;
    uint64_t from = at;
    while (w->sequence > 0 &&
           raftscan_next(&w->scan, &from, w->sequence + 1, w->sequence + 1, &r)) {
        from += raftlogfmt_size(r.size);
        w->torn = from - at;
    }
}

/* The file before this one is not the one that this one was written behind. */
static enum status file_meet(struct raftwalk *w, const struct raftwalk_file *f)
{
    if (!w->begun) {
        w->sequence = f->headed ? f->head.sequence - 1 : 0;
        w->chain = f->head.chain;
        w->chained = f->headed && f->head.chained;
        return f->headed ? begin(w, &f->head.info, &f->head) : ST_OK;
    }
    if (!f->headed || w->sequence + 1 != f->head.sequence) {
        return ST_OK; /* what is missing was seen to */
    }
    w->strange = w->chained && f->head.chained && w->chain != f->head.chain;
    w->chain = f->head.chain;
    w->chained = f->head.chained;
    return w->strange ? gap(w, &f->head.info, &f->head, f->head.sequence, 0, 0) : ST_OK;
}

/* Configurations whose own record is damaged are told by identities and headers too. */
static enum status configs_heal(struct raftwalk *w, const struct raftlogfmt_block *b)
{
    struct raftstate *state = &w->log->state;
    struct raftwalk_step s = {.walk = w};
    const struct raft_place *snapshot = &b->info.snapshot;
    if (state->snapshot_size == 0 && snapshot->index == state->snapshot.index) {
        (void)raftwalk_step_snapshot(&s, snapshot, b->snapshot, true); /* where it is: it fits */
    }
    if (b->kind == RAFTLOGFMT_IDENTITY && b->sequence == w->sequence &&
        b->info.config_index <= state->last.index) {
        struct raft_place place = {b->info.config_index, b->config_term};
        raftwalk_step_config(&s, &place, b->config);
    }
    return s.st;
}

static enum status file_walk(struct raftwalk *w, struct raftwalk_file *f,
                             const struct raftwalk_file *next)
{
    struct bounds b;
    uint64_t at = RAFTLOGFMT_DATA_AT;
    enum status st = file_load(w, f);
    if (st != ST_OK) {
        return st;
    }
    w->next = 0;
    w->groups = 0;
    file_bounds(w, f, next, &b);
    st = file_meet(w, f);
    if (st == ST_OK) {
        st = groups_walk(w, &b, &at);
    }
    f->end = at;
    if (st == ST_OK && b.last) {
        st = identity_take(w, f, at);
        if (w->torn == 0 && w->pending.how == RAFTWALK_WHOLE) {
            torn_measure(w, at);
        }
        if (st == ST_OK && f->slotted) {
            st = configs_heal(w, &f->slot);
        }
        if (st == ST_OK && f->headed) {
            st = configs_heal(w, &f->head);
        }
        return st;
    }
    if (st == ST_OK && w->begun && next->headed && w->sequence + 1 < next->head.sequence) {
        st = gap(w, &next->head.info, &next->head, next->head.sequence, at, f->size);
    }
    return st;
}

/* ---- which files count ---- */

static void files_sort(struct raftwalk *w)
{
    for (size_t i = 1; i < w->count; i++) {
        struct raftwalk_file f = w->files[i];
        size_t at = i;
        for (; at > 0 && w->files[at - 1].number > f.number; at--) {
            w->files[at] = w->files[at - 1];
        }
        w->files[at] = f;
    }
}

/* Whether the file has a whole group of that sequence (0: of its first). */
static enum status file_holds(struct raftwalk *w, const struct raftwalk_file *f, uint64_t sequence,
                              bool *holds)
{
    struct raftwalk_group g;
    uint32_t chain;
    enum status st = file_load(w, f);
    *holds = false;
    if (st != ST_OK || f->epoch == 0) {
        return st;
    }
    if (sequence == 0) {
        *holds = group_at(w, RAFTLOGFMT_DATA_AT, &g) && group_whole(w, &g, &chain);
    } else {
        *holds = group_next(w, RAFTLOGFMT_DATA_AT, sequence - 1, sequence + 1, &g) &&
                 group_whole(w, &g, &chain);
    }
    return st;
}

/* A segment counts when a group of it is there, or an identity says that one was. */
static enum status file_begun(struct raftwalk *w, struct raftwalk_file *f)
{
    f->begun = f->slotted;
    return f->begun ? ST_OK : file_holds(w, f, 0, &f->begun);
}

/* A file without a header: its first group is the first that can be found. */
static enum status first_find(struct raftwalk *w, struct raftwalk_file *f)
{
    struct raftwalk_group g;
    enum status st = f->begun && f->first == 0 ? file_load(w, f) : ST_OK;
    if (st == ST_OK && f->begun && f->first == 0) {
        bool found = group_next(w, RAFTLOGFMT_DATA_AT, 0, UINT64_MAX, &g);
        f->first = found ? g.sequence : f->slotted ? f->slot.sequence : 0;
    }
    return st;
}

/* The highest begun file below *at; *at is that, or `count` when there is none. */
static enum status begun_below(struct raftwalk *w, size_t *at)
{
    for (size_t i = *at; i-- > 0;) {
        enum status st = file_begun(w, &w->files[i]);
        if (st != ST_OK || w->files[i].begun) {
            *at = i;
            return st;
        }
    }
    *at = w->count;
    return ST_OK;
}

/* When the last file holds nothing but an opening that is not whole, and one before it has that
 * group, the opening was cut short by a crash, and nobody was told of it: that one is the last. */
static enum status opening_check(struct raftwalk *w, size_t *last)
{
    const struct raftwalk_file *f = &w->files[*last];
    bool holds = true;
    if (!f->headed || !f->slotted || f->slot.sequence != f->head.sequence) {
        return ST_OK;
    }
    enum status st = file_holds(w, f, 0, &holds);
    if (st != ST_OK || holds || sequence_highest(w) > f->head.sequence) {
        return st;
    }
    for (size_t at = *last; st == ST_OK && !holds;) {
        st = begun_below(w, &at);
        if (st != ST_OK || at == w->count) {
            break;
        }
        st = file_holds(w, &w->files[at], f->head.sequence, &holds);
        *last = holds ? at : *last;
    }
    return st;
}

enum status raftwalk_choose(struct raftwalk *w, size_t *from, size_t *to)
{
    files_sort(w);
    *from = *to = 0;
    size_t last = w->count;
    enum status st = begun_below(w, &last);
    if (st == ST_OK && last < w->count) {
        st = opening_check(w, &last);
    }
    if (st != ST_OK || last == w->count) {
        return st;
    }
    const struct raftwalk_file *f = &w->files[last];
    uint64_t floor = f->slotted ? f->slot.info.floor : f->headed ? f->head.info.floor : 0;
    size_t first = 0;
    while (first < last && w->files[first].number < floor) {
        first++;
    }
    *from = first;
    *to = last + 1;
    return ST_OK;
}

enum status raftwalk_run(struct raftwalk *w, size_t from, size_t to)
{
    enum status st = ST_OK;
    struct raftwalk_file *f = NULL;
    for (size_t i = from; i < to && st == ST_OK; i++) {
        struct raftwalk_file *next = &w->files[i];
        st = file_begun(w, next);
        if (st == ST_OK) {
            st = first_find(w, next);
        }
        if (st == ST_OK && next->begun) {
            st = f != NULL ? file_walk(w, f, next) : ST_OK;
            f = next;
        }
    }
    return st == ST_OK && f != NULL ? file_walk(w, f, NULL) : st;
}

enum status raftwalk_restage(struct raftwalk *w)
{
    w->restaging = true;
    enum status st = pending_apply(w);
    w->restaging = false;
    return st;
}
