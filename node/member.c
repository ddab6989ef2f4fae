/* member.c - see member.h. */
#include "node/member.h"

#include "base/ck.h"
#include "base/hash.h"
#include "env/newdir.h"
#include "node/ferry.h"
#include "node/nodelog.h"
#include "node/peers.h"
#include "node/roster.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MS UINT64_C(1000000)

/* --tight */
#define TIGHT_RUNS      4u
#define TIGHT_PROPOSALS 2u
#define TIGHT_BYTES     4096u

struct member {
    struct env *env;           /* borrowed */
    const struct nodeopt *opt; /* borrowed */
    struct nodelog log;
    uint64_t cluster; /* as messages say it */
    int lock_fd;
    char clients[ADDR_TEXT_MAX];
    struct replica *replica;
    struct peers *peers; /* NULL: it has no listener, so it is alone */
    struct ferry *ferry; /* with peers */
    char incoming[ENV_PATH_MAX];
    bool started;
    /* the replica thread's */
    bool speaks;             /* roster.known, once it was seen */
    struct raft_config told; /* the members that peers was told of */

    struct env_mutex m; /* guards the rest */
    struct roster roster;
    uint64_t noted[ROSTER_ROWS_MAX]; /* nodes that have admitted this process, each once */
    uint32_t noted_count;
    struct {
        uint64_t id; /* 0: free */
        char clients[ADDR_TEXT_MAX];
    } said[ROSTER_ROWS_MAX]; /* where nodes say that they take clients */
};

static uint64_t not_zero(uint64_t v)
{
    return v != 0 ? v : 1;
}

/* ---- whose data they are ---- */

static uint64_t cluster_number(const char *name)
{
    return not_zero(hash_bytes(0, name, strlen(name)));
}

/* All founders must come to the same one. */
static uint64_t founder_incarnation(uint64_t cluster, uint64_t id)
{
    return not_zero(HASH_FOLD(cluster, id));
}

static void founders_enter(struct member *m, struct roster *r)
{
    const struct peerlist *peers = &m->opt->peers;
    r->count = peers->count > 0 ? peers->count : 1;
    r->rows[0] = (struct roster_row){.id = m->opt->id};
    for (uint32_t i = 0; i < r->count; i++) {
        struct roster_row *row = &r->rows[i];
        if (peers->count > 0) {
            *row = (struct roster_row){.id = peers->items[i].id, .addr = peers->items[i].addr};
        }
        row->incarnation = founder_incarnation(m->cluster, row->id);
        row->disk = row->id == m->opt->id ? r->disk : 0;
    }
}

/* The first start: who this is, before there is anything else. */
static enum status roster_begin(struct member *m, struct err *err)
{
    struct roster *r = &m->roster;
    *r = (struct roster){
        .id = m->opt->id, .disk = not_zero(env_random_u64(m->env)), .founder = m->opt->join == 0};
    memcpy(r->cluster, m->opt->cluster, strlen(m->opt->cluster));
    if (r->founder) {
        r->incarnation = founder_incarnation(m->cluster, r->id);
        founders_enter(m, r);
    } else {
        r->incarnation = not_zero(env_random_u64(m->env));
    }
    r->known = !r->founder || r->count == 1;
    enum status st = roster_save(m->env, m->opt->data, r);
    return st == ST_OK ? st : err_status(err, st, "making the node's identity");
}

static enum status roster_check(struct member *m, struct err *err)
{
    const struct roster *r = &m->roster;
    const struct nodeopt *o = m->opt;
    if (r->id != o->id) {
        err_set(err, "--id %" PRIu64 ": the data in %.100s are those of node %" PRIu64, o->id,
                o->data, r->id);
        return ST_INVAL;
    }
    if (strcmp(r->cluster, o->cluster) != 0) {
        err_set(err, "--cluster %s: the data in %.80s are those of a node of cluster %s",
                o->cluster, o->data, r->cluster);
        return ST_INVAL;
    }
    if (o->join != 0 && r->founder) {
        err_set(err,
                "--join: the data in %.80s are those of node %" PRIu64
                ", which founded its group; it has no other to join",
                o->data, r->id);
        return ST_INVAL;
    }
    return ST_OK;
}

/* What the command line says of where nodes are is newer than what the roster says. */
static void addresses_renew(struct member *m)
{
    for (uint32_t i = 0; i < m->roster.count; i++) {
        struct roster_row *row = &m->roster.rows[i];
        const struct env_addr *addr = peerlist_find(&m->opt->peers, row->id);
        row->addr = addr != NULL ? *addr : row->addr;
    }
}

