/* banned.h - forced into every translation unit above the seam (base engine raft net node)
 * by -include. The harmless standard headers come first; then the names of everything that
 * allocates, does I/O, tells the time or makes randomness are poisoned, so that a slip is a
 * compile error. tests/tidy repeats the check on the object files. */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#pragma GCC poison malloc calloc realloc free posix_memalign aligned_alloc alloca strdup
#pragma GCC poison open close read write pread pwrite fsync fdatasync rename unlink fopen
#pragma GCC poison printf fprintf puts perror sprintf vsprintf strcpy strcat strncpy strtok
#pragma GCC poison time clock_gettime gettimeofday nanosleep rand srand random getrandom
#pragma GCC poison qsort assert abort exit getenv errno socket send recv epoll_wait

#endif
