/* fname.c - see fname.h. */
#include "engine/fname.h"

#include "base/ck.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A name with a number: prefix, at least six digits, suffix. */
static const struct {
    enum fname_kind kind;
    const char *prefix;
    const char *suffix;
} patterns[] = {
    {FNAME_LOG, "", ".log"},
    {FNAME_TABLE, "", ".sst"},
    {FNAME_MANIFEST, "MANIFEST-", ""},
    {FNAME_TMP, "", ".tmp"},
};

static const struct {
    enum fname_kind kind;
    const char *name;
} plain[] = {{FNAME_LOCK, "LOCK"}, {FNAME_CURRENT, "CURRENT"}};

#define PATTERNS (sizeof patterns / sizeof patterns[0])
#define PLAIN    (sizeof plain / sizeof plain[0])

void fname_text(char name[FNAME_SIZE], enum fname_kind kind, uint64_t number)
{
    for (size_t i = 0; i < PLAIN; i++) {
        if (plain[i].kind == kind) {
            memcpy(name, plain[i].name, strlen(plain[i].name) + 1);
            return;
        }
    }
    for (size_t i = 0; i < PATTERNS; i++) {
        if (patterns[i].kind == kind) {
            int n = snprintf(name, FNAME_SIZE, "%s%06" PRIu64 "%s", patterns[i].prefix, number,
                             patterns[i].suffix);
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

/* The number that name is made of between prefix and suffix; false: it is not. */
static bool number_parse(const char *name, const char *prefix, const char *suffix, uint64_t *number)
{
    size_t skip = strlen(prefix);
    if (strncmp(name, prefix, skip) != 0) {
        return false;
    }
    size_t digits = strspn(name + skip, "0123456789");
    uint64_t v = 0;
    for (size_t i = 0; i < digits; i++) {
        uint64_t digit = (uint64_t)(name[skip + i] - '0');
        if (v > (UINT64_MAX - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
    }
    *number = v;
    return digits > 0 && strcmp(name + skip + digits, suffix) == 0;
}

enum fname_kind fname_parse(const char *name, uint64_t *number)
{
    for (size_t i = 0; i < PLAIN; i++) {
        if (strcmp(name, plain[i].name) == 0) {
            return plain[i].kind;
        }
    }
    for (size_t i = 0; i < PATTERNS; i++) {
        char again[FNAME_SIZE];
        uint64_t v;
        if (number_parse(name, patterns[i].prefix, patterns[i].suffix, &v)) {
            fname_text(again, patterns[i].kind, v);
            *number = v;
            return strcmp(again, name) == 0 ? patterns[i].kind : FNAME_OTHER;
        }
    }
    return FNAME_OTHER;
}
