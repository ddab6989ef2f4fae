/* contract.c - see contract.h. */
#include "sim/cluster/contract.h"

#include "base/ck.h"
#include "base/code.h"
#include "base/hash.h"
#include "engine/tkv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CELLS_MIN 64

void contract_hash_add(struct contract_hash *h, struct slice key, struct slice value, int sign)
{
    uint64_t a = hash_bytes(hash_bytes(1, key.data, key.size), value.data, value.size);
    uint64_t b =
        hash_mix(a ^ hash_bytes(hash_bytes(2, value.data, value.size), key.data, key.size));
    h->a = sign > 0 ? h->a + a : h->a - a;
    h->b = sign > 0 ? h->b + b : h->b - b;
}

static void hash_sum(struct contract_hash *h, struct contract_hash e, int sign)
{
    h->a = sign > 0 ? h->a + e.a : h->a - e.a;
    h->b = sign > 0 ? h->b + e.b : h->b - e.b;
}

static bool hash_same(struct contract_hash x, struct contract_hash y)
{
    return x.a == y.a && x.b == y.b;
}

void contract_init(struct contract *c, struct mem *mem)
{
    *c = (struct contract){.mem = mem};
    buf_init(&c->batches, mem);
}

void contract_release(struct contract *c)
{
    buf_release(&c->batches);
    mem_release(c->mem, c->commits);
    mem_release(c->mem, c->cells);
    mem_release(c->mem, c->undo);
    *c = (struct contract){.mem = c->mem};
}

/* ---- the state: a table of keys by identity ---- */

static struct contract_cell *cell_slot(struct contract_cell *cells, size_t cap, uint64_t a,
                                       uint64_t b)
{
    size_t at = (size_t)(a & (cap - 1));
    while ((cells[at].key_a | cells[at].key_b) != 0 &&
           (cells[at].key_a != a || cells[at].key_b != b)) {
        at = (at + 1) & (cap - 1);
    }
    return &cells[at];
}

static void cells_grow(struct contract *c)
{
    size_t cap = c->cell_cap == 0 ? CELLS_MIN : c->cell_cap * 2;
    struct contract_cell *cells = mem_zalloc(c->mem, cap * sizeof *cells);
    for (size_t i = 0; i < c->cell_cap; i++) {
        struct contract_cell *old = &c->cells[i];
        if ((old->key_a | old->key_b) != 0) {
            *cell_slot(cells, cap, old->key_a, old->key_b) = *old;
        }
    }
    mem_release(c->mem, c->cells);
    c->cells = cells;
    c->cell_cap = cap;
}

static struct contract_cell *cell_of(struct contract *c, uint64_t a, uint64_t b)
{
    if (2 * (c->cell_count + 1) > c->cell_cap) {
        cells_grow(c);
    }
    struct contract_cell *cell = cell_slot(c->cells, c->cell_cap, a, b);
    if ((cell->key_a | cell->key_b) == 0) {
        cell->key_a = a;
        cell->key_b = b;
        c->cell_count++;
    }
    return cell;
}

static void cell_set(struct contract *c, struct contract_cell *cell, bool present,
                     struct contract_hash entry)
{
    if (cell->present) {
        hash_sum(&c->state, cell->entry, -1);
    }
    cell->present = present;
    cell->entry = entry;
    if (present) {
        hash_sum(&c->state, entry, 1);
    }
}

static void undo_push(struct contract *c, const struct contract_cell *cell)
{
    if (c->undo_count == c->undo_cap) {
        c->undo_cap = c->undo_cap == 0 ? 16 : c->undo_cap * 2;
        c->undo = mem_resize(c->mem, c->undo, c->undo_cap * sizeof *c->undo);
    }
    c->undo[c->undo_count++] =
        (struct contract_undo){cell->key_a, cell->key_b, cell->present, cell->entry};
}

static bool apply_change(void *arg, const struct tkv_change *change)
{
    struct contract *c = arg;
    CK(change->type != TKV_DELETE_RANGE); /* no command makes one */
    bool put = change->type == TKV_PUT;
    struct slice key = slice_of(change->key.data, change->key.size);
    uint64_t a = hash_bytes(3, key.data, key.size) | 1;
    uint64_t b = hash_bytes(4, key.data, key.size);
    struct contract_cell *cell = cell_of(c, a, b);
    struct contract_hash entry = {0, 0};
    if (put) {
        contract_hash_add(&entry, key, slice_of(change->value.data, change->value.size), 1);
    }
    undo_push(c, cell);
    cell_set(c, cell, put, entry);
    return true;
}

static void apply_batch(struct contract *c, struct slice batch)
{
    c->undo_count = 0;
    enum tkv_status st = tkv_batch_walk(batch.data, batch.size, apply_change, c);
    CK(st == TKV_OK);
}

