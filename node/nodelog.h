/* nodelog.h - lines for people: to the log, cut to one line and dropped below a level; and to the
 * console, as they are. */
#ifndef NODE_NODELOG_H
#define NODE_NODELOG_H

#include "env/env.h"

struct nodelog {
    struct env *env; /* borrowed */
    enum env_log_level least;
};

__attribute__((format(__printf__, 3, 4))) void
nodelog_line(const struct nodelog *log, enum env_log_level level, const char *fmt, ...);

/* A line on the console: what was asked for, or (`error`) what is wrong. A longer one is cut. */
__attribute__((format(__printf__, 3, 4))) void nodelog_say(struct env *env, bool error,
                                                           const char *fmt, ...);

#endif
