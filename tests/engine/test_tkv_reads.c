/* test_tkv_reads.c - what reading alone has the background do. */
#include "engine/tkv.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

#define LOOKS 128 /* needless ones that small tables of level 0 bear; pick.c */

static uint64_t level0(struct tkv *db, uint64_t *compactions)
{
    struct tkv_stats s = {.size = sizeof s};
    EXPECT(tkv_wait_idle(db) == TKV_OK);
    tkv_stats(db, &s);
    *compactions = s.compactions;
    return s.levels[0].tables;
}

/* A table with keys at both ends, so that every seek has to look into it. */
static void table_add(struct tkv *db, const char *value)
{
    EXPECT(tkv_put(db, NULL, "a", 1, value, 1) == TKV_OK);
    EXPECT(tkv_put(db, NULL, "z", 1, value, 1) == TKV_OK);
    EXPECT(tkv_flush(db) == TKV_OK);
}

static void seek(struct tkv *db, unsigned count, const char *value)
{
    struct tkv_iter *it;
    size_t size;
    EXPECT(tkv_iter_new(db, NULL, &it) == TKV_OK);
    for (unsigned i = 0; i < count; i++) {
        if (i % 2 == 0) {
            tkv_iter_seek(it, "b", 1);
        } else {
            tkv_iter_seek_back(it, "b", 1);
        }
        EXPECT(tkv_iter_valid(it));
        EXPECT(memcmp(tkv_iter_value(it, &size), value, 1) == 0);
        EXPECT(memcmp(tkv_iter_key(it, &size), i % 2 == 0 ? "z" : "a", 1) == 0);
    }
    tkv_iter_free(it);
}

static struct tkv *open_db(struct env *env)
{
    struct tkv *db;
    struct tkv_options o;
    tkv_options_init(&o);
    o.env = env;
    EXPECT(tkv_open(&o, "db", &db, NULL) == TKV_OK);
    return db;
}

static void reads__of_several_tables_compact_level0(void)
{
    struct tmpdir t;
    uint64_t compactions;
    tmpdir_make(&t);
    struct tkv *db = open_db(t.env);
    table_add(db, "1");
    table_add(db, "2");
    seek(db, LOOKS - 1, "2");
    EXPECT(level0(db, &compactions) == 2);
    EXPECT(compactions == 0);
    seek(db, 1, "2");
    EXPECT(level0(db, &compactions) == 0);
    EXPECT(compactions == 1);
    table_add(db, "3"); /* counting begins again */
    table_add(db, "4");
    seek(db, LOOKS - 1, "4");
    EXPECT(level0(db, &compactions) == 2);
    table_add(db, "5"); /* with three tables a seek counts twice */
    seek(db, 1, "5");
    EXPECT(level0(db, &compactions) == 0);
    EXPECT(compactions == 2);
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_remove(&t);
}

static void reads__of_one_table_compact_nothing(void)
{
    struct tmpdir t;
    uint64_t compactions;
    tmpdir_make(&t);
    struct tkv *db = open_db(t.env);
    table_add(db, "1");
    seek(db, 4 * LOOKS, "1");
    EXPECT(level0(db, &compactions) == 1);
    EXPECT(compactions == 0);
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_remove(&t);
}

TAP_MAIN({
    RUN(reads__of_several_tables_compact_level0);
    RUN(reads__of_one_table_compact_nothing);
})
