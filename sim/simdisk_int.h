/* simdisk_int.h - the insides of the simulated disk, shared by the simdisk_*.c files and by the
 * tests that enumerate every crash outcome.
 *
 * Four layers:
 *   image   a file's bytes as a table of chunks of one page, both counted and copied on write, so
 *           that clones, crashes and "guaranteed = volatile" share them    (simdisk_image.c)
 *   inode   the guaranteed image `base`, the volatile one `vol`, and the ordered updates that
 *           lie between them, `pend`. Its names, if it is a directory      (simdisk.c, _names.c)
 *   cells   what a crash decides one by one: a name, a size, an extent, a sector. Their versions
 *           are not stored: they are derived from base and pend            (simdisk_cells.c)
 *   crash   a pick for each cell, and the disk that it makes               (simdisk_crash.c)
 *
 * Invariants (simdisk_check tests them):
 *   I1  applying pend to base in order gives vol, but for the pages marked lost
 *   I2  bytes of an image at and past its size are zero
 *   I3  inodes ascend by id, names ascend by text, pend ascends by lsn
 *   I4  an inode lives while a name version, an opener or a lock holds it
 *   I5  a flaw covers whole sectors and marks a byte; with no flaws nothing of it costs anything */
#ifndef SIM_SIMDISK_INT_H
#define SIM_SIMDISK_INT_H

#include "sim/simdisk.h"

#define SIMDISK_ROOT       1u
#define SIMDISK_NAME_BYTES 4096u               /* what a name costs of the capacity */
#define SIMDISK_NAME_MAX   255u                /* bytes of a path component */
#define SIMDISK_SIZE_MAX   ((uint64_t)1 << 34) /* of a file: bounds the page table */
#define SIMDISK_STALE      256u                /* sectors remembered */

/* ---- images ---- */

struct simdisk_chunk {
    uint32_t refs;
    bool hashed;      /* digest is that of the bytes */
    uint64_t digest;  /* 0: all zeros */
    uint64_t written; /* a bit a cell: it was ever written since it was last cut off */
    unsigned char bytes[];
};

struct simdisk_page {
    struct simdisk_chunk *chunk; /* NULL: reads as zeros */
    bool allocated;              /* takes room */
    bool lost;                   /* vol only: a failed write-back left it clean, media differ */
};

struct simdisk_image {
    uint32_t refs;
    size_t count; /* pages past it are holes */
    size_t cap;
    struct simdisk_page *pages;
};

/* ---- updates that are not guaranteed ---- */

enum simdisk_update_kind {
    SIMDISK_DATA,   /* blob at [off, off + len) */
    SIMDISK_APPEND, /* the size grows to off because of a write; it was len */
    SIMDISK_TRUNC,  /* the size is set to off; it was len */
    SIMDISK_EXTENT, /* [off, off + len) is allocated */
    SIMDISK_FLUSH   /* auto_da_alloc: where this lsn is committed, so is the size off */
};

struct simdisk_blob {
    uint32_t refs;
    unsigned char bytes[];
};

struct simdisk_update {
    uint64_t lsn;
    enum simdisk_update_kind kind;
    uint64_t off;
    uint64_t len;
    struct simdisk_blob *blob;
    size_t at; /* where in the blob */
};

struct simdisk_pend {
    uint32_t refs;
    size_t count;
    size_t cap;
    struct simdisk_update u[];
};

/* ---- names and inodes ---- */

struct simdisk_version {
    uint64_t lsn;
    simdisk_ino ino; /* 0: no such name */
};

struct simdisk_name {
    size_t count; /* versions; v[0] is guaranteed, the last is what running processes see */
    size_t cap;
    struct simdisk_version *v; /* few, or a block of its own */
    struct simdisk_version few[2];
    size_t len;
    char text[]; /* with its NUL */
};

