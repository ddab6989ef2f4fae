/* raftlog_open.c - see raftlog.h: recovery of a directory. */
#include "raft/raftlog_open.h"

#include "base/ck.h"

/* ---- the directory ---- */

struct listing {
    struct env *env;
    struct raftlog_dir *dir;
    enum status st;
};

static bool list_one(void *arg, const char *name)
{
    struct listing *l = arg;
    struct raftlog_dir *d = l->dir;
    uint64_t number;
    d->owned = d->owned || strcmp(name, RAFTLOGFMT_ID) == 0;
    d->making = d->making || strcmp(name, RAFTLOGFMT_TMP) == 0;
    d->erasing = d->erasing || strcmp(name, RAFTLOGFMT_ERASE) == 0;
    if (!raftlogfmt_number(name, &number)) {
        return true;
    }
    if (d->count == d->cap) {
        size_t cap = d->cap > 0 ? 2 * d->cap : 16;
        uint64_t *numbers = env_resize(l->env, d->numbers, cap * sizeof *numbers);
        if (numbers == NULL) {
            l->st = ST_NOMEM;
            return false;
        }
        d->numbers = numbers;
        d->cap = cap;
    }
    d->numbers[d->count++] = number;
    return true;
}

enum status raftlog_open_list(struct env *env, const char *dir, struct raftlog_dir *d)
{
    struct listing l = {env, d, ST_OK};
    *d = (struct raftlog_dir){.count = 0};
    enum status st = env_dir_list(env, dir, list_one, &l);
    return st == ST_OK ? l.st : st;
}

void raftlog_open_unlist(struct env *env, struct raftlog_dir *d)
{
    env_release(env, d->numbers);
    *d = (struct raftlog_dir){.count = 0};
}

/* The owner, from either copy; *found says whether one was right. */
static enum status owner_read(struct env *env, const char *dir, struct raftlog_identity *identity,
                              bool *found)
{
    char path[ENV_PATH_MAX];
    int fd;
    *found = false;
    raftlogfmt_path_of(path, dir, RAFTLOGFMT_ID);
    enum status st = env_file_open(env, path, ENV_READ, &fd);
    if (st != ST_OK) {
        return st == ST_NOENT ? ST_OK : st;
    }
    char *page = env_alloc(env, RAFTLOGFMT_PAGE);
    st = page != NULL ? ST_OK : ST_NOMEM;
    for (uint64_t at = 0; st == ST_OK && !*found && at < 2 * RAFTLOGFMT_PAGE;
         at += RAFTLOGFMT_PAGE) {
        struct raftlogfmt_block b;
        st = raftscan_read(env, fd, page, RAFTLOGFMT_PAGE, at);
        if (st == ST_OK) {
            st = raftlogfmt_get_block(false, page, 0, at, &b);
            *found = st == ST_OK && b.kind == RAFTLOGFMT_OWNER;
            *identity = *found ? b.identity : *identity;
            st = st == ST_CORRUPT ? ST_OK : st;
        }
    }
    env_release(env, page);
    (void)env_fd_close(env, fd); /* it was only read */
    return st;
}

/* ---- the start ---- */

static enum status configs_tell(struct raftlog *log)
{
    size_t n = 0;
    for (const struct raftstate_config *c = log->state.configs; c != NULL; c = c->older) {
        n++;
    }
    log->start.config_count = n;
    if (n == 0) {
        return ST_OK;
    }
    log->start.configs = log->start_configs = env_alloc(log->env, n * sizeof *log->start_configs);
    if (log->start_configs == NULL) {
        return ST_NOMEM;
    }
    for (const struct raftstate_config *c = log->state.configs; c != NULL; c = c->older) {
        log->start_configs[--n] =
            (struct raftlog_config){c->place, slice_of(c->lost ? NULL : c->data, c->size)};
    }
    return ST_OK;
}

