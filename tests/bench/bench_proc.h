/* bench_proc.h - what a process used, and directories as a whole. */
#ifndef TESTS_BENCH_BENCH_PROC_H
#define TESTS_BENCH_BENCH_PROC_H

#include <stdint.h>

#define PROC_PATH_MAX 1024

struct usage {
    double cpu_s;    /* all threads of this process, user and system */
    double file_b;   /* sent to the storage layer: pages made dirty, mapped ones too */
    double called_b; /* passed to write() and its kin */
};

struct usage bench_proc_usage(void);

/* Bytes of "VmRSS" or "VmHWM" of this process. */
double bench_proc_memory(const char *field);

/* Waits until the threads of this process have been idle for so long (every store's background
 * work ends so, whether it can say so or not; it gives up after 15,000 looks), and then until the
 * file system under dir, when it is not NULL, has nothing left to write. 0: waits for neither. */
void bench_proc_calm(unsigned quiet_ms, const char *dir);

/* Blocks that the files under dir hold on disk, in bytes. */
double bench_proc_disk(const char *dir);

void bench_proc_remove(const char *dir); /* with all in it; harmless when it is not there */
void bench_proc_copy(const char *from, const char *to);

#endif
