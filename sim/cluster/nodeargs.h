/* nodeargs.h - the command line that a simulated node is started with, put together of a plan.
 *
 * Ownership: the texts are its own. A slip of the world (too many words, one too long) is a bug. */
#ifndef SIM_CLUSTER_NODEARGS_H
#define SIM_CLUSTER_NODEARGS_H

#include "fault/plan.h"

#define NODEARGS_MAX  48
#define NODEARGS_TEXT 256

struct nodeargs {
    int argc;
    char *argv[NODEARGS_MAX];
    char text[NODEARGS_MAX][NODEARGS_TEXT];
};

/* tinykv serve --data `data` --listen `listen` */
void nodeargs_init(struct nodeargs *a, const char *data, const char *listen);
void nodeargs_text(struct nodeargs *a, const char *text);
void nodeargs_number(struct nodeargs *a, const char *name, uint64_t value);
/* What a plan says of any node: its limits and sizes; and that it checks itself. */
void nodeargs_plan(struct nodeargs *a, const struct plan *p);

#endif
