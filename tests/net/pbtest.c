/* pbtest.c - see pbtest.h. */
#include "tests/net/pbtest.h"

static const struct pb_field pbtest_tree_fields[] = {
    PB_FIELD(struct pbtest_tree, 1, leaf, UINT64),
    PB_SUB_LIST(struct pbtest_tree, 2, kids, pbtest_tree_table),
};
const struct pb_table pbtest_tree_table = PB_TABLE("Tree", struct pbtest_tree, pbtest_tree_fields);

static const struct pb_table pbtest_empty_table = PB_TABLE_EMPTY("Empty", struct pbtest_nothing);

static const struct pb_field pbtest_kinds_fields[] = {
    PB_FIELD(struct pbtest_kinds, 1, a_int32, INT32),
    PB_FIELD(struct pbtest_kinds, 2, a_int64, INT64),
    PB_FIELD(struct pbtest_kinds, 3, a_uint32, UINT32),
    PB_FIELD(struct pbtest_kinds, 4, a_uint64, UINT64),
    PB_FIELD(struct pbtest_kinds, 5, a_sint32, SINT32),
    PB_FIELD(struct pbtest_kinds, 6, a_sint64, SINT64),
    PB_FIELD(struct pbtest_kinds, 7, a_fixed32, FIXED32),
    PB_FIELD(struct pbtest_kinds, 8, a_fixed64, FIXED64),
    PB_FIELD(struct pbtest_kinds, 9, a_sfixed32, SFIXED32),
    PB_FIELD(struct pbtest_kinds, 10, a_sfixed64, SFIXED64),
    PB_FIELD(struct pbtest_kinds, 11, a_bool, BOOL),
    PB_FIELD(struct pbtest_kinds, 12, a_colour, ENUM),
    PB_FIELD(struct pbtest_kinds, 13, a_string, STRING),
    PB_FIELD(struct pbtest_kinds, 14, a_bytes, BYTES),
    PB_SUB(struct pbtest_kinds, 15, a_tree, pbtest_tree_table),
    PB_FIELD_OPTIONAL(struct pbtest_kinds, 21, o_int32, INT32),
    PB_FIELD_OPTIONAL(struct pbtest_kinds, 22, o_int64, INT64),
    PB_FIELD_OPTIONAL(struct pbtest_kinds, 23, o_uint32, UINT32),
    PB_FIELD_OPTIONAL(struct pbtest_kinds, 24, o_uint64, UINT64),
    PB_FIELD_OPTIONAL(struct pbtest_kinds, 25, o_sint32, SINT32),
    PB_FIELD_OPTIONAL(struct pbtest_kinds, 26, o_sint64, SINT64),
    PB_FIELD_OPTIONAL(struct pbtest_kinds, 27, o_fixed32, FIXED32),
    PB_FIELD_OPTIONAL(struct pbtest_kinds, 28, o_fixed64, FIXED64),
    PB_FIELD_OPTIONAL(struct pbtest_kinds, 29, o_sfixed32, SFIXED32),
    PB_FIELD_OPTIONAL(struct pbtest_kinds, 30, o_sfixed64, SFIXED64),
    PB_FIELD_OPTIONAL(struct pbtest_kinds, 31, o_bool, BOOL),
    PB_FIELD_OPTIONAL(struct pbtest_kinds, 32, o_colour, ENUM),
    PB_FIELD_OPTIONAL(struct pbtest_kinds, 33, o_string, STRING),
    PB_FIELD_OPTIONAL(struct pbtest_kinds, 34, o_bytes, BYTES),
    PB_FIELD_LIST(struct pbtest_kinds, 41, l_int32, INT32),
    PB_FIELD_LIST(struct pbtest_kinds, 42, l_int64, INT64),
    PB_FIELD_LIST(struct pbtest_kinds, 43, l_uint32, UINT32),
    PB_FIELD_LIST(struct pbtest_kinds, 44, l_uint64, UINT64),
    PB_FIELD_LIST(struct pbtest_kinds, 45, l_sint32, SINT32),
    PB_FIELD_LIST(struct pbtest_kinds, 46, l_sint64, SINT64),
    PB_FIELD_LIST(struct pbtest_kinds, 47, l_fixed32, FIXED32),
    PB_FIELD_LIST(struct pbtest_kinds, 48, l_fixed64, FIXED64),
    PB_FIELD_LIST(struct pbtest_kinds, 49, l_sfixed32, SFIXED32),
    PB_FIELD_LIST(struct pbtest_kinds, 50, l_sfixed64, SFIXED64),
    PB_FIELD_LIST(struct pbtest_kinds, 51, l_bool, BOOL),
    PB_FIELD_LIST(struct pbtest_kinds, 52, l_colour, ENUM),
    PB_FIELD_LIST(struct pbtest_kinds, 53, l_string, STRING),
    PB_FIELD_LIST(struct pbtest_kinds, 54, l_bytes, BYTES),
    PB_SUB_LIST(struct pbtest_kinds, 55, l_tree, pbtest_tree_table),
    PB_FIELD_ONEOF(struct pbtest_kinds, pick, 61, p_int32, INT32),
    PB_FIELD_ONEOF(struct pbtest_kinds, pick, 62, p_int64, INT64),
    PB_FIELD_ONEOF(struct pbtest_kinds, pick, 63, p_uint32, UINT32),
    PB_FIELD_ONEOF(struct pbtest_kinds, pick, 64, p_uint64, UINT64),
    PB_FIELD_ONEOF(struct pbtest_kinds, pick, 65, p_sint32, SINT32),
    PB_FIELD_ONEOF(struct pbtest_kinds, pick, 66, p_sint64, SINT64),
    PB_FIELD_ONEOF(struct pbtest_kinds, pick, 67, p_fixed32, FIXED32),
    PB_FIELD_ONEOF(struct pbtest_kinds, pick, 68, p_fixed64, FIXED64),
    PB_FIELD_ONEOF(struct pbtest_kinds, pick, 69, p_sfixed32, SFIXED32),
    PB_FIELD_ONEOF(struct pbtest_kinds, pick, 70, p_sfixed64, SFIXED64),
    PB_FIELD_ONEOF(struct pbtest_kinds, pick, 71, p_bool, BOOL),
    PB_FIELD_ONEOF(struct pbtest_kinds, pick, 72, p_colour, ENUM),
    PB_FIELD_ONEOF(struct pbtest_kinds, pick, 73, p_string, STRING),
    PB_FIELD_ONEOF(struct pbtest_kinds, pick, 74, p_bytes, BYTES),
    PB_SUB_ONEOF(struct pbtest_kinds, pick, 75, p_tree, pbtest_tree_table),
    PB_SUB_ONEOF(struct pbtest_kinds, pick, 76, p_empty, pbtest_empty_table),
    PB_FIELD(struct pbtest_kinds, 536870911, last, UINT32),
};
const struct pb_table pbtest_kinds_table =
    PB_TABLE("Kinds", struct pbtest_kinds, pbtest_kinds_fields);

static const struct pb_field pbtest_old_fields[] = {
    PB_FIELD(struct pbtest_old, 1, a_int32, INT32),
    PB_FIELD(struct pbtest_old, 34, o_bytes, BYTES),
    PB_FIELD_LIST(struct pbtest_old, 43, l_uint32, UINT32),
};
const struct pb_table pbtest_old_table = PB_TABLE("Old", struct pbtest_old, pbtest_old_fields);