static enum status path_make(const struct member *m, char path[ENV_PATH_MAX], const char *name)
{
    int n = snprintf(path, ENV_PATH_MAX, "%s/%s", m->opt->data, name);
    return n > 0 && n < ENV_PATH_MAX ? ST_OK : ST_NAMETOOLONG;
}

/* Nothing of this name may be in a directory without a roster. */
static enum status foreign_check(struct member *m, const char *name, const char *why,
                                 struct err *err)
{
    char path[ENV_PATH_MAX];
    struct env_stat stat;
    enum status st = path_make(m, path, name);
    st = st == ST_OK ? env_path_stat(m->env, path, &stat) : st;
    if (st == ST_NOENT) {
        return ST_OK;
    }
    if (st == ST_OK) {
        err_set(err, "--id %" PRIu64 ": %.100s %s", m->opt->id, m->opt->data, why);
        return ST_EXIST;
    }
    return err_status(err, st, m->opt->data);
}

static enum status identity_open(struct member *m, struct err *err)
{
    enum status st = roster_load(m->env, m->opt->data, &m->roster, err);
    if (st == ST_OK) {
        st = roster_check(m, err);
        addresses_renew(m);
        return st;
    }
    if (st != ST_NOENT) {
        return st;
    }
    st = foreign_check(m, "CURRENT", "holds the data of a node that is not replicated", err);
    st = st == ST_OK ? foreign_check(m, "raft/raft.id", "holds a log, and no roster", err) : st;
    return st == ST_OK ? roster_begin(m, err) : st;
}

/* ---- what comes from other nodes ---- */

static enum status on_deliver(void *arg, const struct peerwire_in *in)
{
    struct member *m = arg;
    return replica_receive(m->replica, in);
}

static void on_settled(void *arg)
{
    struct member *m = arg;
    replica_turn(m->replica);
}

static void on_bulk(void *arg, const struct peers_caller *caller)
{
    struct member *m = arg;
    ferry_call(m->ferry, caller);
}

static void on_lost(void *arg, uint64_t id)
{
    struct member *m = arg;
    replica_unreachable(m->replica, id);
}

/* Remembers its disk, durably. Locked. */
static enum status disk_note(struct member *m, struct roster_row *row, uint64_t disk)
{
    row->disk = disk;
    enum status st = roster_save(m->env, m->opt->data, &m->roster);
    if (st != ST_OK) {
        ENV_PROBE(m->env, "member: a disk could not be noted");
        nodelog_line(&m->log, ENV_LOG_ERROR, "node %" PRIu64 " is not admitted: roster: %s",
                     row->id, status_text(st));
        row->disk = 0;
    }
    return st;
}

/* Remembers where it takes clients, if that can be of use to others. Locked. */
static void clients_note(struct member *m, uint64_t id, struct slice text)
{
    struct env_addr addr;
    char copy[ADDR_TEXT_MAX];
    uint32_t at = 0;
    while (at + 1 < ROSTER_ROWS_MAX && m->said[at].id != id && m->said[at].id != 0) {
        at++;
    }
    if (text.size >= sizeof copy) {
        return;
    }
    memcpy(copy, text.data != NULL ? text.data : "", text.size);
    copy[text.size] = '\0';
    if (addr_parse(copy, &addr, NULL) == ST_OK && addr.port != 0) {
        m->said[at].id = id;
        (void)addr_format(&addr, m->said[at].clients);
    }
}

static enum status admit(struct member *m, const struct peers_visitor *v,
                         enum peermsg_refusal *refusal, bool *moved)
{
    struct roster_row *row = roster_find(&m->roster, v->id);
    if (v->disk == 0) {
        *refusal = PEERMSG_REFUSAL_INCARNATION;
        return ST_OK;
    }
    if (row == NULL || row->incarnation != v->incarnation) {
        return ST_OK; /* one that waits to be added; what it says counts nothing */
    }
    clients_note(m, v->id, v->clients);
    *moved = v->addr.family != 0 && !row->ruled;
    if (*moved) {
        row->addr = v->addr; /* it knows best; durable with the next change */
    }
    if (row->disk == 0) {
        return disk_note(m, row, v->disk);
    }
    if (row->disk != v->disk) {
        ENV_PROBE(m->env, "member: a wiped node is refused");
        *refusal = PEERMSG_REFUSAL_INCARNATION;
        *moved = false;
    }
    return ST_OK;
}

