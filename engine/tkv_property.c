/* tkv_property.c - what a database tells about itself, as text for people. */
#include "base/ck.h"
#include "engine/tkv_impl.h"
#include "engine/version.h"
#include "engine/waldump.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct page {
    struct tkv *db;
    struct buf text;
    enum status st;
    struct tkv_stats stats;
    struct version *version; /* a reference */
};

__attribute__((format(__printf__, 2, 3))) static void line(struct page *p, const char *fmt, ...)
{
    char text[320];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text - 1, fmt, args); /* a longer one is cut */
    va_end(args);
    if (p->st == ST_OK && n >= 0) {
        size_t size = strlen(text);
        text[size] = '\n';
        p->st = buf_append(&p->text, text, size + 1);
    }
}

/* a / b with two digits, as text; "-" when there is no b. */
static const char *ratio(char text[32], uint64_t a, uint64_t b)
{
    if (b == 0) {
        return "-";
    }
    uint64_t whole = a / b;
    uint64_t part = a % b * 100 / b;
    (void)snprintf(text, 32, "%" PRIu64 ".%02" PRIu64, whole, part); /* fits */
    return text;
}

static void levels_text(struct page *p)
{
    line(p, "level   tables          bytes  compactions       bytes in      bytes out");
    for (int i = 0; i < TKV_LEVELS; i++) {
        const struct tkv_level_stats *l = &p->stats.levels[i];
        line(p, "%5d %8" PRIu64 " %14" PRIu64 " %12" PRIu64 " %14" PRIu64 " %14" PRIu64, i,
             l->tables, l->bytes, l->compactions, l->bytes_in, l->bytes_out);
    }
}

static void stats_text(struct page *p)
{
    const struct tkv_stats *s = &p->stats;
    char a[32];
    char b[32];
    uint64_t disk = 0;
    uint64_t last = 0;
    for (int i = 0; i < TKV_LEVELS; i++) {
        disk += s->levels[i].bytes;
        last = s->levels[i].bytes > 0 ? s->levels[i].bytes : last;
    }
    line(p, "sequence            %" PRIu64, s->sequence);
    line(p, "memtables           %" PRIu64 " bytes", s->memory_bytes);
    line(p, "logs                %" PRIu64 ", %" PRIu64 " bytes, %" PRIu64 " syncs", s->logs,
         s->log_bytes, s->syncs);
    line(p, "taken               %" PRIu64 " bytes of keys and values", s->written_bytes);
    line(p, "flushes             %" PRIu64 ", %" PRIu64 " bytes, %" PRIu64 " ms", s->flushes,
         s->flush_bytes, s->flush_ns / 1000000);
    line(p,
         "compactions         %" PRIu64 " and %" PRIu64 " moves, %" PRIu64 " bytes in, %" PRIu64
         " out, %" PRIu64 " ms",
         s->compactions, s->moves, s->compaction_bytes_in, s->compaction_bytes_out,
         s->compaction_ns / 1000000);
    line(p, "failures            %" PRIu64 " of flushes and compactions", s->flush_errors);
    line(p, "write amplification %s, with the log %s",
         ratio(a, s->flush_bytes + s->compaction_bytes_out, s->written_bytes),
         ratio(b, s->flush_bytes + s->compaction_bytes_out + s->log_written_bytes,
               s->written_bytes));
    line(p, "space amplification %s", ratio(a, disk, last));
    line(p,
         "stalls              %" PRIu64 ", %" PRIu64 " ms; slowed down %" PRIu64 ", %" PRIu64 " ms",
         s->stalls, s->stall_ns / 1000000, s->slowdowns, s->slowdown_ns / 1000000);
    line(p, "block cache         %" PRIu64 " bytes, %" PRIu64 " hits, %" PRIu64 " misses",
         s->cache_bytes, s->cache_hits, s->cache_misses);
    line(p, "open tables         %" PRIu64 ", %" PRIu64 " bytes of indexes and filters",
         s->tables_open, s->meta_bytes);
    line(p, "filters             %" PRIu64 " asked, %" PRIu64 " spared a read", s->filter_checks,
         s->filter_misses);
    line(p, "read from tables    %" PRIu64 " bytes", s->read_bytes);
    line(p, "writes              %s", tkv_status_text(s->write_error));
}

static void tables_text(struct page *p)
{
    for (int i = 0; i < TKV_LEVELS; i++) {
        const struct version_level *l = &p->version->levels[i];
        for (size_t n = 0; n < l->count; n++) {
            const struct table_info *t = &l->files[n]->info;
            char least[WALDUMP_TEXT];
            char most[WALDUMP_TEXT];
            waldump_bytes(least, t->least.data, t->least.size);
            waldump_bytes(most, t->most.data, t->most.size);
            line(p,
                 "%06" PRIu64 ".sst level %d, %" PRIu64 " bytes, %" PRIu64 " entries, %" PRIu64
                 " deletes, %" PRIu64 " range deletes, sequences %" PRIu64 " to %" PRIu64
                 ", %s to %s%s",
                 t->number, i, t->size, t->entries, t->deletes, t->tombs, t->sequence_min,
                 t->sequence_max, least, most, t->most_open ? " (not itself)" : "");
        }
    }
}

