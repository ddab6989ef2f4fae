/* groupship.c - see groupship.h. */
#include "tests/node/groupship.h"

#include "base/ck.h"
#include "env/fullio.h"
#include "sim/simmem.h"

#define MS    1000000ull
#define PIECE 1500u /* bytes of a chunk */

struct parcel {
    struct list link;
    uint64_t life; /* of its sender */
    uint64_t at;   /* when it comes: virtual time */
    enum { ON_WAY, STAGING, ARRIVED, LOST } state;
    struct raft_msg msg;
    struct snapset set;
    struct buf bytes;           /* of all files */
    struct peermsg_file *files; /* what is offered: its stager may be killed */
};

static void parcel_free(struct parcel *p)
{
    list_remove(&p->link);
    snapset_release(&p->set);
    buf_release(&p->bytes);
    mem_release(simmem(), p->files);
    mem_release(simmem(), p);
}

/* ---- where it leaves ---- */

static bool file_read(struct env *env, const char *dir, const struct snapset_file *f,
                      struct buf *bytes)
{
    char path[ENV_PATH_MAX];
    int fd;
    size_t got = 0;
    CK(snapset_path(dir, f->name, path) == ST_OK);
    CK(buf_reserve(bytes, f->size) == ST_OK);
    if (env_file_open(env, path, ENV_READ, &fd) != ST_OK) {
        return false;
    }
    enum status st = fullio_pread(env, fd, bytes->data + bytes->size, f->size, 0, &got);
    (void)env_fd_close(env, fd);
    bytes->size += got;
    return st == ST_OK && got == f->size;
}

void groupship_send(void *arg, const struct raft_msg *m, const struct snapset *set, const char *dir)
{
    struct group_node *n = arg;
    struct group *g = n->g;
    struct parcel *p = mem_zalloc(simmem(), sizeof *p);
    p->life = n->life;
    p->msg = *m;
    p->set = *set;
    p->set.mem = simmem();
    p->set.cap = set->count;
    p->set.files = mem_alloc(simmem(), (set->count + 1) * sizeof *set->files);
    memcpy(p->set.files, set->files, set->count * sizeof *set->files);
    p->files = mem_alloc(simmem(), (set->count + 1) * sizeof *p->files);
    p->msg.config = &p->set.config;
    buf_init(&p->bytes, simmem());
    p->at = ENV_NEVER; /* it is not whole yet */
    list_insert(&g->parcels, &p->link);
    for (uint32_t i = 0; i < set->count; i++) {
        if (!file_read(&n->proc->env, dir, &set->files[i], &p->bytes)) {
            p->state = LOST;
        }
    }
    p->at = g->world.sched.now + prng_below(&g->net, g->calm ? 20 * MS : 300 * MS);
}

/* Those of this life that have ended one way or another. */
static void parcels_tell(struct group_node *n, bool all)
{
    struct group *g = n->g;
    for (struct list *l = g->parcels.next; l != &g->parcels;) {
        struct parcel *p = LIST_ENTRY(l, struct parcel, link);
        l = l->next;
        bool mine = p->msg.from == n->id && p->life == n->life;
        if (mine && (all || p->state == ARRIVED || p->state == LOST)) {
            replica_snapshot_sent(n->replica, p->msg.to, p->msg.session, p->state == ARRIVED);
            p->life = 0; /* somebody may be staging it */
            if (p->state != STAGING) {
                parcel_free(p);
            }
        }
    }
}

/* ---- where it comes ---- */

enum status groupship_take(void *arg, const char *to, struct err *err)
{
    struct group_node *n = arg;
    enum status st = snapstage_take(&n->stage, to, err);
    n->staged = false;
    return st;
}

/* File by file, in pieces. */
static bool pieces_put(struct group_node *n, const struct parcel *p, struct err *err)
{
    for (uint32_t i = 0; i < p->set.count; i++) {
        const struct snapset_file *f = &p->set.files[i];
        for (uint64_t at = 0; at < f->size;) {
            uint64_t size = f->size - at < PIECE ? f->size - at : PIECE;
            struct peermsg_chunk c = {.id = p->set.id,
                                      .file = i,
                                      .offset = at,
                                      .data = slice_of(p->bytes.data + f->start + at, size)};
            if (snapstage_chunk(&n->stage, &c, err) != ST_OK) {
                return false;
            }
            at += size;
        }
    }
    return n->stage.state == SNAPSTAGE_WHOLE;
}

static bool parcel_stage(struct group_node *n, struct parcel *p)
{
    struct err err;
    struct peermsg_member rows[RAFT_MEMBERS_MAX];
    struct peermsg_offer offer;
    snapset_write(&p->set, p->files, rows, &offer);
    if (snapstage_offer(&n->stage, &offer, &err) != ST_OK || !pieces_put(n, p, &err)) {
        return false;
    }
    n->staged = true;
    if (replica_staged(n->replica, &p->msg, p->set.config_index) != ST_OK) {
        n->staged = false;
        if (snapstage_clear(&n->stage, &err) != ST_OK) {
            ENV_PROBE(&n->proc->env, "group: what nobody wants is not cleared"); /* an offer will */
        }
        return false;
    }
    n->g->staged++;
    return true;
}

static void parcels_take(struct group_node *n)
{
    struct group *g = n->g;
    for (struct list *l = g->parcels.next; l != &g->parcels; l = l->next) {
        struct parcel *p = LIST_ENTRY(l, struct parcel, link);
        bool due = p->state == ON_WAY && p->at <= g->world.sched.now;
        struct group_node *to = &g->node[p->msg.to];
        if (due && (to->proc == NULL || to->staged || g->cut[p->msg.from][p->msg.to])) {
            p->state = LOST;
        } else if (due && to == n) {
            p->state = STAGING;
            p->state = parcel_stage(n, p) ? ARRIVED : LOST;
            return; /* the list may be another now */
        }
    }
}

void groupship_open(struct env *env, struct group_node *n)
{
    struct err err;
    n->staged = false;
    CK(snapstage_open(&n->stage, env, "incoming", &err) == ST_OK);
}

void groupship_bring(struct group_node *n)
{
    parcels_take(n);
    parcels_tell(n, false);
}

void groupship_close(struct group_node *n)
{
    parcels_tell(n, true);
    snapstage_close(&n->stage);
}

void groupship_ended(struct group_node *n)
{
    for (struct list *l = n->g->parcels.next; l != &n->g->parcels; l = l->next) {
        struct parcel *p = LIST_ENTRY(l, struct parcel, link);
        if (p->msg.to == n->id && p->state == STAGING) {
            p->state = LOST;
        }
    }
}

void groupship_release(struct group *g)
{
    while (!list_empty(&g->parcels)) {
        parcel_free(LIST_ENTRY(g->parcels.next, struct parcel, link));
    }
}
