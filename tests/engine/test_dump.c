/* test_dump.c - what a file holds, as text for a person. */
#include "engine/tkv.h"
#include "engine/waldump.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

#include <stdio.h>
#include <stdlib.h>

struct lines {
    char text[8192];
    int count;
};

static void take(void *arg, const char *line)
{
    struct lines *l = arg;
    size_t n = strlen(l->text);
    (void)snprintf(l->text + n, sizeof l->text - n, "%s\n", line);
    l->count++;
}

static bool says(const struct lines *l, const char *what)
{
    return strstr(l->text, what) != NULL;
}

/* A database whose last log, under path, is left as it is while open: copied to dir "copy". */
static void fill(struct tmpdir *t, char path[96])
{
    struct tkv_options o;
    struct tkv *db;
    struct tkv_batch *b;
    char name[64];
    tkv_options_init(&o);
    o.env = t->env;
    EXPECT(tkv_open(&o, "db", &db, NULL) == TKV_OK);
    struct tkv_write_options w;
    tkv_write_options_init(&w);
    w.sync = true;
    EXPECT(tkv_put(db, &w, "apple", 5, "red\n", 4) == TKV_OK);
    EXPECT(tkv_batch_new(t->env, &b) == TKV_OK);
    EXPECT(tkv_batch_delete(b, "apple", 5) == TKV_OK);
    EXPECT(tkv_batch_put(b, "pear", 4, "'green'", 7) == TKV_OK);
    EXPECT(tkv_write(db, NULL, b, NULL) == TKV_OK);
    tkv_batch_free(b);
    tmpdir_copy(t, "db", "copy");
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_highest(t, "copy", ".log", name);
    (void)snprintf(path, 96, "copy/%s", name);
}

static void log__is_shown_record_by_record(void)
{
    struct tmpdir t;
    struct lines l = {.text = ""};
    char path[96];
    tmpdir_make(&t);
    fill(&t, path);
    EXPECT(tkv_dump(t.env, path, take, &l, NULL) == TKV_OK);
    EXPECT(says(&l, "offset 0: header of log "));
    EXPECT(says(&l, "sequence 1, 1 changes"));
    EXPECT(says(&l, "  1 put 'apple' = 'red\\x0a' (4 bytes)"));
    EXPECT(says(&l, "sequence 2, 2 changes"));
    EXPECT(says(&l, "  2 delete 'apple'"));
    EXPECT(says(&l, "  3 put 'pear' = '\\x27green\\x27' (7 bytes)"));
    EXPECT(says(&l, " bytes\n"));
    tmpdir_remove(&t);
}

static void log__tail_and_damage_are_told_apart(void)
{
    struct tmpdir t;
    struct tkv_error error;
    char path[96];
    size_t size;
    tmpdir_make(&t);
    fill(&t, path);
    char *bytes = tmpdir_read(&t, path, &size);
    char *key = NULL;
    for (size_t i = 0; i + 4 <= size; i++) {
        key = memcmp(bytes + i, "pear", 4) == 0 ? bytes + i : key;
    }
    EXPECT(key != NULL);
    *key ^= 1; /* in the last record, which nobody says was safe */
    tmpdir_write(&t, path, bytes, size);
    struct lines torn = {.text = ""};
    EXPECT(tkv_dump(t.env, path, take, &torn, &error) == TKV_OK);
    EXPECT(says(&torn, "a torn tail of "));
    EXPECT(says(&torn, "'apple' = "));
    EXPECT(!says(&torn, "'green'"));
    *key ^= 1;
    for (size_t i = 0; i + 5 <= size; i++) {
        if (memcmp(bytes + i, "apple", 5) == 0) {
            bytes[i] ^= 1; /* in the first one, which was synced before the second was written */
            break;
        }
    }
    tmpdir_write(&t, path, bytes, size);
    struct lines damaged = {.text = ""};
    EXPECT(tkv_dump(t.env, path, take, &damaged, &error) == TKV_CORRUPT);
    EXPECT(strstr(error.text, path) != NULL);
    EXPECT(strstr(error.text, "offset ") != NULL);
    free(bytes);
    tmpdir_remove(&t);
}

static void manifest__says_how_it_was_closed(void)
{
    struct tmpdir t;
    struct lines flushed = {.text = ""};
    struct lines idle = {.text = ""};
    struct tkv_options o;
    struct tkv *db;
    char path[96], name[64], want[96];
    tmpdir_make(&t);
    fill(&t, path);
    tmpdir_highest(&t, "db", "", name); /* M comes after digits, C and L */
    (void)snprintf(path, sizeof path, "db/%s", name);
    EXPECT(tkv_dump(t.env, path, take, &flushed, NULL) == TKV_OK);
    EXPECT(says(&flushed, ": mark, synced through "));
    EXPECT(says(&flushed, "  closed with all of it on the medium, and no log\n  next file "));
    EXPECT(says(&flushed, ", last sequence 3\n"));
    tkv_options_init(&o);
    o.env = t.env;
    EXPECT(tkv_open(&o, "db", &db, NULL) == TKV_OK);
    EXPECT(tkv_close(db) == TKV_OK);
    EXPECT(tkv_dump(t.env, path, take, &idle, NULL) == TKV_OK);
    tmpdir_highest(&t, "db", ".log", name);
    (void)snprintf(want, sizeof want,
                   "  closed with all of it on the medium, and log %d of 112 bytes", atoi(name));
    EXPECT(says(&idle, want));
    tmpdir_remove(&t);
}

static void dump__refuses_other_names(void)
{
    struct tmpdir t;
    struct lines l = {.text = ""};
    struct tkv_error error;
    tmpdir_make(&t);
    EXPECT(tkv_dump(t.env, "db/notes.txt", take, &l, &error) == TKV_INVALID);
    EXPECT(strstr(error.text, "notes.txt") != NULL);
    EXPECT(tkv_dump(t.env, "000007.log", take, &l, &error) == TKV_NOTFOUND);
    EXPECT(l.count == 0);
    tmpdir_remove(&t);
}

static void bytes__are_cut_and_escaped(void)
{
    char text[WALDUMP_TEXT];
    char big[200];
    memset(big, 'x', sizeof big);
    waldump_bytes(text, big, sizeof big);
    EXPECT(strlen(text) < sizeof text);
    EXPECT(strcmp(text + strlen(text) - sizeof "…'" + 1, "…'") == 0);
    memset(big, 0xff, sizeof big);
    waldump_bytes(text, big, sizeof big);
    EXPECT(strncmp(text, "'\\xff\\xff", 9) == 0);
    EXPECT(strlen(text) < sizeof text);
    waldump_bytes(text, NULL, 0);
    EXPECT(strcmp(text, "''") == 0);
}

TAP_MAIN({
    RUN(log__is_shown_record_by_record);
    RUN(log__tail_and_damage_are_told_apart);
    RUN(manifest__says_how_it_was_closed);
    RUN(dump__refuses_other_names);
    RUN(bytes__are_cut_and_escaped);
})