static enum status runs_tell(struct raftlog *log)
{
    size_t n = log->state.run_count;
    log->start.run_count = n;
    if (n == 0) {
        return ST_OK;
    }
    log->start.runs = log->start_runs = env_alloc(log->env, n * sizeof *log->start_runs);
    if (log->start_runs == NULL) {
        return ST_NOMEM;
    }
    memcpy(log->start_runs, raftstate_runs(&log->state), n * sizeof *log->start_runs);
    return ST_OK;
}

/* Lists what is damaged; with out == NULL it counts. */
static size_t faults_list(const struct raftlog *log, struct raftlog_fault *out)
{
    uint64_t end = log->state.last.index + 1;
    uint64_t next;
    size_t n = 0;
    struct raftlog_fault before = {0, 0, false, false};
    for (uint64_t i = log->state.base.index + 1; i < end && log->state.places.faulty; i = next) {
        const struct raftplace *p = raftplaces_find(&log->state.places, i, &next);
        unsigned flags = p != NULL ? raftplace_flags(p) : 0;
        next = next < end ? next : end;
        struct raftlog_fault f = {i, next, (flags & RAFTPLACE_DOUBT) != 0,
                                  (flags & RAFTPLACE_VAGUE) == 0};
        if ((flags & RAFTPLACE_DAMAGED) == 0) {
            continue;
        }
        bool joined = n > 0 && before.hi == f.lo && before.doubt == f.doubt &&
                      before.terms_true == f.terms_true;
        f.lo = joined ? before.lo : f.lo;
        n += !joined;
        if (out != NULL) {
            out[n - 1] = f;
        }
        before = f;
    }
    return n;
}

static enum status faults_tell(struct raftlog *log)
{
    size_t n = faults_list(log, NULL);
    log->start.fault_count = n;
    if (n == 0) {
        return ST_OK;
    }
    log->start.faults = log->start_faults = env_alloc(log->env, n * sizeof *log->start_faults);
    if (log->start_faults == NULL) {
        return ST_NOMEM;
    }
    (void)faults_list(log, log->start_faults);
    return ST_OK;
}

static enum status start_tell(struct raftlog *log, const struct raftwalk *w)
{
    struct raftlog_start *s = &log->start;
    const struct raftstate *state = &log->state;
    s->identity = log->identity;
    s->hard = state->hard;
    s->snapshot.place = state->snapshot;
    s->snapshot.config = slice_of(state->snapshot_config, state->snapshot_size);
    s->base = state->base;
    s->last = state->last;
    s->torn_bytes = w->torn;
    s->bytes_read = w->bytes;
    s->segments = log->file_count;
    enum status st = runs_tell(log);
    if (st == ST_OK) {
        st = configs_tell(log);
    }
    return st == ST_OK ? faults_tell(log) : st;
}

/* ---- going on in a new segment ---- */

/* The state and the chain behind which the next group is written. */
static void seg_aim(struct raftlog *log, const struct raftwalk *w, uint64_t number)
{
    struct raftlogfmt_block b = {.kind = RAFTLOGFMT_HEADER};
    const struct raftwalk_group *g = &w->pending;
    bool held = g->how != RAFTWALK_NONE;
    raftstate_tell(&log->state, &b);
    log->floor = raftplaces_floor(&log->state.places, number);
    b.info.floor = log->floor;
    raftseg_remember(&log->seg, &b);
    log->sequence = held ? g->sequence - 1 : w->sequence;
    log->seg.synced = log->sequence;
    log->seg.chain = held ? g->chain_before : w->chain;
    log->seg.chained = held ? g->chained_before : w->chained;
    log->seg.next_number = number;
    log->seg.number = w->count > 0 ? number - 1 : 0;
}

/* The last group again, or an empty one, as the first of a new segment: now its fate is decided. */
static enum status opening_write(struct raftlog *log, struct raftwalk *w)
{
    raftstage_restart(&log->stage, log->state.last.index + 1);
    enum status st = raftlog_reserve(log, 0, 0, 0);
    if (st != ST_OK) {
        return st;
    }
    raftlog_group(log, 0, 0);
    st = raftwalk_restage(w);
    if (st != ST_OK) {
        return st;
    }
    log->floor = raftplaces_floor(&log->state.places, log->seg.next_number);
    struct raftstage_group *g = log->stage.filling;
    raftlog_close_group(log);
    return raftlog_sync_group(log, g, true);
}

