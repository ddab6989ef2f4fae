/* storeopt.c - the options of the database under test, by the plan of the run. */
#include "sim/store/store_int.h"

#include <string.h>

static int reverse(void *arg, const void *a, size_t a_size, const void *b, size_t b_size)
{
    (void)arg;
    return slice_compare(slice_of(b, b_size), slice_of(a, a_size));
}

const struct tkv_comparator storeopt_reverse = {.name = "reverse", .compare = reverse};

static uint64_t knob(const struct store *s, enum plan_knob k)
{
    return plan_get(s->plan, k);
}

void storeopt_make(const struct store *s, struct env *env, struct tkv_options *o)
{
    tkv_options_init(o);
    o->env = env;
    o->verify = true;
    o->log = s->model.log;
    o->comparator = s->model.order;
    o->write_buffer_bytes = knob(s, PLAN_STORE_WRITE_BUFFER);
    o->memtables_max = (uint32_t)knob(s, PLAN_STORE_MEMTABLES);
    o->cache_bytes = knob(s, PLAN_STORE_CACHE_BYTES);
    o->meta_bytes = knob(s, PLAN_STORE_META_BYTES);
    o->files_max = (uint32_t)knob(s, PLAN_STORE_FILES_MAX);
    o->block_bytes = (uint32_t)knob(s, PLAN_STORE_BLOCK_BYTES);
    o->table_bytes = knob(s, PLAN_STORE_TABLE_BYTES);
    o->filter_bits = (uint32_t)knob(s, PLAN_STORE_FILTER_BITS);
    o->prefix_bytes = (uint32_t)knob(s, PLAN_STORE_PREFIX_BYTES);
    o->level0_files = (uint32_t)knob(s, PLAN_STORE_LEVEL0);
    o->level0_slow = 2 * o->level0_files;
    o->level0_stop = 3 * o->level0_files;
    o->level1_bytes = knob(s, PLAN_STORE_LEVEL1_BYTES);
    o->level_factor = (uint32_t)knob(s, PLAN_STORE_LEVEL_FACTOR);
    o->threads = (uint32_t)knob(s, PLAN_STORE_THREADS);
    for (unsigned i = 0; i < TKV_LEVELS; i++) {
        bool packed = knob(s, PLAN_STORE_COMPRESSION) > (i < 2 ? 1 : 0);
        o->compression[i] = packed ? TKV_COMPRESSION_LZ4 : TKV_COMPRESSION_NONE;
    }
}
