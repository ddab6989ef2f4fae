/* commit.c - see commit.h. */
#include "engine/commit.h"

#include "base/ck.h"
#include "engine/background.h"
#include "engine/install.h"
#include "env/note.h"

#define GROUP_BYTES ((size_t)1 << 20)   /* a group takes no further batch beyond this */
#define SLOW_NS_MAX ((uint64_t)1000000) /* that a group waits before level 0 stops it */
#define GATHER_PART ((uint64_t)4)       /* of a sync's time a leader waits for others at most */

static struct commit *commit_of(struct list *link)
{
    return LIST_ENTRY(link, struct commit, link);
}

/* ---- room ---- */

/* Gives the full table over and starts a new one with a new log. The leader calls it, under mutex,
 * and it lets the mutex go while it works. Memory first: it is refused without a trace. */
static enum status rotate(struct tkv *db)
{
    struct memtable *table = NULL;
    struct superversion *next = NULL;
    bool logged = db->options.log;
    uint64_t number = db->next_file;
    CK_SLOW(db->options.verify, memtable_check(db->superversion->active));
    enum status st = db_logs_reserve(db);
    if (st == ST_OK) {
        st = superversion_new(db->env, db->options.memtables_max + 2, &next);
    }
    if (st == ST_OK) {
        st = memtable_new(db->env, db->order, MEMTABLE_TREE, number, &table);
    }
    if (st != ST_OK) {
        superversion_unref(next);
        return st;
    }
    db->next_file++;
    env_mutex_unlock(db->env, &db->mutex);

    bool in_doubt = false;
    if (logged && db->log.synced < db->log.size) {
        st = wal_sync(&db->log);
        in_doubt = st != ST_OK;
        (void)atomic_add_u64(&db->syncs, 1); /* a sum */
    }
    struct db_log prev = {db->log.number, db->log.size};
    if (logged && st == ST_OK) {
        wal_shut(&db->log);
        ENV_YIELD(db->env, "log: old one synced and left, no new one yet");
        st = db_log_make(db, number, prev);
    }

    env_mutex_lock(db->env, &db->mutex);
    if (st == ST_OK) {
        superversion_rotate(next, db->superversion, table, db->given);
        install_show(db, next);
        next = NULL;
        if (logged) {
            db_logs_add(db, number, db->log.size);
        }
        background_kick(db);
        ENV_PROBE(db->env, "log: rotated");
    } else {
        db_break(db, st, in_doubt);
    }
    memtable_unref(table);
    superversion_unref(next);
    return st;
}

/* Waits for the background, counted as a stall. Under mutex. */
static enum status stall(struct tkv *db, enum status (*wait)(struct tkv *db))
{
    uint64_t since = env_clock_mono(db->env);
    pacer_hurry(&db->pacer, true);
    enum status st = wait(db);
    pacer_hurry(&db->pacer, false);
    db->stats.stalls++;
    db->stats.stall_ns += env_clock_mono(db->env) - since;
    return st;
}

/* With many tables in level 0 a group waits a little before it goes on, the more the nearer they
 * are to stopping everything. Ends early when there are fewer. Under mutex. */
static void slow_down(struct tkv *db)
{
    const struct tkv_options *o = &db->options;
    size_t tables = db->superversion->version->levels[0].count;
    if (tables < o->level0_slow) {
        return;
    }
    size_t over = tables - o->level0_slow + 1;
    size_t span = o->level0_stop - o->level0_slow + 1;
    uint64_t since = env_clock_mono(db->env);
    uint64_t until = since + SLOW_NS_MAX * (over < span ? over : span) / span;
    while (db->superversion->version->levels[0].count >= tables &&
           env_cond_wait(db->env, &db->progress, &db->mutex, until) == ST_OK &&
           env_clock_mono(db->env) < until) {
    }
    db->stats.slowdowns++;
    db->stats.slowdown_ns += env_clock_mono(db->env) - since;
    ENV_PROBE(db->env, "commit: writers slowed down");
}

/* Whether the active table holds nothing that a flush would have to keep. */
static bool is_empty(const struct memtable *t)
{
    return memtable_count(t) == 0 && t->tag == 0;
}

/* Returns once the log takes writes and the active table has room (or, to leave it, is empty). */
static enum status room_make(struct tkv *db, bool leave)
{
    if (!leave && db->broken == ST_OK) {
        slow_down(db);
    }
    for (;;) {
        const struct superversion *sv = db->superversion;
        enum status st;
        if (db->broken != ST_OK) {
            st = background_wait_flush(db);
        } else if (is_empty(sv->active) ||
                   (!leave && memtable_bytes(sv->active) < db->options.write_buffer_bytes)) {
            return ST_OK;
        } else if (sv->full_count >= db->options.memtables_max) {
            ENV_PROBE(db->env, "commit: writers stalled");
            st = stall(db, background_wait_flush);
        } else if (!leave && sv->version->levels[0].count >= db->options.level0_stop) {
            ENV_PROBE(db->env, "commit: writers stopped by level 0");
            st = stall(db, background_wait_level0);
        } else {
            st = rotate(db);
        }
        if (st != ST_OK) {
            return st;
        }
    }
}

