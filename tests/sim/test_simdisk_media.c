/* test_simdisk_media.c - media faults: each is produced, seen, hidden by the cache, ended by a
 * rewrite and by healing, kept by a crash; aims, watchers, whole devices, refused memory. */
#include "base/prng.h"
#include "sim/simdisk_int.h"
#include "tests/sim/disksteps.h"
#include "tests/test_env.h"

#include <stdlib.h>

#define SECTOR 512u
#define PAGE   4096u

/* A disk with "f", four pages of 'a' to 'd', synced, and "g" likewise of 'g'. */
struct scene {
    struct simdisk *d;
    simdisk_ino f;
    simdisk_ino g;
    struct chooser chooser;
    struct chooser_stream s;
};

static void scene_on(struct scene *x, struct simdisk *d)
{
    x->d = d;
    stream(&x->chooser, &x->s, 7);
    x->f = must_open(d, "f", RW);
    x->g = must_open(d, "g", RW);
    for (char c = 'a'; c <= 'd'; c++) {
        append(d, x->f, c, PAGE);
        append(d, x->g, 'g', PAGE);
    }
    sync_file(d, x->f);
    sync_file(d, x->g);
    sync_root(d);
}

static void scene_init(struct scene *x)
{
    scene_on(x, plain_disk());
}

static void scene_end(struct scene *x)
{
    EXPECT(simdisk_check(x->d));
    simdisk_free(x->d);
}

/* What a read of [offset, offset + size) of f makes of it: ST_OK and as written, or not. */
enum seen { RIGHT, WRONG, FAILS, SHORT };

static enum seen look_in(struct simdisk *d, simdisk_ino ino, uint64_t offset, size_t size)
{
    static unsigned char got[8 * PAGE];
    static unsigned char want[8 * PAGE];
    size_t n = 0;
    size_t m = 0;
    enum status st = simdisk_read(d, ino, got, size, offset, &n);
    EXPECT(st == ST_OK || (st == ST_IO && n == 0));
    EXPECT(simdisk_pristine(d, ino, want, size, offset, &m) == ST_OK);
    if (st != ST_OK) {
        return FAILS;
    }
    if (n != m) {
        return SHORT;
    }
    return memcmp(got, want, n) == 0 ? RIGHT : WRONG;
}

static enum seen look(const struct scene *x, uint64_t offset, size_t size)
{
    return look_in(x->d, x->f, offset, size);
}

static void put(const struct scene *x, uint64_t offset, char c, size_t n)
{
    char bytes[2 * PAGE];
    size_t done = 0;
    memset(bytes, c, sizeof bytes);
    EXPECT(simdisk_write(x->d, x->f, bytes, n, offset, &done) == ST_OK && done == n);
}

static struct simdisk_fault at(const struct scene *x, enum simdisk_fault_class class,
                               uint64_t offset)
{
    return (struct simdisk_fault){.class = class, .ino = x->f, .offset = offset, .seed = 5};
}

/* Power goes, and f and g are opened on what is left. */
static void power_loss(struct scene *x, enum simdisk_strategy strategy)
{
    struct simdisk *after = NULL;
    EXPECT(simdisk_crash(x->d, strategy, &x->s, &after) == ST_OK);
    EXPECT(simdisk_check(x->d));
    simdisk_free(x->d);
    x->d = after;
    x->f = must_open(after, "f", ENV_READ | ENV_WRITE);
    x->g = must_open(after, "g", ENV_READ | ENV_WRITE);
}

static bool said(const struct scene *x, const char *text)
{
    struct buf out;
    buf_init(&out, simmem());
    EXPECT(simdisk_faults(x->d, &out) == ST_OK && buf_append(&out, "", 1) == ST_OK);
    bool found = out.data != NULL && strstr(out.data, text) != NULL;
    buf_release(&out);
    return found;
}

static bool sound(const struct scene *x)
{
    struct buf out;
    buf_init(&out, simmem());
    EXPECT(simdisk_faults(x->d, &out) == ST_OK);
    bool none = out.size == 0;
    buf_release(&out);
    return none;
}

/* ---- one by one ---- */

static void test_simdisk_media__rot_is_seen_until_the_sector_is_written_again(void)
{
    struct scene x;
    scene_init(&x);
    struct simdisk_fault rot = at(&x, SIMDISK_FAULT_ROT, PAGE + 3 * SECTOR + 7);
    uint64_t before = simdisk_digest(x.d);
    rot.rot = SIMDISK_ROT_BIT;
    EXPECT(simdisk_inject(x.d, &rot) == ST_OK);
    EXPECT(simdisk_digest(x.d) != before);
    EXPECT(said(&x, "f sector 11: bit rot in 1 bytes\n"));
    EXPECT(look(&x, PAGE + 3 * SECTOR, SECTOR) == WRONG);
    EXPECT(look(&x, PAGE + 3 * SECTOR, SECTOR) == WRONG); /* reads do not alter it */
    EXPECT(simdisk_damage_met(x.d) == 2);
    EXPECT(look(&x, PAGE + 2 * SECTOR, SECTOR) == RIGHT);
    EXPECT(look(&x, PAGE + 4 * SECTOR, SECTOR) == RIGHT);
    EXPECT(simdisk_damage_met(x.d) == 2);
    EXPECT(simdisk_damaged(x.d, "f", PAGE, PAGE) && !simdisk_damaged(x.d, "f", 0, PAGE));
    EXPECT(!simdisk_damaged(x.d, "g", 0, UINT64_MAX) && !simdisk_damaged(x.d, "none", 0, 1));
    put(&x, PAGE + 3 * SECTOR, 'x', SECTOR);
    EXPECT(look(&x, 0, 4 * PAGE) == RIGHT); /* from the cache */
    EXPECT(!sound(&x));                     /* not on media yet */
    sync_file(x.d, x.f);
    EXPECT(sound(&x) && !simdisk_damaged(x.d, "f", 0, UINT64_MAX));
    scene_end(&x);
}

