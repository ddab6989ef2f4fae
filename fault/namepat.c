/* namepat.c - see namepat.h. */
#include "fault/namepat.h"

#include <string.h>

bool namepat_matches(const char *pattern, const char *name, size_t len)
{
    const char *star = strchr(pattern, '*');
    size_t size = strlen(pattern);
    if (star == NULL) {
        return len == size && memcmp(pattern, name, len) == 0;
    }
    size_t head = (size_t)(star - pattern);
    size_t tail = size - head - 1;
    return len >= head + tail && memcmp(name, pattern, head) == 0 &&
           memcmp(name + len - tail, star + 1, tail) == 0;
}

const char *namepat_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}
