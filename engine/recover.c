/* recover.c - see recover.h. */
#include "engine/recover.h"

#include "base/ck.h"
#include "base/heap.h"
#include "engine/background.h"
#include "engine/compact.h"
#include "engine/dbdir.h"
#include "engine/install.h"
#include "engine/resume.h"
#include "engine/walread.h"
#include "env/note.h"

#include <inttypes.h>

/* With more live logs than this the newest are copied into the new one, as many as are small
 * together (a fraction of a memtable), so that a loop of crashes does not pile them up; if that is
 * not enough, what was replayed counts as full and is flushed. */
#define LOGS_MAX       4
#define MERGE_FRACTION 4

/* What is known of a log before it is replayed. */
struct log_info {
    struct walfmt_head head;
    uint64_t size;   /* of the file */
    uint64_t valid;  /* end of the last whole record */
    uint64_t synced; /* it says itself that it is on the medium up to here */
    uint32_t epoch;
    uint64_t fresh; /* end of the first record that the tables do not cover; 0: none */
    bool data;      /* it has a record */
    bool opened;    /* its opening is whole: it may have been served from */
    bool torn;      /* something that is no record follows */
    bool foreign;   /* it begins as a file of another kind or database */
};

struct recover {
    struct tkv *db;
    struct err *err;
    struct buf files; /* struct dbdir_file: what the directory holds */
    struct heap logs; /* numbers, the highest first */
    bool has_current;
    bool has_tables;
    bool exists;
    uint64_t manifest; /* number; 0: none */
    struct manifest_state state;
    struct version *version;
    struct buf live;        /* u64: numbers of the version's tables, ascending */
    uint64_t begun;         /* db_names_begin() */
    struct edit edit;       /* tables that were made of full memtables on the way */
    struct memtable *table; /* what the logs hold on top */
    uint64_t table_log;     /* where its first record lies */
    struct db_log *chain;   /* logs to replay with the sizes that count, newest first; owned */
    size_t chain_count;
    size_t chain_cap;
    struct log_info head; /* of chain[0] */
    bool has_head;
    uint64_t last;   /* sequence replayed so far */
    size_t merged;   /* chain[0..merged) are copied whole */
    uint64_t copied; /* records written again */
};

static enum status say(struct recover *r, enum status st, uint64_t number, const char *what,
                       uint64_t offset)
{
    char name[FNAME_SIZE];
    fname_text(name, FNAME_LOG, number);
    err_set(r->err, "%s: %s at offset %" PRIu64, name, what, offset);
    return st;
}

static enum status say_status(struct recover *r, enum status st, uint64_t number)
{
    char name[FNAME_SIZE];
    fname_text(name, FNAME_LOG, number);
    return err_status(r->err, st, name);
}

/* ---- the directory ---- */

struct listing {
    struct recover *r;
    enum status st;
};

static bool file_found(void *arg, const char *name)
{
    struct listing *l = arg;
    struct recover *r = l->r;
    struct dbdir_file f = {.number = 0};
    f.kind = fname_parse(name, &f.number);
    r->has_current = r->has_current || f.kind == FNAME_CURRENT;
    r->has_tables = r->has_tables || f.kind == FNAME_TABLE;
    if (f.kind != FNAME_LOG && f.kind != FNAME_TABLE && f.kind != FNAME_MANIFEST &&
        f.kind != FNAME_TMP) {
        return true;
    }
    if (f.number >= r->db->next_file) {
        r->db->next_file = f.number + 1;
    }
    l->st = buf_append(&r->files, &f, sizeof f);
    if (l->st == ST_OK && f.kind == FNAME_LOG) {
        l->st = heap_push(&r->logs, (struct heap_entry){UINT64_MAX - f.number, 0, NULL});
    }
    return l->st == ST_OK;
}

static enum status directory_read(struct recover *r)
{
    struct listing l = {r, ST_OK};
    enum status st = env_dir_list(r->db->env, r->db->dir, file_found, &l);
    st = st == ST_OK ? l.st : st;
    return st == ST_OK ? ST_OK : err_status(r->err, st, r->db->dir);
}

