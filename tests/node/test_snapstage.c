/* test_snapstage.c - putting a snapshot together on disk, and what it consists of; each call that
 * the disk can fail fails once. The crashes are in test_snapshot.c. */
#include "node/snapstage.h"

#include "base/ck.h"
#include "base/crc32c.h"
#include "env/env_posix.h"
#include "env/fullio.h"
#include "tests/engine/tmpdir.h"
#include "tests/node/peertest.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#define FILES 4

struct fix {
    struct tmpdir dir;
    struct env *posix;
    struct inject te;
    struct inject_rule rule;
    struct snapstage stage;
    char bytes[FILES][5000];
    struct peermsg_file files[FILES];
    struct peermsg_member rows[2];
    struct peermsg_offer offer;
    struct err err; /* of fill */
};

static void offer_seal(struct fix *f)
{
    /* The id is what snapset_read computes of it: ask it. */
    struct snapset s;
    snapset_init(&s, &f->te.env.mem);
    f->offer.id = 0;
    long fail_at = f->te.fail_at;
    f->te.fail_at = -1;
    struct err err;
    if (snapset_read(&s, &f->offer, &err) != ST_OK) {
        f->offer.id = s.id;
    }
    snapset_release(&s);
    f->te.fail_at = fail_at;
}

static void fix_open(struct fix *f)
{
    static const char *const names[FILES] = {"CURRENT", "a.sst", "b.sst", "empty"};
    static const size_t sizes[FILES] = {17, 5000, 4096, 0};
    struct prng g = {4};
    memset(f, 0, sizeof *f);
    tmpdir_make(&f->dir);
    struct env_posix_options o = {.root = f->dir.path};
    EXPECT(env_posix_new(&o, &f->posix) == ST_OK);
    test_env_init(&f->te, f->posix);
    for (size_t i = 0; i < FILES; i++) {
        for (size_t k = 0; k < sizes[i]; k++) {
            f->bytes[i][k] = (char)prng_next(&g);
        }
        f->files[i] =
            (struct peermsg_file){slice_text(names[i]), sizes[i], crc32c(0, f->bytes[i], sizes[i])};
    }
    f->rows[0] = (struct peermsg_member){1, 5, RAFT_IN};
    f->rows[1] = (struct peermsg_member){2, 6, RAFT_IN};
    f->offer = (struct peermsg_offer){.place_index = 9, .place_term = 2, .config_index = 1};
    f->offer.config.members.items = f->rows;
    f->offer.config.members.count = 2;
    f->offer.files.items = f->files;
    f->offer.files.count = FILES;
    offer_seal(f);
}

static void fix_close(struct fix *f)
{
    snapstage_close(&f->stage);
    EXPECT(f->te.live == 0);
    EXPECT(f->te.descriptors == 0);
    inject_release(&f->te);
    env_posix_free(f->posix);
    tmpdir_remove(&f->dir);
}

/* The next chunk that is wanted, of at most so many bytes. */
static struct peermsg_chunk chunk_next(const struct fix *f, size_t most)
{
    const struct snapset_at *at = &f->stage.at;
    size_t left = f->files[at->file].size - at->offset;
    return (struct peermsg_chunk){
        .id = f->offer.id,
        .file = at->file,
        .offset = at->offset,
        .data = slice_of(f->bytes[at->file] + at->offset, left < most ? left : most)};
}

static enum status fill(struct fix *f, size_t piece)
{
    enum status st = ST_OK;
    while (st == ST_OK && f->stage.state == SNAPSTAGE_FILLING) {
        struct peermsg_chunk c = chunk_next(f, piece);
        st = snapstage_chunk(&f->stage, &c, &f->err);
    }
    return st;
}

static bool exists(struct fix *f, const char *path)
{
    struct env_stat st;
    return env_path_stat(f->posix, path, &st) == ST_OK;
}

/* dir holds exactly what was offered. */
static bool same_as_offered(struct fix *f, const char *dir)
{
    struct snapset s, want;
    struct err err;
    snapset_init(&s, &f->te.env.mem);
    snapset_init(&want, &f->te.env.mem);
    EXPECT(snapset_read(&want, &f->offer, &err) == ST_OK);
    s.place = want.place;
    s.config = want.config;
    s.config_index = want.config_index;
    bool same = snapset_scan(&s, &f->te.env, dir, NULL, NULL, &err) == ST_OK &&
                snapset_same(&s, &want) && s.id == f->offer.id;
    snapset_release(&s);
    snapset_release(&want);
    return same;
}

