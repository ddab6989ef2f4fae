/* bench_engine.c - the engine against LevelDB, RocksDB and LMDB: the same work, in turns.
 *
 *     bench_engine [OPTIONS]      (--help lists them; docs/bench.md explains the figures)
 *
 * A round does every workload on every store before the next workload, beginning with another
 * store each round; each in a child process of its own. Exit codes: 0 done, 2 bad usage, 3 a
 * store failed, or read back what was not written. */
#define _GNU_SOURCE
#include "tests/bench/bench_meter.h"
#include "tests/bench/bench_table.h"
#include "tests/bench/bench_work.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define PEERS_MAX 4
#define PEERS_ALL "tinykv,leveldb,rocksdb,lmdb"
#define NAMES_MAX 512

struct bench {
    struct work_config work;
    unsigned rounds;
    bool all; /* tables of all figures */
    const char *engines;
    const char *workloads; /* NULL: all */
    const char *tsv;       /* NULL: none */
    const char *base_dir;  /* NULL: TMPDIR, or here */
    char dir[PROC_PATH_MAX / 2];
    const struct peer *peers[PEERS_MAX];
    unsigned peer_count;
    struct table table;
};

/* The one thing that exit() needs to find: whose directory to remove, and which one. */
static struct {
    pid_t pid;
    char dir[PROC_PATH_MAX];
} owned;

static volatile sig_atomic_t stopped;

/* ---- ends ---- */

noreturn void bench_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("bench_engine: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    if (getpid() == owned.pid) {
        exit(3);
    }
    _exit(3); /* a store's threads are running */
}

void *bench_alloc(size_t size)
{
    void *block = calloc(1, size > 0 ? size : 1);
    if (block == NULL) {
        bench_die("out of memory");
    }
    return block;
}

static void remove_owned(void)
{
    if (getpid() == owned.pid && owned.dir[0] != '\0') {
        bench_proc_remove(owned.dir);
    }
}

static void on_stop(int signal)
{
    stopped = signal;
}

static void catch_stops(void)
{
    const struct sigaction action = {.sa_handler = on_stop};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
}

static void release_stops(void)
{
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGHUP, SIG_DFL);
}

/* ---- one child ---- */

static size_t read_rows(int fd, struct row rows[WORK_ROWS])
{
    size_t got = 0;
    while (got < WORK_ROWS * sizeof *rows) {
        ssize_t n = read(fd, (char *)rows + got, WORK_ROWS * sizeof *rows - got);
        if (n == 0 || (n < 0 && errno != EINTR) || stopped) {
            break;
        }
        got += n > 0 ? (size_t)n : 0;
    }
    return got / sizeof *rows;
}

static void child(const struct bench *b, const struct workload *w, const struct peer *peer,
                  const char *dir, int to)
{
    struct row rows[WORK_ROWS] = {{.rate = 0}};
    release_stops();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    size_t size = bench_work_run(w, &b->work, peer, dir, rows) * sizeof *rows;
    _exit(write(to, rows, size) == (ssize_t)size ? 0 : 3);
}

