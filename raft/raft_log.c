/* raft_log.c - what the core knows of its log: terms as runs, sizes as running sums, durability. */
#include "raft/raft_int.h"

struct raft_write *raft_log_write(struct raft *r, struct raft_out *out)
{
    if (out->save.seq == 0) {
        out->save.seq = r->seq + 1;
    }
    return &out->save;
}

/* The values go in when the step ends: a later change in the same step counts. */
void raft_log_hard(struct raft *r, struct raft_out *out)
{
    struct raft_write *w = raft_log_write(r, out);
    w->has_hard = true;
    r->hard_seq = w->seq;
}

/* ---- durability ---- */

void raft_log_pend(struct raft *r, struct raft_out *out)
{
    uint64_t seq = out->save.seq;
    struct raft_pending *last = r->pending_count > 0 ? &r->pending[r->pending_count - 1] : NULL;
    if (last != NULL && last->seq == seq) {
        last->last = r->last;
    } else if (r->pending_count < RAFT_PENDING) {
        r->pending[r->pending_count++] = (struct raft_pending){seq, r->last};
    } else { /* the two newest count as durable when both are */
        last->seq = seq;
        last->last = r->last;
        saw(out, RAFT_SEEN_MERGED);
    }
}

void raft_log_done(struct raft *r, uint64_t seq)
{
    uint32_t n = 0;
    while (n < r->pending_count && r->pending[n].seq <= seq) {
        r->raw_durable = r->pending[n].last;
        n++;
    }
    r->pending_count -= n;
    for (uint32_t i = 0; n > 0 && i < r->pending_count; i++) {
        r->pending[i] = r->pending[i + n];
    }
    r->done = seq;
}

/* What is on disk, or will be, above index is not this log's any more. */
static void clip_durable(struct raft *r, uint64_t index)
{
    r->raw_durable = min_u64(r->raw_durable, index);
    for (uint32_t i = 0; i < r->pending_count; i++) {
        r->pending[i].last = min_u64(r->pending[i].last, index);
    }
}

/* ---- terms ---- */

