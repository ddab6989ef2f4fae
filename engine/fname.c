/* fname.c - see fname.h. */
#include "engine/fname.h"

#include "base/ck.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    enum fname_kind kind;
    const char *suffix;
} suffixes[] = {{FNAME_LOG, ".log"}, {FNAME_BASE, ".base"}, {FNAME_TMP, ".tmp"}};

#define SUFFIXES (sizeof suffixes / sizeof suffixes[0])

void fname_text(char name[FNAME_SIZE], enum fname_kind kind, uint64_t number)
{
    if (kind == FNAME_LOCK) {
        memcpy(name, "LOCK", sizeof "LOCK");
        return;
    }
    for (size_t i = 0; i < SUFFIXES; i++) {
        if (suffixes[i].kind == kind) {
            int n = snprintf(name, FNAME_SIZE, "%06" PRIu64 "%s", number, suffixes[i].suffix);
            CK(n > 0 && n < FNAME_SIZE);
            return;
        }
    }
    CK(kind != FNAME_OTHER);
}

void fname_make(char path[ENV_PATH_MAX], const char *dir, enum fname_kind kind, uint64_t number)
{
    char name[FNAME_SIZE];
    fname_text(name, kind, number);
    int n = snprintf(path, ENV_PATH_MAX, "%s/%s", dir, name);
    CK(n > 0 && n < ENV_PATH_MAX);
}

enum fname_kind fname_parse(const char *name, uint64_t *number)
{
    if (strcmp(name, "LOCK") == 0) {
        return FNAME_LOCK;
    }
    size_t digits = strspn(name, "0123456789");
    uint64_t v = 0;
    for (size_t i = 0; i < digits; i++) {
        uint64_t digit = (uint64_t)(name[i] - '0');
        if (v > (UINT64_MAX - digit) / 10) {
            return FNAME_OTHER;
        }
        v = v * 10 + digit;
    }
    for (size_t i = 0; i < SUFFIXES; i++) {
        char again[FNAME_SIZE];
        if (digits > 0 && strcmp(name + digits, suffixes[i].suffix) == 0) {
            fname_text(again, suffixes[i].kind, v);
            *number = v;
            return strcmp(again, name) == 0 ? suffixes[i].kind : FNAME_OTHER;
        }
    }
    return FNAME_OTHER;
}
