/* tabledump.c - see tabledump.h. */
#include "engine/tabledump.h"

#include "engine/table_impl.h"
#include "engine/waldump.h"

#define LINE 384

struct dump {
    struct table *table;
    struct buf key; /* of an entry, put together */
    tkv_report_fn *report;
    void *arg;
    struct err *err;
};

__attribute__((format(__printf__, 2, 3))) static void line(const struct dump *d, const char *fmt,
                                                           ...)
{
    char text[LINE];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n > 0) {
        d->report(d->arg, text);
    }
}

static void props_lines(const struct dump *d)
{
    const struct tablefmt_props *p = &d->table->props;
    const struct table_info *i = &p->info;
    const struct tablefmt_footer *f = &d->table->footer;
    char least[WALDUMP_TEXT];
    char most[WALDUMP_TEXT];
    waldump_bytes(least, i->least.data, i->least.size);
    waldump_bytes(most, i->most.data, i->most.size);
    line(d, "table %" PRIu64 ", %" PRIu64 " bytes, check %08" PRIx32 ", order %.*s", i->number,
         i->size, i->check, (int)p->order.size, p->order.data);
    line(d,
         "%" PRIu64 " entries (%" PRIu64 " deletes), %" PRIu64
         " range tombstones, sequences %" PRIu64 " to %" PRIu64 ", %" PRIu64
         " bytes of keys and values",
         i->entries, i->deletes, i->tombs, i->sequence_min, i->sequence_max, i->raw_bytes);
    line(d, "keys from %s to %s%s", least, most, i->most_open ? " (exclusive)" : "");
    line(d,
         "%" PRIu64 " blocks of %" PRIu32 " bytes, filter of %" PRIu32
         " bits a key, prefixes of %" PRIu32 " bytes, compression %s",
         p->blocks, p->block_bytes, p->filter_bits, p->prefix_bytes,
         p->compression == TABLEFMT_LZ4 ? "lz4" : "none");
    line(d,
         "data %" PRIu64 " bytes, filter %" PRIu64 ", range tombstones %" PRIu64 ", index %" PRIu64
         ", properties %" PRIu64,
         f->data, f->filter, f->tombs, f->index, f->props);
}

static void tomb_lines(const struct dump *d)
{
    for (size_t i = 0; i < tomb_set_count(d->table->tombs); i++) {
        struct tomb_piece piece = tomb_set_piece(d->table->tombs, i);
        char begin[WALDUMP_TEXT];
        char end[WALDUMP_TEXT];
        waldump_bytes(begin, piece.begin.data, piece.begin.size);
        waldump_bytes(end, piece.end.data, piece.end.size);
        for (size_t k = 0; k < piece.count; k++) {
            line(d, "  %" PRIu64 " delete range %s to %s", piece.sequences[k], begin, end);
        }
    }
}

/* The key of entry `at`, put together in d->key. */
static enum status whole_key(struct dump *d, const struct blockread *r, uint32_t at,
                             const struct blockread_item *it)
{
    struct slice head;
    buf_clear(&d->key);
    if (!blockread_head(r, at, &head) || it->shared > head.size) {
        return ST_CORRUPT;
    }
    enum status st = buf_append(&d->key, head.data, it->shared);
    return st == ST_OK ? buf_append(&d->key, it->rest.data, it->rest.size) : st;
}

static enum status entry_line(struct dump *d, const struct blockread *r, uint32_t at)
{
    struct blockread_item it;
    char key[WALDUMP_TEXT];
    char value[WALDUMP_TEXT];
    enum status st = blockread_item(r, at, &it) ? whole_key(d, r, at, &it) : ST_CORRUPT;
    if (st != ST_OK) {
        return st;
    }
    uint64_t sequence = blockread_sequence(r, at);
    waldump_bytes(key, d->key.data, d->key.size);
    waldump_bytes(value, it.value.data, it.value.size);
    if (it.type == BATCH_DELETE) {
        line(d, "  %" PRIu64 " delete %s", sequence, key);
    } else {
        line(d, "  %" PRIu64 " put %s = %s (%zu bytes)", sequence, key, value, it.value.size);
    }
    return ST_OK;
}

static enum status block_lines(struct dump *d, uint32_t i)
{
    struct table *t = d->table;
    uint64_t offset = t->index.offsets[i];
    struct block *block;
    struct blockread r;
    enum status st = table_block(t, i, TABLE_NO_FILL, &block, &r, d->err);
    if (st != ST_OK) {
        line(d, "offset %" PRIu64 ": damaged: %s", offset, status_text(st));
        return st;
    }
    line(d, "offset %" PRIu64 ": block of %" PRIu64 " bytes, %zu unpacked, %" PRIu32 " entries",
         offset, t->index.offsets[i + 1] - offset, block->size, r.count);
    for (uint32_t at = 0; at < r.count && st == ST_OK; at++) {
        st = entry_line(d, &r, at);
        if (st != ST_OK) {
            line(d, "  entry %" PRIu32 ": damaged: %s", at, status_text(st));
            st = st == ST_CORRUPT ? table_bad_entry(t, offset, at, d->err)
                                  : err_status(d->err, st, t->path);
        }
    }
    block_unref(block);
    return st;
}

enum status tabledump_file(struct env *env, const char *path, uint64_t number,
                           tkv_report_fn *report, void *arg, struct err *err)
{
    struct table_env te = {.env = env};
    struct table_info expect = {.number = number};
    struct dump d = {.report = report, .arg = arg, .err = err};
    enum status first = table_open_any(&te, path, &expect, true, &d.table, err);
    if (first != ST_OK) {
        return first;
    }
    buf_init(&d.key, &env->mem);
    props_lines(&d);
    tomb_lines(&d);
    for (uint32_t i = 0; i < d.table->index.count; i++) {
        enum status st = block_lines(&d, i);
        if (st != ST_OK && first == ST_OK) {
            first = st;
            d.err = NULL; /* it keeps the first message */
        }
    }
    buf_release(&d.key);
    table_unref(d.table);
    return first;
}
