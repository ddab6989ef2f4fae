/* nodelog.c - see nodelog.h. */
#include "node/nodelog.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void nodelog_line(const struct nodelog *log, enum env_log_level level, const char *fmt, ...)
{
    if (level < log->least) {
        return;
    }
    char line[512];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof line, fmt, args); /* a longer line is cut */
    va_end(args);
    if (n < 0) {
        return;
    }
    for (char *c = line; *c != '\0'; c++) {
        *c = (unsigned char)*c < 0x20 ? '?' : *c;
    }
    env_log(log->env, level, line);
}

void nodelog_say(struct env *env, bool error, const char *fmt, ...)
{
    char line[512];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof line - 1, fmt, args);
    va_end(args);
    if (n >= 0) {
        size_t size = strlen(line);
        line[size] = '\n';
        env_console(env, error, line, size + 1);
    }
}