/* Tells the active table which old versions nobody can ask for. Under mutex; its list is the
 * leader's. */
static void prune(struct tkv *db, struct memtable *active)
{
    if (db->prune_at != db->snapshots_changed) {
        buf_clear(&db->prune);
        for (struct list *at = db->snapshots.next; at != &db->snapshots; at = at->next) {
            uint64_t sequence = LIST_ENTRY(at, struct tkv_snapshot, link)->sequence;
            if (buf_append(&db->prune, &sequence, sizeof sequence) != ST_OK) {
                memtable_prune(active, 0, NULL, 0); /* nothing may go then */
                return;
            }
        }
        db->prune_at = db->snapshots_changed;
    }
    memtable_prune(active, db_sequence(db), (const uint64_t *)(const void *)db->prune.data,
                   db->prune.size / sizeof(uint64_t));
}

/* ---- a group ---- */

/* The last commit of the next group. */
static struct commit *group_last(struct tkv *db)
{
    struct commit *last = commit_of(db->commits.next);
    size_t bytes = last->batch.size + last->entry.value.size;
    while (!last->rotate && last->link.next != &db->commits) {
        struct commit *next = commit_of(last->link.next);
        bytes += next->batch.size + next->entry.value.size;
        if (next->rotate || bytes > GROUP_BYTES) {
            break;
        }
        last = next;
    }
    return last;
}

/* The commit after c in its group; NULL behind last. */
static struct commit *group_next(struct commit *c, const struct commit *last)
{
    return c == last ? NULL : commit_of(c->link.next);
}

static enum status node_chain(struct memtable *t, const struct batch_entry *e,
                              struct memtable_node ***tail)
{
    enum status st = memtable_prepare(t, e, *tail);
    if (st == ST_OK) {
        *tail = &(**tail)->chain;
    }
    return st;
}

/* Makes the nodes of c. What is made when memory runs out stays unused in the table's arena. */
static enum status nodes_make(struct memtable *t, struct commit *c)
{
    struct memtable_node **tail = &c->nodes;
    if (c->batch.size == 0) {
        return c->count == 0 ? ST_OK : node_chain(t, &c->entry, &tail);
    }
    struct batch_walk w;
    bool more = true;
    enum status st = batch_walk_init(&w, c->batch);
    while (st == ST_OK && more) {
        struct batch_entry e;
        st = batch_walk_next(&w, &e, &more);
        CK(st == ST_OK); /* it was made by batch_add */
        if (more) {
            st = node_chain(t, &e, &tail);
        }
    }
    return st;
}

static enum status record_append(struct wal *log, struct commit *c)
{
    char head[BATCH_HEAD + BATCH_ENTRY_HEAD_MAX];
    struct env_slice parts[3] = {{c->batch.data, c->batch.size}};
    int count = 1;
    if (c->batch.size == 0) {
        const struct batch_entry *e = &c->entry;
        batch_put_head(head, 1);
        size_t size = BATCH_HEAD;
        size += batch_put_entry_head(head + size, e->type, e->key.size, e->value.size);
        parts[0] = (struct env_slice){head, size};
        parts[1] = (struct env_slice){e->key.data, e->key.size};
        parts[2] = (struct env_slice){e->value.data, e->value.size};
        count = 3;
    }
    enum status st = wal_append(log, c->first, parts, count);
    c->end = log->size;
    return st;
}

static void appended_note(struct tkv *db, struct commit *c, const struct commit *last)
{
    for (; env_noting(db->env) && c != NULL; c = group_next(c, last)) {
        if (c->count > 0 && c->st == ST_OK) {
            db_note(db, NOTE_WAL_APPENDED, db->log.number, c->end, c->first + c->count - 1);
        }
    }
}

/* What a group is numbered with, and what it took. */
struct counters {
    uint64_t given;   /* the last number used */
    uint64_t tag;     /* the highest so far */
    uint64_t sync_ns; /* 0: there was none */
};

/* Makes the nodes of the group's commits, numbers and logs them. A commit that fails by itself has
 * its own status. Without mutex. */
