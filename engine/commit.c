/* commit.c - see commit.h. */
#include "engine/commit.h"

#include "base/ck.h"
#include "engine/background.h"
#include "env/note.h"

#define GROUP_BYTES ((size_t)1 << 20) /* a group takes no further batch beyond this */

static struct commit *commit_of(struct list *link)
{
    return LIST_ENTRY(link, struct commit, link);
}

/* ---- room ---- */

/* Gives the full table over and starts a new one with a new log. The leader calls it, under mutex,
 * and it lets the mutex go while it works. Memory first: it is refused without a trace. */
static enum status rotate(struct tkv *db)
{
    struct memview *v = NULL;
    struct memtable *table = NULL;
    uint64_t number = db->next_file;
    CK_SLOW(db->verify, skl_check(&memview_active(db->version)->skl));
    enum status st = db_logs_reserve(db);
    if (st == ST_OK) {
        st = memview_new(db->env, db->full_max + 3, &v);
    }
    if (st == ST_OK) {
        st = memtable_new(db->env, (struct order){NULL}, MEMTABLE_SKIPLIST, number, &table);
    }
    if (st != ST_OK) {
        memview_unref(v);
        return st;
    }
    db->next_file++;
    uint64_t base = db->base_number;
    env_mutex_unlock(db->env, &db->mutex);

    bool synced = db->log.synced == db->log.size;
    st = synced ? ST_OK : wal_sync(&db->log);
    bool in_doubt = st != ST_OK;
    struct db_log prev = {db->log.number, db->log.size};
    if (st == ST_OK) {
        wal_shut(&db->log);
        ENV_YIELD(db->env, "log: old one synced and left, no new one yet");
        st = db_log_make(db, number, prev, base);
    }

    env_mutex_lock(db->env, &db->mutex);
    db->syncs += !synced;
    if (st == ST_OK) {
        memview_active(db->version)->last = db->given;
        memview_add(v, table);
        for (size_t i = 0; i < db->version->count; i++) {
            memview_add(v, db->version->tables[i]); /* without what was merged meanwhile */
        }
        struct memview *old = db->version;
        db->version = v;
        v = old;
        db_logs_add(db, number, db->log.size);
        background_kick(db);
        ENV_PROBE(db->env, "log: rotated");
    } else {
        db_break(db, st, in_doubt);
    }
    memtable_unref(table);
    memview_unref(v);
    return st;
}

/* Returns once the log takes writes and the active table has room (or, to leave it, is empty). */
static enum status room_make(struct tkv *db, bool leave)
{
    for (;;) {
        struct memtable *active = memview_active(db->version);
        enum status st;
        if (db->broken != ST_OK) {
            st = background_wait(db);
        } else if (skl_count(&active->skl) == 0 ||
                   (!leave && memtable_bytes(active) < db->buffer_bytes)) {
            return ST_OK;
        } else if (memview_full(db->version) >= db->full_max) {
            ENV_PROBE(db->env, "commit: writers stalled");
            st = background_wait(db);
        } else {
            st = rotate(db);
        }
        if (st != ST_OK) {
            return st;
        }
    }
}

/* ---- a group ---- */

/* The last commit of the group that the one at the head leads. */
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

static enum status node_chain(struct skl *l, const struct batch_entry *e, struct skl_node ***tail)
{
    struct skl_node *n = skl_node_new(l, e->type, e->key, e->value);
    if (n == NULL) {
        return ST_NOMEM;
    }
    **tail = n;
    *tail = &n->next[0];
    return ST_OK;
}

/* Makes the nodes of c. What is made when memory runs out stays unused in the table's arena. */
static enum status nodes_make(struct skl *l, struct commit *c)
{
    struct skl_node **tail = &c->nodes;
    if (c->batch.size == 0) {
        return c->count == 0 ? ST_OK : node_chain(l, &c->entry, &tail);
    }
    struct batch_walk w;
    bool more = true;
    enum status st = batch_walk_init(&w, c->batch);
    while (st == ST_OK && more) {
        struct batch_entry e;
        st = batch_walk_next(&w, &e, &more);
        CK(st == ST_OK); /* it was made by batch_add */
        if (more) {
            st = node_chain(l, &e, &tail);
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
            struct env_note note = {.kind = NOTE_WAL_APPENDED,
                                    .a = db->log.number,
                                    .b = c->end,
                                    .c = c->first + c->count - 1};
            env_note(db->env, &note);
        }
    }
}

