/* namepat.h - classes of file names: "*.log", "MANIFEST-*", "CURRENT", "*". */
#ifndef FAULT_NAMEPAT_H
#define FAULT_NAMEPAT_H

#include <stdbool.h>
#include <stddef.h>

/* Whether name[len] is of the class; a pattern has one star at most, for any bytes or none. */
bool namepat_matches(const char *pattern, const char *name, size_t len);
/* The part of a path after its last '/'. */
const char *namepat_base(const char *path);

#endif
