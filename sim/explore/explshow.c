/* explshow.c - moves and worlds as lines for people. */
#include "sim/explore/explworld.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define U(x) ((unsigned long long)(x))

__attribute__((format(printf, 2, 3))) static void say(struct buf *out, const char *format, ...)
{
    char line[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    enum status st = buf_append(out, line, strlen(line));
    (void)st; /* a trace that ends early is better than none */
}

static void tell_message(const struct explworld *w, uint32_t i, const char *how, struct buf *out)
{
    const struct raft_msg *m = &w->net[i].m;
    say(out, "%s of term %llu from %llu %s %llu", raftmsg_name(m->type), U(m->term), U(m->from),
        how, U(m->to));
    if (m->type == RAFT_MSG_APPEND) {
        say(out, ", %u entries behind %llu of term %llu, commit %llu", m->count, U(m->place.index),
            U(m->place.term), U(m->commit));
    } else if (m->type == RAFT_MSG_APPEND_REPLY) {
        say(out, ", %s %llu", m->ok ? "has" : "refused; go on at",
            U(m->ok ? m->index : m->place.index));
    } else if (m->type == RAFT_MSG_VOTE_REPLY || m->type == RAFT_MSG_PREVOTE_REPLY) {
        say(out, ", %s", m->ok ? "yes" : "no");
    }
}

void explworld_tell(const struct explworld *w, explworld_move move, struct buf *out)
{
    static const char *const words[] = {
        [EXPLWORLD_TIMEOUT] = "has heard nothing for an election timeout",
        [EXPLWORLD_BEAT] = "sends heartbeats",
        [EXPLWORLD_PERSIST] = "has its oldest write on disk now",
        [EXPLWORLD_CRASH] = "crashes and starts again",
        [EXPLWORLD_PROPOSE] = "is given a command",
        [EXPLWORLD_CHANGE] = "is asked to change the members",
        [EXPLWORLD_READ] = "is asked for a read",
    };
    uint32_t at = explworld_at_of(move);
    switch (explworld_kind_of(move)) {
    case EXPLWORLD_DELIVER:
        tell_message(w, at, "arrives at", out);
        break;
    case EXPLWORLD_TWICE:
        tell_message(w, at, "arrives, not for the last time, at", out);
        break;
    default:
        say(out, "node %u %s", at, words[explworld_kind_of(move)]);
        break;
    }
    say(out, "\n");
}

static void show_log(const struct explworld_entry *log, uint64_t last, struct buf *out)
{
    static const char kinds[] = {'?', 'c', 'n', 'm'};
    for (uint64_t i = 1; i <= last; i++) {
        say(out, "%s%u%c", i > 1 ? " " : "", log[i].term, kinds[log[i].kind % sizeof kinds]);
    }
}

void explworld_show(const struct explworld *w, struct buf *out)
{
    static const char *const states[] = {"?",         "follower", "pre-candidate",
                                         "candidate", "leader",   "halted"};
    for (uint64_t id = 1; id <= w->preset->nodes; id++) {
        const struct explworld_node *n = &w->node[id];
        struct raft_view v = explworld_view(w, id);
        say(out, "      %llu: term %llu, %s, log [", U(id), U(v.term), states[v.state % 6]);
        show_log(n->log, n->last, out);
        say(out, "] commit %llu; disk: term %llu vote %llu [", U(v.commit), U(n->hard.term),
            U(n->hard.vote));
        show_log(n->disk, n->disk_last, out);
        say(out, "]\n");
    }
}
