/* trial.c - see trial.h. */
#include "sim/trial.h"

#include "base/ck.h"
#include "base/hash.h"

#include <stdio.h>
#include <string.h>

#define ROOM_TO_START 65536u /* bytes; a start writes a log and a base */

/* A library chooses by its compiler flags which of the sections its probes go to. */
extern const struct env_site __start_env_probes[] __attribute__((weak));
extern const struct env_site __stop_env_probes[] __attribute__((weak));
extern const struct env_site __start_env_probes_engine[] __attribute__((weak));
extern const struct env_site __stop_env_probes_engine[] __attribute__((weak));

struct world_options trial_world(const struct trial_options *o, const struct world_hooks *hooks,
                                 void *hooks_arg)
{
    return (struct world_options){.plan = o->plan,
                                  .pool = o->pool,
                                  .trace_keep = o->trace_keep,
                                  .hooks = hooks,
                                  .hooks_arg = hooks_arg};
}

void trial_attach(const struct trial_options *o, struct world *w)
{
    w->trace.watch = o->watch;
    w->trace.watch_arg = o->watch_arg;
    if (o->tape != NULL) {
        chooser_play(&w->chooser, o->tape, o->tape_size);
    }
    if (o->record != NULL) {
        chooser_record(&w->chooser, o->record);
    }
}

void trial_account(const struct world *w, struct trial_result *r)
{
    r->failure = w->failure;
    r->ok = !w->failure.set;
    r->trace_hash = hash_add(w->trace.hash, w->sched.now);
    r->events = w->trace.events;
    r->steps = w->sched.steps;
    r->virtual_ns = w->sched.now;
    r->choices = w->chooser.decisions;
    memcpy(r->injected, w->injected, sizeof r->injected);
}

uint64_t trial_excuses(const struct world *w)
{
    static const enum plan_knob excusing[] = {PLAN_WRITE_EIO,    PLAN_SYNC_EIO, PLAN_META_EIO,
                                              PLAN_DISK_FULL,    PLAN_REFUSE,   PLAN_REFUSE_AT,
                                              PLAN_NET_FD_LIMITS};
    uint64_t n = 0;
    for (size_t i = 0; i < sizeof excusing / sizeof *excusing; i++) {
        n += w->injected[excusing[i]];
    }
    return n;
}

bool trial_disk_unwell(const struct simdisk *d)
{
    return simdisk_dead(d) || simdisk_free_bytes(d) < ROOM_TO_START;
}

void trial_tail(const struct world *w, struct buf *tail)
{
    char line[256];
    const struct trace_event *e;
    for (size_t i = 0; (e = trace_kept(&w->trace, i)) != NULL; i++) {
        trace_format(e, line, sizeof line);
        enum status st = buf_append_text(tail, line);
        if (st == ST_OK) {
            st = buf_append_text(tail, "\n");
        }
        CK(st == ST_OK);
    }
}

static bool count_file(void *arg, const char *name)
{
    struct trial_files *f = arg;
    size_t at = strlen(f->names);
    f->count++;
    (void)snprintf(f->names + at, sizeof f->names - at, " %s", name);
    return true;
}

enum status trial_files(struct simdisk *d, const char *dir, struct trial_files *f)
{
    *f = (struct trial_files){.count = 0};
    return simdisk_dir_list(d, dir, NULL, count_file, f);
}

/* ---- probes ---- */

static size_t others(void)
{
    return (size_t)(__stop_env_probes - __start_env_probes);
}

static size_t engines(void)
{
    return (size_t)(__stop_env_probes_engine - __start_env_probes_engine);
}

size_t trial_probe_count(void)
{
    return others() + engines();
}

const char *trial_probe_name(size_t i)
{
    return i < others() ? __start_env_probes[i].name : __start_env_probes_engine[i - others()].name;
}

bool trial_probe_engine(size_t i)
{
    return i >= others();
}

void trial_probe_reached(const struct trial_options *o, const struct env_site *site)
{
    if (o->probes == NULL) {
        return;
    }
    uintptr_t at = (uintptr_t)site;
    bool engine =
        at >= (uintptr_t)__start_env_probes_engine && at < (uintptr_t)__stop_env_probes_engine;
    size_t i = engine ? others() + (size_t)(site - __start_env_probes_engine)
                      : (size_t)(site - __start_env_probes);
    o->probes[i] = 1;
}
