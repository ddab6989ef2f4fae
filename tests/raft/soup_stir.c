/* soup_stir.c - a quiet world, a random one, and what must come to pass when all is well again. */
#include "tests/raft/soup_int.h"

/* Without pre-votes one that cannot win may stand just before one that can, again and again: five
 * times of six if the loser asks nobody who could tell the winner. */
#define HEAL_TIMEOUTS 200

static bool chance(struct soup *s, uint32_t thousandths)
{
    return thousandths != 0 && prng_below(&s->prng, 1000) < thousandths;
}

/* ---- a quiet world ---- */

static bool tick_due(struct soup *s)
{
    bool any = false;
    for (uint64_t id = 1; id <= s->nodes && soup_fine(s); id++) {
        if (s->node[id].up && s->node[id].deadline <= soup_clock(s, &s->node[id])) {
            soup_event(s, id, RAFT_EV_TIME);
            any = true;
        }
    }
    return any;
}

/* Disks and state machines have nothing to do; returns whether they had. */
static bool settle_nodes(struct soup *s)
{
    bool busy = false;
    for (uint64_t id = 1; id <= s->nodes && soup_fine(s); id++) {
        struct soup_node *n = &s->node[id];
        bool behind = n->up && n->machine.place.index + 1 < n->apply_to;
        bool writes = n->up && !n->mute && (n->write_count > 0 || n->told < n->done);
        if (writes) {
            soup_persist(s, id, n->write_count, true);
        }
        if (behind) {
            soup_apply(s, id, UINT64_MAX);
        }
        if (n->wants_snapshot) {
            soup_flush(s, id);
        }
        busy = busy || behind || writes;
    }
    return busy;
}

/* When its clock will read its deadline. */
static uint64_t wakes_at(const struct soup_node *n)
{
    if (!n->up || n->deadline == RAFT_NEVER) {
        return RAFT_NEVER;
    }
    uint64_t span = n->deadline > n->clock_at ? n->deadline - n->clock_at : 0;
    return n->clock_from + (span * 1000000 + n->rate - 1) / n->rate;
}

static uint64_t next_moment(const struct soup *s)
{
    uint64_t at = RAFT_NEVER;
    for (size_t i = 0; i < s->net.count; i++) {
        at = s->net.msgs[i].due < at ? s->net.msgs[i].due : at;
    }
    for (uint64_t id = 1; id <= s->nodes; id++) {
        uint64_t wakes = wakes_at(&s->node[id]);
        at = wakes < at ? wakes : at;
    }
    return at;
}

static bool deliver_due(struct soup *s)
{
    for (size_t i = 0; i < s->net.count; i++) {
        if (s->net.msgs[i].due <= s->now) {
            soup_deliver(s, i);
            return true;
        }
    }
    return false;
}

void soup_run(struct soup *s, uint64_t time)
{
    uint64_t end = s->now + time;
    while (soup_fine(s)) {
        while (soup_fine(s) && (settle_nodes(s) || deliver_due(s) || tick_due(s))) {
        }
        uint64_t at = next_moment(s);
        if (at > end) {
            s->now = end;
            return;
        }
        s->now = at > s->now ? at : s->now;
    }
}

uint64_t soup_elect(struct soup *s)
{
    for (int i = 0; i < 400 && soup_fine(s); i++) {
        struct raft_view v;
        uint64_t leader = soup_leader(s);
        soup_view(s, leader != 0 ? leader : 1, &v);
        if (leader != 0 && v.commit > 0 && raft_term_at(s->node[leader].core, v.commit) == v.term) {
            return leader;
        }
        soup_run(s, s->options.election / 10);
    }
    return 0;
}

/* ---- a random one ---- */

static uint32_t draw(struct soup *s, uint32_t most)
{
    return prng_below(&s->prng, 3) == 0 ? 0 : 1 + (uint32_t)prng_below(&s->prng, most);
}

/* Leases are promised within a drift only; all else at any. */
static void draw_clocks(struct soup *s)
{
    uint64_t million = 1000000;
    for (uint64_t id = 1; id <= SOUP_NODES; id++) {
        uint64_t near = million - 500 + prng_below(&s->prng, 1001);
        uint64_t any = million / 5 + prng_below(&s->prng, 3 * million);
        soup_pace(s, id, s->options.lease || s->knobs.skew == 0 ? near : any);
    }
}

/* Half of what could go wrong does, in another strength each time; sizes are small, so that
 * their limits are met. */
