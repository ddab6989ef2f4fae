/* fuzz_replay.c - runs the files of a folder through a fuzz target, without libFuzzer, so that
 * every compiler and every machine sees the corpus. The target ends the process where it finds
 * something wrong; the name of the input was printed before. */
#define _GNU_SOURCE
#include "base/ck.h"
#include "tests/fuzz/fuzz_target.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

/* The input is copied to a block of its very size: reading past it is seen by a sanitizer. */
static void run_file(const char *folder, const char *name)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    CK(f != NULL);
    CK(fseek(f, 0, SEEK_END) == 0);
    long size = ftell(f);
    CK(size >= 0);
    rewind(f);
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
    CK(data != NULL);
    CK(fread(data, 1, (size_t)size, f) == (size_t)size);
    (void)fclose(f); /* it was read */
    CK(LLVMFuzzerTestOneInput(data, (size_t)size) == 0);
    free(data);
}

int main(int argc, char **argv)
{
    struct dirent **names;
    int ran = 0;
    (void)setvbuf(stdout, NULL, _IOLBF, 4096);
    CK(argc == 2);
    int n = scandir(argv[1], &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.') {
            printf("# %s\n", names[i]->d_name);
            run_file(argv[1], names[i]->d_name);
            ran++;
        }
        free(names[i]);
    }
    if (n > 0) {
        free(names);
    }
    /* a corpus that is not there tests nothing, and is said so */
    printf("%sok 1 - %d inputs of %s\n1..1\n", ran > 0 ? "" : "not ", ran, argv[1]);
    return 0;
}