/* A media fault over whole sectors [off, off + len) of a file. It damages the version that the
 * sectors had with update lsn (its own, or the last one guaranteed when it came): bytes that later
 * updates cover are right, in whatever version includes these. */
struct simdisk_flaw {
    struct simdisk_flaw *next; /* newer */
    enum simdisk_fault_class class;
    bool masked;    /* the page is in the cache */
    bool spent;     /* it has had its read, or reads */
    uint32_t reads; /* TRANSIENT: that still fail */
    uint64_t lsn;
    uint64_t off;
    uint64_t len;
    unsigned char *live;   /* len marks: this byte of media is not what it should be */
    unsigned char bytes[]; /* len: what it is; then the marks */
};

struct simdisk_inode {
    simdisk_ino id;
    bool dir;
    bool locked;
    bool owes_error;  /* F2: a failed sync was not told yet */
    bool sync_failed; /* told: what was not guaranteed is lost for good */
    uint32_t openers;
    uint32_t links;  /* names now; the root has one */
    uint32_t holds;  /* name versions anywhere */
    uint64_t synced; /* updates up to this lsn are guaranteed */
    uint64_t blocks; /* pages allocated in vol */
    size_t lost;     /* pages of vol marked lost */
    struct simdisk_image *base;
    struct simdisk_image *vol;
    uint64_t base_size;
    uint64_t vol_size;
    struct simdisk_pend *pend;  /* NULL: nothing */
    struct simdisk_flaw *flaws; /* oldest first; NULL: media are sound */
    /* directories */
    simdisk_ino parent;
    struct simdisk_name **names;
    size_t name_count;
    size_t name_cap;
    size_t entries; /* names bound now */
    size_t subdirs;
};

/* Sectors of files that were deleted or cut: shared between a disk and its clones. */
struct simdisk_stale {
    uint32_t refs;
    uint32_t count;
    uint32_t next;
    struct {
        struct simdisk_chunk *chunk;
        uint32_t cell; /* in the chunk */
    } at[SIMDISK_STALE];
};

/* What a crash did to one cell, kept for simdisk_why. */
struct simdisk_verdict {
    unsigned kind; /* enum simdisk_cell_kind */
    simdisk_ino ino;
    uint64_t value; /* which sector, or the size */
    uint32_t pick;
    uint32_t versions;
    unsigned torn;
    char text[32]; /* names: the component, cut short */
};

struct simdisk {
    struct mem *mem;
    struct simdisk_options o;
    uint32_t cell; /* bytes of a data cell: the sector, or the page with SIMDISK_T4096 */
    struct simdisk_inode **inodes;
    size_t inode_count;
    size_t inode_cap;
    simdisk_ino next_ino;
    uint64_t lsn;                /* of the last update */
    uint64_t jc;                 /* model E: metadata up to this lsn is committed */
    uint64_t used;               /* bytes of capacity taken, freed ones included */
    uint64_t freeing;            /* of these, what the next sync gives back */
    struct simdisk_stale *stale; /* NULL: none */
    enum status dead;            /* F4: what calls say from now on; ST_OK: alive */
    bool lies;                   /* syncs guarantee nothing */
    bool armed;                  /* next_fault waits for its write */
    struct simdisk_fault next_fault;
    uint64_t damage_met;
    simdisk_watch_fn *watch; /* NULL: nobody */
    void *watch_arg;
    struct simdisk_verdict *verdicts;
    size_t verdict_count;
};

/* ---- simdisk_image.c ---- */

void simdisk_image_drop(struct mem *m, struct simdisk_image *im); /* NULL is fine */
struct simdisk_image *simdisk_image_share(struct simdisk_image *im);
void simdisk_chunk_drop(struct mem *m, struct simdisk_chunk *c); /* NULL is fine */
/* Makes [off, off + len) writable without another allocation; false: refused. The contents stay
 * as they are. */
bool simdisk_image_prepare(const struct simdisk *d, struct simdisk_image **im, uint64_t off,
                           uint64_t len);
