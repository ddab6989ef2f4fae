/* pick.c - see pick.h. */
#include "engine/pick.h"

#include "base/ck.h"

#define LAST          (TKV_LEVELS - 1)
#define BEYOND_TABLES 10 /* a table is not moved on top of more than this */
#define DENSE_PART    4  /* one delete in so many entries makes a table dense */
#define READS_MIN     128
#define READ_WORTH    16384 /* bytes that can be compacted in the time of a read, about */

/* ---- how much each level is to hold ---- */

int pick_targets(const struct version *v, const struct tkv_options *o, uint64_t targets[TKV_LEVELS])
{
    uint64_t most = 0;
    int first = LAST;
    for (int level = LAST; level > 0; level--) {
        targets[level] = 0;
        most = v->levels[level].bytes > most ? v->levels[level].bytes : most;
        first = v->levels[level].count > 0 ? level : first;
    }
    targets[0] = 0;
    uint64_t size = most;
    for (int level = LAST; level > first; level--) {
        size /= o->level_factor;
    }
    int base = first;
    while (base > 1 && size > o->level1_bytes) {
        size /= o->level_factor;
        base--;
    }
    size = size < o->level1_bytes / o->level_factor ? o->level1_bytes / o->level_factor : size;
    for (int level = base; level < LAST; level++) {
        targets[level] = size > o->level1_bytes ? size : o->level1_bytes;
        size = size > UINT64_MAX / o->level_factor ? UINT64_MAX : size * o->level_factor;
    }
    targets[LAST] = UINT64_MAX;
    return base;
}

uint64_t pick_reads_limit(const struct version *v)
{
    return READS_MIN + v->levels[0].bytes / READ_WORTH;
}

/* ---- making one ---- */

struct choice {
    struct tkv *db;
    struct version *v;
    int level;
    int output;
    size_t first; /* files of the level, one run */
    size_t count;
    size_t below_first; /* files of the output level */
    size_t below_count;
    struct slice least;
    struct slice most;
};

/* The bounds of the files chosen; level 0 overlaps itself. */
static void bounds_of(struct choice *x)
{
    struct tabfile **f = x->v->levels[x->level].files + x->first;
    x->least = f[0]->info.least;
    x->most = f[0]->info.most;
    for (size_t i = 1; i < x->count; i++) {
        struct slice least = f[i]->info.least;
        struct slice most = f[i]->info.most;
        x->least = order_compare(x->v->order, least, x->least) < 0 ? least : x->least;
        x->most = order_compare(x->v->order, most, x->most) > 0 ? most : x->most;
    }
}

/* Adds what the chosen files overlap below, and widens the bounds to that. */
static void below_add(struct choice *x)
{
    bounds_of(x);
    x->below_count = 0;
    if (x->output == x->level) {
        return;
    }
    version_overlap(x->v, x->output, &x->least, &x->most, &x->below_first, &x->below_count);
    if (x->below_count > 0) {
        struct tabfile **f = x->v->levels[x->output].files + x->below_first;
        struct slice least = f[0]->info.least;
        struct slice most = f[x->below_count - 1]->info.most;
        x->least = order_compare(x->v->order, least, x->least) < 0 ? least : x->least;
        x->most = order_compare(x->v->order, most, x->most) > 0 ? most : x->most;
    }
}

static bool any_busy(const struct version_level *l, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        if (l->files[i]->busy) {
            return true;
        }
    }
    return false;
}

/* Whether a compaction in hand has one of its inputs, or writes where it would. */
static bool meets(const struct choice *x)
{
    struct tkv *db = x->db;
    if (any_busy(&x->v->levels[x->level], x->first, x->count) ||
        any_busy(&x->v->levels[x->output], x->below_first, x->below_count)) {
        return true;
    }
    for (struct list *at = db->compactions.next; at != &db->compactions; at = at->next) {
        const struct compaction *c = LIST_ENTRY(at, struct compaction, link);
        if (c->output == x->output && order_compare(db->order, c->least, x->most) <= 0 &&
            order_compare(db->order, x->least, c->most) <= 0) {
            return true;
        }
    }
    return false;
}

/* Bytes of a level that overlap what was chosen. */
static uint64_t overlap_bytes(const struct choice *x, int level)
{
    size_t first;
    size_t count;
    uint64_t bytes = 0;
    version_overlap(x->v, level, &x->least, &x->most, &first, &count);
    for (size_t i = 0; i < count; i++) {
        bytes += x->v->levels[level].files[first + i]->info.size;
    }
    return bytes;
}

/* Whether no two of the chosen files overlap. Those of level 0 are few. */
static bool apart(const struct choice *x)
{
    struct tabfile **f = x->v->levels[x->level].files + x->first;
    for (size_t i = 0; x->level == 0 && i < x->count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (order_compare(x->v->order, f[i]->info.least, f[k]->info.most) <= 0 &&
                order_compare(x->v->order, f[k]->info.least, f[i]->info.most) <= 0) {
                return false;
            }
        }
    }
    return true;
}