static void test_simdisk_media__a_write_of_a_part_leaves_rot_in_the_rest(void)
{
    struct scene x;
    scene_init(&x);
    struct simdisk_fault rot = at(&x, SIMDISK_FAULT_ROT, 0);
    rot.rot = SIMDISK_ROT_ZERO;
    EXPECT(simdisk_inject(x.d, &rot) == ST_OK);
    put(&x, 100, 'x', 50);
    sync_file(x.d, x.f);
    EXPECT(look(&x, 100, 50) == RIGHT);
    EXPECT(look(&x, 0, 100) == WRONG && look(&x, 150, 10) == WRONG);
    EXPECT(said(&x, "in 462 bytes"));
    /* with the page in the cache, all of its sector is written back right */
    simdisk_heal(x.d, 1u << SIMDISK_FAULT_ROT);
    rot.cached = true;
    EXPECT(simdisk_inject(x.d, &rot) == ST_OK);
    put(&x, 100, 'y', 50);
    sync_file(x.d, x.f);
    EXPECT(sound(&x));
    scene_end(&x);
}

static void test_simdisk_media__every_mutation_changes_its_sector(void)
{
    for (int kind = SIMDISK_ROT_ANY; kind <= SIMDISK_ROT_COPY; kind++) {
        for (uint64_t seed = 0; seed < 50; seed++) {
            struct scene x;
            scene_init(&x);
            append(x.d, x.f, 'e', 10); /* a short tail */
            sync_file(x.d, x.f);
            struct simdisk_fault rot = at(&x, SIMDISK_FAULT_ROT, seed % 5 * PAGE);
            rot.rot = (enum simdisk_rot)kind;
            rot.seed = seed;
            EXPECT(simdisk_inject(x.d, &rot) == ST_OK);
            EXPECT(look(&x, rot.offset, PAGE) == WRONG);
            bool page = kind == SIMDISK_ROT_ZERO_PAGE && seed % 5 < 4;
            bool rest = look(&x, rot.offset + SECTOR, PAGE - SECTOR) == WRONG;
            EXPECT(kind == SIMDISK_ROT_ANY || rest == page);
            scene_end(&x);
        }
    }
}

static void test_simdisk_media__the_kinds_of_rot_have_their_weights(void)
{
    unsigned wide = 0;
    unsigned bits = 0;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct scene x;
        scene_init(&x);
        struct simdisk_fault rot = at(&x, SIMDISK_FAULT_ROT, 0);
        rot.seed = seed;
        EXPECT(simdisk_inject(x.d, &rot) == ST_OK);
        wide += simdisk_damaged(x.d, "f", SECTOR, PAGE - SECTOR);
        bits += said(&x, "in 1 bytes");
        simdisk_free(x.d);
    }
    EXPECT(wide > 25 && wide < 75);   /* 5 % */
    EXPECT(bits > 380 && bits < 540); /* 40 %, and a copy of the same bytes */
}

static void test_simdisk_media__a_latent_error_fails_its_page(void)
{
    struct scene x;
    scene_init(&x);
    char bytes[SECTOR] = {0};
    size_t done;
    struct simdisk_fault lse = at(&x, SIMDISK_FAULT_LSE, 2 * PAGE + SECTOR);
    EXPECT(simdisk_inject(x.d, &lse) == ST_OK);
    EXPECT(look(&x, 2 * PAGE, 1) == FAILS && look(&x, 3 * PAGE - 1, 1) == FAILS);
    EXPECT(look(&x, 2 * PAGE, 1) == FAILS);
    EXPECT(look(&x, 3 * PAGE, PAGE) == RIGHT);
    EXPECT(look(&x, PAGE, 2 * PAGE) == SHORT); /* up to it */
    EXPECT(simdisk_damaged(x.d, "f", 2 * PAGE, 1) && !simdisk_damaged(x.d, "f", 0, 2 * PAGE));
    EXPECT(simdisk_write(x.d, x.f, bytes, 10, 2 * PAGE + SECTOR, &done) == ST_IO && done == 0);
    EXPECT(simdisk_write(x.d, x.f, bytes, SECTOR, 2 * PAGE + SECTOR, &done) == ST_OK);
    EXPECT(look(&x, 2 * PAGE, PAGE) == RIGHT);
    EXPECT(!sound(&x));
    sync_file(x.d, x.f);
    EXPECT(sound(&x));
    scene_end(&x);
}

static void test_simdisk_media__a_transient_error_goes_away(void)
{
    bool seen[4] = {false};
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct scene x;
        scene_init(&x);
        struct simdisk_fault f = at(&x, SIMDISK_FAULT_TRANSIENT, PAGE);
        f.seed = seed;
        EXPECT(simdisk_inject(x.d, &f) == ST_OK);
        unsigned fails = 0;
        while (fails < 4 && look(&x, PAGE, 10) == FAILS) {
            fails++;
        }
        EXPECT(fails >= 1 && fails <= 3);
        EXPECT(fails == simdisk_damage_met(x.d));
        EXPECT(simdisk_damaged(x.d, "f", PAGE, 1)); /* it excuses what was said of it */
        seen[fails & 3] = true;
        scene_end(&x);
    }
    EXPECT(seen[1] && seen[2] && seen[3]);
}

