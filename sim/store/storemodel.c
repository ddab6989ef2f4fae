/* storemodel.c - see storemodel.h. */
#include "sim/store/storemodel.h"

#include "base/ck.h"

#include <stdio.h>
#include <string.h>

#define GROUPS 4 /* of keys, by their second letter: what a prefix can tell apart */

/* ---- keys ---- */

#define TEXT_BYTES 16384

struct storetext {
    struct storetext *next;
    size_t used, size;
    char bytes[];
};

struct slice storemodel_keep(struct storemodel *m, struct slice bytes)
{
    struct storetext *t = m->texts;
    if (t == NULL || t->size - t->used < bytes.size + 1) {
        size_t size = bytes.size + 1 > TEXT_BYTES ? bytes.size + 1 : TEXT_BYTES;
        t = mem_alloc(m->mem, sizeof *t + size);
        *t = (struct storetext){.next = m->texts, .size = size};
        m->texts = t;
    }
    char *at = t->bytes + t->used;
    if (bytes.size > 0) {
        memcpy(at, bytes.data, bytes.size);
    }
    t->used += bytes.size + 1; /* two empty ones are not at the same place */
    return slice_of(at, bytes.size);
}

int storemodel_compare(const struct storemodel *m, struct slice a, struct slice b)
{
    const struct tkv_comparator *o = m->order;
    return o != NULL ? o->compare(o->arg, a.data, a.size, b.data, b.size) : slice_compare(a, b);
}