/* Whether something in a file that was walked is needed: of the last, all may be written anew. */
static bool file_counts(const struct raftwalk_file *f, size_t i, size_t to)
{
    return f->begun && (i + 1 < to || f->end > RAFTLOGFMT_DATA_AT);
}

/* Files that hold groups, in order. */
static enum status files_keep(struct raftlog *log, const struct raftwalk *w, size_t from, size_t to)
{
    enum status st = ST_OK;
    for (size_t i = from; i < to && st == ST_OK; i++) {
        const struct raftwalk_file *f = &w->files[i];
        if (!file_counts(f, i, to)) {
            continue;
        }
        st = raftlog_sync_reserve(log);
        if (st == ST_OK) {
            log->files[log->file_count++] =
                (struct raftlog_file){f->number, f->size, f->epoch, f->sector};
        }
    }
    return st;
}

/* The last file's space behind its groups is not used any more. A hint: it may fail. */
static void file_trim(struct raftlog *log, const struct raftwalk_file *f, uint64_t end)
{
    char path[ENV_PATH_MAX];
    int fd;
    raftlogfmt_path(path, log->dir, f->number);
    if (end >= f->size || env_file_open(log->env, path, ENV_READ | ENV_WRITE, &fd) != ST_OK) {
        return;
    }
    bool cut = env_file_truncate(log->env, fd, end) == ST_OK;
    (void)env_fd_close(log->env, fd); /* as it is */
    for (size_t i = 0; i < log->file_count && cut; i++) {
        if (log->files[i].number == f->number) {
            log->files[i].size = end;
        }
    }
}

/* Now that the new segment is durable: what does not count any more goes. */
static void files_sweep(struct raftlog *log, const struct raftwalk *w, size_t from, size_t to)
{
    for (size_t i = 0; i < w->count; i++) {
        const struct raftwalk_file *f = &w->files[i];
        bool kept = i >= from && i < to && file_counts(f, i, to);
        if (!kept) {
            raftseg_retire(&log->seg, f->number, f->size);
        }
    }
    if (to > from && w->files[to - 1].end > RAFTLOGFMT_DATA_AT) {
        file_trim(log, &w->files[to - 1], raftlogfmt_up(w->files[to - 1].end, RAFTLOGFMT_PAGE));
    }
}

/* Whether a hard state may have been lost: of a segment with two groups or more one identity at
 * least was durable, and there is none. */
static bool hard_lost(const struct raftwalk *w, size_t from, size_t to)
{
    return to > from && w->groups > 1 && !w->files[to - 1].slotted;
}

/* Whether the snapshot's configuration, or one behind it, is known. */
static bool config_known(const struct raftlog *log)
{
    const struct raftstate_config *c = log->state.configs;
    return log->state.snapshot_size > 0 || (c != NULL && !c->lost);
}

static uint64_t number_next(const struct raftwalk *w)
{
    return w->count > 0 ? w->files[w->count - 1].number + 1 : 1;
}

/* ---- open ---- */

/* A creation that was interrupted leaves the first segment at most, an open log has another. */
static bool log_made(const struct raftlog_dir *d)
{
    bool made = d->owned;
    for (size_t i = 0; i < d->count; i++) {
        made = made || d->numbers[i] > 1;
    }
    return made && !d->erasing;
}