static void test_simdisk_media__a_lost_write_is_uncovered_later(void)
{
    struct scene x;
    scene_init(&x);
    struct simdisk_fault lost = at(&x, SIMDISK_FAULT_LOST, 0);
    EXPECT(simdisk_inject(x.d, &lost) == ST_OK);
    EXPECT(simdisk_inject(x.d, &lost) == ST_BUSY && said(&x, "lost write at the next write"));
    put(&x, 0, 'a', SECTOR); /* the same bytes: nobody could tell */
    EXPECT(said(&x, "lost write at the next write"));
    lost.extent = SIMDISK_ONE_SECTOR;
    put(&x, PAGE, 'x', PAGE);
    EXPECT(look(&x, PAGE, PAGE) == RIGHT && said(&x, "lost write in 512 bytes, behind"));
    simdisk_evict(x.d, &x.s); /* its page is dirty: it stays */
    EXPECT(look(&x, PAGE, PAGE) == RIGHT);
    sync_file(x.d, x.f);
    EXPECT(look(&x, PAGE, PAGE) == RIGHT);
    EXPECT(simdisk_guaranteed(x.d, "f", 0, 4 * PAGE)); /* as far as syncs go */
    simdisk_evict(x.d, &x.s);
    EXPECT(look(&x, PAGE, PAGE) == WRONG);
    EXPECT(look(&x, 0, PAGE) == RIGHT && look(&x, 2 * PAGE, 2 * PAGE) == RIGHT);
    scene_end(&x);
}

static void test_simdisk_media__lost_writes_come_in_three_sizes(void)
{
    static const uint64_t bytes[] = {SECTOR, PAGE, 2 * PAGE};
    for (int extent = SIMDISK_ONE_SECTOR; extent <= SIMDISK_WHOLE_WRITE; extent++) {
        struct scene x;
        scene_init(&x);
        struct simdisk_fault lost = at(&x, SIMDISK_FAULT_LOST, 0);
        lost.extent = (enum simdisk_extent)extent;
        EXPECT(simdisk_inject(x.d, &lost) == ST_OK);
        put(&x, PAGE, 'x', 2 * PAGE);
        sync_file(x.d, x.f);
        power_loss(&x, SIMDISK_DROP_ALL);
        uint64_t wrong = 0;
        for (uint64_t off = 0; off < 4 * PAGE; off += SECTOR) {
            wrong += look(&x, off, SECTOR) == WRONG ? SECTOR : 0;
        }
        EXPECT(wrong == bytes[extent]);
        scene_end(&x);
    }
}

static void test_simdisk_media__a_lost_append_shows_what_was_there_before(void)
{
    bool zeros = false;
    bool stale = false;
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct scene x;
        scene_init(&x);
        make_file(x.d, "old", 'o', PAGE);
        EXPECT(simdisk_remove(x.d, "old") == ST_OK);
        struct simdisk_fault lost = at(&x, SIMDISK_FAULT_LOST, 0);
        lost.extent = SIMDISK_WHOLE_WRITE;
        lost.seed = seed;
        EXPECT(simdisk_inject(x.d, &lost) == ST_OK);
        append(x.d, x.f, 'e', SECTOR);
        sync_file(x.d, x.f);
        power_loss(&x, SIMDISK_DROP_ALL);
        char c = 'e';
        size_t done;
        EXPECT(simdisk_read(x.d, x.f, &c, 1, 4 * PAGE, &done) == ST_OK && done == 1);
        EXPECT(c == 0 || c == 'o');
        zeros = zeros || c == 0;
        stale = stale || c == 'o';
        scene_end(&x);
    }
    EXPECT(zeros && stale);
}

static void test_simdisk_media__a_misdirected_write_hurts_two_places(void)
{
    struct scene x;
    scene_init(&x);
    struct simdisk_fault f = at(&x, SIMDISK_FAULT_MISDIRECT, 0);
    char got[SECTOR];
    size_t done;
    f.to = x.g;
    f.to_offset = PAGE + SECTOR;
    EXPECT(simdisk_inject(x.d, &f) == ST_OK);
    put(&x, 0, 'x', SECTOR);
    EXPECT(look(&x, 0, PAGE) == RIGHT); /* in the cache */
    EXPECT(simdisk_read(x.d, x.g, got, 1, PAGE + SECTOR, &done) == ST_OK && got[0] == 'x');
    EXPECT(look_in(x.d, x.g, 0, PAGE) == RIGHT && look_in(x.d, x.g, PAGE, SECTOR) == RIGHT);
    EXPECT(simdisk_inject(x.d, &f) == ST_BUSY); /* one at a time */
    sync_file(x.d, x.f);
    power_loss(&x, SIMDISK_DROP_ALL);
    EXPECT(look(&x, 0, SECTOR) == WRONG);
    EXPECT(simdisk_read(x.d, x.f, got, 1, 0, &done) == ST_OK && got[0] == 'a');
    put(&x, 0, 'y', SECTOR); /* each place heals by itself */
    sync_file(x.d, x.f);
    EXPECT(look(&x, 0, SECTOR) == RIGHT && look_in(x.d, x.g, PAGE, PAGE) == WRONG);
    x.f = x.g;
    put(&x, PAGE, 'g', PAGE);
    sync_file(x.d, x.g);
    EXPECT(sound(&x));
    scene_end(&x);
}

