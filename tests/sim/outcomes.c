/* outcomes.c - see outcomes.h. */
#include "tests/sim/outcomes.h"

#include "base/ck.h"
#include "sim/simdisk_int.h"
#include "sim/simmem.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct simdisk *outcomes_disk(enum simdisk_model model)
{
    struct simdisk_options o;
    simdisk_options_init(&o);
    o.model = model;
    o.sector = UNIT;
    o.page = UNIT;
    struct simdisk *d;
    enum status st = simdisk_new(simmem(), &o, &d);
    CK(st == ST_OK);
    return d;
}

/* ---- sets of texts ---- */

static void add(struct outcomes *o, const char *text)
{
    if (o->count == o->cap) {
        o->cap = o->cap * 2 + 64;
        o->v = realloc(o->v, o->cap * sizeof *o->v);
        CK(o->v != NULL);
    }
    o->v[o->count] = malloc(strlen(text) + 1);
    CK(o->v[o->count] != NULL);
    memcpy(o->v[o->count++], text, strlen(text) + 1);
}

static int by_text(const void *a, const void *b)
{
    const char *const *x = a;
    const char *const *y = b;
    return strcmp(*x, *y);
}

static void unique(struct outcomes *o)
{
    size_t kept = 0;
    if (o->count > 1) {
        qsort(o->v, o->count, sizeof *o->v, by_text);
    }
    for (size_t i = 0; i < o->count; i++) {
        if (kept > 0 && strcmp(o->v[kept - 1], o->v[i]) == 0) {
            free(o->v[i]);
        } else {
            o->v[kept++] = o->v[i];
        }
    }
    o->count = kept;
}

void outcomes_release(struct outcomes *o)
{
    for (size_t i = 0; i < o->count; i++) {
        free(o->v[i]);
    }
    free(o->v);
    *o = (struct outcomes){0};
}

static char shown(unsigned char c)
{
    return c == 0 ? '0' : isalpha(c) ? (char)c : '!';
}

bool outcomes_like(const char *text, const char *like)
{
    for (; *text != '\0' && *like != '\0'; text++, like++) {
        bool any = *like == '?' && *text != ';';
        if (*text != *like && !any) {
            return false;
        }
    }
    return *text == *like;
}

bool outcomes_hold(const struct outcomes *o, const char *text)
{
    for (size_t i = 0; i < o->count; i++) {
        if (outcomes_like(text, o->v[i])) {
            return true;
        }
    }
    return false;
}

const char *outcomes_units(const char *text, const char *name)
{
    static char out[256];
    size_t len = strlen(name);
    while (*text != '\0' && !(strncmp(text, name, len) == 0 && text[len] == '=')) {
        text += strcspn(text, ";") + 1;
    }
    if (*text == '\0') {
        return NULL;
    }
    text += len + 1;
    size_t size = strcspn(text, ";");
    size_t n = 0;
    for (size_t i = 0; i < size && n + 1 < sizeof out; i += UNIT) {
        bool same = true;
        for (size_t k = i; k < size && k < i + UNIT; k++) {
            same = same && text[k] == text[i];
        }
        out[n++] = same ? text[i] : '!';
    }
    out[n] = '\0';
    return out;
}

/* ---- one file ---- */

struct file_space {
    const struct simdisk *d;
    const struct simdisk_inode *n;
    const struct simdisk_cells *c;
    uint64_t cut;
    uint64_t size;
    char *text; /* size + 1 bytes */
    struct outcomes *out;
};

static const struct simdisk_cell *cell_at(const struct file_space *f, uint64_t index)
{
    for (size_t i = 0; i < f->c->count; i++) {
        const struct simdisk_cell *c = &f->c->v[i];
        if (c->inode == f->n && c->kind == SIMDISK_CELL_DATA && c->index == index) {
            return c;
        }
    }
    return NULL;
}

static void show(struct file_space *f, uint64_t index, const unsigned char *bytes, bool any)
{
    uint64_t start = index * f->d->cell;
    for (uint64_t i = 0; i < f->d->cell && start + i < f->size; i++) {
        f->text[start + i] = any ? '?' : shown(bytes[i]);
    }
}