void soup_draw(struct soup *s)
{
    static const uint32_t windows[] = {16, 32, 64, 256};
    s->knobs.lose = draw(s, 100);
    s->knobs.twice = draw(s, 60);
    s->knobs.reorder = draw(s, 1000);
    s->knobs.crash = draw(s, 12);
    s->knobs.cut = draw(s, 12);
    s->knobs.propose = 20 + draw(s, 150);
    s->knobs.read = draw(s, 60);
    s->knobs.change = draw(s, 20);
    s->knobs.transfer = draw(s, 8);
    s->knobs.snapshot = draw(s, 30);
    s->knobs.stall = draw(s, 4);
    s->knobs.unreachable = draw(s, 10);
    s->knobs.persist = 60 + draw(s, 500);
    s->knobs.apply = 60 + draw(s, 400);
    s->knobs.force = draw(s, 6);
    s->knobs.damage = draw(s, 300);
    s->knobs.skew = draw(s, 1);
    s->knobs.heal = 1 + (uint32_t)prng_below(&s->prng, 8);
    s->knobs.pace = 4 + (uint32_t)prng_below(&s->prng, 20);
    s->options.window = windows[prng_below(&s->prng, 4)];
    s->options.flight_entries = 1 + (uint32_t)prng_below(&s->prng, s->options.window / 2);
    s->options.backlog_entries = 1 + (uint32_t)prng_below(&s->prng, s->options.window - 2);
    s->options.message_entries = 1 + (uint32_t)prng_below(&s->prng, 12);
    s->options.message_bytes = 1 + (uint32_t)prng_below(&s->prng, 100);
    s->options.flight_bytes = 1 + prng_below(&s->prng, 500);
    s->options.warm_bytes = 1 + prng_below(&s->prng, 500);
    s->options.runs = 5 + (uint32_t)prng_below(&s->prng, 60);
    s->options.reads = 1 + (uint32_t)prng_below(&s->prng, 16);
    s->options.rounds = 1 + (uint32_t)prng_below(&s->prng, 3);
    s->options.lease = s->knobs.force == 0 && prng_below(&s->prng, 2) == 0;
    s->options.no_prevote = prng_below(&s->prng, 5) == 0;
    draw_clocks(s);
    if (s->options.lease && prng_below(&s->prng, 2) == 0) { /* what ends a lease before its time */
        s->knobs.transfer = 50;
        s->knobs.read = 100;
    }
    if (prng_below(&s->prng, 4) == 0) { /* members come and go, disks are late, messages old */
        s->knobs.change = 40;
        s->knobs.reorder = 1000;
        s->knobs.twice = 200;
        s->knobs.persist = 100;
    }
}

static uint64_t any_node(struct soup *s)
{
    return 1 + prng_below(&s->prng, s->nodes);
}

static void move_message(struct soup *s)
{
    if (s->net.count == 0) {
        return;
    }
    bool shuffle = chance(s, s->knobs.reorder);
    size_t i = shuffle ? prng_below(&s->prng, s->net.count) : 0;
    if (chance(s, s->knobs.twice) && s->net.msgs[i].m.type != RAFT_MSG_SNAPSHOT) {
        soup_twice(s, i);
    }
    if (chance(s, s->knobs.lose)) {
        soup_lose(s, i);
    } else {
        soup_deliver(s, i);
    }
}

static void move_disk(struct soup *s)
{
    uint64_t id = any_node(s);
    struct soup_node *n = &s->node[id];
    if (n->wants_snapshot) {
        soup_flush(s, id);
    }
    if (n->up && (n->write_count > 0 || n->told < n->done)) {
        size_t count = prng_below(&s->prng, n->write_count + 1);
        soup_persist(s, id, count, prng_below(&s->prng, 4) != 0);
    }
}

static void move_apply(struct soup *s)
{
    uint64_t id = any_node(s);
    soup_apply(s, id, 1 + prng_below(&s->prng, 8));
}

static uint32_t voters_on_disk(const struct soup_node *n)
{
    const struct raft_config *c = &n->base.config;
    uint32_t voters = 0;
    for (size_t i = 0; i < n->disk.count; i++) {
        c = n->disk.entries[i].item.config != NULL ? n->disk.entries[i].item.config : c;
    }
    for (uint32_t i = 0; i < c->count; i++) {
        voters += c->members[i].roles == RAFT_IN;
    }
    return voters;
}

/* One node at most is ever damaged, in what its disk had before it starts: less than a quorum. */
static void maybe_damage(struct soup *s, uint64_t id)
{
    struct soup_node *n = &s->node[id];
    uint64_t lo = n->flushed.place.index + 1;
    uint64_t hi = n->disk.from + n->disk.count;
    if (id == 1 && voters_on_disk(n) >= 3 && lo < hi && chance(s, s->knobs.damage)) {
        lo += prng_below(&s->prng, hi - lo);
        hi = lo + 1 + prng_below(&s->prng, hi - lo);
        soup_damage(s, id, lo, hi);
    }
}

