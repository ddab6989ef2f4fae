/* roster.c - see roster.h. */
#include "node/roster.h"

#include "base/ck.h"
#include "base/code.h"
#include "base/crc32c.h"
#include "env/fullio.h"

#include <stdio.h>
#include <string.h>

#define MAGIC      "TKVROST\n"
#define VERSION    1u
#define HEAD_BYTES 120u
#define ROW_BYTES  48u
#define COPY_BYTES 4096u
#define FILE_BYTES (2 * COPY_BYTES)

_Static_assert(HEAD_BYTES + ROSTER_ROWS_MAX * ROW_BYTES <= COPY_BYTES, "a copy holds all rows");
_Static_assert(HEAD_BYTES == 56 + ROSTER_NAME_MAX, "offsets below");

enum { FLAG_FOUNDER = 1, FLAG_MADE = 2, FLAG_KNOWN = 4 };

/* ---- bytes ---- */

static void row_put(char *p, const struct roster_row *row)
{
    code_put64(p, row->id);
    code_put64(p + 8, row->incarnation);
    code_put64(p + 16, row->disk);
    code_put16(p + 24, row->addr.family);
    code_put16(p + 26, row->addr.port);
    memcpy(p + 32, row->addr.ip, sizeof row->addr.ip);
}

static void row_get(const char *p, struct roster_row *row)
{
    row->id = code_get64(p);
    row->incarnation = code_get64(p + 8);
    row->disk = code_get64(p + 16);
    row->addr.family = (uint8_t)code_get16(p + 24);
    row->addr.port = code_get16(p + 26);
    memcpy(row->addr.ip, p + 32, sizeof row->addr.ip);
}

/* One copy; the CRC covers all of it behind itself. */
static void copy_put(char *page, const struct roster *r)
{
    memset(page, 0, COPY_BYTES);
    memcpy(page + 8, MAGIC, 8);
    code_put32(page + 16, VERSION);
    code_put16(page + 20, (uint16_t)((r->founder ? FLAG_FOUNDER : 0) | (r->made ? FLAG_MADE : 0) |
                                     (r->known ? FLAG_KNOWN : 0)));
    code_put16(page + 22, (uint16_t)r->count);
    code_put64(page + 24, r->id);
    code_put64(page + 32, r->incarnation);
    code_put64(page + 40, r->disk);
    code_put64(page + 48, strlen(r->cluster));
    memcpy(page + 56, r->cluster, strlen(r->cluster));
    for (uint32_t i = 0; i < r->count; i++) {
        row_put(page + HEAD_BYTES + i * ROW_BYTES, &r->rows[i]);
    }
    code_put32(page, crc32c(0, page + 4, COPY_BYTES - 4));
}

static bool rows_sane(const struct roster *r)
{
    bool sane = true;
    for (uint32_t i = 0; sane && i < r->count; i++) {
        const struct roster_row *row = &r->rows[i];
        uint8_t family = row->addr.family;
        sane = row->id != 0 && (i == 0 || r->rows[i - 1].id < row->id) &&
               (family == 0 || family == 4 || family == 6);
    }
    return sane;
}

static enum status copy_get(const char *page, struct roster *r)
{
    if (memcmp(page + 8, MAGIC, 8) != 0 ||
        code_get32(page) != crc32c(0, page + 4, COPY_BYTES - 4)) {
        return ST_CORRUPT;
    }
    if (code_get32(page + 16) != VERSION) {
        return ST_UNSUPPORTED;
    }
    unsigned flags = code_get16(page + 20);
    uint64_t name = code_get64(page + 48);
    *r = (struct roster){.id = code_get64(page + 24),
                         .incarnation = code_get64(page + 32),
                         .disk = code_get64(page + 40),
                         .founder = (flags & FLAG_FOUNDER) != 0,
                         .made = (flags & FLAG_MADE) != 0,
                         .known = (flags & FLAG_KNOWN) != 0,
                         .count = code_get16(page + 22)};
    if (name > ROSTER_NAME_MAX || r->count > ROSTER_ROWS_MAX || r->id == 0 || r->disk == 0) {
        return ST_CORRUPT;
    }
    memcpy(r->cluster, page + 56, name);
    for (uint32_t i = 0; i < r->count; i++) {
        row_get(page + HEAD_BYTES + i * ROW_BYTES, &r->rows[i]);
    }
    return rows_sane(r) ? ST_OK : ST_CORRUPT;
}

