/* cover.c - see cover.h. */
#include "engine/cover.h"

#include "engine/version.h"

enum status cover_init_memtable(struct cover *c, const struct memtable *t, uint64_t sequence)
{
    struct tomb_prune prune = {.visible = sequence};
    *c = (struct cover){.order = t->order, .sequence = sequence};
    enum status st = memtable_tombs(t, sequence, &prune, &c->own);
    c->set = c->own;
    return st;
}

void cover_init_files(struct cover *c, struct tabcache *tabcache, struct order order,
                      struct tabfile *const *files, size_t count, uint64_t sequence)
{
    *c = (struct cover){
        .order = order, .sequence = sequence, .tabcache = tabcache, .files = files, .count = count};
}

static void table_drop(struct cover *c)
{
    if (c->table != NULL) {
        table_unref(c->table);
        c->table = NULL;
        c->set = NULL;
    }
}

void cover_release(struct cover *c)
{
    table_drop(c);
    tomb_set_free(c->own);
    *c = (struct cover){.tomb = 0};
}

static enum status file_open(struct cover *c, size_t i, struct err *err)
{
    struct tabfile *f = c->files[i];
    if (c->table != NULL && c->file == i) {
        return ST_OK;
    }
    table_drop(c);
    enum status st = tabcache_get(c->tabcache, &f->slot, &f->info, &c->table, err);
    if (st != ST_OK) {
        c->table = NULL;
        return st;
    }
    c->file = i;
    c->set = table_tombs(c->table);
    return ST_OK;
}

static uint64_t newest_seen(const struct tomb_piece *p, uint64_t sequence)
{
    size_t low = 0;
    size_t high = p->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (p->sequences[middle] > sequence) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < p->count ? p->sequences[low] : 0;
}

static void edge_set(struct cover *c, struct slice edge)
{
    c->edge = edge;
    c->endless = false;
}

/* Answers from the present set; the edge stays open where the set says nothing more. */
static void set_ask(struct cover *c, struct slice key)
{
    size_t at = tomb_set_find(c->set, key);
    if (at < tomb_set_count(c->set)) {
        struct tomb_piece p = tomb_set_piece(c->set, at);
        bool inside = order_compare(c->order, p.begin, key) <= 0;
        if (inside) {
            c->tomb = newest_seen(&p, c->sequence);
            c->begin = p.begin;
            c->end = p.end;
            edge_set(c, c->backward ? p.begin : p.end);
            return;
        }
        if (!c->backward) {
            edge_set(c, p.begin);
        }
    }
    if (c->backward && at > 0) {
        edge_set(c, tomb_set_piece(c->set, at - 1).end);
    }
}

/* Index of the first file that does not lie before key. */
static size_t file_find(const struct cover *c, struct slice key)
{
    size_t low = 0;
    size_t high = c->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (version_file_before(c->order, c->files[middle], key)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static enum status files_ask(struct cover *c, struct slice key, struct err *err)
{
    size_t i = file_find(c, key);
    bool inside = i < c->count && order_compare(c->order, c->files[i]->info.least, key) <= 0;
    if (!inside) {
        if (c->backward) {
            c->known = c->known && i == 0; /* where the file below ends is not told that simply */
        } else if (i < c->count) {
            edge_set(c, c->files[i]->info.least);
        }
        return ST_OK;
    }
    if (c->files[i]->info.tombs > 0) {
        enum status st = file_open(c, i, err);
        if (st != ST_OK) {
            c->known = false;
            return st;
        }
        set_ask(c, key);
    }
    if (c->endless && c->backward) {
        edge_set(c, c->files[i]->info.least);
    } else if (c->endless && i + 1 < c->count) {
        edge_set(c, c->files[i + 1]->info.least);
    }
    return ST_OK;
}

enum status cover_find(struct cover *c, struct slice key, bool backward, struct err *err)
{
    c->tomb = 0;
    c->known = true;
    c->backward = backward;
    c->endless = true;
    if (c->tabcache == NULL) {
        set_ask(c, key);
        return ST_OK;
    }
    return files_ask(c, key, err);
}
