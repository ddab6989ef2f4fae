/* lin_tool.c - see lin_tool.h: options, files in parallel, what is printed. */
#include "sim/lin/lin_tool.h"

#include "base/json.h"
#include "sim/lin/lin_page.h"
#include "sim/lin/lin_rec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PARALLEL_BYTES 4000000 /* below this a process for each file costs more than it saves */
#define AROUND         12      /* operations shown by --explain beside the witness */

struct options {
    const char *name; /* of the command, for messages */
    bool json;
    bool explain;
    bool progress;
    int format; /* -1: JSON lines; otherwise enum lin_format */
    struct lin_options limits;
    const char *html;
    const char *init[16]; /* KEY=VALUE */
    int init_count;
    long jobs;
    char **files;
    int file_count;
};

/* ---- memory and time ---- */

static void *heap_alloc(struct mem *m, size_t size)
{
    (void)m;
    return malloc(size);
}

static void *heap_resize(struct mem *m, void *block, size_t size)
{
    (void)m;
    return realloc(block, size);
}

static void heap_release(struct mem *m, void *block)
{
    (void)m;
    free(block);
}

static struct mem heap = {heap_alloc, heap_resize, heap_release};

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- reading ---- */

/* A foreign log is read as a whole: an operation ends far from where it began. */
static enum status read_whole(struct lin_history *h, const char *name, FILE *f, int format,
                              struct err *err)
{
    struct buf all;
    buf_init(&all, &heap);
    enum status st = ST_OK;
    size_t n = 1;
    while (st == ST_OK && n > 0) {
        st = buf_reserve(&all, 1 << 16);
        n = st == ST_OK ? fread(all.data + all.size, 1, 1 << 16, f) : 0;
        all.size += n;
    }
    if (st == ST_OK) {
        st = lin_edn_read(h, name, buf_slice(&all), (enum lin_format)format, err);
    }
    buf_release(&all);
    return st;
}

static enum status read_lines(struct lin_history *h, const char *name, FILE *f, struct err *err)
{
    static char piece[1 << 18];
    struct lin_jsonl r;
    lin_jsonl_init(&r, h, name);
    enum status st = ST_OK;
    size_t n;
    while (st == ST_OK && (n = fread(piece, 1, sizeof piece, f)) > 0) {
        st = lin_jsonl_feed(&r, slice_of(piece, n), err);
    }
    if (st == ST_OK && ferror(f) == 0) {
        st = lin_jsonl_end(&r, err);
    }
    lin_jsonl_release(&r);
    return st;
}

static enum status set_inits(struct lin_history *h, const struct options *o)
{
    enum status st = ST_OK;
    for (int i = 0; i < o->init_count && st == ST_OK; i++) {
        const char *eq = strchr(o->init[i], '=');
        struct slice key = slice_of(o->init[i], (size_t)(eq - o->init[i]));
        st = lin_history_set_init(h, key, (struct lin_value){true, slice_text(eq + 1)});
    }
    return st;
}

static enum status read_file(struct lin_history *h, const char *name, const struct options *o,
                             struct err *err)
{
    bool standard = strcmp(name, "-") == 0;
    FILE *f = standard ? stdin : fopen(name, "rb");
    if (f == NULL) {
        err_set(err, "%s: %s", name, strerror(errno));
        return ST_IO;
    }
    enum status st = set_inits(h, o);
    if (st == ST_OK) {
        st = o->format < 0 ? read_lines(h, name, f, err) : read_whole(h, name, f, o->format, err);
    }
    if (st == ST_OK && ferror(f) != 0) {
        err_set(err, "%s: %s", name, strerror(errno));
        st = ST_IO;
    }
    if (!standard) {
        (void)fclose(f);
    }
    return st;
}

/* ---- printing ---- */

