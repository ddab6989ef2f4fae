/* lin_touch.c - see lin_touch.h. */
#include "sim/lin/lin_touch.h"

#include <stdio.h>

#define PREFETCH    12 /* operations */
#define LENGTHS_MAX 64 /* different lengths of appended texts that are tried */

static enum status add(struct lin_zones *z, const struct lin_touch *t)
{
    enum status st = lin_grow(z->mem, &z->touches, &z->touch_cap, (size_t)z->touch_count + 1,
                              sizeof *z->touches);
    if (st == ST_OK) {
        z->touches[z->touch_count++] = *t;
    }
    return st;
}

/* ---- one operation ---- */

static void touch_cas(struct lin_zones *z, struct lin_touch *t, const struct lin_sub *s)
{
    bool known = s->known && !t->info;
    t->saw = s->expect;
    if (known && s->result == 0) {
        t->differs = true;
        return;
    }
    t->looks = true;
    if (s->expect == s->value) {
        if (!known) { /* nothing to see, nothing to do */
            t->looks = false;
        }
        return;
    }
    t->writes = true;
    t->wrote = s->value;
    if (!known && !t->info) { /* it may have been a mismatch: then there is nothing of it */
        t->info = true;
        z->exact = false;
    }
}

static void touch_incr(struct lin_zones *z, struct lin_touch *t, const struct lin_sub *s)
{
    t->writes = true;
    t->wrote = s->result;
    if (!s->known || t->info) {
        z->open_ended = true;
        return;
    }
    int64_t sum;
    int64_t delta;
    int64_t before;
    struct slice result = lin_strtab_get(&z->h->values, s->result - 1);
    struct slice change = lin_strtab_get(&z->h->values, s->value - 1);
    bool numbers = lin_number_parse(result, &sum) && lin_number_parse(change, &delta) &&
                   !__builtin_sub_overflow(sum, delta, &before);
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", numbers ? (long long)before : 0);
    uint32_t id = lin_strtab_find(&z->h->values, slice_text(text));
    if (!numbers || before == 0 || delta == 0 || id == LIN_NONE) {
        z->exact = false; /* 0 may also have been "absent"; other things are not worth it */
        return;
    }
    t->looks = true;
    t->saw = id + 1;
}

static void touch_single(struct lin_zones *z, struct lin_touch *t, const struct lin_sub *s)
{
    switch (s->kind) {
    case LIN_GET:
        t->looks = s->known && !t->info;
        t->saw = s->result;
        break;
    case LIN_PUT:
    case LIN_DEL:
        t->writes = true;
        t->wrote = s->value;
        break;
    case LIN_CAS:
        touch_cas(z, t, s);
        break;
    case LIN_APPEND: /* what it made is worked out when all is known */
        t->writes = true;
        t->wrote = LIN_NONE;
        t->saw = s->value;
        break;
    default:
        touch_incr(z, t, s);
        break;
    }
}

/* A batch on one key: what it saw first, and what it left. Only reads and plain writes. */
static void touch_batch(struct lin_zones *z, struct lin_touch *t, const struct lin_rec *rec,
                        uint32_t key)
{
    for (uint32_t i = 0; i < rec->result; i++) {
        const struct lin_sub *s = &z->h->subs[rec->expect + i];
        if (s->key != key) {
            continue;
        }
        bool plain = s->kind == LIN_PUT || s->kind == LIN_DEL;
        if (plain) {
            t->writes = true;
            t->wrote = s->value;
        } else if (s->kind == LIN_GET && !t->writes && !t->looks) {
            t->looks = s->known && !t->info;
            t->saw = s->result;
        } else if (s->kind == LIN_GET) {
            z->exact = false;
        } else {
            z->open_ended = true;
        }
    }
    z->exact = z->exact && !(t->looks && t->writes && t->saw == t->wrote);
}

static void touch_scan(struct lin_zones *z, struct lin_touch *t, const struct lin_rec *rec,
                       uint32_t key)
{
    struct slice name = lin_strtab_get(&z->h->keys, key);
    t->looks = !t->info && rec->known &&
               slice_compare(name, lin_strtab_get(&z->h->values, rec->key - 1)) >= 0 &&
               slice_compare(name, lin_strtab_get(&z->h->values, rec->value - 1)) < 0;
    t->saw = LIN_ABSENT;
    for (uint32_t i = 0; t->looks && i < rec->result; i++) {
        const struct lin_sub *s = &z->h->subs[rec->expect + i];
        t->saw = s->key == key ? s->result : t->saw;
    }
}

/* ---- appends ---- */

