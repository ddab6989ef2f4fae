/* waldump.h - prints a log or a manifest for a person: every record with its place, and what is in
 * it.
 *
 * Damage is said where it lies, with whether it is a torn tail or not; lines before it stand. */
#ifndef ENGINE_WALDUMP_H
#define ENGINE_WALDUMP_H

#include "base/err.h"
#include "engine/tkv.h"
#include "env/env.h"

#define WALDUMP_TEXT 80 /* bytes that hold any key or value as waldump_bytes() shows it */

/* The beginning of some bytes as text in quotes, others than printable ones as \xNN, and "…" when
 * there are more. */
void waldump_bytes(char text[WALDUMP_TEXT], const void *data, size_t size);

/* Reports the log at path, whose number is given by its name. */
NODISCARD enum status waldump_log(struct env *env, const char *path, uint64_t number,
                                  tkv_report_fn *report, void *arg, struct err *err);

/* The same for a manifest. */
NODISCARD enum status waldump_manifest(struct env *env, const char *path, uint64_t number,
                                       tkv_report_fn *report, void *arg, struct err *err);

#endif