/* ---- the file ---- */

static enum status path_make(char path[ENV_PATH_MAX], const char *dir, const char *name)
{
    int n = snprintf(path, ENV_PATH_MAX, "%s/%s", dir, name);
    return n > 0 && n < ENV_PATH_MAX ? ST_OK : ST_NAMETOOLONG;
}

static enum status file_read(struct env *env, const char *path, char bytes[FILE_BYTES])
{
    int fd;
    size_t got = 0;
    memset(bytes, 0, FILE_BYTES);
    enum status st = env_file_open(env, path, ENV_READ, &fd);
    if (st != ST_OK) {
        return st;
    }
    for (size_t at = 0; at < FILE_BYTES; at += COPY_BYTES) {
        enum status one = fullio_pread(env, fd, bytes + at, COPY_BYTES, at, &got);
        st = one != ST_OK ? one : st; /* the other copy may be read all the same */
    }
    (void)env_fd_close(env, fd); /* nothing was written */
    return st;
}

enum status roster_load(struct env *env, const char *dir, struct roster *r, struct err *err)
{
    char path[ENV_PATH_MAX];
    char bytes[FILE_BYTES];
    enum status st = path_make(path, dir, ROSTER_FILE);
    st = st == ST_OK ? file_read(env, path, bytes) : st;
    if (st != ST_OK && st != ST_IO) {
        return st == ST_NOENT ? st : err_status(err, st, path);
    }
    enum status one = copy_get(bytes, r);
    if (one != ST_OK) {
        ENV_PROBE(env, "roster: its first copy is not whole");
        enum status two = copy_get(bytes + COPY_BYTES, r);
        one = two == ST_OK ? ST_OK : one;
    }
    if (one != ST_OK) {
        one = st != ST_OK ? st : one;
        err_set(err, "%s: %s; without it this node has to be removed, and added again", path,
                one == ST_CORRUPT ? "both copies are damaged" : status_text(one));
    }
    return one;
}

bool roster_is(struct env *env, const char *dir)
{
    char path[ENV_PATH_MAX];
    struct env_stat stat;
    return path_make(path, dir, ROSTER_FILE) == ST_OK && env_path_stat(env, path, &stat) == ST_OK;
}

static enum status file_write(struct env *env, const char *path, const char *bytes)
{
    int fd;
    size_t put;
    enum status st = env_file_open(env, path, ENV_WRITE | ENV_CREATE | ENV_EXCLUSIVE, &fd);
    if (st != ST_OK) {
        return st;
    }
    st = fullio_pwrite(env, fd, bytes, FILE_BYTES, 0, &put);
    st = st == ST_OK ? env_file_sync(env, fd) : st;
    (void)env_fd_close(env, fd); /* it was synced, or it does not count */
    return st;
}

enum status roster_save(struct env *env, const char *dir, const struct roster *r)
{
    char tmp[ENV_PATH_MAX];
    char path[ENV_PATH_MAX];
    char bytes[FILE_BYTES];
    CK(r->count <= ROSTER_ROWS_MAX);
    CK(rows_sane(r));
    enum status st = path_make(path, dir, ROSTER_FILE);
    st = st == ST_OK ? path_make(tmp, dir, ROSTER_FILE ".tmp") : st;
    if (st != ST_OK) {
        return st;
    }
    copy_put(bytes, r);
    memcpy(bytes + COPY_BYTES, bytes, COPY_BYTES);
    st = env_path_remove(env, tmp); /* a file of its own: what failed before cannot come back */
    st = st == ST_OK || st == ST_NOENT ? file_write(env, tmp, bytes) : st;
    st = st == ST_OK ? env_path_rename(env, tmp, path) : st;
    return st == ST_OK ? env_dir_sync(env, dir) : st;
}

/* ---- rows ---- */

struct roster_row *roster_find(struct roster *r, uint64_t id)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->rows[i].id == id) {
            return &r->rows[i];
        }
    }
    return NULL;
}
