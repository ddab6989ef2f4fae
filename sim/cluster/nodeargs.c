/* nodeargs.c - see nodeargs.h. */
#include "sim/cluster/nodeargs.h"

#include "base/ck.h"

#include <stdio.h>

void nodeargs_text(struct nodeargs *a, const char *text)
{
    CK(a->argc < NODEARGS_MAX);
    char *own = a->text[a->argc];
    int n = snprintf(own, NODEARGS_TEXT, "%s", text);
    CK(n >= 0 && n < NODEARGS_TEXT);
    a->argv[a->argc++] = own;
}

void nodeargs_number(struct nodeargs *a, const char *name, uint64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    nodeargs_text(a, name);
    nodeargs_text(a, text);
}

void nodeargs_init(struct nodeargs *a, const char *data, const char *listen)
{
    a->argc = 0;
    nodeargs_text(a, "tinykv");
    nodeargs_text(a, "serve");
    nodeargs_text(a, "--data");
    nodeargs_text(a, data);
    nodeargs_text(a, "--listen");
    nodeargs_text(a, listen);
}

void nodeargs_plan(struct nodeargs *a, const struct plan *p)
{
    nodeargs_number(a, "--write-buffer", plan_get(p, PLAN_WRITE_BUFFER));
    nodeargs_number(a, "--output-limit", plan_get(p, PLAN_OUTPUT_LIMIT));
    nodeargs_number(a, "--idle-timeout", plan_get(p, PLAN_IDLE_MS));
    nodeargs_number(a, "--max-clients", plan_get(p, PLAN_MAX_CLIENTS));
    nodeargs_number(a, "--inflight", plan_get(p, PLAN_INFLIGHT));
    nodeargs_number(a, "--cursors", plan_get(p, PLAN_CURSORS));
    nodeargs_text(a, "--verify");
}
