/* storecheck.c - what the process under test may answer, and what it may leave lying about. */
#include "base/ck.h"
#include "sim/simmem.h"
#include "sim/store/store_int.h"

#include <stdio.h>
#include <string.h>

#define SCAN_TRIES        50
#define DESCRIPTORS_EXTRA 24 /* beside tables: logs, manifest, lock, outputs */
#define FILES_BESIDE      3  /* LOCK, CURRENT, MANIFEST */

void storecheck_fail(struct store *s, const char *class, const struct err *why)
{
    world_fail(&s->world, class, "%s", why->text);
}

static uint64_t since_start(const struct store *s, enum plan_knob k)
{
    return s->world.injected[k] - s->faults_then[k];
}

uint64_t storecheck_faults(const struct store *s)
{
    uint64_t n = 0;
    for (int k = 0; k < PLAN_KNOBS; k++) {
        n += s->world.injected[k];
    }
    return n;
}

bool storecheck_damaged(const struct store *s)
{
    return simdisk_damage_met(s->host->disk) > s->damage_then;
}

bool storecheck_tainted(const struct simdisk *d, uint64_t damage)
{
    struct buf live;
    buf_init(&live, simmem());
    enum status st = simdisk_faults(d, &live);
    CK(st == ST_OK);
    bool any = live.size > 0;
    buf_release(&live);
    return any || simdisk_damage_met(d) > damage;
}

bool storecheck_excused(const struct store *s, enum tkv_status st)
{
    switch (st) {
    case TKV_NOMEM:
        return since_start(s, PLAN_REFUSE) > 0 || since_start(s, PLAN_REFUSE_AT) > 0;
    case TKV_NOSPC:
        return since_start(s, PLAN_DISK_FULL) > 0 || s->full_then;
    case TKV_CORRUPT:
        /* pages whose sync failed leave the cache too: a log changes while it is read twice */
        return storecheck_damaged(s) || (s->world.media && s->world.injected[PLAN_SYNC_EIO] > 0);
    case TKV_IO:
        return storecheck_damaged(s) || since_start(s, PLAN_WRITE_EIO) > 0 ||
               since_start(s, PLAN_SYNC_EIO) > 0 || since_start(s, PLAN_META_EIO) > 0 ||
               since_start(s, PLAN_RENAME_LIES) > 0 || simdisk_dead(s->host->disk);
    case TKV_READONLY:
        return simdisk_dead(s->host->disk);
    default:
        return false;
    }
}

bool storecheck_status(struct store *s, const char *call, enum tkv_status st)
{
    if (st != TKV_OK && !storecheck_excused(s, st)) {
        world_fail(&s->world, "status", "%s said '%s', and nothing explains it", call,
                   tkv_status_text(st));
    }
    return st == TKV_OK;
}

/* ---- whole views ---- */

/* A scan that faults may disturb: tried again as often as they excuse it. */
static bool scan_anyhow(struct store *s, struct storeview *v, const struct tkv_snapshot *snapshot,
                        bool back)
{
    const char *wrong = NULL;
    enum tkv_status st = TKV_OK;
    for (int i = 0; i < SCAN_TRIES; i++) {
        st = storeview_scan(v, &s->model, s->db, snapshot, back, &wrong);
        if (wrong != NULL) {
            world_fail(&s->world, "E10 isolation", "a scan %sfound %s", back ? "back " : "", wrong);
            return false;
        }
        if (st == TKV_OK) {
            return true;
        }
        if (!storecheck_status(s, "a scan", st) && s->world.failure.set) {
            return false;
        }
    }
    return false;
}

void storecheck_scan(struct store *s, struct storeview *v, const struct storehold *hold, bool back)
{
    struct storecut low, cut;
    struct slice stripes[STOREMODEL_WORKERS];
    const char *class = "E9 live read";
    struct err why = {{0}};
    storemodel_low(&s->model, &low);
    if (!scan_anyhow(s, v, hold != NULL ? hold->snapshot : NULL, back)) {
        return;
    }
    bool ok = true;
    if (hold != NULL) {
        cut = hold->cut;
        class = "E10 isolation";
    } else if (s->model.workers == 1) {
        cut = low;
    } else {
        for (size_t i = 0; i < s->model.workers; i++) {
            stripes[i] = storeview_value(v, s->model.stripes[i]);
        }
        ok = storejudge_cut(&s->model, stripes, &low, &cut, &class, &why);
    }
    if (!ok || !storejudge_same(&s->model, v, &cut, &why)) {
        storecheck_fail(s, class, &why);
    }
}

