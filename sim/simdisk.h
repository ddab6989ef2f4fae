/* simdisk.h - a simulated disk with a file system: what reads see, and what a crash leaves.
 *
 * A passive data structure: no time, no scheduling, no Env. The simulated Env (sim/simenv_*.c)
 * calls it, adds latency and short I/O, and decides when a sync fails. The model is the one of
 * the design's disk_model: cells (a sector, a size, a name, an extent) with version histories; a
 * crash picks one version of each cell, at or after the guaranteed one, under model P or E.
 *
 * Every choice is drawn from the stream that the caller passes, so a crash is a pure function. */
#ifndef SIM_SIMDISK_H
#define SIM_SIMDISK_H

#include "base/buf.h"
#include "base/err.h"
#include "env/env.h"
#include "sim/chooser.h"

struct simdisk;

enum simdisk_model { SIMDISK_P, SIMDISK_E };
enum simdisk_tear { SIMDISK_T4096, SIMDISK_T512, SIMDISK_T8, SIMDISK_TX };
enum simdisk_fsync_fail { SIMDISK_F1, SIMDISK_F2, SIMDISK_F3, SIMDISK_F4 };
enum simdisk_strategy {
    SIMDISK_DROP_ALL,
    SIMDISK_KEEP_ALL,
    SIMDISK_PREFIX,
    SIMDISK_SUFFIX,
    SIMDISK_COIN,
    SIMDISK_DROP_ONE,
    SIMDISK_KEEP_ONE,
    SIMDISK_PER_FILE,
    SIMDISK_META_FIRST,
    SIMDISK_DATA_FIRST,
    SIMDISK_NAMES_ONLY,
    SIMDISK_NOT_NAMES,
    SIMDISK_STRATEGIES
};
/* K2 loses the page cache; K1 (process death) keeps the volatile image and is no crash of the
 * disk: see simdisk_process_died. */

struct simdisk_options {
    enum simdisk_model model;
    enum simdisk_tear tear;
    enum simdisk_fsync_fail fsync_fail;
    uint32_t sector;    /* bytes, a power of two, 16 or more, at least page / 64; 512 */
    uint32_t page;      /* bytes; 4096 */
    bool psow;          /* power-safe overwrite; true */
    bool auto_da_alloc; /* model E; true */
    bool rename_gap;    /* model P: a rename-over may leave the target missing; false */
    uint64_t capacity;  /* bytes */
};

/* P, T512, F1, 512/4096, psow, auto_da_alloc, 1 GiB. */
void simdisk_options_init(struct simdisk_options *o);

/* ---- life ---- */

/* An empty disk with a root directory. Memory for everything comes from mem. */
NODISCARD enum status simdisk_new(struct mem *mem, const struct simdisk_options *o,
                                  struct simdisk **disk);
void simdisk_free(struct simdisk *d);

/* A disk of its own with the same state, open files included; file bytes are shared copy-on-write.
 */
NODISCARD enum status simdisk_clone(const struct simdisk *d, struct simdisk **copy);

/* What a power loss now would leave: a new disk with no open files, every byte of it guaranteed
 * media. d is not modified. The strategy is then projected onto what the model allows, and
 * tearing is applied last to one in-flight sector with probability 0.3. */
NODISCARD enum status simdisk_crash(const struct simdisk *d, enum simdisk_strategy strategy,
                                    struct chooser_stream *s, struct simdisk **after);

/* One of the strategies by its weight. */
enum simdisk_strategy simdisk_draw_strategy(struct chooser_stream *s);

/* Every file is closed and every lock dropped; the volatile image stays (K1). Failed pages may be
 * evicted (disk model, F1). */
void simdisk_process_died(struct simdisk *d, struct chooser_stream *s);

/* The operator adds or takes room. */
void simdisk_set_capacity(struct simdisk *d, uint64_t bytes);
uint64_t simdisk_free_bytes(const struct simdisk *d);

/* ---- operations: volatile effect at once; statuses as env.h names them ---- */

typedef uint64_t simdisk_ino; /* never reused within one disk */

NODISCARD enum status simdisk_open(struct simdisk *d, const char *path, unsigned flags,
                                   simdisk_ino *ino); /* counts one opener */
void simdisk_close(struct simdisk *d, simdisk_ino ino);
NODISCARD enum status simdisk_lock(struct simdisk *d, simdisk_ino ino); /* ST_BUSY when held */
void simdisk_unlock(struct simdisk *d, simdisk_ino ino);

/* Whole reads and writes; a write that does not fit in the capacity takes as many whole pages as
 * fit and then says ST_NOSPC (with *done == 0) next time. */
NODISCARD enum status simdisk_read(struct simdisk *d, simdisk_ino ino, void *buf, size_t size,
                                   uint64_t offset, size_t *done);
NODISCARD enum status simdisk_write(struct simdisk *d, simdisk_ino ino, const void *buf,
                                    size_t size, uint64_t offset, size_t *done);