/* The same for a cut to size. */
bool simdisk_image_prepare_cut(const struct simdisk *d, struct simdisk_image **im, uint64_t size);
/* Writes bytes to a prepared range. */
void simdisk_image_put(const struct simdisk *d, struct simdisk_image *im, uint64_t off,
                       const void *data, uint64_t len);
/* Zeroes everything at and past size; gives the pages past it up, unless keep. */
void simdisk_image_cut(const struct simdisk *d, struct simdisk_image *im, uint64_t size, bool keep);
/* The same for one page only. */
void simdisk_image_cut_page(const struct simdisk *d, struct simdisk_image *im, size_t page,
                            uint64_t size);
/* As simdisk_image_cut, but pages that were prepared stay so: more is to be written to them. */
void simdisk_image_blank(const struct simdisk *d, struct simdisk_image *im, uint64_t size);
void simdisk_image_get(const struct simdisk *d, const struct simdisk_image *im, uint64_t off,
                       void *out, uint64_t len);
/* Whether data cell number `index` was ever written. */
bool simdisk_image_written(const struct simdisk *d, const struct simdisk_image *im, uint64_t index);
/* Marks the pages of [off, off + len) allocated. False: refused. */
bool simdisk_image_extend(const struct simdisk *d, struct simdisk_image **im, uint64_t off,
                          uint64_t len);
/* Pages allocated, and pages marked lost, that a cut to size would give up. */
uint64_t simdisk_image_blocks_past(const struct simdisk *d, const struct simdisk_image *im,
                                   uint64_t size);
size_t simdisk_image_lost_past(const struct simdisk *d, const struct simdisk_image *im,
                               uint64_t size);
uint64_t simdisk_image_digest(const struct simdisk *d, const struct simdisk_image *im);

/* ---- simdisk.c ---- */

struct simdisk_inode *simdisk_inode_find(const struct simdisk *d, simdisk_ino id);
/* Index of the first inode with an id >= id. */
size_t simdisk_inode_at(const struct simdisk *d, simdisk_ino id);
/* A new one, with nothing holding it yet. NULL: refused. */
struct simdisk_inode *simdisk_inode_new(struct simdisk *d, simdisk_ino id, bool dir);
/* Frees it when nothing holds it any more. */
void simdisk_inode_settle(struct simdisk *d, struct simdisk_inode *n);
/* Its last name went, or its last opener: gives its room back and remembers its sectors. */
void simdisk_inode_unlinked(struct simdisk *d, struct simdisk_inode *n);
/* Remembers the last written sectors of n at and past size, which is to be cut off. */
void simdisk_remember(struct simdisk *d, const struct simdisk_inode *n, uint64_t size);
/* Room for `extra` more updates in a pend list of its own. */
bool simdisk_pend_reserve(struct simdisk *d, struct simdisk_inode *n, size_t extra);
/* Appends to a list with room; takes the blob. */
void simdisk_pend_add(struct simdisk_inode *n, struct simdisk_update u);
void simdisk_pend_drop(struct mem *m, struct simdisk_pend *p);   /* NULL is fine */
void simdisk_stale_drop(struct mem *m, struct simdisk_stale *s); /* NULL is fine */
/* An empty disk with these options and without a root. */
enum status simdisk_shell_new(struct mem *mem, const struct simdisk_options *o,
                              struct simdisk **disk);
/* Whether I1..I4 hold; reads everything. */
bool simdisk_check(const struct simdisk *d);

/* ---- simdisk_sync.c ---- */

/* Moves what is guaranteed of n's updates into base, as far as memory allows. */
void simdisk_fold(struct simdisk *d, struct simdisk_inode *n);
/* Every lost page of n goes back to media. */
void simdisk_evict_all(struct simdisk *d, struct simdisk_inode *n);

/* ---- simdisk_media.c ---- */

