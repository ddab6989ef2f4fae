/* raftlog_close.c - see raftlog.h. */
#include "raft/raftlog_impl.h"

/* An empty group: it says that the one before it is durable. */
static void mark_write(struct raftlog *log)
{
    if (raftlog_reserve(log, 0, 0, 0) != ST_OK) {
        return;
    }
    raftlog_group(log, 0, 0);
    struct raftstage_group *g = log->stage.filling;
    raftlog_close_group(log);
    if (raftlog_sync_group(log, g, false) != ST_OK) {
        return; /* the next open is only less sure */
    }
}

void raftlog_close(struct raftlog *log)
{
    if (log == NULL) {
        return;
    }
    if (!log->broken && log->stage.groups == NULL && log->groups > 1) {
        mark_write(log); /* alone: nobody else uses it any more */
    }
    raftlog_drop(log);
}