/* Reads the files and brings log->state to what they say. */
static enum status walk(struct raftlog *log, const struct raftlog_dir *d, struct raftwalk *w,
                        size_t *from, size_t *to, struct err *err)
{
    enum status st = ST_OK;
    for (size_t i = 0; i < d->count && st == ST_OK; i++) {
        st = raftwalk_add(w, d->numbers[i]);
    }
    if (st == ST_OK) {
        st = raftwalk_choose(w, from, to);
    }
    if (st == ST_OK && *from == *to) {
        st = d->owned ? ST_CORRUPT : ST_NOENT;
        err_set(err, "%s: no segment of the log is left", log->dir);
        return st;
    }
    if (st == ST_OK) {
        st = raftwalk_run(w, *from, *to);
    }
    return st == ST_OK ? ST_OK : err_status(err, st, log->dir);
}

/* Whose log it is: the file says, or else the segments do. */
static enum status owner_find(struct raftlog *log, const struct raftwalk *w, size_t to,
                              struct err *err)
{
    bool found;
    struct raftlog_identity of = {0, 0, 0, 0};
    enum status st = owner_read(log->env, log->dir, &of, &found);
    if (st != ST_OK) {
        return err_status(err, st, RAFTLOGFMT_ID);
    }
    const struct raftwalk_file *f = &w->files[to - 1];
    bool told = f->headed || f->slotted;
    const struct raftlog_identity *here = f->headed ? &f->head.identity : &f->slot.identity;
    if (!found && !told) {
        err_set(err, "%s: nothing says whose log it is", log->dir);
        return ST_CORRUPT;
    }
    if (found && told && memcmp(&of, here, sizeof of) != 0) {
        err_set(err, "%s: the segments are of another node than %s", log->dir, RAFTLOGFMT_ID);
        return ST_CORRUPT;
    }
    log->identity = found ? of : *here;
    log->seg.identity = log->identity;
    return ST_OK;
}

static enum status recover(struct raftlog *log, const struct raftlog_dir *d, struct raftwalk *w,
                           struct err *err)
{
    size_t from;
    size_t to;
    enum status st = walk(log, d, w, &from, &to, err);
    if (st == ST_OK) {
        st = owner_find(log, w, to, err);
    }
    if (st != ST_OK) {
        return st;
    }
    log->start.hard_lost = hard_lost(w, from, to);
    seg_aim(log, w, number_next(w));
    if (w->pending.how != RAFTWALK_NONE) {
        w->files[to - 1].end = w->pending.offset;
    }
    st = files_keep(log, w, from, to);
    if (st == ST_OK) {
        st = opening_write(log, w);
    }
    if (st == ST_OK && !config_known(log)) {
        err_set(err, "%s: the configuration is lost", log->dir);
        return ST_CORRUPT;
    }
    if (st == ST_OK) {
        files_sweep(log, w, from, to);
        st = start_tell(log, w);
    }
    CK_SLOW(log->options.verify && st == ST_OK, raftstate_check(&log->state));
    return st == ST_OK ? ST_OK : err_status(err, st, log->dir);
}

enum status raftlog_open(struct env *env, const char *dir, const struct raftlog_options *options,
                         struct raftlog **log, struct err *err)
{
    struct raftlog_options o;
    struct raftlog_identity none = {0, 0, 0, 0};
    struct raftlog_dir d;
    struct raftlog *l = NULL;
    struct raftwalk w;
    if (raftlog_defaults(options, &o) != ST_OK || strlen(dir) > ENV_PATH_MAX - RAFTLOGFMT_NAME) {
        err_set(err, "the log's options or its path are out of range");
        return ST_INVAL;
    }
    enum status st = raftlog_open_list(env, dir, &d);
    if (st == ST_OK && !log_made(&d)) {
        st = ST_NOENT;
    }
    if (st == ST_OK) {
        st = raftlog_make(env, dir, &o, &none, &l);
    }
    if (st != ST_OK) {
        raftlog_open_unlist(env, &d);
        return err_status(err, st, dir);
    }
    raftwalk_init(&w, l);
    st = recover(l, &d, &w, err);
    raftwalk_release(&w);
    raftlog_open_unlist(env, &d);
    if (st != ST_OK) {
        raftlog_drop(l);
        return st;
    }
    *log = l;
    return ST_OK;
}
