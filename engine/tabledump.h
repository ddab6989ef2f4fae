/* tabledump.h - prints a table for a person: properties, range tombstones, every block's entries.
 *
 * Damaged blocks are said where they lie, and the next one follows. Failure: the first thing wrong,
 * after all lines; a file whose footer or properties are damaged is not shown. */
#ifndef ENGINE_TABLEDUMP_H
#define ENGINE_TABLEDUMP_H

#include "engine/table.h"

/* Reports the table at path, whose number is given by its name. The order that it was made with
 * need not be known. */
NODISCARD enum status tabledump_file(struct env *env, const char *path, uint64_t number,
                                     tkv_report_fn *report, void *arg, struct err *err);

#endif
