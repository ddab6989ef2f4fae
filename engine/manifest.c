/* manifest.c - see manifest.h. Reading is in manifest_read.c. */
#include "engine/manifest.h"

#include "base/ck.h"
#include "base/code.h"
#include "base/crc32c.h"
#include "engine/fname.h"
#include "env/fullio.h"

#include <stdio.h>

#define GROWN_FACTOR 2
#define GROWN_BYTES  ((uint64_t)256 << 10)
#define CRC_DIGITS   8

enum status manifest_init(struct manifest *m, struct env *env, const char *dir, struct order order)
{
    *m = (struct manifest){.env = env, .dir = dir, .order = order};
    buf_init(&m->bytes, &env->mem);
    return wal_init(&m->wal, env);
}

void manifest_release(struct manifest *m)
{
    wal_release(&m->wal);
    buf_release(&m->bytes);
}

/* Stages an edit as one record and syncs the file. Of a closed record nothing remains. */
static enum status edit_write(struct manifest *m, const struct edit *e, const char *order_text)
{
    m->resumed = false;
    buf_clear(&m->bytes);
    enum status st = edit_encode(e, slice_text(order_text), &m->bytes);
    if (st == ST_OK && m->bytes.size > TKV_BATCH_MAX) {
        st = ST_TOOBIG;
    }
    struct env_slice part = {m->bytes.data, m->bytes.size};
    if (st == ST_OK) {
        st = wal_append(&m->wal, m->edits + 1, &part, 1);
    }
    if (st == ST_OK) {
        st = wal_flush(&m->wal);
    }
    if (st == ST_OK) {
        st = wal_blank(&m->wal);
    }
    if (st == ST_OK) {
        ENV_YIELD(m->env, "manifest: edit written, not synced");
        st = wal_sync(&m->wal);
    }
    if (st == ST_OK) {
        m->edits++;
    } else {
        wal_shut(&m->wal);
    }
    return st;
}

enum status manifest_create(struct manifest *m, uint64_t number, const struct edit *state)
{
    char path[ENV_PATH_MAX];
    struct walfmt_head head = {WALFMT_MANIFEST_MAGIC, WALFMT_VERSION, number, 0, 0, 0, 0};
    wal_shut(&m->wal);
    fname_make(path, m->dir, FNAME_MANIFEST, number);
    enum status st = wal_create(&m->wal, path, &head);
    if (st != ST_OK) {
        return st;
    }
    m->number = number;
    m->edits = 0;
    st = edit_write(m, state, order_name(m->order));
    m->snapshot = m->wal.size;
    return st;
}

enum status manifest_append(struct manifest *m, const struct edit *e)
{
    CK(wal_is_open(&m->wal));
    return edit_write(m, e, "");
}

bool manifest_grown(const struct manifest *m)
{
    return m->wal.size > m->snapshot * GROWN_FACTOR + GROWN_BYTES;
}

enum status manifest_reopen(struct manifest *m, uint64_t number, const struct manifest_state *state)
{
    char path[ENV_PATH_MAX];
    CK(state->closed);
    fname_make(path, m->dir, FNAME_MANIFEST, number);
    enum status st = wal_reopen(&m->wal, path, number, state->epoch, state->closed_at, state->size);
    if (st == ST_OK) {
        m->number = number;
        m->edits = state->edits;
        m->snapshot = state->snapshot;
        m->resumed = true;
        m->found = state->closing;
    }
    return st;
}

/* ---- the end of one ---- */

/* A closed record, version 1: u32 version, u32 epoch of the log, u64 its number, u64 its size, u64
 * next file, u64 last sequence. */
#define CLOSED_VERSION 1

static void closed_put(char p[MANIFEST_CLOSED], const struct manifest_closed *c)
{
    code_put32(p, CLOSED_VERSION);
    code_put32(p + 4, c->log_epoch);
    code_put64(p + 8, c->log);
    code_put64(p + 16, c->log_size);
    code_put64(p + 24, c->next_file);
    code_put64(p + 32, c->last_sequence);
}

bool manifest_get_closed(struct slice payload, struct manifest_closed *closed)
{
    if (payload.size != MANIFEST_CLOSED || code_get32(payload.data) != CLOSED_VERSION) {
        return false;
    }
    closed->log_epoch = code_get32(payload.data + 4);
    closed->log = code_get64(payload.data + 8);
    closed->log_size = code_get64(payload.data + 16);
    closed->next_file = code_get64(payload.data + 24);
    closed->last_sequence = code_get64(payload.data + 32);
    return true;
}

