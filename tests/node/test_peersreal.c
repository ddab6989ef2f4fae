/* test_peersreal.c - the same over real sockets and threads, on loopback: messages both ways
 * between three nodes, a node that starts again, and a snapshot. ThreadSanitizer runs it too. */
#include "env/env_posix.h"
#include "env/fullio.h"
#include "node/peerbox.h"
#include "node/peers.h"
#include "node/snaprecv.h"
#include "node/snapsend.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#define NODES  3
#define MS     1000000ull
#define ENOUGH 2000

struct room;

struct node {
    struct room *room;
    struct peers *p;
    struct peerbox box;
    uint64_t id;
    uint64_t said[NODES + 1];
    /* under room.m */
    uint64_t heard[NODES + 1];
    uint64_t newest[NODES + 1];
    uint64_t life[NODES + 1];
    uint64_t wrong;
};

struct room {
    struct tmpdir dir;
    struct inject te;
    struct env *env;
    struct env_mutex m;
    struct env_cond news;
    struct node nodes[NODES + 1];
    struct snaprecv *r;
    bool staged, sent, sent_well;
};

static void room_open(struct room *room)
{
    memset(room, 0, sizeof *room);
    tmpdir_make(&room->dir);
    test_env_init(&room->te, room->dir.env);
    room->env = &room->te.env;
    env_mutex_init(room->env, &room->m);
    env_cond_init(room->env, &room->news);
}

static void room_close(struct room *room)
{
    env_cond_release(room->env, &room->news);
    env_mutex_release(room->env, &room->m);
    EXPECT(room->te.live == 0);
    EXPECT(room->te.descriptors == 0);
    inject_release(&room->te);
    tmpdir_remove(&room->dir);
}

static void tell(struct room *room)
{
    env_cond_broadcast(room->env, &room->news);
    env_mutex_unlock(room->env, &room->m);
}

/* Entries of a message follow from its count. */
static bool right(const struct peerwire_in *in)
{
    uint64_t count = in->msg.context;
    bool well = in->msg.type == RAFT_MSG_APPEND && in->msg.count == 1 + count % 3;
    for (uint32_t i = 0; well && i < in->msg.count; i++) {
        const struct slice *d = &in->entries[i].data;
        well = d->size == (count * 37 + i) % 3000;
        for (size_t k = 0; well && k < d->size; k++) {
            well = d->data[k] == (char)(count + i + k);
        }
    }
    return well;
}

static enum status on_deliver(void *arg, const struct peerwire_in *in)
{
    struct node *n = arg;
    bool first;
    enum status st = peerbox_put(&n->box, in, &first);
    if (st == ST_OK && first) {
        env_mutex_lock(n->room->env, &n->room->m);
        tell(n->room);
    }
    return st;
}

static void take(struct node *n)
{
    bool resume;
    struct list *got = peerbox_take(&n->box, &resume);
    for (struct list *l = got->next; l != got; l = l->next) {
        const struct peerwire_in *in = &LIST_ENTRY(l, struct peerbox_message, link)->in;
        uint64_t from = in->msg.from;
        n->newest[from] = n->life[from] == in->msg.session ? n->newest[from] : 0;
        n->life[from] = in->msg.session;
        n->wrong += !right(in) || in->msg.context <= n->newest[from];
        n->newest[from] = in->msg.context;
        n->heard[from]++;
    }
    if (resume) {
        peers_resume(n->p);
    }
}

static void on_bulk(void *arg, const struct peers_caller *caller)
{
    struct node *n = arg;
    if (n->room->r != NULL) {
        snaprecv_call(n->room->r, caller);
    } else {
        (void)env_fd_close(n->room->env, caller->fd);
    }
}

static void node_open(struct room *room, uint64_t id, uint64_t life)
{
    struct node *n = &room->nodes[id];
    struct err err = {0};
    struct env_addr any = {.family = 4, .ip = {127, 0, 0, 1}};
    n->room = room;
    n->id = id;
    memset(n->said, 0, sizeof n->said);
    peerbox_init(&n->box, room->env, 100000);
    struct peers_options o = {.env = room->env,
                              .log_least = ENV_LOG_ERROR,
                              .cluster = 3,
                              .self = id,
                              .incarnation = id,
                              .life = life,
                              .listen = any,
                              .arg = n,
                              .deliver = on_deliver,
                              .bulk = on_bulk};
    EXPECT(peers_open(&o, &n->p, &err) == ST_OK);
    EXPECT(peers_start(n->p) == ST_OK);
}

static void node_close(struct node *n)
{
    peers_close(n->p);
    peerbox_release(&n->box);
    n->p = NULL;
}

static void introduce(struct room *room)
{
    for (uint64_t a = 1; a <= NODES; a++) {
        struct env_addr addr = peers_address(room->nodes[a].p);
        for (uint64_t b = 1; b <= NODES; b++) {
            EXPECT(peers_set(room->nodes[b].p, a, &addr) == ST_OK);
        }
    }
}

static void say(struct node *n, uint64_t to, uint64_t life)
{
    static char bytes[3][3000];
    struct raft_entry entries[3];
    uint64_t count = ++n->said[to];
    struct raft_msg m = {.type = RAFT_MSG_APPEND,
                         .cluster = 3,
                         .from = n->id,
                         .to = to,
                         .session = life,
                         .context = count,
                         .count = (uint32_t)(1 + count % 3)};
    for (uint32_t i = 0; i < m.count; i++) {
        size_t size = (count * 37 + i) % 3000;
        for (size_t k = 0; k < size; k++) {
            bytes[i][k] = (char)(count + i + k);
        }
        entries[i] = (struct raft_entry){i + 1, 1, RAFT_COMMAND, slice_of(bytes[i], size)};
    }
    (void)!peers_send(n->p, &m, entries); /* what is lost is lost */
}

