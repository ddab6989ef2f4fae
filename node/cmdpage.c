/* cmdpage.c - see cmdpage.h.
 *
 * The place to go on from is made of the first key that was not looked at: forwards it is that key;
 * backwards that key and a zero byte, its successor in byte order, for ends are exclusive. So it
 * is never empty, but for the empty key forwards, and that one is the first of any walk. */
#include "node/cmdpage.h"

#include "node/glob.h"

struct page {
    int64_t limit;
    int64_t bytes;
    struct slice pattern; /* data == NULL: all */
    bool reverse;
    bool keys_only;
    bool count_only;
    /* what came of it */
    struct reply part;
    int64_t taken;
    bool more;
};

static bool number_read(struct call *c, uint32_t i, int64_t *value)
{
    if (i >= c->count || c->args[i].data == NULL || !command_integer(c->args[i], value) ||
        *value < 1) {
        (void)command_not_integer(c); /* ST_OK: the error is the answer */
        return false;
    }
    return true;
}

/* A null is no word. */
static bool word_is(const struct call *c, uint32_t i, const char *word)
{
    return c->args[i].data != NULL && command_is(c, i, word);
}

static bool flag_read(struct call *c, uint32_t i, struct page *p)
{
    if (word_is(c, i, "rev")) {
        p->reverse = true;
    } else if (word_is(c, i, "keys")) {
        p->keys_only = true;
    } else if (word_is(c, i, "count")) {
        p->count_only = true;
    } else {
        (void)command_syntax_error(c);
        return false;
    }
    return true;
}

/* False when answered with an error. */
static bool options_read(struct call *c, struct page *p)
{
    bool good = true;
    *p = (struct page){.limit = INT64_MAX, .bytes = INT64_MAX};
    for (uint32_t i = 3; good && i < c->count; i++) {
        if (word_is(c, i, "limit")) {
            good = number_read(c, ++i, &p->limit);
        } else if (word_is(c, i, "bytes")) {
            good = number_read(c, ++i, &p->bytes);
        } else if (word_is(c, i, "match") && i + 1 < c->count && c->args[i + 1].data != NULL) {
            p->pattern = c->args[++i];
        } else {
            good = flag_read(c, i, p);
        }
    }
    return good;
}

static bool matches(const struct page *p, struct slice key)
{
    return p->pattern.data == NULL || glob_match(p->pattern, key);
}

static void item_write(struct page *p, const struct view_iter *it)
{
    reply_bulk(&p->part, view_iter_key(it));
    if (!p->keys_only) {
        reply_bulk(&p->part, view_iter_value(it));
    }
    p->taken++;
}

/* Is there room for the item? A page that would be empty takes one in any case. */
static bool item_fits(const struct page *p, const struct view_iter *it)
{
    size_t value = p->keys_only ? 0 : view_iter_value(it).size;
    size_t size = p->part.out->size + view_iter_key(it).size + value;
    return p->taken == 0 || size <= (uint64_t)p->bytes;
}

/* Writes items to the scratch buffer; behind them the place to go on from. */
static enum status page_collect(struct call *c, struct page *p, struct view_iter *it, size_t *place)
{
    uint32_t looked = 0;
    while (it->valid && p->part.st == ST_OK && !p->more) {
        struct slice key = view_iter_key(it);
        bool wanted = matches(p, key);
        p->more =
            looked == CMDPAGE_LOOK_MAX || p->taken == p->limit || (wanted && !item_fits(p, it));
        if (p->more) {
            break;
        }
        if (wanted) {
            item_write(p, it);
        }
        looked++;
        view_iter_next(it);
    }
    *place = c->scratch->size;
    if (p->more && p->part.st == ST_OK) {
        struct slice key = view_iter_key(it);
        enum status st = buf_append(c->scratch, key.data, key.size);
        st = st == ST_OK && p->reverse ? buf_append(c->scratch, "", 1) : st;
        if (st != ST_OK) {
            return st;
        }
    }
    return p->part.st;
}

static enum status page_count(struct page *p, struct view_iter *it)
{
    for (; it->valid; view_iter_next(it)) {
        p->taken += matches(p, view_iter_key(it));
    }
    return ST_OK;
}

static void page_reply(struct call *c, const struct page *p, size_t place)
{
    struct slice all = buf_slice(c->scratch);
    if (p->count_only) {
        reply_integer(c->reply, p->taken);
        return;
    }
    reply_array(c->reply, 2);
    if (p->more) {
        reply_bulk(c->reply, slice_of(all.data + place, all.size - place));
    } else {
        reply_null(c->reply);
    }
    reply_array(c->reply, (uint64_t)p->taken * (p->keys_only ? 1 : 2));
    reply_raw(c->reply, slice_of(all.data, place));
}

enum status cmdpage_page(struct call *c)
{
    struct page p;
    struct view_iter it;
    size_t place = 0;
    if (!options_read(c, &p)) {
        return ST_OK;
    }
    int64_t most = (int64_t)(c->reply->bytes_max / 2);
    p.bytes = p.bytes < most ? p.bytes : most;
    buf_clear(c->scratch); /* EXEC may have used it */
    reply_init(&p.part, c->scratch, c->reply->protocol, c->reply->bytes_max);
    enum status st = view_iter_open(&it, c->view, c->args[1], c->args[2], p.reverse);
    if (st == ST_OK) {
        st = p.count_only ? page_count(&p, &it) : page_collect(c, &p, &it, &place);
    }
    st = st == ST_OK ? view_iter_status(&it) : st;
    view_iter_close(&it);
    if (st == ST_OK) {
        page_reply(c, &p, place);
    }
    return st;
}
