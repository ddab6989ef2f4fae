/* raft_digest.c - one number for all that can change in a state. Field by field, so that it is the
 * same on every machine; sizes go in by difference, as nothing depends on where sums began. */
#include "raft/raft_int.h"

static uint64_t fold_config(uint64_t h, const struct raft_config *c)
{
    h = hash_add(h, c->count);
    for (uint32_t i = 0; i < c->count; i++) {
        h = HASH_FOLD(h, c->members[i].id, c->members[i].incarnation, c->members[i].roles);
    }
    return h;
}

static uint64_t fold_writes(uint64_t h, const struct raft *r)
{
    h = HASH_FOLD(h, r->hard.term, r->hard.vote, r->hard_seq, r->seq, r->done, r->snap_seq,
                  r->mend_seq, r->mend_hi, r->pending_count);
    for (uint32_t i = 0; i < r->pending_count; i++) {
        h = HASH_FOLD(h, r->pending[i].seq, r->pending[i].last);
    }
    return h;
}

static uint64_t fold_log(uint64_t h, const struct raft *r)
{
    const struct raft_run *runs = runs_of(r);
    h = HASH_FOLD(h, r->base.index, r->base.term, r->floor.index, r->floor.term, r->last,
                  r->raw_durable, r->warm, r->commit, r->applied, r->apply_next, r->snap.index,
                  r->snap.term, r->damage_count, r->run_end - r->run_begin);
    for (uint32_t i = 0; i < r->damage_count; i++) {
        h = HASH_FOLD(h, r->damage[i].lo, r->damage[i].hi);
    }
    for (uint32_t i = r->run_begin; i < r->run_end; i++) {
        h = HASH_FOLD(h, runs[i].first, runs[i].term);
    }
    for (uint64_t i = r->warm; i <= r->last; i++) {
        h = hash_add(h, raft_log_bytes(r, i, i + 1));
    }
    return h;
}

static uint64_t fold_peers(uint64_t h, const struct raft *r)
{
    h = HASH_FOLD(h, r->peer_count, r->self_slot, r->config_index, r->before_index);
    h = fold_config(h, &r->config);
    h = r->before_index != RAFT_NEVER ? fold_config(h, &r->before) : h;
    for (uint32_t i = 0; i < r->peer_count; i++) {
        const struct raft_peer *p = &peers_of(r)[i];
        h = HASH_FOLD(h, p->id, p->incarnation, p->match, p->next, p->session, p->contact,
                      p->acked_probe, p->acked_stamp, p->beat_probe, p->beat_next, p->cold_hi,
                      p->cold_bytes, p->fetch, p->probe_hi, p->told, p->absent, p->roles, p->flow,
                      p->vote, p->broken);
    }
    return h;
}

static uint64_t fold_role(uint64_t h, const struct raft *r)
{
    return HASH_FOLD(h, r->state, r->stalled, r->owes, r->handed, r->more, r->started, r->wanted,
                     r->stuck, r->leader, r->session, r->accepted, r->leader_commit, r->owed_probe,
                     r->owed_stamp, r->term_first, r->probe, r->transferee, r->transfer_context,
                     r->now, r->timeout, r->election_at, r->sticky_until, r->heartbeat_at,
                     r->transfer_at, r->prng.state, r->life);
}

/* ---- without time and names ---- */

static uint64_t sum_config(const struct raft_config *c, const uint64_t *names)
{
    uint64_t sum = c->count;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct raft_member *m = &c->members[i];
        sum += HASH_FOLD(1, names[m->id], m->incarnation, m->roles);
    }
    return sum;
}

static uint64_t sum_peers(const struct raft *r, const uint64_t *names)
{
    uint64_t sum = r->peer_count;
    for (uint32_t i = 0; i < r->peer_count; i++) {
        const struct raft_peer *p = &peers_of(r)[i];
        uint64_t beat = p->beat_next != 0 ? r->probe - p->beat_probe + 1 : 0;
        uint64_t acked = r->read_hi > r->read_lo ? r->probe - p->acked_probe : 0;
        sum += HASH_FOLD(2, names[p->id], p->incarnation, p->match, p->next, p->session, acked,
                         beat, p->beat_next, p->cold_hi, p->fetch, p->probe_hi, p->told, p->absent,
                         p->roles, p->flow, p->vote, p->broken);
    }
    return sum;
}

uint64_t raft_digest_timeless(const struct raft *r, const uint64_t *names)
{
    uint64_t h =
        HASH_FOLD(0, names[r->o.self], r->state, r->stalled, r->owes, r->handed, r->more,
                  r->started, r->wanted, names[r->leader], r->session, r->accepted,
                  r->leader_commit, r->owed_probe, r->term_first, names[r->transferee], r->probe);
    h = HASH_FOLD(h, r->hard.term, names[r->hard.vote], r->seq - r->hard_seq, r->seq - r->done,
                  r->snap_seq, r->mend_seq, r->mend_hi, r->pending_count);
    for (uint32_t i = 0; i < r->pending_count; i++) {
        h = HASH_FOLD(h, r->seq - r->pending[i].seq, r->pending[i].last);
    }
    h = fold_log(h, r);
    h = HASH_FOLD(h, r->config_index, r->before_index, sum_config(&r->config, names),
                  r->before_index != RAFT_NEVER ? sum_config(&r->before, names) : 0,
                  sum_peers(r, names), r->read_hi - r->read_lo, r->read_mid - r->read_lo);
    for (uint64_t i = r->read_lo; i < r->read_hi; i++) {
        const struct raft_read *q = read_at(r, i);
        h = HASH_FOLD(h, q->context, names[q->from], r->probe - q->probe, q->index);
    }
    return h;
}

/* ---- the whole ---- */

uint64_t raft_digest(const struct raft *r)
{
    uint64_t h = fold_role(0, r);
    h = fold_writes(h, r);
    h = fold_log(h, r);
    h = fold_peers(h, r);
    h = HASH_FOLD(h, r->read_lo, r->read_mid, r->read_hi);
    for (uint64_t i = r->read_lo; i < r->read_hi; i++) {
        const struct raft_read *q = read_at(r, i);
        h = HASH_FOLD(h, q->context, q->from, q->life, q->probe, q->index);
    }
    return h;
}
