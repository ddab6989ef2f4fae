/* lin_touch.h - what each operation of a part does to one of its keys, for zones. Internal. */
#ifndef SIM_LIN_LIN_TOUCH_H
#define SIM_LIN_LIN_TOUCH_H

#include "sim/lin/lin_zones.h"

/* Fills z->touches, ascending by call. Where something had to be weakened z->exact becomes false;
 * where a write could have made any value z->open_ended becomes true. */
NODISCARD enum status lin_touch_collect(struct lin_zones *z, const struct lin_split *s,
                                        const struct lin_part *part, uint32_t local);

#endif
