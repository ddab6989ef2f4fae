/* test_lin_tool.c - the command: exit codes, what it prints, several files at once.
 *
 * LIN_CHECK names the program, LIN_SEEDS the folder of histories written by hand. */
#include "tests/tap.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>

static char out[1 << 16];

/* Runs the command with these arguments (run in the folder of seeds); its exit code. */
static int run(const char *args)
{
    char command[1024];
    (void)snprintf(command, sizeof command, "cd '%s' && '%s' %s 2>&1", getenv("LIN_SEEDS"),
                   getenv("LIN_CHECK"), args);
    FILE *f = popen(command, "r");
    if (f == NULL) {
        return -1;
    }
    size_t n = fread(out, 1, sizeof out - 1, f);
    out[n] = '\0';
    int how = pclose(f);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

static bool absent(void)
{
    if (getenv("LIN_CHECK") != NULL && getenv("LIN_SEEDS") != NULL) {
        return false;
    }
    SKIP("LIN_CHECK and LIN_SEEDS are not set");
    return true;
}

static void tool__exit_codes(void)
{
    if (absent()) {
        return;
    }
    EXPECT(run("every_kind.jsonl") == 0);
    EXPECT(run("stale_read.jsonl") == 1);
    EXPECT(run("every_kind.jsonl stale_read.jsonl torn_batch.jsonl") == 1);
    EXPECT(run("") == 2);
    EXPECT(run("--no-such-option every_kind.jsonl") == 2);
    EXPECT(run("--budget none every_kind.jsonl") == 2);
    EXPECT(run("--format xml every_kind.jsonl") == 2);
    EXPECT(run("no_such_file.jsonl") == 3);
    EXPECT(strstr(out, "no_such_file.jsonl: ") != NULL);
    EXPECT(run("jepsen.log") == 3); /* not JSON lines */
    EXPECT(strstr(out, "jepsen.log:1: ") != NULL);
    EXPECT(run("--help") == 0);
}

static void tool__says_why(void)
{
    if (absent()) {
        return;
    }
    EXPECT(run("--explain stale_read.jsonl") == 1);
    EXPECT(strstr(out, "operation 2 saw k = \"v1\"") != NULL);
    EXPECT(strstr(out, "> 1: client 0 put k \"v2\" [3, 4]") != NULL);
    EXPECT(run("--json stale_read.jsonl unknown_cas.jsonl") == 1);
    EXPECT(strstr(out, "{\"file\":\"stale_read.jsonl\",\"verdict\":\"non-linearizable\","
                       "\"operations\":3,\"wall_ns\":") == out);
    EXPECT(strstr(out, "\"witness\":[0,1,2],\"lines\":[2,3,4]") != NULL);
    EXPECT(strstr(out, "\n{\"file\":\"unknown_cas.jsonl\",\"verdict\":\"linearizable\"") != NULL);
}

static void tool__reads_from_standard_input_and_other_formats(void)
{
    if (absent()) {
        return;
    }
    EXPECT(run("- < every_kind.jsonl") == 0);
    EXPECT(run("--format porcupine - <jepsen.log") == 1);
    EXPECT(run("--format edn --init x=1 - <jepsen.log") == 0);
}

/* Enough bytes to be spread over processes: results keep the order of the files. */
static void tool__many_files_keep_their_order(void)
{
    if (absent()) {
        return;
    }
    EXPECT(run("--jobs 3 --json $(d=$(mktemp -d); "
               "for i in 1 2 3 4 5; do { cat every_kind.jsonl; yes '' | head -n 1000000; } "
               ">$d/f$i.jsonl; done; cp stale_read.jsonl $d/f6.jsonl; ls $d/*)") == 1);
    const char *at = out;
    for (int i = 1; i <= 6 && at != NULL; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "f%d.jsonl", i);
        at = strstr(at, name);
        EXPECT(at != NULL);
    }
    char clean[256];
    const char *dir = strstr(out, "\"file\":\"");
    const char *end = dir != NULL ? strstr(dir, "/f1.jsonl") : NULL;
    if (end != NULL && strncmp(dir + 8, "/tmp/", 5) == 0) {
        (void)snprintf(clean, sizeof clean, "rm -r '%.*s'", (int)(end - dir - 8), dir + 8);
        EXPECT(system(clean) == 0);
    }
}

TAP_MAIN(RUN(tool__exit_codes); RUN(tool__says_why);
         RUN(tool__reads_from_standard_input_and_other_formats);
         RUN(tool__many_files_keep_their_order);)