/* Runs a workload in a child; returns how many rows it told. */
static size_t run_child(const struct bench *b, const struct workload *w, const struct peer *peer,
                        const char *dir, struct row rows[WORK_ROWS])
{
    int ends[2];
    int status = 0;
    (void)fflush(NULL);
    if (pipe(ends) != 0) {
        bench_die("pipe: %s", strerror(errno));
    }
    pid_t pid = fork();
    if (pid < 0) {
        bench_die("fork: %s", strerror(errno));
    }
    if (pid == 0) {
        (void)close(ends[0]);
        child(b, w, peer, dir, ends[1]);
    }
    (void)close(ends[1]);
    size_t count = read_rows(ends[0], rows);
    (void)close(ends[0]);
    if (stopped) {
        (void)kill(pid, SIGKILL);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (stopped) {
        exit(128 + stopped);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        bench_die("%s %s: ended with %s %d", peer->name, w->name,
                  WIFEXITED(status) ? "exit code" : "signal",
                  WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    }
    return count;
}

/* ---- rounds ---- */

static const struct workload *workload_named(const char *name)
{
    const struct workload *w = bench_work_list;
    while (w->name != NULL && strcmp(w->name, name) != 0) {
        w++;
    }
    return w->name != NULL ? w : NULL;
}

/* Whether a comma-separated list has this word; NULL has all. */
static bool is_listed(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = list; at != NULL && *at != '\0';) {
        size_t len = strcspn(at, ",");
        if (len == n && memcmp(at, word, n) == 0) {
            return true;
        }
        at += len + (at[len] == ',');
    }
    return list == NULL;
}

/* The directory that every key is in, made when it is not there. */
static void need_full(const struct bench *b, const struct peer *peer, const char *full)
{
    struct row rows[WORK_ROWS];
    if (access(full, F_OK) != 0) {
        (void)run_child(b, workload_named(WORK_FILL), peer, full, rows);
    }
}

static void run_one(struct bench *b, const struct workload *w, unsigned peer)
{
    char full[PROC_PATH_MAX];
    char work[PROC_PATH_MAX];
    struct row rows[WORK_ROWS];
    const struct peer *p = b->peers[peer];
    (void)snprintf(full, sizeof full, "%s/%s", b->dir, p->name);
    (void)snprintf(work, sizeof work, "%s/%s.work", b->dir, p->name);
    if (w->start != WORK_EMPTY) {
        need_full(b, p, full);
    }
    if (w->start == WORK_COPY) {
        bench_proc_copy(full, work);
    }
    bench_proc_calm(b->work.settle_ms > 0, b->dir); /* this process is quiet */
    size_t n = run_child(b, w, p, w->start == WORK_FULL ? full : work, rows);
    for (size_t i = 0; i < n; i++) {
        bench_table_add(&b->table, peer, &rows[i]);
    }
    if (strcmp(w->name, WORK_FILL) == 0) {
        bench_proc_remove(full);
        if (rename(work, full) != 0) {
            bench_die("%s: %s", full, strerror(errno));
        }
    }
    bench_proc_remove(work);
}

static void run_round(struct bench *b, unsigned round)
{
    for (const struct workload *w = bench_work_list; w->name != NULL; w++) {
        if (!is_listed(b->workloads, w->name)) {
            continue;
        }
        for (unsigned i = 0; i < b->peer_count; i++) {
            unsigned peer = (round + i) % b->peer_count;
            if (isatty(STDERR_FILENO)) {
                (void)fprintf(stderr, "\r\033[Kround %u of %u: %s, %s", round + 1, b->rounds,
                              w->name, b->peers[peer]->name);
            }
            run_one(b, w, peer);
        }
    }
    if (isatty(STDERR_FILENO)) {
        (void)fprintf(stderr, "\r\033[K");
    }
}

/* ---- options ---- */

static noreturn void bad_usage(const char *format, const char *what)
{
    (void)fputs("bench_engine: ", stderr);
    (void)fprintf(stderr, "%s '%s'\n", format, what);
    (void)fputs("Try --help.\n", stderr);
    exit(2);
}

static void usage(void)
{
    (void)puts("usage: bench_engine [OPTIONS]\n"
               "\n"
               "  --engines LIST      default " PEERS_ALL ", as far as they are here\n"
               "  --workloads LIST    default all:");
    unsigned column = 0;
    for (const struct workload *w = bench_work_list; w->name != NULL; w++) {
        (void)printf(column == 0 ? "\n     " : "");
        (void)printf(" %s", w->name);
        column = (column + 1) % 6;
    }
    (void)puts("\n"
               "  --entries N         default 1M\n"
               "  --value-bytes N     default 100; 16..64K\n"
               "  --reads N           of a reading workload; default as entries, at most 1M\n"
               "  --syncs N           writes of a thread of fillsync; default 5K\n"
               "  --write-buffer N    bytes, default 64M\n"
               "  --cache N           bytes, default 8M\n"
               "  --filter-bits N     default 10\n"
               "  --threads N         of background work where that can be chosen, default 1\n"
               "  --compression on    default off; LZ4, for LevelDB Snappy, LMDB has none\n"
               "  --rounds N          default 3; the figures are medians of these\n"
               "  --settle N          ms of quiet that end background work, default 100;\n"
               "                      0: wait neither for that nor for the disk\n"
               "  --seed N            of the work, default 1\n"
               "  --dir DIR           where to make (and remove) a directory of its own;\n"
               "                      default TMPDIR, or else here\n"
               "  --tsv FILE          all figures, tab-separated\n"
               "  --all               print tables of all figures\n"
               "  --check             compare every byte that is read (costs time)\n"
               "  --help\n"
               "\n"
               "N may end in K, M or G: of bytes powers of 1024, else of 1000.");
}

static uint64_t number_of(const char *text, uint64_t unit, uint64_t least, uint64_t most)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    uint64_t factor = *end == 'K'   ? unit
                      : *end == 'M' ? unit * unit
                      : *end == 'G' ? unit * unit * unit
                                    : 1;
    end += factor > 1;
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || n > UINT64_MAX / factor ||
        n * factor < least || n * factor > most) {
        bad_usage("not a number, or out of range:", text);
    }
    return n * factor;
}