static enum status group_log(struct tkv *db, struct memtable *t, struct commit *c,
                             const struct commit *last, struct counters *n)
{
    struct commit *leader = c;
    bool sync = false;
    enum status st = ST_OK;
    for (; st == ST_OK && c != NULL; c = group_next(c, last)) {
        c->st = c->tag != 0 && c->tag < n->tag ? ST_INVAL : nodes_make(t, c);
        if (c->st != ST_OK) {
            continue;
        }
        sync = sync || c->sync;
        n->tag = c->tag > n->tag ? c->tag : n->tag;
        if (c->count > 0) {
            c->first = n->given + 1;
            n->given += c->count;
            st = db->options.log ? record_append(&db->log, c) : ST_OK;
        }
    }
    if (!db->options.log) {
        return ST_OK;
    }
    if (st == ST_OK) {
        st = wal_flush(&db->log);
    }
    if (st == ST_OK) {
        appended_note(db, leader, last);
    }
    if (st == ST_OK && sync && db->log.synced < db->log.size) {
        st = wal_ahead(&db->log, db->options.write_buffer_bytes);
    }
    if (st == ST_OK && sync && db->log.synced < db->log.size) {
        ENV_YIELD(db->env, "commit: record written, not synced");
        uint64_t since = env_clock_mono(db->env);
        st = wal_sync(&db->log);
        n->sync_ns = env_clock_mono(db->env) - since;
        (void)atomic_add_u64(&db->syncs, 1); /* a sum */
    }
    return st;
}

/* Puts the group's entries into the table. Nobody sees them before the sequence is raised. */
static void group_link(struct memtable *t, struct commit *c, const struct commit *last)
{
    for (; c != NULL; c = group_next(c, last)) {
        if (c->st != ST_OK) {
            continue;
        }
        uint64_t sequence = c->first;
        for (struct memtable_node *n = c->nodes, *next; n != NULL; n = next) {
            next = n->chain; /* the link takes its place */
            memtable_link(t, n, sequence++);
        }
        CK(c->count == 0 || sequence == c->first + c->count);
    }
}

/* Makes the commits at the front of the queue a group. Under mutex. */
static struct commit *group_take(struct tkv *db)
{
    struct commit *last = group_last(db);
    for (struct commit *c = commit_of(db->commits.next); c != NULL; c = group_next(c, last)) {
        c->taken = true;
        c->round = db->round;
    }
    db->round++;
    return last;
}

/* Who is to look again when a group has ended. */
struct woken {
    uint64_t round;
    bool group; /* it had more than one, or others that it did not take */
    bool next;  /* some are queued behind it: one of them is to lead */
};

/* Takes the group off the queue. Under mutex: as soon as that is let go these commits may be gone.
 */
static struct woken group_end(struct tkv *db, struct commit *c, const struct commit *last,
                              enum status st)
{
    struct woken w = {.round = c->round};
    size_t count = 0;
    for (bool more = true; more; count++) {
        struct commit *next = group_next(c, last);
        more = next != NULL;
        list_remove(&c->link);
        c->st = st != ST_OK ? st : c->st;
        if (c->rotate) {
            c->sequence = c->first;
        } else {
            c->sequence = c->count > 0 && c->st == ST_OK ? c->first + c->count - 1 : 0;
        }
        c->done = true;
        c = next;
    }
    db->commits_count -= count;
    db->leading = false;
    w.next = !list_empty(&db->commits);
    w.group = count > 1 || w.next;
    return w;
}

/* Without mutex. Some may be woken who have nothing to do with it. */
static void group_wake(struct tkv *db, const struct woken *w)
{
    if (w->next) {
        env_cond_signal(db->env, &db->rounds[(w->round + 1) % 2]); /* first: the log waits for it */
    }
    if (w->group) {
        env_cond_broadcast(db->env, &db->rounds[w->round % 2]);
    }
}

/* ---- turns, and larger groups ---- */

/* Whether c, who could lead, had better wait for others before it has the log synced. Under
 * mutex. */
static bool gather_wanted(const struct tkv *db, const struct commit *c)
{
    return c->sync && db->commits_count < db->writers;
}

/* Until c's group has ended, or none is led; or until then. Under mutex, which it lets go. */
static void round_wait(struct tkv *db, const struct commit *c, uint64_t until)
{
    uint64_t round = c->taken ? c->round : db->round;
    (void)env_cond_wait(db->env, &db->rounds[round % 2], &db->mutex, until); /* who calls looks */
}

/* Waits for as many commits as there were around the last sync. Whoever completes them (queue)
 * leads, for that one is running already. Who does not come in time is not counted on the next
 * time (gather_learn). Under mutex, which it lets go. */
