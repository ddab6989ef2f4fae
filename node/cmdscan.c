/* cmdscan.c - see cmdscan.h.
 *
 * RESP wants the number of elements first: they are written to the scratch buffer, counted,
 * and then follow their header. */
#include "node/cmdscan.h"

#include "node/glob.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SCAN_COUNT_MAX 1000000

static const struct slice open_bound = {NULL, 0};

enum status cmdscan_dbsize(struct call *c)
{
    struct view_iter it;
    int64_t count = 0;
    enum status st = view_iter_open(&it, c->view, open_bound, open_bound, false);
    if (st == ST_OK) {
        for (; it.valid; view_iter_next(&it)) {
            count++;
        }
        st = view_iter_status(&it);
    }
    view_iter_close(&it);
    reply_integer(c->reply, count);
    return st;
}

/* ---- DELRANGE ---- */

/* Four words are "DELRANGE start TO END": no key is mistaken for the end of all of them. */
enum status cmdscan_delrange(struct call *c)
{
    struct slice begin = c->args[1];
    struct slice end = c->args[2];
    if (c->count > 3) {
        bool to_end = c->count == 4 && end.data != NULL && c->args[3].data != NULL &&
                      command_is(c, 2, "to") && command_is(c, 3, "end");
        if (!to_end) {
            return command_syntax_error(c);
        }
        end = open_bound;
    }
    if (begin.size > TKV_KEY_MAX || end.size > TKV_KEY_MAX) {
        reply_error(c->reply, "ERR key is too long (at most %u bytes)", TKV_KEY_MAX);
        return ST_OK;
    }
    enum status st = view_delete_range(c->view, begin, end);
    reply_simple(c->reply, "OK");
    return st;
}

/* ---- RANGE ---- */

struct range_options {
    int64_t limit;
    bool reverse;
};

/* Reads "[LIMIT n] [REV]"; false when answered with an error. */
static bool range_options_read(struct call *c, struct range_options *o)
{
    *o = (struct range_options){.limit = INT64_MAX};
    for (uint32_t i = 3; i < c->count; i++) {
        if (command_is(c, i, "rev")) {
            o->reverse = true;
        } else if (command_is(c, i, "limit") && i + 1 < c->count) {
            if (!command_integer(c->args[++i], &o->limit) || o->limit < 0) {
                (void)command_not_integer(c); /* ST_OK: the error is the answer */
                return false;
            }
        } else {
            (void)command_syntax_error(c);
            return false;
        }
    }
    return true;
}

static struct slice bound_of(struct slice arg, char wide)
{
    return arg.size == 1 && arg.data[0] == wide ? open_bound : arg;
}

static enum status range_collect(struct call *c, const struct range_options *o, struct reply *part,
                                 int64_t *pairs)
{
    struct view_iter it;
    struct slice lower = bound_of(c->args[1], '-');
    struct slice upper = bound_of(c->args[2], '+');
    enum status st = view_iter_open(&it, c->view, lower, upper, o->reverse);
    if (st == ST_OK) {
        for (; it.valid && *pairs < o->limit && part->st == ST_OK; view_iter_next(&it)) {
            reply_bulk(part, view_iter_key(&it));
            reply_bulk(part, view_iter_value(&it));
            (*pairs)++;
        }
        st = view_iter_status(&it);
    }
    view_iter_close(&it);
    return st == ST_OK ? part->st : st;
}

enum status cmdscan_range(struct call *c)
{
    struct range_options o;
    struct reply part;
    int64_t pairs = 0;
    if (!range_options_read(c, &o)) {
        return ST_OK;
    }
    buf_clear(c->scratch); /* EXEC may have used it */
    reply_init(&part, c->scratch, c->reply->protocol, c->reply->bytes_max);
    enum status st = range_collect(c, &o, &part, &pairs);
    if (st == ST_OK) {
        reply_array(c->reply, (uint64_t)pairs * 2);
        reply_raw(c->reply, buf_slice(c->scratch));
    }
    return st;
}

/* ---- SCAN ---- */

struct scan {
    struct slice after;   /* the cursor's key; data == NULL: from the beginning */
    struct slice pattern; /* data == NULL: all */
    int64_t count;        /* keys to look at */
    bool none;            /* TYPE of something that we do not have */
    struct reply part;    /* the matching keys */
    int64_t matched;
    char *last; /* owned: the last key looked at, when there are more behind it */
    size_t last_size;
};