/* Each legal version of the sector `index`, and with it each of those after it. */
static void sectors(struct file_space *f, uint64_t index)
{
    unsigned char bytes[4096];
    CK(f->d->cell <= sizeof bytes);
    if (index * f->d->cell >= f->size) {
        f->text[f->size] = '\0';
        add(f->out, f->text);
        return;
    }
    const struct simdisk_cell *cell = cell_at(f, index);
    uint32_t low = 0;
    uint32_t high = 0;
    if (cell == NULL) {
        simdisk_image_get(f->d, f->n->base, index * f->d->cell, bytes, f->d->cell);
        show(f, index, bytes, false);
        sectors(f, index + 1);
    } else if (!simdisk_data_range(f->d, f->c, cell, f->cut, &low, &high)) {
        memset(bytes, 0, sizeof bytes);
        show(f, index, bytes, false);
        sectors(f, index + 1);
    } else {
        for (uint32_t v = low; v <= high; v++) {
            bool written = simdisk_cell_bytes(f->d, f->c, cell, v, bytes);
            show(f, index, bytes, !written && f->d->o.model == SIMDISK_P);
            sectors(f, index + 1);
        }
    }
}

/* Every size from 0 to the largest ever that is legal, with every content. */
static void file_all(struct file_space *f)
{
    uint64_t most = f->n->base_size;
    for (size_t i = 0; f->n->pend != NULL && i < f->n->pend->count; i++) {
        const struct simdisk_update *u = &f->n->pend->u[i];
        bool sized = u->kind == SIMDISK_APPEND || u->kind == SIMDISK_TRUNC;
        most = sized && u->off > most ? u->off : most;
    }
    f->text = malloc(most + 1);
    CK(f->text != NULL);
    for (f->size = 0; f->size <= most; f->size++) {
        if (simdisk_size_legal(f->d, f->n, f->cut, f->size)) {
            sectors(f, 0);
        }
    }
    free(f->text);
    unique(f->out);
}

/* ---- cuts ---- */

struct cuts {
    uint64_t v[64];
    size_t count;
};

static void cut_add(struct cuts *c, const struct simdisk *d, uint64_t lsn)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->v[i] == lsn) {
            return;
        }
    }
    if (lsn >= d->jc) {
        CK(c->count < sizeof c->v / sizeof *c->v);
        c->v[c->count++] = lsn;
    }
}

/* Model E: the journal may end before any metadata operation. Model P has no cut. */
static void cuts_of(const struct simdisk *d, struct cuts *c)
{
    *c = (struct cuts){0};
    cut_add(c, d, d->jc);
    for (size_t i = 0; i < d->inode_count && d->o.model == SIMDISK_E; i++) {
        const struct simdisk_inode *n = d->inodes[i];
        for (size_t k = 0; k < n->name_count; k++) {
            for (size_t v = 1; v < n->names[k]->count; v++) {
                cut_add(c, d, n->names[k]->v[v].lsn);
            }
        }
        for (size_t k = 0; n->pend != NULL && k < n->pend->count; k++) {
            if (n->pend->u[k].kind != SIMDISK_DATA && n->pend->u[k].kind != SIMDISK_APPEND) {
                cut_add(c, d, n->pend->u[k].lsn);
            }
        }
    }
}

void outcomes_file(const struct simdisk *d, const char *path, struct outcomes *o)
{
    struct cuts cuts;
    struct simdisk_inode *n;
    struct simdisk_cells c;
    enum status st = simdisk_path_find(d, path, &n);
    CK(st == ST_OK);
    st = simdisk_cells_build(d, &c);
    CK(st == ST_OK);
    cuts_of(d, &cuts);
    for (size_t i = 0; i < cuts.count; i++) {
        struct file_space f = {.d = d, .n = n, .c = &c, .cut = cuts.v[i], .out = o};
        file_all(&f);
    }
    simdisk_cells_release(&c);
}

/* ---- whole disks ---- */

#define NAMES_MAX 16

struct space {
    const struct simdisk *d;
    const struct simdisk_inode *root;
    struct simdisk_cells c;
    uint64_t cut;
    simdisk_ino bound[NAMES_MAX]; /* by name: the inode in this outcome */
    const char *bytes[NAMES_MAX]; /* by name: its bytes in this outcome */
    struct outcomes *out;
};

