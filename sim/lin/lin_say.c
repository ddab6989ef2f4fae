/* lin_say.c - operations as text for people. */
#include "sim/lin/lin_rec.h"

#include <stdio.h>

#define TEXT_MAX 60 /* bytes of a value that are shown */

static enum status add(struct buf *out, const char *text)
{
    return buf_append_text(out, text);
}

/* A quoted value, shortened in the middle when it is long; bytes that do not print as dots. */
static enum status add_value(struct buf *out, const struct lin_history *h, uint32_t id)
{
    if (id == LIN_ABSENT) {
        return add(out, "absent");
    }
    struct slice s = lin_strtab_get(&h->values, id - 1);
    char text[TEXT_MAX + 16];
    size_t n = 0;
    text[n++] = '"';
    for (size_t i = 0; i < s.size; i++) {
        if (s.size > TEXT_MAX && i == TEXT_MAX / 2) {
            memcpy(text + n, "...", 3);
            n += 3;
            i = s.size - TEXT_MAX / 2 + 3;
        }
        text[n++] = (unsigned char)s.data[i] < 0x20 || s.data[i] == 0x7f ? '.' : s.data[i];
    }
    text[n++] = '"';
    return buf_append(out, text, n);
}

static enum status add_key(struct buf *out, const struct lin_history *h, uint32_t key)
{
    struct slice s = lin_strtab_get(&h->keys, key);
    return buf_append(out, s.data, s.size < TEXT_MAX ? s.size : TEXT_MAX);
}

static enum status add_step(struct buf *out, const struct lin_history *h, const struct lin_sub *s)
{
    static const char *const names[] = {"get ", "put ", "del ", "cas ", "append ", "incr "};
    enum status st = add(out, names[s->kind]);
    st = st == ST_OK ? add_key(out, h, s->key) : st;
    switch (s->kind) {
    case LIN_GET:
        st = st == ST_OK ? add(out, " = ") : st;
        st = st == ST_OK && s->known ? add_value(out, h, s->result) : st;
        return st == ST_OK && !s->known ? add(out, "?") : st;
    case LIN_DEL:
        return st;
    case LIN_CAS:
        st = st == ST_OK ? add(out, " ") : st;
        st = st == ST_OK ? add_value(out, h, s->expect) : st;
        st = st == ST_OK ? add(out, " -> ") : st;
        st = st == ST_OK ? add_value(out, h, s->value) : st;
        return st != ST_OK ? st
                           : add(out, !s->known   ? " = ?"
                                      : s->result ? " = done"
                                                  : " = was not equal");
    default:
        st = st == ST_OK ? add(out, " ") : st;
        st = st == ST_OK ? add_value(out, h, s->value) : st;
        if (s->kind == LIN_INCR && s->known && st == ST_OK) {
            st = add(out, " = ");
            st = st == ST_OK ? add_value(out, h, s->result) : st;
        }
        return st;
    }
}

static enum status add_scan(struct buf *out, const struct lin_history *h, const struct lin_rec *op)
{
    enum status st = add(out, "scan [");
    st = st == ST_OK ? add_value(out, h, op->key) : st;
    st = st == ST_OK ? add(out, ", ") : st;
    st = st == ST_OK ? add_value(out, h, op->value) : st;
    st = st == ST_OK ? add(out, op->known ? ") = {" : ") = ?") : st;
    for (uint32_t i = 0; op->known && i < op->result && st == ST_OK; i++) {
        const struct lin_sub *sub = &h->subs[op->expect + i];
        st = add(out, i > 0 ? ", " : "");
        st = st == ST_OK ? add_key(out, h, sub->key) : st;
        st = st == ST_OK ? add(out, ": ") : st;
        st = st == ST_OK ? add_value(out, h, sub->result) : st;
    }
    return st == ST_OK && op->known ? add(out, "}") : st;
}

static enum status add_batch(struct buf *out, const struct lin_history *h, const struct lin_rec *op)
{
    enum status st = add(out, "batch {");
    for (uint32_t i = 0; i < op->result && st == ST_OK; i++) {
        st = add(out, i > 0 ? "; " : "");
        st = st == ST_OK ? add_step(out, h, &h->subs[op->expect + i]) : st;
    }
    return st == ST_OK ? add(out, "}") : st;
}

enum status lin_say_what(const struct lin_history *h, size_t place, struct buf *out)
{
    const struct lin_rec *op = &h->ops[place];
    if (op->kind == LIN_SCAN) {
        return add_scan(out, h, op);
    }
    if (op->kind == LIN_BATCH) {
        return add_batch(out, h, op);
    }
    struct lin_sub one = {.key = op->key,
                          .value = op->value,
                          .expect = op->expect,
                          .result = op->result,
                          .kind = op->kind,
                          .known = op->known};
    return add_step(out, h, &one);
}

int64_t lin_say_client(const struct lin_history *h, size_t place)
{
    int64_t client;
    memcpy(&client, lin_strtab_get(&h->clients, h->ops[place].client).data, sizeof client);
    return client;
}

enum status lin_history_say(const struct lin_history *h, size_t place, struct buf *out)
{
    const struct lin_rec *op = &h->ops[place];
    char text[96];
    (void)snprintf(text, sizeof text, "%zu: client %lld ", place,
                   (long long)lin_say_client(h, place));
    enum status st = add(out, text);
    st = st == ST_OK ? lin_say_what(h, place, out) : st;
    if (op->ret == LIN_NEVER) {
        (void)snprintf(text, sizeof text, " [%lld, no answer]", (long long)op->call);
    } else {
        (void)snprintf(text, sizeof text, " [%lld, %lld]%s", (long long)op->call,
                       (long long)op->ret,
                       op->outcome == LIN_OK     ? ""
                       : op->outcome == LIN_FAIL ? " failed"
                                                 : " unknown");
    }
    return st == ST_OK ? add(out, text) : st;
}
