/* soup_node.c - disks, state machines, processes; the life of a soup. */
#include "tests/lin/libc_mem.h"
#include "tests/raft/soup_int.h"

/* ---- disks ---- */

static void write_down(struct soup *s, struct soup_node *n)
{
    struct soup_write *w = &n->writes[0];
    log_write(&n->disk, &w->w, w->entries);
    if (w->w.has_hard) {
        n->hard = w->w.hard;
    }
    if (w->w.has_snapshot) {
        n->base = (struct soup_snapshot){w->w.place, *w->w.config, w->w.place.index, w->digest};
        n->flushed = n->base;
    }
    for (uint64_t i = w->w.lo; i < w->w.hi && w->w.repair; i++) {
        struct soup_entry *e = log_at(&n->log, i);
        if (e != NULL && e->item.term == w->entries[i - w->w.lo].item.term) {
            *e = w->entries[i - w->w.lo]; /* else it was truncated since */
        }
    }
    n->done = w->w.seq;
    raftwatch_durable(&s->watch, n->id, n->done);
    free(w->entries);
    n->write_count--;
    memmove(n->writes, n->writes + 1, n->write_count * sizeof *n->writes);
}

void soup_persist(struct soup *s, uint64_t id, size_t count, bool tell)
{
    struct soup_node *n = &s->node[id];
    bool switched = false;
    while (n->up && count-- > 0 && n->write_count > 0) {
        switched = switched || n->writes[0].w.has_snapshot;
        write_down(s, n);
    }
    if (switched) { /* the state machine is the other one from here on: the core must know */
        n->machine = n->flushed;
        n->apply_to = n->machine.place.index + 1;
    }
    if ((tell || switched) && n->up && n->told < n->done) {
        struct raft_event e = {.type = RAFT_EV_PERSISTED, .index = n->done};
        n->told = n->done;
        (void)soup_step(s, id, &e);
        soup_release_held(s, n);
    }
}

static void check_digest(struct soup *s, const struct soup_node *n)
{
    uint64_t i = n->machine.place.index;
    if (i >= s->digest_cap) {
        size_t cap = 2 * i + 64;
        s->digests = realloc(s->digests, cap * sizeof *s->digests);
        memset(s->digests + s->digest_cap, 0, (cap - s->digest_cap) * sizeof *s->digests);
        s->digest_cap = cap;
    }
    if (s->digests[i] == 0) {
        s->digests[i] = n->machine.digest;
    } else if (s->digests[i] != n->machine.digest) {
        soup_wrong(s, "SM: node %llu has another state at %llu than others had", U(n->id), U(i));
    }
}

void soup_apply(struct soup *s, uint64_t id, uint64_t count)
{
    struct soup_node *n = &s->node[id];
    uint64_t before = n->machine.place.index;
    while (n->up && count-- > 0 && n->machine.place.index + 1 < n->apply_to && soup_fine(s)) {
        uint64_t i = n->machine.place.index + 1;
        const struct soup_entry *e = log_at(&n->log, i);
        if (e == NULL || e->id == LOST_ID) {
            soup_wrong(s, "node %llu applies entry %llu, which it does not have", U(id), U(i));
            return;
        }
        n->machine.place = (struct raft_place){i, e->item.term};
        n->machine.digest = hash_add(hash_add(n->machine.digest, i), e->id) | 1;
        if (e->item.kind == RAFT_CONFIG) {
            n->machine.config = *e->item.config;
            n->machine.config_index = i;
        }
        check_digest(s, n);
    }
    if (n->machine.place.index > before) {
        struct raft_event e = {.type = RAFT_EV_APPLIED, .index = n->machine.place.index};
        (void)soup_step(s, id, &e);
    }
}

void soup_flush(struct soup *s, uint64_t id)
{
    struct soup_node *n = &s->node[id];
    n->wants_snapshot = false;
    if (n->up && n->machine.place.index > n->flushed.place.index) {
        n->flushed = n->machine;
        struct raft_event e = {.type = RAFT_EV_SNAPSHOT_TAKEN, .place = n->flushed.place};
        (void)soup_step(s, id, &e);
    }
}

