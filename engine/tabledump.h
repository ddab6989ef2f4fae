/* tabledump.h - a table file as text for people: `tinykv dump`.
 *
 * Prints everything that can be read: properties, index, range tombs, each block's entries. Keys
 * and values are quoted, bytes that do not print as \xx. Blocks that are damaged are named and
 * skipped. Failure: the first thing wrong, after all lines; ST_NOMEM and the like at once. */
#ifndef ENGINE_TABLEDUMP_H
#define ENGINE_TABLEDUMP_H

#include "engine/table.h"

typedef void tabledump_fn(void *arg, const char *line);

/* number: as told by the file's name. The order's name is in the file: any is printed. */
NODISCARD enum status tabledump_file(struct env *env, const char *path, uint64_t number,
                                     tabledump_fn *each, void *arg, struct err *err);

#endif