/* The one append whose text ends this value; LIN_NONE: none. *clear: not more than one. */
static uint32_t append_of(const struct lin_zones *z, const struct lin_map *texts,
                          const size_t *lengths, size_t count, uint32_t value, bool *clear)
{
    struct slice v = lin_strtab_get(&z->h->values, value - 1);
    uint32_t found = LIN_NONE;
    for (size_t i = 0; i < count; i++) {
        if (lengths[i] > v.size) {
            continue;
        }
        struct slice tail = slice_of(v.data + v.size - lengths[i], lengths[i]);
        uint32_t id = lin_strtab_find(&z->h->values, tail);
        const uint64_t *at = id != LIN_NONE ? lin_map_find(texts, id + 1) : NULL;
        if (at != NULL) {
            *clear = *clear && found == LIN_NONE && *at != LIN_NONE;
            found = (uint32_t)*at;
        }
    }
    return found;
}

/* The texts that were appended, each with its touch (LIN_NONE: several). */
static enum status map_texts(struct lin_zones *z, struct lin_map *texts, size_t *lengths,
                             size_t *count)
{
    for (uint32_t i = 0; i < z->touch_count; i++) {
        const struct lin_touch *t = &z->touches[i];
        if (!t->writes || t->wrote != LIN_NONE) {
            continue;
        }
        uint64_t *at = lin_map_at(texts, t->saw, UINT64_MAX);
        if (at == NULL) {
            return ST_NOMEM;
        }
        *at = *at == UINT64_MAX ? i : LIN_NONE;
        size_t size = lin_strtab_get(&z->h->values, t->saw - 1).size;
        size_t n = 0;
        while (n < *count && lengths[n] != size) {
            n++;
        }
        if (n == *count && *count == LENGTHS_MAX) {
            z->open_ended = true;
            return ST_OK;
        }
        lengths[n] = size;
        *count += n == *count ? 1 : 0;
        z->open_ended = z->open_ended || size == 0;
    }
    return ST_OK;
}

/* Gives each value that was read to the append that made it, where only one can have. What an
 * append saw is left out, so the outcome is weaker than the history. */
static enum status name_appends(struct lin_zones *z)
{
    struct lin_map texts;
    size_t lengths[LENGTHS_MAX];
    size_t count = 0;
    lin_map_init(&texts, z->mem);
    enum status st = map_texts(z, &texts, lengths, &count);
    for (uint32_t i = 0; st == ST_OK && count > 0 && i < z->touch_count; i++) {
        struct lin_touch *t = &z->touches[i];
        if (!(t->looks || t->differs) || t->saw == LIN_ABSENT) {
            continue;
        }
        bool clear = true;
        uint32_t by = append_of(z, &texts, lengths, count, t->saw, &clear);
        if (!clear || t->differs) {
            z->open_ended = true;
        } else if (by != LIN_NONE) {
            struct lin_touch *a = &z->touches[by];
            /* It happened once, so it made one value. */
            z->open_ended = z->open_ended || (a->wrote != LIN_NONE && a->wrote != t->saw);
            a->wrote = t->saw;
        }
    }
    z->exact = z->exact && count == 0;
    lin_map_release(&texts);
    return st;
}

enum status lin_touch_collect(struct lin_zones *z, const struct lin_split *s,
                              const struct lin_part *part, uint32_t local)
{
    (void)s;
    uint32_t key = part->keys[local];
    enum status st =
        lin_grow(z->mem, &z->touches, &z->touch_cap, part->op_count, sizeof *z->touches);
    for (uint32_t i = 0; i < part->op_count && st == ST_OK; i++) {
        /* The operations of a part lie far apart: fetch ahead. */
        uint32_t ahead = i + PREFETCH < part->op_count ? i + PREFETCH : i;
        __builtin_prefetch(&z->h->ops[part->ops[ahead]]);
        const struct lin_rec *rec = &z->h->ops[part->ops[i]];
        struct lin_touch t = {.place = part->ops[i],
                              .info = rec->outcome == LIN_INFO,
                              .wrote = LIN_NONE,
                              .call = rec->call,
                              .ret = rec->outcome == LIN_INFO ? LIN_NEVER : rec->ret,
                              .block = LIN_NONE};
        struct lin_sub one = {rec->key,    rec->value, rec->expect,
                              rec->result, rec->kind,  rec->known};
        if (rec->kind == LIN_SCAN) {
            touch_scan(z, &t, rec, key);
        } else if (rec->kind == LIN_BATCH) {
            touch_batch(z, &t, rec, key);
        } else if (rec->key == key) {
            touch_single(z, &t, &one);
        }
        if (t.looks || t.writes || t.differs) {
            st = add(z, &t);
        }
    }
    return st == ST_OK ? name_appends(z) : st;
}
