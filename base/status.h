/* status.h - the one error vocabulary of the tree.
 *
 * Every fallible call returns an `enum status` and hands results out through its last
 * parameter. Three kinds of trouble are never mixed: a bug in the program fails a CK(); the
 * world refusing (disk full, peer gone, no memory) is a status; bytes that lie are ST_CORRUPT.
 * Values are fixed: the public engine header repeats those that its callers can meet. */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#define NODISCARD __attribute__((warn_unused_result))

enum status {
    ST_OK = 0,
    ST_NOMEM = 1,       /* an allocation was refused */
    ST_IO = 2,          /* the device failed (EIO) */
    ST_NOSPC = 3,       /* no room on the device or in the quota */
    ST_CORRUPT = 4,     /* bytes from disk or wire are not what was written */
    ST_NOENT = 5,       /* no such file, or no such key */
    ST_EXIST = 6,       /* it is there already */
    ST_INVAL = 7,       /* an argument or option is out of its range */
    ST_BUSY = 8,        /* somebody else holds it (a lock file, an address) */
    ST_ROFS = 9,        /* the file system is read-only */
    ST_MFILE = 10,      /* out of descriptors */
    ST_AGAIN = 11,      /* nothing to do right now: ask the poller */
    ST_INTR = 12,       /* interrupted before anything was done: call again */
    ST_INPROGRESS = 13, /* connect has begun: the poller tells when it is decided */
    ST_PIPE = 14,       /* the write side of this connection is closed */
    ST_RESET = 15,      /* the peer reset the connection */
    ST_REFUSED = 16,    /* nobody listens there */
    ST_TIMEOUT = 17,    /* the deadline passed */
    ST_UNREACH = 18,    /* no route to that host */
    ST_ABORTED = 19,    /* the connection was gone before it was accepted */
    ST_ADDRUSE = 20,    /* the address is taken */
    ST_NOTCONN = 21,    /* the socket is not connected */
    ST_NOTDIR = 22,     /* a part of the path is not a directory */
    ST_ISDIR = 23,      /* it is a directory */
    ST_NOTEMPTY = 24,   /* the directory still has entries */
    ST_ACCESS = 25,     /* permission denied */
    ST_NAMETOOLONG = 26,
    ST_BADFD = 27,       /* not a descriptor of this process, or of the wrong kind */
    ST_UNSUPPORTED = 28, /* this platform, file system or format version cannot do it */
    ST_TOOBIG = 29,      /* over a stated limit */
    ST_XDEV = 30,        /* source and target lie on different file systems */
    ST_STOPPED = 31,     /* shutting down: not started */
    ST_COUNT
};

/* A short lower-case English text for a person ("no space left on device"); never NULL. */
const char *status_text(enum status st);

/* The name as in the source ("ST_NOSPC"), for traces and tests; never NULL. */
const char *status_name(enum status st);

#endif