static void snapstage__what_is_whole_is_what_was_offered(void)
{
    static const size_t pieces[] = {1, 7, 17, 4096, 100000};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct fix f;
        struct err err;
        fix_open(&f);
        EXPECT(snapstage_open(&f.stage, &f.te.env, "stage", &err) == ST_OK);
        EXPECT(snapstage_offer(&f.stage, &f.offer, &err) == ST_OK);
        EXPECT(f.stage.state == SNAPSTAGE_FILLING);
        EXPECT(fill(&f, pieces[i]) == ST_OK);
        EXPECT(f.stage.state == SNAPSTAGE_WHOLE);
        EXPECT(same_as_offered(&f, "stage"));
        EXPECT(snapstage_offer(&f.stage, &f.offer, &err) == ST_OK); /* the same once more */
        EXPECT(snapstage_take(&f.stage, "taken", &err) == ST_OK);
        EXPECT(!exists(&f, "stage") && same_as_offered(&f, "taken"));
        EXPECT(snapstage_offer(&f.stage, &f.offer, &err) == ST_OK);
        EXPECT(f.stage.at.file == 0 && f.stage.at.offset == 0);
        fix_close(&f);
    }
}

static void snapstage__takes_only_what_comes_next(void)
{
    struct fix f;
    struct err err;
    fix_open(&f);
    EXPECT(snapstage_open(&f.stage, &f.te.env, "stage", &err) == ST_OK);
    struct peermsg_chunk c = {.id = f.offer.id, .data = slice_of(f.bytes[0], 5)};
    EXPECT(snapstage_chunk(&f.stage, &c, &err) == ST_INVAL); /* nothing was offered */
    EXPECT(snapstage_offer(&f.stage, &f.offer, &err) == ST_OK);
    EXPECT(snapstage_chunk(&f.stage, &c, &err) == ST_OK);
    EXPECT(snapstage_chunk(&f.stage, &c, &err) == ST_INVAL); /* twice */
    for (int lie = 0; lie < 5; lie++) {
        struct peermsg_chunk bad = chunk_next(&f, 5);
        bad.id += lie == 0;
        bad.file += lie == 1;
        bad.offset += lie == 2;
        bad.data.size = lie == 3 ? 0 : lie == 4 ? 100 : bad.data.size;
        EXPECT(snapstage_chunk(&f.stage, &bad, &err) == ST_INVAL);
        EXPECT(f.stage.at.offset == 5);
    }
    EXPECT(snapstage_offer(&f.stage, &f.offer, &err) == ST_OK);
    EXPECT(f.stage.at.offset == 5); /* goes on where it was */
    EXPECT(fill(&f, 1000) == ST_OK);
    EXPECT(same_as_offered(&f, "stage"));
    fix_close(&f);
}

static void snapstage__another_offer_begins_anew(void)
{
    struct fix f;
    struct err err;
    fix_open(&f);
    EXPECT(snapstage_open(&f.stage, &f.te.env, "stage", &err) == ST_OK);
    EXPECT(snapstage_offer(&f.stage, &f.offer, &err) == ST_OK);
    struct peermsg_chunk old = chunk_next(&f, 100);
    EXPECT(snapstage_chunk(&f.stage, &old, &err) == ST_OK);
    old = chunk_next(&f, 100);
    f.offer.place_term = 3;
    offer_seal(&f);
    EXPECT(snapstage_offer(&f.stage, &f.offer, &err) == ST_OK);
    EXPECT(f.stage.at.file == 0 && f.stage.at.offset == 0);
    EXPECT(snapstage_chunk(&f.stage, &old, &err) == ST_INVAL);
    EXPECT(fill(&f, 1000) == ST_OK);
    EXPECT(same_as_offered(&f, "stage"));
    f.offer.place_term = 4;
    offer_seal(&f);
    EXPECT(snapstage_offer(&f.stage, &f.offer, &err) == ST_BUSY); /* a whole one waits */
    EXPECT(snapstage_clear(&f.stage, &err) == ST_OK);
    EXPECT(!exists(&f, "stage"));
    EXPECT(snapstage_offer(&f.stage, &f.offer, &err) == ST_OK);
    fix_close(&f);
}

static void snapstage__a_wrong_byte_throws_all_away(void)
{
    struct fix f;
    struct err err;
    fix_open(&f);
    EXPECT(snapstage_open(&f.stage, &f.te.env, "stage", &err) == ST_OK);
    EXPECT(snapstage_offer(&f.stage, &f.offer, &err) == ST_OK);
    f.bytes[1][4321] ^= 1;
    EXPECT(fill(&f, 1000) == ST_CORRUPT);
    EXPECT(f.stage.state == SNAPSTAGE_EMPTY && !exists(&f, "stage"));
    fix_close(&f);
}

