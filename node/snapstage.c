/* snapstage.c - see snapstage.h. */
#include "node/snapstage.h"

#include "base/ck.h"
#include "base/crc32c.h"
#include "env/fullio.h"

#include <stdio.h>

#define NAMES_AT_ONCE 16
#define SPARE         (1u << 20) /* bytes of the disk that a snapshot leaves free */

static enum status fail(struct err *err, enum status st, const char *what)
{
    err_set(err, "staging a snapshot: %s: %s", what, status_text(st));
    return st;
}

/* ---- throwing away ---- */

struct batch {
    char names[NAMES_AT_ONCE][ENV_PATH_MAX / 4];
    int count;
    bool long_name;
};

static bool batch_take(void *arg, const char *name)
{
    struct batch *b = (struct batch *)arg;
    size_t size = strlen(name) + 1;
    if (size > sizeof b->names[0]) {
        b->long_name = true;
        return true;
    }
    memcpy(b->names[b->count++], name, size);
    return b->count < NAMES_AT_ONCE;
}

static enum status batch_remove(struct env *env, const char *dir, const struct batch *b)
{
    char path[ENV_PATH_MAX];
    enum status st = ST_OK;
    for (int i = 0; st == ST_OK && i < b->count; i++) {
        st = snapset_path(dir, b->names[i], path);
        st = st == ST_OK ? env_path_remove(env, path) : st;
    }
    return st;
}

/* The directory with its files; none is fine. Names are gone durably. */
static enum status dir_clear(struct env *env, const char *dir, const char *parent)
{
    struct batch b;
    enum status st;
    do {
        b.count = 0;
        b.long_name = false;
        st = env_dir_list(env, dir, batch_take, &b);
        st = st == ST_OK ? batch_remove(env, dir, &b) : st;
    } while (st == ST_OK && b.count > 0);
    if (st == ST_NOENT) {
        return ST_OK;
    }
    st = st == ST_OK && b.long_name ? ST_NAMETOOLONG : st;
    st = st == ST_OK ? env_path_remove(env, dir) : st;
    return st == ST_OK ? env_dir_sync(env, parent) : st;
}

static void file_close(struct snapstage *s)
{
    if (s->fd >= 0) {
        (void)env_fd_close(s->env, s->fd); /* it was synced, or is thrown away */
        s->fd = -1;
    }
}

enum status snapstage_clear(struct snapstage *s, struct err *err)
{
    file_close(s);
    s->state = SNAPSTAGE_EMPTY;
    snapset_release(&s->set);
    enum status st = dir_clear(s->env, s->dir, s->parent);
    return st == ST_OK ? ST_OK : fail(err, st, s->dir);
}

/* After a failure: what cannot be thrown away now goes with the next offer, or at the next start.
 */
static enum status give_up(struct snapstage *s, struct err *err, enum status st, const char *what)
{
    struct err second;
    st = fail(err, st, what); /* what may lie in the set, which goes now */
    enum status ignored = snapstage_clear(s, &second);
    (void)ignored;
    return st;
}

enum status snapstage_open(struct snapstage *s, struct env *env, const char *dir, struct err *err)
{
    *s = (struct snapstage){.env = env, .fd = -1};
    s->hardware = (env_cpu_features(env) & ENV_CPU_CRC32C) != 0;
    snapset_init(&s->set, &env->mem);
    size_t size = strlen(dir);
    if (size + 1 + SNAPSET_NAME_MAX > sizeof s->dir) {
        return fail(err, ST_NAMETOOLONG, dir);
    }
    memcpy(s->dir, dir, size + 1);
    const char *slash = strrchr(dir, '/');
    if (slash != NULL && slash != dir) {
        memcpy(s->parent, dir, (size_t)(slash - dir));
    } else {
        s->parent[0] = slash == NULL ? '.' : '/';
    }
    return snapstage_clear(s, err);
}

void snapstage_close(struct snapstage *s)
{
    if (s->env != NULL) {
        file_close(s);
        snapset_release(&s->set);
        s->state = SNAPSTAGE_EMPTY;
    }
}

/* ---- filling ---- */

static enum status file_begin(struct snapstage *s)
{
    char path[ENV_PATH_MAX];
    const char *name = s->set.files[s->at.file].name;
    enum status st = snapset_path(s->dir, name, path);
    s->crc = 0;
    if (st == ST_OK) {
        st = env_file_open(s->env, path, ENV_WRITE | ENV_CREATE | ENV_EXCLUSIVE, &s->fd);
        s->fd = st == ST_OK ? s->fd : -1;
    }
    return st;
}