static void test_simdisk_media__misdirected_and_stale_reads_happen_once(void)
{
    struct scene x;
    scene_init(&x);
    char c = 0;
    size_t done;
    struct simdisk_fault f = at(&x, SIMDISK_FAULT_MISREAD, PAGE);
    f.to = x.g;
    EXPECT(simdisk_inject(x.d, &f) == ST_OK);
    EXPECT(look(&x, 0, PAGE) == RIGHT);
    EXPECT(simdisk_read(x.d, x.f, &c, 1, PAGE, &done) == ST_OK && c == 'g');
    EXPECT(look(&x, PAGE, PAGE) == RIGHT && said(&x, "misdirected read in 512 bytes, spent"));
    EXPECT(simdisk_damaged(x.d, "f", PAGE, 1));
    f.class = SIMDISK_FAULT_STALE;
    EXPECT(simdisk_inject(x.d, &f) == ST_OK);
    put(&x, 0, 'x', SECTOR);
    sync_file(x.d, x.f);
    EXPECT(look(&x, 0, PAGE) == RIGHT);
    simdisk_evict(x.d, &x.s);
    EXPECT(simdisk_read(x.d, x.f, &c, 1, 0, &done) == ST_OK && c == 'a');
    EXPECT(look(&x, 0, PAGE) == RIGHT);
    EXPECT(simdisk_damage_met(x.d) == 2);
    scene_end(&x);
}

static void test_simdisk_media__a_lying_disk_promises_nothing(void)
{
    struct scene x;
    scene_init(&x);
    struct simdisk_fault f = at(&x, SIMDISK_FAULT_LIE, 0);
    EXPECT(simdisk_inject(x.d, &f) == ST_OK && said(&x, "lying"));
    append(x.d, x.f, 'x', PAGE);
    make_file(x.d, "new", 'n', 1);
    sync_file(x.d, x.f);
    sync_root(x.d);
    EXPECT(!simdisk_guaranteed(x.d, "f", 0, 5 * PAGE) && !simdisk_name_guaranteed(x.d, "new"));
    simdisk_heal(x.d, 1u << SIMDISK_FAULT_LIE);
    sync_file(x.d, x.f);
    sync_root(x.d);
    EXPECT(simdisk_guaranteed(x.d, "f", 0, 5 * PAGE) && simdisk_name_guaranteed(x.d, "new"));
    scene_end(&x);
}

/* ---- the cache ---- */

static void test_simdisk_media__the_cache_hides_it_until_eviction(void)
{
    struct scene x;
    scene_init(&x);
    struct simdisk_fault rot = at(&x, SIMDISK_FAULT_ROT, 0);
    rot.cached = true;
    EXPECT(simdisk_inject(x.d, &rot) == ST_OK && said(&x, "behind the cache"));
    EXPECT(look(&x, 0, PAGE) == RIGHT && simdisk_damage_met(x.d) == 0);
    EXPECT(simdisk_damaged(x.d, "f", 0, PAGE));
    simdisk_evict(x.d, &x.s);
    EXPECT(look(&x, 0, PAGE) == WRONG);
    simdisk_heal(x.d, SIMDISK_FAULT_ALL);
    EXPECT(look(&x, 0, PAGE) == RIGHT && sound(&x));
    /* unsynced bytes keep a page in the cache, whatever the caller says */
    put(&x, PAGE, 'x', 1);
    rot.cached = false;
    rot.offset = PAGE + 2 * SECTOR;
    EXPECT(simdisk_inject(x.d, &rot) == ST_OK);
    simdisk_evict(x.d, &x.s);
    EXPECT(look(&x, PAGE, PAGE) == RIGHT);
    power_loss(&x, SIMDISK_DROP_ALL);
    EXPECT(look(&x, PAGE, PAGE) == WRONG);
    scene_end(&x);
}

static void test_simdisk_media__a_process_death_uncovers_half_the_time(void)
{
    unsigned seen = 0;
    struct scene x;
    scene_init(&x);
    for (int i = 0; i < 200; i++) {
        struct simdisk_fault rot = at(&x, SIMDISK_FAULT_ROT, 0);
        rot.cached = true;
        EXPECT(simdisk_inject(x.d, &rot) == ST_OK);
        simdisk_process_died(x.d, &x.s);
        x.f = must_open(x.d, "f", RW);
        seen += look(&x, 0, PAGE) == WRONG;
        simdisk_heal(x.d, SIMDISK_FAULT_ALL);
    }
    EXPECT(seen > 70 && seen < 130);
    scene_end(&x);
}

/* ---- crashes and clones ---- */

