/* status.c - see status.h. */
#include "base/status.h"

#include <stddef.h>

struct status_row {
    const char *name;
    const char *text;
};

static const struct status_row rows[ST_COUNT] = {
    [ST_OK] = {"ST_OK", "ok"},
    [ST_NOMEM] = {"ST_NOMEM", "out of memory"},
    [ST_IO] = {"ST_IO", "input/output error"},
    [ST_NOSPC] = {"ST_NOSPC", "no space left on device"},
    [ST_CORRUPT] = {"ST_CORRUPT", "corrupted data"},
    [ST_NOENT] = {"ST_NOENT", "not found"},
    [ST_EXIST] = {"ST_EXIST", "already exists"},
    [ST_INVAL] = {"ST_INVAL", "invalid argument"},
    [ST_BUSY] = {"ST_BUSY", "in use by another process"},
    [ST_ROFS] = {"ST_ROFS", "read-only file system"},
    [ST_MFILE] = {"ST_MFILE", "too many open files"},
    [ST_AGAIN] = {"ST_AGAIN", "not ready"},
    [ST_INTR] = {"ST_INTR", "interrupted"},
    [ST_INPROGRESS] = {"ST_INPROGRESS", "in progress"},
    [ST_PIPE] = {"ST_PIPE", "connection closed for writing"},
    [ST_RESET] = {"ST_RESET", "connection reset by peer"},
    [ST_REFUSED] = {"ST_REFUSED", "connection refused"},
    [ST_TIMEOUT] = {"ST_TIMEOUT", "timed out"},
    [ST_UNREACH] = {"ST_UNREACH", "host unreachable"},
    [ST_ABORTED] = {"ST_ABORTED", "connection aborted"},
    [ST_ADDRUSE] = {"ST_ADDRUSE", "address already in use"},
    [ST_NOTCONN] = {"ST_NOTCONN", "not connected"},
    [ST_NOTDIR] = {"ST_NOTDIR", "not a directory"},
    [ST_ISDIR] = {"ST_ISDIR", "is a directory"},
    [ST_NOTEMPTY] = {"ST_NOTEMPTY", "directory not empty"},
    [ST_ACCESS] = {"ST_ACCESS", "permission denied"},
    [ST_NAMETOOLONG] = {"ST_NAMETOOLONG", "file name too long"},
    [ST_BADFD] = {"ST_BADFD", "bad descriptor"},
    [ST_UNSUPPORTED] = {"ST_UNSUPPORTED", "not supported"},
    [ST_TOOBIG] = {"ST_TOOBIG", "too big"},
    [ST_XDEV] = {"ST_XDEV", "on different file systems"},
    [ST_STOPPED] = {"ST_STOPPED", "shutting down"},
};

static const struct status_row *row_of(enum status st)
{
    static const struct status_row unknown = {"ST_?", "unknown status"};
    size_t i = (size_t)st;
    return i < ST_COUNT && rows[i].name != NULL ? &rows[i] : &unknown;
}

const char *status_text(enum status st)
{
    return row_of(st)->text;
}

const char *status_name(enum status st)
{
    return row_of(st)->name;
}
