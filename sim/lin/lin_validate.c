/* lin_validate.c - what only a whole history shows: a client has one operation open at a time. */
#include "sim/lin/lin_rec.h"
#include "sim/lin/lin_sort.h"

static enum status complain(const struct lin_history *h, uint32_t a, uint32_t b, struct err *err)
{
    const struct lin_rec *op = &h->ops[b];
    int64_t client;
    memcpy(&client, lin_strtab_get(&h->clients, op->client).data, sizeof client);
    const struct lin_rec *open = &h->ops[a];
    bool ended = open->outcome != LIN_INFO && open->ret != LIN_NEVER;
    uint32_t line = op->line > open->line ? op->line : open->line;
    uint32_t other = op->line > open->line ? open->line : op->line;
    err_set(err, "%u: client %lld has two operations open (the other is on line %u)%s", line,
            (long long)client, other,
            ended ? "" : ": one whose outcome is unknown ends the life of its client");
    return ST_INVAL;
}

enum status lin_sort_calls(const struct lin_history *h, uint32_t **order)
{
    *order = NULL;
    bool sorted = true;
    for (size_t i = 1; sorted && i < h->count; i++) {
        sorted = h->ops[i - 1].call <= h->ops[i].call;
    }
    if (sorted) {
        return ST_OK;
    }
    struct lin_key *keys = mem_alloc(h->mem, h->count * sizeof *keys);
    uint32_t *places = mem_alloc(h->mem, h->count * sizeof *places);
    enum status st = keys != NULL && places != NULL ? ST_OK : ST_NOMEM;
    for (size_t i = 0; st == ST_OK && i < h->count; i++) {
        keys[i] = (struct lin_key){lin_key_of(h->ops[i].call), (uint32_t)i};
    }
    if (st == ST_OK) {
        st = lin_sort(h->mem, keys, h->count);
    }
    for (size_t i = 0; st == ST_OK && i < h->count; i++) {
        places[i] = keys[i].item;
    }
    mem_release(h->mem, keys);
    if (st != ST_OK) {
        mem_release(h->mem, places);
        places = NULL;
    }
    *order = places;
    return st;
}

enum status lin_history_validate(const struct lin_history *h, struct err *err)
{
    if (h->count == 0) {
        return ST_OK;
    }
    uint32_t *order;
    enum status st = lin_sort_calls(h, &order);
    uint32_t *last = mem_alloc(h->mem, (h->clients.count + 1) * sizeof *last);
    st = last == NULL ? ST_NOMEM : st;
    for (uint32_t c = 0; st == ST_OK && c < h->clients.count; c++) {
        last[c] = LIN_NONE;
    }
    for (size_t i = 0; st == ST_OK && i < h->count; i++) {
        uint32_t at = order != NULL ? order[i] : (uint32_t)i;
        const struct lin_rec *op = &h->ops[at];
        uint32_t before = last[op->client];
        if (before != LIN_NONE && h->ops[before].ret > op->call) {
            st = complain(h, before, at, err);
        }
        last[op->client] = at;
    }
    mem_release(h->mem, last);
    mem_release(h->mem, order);
    return st;
}
