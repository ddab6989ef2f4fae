/* raftlog_open.h - what opening, making and erasing a log share: the names in its directory. */
#ifndef RAFT_RAFTLOG_OPEN_H
#define RAFT_RAFTLOG_OPEN_H

#include "raft/raftwalk.h"

struct raftlog_dir {
    bool owned;        /* RAFTLOGFMT_ID is there */
    bool making;       /* RAFTLOGFMT_TMP */
    bool erasing;      /* RAFTLOGFMT_ERASE */
    uint64_t *numbers; /* of segment files, in no order */
    size_t count;
    size_t cap;
};

/* Reads the directory. Needs raftlog_open_unlist on any outcome. */
NODISCARD enum status raftlog_open_list(struct env *env, const char *dir, struct raftlog_dir *d);
void raftlog_open_unlist(struct env *env, struct raftlog_dir *d);

#endif