static void print_json(FILE *to, const char *name, const struct lin_history *h,
                       const struct lin_verdict *v, uint64_t wall_ns)
{
    struct buf out;
    struct json j;
    buf_init(&out, &heap);
    json_init(&j, &out);
    json_object(&j, NULL);
    json_text(&j, "file", name);
    json_text(&j, "verdict", lin_result_text(v->result));
    json_u64(&j, "operations", h->count);
    json_u64(&j, "wall_ns", wall_ns);
    json_u64(&j, "steps", v->steps);
    json_array(&j, "witness");
    for (size_t i = 0; i < v->witness_count; i++) {
        json_u64(&j, NULL, v->witness[i]);
    }
    json_array_end(&j);
    json_array(&j, "lines"); /* of the file, counted from 1 */
    for (size_t i = 0; i < v->witness_count; i++) {
        json_u64(&j, NULL, h->ops[v->witness[i]].line);
    }
    json_array_end(&j);
    json_text(&j, "text", v->text);
    json_object_end(&j);
    (void)fprintf(to, "%.*s\n", (int)out.size, out.data);
    buf_release(&out);
}

static void print_op(FILE *to, const struct lin_history *h, uint32_t place, const char *mark)
{
    struct buf out;
    buf_init(&out, &heap);
    if (lin_history_say(h, place, &out) == ST_OK) {
        (void)fprintf(to, "  %s %.*s\n", mark, (int)out.size, out.data);
    }
    buf_release(&out);
}

static bool is_witness(const struct lin_verdict *v, uint32_t place)
{
    for (size_t i = 0; i < v->witness_count; i++) {
        if (v->witness[i] == place) {
            return true;
        }
    }
    return false;
}

/* The witness among the operations around it, and how the answer was found. */
static void print_explanation(FILE *to, const struct lin_history *h, const struct lin_verdict *v)
{
    (void)fprintf(to, "  %u independent groups of keys, %u decided by zones, %llu search steps\n",
                  v->parts, v->parts_zones, (unsigned long long)v->steps);
    if (v->result != LIN_NON_LINEARIZABLE) {
        return;
    }
    uint32_t *order = NULL;
    size_t first;
    size_t count;
    if (lin_page_window(h, v, v->witness_count + AROUND, &order, &first, &count) == ST_OK) {
        (void)fprintf(to, "  the operations around it, by call:\n");
        for (size_t i = first; i < first + count; i++) {
            uint32_t place = order != NULL ? order[i] : (uint32_t)i;
            print_op(to, h, place, is_witness(v, place) ? ">" : " ");
        }
    }
    free(order);
}

static void print_text(FILE *to, const char *name, const struct lin_history *h,
                       const struct lin_verdict *v, const struct options *o)
{
    (void)fprintf(to, "%s: %s: %s\n", name, lin_result_text(v->result), v->text);
    for (size_t i = 0; i < v->witness_count && i < 64; i++) {
        print_op(to, h, v->witness[i], "*");
    }
    if (o->explain) {
        print_explanation(to, h, v);
    }
}

static bool write_page(const char *path, const char *title, const struct lin_history *h,
                       const struct lin_verdict *v)
{
    struct buf page;
    buf_init(&page, &heap);
    FILE *f = fopen(path, "wb");
    bool good = f != NULL && lin_page_write(h, v, title, &page) == ST_OK &&
                fwrite(page.data, 1, page.size, f) == page.size;
    good = f != NULL && fclose(f) == 0 && good;
    buf_release(&page);
    if (!good) {
        (void)fprintf(stderr, "%s: cannot be written\n", path);
    }
    return good;
}

/* ---- one file ---- */

struct progress {
    const char *name;
    uint64_t next_ns; /* not before */
};

static void show_progress(void *arg, uint64_t done, uint64_t total)
{
    struct progress *p = arg;
    uint64_t now = now_ns();
    if (now >= p->next_ns) {
        p->next_ns = now + 200000000;
        (void)fprintf(stderr, "\r%s: %llu of %llu operations ", p->name, (unsigned long long)done,
                      (unsigned long long)total);
    }
}

static int code_of(enum lin_result result)
{
    return result == LIN_LINEARIZABLE ? 0 : result == LIN_NON_LINEARIZABLE ? 1 : 3;
}

