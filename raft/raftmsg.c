/* raftmsg.c - see raftmsg.h. */
#include "raft/raftmsg.h"

#include <stddef.h>

const char *raftmsg_name(unsigned type)
{
    static const char *const names[RAFT_MSG_TYPES] = {
        [RAFT_MSG_PREVOTE] = "prevote",
        [RAFT_MSG_PREVOTE_REPLY] = "prevote-reply",
        [RAFT_MSG_VOTE] = "vote",
        [RAFT_MSG_VOTE_REPLY] = "vote-reply",
        [RAFT_MSG_APPEND] = "append",
        [RAFT_MSG_APPEND_REPLY] = "append-reply",
        [RAFT_MSG_HEARTBEAT] = "heartbeat",
        [RAFT_MSG_HEARTBEAT_REPLY] = "heartbeat-reply",
        [RAFT_MSG_SNAPSHOT] = "snapshot",
        [RAFT_MSG_READ] = "read",
        [RAFT_MSG_READ_REPLY] = "read-reply",
        [RAFT_MSG_FETCH] = "fetch",
        [RAFT_MSG_FETCH_REPLY] = "fetch-reply",
        [RAFT_MSG_TIMEOUT_NOW] = "timeout-now",
        [RAFT_MSG_PROPOSE] = "propose",
        [RAFT_MSG_PROPOSE_REPLY] = "propose-reply",
    };
    return type < RAFT_MSG_TYPES && names[type] != NULL ? names[type] : "?";
}
