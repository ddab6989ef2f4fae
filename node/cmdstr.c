/* cmdstr.c - see cmdstr.h. */
#include "node/cmdstr.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- reading ---- */

static enum status value_reply(struct call *c, struct slice key)
{
    struct view_value value;
    enum status st = view_get(c->view, key, &value);
    if (st == ST_NOENT) {
        reply_null(c->reply);
        return ST_OK;
    }
    if (st == ST_OK) {
        reply_bulk(c->reply, value.bytes);
        view_value_release(c->view, &value);
    }
    return st;
}

enum status cmdstr_get(struct call *c)
{
    return value_reply(c, c->args[1]);
}

enum status cmdstr_mget(struct call *c)
{
    enum status st = ST_OK;
    reply_array(c->reply, c->count - 1);
    for (uint32_t i = 1; st == ST_OK && i < c->count; i++) {
        st = value_reply(c, c->args[i]);
        st = st == ST_OK ? c->reply->st : st;
    }
    return st;
}

enum status cmdstr_strlen(struct call *c)
{
    struct view_value value;
    enum status st = view_get(c->view, c->args[1], &value);
    if (st != ST_OK && st != ST_NOENT) {
        return st;
    }
    reply_integer(c->reply, st == ST_OK ? (int64_t)value.bytes.size : 0);
    if (st == ST_OK) {
        view_value_release(c->view, &value);
    }
    return ST_OK;
}

enum status cmdstr_exists(struct call *c)
{
    int64_t found = 0;
    for (uint32_t i = 1; i < c->count; i++) {
        enum status st = view_exists(c->view, c->args[i]);
        if (st != ST_OK && st != ST_NOENT) {
            return st;
        }
        found += st == ST_OK;
    }
    reply_integer(c->reply, found);
    return ST_OK;
}

/* ---- writing ---- */

struct set_options {
    bool if_absent;
    bool if_present;
    bool get;
};

static bool set_options_read(const struct call *c, struct set_options *o)
{
    *o = (struct set_options){.get = false};
    for (uint32_t i = 3; i < c->count; i++) {
        if (command_is(c, i, "nx")) {
            o->if_absent = true;
        } else if (command_is(c, i, "xx")) {
            o->if_present = true;
        } else if (command_is(c, i, "get")) {
            o->get = true;
        } else {
            return false;
        }
    }
    return !(o->if_absent && o->if_present);
}

enum status cmdstr_set(struct call *c)
{
    struct set_options o;
    if (!set_options_read(c, &o)) {
        return command_syntax_error(c);
    }
    bool present = false;
    if (o.get) {
        enum status st = value_reply(c, c->args[1]);
        if (st != ST_OK) {
            return st;
        }
    }
    if (o.if_absent || o.if_present) {
        enum status st = view_exists(c->view, c->args[1]);
        if (st != ST_OK && st != ST_NOENT) {
            return st;
        }
        present = st == ST_OK;
        if (present ? o.if_absent : o.if_present) {
            if (!o.get) {
                reply_null(c->reply);
            }
            return ST_OK;
        }
    }
    if (!o.get) {
        reply_simple(c->reply, "OK");
    }
    return view_put(c->view, c->args[1], c->args[2]);
}

enum status cmdstr_mset(struct call *c)
{
    if (c->count % 2 == 0) {
        reply_error(c->reply, "ERR wrong number of arguments for 'mset' command");
        return ST_OK;
    }
    enum status st = ST_OK;
    for (uint32_t i = 1; st == ST_OK && i < c->count; i += 2) {
        st = view_put(c->view, c->args[i], c->args[i + 1]);
    }
    reply_simple(c->reply, "OK");
    return st;
}

enum status cmdstr_del(struct call *c)
{
    int64_t deleted = 0;
    for (uint32_t i = 1; i < c->count; i++) {
        enum status st = view_exists(c->view, c->args[i]);
        if (st == ST_OK) {
            st = view_delete(c->view, c->args[i]);
            deleted++;
        }
        if (st != ST_OK && st != ST_NOENT) {
            return st;
        }
    }
    reply_integer(c->reply, deleted);
    return ST_OK;
}

