/* simdisk.c - life of a disk and its inodes; reading, writing, sizes, room. */
#include "sim/simdisk.h"

#include "base/ck.h"
#include "sim/simdisk_int.h"

#include <string.h>

#define EVICT_AT_KILL_PPM   300000u
#define UNCOVER_AT_KILL_PPM 500000u

void simdisk_options_init(struct simdisk_options *o)
{
    *o = (struct simdisk_options){
        .model = SIMDISK_P,
        .tear = SIMDISK_T512,
        .fsync_fail = SIMDISK_F1,
        .sector = 512,
        .page = 4096,
        .psow = true,
        .auto_da_alloc = true,
        .capacity = (uint64_t)1 << 30,
    };
}

/* ---- inodes ---- */

size_t simdisk_inode_at(const struct simdisk *d, simdisk_ino id)
{
    size_t low = 0;
    size_t high = d->inode_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (d->inodes[mid]->id < id) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

struct simdisk_inode *simdisk_inode_find(const struct simdisk *d, simdisk_ino id)
{
    size_t at = simdisk_inode_at(d, id);
    return at < d->inode_count && d->inodes[at]->id == id ? d->inodes[at] : NULL;
}

static struct simdisk_inode *inode_of(const struct simdisk *d, simdisk_ino id)
{
    struct simdisk_inode *n = simdisk_inode_find(d, id);
    CK(n != NULL);
    return n;
}

struct simdisk_inode *simdisk_inode_new(struct simdisk *d, simdisk_ino id, bool dir)
{
    if (d->inode_count == d->inode_cap) {
        size_t cap = d->inode_cap * 2 + 16;
        struct simdisk_inode **bigger = mem_resize(d->mem, d->inodes, cap * sizeof(void *));
        if (bigger == NULL) {
            return NULL;
        }
        d->inodes = bigger;
        d->inode_cap = cap;
    }
    struct simdisk_inode *n = mem_zalloc(d->mem, sizeof *n);
    if (n == NULL) {
        return NULL;
    }
    n->id = id;
    n->dir = dir;
    size_t at = simdisk_inode_at(d, id);
    memmove(d->inodes + at + 1, d->inodes + at, (d->inode_count - at) * sizeof(void *));
    d->inodes[at] = n;
    d->inode_count++;
    return n;
}

static void inode_free(struct simdisk *d, struct simdisk_inode *n, bool release_holds)
{
    if (n->dir) {
        simdisk_names_free(d, n, release_holds);
    }
    simdisk_image_drop(d->mem, n->base);
    simdisk_image_drop(d->mem, n->vol);
    simdisk_pend_drop(d->mem, n->pend);
    simdisk_flaws_drop(d, n);
    mem_release(d->mem, n);
}

void simdisk_inode_settle(struct simdisk *d, struct simdisk_inode *n)
{
    if (n->holds > 0 || n->openers > 0 || n->locked || n->id == SIMDISK_ROOT) {
        return;
    }
    size_t at = simdisk_inode_at(d, n->id);
    d->inode_count--;
    memmove(d->inodes + at, d->inodes + at + 1, (d->inode_count - at) * sizeof(void *));
    inode_free(d, n, true);
}

/* ---- stale sectors ---- */

void simdisk_stale_drop(struct mem *m, struct simdisk_stale *s)
{
    if (s == NULL || --s->refs > 0) {
        return;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        simdisk_chunk_drop(m, s->at[i].chunk);
    }
    mem_release(m, s);
}

static bool own_stale(struct simdisk *d)
{
    struct simdisk_stale *old = d->stale;
    if (old != NULL && old->refs == 1) {
        return true;
    }
    struct simdisk_stale *s = mem_alloc(d->mem, sizeof *s);
    if (s == NULL) {
        return false;
    }
    if (old == NULL) {
        memset(s, 0, sizeof *s);
    } else {
        memcpy(s, old, sizeof *s);
        old->refs--;
        for (uint32_t i = 0; i < s->count; i++) {
            s->at[i].chunk->refs++;
        }
    }
    s->refs = 1;
    d->stale = s;
    return true;
}

static void stale_add(struct simdisk *d, struct simdisk_chunk *c, uint32_t cell)
{
    struct simdisk_stale *s = d->stale;
    if (s->count == SIMDISK_STALE) {
        simdisk_chunk_drop(d->mem, s->at[s->next].chunk);
    } else {
        s->count++;
    }
    c->refs++;
    s->at[s->next].chunk = c;
    s->at[s->next].cell = cell;
    s->next = (s->next + 1) % SIMDISK_STALE;
}

/* Without memory it forgets them: the pool is a source of nasty bytes, nothing more. */
void simdisk_remember(struct simdisk *d, const struct simdisk_inode *n, uint64_t size)
{
    uint32_t per_page = d->o.page / d->cell;
    size_t first = (size_t)(size / d->o.page);
    size_t count = n->vol != NULL ? n->vol->count : 0;
    if (count <= first || !own_stale(d)) {
        return;
    }
    size_t pages = SIMDISK_STALE / per_page + 1;
    first = count - first > pages ? count - pages : first;
    for (size_t i = first; i < count; i++) {
        struct simdisk_chunk *c = n->vol->pages[i].chunk;
        for (uint32_t k = 0; c != NULL && k < per_page; k++) {
            bool cut = (uint64_t)i * d->o.page + (uint64_t)k * d->cell >= size;
            if (cut && (c->written >> k & 1) != 0) {
                stale_add(d, c, k);
            }
        }
    }
}

void simdisk_inode_unlinked(struct simdisk *d, struct simdisk_inode *n)
{
    if (n->links > 0 || n->openers > 0 || n->dir) {
        return;
    }
    simdisk_remember(d, n, 0);
    d->freeing += n->blocks * d->o.page;
    n->blocks = 0;
}

/* ---- life ---- */

enum status simdisk_shell_new(struct mem *mem, const struct simdisk_options *o,
                              struct simdisk **disk)
{
    CK(o->sector >= 16 && (o->sector & (o->sector - 1)) == 0);
    CK(o->page % o->sector == 0 && o->page / o->sector <= 64);
    struct simdisk *d = mem_zalloc(mem, sizeof *d);
    if (d == NULL) {
        return ST_NOMEM;
    }
    d->mem = mem;
    d->o = *o;
    d->cell = o->tear == SIMDISK_T4096 ? o->page : o->sector;
    d->next_ino = SIMDISK_ROOT + 1;
    *disk = d;
    return ST_OK;
}

enum status simdisk_new(struct mem *mem, const struct simdisk_options *o, struct simdisk **disk)
{
    struct simdisk *d;
    enum status st = simdisk_shell_new(mem, o, &d);
    if (st != ST_OK) {
        return st;
    }
    struct simdisk_inode *root = simdisk_inode_new(d, SIMDISK_ROOT, true);
    if (root == NULL) {
        simdisk_free(d);
        return ST_NOMEM;
    }
    root->links = 1;
    root->parent = SIMDISK_ROOT;
    *disk = d;
    return ST_OK;
}

void simdisk_free(struct simdisk *d)
{
    if (d == NULL) {
        return;
    }
    for (size_t i = 0; i < d->inode_count; i++) {
        inode_free(d, d->inodes[i], false);
    }
    simdisk_stale_drop(d->mem, d->stale);
    mem_release(d->mem, d->inodes);
    mem_release(d->mem, d->verdicts);
    mem_release(d->mem, d);
}

static struct simdisk_name *name_copy(struct mem *m, const struct simdisk_name *from)
{
    struct simdisk_name *n = mem_alloc(m, sizeof *n + from->len + 1);
    if (n == NULL) {
        return NULL;
    }
    memcpy(n, from, sizeof *n);
    memcpy(n->text, from->text, from->len + 1);
    n->v = n->few;
    n->cap = sizeof n->few / sizeof *n->few;
    if (n->count > n->cap) {
        n->v = mem_alloc(m, n->count * sizeof *n->v);
        if (n->v == NULL) {
            mem_release(m, n);
            return NULL;
        }
        n->cap = n->count;
    }
    memcpy(n->v, from->v, n->count * sizeof *n->v);
    return n;
}

static bool copy_names(struct mem *m, struct simdisk_inode *n, const struct simdisk_inode *from)
{
    n->names = NULL;
    n->name_count = 0;
    n->name_cap = from->name_count;
    if (from->name_count == 0) {
        return true;
    }
    n->names = mem_alloc(m, from->name_count * sizeof(void *));
    if (n->names == NULL) {
        return false;
    }
    for (size_t i = 0; i < from->name_count; i++) {
        n->names[i] = name_copy(m, from->names[i]);
        if (n->names[i] == NULL) {
            return false;
        }
        n->name_count++;
    }
    return true;
}

static bool copy_flaws(struct simdisk *d, struct simdisk_inode *n, const struct simdisk_inode *from)
{
    struct simdisk_flaw **last = &n->flaws;
    *last = NULL;
    for (const struct simdisk_flaw *f = from->flaws; f != NULL; f = f->next) {
        *last = simdisk_flaw_copy(d->mem, f);
        if (*last == NULL) {
            return false;
        }
        last = &(*last)->next;
    }
    return true;
}

static bool copy_inode(struct simdisk *d, const struct simdisk_inode *from)
{
    struct simdisk_inode *n = simdisk_inode_new(d, from->id, from->dir);
    if (n == NULL) {
        return false;
    }
    *n = *from;
    (void)simdisk_image_share(n->base);
    (void)simdisk_image_share(n->vol);
    if (n->pend != NULL) {
        n->pend->refs++;
    }
    bool flaws = copy_flaws(d, n, from);
    return copy_names(d->mem, n, from) && flaws; /* both, so that what n holds is its own */
}

enum status simdisk_clone(const struct simdisk *d, struct simdisk **copy)
{
    struct simdisk *c = mem_alloc(d->mem, sizeof *c);
    if (c == NULL) {
        return ST_NOMEM;
    }
    *c = *d;
    c->inodes = NULL;
    c->inode_count = 0;
    c->inode_cap = 0;
    c->verdicts = NULL;
    c->verdict_count = 0;
    if (c->stale != NULL) {
        c->stale->refs++;
    }
    for (size_t i = 0; i < d->inode_count; i++) {
        if (!copy_inode(c, d->inodes[i])) {
            simdisk_free(c);
            return ST_NOMEM;
        }
    }
    *copy = c;
    return ST_OK;
}

/* ---- pending updates ---- */

static void update_drop(struct mem *m, const struct simdisk_update *u)
{
    if (u->blob != NULL && --u->blob->refs == 0) {
        mem_release(m, u->blob);
    }
}

void simdisk_pend_drop(struct mem *m, struct simdisk_pend *p)
{
    if (p == NULL || --p->refs > 0) {
        return;
    }
    for (size_t i = 0; i < p->count; i++) {
        update_drop(m, &p->u[i]);
    }
    mem_release(m, p);
}

bool simdisk_pend_reserve(struct simdisk *d, struct simdisk_inode *n, size_t extra)
{
    struct simdisk_pend *old = n->pend;
    size_t count = old != NULL ? old->count : 0;
    bool own = old != NULL && old->refs == 1;
    if (own && count + extra <= old->cap) {
        return true;
    }
    size_t cap = (count + extra) * 2 + 4;
    size_t bytes = sizeof *old + cap * sizeof old->u[0];
    struct simdisk_pend *p = own ? mem_resize(d->mem, old, bytes) : mem_alloc(d->mem, bytes);
    if (p == NULL) {
        return false;
    }
    if (!own) {
        p->count = count;
        for (size_t i = 0; i < count; i++) {
            p->u[i] = old->u[i];
            if (p->u[i].blob != NULL) {
                p->u[i].blob->refs++;
            }
        }
        if (old != NULL) {
            old->refs--; /* it was shared: a clone keeps it */
        }
    }
    p->refs = 1;
    p->cap = cap;
    n->pend = p;
    return true;
}

void simdisk_pend_add(struct simdisk_inode *n, struct simdisk_update u)
{
    CK(n->pend->refs == 1);
    CK(n->pend->count < n->pend->cap);
    n->pend->u[n->pend->count++] = u;
}

/* ---- room ---- */

void simdisk_set_capacity(struct simdisk *d, uint64_t bytes)
{
    d->o.capacity = bytes;
}

uint64_t simdisk_free_bytes(const struct simdisk *d)
{
    return d->o.capacity > d->used ? d->o.capacity - d->used : 0;
}

/* ---- openers and locks ---- */

enum status simdisk_open(struct simdisk *d, const char *path, unsigned flags, simdisk_ino *ino)
{
    struct simdisk_inode *n;
    bool fresh;
    enum status st = simdisk_open_path(d, path, flags, &n, &fresh);
    if (st != ST_OK) {
        return st;
    }
    if ((flags & ENV_TRUNCATE) != 0 && !fresh && n->vol_size > 0) {
        st = simdisk_truncate(d, n->id, 0);
        if (st != ST_OK) {
            return st;
        }
    }
    n->openers++;
    *ino = n->id;
    return ST_OK;
}

void simdisk_close(struct simdisk *d, simdisk_ino ino)
{
    struct simdisk_inode *n = inode_of(d, ino);
    CK(n->openers > 0);
    n->openers--;
    simdisk_inode_unlinked(d, n);
    simdisk_inode_settle(d, n);
}

enum status simdisk_lock(struct simdisk *d, simdisk_ino ino)
{
    struct simdisk_inode *n = inode_of(d, ino);
    if (n->locked) {
        return ST_BUSY;
    }
    n->locked = true;
    return ST_OK;
}

void simdisk_unlock(struct simdisk *d, simdisk_ino ino)
{
    struct simdisk_inode *n = inode_of(d, ino);
    n->locked = false;
    simdisk_inode_settle(d, n);
}

static void uncover_at_kill(struct simdisk *d, struct chooser_stream *s)
{
    size_t masked = 0;
    for (size_t i = 0; i < d->inode_count; i++) {
        masked += simdisk_flaws_masked(d, d->inodes[i]);
    }
    if (masked == 0 || !choose_chance(s, UNCOVER_AT_KILL_PPM)) {
        return;
    }
    for (size_t i = 0; i < d->inode_count; i++) {
        simdisk_flaws_uncover(d, d->inodes[i], SIZE_MAX);
    }
}

void simdisk_process_died(struct simdisk *d, struct chooser_stream *s)
{
    bool evict = false;
    bool asked = false;
    uncover_at_kill(d, s);
    for (size_t i = 0; i < d->inode_count;) {
        struct simdisk_inode *n = d->inodes[i];
        if (n->lost > 0 && !asked) {
            asked = true;
            evict = choose_chance(s, EVICT_AT_KILL_PPM);
        }
        if (evict) {
            simdisk_evict_all(d, n);
        }
        simdisk_ino id = n->id;
        if (n->openers > 0) {
            n->openers = 0;
            simdisk_inode_unlinked(d, n);
        }
        n->locked = false;
        n->sync_failed = false; /* whoever comes next cannot know */
        simdisk_inode_settle(d, n);
        i = simdisk_inode_at(d, id + 1);
    }
}

/* ---- the disk as a whole ---- */

uint64_t simdisk_pending_bytes(const struct simdisk *d)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < d->inode_count; i++) {
        const struct simdisk_inode *n = d->inodes[i];
        for (size_t k = 0; n->pend != NULL && k < n->pend->count; k++) {
            const struct simdisk_update *u = &n->pend->u[k];
            sum += u->kind == SIMDISK_DATA && u->lsn > n->synced ? u->len : 0;
        }
    }
    return sum;
}

void simdisk_watch(struct simdisk *d, simdisk_watch_fn *watch, void *arg)
{
    d->watch = watch;
    d->watch_arg = arg;
}
