/* raftlog_tidy.c - see raftlog.h: obsolete segments, and the next one. */
#include "raft/raftlog_impl.h"

/* Takes the oldest file off the list if nothing durable needs it. */
static bool file_take(struct raftlog *log, struct raftlog_file *f)
{
    env_mutex_lock(log->env, &log->m);
    bool gone = log->file_count > 1 && log->files[0].number < log->done;
    if (gone) {
        *f = log->files[0];
        log->file_count--;
        memmove(log->files, log->files + 1, log->file_count * sizeof *log->files);
    }
    env_mutex_unlock(log->env, &log->m);
    return gone;
}

enum status raftlog_tidy(struct raftlog *log)
{
    struct raftlog_file f;
    env_mutex_lock(log->env, &log->m);
    bool broken = log->broken;
    env_mutex_unlock(log->env, &log->m);
    if (broken) {
        return ST_IO;
    }
    while (file_take(log, &f)) {
        raftseg_retire(&log->seg, f.number, f.size);
    }
    enum status st = raftseg_prepare(&log->seg, log->seg.segment_bytes);
    env_mutex_lock(log->env, &log->m);
    log->broken = log->seg.failed;
    log->ready = st == ST_OK;
    env_mutex_unlock(log->env, &log->m);
    return st;
}
