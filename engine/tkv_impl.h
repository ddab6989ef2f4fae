/* tkv_impl.h - what the files of the public interface share. */
#ifndef ENGINE_TKV_IMPL_H
#define ENGINE_TKV_IMPL_H

#include "base/buf.h"
#include "engine/db.h"

struct tkv_batch {
    struct env *env;  /* borrowed */
    struct buf bytes; /* a batch, always with its head */
};

/* The public status: those that callers are not promised become the nearest that they are. */
enum tkv_status tkv_impl_status(enum status st);

/* The sequence that a read sees, and a reference to the version to look in. */
struct memview *tkv_impl_view(struct tkv *db, const struct tkv_read_options *o, uint64_t *sequence);

#endif
