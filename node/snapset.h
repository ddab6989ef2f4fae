/* snapset.h - what a snapshot consists of: the files of one directory with their sizes and CRCs,
 * and the place in the log that they stand for.
 *
 * Made once for a snapshot, then offered to any number of followers. Its id is a function of all of
 * that, so that a transfer which broke goes on only with the very same snapshot.
 *
 * Invariants (tests/node/test_snapstage.c): I1 files ascend by name   I2 sets with the same id have
 * the same files, sizes, CRCs, place and configuration.
 * Failure: what the Env says, with the file in err; ST_INVAL for a name that may not be sent.
 * Ownership: names are the set's. Determinism: a function of the directory's contents. */
#ifndef NODE_SNAPSET_H
#define NODE_SNAPSET_H

#include "base/err.h"
#include "env/env.h"
#include "net/peermsg.h"
#include "raft/rafttypes.h"

#define SNAPSET_NAME_MAX 96 /* bytes of a file's name, with the NUL */
#define SNAPSET_FILES    65536

struct snapset_file {
    char name[SNAPSET_NAME_MAX];
    uint64_t size;
    uint64_t start; /* bytes of the files before it */
    uint32_t crc;
};

struct snapset {
    struct mem *mem; /* borrowed */
    uint64_t id;
    struct raft_place place;
    struct raft_config config;
    uint64_t config_index;
    struct snapset_file *files;
    uint32_t count;
    uint32_t cap;
    uint64_t bytes; /* of all files */
};

void snapset_init(struct snapset *s, struct mem *mem);
void snapset_release(struct snapset *s);

/* Reads every file in dir, which must not change any more. place and config are the caller's to set
 * before. `stop` (may be NULL) is asked now and then: ST_STOPPED. */
NODISCARD enum status snapset_scan(struct snapset *s, struct env *env, const char *dir,
                                   bool (*stop)(void *arg), void *arg, struct err *err);

/* From an offer that passed peermsg_check. ST_INVAL, ST_TOOBIG: one that no correct node makes. */
NODISCARD enum status snapset_read(struct snapset *s, const struct peermsg_offer *offer,
                                   struct err *err);

/* As an offer: both arrays are the caller's, and borrowed by it. */
void snapset_write(const struct snapset *s, struct peermsg_file *files, struct peermsg_member *rows,
                   struct peermsg_offer *offer);

bool snapset_same(const struct snapset *a, const struct snapset *b);

/* A name that may lie in a snapshot. */
bool snapset_name_good(struct slice name);

/* A place in the files: moves on from the end of a file to the next one that has bytes. */
struct snapset_at {
    uint32_t file; /* count: the end */
    uint64_t offset;
};
struct snapset_at snapset_at(const struct snapset *s, uint32_t file, uint64_t offset);
/* Bytes before it, over all files. */
uint64_t snapset_before(const struct snapset *s, struct snapset_at at);

/* "dir/name"; ST_NAMETOOLONG. */
NODISCARD enum status snapset_path(const char *dir, const char *name, char path[ENV_PATH_MAX]);

#endif