/* Numbers and logs the group; *given is the last number used. Without mutex. */
static enum status group_log(struct tkv *db, struct skl *l, struct commit *c,
                             const struct commit *last, uint64_t *given)
{
    struct commit *leader = c;
    bool sync = false;
    enum status st = ST_OK;
    for (; st == ST_OK && c != NULL; c = group_next(c, last)) {
        c->st = nodes_make(l, c);
        if (c->st == ST_OK) {
            sync = sync || c->sync;
        }
        if (c->st == ST_OK && c->count > 0) {
            c->first = *given + 1;
            *given += c->count;
            st = record_append(&db->log, c);
        }
    }
    if (st == ST_OK) {
        st = wal_flush(&db->log);
    }
    if (st == ST_OK) {
        appended_note(db, leader, last);
    }
    if (st == ST_OK && sync && db->log.synced < db->log.size) {
        ENV_YIELD(db->env, "commit: record written, not synced");
        st = wal_sync(&db->log);
    }
    return st;
}

/* Puts the group's entries into the table. Nobody sees them before the sequence is raised. */
static void group_link(struct skl *l, struct commit *c, const struct commit *last)
{
    for (; c != NULL; c = group_next(c, last)) {
        if (c->st != ST_OK) {
            continue;
        }
        uint64_t sequence = c->first;
        for (struct skl_node *n = c->nodes, *next; n != NULL; n = next) {
            next = n->next[0]; /* the link takes its place */
            skl_link(l, n, sequence++);
        }
        CK(c->count == 0 || sequence == c->first + c->count);
    }
}

/* Takes the group off the queue and wakes its writers and the next leader. Under mutex: a
 * woken writer's commit is gone as soon as it gets the mutex. */
static void group_end(struct tkv *db, struct commit *c, const struct commit *last, enum status st)
{
    for (bool more = true; more;) {
        struct commit *next = group_next(c, last);
        more = next != NULL;
        list_remove(&c->link);
        c->st = st != ST_OK ? st : c->st;
        c->sequence = c->count > 0 && c->st == ST_OK ? c->first + c->count - 1 : 0;
        c->done = true;
        env_cond_signal(db->env, &c->turn);
        c = next;
    }
    if (!list_empty(&db->commits)) {
        env_cond_signal(db->env, &commit_of(db->commits.next)->turn);
    }
}

/* What the commit at the head of the queue does for itself and those behind it. Under mutex. */
static void lead(struct tkv *db, struct commit *c)
{
    enum status st = room_make(db, c->rotate);
    struct commit *last = group_last(db);
    if (st != ST_OK) {
        group_end(db, c, last, st);
        return;
    }
    struct skl *l = &memview_active(db->version)->skl;
    uint64_t given = db->given;
    uint64_t synced = db->log.synced;
    env_mutex_unlock(db->env, &db->mutex);

    st = group_log(db, l, c, last, &given);
    if (st == ST_OK) {
        ENV_YIELD(db->env, "commit: logged, not visible");
        group_link(l, c, last);
    }

    env_mutex_lock(db->env, &db->mutex);
    db->given = given; /* a failed change's number is used up too */
    if (st == ST_OK) {
        db->sequence = given;
        db->logs[db->logs_count - 1].size = db->log.size;
        db->syncs += db->log.synced != synced;
    } else {
        db_break(db, st, true);
    }
    group_end(db, c, last, st);
}

enum status commit_run(struct tkv *db, struct commit *c)
{
    env_cond_init(db->env, &c->turn);
    env_mutex_lock(db->env, &db->mutex);
    list_insert(&db->commits, &c->link);
    while (!c->done && db->commits.next != &c->link) {
        (void)env_cond_wait(db->env, &c->turn, &db->mutex, ENV_NEVER); /* no deadline to miss */
    }
    if (!c->done) {
        lead(db, c);
    }
    env_mutex_unlock(db->env, &db->mutex);
    ENV_YIELD(db->env, "commit: done, not returned");
    env_cond_release(db->env, &c->turn);
    return c->st;
}