static void test_simdisk_media__a_crash_keeps_what_its_versions_keep(void)
{
    struct scene x;
    scene_init(&x);
    struct simdisk_fault rot = at(&x, SIMDISK_FAULT_ROT, 0);
    rot.cached = true;
    EXPECT(simdisk_inject(x.d, &rot) == ST_OK);
    struct simdisk_fault lost = at(&x, SIMDISK_FAULT_LOST, 0);
    lost.extent = SIMDISK_WHOLE_WRITE;
    EXPECT(simdisk_inject(x.d, &lost) == ST_OK);
    put(&x, PAGE, 'x', SECTOR); /* lost, and not synced */
    put(&x, 0, 'y', 1);         /* over the rot, behind the cache */
    struct simdisk *twin = NULL;
    EXPECT(simdisk_clone(x.d, &twin) == ST_OK && simdisk_digest(twin) == simdisk_digest(x.d));
    power_loss(&x, SIMDISK_DROP_ALL);
    EXPECT(look(&x, 0, PAGE) == WRONG && look(&x, PAGE, PAGE) == RIGHT);
    EXPECT(!simdisk_damaged(x.d, "f", PAGE, PAGE)); /* the write is not there: none was lost */
    scene_end(&x);
    x.d = twin;
    power_loss(&x, SIMDISK_KEEP_ALL);
    EXPECT(look(&x, 0, PAGE) == RIGHT && look(&x, PAGE, PAGE) == WRONG);
    power_loss(&x, SIMDISK_COIN); /* and it stays */
    EXPECT(look(&x, PAGE, PAGE) == WRONG);
    scene_end(&x);
}

static void test_simdisk_media__a_cut_takes_the_damage_along(void)
{
    struct scene x;
    scene_init(&x);
    struct simdisk_fault rot = at(&x, SIMDISK_FAULT_ROT, 3 * PAGE);
    EXPECT(simdisk_inject(x.d, &rot) == ST_OK);
    EXPECT(simdisk_truncate(x.d, x.f, 3 * PAGE) == ST_OK);
    EXPECT(simdisk_truncate(x.d, x.f, 4 * PAGE) == ST_OK);
    EXPECT(look(&x, 3 * PAGE, PAGE) == RIGHT); /* zeros */
    struct simdisk *twin = NULL;
    EXPECT(simdisk_clone(x.d, &twin) == ST_OK);
    power_loss(&x, SIMDISK_DROP_ALL);
    EXPECT(look(&x, 3 * PAGE, PAGE) == WRONG);
    scene_end(&x);
    x.d = twin;
    sync_file(x.d, x.f);
    EXPECT(sound(&x));
    scene_end(&x);
}

static void test_simdisk_media__a_failed_sync_forgets_the_loss_of_its_write(void)
{
    for (int mode = SIMDISK_F1; mode <= SIMDISK_F3; mode++) {
        for (uint64_t seed = 0; seed < 20; seed++) {
            struct simdisk_options o;
            struct scene x;
            simdisk_options_init(&o);
            o.fsync_fail = (enum simdisk_fsync_fail)mode;
            scene_on(&x, disk(&o));
            stream(&x.chooser, &x.s, seed);
            struct simdisk_fault lost = at(&x, SIMDISK_FAULT_LOST, 0);
            struct simdisk_fault rot = at(&x, SIMDISK_FAULT_ROT, 0);
            EXPECT(simdisk_inject(x.d, &lost) == ST_OK && simdisk_inject(x.d, &rot) == ST_OK);
            put(&x, 0, 'x', 2 * PAGE);
            enum status st = simdisk_sync_fail(x.d, x.f, simdisk_sync_begin(x.d), false, &x.s);
            EXPECT(st == (mode == SIMDISK_F2 ? ST_OK : ST_IO));
            EXPECT(simdisk_check(x.d));
            simdisk_evict(x.d, &x.s);
            power_loss(&x, SIMDISK_DROP_ALL);
            scene_end(&x);
        }
    }
}

/* A few of everything, by one seed; the digest at the end. */
static uint64_t random_run(uint64_t seed, const struct simdisk_options *o)
{
    struct scene x;
    struct prng g = {seed};
    scene_on(&x, disk(o));
    stream(&x.chooser, &x.s, seed);
    for (int i = 0; i < 120; i++) {
        struct simdisk_fault f = at(&x, (enum simdisk_fault_class)prng_below(&g, SIMDISK_FAULT_LIE),
                                    prng_below(&g, 5 * PAGE));
        char bytes[2 * PAGE];
        size_t done;
        f.seed = prng_next(&g);
        f.ino = prng_below(&g, 2) == 0 ? x.f : x.g;
        f.to = prng_below(&g, 2) == 0 ? x.f : x.g;
        f.to_offset = prng_below(&g, 4 * PAGE);
        f.cached = prng_below(&g, 2) == 0;
        f.extent = (enum simdisk_extent)prng_below(&g, 3);
        memset(bytes, (int)i, sizeof bytes);
        simdisk_ino ino = prng_below(&g, 2) == 0 ? x.f : x.g;
        switch (prng_below(&g, 8)) {
        case 0:
        case 1: {
            enum status st = simdisk_inject(x.d, &f);
            EXPECT(st == ST_OK || st == ST_BUSY || st == ST_NOENT);
            break;
        }
        case 2:
        case 3: {
            enum status st = simdisk_write(x.d, ino, bytes, 1 + prng_below(&g, 2 * PAGE),
                                           prng_below(&g, 4 * PAGE), &done);
            EXPECT(st == ST_OK || st == ST_IO);
            break;
        }
        case 4:
            sync_file(x.d, ino);
            break;
        case 5:
            (void)look_in(x.d, ino, prng_below(&g, 4 * PAGE), PAGE);
            simdisk_evict(x.d, &x.s);
            break;
        case 6:
            EXPECT(simdisk_truncate(x.d, ino, prng_below(&g, 5 * PAGE)) == ST_OK);
            break;
        default:
            if (prng_below(&g, 4) == 0) {
                power_loss(&x, simdisk_draw_strategy(&x.s));
            } else {
                enum status st = simdisk_sync_fail(x.d, ino, simdisk_sync_begin(x.d), false, &x.s);
                EXPECT(st == ST_IO);
            }
        }
        EXPECT(simdisk_check(x.d));
    }
    uint64_t before = simdisk_digest(x.d);
    struct simdisk *twin = NULL;
    EXPECT(simdisk_clone(x.d, &twin) == ST_OK && simdisk_digest(twin) == before);
    simdisk_heal(twin, SIMDISK_FAULT_ALL);
    EXPECT(simdisk_check(twin) && simdisk_digest(x.d) == before);
    x.f = must_open(twin, "f", RW);
    EXPECT(look_in(twin, x.f, 0, 8 * PAGE) == RIGHT);
    simdisk_free(twin);
    simdisk_free(x.d);
    return before;
}

