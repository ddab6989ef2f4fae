/* tkv_get.c - the public calls that read single keys, and snapshots.
 *
 * A read enters the epoch, takes the superversion and then the sequence (never the other way round:
 * db.h), and takes no lock. The active memtable may have forgotten what that sequence would see,
 * when the key was written again meanwhile: then the read takes a fresh one, and if that
 * happens over and over it registers a snapshot, which the memtable respects. */
#include "base/ck.h"
#include "engine/blockcache.h"
#include "engine/get.h"
#include "engine/tkv_impl.h"

#define FRESH_TRIES  4    /* before a read registers a snapshot */
#define GLANCE_BYTES 8192 /* of stack: a block of the usual size fits, packed and unpacked */

/* A pin's owner is a block, or a memtable with the lowest bit set. */
#define OWNER_MEMTABLE ((uintptr_t)1)

/* What several reads share: entered with view_enter. */
struct view {
    struct tkv *db;
    unsigned slot; /* in the epoch */
    unsigned flags;
    struct superversion *sv;
    uint64_t sequence;
    bool fixed;      /* a snapshot guards the sequence */
    bool registered; /* `own` is */
    struct tkv_snapshot own;
    struct superversion *own_sv; /* reference */
};

static void view_enter(struct view *v, struct tkv *db, const struct tkv_read_options *o)
{
    v->db = db;
    v->flags = o != NULL && o->skip_cache ? TABLE_NO_FILL : 0;
    v->registered = false;
    v->own_sv = NULL;
    v->slot = epoch_enter(&db->epoch);
    v->sv = db_superversion(db);
    v->fixed = o != NULL && o->snapshot != NULL;
    v->sequence = v->fixed ? o->snapshot->sequence : db_sequence(db);
}

static void view_exit(struct view *v)
{
    epoch_exit(&v->db->epoch, v->slot);
    if (v->registered) {
        superversion_unref(v->own_sv);
        db_snapshot_drop(v->db, &v->own);
    }
}

/* Looks again from now on. */
static void view_renew(struct view *v)
{
    CK(!v->fixed);
    v->sv = db_superversion(v->db);
    v->sequence = db_sequence(v->db);
}

/* The same, at a sequence that nothing forgets. */
static void view_register(struct view *v)
{
    CK(!v->fixed);
    v->own_sv = db_snapshot_take(v->db, &v->own);
    v->sv = v->own_sv;
    v->sequence = v->own.sequence;
    v->registered = true;
    v->fixed = true;
}

static void failure_log(const struct view *v, enum status st, const struct err *err)
{
    if (st != ST_NOENT && err->text[0] != '\0') {
        env_log(v->db->env, ENV_LOG_ERROR, err->text);
    }
}

/* One key; ST_AGAIN: the view has to be renewed. room: NULL, or for a moment only. */
static enum status view_get(const struct view *v, struct slice key, const struct table_room *room,
                            struct get_result *r)
{
    struct err err;
    err.text[0] = '\0';
    struct table_ask ask = {.key = key, .sequence = v->sequence, .flags = v->flags, .room = room};
    enum status st = get_run(v->db, v->sv, &ask, r, &err);
    if (st != ST_OK) {
        CK(st != ST_AGAIN || !v->fixed);
        failure_log(v, st, &err);
    }
    return st;
}

static enum status view_find(struct view *v, struct slice key, const struct table_room *room,
                             struct get_result *r)
{
    enum status st = view_get(v, key, room, r);
    for (int tries = 0; st == ST_AGAIN; tries++) {
        if (tries < FRESH_TRIES) {
            view_renew(v);
        } else {
            view_register(v);
        }
        st = view_get(v, key, room, r);
    }
    return st;
}

/* The key as given; one without bytes may come as NULL. */
static struct slice key_of(const void *key, size_t size)
{
    return slice_of(size > 0 ? key : "", size);
}

enum tkv_status tkv_get(struct tkv *db, const struct tkv_read_options *o, const void *key,
                        size_t key_size, void *value, size_t capacity, size_t *value_size)
{
    struct view v;
    struct get_result r;
    char bytes[GLANCE_BYTES];
    view_enter(&v, db, o);
    struct table_room room = {v.slot, bytes, sizeof bytes};
    enum status st = view_find(&v, key_of(key, key_size), &room, &r);
    if (st == ST_OK) {
        size_t n = r.value.size < capacity ? r.value.size : capacity;
        if (n > 0) {
            memcpy(value, r.value.data, n);
        }
        *value_size = r.value.size;
        block_unref(r.block);
    }
    view_exit(&v);
    return tkv_impl_status(st);
}