static void snapstage__offers_that_lie_are_refused(void)
{
    static const char *const names[] = {"", ".", "..", "a/b", "/etc", "b.sst", "a.sst"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct fix f;
        struct err err;
        fix_open(&f);
        EXPECT(snapstage_open(&f.stage, &f.te.env, "stage", &err) == ST_OK);
        f.files[2].name = slice_text(names[i]);
        offer_seal(&f);
        /* b.sst is its right name */
        EXPECT((snapstage_offer(&f.stage, &f.offer, &err) == ST_OK) == (i == 5));
        EXPECT(i == 5 || !exists(&f, "stage"));
        f.offer.id++;
        EXPECT(snapstage_offer(&f.stage, &f.offer, &err) == ST_INVAL);
        fix_close(&f);
    }
    struct fix f;
    struct err err;
    fix_open(&f);
    EXPECT(snapstage_open(&f.stage, &f.te.env, "stage", &err) == ST_OK);
    f.files[1].size = UINT64_MAX / 2;
    offer_seal(&f);
    EXPECT(snapstage_offer(&f.stage, &f.offer, &err) != ST_OK);
    f.files[1].size = UINT64_MAX / 8; /* more than any disk has */
    offer_seal(&f);
    EXPECT(snapstage_offer(&f.stage, &f.offer, &err) == ST_NOSPC);
    EXPECT(!exists(&f, "stage"));
    fix_close(&f);
}

static void snapstage__open_leaves_nothing(void)
{
    struct fix f;
    struct err err;
    fix_open(&f);
    EXPECT(env_dir_make(f.posix, "stage") == ST_OK);
    for (int i = 0; i < 40; i++) {
        char path[64];
        int fd;
        (void)snprintf(path, sizeof path, "stage/leftover-%d", i);
        EXPECT(env_file_open(f.posix, path, ENV_WRITE | ENV_CREATE, &fd) == ST_OK);
        EXPECT(env_fd_close(f.posix, fd) == ST_OK);
    }
    EXPECT(snapstage_open(&f.stage, &f.te.env, "stage", &err) == ST_OK);
    EXPECT(!exists(&f, "stage"));
    fix_close(&f);
}

/* Each call to the disk fails once: it is told, nothing half done counts, the next try is well. */
static void snapstage__each_failure_is_survived(void)
{
    long n = 0;
    for (bool reached = true; reached; n++) {
        struct fix f;
        struct err err = {0};
        fix_open(&f);
        inject_rule_init(&f.rule);
        f.rule.at = n;
        inject_add(&f.te, &f.rule);
        enum status st = snapstage_open(&f.stage, &f.te.env, "stage", &err);
        bool open = st == ST_OK;
        st = open ? snapstage_offer(&f.stage, &f.offer, &err) : st;
        st = st == ST_OK ? fill(&f, 3000) : st;
        st = st == ST_OK ? snapstage_take(&f.stage, "taken", &err) : st;
        reached = f.rule.struck > 0;
        f.rule.at = -1;
        EXPECT(reached == (st != ST_OK));
        EXPECT(st == ST_OK || err.text[0] != '\0' || f.err.text[0] != '\0');
        EXPECT(!exists(&f, "taken") || same_as_offered(&f, "taken"));
        if (reached && open && !exists(&f, "taken")) {
            EXPECT(snapstage_offer(&f.stage, &f.offer, &err) == ST_OK);
            EXPECT(fill(&f, 3000) == ST_OK);
            EXPECT(same_as_offered(&f, "stage"));
        }
        if (tap_failed) {
            printf("# call %ld: %s\n", n, err.text);
        }
        fix_close(&f);
    }
    printf("# %ld calls\n", n);
    EXPECT(n > 20);
}

static void snapstage__refused_memory_is_told(void)
{
    for (long n = 0;; n++) {
        struct fix f;
        struct err err;
        fix_open(&f);
        long first = f.te.allocs;
        f.te.fail_at = first + n;
        enum status st = snapstage_open(&f.stage, &f.te.env, "stage", &err);
        st = st == ST_OK ? snapstage_offer(&f.stage, &f.offer, &err) : st;
        bool reached = f.te.allocs > first + n;
        EXPECT(reached == (st == ST_NOMEM));
        fix_close(&f);
        if (!reached) {
            break;
        }
    }
}

TAP_MAIN(RUN(snapstage__what_is_whole_is_what_was_offered);
         RUN(snapstage__takes_only_what_comes_next); RUN(snapstage__another_offer_begins_anew);
         RUN(snapstage__a_wrong_byte_throws_all_away); RUN(snapstage__offers_that_lie_are_refused);
         RUN(snapstage__open_leaves_nothing); RUN(snapstage__each_failure_is_survived);
         RUN(snapstage__refused_memory_is_told);)
