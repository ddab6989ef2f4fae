/* groupship.h - how snapshots go from one node of a group (group.h) to another: read where they are
 * made, carried in memory, staged where they arrive, told of at both ends.
 *
 * A parcel is lost when its way is cut or its receiver is down when it comes, when the receiver has
 * one already, and when it dies over it. Its sender is told, if that lives still. */
#ifndef TESTS_NODE_GROUPSHIP_H
#define TESTS_NODE_GROUPSHIP_H

#include "tests/node/group.h"

/* The transport's two calls; arg is the struct group_node. */
void groupship_send(void *arg, const struct raft_msg *m, const struct snapset *set,
                    const char *dir);
enum status groupship_take(void *arg, const char *to, struct err *err);

/* In the node's process, before the replica is opened; now and then; when it is stopped. */
void groupship_open(struct env *env, struct group_node *n);
void groupship_bring(struct group_node *n);
void groupship_close(struct group_node *n);

/* The process is gone. */
void groupship_ended(struct group_node *n);
void groupship_release(struct group *g);

#endif
