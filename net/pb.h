/* pb.h - protobuf messages (proto3) as plain structs, by tables.
 *
 * A message type is a struct and a const table with a row for each field: number, kind, where it
 * lies in the struct. pbenc writes a struct as bytes and pbdec reads bytes into a struct, both by
 * walking the table. Nothing is generated; tests/tidy/proto.py compares the tables with the .proto
 * file.
 *
 * In a struct    int32 uint64 bool ... are int32_t uint64_t bool; an enum is int32_t, for proto3's
 * enums are open; string and bytes are a struct slice; a message is embedded. PB_LIST(T) is a
 * repeated field. An optional field and a message have a `bool has_<name>` beside them. The
 * members of a oneof share a union, and a uint32_t holds the number of the one that is set.
 * Maps, groups, floating point and required fields do not occur in our messages and are left out.
 *
 * Rules, as the reference implementation has them: fields are written in the order of their
 * numbers, default values are not; repeated numbers are written packed and read in both forms; the
 * last value of a scalar wins, messages that come twice are merged; unknown fields, and known ones
 * with a wire type that is not theirs, are skipped; numbers too long for their field are cut as
 * in a C cast; strings must be UTF-8. Where the implementations of the world differ (bits over
 * 64 in a varint, over 32 in a tag) the bytes are refused.
 *
 * Invariants of a table (tests/net/test_pbtables.c): numbers ascend, members lie inside the struct
 * and have the size of their kind. Ownership, failure: see pbenc.h and pbdec.h.
 * Determinism: nothing here depends on addresses or on the machine's byte order. */
#ifndef NET_PB_H
#define NET_PB_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PB_DEPTH_MAX  100u                 /* as the reference implementation */
#define PB_SIZE_MAX   ((size_t)0x7fffffff) /* bytes of a message, of the reference too */
#define PB_NUMBER_MAX ((1u << 29) - 1)     /* of a field */

enum pb_kind {
    PB_INT32 = 1,
    PB_INT64,
    PB_UINT32,
    PB_UINT64,
    PB_SINT32,
    PB_SINT64,
    PB_FIXED32,
    PB_FIXED64,
    PB_SFIXED32,
    PB_SFIXED64,
    PB_BOOL,
    PB_ENUM,
    PB_STRING,
    PB_BYTES,
    PB_MESSAGE,
    PB_KINDS
};

enum pb_label {
    PB_PLAIN = 1, /* absent and default are the same */
    PB_OPTIONAL,  /* `has` is the offset of a bool; so all messages that are not in a oneof */
    PB_ONEOF,     /* `has` is the offset of a uint32_t: the number of the member that is set */
    PB_REPEATED,
};

struct pb_table;

struct pb_field {
    const char *name;
    uint32_t number;
    uint8_t kind;    /* of enum pb_kind */
    uint8_t label;   /* of enum pb_label */
    uint16_t offset; /* of the value, or of the list */
    uint16_t has;
    uint16_t size;              /* of the value, or of an item of the list */
    const struct pb_table *sub; /* of a message */
};

struct pb_table {
    const char *name;
    const struct pb_field *fields; /* numbers ascend */
    uint32_t count;
    uint32_t size; /* of the struct */
};

/* A repeated field. Items are borrowed when it is encoded. */
#define PB_LIST(T)      \
    struct {            \
        T *items;       \
        uint32_t count; \
    }

/* What pb.c sees of any of them. */
struct pb_list {
    void *items;
    uint32_t count;
};

/* ---- rows of tables: a kind that does not fit the member's type does not compile ---- */

#define PB_C_INT32    int32_t
#define PB_C_INT64    int64_t
#define PB_C_UINT32   uint32_t
#define PB_C_UINT64   uint64_t
#define PB_C_SINT32   int32_t
#define PB_C_SINT64   int64_t
#define PB_C_FIXED32  uint32_t
#define PB_C_FIXED64  uint64_t
#define PB_C_SFIXED32 int32_t
#define PB_C_SFIXED64 int64_t
#define PB_C_BOOL     bool
#define PB_C_ENUM     int32_t
#define PB_C_STRING   struct slice
#define PB_C_BYTES    struct slice

#define PB_KIND_OF(member, K) _Generic((member), PB_C_##K : PB_##K)
#define PB_MEMBER(T, f)       (((T *)0)->f)

#define PB_ROW(f, n, kind_, label_, offset_, has_, size_, table)                            \
    {                                                                                       \
        .name = #f, .number = (n), .kind = (kind_), .label = (label_), .offset = (offset_), \
        .has = (has_), .size = (size_), .sub = (table)                                      \
    }

#define PB_FIELD(T, n, f, K)                                                  \
    PB_ROW(f, n, PB_KIND_OF(PB_MEMBER(T, f), K), PB_PLAIN, offsetof(T, f), 0, \
           sizeof PB_MEMBER(T, f), NULL)
#define PB_FIELD_OPTIONAL(T, n, f, K)                                         \
    PB_ROW(f, n, PB_KIND_OF(PB_MEMBER(T, f), K), PB_OPTIONAL, offsetof(T, f), \
           offsetof(T, has_##f), sizeof PB_MEMBER(T, f), NULL)
#define PB_FIELD_ONEOF(T, which, n, f, K)                                                      \
    PB_ROW(f, n, PB_KIND_OF(PB_MEMBER(T, f), K), PB_ONEOF, offsetof(T, f), offsetof(T, which), \
           sizeof PB_MEMBER(T, f), NULL)
#define PB_FIELD_LIST(T, n, f, K)                                                       \
    PB_ROW(f, n, PB_KIND_OF(*PB_MEMBER(T, f).items, K), PB_REPEATED, offsetof(T, f), 0, \
           sizeof *PB_MEMBER(T, f).items, NULL)
#define PB_SUB(T, n, f, table)                                                  \
    PB_ROW(f, n, PB_MESSAGE, PB_OPTIONAL, offsetof(T, f), offsetof(T, has_##f), \
           sizeof PB_MEMBER(T, f), &(table))
#define PB_SUB_ONEOF(T, which, n, f, table)                                                        \
    PB_ROW(f, n, PB_MESSAGE, PB_ONEOF, offsetof(T, f), offsetof(T, which), sizeof PB_MEMBER(T, f), \
           &(table))
#define PB_SUB_LIST(T, n, f, table)                                                         \
    PB_ROW(f, n, PB_MESSAGE, PB_REPEATED, offsetof(T, f), 0, sizeof *PB_MEMBER(T, f).items, \
           &(table))

#define PB_TABLE(text, T, rows)                                                   \
    {                                                                             \
        .name = (text), .fields = (rows), .count = sizeof(rows) / sizeof *(rows), \
        .size = sizeof(T)                                                         \
    }
#define PB_TABLE_EMPTY(text, T)           \
    {                                     \
        .name = (text), .size = sizeof(T) \
    }

/* The field of that number, or NULL. */
const struct pb_field *pb_field_find(const struct pb_table *t, uint32_t number);

#endif