static enum status on_admit(void *arg, const struct peers_visitor *v, enum peermsg_refusal *refusal)
{
    struct member *m = arg;
    bool moved = false;
    if (v->bulk) {
        return ST_OK; /* it is for the core, which knows who leads */
    }
    env_mutex_lock(m->env, &m->m);
    enum status st = admit(m, v, refusal, &moved);
    env_mutex_unlock(m->env, &m->m);
    if (st == ST_OK && moved) {
        st = peers_set(m->peers, v->id, &v->addr);
    }
    return st;
}

/* Every other founder has this disk on its own. Locked. */
static bool all_noted(const struct member *m)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < m->roster.count; i++) {
        for (uint32_t k = 0; k < m->noted_count; k++) {
            found += m->noted[k] == m->roster.rows[i].id;
        }
    }
    return found + 1 == m->roster.count;
}

static void noted_add(struct member *m, uint64_t id)
{
    uint32_t at = 0;
    while (at < m->noted_count && m->noted[at] != id) {
        at++;
    }
    if (at == m->noted_count && at < ROSTER_ROWS_MAX) {
        m->noted[m->noted_count++] = id;
    }
}

static void on_admitted(void *arg, uint64_t id)
{
    struct member *m = arg;
    env_mutex_lock(m->env, &m->m);
    if (!m->roster.known) {
        noted_add(m, id);
        m->roster.known = all_noted(m);
        if (m->roster.known && roster_save(m->env, m->opt->data, &m->roster) != ST_OK) {
            m->roster.known = false; /* with the next answer */
        }
        if (m->roster.known) {
            nodelog_line(&m->log, ENV_LOG_INFO, "all founders know this node: it takes part");
        }
    }
    env_mutex_unlock(m->env, &m->m);
}

/* ---- what the replica says ---- */

static void deliver(void *arg, const struct raft_msg *msg, const struct raft_entry *entries)
{
    struct member *m = arg;
    if (!m->speaks) {
        env_mutex_lock(m->env, &m->m);
        m->speaks = m->roster.known;
        env_mutex_unlock(m->env, &m->m);
    }
    if (m->speaks && m->peers != NULL) {
        enum status st = peers_send(m->peers, msg, entries);
        (void)st; /* what is lost is told by on_lost */
    }
}

static void flush(void *arg)
{
    struct member *m = arg;
    if (m->peers != NULL) {
        peers_flush(m->peers);
    }
}

static void resume(void *arg)
{
    struct member *m = arg;
    peers_resume(m->peers);
}

static void send_snapshot(void *arg, const struct raft_msg *msg, const struct snapset *set,
                          const char *dir)
{
    struct member *m = arg;
    if (m->ferry != NULL) {
        ferry_send(m->ferry, msg, set, dir);
    } else {
        replica_snapshot_sent(m->replica, msg->to, msg->session, false);
    }
}

static enum status take_snapshot(void *arg, const char *to, struct err *err)
{
    struct member *m = arg;
    return ferry_take(m->ferry, to, err);
}

/* What the group itself says of where that node is. */
static bool ruled_address(struct member *m, struct statemachine *sm, uint64_t id,
                          struct env_addr *addr)
{
    struct buf text;
    buf_init(&text, &m->env->mem);
    enum status st = statemachine_address(sm, id, &text);
    st = st == ST_OK ? buf_append(&text, "", 1) : st;
    st = st == ST_OK ? addr_parse(text.data, addr, NULL) : st;
    buf_release(&text);
    return st == ST_OK;
}

static bool is_member(const struct raft_config *c, uint64_t id)
{
    bool found = false;
    for (uint32_t i = 0; i < c->count; i++) {
        found = found || c->members[i].id == id;
    }
    return found;
}

/* A row for that id: its own, or a new one, in the place of one that is no member if need be.
 * Locked. */
static struct roster_row *row_make(struct roster *r, const struct raft_config *c, uint64_t id)
{
    struct roster_row *row = roster_find(r, id);
    if (row != NULL) {
        return row;
    }
    for (uint32_t i = 0; r->count == ROSTER_ROWS_MAX && i < r->count; i++) {
        if (!is_member(c, r->rows[i].id)) {
            r->count--;
            memmove(r->rows + i, r->rows + i + 1, (r->count - i) * sizeof *r->rows);
        }
    }
    CK(r->count < ROSTER_ROWS_MAX); /* as many members as rows at most, and this is one */
    uint32_t at = r->count++;
    for (; at > 0 && r->rows[at - 1].id > id; at--) {
        r->rows[at] = r->rows[at - 1];
    }
    r->rows[at] = (struct roster_row){.id = id};
    return &r->rows[at];
}

