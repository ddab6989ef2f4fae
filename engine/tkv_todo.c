/* tkv_todo.c - public calls that are still to be built: each says so. */
#include "engine/tkv.h"

enum tkv_status tkv_delete_range(struct tkv *db, const struct tkv_write_options *o,
                                 const void *begin, size_t begin_size, const void *end,
                                 size_t end_size)
{
    (void)db;
    (void)o;
    (void)begin;
    (void)begin_size;
    (void)end;
    (void)end_size;
    return TKV_UNSUPPORTED;
}

enum tkv_status tkv_batch_delete_range(struct tkv_batch *batch, const void *begin,
                                       size_t begin_size, const void *end, size_t end_size)
{
    (void)batch;
    (void)begin;
    (void)begin_size;
    (void)end;
    (void)end_size;
    return TKV_UNSUPPORTED;
}

enum tkv_status tkv_batch_append(struct tkv_batch *batch, const struct tkv_batch *other)
{
    (void)batch;
    (void)other;
    return TKV_UNSUPPORTED;
}

enum tkv_status tkv_batch_decode(struct tkv_batch *batch, const void *data, size_t size)
{
    (void)batch;
    (void)data;
    (void)size;
    return TKV_UNSUPPORTED;
}

enum tkv_status tkv_durable_tag(struct tkv *db, uint64_t *tag)
{
    (void)db;
    (void)tag;
    return TKV_UNSUPPORTED;
}

enum tkv_status tkv_flush_to(struct tkv *db, uint64_t tag)
{
    (void)db;
    (void)tag;
    return TKV_UNSUPPORTED;
}

enum tkv_status tkv_compact_range(struct tkv *db, const void *begin, size_t begin_size,
                                  const void *end, size_t end_size)
{
    (void)db;
    (void)begin;
    (void)begin_size;
    (void)end;
    (void)end_size;
    return TKV_UNSUPPORTED;
}

enum tkv_status tkv_wait_idle(struct tkv *db)
{
    (void)db;
    return TKV_UNSUPPORTED;
}

enum tkv_status tkv_multi_get(struct tkv *db, const struct tkv_read_options *o, size_t count,
                              const struct tkv_slice *keys, struct tkv_pin *pins,
                              enum tkv_status *statuses)
{
    (void)db;
    (void)o;
    (void)count;
    (void)keys;
    (void)pins;
    (void)statuses;
    return TKV_UNSUPPORTED;
}

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
