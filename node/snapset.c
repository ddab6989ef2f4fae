/* snapset.c - see snapset.h. */
#include "node/snapset.h"

#include "base/ck.h"
#include "base/crc32c.h"
#include "base/hash.h"
#include "env/fullio.h"
#include "node/confcode.h"

#include <stdio.h>

#define PIECE (256u * 1024u)

void snapset_init(struct snapset *s, struct mem *mem)
{
    *s = (struct snapset){.mem = mem};
}

void snapset_release(struct snapset *s)
{
    if (s->mem != NULL) {
        mem_release(s->mem, s->files);
    }
    s->files = NULL;
    s->count = 0;
    s->cap = 0;
    s->bytes = 0;
}

bool snapset_name_good(struct slice name)
{
    bool dots = slice_equal(name, slice_text(".")) || slice_equal(name, slice_text(".."));
    return name.size > 0 && name.size < SNAPSET_NAME_MAX && !dots &&
           memchr(name.data, '/', name.size) == NULL && memchr(name.data, '\0', name.size) == NULL;
}

enum status snapset_path(const char *dir, const char *name, char path[ENV_PATH_MAX])
{
    int n = snprintf(path, ENV_PATH_MAX, "%s/%s", dir, name);
    return n > 0 && n < ENV_PATH_MAX ? ST_OK : ST_NAMETOOLONG;
}

/* One more file at the end. */
static enum status file_add(struct snapset *s, struct slice name, uint64_t size, uint32_t crc)
{
    if (!snapset_name_good(name)) {
        return ST_INVAL;
    }
    if (s->count == SNAPSET_FILES || size > (uint64_t)INT64_MAX - s->bytes) {
        return ST_TOOBIG;
    }
    if (s->count == s->cap) {
        uint32_t cap = s->cap > 0 ? 2 * s->cap : 16;
        struct snapset_file *grown = mem_resize(s->mem, s->files, cap * sizeof *grown);
        if (grown == NULL) {
            return ST_NOMEM;
        }
        s->files = grown;
        s->cap = cap;
    }
    struct snapset_file *f = &s->files[s->count++];
    *f = (struct snapset_file){.size = size, .crc = crc, .start = s->bytes};
    memcpy(f->name, name.data, name.size);
    s->bytes += size;
    return ST_OK;
}

/* Of everything that a transfer must not mix. */
static uint64_t id_of(const struct snapset *s)
{
    char config[CONFCODE_MAX];
    uint64_t h = hash_add(hash_add(s->place.index, s->place.term), s->config_index);
    h = hash_bytes(h, config, confcode_write(&s->config, config));
    for (uint32_t i = 0; i < s->count; i++) {
        const struct snapset_file *f = &s->files[i];
        h = hash_bytes(h, f->name, strlen(f->name) + 1);
        h = hash_add(hash_add(h, f->size), f->crc);
    }
    return h;
}

/* ---- from a directory ---- */

struct names {
    struct snapset *set;
    enum status st;
};

static bool name_take(void *arg, const char *name)
{
    struct names *n = (struct names *)arg;
    n->st = file_add(n->set, slice_text(name), 0, 0);
    return n->st == ST_OK;
}

/* By name; there are few, and they come nearly sorted. */
static void files_sort(struct snapset *s)
{
    for (uint32_t gap = s->count / 2; gap > 0; gap /= 2) {
        for (uint32_t i = gap; i < s->count; i++) {
            struct snapset_file f = s->files[i];
            uint32_t at = i;
            for (; at >= gap && strcmp(s->files[at - gap].name, f.name) > 0; at -= gap) {
                s->files[at] = s->files[at - gap];
            }
            s->files[at] = f;
        }
    }
}

static enum status file_sum(struct env *env, int fd, char *piece, struct snapset_file *f,
                            bool (*stop)(void *arg), void *arg)
{
    bool hardware = (env_cpu_features(env) & ENV_CPU_CRC32C) != 0;
    for (f->size = 0, f->crc = 0;;) {
        size_t got = 0;
        if (stop != NULL && stop(arg)) {
            return ST_STOPPED;
        }
        enum status st = fullio_pread(env, fd, piece, PIECE, f->size, &got);
        if (st != ST_OK) {
            return st;
        }
        f->crc = crc32c_on(hardware, f->crc, piece, got);
        f->size += got;
        if (got < PIECE) {
            return ST_OK;
        }
    }
}