/* The run that holds index, floor.index < index <= last. */
static uint32_t run_of(const struct raft *r, uint64_t index)
{
    const struct raft_run *runs = runs_of(r);
    uint32_t lo = r->run_begin;
    uint32_t hi = r->run_end;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (runs[mid].first <= index) {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    return lo;
}

uint64_t raft_log_term(const struct raft *r, uint64_t index)
{
    if (index > r->last || index < r->floor.index) {
        return 0;
    }
    return index == r->floor.index ? r->floor.term : runs_of(r)[run_of(r, index)].term;
}

uint64_t raft_log_meet(const struct raft *r, struct raft_place place)
{
    uint64_t index = min_u64(place.index, r->last);
    if (index <= r->floor.index) {
        return r->floor.index;
    }
    const struct raft_run *runs = runs_of(r);
    uint32_t i = run_of(r, index);
    while (runs[i].term > place.term) { /* runs ascend in term too: see raft_check */
        index = runs[i].first - 1;
        if (i == r->run_begin) {
            return r->floor.index;
        }
        i--;
    }
    return index;
}

/* Forgets the oldest run if a durable snapshot stands for it. */
static bool forget_run(struct raft *r, struct raft_out *out)
{
    struct raft_run *runs = runs_of(r);
    saw(out, RAFT_SEEN_RUNS_FULL);
    if (r->run_end - r->run_begin < 2 || runs[r->run_begin + 1].first - 1 > r->snap.index) {
        saw(out, RAFT_SEEN_RUNS_STUCK);
        return false;
    }
    r->floor.index = runs[r->run_begin + 1].first - 1;
    r->floor.term = runs[r->run_begin].term;
    r->run_begin++;
    return true;
}

/* Room for one run more, behind the last. */
static bool make_run_room(struct raft *r, struct raft_out *out)
{
    if (r->run_end < r->o.runs) {
        return true;
    }
    if (r->run_begin == 0 && !forget_run(r, out)) {
        return false;
    }
    struct raft_run *runs = runs_of(r);
    memmove(runs, runs + r->run_begin, (r->run_end - r->run_begin) * sizeof *runs);
    r->run_end -= r->run_begin;
    r->run_begin = 0;
    return true;
}

/* ---- sizes ---- */

uint64_t raft_log_bytes(const struct raft *r, uint64_t lo, uint64_t hi)
{
    const uint64_t *sums = sums_of(r);
    uint64_t mask = r->o.window - 1;
    lo = max_u64(lo, r->warm);
    return hi <= lo ? 0 : sums[(hi - 1) & mask] - sums[(lo - 1) & mask];
}

uint64_t raft_log_cut(const struct raft *r, uint64_t lo, uint64_t hi)
{
    hi = min_u64(hi, min_u64(r->last, lo + r->o.message_entries - 1) + 1);
    if (raft_log_bytes(r, lo, hi) <= r->o.message_bytes) {
        return hi;
    }
    uint64_t fits = lo + 1; /* one always goes */
    while (hi - fits > 1) {
        uint64_t mid = fits + (hi - fits) / 2;
        if (raft_log_bytes(r, lo, mid) <= r->o.message_bytes) {
            fits = mid;
        } else {
            hi = mid;
        }
    }
    return fits;
}

/* sums[warm - 1] has to stay: so window - 1 entries at most. */
void raft_log_cool(struct raft *r)
{
    if (r->last - (r->warm - 1) >= r->o.window) {
        r->warm = r->last - r->o.window + 2;
    }
    while (r->warm <= r->raw_durable && r->warm <= r->last &&
           raft_log_bytes(r, r->warm, r->last + 1) > r->o.warm_bytes) {
        r->warm++;
    }
}

/* ---- growing, shrinking ---- */

uint32_t raft_log_room(struct raft *r, struct raft_out *out, const struct raft_item *items,
                       uint32_t count, uint64_t term)
{
    uint64_t held = r->last - min_u64(r->last, r->raw_durable);
    uint64_t room = r->o.window - 1 - min_u64(held, r->o.window - 1);
    uint64_t before = last_term(r);
    uint32_t left = r->o.runs - (r->run_end - r->run_begin);
    uint32_t begun = 0;
    uint32_t i = 0;
    for (; i < count && i < room; i++) {
        uint64_t t = term != 0 ? term : items[i].term;
        bool new_run = t != before || (i == 0 && r->run_end == r->run_begin);
        begun += new_run;
        if (begun > RAFT_WRITE_RUNS) {
            break;
        }
        if (new_run && left == 0) {
            if (!forget_run(r, out)) {
                break;
            }
            left = 1;
        }
        left -= new_run;
        before = t;
        if (term != 0) {
            return (uint32_t)min_u64(count, room); /* one run at most */
        }
    }
    return i;
}

static void push_entry(struct raft *r, struct raft_out *out, uint64_t term, uint32_t bytes)
{
    uint64_t *sums = sums_of(r);
    uint64_t mask = r->o.window - 1;
    uint64_t index = r->last + 1;
    if (r->run_end == r->run_begin || runs_of(r)[r->run_end - 1].term != term) {
        bool room = make_run_room(r, out);
        CK(room);
        runs_of(r)[r->run_end++] = (struct raft_run){index, term};
    }
    sums[index & mask] = sums[(index - 1) & mask] + bytes;
    r->last = index;
    if (index - (r->warm - 1) >= r->o.window) {
        r->warm = index - r->o.window + 2;
    }
}

void raft_log_append(struct raft *r, struct raft_out *out, const struct raft_item *items,
                     uint32_t count, uint64_t term, uint32_t skip)
{
    struct raft_write *w = raft_log_write(r, out);
    CK(w->lo == w->hi);
    CK(!w->repair);
    w->lo = r->last + 1;
    w->hi = w->lo + count;
    w->items = items;
    w->term = term;
    w->skip = skip;
    CK(term != 0 || items[0].term >= last_term(r));
    CK(term == 0 || term >= last_term(r));
    for (uint32_t i = 0; i < count; i++) {
        push_entry(r, out, term != 0 ? term : items[i].term, items[i].bytes);
        if (items[i].kind == RAFT_CONFIG) {
            raft_change_enter(r, out, r->last, items[i].config);
        }
    }
    raft_log_pend(r, out);
    raft_log_cool(r);
}

void raft_log_truncate(struct raft *r, struct raft_out *out, uint64_t index)
{
    CK(index > r->commit); /* V4: what is committed is never given up */
    CK(index <= r->last);
    struct raft_write *w = raft_log_write(r, out);
    struct raft_run *runs = runs_of(r);
    w->truncate = index;
    while (r->run_end > r->run_begin && runs[r->run_end - 1].first >= index) {
        r->run_end--;
    }
    r->last = index - 1;
    r->warm = min_u64(r->warm, index);
    if (r->warm == index) {
        sums_of(r)[(index - 1) & (r->o.window - 1)] = 0; /* nothing is warm: sums begin anew */
    }
    r->accepted = min_u64(r->accepted, index - 1);
    clip_durable(r, index - 1);
    raft_mend_clip(r, 0, index);
    raft_change_revert(r, out, index);
    raft_log_pend(r, out);
    saw(out, RAFT_SEEN_CONFLICT);
}

/* Runs begin behind place now. */
static void drop_runs(struct raft *r, struct raft_place place)
{
    struct raft_run *runs = runs_of(r);
    while (r->run_end - r->run_begin > 1 && runs[r->run_begin + 1].first <= place.index + 1) {
        r->run_begin++;
    }
    if (r->last <= place.index) {
        r->run_begin = r->run_end = 0;
    } else if (runs[r->run_begin].first <= place.index) {
        runs[r->run_begin].first = place.index + 1;
    }
    r->floor = place;
}

void raft_log_rebase(struct raft *r, struct raft_place place, bool keep)
{
    r->base = place;
    if (!keep) {
        clip_durable(r, r->commit);
        r->last = place.index;
    }
    if (place.index >= r->floor.index) {
        drop_runs(r, place);
    }
    if (r->warm <= place.index + 1) {
        r->warm = place.index + 1;
    }
    if (!keep) {
        r->warm = place.index + 1;
        sums_of(r)[place.index & (r->o.window - 1)] = 0;
    }
    raft_mend_clip(r, place.index + 1, r->last + 1);
}