static void undo_batch(struct contract *c)
{
    while (c->undo_count > 0) {
        const struct contract_undo *u = &c->undo[--c->undo_count];
        cell_set(c, cell_of(c, u->key_a, u->key_b), u->present, u->entry);
    }
}

/* ---- commits ---- */

void contract_begin(struct contract *c, struct slice batch, bool sync)
{
    CK(c->count == 0 || c->commits[c->count - 1].outcome != CONTRACT_PENDING);
    if (c->count == c->cap) {
        c->cap = c->cap == 0 ? 64 : c->cap * 2;
        c->commits = mem_resize(c->mem, c->commits, c->cap * sizeof *c->commits);
    }
    struct contract_commit *k = &c->commits[c->count++];
    *k = (struct contract_commit){.sync = sync, .at = c->batches.size, .size = batch.size};
    enum status st = buf_append(&c->batches, batch.data, batch.size);
    CK(st == ST_OK);
    apply_batch(c, batch);
    k->after = c->state;
}

void contract_end(struct contract *c, enum status st, uint64_t sequence)
{
    CK(c->count > 0);
    struct contract_commit *k = &c->commits[c->count - 1];
    CK(k->outcome == CONTRACT_PENDING);
    k->sequence = sequence;
    if (st != ST_OK) {
        k->outcome = CONTRACT_FAILED;
        undo_batch(c);
        return;
    }
    k->outcome = CONTRACT_OK;
    c->acked = c->count;
    if (k->sync) {
        c->synced = c->count;
    }
}

static struct contract_hash state_after(const struct contract *c, size_t n)
{
    while (n > 0 && c->commits[n - 1].outcome == CONTRACT_LOST) {
        n--;
    }
    return n > 0 ? c->commits[n - 1].after : (struct contract_hash){0, 0};
}

/* Looking for a view among the states inside batches. */
struct torn {
    struct contract scratch;
    struct contract_hash wanted;
    bool found;
};

static bool step_and_look(void *arg, const struct tkv_change *change)
{
    struct torn *t = arg;
    (void)apply_change(&t->scratch, change);
    t->found = t->found || hash_same(t->scratch.state, t->wanted);
    return true;
}

/* The commit, counted from 1, of whose batch the view holds a part only; 0: none. Slow, and asked
 * only when the view is the state after no commit. */
static size_t torn_commit(const struct contract *c, const struct contract_view *v)
{
    struct torn t = {.wanted = v->hash};
    size_t at = 0;
    contract_init(&t.scratch, c->mem);
    for (size_t i = 0; i < c->count && !t.found; i++) {
        const struct contract_commit *k = &c->commits[i];
        if (k->outcome == CONTRACT_LOST) {
            continue;
        }
        t.scratch.undo_count = 0;
        (void)tkv_batch_walk(c->batches.data + k->at, k->size, step_and_look, &t);
        at = i + 1;
        if (k->outcome == CONTRACT_FAILED) {
            undo_batch(&t.scratch);
        }
    }
    contract_release(&t.scratch);
    return t.found ? at : 0;
}

enum status contract_judge(const struct contract *c, const struct contract_view *v, bool power,
                           size_t *n, const char **class, struct err *why)
{
    size_t least = power ? c->synced : c->acked;
    /* A failed batch stands for the state with it at its place; the newest match is taken. */
    for (size_t i = c->count; i + 1 > least; i--) {
        if (hash_same(v->hash, state_after(c, i))) {
            *n = i;
            return ST_OK;
        }
        if (i == 0) {
            break;
        }
    }
    for (size_t i = least; i-- > 0;) {
        if (hash_same(v->hash, state_after(c, i))) {
            *class = "E2 durability";
            err_set(why,
                    "the view is the state after commit %llu, but commit %llu was acknowledged%s "
                    "before the %s",
                    (unsigned long long)i, (unsigned long long)least, power ? " with sync" : "",
                    power ? "power loss" : "process died");
            return ST_CORRUPT;
        }
    }
    size_t torn = torn_commit(c, v);
    if (torn > 0) {
        *class = "E3 atomicity";
        err_set(why, "the view (%llu entries) holds a part of commit %llu",
                (unsigned long long)v->entries, (unsigned long long)torn);
        return ST_CORRUPT;
    }
    *class = "E1 prefix";
    err_set(why, "the view (%llu entries) is the state after no commit; %llu to %llu are allowed",
            (unsigned long long)v->entries, (unsigned long long)least,
            (unsigned long long)c->count);
    return ST_CORRUPT;
}

