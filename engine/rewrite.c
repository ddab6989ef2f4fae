/* rewrite.c - see rewrite.h. */
#include "engine/rewrite.h"

#include "base/ck.h"
#include "engine/merge.h"

/* The least snapshot that is not below sequence; UINT64_MAX: none. */
static uint64_t snapshot_from(const struct rewrite *r, uint64_t sequence)
{
    size_t low = 0;
    size_t high = r->snapshot_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->snapshots[middle] < sequence) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < r->snapshot_count ? r->snapshots[low] : UINT64_MAX;
}

/* Whether the new table needs an entry; newer: the one before it, of the same key or another. */
static bool wanted(const struct rewrite *r, const struct skl_node *n, const struct skl_node *newer)
{
    if (newer != NULL && slice_equal(skl_key(newer), skl_key(n))) {
        return snapshot_from(r, n->sequence) < newer->sequence;
    }
    /* the newest version. A delete hides only what a snapshot keeps alive below it */
    return n->type == BATCH_PUT || (r->snapshot_count > 0 && r->snapshots[0] < n->sequence);
}

static enum status copy_entry(struct memtable *to, const struct skl_node *n)
{
    struct skl_node *copy = skl_node_new(&to->skl, n->type, skl_key(n), skl_value(n));
    if (copy == NULL) {
        return ST_NOMEM;
    }
    skl_link(&to->skl, copy, n->sequence);
    return ST_OK;
}

static enum status merge_all(const struct rewrite *r, struct merge *m, struct basefile *file,
                             struct memtable *base)
{
    const struct skl_node *newer = NULL;
    enum status st = ST_OK;
    for (const struct skl_node *n; st == ST_OK && (n = merge_entry(m)) != NULL; merge_next(m)) {
        CK(n->sequence <= r->last);
        bool newest = newer == NULL || !slice_equal(skl_key(newer), skl_key(n));
        if (newest && n->type == BATCH_PUT) {
            st = basefile_add(file, skl_key(n), skl_value(n));
        }
        if (st == ST_OK && wanted(r, n, newer)) {
            st = copy_entry(base, n);
        }
        newer = n;
    }
    return st;
}

enum status rewrite_run(const struct rewrite *r, struct memtable **base, uint64_t *size)
{
    struct basefile file = {0};
    struct merge m = {0};
    struct memtable *table = NULL;
    enum status st = memtable_new(r->env, (struct order){NULL}, MEMTABLE_SKIPLIST, 0, &table);
    if (st == ST_OK) {
        st = merge_init(&m, r->env, r->tables, r->count);
    }
    if (st == ST_OK) {
        st = basefile_begin(&file, r->env, r->path, r->number, r->log_floor, r->last);
    }
    if (st == ST_OK) {
        st = merge_all(r, &m, &file, table);
    }
    if (st == ST_OK) {
        st = basefile_finish(&file, size);
    }
    if (st == ST_OK) {
        table->last = r->last;
        *base = table;
    } else {
        memtable_unref(table);
    }
    basefile_release(&file);
    merge_release(&m);
    return st;
}