NODISCARD enum status simdisk_truncate(struct simdisk *d, simdisk_ino ino, uint64_t size);
NODISCARD enum status simdisk_allocate(struct simdisk *d, simdisk_ino ino, uint64_t offset,
                                       uint64_t size, bool keep_size);
uint64_t simdisk_size(const struct simdisk *d, simdisk_ino ino);

/* A sync takes time: what it covers is fixed when it begins. end guarantees what was pending on the
 * inode (and, in model E, the metadata of the disk) up to that mark. */
uint64_t simdisk_sync_begin(const struct simdisk *d);
void simdisk_sync_end(struct simdisk *d, simdisk_ino ino, uint64_t mark, bool data_only);
/* The sync fails in the disk's mode: the failing set is drawn, guarantees do not advance for it.
 * Returns what the caller of sync sees: ST_IO, or ST_OK once in mode F2. */
NODISCARD enum status simdisk_sync_fail(struct simdisk *d, simdisk_ino ino, uint64_t mark,
                                        bool data_only, struct chooser_stream *s);
/* An earlier failure is still to be told (F2), or the device is dead (F4): the caller must end
 * this sync with simdisk_sync_fail, which then loses nothing more. */
bool simdisk_sync_owes(const struct simdisk *d, simdisk_ino ino);
/* Nothing works until a power cycle (F4 after a failed sync). */
bool simdisk_dead(const struct simdisk *d);
/* A sync of this inode failed, the caller was told, and nobody has cut it to nothing or died since:
 * what is written to it now is written in vain. */
bool simdisk_sync_failed(const struct simdisk *d, simdisk_ino ino);
/* Seeded eviction of one page that the cache alone has right (a failed write-back, a media fault),
 * if there is any: readers see media then. */
void simdisk_evict(struct simdisk *d, struct chooser_stream *s);

NODISCARD enum status simdisk_dir_make(struct simdisk *d, const char *path);
/* Calls each(name) for every entry, in an order drawn from s (sorted when s is NULL). */
NODISCARD enum status simdisk_dir_list(struct simdisk *d, const char *path,
                                       struct chooser_stream *s, env_list_fn *each, void *arg);
NODISCARD enum status simdisk_dir_sync(struct simdisk *d, const char *path, uint64_t mark);
NODISCARD enum status simdisk_stat(struct simdisk *d, const char *path, struct env_stat *st);
NODISCARD enum status simdisk_rename(struct simdisk *d, const char *from, const char *to);
NODISCARD enum status simdisk_link(struct simdisk *d, const char *from, const char *to);
NODISCARD enum status simdisk_remove(struct simdisk *d, const char *path);

/* ---- media faults (simdisk_media.c) ----
 *
 * The pristine bytes stay where they are; a fault lies over them. It covers whole sectors (pages
 * with SIMDISK_T4096) and lasts until they are written again, or until it is healed. Behind a
 * cached page it cannot be seen: eviction uncovers it (simdisk_evict, a process's death half the
 * time, a power loss always). Bytes of it that were written since are right again. */

enum simdisk_fault_class {
    SIMDISK_FAULT_LSE,       /* reads of the page fail, writes of a part of the sector too */
    SIMDISK_FAULT_TRANSIENT, /* the first 1 to 3 reads of the page fail */
    SIMDISK_FAULT_ROT,       /* other bytes */
    SIMDISK_FAULT_LOST,      /* the next write of the file does not reach media */
    SIMDISK_FAULT_MISDIRECT, /* the next write of the file lands in another place */
    SIMDISK_FAULT_MISREAD,   /* one read gets another sector's bytes */
    SIMDISK_FAULT_STALE,     /* after the next write of the file, one read gets what was before */
    SIMDISK_FAULT_LIE,       /* the whole disk: syncs say ST_OK and guarantee nothing */
    SIMDISK_FAULT_CLASSES
};
#define SIMDISK_FAULT_ALL ((1u << SIMDISK_FAULT_CLASSES) - 1)

enum simdisk_rot {
    SIMDISK_ROT_ANY, /* one of the others, by the seed: 40, 25, 15, 5, 10, 5 of 100 */
    SIMDISK_ROT_BIT,
    SIMDISK_ROT_BITS, /* 2 to 8 */
    SIMDISK_ROT_ZERO,
    SIMDISK_ROT_ZERO_PAGE,
    SIMDISK_ROT_NOISE,
    SIMDISK_ROT_COPY /* another sector of the same file */
};

/* How much of a write is lost, misdirected or read stale. */
enum simdisk_extent { SIMDISK_ONE_SECTOR, SIMDISK_ONE_PAGE, SIMDISK_WHOLE_WRITE };

struct simdisk_fault {
    enum simdisk_fault_class class;
    simdisk_ino ino;
    uint64_t offset; /* LSE, TRANSIENT, ROT, MISREAD: a byte of the sector */
    enum simdisk_rot rot;
    enum simdisk_extent extent; /* LOST, MISDIRECT, STALE */
    simdisk_ino to;             /* MISDIRECT: where it lands; MISREAD: what is read instead */
    uint64_t to_offset;
    bool cached;   /* the page is in the cache; so it is anyway while it has unsynced bytes */
    uint64_t seed; /* decides what is left open above */
};