static enum status file_scan(struct env *env, const char *dir, char *piece, struct snapset_file *f,
                             bool (*stop)(void *arg), void *arg)
{
    char path[ENV_PATH_MAX];
    int fd;
    enum status st = snapset_path(dir, f->name, path);
    st = st == ST_OK ? env_file_open(env, path, ENV_READ, &fd) : st;
    if (st == ST_OK) {
        st = file_sum(env, fd, piece, f, stop, arg);
        (void)env_fd_close(env, fd); /* only read */
    }
    return st;
}

enum status snapset_scan(struct snapset *s, struct env *env, const char *dir,
                         bool (*stop)(void *arg), void *arg, struct err *err)
{
    struct names n = {s, ST_OK};
    snapset_release(s);
    char *piece = mem_alloc(s->mem, PIECE);
    enum status st = piece != NULL ? env_dir_list(env, dir, name_take, &n) : ST_NOMEM;
    st = st == ST_OK ? n.st : st;
    const char *what = dir;
    if (st == ST_OK) {
        files_sort(s);
    }
    for (uint32_t i = 0; st == ST_OK && i < s->count; i++) {
        struct snapset_file *f = &s->files[i];
        what = f->name;
        st = file_scan(env, dir, piece, f, stop, arg);
        f->start = s->bytes;
        s->bytes += f->size;
    }
    mem_release(s->mem, piece);
    if (st != ST_OK) {
        err_set(err, "snapshot file %s: %s", what, status_text(st));
        snapset_release(s);
        return st;
    }
    s->id = id_of(s);
    return ST_OK;
}

/* ---- from and to an offer ---- */

enum status snapset_read(struct snapset *s, const struct peermsg_offer *offer, struct err *err)
{
    snapset_release(s);
    s->place = (struct raft_place){offer->place_index, offer->place_term};
    s->config_index = offer->config_index;
    enum status st = confcode_from(&offer->config, &s->config);
    for (uint32_t i = 0; st == ST_OK && i < offer->files.count; i++) {
        const struct peermsg_file *f = &offer->files.items[i];
        st = file_add(s, f->name, f->size, f->crc);
        bool ascends = st != ST_OK || i == 0 || strcmp(s->files[i - 1].name, s->files[i].name) < 0;
        st = ascends ? st : ST_INVAL;
    }
    s->id = id_of(s);
    if (st == ST_OK && s->id != offer->id) {
        st = ST_INVAL;
    }
    if (st != ST_OK) {
        err_set(err, "an offer that is none: %s", status_text(st));
        snapset_release(s);
    }
    return st;
}

void snapset_write(const struct snapset *s, struct peermsg_file *files, struct peermsg_member *rows,
                   struct peermsg_offer *offer)
{
    *offer = (struct peermsg_offer){.id = s->id,
                                    .place_index = s->place.index,
                                    .place_term = s->place.term,
                                    .config_index = s->config_index,
                                    .has_config = true};
    confcode_to(&s->config, rows, &offer->config);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct snapset_file *f = &s->files[i];
        files[i] = (struct peermsg_file){slice_text(f->name), f->size, f->crc};
    }
    offer->files.items = files;
    offer->files.count = s->count;
}

bool snapset_same(const struct snapset *a, const struct snapset *b)
{
    char x[CONFCODE_MAX], y[CONFCODE_MAX];
    size_t n = confcode_write(&a->config, x);
    bool same = a->id == b->id && a->count == b->count && a->place.index == b->place.index &&
                a->place.term == b->place.term && a->config_index == b->config_index &&
                n == confcode_write(&b->config, y) && memcmp(x, y, n) == 0;
    for (uint32_t i = 0; same && i < a->count; i++) {
        const struct snapset_file *f = &a->files[i], *g = &b->files[i];
        same = strcmp(f->name, g->name) == 0 && f->size == g->size && f->crc == g->crc;
    }
    return same;
}

/* ---- places ---- */

struct snapset_at snapset_at(const struct snapset *s, uint32_t file, uint64_t offset)
{
    struct snapset_at at = {file, offset};
    while (at.file < s->count && at.offset == s->files[at.file].size) {
        at.file++;
        at.offset = 0;
    }
    return at;
}

uint64_t snapset_before(const struct snapset *s, struct snapset_at at)
{
    CK(at.file <= s->count);
    return at.file == s->count ? s->bytes : s->files[at.file].start + at.offset;
}
