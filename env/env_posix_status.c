/* env_posix_status.c - errno values as statuses: the one table. */
#define _GNU_SOURCE
#include "env/env_posix_impl.h"

#include <errno.h>

/* Indexed by errno; a hole is ST_OK, which no failed call means. */
static const unsigned char table[] = {
    [EPERM] = ST_ACCESS,
    [ENOENT] = ST_NOENT,
    [EINTR] = ST_INTR,
    [EIO] = ST_IO,
    [ENXIO] = ST_IO,
    [EBADF] = ST_BADFD,
    [EAGAIN] = ST_AGAIN, /* EWOULDBLOCK too: one number on Linux */
    [ENOMEM] = ST_NOMEM,
    [EACCES] = ST_ACCESS,
    [EBUSY] = ST_BUSY,
    [EEXIST] = ST_EXIST,
    [EXDEV] = ST_XDEV,
    [ENOTDIR] = ST_NOTDIR,
    [EISDIR] = ST_ISDIR,
    [EINVAL] = ST_INVAL,
    [ENFILE] = ST_MFILE,
    [EMFILE] = ST_MFILE,
    [ETXTBSY] = ST_BUSY,
    [EFBIG] = ST_TOOBIG,
    [ENOSPC] = ST_NOSPC,
    [ESPIPE] = ST_BADFD, /* an offset for something that has none: not a file */
    [EROFS] = ST_ROFS,
    [EMLINK] = ST_TOOBIG,
    [EPIPE] = ST_PIPE,
    [ENAMETOOLONG] = ST_NAMETOOLONG,
    [ENOSYS] = ST_UNSUPPORTED,
    [ENOTEMPTY] = ST_NOTEMPTY,
    [ELOOP] = ST_INVAL,
    [EPROTO] = ST_ABORTED,
    [EOVERFLOW] = ST_TOOBIG,
    [ENOTSOCK] = ST_BADFD,
    [EMSGSIZE] = ST_TOOBIG,
    [EPROTONOSUPPORT] = ST_UNSUPPORTED,
    [EOPNOTSUPP] = ST_UNSUPPORTED,
    [EAFNOSUPPORT] = ST_UNSUPPORTED,
    [EADDRINUSE] = ST_ADDRUSE,
    [EADDRNOTAVAIL] = ST_UNREACH,
    [ENETDOWN] = ST_UNREACH,
    [ENETUNREACH] = ST_UNREACH,
    [ENETRESET] = ST_RESET,
    [ECONNABORTED] = ST_ABORTED,
    [ECONNRESET] = ST_RESET,
    [ENOBUFS] = ST_NOMEM,
    [ENOTCONN] = ST_NOTCONN,
    [ESHUTDOWN] = ST_PIPE,
    [ETIMEDOUT] = ST_TIMEOUT,
    [ECONNREFUSED] = ST_REFUSED,
    [EHOSTDOWN] = ST_UNREACH,
    [EHOSTUNREACH] = ST_UNREACH,
    [EINPROGRESS] = ST_INPROGRESS,
    [EDQUOT] = ST_NOSPC,
};

enum status env_posix_status(int error)
{
    size_t i = (size_t)error;
    return error > 0 && i < sizeof table && table[i] != ST_OK ? (enum status)table[i] : ST_IO;
}

enum status env_posix_last(void)
{
    return env_posix_status(errno);
}