static bool scan_options_read(struct call *c, struct scan *s)
{
    for (uint32_t i = 2; i < c->count; i += 2) {
        if (i + 1 == c->count) {
            (void)command_syntax_error(c); /* ST_OK: the error is the answer */
            return false;
        }
        if (command_is(c, i, "match")) {
            s->pattern = c->args[i + 1];
        } else if (command_is(c, i, "type")) {
            s->none = !command_is(c, i + 1, "string");
        } else if (!command_is(c, i, "count")) {
            (void)command_syntax_error(c);
            return false;
        } else if (!command_integer(c->args[i + 1], &s->count)) {
            (void)command_not_integer(c);
            return false;
        } else if (s->count < 1) {
            (void)command_syntax_error(c);
            return false;
        }
    }
    s->count = s->count < SCAN_COUNT_MAX ? s->count : SCAN_COUNT_MAX;
    return true;
}

static bool scan_cursor_read(struct call *c, struct scan *s)
{
    int64_t id;
    if (!command_integer(c->args[1], &id) || id < 0) {
        reply_error(c->reply, "ERR invalid cursor");
        return false;
    }
    if (c->cursor == NULL) {
        /* A cursor is a number that one node remembers: no two would answer alike. */
        reply_error(c->reply, "ERR SCAN cannot be in a transaction here, use RANGE");
        return false;
    }
    if (id != 0 && cursor_find(c->cursor, (uint64_t)id, &s->after) != ST_OK) {
        ENV_PROBE(c->env, "scan: cursor forgotten");
        reply_error(c->reply, "ERR cursor is unknown or was forgotten, start again from 0");
        return false;
    }
    return true;
}

/* Looks at up to s->count keys; remembers the last when there are more behind it. A step also
 * ends when half of what a reply may hold is there, so that SCAN always gets through. */
static enum status scan_step(struct call *c, struct scan *s, struct view_iter *it)
{
    int64_t looked = 0;
    struct slice key = {NULL, 0};
    struct buf *out = s->part.out;
    size_t full = c->reply->bytes_max / 2;
    while (it->valid && looked < s->count && out->size < full) {
        key = view_iter_key(it);
        if (!s->none && (s->pattern.data == NULL || glob_match(s->pattern, key))) {
            reply_bulk(&s->part, key);
            s->matched++;
        }
        looked++;
        if (looked == s->count || out->size >= full) {
            s->last = mem_alloc(&c->env->mem, key.size + 1);
            if (s->last == NULL) {
                return ST_NOMEM;
            }
            memcpy(s->last, key.data, key.size);
            s->last_size = key.size;
        }
        view_iter_next(it);
    }
    if (!it->valid && s->last != NULL) {
        mem_release(&c->env->mem, s->last);
        s->last = NULL;
    }
    enum status st = view_iter_status(it);
    return st == ST_OK ? s->part.st : st;
}

/* Walks on from the cursor's key: its successor in byte order is the key with a zero byte. */
static enum status scan_walk(struct call *c, struct scan *s)
{
    struct slice lower = open_bound;
    struct view_iter it;
    char *from = NULL;
    if (s->after.data != NULL) {
        from = mem_alloc(&c->env->mem, s->after.size + 1);
        if (from == NULL) {
            return ST_NOMEM;
        }
        memcpy(from, s->after.data, s->after.size);
        from[s->after.size] = '\0';
        lower = slice_of(from, s->after.size + 1);
    }
    enum status st = view_iter_open(&it, c->view, lower, open_bound, false);
    if (st == ST_OK) {
        st = scan_step(c, s, &it);
    }
    view_iter_close(&it);
    mem_release(&c->env->mem, from);
    return st;
}

enum status cmdscan_scan(struct call *c)
{
    struct scan s = {.count = 10};
    uint64_t next = 0;
    if (!scan_cursor_read(c, &s) || !scan_options_read(c, &s)) {
        return ST_OK;
    }
    buf_clear(c->scratch); /* EXEC may have used it */
    reply_init(&s.part, c->scratch, c->reply->protocol, c->reply->bytes_max);
    enum status st = scan_walk(c, &s);
    if (st == ST_OK && s.last != NULL) {
        st = cursor_add(c->cursor, slice_of(s.last, s.last_size), &next);
    }
    mem_release(&c->env->mem, s.last);
    if (st == ST_OK) {
        char text[24];
        (void)snprintf(text, sizeof text, "%" PRIu64, next); /* fits */
        reply_array(c->reply, 2);
        reply_text(c->reply, text);
        reply_array(c->reply, (uint64_t)s.matched);
        reply_raw(c->reply, buf_slice(c->scratch));
    }
    return st;
}