bool storecheck_state(struct store *s, struct storeview *v)
{
    struct tkv_stats stats = {.size = sizeof stats};
    tkv_stats(s->db, &stats);
    v->sequence = stats.sequence;
    return s->model.log || storecheck_status(s, "tkv_durable_tag", tkv_durable_tag(s->db, &v->tag));
}

bool storecheck_opened(struct store *s)
{
    struct storecut cut;
    const char *class = "";
    struct err why = {{0}};
    struct storeview *v = &s->view;
    if (!scan_anyhow(s, v, NULL, false) || !storecheck_state(s, v)) {
        return false;
    }
    /* A failed sync may take unsynced bytes out of the page cache: a process death loses then what
     * a power loss may lose (disk model, F1 and F3). */
    enum storecrash crash = s->crash;
    if (crash == STORECRASH_PROCESS && s->world.injected[PLAN_SYNC_EIO] > s->sync_errors) {
        crash = STORECRASH_POWER;
    }
    s->sync_errors = s->world.injected[PLAN_SYNC_EIO];
    crash = storecheck_tainted(s->host->disk, s->damage_decided) ? STORECRASH_DAMAGE : crash;
    if (!storejudge_view(&s->model, v, crash, &cut, &class, &why)) {
        storecheck_fail(s, class, &why);
        return false;
    }
    storejudge_decide(&s->model, v, &cut);
    storeorder_opened(s);
    s->damage_decided = simdisk_damage_met(s->host->disk);
    if (v->sequence < s->model.acked) {
        world_fail(&s->world, "E18 sequence", "the sequence is %llu after a recovery that has %llu",
                   (unsigned long long)v->sequence, (unsigned long long)s->model.acked);
    }
    s->crash = STORECRASH_PROCESS; /* what comes next without an orderly end */
    return !s->world.failure.set;
}

/* ---- what lies about ---- */

void storecheck_table(struct store *s, uint64_t number, bool live)
{
    size_t at = 0;
    while (at < s->table_count && s->tables[at] != number) {
        at++;
    }
    if (!live && at < s->table_count) {
        s->tables[at] = s->tables[--s->table_count];
        return;
    }
    if (live && at == s->table_count) {
        if (s->table_count == s->table_cap) {
            s->table_cap = s->table_cap == 0 ? 64 : s->table_cap * 2;
            s->tables = mem_resize(s->world.mem, s->tables, s->table_cap * sizeof *s->tables);
        }
        s->tables[s->table_count++] = number;
    }
}

/* Every live table has its file; beside these and the logs there are LOCK, CURRENT and a manifest.
 */
void storecheck_files(struct store *s, uint64_t logs)
{
    struct trial_files f;
    enum status st = trial_files(s->host->disk, STORE_DIR, &f);
    for (size_t i = 0; i < s->table_count && st == ST_OK; i++) {
        struct env_stat stat;
        char path[64];
        (void)snprintf(path, sizeof path, STORE_DIR "/%06llu.sst",
                       (unsigned long long)s->tables[i]);
        st = simdisk_stat(s->host->disk, path, &stat);
    }
    if (st != ST_OK || f.count > s->table_count + logs + FILES_BESIDE) {
        world_fail(&s->world, "E17 orphans",
                   "%zu tables and %llu logs live, and the directory at rest holds:%s",
                   s->table_count, (unsigned long long)logs, f.names);
    }
}

void storecheck_descriptors(struct store *s)
{
    uint64_t open = 0;
    for (size_t i = 0; i < s->model.workers; i++) {
        const struct storeworker *w = &s->workers[i];
        for (size_t n = 0; n < STORE_HOLDS; n++) {
            if (w->cursors[n].iter != NULL || w->pins[n].pin.owner != NULL) {
                return; /* readers keep tables open that the cache has given up */
            }
        }
    }
    for (int i = 0; i < s->proc->fd_count; i++) {
        open += s->proc->fds[i].kind != FD_FREE;
    }
    /* a scan in hand, and a compaction, hold a table of each level and all of level 0 */
    uint64_t runs = 3 * plan_get(s->plan, PLAN_STORE_LEVEL0) +
                    plan_get(s->plan, PLAN_STORE_MEMTABLES) + TKV_LEVELS;
    uint64_t scans = s->model.workers + plan_get(s->plan, PLAN_STORE_THREADS);
    uint64_t most = plan_get(s->plan, PLAN_STORE_FILES_MAX) + DESCRIPTORS_EXTRA + scans * runs;
    if (open > most) {
        world_fail(&s->world, "E24 descriptors", "%llu are open, and %llu are allowed",
                   (unsigned long long)open, (unsigned long long)most);
    }
}
