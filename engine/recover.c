/* recover.c - see recover.h. */
#include "engine/recover.h"

#include "base/ck.h"
#include "base/heap.h"
#include "engine/basefile.h"
#include "engine/walread.h"
#include "env/note.h"

#include <inttypes.h>

/* With more live logs than this the newest are copied into the new one, as many as are small
 * together (a fraction of a memtable), so that a loop of crashes does not pile them up; if that is
 * not enough, what was replayed counts as full and is merged into the base. */
#define LOGS_MAX       4
#define MERGE_FRACTION 4

/* What is known of a log before it is replayed. */
struct log_info {
    struct walfmt_head head;
    uint64_t size;   /* of the file */
    uint64_t valid;  /* end of the last whole record */
    uint64_t synced; /* it says itself that it is on the medium up to here */
    uint64_t fresh;  /* end of the first record that the base does not cover; 0: none */
    bool opened;     /* its opening is whole: it may have been served from */
    bool torn;       /* something that is no record follows */
};

struct file {
    enum fname_kind kind;
    uint64_t number;
};

struct recover {
    struct tkv *db;
    struct err *err;
    struct buf files; /* struct file: what the directory holds */
    struct heap logs; /* numbers, the highest first */
    bool exists;      /* a base or a log was found */
    uint64_t base;    /* number; 0: none */
    struct basefile_info base_info;
    struct memtable *base_table;
    struct memtable *table; /* what the logs hold on top */
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
    struct file f = {.number = 0};
    f.kind = fname_parse(name, &f.number);
    if (f.kind != FNAME_LOG && f.kind != FNAME_BASE && f.kind != FNAME_TMP) {
        return true;
    }
    if (f.number >= r->db->next_file) {
        r->db->next_file = f.number + 1;
    }
    if (f.kind == FNAME_BASE && f.number > r->base) {
        r->base = f.number;
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

static enum status base_read(struct recover *r)
{
    if (r->base == 0) {
        return memtable_new(r->db->env, (struct order){NULL}, MEMTABLE_SKIPLIST, 0, &r->base_table);
    }
    enum status st =
        basefile_load(r->db->env, r->db->dir, r->base, &r->base_table, &r->base_info, r->err);
    if (st == ST_OK && r->base_info.log_floor >= r->db->next_file) {
        r->db->next_file = r->base_info.log_floor + 1; /* its log's name was not durable yet */
    }
    r->last = r->base_info.last;
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
    if (st == ST_OK && (head->a >= number || head->c >= number)) {
        st = ST_CORRUPT;
    }
    return st == ST_OK ? ST_OK : say(r, st, number, "a header that is none", 0);
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
        st = header_take(r, number, record->data, &info->head);
        break;
    case WALFMT_MARK:
        info->opened = true;
        break;
    case WALFMT_FULL:
        st = record_check(r, number, record, &last);
        if (st == ST_OK && info->fresh == 0 && last > r->base_info.last) {
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
    info->torn = true;
    return ST_OK;
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
        }
    }
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
        if (number < r->base_info.log_floor) {
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
        if (r->head.head.c > r->base) {
            return say(r, ST_CORRUPT, number, "built on a base file that is missing, said", 0);
        }
        r->has_head = true;
        st = chain_add(r, number, r->head.valid);
        if (st != ST_OK) {
            return st;
        }
    }
    return ST_OK;
}

/* Follows the headers from the last log to the first one above the base. */
static enum status chain_find(struct recover *r)
{
    if (!r->has_head) {
        return ST_OK;
    }
    struct walfmt_head head = r->head.head;
    while (head.a != 0 && head.a >= r->base_info.log_floor) {
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
        st = batch_walk_next(&w, &e, &more);
        if (st != ST_OK || !more) {
            return st;
        }
        struct skl_node *n = skl_node_new(&t->skl, e.type, e.key, e.value);
        if (n == NULL) {
            return ST_NOMEM;
        }
        skl_link(&t->skl, n, sequence++);
    }
    return st;
}

/* One data record: checked, and applied unless the base covers it. *applied tells. */
static enum status record_replay(struct recover *r, uint64_t number,
                                 const struct walread_record *record, bool *applied)
{
    uint64_t last;
    *applied = false;
    enum status st = record_check(r, number, record, &last);
    if (st != ST_OK || last <= r->base_info.last) {
        return st;
    }
    if (record->sequence <= r->last) {
        return say(r, ST_CORRUPT, number, "a sequence that was used before", record->start);
    }
    st = batch_apply(r->table, record->data, record->sequence);
    CK(st != ST_CORRUPT);
    if (st == ST_OK) {
        r->last = last;
        r->db->recovered_records++;
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
        struct env_note note = {
            .kind = NOTE_WAL_APPENDED, .a = r->db->log.number, .b = r->db->log.size, .c = r->last};
        env_note(r->db->env, &note);
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
        if (bytes > r->db->buffer_bytes / MERGE_FRACTION) {
            break;
        }
        r->merged++;
    }
    enum status st =
        memtable_new(r->db->env, (struct order){NULL}, MEMTABLE_SKIPLIST, 0, &r->table);
    for (size_t i = r->chain_count; st == ST_OK && i > (r->merged > 0 ? r->merged : 1); i--) {
        st = log_replay(r, r->chain[i - 1], UINT64_MAX);
    }
    return st;
}

/* ---- the new log ---- */

/* Syncs the directory above, where the name of the database's own may be new. */
static enum status parent_sync(struct tkv *db)
{
    char path[ENV_PATH_MAX];
    size_t n = strlen(db->dir);
    while (n > 1 && db->dir[n - 1] == '/') {
        n--;
    }
    while (n > 0 && db->dir[n - 1] != '/') {
        n--;
    }
    while (n > 1 && db->dir[n - 1] == '/') {
        n--;
    }
    if (n == 0) {
        return env_dir_sync(db->env, ".");
    }
    memcpy(path, db->dir, n);
    path[n] = '\0';
    return env_dir_sync(db->env, path);
}

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
        st = env_dir_sync(db->env, db->dir);
    }
    if (st == ST_OK) {
        st = parent_sync(db);
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
        WALFMT_LOG_MAGIC, WALFMT_VERSION, number, prev.number, prev.size, r->base,
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

/* Puts the tables together. With many logs what was replayed counts as full, so that the
 * background thread merges it and they can go. */
static enum status version_make(struct recover *r)
{
    struct tkv *db = r->db;
    struct memtable *active = NULL;
    enum status st = memview_new(db->env, db->full_max + 3, &db->version);
    r->table->log = db->logs[0].number;
    r->table->last = r->last;
    if (st == ST_OK && db->logs_count > LOGS_MAX && skl_count(&r->table->skl) > 0) {
        st =
            memtable_new(db->env, (struct order){NULL}, MEMTABLE_SKIPLIST, db->log.number, &active);
    }
    if (st != ST_OK) {
        return err_status(r->err, st, db->dir);
    }
    if (active != NULL) {
        memview_add(db->version, active);
        memtable_unref(active);
        db->wanted = true;
    }
    memview_add(db->version, r->table);
    memview_add(db->version, r->base_table);
    db->sequence = r->last;
    db->given = r->last;
    db->base_number = r->base;
    CK_SLOW(db->verify, memview_check(db->version));
    return ST_OK;
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
    for (size_t at = 0; at < r->files.size; at += sizeof(struct file)) {
        struct file f;
        memcpy(&f, r->files.data + at, sizeof f);
        if ((f.kind == FNAME_BASE && f.number == r->base) ||
            (f.kind == FNAME_LOG && log_live(db, f.number))) {
            continue;
        }
        if (f.kind == FNAME_TMP) {
            ENV_PROBE(db->env, "recover: unfinished base removed");
        } else if (f.kind == FNAME_BASE) {
            ENV_PROBE(db->env, "recover: older base removed");
        }
        db_remove(db, f.kind, f.number);
    }
}

static enum status found_check(struct recover *r, const struct recover_options *o)
{
    r->exists = r->base != 0 || r->logs.count > 0;
    if (!r->exists && !o->create_if_missing) {
        return err_status(r->err, ST_NOENT, r->db->dir);
    }
    if (r->exists && o->error_if_exists) {
        return err_status(r->err, ST_EXIST, r->db->dir);
    }
    return ST_OK;
}

/* The new log will name a base and a log that may have got their names just before a process died:
 * the names first, or a power loss could keep the new log and lose what it stands on. */
static enum status names_settle(struct recover *r)
{
    if (!r->exists) {
        return ST_OK;
    }
    enum status st = env_dir_sync(r->db->env, r->db->dir);
    return st == ST_OK ? ST_OK : err_status(r->err, st, r->db->dir);
}

enum status recover_run(struct tkv *db, const struct recover_options *o, struct err *err)
{
    struct recover r = {.db = db, .err = err};
    buf_init(&r.files, &db->env->mem);
    heap_init(&r.logs, &db->env->mem);
    enum status st = directory_read(&r);
    if (st == ST_OK) {
        st = found_check(&r, o);
    }
    if (st == ST_OK) {
        st = base_read(&r);
    }
    if (st == ST_OK) {
        st = head_find(&r);
    }
    if (st == ST_OK) {
        st = chain_find(&r);
    }
    if (st == ST_OK) {
        st = chain_replay(&r);
    }
    if (st == ST_OK) {
        st = names_settle(&r);
    }
    if (st == ST_OK) {
        st = log_new(&r);
    }
    if (st == ST_OK) {
        st = version_make(&r);
    }
    if (st == ST_OK) {
        if (r.has_head && r.head.torn) {
            db->recovered_dropped = r.head.size - r.head.valid;
            ENV_PROBE(db->env, "wal: torn tail cut");
        }
        leftovers_remove(&r);
    }
    memtable_unref(r.table);
    memtable_unref(r.base_table);
    env_release(db->env, r.chain);
    heap_release(&r.logs);
    buf_release(&r.files);
    return st;
}
