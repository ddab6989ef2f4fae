/* fuzz_manifest.c - any bytes as a manifest: reading ends in a version that holds all of its
 * invariants, or in an error; short reads change nothing; what was read, written as a manifest of
 * its own, reads the same; and nothing is left behind.
 *
 * The first byte of an input says how the rest is sealed before it is read: see walseal.h. */
#include "base/ck.h"
#include "base/hash.h"
#include "engine/manifest.h"
#include "engine/waldump.h"
#include "tests/engine/onefile.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/walseal.h"

#define NUMBER    1
#define SIZE_MOST (2 * WALFMT_BLOCK)

static const struct order bytewise = {NULL};

struct reading {
    enum status st;
    uint64_t hash; /* of all that was read */
};

static void mutex_nothing(struct env *e, struct env_mutex *m)
{
    (void)e;
    (void)m;
}

static uint64_t some_epoch(struct env *e)
{
    (void)e;
    return 7;
}

/* There is one thread: locks are nothing. */
static void file_init(struct onefile *f)
{
    onefile_init(f);
    f->te.vt.mutex_init = mutex_nothing;
    f->te.vt.mutex_release = mutex_nothing;
    f->te.vt.mutex_lock = mutex_nothing;
    f->te.vt.mutex_unlock = mutex_nothing;
    f->te.vt.random_u64 = some_epoch;
}

static void set_release(struct tabset *set)
{
    struct tabfile *f = tabset_take(set);
    while (f != NULL) {
        struct tabfile *next = f->next;
        tabfile_free(f);
        f = next;
    }
    tabset_release(set);
}

static uint64_t file_hash(uint64_t h, int level, const struct table_info *t)
{
    const uint64_t v[] = {(uint64_t)level, t->number,    t->size,      t->check,
                          t->entries,      t->deletes,   t->tombs,     t->sequence_min,
                          t->sequence_max, t->raw_bytes, t->most_open, t->least.size};
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        h = hash_add(h, v[i]);
    }
    h = hash_bytes(h, t->least.data, t->least.size);
    return hash_bytes(h, t->most.data, t->most.size);
}

/* All of the state as one edit; and its hash. */
static uint64_t state_edit(const struct version *v, const struct manifest_state *s, struct edit *e)
{
    uint64_t h = 0;
    for (int level = 0; level < TKV_LEVELS; level++) {
        for (size_t i = 0; i < v->levels[level].count; i++) {
            struct tabfile *f = v->levels[level].files[i];
            CK(f->info.number < s->next_file);
            CK(edit_add_file(e, level, f) == ST_OK);
            h = file_hash(h, level, &f->info);
        }
    }
    e->has_log_floor = e->has_flushed = e->has_tag = true;
    e->log_floor = s->log_floor;
    e->flushed = s->flushed;
    e->tag = s->tag;
    e->next_file = s->next_file;
    e->last_sequence = s->last_sequence;
    const uint64_t numbers[] = {s->log_floor, s->flushed, s->tag, s->next_file, s->last_sequence};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        h = hash_add(h, numbers[i]);
    }
    return h;
}

static struct reading read_file(struct onefile *f, struct onefile *copy)
{
    struct reading r = {.hash = 0};
    struct manifest_state state;
    struct version *v = NULL;
    struct tabset set;
    struct edit e;
    struct err err = {.text = ""};
    tabset_init(&set, &f->te.env);
    r.st = manifest_read(&f->te.env, "db", NUMBER, bytewise, &set, &v, &state, &err);
    CK(r.st == ST_OK || r.st == ST_CORRUPT || r.st == ST_UNSUPPORTED || r.st == ST_INVAL);
    CK(r.st == ST_OK || err.text[0] != '\0');
    if (r.st == ST_OK) {
        edit_init(&e, &f->te.env);
        CK(version_check(v, NULL));
        CK(state.size <= f->size);
        CK(!state.closed || state.size == f->size);
        CK(!state.closed || state.closed_at + WALFMT_FRAG + MANIFEST_CLOSED == state.size);
        CK(!state.closed || state.closed_at >= state.snapshot);
        CK(!(state.closed && state.torn));
        r.hash = state_edit(v, &state, &e);
        if (copy != NULL) {
            struct manifest m;
            CK(manifest_init(&m, &copy->te.env, "db", bytewise) == ST_OK);
            CK(manifest_create(&m, NUMBER, &e) == ST_OK);
            manifest_end(&m, NULL);
            manifest_release(&m);
        }
        edit_release(&e);
        version_unref(v);
    }
    set_release(&set);
    CK(f->te.live == 0);
    CK(f->te.descriptors == 0);
    return r;
}

static void take(void *arg, const char *line)
{
    *(uint64_t *)arg += line[0] != '\0';
}

/* What a person asks for says no less than what an open finds. */
static void dump_file(struct onefile *f, enum status read)
{
    uint64_t lines = 0;
    struct err err = {.text = ""};
    enum status st = waldump_manifest(&f->te.env, "MANIFEST-000001", NUMBER, take, &lines, &err);
    CK(st == ST_OK || st == ST_CORRUPT || st == ST_UNSUPPORTED);
    CK(read != ST_OK || (st == ST_OK && lines > 1));
    CK(f->te.live == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > SIZE_MOST) {
        return 0;
    }
    struct onefile f;
    struct onefile copy;
    file_init(&f);
    file_init(&copy);
    onefile_set(&f, data + 1, size - 1);
    walseal_run(f.data, f.size, NUMBER, data[0]);
    struct reading whole = read_file(&f, &copy);
    dump_file(&f, whole.st);
    f.te.io_max = 1 + data[0] / 8;
    struct reading pieces = read_file(&f, NULL);
    CK(pieces.st == whole.st);
    CK(pieces.hash == whole.hash);
    if (whole.st == ST_OK) {
        struct reading again = read_file(&copy, NULL);
        CK(again.st == ST_OK);
        CK(again.hash == whole.hash);
    }
    onefile_release(&copy);
    onefile_release(&f);
    return 0;
}
