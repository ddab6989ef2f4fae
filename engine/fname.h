/* fname.h - the names of the files of a database.
 *
 *     000012.log        a write-ahead log
 *     000015.sst        a table
 *     MANIFEST-000016   which tables and logs count, edit by edit
 *     000017.tmp        CURRENT in the making
 *     CURRENT           names the manifest that counts
 *     LOCK              held by the process that has the database open
 * Numbers are decimal, at least six digits, from one counter. Any other name is not ours. */
#ifndef ENGINE_FNAME_H
#define ENGINE_FNAME_H

#include "env/env.h"

enum fname_kind {
    FNAME_OTHER,
    FNAME_LOG,
    FNAME_TABLE,
    FNAME_MANIFEST,
    FNAME_TMP,
    FNAME_CURRENT,
    FNAME_LOCK,
};

#define FNAME_SIZE 32 /* bytes of the longest name with its '/' and NUL */

/* Writes dir/name; dir is at most ENV_PATH_MAX - FNAME_SIZE bytes. */
void fname_make(char path[ENV_PATH_MAX], const char *dir, enum fname_kind kind, uint64_t number);

/* The name alone, for messages. */
void fname_text(char name[FNAME_SIZE], enum fname_kind kind, uint64_t number);

/* What a directory entry is; *number is set for those that have one. */
enum fname_kind fname_parse(const char *name, uint64_t *number);

#endif