static bool flag_of(const char *text)
{
    if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0) {
        bad_usage("neither on nor off:", text);
    }
    return strcmp(text, "on") == 0;
}

static const struct option long_options[] = {
    {"engines", required_argument, NULL, 'e'}, {"workloads", required_argument, NULL, 'w'},
    {"entries", required_argument, NULL, 'n'}, {"value-bytes", required_argument, NULL, 'v'},
    {"reads", required_argument, NULL, 'r'},   {"syncs", required_argument, NULL, 'y'},
    {"cache", required_argument, NULL, 'c'},   {"write-buffer", required_argument, NULL, 'b'},
    {"threads", required_argument, NULL, 't'}, {"filter-bits", required_argument, NULL, 'f'},
    {"rounds", required_argument, NULL, 'R'},  {"compression", required_argument, NULL, 'z'},
    {"seed", required_argument, NULL, 's'},    {"dir", required_argument, NULL, 'd'},
    {"tsv", required_argument, NULL, 'T'},     {"all", no_argument, NULL, 'a'},
    {"settle", required_argument, NULL, 'q'},  {"check", no_argument, NULL, 'k'},
    {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
};

static void take_size(struct bench *b, int option, const char *text)
{
    struct work_config *c = &b->work;
    switch (option) {
    case 'n':
        c->data.entries = number_of(text, 1000, 8, 1000000000);
        break;
    case 'v':
        c->data.value_bytes = (uint32_t)number_of(text, 1024, DATA_VALUE_MIN, DATA_VALUE_MAX);
        break;
    case 'r':
        c->reads = number_of(text, 1000, 1, UINT64_MAX / 16);
        break;
    case 'y':
        c->syncs = number_of(text, 1000, 1, 1000000000);
        break;
    case 'b':
        c->peer.write_buffer_bytes = number_of(text, 1024, 65536, 1ull << 40);
        break;
    case 'c':
        c->peer.cache_bytes = number_of(text, 1024, 0, 1ull << 40);
        break;
    case 'f':
        c->peer.filter_bits = (unsigned)number_of(text, 1000, 0, 64);
        break;
    case 't':
        c->peer.threads = (unsigned)number_of(text, 1000, 1, 16);
        break;
    case 'q':
        c->settle_ms = (unsigned)number_of(text, 1000, 0, 4000);
        break;
    case 's':
        c->seed = number_of(text, 1000, 0, UINT64_MAX);
        break;
    default:
        b->rounds = (unsigned)number_of(text, 1000, 1, 1000);
        break;
    }
}

static void take_option(struct bench *b, int option, const char *text)
{
    switch (option) {
    case 'h':
        usage();
        exit(0);
    case '?':
        (void)fputs("Try --help.\n", stderr);
        exit(2);
    case 'e':
        b->engines = text;
        break;
    case 'w':
        b->workloads = text;
        break;
    case 'z':
        b->work.peer.compression = flag_of(text);
        break;
    case 'd':
        b->base_dir = text;
        break;
    case 'T':
        b->tsv = text;
        break;
    case 'a':
        b->all = true;
        break;
    case 'k':
        b->work.check = true;
        break;
    default:
        take_size(b, option, text);
        break;
    }
}

/* Fails for a word that is_known does not know. */
static void check_list(const char *list, bool (*is_known)(const char *), const char *complaint)
{
    char word[NAMES_MAX];
    for (const char *at = list; at != NULL && *at != '\0';) {
        int len = (int)strcspn(at, ",");
        (void)snprintf(word, sizeof word, "%.*s", len, at);
        if (!is_known(word)) {
            bad_usage(complaint, word);
        }
        at += len + (at[len] == ',');
    }
}

static bool is_workload(const char *name)
{
    return workload_named(name) != NULL;
}

static bool is_peer(const char *name)
{
    return *name != '\0' && is_listed(PEERS_ALL, name);
}

static void options(struct bench *b, int argc, char **argv)
{
    struct work_config *c = &b->work;
    b->rounds = 3;
    b->engines = PEERS_ALL;
    c->data.entries = 1000000;
    c->data.value_bytes = 100;
    c->syncs = 5000;
    c->seed = 1;
    c->settle_ms = 100;
    c->peer = (struct peer_config){
        .write_buffer_bytes = 64u << 20, .cache_bytes = 8u << 20, .filter_bits = 10, .threads = 1};
    for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        take_option(b, option, optarg);
    }
    if (optind < argc) {
        bad_usage("what is", argv[optind]);
    }
    check_list(b->engines, is_peer, "there is no engine");
    check_list(b->workloads, is_workload, "there is no workload");
    if (c->reads == 0) {
        c->reads = c->data.entries < 1000000 ? c->data.entries : 1000000;
    }
    /* LMDB never gives pages back and splits them half full: what it could need at worst */
    c->peer.map_bytes = (c->data.entries + 4096) * (c->data.value_bytes + 256ull) * 6 + (1u << 30);
}

