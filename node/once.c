/* once.c - see once.h. */
#include "node/once.h"

#include "base/ck.h"
#include "base/hash.h"
#include "node/rowkey.h"

enum { ROW_VERSION = 1, ROW_BYTES = 25 };

/* ---- keys and rows ---- */

/* The same bytes for as long as the group lives. */
static enum status keep(struct once *o, struct slice *bytes)
{
    char *copy = overlay_copy_room(&o->view->overlay, bytes->size);
    if (copy == NULL) {
        return ST_NOMEM;
    }
    memcpy(copy, bytes->data, bytes->size);
    bytes->data = copy;
    return ST_OK;
}

static enum status row_put(struct once *o, struct slice key, struct slice value)
{
    enum status st = keep(o, &key);
    if (st == ST_OK && value.size > 0) {
        st = keep(o, &value);
    }
    return st == ST_OK ? view_put(o->view, key, value) : st;
}

static enum status row_delete(struct once *o, struct slice key)
{
    enum status st = keep(o, &key);
    return st == ST_OK ? view_delete(o->view, key) : st;
}

static struct slice key_of_session(char bytes[ROWKEY_MAX], uint64_t session)
{
    return rowkey(bytes, 's', 1, session, 0);
}

/* ST_NOENT: there is no such session. */
static enum status session_read(struct once *o, struct once_request *r)
{
    char key[ROWKEY_MAX];
    struct view_value value;
    enum status st = view_get(o->view, key_of_session(key, r->session), &value);
    if (st != ST_OK) {
        return st;
    }
    const char *p = value.bytes.data;
    if (value.bytes.size != ROW_BYTES || p[0] != ROW_VERSION) {
        st = ST_CORRUPT;
    } else {
        r->use = code_get64(p + 1);
        r->floor = code_get64(p + 9);
        r->last = code_get64(p + 17);
        st = r->last < r->floor || r->last - r->floor < ONCE_WINDOW ? ST_OK : ST_CORRUPT;
    }
    view_value_release(o->view, &value);
    return st;
}

static enum status session_write(struct once *o, const struct once_request *r)
{
    char key[ROWKEY_MAX];
    char row[ROW_BYTES] = {ROW_VERSION};
    code_put64(row + 1, r->use);
    code_put64(row + 9, r->floor);
    code_put64(row + 17, r->last);
    return row_put(o, key_of_session(key, r->session), slice_of(row, sizeof row));
}

static enum status use_write(struct once *o, const struct once_request *r)
{
    char key[ROWKEY_MAX];
    return row_put(o, rowkey(key, 'u', 2, r->use, r->session), slice_of(NULL, 0));
}

static enum status use_delete(struct once *o, const struct once_request *r)
{
    char key[ROWKEY_MAX];
    return row_delete(o, rowkey(key, 'u', 2, r->use, r->session));
}

enum status once_count(struct once *o, uint64_t *count)
{
    char key[ROWKEY_MAX];
    struct view_value value;
    *count = 0;
    enum status st = view_get(o->view, rowkey(key, 'n', 0, 0, 0), &value);
    if (st == ST_OK) {
        st = value.bytes.size == 8 ? ST_OK : ST_CORRUPT;
        *count = st == ST_OK ? code_get64(value.bytes.data) : 0;
        view_value_release(o->view, &value);
    }
    return st == ST_NOENT ? ST_OK : st;
}

static enum status count_write(struct once *o, uint64_t count)
{
    o->counted = true;
    char key[ROWKEY_MAX];
    char value[8];
    code_put64(value, count);
    return row_put(o, rowkey(key, 'n', 0, 0, 0), slice_of(value, sizeof value));
}

/* ---- requests ---- */

/* The reply that was kept. ST_NOENT: this sequence number was not executed. */
static enum status reply_read(struct once *o, const struct once_request *r, struct buf *reply,
                              enum once_verdict *verdict)
{
    char key[ROWKEY_MAX];
    struct view_value value;
    enum status st = view_get(o->view, rowkey(key, 'r', 2, r->session, r->sequence), &value);
    if (st == ST_OK) {
        *verdict = value.bytes.size == 0 ? ONCE_DROPPED : ONCE_REPEAT;
        st = buf_append(reply, value.bytes.data, value.bytes.size);
        view_value_release(o->view, &value);
    }
    return st;
}

/* Where the session's floor is once this request has come. */
static uint64_t floor_of(const struct once_request *r)
{
    uint64_t floor = r->answered > r->floor ? r->answered : r->floor;
    uint64_t back = r->sequence >= ONCE_WINDOW ? r->sequence - ONCE_WINDOW + 1 : 0;
    return back > floor ? back : floor;
}

enum status once_begin(struct once *o, struct once_request *r, struct buf *reply,
                       enum once_verdict *verdict)
{
    enum status st = session_read(o, r);
    if (st == ST_NOENT) {
        *verdict = ONCE_EXPIRED;
        return ST_OK;
    }
    if (st != ST_OK) {
        return st;
    }
    if (r->sequence < floor_of(r) || r->sequence > ONCE_SEQUENCE_MAX) {
        *verdict = ONCE_FORGOTTEN;
        return ST_OK;
    }
    *verdict = ONCE_NEW;
    st = r->sequence <= r->last ? reply_read(o, r, reply, verdict) : ST_NOENT;
    return st == ST_NOENT ? ST_OK : st;
}