void simdisk_flaws_drop(struct simdisk *d, struct simdisk_inode *n);
/* NULL: refused. */
struct simdisk_flaw *simdisk_flaw_copy(struct mem *m, const struct simdisk_flaw *f);
/* Adds it, or frees it when it marks nothing. */
void simdisk_flaw_add(struct simdisk *d, struct simdisk_inode *n, struct simdisk_flaw *f);
/* The bytes [from, to) of the file are right; of a flaw behind the cache all sectors touched. */
void simdisk_flaw_clear(const struct simdisk *d, struct simdisk_flaw *f, uint64_t from,
                        uint64_t to);
/* Update u of n is on media now. */
void simdisk_flaws_reached(struct simdisk *d, struct simdisk_inode *n,
                           const struct simdisk_update *u);
/* Update u of n, or this piece of it, never got there. */
void simdisk_flaws_failed(struct simdisk *d, struct simdisk_inode *n,
                          const struct simdisk_update *u);
/* A read of a file with flaws. */
enum status simdisk_flaws_read(struct simdisk *d, struct simdisk_inode *n, void *buf, size_t size,
                               uint64_t offset, size_t *done);
/* Before a write of [from, to): ST_IO when a bad sector is to be written in part; and what the
 * armed fault needs, made[0] over the write and made[1] over the place where it lands. */
enum status simdisk_flaws_prepare(struct simdisk *d, struct simdisk_inode *n, uint64_t from,
                                  uint64_t to, struct simdisk_flaw *made[2]);
/* The write is in vol, as update lsn: the armed fault takes effect. */
void simdisk_flaws_commit(struct simdisk *d, struct simdisk_inode *n, uint64_t lsn,
                          struct simdisk_flaw *made[2]);
/* How many flaws of n eviction would uncover, and uncovers the one with number `at` among them
 * (SIZE_MAX: all). */
size_t simdisk_flaws_masked(const struct simdisk *d, const struct simdisk_inode *n);
void simdisk_flaws_uncover(const struct simdisk *d, struct simdisk_inode *n, size_t at);
uint64_t simdisk_flaws_digest(const struct simdisk_inode *n);
bool simdisk_flaws_sound(const struct simdisk *d, const struct simdisk_inode *n);

static inline void simdisk_tell(const struct simdisk *d, const struct simdisk_event *e)
{
    if (d->watch != NULL) {
        d->watch(d->watch_arg, d, e);
    }
}

/* ---- simdisk_names.c ---- */

enum status simdisk_path_find(const struct simdisk *d, const char *path,
                              struct simdisk_inode **inode);
/* The name that path ends with and the directory that holds it; NULL name: a dot or the root. */
enum status simdisk_path_name(const struct simdisk *d, const char *path, struct simdisk_inode **dir,
                              struct simdisk_name **name);
/* What a name spelled like that one is bound to now in dir, or NULL. */
struct simdisk_inode *simdisk_name_lookup(const struct simdisk *d, const struct simdisk_inode *dir,
                                          const struct simdisk_name *name);
/* Drops every version of dir's names that a sync up to mark has outdated. */
void simdisk_names_fold(struct simdisk *d, struct simdisk_inode *dir, uint64_t mark);
/* A name in dir (made when absent) with room for `extra` more versions. NULL: refused. */
struct simdisk_name *simdisk_name_room(struct simdisk *d, struct simdisk_inode *dir,
                                       const char *text, size_t len, size_t extra);
/* The inode that it is bound to now, 0 when to none. */
static inline simdisk_ino simdisk_name_now(const struct simdisk_name *n)
{
    return n->v[n->count - 1].ino;
}
void simdisk_names_free(struct simdisk *d, struct simdisk_inode *dir, bool release_holds);
enum status simdisk_open_path(struct simdisk *d, const char *path, unsigned flags,
                              struct simdisk_inode **inode, bool *fresh);

/* ---- simdisk_cells.c ---- */

