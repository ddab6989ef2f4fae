/* simmedia.c - see simmedia.h. */
#include "sim/simmedia.h"

#include "fault/namepat.h"

struct kind {
    enum plan_knob knob;
    enum simdisk_fault_class class;
    bool at_write;
};

static const struct kind kinds[] = {
    {PLAN_MEDIA_ROT, SIMDISK_FAULT_ROT, false},
    {PLAN_MEDIA_LSE, SIMDISK_FAULT_LSE, false},
    {PLAN_MEDIA_TRANSIENT, SIMDISK_FAULT_TRANSIENT, false},
    {PLAN_MEDIA_MISREAD, SIMDISK_FAULT_MISREAD, false},
    {PLAN_MEDIA_LOST, SIMDISK_FAULT_LOST, true},
    {PLAN_MEDIA_MISDIRECT, SIMDISK_FAULT_MISDIRECT, true},
    {PLAN_MEDIA_STALE, SIMDISK_FAULT_STALE, true},
};
#define KINDS (sizeof kinds / sizeof *kinds)

bool simmedia_wanted(const struct plan *plan)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (plan_get(plan, kinds[i].knob) > 0) {
            return true;
        }
    }
    return false;
}

static const struct simdisk_aim *row_of(const struct host *h, simdisk_ino ino)
{
    const struct world *w = h->world;
    char path[ENV_PATH_MAX];
    if (!simdisk_path_of(h->disk, ino, path, sizeof path)) {
        return NULL;
    }
    for (size_t i = 0; i < w->aim_count; i++) {
        if (simdisk_aim_matches(&w->aims[i], namepat_base(path))) {
            return &w->aims[i];
        }
    }
    return NULL;
}

/* The other place of a misdirected read or write: the same file (40 %), one of its kind (40 %), or
 * any. False: there is none. */
static bool draw_other(struct host *h, struct simdisk_fault *f)
{
    struct chooser_stream *s = &h->media;
    uint64_t how = choose(s, 10);
    uint64_t size = simdisk_size(h->disk, f->ino);
    const struct simdisk_aim *row = how >= 4 && how < 8 ? row_of(h, f->ino) : NULL;
    if (how < 4 && size > 0) {
        f->to = f->ino;
        f->to_offset = choose(s, size);
        return true;
    }
    if (row != NULL) {
        return simdisk_aim_at(h->disk, row, 1, s, &f->to, &f->to_offset);
    }
    return simdisk_aim_at(h->disk, h->world->aims, h->world->aim_count, s, &f->to, &f->to_offset);
}

/* Lets it happen, if it can. */
static void strike(struct host *h, const struct kind *k, simdisk_ino ino)
{
    static const uint32_t extents[] = {50, 25, 25};
    struct world *w = h->world;
    struct chooser_stream *s = &h->media;
    struct simdisk_fault f = {.class = k->class, .ino = ino};
    bool two = k->class == SIMDISK_FAULT_MISREAD || k->class == SIMDISK_FAULT_MISDIRECT;
    if (!k->at_write && !simdisk_aim_at(h->disk, w->aims, w->aim_count, s, &f.ino, &f.offset)) {
        return;
    }
    if (two && !draw_other(h, &f)) {
        return;
    }
    f.extent = (enum simdisk_extent)choose_weighted(s, extents, 3);
    f.cached = choose(s, 2) == 1;
    f.seed = choose_u64(s);
    if (simdisk_inject(h->disk, &f) == ST_OK) {
        w->media_left--;
        world_injected(w, k->knob);
        world_trace(w, TRACE_FAULT, plan_name(k->knob), f.ino << 34 | f.offset);
    }
}

static void draw(struct proc *p, bool at_write, simdisk_ino ino)
{
    struct world *w = p->world;
    for (size_t i = 0; i < KINDS; i++) {
        uint64_t ppm = kinds[i].at_write == at_write ? plan_get(w->plan, kinds[i].knob) : 0;
        if (w->media_left > 0 && choose_chance(&p->host->media, (uint32_t)ppm)) {
            strike(p->host, &kinds[i], ino);
        }
    }
}

void simmedia_point(struct proc *p)
{
    struct world *w = p->world;
    if (!w->media || !w->faults || !p->watched || p->host->spared) {
        return;
    }
    draw(p, false, 0);
    if (choose_chance(&p->host->media, (uint32_t)plan_get(w->plan, PLAN_MEDIA_EVICT))) {
        simdisk_evict(p->host->disk, &p->host->media);
    }
}

void simmedia_write(struct proc *p, simdisk_ino ino)
{
    if (p->world->media && p->world->faults && p->watched && !p->host->spared) {
        draw(p, true, ino);
    }
}