/* Whether a sorted run of numbers holds one. */
static bool has_number(const struct buf *sorted, uint64_t number)
{
    size_t low = 0;
    size_t high = sorted->size / sizeof number;
    uint64_t at;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        memcpy(&at, sorted->data + middle * sizeof at, sizeof at);
        if (at == number) {
            return true;
        }
        if (at < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

/* Pops all numbers off the heap into a sorted run. */
static enum status heap_drain(struct heap *h, struct buf *sorted)
{
    enum status st = ST_OK;
    while (st == ST_OK && h->count > 0) {
        uint64_t number = heap_pop(h).key;
        st = buf_append(sorted, &number, sizeof number);
    }
    return st;
}

/* The tables' numbers, sorted: those that the version names. */
static enum status live_sort(struct recover *r)
{
    struct heap numbers;
    enum status st = ST_OK;
    heap_init(&numbers, &r->db->env->mem);
    for (int level = 0; level < TKV_LEVELS; level++) {
        const struct version_level *l = &r->version->levels[level];
        for (size_t i = 0; st == ST_OK && i < l->count; i++) {
            st = heap_push(&numbers, (struct heap_entry){l->files[i]->info.number, 0, NULL});
        }
    }
    if (st == ST_OK) {
        st = heap_drain(&numbers, &r->live);
    }
    heap_release(&numbers);
    return st == ST_OK ? ST_OK : err_status(r->err, st, r->db->dir);
}

/* Every table of the version is in the directory. */
static enum status tables_check(struct recover *r)
{
    size_t found = 0;
    for (size_t at = 0; at < r->files.size; at += sizeof(struct dbdir_file)) {
        struct dbdir_file f;
        memcpy(&f, r->files.data + at, sizeof f);
        found += f.kind == FNAME_TABLE && has_number(&r->live, f.number);
    }
    if (found == r->live.size / sizeof(uint64_t)) {
        return ST_OK;
    }
    for (size_t at = 0; at < r->live.size; at += sizeof(uint64_t)) {
        uint64_t number;
        char name[FNAME_SIZE];
        char path[ENV_PATH_MAX];
        struct env_stat stat;
        memcpy(&number, r->live.data + at, sizeof number);
        fname_text(name, FNAME_TABLE, number);
        fname_make(path, r->db->dir, FNAME_TABLE, number);
        if (env_path_stat(r->db->env, path, &stat) != ST_OK) {
            err_set(r->err, "%s: missing: the manifest has it at offset 0", name);
            return ST_CORRUPT;
        }
    }
    return ST_CORRUPT;
}

static enum status manifest_take(struct recover *r)
{
    struct tkv *db = r->db;
    enum status st;
    if (!r->has_current) {
        db->database = (uint32_t)env_random_u64(db->env);
        st = version_new(db->env, db->order, &r->version);
        return st == ST_OK ? st : err_status(r->err, st, db->dir);
    }
    st = manifest_current(db->env, db->dir, &r->manifest, r->err);
    if (st == ST_OK) {
        st = manifest_read(db->env, db->dir, r->manifest, db->order, &db->tabset, &r->version,
                           &r->state, r->err);
    }
    if (st == ST_OK) {
        st = live_sort(r);
    }
    if (st == ST_OK) {
        st = tables_check(r);
    }
    if (st == ST_OK && r->state.next_file > db->next_file) {
        db->next_file = r->state.next_file;
    }
    r->last = r->state.flushed;
    db->database = r->state.database;
    return st;
}

/* ---- finding the last log that counts ---- */

static enum status log_open(struct recover *r, struct walread *reader, uint64_t number,
                            uint64_t limit)
{
    char path[ENV_PATH_MAX];
    fname_make(path, r->db->dir, FNAME_LOG, number);
    enum status st = walread_open(reader, r->db->env, path, number, limit);
    return st == ST_OK ? ST_OK : say_status(r, st, number);
}

static enum status header_take(struct recover *r, uint64_t number, struct slice payload,
                               struct walfmt_head *head)
{
    enum status st = walfmt_get_head(payload, WALFMT_LOG_MAGIC, number, head);
    if (st == ST_UNSUPPORTED) {
        return say(r, st, number, "a newer format version", 0);
    }
    if (st == ST_OK && (head->a >= number || head->database != r->db->database)) {
        st = ST_CORRUPT;
    }
    return st == ST_OK ? ST_OK : say(r, st, number, "a header that is none", 0);
}

/* Whether this is the first record of another file of that number: of a manifest, or of a log of
 * another database that was on the same disk. A crash before the log was synced can leave it. */
static bool is_foreign(const struct recover *r, uint64_t number, struct slice payload)
{
    struct walfmt_head head;
    enum status st = walfmt_get_head(payload, WALFMT_LOG_MAGIC, number, &head);
    if (st == ST_OK) {
        return head.database != r->db->database;
    }
    return walfmt_get_head(payload, WALFMT_MANIFEST_MAGIC, number, &head) != ST_CORRUPT;
}

/* A data record: its batch is well formed and its numbers make sense. *last: of its last change. */
static enum status record_check(struct recover *r, uint64_t number,
                                const struct walread_record *record, uint64_t *last)
{
    uint32_t count;
    enum status st = batch_check(record->data, &count);
    if (st == ST_UNSUPPORTED) {
        return say(r, st, number, "a newer kind of batch", record->start);
    }
    if (st != ST_OK || count == 0 || record->sequence == 0 ||
        record->sequence > UINT64_MAX - count) {
        return say(r, ST_CORRUPT, number, "a batch that is none", record->start);
    }
    *last = record->sequence + count - 1;
    return ST_OK;
}

/* One record of a survey. */
static enum status survey_record(struct recover *r, uint64_t number,
                                 const struct walread_record *record, struct log_info *info)
{
    uint64_t last;
    enum status st = ST_OK;
    switch (record->type) {
    case WALFMT_HEADER:
        info->foreign = is_foreign(r, number, record->data);
        st = info->foreign ? ST_OK : header_take(r, number, record->data, &info->head);
        break;
    case WALFMT_MARK:
        info->opened = true;
        break;
    case WALFMT_FULL:
        st = record_check(r, number, record, &last);
        info->data = true;
        if (st == ST_OK && info->fresh == 0 && last > r->state.flushed) {
            info->fresh = record->end;
        }
        break;
    default:
        st = say(r, ST_CORRUPT, number, "a record that does not belong", record->start);
    }
    info->valid = record->end;
    info->synced = record->synced > info->synced ? record->synced : info->synced;
    return st;
}

/* Whether damage is what a crash can leave, or hits what was on the medium. */
static enum status survey_damage(struct recover *r, struct walread *reader, struct log_info *info)
{
    bool evidence;
    uint64_t damage = reader->damage;
    enum status st = walread_evidence(reader, &evidence);
    if (st != ST_OK) {
        return say_status(r, st, reader->number);
    }
    if (evidence || info->synced > damage) {
        return say(r, ST_CORRUPT, reader->number, "damaged", damage);
    }
    bool blank;
    st = walread_blank(reader, &blank);
    info->torn = !blank;
    return st == ST_OK ? ST_OK : say_status(r, st, reader->number);
}

/* Reads all of a log. Damage that a crash can have left ends it, and is no error; other damage is
 * ST_CORRUPT. */
static enum status log_survey(struct recover *r, uint64_t number, struct log_info *info)
{
    struct walread reader;
    struct walread_record record;
    *info = (struct log_info){0};
    enum status st = log_open(r, &reader, number, UINT64_MAX);
    if (st != ST_OK) {
        return st;
    }
    info->size = reader.file_size;
    bool more = true;
    while (st == ST_OK && more) {
        st = walread_next(&reader, &record);
        if (st == ST_CORRUPT) {
            st = survey_damage(r, &reader, info);
            more = false;
        } else if (st != ST_OK) {
            st = say_status(r, st, number);
        } else if (record.type == WALFMT_NONE) {
            more = false;
        } else {
            st = survey_record(r, number, &record, info);
            more = !info->foreign;
        }
    }
    info->epoch = reader.epoch;
    walread_close(&reader);
    return st;
}

static enum status chain_add(struct recover *r, uint64_t number, uint64_t size)
{
    if (r->chain_count == r->chain_cap) {
        size_t cap = r->chain_cap == 0 ? 8 : r->chain_cap * 2;
        struct db_log *chain = env_resize(r->db->env, r->chain, cap * sizeof *chain);
        if (chain == NULL) {
            return ST_NOMEM;
        }
        r->chain = chain;
        r->chain_cap = cap;
    }
    r->chain[r->chain_count++] = (struct db_log){number, size};
    return ST_OK;
}

/* The highest log whose opening is whole. Those above it were never written to by anybody who was
 * told so: a crash came while they were made. */
static enum status head_find(struct recover *r)
{
    while (!r->has_head && r->logs.count > 0) {
        uint64_t number = UINT64_MAX - heap_pop(&r->logs).key;
        if (number < r->state.log_floor) {
            break;
        }
        enum status st = log_survey(r, number, &r->head);
        if (st != ST_OK) {
            return st;
        }
        if (!r->head.opened) {
            ENV_PROBE(r->db->env, "recover: unfinished log ignored");
            continue;
        }
        if (r->head.head.c > r->manifest) {
            return say(r, ST_CORRUPT, number, "made under a later manifest than CURRENT's, as said",
                       0);
        }
        r->has_head = true;
        st = chain_add(r, number, r->head.valid);
        if (st != ST_OK) {
            return st;
        }
    }
    return ST_OK;
}

/* Without CURRENT there is no database, unless something that was written shows that there was. */
static enum status nothing_check(struct recover *r)
{
    bool data = r->has_tables;
    while (!data && r->logs.count > 0) {
        struct log_info info;
        uint64_t number = UINT64_MAX - heap_pop(&r->logs).key;
        enum status st = log_survey(r, number, &info);
        if (st != ST_OK) {
            return st;
        }
        data = info.data;
    }
    if (data) {
        err_set(r->err, "CURRENT: missing, at offset 0, from a directory with tables or logs");
        return ST_CORRUPT;
    }
    return ST_OK;
}

/* Follows the headers from the last log to the first one above the floor. */
static enum status chain_find(struct recover *r)
{
    if (!r->has_head) {
        return ST_OK;
    }
    struct walfmt_head head = r->head.head;
    while (head.a != 0 && head.a >= r->state.log_floor) {
        struct walread reader;
        struct walread_record record;
        uint64_t number = head.a;
        enum status st = chain_add(r, number, head.b);
        if (st == ST_OK) {
            st = log_open(r, &reader, number, head.b);
            if (st == ST_NOENT) {
                return ST_CORRUPT; /* a later log needs it: the message names it */
            }
        }
        if (st != ST_OK) {
            return st;
        }
        st = walread_next(&reader, &record);
        if (st == ST_CORRUPT) {
            st = say(r, st, number, "damaged", reader.damage);
        } else if (st == ST_OK && record.type == WALFMT_HEADER) {
            st = header_take(r, number, record.data, &head);
        } else if (st == ST_OK) {
            st = say(r, ST_CORRUPT, number, "damaged", 0);
        }
        walread_close(&reader);
        if (st != ST_OK) {
            return st;
        }
    }
    return ST_OK;
}

/* ---- replay ---- */

/* Puts a record's changes into the table. */
static enum status batch_apply(struct memtable *t, struct slice data, uint64_t sequence)
{
    struct batch_walk w;
    struct batch_entry e;
    bool more;
    enum status st = batch_walk_init(&w, data);
    while (st == ST_OK) {
        struct memtable_node *node;
        st = batch_walk_next(&w, &e, &more);
        if (st != ST_OK || !more) {
            return st;
        }
        st = memtable_prepare(t, &e, &node);
        if (st == ST_OK) {
            memtable_link(t, node, sequence++);
        }
    }
    return st;
}

/* Makes a table of what was replayed so far, to go on with an empty memtable. */
static enum status table_flush(struct recover *r)
{
    struct tkv *db = r->db;
    struct tabfile *file = NULL;
    struct memtable *next = NULL;
    enum status st = memtable_new(db->env, db->order, MEMTABLE_TREE, 0, &next);
    if (st != ST_OK) {
        return err_status(r->err, st, db->dir);
    }
    r->table->last = r->last;
    struct compact_flush f = {
        .db = db, .tables = &r->table, .count = 1, .snapshots = &r->last, .snapshot_count = 1};
    st = compact_flush(&f, &file, r->err);
    if (st == ST_OK && file != NULL) {
        st = edit_add_file(&r->edit, 0, file);
    }
    tabfile_unref(file);
    if (st != ST_OK) {
        memtable_unref(next);
        return r->err != NULL && r->err->text[0] != '\0' ? st : err_status(r->err, st, db->dir);
    }
    memtable_unref(r->table);
    r->table = next;
    r->edit.has_flushed = true;
    r->edit.flushed = r->last;
    ENV_PROBE(db->env, "recover: a table made while replaying");
    return ST_OK;
}

/* One data record: checked, and applied unless tables cover it. *applied tells. */
static enum status record_replay(struct recover *r, uint64_t number,
                                 const struct walread_record *record, bool *applied)
{
    uint64_t last;
    *applied = false;
    enum status st = record_check(r, number, record, &last);
    if (st != ST_OK || last <= r->state.flushed) {
        return st;
    }
    if (record->sequence <= r->last) {
        return say(r, ST_CORRUPT, number, "a sequence that was used before", record->start);
    }
    if (!r->db->options.read_only &&
        memtable_bytes(r->table) >= r->db->options.write_buffer_bytes &&
        memtable_count(r->table) > 0) {
        st = table_flush(r);
        if (st != ST_OK) {
            return st;
        }
    }
    if (memtable_count(r->table) == 0) {
        r->table_log = number;
    }
    st = batch_apply(r->table, record->data, record->sequence);
    CK(st != ST_CORRUPT);
    if (st == ST_OK) {
        r->last = last;
        r->db->stats.recovered_records++;
        *applied = true;
    }
    return st == ST_OK ? ST_OK : say_status(r, st, number);
}

/* Writes a record of the last log into the new one. */
static enum status record_copy(struct recover *r, const struct walread_record *record)
{
    struct env_slice part = {record->data.data, record->data.size};
    enum status st = wal_append(&r->db->log, record->sequence, &part, 1);
    if (st == ST_OK) {
        r->copied++;
        db_note(r->db, NOTE_WAL_APPENDED, r->db->log.number, r->db->log.size, r->last);
    }
    return st;
}

/* Replays one log up to its final size, and copies what lies beyond `keep` into the new log. */
static enum status log_replay(struct recover *r, struct db_log log, uint64_t keep)
{
    struct walread reader;
    struct walread_record record;
    enum status st = log_open(r, &reader, log.number, log.size);
    if (st != ST_OK) {
        return st;
    }
    for (bool more = true; st == ST_OK && more;) {
        bool applied = false;
        st = walread_next(&reader, &record);
        more = record.type != WALFMT_NONE;
        if (st == ST_CORRUPT) {
            st = say(r, st, log.number, "damaged", reader.damage);
        } else if (st != ST_OK) {
            st = say_status(r, st, log.number);
        } else if (record.type == WALFMT_FULL) {
            st = record_replay(r, log.number, &record, &applied);
        }
        if (st == ST_OK && applied && record.end > keep) {
            st = record_copy(r, &record);
        }
    }
    walread_close(&reader);
    return st;
}

/* Replays all logs but those that are copied. */
static enum status chain_replay(struct recover *r)
{
    uint64_t bytes = 0;
    while (r->chain_count >= LOGS_MAX && r->merged < r->chain_count) {
        bytes += r->chain[r->merged].size;
        if (bytes > r->db->options.write_buffer_bytes / MERGE_FRACTION) {
            break;
        }
        r->merged++;
    }
    if (!r->db->options.log || r->db->options.read_only) {
        r->merged = 0; /* nothing is copied */
    }
    enum status st = memtable_new(r->db->env, r->db->order, MEMTABLE_TREE, 0, &r->table);
    for (size_t i = r->chain_count; st == ST_OK && i > (r->merged > 0 ? r->merged : 1); i--) {
        st = log_replay(r, r->chain[i - 1], UINT64_MAX);
    }
    return st;
}

/* ---- the new log ---- */

/* Replays the last log, with copies of what is not safe in it, and makes the new one durable. */
static enum status log_finish(struct recover *r)
{
    struct tkv *db = r->db;
    enum status st = ST_OK;
    for (size_t i = r->merged; st == ST_OK && i > 0; i--) {
        st = log_replay(r, r->chain[i - 1], 0);
    }
    if (st == ST_OK && r->has_head && r->merged == 0) {
        st = log_replay(r, r->chain[0], r->head.synced);
    }
    if (st == ST_OK) {
        st = wal_append_mark(&db->log);
    }
    if (st == ST_OK) {
        st = wal_sync(&db->log);
    }
    if (st == ST_OK) {
        ENV_YIELD(db->env, "recover: new log synced, its name not yet");
        st = db_names_sync(db, r->begun);
    }
    if (st == ST_OK && r->copied > 0) {
        /* the logs that the copies came from may go next: let damage to the copies be noticed */
        ENV_PROBE(db->env, "recover: tail written again");
        st = wal_append_mark(&db->log);
        if (st == ST_OK) {
            st = wal_sync(&db->log);
        }
    }
    return st;
}

/* How many of chain[0..] are not needed any more once the new log is there, and which log then
 * comes before that one. */
static size_t chain_drop(const struct recover *r, struct db_log *prev)
{
    *prev = (struct db_log){0, 0};
    if (!r->has_head) {
        return 0;
    }
    if (r->merged > 0) {
        if (r->merged < r->chain_count) {
            *prev = r->chain[r->merged];
        }
        return r->merged;
    }
    if (r->head.fresh != 0 && r->head.fresh <= r->head.synced) {
        *prev = (struct db_log){r->chain[0].number, r->head.synced};
        return 0;
    }
    *prev = (struct db_log){r->head.head.a, r->head.head.b}; /* nothing in it stays */
    return 1;
}

/* Lists the logs that stay, and the new one. */
static enum status live_list(struct recover *r, size_t dropped)
{
    struct tkv *db = r->db;
    enum status st = ST_OK;
    for (size_t i = r->chain_count; st == ST_OK && i > dropped; i--) {
        st = db_logs_reserve(db);
        if (st == ST_OK) {
            db_logs_add(db, r->chain[i - 1].number, i == 1 ? r->head.synced : r->chain[i - 1].size);
        }
    }
    if (st == ST_OK) {
        st = db_logs_reserve(db);
    }
    if (st == ST_OK) {
        db_logs_add(db, db->log.number, db->log.size);
    }
    return st;
}

/* Makes the log to go on with, and the list of live ones. */
static enum status log_new(struct recover *r)
{
    struct tkv *db = r->db;
    struct db_log prev;
    size_t dropped = chain_drop(r, &prev);
    uint64_t number = db->next_file++;
    struct walfmt_head head = {
        WALFMT_LOG_MAGIC, WALFMT_VERSION,      number,       prev.number,
        prev.size,        db->manifest_number, db->database,
    };
    char path[ENV_PATH_MAX];
    fname_make(path, db->dir, FNAME_LOG, number);
    enum status st = wal_create(&db->log, path, &head);
    if (st == ST_OK) {
        st = log_finish(r);
    }
    if (st == ST_OK) {
        st = live_list(r, dropped);
    }
    if (st == ST_OK) {
        return ST_OK;
    }
    wal_shut(&db->log);
    db_remove(db, FNAME_LOG, number);
    char name[FNAME_SIZE];
    fname_text(name, FNAME_LOG, number);
    return r->err != NULL && r->err->text[0] != '\0' ? st : err_status(r->err, st, name);
}

/* ---- the end ---- */

/* Shows what was read, with an empty memtable: enough for a manifest. */
static enum status state_show(struct recover *r)
{
    struct tkv *db = r->db;
    struct superversion *sv = NULL;
    struct memtable *active = NULL;
    enum status st = superversion_new(db->env, db->options.memtables_max + 2, &sv);
    if (st == ST_OK) {
        st = memtable_new(db->env, db->order, MEMTABLE_TREE, 0, &active);
    }
    if (st == ST_OK) {
        superversion_set(sv, r->version, active);
        install_show(db, sv);
        sv = NULL;
        db->given = r->last > r->state.last_sequence ? r->last : r->state.last_sequence;
        db->flushed = r->state.flushed;
        db->log_floor = r->state.log_floor;
        db->tag = r->state.tag;
        db->durable_tag = r->state.tag;
        atomic_set_u64(&db->manifest_number, r->manifest);
    }
    memtable_unref(active);
    superversion_unref(sv);
    return st == ST_OK ? ST_OK : err_status(r->err, st, db->dir);
}

/* Shows what was replayed too. It becomes the active memtable; or, with `full`, a full one behind
 * an empty one that belongs to log `number`. */
static enum status table_show(struct recover *r, bool full, uint64_t number)
{
    struct tkv *db = r->db;
    struct superversion *sv = NULL;
    struct superversion *replayed = NULL;
    struct memtable *active = NULL;
    size_t cap = db->options.memtables_max + 2;
    enum status st = superversion_new(db->env, cap, &sv);
    if (st == ST_OK) {
        st = superversion_new(db->env, cap, &replayed);
    }
    if (st == ST_OK && full) {
        st = memtable_new(db->env, db->order, MEMTABLE_TREE, number, &active);
    }
    if (st == ST_OK) {
        bool empty = memtable_count(r->table) == 0;
        r->table->log = empty ? number : r->table_log;
        superversion_set(sv, db->superversion->version, r->table);
        if (full) {
            superversion_rotate(replayed, sv, active, r->last);
        }
        install_show(db, full ? replayed : sv);
        *(full ? &replayed : &sv) = NULL;
        db->given = r->last > db->given ? r->last : db->given;
        atomic_set_u64(&db->sequence, db->given);
        db_note(db, NOTE_REPLAYED, r->last, 0, 0);
    }
    memtable_unref(active);
    superversion_unref(sv);
    superversion_unref(replayed);
    return st == ST_OK ? ST_OK : err_status(r->err, st, db->dir);
}

static bool log_live(const struct tkv *db, uint64_t number)
{
    size_t low = 0;
    size_t high = db->logs_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (db->logs[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < db->logs_count && db->logs[low].number == number;
}

/* Removes what the directory held and nothing needs. */
static void leftovers_remove(struct recover *r)
{
    struct tkv *db = r->db;
    for (size_t at = 0; at < r->files.size; at += sizeof(struct dbdir_file)) {
        struct dbdir_file f;
        memcpy(&f, r->files.data + at, sizeof f);
        if ((f.kind == FNAME_TABLE && has_number(&r->live, f.number)) ||
            (f.kind == FNAME_MANIFEST && f.number == r->manifest) || /* the installer did that */
            (f.kind == FNAME_LOG && log_live(db, f.number))) {
            continue;
        }
        if (f.kind == FNAME_TABLE) {
            ENV_PROBE(db->env, "recover: orphan table removed");
        } else if (f.kind == FNAME_MANIFEST) {
            ENV_PROBE(db->env, "recover: orphan manifest removed");
        }
        db_remove(db, f.kind, f.number);
    }
}

static enum status found_check(struct recover *r, const struct recover_options *o)
{
    r->exists = r->has_current;
    if (!r->exists) {
        enum status st = nothing_check(r);
        if (st != ST_OK) {
            return st;
        }
    }
    if (!r->exists && (!o->create_if_missing || r->db->options.read_only)) {
        return err_status(r->err, ST_NOENT, r->db->dir);
    }
    if (r->exists && o->error_if_exists) {
        return err_status(r->err, ST_EXIST, r->db->dir);
    }
    return ST_OK;
}

/* The rest of what is replayed without being copied. */
static enum status head_replay(struct recover *r)
{
    return r->has_head ? log_replay(r, r->chain[0], UINT64_MAX) : ST_OK;
}

/* Reads everything; changes nothing but for tables that are made of what is too much for memory. */
static enum status state_read(struct recover *r, const struct recover_options *o)
{
    enum status st = directory_read(r);
    if (st == ST_OK) {
        st = found_check(r, o);
    }
    if (st == ST_OK) {
        st = manifest_take(r);
    }
    if (st == ST_OK && r->exists) {
        st = head_find(r);
    }
    if (st == ST_OK) {
        st = chain_find(r);
    }
    if (st == ST_OK) {
        st = chain_replay(r);
    }
    return st;
}

/* What follows when there is a log to go on with. */
static enum status go_on_logged(struct recover *r)
{
    struct tkv *db = r->db;
    enum status st = log_new(r);
    if (st == ST_OK) {
        bool full = db->logs_count > LOGS_MAX && memtable_count(r->table) > 0;
        st = table_show(r, full, db->log.number);
    }
    if (st == ST_OK && r->edit.added_count > 0) {
        r->edit.has_log_floor = true;
        r->edit.log_floor = memtable_count(r->table) == 0 ? db->log.number : r->table_log;
        st = install_run(db, &r->edit, 0);
        st = st == ST_OK ? st : err_status(r->err, st, db->dir);
    }
    return st;
}

/* What follows when there is none: everything replayed goes into tables. */
static enum status go_on_unlogged(struct recover *r)
{
    struct tkv *db = r->db;
    enum status st = head_replay(r);
    if (st == ST_OK) {
        st = db_names_sync(db, r->begun);
    }
    if (st == ST_OK) {
        st = table_show(r, false, 0);
    }
    if (st == ST_OK && r->edit.added_count > 0) {
        st = install_run(db, &r->edit, 0);
    }
    if (st == ST_OK && r->has_head) {
        st = background_flush_all(db);
    }
    return st == ST_OK || (r->err != NULL && r->err->text[0] != '\0')
               ? st
               : err_status(r->err, st, db->dir);
}

static enum status go_on_reading(struct recover *r)
{
    enum status st = state_show(r);
    if (st == ST_OK) {
        st = head_replay(r);
    }
    return st == ST_OK ? table_show(r, false, 0) : st;
}

/* What a clean close has left, if it was one. */
static struct resume closed_find(const struct recover *r)
{
    struct resume s = {
        .manifest = r->manifest,
        .state = &r->state,
        .files = &r->files,
        .tables = r->live.size / sizeof(uint64_t),
    };
    if (r->has_head) {
        s.log = r->chain[0].number;
        s.log_size = r->head.size;
        s.log_epoch = r->head.epoch;
        s.log_bare = !r->head.data && r->head.valid == r->head.size && r->chain_count == 1;
    }
    return s;
}

/* What follows on a clean close: everything is there, and durable. */
static enum status go_on_resumed(struct recover *r, const struct resume *s)
{
    struct tkv *db = r->db;
    enum status st = state_show(r);
    if (st == ST_OK) {
        st = resume_run(db, s);
        st = st == ST_OK ? st : err_status(r->err, st, db->dir);
    }
    return st == ST_OK ? table_show(r, false, db->options.log ? db->log.number : 0) : st;
}

/* Whether the directory's own name may not be durable: nothing in it shows that an opening came
 * past the sync of its parent, which goes before any log and any edit. */
static bool parent_unsure(const struct recover *r)
{
    return !r->has_head && r->state.edits <= 1;
}

static enum status go_on_anew(struct recover *r)
{
    struct tkv *db = r->db;
    enum status st = state_show(r);
    if (st == ST_OK) {
        st = install_first(db);
        st = st == ST_OK ? st : err_status(r->err, st, db->dir);
    }
    if (st == ST_OK && parent_unsure(r)) {
        st = dbdir_parent_sync(db->env, db->dir);
        st = st == ST_OK ? st : err_status(r->err, st, db->dir);
    }
    if (st == ST_OK) {
        st = db->options.log ? go_on_logged(r) : go_on_unlogged(r);
    }
    if (st == ST_OK) {
        leftovers_remove(r);
        db->sweep = true;
    }
    return st;
}

static enum status go_on(struct recover *r)
{
    struct resume s = closed_find(r);
    return r->exists && resume_allowed(&s, &r->db->options) ? go_on_resumed(r, &s) : go_on_anew(r);
}

enum status recover_run(struct tkv *db, const struct recover_options *o, struct err *err)
{
    struct recover r = {.db = db, .err = err, .begun = db_names_begin(db)};
    buf_init(&r.files, &db->env->mem);
    buf_init(&r.live, &db->env->mem);
    heap_init(&r.logs, &db->env->mem);
    edit_init(&r.edit, db->env);
    enum status st = state_read(&r, o);
    if (st == ST_OK) {
        st = db->options.read_only ? go_on_reading(&r) : go_on(&r);
    }
    if (st == ST_OK && r.has_head && r.head.torn) {
        db->stats.recovered_dropped = r.head.size - r.head.valid;
        ENV_PROBE(db->env, "wal: torn tail cut");
    }
    edit_release(&r.edit);
    memtable_unref(r.table);
    version_unref(r.version);
    env_release(db->env, r.chain);
    heap_release(&r.logs);
    buf_release(&r.live);
    buf_release(&r.files);
    return st;
}