static void gather(struct tkv *db, struct commit *c)
{
    uint64_t until = env_clock_mono(db->env) + db->sync_ns / GATHER_PART;
    db->gathering = db->writers;
    while (!c->taken && db->gathering > 0) {
        round_wait(db, c, until);
        if (!c->taken && db->gathering > 0 && env_clock_mono(db->env) >= until) {
            db->gathering = 0;
            ENV_PROBE(db->env, "commit: a writer waited for others in vain");
            return;
        }
    }
    ENV_PROBE(db->env, "commit: a writer waited for others, who came");
}

/* Notes what a synced group of `count` says of those to come. Under mutex, behind its end. */
static void gather_learn(struct tkv *db, size_t count, uint64_t sync_ns)
{
    uint64_t most = db->sync_ns * 2; /* one that the device kept waiting says little */
    sync_ns = db->sync_ns > 0 && sync_ns > most ? most : sync_ns;
    db->sync_ns = db->sync_ns > 0 ? (db->sync_ns * 3 + sync_ns) / 4 : sync_ns;
    db->writers = count + db->commits_count;
}

static void queue(struct tkv *db, struct commit *c)
{
    list_insert(&db->commits, &c->link);
    db->commits_count++;
    if (db->commits_count == db->gathering) {
        db->gathering = 0;
    }
}

/* Returns when c is done or has to lead. Under mutex, which it lets go. */
static void turn_come(struct tkv *db, struct commit *c)
{
    bool gathered = false;
    while (!c->done) {
        if (db->leading || db->gathering > 0) {
            round_wait(db, c, ENV_NEVER);
        } else if (!gathered && gather_wanted(db, c)) {
            gathered = true;
            gather(db, c);
        } else {
            return;
        }
    }
}

/* ---- leading ---- */

/* The bytes of keys and values that the group brought in. */
static uint64_t group_bytes(struct commit *c, const struct commit *last)
{
    uint64_t bytes = 0;
    for (; c != NULL; c = group_next(c, last)) {
        if (c->st == ST_OK && c->count > 0) {
            bytes += c->batch.size > 0 ? c->batch.size - BATCH_HEAD
                                       : c->entry.key.size + c->entry.value.size;
        }
    }
    return bytes;
}

/* What one writer does for those at the front of the queue. Under mutex, which it lets go. */
static struct woken lead(struct tkv *db)
{
    db->leading = true;
    struct commit *c = commit_of(db->commits.next);
    enum status st = room_make(db, c->rotate);
    struct commit *last = group_take(db);
    if (st != ST_OK || c->rotate) {
        c->first = db->given; /* for a rotation: the last number in tables that are full now */
        return group_end(db, c, last, st);
    }
    struct memtable *active = db->superversion->active;
    struct counters n = {db->given, db->tag, 0};
    uint64_t tag = n.tag;
    uint64_t written = db->log.written;
    prune(db, active);
    env_mutex_unlock(db->env, &db->mutex);

    st = group_log(db, active, c, last, &n);
    if (st == ST_OK) {
        ENV_YIELD(db->env, "commit: logged, not visible");
        group_link(active, c, last);
    }

    env_mutex_lock(db->env, &db->mutex);
    db->given = n.given; /* a failed change's number is used up too */
    if (st == ST_OK) {
        atomic_set_u64(&db->sequence, n.given);
        db->tag = n.tag;
        active->tag = n.tag > tag ? n.tag : active->tag;
        db->stats.written_bytes += group_bytes(c, last);
        if (db->options.log) {
            db->stats.log_written_bytes += db->log.written - written;
            db->logs[db->logs_count - 1].size = db->log.size;
        }
    } else {
        db_break(db, st, true);
    }
    size_t before = db->commits_count;
    struct woken w = group_end(db, c, last, st);
    if (n.sync_ns > 0) {
        gather_learn(db, before - db->commits_count, n.sync_ns);
    }
    return w;
}

void commit_init(struct tkv *db)
{
    env_cond_init(db->env, &db->rounds[0]);
    env_cond_init(db->env, &db->rounds[1]);
}

void commit_release(struct tkv *db)
{
    env_cond_release(db->env, &db->rounds[1]);
    env_cond_release(db->env, &db->rounds[0]);
}

enum status commit_run(struct tkv *db, struct commit *c)
{
    bool done;
    env_mutex_lock(db->env, &db->mutex);
    queue(db, c);
    do {
        struct woken w = {0};
        turn_come(db, c);
        if (!c->done) {
            w = lead(db);
        }
        done = c->done;
        env_mutex_unlock(db->env, &db->mutex);
        group_wake(db, &w);
        if (!done) {
            env_mutex_lock(db->env, &db->mutex); /* its group was full without it */
        }
    } while (!done);
    ENV_YIELD(db->env, "commit: done, not returned");
    return c->st;
}
