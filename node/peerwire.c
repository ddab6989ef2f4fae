/* peerwire.c - see peerwire.h. */
#include "node/peerwire.h"

#include "base/ck.h"
#include "net/frame.h"
#include "node/confcode.h"

_Static_assert((int)RAFT_MSG_PROPOSE_REPLY == (int)PEERMSG_RAFT_PROPOSE_REPLY, "same numbers");
_Static_assert((int)RAFT_MSG_TYPES == (int)PEERMSG_RAFT_PROPOSE_REPLY + 1, "no type is missing");
_Static_assert((int)RAFT_MOVED == (int)PEERMSG_OUTCOME_MOVED, "same numbers");
_Static_assert((int)RAFT_COMMAND == PEERMSG_KIND_COMMAND, "same numbers");

void peerwire_release(struct peerwire *w)
{
    mem_release(w->mem, w->payload);
    mem_release(w->mem, w->runs);
    mem_release(w->mem, w->kinds);
    *w = (struct peerwire){.mem = w->mem, .hardware = w->hardware};
}

/* ---- writing ---- */

static bool column_grow(struct mem *mem, void *column, size_t bytes)
{
    void *old;
    memcpy(&old, column, sizeof old);
    void *grown = mem_resize(mem, old, bytes);
    if (grown != NULL) {
        memcpy(column, &grown, sizeof grown);
    }
    return grown != NULL;
}

static enum status columns_reserve(struct peerwire *w, uint32_t count)
{
    if (count <= w->cap) {
        return ST_OK;
    }
    size_t cap = w->cap > 0 ? w->cap : 16;
    while (cap < count) {
        cap *= 2;
    }
    if (!column_grow(w->mem, &w->payload, cap * sizeof *w->payload) ||
        !column_grow(w->mem, &w->runs, cap * sizeof *w->runs) ||
        !column_grow(w->mem, &w->kinds, cap)) {
        return ST_NOMEM;
    }
    w->cap = (uint32_t)cap;
    return ST_OK;
}

/* Entries as columns; kinds and terms are left out where they say nothing. */
static void columns_fill(struct peerwire *w, const struct raft_msg *m,
                         const struct raft_entry *entries, struct peermsg_entries *e)
{
    bool plain = true;
    uint32_t runs = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        w->payload[i] = entries[i].data;
        w->kinds[i] = (char)entries[i].kind;
        plain = plain && entries[i].kind == RAFT_COMMAND;
        if (m->type == RAFT_MSG_PROPOSE) {
            continue;
        }
        CK(entries[i].term != 0);
        if (runs == 0 || w->runs[runs - 1].term != entries[i].term) {
            w->runs[runs++] = (struct peermsg_run){.term = entries[i].term};
        }
        w->runs[runs - 1].count++;
    }
    e->payload.items = w->payload;
    e->payload.count = m->count;
    e->runs.items = w->runs;
    e->runs.count = runs;
    e->kinds = plain ? (struct slice){0} : slice_of(w->kinds, m->count);
}

static void header_fill(const struct raft_msg *m, struct peermsg *out)
{
    out->cluster = m->cluster;
    out->from_node = m->from;
    out->to_node = m->to;
    out->incarnation = m->incarnation;
    out->term = m->term;
    out->session = m->session;
    out->probe = m->probe;
}

static void body_fill(const struct raft_msg *m, struct peermsg_raft *r)
{
    r->type = m->type;
    r->ok = m->ok;
    r->transfer = m->transfer;
    r->outcome = m->outcome;
    r->stamp = m->stamp;
    r->place_index = m->place.index;
    r->place_term = m->place.term;
    r->index = m->index;
    r->accepted = m->accepted;
    r->commit = m->commit;
    r->campaign = m->campaign;
    r->context = m->context;
}

enum status peerwire_append(struct peerwire *w, const struct raft_msg *m,
                            const struct raft_entry *entries, struct buf *out)
{
    struct peermsg_member rows[RAFT_MEMBERS_MAX];
    struct peermsg message = {.body = PEERMSG_RAFT};
    CK(m->type > 0 && m->type < RAFT_MSG_TYPES);
    CK(m->count == 0 || entries != NULL);
    enum status st = columns_reserve(w, m->count);
    if (st != ST_OK) {
        return st;
    }
    header_fill(m, &message);
    body_fill(m, &message.raft);
    if (m->count > 0) {
        message.raft.has_entries = true;
        columns_fill(w, m, entries, &message.raft.entries);
    }
    if (m->config != NULL) {
        message.raft.has_config = true;
        confcode_to(m->config, rows, &message.raft.config);
    }
    return frame_append_peer(out, &peermsg_table, &message, w->hardware);
}

/* ---- reading ---- */

static enum status wrong(const char **what, const char *text)
{
    *what = text;
    return ST_CORRUPT;
}