static void move_process(struct soup *s)
{
    uint64_t id = any_node(s);
    if (s->node[id].up && chance(s, s->knobs.crash)) {
        soup_crash(s, id);
    } else if (!s->node[id].up && chance(s, 20)) {
        maybe_damage(s, id);
        soup_up(s, id);
    }
}

static void move_links(struct soup *s)
{
    uint64_t a = any_node(s);
    uint64_t b = any_node(s);
    if (a != b && chance(s, s->knobs.cut)) {
        if (prng_below(&s->prng, 3) == 0) {
            uint64_t leader = soup_leader(s);
            bool aim = leader != 0 && prng_below(&s->prng, 2) == 0;
            soup_isolate(s, aim ? leader : a, true);
        } else if (prng_below(&s->prng, 2) == 0) {
            soup_split(s, a, b, true);
        } else {
            s->cut[a][b] = true;
        }
    }
    if (chance(s, s->knobs.heal)) {
        memset(s->cut, 0, sizeof s->cut);
    }
}

/* ---- members ---- */

static bool has_member(const struct raft_config *c, uint64_t id)
{
    for (uint32_t i = 0; c != NULL && i < c->count; i++) {
        if (c->members[i].id == id) {
            return true;
        }
    }
    return false;
}

/* Or could be again, when a configuration that is not committed goes. */
static bool is_member_anywhere(const struct soup *s, uint64_t id)
{
    for (uint64_t other = 1; other <= s->nodes; other++) {
        const struct soup_node *n = &s->node[other];
        struct raft_view v;
        uint64_t index;
        if (n->made && !n->up) {
            return true; /* who knows what its disk says */
        }
        soup_view(s, other, &v);
        if (n->up && (has_member(raft_config(n->core), id) ||
                      (v.config_index > v.commit &&
                       has_member(raft_config_at(n->core, v.config_index - 1, &index), id)))) {
            return true;
        }
    }
    return false;
}

/* Up to two members come, go, or change sides. */
static void draw_config(struct soup *s, const struct raft_config *from, struct raft_config *to)
{
    uint8_t roles[SOUP_NODES + 1] = {0};
    for (uint32_t i = 0; i < from->count; i++) {
        roles[from->members[i].id] = from->members[i].roles & (RAFT_IN | RAFT_LEARNER);
    }
    for (uint64_t n = 1 + prng_below(&s->prng, 2); n > 0; n--) {
        static const uint8_t kinds[] = {0, RAFT_IN, RAFT_IN, RAFT_LEARNER};
        uint64_t id = any_node(s);
        roles[id] = kinds[prng_below(&s->prng, 4)];
    }
    to->count = 0;
    for (uint64_t id = 1; id <= s->nodes; id++) {
        if (roles[id] != 0 && s->node[id].made) {
            to->members[to->count++] = (struct raft_member){id, s->node[id].incarnation, roles[id]};
        }
    }
}

static uint32_t voters_up(const struct soup *s, const struct raft_config *c, uint32_t *voters)
{
    uint32_t up = 0;
    *voters = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        if ((c->members[i].roles & RAFT_IN) != 0) {
            (*voters)++;
            up += s->node[c->members[i].id].up;
        }
    }
    return up;
}

static void move_members(struct soup *s)
{
    uint64_t leader = soup_leader(s);
    uint64_t id = any_node(s);
    struct raft_config to = {0};
    uint32_t voters;
    if (leader == 0) {
        return;
    }
    if (id != 1 && !is_member_anywhere(s, id) && prng_below(&s->prng, 2) == 0) {
        soup_blank(s, id); /* its disk is replaced: it must come as somebody new */
        soup_up(s, id);
        return;
    }
    draw_config(s, raft_config(s->node[leader].core), &to);
    if (voters_up(s, &to, &voters) > voters / 2) {
        (void)soup_change(s, leader, &to);
    }
}

/* ---- the rest ---- */

static void move_snapshot(struct soup *s)
{
    uint64_t id = any_node(s);
    struct soup_node *n = &s->node[id];
    soup_flush(s, id);
    if (n->up && n->flushed.place.index > n->base.place.index && prng_below(&s->prng, 2) == 0) {
        uint64_t room = n->flushed.place.index - n->base.place.index;
        soup_compact(s, id, n->base.place.index + 1 + prng_below(&s->prng, room));
    }
}

static void move_leader(struct soup *s)
{
    uint64_t id = any_node(s);
    if (chance(s, s->knobs.transfer)) {
        uint64_t who = prng_below(&s->prng, 4) == 0 ? id : soup_leader(s);
        soup_transfer(s, who, any_node(s));
    }
    if (chance(s, s->knobs.stall)) {
        soup_event(s, id, RAFT_EV_DISK_STALLED);
    }
    if (chance(s, s->knobs.unreachable)) {
        struct raft_event e = {.type = RAFT_EV_UNREACHABLE, .node = any_node(s)};
        (void)soup_step(s, id, &e);
    }
    if (chance(s, s->knobs.force)) {
        soup_force(s, id,
                   prng_below(&s->prng, 2) == 0 ? RAFT_FORCE_ELECTION : RAFT_FORCE_HEARTBEAT);
    }
}

