/* glob.h - Redis's patterns: '*', '?', "[a-c^]", '\' takes the next character as it is.
 *
 * Time is at most pattern times text: only the last '*' is ever tried again. */
#ifndef NODE_GLOB_H
#define NODE_GLOB_H

#include "base/slice.h"

/* Does the whole text match? */
bool glob_match(struct slice pattern, struct slice text);

#endif
