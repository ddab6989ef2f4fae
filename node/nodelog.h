/* nodelog.h - the node's log lines: formatted, cut to one line, and dropped below a level. */
#ifndef NODE_NODELOG_H
#define NODE_NODELOG_H

#include "env/env.h"

struct nodelog {
    struct env *env; /* borrowed */
    enum env_log_level least;
};

__attribute__((format(__printf__, 3, 4))) void
nodelog_line(const struct nodelog *log, enum env_log_level level, const char *fmt, ...);

#endif