static bool can_move(const struct choice *x)
{
    const struct tkv_options *o = &x->db->options;
    if (x->below_count > 0 || x->output == x->level ||
        o->compression[x->level] != o->compression[x->output] || !apart(x)) {
        return false;
    }
    return x->output == LAST ||
           overlap_bytes(x, x->output + 1) <= BEYOND_TABLES * o->table_bytes * x->count;
}

/* Makes it out of the choice, which meets none in hand. */
static enum status make(const struct choice *x, bool manual, struct compaction **out)
{
    struct tkv *db = x->db;
    struct compaction *c = env_alloc(db->env, sizeof *c);
    if (c == NULL) {
        return ST_NOMEM;
    }
    *c = (struct compaction){.db = db,
                             .level = x->level,
                             .output = x->output,
                             .input_count = x->count + x->below_count,
                             .upper_count = x->count,
                             .manual = manual,
                             .least = x->least,
                             .most = x->most};
    c->inputs = env_alloc(db->env, c->input_count * sizeof(struct tabfile *));
    enum status st =
        c->inputs != NULL ? db_snapshots(db, &c->snapshots, &c->snapshot_count) : ST_NOMEM;
    if (st != ST_OK) {
        env_release(db->env, c->inputs);
        env_release(db->env, c);
        return st;
    }
    memcpy(c->inputs, x->v->levels[x->level].files + x->first, x->count * sizeof(struct tabfile *));
    if (x->below_count > 0) {
        memcpy(c->inputs + x->count, x->v->levels[x->output].files + x->below_first,
               x->below_count * sizeof(struct tabfile *));
    }
    for (size_t i = 0; i < c->input_count; i++) {
        c->inputs[i]->busy = true;
        c->bytes_in += c->inputs[i]->info.size;
    }
    c->move = can_move(x);
    c->version = x->v;
    version_ref(c->version);
    list_insert(&db->compactions, &c->link);
    *out = c;
    return ST_OK;
}

void pick_done(struct compaction *c)
{
    struct env *env = c->db->env;
    for (size_t i = 0; i < c->input_count; i++) {
        c->inputs[i]->busy = false;
    }
    list_remove(&c->link);
    version_unref(c->version);
    env_release(env, c->snapshots);
    env_release(env, c->inputs);
    env_release(env, c);
}

/* ---- choosing ---- */

/* What of a level nobody is at work on. */
static uint64_t idle_bytes(const struct version_level *l)
{
    uint64_t bytes = l->bytes;
    for (size_t i = 0; i < l->count; i++) {
        bytes -= l->files[i]->busy ? l->files[i]->info.size : 0;
    }
    return bytes;
}

/* All of level 0, down to the base. False: not now. */
static bool choose_zero(struct choice *x, int base)
{
    const struct version_level *l = &x->v->levels[0];
    x->level = 0;
    x->output = base;
    x->first = 0;
    x->count = l->count;
    if (l->count == 0) {
        return false;
    }
    below_add(x);
    return !meets(x);
}

/* The files of a level that overlap one of the level above it, which one walks along. */
struct below {
    struct tabfile *const *files;
    size_t count;
    size_t from; /* the first that overlaps */
    size_t to;   /* the first behind those */
    uint64_t bytes;
};

/* Bytes of those that overlap the next table: tables ascend from call to call, so that a whole
 * level costs one walk and not a search a table. */
static uint64_t below_bytes(struct below *b, struct order o, const struct table_info *info)
{
    for (; b->from < b->count && version_file_before(o, b->files[b->from], info->least);
         b->from++) {
        b->bytes -= b->from < b->to ? b->files[b->from]->info.size : 0;
    }
    b->to = b->to < b->from ? b->from : b->to;
    for (; b->to < b->count && order_compare(o, b->files[b->to]->info.least, info->most) <= 0;
         b->to++) {
        b->bytes += b->files[b->to]->info.size;
    }
    return b->bytes;
}

/* The file of a level that brings the least of the next one along with it. */
static bool choose_file(struct choice *x, int level)
{
    const struct version_level *l = &x->v->levels[level];
    struct below below = {.files = x->v->levels[level + 1].files,
                          .count = x->v->levels[level + 1].count};
    struct choice best = {.count = 0};
    uint64_t best_cost = UINT64_MAX; /* bytes below for 1024 above */
    x->level = level;
    x->output = level + 1;
    x->count = 1;
    for (size_t i = 0; i < l->count; i++) {
        const struct table_info *info = &l->files[i]->info;
        uint64_t cost = below_bytes(&below, x->v->order, info) / (info->size / 1024 + 1);
        if (cost >= best_cost || l->files[i]->busy) {
            continue;
        }
        x->first = i;
        below_add(x);
        if (!meets(x)) {
            best = *x;
            best_cost = cost;
        }
    }
    if (best.count > 0) {
        *x = best;
    }
    return best.count > 0;
}