static int check_file(FILE *to, const char *name, const struct options *o)
{
    struct lin_history h;
    struct lin_verdict v = {0};
    struct err err = {""};
    int code = 3;
    lin_history_init(&h, &heap);
    enum status st = read_file(&h, name, o, &err);
    uint64_t start = now_ns();
    struct lin_options limits = o->limits;
    struct progress progress = {name, start + 1000000000};
    if (o->progress) {
        limits.progress = show_progress;
        limits.progress_arg = &progress;
    }
    if (st == ST_OK) {
        st = lin_check(&h, &limits, &v);
    }
    uint64_t wall_ns = now_ns() - start;
    if (o->progress && wall_ns > 1000000000) {
        (void)fprintf(stderr, "\r\033[K");
    }
    if (st != ST_OK) {
        (void)fprintf(stderr, "%s\n", err.text[0] != '\0' ? err.text : status_text(st));
        goto out;
    }
    if (o->json) {
        print_json(to, name, &h, &v, wall_ns);
    } else {
        print_text(to, name, &h, &v, o);
    }
    code = code_of(v.result);
    if (o->html != NULL && !write_page(o->html, name, &h, &v)) {
        code = 3;
    }
out:
    lin_verdict_release(&v);
    lin_history_release(&h);
    return code;
}

/* ---- several files ---- */

/* A history that is not linearizable outweighs a file that could not be decided. */
static int worse(int a, int b)
{
    return a == 1 || b == 1 ? 1 : a > b ? a : b;
}

struct worker {
    pid_t pid;
    FILE *from;
};

static bool start_worker(struct worker *w, const char *name, const struct options *o)
{
    int ends[2];
    if (pipe(ends) != 0) {
        return false;
    }
    (void)fflush(stdout);
    w->pid = fork();
    if (w->pid == 0) {
        (void)close(ends[0]);
        FILE *to = fdopen(ends[1], "w");
        int code = to != NULL ? check_file(to, name, o) : 3;
        _exit(to != NULL && fclose(to) == 0 ? code : 3);
    }
    (void)close(ends[1]);
    w->from = w->pid > 0 ? fdopen(ends[0], "r") : NULL;
    if (w->from == NULL) {
        (void)close(ends[0]);
    }
    return w->from != NULL;
}

