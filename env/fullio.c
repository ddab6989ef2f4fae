/* fullio.c - see fullio.h. */
#include "env/fullio.h"

#include "base/ck.h"

enum status fullio_pread(struct env *e, int fd, void *buf, size_t size, uint64_t offset,
                         size_t *got)
{
    *got = 0;
    while (*got < size) {
        size_t n = 0;
        enum status st = env_file_pread(e, fd, (char *)buf + *got, size - *got, offset + *got, &n);
        if (st != ST_OK) {
            return st;
        }
        if (n == 0) {
            break; /* the end */
        }
        CK(n <= size - *got);
        *got += n;
    }
    return ST_OK;
}

enum status fullio_pwrite(struct env *e, int fd, const void *buf, size_t size, uint64_t offset,
                          size_t *put)
{
    *put = 0;
    while (*put < size) {
        size_t n = 0;
        enum status st =
            env_file_pwrite(e, fd, (const char *)buf + *put, size - *put, offset + *put, &n);
        if (st != ST_OK) {
            return st;
        }
        CK(n > 0);
        CK(n <= size - *put);
        *put += n;
    }
    return ST_OK;
}

enum status fullio_append(struct env *e, int fd, const struct env_slice *parts, int count,
                          size_t *put)
{
    size_t skip = 0; /* bytes of parts[at] that are written */
    int at = 0;
    *put = 0;
    for (;;) {
        while (at < count && skip == parts[at].size) {
            at++;
            skip = 0;
        }
        if (at == count) {
            return ST_OK;
        }
        /* a part that was cut goes out alone, so that the caller's array is left as it is */
        struct env_slice rest = {(const char *)parts[at].data + skip, parts[at].size - skip};
        size_t n = 0;
        enum status st = skip > 0 ? env_file_append(e, fd, &rest, 1, &n)
                                  : env_file_append(e, fd, parts + at, count - at, &n);
        if (st != ST_OK) {
            return st;
        }
        CK(n > 0);
        *put += n;
        while (n > 0) {
            CK(at < count);
            size_t left = parts[at].size - skip;
            size_t step = n < left ? n : left;
            n -= step;
            skip += step;
            if (skip == parts[at].size) {
                at++;
                skip = 0;
            }
        }
    }
}
