/* storejudge.h - contracts E1 to E5, E8 and E10 over a storemodel: is what somebody saw of the
 * database the state after a prefix of the writes, with everything in it that was promised? */
#ifndef SIM_STORE_STOREJUDGE_H
#define SIM_STORE_STOREJUDGE_H

#include "sim/store/storeview.h"

/* The values of the stripes that a reader saw (data NULL: none) make a cut. False with class and
 * why: they make none, or one before `low`. Pending writes in it are marked as seen. */
bool storejudge_cut(struct storemodel *m, const struct slice stripes[STOREMODEL_WORKERS],
                    const struct storecut *low, struct storecut *cut, const char **class,
                    struct err *why);

/* A live view has to be that cut, key by key. */
bool storejudge_same(const struct storemodel *m, const struct storeview *v,
                     const struct storecut *cut, struct err *why);

/* DAMAGE: media lied, so that what was promised may be gone (the end of a log looks torn), but what
 * is there is still a prefix. */
enum storecrash { STORECRASH_NONE, STORECRASH_PROCESS, STORECRASH_POWER, STORECRASH_DAMAGE };

/* Judges what a recovery found after such a crash: which cut it is, and whether that is allowed
 * (E1, E2, E3, E5, E8). False with class and why. */
bool storejudge_view(struct storemodel *m, const struct storeview *v, enum storecrash crash,
                     struct storecut *cut, const char **class, struct err *why);

/* A recovery that serves has found this cut, as a view that was judged: the rest never was, and
 * this is durable (E4). Without a log, what is missing is to be replayed. */
void storejudge_decide(struct storemodel *m, const struct storeview *v, const struct storecut *cut);

#endif