/* The rows follow the configuration; what is new of it is durable with the next disk that is noted,
 * and is said again at the next start. Locked. */
static struct env_addr row_follow(struct member *m, const struct raft_config *c,
                                  const struct raft_member *one, struct statemachine *sm)
{
    struct roster_row *row = row_make(&m->roster, c, one->id);
    struct env_addr addr;
    if (row->incarnation != one->incarnation) {
        row->incarnation = one->incarnation;
        row->disk = one->id == m->opt->id ? m->roster.disk : 0;
    }
    row->ruled = ruled_address(m, sm, one->id, &addr);
    if (row->ruled) {
        row->addr = addr;
    } else if (row->addr.family == 0 && m->peers != NULL) {
        (void)peers_find(m->peers, one->id, &row->addr); /* it has called */
    }
    return row->addr;
}

static void gone_remove(struct member *m, const struct raft_config *now)
{
    for (uint32_t i = 0; i < m->told.count; i++) {
        if (!is_member(now, m->told.members[i].id)) {
            peers_remove(m->peers, m->told.members[i].id, m->told.members[i].incarnation);
        }
    }
    m->told = *now;
}

static void members(void *arg, const struct raft_config *c, struct statemachine *sm)
{
    struct member *m = arg;
    struct env_addr addrs[RAFT_MEMBERS_MAX];
    env_mutex_lock(m->env, &m->m);
    for (uint32_t i = 0; i < c->count; i++) {
        addrs[i] = row_follow(m, c, &c->members[i], sm);
    }
    env_mutex_unlock(m->env, &m->m);
    if (m->peers == NULL) {
        return;
    }
    gone_remove(m, c);
    for (uint32_t i = 0; i < c->count; i++) {
        if (peers_set(m->peers, c->members[i].id, &addrs[i]) != ST_OK) {
            nodelog_line(&m->log, ENV_LOG_WARN, "node %" PRIu64 " is not called: too many nodes",
                         c->members[i].id);
        }
    }
}

/* ---- opening ---- */

static enum status dir_open(struct member *m, struct err *err)
{
    char path[ENV_PATH_MAX];
    enum status st = newdir_make(m->env, m->opt->data);
    if (st != ST_OK) {
        return err_status(err, st, m->opt->data);
    }
    st = path_make(m, path, "LOCK");
    st = st == ST_OK ? env_path_lock(m->env, path, &m->lock_fd) : st;
    if (st == ST_OK) {
        return st;
    }
    m->lock_fd = -1;
    if (st == ST_BUSY) {
        err_set(err, "%.200s is in use by another process", m->opt->data);
        return st;
    }
    return err_status(err, st, m->opt->data);
}

static struct replica_options replica_options_of(struct member *m, struct tkv_options *engine)
{
    tkv_options_init(engine);
    engine->verify = m->opt->verify != 0;
    engine->write_buffer_bytes = m->opt->write_buffer_bytes;
    engine->cache_bytes = m->opt->cache_bytes;
    struct replica_options o = {.dir = m->opt->data, .engine = engine};
    o.raft.election = m->opt->election_ms * MS;
    o.raft.heartbeat = m->opt->heartbeat_ms * MS;
    o.raft.lease = m->opt->lease_ppm != 0;
    o.raft.drift_ppm = (uint32_t)m->opt->lease_ppm;
    o.raft.verify = m->opt->verify != 0;
    o.log.verify = m->opt->verify != 0;
    if (m->opt->tight != 0) {
        o.raft.runs = TIGHT_RUNS;
        o.proposals = TIGHT_PROPOSALS;
        o.envelope_bytes = TIGHT_BYTES;
        o.inbox_bytes = TIGHT_BYTES;
        o.reply_max = TIGHT_BYTES;
    }
    o.log.segment_bytes = m->opt->log_segment_bytes / 4096 * 4096;
    o.log_bytes = m->opt->log_compact_bytes;
    o.transport = (struct replica_transport){.deliver = deliver,
                                             .flush = flush,
                                             .resume = resume,
                                             .members = members,
                                             .send_snapshot = send_snapshot,
                                             .take_snapshot = take_snapshot,
                                             .arg = m};
    return o;
}