enum status cmdstr_append(struct call *c)
{
    struct view_value old;
    enum status st = view_get(c->view, c->args[1], &old);
    if (st == ST_NOENT) {
        reply_integer(c->reply, (int64_t)c->args[2].size);
        return view_put(c->view, c->args[1], c->args[2]);
    }
    if (st != ST_OK) {
        return st;
    }
    size_t size = old.bytes.size + c->args[2].size;
    char *joined = NULL;
    if (size > TKV_VALUE_MAX) {
        reply_error(c->reply, "ERR string exceeds maximum allowed size (%u bytes)", TKV_VALUE_MAX);
    } else {
        joined = overlay_copy_room(&c->view->overlay, size);
        st = joined == NULL ? ST_NOMEM : ST_OK;
    }
    if (joined != NULL) {
        if (old.bytes.size > 0) {
            memcpy(joined, old.bytes.data, old.bytes.size);
        }
        memcpy(joined + old.bytes.size, c->args[2].data, c->args[2].size);
        reply_integer(c->reply, (int64_t)size);
        st = view_put(c->view, c->args[1], slice_of(joined, size));
    }
    view_value_release(c->view, &old);
    return st;
}

/* ---- counting ---- */

/* The integer that a key holds, 0 when absent; false when it is none (answered). */
static enum status counter_read(struct call *c, int64_t *value, bool *ok)
{
    struct view_value old;
    *value = 0;
    *ok = true;
    enum status st = view_get(c->view, c->args[1], &old);
    if (st == ST_OK) {
        *ok = command_integer(old.bytes, value);
        view_value_release(c->view, &old);
    }
    return st == ST_NOENT ? ST_OK : st;
}

static enum status counter_add(struct call *c, int64_t delta)
{
    int64_t value;
    bool ok;
    enum status st = counter_read(c, &value, &ok);
    if (st != ST_OK) {
        return st;
    }
    if (!ok) {
        return command_not_integer(c);
    }
    if (delta > 0 ? value > INT64_MAX - delta : value < INT64_MIN - delta) {
        reply_error(c->reply, "ERR increment or decrement would overflow");
        return ST_OK;
    }
    char *text = overlay_copy_room(&c->view->overlay, 24);
    if (text == NULL) {
        return ST_NOMEM;
    }
    int size = snprintf(text, 24, "%" PRId64, value + delta);
    reply_integer(c->reply, value + delta);
    return view_put(c->view, c->args[1], slice_of(text, (size_t)size));
}

enum status cmdstr_incr(struct call *c)
{
    return counter_add(c, 1);
}

enum status cmdstr_decr(struct call *c)
{
    return counter_add(c, -1);
}

enum status cmdstr_incrby(struct call *c)
{
    int64_t delta;
    return command_integer(c->args[2], &delta) ? counter_add(c, delta) : command_not_integer(c);
}

enum status cmdstr_decrby(struct call *c)
{
    int64_t delta;
    if (!command_integer(c->args[2], &delta)) {
        return command_not_integer(c);
    }
    if (delta == INT64_MIN) {
        reply_error(c->reply, "ERR decrement would overflow");
        return ST_OK;
    }
    return counter_add(c, -delta);
}

/* ---- compare and set ---- */

/* CAS key expected new, expected perhaps null: the key must be absent.
 * CAS key new IF ABSENT: the same, for people who cannot type a null. */
enum status cmdstr_cas(struct call *c)
{
    struct slice expected = c->args[2];
    struct slice value = c->args[3];
    if (c->count == 5) {
        if (!command_is(c, 3, "if") || !command_is(c, 4, "absent")) {
            return command_syntax_error(c);
        }
        expected = slice_of(NULL, 0);
        value = c->args[2];
    }
    if (c->count > 5 || c->args[1].data == NULL || value.data == NULL) {
        return command_syntax_error(c);
    }
    struct view_value old;
    enum status st = view_get(c->view, c->args[1], &old);
    if (st != ST_OK && st != ST_NOENT) {
        return st;
    }
    bool equal = st == ST_NOENT ? expected.data == NULL
                                : expected.data != NULL && slice_equal(old.bytes, expected);
    if (st == ST_OK) {
        view_value_release(c->view, &old);
    }
    reply_integer(c->reply, equal);
    return equal ? view_put(c->view, c->args[1], value) : ST_OK;
}