/* Drops the replies in [from, to). Not every number need have one. */
static enum status replies_drop(struct once *o, uint64_t session, uint64_t from, uint64_t to)
{
    enum status st = ST_OK;
    CK(to <= from || to - from <= ONCE_WINDOW); /* session_read looked at the row */
    for (uint64_t s = from; st == ST_OK && s < to; s++) {
        char key[ROWKEY_MAX];
        st = row_delete(o, rowkey(key, 'r', 2, session, s));
    }
    return st;
}

/* Brings the time of the last use up to date, if it is far behind. */
static enum status session_touch(struct once *o, struct once_request *r)
{
    if (o->index - r->use < ONCE_USE_STEP) {
        return ST_OK;
    }
    enum status st = use_delete(o, r);
    r->use = o->index;
    return st == ST_OK ? use_write(o, r) : st;
}

enum status once_end(struct once *o, struct once_request *r, struct slice reply)
{
    char key[ROWKEY_MAX];
    uint64_t floor = floor_of(r);
    uint64_t end = floor < r->last + 1 ? floor : r->last + 1;
    struct slice kept = reply.size <= ONCE_REPLY_MAX ? reply : slice_of(NULL, 0);
    enum status st = replies_drop(o, r->session, r->floor, end);
    if (st == ST_OK) {
        st = row_put(o, rowkey(key, 'r', 2, r->session, r->sequence), kept);
    }
    if (st == ST_OK) {
        st = session_touch(o, r);
    }
    r->floor = floor;
    r->last = r->sequence > r->last ? r->sequence : r->last;
    return st == ST_OK ? session_write(o, r) : st;
}

/* ---- sessions ---- */

/* Removes all rows of a session but the count. */
static enum status session_remove(struct once *o, const struct once_request *r)
{
    char key[ROWKEY_MAX];
    enum status st = replies_drop(o, r->session, r->floor, r->last + 1);
    if (st == ST_OK) {
        st = use_delete(o, r);
    }
    return st == ST_OK ? row_delete(o, key_of_session(key, r->session)) : st;
}

/* The session whose last use is the longest ago. */
static enum status oldest_find(struct once *o, struct once_request *r)
{
    char lower[ROWKEY_MAX];
    char upper[ROWKEY_MAX];
    struct view_iter it;
    enum status st = view_iter_open_all(&it, o->view, rowkey(lower, 'u', 0, 0, 0),
                                        rowkey(upper, 'u' + 1, 0, 0, 0), false);
    if (st == ST_OK) {
        st = view_iter_status(&it);
    }
    if (st == ST_OK) {
        bool found = it.valid && view_iter_key(&it).size == ROWKEY_MAX;
        st = found ? ST_OK : ST_CORRUPT; /* the count says that there is one */
        r->session = found ? rowkey_get(view_iter_key(&it).data + 11) : 0;
    }
    view_iter_close(&it);
    if (st == ST_OK) {
        st = session_read(o, r);
        st = st == ST_NOENT ? ST_CORRUPT : st;
    }
    return st;
}

/* Numbers do not follow each other: one of another cluster, or of an earlier one, means nothing. */
static enum status id_choose(struct once *o, uint64_t count, uint64_t *session)
{
    struct once_request r = {.session = hash_add(hash_add(o->salt, o->index), count) & INT64_MAX};
    enum status st = ST_OK;
    while (r.session == 0 || st == ST_OK) {
        r.session = (r.session + 1) & INT64_MAX;
        st = r.session == 0 ? ST_OK : session_read(o, &r);
    }
    *session = r.session;
    return st == ST_NOENT ? ST_OK : st;
}

enum status once_open(struct once *o, uint64_t most, uint64_t *session)
{
    uint64_t count;
    enum status st = once_count(o, &count);
    while (st == ST_OK && count > 0 && count >= most) {
        struct once_request oldest = {0};
        st = oldest_find(o, &oldest);
        if (st == ST_OK) {
            st = session_remove(o, &oldest);
            count--;
        }
    }
    if (st == ST_OK) {
        st = id_choose(o, count, session);
    }
    struct once_request r = {.session = *session, .use = o->index, .floor = 1};
    if (st == ST_OK) {
        st = use_write(o, &r);
    }
    if (st == ST_OK) {
        st = session_write(o, &r);
    }
    return st == ST_OK ? count_write(o, count + 1) : st;
}

enum status once_renew(struct once *o, uint64_t session)
{
    struct once_request r = {.session = session};
    enum status st = session_read(o, &r);
    if (st == ST_OK) {
        st = session_touch(o, &r);
    }
    return st == ST_OK ? session_write(o, &r) : st;
}

enum status once_close(struct once *o, uint64_t session)
{
    struct once_request r = {.session = session};
    uint64_t count;
    enum status st = session_read(o, &r);
    if (st == ST_OK) {
        st = session_remove(o, &r);
    }
    if (st == ST_OK) {
        st = once_count(o, &count);
    }
    return st == ST_OK ? count_write(o, count - 1) : st;
}