/* LOST, MISDIRECT and STALE wait for the next write of the file that changes anything on media; the
 * others are there at once. ST_NOENT: nothing is on media there, or it could not be told from what
 * should be there. ST_BUSY: another fault waits for its write, or a misdirected write is live
 * already (one a disk). ST_NOMEM. Nothing changes then. */
NODISCARD enum status simdisk_inject(struct simdisk *d, const struct simdisk_fault *f);
/* Ends every fault of these classes (bits 1 << class), waiting ones too. */
void simdisk_heal(struct simdisk *d, unsigned classes);

/* A fault lies over a byte of [offset, offset + size) of the file at path, or its page cannot be
 * read; or one that is spent (a wrong read that happened) did. So a status of damage is excused. */
bool simdisk_damaged(const struct simdisk *d, const char *path, uint64_t offset, uint64_t size);
/* Calls so far that a media fault made fail or answer wrongly. Grows, also across crashes. */
uint64_t simdisk_damage_met(const struct simdisk *d);
/* Appends each live fault: "000012.log sector 9: bit rot in 3 bytes, behind the cache". */
NODISCARD enum status simdisk_faults(const struct simdisk *d, struct buf *out);
/* simdisk_read without faults: what should be there. */
NODISCARD enum status simdisk_pristine(const struct simdisk *d, simdisk_ino ino, void *buf,
                                       size_t size, uint64_t offset, size_t *done);

/* Where faults strike: a file whose name matches, in a part of it. */
struct simdisk_aim {
    const char *name; /* "*.log", "MANIFEST-*", "CURRENT", "*": one star at most */
    uint32_t weight;
    uint32_t from, to; /* thousandths of the file's size */
};
/* Draws a row by weight among those that match something on media, then a file, then a sector.
 * False: there is none. */
NODISCARD bool simdisk_aim_at(const struct simdisk *d, const struct simdisk_aim *rows, size_t count,
                              struct chooser_stream *s, simdisk_ino *ino, uint64_t *offset);

/* Whether a file of that name (without directories) is one of a row's. */
bool simdisk_aim_matches(const struct simdisk_aim *row, const char *name);

/* An empty disk in the place of d (K6). */
NODISCARD enum status simdisk_wiped(const struct simdisk *d, struct simdisk **after);
/* What is guaranteed now, without faults: to be put in the place of a later state (K7). */
NODISCARD enum status simdisk_backup(const struct simdisk *d, struct simdisk **image);

/* ---- monitors ---- */

enum simdisk_action {
    SIMDISK_WRITES,    /* ino, offset, data, size */
    SIMDISK_TRUNCATES, /* ino, size */
    SIMDISK_REMOVES,   /* ino, path */
    SIMDISK_RENAMES,   /* ino, path, to */
    SIMDISK_SYNCED,    /* ino: after it; with lie_flush too */
    SIMDISK_SYNC_FAILED,
    SIMDISK_DIR_SYNCED /* ino, path: after it */
};

struct simdisk_event {
    enum simdisk_action action;
    simdisk_ino ino;
    const char *path;
    const char *to;
    uint64_t offset;
    const void *data;
    uint64_t size;
};

/* Called before each change (it may still be refused, for want of room or memory) and after each
 * sync; may ask d anything and must not change it. */
typedef void simdisk_watch_fn(void *arg, const struct simdisk *d, const struct simdisk_event *e);
/* NULL: nobody watches. Clones and crashes of d have the same watcher. */
void simdisk_watch(struct simdisk *d, simdisk_watch_fn *watch, void *arg);
/* A path of that inode now, without a leading '/'. False: it has none, or it does not fit. */
bool simdisk_path_of(const struct simdisk *d, simdisk_ino ino, char *path, size_t size);

/* ---- questions for checkers ---- */

/* The volatile bytes [offset, offset + size) of the file at path, and its size that far, are in
 * every crash outcome in which the file exists. False when there is no such file. Media faults are
 * another matter (simdisk_damaged): this says what an honest device would keep. */
bool simdisk_guaranteed(const struct simdisk *d, const char *path, uint64_t offset, uint64_t size);
/* The name resolves to the present inode in every crash outcome (its directories too). */
bool simdisk_name_guaranteed(const struct simdisk *d, const char *path);
/* The same, but it may be another file in some outcomes: a rename onto it is on its way. */
bool simdisk_name_bound(const struct simdisk *d, const char *path);
/* Both, for the whole of the file at path: it is there after every crash, as it is now. */
bool simdisk_file_guaranteed(const struct simdisk *d, const char *path);
/* Appends what the last crash that made this disk did: "000012.log sector 9 kept v0 (torn)…". */
NODISCARD enum status simdisk_why(const struct simdisk *d, struct buf *out);
/* Of the volatile image: names, sizes, bytes. Equal on every machine. */
uint64_t simdisk_digest(const struct simdisk *d);
/* Bytes pending (written and not guaranteed), for plans and tests. */
uint64_t simdisk_pending_bytes(const struct simdisk *d);

#endif