/* One that leads a term that is over and does not know it: whom a client should not believe. */
static uint64_t stale_leader(const struct soup *s)
{
    uint64_t leader = soup_leader(s);
    for (uint64_t id = 1; id <= s->nodes; id++) {
        struct raft_view v;
        soup_view(s, id, &v);
        if (v.state == RAFT_LEADER && id != leader) {
            return id;
        }
    }
    return 0;
}

static void move_clients(struct soup *s)
{
    uint64_t leader = soup_leader(s);
    uint64_t id = leader != 0 && prng_below(&s->prng, 4) != 0 ? leader : any_node(s);
    if (chance(s, s->knobs.propose)) {
        (void)soup_propose(s, id);
    }
    uint64_t stale = s->knobs.read != 0 ? stale_leader(s) : 0;
    if (stale != 0 && prng_below(&s->prng, 10) == 0) {
        soup_read(s, stale);
    } else if (chance(s, s->knobs.read)) {
        soup_read(s, any_node(s));
    }
}

void soup_stir(struct soup *s, uint32_t moves)
{
    for (; moves > 0 && soup_fine(s); moves--) {
        s->now += prng_below(&s->prng, s->knobs.pace);
        (void)tick_due(s);
        if (prng_below(&s->prng, 1000) < 600) {
            move_message(s);
        }
        if (chance(s, s->knobs.persist)) {
            move_disk(s);
        }
        if (chance(s, s->knobs.apply)) {
            move_apply(s);
        }
        if (chance(s, s->knobs.snapshot)) {
            move_snapshot(s);
        }
        if (chance(s, s->knobs.change)) {
            move_members(s);
        }
        move_clients(s);
        move_leader(s);
        move_process(s);
        move_links(s);
    }
}

/* ---- all is well again ---- */

static void unlike(struct soup *s, const char *why, uint64_t id)
{
    if (soup_fine(s)) {
        (void)snprintf(s->what, sizeof s->what, "%s (node %llu)", why, U(id));
    }
}

/* Members of the leader's configuration hold the same log to the same end. */
static void check_equal(struct soup *s, uint64_t leader)
{
    struct raft_view l;
    struct raft_view v;
    const struct raft_config *c = raft_config(s->node[leader].core);
    soup_view(s, leader, &l);
    for (uint32_t i = 0; i < c->count; i++) {
        uint64_t id = c->members[i].id;
        soup_view(s, id, &v);
        if (v.last != l.last || v.commit != l.last || v.applied != l.last || v.damaged ||
            s->node[id].machine.digest != s->node[leader].machine.digest) {
            unlike(s, "CV: a quiet group has not converged", id);
        }
    }
}

/* A connected group commits within some election timeouts; then it falls silent but for
 * heartbeats, with equal logs. */
void soup_heal(struct soup *s)
{
    uint64_t leader = 0;
    uint64_t index = 0;
    memset(s->cut, 0, sizeof s->cut);
    for (uint64_t id = 1; id <= SOUP_NODES; id++) {
        soup_pace(s, id, 1000000);
    }
    soup_up_all(s);
    for (int i = 0; i < HEAL_TIMEOUTS && soup_fine(s); i++) {
        soup_run(s, s->options.election);
        leader = soup_leader(s);
        index = leader != 0 ? soup_propose(s, leader) : 0;
        if (index != 0) {
            break;
        }
    }
    soup_run(s, 10 * s->options.election);
    struct raft_view v;
    leader = soup_leader(s);
    if (leader == 0 || index == 0) {
        unlike(s, "LV: nobody leads a connected group", leader);
        return;
    }
    soup_view(s, leader, &v);
    if (v.commit < index) {
        unlike(s, "LV: a connected group does not commit", leader);
    }
    check_equal(s, leader);
    if (s->read_count > 0 && soup_fine(s)) {
        soup_run(s, s->options.election);
    }
}

void soup_world(struct soup *s, uint64_t seed, uint32_t moves)
{
    static const uint32_t sizes[] = {3, 3, 5, 3, 4, 1, 3, 5};
    uint32_t n = sizes[seed % 8];
    soup_init(s, n, seed);
    soup_draw(s);
    s->options.verify = seed % 2 == 0; /* the others are judged from outside alone */
    s->nodes = n + (seed % 3 == 0 && n < 5 ? 2 : 0);
    for (uint64_t id = n + 1; id <= s->nodes; id++) {
        soup_blank(s, id);
    }
    soup_up_all(s);
    soup_stir(s, moves);
    soup_heal(s);
}