static enum status take(struct pbarena *arena, size_t size, const char **what, void **block)
{
    *block = NULL;
    enum status st = pbarena_grow(arena, block, 0, size);
    if (st != ST_OK) {
        *what = status_text(st);
    }
    return st;
}

static enum status config_take(struct pbarena *arena, const struct raft_config **config,
                               struct raft_config **fresh, const char **what)
{
    void *block;
    enum status st = take(arena, sizeof **fresh, what, &block);
    *config = *fresh = (struct raft_config *)block;
    return st;
}

/* One row as an item of the core's and an entry of the driver's. */
static enum status row_read(const struct peermsg_entry *row, struct pbarena *arena,
                            struct raft_item *item, struct raft_entry *entry, const char **what)
{
    if (row->kind == 0 || row->kind >= RAFT_KINDS) {
        return wrong(what, "an entry of unknown kind");
    }
    if (row->payload.size > UINT32_MAX) {
        return wrong(what, "an entry that is too large");
    }
    entry->term = row->term;
    entry->kind = (enum raft_kind)row->kind;
    entry->data = row->payload;
    *item = (struct raft_item){
        .term = row->term, .bytes = (uint32_t)row->payload.size, .kind = row->kind};
    if (row->kind != RAFT_CONFIG) {
        return ST_OK;
    }
    struct raft_config *config;
    enum status st = config_take(arena, &item->config, &config, what);
    if (st == ST_OK && confcode_read(row->payload, config) != ST_OK) {
        st = wrong(what, "a configuration that is none");
    }
    return st;
}

/* The index of a message's first entry; 0: they have none. */
static uint64_t first_of(const struct raft_msg *m)
{
    switch (m->type) {
    case RAFT_MSG_APPEND:
        return m->place.index + 1;
    case RAFT_MSG_FETCH_REPLY:
        return m->place.index;
    default:
        return 0;
    }
}

static enum status entries_read(const struct peermsg_raft *r, struct pbarena *arena,
                                struct peerwire_in *in, const char **what)
{
    uint32_t count = r->entries.payload.count;
    uint64_t first = first_of(&in->msg);
    bool placed = in->msg.type != RAFT_MSG_PROPOSE;
    if (count == 0) {
        return ST_OK;
    }
    if (placed && (r->entries.runs.count == 0 || first == 0 || first > UINT64_MAX - count)) {
        return wrong(what, "entries without a place");
    }
    void *items, *entries;
    enum status st = take(arena, count * sizeof(struct raft_item), what, &items);
    st = st == ST_OK ? take(arena, count * sizeof(struct raft_entry), what, &entries) : st;
    if (st != ST_OK) {
        return st;
    }
    struct raft_item *item = (struct raft_item *)items;
    struct raft_entry *entry = (struct raft_entry *)entries;
    struct peermsg_cursor cursor;
    struct peermsg_entry row;
    peermsg_cursor_init(&cursor, &r->entries);
    for (uint32_t i = 0; st == ST_OK && peermsg_cursor_next(&cursor, &row); i++) {
        entry[i].index = placed ? first + i : 0;
        st = placed && row.term == 0 ? wrong(what, "an entry of term 0")
                                     : row_read(&row, arena, &item[i], &entry[i], what);
    }
    in->msg.count = count;
    in->msg.items = item;
    in->entries = entry;
    return st;
}

static void message_read(const struct peermsg *m, struct raft_msg *to)
{
    const struct peermsg_raft *r = &m->raft;
    *to = (struct raft_msg){
        .type = (uint8_t)r->type,
        .ok = r->ok,
        .transfer = r->transfer,
        .outcome = (uint8_t)r->outcome,
        .cluster = m->cluster,
        .from = m->from_node,
        .to = m->to_node,
        .term = m->term,
        .incarnation = m->incarnation,
        .session = m->session,
        .probe = m->probe,
        .stamp = r->stamp,
        .place = {r->place_index, r->place_term},
        .index = r->index,
        .accepted = r->accepted,
        .commit = r->commit,
        .campaign = r->campaign,
        .context = r->context,
    };
}

enum status peerwire_read(const struct peermsg *m, struct pbarena *arena, struct peerwire_in *in,
                          const char **what)
{
    CK(m->body == PEERMSG_RAFT);
    in->entries = NULL;
    if (m->raft.outcome < 0 || m->raft.outcome >= RAFT_OUTCOMES) {
        return wrong(what, "an unknown outcome");
    }
    message_read(m, &in->msg);
    enum status st = ST_OK;
    if (m->raft.has_entries) {
        st = entries_read(&m->raft, arena, in, what);
    }
    if (st == ST_OK && m->raft.has_config) {
        struct raft_config *config;
        st = config_take(arena, &in->msg.config, &config, what);
        if (st == ST_OK && confcode_from(&m->raft.config, config) != ST_OK) {
            st = wrong(what, "a configuration that is none");
        }
    }
    return st;
}
