/* raftlogdump.c - see raftlogdump.h. */
#include "raft/raftlogdump.h"

#include "raft/raftscan.h"

#define LINE 320

struct dump {
    struct env *env;
    raftlogdump_fn *report;
    void *arg;
    char *data; /* owned; all of the file */
    uint64_t size;
    uint64_t number;
    struct raftscan scan;
    bool damaged;
};

__attribute__((format(__printf__, 2, 3))) static void line(struct dump *d, const char *fmt, ...)
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

static void info_lines(struct dump *d, const struct raftlogfmt_info *i)
{
    line(d,
         "  term %" PRIu64 ", vote %" PRIu64 "; entries from %" PRIu64 " to %" PRIu64
         " (term %" PRIu64 "), behind %" PRIu64 " (term %" PRIu64 ")",
         i->hard.term, i->hard.vote, i->base.index + 1, i->last.index, i->last.term,
         i->before.index, i->before.term);
    line(d,
         "  snapshot %" PRIu64 " (term %" PRIu64 "), configuration %" PRIu64
         ", segments from %" PRIu64 ", truncated by group %" PRIu64 " from %" PRIu64,
         i->snapshot.index, i->snapshot.term, i->config_index, i->floor, i->cut_sequence,
         i->cut_from);
}

static void block_lines(struct dump *d, const char *what, uint64_t at)
{
    struct raftlogfmt_block b;
    enum status st = raftlogfmt_get_block(d->scan.hardware, d->data + at, d->number, at, &b);
    if (st != ST_OK) {
        line(d, "offset %" PRIu64 ": %s: %s", at, what,
             st == ST_UNSUPPORTED ? "of a newer version" : "none, or damaged");
        return;
    }
    line(d,
         "offset %" PRIu64 ": %s: segment %" PRIu64 ", epoch %08" PRIx32 ", sector %" PRIu32
         ", group %" PRIu64 " at %" PRIu64 ", chain %08" PRIx32,
         at, what, b.number, b.epoch, b.sector, b.sequence, b.offset, b.chain);
    line(d,
         "  cluster %" PRIu64 ", node %" PRIu64 ", incarnation %" PRIu64 ", database %" PRIu64
         ", format %" PRIu32,
         b.identity.cluster, b.identity.node, b.identity.incarnation, b.identity.database,
         b.version);
    info_lines(d, &b.info);
    for (size_t i = 0; i < b.runs.size; i += RAFTLOGFMT_RUN) {
        struct raft_run run = raftlogfmt_get_run(b.runs.data + i);
        line(d, "  from %" PRIu64 " on: term %" PRIu64, run.first, run.term);
    }
    d->scan.seed = raftlogfmt_seed(d->number, b.epoch);
}

static void record_line(struct dump *d, uint64_t at, const struct raftlogfmt_record *r)
{
    static const char *const names[RAFTLOGFMT_TYPES] = {"?",        "group",   "entry", "truncate",
                                                        "snapshot", "compact", "lost",  "repair"};
    static const char *const kinds[] = {"", " command", " no-op", " configuration"};
    const char *kind = r->kind < RAFT_KINDS ? kinds[r->kind] : " ?";
    line(d, "offset %" PRIu64 ": %s %" PRIu64 " (term %" PRIu64 ")%s, %" PRIu32 " bytes%s", at,
         names[r->type], r->index, r->term, kind, r->size,
         (r->flags & RAFTLOGFMT_LAST) != 0 ? ", last of its group" : "");
}

static void group_line(struct dump *d, uint64_t at, const struct raftlogfmt_record *r)
{
    struct raftlogfmt_info i;
    raftlogfmt_get_info(r->payload, &i);
    line(d,
         "offset %" PRIu64 ": group %" PRIu64 ", %" PRIu64 " bytes, %" PRIu32
         " records, durable before it: %" PRIu64,
         at, r->sequence, i.bytes, i.records, i.synced);
    info_lines(d, &i);
}

/* All records that can be found; what lies between them and is not padding is damaged. */
static void records_lines(struct dump *d)
{
    struct raftlogfmt_record r;
    uint64_t end = RAFTLOGFMT_DATA_AT;
    uint64_t at = end;
    bool last = true; /* of its group: anything may follow up to the next sector */
    uint64_t sequence = 0;
    while (raftscan_next(&d->scan, &at, 1, UINT64_MAX, &r)) {
        bool follows =
            at == end || (last && at - end < RAFTLOGFMT_PAGE && r.type == RAFTLOGFMT_MARK);
        if (!follows || (sequence > 0 && r.sequence > sequence + 1)) {
            line(d, "offset %" PRIu64 ": damaged, up to %" PRIu64, end, at);
            d->damaged = true;
        }
        if (r.type == RAFTLOGFMT_MARK && r.size == RAFTLOGFMT_INFO) {
            group_line(d, at, &r);
        } else {
            record_line(d, at, &r);
        }
        last = (r.flags & RAFTLOGFMT_LAST) != 0;
        sequence = r.sequence;
        at += raftlogfmt_size(r.size);
        end = at;
    }
    if (!last) {
        line(d, "offset %" PRIu64 ": the rest of group %" PRIu64 " is missing", end, sequence);
        d->damaged = true;
    }
    line(d, "%" PRIu64 " of %" PRIu64 " bytes", end, d->size);
}

static enum status file_load(struct dump *d, const char *path)
{
    int fd;
    enum status st = env_file_open(d->env, path, ENV_READ, &fd);
    if (st != ST_OK) {
        return st;
    }
    st = env_file_size(d->env, fd, &d->size);
    uint64_t least = d->size > RAFTLOGFMT_DATA_AT ? d->size : RAFTLOGFMT_DATA_AT;
    if (st == ST_OK) {
        d->data = env_alloc(d->env, (size_t)least);
        st = d->data != NULL ? raftscan_read(d->env, fd, d->data, (size_t)least, 0) : ST_NOMEM;
    }
    (void)env_fd_close(d->env, fd); /* it was only read */
    return st;
}

enum status raftlogdump_file(struct env *env, const char *path, raftlogdump_fn *report, void *arg,
                             struct err *err)
{
    struct dump d = {.env = env, .report = report, .arg = arg};
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    bool owner = strcmp(name, RAFTLOGFMT_ID) == 0;
    if (!owner && !raftlogfmt_number(name, &d.number)) {
        err_set(err, "%s: not a name of the Raft log", path);
        return ST_INVAL;
    }
    enum status st = file_load(&d, path);
    if (st != ST_OK) {
        env_release(env, d.data);
        return err_status(err, st, path);
    }
    d.scan.hardware = (env_cpu_features(env) & ENV_CPU_CRC32C) != 0;
    d.scan.data = d.data;
    d.scan.size = d.size;
    block_lines(&d, owner ? "owner" : "header", 0);
    if (owner) {
        block_lines(&d, "owner, again", RAFTLOGFMT_PAGE);
    } else {
        block_lines(&d, "identity", raftlogfmt_slot_at(0));
        block_lines(&d, "identity", raftlogfmt_slot_at(1));
        block_lines(&d, "header, again", RAFTLOGFMT_COPY_AT);
        records_lines(&d);
    }
    env_release(env, d.data);
    if (d.damaged) {
        err_set(err, "%s: parts of it are damaged, or were being written", path);
    }
    return d.damaged ? ST_CORRUPT : ST_OK;
}