static void memory_text(struct page *p)
{
    line(p, "memtables   %" PRIu64, p->stats.memory_bytes);
    line(p, "block cache %" PRIu64, p->stats.cache_bytes);
    line(p, "open tables %" PRIu64, p->stats.meta_bytes);
}

static void options_text(struct page *p)
{
    const struct tkv_options *o = &p->db->options;
    line(p, "comparator              %s", order_name(p->db->order));
    line(p, "log                     %s", o->log ? "yes" : "no");
    line(p, "read_only               %s", o->read_only ? "yes" : "no");
    line(p, "write_buffer_bytes      %" PRIu64, o->write_buffer_bytes);
    line(p, "memtables_max           %" PRIu32, o->memtables_max);
    line(p, "cache_bytes             %" PRIu64, o->cache_bytes);
    line(p, "meta_bytes              %" PRIu64, o->meta_bytes);
    line(p, "files_max               %" PRIu32, o->files_max);
    line(p, "block_bytes             %" PRIu32, o->block_bytes);
    line(p, "table_bytes             %" PRIu64, o->table_bytes);
    line(p, "filter_bits             %" PRIu32, o->filter_bits);
    line(p, "prefix_bytes            %" PRIu32, o->prefix_bytes);
    for (int i = 0; i < TKV_LEVELS; i++) {
        line(p, "compression[%d]          %s", i,
             o->compression[i] == TKV_COMPRESSION_LZ4 ? "lz4" : "none");
    }
    line(p, "level0_files            %" PRIu32 ", slow %" PRIu32 ", stop %" PRIu32, o->level0_files,
         o->level0_slow, o->level0_stop);
    line(p, "level1_bytes            %" PRIu64, o->level1_bytes);
    line(p, "level_factor            %" PRIu32, o->level_factor);
    line(p, "threads                 %" PRIu32, o->threads);
    line(p, "background_bytes_second %" PRIu64, o->background_bytes_second);
}

static struct version *version_hold(struct tkv *db)
{
    env_mutex_lock(db->env, &db->mutex);
    struct version *v = db_superversion(db)->version;
    version_ref(v);
    env_mutex_unlock(db->env, &db->mutex);
    return v;
}

enum tkv_status tkv_property(struct tkv *db, const char *name, char *text, size_t capacity,
                             size_t *size)
{
    static const struct {
        const char *name;
        void (*fill)(struct page *p);
    } pages[] = {{"stats", stats_text},
                 {"levels", levels_text},
                 {"tables", tables_text},
                 {"memory", memory_text},
                 {"options", options_text}};
    struct page p = {.db = db, .stats = {.size = sizeof p.stats}};
    size_t i = 0;
    while (i < sizeof pages / sizeof *pages && strcmp(pages[i].name, name) != 0) {
        i++;
    }
    if (i == sizeof pages / sizeof *pages) {
        return TKV_NOTFOUND;
    }
    buf_init(&p.text, &db->env->mem);
    tkv_stats(db, &p.stats);
    p.version = version_hold(db);
    pages[i].fill(&p);
    version_unref(p.version);
    if (p.st == ST_OK) {
        size_t n = p.text.size < capacity ? p.text.size : capacity;
        if (n > 0) {
            memcpy(text, p.text.data, n);
        }
        *size = p.text.size;
    }
    buf_release(&p.text);
    return tkv_impl_status(p.st);
}

/* ---- sizes ---- */

/* About where key lies in the file: 0 before it, its size behind it. */
static enum status offset_of(struct tkv *db, struct tabfile *f, const struct slice *key, bool begin,
                             uint64_t *offset)
{
    struct table *t;
    *offset = begin ? 0 : f->info.size;
    if (key == NULL) {
        return ST_OK;
    }
    if (order_compare(db->order, *key, f->info.least) <= 0) {
        *offset = 0;
        return ST_OK;
    }
    if (version_file_before(db->order, f, *key)) {
        *offset = f->info.size;
        return ST_OK;
    }
    enum status st = tabcache_get(&db->tabcache, &f->slot, &f->info, &t, NULL);
    if (st == ST_OK) {
        *offset = table_offset(t, *key);
        table_unref(t);
    }
    return st;
}

enum tkv_status tkv_approximate_size(struct tkv *db, const void *begin, size_t begin_size,
                                     const void *end, size_t end_size, uint64_t *bytes)
{
    struct slice from = slice_of(begin, begin_size);
    struct slice to = slice_of(end, end_size);
    const struct slice *b = begin != NULL ? &from : NULL;
    const struct slice *e = end != NULL ? &to : NULL;
    struct version *v = version_hold(db);
    enum status st = ST_OK;
    uint64_t sum = 0;
    for (int level = 0; level < TKV_LEVELS; level++) {
        const struct version_level *l = &v->levels[level];
        size_t first = 0;
        size_t count = l->count;
        if (level > 0) {
            version_overlap(v, level, b, e, &first, &count);
        }
        for (size_t i = first; st == ST_OK && i < first + count; i++) {
            uint64_t low;
            uint64_t high = 0;
            st = offset_of(db, l->files[i], b, true, &low);
            if (st == ST_OK) {
                st = offset_of(db, l->files[i], e, false, &high);
            }
            sum += st == ST_OK && high > low ? high - low : 0;
        }
    }
    version_unref(v);
    if (st == ST_OK) {
        *bytes = sum;
    }
    return tkv_impl_status(st);
}
