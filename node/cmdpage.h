/* cmdpage.h - PAGE: a part of a walk over keys that needs no memory of it between its parts. A
 * handler, see command.h. */
#ifndef NODE_CMDPAGE_H
#define NODE_CMDPAGE_H

#include "node/command.h"

#define CMDPAGE_LOOK_MAX 100000u /* keys that one page looks at */

/* PAGE start end [LIMIT n] [BYTES n] [MATCH pattern] [REV] [KEYS] [COUNT]; a null bound is open.
 * Answers where the next page goes on (null: there is none) and the keys and values of this one;
 * that place is the next page's start, or with REV its end. COUNT answers how many keys there are,
 * in the whole range. */
enum status cmdpage_page(struct call *c);

#endif
