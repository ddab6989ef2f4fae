/* snapstage.h - where a snapshot that arrives is put together: one directory, filled from the first
 * file's first byte to the last one's last.
 *
 * The directory is worth something only once it is whole: then every file's CRC was right, and its
 * bytes and its name in the directory are durable. A crash before that leaves what the next
 * snapstage_open throws away, and so does a crash after it, unless the owner has taken it: that
 * makes the directory's own name durable.
 *
 * Invariants (tests/node/test_snapstage.c)
 *   I1  what was taken is byte for byte what was offered, after any crash from then on
 *   I2  bytes of two snapshots never come together: another offer begins with an empty directory
 *   I3  snapstage_open leaves nothing, whatever a crash left
 *   I4  no byte is taken but the one that comes next
 * Failure: what the disk says, ST_NOSPC before the first byte where it is known; what was there is
 * thrown away (a failed sync is not tried again). Ownership: the directory is the stage's.
 * Threads: one at a time. Determinism: a function of the calls and the Env. */
#ifndef NODE_SNAPSTAGE_H
#define NODE_SNAPSTAGE_H

#include "node/snapset.h"

enum snapstage_state {
    SNAPSTAGE_EMPTY,
    SNAPSTAGE_FILLING,
    SNAPSTAGE_WHOLE,
};

struct snapstage {
    struct env *env; /* borrowed */
    char dir[ENV_PATH_MAX];
    char parent[ENV_PATH_MAX];
    bool hardware;
    enum snapstage_state state;
    struct snapset set;   /* what was offered */
    struct snapset_at at; /* the byte that is wanted next */
    uint32_t crc;         /* of the bytes of that file before it */
    int fd;               /* of that file; -1: not open */
};

/* Throws away what is in dir, and dir. The directory that dir is in exists. */
NODISCARD enum status snapstage_open(struct snapstage *s, struct env *env, const char *dir,
                                     struct err *err);
/* Leaves what is there for the next snapstage_open. Safe on a zeroed struct. */
void snapstage_close(struct snapstage *s);

/* The very snapshot that is being filled, or is whole: ST_OK, goes on at s->at. Another one: begins
 * anew, but not when there is a whole one: ST_BUSY. */
NODISCARD enum status snapstage_offer(struct snapstage *s, const struct peermsg_offer *offer,
                                      struct err *err);
/* ST_INVAL: not what is wanted, nothing changed. All else but ST_OK: everything is gone. */
NODISCARD enum status snapstage_chunk(struct snapstage *s, const struct peermsg_chunk *chunk,
                                      struct err *err);
/* Empty again. */
NODISCARD enum status snapstage_clear(struct snapstage *s, struct err *err);
/* A whole one goes to another name in the directory that the stage lies in, durably. The stage is
 * empty then; when the rename itself fails it is as it was. */
NODISCARD enum status snapstage_take(struct snapstage *s, const char *to, struct err *err);

#endif