static bool is_dense(const struct tabfile *f, uint64_t oldest)
{
    const struct table_info *t = &f->info;
    return !f->busy && t->sequence_max <= oldest &&
           (t->tombs > 0 || t->deletes > t->entries / DENSE_PART);
}

/* Whether any level below the one given overlaps what was chosen. */
static bool lies_deeper(const struct choice *x, int level)
{
    for (int deeper = level + 1; deeper < TKV_LEVELS; deeper++) {
        size_t first;
        size_t count;
        version_overlap(x->v, deeper, &x->least, &x->most, &first, &count);
        if (count > 0) {
            return true;
        }
    }
    return false;
}

/* A table whose deletes hold space: down, or again in its place where nothing lies deeper. No
 * snapshot may need its deletes, or they would stay and be chosen for ever. */
static bool choose_dense(struct choice *x, uint64_t oldest, int base)
{
    for (size_t i = 0; i < x->v->levels[0].count; i++) {
        if (is_dense(x->v->levels[0].files[i], oldest) && choose_zero(x, base)) {
            return true;
        }
    }
    for (int level = 1; level < TKV_LEVELS; level++) {
        const struct version_level *l = &x->v->levels[level];
        for (size_t i = 0; i < l->count; i++) {
            if (!is_dense(l->files[i], oldest)) {
                continue;
            }
            x->level = level;
            x->output = level;
            x->first = i;
            x->count = 1;
            below_add(x);
            if (lies_deeper(x, level)) {
                x->output = level + 1;
                below_add(x);
            }
            if (!meets(x)) {
                return true;
            }
        }
    }
    return false;
}

/* Level 0, when cursors have looked into its tables so often that one table would have been
 * cheaper. */
static bool choose_read(struct choice *x, int base)
{
    return x->v->levels[0].count > 1 &&
           atomic_get_u64(&x->db->level0_reads) >= pick_reads_limit(x->v) && choose_zero(x, base);
}

static uint64_t oldest_snapshot(const struct tkv *db)
{
    if (list_empty(&db->snapshots)) {
        return db_sequence(db);
    }
    return LIST_ENTRY(db->snapshots.next, struct tkv_snapshot, link)->sequence;
}

/* The levels that are too full, the fullest first. */
static bool choose_full(struct choice *x, const uint64_t targets[TKV_LEVELS], int base)
{
    bool tried[TKV_LEVELS] = {false};
    for (;;) {
        int level = -1;
        uint64_t score = 1024; /* in parts of 1024: a full level */
        for (int i = 0; i < LAST; i++) {
            const struct version_level *l = &x->v->levels[i];
            uint64_t s = 0;
            if (i == 0) {
                s = l->count * 1024 / x->db->options.level0_files;
            } else if (i >= base) {
                s = idle_bytes(l) / (targets[i] / 1024 + 1);
            }
            if (!tried[i] && s >= score) {
                level = i;
                score = s;
            }
        }
        if (level < 0) {
            return false;
        }
        tried[level] = true;
        if (level == 0 ? choose_zero(x, base) : choose_file(x, level)) {
            return true;
        }
    }
}

enum status pick_next(struct tkv *db, struct compaction **c)
{
    uint64_t targets[TKV_LEVELS];
    struct choice x = {.db = db, .v = db_superversion(db)->version};
    int base = pick_targets(x.v, &db->options, targets);
    *c = NULL;
    if (!choose_full(&x, targets, base) && !choose_read(&x, base) &&
        !choose_dense(&x, oldest_snapshot(db), base)) {
        return ST_OK;
    }
    if (x.level == 0) {
        atomic_set_u64(&db->level0_reads, 0);
    }
    return make(&x, false, c);
}

/* ---- compact-range ---- */

/* Whether writing the chosen files again would rid them of deletes. */
static bool would_shed(const struct choice *x, uint64_t oldest)
{
    bool any = false;
    for (size_t i = 0; i < x->count; i++) {
        const struct table_info *t = &x->v->levels[x->level].files[x->first + i]->info;
        any = any || ((t->deletes > 0 || t->tombs > 0) && t->sequence_max <= oldest);
    }
    return any;
}

enum status pick_manual(struct tkv *db, int level, const struct slice *begin,
                        const struct slice *end, struct compaction **c)
{
    uint64_t targets[TKV_LEVELS];
    struct choice x = {.db = db, .v = db_superversion(db)->version, .level = level};
    int base = pick_targets(x.v, &db->options, targets);
    *c = NULL;
    if (level == 0) {
        x.count = x.v->levels[0].count;
        x.output = base;
    } else {
        version_overlap(x.v, level, begin, end, &x.first, &x.count);
        x.output = level;
    }
    if (x.count == 0) {
        return ST_OK;
    }
    below_add(&x);
    if (level > 0 && lies_deeper(&x, level)) {
        x.output = level + 1;
        below_add(&x);
    } else if (level > 0 && !would_shed(&x, oldest_snapshot(db))) {
        return ST_OK;
    }
    return meets(&x) ? ST_OK : make(&x, true, c);
}