static void test_simdisk_media__random_runs_stay_sound_and_repeat(void)
{
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct simdisk_options o;
        simdisk_options_init(&o);
        o.model = seed % 3 == 0 ? SIMDISK_E : SIMDISK_P;
        o.tear = (enum simdisk_tear)(seed / 3 % 4);
        o.fsync_fail = (enum simdisk_fsync_fail)(seed % 2 == 0 ? SIMDISK_F1 : SIMDISK_F3);
        EXPECT(random_run(seed, &o) == random_run(seed, &o));
    }
}

/* ---- aims ---- */

static void test_simdisk_media__aims_follow_their_weights(void)
{
    static const struct simdisk_aim rows[] = {{"none*", 1000, 0, 1000},    {"*.log", 40, 0, 1000},
                                              {"MANIFEST-*", 20, 0, 1000}, {"*.sst", 20, 0, 500},
                                              {"*.sst", 15, 500, 1000},    {"CURRENT", 5, 0, 1000}};
    unsigned hits[5] = {0};
    struct simdisk *d = plain_disk();
    struct chooser c;
    struct chooser_stream s;
    simdisk_ino ino;
    uint64_t offset;
    stream(&c, &s, 3);
    EXPECT(!simdisk_aim_at(d, rows, 6, &s, &ino, &offset));
    EXPECT(simdisk_dir_make(d, "data") == ST_OK);
    static const char *const names[] = {"data/1.log", "data/MANIFEST-3", "data/4.sst",
                                        "data/CURRENT", "data/log"};
    simdisk_ino inos[5];
    for (int i = 0; i < 5; i++) {
        inos[i] = must_open(d, names[i], RW);
        append(d, inos[i], 'x', i == 3 ? 10 : 2 * PAGE);
        EXPECT(i != 0 || !simdisk_aim_at(d, rows, 6, &s, &ino, &offset)); /* not on media yet */
        sync_file(d, inos[i]);
    }
    for (int i = 0; i < 1000; i++) {
        EXPECT(simdisk_aim_at(d, rows, 6, &s, &ino, &offset));
        EXPECT(ino != inos[4] && offset % SECTOR == 0 && offset < simdisk_size(d, ino));
        int row = ino == inos[0] ? 0 : ino == inos[1] ? 1 : ino == inos[3] ? 4 : 2;
        hits[row == 2 && offset >= PAGE ? 3 : row]++;
    }
    EXPECT(hits[0] > 330 && hits[0] < 470 && hits[1] > 140 && hits[1] < 260);
    EXPECT(hits[2] > 140 && hits[2] < 260 && hits[3] > 100 && hits[3] < 200);
    EXPECT(hits[4] > 20 && hits[4] < 90);
    simdisk_free(d);
}

/* ---- watchers ---- */

struct seen_events {
    unsigned count[SIMDISK_DIR_SYNCED + 1];
    bool removed_was_sure;
    char path[64];
};

static void on_event(void *arg, const struct simdisk *d, const struct simdisk_event *e)
{
    struct seen_events *s = arg;
    s->count[e->action]++;
    if (e->action == SIMDISK_REMOVES) {
        s->removed_was_sure = simdisk_name_guaranteed(d, e->path); /* still there */
    }
    if (e->action == SIMDISK_WRITES) {
        EXPECT(simdisk_path_of(d, e->ino, s->path, sizeof s->path));
        EXPECT(e->size == 10 && memcmp(e->data, "xxx", 3) == 0);
    }
}

static void test_simdisk_media__a_watcher_sees_each_change_before_it_happens(void)
{
    struct seen_events seen = {{0}, false, ""};
    struct scene x;
    char small[4];
    scene_init(&x);
    EXPECT(simdisk_dir_make(x.d, "dir") == ST_OK);
    simdisk_ino ino = must_open(x.d, "dir/h", RW);
    simdisk_watch(x.d, on_event, &seen);
    append(x.d, ino, 'x', 10);
    EXPECT(strcmp(seen.path, "dir/h") == 0);
    EXPECT(!simdisk_path_of(x.d, ino, small, sizeof small) &&
           !simdisk_path_of(x.d, 999, small, sizeof small));
    sync_file(x.d, ino);
    sync_root(x.d);
    EXPECT(simdisk_truncate(x.d, ino, 5) == ST_OK);
    EXPECT(simdisk_rename(x.d, "dir/h", "h") == ST_OK);
    EXPECT(simdisk_remove(x.d, "g") == ST_OK && seen.removed_was_sure);
    EXPECT(simdisk_remove(x.d, "h") == ST_OK && !seen.removed_was_sure);
    EXPECT(simdisk_remove(x.d, "h") == ST_NOENT);
    EXPECT(simdisk_sync_fail(x.d, x.f, simdisk_sync_begin(x.d), false, &x.s) == ST_IO);
    EXPECT(seen.count[SIMDISK_WRITES] == 1 && seen.count[SIMDISK_TRUNCATES] == 1);
    EXPECT(seen.count[SIMDISK_REMOVES] == 2 && seen.count[SIMDISK_RENAMES] == 1);
    EXPECT(seen.count[SIMDISK_SYNCED] == 1 && seen.count[SIMDISK_DIR_SYNCED] == 1);
    EXPECT(seen.count[SIMDISK_SYNC_FAILED] == 1);
    struct simdisk *after = NULL; /* a crash has the same watcher */
    EXPECT(simdisk_crash(x.d, SIMDISK_KEEP_ALL, &x.s, &after) == ST_OK);
    EXPECT(simdisk_remove(after, "f") == ST_OK && seen.count[SIMDISK_REMOVES] == 3);
    simdisk_free(after);
    scene_end(&x);
}