static struct raftlog_identity identity_of(const struct member *m)
{
    return (struct raftlog_identity){.cluster = m->cluster,
                                     .node = m->roster.id,
                                     .incarnation = m->roster.incarnation,
                                     .database = m->roster.disk};
}

/* The log of a new node. */
static enum status log_make(struct member *m, const struct replica_options *o, struct err *err)
{
    struct raftlog_identity identity = identity_of(m);
    struct raft_config config = {.count = m->roster.count};
    for (uint32_t i = 0; i < config.count; i++) {
        const struct roster_row *row = &m->roster.rows[i];
        config.members[i] = (struct raft_member){row->id, row->incarnation, RAFT_IN};
    }
    if (m->roster.made) {
        err_set(err, "%.200s/raft: the log is missing; this node has to be removed and added again",
                m->opt->data);
        return ST_CORRUPT;
    }
    return replica_create(m->env, o, &identity, &config, err);
}

static enum status replica_begin(struct member *m, struct err *err)
{
    struct tkv_options engine;
    struct replica_options o = replica_options_of(m, &engine);
    enum status st = replica_open(m->env, &o, &m->replica, err);
    if (st == ST_NOENT) {
        m->replica = NULL;
        st = log_make(m, &o, err);
        st = st == ST_OK ? replica_open(m->env, &o, &m->replica, err) : st;
    }
    if (st != ST_OK) {
        m->replica = NULL;
        return st;
    }
    struct raftlog_identity want = identity_of(m);
    const struct raftlog_identity *have = replica_identity(m->replica);
    if (have->node != want.node || have->cluster != want.cluster ||
        have->incarnation != want.incarnation || have->database != want.database) {
        err_set(err,
                "%.100s/raft is the log of node %" PRIu64 ", or of another disk of node %" PRIu64,
                m->opt->data, have->node, want.node);
        return ST_CORRUPT;
    }
    if (m->roster.made) {
        return ST_OK;
    }
    m->roster.made = true;
    st = env_dir_sync(m->env, m->opt->data); /* with the names of log and database */
    st = st == ST_OK ? roster_save(m->env, m->opt->data, &m->roster) : st;
    return st == ST_OK ? st : err_status(err, st, m->opt->data);
}