/* All its bytes are there: are they right? Then they become durable. */
static enum status file_end(struct snapstage *s)
{
    const struct snapset_file *f = &s->set.files[s->at.file];
    if (s->crc != f->crc) {
        return ST_CORRUPT;
    }
    enum status st = env_file_sync(s->env, s->fd);
    file_close(s);
    s->at.file++;
    s->at.offset = 0;
    return st;
}

/* Files without bytes pass by; behind the last one the whole becomes durable. */
static enum status ends_take(struct snapstage *s)
{
    enum status st = ST_OK;
    while (st == ST_OK && s->at.file < s->set.count) {
        if (s->fd < 0) {
            st = file_begin(s);
        }
        if (st == ST_OK && s->at.offset < s->set.files[s->at.file].size) {
            return ST_OK;
        }
        st = st == ST_OK ? file_end(s) : st;
    }
    st = st == ST_OK ? env_dir_sync(s->env, s->dir) : st;
    s->state = st == ST_OK ? SNAPSTAGE_WHOLE : s->state;
    return st;
}

static enum status room_check(struct snapstage *s)
{
    uint64_t room;
    enum status st = env_path_free_space(s->env, s->parent, &room);
    return st == ST_OK && (room < SPARE || room - SPARE < s->set.bytes) ? ST_NOSPC : st;
}

static enum status begin(struct snapstage *s, struct snapset *set, struct err *err)
{
    enum status st = snapstage_clear(s, err);
    if (st != ST_OK) {
        snapset_release(set);
        return st;
    }
    s->set = *set;
    s->at = (struct snapset_at){0};
    st = room_check(s);
    st = st == ST_OK ? env_dir_make(s->env, s->dir) : st;
    s->state = st == ST_OK ? SNAPSTAGE_FILLING : s->state;
    st = st == ST_OK ? ends_take(s) : st;
    return st == ST_OK ? ST_OK : give_up(s, err, st, "beginning");
}

enum status snapstage_offer(struct snapstage *s, const struct peermsg_offer *offer, struct err *err)
{
    struct snapset set;
    snapset_init(&set, &s->env->mem);
    enum status st = snapset_read(&set, offer, err);
    if (st != ST_OK) {
        return st;
    }
    bool same = s->state != SNAPSTAGE_EMPTY && snapset_same(&set, &s->set);
    if (same || s->state == SNAPSTAGE_WHOLE) {
        snapset_release(&set);
        return same ? ST_OK : fail(err, ST_BUSY, "another one waits to be installed");
    }
    return begin(s, &set, err);
}

static bool chunk_wanted(const struct snapstage *s, const struct peermsg_chunk *c)
{
    return s->state == SNAPSTAGE_FILLING && c->id == s->set.id && c->file == s->at.file &&
           c->offset == s->at.offset && c->data.size > 0 &&
           c->data.size <= s->set.files[s->at.file].size - s->at.offset;
}

enum status snapstage_chunk(struct snapstage *s, const struct peermsg_chunk *chunk, struct err *err)
{
    size_t put;
    if (!chunk_wanted(s, chunk)) {
        return fail(err, ST_INVAL, "a chunk that is not wanted");
    }
    enum status st =
        fullio_pwrite(s->env, s->fd, chunk->data.data, chunk->data.size, s->at.offset, &put);
    if (st == ST_OK) {
        s->crc = crc32c_on(s->hardware, s->crc, chunk->data.data, chunk->data.size);
        s->at.offset += chunk->data.size;
        st = ends_take(s);
    }
    return st == ST_OK ? ST_OK : give_up(s, err, st, s->set.files[chunk->file].name);
}

enum status snapstage_take(struct snapstage *s, const char *to, struct err *err)
{
    CK(s->state == SNAPSTAGE_WHOLE);
    enum status st = env_path_rename(s->env, s->dir, to);
    if (st != ST_OK) {
        return fail(err, st, to);
    }
    s->state = SNAPSTAGE_EMPTY;
    snapset_release(&s->set);
    st = env_dir_sync(s->env, s->parent);
    return st == ST_OK ? ST_OK : fail(err, st, s->parent);
}
