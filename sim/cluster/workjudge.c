/* workjudge.c - see workload.h: life of a workload, and the judgement of its history. */
#include "base/ck.h"
#include "sim/cluster/workload.h"

#include <stdio.h>

#define LIN_STEPS  20000000u
#define LIN_MEMORY ((size_t)512 * 1024 * 1024)

void workload_init(struct workload *l, size_t clients)
{
    l->client_count = clients;
    l->clients = mem_zalloc(l->world->mem, clients * sizeof *l->clients);
    lin_history_init(&l->history, l->world->mem);
    buf_init(&l->tries, l->world->mem);
}

void workload_release(struct workload *l)
{
    struct mem *mem = l->history.mem;
    mem_release(mem, l->clients);
    mem_release(mem, l->refs);
    buf_release(&l->tries);
    lin_history_release(&l->history);
}

void workload_start(struct workload *l, size_t i, bool verifier)
{
    struct client *k = &l->clients[i];
    char name[16];
    k->load = l;
    k->host = k->host != NULL ? k->host : world_host(l->world, NULL);
    k->number = (uint32_t)i + 1;
    k->first = i;
    k->stride = plan_get(l->plan, PLAN_CLIENTS);
    k->verifier = verifier;
    l->running++;
    (void)snprintf(name, sizeof name, verifier ? "verify" : "client%u", (unsigned)(i + 1) % 1000);
    (void)proc_start(k->host, name, workload_main, 0, NULL, k);
}

bool workload_verified(const struct workload *l, size_t i)
{
    return l->clients[i].done && !l->clients[i].failed;
}

static void say_unexplained(struct workload *l, const struct lin_order_verdict *v)
{
    struct buf text;
    buf_init(&text, l->world->mem);
    enum status st = lin_history_say(&l->history, v->place, &text);
    CK(st == ST_OK);
    (void)snprintf(l->result->order_why, sizeof l->result->order_why, "%s: %.*s",
                   v->why != NULL ? v->why : "no place", text.size > 160 ? 160 : (int)text.size,
                   text.data);
    buf_release(&text);
}

bool workload_order_explains(struct workload *l)
{
    struct lin_order_verdict v;
    enum status st = lin_order_check(&l->history, &v);
    CK(st == ST_OK);
    if (v.result != LIN_LINEARIZABLE) {
        say_unexplained(l, &v);
    }
    return v.result == LIN_LINEARIZABLE;
}

void workload_search(struct workload *l)
{
    struct lin_options o = {.steps = LIN_STEPS, .memory = LIN_MEMORY};
    struct lin_verdict v;
    enum status st = lin_check(&l->history, &o, &v);
    CK(st == ST_OK);
    if (v.result == LIN_NON_LINEARIZABLE) {
        struct buf text;
        buf_init(&text, l->world->mem);
        for (size_t i = 0; i < v.witness_count && st == ST_OK; i++) {
            st = lin_history_say(&l->history, v.witness[i], &text);
        }
        world_fail(l->world, "X1 linearizability", "%s\n%.*s", v.text, (int)text.size,
                   text.data != NULL ? text.data : "");
        buf_release(&text);
    }
    l->result->unknown = v.result == LIN_UNKNOWN;
    l->result->searched = true;
    lin_verdict_release(&v);
}
