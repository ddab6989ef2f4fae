/* dbtool.c - see dbtool.h. */
#include "node/dbtool.h"

#include "engine/tkv.h"

#include <stdio.h>
#include <string.h>

enum { EXIT_OK = 0, EXIT_WRONG = 1, EXIT_USAGE = 2 };

static void line_out(struct env *env, bool error, const char *text)
{
    env_console(env, error, text, strlen(text));
    env_console(env, error, "\n", 1);
}

static void report_line(void *arg, const char *line)
{
    line_out(arg, false, line);
}

/* Says what is wrong, if anything is, and gives the exit code. */
static int verdict(struct env *env, const char *what, enum tkv_status st,
                   const struct tkv_error *error)
{
    if (st == TKV_OK) {
        return EXIT_OK;
    }
    char text[512];
    const char *why = error->text[0] != '\0' ? error->text : tkv_status_text(st);
    (void)snprintf(text, sizeof text, "tinykv: %.200s: %s", what, why); /* a long one is cut */
    line_out(env, true, text);
    return EXIT_WRONG;
}

static void options_for(struct env *env, struct tkv_options *o)
{
    tkv_options_init(o);
    o->env = env;
    o->create_if_missing = false;
}

/* ---- dump ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* The engine tells a file's kind by its name; the word guards against a slip of the hand. */
static bool kind_fits(const char *kind, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    if (strcmp(kind, "wal") == 0) {
        return ends_with(name, ".log");
    }
    if (strcmp(kind, "sst") == 0) {
        return ends_with(name, ".sst");
    }
    return strncmp(name, "MANIFEST-", 9) == 0;
}

static int dump(struct env *env, char **argv)
{
    struct tkv_error error = {.text = ""};
    const char *kind = argv[1];
    const char *path = argv[2];
    if (strcmp(kind, "wal") != 0 && strcmp(kind, "sst") != 0 && strcmp(kind, "manifest") != 0) {
        line_out(env, true, "tinykv: dump: the kind must be wal, sst or manifest");
        return EXIT_USAGE;
    }
    if (!kind_fits(kind, path)) {
        line_out(env, true,
                 "tinykv: dump: the file's name is not one of that kind "
                 "(000001.log, 000001.sst, MANIFEST-000001)");
        return EXIT_USAGE;
    }
    return verdict(env, path, tkv_dump(env, path, report_line, env, &error), &error);
}

/* ---- whole databases ---- */

static int verify(struct env *env, char **argv)
{
    struct tkv_options o;
    struct tkv_error error = {.text = ""};
    options_for(env, &o);
    return verdict(env, argv[1], tkv_verify(&o, argv[1], report_line, env, &error), &error);
}

static int repair(struct env *env, char **argv)
{
    struct tkv_options o;
    struct tkv_error error = {.text = ""};
    options_for(env, &o);
    return verdict(env, argv[1], tkv_repair(&o, argv[1], report_line, env, &error), &error);
}

/* Prints a property, however long it is. */
static enum tkv_status property_out(struct env *env, struct tkv *db, const char *name)
{
    size_t size;
    enum tkv_status st = tkv_property(db, name, NULL, 0, &size);
    if (st != TKV_OK) {
        return st;
    }
    size_t capacity = size + 256; /* nobody writes: it does not grow */
    char *text = env_alloc(env, capacity);
    if (text == NULL) {
        return TKV_NOMEM;
    }
    st = tkv_property(db, name, text, capacity, &size);
    if (st == TKV_OK) {
        env_console(env, false, text, size < capacity ? size : capacity);
    }
    env_release(env, text);
    return st;
}

static int stats(struct env *env, char **argv)
{
    static const char *const names[] = {"stats", "levels", "tables"};
    struct tkv_options o;
    struct tkv_error error = {.text = ""};
    struct tkv *db;
    options_for(env, &o);
    o.read_only = true;
    enum tkv_status st = tkv_open(&o, argv[1], &db, &error);
    if (st == TKV_OK) {
        for (size_t i = 0; st == TKV_OK && i < sizeof names / sizeof *names; i++) {
            st = property_out(env, db, names[i]);
        }
        enum tkv_status closed = tkv_close(db);
        st = st == TKV_OK ? closed : st;
    }
    return verdict(env, argv[1], st, &error);
}

/* ---- the commands ---- */

struct tool {
    const char *name;
    int arguments;
    const char *usage;
    int (*run)(struct env *env, char **argv);
};

static const struct tool tools[] = {
    {"dump", 2, "usage: tinykv dump wal|sst|manifest FILE", dump},
    {"verify", 1, "usage: tinykv verify DIR", verify},
    {"repair", 1, "usage: tinykv repair DIR", repair},
    {"stats", 1, "usage: tinykv stats DIR", stats},
};

static const struct tool *tool_find(const char *word)
{
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
        if (strcmp(word, tools[i].name) == 0) {
            return &tools[i];
        }
    }
    return NULL;
}

bool dbtool_knows(const char *word)
{
    return tool_find(word) != NULL;
}

int dbtool_run(struct env *env, int argc, char **argv)
{
    const struct tool *t = tool_find(argv[0]);
    if (argc != t->arguments + 1) {
        line_out(env, true, t->usage);
        return EXIT_USAGE;
    }
    return t->run(env, argv);
}