/* Builds the state anew from the commits that stayed. */
static void rebuild(struct contract *c)
{
    memset(c->cells, 0, c->cell_cap * sizeof *c->cells);
    c->cell_count = 0;
    c->state = (struct contract_hash){0, 0};
    for (size_t i = 0; i < c->count; i++) {
        if (c->commits[i].outcome == CONTRACT_OK) {
            apply_batch(c, slice_of(c->batches.data + c->commits[i].at, c->commits[i].size));
        }
    }
    c->undo_count = 0;
}

bool contract_decided(struct contract *c, size_t n)
{
    bool doubted = false;
    CK(n <= c->count);
    while (n > 0 && c->commits[n - 1].outcome == CONTRACT_LOST) {
        n--; /* the same state, by its first name */
    }
    if (n > 0 && c->commits[n - 1].outcome != CONTRACT_OK) {
        doubted = true;
        c->commits[n - 1].outcome = CONTRACT_OK; /* pending or failed, and there after all */
    }
    for (size_t i = n; i < c->count; i++) {
        c->commits[i].outcome = CONTRACT_LOST;
    }
    c->synced = n;
    c->acked = n;
    if (c->cell_cap > 0) {
        rebuild(c);
    }
    c->synced = c->count; /* the lost ones are decided too */
    c->acked = c->count;
    return doubted;
}

/* ---- reports ---- */

enum status contract_pair(struct buf *out, struct slice key, struct slice value)
{
    char head[8];
    code_put32(head, (uint32_t)key.size);
    code_put32(head + 4, (uint32_t)value.size);
    enum status st = buf_append(out, head, sizeof head);
    if (st == ST_OK) {
        st = buf_append(out, key.data, key.size);
    }
    return st == ST_OK ? buf_append(out, value.data, value.size) : st;
}

static bool next_pair(struct slice *pairs, struct slice *key, struct slice *value)
{
    if (pairs->size < 8) {
        return false;
    }
    size_t k = code_get32(pairs->data);
    size_t v = code_get32(pairs->data + 4);
    *key = slice_of(pairs->data + 8, k);
    *value = slice_of(pairs->data + 8 + k, v);
    *pairs = slice_of(pairs->data + 8 + k + v, pairs->size - 8 - k - v);
    return true;
}

/* The last value that commits [0, n) give to a key, by walking them all: reports are rare. */
struct lookup {
    struct slice key;
    struct slice value;
    bool present;
    struct slice missing; /* in a search for a key that the view lacks */
};

static bool lookup_change(void *arg, const struct tkv_change *change)
{
    struct lookup *l = arg;
    if (slice_equal(l->key, slice_of(change->key.data, change->key.size))) {
        l->present = change->type == TKV_PUT;
        l->value = slice_of(change->value.data, change->value.size);
    }
    return true;
}

static bool lookup_key(const struct contract *c, size_t n, struct lookup *l)
{
    l->present = false;
    for (size_t i = 0; i < n; i++) {
        const struct contract_commit *k = &c->commits[i];
        if (k->outcome == CONTRACT_OK || k->outcome == CONTRACT_PENDING) {
            (void)tkv_batch_walk(c->batches.data + k->at, k->size, lookup_change, l);
        }
    }
    return l->present;
}

struct missing {
    const struct contract *c;
    size_t n;
    struct slice pairs;
    struct err *why;
    bool found;
};

static bool check_present(void *arg, const struct tkv_change *change)
{
    struct missing *m = arg;
    struct lookup l = {.key = slice_of(change->key.data, change->key.size)};
    if (!lookup_key(m->c, m->n, &l)) {
        return true;
    }
    struct slice rest = m->pairs, k, v;
    while (next_pair(&rest, &k, &v)) {
        if (slice_equal(k, l.key)) {
            return true;
        }
    }
    err_set(m->why, "key '%.*s' should hold '%.40s' and is absent", (int)l.key.size, l.key.data,
            l.value.data != NULL ? l.value.data : "");
    m->found = true;
    return false;
}

void contract_explain(const struct contract *c, size_t n, struct slice pairs, struct err *why)
{
    struct slice rest = pairs, key, value;
    while (next_pair(&rest, &key, &value)) {
        struct lookup l = {.key = key};
        bool present = lookup_key(c, n, &l);
        if (!present || !slice_equal(l.value, value)) {
            err_set(why, "key '%.*s' holds '%.*s' and should %s%.*s", (int)key.size, key.data,
                    value.size > 40 ? 40 : (int)value.size, value.data,
                    present ? "hold " : "be absent",
                    present ? (l.value.size > 40 ? 40 : (int)l.value.size) : 0,
                    present ? l.value.data : "");
            return;
        }
    }
    struct missing m = {c, n, pairs, why, false};
    for (size_t i = 0; i < n && !m.found; i++) {
        const struct contract_commit *k = &c->commits[i];
        (void)tkv_batch_walk(c->batches.data + k->at, k->size, check_present, &m);
    }
}