static void emit(struct space *s)
{
    char text[8192] = "";
    size_t n = 0;
    for (size_t i = 0; i < s->root->name_count; i++) {
        if (s->bound[i] != 0) {
            size_t a = s->root->names[i]->len;
            size_t b = strlen(s->bytes[i]);
            CK(n + a + b + 3 < sizeof text);
            memcpy(text + n, s->root->names[i]->text, a);
            text[n + a] = '=';
            memcpy(text + n + a + 1, s->bytes[i], b);
            text[n + a + 1 + b] = ';';
            n += a + b + 2;
        }
    }
    text[n] = '\0';
    add(s->out, text);
}

/* Contents for the names from i on; names of one inode have the same. */
static void contents(struct space *s, size_t i)
{
    if (i == s->root->name_count) {
        emit(s);
        return;
    }
    for (size_t k = 0; k < i && s->bound[i] != 0; k++) {
        if (s->bound[k] == s->bound[i]) {
            s->bytes[i] = s->bytes[k];
            contents(s, i + 1);
            return;
        }
    }
    if (s->bound[i] == 0) {
        contents(s, i + 1);
        return;
    }
    struct outcomes o = {0};
    struct file_space f = {.d = s->d,
                           .n = simdisk_inode_find(s->d, s->bound[i]),
                           .c = &s->c,
                           .cut = s->cut,
                           .out = &o};
    file_all(&f);
    for (size_t k = 0; k < o.count; k++) {
        s->bytes[i] = o.v[k];
        contents(s, i + 1);
    }
    outcomes_release(&o);
}

/* Bindings for the names from i on. */
static void bindings(struct space *s, size_t i)
{
    if (i == s->root->name_count) {
        contents(s, 0);
        return;
    }
    const struct simdisk_name *n = s->root->names[i];
    bool p = s->d->o.model == SIMDISK_P;
    uint32_t low = p ? 0 : simdisk_name_at(n, s->cut);
    uint32_t high = p ? (uint32_t)n->count - 1 : low;
    for (uint32_t v = low; v <= high; v++) {
        s->bound[i] = n->v[v].ino;
        bindings(s, i + 1);
    }
}

void outcomes_all(const struct simdisk *d, struct outcomes *o)
{
    struct cuts cuts;
    struct space s = {.d = d, .root = simdisk_inode_find(d, SIMDISK_ROOT), .out = o};
    enum status st = simdisk_cells_build(d, &s.c);
    CK(st == ST_OK);
    CK(s.root->name_count <= NAMES_MAX);
    cuts_of(d, &cuts);
    for (size_t i = 0; i < cuts.count; i++) {
        s.cut = cuts.v[i];
        bindings(&s, 0);
    }
    unique(o);
    simdisk_cells_release(&s.c);
}

/* ---- the volatile image ---- */

struct listing {
    struct simdisk *d;
    char text[8192];
    size_t n;
};

static bool list_one(void *arg, const char *name)
{
    struct listing *l = arg;
    unsigned char bytes[4096];
    size_t got = 0;
    simdisk_ino ino;
    enum status st = simdisk_open(l->d, name, ENV_READ, &ino);
    CK(st == ST_OK);
    st = simdisk_read(l->d, ino, bytes, sizeof bytes, 0, &got);
    CK(st == ST_OK);
    simdisk_close(l->d, ino);
    size_t len = strlen(name);
    CK(l->n + len + got + 3 < sizeof l->text);
    memcpy(l->text + l->n, name, len);
    l->n += len;
    l->text[l->n++] = '=';
    for (size_t i = 0; i < got; i++) {
        l->text[l->n++] = shown(bytes[i]);
    }
    l->text[l->n++] = ';';
    return true;
}

char *outcomes_text(struct simdisk *d)
{
    struct listing l = {.d = d};
    enum status st = simdisk_dir_list(d, "/", NULL, list_one, &l);
    CK(st == ST_OK);
    char *text = malloc(l.n + 1);
    CK(text != NULL);
    memcpy(text, l.text, l.n);
    text[l.n] = '\0';
    return text;
}
