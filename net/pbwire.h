/* pbwire.h - what the encoder and the decoder of protobuf messages share: wire types, and access to
 * the members of a struct that a table describes. Members are copied, so that no rule about the
 * types of objects is bent. */
#ifndef NET_PBWIRE_H
#define NET_PBWIRE_H

#include "net/pb.h"

enum pbwire {
    PBWIRE_VARINT = 0,
    PBWIRE_64 = 1,
    PBWIRE_LENGTH = 2,
    PBWIRE_GROUP = 3,
    PBWIRE_GROUP_END = 4,
    PBWIRE_32 = 5,
};

static inline enum pbwire pbwire_of(enum pb_kind kind)
{
    switch (kind) {
    case PB_FIXED32:
    case PB_SFIXED32:
        return PBWIRE_32;
    case PB_FIXED64:
    case PB_SFIXED64:
        return PBWIRE_64;
    case PB_STRING:
    case PB_BYTES:
    case PB_MESSAGE:
        return PBWIRE_LENGTH;
    default:
        return PBWIRE_VARINT;
    }
}

static inline const char *pbwire_at(const void *message, size_t offset)
{
    return (const char *)message + offset;
}

static inline bool pbwire_flag_get(const void *message, const struct pb_field *f)
{
    bool set;
    memcpy(&set, pbwire_at(message, f->has), sizeof set);
    return set;
}

static inline uint32_t pbwire_which_get(const void *message, const struct pb_field *f)
{
    uint32_t number;
    memcpy(&number, pbwire_at(message, f->has), sizeof number);
    return number;
}

static inline struct slice pbwire_slice_get(const void *value)
{
    struct slice s;
    memcpy(&s, value, sizeof s);
    return s;
}

static inline struct pb_list pbwire_list_get(const void *value)
{
    struct pb_list l;
    memcpy(&l, value, sizeof l);
    return l;
}

#endif
