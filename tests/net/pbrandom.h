/* pbrandom.h - random messages of any table. Values are often at the edges of their type; what the
 * message holds beside its struct lies in the arena. */
#ifndef TESTS_NET_PBRANDOM_H
#define TESTS_NET_PBRANDOM_H

#include "base/prng.h"
#include "net/pb.h"
#include "net/pbarena.h"

/* Fills a struct; ST_NOMEM, ST_TOOBIG: the arena refused, and the struct is of no use. */
NODISCARD enum status pbrandom(struct prng *g, const struct pb_table *t, struct pbarena *arena,
                               void *message);

#endif
