/* grouporder.c - see grouporder.h. */
#include "sim/group/grouporder.h"

#include "base/ck.h"
#include "base/hash.h"

#define CELLS_MIN 256
#define POSITIONS 65536u /* of an entry: more than anybody packs here */

/* ---- maps ---- */

static struct groupmap_cell *cell_of(const struct groupmap *m, uint64_t a, uint64_t b)
{
    size_t at = (size_t)hash_add(hash_mix(a), b) & (m->cap - 1);
    while (m->cells[at].used && (m->cells[at].key[0] != a || m->cells[at].key[1] != b)) {
        at = (at + 1) & (m->cap - 1);
    }
    return &m->cells[at];
}

static void grow(struct groupmap *m)
{
    struct groupmap bigger = {.mem = m->mem, .cap = m->cap == 0 ? CELLS_MIN : 2 * m->cap};
    bigger.cells = mem_zalloc(m->mem, bigger.cap * sizeof *bigger.cells);
    CK(bigger.cells != NULL);
    for (size_t i = 0; i < m->cap; i++) {
        if (m->cells[i].used) {
            *cell_of(&bigger, m->cells[i].key[0], m->cells[i].key[1]) = m->cells[i];
        }
    }
    bigger.count = m->count;
    mem_release(m->mem, m->cells);
    *m = bigger;
}

static void put(struct groupmap *m, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    if (2 * m->count >= m->cap) {
        grow(m);
    }
    struct groupmap_cell *cell = cell_of(m, a, b);
    m->count += !cell->used;
    *cell = (struct groupmap_cell){{a, b}, {c, d}, true};
}

static const struct groupmap_cell *get(const struct groupmap *m, uint64_t a, uint64_t b)
{
    const struct groupmap_cell *cell = m->cap > 0 ? cell_of(m, a, b) : NULL;
    return cell != NULL && cell->used ? cell : NULL;
}

/* ---- the order ---- */

void grouporder_init(struct grouporder *o, struct mem *mem)
{
    *o = (struct grouporder){.conns = {.mem = mem},
                             .flights = {.mem = mem},
                             .packed = {.mem = mem},
                             .places = {.mem = mem},
                             .floors = {.mem = mem}};
    envelope_reader_init(&o->reader, mem);
}

void grouporder_release(struct grouporder *o)
{
    mem_release(o->conns.mem, o->conns.cells);
    mem_release(o->flights.mem, o->flights.cells);
    mem_release(o->packed.mem, o->packed.cells);
    mem_release(o->places.mem, o->places.cells);
    mem_release(o->floors.mem, o->floors.cells);
    envelope_reader_release(&o->reader);
}

void grouporder_session(struct grouporder *o, uint64_t node, uint64_t session, uint64_t conn)
{
    put(&o->conns, node, session, conn, 0);
}

static uint64_t conn_of(const struct grouporder *o, uint64_t node, uint64_t session)
{
    const struct groupmap_cell *conn = get(&o->conns, node, session);
    CK(conn != NULL);
    return conn->value[0];
}

void grouporder_submitted(struct grouporder *o, uint64_t node, const void *request,
                          uint64_t session, uint64_t number)
{
    put(&o->flights, node, (uintptr_t)request, conn_of(o, node, session), number);
}

static uint64_t envelope_name(uint64_t node, uint64_t life, uint64_t ordinal)
{
    return hash_add(hash_add(hash_mix(node), life), ordinal);
}

void grouporder_packed(struct grouporder *o, uint64_t node, uint64_t life, uint64_t ordinal,
                       const void *const *requests, size_t count)
{
    uint64_t name = envelope_name(node, life, ordinal);
    CK(count < POSITIONS - 1);
    for (size_t i = 0; i < count; i++) {
        const struct groupmap_cell *q = get(&o->flights, node, (uintptr_t)requests[i]);
        CK(q != NULL);
        put(&o->packed, name, i, q->value[0], q->value[1]);
    }
}

/* In a session: a number that the client had done with when a later one was executed is not any
 * more. */
static bool is_forgotten(struct grouporder *o, const struct envelope_request *q)
{
    const struct groupmap_cell *cell = get(&o->floors, q->session, 0);
    uint64_t floor = cell != NULL ? cell->value[0] : 0;
    if (q->session == 0 || q->sequence < floor) {
        return q->session != 0;
    }
    put(&o->floors, q->session, 0, q->answered > floor ? q->answered : floor, 0);
    return false;
}

bool grouporder_executed(struct grouporder *o, uint64_t index, struct slice envelope)
{
    struct envelope head;
    struct envelope_request request;
    if (envelope_open(&o->reader, envelope, &head) != ST_OK) {
        return true; /* the nodes refuse it, too */
    }
    uint64_t name = envelope_name(head.origin, head.life, head.ordinal);
    for (uint64_t i = 0; envelope_next(&o->reader, &request); i++) {
        const struct groupmap_cell *q = get(&o->packed, name, i);
        bool forgotten = is_forgotten(o, &request);
        if (q == NULL || forgotten) {
            continue; /* nobody's request of ours, or one without an effect */
        }
        if (get(&o->places, q->value[0], q->value[1]) == NULL) {
            put(&o->places, q->value[0], q->value[1], index * POSITIONS + 1 + i, 0);
        } else if (request.session == 0) {
            return false; /* in a session the second is answered with the first one's reply */
        }
    }
    return true;
}

void grouporder_looked(struct grouporder *o, uint64_t node, uint64_t session, uint64_t number,
                       uint64_t index)
{
    put(&o->places, conn_of(o, node, session), number, index * POSITIONS + POSITIONS - 1, 0);
}

uint64_t grouporder_place(const struct grouporder *o, uint64_t conn, uint64_t number)
{
    const struct groupmap_cell *place = get(&o->places, conn, number);
    return place != NULL ? place->value[0] : 0;
}
