/* lin_write.c - writes a history as JSON lines. See lin.h. */
#include "base/json.h"
#include "sim/lin/lin_rec.h"

static void put_value(struct json *j, const char *name, const struct lin_history *h, uint32_t id)
{
    if (id == LIN_ABSENT) {
        json_null(j, name);
    } else {
        json_bytes(j, name, lin_strtab_get(&h->values, id - 1));
    }
}

static void put_key(struct json *j, const char *name, const struct lin_history *h, uint32_t key)
{
    json_bytes(j, name, lin_strtab_get(&h->keys, key));
}

static void put_result(struct json *j, const char *name, const struct lin_history *h,
                       const struct lin_sub *s)
{
    bool shows = s->kind == LIN_GET || s->kind == LIN_INCR;
    if (s->kind == LIN_CAS && s->known) {
        json_bool(j, name, s->result != 0);
    } else if (shows && s->known) {
        put_value(j, name, h, s->result);
    } else if (name == NULL) {
        json_null(j, NULL);
    }
}

static void put_single(struct json *j, const struct lin_history *h, const struct lin_rec *op)
{
    put_key(j, "key", h, op->key);
    if (op->kind == LIN_CAS) {
        put_value(j, "expect", h, op->expect);
    }
    if (op->kind != LIN_GET && op->kind != LIN_DEL) {
        put_value(j, "value", h, op->value);
    }
    struct lin_sub one = {.kind = op->kind, .known = op->known, .result = op->result};
    if (op->outcome == LIN_OK) {
        put_result(j, "result", h, &one);
    }
}

static void put_scan(struct json *j, const struct lin_history *h, const struct lin_rec *op)
{
    put_value(j, "lo", h, op->key);
    put_value(j, "hi", h, op->value);
    if (!op->known || op->outcome != LIN_OK) {
        return;
    }
    json_array(j, "result");
    for (uint32_t i = 0; i < op->result; i++) {
        const struct lin_sub *s = &h->subs[op->expect + i];
        json_array(j, NULL);
        put_key(j, NULL, h, s->key);
        put_value(j, NULL, h, s->result);
        json_array_end(j);
    }
    json_array_end(j);
}

static void put_batch(struct json *j, const struct lin_history *h, const struct lin_rec *op)
{
    static const char *const names[] = {"get", "put", "del", "cas", "append", "incr"};
    bool told = op->known && op->outcome == LIN_OK;
    json_array(j, "ops");
    for (uint32_t i = 0; i < op->result; i++) {
        const struct lin_sub *s = &h->subs[op->expect + i];
        json_array(j, NULL);
        json_text(j, NULL, names[s->kind]);
        put_key(j, NULL, h, s->key);
        if (s->kind == LIN_CAS) {
            put_value(j, NULL, h, s->expect);
        }
        if (s->kind != LIN_GET && s->kind != LIN_DEL) {
            put_value(j, NULL, h, s->value);
        }
        json_array_end(j);
        /* The format has no way to say that one result of a batch is unknown. */
        bool shows = s->kind == LIN_GET || s->kind == LIN_CAS;
        told = told && (s->known || !shows);
    }
    json_array_end(j);
    if (!told) {
        return;
    }
    json_array(j, "result");
    for (uint32_t i = 0; i < op->result; i++) {
        put_result(j, NULL, h, &h->subs[op->expect + i]);
    }
    json_array_end(j);
}

static void put_op(struct json *j, const struct lin_history *h, size_t place)
{
    static const char *const kinds[] = {"get",    "put",  "del",  "cas",
                                        "append", "incr", "scan", "batch"};
    static const char *const outcomes[] = {"ok", "fail", "info"};
    const struct lin_rec *op = &h->ops[place];
    json_object(j, NULL);
    json_i64(j, "client", lin_say_client(h, place));
    json_text(j, "op", kinds[op->kind]);
    if (op->kind == LIN_SCAN) {
        put_scan(j, h, op);
    } else if (op->kind == LIN_BATCH) {
        put_batch(j, h, op);
    } else {
        put_single(j, h, op);
    }
    json_i64(j, "call", op->call);
    if (op->ret == LIN_NEVER) {
        json_null(j, "return");
    } else {
        json_i64(j, "return", op->ret);
    }
    json_text(j, "outcome", outcomes[op->outcome]);
    if (h->meta != NULL && h->meta[place].index > 0) {
        json_u64(j, "index", h->meta[place].index);
    }
    if (h->meta != NULL && h->meta[place].node >= 0) {
        json_i64(j, "node", h->meta[place].node);
    }
    json_object_end(j);
}

static void put_header(struct json *j, const struct lin_history *h)
{
    json_object(j, NULL);
    json_u64(j, "linhist", 1);
    put_value(j, "default", h, h->fallback);
    json_object(j, "init");
    struct buf key;
    buf_init(&key, h->mem);
    for (size_t i = 0; i < h->init_count && j->st == ST_OK; i++) {
        /* Member names go through the writer as C strings: a key with a NUL cannot be named. */
        struct slice s = lin_strtab_get(&h->keys, h->init[2 * i]);
        buf_clear(&key);
        enum status st = buf_append(&key, s.data, s.size);
        st = st == ST_OK ? buf_append(&key, "", 1) : st;
        j->st = st;
        if (st == ST_OK) {
            put_value(j, key.data, h, h->init[2 * i + 1]);
        }
    }
    buf_release(&key);
    json_object_end(j);
    json_u64(j, "ops", h->count);
    json_u64(j, "clients", h->clients.count);
    json_object_end(j);
}

static void put_mark(struct json *j, const struct lin_history *h, const struct lin_mark_rec *m)
{
    json_object(j, NULL);
    json_text(j, "event", lin_mark_name((enum lin_mark_kind)m->kind));
    json_i64(j, "at", m->at);
    if (m->until == LIN_NEVER) {
        json_null(j, "until");
    } else if (m->until != m->at) {
        json_i64(j, "until", m->until);
    }
    if (m->node >= 0) {
        json_i64(j, "node", m->node);
    }
    if (m->text != LIN_ABSENT) {
        json_bytes(j, "text", lin_strtab_get(&h->values, m->text - 1));
    }
    json_object_end(j);
}

enum status lin_jsonl_write(const struct lin_history *h, struct buf *out)
{
    struct json j;
    json_init(&j, out);
    put_header(&j, h);
    for (size_t i = 0; i < h->count && j.st == ST_OK; i++) {
        j.st = buf_append_text(out, "\n");
        j.comma = false;
        put_op(&j, h, i);
    }
    for (size_t i = 0; i < h->mark_count && j.st == ST_OK; i++) {
        j.st = buf_append_text(out, "\n");
        j.comma = false;
        put_mark(&j, h, &h->marks[i]);
    }
    return j.st == ST_OK ? buf_append_text(out, "\n") : j.st;
}
