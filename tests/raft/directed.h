/* directed.h - what directed tests of cores say often, over the group in memory (soup.h). */
#ifndef TESTS_RAFT_DIRECTED_H
#define TESTS_RAFT_DIRECTED_H

#include "tests/raft/soup.h"
#include "tests/tap.h"

/* The end of a test: no invariant broke on the way. */
static inline void done(struct soup *s)
{
    EXPECT(soup_what(s)[0] == '\0');
    if (soup_what(s)[0] != '\0') {
        printf("# %s\n", soup_what(s));
    }
    soup_release(s);
}

static inline struct raft_view view(const struct soup *s, uint64_t id)
{
    struct raft_view v;
    soup_view(s, id, &v);
    return v;
}

/* All that it has written is durable, and it is told so. */
static inline void persist(struct soup *s, uint64_t id)
{
    soup_persist(s, id, SIZE_MAX, true);
}

static inline void lose_all(struct soup *s)
{
    while (s->net.count > 0) {
        soup_lose(s, 0);
    }
}

static inline bool saw_it(const struct soup *s, enum raft_seen what)
{
    return (s->seen & RAFT_SEEN(what)) != 0;
}

#endif
