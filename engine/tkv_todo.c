/* tkv_todo.c - public calls that are still to be built: each says so. */
#include "engine/tkv.h"

enum tkv_status tkv_property(struct tkv *db, const char *name, char *text, size_t capacity,
                             size_t *size)
{
    (void)db;
    (void)name;
    (void)text;
    (void)capacity;
    (void)size;
    return TKV_UNSUPPORTED;
}

enum tkv_status tkv_approximate_size(struct tkv *db, const void *begin, size_t begin_size,
                                     const void *end, size_t end_size, uint64_t *bytes)
{
    (void)db;
    (void)begin;
    (void)begin_size;
    (void)end;
    (void)end_size;
    (void)bytes;
    return TKV_UNSUPPORTED;
}

enum tkv_status tkv_checkpoint(struct tkv *db, const char *dir, struct tkv_error *error)
{
    (void)db;
    (void)dir;
    (void)error;
    return TKV_UNSUPPORTED;
}

enum tkv_status tkv_verify(const struct tkv_options *o, const char *dir, tkv_report_fn *report,
                           void *arg, struct tkv_error *error)
{
    (void)o;
    (void)dir;
    (void)report;
    (void)arg;
    (void)error;
    return TKV_UNSUPPORTED;
}

enum tkv_status tkv_repair(const struct tkv_options *o, const char *dir, tkv_report_fn *report,
                           void *arg, struct tkv_error *error)
{
    (void)o;
    (void)dir;
    (void)report;
    (void)arg;
    (void)error;
    return TKV_UNSUPPORTED;
}

enum tkv_status tkv_destroy(const struct tkv_options *o, const char *dir, struct tkv_error *error)
{
    (void)o;
    (void)dir;
    (void)error;
    return TKV_UNSUPPORTED;
}
