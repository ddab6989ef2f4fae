/* soup_int.h - what the files of the soup share. Included by tests/raft/soup*.c only. */
#ifndef TESTS_RAFT_SOUP_INT_H
#define TESTS_RAFT_SOUP_INT_H

#include "tests/raft/soup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOST_ID UINT64_MAX /* the payload of a damaged entry: nobody must ever see it */
#define U(x)    ((unsigned long long)(x))

#define GROW(array, count, cap)                                  \
    ((count) < (cap) ? (void)0                                   \
                     : (void)((cap) = (cap) > 0 ? 2 * (cap) : 8, \
                              (array) = realloc((array), (cap) * sizeof *(array))))

/* The first violation of the fixture's own checks. */
__attribute__((format(printf, 2, 3))) void soup_wrong(struct soup *s, const char *format, ...);
/* A line of the story, if SOUP_TRACE is set. */
__attribute__((format(printf, 2, 3))) void soup_trace(const struct soup *s, const char *format,
                                                      ...);

static inline bool soup_fine(const struct soup *s)
{
    return soup_what(s)[0] == '\0';
}

void soup_list_clear(struct soup_list *l);
void soup_release_held(struct soup *s, struct soup_node *n);
/* The process's memory is given back. */
void soup_end(struct soup_node *n);

/* ---- logs ---- */

static inline uint64_t log_last(const struct soup_log *l)
{
    return l->from + l->count - 1;
}

static inline struct soup_entry *log_at(const struct soup_log *l, uint64_t index)
{
    return index >= l->from && index - l->from < l->count ? &l->entries[index - l->from] : NULL;
}

static inline void log_push(struct soup_log *l, struct soup_entry e)
{
    GROW(l->entries, l->count, l->cap);
    l->entries[l->count++] = e;
}

static inline void log_forget(struct soup_log *l, uint64_t index)
{
    uint64_t n = index + 1 > l->from ? index + 1 - l->from : 0;
    n = n < l->count ? n : l->count;
    memmove(l->entries, l->entries + n, (l->count - n) * sizeof *l->entries);
    l->count -= n;
    l->from = index + 1 > l->from ? index + 1 : l->from;
}

static inline void log_copy(struct soup_log *to, const struct soup_log *from)
{
    to->from = from->from;
    to->count = 0;
    for (size_t i = 0; i < from->count; i++) {
        log_push(to, from->entries[i]);
    }
}

/* One write, to the log in memory or to that on the disk. */
static inline void log_write(struct soup_log *l, const struct raft_write *w,
                             const struct soup_entry *e)
{
    if (w->has_snapshot && w->keep) {
        log_forget(l, w->place.index);
    } else if (w->has_snapshot) {
        l->count = 0;
        l->from = w->place.index + 1;
    }
    if (w->truncate != 0) {
        l->count = w->truncate > l->from ? w->truncate - l->from : 0;
    }
    for (uint64_t i = w->lo; i < w->hi; i++) {
        struct soup_entry *there = log_at(l, i);
        if (there != NULL) {
            *there = e[i - w->lo];
        } else if (i == log_last(l) + 1) {
            log_push(l, e[i - w->lo]);
        }
    }
}

#endif
