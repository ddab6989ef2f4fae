/* trace.c - see trace.h. */
#include "sim/trace.h"

#include "base/ck.h"
#include "base/hash.h"
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Per kind: its name, and what a, b and c are called (NULL: not shown). */
static const struct {
    const char *name;
    const char *a, *b, *c;
} rows[TRACE_KINDS] = {
    [TRACE_SWITCH] = {"switch", NULL, NULL, NULL},
    [TRACE_START] = {"start", "incarnation", NULL, NULL},
    [TRACE_EXIT] = {"exit", "code", "live blocks", NULL},
    [TRACE_KILL] = {"kill", NULL, NULL, NULL},
    [TRACE_POWER] = {"power", "strategy", NULL, NULL},
    [TRACE_PAUSE] = {"pause", "ns", NULL, NULL},
    [TRACE_RESUME] = {"resume", NULL, NULL, NULL},
    [TRACE_THREAD] = {"thread", "task", NULL, NULL},
    [TRACE_OPEN] = {"open", "fd", "flags", NULL},
    [TRACE_READ] = {"read", "fd", "offset", "bytes"},
    [TRACE_WRITE] = {"write", "fd", "offset", "bytes"},
    [TRACE_APPEND] = {"append", "fd", "offset", "bytes"},
    [TRACE_SYNC] = {"sync", "fd", "data only", NULL},
    [TRACE_TRUNCATE] = {"truncate", "fd", "size", NULL},
    [TRACE_ALLOCATE] = {"allocate", "fd", "offset", "bytes"},
    [TRACE_CLOSE] = {"close", "fd", NULL, NULL},
    [TRACE_DIR] = {"dir", "entries", NULL, NULL},
    [TRACE_RENAME] = {"rename", NULL, NULL, NULL},
    [TRACE_LINK] = {"link", NULL, NULL, NULL},
    [TRACE_REMOVE] = {"remove", NULL, NULL, NULL},
    [TRACE_DIRSYNC] = {"dirsync", NULL, NULL, NULL},
    [TRACE_LOCK] = {"lock", "fd", NULL, NULL},
    [TRACE_LISTEN] = {"listen", "fd", "port", NULL},
    [TRACE_CONNECT] = {"connect", "fd", "port", NULL},
    [TRACE_ACCEPT] = {"accept", "fd", "conn", NULL},
    [TRACE_RECV] = {"recv", "fd", "bytes", NULL},
    [TRACE_SEND] = {"send", "fd", "bytes", NULL},
    [TRACE_SHUTDOWN] = {"shutdown", "fd", NULL, NULL},
    [TRACE_DELIVER] = {"deliver", "conn", "bytes", "end"},
    [TRACE_RESET] = {"reset", "conn", NULL, NULL},
    [TRACE_REFUSE] = {"refuse", "bytes", "ordinal", NULL},
    [TRACE_NOTE] = {"note", "a", "b", "c"},
    [TRACE_LOG] = {"log", NULL, NULL, NULL},
    [TRACE_CONSOLE] = {"console", NULL, NULL, NULL},
    [TRACE_CLIENT] = {"client", "op", NULL, NULL},
    [TRACE_FAULT] = {"fault", "value", NULL, NULL},
    [TRACE_PHASE] = {"phase", NULL, NULL, NULL},
    [TRACE_VIOLATION] = {"VIOLATION", NULL, NULL, NULL},
};

void trace_init(struct trace *t, struct mem *mem, size_t keep)
{
    *t = (struct trace){.mem = mem, .cap = keep};
    if (keep > 0) {
        t->ring = mem_alloc(mem, keep * sizeof *t->ring);
        CK(t->ring != NULL);
    }
}

void trace_release(struct trace *t)
{
    if (t->mem != NULL) {
        mem_release(t->mem, t->ring);
    }
    *t = (struct trace){0};
}

void trace_mix(struct trace *t, uint64_t a, uint64_t b)
{
    t->hash = hash_add(hash_add(t->hash, a), b);
}

void trace_add(struct trace *t, const struct trace_event *e)
{
    uint64_t h = hash_add(t->hash, e->time);
    h = hash_add(h, (uint64_t)e->proc << 32 | e->task);
    h = hash_add(h, (uint64_t)e->kind << 32 | e->status);
    h = hash_add(h, e->a);
    h = hash_add(h, e->b);
    h = hash_add(h, e->c);
    if (e->text[0] != '\0') {
        h = hash_bytes(h, e->text, strnlen(e->text, sizeof e->text));
    }
    t->hash = h;
    if (t->cap > 0) {
        t->ring[t->events % t->cap] = *e;
    }
    t->events++;
    if (t->watch != NULL) {
        t->watch(t->watch_arg, e);
    }
}

const struct trace_event *trace_kept(const struct trace *t, size_t i)
{
    size_t kept = t->events < t->cap ? (size_t)t->events : t->cap;
    return i < kept ? &t->ring[(t->events - kept + i) % t->cap] : NULL;
}

/* Appends to line at *at, never past size. */
__attribute__((format(printf, 4, 5))) static void put(char *line, size_t size, size_t *at,
                                                      const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line + *at, size - *at, fmt, args);
    va_end(args);
    if (n > 0) {
        *at = *at + (size_t)n < size ? *at + (size_t)n : size - 1;
    }
}

static void put_number(char *line, size_t size, size_t *at, const char *name, uint64_t v)
{
    if (name != NULL) {
        put(line, size, at, " %s=%llu", name, (unsigned long long)v);
    }
}

void trace_format(const struct trace_event *e, char *line, size_t size)
{
    size_t at = 0;
    CK(size > 0);
    CK(e->kind < TRACE_KINDS);
    put(line, size, &at, "%4llu.%09llu  %-8.11s t%-3u %-9s %-*.*s",
        (unsigned long long)(e->time / 1000000000u), (unsigned long long)(e->time % 1000000000u),
        e->who[0] != '\0' ? e->who : "world", e->task, rows[e->kind].name, 24, TRACE_TEXT, e->text);
    put_number(line, size, &at, rows[e->kind].a, e->a);
    put_number(line, size, &at, rows[e->kind].b, e->b);
    put_number(line, size, &at, rows[e->kind].c, e->c);
    if (e->status != ST_OK) {
        put(line, size, &at, "  ! %s", status_text((enum status)e->status));
    }
}

void trace_text(struct trace_event *e, const char *text)
{
    size_t n = strnlen(text, sizeof e->text - 1);
    memset(e->text, 0, sizeof e->text);
    memcpy(e->text, text, n);
}