/* ---- pins ---- */

/* In the view's epoch: makes the result last. */
static void pin_make(struct tkv *db, const struct get_result *r, struct tkv_pin *pin)
{
    void *owner = r->block;
    if (r->memtable != NULL) {
        memtable_ref(r->memtable);
        owner = (void *)((uintptr_t)r->memtable | OWNER_MEMTABLE);
    }
    (void)atomic_add_u64(&db->readers, 1); /* looked at in tkv_close alone */
    *pin = (struct tkv_pin){r->value.size > 0 ? r->value.data : "", r->value.size, owner};
}

enum tkv_status tkv_get_pin(struct tkv *db, const struct tkv_read_options *o, const void *key,
                            size_t key_size, struct tkv_pin *pin)
{
    struct view v;
    struct get_result r;
    *pin = (struct tkv_pin){.data = NULL};
    view_enter(&v, db, o);
    enum status st = view_find(&v, key_of(key, key_size), NULL, &r);
    if (st == ST_OK) {
        pin_make(db, &r, pin);
    }
    view_exit(&v);
    return tkv_impl_status(st);
}

void tkv_pin_release(struct tkv *db, struct tkv_pin *pin)
{
    uintptr_t owner = (uintptr_t)pin->owner;
    if (owner == 0) {
        return;
    }
    if ((owner & OWNER_MEMTABLE) != 0) {
        memtable_unref((struct memtable *)(owner & ~OWNER_MEMTABLE));
    } else {
        block_unref(pin->owner);
    }
    (void)atomic_add_u64(&db->readers, -1);
    *pin = (struct tkv_pin){.data = NULL};
}

/* ---- several keys ---- */

/* All keys from the view as it is. ST_AGAIN: nothing is pinned, it has to be renewed. */
static enum status view_get_all(struct view *v, size_t count, const struct tkv_slice *keys,
                                struct tkv_pin *pins, enum tkv_status *statuses)
{
    enum status first = ST_OK;
    for (size_t i = 0; i < count; i++) {
        struct get_result r;
        enum status st = view_get(v, key_of(keys[i].data, keys[i].size), NULL, &r);
        if (st == ST_AGAIN) {
            for (size_t k = 0; k < i; k++) {
                tkv_pin_release(v->db, &pins[k]);
            }
            return st;
        }
        pins[i] = (struct tkv_pin){.data = NULL};
        if (st == ST_OK) {
            pin_make(v->db, &r, &pins[i]);
        } else if (st != ST_NOENT && first == ST_OK) {
            first = st;
        }
        statuses[i] = tkv_impl_status(st);
    }
    return first;
}

enum tkv_status tkv_multi_get(struct tkv *db, const struct tkv_read_options *o, size_t count,
                              const struct tkv_slice *keys, struct tkv_pin *pins,
                              enum tkv_status *statuses)
{
    struct view v;
    view_enter(&v, db, o);
    enum status st = view_get_all(&v, count, keys, pins, statuses);
    if (st == ST_AGAIN) {
        view_register(&v);
        st = view_get_all(&v, count, keys, pins, statuses);
    }
    view_exit(&v);
    return tkv_impl_status(st);
}

/* ---- snapshots ---- */

enum tkv_status tkv_snapshot_new(struct tkv *db, const struct tkv_snapshot **snapshot)
{
    struct tkv_snapshot *s = env_alloc(db->env, sizeof *s);
    if (s == NULL) {
        return TKV_NOMEM;
    }
    superversion_unref(db_snapshot_take(db, s)); /* of the present superversion it needs nothing */
    *snapshot = s;
    return TKV_OK;
}

void tkv_snapshot_free(struct tkv *db, const struct tkv_snapshot *snapshot)
{
    struct tkv_snapshot *s;
    if (snapshot == NULL) {
        return;
    }
    memcpy(&s, &snapshot, sizeof s); /* callers see it const, it is ours */
    db_snapshot_drop(db, s);
    env_release(db->env, s);
}
