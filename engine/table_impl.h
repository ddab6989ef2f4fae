/* table_impl.h - what table.c, table_cursor.c and tabledump.c know of an open table. */
#ifndef ENGINE_TABLE_IMPL_H
#define ENGINE_TABLE_IMPL_H

#include "engine/blockcache.h"
#include "engine/blockread.h"
#include "engine/filter.h"
#include "engine/tabindex.h"
#include "engine/table.h"

struct table {
    uint64_t refs; /* atomic */
    struct table_env te;
    int fd;
    bool hardware;
    struct tablefmt_footer footer;
    struct tablefmt_props props; /* slices point into texts */
    struct buf texts;            /* the properties as bytes */
    struct tabindex index;
    struct filter filter;
    struct tomb_set *tombs;
    char path[];
};

/* As table_open; with any_order the table may have been made under another order, and then only
 * walking from end to end makes sense. */
NODISCARD enum status table_open_any(const struct table_env *e, const char *path,
                                     const struct table_info *expect, bool any_order,
                                     struct table **table, struct err *err);

/* Are these size bytes the block at offset? Then *raw is the size of its payload when unpacked;
 * else err says what they are not. */
NODISCARD enum status table_frame(const struct table *t, const char *p, size_t size,
                                  uint64_t offset, size_t *raw, struct err *err);

/* Unpacks a checked frame into raw bytes at to. */
NODISCARD enum status table_unpack(const struct table *t, const char *p, size_t size,
                                   uint64_t offset, char *to, size_t raw, struct err *err);

/* Reads size bytes at offset; fewer is ST_CORRUPT. */
NODISCARD enum status table_pread(const struct table *t, char *p, size_t size, uint64_t offset,
                                  struct err *err);

/* Data block i < index.count from the cache, with a reference; false: it is not there. */
bool table_block_cached(const struct table *t, uint32_t i, struct block **block,
                        struct blockread *r);

/* The same read from the file, and added to the cache. */
NODISCARD enum status table_block_read(const struct table *t, uint32_t i, unsigned flags,
                                       struct block **block, struct blockread *r, struct err *err);

/* The same from whichever has it. */
NODISCARD enum status table_block(const struct table *t, uint32_t i, unsigned flags,
                                  struct block **block, struct blockread *r, struct err *err);

/* err says that entry `at` of the block at offset makes no sense; ST_CORRUPT. */
NODISCARD enum status table_bad_entry(const struct table *t, uint64_t offset, uint32_t at,
                                      struct err *err);

#endif
