/* netsplit.c - see netsplit.h. */
#include "sim/netsplit.h"

#include "base/ck.h"
#include "sim/simlink.h"
#include "sim/simnet.h"

#include <stdio.h>

static void say(const struct netsplit *s, const char *what)
{
    char text[TRACE_TEXT];
    (void)snprintf(text, sizeof text, "%s %s", what, s->partition.text);
    world_trace(s->world, TRACE_FAULT, text, s->count);
}

/* What a cut of the link from one to the other is about; false: there is nothing to cut. */
static bool how(const struct netsplit *s, const struct host *from, const struct host *to,
                struct simlink_cut *cut)
{
    static const enum simlink_mode modes[] = {SIMLINK_DROP, SIMLINK_REJECT, SIMLINK_RESET};
    const struct partition *p = &s->partition;
    *cut = (struct simlink_cut){.mode = modes[p->mode], .acks_pass = p->acks_pass};
    switch (p->filter) {
    case PARTITION_ALL:
        break;
    case PARTITION_PEERS:
    case PARTITION_CLIENTS:
        cut->what = p->filter == PARTITION_PEERS ? SIMLINK_PORT : SIMLINK_NOT_PORT;
        cut->value = s->peer_port;
        break;
    case PARTITION_BIGGER:
        cut->what = SIMLINK_BIGGER;
        cut->value = p->bytes;
        break;
    case PARTITION_ONE:
        cut->what = SIMLINK_CONN;
        cut->value = simnet_conn_between(s->world->net, from, to, 0);
        return cut->value != 0;
    }
    return true;
}

void netsplit_lay(struct netsplit *s)
{
    const struct partition *p = &s->partition;
    netsplit_lift(s);
    for (unsigned i = 0; i < p->hosts; i++) {
        for (unsigned k = 0; k < p->hosts; k++) {
            struct simlink_cut cut;
            if (!partition_is_cut(p, i, k) || !how(s, s->hosts[i], s->hosts[k], &cut)) {
                continue;
            }
            s->cuts = mem_resize(s->world->mem, s->cuts, (s->count + 1) * sizeof *s->cuts);
            CK(s->cuts != NULL);
            uint64_t id = simlink_cut(s->world, s->hosts[i], s->hosts[k], &cut);
            s->cuts[s->count++] = (struct netsplit_cut){(uint8_t)i, (uint8_t)k, id};
        }
    }
}

void netsplit_start(struct netsplit *s, struct world *w, struct host *const *hosts,
                    const struct partition *p, uint16_t peer_port)
{
    *s = (struct netsplit){.world = w, .hosts = hosts, .partition = *p, .peer_port = peer_port};
    netsplit_lay(s);
    say(s, "cut");
}

void netsplit_heal_link(struct netsplit *s, size_t i)
{
    struct netsplit_cut *c = &s->cuts[i];
    if (c->id != 0) {
        simlink_heal(s->world, s->hosts[c->from], s->hosts[c->to], c->id);
        c->id = 0;
    }
}

void netsplit_lift(struct netsplit *s)
{
    for (size_t i = 0; i < s->count; i++) {
        netsplit_heal_link(s, i);
    }
    s->count = 0;
}

void netsplit_heal(struct netsplit *s)
{
    if (s->world != NULL) {
        netsplit_lift(s);
        say(s, "healed");
    }
    netsplit_release(s);
}

void netsplit_release(struct netsplit *s)
{
    if (s->world != NULL) {
        mem_release(s->world->mem, s->cuts);
    }
    *s = (struct netsplit){.world = NULL};
}