/* ---- what is there ---- */

static const struct peer *const here[PEERS_MAX] = {
    &bench_tinykv,
#ifdef HAVE_LEVELDB
    &bench_leveldb,
#endif
#ifdef HAVE_ROCKSDB
    &bench_rocksdb,
#endif
#ifdef HAVE_LMDB
    &bench_lmdb,
#endif
};

static const struct peer *peer_named(const char *name)
{
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        if (here[i] != NULL && strcmp(here[i]->name, name) == 0) {
            return here[i];
        }
    }
    return NULL;
}

/* In the order of PEERS_ALL, so that tables look alike. */
static void choose_peers(struct bench *b)
{
    char names[] = PEERS_ALL;
    char *rest = NULL;
    for (char *name = strtok_r(names, ",", &rest); name != NULL;
         name = strtok_r(NULL, ",", &rest)) {
        const struct peer *p = peer_named(name);
        if (!is_listed(b->engines, name)) {
            continue;
        }
        if (p == NULL) {
            (void)printf("# %s is not installed here (when this was built): left out\n", name);
            continue;
        }
        b->peers[b->peer_count++] = p;
    }
    if (b->peer_count == 0) {
        bad_usage("none of these engines is here:", b->engines);
    }
}

static void make_dir(struct bench *b)
{
    const char *base = b->base_dir != NULL ? b->base_dir : getenv("TMPDIR");
    char *full = realpath(base != NULL && *base != '\0' ? base : ".", NULL);
    if (full == NULL) {
        bench_die("%s: %s", base, strerror(errno));
    }
    int n = snprintf(b->dir, sizeof b->dir, "%s/bench-XXXXXX", full);
    if (n >= (int)sizeof b->dir || mkdtemp(b->dir) == NULL) {
        bench_die("cannot make a directory in %s", full);
    }
    free(full);
    owned.pid = getpid();
    (void)snprintf(owned.dir, sizeof owned.dir, "%s", b->dir);
    (void)atexit(remove_owned);
}

static void describe(const struct bench *b, FILE *to)
{
    char text[80];
    struct utsname system;
    const struct work_config *c = &b->work;
    (void)uname(&system);
    (void)fprintf(to, "# %s %s, %ld processors, %u rounds%s\n", system.sysname, system.machine,
                  sysconf(_SC_NPROCESSORS_ONLN), b->rounds, c->check ? ", checking" : "");
    (void)fprintf(to,
                  "# entries %llu, value %u B, write buffer %llu KiB, cache %llu KiB, filter %u "
                  "bits, compression %s, background threads %u, seed %llu\n",
                  (unsigned long long)c->data.entries, c->data.value_bytes,
                  (unsigned long long)c->peer.write_buffer_bytes >> 10,
                  (unsigned long long)c->peer.cache_bytes >> 10, c->peer.filter_bits,
                  c->peer.compression ? "on" : "off", c->peer.threads, (unsigned long long)c->seed);
    for (unsigned i = 0; i < b->peer_count; i++) {
        b->peers[i]->version(text, sizeof text);
        (void)fprintf(to, "%s %s", i > 0 ? "," : "#", text);
    }
    (void)fprintf(to, "\n");
}

static void write_tsv(const struct bench *b)
{
    FILE *f = fopen(b->tsv, "w");
    if (f == NULL) {
        bench_die("%s: %s", b->tsv, strerror(errno));
    }
    describe(b, f);
    bench_table_tsv(&b->table, f);
    if (fclose(f) != 0) {
        bench_die("%s: %s", b->tsv, strerror(errno));
    }
}

static bool wants_zipf(const struct bench *b)
{
    for (const struct workload *w = bench_work_list; w->name != NULL; w++) {
        if (w->zipf && is_listed(b->workloads, w->name)) {
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    static struct bench b;
    options(&b, argc, argv);
    choose_peers(&b);
    describe(&b, stdout);
    catch_stops();
    make_dir(&b);
    struct data *d = &b.work.data;
    bench_data_init(d, d->entries, d->value_bytes, wants_zipf(&b));
    b.work.ns_per_tick = meter_calibrate();
    bench_table_init(&b.table, b.peers, b.peer_count);
    for (unsigned round = 0; round < b.rounds; round++) {
        run_round(&b, round);
    }
    bench_table_print(&b.table, stdout, b.all);
    if (b.tsv != NULL) {
        write_tsv(&b);
    }
    bench_table_release(&b.table);
    bench_data_release(d);
    return 0;
}