/* Three rules of order of a store, as one would state them: CURRENT may be renamed into place, and
 * a log may go, only when the manifest is guaranteed; a manifest may name a table only when that
 * is. */
static void keep_order(void *arg, const struct simdisk *d, const struct simdisk_event *e)
{
    unsigned *broken = arg;
    char path[64] = "";
    bool writes = e->action == SIMDISK_WRITES;
    if (writes) {
        EXPECT(simdisk_path_of(d, e->ino, path, sizeof path));
    }
    bool manifest = writes && strcmp(path, "MANIFEST") == 0;
    bool current = e->action == SIMDISK_RENAMES && strcmp(e->to, "CURRENT") == 0;
    bool log = e->action == SIMDISK_REMOVES && strcmp(e->path, "1.log") == 0;
    *broken += manifest && !simdisk_file_guaranteed(d, "2.sst");
    *broken += (current || log) && !simdisk_file_guaranteed(d, "MANIFEST");
}

/* A flush that leaves one of its syncs out (-1: none). How often it broke a rule. */
static unsigned flush_without(int step)
{
    unsigned broken = 0;
    struct simdisk *d = plain_disk();
    make_file(d, "1.log", 'l', 10);
    sync_root(d);
    simdisk_watch(d, keep_order, &broken);
    simdisk_ino table = must_open(d, "2.sst", RW);
    append(d, table, 't', 1000);
    if (step != 0) {
        sync_file(d, table);
    }
    simdisk_ino manifest = must_open(d, "MANIFEST", RW);
    if (step != 1) {
        sync_root(d);
    }
    append(d, manifest, 'm', 100);
    if (step != 2) {
        sync_file(d, manifest);
    }
    make_file(d, "tmp", 'c', 10);
    EXPECT(simdisk_rename(d, "tmp", "CURRENT") == ST_OK);
    if (step != 3) {
        sync_file(d, manifest); /* too late for the rename, in time for the log */
    }
    EXPECT(simdisk_remove(d, "1.log") == ST_OK);
    EXPECT(simdisk_file_guaranteed(d, "MANIFEST") == (step != 1));
    simdisk_free(d);
    return broken;
}

static void test_simdisk_media__rules_of_order_can_be_stated(void)
{
    EXPECT(flush_without(-1) == 0 && flush_without(3) == 0);
    EXPECT(flush_without(0) == 1); /* the table's bytes */
    EXPECT(flush_without(1) == 3); /* the names of both */
    EXPECT(flush_without(2) == 1); /* the manifest's bytes, when CURRENT points to it */
}

static void test_simdisk_media__a_failed_sync_is_remembered(void)
{
    struct scene x;
    scene_init(&x);
    put(&x, 0, 'x', 1);
    EXPECT(!simdisk_sync_failed(x.d, x.f));
    EXPECT(simdisk_sync_fail(x.d, x.f, simdisk_sync_begin(x.d), false, &x.s) == ST_IO);
    EXPECT(simdisk_sync_failed(x.d, x.f) && !simdisk_sync_failed(x.d, x.g));
    sync_file(x.d, x.f);
    EXPECT(simdisk_sync_failed(x.d, x.f)); /* trying again proves nothing */
    EXPECT(simdisk_truncate(x.d, x.f, 1) == ST_OK && simdisk_sync_failed(x.d, x.f));
    EXPECT(simdisk_truncate(x.d, x.f, 0) == ST_OK && !simdisk_sync_failed(x.d, x.f));
    put(&x, 0, 'x', 1);
    EXPECT(simdisk_sync_fail(x.d, x.f, simdisk_sync_begin(x.d), false, &x.s) == ST_IO);
    simdisk_process_died(x.d, &x.s);
    EXPECT(!simdisk_sync_failed(x.d, x.f));
    scene_end(&x);
}

/* ---- whole devices ---- */

static void test_simdisk_media__a_backup_is_what_was_guaranteed(void)
{
    struct scene x;
    struct simdisk *backup = NULL;
    struct simdisk *empty = NULL;
    struct env_stat st;
    scene_init(&x);
    struct simdisk_fault rot = at(&x, SIMDISK_FAULT_ROT, 0);
    EXPECT(simdisk_inject(x.d, &rot) == ST_OK);
    append(x.d, x.f, 'x', PAGE);
    make_file(x.d, "new", 'n', 1);
    EXPECT(simdisk_backup(x.d, &backup) == ST_OK && simdisk_check(backup));
    EXPECT(simdisk_stat(backup, "f", &st) == ST_OK && st.size == 4 * PAGE);
    EXPECT(simdisk_stat(backup, "new", &st) == ST_NOENT);
    EXPECT(!simdisk_damaged(backup, "f", 0, PAGE));
    EXPECT(simdisk_wiped(x.d, &empty) == ST_OK && simdisk_stat(empty, "f", &st) == ST_NOENT);
    simdisk_free(backup);
    simdisk_free(empty);
    scene_end(&x);
}

