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

/* Frees the cursors that are kept for reuse; nobody makes one any more. */
void tkv_impl_iters_release(struct tkv *db);

#endif