static bool closed_same(const struct manifest_closed *a, const struct manifest_closed *b)
{
    char x[MANIFEST_CLOSED];
    char y[MANIFEST_CLOSED];
    closed_put(x, a);
    closed_put(y, b);
    return memcmp(x, y, sizeof x) == 0;
}

/* Stages the last record; where a closed one does not fit into the block, a mark. */
static enum status end_stage(struct manifest *m, const struct manifest_closed *closed)
{
    char payload[MANIFEST_CLOSED];
    if (closed != NULL) {
        closed_put(payload, closed);
        if (wal_append_note(&m->wal, payload, sizeof payload)) {
            return ST_OK;
        }
    }
    return wal_append_mark(&m->wal);
}

void manifest_end(struct manifest *m, const struct manifest_closed *closed)
{
    if (!wal_is_open(&m->wal)) {
        return;
    }
    if (m->resumed && closed != NULL && closed_same(closed, &m->found)) {
        wal_shut(&m->wal); /* it is there already */
        return;
    }
    enum status st = end_stage(m, closed);
    st = st == ST_OK ? wal_flush(&m->wal) : st;
    st = st == ST_OK ? wal_blank(&m->wal) : st;
    if (st != ST_OK) {
        env_log(m->env, ENV_LOG_WARN, "manifest: its end could not be marked");
    }
    wal_shut(&m->wal);
}

/* ---- CURRENT ---- */

/* "MANIFEST-000007 89abcdef\n": the CRC is of the name. */
static size_t current_text(char text[FNAME_SIZE + CRC_DIGITS + 2], uint64_t number)
{
    char name[FNAME_SIZE];
    fname_text(name, FNAME_MANIFEST, number);
    int n = snprintf(text, FNAME_SIZE + CRC_DIGITS + 2, "%s %08x\n", name,
                     (unsigned)crc32c(0, name, strlen(name)));
    CK(n > 0);
    CK(n < FNAME_SIZE + CRC_DIGITS + 2);
    return (size_t)n;
}

static enum status tmp_write(struct env *env, const char *path, uint64_t number)
{
    char text[FNAME_SIZE + CRC_DIGITS + 2];
    int fd;
    size_t put;
    enum status st = env_file_open(env, path, ENV_WRITE | ENV_CREATE | ENV_EXCLUSIVE, &fd);
    if (st != ST_OK) {
        return st;
    }
    struct env_slice part = {text, current_text(text, number)};
    st = fullio_append(env, fd, &part, 1, &put);
    if (st == ST_OK) {
        st = env_file_sync(env, fd);
    }
    (void)env_fd_close(env, fd); /* what counts has been synced */
    return st;
}

enum status manifest_publish(struct manifest *m, uint64_t tmp, bool *renamed)
{
    char from[ENV_PATH_MAX];
    char to[ENV_PATH_MAX];
    fname_make(from, m->dir, FNAME_TMP, tmp);
    fname_make(to, m->dir, FNAME_CURRENT, 0);
    *renamed = false;
    enum status st = tmp_write(m->env, from, m->number);
    if (st == ST_OK) {
        *renamed = true;
        st = env_path_rename(m->env, from, to);
    }
    if (st != ST_OK) {
        enum status removed = env_path_remove(m->env, from);
        (void)removed; /* or the next open does it */
    }
    return st;
}

enum status manifest_current(struct env *env, const char *dir, uint64_t *number, struct err *err)
{
    char path[ENV_PATH_MAX];
    char text[FNAME_SIZE + CRC_DIGITS + 3];
    char want[FNAME_SIZE + CRC_DIGITS + 2];
    size_t got = 0;
    int fd;
    fname_make(path, dir, FNAME_CURRENT, 0);
    enum status st = env_file_open(env, path, ENV_READ, &fd);
    if (st == ST_OK) {
        st = fullio_pread(env, fd, text, sizeof text - 1, 0, &got);
        (void)env_fd_close(env, fd); /* it was only read */
    }
    if (st != ST_OK) {
        return err_status(err, st, "CURRENT");
    }
    text[got] = '\0';
    char *space = strchr(text, ' ');
    if (space != NULL) {
        *space = '\0';
        bool named = fname_parse(text, number) == FNAME_MANIFEST;
        *space = ' ';
        if (named && current_text(want, *number) == got && memcmp(want, text, got) == 0) {
            return ST_OK;
        }
    }
    err_set(err, "CURRENT: damaged at offset 0: not the name of a manifest with its CRC");
    return ST_CORRUPT;
}
