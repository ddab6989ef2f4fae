/* execorder.c - see execorder.h. */
#include "sim/cluster/execorder.h"

#include "base/ck.h"
#include "base/hash.h"

#include <string.h>

#define SLOTS_MIN 256

void execorder_init(struct execorder *o, struct mem *mem)
{
    *o = (struct execorder){.mem = mem};
}

void execorder_release(struct execorder *o)
{
    mem_release(o->mem, o->records);
    mem_release(o->mem, o->slots);
    mem_release(o->mem, o->conns);
    *o = (struct execorder){.mem = o->mem};
}

/* Where the pair stands in the table, or the free slot for it. */
static size_t slot_of(const struct execorder *o, uint64_t conn, uint64_t number)
{
    size_t at = (size_t)hash_add(hash_mix(conn), number) & (o->slot_cap - 1);
    while (o->slots[at] != 0) {
        const struct execorder_record *r = &o->records[o->slots[at] - 1];
        if (r->conn == conn && r->number == number) {
            break;
        }
        at = (at + 1) & (o->slot_cap - 1);
    }
    return at;
}

static void grow(struct execorder *o)
{
    size_t cap = o->slot_cap == 0 ? SLOTS_MIN : o->slot_cap * 2;
    o->records = mem_resize(o->mem, o->records, cap / 2 * sizeof *o->records);
    CK(o->records != NULL);
    o->cap = cap / 2;
    mem_release(o->mem, o->slots);
    o->slots = mem_zalloc(o->mem, cap * sizeof *o->slots);
    CK(o->slots != NULL);
    o->slot_cap = cap;
    for (size_t i = 0; i < o->count; i++) {
        o->slots[slot_of(o, o->records[i].conn, o->records[i].number)] = i + 1;
    }
}

void execorder_session(struct execorder *o, uint64_t session, uint64_t conn)
{
    if (session >= o->conn_cap) {
        size_t cap = o->conn_cap == 0 ? 64 : o->conn_cap;
        while (cap <= session) {
            cap *= 2;
        }
        o->conns = mem_resize(o->mem, o->conns, cap * sizeof *o->conns);
        CK(o->conns != NULL);
        memset(o->conns + o->conn_cap, 0, (cap - o->conn_cap) * sizeof *o->conns);
        o->conn_cap = cap;
    }
    o->conns[session] = conn;
}

void execorder_executed(struct execorder *o, uint64_t session, uint64_t number, bool wrote)
{
    CK(session < o->conn_cap);
    if (o->count == o->cap) {
        grow(o);
    }
    uint64_t conn = o->conns[session];
    size_t at = slot_of(o, conn, number);
    if (o->slots[at] == 0) {
        o->slots[at] = ++o->count;
    }
    o->records[o->slots[at] - 1] = (struct execorder_record){.conn = conn,
                                                             .number = number,
                                                             .place = ++o->places,
                                                             .commit = EXECORDER_NONE,
                                                             .wrote = wrote};
}

void execorder_commit(struct execorder *o, size_t commit)
{
    for (size_t i = o->open; i < o->count; i++) {
        struct execorder_record *r = &o->records[i];
        if (r->wrote && r->commit == EXECORDER_NONE) {
            r->commit = commit;
        }
    }
}

void execorder_committed(struct execorder *o)
{
    o->open = o->count;
}

void execorder_node_ended(struct execorder *o)
{
    o->open = o->count;
}

void execorder_decided(struct execorder *o, size_t commit)
{
    for (size_t i = 0; i < o->count; i++) {
        if (o->records[i].commit == commit) {
            o->records[i].place = ++o->places;
        }
    }
}

const struct execorder_record *execorder_find(const struct execorder *o, uint64_t conn,
                                              uint64_t number)
{
    if (o->slot_cap == 0) {
        return NULL;
    }
    size_t at = o->slots[slot_of(o, conn, number)];
    return at != 0 ? &o->records[at - 1] : NULL;
}
