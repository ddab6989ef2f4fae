/* raftstage.c - see raftstage.h. */
#include "raft/raftstage.h"

#include "base/ck.h"
#include "base/code.h"

#define CHUNK_MIN ((size_t)4 << 10)
#define CHUNK_MAX ((size_t)256 << 10)
#define SLOTS_MIN 64
#define IDLE_MAX  4

void raftstage_init(struct raftstage *s, struct env *env, uint64_t limit)
{
    *s = (struct raftstage){.env = env, .limit = limit, .from = 1, .to = 1};
    uint64_t part = limit / 8;
    s->chunk_bytes = part < CHUNK_MIN ? CHUNK_MIN : part > CHUNK_MAX ? CHUNK_MAX : (size_t)part;
}

static void groups_free(struct raftstage *s, struct raftstage_group *g)
{
    while (g != NULL) {
        struct raftstage_group *next = g->next;
        env_release(s->env, g);
        g = next;
    }
}

void raftstage_release(struct raftstage *s)
{
    if (s->env == NULL) {
        return;
    }
    while (s->head != NULL) {
        struct raftstage_chunk *next = s->head->next;
        env_release(s->env, s->head);
        s->head = next;
    }
    while (s->spare != NULL) {
        struct raftstage_chunk *next = s->spare->next;
        env_release(s->env, s->spare);
        s->spare = next;
    }
    groups_free(s, s->groups);
    groups_free(s, s->idle);
    env_release(s->env, s->slots);
    memset(s, 0, sizeof *s);
}

/* ---- room ---- */

static struct raftstage_chunk *spare_take(struct raftstage *s, size_t bytes)
{
    struct raftstage_chunk **at = &s->spare;
    while (*at != NULL && (*at)->cap < bytes) {
        at = &(*at)->next;
    }
    struct raftstage_chunk *c = *at;
    if (c != NULL) {
        *at = c->next;
        s->spare_bytes -= c->cap;
    }
    return c;
}

static enum status chunk_reserve(struct raftstage *s, size_t bytes)
{
    struct raftstage_chunk *c = s->tail;
    if (c != NULL && c->cap - c->used >= bytes) {
        return ST_OK;
    }
    c = spare_take(s, bytes);
    if (c == NULL) {
        size_t cap = bytes < s->chunk_bytes ? s->chunk_bytes : bytes;
        c = env_alloc(s->env, sizeof *c + cap);
        if (c == NULL) {
            return ST_NOMEM;
        }
        c->cap = cap;
    }
    c->next = NULL;
    c->used = 0;
    c->newest = 0;
    if (s->tail != NULL) {
        s->tail->next = c;
    } else {
        s->head = c;
    }
    s->tail = c;
    s->held += c->cap;
    return ST_OK;
}

static enum status slots_reserve(struct raftstage *s, size_t entries)
{
    size_t need = (size_t)(s->to - s->from) + entries;
    if (need <= s->slot_cap) {
        return ST_OK;
    }
    size_t cap = s->slot_cap < SLOTS_MIN ? SLOTS_MIN : s->slot_cap;
    while (cap < need) {
        cap *= 2;
    }
    char **slots = env_alloc(s->env, cap * sizeof *slots);
    if (slots == NULL) {
        return ST_NOMEM;
    }
    for (uint64_t i = s->from; i < s->to; i++) {
        slots[i & (cap - 1)] = s->slots[i & (s->slot_cap - 1)];
    }
    env_release(s->env, s->slots);
    s->slots = slots;
    s->slot_cap = cap;
    return ST_OK;
}

static enum status group_reserve(struct raftstage *s)
{
    if (s->idle == NULL) {
        s->idle = env_alloc(s->env, sizeof *s->idle);
        if (s->idle == NULL) {
            return ST_NOMEM;
        }
        s->idle->next = NULL;
        s->idle_count = 1;
    }
    return ST_OK;
}

