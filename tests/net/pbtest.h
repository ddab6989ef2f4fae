/* pbtest.h - the messages of pbtest.proto: every kind of field under every label. */
#ifndef TESTS_NET_PBTEST_H
#define TESTS_NET_PBTEST_H

#include "net/pb.h"

enum pbtest_colour {
    PBTEST_COLOUR_NONE = 0,
    PBTEST_COLOUR_RED = 1,
    PBTEST_COLOUR_FAR = 1000000,
    PBTEST_COLOUR_BELOW = -1,
};

struct pbtest_nothing {
    char none;
};

struct pbtest_tree {
    uint64_t leaf;
    PB_LIST(struct pbtest_tree) kids;
};

struct pbtest_kinds {
    int32_t a_int32;
    int64_t a_int64;
    uint32_t a_uint32;
    uint64_t a_uint64;
    int32_t a_sint32;
    int64_t a_sint64;
    uint32_t a_fixed32;
    uint64_t a_fixed64;
    int32_t a_sfixed32;
    int64_t a_sfixed64;
    bool a_bool;
    int32_t a_colour;
    struct slice a_string;
    struct slice a_bytes;
    bool has_a_tree;
    struct pbtest_tree a_tree;
    bool has_o_int32;
    int32_t o_int32;
    bool has_o_int64;
    int64_t o_int64;
    bool has_o_uint32;
    uint32_t o_uint32;
    bool has_o_uint64;
    uint64_t o_uint64;
    bool has_o_sint32;
    int32_t o_sint32;
    bool has_o_sint64;
    int64_t o_sint64;
    bool has_o_fixed32;
    uint32_t o_fixed32;
    bool has_o_fixed64;
    uint64_t o_fixed64;
    bool has_o_sfixed32;
    int32_t o_sfixed32;
    bool has_o_sfixed64;
    int64_t o_sfixed64;
    bool has_o_bool;
    bool o_bool;
    bool has_o_colour;
    int32_t o_colour;
    bool has_o_string;
    struct slice o_string;
    bool has_o_bytes;
    struct slice o_bytes;
    PB_LIST(int32_t) l_int32;
    PB_LIST(int64_t) l_int64;
    PB_LIST(uint32_t) l_uint32;
    PB_LIST(uint64_t) l_uint64;
    PB_LIST(int32_t) l_sint32;
    PB_LIST(int64_t) l_sint64;
    PB_LIST(uint32_t) l_fixed32;
    PB_LIST(uint64_t) l_fixed64;
    PB_LIST(int32_t) l_sfixed32;
    PB_LIST(int64_t) l_sfixed64;
    PB_LIST(bool) l_bool;
    PB_LIST(int32_t) l_colour;
    PB_LIST(struct slice) l_string;
    PB_LIST(struct slice) l_bytes;
    PB_LIST(struct pbtest_tree) l_tree;
    uint32_t pick; /* number of the member that is set */
    union {
        int32_t p_int32;
        int64_t p_int64;
        uint32_t p_uint32;
        uint64_t p_uint64;
        int32_t p_sint32;
        int64_t p_sint64;
        uint32_t p_fixed32;
        uint64_t p_fixed64;
        int32_t p_sfixed32;
        int64_t p_sfixed64;
        bool p_bool;
        int32_t p_colour;
        struct slice p_string;
        struct slice p_bytes;
        struct pbtest_tree p_tree;
        struct pbtest_nothing p_empty;
    };
    uint32_t last;
};

struct pbtest_old {
    int32_t a_int32;
    struct slice o_bytes;
    PB_LIST(uint32_t) l_uint32;
};

extern const struct pb_table pbtest_kinds_table;
extern const struct pb_table pbtest_tree_table;
extern const struct pb_table pbtest_old_table;

#endif
