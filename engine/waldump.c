/* waldump.c - see waldump.h. */
#include "engine/waldump.h"

#include "engine/batch.h"
#include "engine/edit.h"
#include "engine/manifest.h"
#include "engine/walread.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define LINE 256

struct dump {
    struct walread reader;
    bool manifest;
    const char *path;
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

void waldump_bytes(char text[WALDUMP_TEXT], const void *data, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *p = data;
    size_t at = 0;
    size_t i = 0;
    text[at++] = '\'';
    for (; i < size && at + 4 + sizeof "…'" <= WALDUMP_TEXT; i++) {
        if (p[i] >= ' ' && p[i] < 127 && p[i] != '\'' && p[i] != '\\') {
            text[at++] = (char)p[i];
        } else {
            text[at++] = '\\';
            text[at++] = 'x';
            text[at++] = hex[p[i] >> 4];
            text[at++] = hex[p[i] & 15];
        }
    }
    (void)snprintf(text + at, WALDUMP_TEXT - at, "%s'", i < size ? "…" : ""); /* room was kept */
}

static void change_line(const struct dump *d, uint64_t sequence, const struct batch_entry *e)
{
    char key[WALDUMP_TEXT];
    char value[WALDUMP_TEXT];
    waldump_bytes(key, e->key.data, e->key.size);
    waldump_bytes(value, e->value.data, e->value.size);
    if (e->type == BATCH_PUT) {
        line(d, "  %" PRIu64 " put %s = %s (%zu bytes)", sequence, key, value, e->value.size);
    } else if (e->type == BATCH_DELETE) {
        line(d, "  %" PRIu64 " delete %s", sequence, key);
    } else {
        line(d, "  %" PRIu64 " delete range %s to %s", sequence, key, value);
    }
}

static enum status batch_lines(const struct dump *d, const struct walread_record *record)
{
    struct batch_walk w;
    struct batch_entry e;
    bool more = true;
    enum status st = batch_walk_init(&w, record->data);
    if (st == ST_OK) {
        line(d,
             "offset %" PRIu64 ": batch, sequence %" PRIu64 ", %" PRIu32
             " changes, synced through %" PRIu64,
             record->start, record->sequence, w.left, record->synced);
    }
    for (uint64_t sequence = record->sequence; st == ST_OK && more; sequence++) {
        st = batch_walk_next(&w, &e, &more);
        if (st == ST_OK && more) {
            change_line(d, sequence, &e);
        }
    }
    if (st != ST_OK) {
        err_set(d->err, "%s: a batch that is none at offset %" PRIu64, d->path, record->start);
    }
    return st;
}

static void table_line(const struct dump *d, const struct edit_add *a)
{
    const struct table_info *t = &a->file->info;
    char least[WALDUMP_TEXT];
    char most[WALDUMP_TEXT];
    waldump_bytes(least, t->least.data, t->least.size);
    waldump_bytes(most, t->most.data, t->most.size);
    line(d,
         "  level %d gets table %" PRIu64 ": %" PRIu64 " bytes, check %08" PRIx32 ", %" PRIu64
         " entries, sequences %" PRIu64 " to %" PRIu64,
         a->level, t->number, t->size, t->check, t->entries, t->sequence_min, t->sequence_max);
    line(d, "    %s to %s%s", least, most, t->most_open ? " (not itself)" : "");
}

static void edit_lines(const struct dump *d, const struct edit *e, struct slice order_text)
{
    if (order_text.size > 0) {
        line(d, "  comparator %.*s", (int)order_text.size, order_text.data);
    }
    for (size_t i = 0; i < e->removed_count; i++) {
        line(d, "  level %d loses table %" PRIu64, e->removed[i].level, e->removed[i].number);
    }
    for (size_t i = 0; i < e->added_count; i++) {
        table_line(d, &e->added[i]);
    }
    if (e->has_log_floor) {
        line(d, "  logs from %" PRIu64 " on are needed", e->log_floor);
    }
    if (e->has_flushed) {
        line(d, "  everything up to sequence %" PRIu64 " is in tables", e->flushed);
    }
    if (e->has_tag) {
        line(d, "  tag %" PRIu64, e->tag);
    }
    if (e->database != 0) {
        line(d, "  database %08" PRIx32, e->database);
    }
    line(d, "  next file %" PRIu64 ", last sequence %" PRIu64, e->next_file, e->last_sequence);
}

static void files_free(struct tabset *set)
{
    struct tabfile *f = tabset_take(set);
    while (f != NULL) {
        struct tabfile *next = f->next;
        tabfile_free(f);
        f = next;
    }
    tabset_release(set);
}

static enum status edit_show(const struct dump *d, const struct walread_record *record)
{
    struct edit e;
    struct tabset set;
    struct slice order_text;
    tabset_init(&set, d->reader.env);
    edit_init(&e, d->reader.env);
    enum status st = edit_decode(&e, &set, record->data, &order_text);
    if (st == ST_OK) {
        line(d, "offset %" PRIu64 ": edit, synced through %" PRIu64, record->start, record->synced);
        edit_lines(d, &e, order_text);
    } else {
        err_set(d->err, "%s: an edit that is none at offset %" PRIu64, d->path, record->start);
    }
    edit_release(&e);
    files_free(&set);
    return st;
}

static enum status header_line(const struct dump *d, const struct walread_record *record)
{
    struct walfmt_head h;
    uint64_t magic = d->manifest ? WALFMT_MANIFEST_MAGIC : WALFMT_LOG_MAGIC;
    enum status st = walfmt_get_head(record->data, magic, d->reader.number, &h);
    if (st != ST_OK) {
        err_set(d->err, "%s: its header is not that of file %" PRIu64, d->path, d->reader.number);
        return st;
    }
    if (d->manifest) {
        line(d, "offset %" PRIu64 ": header of manifest %" PRIu64 ", format %" PRIu32,
             record->start, h.number, h.version);
    } else {
        line(d,
             "offset %" PRIu64 ": header of log %" PRIu64 ", format %" PRIu32 ", after log %" PRIu64
             " of %" PRIu64 " bytes, manifest %" PRIu64 ", database %08" PRIx32,
             record->start, h.number, h.version, h.a, h.b, h.c, h.database);
    }
    return ST_OK;
}

static void closed_line(const struct dump *d, const struct walread_record *record)
{
    struct manifest_closed c;
    if (!d->manifest || !manifest_get_closed(record->data, &c)) {
        return;
    }
    if (c.log == 0) {
        line(d, "  closed with all of it on the medium, and no log");
    } else {
        line(d,
             "  closed with all of it on the medium, and log %" PRIu64 " of %" PRIu64
             " bytes, epoch %08" PRIx32,
             c.log, c.log_size, c.log_epoch);
    }
    line(d, "  next file %" PRIu64 ", last sequence %" PRIu64, c.next_file, c.last_sequence);
}

static enum status record_lines(const struct dump *d, const struct walread_record *record)
{
    if (record->type == WALFMT_HEADER) {
        return header_line(d, record);
    }
    if (record->type == WALFMT_FULL) {
        return d->manifest ? edit_show(d, record) : batch_lines(d, record);
    }
    if (record->type == WALFMT_MARK) {
        line(d, "offset %" PRIu64 ": mark, synced through %" PRIu64, record->start, record->synced);
        closed_line(d, record);
    }
    return ST_OK;
}

/* Says whether what follows is what a crash leaves, or damage to what was safe. */
static enum status damage_line(struct dump *d)
{
    bool safe = false;
    uint64_t at = d->reader.damage;
    enum status st = walread_evidence(&d->reader, &safe);
    if (st != ST_OK) {
        return err_status(d->err, st, d->path);
    }
    if (!safe) {
        line(d, "offset %" PRIu64 ": no record: a torn tail of %" PRIu64 " bytes", at,
             d->reader.file_size - at);
        return ST_OK;
    }
    err_set(d->err, "%s: damaged at offset %" PRIu64 ", and later records say that it was safe",
            d->path, at);
    return ST_CORRUPT;
}

static enum status dump(struct env *env, const char *path, uint64_t number, bool manifest,
                        tkv_report_fn *report, void *arg, struct err *err)
{
    struct dump d = {.path = path, .manifest = manifest, .report = report, .arg = arg, .err = err};
    enum status st = walread_open(&d.reader, env, path, number, UINT64_MAX);
    if (st != ST_OK) {
        return err_status(err, st, path);
    }
    for (bool more = true; st == ST_OK && more;) {
        struct walread_record record = {.type = WALFMT_NONE};
        st = walread_next(&d.reader, &record);
        if (st == ST_CORRUPT) {
            st = damage_line(&d);
            more = false;
        } else if (st != ST_OK) {
            st = err_status(err, st, path);
        } else {
            more = record.type != WALFMT_NONE;
            st = more ? record_lines(&d, &record) : ST_OK;
        }
    }
    if (st == ST_OK) {
        line(&d, "%" PRIu64 " bytes", d.reader.file_size);
    }
    walread_close(&d.reader);
    return st;
}

enum status waldump_log(struct env *env, const char *path, uint64_t number, tkv_report_fn *report,
                        void *arg, struct err *err)
{
    return dump(env, path, number, false, report, arg, err);
}

enum status waldump_manifest(struct env *env, const char *path, uint64_t number,
                             tkv_report_fn *report, void *arg, struct err *err)
{
    return dump(env, path, number, true, report, arg, err);
}
