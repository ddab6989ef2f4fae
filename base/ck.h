/* ck.h - assertions. On in every build, release too.
 *
 * CK(e)           programmer error if false: says where and what, and ends the process (in
 *                 the simulator the simulated one). One condition for each CK.
 * CK_SLOW(on, e)  the same, but e may cost O(n): evaluated only where the run-time switch `on`
 *                 is set (the simulator and --verify set it), so that one machine code serves both.
 *
 * ck_fail() is bound at link time: the production program and the simulator each supply one. */
#ifndef BASE_CK_H
#define BASE_CK_H

_Noreturn void ck_fail(const char *file, int line, const char *expr);

#define CK(e)          ((e) ? (void)0 : ck_fail(__FILE__, __LINE__, #e))
#define CK_SLOW(on, e) ((!(on) || (e)) ? (void)0 : ck_fail(__FILE__, __LINE__, #e))

#endif