/* ---- refused memory ---- */

static enum status refused_script(struct scene *x)
{
    static const enum simdisk_fault_class classes[] = {SIMDISK_FAULT_ROT, SIMDISK_FAULT_MISREAD,
                                                       SIMDISK_FAULT_LSE, SIMDISK_FAULT_MISDIRECT};
    char bytes[PAGE];
    size_t done;
    memset(bytes, 'a', sizeof bytes);
    enum status st = simdisk_open(x->d, "f", RW, &x->f);
    st = st == ST_OK ? simdisk_write(x->d, x->f, bytes, PAGE, 0, &done) : st;
    if (st == ST_OK) {
        simdisk_sync_end(x->d, x->f, simdisk_sync_begin(x->d), false);
        st = simdisk_dir_sync(x->d, "/", simdisk_sync_begin(x->d));
    }
    for (size_t i = 0; i < 4 && st == ST_OK; i++) {
        struct simdisk_fault f = at(x, classes[i], 2 * SECTOR);
        f.to = x->f;
        f.cached = i == 2;
        st = simdisk_inject(x->d, &f);
        st = st == ST_NOENT ? ST_OK : st; /* all its bytes are alike */
    }
    memset(bytes, 'b', sizeof bytes);
    struct simdisk *copy = NULL;
    uint64_t before = simdisk_digest(x->d);
    if (st == ST_OK) {
        st = simdisk_write(x->d, x->f, bytes, SECTOR, SECTOR, &done);
        EXPECT(st == ST_OK || simdisk_digest(x->d) == before);
    }
    if (st == ST_OK) {
        st = simdisk_clone(x->d, &copy);
    }
    if (st == ST_OK) {
        simdisk_free(copy);
        simdisk_sync_end(x->d, x->f, simdisk_sync_begin(x->d), false);
        st = simdisk_crash(x->d, SIMDISK_KEEP_ALL, &x->s, &copy);
    }
    if (st == ST_OK) {
        EXPECT(simdisk_check(copy));
        simdisk_free(copy);
        st = simdisk_backup(x->d, &copy);
    }
    if (st == ST_OK) {
        simdisk_free(copy);
    }
    return st;
}

static void test_simdisk_media__each_refused_allocation_fails_cleanly(void)
{
    for (long n = 0; n < 10000; n++) {
        struct inject te;
        struct simdisk_options o;
        struct scene x = {.d = NULL};
        test_env_init(&te, NULL);
        te.fail_at = n;
        simdisk_options_init(&o);
        stream(&x.chooser, &x.s, 1);
        enum status st = simdisk_new(&te.env.mem, &o, &x.d);
        if (st == ST_OK) {
            st = refused_script(&x);
            EXPECT(simdisk_check(x.d));
            simdisk_free(x.d);
        }
        EXPECT(st == ST_OK || st == ST_NOMEM);
        EXPECT(te.live == 0);
        if (te.allocs <= n) {
            EXPECT(st == ST_OK);
            return;
        }
    }
    EXPECT(false);
}

TAP_MAIN({
    RUN(test_simdisk_media__rot_is_seen_until_the_sector_is_written_again);
    RUN(test_simdisk_media__a_write_of_a_part_leaves_rot_in_the_rest);
    RUN(test_simdisk_media__every_mutation_changes_its_sector);
    RUN(test_simdisk_media__the_kinds_of_rot_have_their_weights);
    RUN(test_simdisk_media__a_latent_error_fails_its_page);
    RUN(test_simdisk_media__a_transient_error_goes_away);
    RUN(test_simdisk_media__a_lost_write_is_uncovered_later);
    RUN(test_simdisk_media__lost_writes_come_in_three_sizes);
    RUN(test_simdisk_media__a_lost_append_shows_what_was_there_before);
    RUN(test_simdisk_media__a_misdirected_write_hurts_two_places);
    RUN(test_simdisk_media__misdirected_and_stale_reads_happen_once);
    RUN(test_simdisk_media__a_lying_disk_promises_nothing);
    RUN(test_simdisk_media__the_cache_hides_it_until_eviction);
    RUN(test_simdisk_media__a_process_death_uncovers_half_the_time);
    RUN(test_simdisk_media__a_crash_keeps_what_its_versions_keep);
    RUN(test_simdisk_media__a_cut_takes_the_damage_along);
    RUN(test_simdisk_media__a_failed_sync_forgets_the_loss_of_its_write);
    RUN(test_simdisk_media__random_runs_stay_sound_and_repeat);
    RUN(test_simdisk_media__aims_follow_their_weights);
    RUN(test_simdisk_media__a_watcher_sees_each_change_before_it_happens);
    RUN(test_simdisk_media__rules_of_order_can_be_stated);
    RUN(test_simdisk_media__a_failed_sync_is_remembered);
    RUN(test_simdisk_media__a_backup_is_what_was_guaranteed);
    RUN(test_simdisk_media__each_refused_allocation_fails_cleanly);
})