enum simdisk_cell_kind {
    SIMDISK_CELL_NAME,
    SIMDISK_CELL_DATA,
    SIMDISK_CELL_SIZE,
    SIMDISK_CELL_EXTENT
};

/* How a sector that was being written comes out. */
enum simdisk_torn { SIMDISK_WHOLE, SIMDISK_NEW_OLD, SIMDISK_OLD_NEW, SIMDISK_NOISE };

#define SIMDISK_PICK_ZEROS UINT32_MAX /* model E: no version is legal, it reads as zeros */

struct simdisk_cell {
    enum simdisk_cell_kind kind;
    const struct simdisk_inode *inode; /* names: the directory */
    uint64_t index;    /* names: which one; data: which sector; extents: which update */
    size_t first;      /* data: its touches; sizes: the first of the touches of the inode's sizes */
    uint32_t touches;  /* updates of the inode that concern it, in order */
    uint32_t floor;    /* so many of them are guaranteed */
    uint32_t versions; /* to choose from: 0 is the guaranteed one */
    uint32_t pick;
    uint64_t size; /* sizes: the outcome */
    enum simdisk_torn torn;
    uint32_t torn_at; /* bytes of the one side, then the other */
};

/* Which update concerns which sector; also (lsn, cell, version) where updates are put in order. */
struct simdisk_touch {
    uint64_t key;
    uint32_t a;
    uint32_t b;
};

struct simdisk_cells {
    struct mem *mem;
    struct simdisk_cell *v; /* names first, then by inode: sectors ascending, size, extents */
    size_t count;
    size_t cap;
    size_t names; /* the first so many are names */
    struct simdisk_touch *touch;
    size_t touch_count;
    size_t touch_cap;
};

/* Every cell with more than one version. Release it whatever is returned. */
enum status simdisk_cells_build(const struct simdisk *d, struct simdisk_cells *c);
/* The data and size cells of one inode. */
enum status simdisk_cells_of(const struct simdisk *d, const struct simdisk_inode *n,
                             struct simdisk_cells *c);
void simdisk_cells_release(struct simdisk_cells *c);
/* Bytes of a data cell's version (0 .. versions - 1). False: never written; then they are zeros. */
bool simdisk_cell_bytes(const struct simdisk *d, const struct simdisk_cells *c,
                        const struct simdisk_cell *cell, uint32_t version, unsigned char *out);
/* Size of a size cell's version. */
uint64_t simdisk_cell_size(const struct simdisk_cells *c, const struct simdisk_cell *cell,
                           uint32_t version);
/* The guaranteed size of an inode. */
uint64_t simdisk_floor_size(const struct simdisk_inode *n);
/* Whether a file may be `size` bytes long after a crash, under model E with the metadata
 * committed up to `cut`; under P the cut is ignored. */
bool simdisk_size_legal(const struct simdisk *d, const struct simdisk_inode *n, uint64_t cut,
                        uint64_t size);
/* The legal size nearest to `want`. */
uint64_t simdisk_size_nearest(const struct simdisk *d, const struct simdisk_inode *n, uint64_t cut,
                              uint64_t want);
/* The least legal size. */
uint64_t simdisk_size_least(const struct simdisk *d, const struct simdisk_inode *n, uint64_t cut);
/* The versions [*low, *high] that a data cell may be left in. False: none, it reads as zeros
 * (model E, where a cut falls before the first write of it). */
bool simdisk_data_range(const struct simdisk *d, const struct simdisk_cells *c,
                        const struct simdisk_cell *cell, uint64_t cut, uint32_t *low,
                        uint32_t *high);
/* The version that a name has with the metadata committed up to cut. */
uint32_t simdisk_name_at(const struct simdisk_name *n, uint64_t cut);
/* Stable, by key. tmp has room for n. */
void simdisk_touch_sort(struct simdisk_touch *v, struct simdisk_touch *tmp, size_t n);

#endif