void soup_compact(struct soup *s, uint64_t id, uint64_t index)
{
    struct soup_node *n = &s->node[id];
    bool switching = false;
    for (size_t i = 0; i < n->write_count; i++) {
        switching = switching || n->writes[i].w.has_snapshot;
    }
    if (!n->up || switching || index <= n->base.place.index || index > n->flushed.place.index) {
        return;
    }
    for (uint64_t i = n->base.place.index + 1; i <= index; i++) {
        const struct soup_entry *e = log_at(&n->disk, i);
        if (e == NULL) {
            soup_wrong(s, "node %llu has applied %llu, its disk does not have it", U(id), U(i));
            return;
        }
        if (e->item.kind == RAFT_CONFIG) {
            n->base.config = *e->item.config;
            n->base.config_index = i;
        }
        n->base.place = (struct raft_place){i, e->item.term};
    }
    log_forget(&n->disk, index);
    log_forget(&n->log, index);
    struct raft_event e = {.type = RAFT_EV_COMPACTED, .index = index};
    (void)soup_step(s, id, &e);
}

void soup_damage(struct soup *s, uint64_t id, uint64_t lo, uint64_t hi)
{
    struct soup_node *n = &s->node[id];
    for (uint64_t i = lo; i < hi; i++) {
        struct soup_entry *e = log_at(&n->disk, i);
        if (e != NULL) {
            e->id = LOST_ID;
        }
    }
}

/* ---- processes ---- */

void soup_end(struct soup_node *n)
{
    free(n->core);
    n->core = NULL;
    for (size_t i = 0; i < n->write_count; i++) {
        free(n->writes[i].entries);
    }
    n->write_count = 0;
    soup_list_clear(&n->held);
}

void soup_crash(struct soup *s, uint64_t id)
{
    struct soup_node *n = &s->node[id];
    if (!n->up) {
        return;
    }
    soup_trace(s, "node %llu crashes", U(id));
    raftwatch_crashed(&s->watch, id);
    for (size_t i = 0; i < s->read_count;) {
        if (s->reads[i].node == id) {
            s->reads[i] = s->reads[--s->read_count];
        } else {
            i++;
        }
    }
    soup_end(n);
    n->up = false;
    n->deadline = RAFT_NEVER;
}

void soup_blank(struct soup *s, uint64_t id)
{
    struct soup_node *n = &s->node[id];
    soup_crash(s, id);
    raftwatch_wiped(&s->watch, id);
    n->made = true;
    n->id = id;
    n->incarnation = ++s->next_id + 1000;
    n->hard = (struct raft_hard){0, 0};
    n->disk.count = 0;
    n->disk.from = 1;
    n->base = n->flushed = (struct soup_snapshot){.digest = 1};
}

/* The log's terms, and its last two configurations. */
static void read_disk(const struct soup_node *n, struct raft_start *st, struct raft_run *runs)
{
    st->hard = n->hard;
    st->base = n->base.place;
    st->last = log_last(&n->disk);
    st->runs = runs;
    st->applied = n->flushed.place.index;
    st->config = &n->base.config;
    st->config_index = n->base.config_index;
    for (uint64_t i = n->disk.from; i <= st->last; i++) {
        const struct raft_item *item = &log_at(&n->disk, i)->item;
        if (st->run_count == 0 || runs[st->run_count - 1].term != item->term) {
            runs[st->run_count++] = (struct raft_run){i, item->term};
        }
        if (item->kind == RAFT_CONFIG) {
            st->before = st->config;
            st->before_index = st->config_index;
            st->config = item->config;
            st->config_index = i;
        }
    }
}

static void say_damage(struct soup *s, struct soup_node *n)
{
    for (uint64_t i = n->disk.from; i <= log_last(&n->disk); i++) {
        if (log_at(&n->disk, i)->id == LOST_ID) {
            struct raft_event e = {.type = RAFT_EV_LOG_FAULT, .fault = RAFT_FAULT_DAMAGED};
            e.lo = i;
            e.hi = i + 1;
            (void)soup_step(s, n->id, &e);
        }
    }
}

