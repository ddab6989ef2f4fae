/* simdisk_names.c - paths, directories, and names with their versions. */
#include "base/ck.h"
#include "sim/simdisk_int.h"

#include <string.h>

/* ---- names of one directory ---- */

/* Where text is, or would be, among dir's names; true when it is there. */
static bool name_at(const struct simdisk_inode *dir, const char *text, size_t len, size_t *at)
{
    size_t low = 0;
    size_t high = dir->name_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct simdisk_name *n = dir->names[mid];
        int c = slice_compare(slice_of(n->text, n->len), slice_of(text, len));
        if (c == 0) {
            *at = mid;
            return true;
        }
        if (c < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    *at = low;
    return false;
}

static struct simdisk_name *name_find(const struct simdisk_inode *dir, const char *text, size_t len)
{
    size_t at;
    return name_at(dir, text, len, &at) ? dir->names[at] : NULL;
}

static struct simdisk_inode *lookup(const struct simdisk *d, const struct simdisk_inode *dir,
                                    const char *text, size_t len)
{
    const struct simdisk_name *n = name_find(dir, text, len);
    simdisk_ino ino = n != NULL ? simdisk_name_now(n) : 0;
    return ino != 0 ? simdisk_inode_find(d, ino) : NULL;
}

struct simdisk_inode *simdisk_name_lookup(const struct simdisk *d, const struct simdisk_inode *dir,
                                          const struct simdisk_name *name)
{
    return lookup(d, dir, name->text, name->len);
}

static void name_free(struct simdisk *d, struct simdisk_name *n)
{
    if (n->v != n->few) {
        mem_release(d->mem, n->v);
    }
    mem_release(d->mem, n);
}

static struct simdisk_name *name_new(struct simdisk *d, struct simdisk_inode *dir, size_t at,
                                     const char *text, size_t len)
{
    if (dir->name_count == dir->name_cap) {
        size_t cap = dir->name_cap * 2 + 8;
        struct simdisk_name **bigger = mem_resize(d->mem, dir->names, cap * sizeof(void *));
        if (bigger == NULL) {
            return NULL;
        }
        dir->names = bigger;
        dir->name_cap = cap;
    }
    struct simdisk_name *n = mem_zalloc(d->mem, sizeof *n + len + 1);
    if (n == NULL) {
        return NULL;
    }
    n->v = n->few;
    n->cap = sizeof n->few / sizeof *n->few;
    n->count = 1; /* version 0: no such name */
    n->len = len;
    memcpy(n->text, text, len);
    memmove(dir->names + at + 1, dir->names + at, (dir->name_count - at) * sizeof(void *));
    dir->names[at] = n;
    dir->name_count++;
    return n;
}

static bool more_versions(struct simdisk *d, struct simdisk_name *n, size_t extra)
{
    if (n->count + extra <= n->cap) {
        return true;
    }
    size_t cap = (n->count + extra) * 2;
    struct simdisk_version *v = mem_resize(d->mem, n->v != n->few ? n->v : NULL, cap * sizeof *v);
    if (v == NULL) {
        return false;
    }
    if (n->v == n->few) {
        memcpy(v, n->few, n->count * sizeof *v);
    }
    n->v = v;
    n->cap = cap;
    return true;
}

struct simdisk_name *simdisk_name_room(struct simdisk *d, struct simdisk_inode *dir,
                                       const char *text, size_t len, size_t extra)
{
    size_t at;
    struct simdisk_name *n =
        name_at(dir, text, len, &at) ? dir->names[at] : name_new(d, dir, at, text, len);
    return n != NULL && more_versions(d, n, extra) ? n : NULL;
}

/* A new version, in a name with room. target NULL: no such name from now on. */
static void name_push(struct simdisk_inode *dir, struct simdisk_name *n, uint64_t lsn,
                      struct simdisk_inode *target)
{
    bool was = simdisk_name_now(n) != 0;
    CK(n->count < n->cap);
    n->v[n->count++] = (struct simdisk_version){lsn, target != NULL ? target->id : 0};
    if (target != NULL) {
        target->holds++;
    }
    dir->entries += (size_t)(target != NULL) - (size_t)was;
}

static void unhold(struct simdisk *d, simdisk_ino ino)
{
    struct simdisk_inode *n = ino != 0 ? simdisk_inode_find(d, ino) : NULL;
    if (n != NULL) {
        CK(n->holds > 0);
        n->holds--;
        simdisk_inode_settle(d, n);
    }
}

void simdisk_names_free(struct simdisk *d, struct simdisk_inode *dir, bool release_holds)
{
    for (size_t i = 0; i < dir->name_count; i++) {
        struct simdisk_name *n = dir->names[i];
        for (size_t k = 0; release_holds && k < n->count; k++) {
            unhold(d, n->v[k].ino);
        }
        name_free(d, n);
    }
    mem_release(d->mem, dir->names);
}

void simdisk_names_fold(struct simdisk *d, struct simdisk_inode *dir, uint64_t mark)
{
    size_t kept = 0;
    dir->holds++; /* what is let go below must not take dir along before its names are in order */
    for (size_t i = 0; i < dir->name_count; i++) {
        struct simdisk_name *n = dir->names[i];
        size_t k = n->count - 1;
        while (k > 0 && n->v[k].lsn > mark) {
            k--;
        }
        for (size_t j = 0; j < k; j++) {
            unhold(d, n->v[j].ino);
        }
        n->count -= k;
        memmove(n->v, n->v + k, n->count * sizeof *n->v);
        if (n->count == 1 && n->v[0].ino == 0) {
            name_free(d, n);
        } else {
            dir->names[kept++] = n;
        }
    }
    dir->name_count = kept;
    unhold(d, dir->id);
}

/* ---- paths ---- */

enum last { LAST_NAME, LAST_DOT, LAST_DOTDOT, LAST_ROOT };

/* Where a path leads but for its last component. */
struct walk {
    struct simdisk_inode *dir;
    enum last kind;
    const char *text;
    size_t len;
    bool slash;    /* it ended with one: a directory is meant */
    bool too_long; /* its last component is, and nothing before it was wrong */
};

static enum status step(const struct simdisk *d, struct simdisk_inode **at, const char *text,
                        size_t len)
{
    if (len == 1 && text[0] == '.') {
        return ST_OK;
    }
    if (len == 2 && text[0] == '.' && text[1] == '.') {
        *at = simdisk_inode_find(d, (*at)->parent);
        CK(*at != NULL);
        return ST_OK;
    }
    if (len > SIMDISK_NAME_MAX) {
        return ST_NAMETOOLONG;
    }
    struct simdisk_inode *next = lookup(d, *at, text, len);
    if (next == NULL) {
        return ST_NOENT;
    }
    if (!next->dir) {
        return ST_NOTDIR;
    }
    *at = next;
    return ST_OK;
}

static enum last kind_of(const char *text, size_t len)
{
    if (len == 0) {
        return LAST_ROOT;
    }
    if (text[0] == '.' && (len == 1 || (len == 2 && text[1] == '.'))) {
        return len == 1 ? LAST_DOT : LAST_DOTDOT;
    }
    return LAST_NAME;
}

static enum status walk_to(const struct simdisk *d, const char *path, struct walk *w)
{
    if (path[0] == '\0') {
        return ST_NOENT;
    }
    if (strlen(path) >= ENV_PATH_MAX) {
        return ST_NAMETOOLONG;
    }
    *w = (struct walk){.dir = simdisk_inode_find(d, SIMDISK_ROOT)};
    const char *p = path + strspn(path, "/");
    for (;;) {
        w->text = p;
        w->len = strcspn(p, "/");
        const char *rest = p + w->len + strspn(p + w->len, "/");
        w->slash = p[w->len] == '/';
        if (*rest == '\0') {
            break;
        }
        enum status st = step(d, &w->dir, p, w->len);
        if (st != ST_OK) {
            return st;
        }
        p = rest;
    }
    w->kind = kind_of(w->text, w->len);
    w->too_long = w->kind == LAST_NAME && w->len > SIMDISK_NAME_MAX;
    return w->too_long ? ST_NAMETOOLONG : ST_OK;
}

/* What the whole path leads to; *n NULL with ST_OK: its last component does not exist. */
static enum status walk_last(const struct simdisk *d, const struct walk *w,
                             struct simdisk_inode **n)
{
    if (w->kind == LAST_NAME) {
        *n = lookup(d, w->dir, w->text, w->len);
        return *n != NULL && w->slash && !(*n)->dir ? ST_NOTDIR : ST_OK;
    }
    *n = w->dir;
    return w->kind == LAST_DOTDOT ? step(d, n, "..", 2) : ST_OK;
}

enum status simdisk_path_find(const struct simdisk *d, const char *path,
                              struct simdisk_inode **inode)
{
    struct walk w;
    enum status st = walk_to(d, path, &w);
    if (st == ST_OK) {
        st = walk_last(d, &w, inode);
    }
    return st == ST_OK && *inode == NULL ? ST_NOENT : st;
}

enum status simdisk_path_name(const struct simdisk *d, const char *path, struct simdisk_inode **dir,
                              struct simdisk_name **name)
{
    struct walk w;
    enum status st = walk_to(d, path, &w);
    if (st == ST_OK) {
        *dir = w.dir;
        *name = w.kind == LAST_NAME ? name_find(w.dir, w.text, w.len) : NULL;
    }
    return st;
}

/* ---- making ---- */

static bool no_room(const struct simdisk *d, uint64_t bytes)
{
    return simdisk_free_bytes(d) < bytes;
}

/* A new inode under a name that is not there. */
static enum status make(struct simdisk *d, const struct walk *w, bool dir,
                        struct simdisk_inode **inode)
{
    uint64_t room = SIMDISK_NAME_BYTES;
    if (d->dead != ST_OK) {
        return d->dead;
    }
    if (no_room(d, room)) {
        return ST_NOSPC;
    }
    struct simdisk_name *name = simdisk_name_room(d, w->dir, w->text, w->len, 1);
    struct simdisk_inode *n = name != NULL ? simdisk_inode_new(d, d->next_ino, dir) : NULL;
    if (n == NULL) {
        return ST_NOMEM;
    }
    d->next_ino++;
    d->used += room;
    n->links = 1;
    n->parent = w->dir->id;
    w->dir->subdirs += dir;
    name_push(w->dir, name, ++d->lsn, n);
    *inode = n;
    return ST_OK;
}

enum status simdisk_open_path(struct simdisk *d, const char *path, unsigned flags,
                              struct simdisk_inode **inode, bool *fresh)
{
    bool creates = (flags & ENV_CREATE) != 0;
    bool exclusive = (flags & ENV_EXCLUSIVE) != 0;
    bool writes = (flags & ENV_WRITE) != 0;
    bool changes = creates || (flags & ENV_TRUNCATE) != 0;
    if ((flags & (ENV_READ | ENV_WRITE)) == 0 || (exclusive && !creates) || (!writes && changes)) {
        return ST_INVAL;
    }
    struct walk w;
    enum status st = d->dead == ST_IO ? ST_IO : walk_to(d, path, &w);
    if (st != ST_OK) {
        return st;
    }
    *fresh = false;
    if (creates && w.slash && w.kind == LAST_NAME) {
        return ST_ISDIR;
    }
    st = walk_last(d, &w, inode);
    if (st != ST_OK) {
        return st;
    }
    if (*inode == NULL) {
        *fresh = creates;
        return creates ? make(d, &w, false, inode) : ST_NOENT;
    }
    if (creates && exclusive) {
        return ST_EXIST;
    }
    if ((*inode)->dir) {
        return ST_ISDIR;
    }
    return writes ? d->dead : ST_OK;
}

enum status simdisk_dir_make(struct simdisk *d, const char *path)
{
    struct walk w;
    struct simdisk_inode *n;
    enum status st = walk_to(d, path, &w);
    if (st != ST_OK) {
        return st;
    }
    if (w.kind != LAST_NAME || lookup(d, w.dir, w.text, w.len) != NULL) {
        return ST_EXIST;
    }
    return make(d, &w, true, &n);
}

/* ---- asking ---- */

static enum status dir_find(const struct simdisk *d, const char *path, struct simdisk_inode **n)
{
    enum status st = d->dead == ST_IO ? ST_IO : simdisk_path_find(d, path, n);
    return st == ST_OK && !(*n)->dir ? ST_NOTDIR : st;
}

enum status simdisk_dir_list(struct simdisk *d, const char *path, struct chooser_stream *s,
                             env_list_fn *each, void *arg)
{
    struct simdisk_inode *dir;
    enum status st = dir_find(d, path, &dir);
    if (st != ST_OK || dir->entries == 0) {
        return st;
    }
    const struct simdisk_name **list = mem_alloc(d->mem, dir->entries * sizeof(void *));
    if (list == NULL) {
        return ST_NOMEM;
    }
    size_t count = 0;
    for (size_t i = 0; i < dir->name_count; i++) {
        if (simdisk_name_now(dir->names[i]) != 0) {
            list[count++] = dir->names[i];
        }
    }
    CK(count == dir->entries);
    for (size_t i = count - 1; s != NULL && i > 0; i--) {
        size_t k = (size_t)choose(s, i + 1);
        const struct simdisk_name *other = list[k];
        list[k] = list[i];
        list[i] = other;
    }
    for (size_t i = 0; i < count && each(arg, list[i]->text); i++) {
    }
    mem_release(d->mem, list);
    return ST_OK;
}

enum status simdisk_stat(struct simdisk *d, const char *path, struct env_stat *out)
{
    struct simdisk_inode *n;
    enum status st = d->dead == ST_IO ? ST_IO : simdisk_path_find(d, path, &n);
    if (st != ST_OK) {
        return st;
    }
    *out = (struct env_stat){.kind = n->dir ? ENV_KIND_DIR : ENV_KIND_FILE,
                             .size = n->dir ? 0 : n->vol_size,
                             .links = n->dir ? n->subdirs + 2 : n->links};
    return ST_OK;
}

/* ---- unmaking ---- */

/* A name of n went: it may have been the last. */
static void lose_link(struct simdisk *d, struct simdisk_inode *dir, struct simdisk_inode *n)
{
    n->links--;
    dir->subdirs -= n->dir;
    simdisk_inode_unlinked(d, n);
    simdisk_inode_settle(d, n);
}

enum status simdisk_remove(struct simdisk *d, const char *path)
{
    struct walk w;
    enum status st = walk_to(d, path, &w);
    if (st != ST_OK) {
        return st;
    }
    if (w.kind != LAST_NAME) {
        return w.kind == LAST_DOT ? ST_INVAL : w.kind == LAST_ROOT ? ST_BUSY : ST_NOTEMPTY;
    }
    struct simdisk_inode *n;
    st = walk_last(d, &w, &n);
    if (st != ST_OK) {
        return st;
    }
    if (n == NULL) {
        return ST_NOENT;
    }
    if (d->dead != ST_OK) {
        return d->dead;
    }
    if (n->dir && n->entries > 0) {
        return ST_NOTEMPTY;
    }
    simdisk_tell(d, &(struct simdisk_event){.action = SIMDISK_REMOVES, .ino = n->id, .path = path});
    struct simdisk_name *name = simdisk_name_room(d, w.dir, w.text, w.len, 1);
    if (name == NULL) {
        return ST_NOMEM;
    }
    name_push(w.dir, name, ++d->lsn, NULL);
    d->freeing += SIMDISK_NAME_BYTES;
    lose_link(d, w.dir, n);
    return ST_OK;
}

/* ---- moving and linking ---- */

enum status simdisk_link(struct simdisk *d, const char *from, const char *to)
{
    struct simdisk_inode *n;
    struct walk w;
    enum status st = simdisk_path_find(d, from, &n);
    if (st == ST_OK) {
        st = walk_to(d, to, &w);
    }
    if (st != ST_OK) {
        return st;
    }
    if (w.kind != LAST_NAME || lookup(d, w.dir, w.text, w.len) != NULL) {
        return ST_EXIST;
    }
    if (w.slash) {
        return ST_NOENT;
    }
    if (n->dir) {
        return ST_ACCESS;
    }
    if (d->dead != ST_OK) {
        return d->dead;
    }
    if (no_room(d, SIMDISK_NAME_BYTES)) {
        return ST_NOSPC;
    }
    struct simdisk_name *name = simdisk_name_room(d, w.dir, w.text, w.len, 1);
    if (name == NULL) {
        return ST_NOMEM;
    }
    name_push(w.dir, name, ++d->lsn, n);
    d->used += SIMDISK_NAME_BYTES;
    n->links++;
    return ST_OK;
}

/* Whether `low` is `high` or lies below it. */
static bool below(const struct simdisk *d, const struct simdisk_inode *low,
                  const struct simdisk_inode *high)
{
    while (low != high && low->id != SIMDISK_ROOT) {
        low = simdisk_inode_find(d, low->parent);
        CK(low != NULL);
    }
    return low == high;
}

/* Whether renaming n (at from) to to, where `over` stands, is refused; in Linux's order. */
static enum status rename_refused(const struct simdisk *d, const struct walk *from,
                                  const struct simdisk_inode *n, const struct walk *to,
                                  const struct simdisk_inode *over)
{
    if (!n->dir && (from->slash || to->slash)) {
        return ST_NOTDIR;
    }
    if (n->dir && below(d, to->dir, n)) {
        return ST_INVAL; /* into itself */
    }
    if (over == NULL || over == n) {
        return ST_OK;
    }
    if (over->dir && below(d, from->dir, over)) {
        return ST_NOTEMPTY; /* onto its own ancestor */
    }
    if (n->dir != over->dir) {
        return n->dir ? ST_NOTDIR : ST_ISDIR;
    }
    return over->dir && over->entries > 0 ? ST_NOTEMPTY : ST_OK;
}

/* Everything checked: gets the memory, then does it in one step. */
static enum status rename_do(struct simdisk *d, const struct walk *from, struct simdisk_inode *n,
                             const struct walk *to, struct simdisk_inode *over)
{
    bool gap = over != NULL && d->o.rename_gap && d->o.model == SIMDISK_P;
    bool flush = over != NULL && d->o.auto_da_alloc && d->o.model == SIMDISK_E && !n->dir;
    struct simdisk_name *old = simdisk_name_room(d, from->dir, from->text, from->len, 1);
    struct simdisk_name *new = simdisk_name_room(d, to->dir, to->text, to->len, 1 + gap);
    if (old == NULL || new == NULL || (flush && !simdisk_pend_reserve(d, n, 1))) {
        return ST_NOMEM;
    }
    uint64_t lsn = ++d->lsn;
    if (gap) {
        name_push(to->dir, new, lsn, NULL);
    }
    name_push(to->dir, new, lsn, n);
    name_push(from->dir, old, lsn, NULL);
    if (flush) {
        simdisk_pend_add(
            n, (struct simdisk_update){.lsn = lsn, .kind = SIMDISK_FLUSH, .off = n->vol_size});
    }
    d->freeing += SIMDISK_NAME_BYTES;
    d->used += over == NULL ? SIMDISK_NAME_BYTES : 0;
    if (n->dir) {
        from->dir->subdirs--;
        to->dir->subdirs++;
        n->parent = to->dir->id;
    }
    if (over != NULL) {
        lose_link(d, to->dir, over);
    }
    return ST_OK;
}

enum status simdisk_rename(struct simdisk *d, const char *from, const char *to)
{
    struct walk a = {0};
    struct walk b = {0};
    /* As Linux goes about it: the way to both, then what is to be moved, then its new name. */
    enum status st = walk_to(d, from, &a);
    if (st == ST_OK || a.too_long) {
        enum status way = walk_to(d, to, &b);
        bool fixed = a.kind != LAST_NAME || b.kind != LAST_NAME;
        st = way != ST_OK && !b.too_long ? way : fixed ? ST_BUSY : st;
    }
    if (st != ST_OK) {
        return st;
    }
    struct simdisk_inode *n = lookup(d, a.dir, a.text, a.len);
    if (n == NULL || b.too_long) {
        return n == NULL ? ST_NOENT : ST_NAMETOOLONG;
    }
    struct simdisk_inode *over = lookup(d, b.dir, b.text, b.len);
    st = rename_refused(d, &a, n, &b, over);
    if (st != ST_OK || over == n) {
        return st;
    }
    if (d->dead != ST_OK) {
        return d->dead;
    }
    if (over == NULL && no_room(d, SIMDISK_NAME_BYTES)) {
        return ST_NOSPC;
    }
    simdisk_tell(d, &(struct simdisk_event){
                        .action = SIMDISK_RENAMES, .ino = n->id, .path = from, .to = to});
    return rename_do(d, &a, n, &b, over);
}