static bool all_heard(struct room *room, uint64_t enough)
{
    bool all = true;
    for (uint64_t a = 1; a <= NODES; a++) {
        take(&room->nodes[a]);
        for (uint64_t b = 1; b <= NODES; b++) {
            all = all && (a == b || room->nodes[a].heard[b] >= enough);
        }
    }
    return all;
}

/* Talks until everybody has heard enough of everybody. */
static void talk(struct room *room, uint64_t life, uint64_t enough)
{
    while (!all_heard(room, enough)) {
        for (uint64_t a = 1; a <= NODES; a++) {
            for (int i = 0; i < 20; i++) {
                say(&room->nodes[a], a % NODES + 1, life);
                say(&room->nodes[a], (a + 1) % NODES + 1, life);
            }
            peers_flush(room->nodes[a].p);
        }
        env_mutex_lock(room->env, &room->m);
        (void)!env_cond_wait(room->env, &room->news, &room->m, env_clock_mono(room->env) + 5 * MS);
        env_mutex_unlock(room->env, &room->m);
    }
}

static void peersreal__three_nodes_talk(void)
{
    static struct room room;
    room_open(&room);
    for (uint64_t id = 1; id <= NODES; id++) {
        node_open(&room, id, 100 + id);
    }
    introduce(&room);
    talk(&room, 1, ENOUGH);
    node_close(&room.nodes[2]); /* and again, elsewhere */
    memset(room.nodes[1].heard, 0, sizeof room.nodes[1].heard);
    memset(room.nodes[3].heard, 0, sizeof room.nodes[3].heard);
    memset(&room.nodes[2], 0, sizeof room.nodes[2]);
    node_open(&room, 2, 202);
    introduce(&room);
    for (uint64_t id = 1; id <= NODES; id++) {
        memset(room.nodes[id].said, 0, sizeof room.nodes[id].said);
    }
    talk(&room, 2, ENOUGH);
    for (uint64_t id = 1; id <= NODES; id++) {
        EXPECT(room.nodes[id].wrong == 0);
        node_close(&room.nodes[id]);
    }
    room_close(&room);
}

/* ---- a snapshot ---- */

static void on_staged(void *arg, const struct snaprecv_staged *s)
{
    struct room *room = arg;
    EXPECT(s->msg.place.index == 5);
    env_mutex_lock(room->env, &room->m);
    room->staged = true;
    tell(room);
}

static void on_done(void *arg, uint64_t node, uint64_t session, bool ok)
{
    struct room *room = arg;
    EXPECT(node == 2 && session == 1);
    env_mutex_lock(room->env, &room->m);
    room->sent = true;
    room->sent_well = ok;
    tell(room);
}

static void files_make(struct room *room)
{
    static char bytes[3000000];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)(i * i / 7 + i);
    }
    EXPECT(env_dir_make(room->env, "snap") == ST_OK);
    tmpdir_write(&room->dir, "snap/a", bytes, sizeof bytes);
    tmpdir_write(&room->dir, "snap/b", bytes + 5, 70000);
    tmpdir_write(&room->dir, "snap/c", bytes, 0);
}

static void peersreal__a_snapshot_goes_over(void)
{
    static struct room room;
    struct err err = {0};
    struct snapset set, got;
    struct snapsend *s;
    room_open(&room);
    files_make(&room);
    snapset_init(&set, &room.env->mem);
    set.place = (struct raft_place){5, 2};
    EXPECT(snapset_scan(&set, room.env, "snap", NULL, NULL, &err) == ST_OK);
    struct snaprecv_options ro = {.env = room.env,
                                  .log_least = ENV_LOG_ERROR,
                                  .cluster = 3,
                                  .self = 2,
                                  .dir = "stage",
                                  .arg = &room,
                                  .staged = on_staged};
    EXPECT(snaprecv_open(&ro, &room.r, &err) == ST_OK);
    node_open(&room, 2, 7);
    struct snapsend_options so = {.env = room.env,
                                  .log_least = ENV_LOG_ERROR,
                                  .cluster = 3,
                                  .self = 1,
                                  .to = 2,
                                  .addr = peers_address(room.nodes[2].p),
                                  .session = 1,
                                  .set = &set,
                                  .dir = "snap",
                                  .arg = &room,
                                  .done = on_done};
    EXPECT(snapsend_start(&so, &s) == ST_OK);
    env_mutex_lock(room.env, &room.m);
    while (!room.sent || !room.staged) {
        (void)!env_cond_wait(room.env, &room.news, &room.m, ENV_NEVER);
    }
    env_mutex_unlock(room.env, &room.m);
    EXPECT(room.sent_well);
    snapsend_free(s);
    EXPECT(snaprecv_take(room.r, "taken", &err) == ST_OK);
    snapset_init(&got, &room.env->mem);
    got.place = set.place;
    EXPECT(snapset_scan(&got, room.env, "taken", NULL, NULL, &err) == ST_OK);
    EXPECT(snapset_same(&set, &got));
    snapset_release(&got);
    snapset_release(&set);
    node_close(&room.nodes[2]);
    snaprecv_close(room.r);
    room_close(&room);
}

TAP_MAIN(RUN(peersreal__three_nodes_talk); RUN(peersreal__a_snapshot_goes_over);)