static uint64_t more(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static enum status ferry_begin(struct member *m, uint64_t life, struct err *err)
{
    struct ferry_options o = {.env = m->env,
                              .log_least = (enum env_log_level)m->opt->log_least,
                              .cluster = m->cluster,
                              .self = m->opt->id,
                              .incarnation = m->roster.incarnation,
                              .life = life,
                              .connect_ms = m->opt->connect_ms,
                              .silence_ms = more(3 * m->opt->election_ms, 3000),
                              .dir = m->incoming,
                              .replica = m->replica,
                              .peers = m->peers};
    enum status st = path_make(m, m->incoming, "incoming");
    return st == ST_OK ? ferry_open(&o, &m->ferry, err) : err_status(err, st, m->opt->data);
}

static enum status peers_begin(struct member *m, struct err *err)
{
    const struct nodeopt *opt = m->opt;
    if (opt->peer_listen.family == 0) {
        return ST_OK;
    }
    struct peers_options o = {.env = m->env,
                              .log_least = (enum env_log_level)opt->log_least,
                              .cluster = m->cluster,
                              .self = opt->id,
                              .incarnation = m->roster.incarnation,
                              .life = not_zero(env_random_u64(m->env)),
                              .disk = m->roster.disk,
                              .queue_max = opt->tight != 0 ? TIGHT_BYTES : 0,
                              .listen = opt->peer_listen,
                              .clients = addr_format(&opt->listen, m->clients),
                              .connect_ms = opt->connect_ms,
                              .silence_ms = opt->election_ms,
                              .retry_most_ms = more(opt->election_ms / 2, 20),
                              .arg = m,
                              .deliver = on_deliver,
                              .settled = on_settled,
                              .lost = on_lost,
                              .bulk = on_bulk,
                              .admit = on_admit,
                              .admitted = on_admitted};
    if (opt->peer_address.port != 0) {
        o.advertise = opt->peer_address;
    }
    enum status st = peers_open(&o, &m->peers, err);
    for (uint32_t i = 0; st == ST_OK && m->roster.count == 0 && i < opt->peers.count; i++) {
        /* It knows no group yet: it calls those that it was told of. */
        st = peers_set(m->peers, opt->peers.items[i].id, &opt->peers.items[i].addr);
    }
    return st == ST_OK ? ferry_begin(m, o.life, err) : st;
}

enum status member_open(struct env *env, const struct nodeopt *opt, struct member **out,
                        struct err *err)
{
    CK(opt->id != 0);
    *out = NULL;
    if (strlen(opt->cluster) > ROSTER_NAME_MAX) {
        err_set(err, "--cluster: a name has at most %u bytes", ROSTER_NAME_MAX);
        return ST_INVAL;
    }
    struct member *m = mem_zalloc(&env->mem, sizeof *m);
    if (m == NULL) {
        return err_status(err, ST_NOMEM, "starting");
    }
    m->env = env;
    m->opt = opt;
    m->log = (struct nodelog){env, (enum env_log_level)opt->log_least};
    m->cluster = cluster_number(opt->cluster);
    m->lock_fd = -1;
    env_mutex_init(env, &m->m);
    enum status st = dir_open(m, err);
    st = st == ST_OK ? identity_open(m, err) : st;
    st = st == ST_OK ? replica_begin(m, err) : st;
    st = st == ST_OK ? peers_begin(m, err) : st;
    if (st != ST_OK) {
        enum status closed = member_close(m);
        (void)closed; /* the first failure counts */
        return st;
    }
    *out = m;
    return ST_OK;
}

/* ---- running ---- */

static void say_begun(struct member *m)
{
    char text[ADDR_TEXT_MAX];
    struct env_addr addr = member_address(m);
    nodelog_line(&m->log, ENV_LOG_INFO,
                 "node %" PRIu64 " of cluster %s, other nodes reach it at %s", m->opt->id,
                 m->opt->cluster, addr.family != 0 ? addr_format(&addr, text) : "no address");
    env_mutex_lock(m->env, &m->m);
    if (!m->roster.known) {
        nodelog_line(&m->log, ENV_LOG_INFO,
                     "it takes part when all %" PRIu32 " founders have met it once",
                     m->roster.count);
    }
    env_mutex_unlock(m->env, &m->m);
}

enum status member_start(struct member *m, struct err *err)
{
    say_begun(m);
    enum status st = m->peers != NULL ? peers_start(m->peers) : ST_OK;
    st = st == ST_OK ? replica_start(m->replica) : st;
    m->started = st == ST_OK;
    return st == ST_OK ? st : err_status(err, st, "starting the node's threads");
}

void member_stop(struct member *m)
{
    if (m->replica != NULL) {
        replica_stop(m->replica);
    }
    ferry_stop(m->ferry);
    peers_close(m->peers); /* after them: they send by it */
    m->peers = NULL;
    ferry_close(m->ferry); /* and what the peers call after those */
    m->ferry = NULL;
}

enum status member_close(struct member *m)
{
    if (m == NULL) {
        return ST_OK;
    }
    member_stop(m);
    enum status st = replica_close(m->replica);
    if (m->lock_fd >= 0) {
        (void)env_fd_close(m->env, m->lock_fd); /* dropped in any case */
    }
    env_mutex_release(m->env, &m->m);
    mem_release(&m->env->mem, m);
    return st;
}

struct replica *member_replica(struct member *m)
{
    return m->replica;
}

static bool is_noted(const struct member *m, uint64_t id)
{
    bool found = id == m->opt->id;
    for (uint32_t i = 0; i < m->noted_count; i++) {
        found = found || m->noted[i] == id;
    }
    return found;
}

void member_look(void *member, struct memberview *v)
{
    struct member *m = member;
    *v = (struct memberview){.count = 0};
    env_mutex_lock(m->env, &m->m);
    v->waits = !m->roster.known;
    for (uint32_t i = 0; i < m->roster.count; i++) {
        const struct roster_row *row = &m->roster.rows[i];
        struct memberview_row *out = &v->rows[v->count++];
        out->id = row->id;
        out->met = !v->waits || is_noted(m, row->id);
        if (row->addr.family != 0) {
            (void)addr_format(&row->addr, out->peers);
        }
        for (uint32_t k = 0; k < ROSTER_ROWS_MAX; k++) {
            if (m->said[k].id == row->id) {
                memcpy(out->clients, m->said[k].clients, sizeof out->clients);
            }
        }
        if (row->id == m->opt->id && m->opt->listen.port != 0) {
            (void)addr_format(&m->opt->listen, out->clients);
        }
    }
    env_mutex_unlock(m->env, &m->m);
}

struct env_addr member_address(const struct member *m)
{
    return m->peers != NULL ? peers_address(m->peers) : (struct env_addr){.family = 0};
}
