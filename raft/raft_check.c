/* raft_check.c - the structure of one state; what nodes owe each other is not its concern. */
#include "raft/raft_int.h"

/* Terms ascend, runs cover (floor, last]. */
static bool runs_sound(const struct raft *r)
{
    const struct raft_run *runs = runs_of(r);
    uint64_t term = r->floor.term;
    if (r->run_end > r->o.runs || (r->run_begin == r->run_end) != (r->last == r->floor.index)) {
        return false;
    }
    for (uint32_t i = r->run_begin; i < r->run_end; i++) {
        bool first = i == r->run_begin;
        if ((first ? runs[i].first != r->floor.index + 1 : runs[i].first <= runs[i - 1].first) ||
            (first ? runs[i].term < term : runs[i].term <= term) || runs[i].first > r->last) {
            return false;
        }
        term = runs[i].term;
    }
    return term <= r->hard.term;
}

static bool log_sound(const struct raft *r)
{
    bool places = r->base.index <= r->floor.index && r->floor.index <= r->commit &&
                  r->commit <= r->last && r->applied <= r->commit && r->raw_durable <= r->last &&
                  r->apply_next <= r->commit + 1 && r->applied < r->apply_next;
    bool sizes = r->warm >= 1 && r->warm <= r->last + 1 && r->last + 1 - r->warm < r->o.window;
    bool writes = r->done <= r->seq && r->hard_seq <= r->seq && r->snap_seq <= r->seq;
    for (uint32_t i = 0; i < r->pending_count; i++) {
        writes = writes && r->pending[i].seq > r->done && r->pending[i].seq <= r->seq &&
                 r->pending[i].last <= r->last &&
                 (i == 0 || r->pending[i].seq > r->pending[i - 1].seq);
    }
    for (uint32_t i = 0; i < r->damage_count; i++) {
        places = places && r->damage[i].lo > r->base.index && r->damage[i].lo < r->damage[i].hi &&
                 r->damage[i].hi <= r->last + 1 &&
                 (i == 0 || r->damage[i].lo > r->damage[i - 1].hi);
    }
    return places && sizes && writes;
}

/* Nobody is believed to have more than there is; where the logs are not known to meet, one append
 * waits at most. */
static bool peers_sound(const struct raft *r)
{
    bool good = r->peer_count == r->config.count && r->self_slot <= r->peer_count &&
                r->config_index <= r->last;
    for (uint32_t i = 0; good && i < r->peer_count; i++) {
        const struct raft_peer *p = &peers_of(r)[i];
        good = p->id == r->config.members[i].id && p->roles == r->config.members[i].roles;
        if (r->state == RAFT_LEADER && good) {
            good = p->match <= r->last && p->next <= r->last + 1 && p->session >= r->term_first &&
                   (is_self(r, p) || p->match < p->next) && p->told <= r->commit &&
                   p->flow >= RAFT_FLOW_PROBE && p->flow <= RAFT_FLOW_SNAPSHOT;
        }
    }
    return good;
}

static bool role_sound(const struct raft *r)
{
    bool good = r->read_lo <= r->read_mid && r->read_mid <= r->read_hi &&
                r->read_hi - r->read_lo <= r->o.reads;
    switch (r->state) {
    case RAFT_LEADER:
        return good && r->leader == r->o.self && r->term_first > 0 && r->term_first <= r->last &&
               r->hard_seq <= r->done && r->hard.vote == r->o.self;
    case RAFT_CANDIDATE:
        return good && r->leader == 0 && r->hard.vote == r->o.self;
    case RAFT_HALTED:
        return good;
    default:
        return good && r->leader != r->o.self && r->read_mid == r->read_hi &&
               r->accepted <= r->last && (r->accepted >= r->commit);
    }
}

bool raft_check(const struct raft *r)
{
    return !r->started || (runs_sound(r) && log_sound(r) && peers_sound(r) && role_sound(r));
}