static int finish_worker(struct worker *w)
{
    char piece[8192];
    size_t n;
    int how = 0;
    while ((n = fread(piece, 1, sizeof piece, w->from)) > 0) {
        (void)fwrite(piece, 1, n, stdout);
    }
    (void)fclose(w->from);
    while (waitpid(w->pid, &how, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(how) ? WEXITSTATUS(how) : 3;
}

/* Results come in the order of the files; at most o->jobs are being checked at a time. */
static int check_parallel(const struct options *o)
{
    struct worker *workers = calloc((size_t)o->file_count, sizeof *workers);
    if (workers == NULL) {
        return 3;
    }
    int code = 0;
    int started = 0;
    for (int i = 0; i < o->file_count; i++) {
        while (started < o->file_count && started < i + o->jobs) {
            if (!start_worker(&workers[started], o->files[started], o)) {
                (void)fprintf(stderr, "%s: %s\n", o->files[started], strerror(errno));
                code = worse(code, 3);
            }
            started++;
        }
        code = workers[i].from != NULL ? worse(code, finish_worker(&workers[i])) : code;
    }
    free(workers);
    return code;
}

static bool is_large(const struct options *o)
{
    uint64_t sum = 0;
    for (int i = 0; i < o->file_count; i++) {
        struct stat s;
        sum += stat(o->files[i], &s) == 0 ? (uint64_t)s.st_size : 0;
    }
    return sum >= PARALLEL_BYTES;
}

/* ---- options ---- */

static int usage(const struct options *o, const char *what)
{
    if (what != NULL) {
        (void)fprintf(stderr, "%s: %s\n", o->name, what);
    }
    (void)fprintf(
        what != NULL ? stderr : stdout,
        "usage: %s [options] FILE...        (- is standard input)\n"
        "Says of each history whether it is linearizable, and if not, why.\n"
        "  --format jsonl|porcupine|edn   what the files are (jsonl)\n"
        "  --init KEY=VALUE   first value of a key (logs do not say it); may be repeated\n"
        "  --explain          also the operations around, and how the answer was found\n"
        "  --html PAGE        write a picture of the (only) file to PAGE\n"
        "  --json             one JSON object a file\n"
        "  --budget STEPS     search steps before \"unknown\" (50000000)\n"
        "  --memory BYTES     memory for the search, with K, M or G (1G)\n"
        "  --jobs N           files checked at a time (as many as there are processors)\n"
        "  --quiet            no progress on standard error\n"
        "exit: 0 all linearizable, 1 one is not, 2 bad usage, 3 unreadable, damaged or unknown\n",
        o->name);
    return what != NULL ? 2 : 0;
}

static bool read_number(const char *text, bool units, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    const char *unit = *end != '\0' ? strchr("KMG", *end) : NULL;
    if (units && unit != NULL && end[1] == '\0') {
        *out <<= *unit == 'K' ? 10 : *unit == 'M' ? 20 : 30;
        end++;
    }
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *out > 0;
}

static bool read_format(const char *text, int *format)
{
    bool edn = strcmp(text, "edn") == 0;
    bool porcupine = strcmp(text, "porcupine") == 0;
    *format = edn ? LIN_EDN : porcupine ? LIN_PORCUPINE : -1;
    return edn || porcupine || strcmp(text, "jsonl") == 0;
}

/* An option with a value; returns what is wrong with it, or NULL. */
static const char *take_value(struct options *o, const char *option, char *value)
{
    uint64_t n;
    if (strcmp(option, "--format") == 0) {
        return read_format(value, &o->format) ? NULL : "--format is jsonl, porcupine or edn";
    }
    if (strcmp(option, "--budget") == 0) {
        return read_number(value, false, &o->limits.steps) ? NULL : "--budget needs a number";
    }
    if (strcmp(option, "--memory") == 0) {
        bool good = read_number(value, true, &n);
        o->limits.memory = good ? (size_t)n : 0;
        return good ? NULL : "--memory needs a number of bytes, with K, M or G";
    }
    if (strcmp(option, "--jobs") == 0) {
        bool good = read_number(value, false, &n) && n < 1024;
        o->jobs = good ? (long)n : 1;
        return good ? NULL : "--jobs needs a number";
    }
    if (strcmp(option, "--html") == 0) {
        o->html = value;
        return NULL;
    }
    if (strcmp(option, "--init") == 0) {
        if (strchr(value, '=') == NULL || o->init_count == 16) {
            return "--init needs KEY=VALUE";
        }
        o->init[o->init_count++] = value;
        return NULL;
    }
    return "unknown option";
}

static const char *read_options(struct options *o, int argc, char **argv)
{
    bool only_files = false;
    for (int i = 1; i < argc; i++) {
        char *a = argv[i];
        if (only_files || a[0] != '-' || a[1] == '\0') {
            o->files[o->file_count++] = a;
        } else if (strcmp(a, "--") == 0) {
            only_files = true;
        } else if (strcmp(a, "--json") == 0) {
            o->json = true;
        } else if (strcmp(a, "--explain") == 0) {
            o->explain = true;
        } else if (strcmp(a, "--quiet") == 0) {
            o->progress = false;
        } else if (i + 1 == argc) {
            return "unknown option, or one that needs a value";
        } else {
            const char *wrong = take_value(o, a, argv[++i]);
            if (wrong != NULL) {
                return wrong;
            }
        }
    }
    if (o->file_count == 0) {
        return "no file is named";
    }
    return o->html != NULL && o->file_count > 1 ? "--html draws one file" : NULL;
}

int lin_tool_main(int argc, char **argv)
{
    struct options o = {.name = argv[0], .format = -1};
    o.progress = isatty(STDERR_FILENO) != 0;
    o.jobs = sysconf(_SC_NPROCESSORS_ONLN);
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        return usage(&o, NULL);
    }
    o.files = calloc((size_t)argc + 1, sizeof *o.files);
    if (o.files == NULL) {
        return 3;
    }
    const char *wrong = read_options(&o, argc, argv);
    int code = 0;
    if (wrong != NULL) {
        code = usage(&o, wrong);
    } else if (o.file_count > 1 && o.jobs > 1 && is_large(&o)) {
        o.progress = false;
        code = check_parallel(&o);
    } else {
        for (int i = 0; i < o.file_count; i++) {
            code = worse(code, check_file(stdout, o.files[i], &o));
        }
    }
    free(o.files);
    return fflush(stdout) == 0 ? code : 3;
}