size_t storemodel_rank(const struct storemodel *m, struct slice key)
{
    size_t low = 0, high = m->key_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (storemodel_compare(m, storemodel_key(m, mid), key) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

size_t storemodel_find(const struct storemodel *m, struct slice key)
{
    size_t at = storemodel_rank(m, key);
    bool found = at < m->key_count && slice_equal(storemodel_key(m, at), key);
    return found ? at : STOREMODEL_NONE;
}

/* Sorts by insertion: they are few. */
static void key_add(struct storemodel *m, struct slice key)
{
    size_t at = storemodel_rank(m, key);
    memmove(m->keys + at + 1, m->keys + at, (m->key_count - at) * sizeof *m->keys);
    m->keys[at] = (struct storekey){.key = storemodel_keep(m, key)};
    m->key_count++;
}

static void keys_make(struct storemodel *m, const struct storemodel_options *o)
{
    char key[32], stripes[STOREMODEL_WORKERS][4];
    struct buf padded;
    buf_init(&padded, m->mem);
    m->keys = mem_zalloc(m->mem, (o->keys + o->workers) * sizeof *m->keys);
    for (size_t i = 0; i < o->keys; i++) {
        int n =
            snprintf(key, sizeof key, "k%c%03u", (char)('a' + i * GROUPS / o->keys), (unsigned)i);
        buf_clear(&padded);
        enum status st = buf_append(&padded, key, (size_t)n);
        for (size_t p = 0; p < o->key_padding && st == ST_OK; p++) {
            st = buf_append(&padded, "p", 1);
        }
        CK(st == ST_OK);
        key_add(m, buf_slice(&padded));
    }
    buf_release(&padded);
    for (size_t i = 0; i < o->workers; i++) {
        int n = snprintf(stripes[i], sizeof stripes[i], "w%u", (unsigned)i);
        key_add(m, slice_of(stripes[i], (size_t)n));
    }
    for (size_t i = 0; i < o->workers; i++) {
        m->stripes[i] = storemodel_find(m, slice_text(stripes[i]));
    }
    m->data_count = o->keys;
    m->data_first = m->stripes[0] == 0 || m->stripes[o->workers - 1] == 0 ? o->workers : 0;
}

void storemodel_init(struct storemodel *m, struct mem *mem, const struct storemodel_options *o)
{
    CK(o->workers > 0 && o->workers <= STOREMODEL_WORKERS);
    *m = (struct storemodel){.mem = mem, .order = o->order, .workers = o->workers, .log = o->log};
    keys_make(m, o);
}

void storemodel_release(struct storemodel *m)
{
    for (size_t i = 0; i < m->key_count; i++) {
        mem_release(m->mem, m->keys[i].versions);
    }
    for (size_t i = 0; i < STOREMODEL_WORKERS; i++) {
        mem_release(m->mem, m->lists[i].writes);
    }
    mem_release(m->mem, m->keys);
    mem_release(m->mem, m->writes);
    mem_release(m->mem, m->changes);
    while (m->texts != NULL) {
        struct storetext *next = m->texts->next;
        mem_release(m->mem, m->texts);
        m->texts = next;
    }
}

/* ---- writes ---- */

size_t storemodel_begin(struct storemodel *m, size_t worker, bool sync, bool striped)
{
    struct storelist *l = &m->lists[worker];
    if (m->write_count == m->write_cap) {
        m->write_cap = m->write_cap == 0 ? 256 : m->write_cap * 2;
        m->writes = mem_resize(m->mem, m->writes, m->write_cap * sizeof *m->writes);
    }
    if (l->count == l->cap) {
        l->cap = l->cap == 0 ? 256 : l->cap * 2;
        l->writes = mem_resize(m->mem, l->writes, l->cap * sizeof *l->writes);
    }
    l->writes[l->count++] = m->write_count;
    m->writes[m->write_count] = (struct storewrite){.state = STOREWRITE_LOST, /* not asked yet */
                                                    .worker = (uint32_t)worker,
                                                    .number = (uint32_t)l->count,
                                                    .sync = sync,
                                                    .striped = striped,
                                                    .first = m->change_count};
    return m->write_count++;
}

static void version_add(struct storemodel *m, size_t key, const struct storeversion *v)
{
    struct storekey *k = &m->keys[key];
    struct storeversion *last = k->count > 0 ? &k->versions[k->count - 1] : NULL;
    if (last != NULL && last->write == v->write) {
        *last = *v; /* the same batch again */
        return;
    }
    if (k->count == k->cap) {
        k->cap = k->cap == 0 ? 16 : k->cap * 2;
        k->versions = mem_resize(m->mem, k->versions, k->cap * sizeof *k->versions);
    }
    k->versions[k->count++] = *v;
}

void storemodel_add(struct storemodel *m, const struct storechange *change)
{
    size_t write = m->write_count - 1;
    if (m->change_count == m->change_cap) {
        m->change_cap = m->change_cap == 0 ? 1024 : m->change_cap * 2;
        m->changes = mem_resize(m->mem, m->changes, m->change_cap * sizeof *m->changes);
    }
    CK(m->writes[write].first + m->writes[write].count == m->change_count);
    m->changes[m->change_count++] = *change;
    m->writes[write].count++;
    m->writes[write].numbers += change->type != TKV_DELETE_RANGE || change->end > change->key;
    struct storeversion v = {
        .write = write, .present = change->type == TKV_PUT, .value = change->value};
    size_t end = change->type == TKV_DELETE_RANGE ? change->end : change->key + 1;
    for (size_t key = change->key; key < end; key++) {
        version_add(m, key, &v);
    }
}

void storemodel_asked(struct storemodel *m, size_t write)
{
    m->writes[write].state = STOREWRITE_PENDING;
    m->writes[write].after = m->acked;
    m->writes[write].seen = false;
}

bool storemodel_ok(struct storemodel *m, size_t write, uint64_t sequence, struct err *why)
{
    struct storewrite *w = &m->writes[write];
    CK(w->state == STOREWRITE_PENDING);
    w->state = STOREWRITE_OK;
    w->order = sequence;
    if (sequence < w->after + w->numbers) {
        err_set(why,
                "write %u of worker %u has %zu changes and got sequence %llu; %llu was "
                "acknowledged before it began",
                w->number, w->worker, w->numbers, (unsigned long long)sequence,
                (unsigned long long)w->after);
        return false;
    }
    m->acked = sequence > m->acked ? sequence : m->acked;
    if (w->sync) {
        storemodel_durable(m, sequence);
    }
    return true;
}

bool storemodel_failed(struct storemodel *m, size_t write, struct err *why)
{
    struct storewrite *w = &m->writes[write];
    w->state = STOREWRITE_FAILED;
    if (w->seen) {
        err_set(why, "write %u of worker %u failed, and a reader saw it", w->number, w->worker);
    }
    return !w->seen;
}

void storemodel_durable(struct storemodel *m, uint64_t order)
{
    m->synced = order > m->synced ? order : m->synced;
}

void storemodel_say(const struct storemodel *m, size_t write, char *text, size_t size)
{
    static const char *const states[] = {"under way", "acknowledged", "failed", "lost",
                                         "to be replayed"};
    const struct storewrite *w = &m->writes[write];
    (void)snprintf(text, size, "worker %u's write %u (%zu changes, %s%s, sequence %llu)", w->worker,
                   w->number, w->count, states[w->state], w->sync ? ", with sync" : "",
                   (unsigned long long)w->order);
}

/* ---- reading ---- */

void storemodel_low(const struct storemodel *m, struct storecut *cut)
{
    *cut = (struct storecut){.last_failed = false};
    for (size_t i = 0; i < m->workers; i++) {
        const struct storelist *l = &m->lists[i];
        for (size_t n = l->count; n > 0 && cut->upto[i] == 0; n--) {
            cut->upto[i] = m->writes[l->writes[n - 1]].state == STOREWRITE_OK ? (uint32_t)n : 0;
        }
    }
}

bool storemodel_in(const struct storemodel *m, const struct storecut *cut, size_t write)
{
    const struct storewrite *w = &m->writes[write];
    uint32_t upto = cut->upto[w->worker];
    bool may = w->state == STOREWRITE_OK || w->state == STOREWRITE_PENDING ||
               (w->state == STOREWRITE_FAILED && cut->last_failed && w->number == upto);
    return may && w->number <= upto;
}

/* Writes of unknown order come last. */
static uint64_t place_of(const struct storewrite *w)
{
    return w->order != 0 ? w->order : UINT64_MAX;
}

static const struct storeversion *newest(const struct storemodel *m, const struct storecut *cut,
                                         size_t key, bool known_only)
{
    const struct storeversion *best = NULL;
    const struct storekey *k = &m->keys[key];
    for (size_t i = k->count; i > 0; i--) {
        const struct storeversion *v = &k->versions[i - 1];
        const struct storewrite *w = &m->writes[v->write];
        if (storemodel_in(m, cut, v->write) && (!known_only || w->order != 0) &&
            (best == NULL || place_of(w) > place_of(&m->writes[best->write]))) {
            best = v;
        }
    }
    return best;
}

static bool value_is(const struct storeversion *v, struct slice value)
{
    bool present = v != NULL && v->present;
    if (!present || value.data == NULL) {
        return !present && value.data == NULL;
    }
    return slice_equal(v->value, value);
}

bool storemodel_lookup(const struct storemodel *m, const struct storecut *cut, size_t key,
                       struct slice *value)
{
    const struct storeversion *v = newest(m, cut, key, false);
    bool present = v != NULL && v->present;
    *value = present ? v->value : slice_of(NULL, 0);
    return present;
}

bool storemodel_match(const struct storemodel *m, const struct storecut *cut, size_t key,
                      struct slice value)
{
    const struct storekey *k = &m->keys[key];
    const struct storeversion *known = newest(m, cut, key, true);
    bool known_last = true;
    for (size_t i = k->count; i > 0; i--) {
        const struct storeversion *v = &k->versions[i - 1];
        const struct storewrite *w = &m->writes[v->write];
        if (!storemodel_in(m, cut, v->write) || w->order != 0) {
            continue;
        }
        if (value_is(v, value)) {
            return true;
        }
        known_last = known_last && known != NULL && m->writes[known->write].order > w->after;
    }
    return known_last && value_is(known, value);
}

bool storemodel_match_now(struct storemodel *m, const struct storecut *low, size_t key,
                          struct slice value)
{
    const struct storekey *k = &m->keys[key];
    const struct storeversion *least = newest(m, low, key, false);
    if (value_is(least, value)) {
        return true;
    }
    uint64_t after = least != NULL ? place_of(&m->writes[least->write]) : 0;
    for (size_t i = k->count; i > 0; i--) {
        const struct storeversion *v = &k->versions[i - 1];
        struct storewrite *w = &m->writes[v->write];
        bool late =
            w->number > low->upto[w->worker] &&
            (w->state == STOREWRITE_PENDING || (w->state == STOREWRITE_OK && w->order > after));
        if (late && value_is(v, value)) {
            /* an absence may have been the state before; a value has come from nowhere else */
            w->seen = w->seen || (w->state == STOREWRITE_PENDING && v->present);
            return true;
        }
    }
    return false;
}