void soup_up(struct soup *s, uint64_t id)
{
    struct soup_node *n = &s->node[id];
    struct raft_start st = {0};
    if (n->up || !n->made || !soup_fine(s)) {
        return;
    }
    struct raft_options o = s->options;
    o.self = id;
    o.incarnation = n->incarnation;
    o.seed = prng_next(&s->prng);
    struct raft_run *runs = malloc((n->disk.count + 1) * sizeof *runs);
    read_disk(n, &st, runs);
    o.runs = o.runs > 2 * st.run_count ? o.runs : 2 * st.run_count;
    n->runs = o.runs;
    n->wants_room = false;
    n->core = raft_init(malloc(raft_size(&o)), &o);
    n->up = true;
    n->done = n->told = 0;
    log_copy(&n->log, &n->disk);
    n->machine = n->flushed;
    n->apply_to = n->machine.place.index + 1;
    memset(n->fetched, 0, sizeof n->fetched);
    if (s->action_cap < raft_actions_max(n->core)) {
        s->action_cap = raft_actions_max(n->core);
        s->actions = realloc(s->actions, s->action_cap * sizeof *s->actions);
        s->out.actions = s->actions;
        s->out.cap = s->action_cap;
    }
    soup_trace(s, "node %llu starts: term %llu vote %llu log %llu..%llu applied %llu", U(id),
               U(st.hard.term), U(st.hard.vote), U(st.base.index), U(st.last), U(st.applied));
    struct raft_event e = {.type = RAFT_EV_START, .now = soup_clock(s, n), .start = &st};
    enum status status = raft_step(n->core, &e, &s->out);
    if (status != ST_OK) {
        soup_wrong(s, "node %llu does not start: %s", U(id), status_name(status));
    } else {
        raftwatch_started(&s->watch, n->core, &st);
        n->deadline = s->out.deadline;
        n->warm = s->out.warm;
    }
    free(runs);
    say_damage(s, n);
}

void soup_up_all(struct soup *s)
{
    for (uint64_t id = 1; id <= s->nodes; id++) {
        soup_up(s, id);
    }
}

/* ---- looking in, life ---- */

void soup_view(const struct soup *s, uint64_t id, struct raft_view *v)
{
    *v = (struct raft_view){0};
    if (s->node[id].up) {
        raft_view(s->node[id].core, v);
    }
}

uint64_t soup_leader(const struct soup *s)
{
    uint64_t leader = 0;
    uint64_t term = 0;
    for (uint64_t id = 1; id <= s->nodes; id++) {
        struct raft_view v;
        soup_view(s, id, &v);
        if (v.state == RAFT_LEADER && v.term > term) {
            term = v.term;
            leader = id;
        }
    }
    return leader;
}

struct raft_config soup_voters(const struct soup *s, uint32_t n)
{
    struct raft_config c = {.count = n};
    for (uint32_t i = 0; i < n; i++) {
        uint64_t incarnation = s->node[i + 1].incarnation;
        c.members[i] = (struct raft_member){i + 1, incarnation, RAFT_IN};
    }
    return c;
}

void soup_init(struct soup *s, uint32_t n, uint64_t seed)
{
    memset(s, 0, sizeof *s);
    s->mem = libc_mem();
    s->prng.state = seed;
    raftwatch_init(&s->watch, &s->mem);
    s->traced = getenv("SOUP_TRACE") != NULL;
    s->nodes = n;
    s->now = 1;
    s->options = (struct raft_options){.cluster = 7,
                                       .election = 1000,
                                       .heartbeat = 100,
                                       .verify = true,
                                       .members = SOUP_NODES,
                                       .runs = 64,
                                       .window = 256,
                                       .reads = 16};
    for (uint32_t id = 1; id <= SOUP_NODES; id++) {
        s->node[id].deadline = RAFT_NEVER;
        s->node[id].rate = 1000000;
        s->node[id].clock_at = 1000000 * (uint64_t)id;
    }
    for (uint32_t id = 1; id <= n; id++) {
        s->node[id].made = true;
        s->node[id].id = id;
        s->node[id].incarnation = 100 + id;
        s->node[id].disk.from = 2;
        s->node[id].hard.term = 1;
    }
    struct raft_config config = soup_voters(s, n);
    for (uint32_t id = 1; id <= n; id++) {
        s->node[id].base = (struct soup_snapshot){{1, 1}, config, 1, 1};
        s->node[id].flushed = s->node[id].base;
    }
}

void soup_release(struct soup *s)
{
    for (uint32_t id = 1; id <= SOUP_NODES; id++) {
        soup_end(&s->node[id]);
        free(s->node[id].writes);
        free(s->node[id].held.msgs);
        free(s->node[id].log.entries);
        free(s->node[id].disk.entries);
    }
    soup_list_clear(&s->net);
    free(s->net.msgs);
    free(s->reads);
    free(s->digests);
    free(s->fetches);
    free(s->actions);
    for (size_t i = 0; i < s->config_count; i++) {
        free(s->configs[i]);
    }
    free(s->configs);
    raftwatch_release(&s->watch);
}