enum status raftstage_reserve(struct raftstage *s, uint64_t bytes, size_t entries)
{
    enum status st = slots_reserve(s, entries);
    if (st == ST_OK) {
        st = group_reserve(s);
    }
    return st == ST_OK ? chunk_reserve(s, RAFTLOGFMT_GROUP + (size_t)bytes) : st;
}

/* ---- groups ---- */

struct raftstage_group *raftstage_begin(struct raftstage *s, uint64_t sequence)
{
    struct raftstage_group *g = s->idle;
    CK(g != NULL);
    CK(s->filling == NULL);
    s->idle = g->next;
    s->idle_count--;
    memset(g, 0, offsetof(struct raftstage_group, configs));
    g->sequence = sequence;
    g->cut = UINT64_MAX;
    g->chunk = s->tail;
    g->at = s->tail->used;
    struct raftstage_group **at = &s->groups;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = g;
    s->filling = g;
    struct raftlogfmt_record r = {
        .size = RAFTLOGFMT_INFO, .type = RAFTLOGFMT_MARK, .sequence = sequence};
    raftstage_put(s, &r); /* the payload comes when it is closed */
    g->block.info.records = 0;
    return g;
}

void raftstage_put(struct raftstage *s, const struct raftlogfmt_record *r)
{
    struct raftstage_group *g = s->filling;
    struct raftstage_chunk *c = s->tail;
    size_t size = (size_t)raftlogfmt_size(r->size);
    CK(g != NULL);
    CK(c->cap - c->used >= size);
    char *p = c->data + c->used;
    raftlogfmt_put(p, r);
    c->used += size;
    g->end_chunk = c;
    g->end = c->used;
    g->block.info.bytes += size;
    g->block.info.records++;
    s->pending += size;
    if (r->type == RAFTLOGFMT_ENTRY) {
        CK(r->index == s->to);
        CK(s->to - s->from < s->slot_cap);
        s->slots[r->index & (s->slot_cap - 1)] = p;
        s->to++;
        c->newest = r->index;
    }
}

/* ---- what is cached ---- */

void raftstage_restart(struct raftstage *s, uint64_t index)
{
    s->from = index;
    s->to = index;
}

void raftstage_truncate(struct raftstage *s, uint64_t from)
{
    s->to = from < s->to ? from : s->to;
    s->from = s->from < s->to ? s->from : s->to;
    for (struct raftstage_chunk *c = s->head; c != NULL; c = c->next) {
        c->newest = c->newest < from ? c->newest : from - 1;
    }
    for (struct raftstage_group *g = s->groups; g != NULL; g = g->next) {
        if (g != s->filling) {
            g->cut = g->cut < from ? g->cut : from;
        }
    }
}

void raftstage_clear(struct raftstage *s, uint64_t index)
{
    raftstage_truncate(s, 1);
    raftstage_restart(s, index);
}

/* Drops the oldest chunk. */
static void chunk_drop(struct raftstage *s)
{
    struct raftstage_chunk *c = s->head;
    s->head = c->next;
    s->held -= c->cap;
    if (c->newest >= s->from && s->from < s->to) {
        s->from = c->newest + 1;
        CK(s->from <= s->to);
    }
    if (s->spare_bytes + c->cap <= s->limit / 2) {
        c->next = s->spare;
        s->spare = c;
        s->spare_bytes += c->cap;
    } else {
        env_release(s->env, c);
    }
}

void raftstage_done(struct raftstage *s)
{
    struct raftstage_group *g = s->groups;
    CK(g != NULL);
    CK(g->closed);
    s->groups = g->next;
    s->pending -= g->block.info.bytes;
    s->places -= g->places;
    if (s->idle_count < IDLE_MAX) {
        g->next = s->idle;
        s->idle = g;
        s->idle_count++;
    } else {
        env_release(s->env, g);
    }
    const struct raftstage_chunk *keep = s->groups != NULL ? s->groups->chunk : s->tail;
    while (s->held > s->limit && s->head != keep) {
        chunk_drop(s);
    }
}
