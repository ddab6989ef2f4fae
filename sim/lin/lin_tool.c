/* lin_tool.c - see lin_tool.h. */
#include "sim/lin/lin_tool.h"

#include "base/json.h"
#include "sim/lin/lin_rec.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static enum status read_file(struct lin_history *h, const char *name, struct err *err)
{
    FILE *f = fopen(name, "rb");
    if (f == NULL) {
        err_set(err, "%s: cannot be opened", name);
        return ST_IO;
    }
    struct lin_jsonl r;
    lin_jsonl_init(&r, h, name);
    enum status st = ST_OK;
    static char piece[1 << 18];
    size_t n;
    while (st == ST_OK && (n = fread(piece, 1, sizeof piece, f)) > 0) {
        st = lin_jsonl_feed(&r, slice_of(piece, n), err);
    }
    if (st == ST_OK && ferror(f) != 0) {
        err_set(err, "%s: cannot be read", name);
        st = ST_IO;
    }
    if (st == ST_OK) {
        st = lin_jsonl_end(&r, err);
    }
    lin_jsonl_release(&r);
    (void)fclose(f);
    return st;
}

static void print_json(const char *name, const struct lin_history *h, const struct lin_verdict *v,
                       uint64_t wall_ns, struct mem *mem)
{
    struct buf out;
    struct json j;
    buf_init(&out, mem);
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
    json_text(&j, "text", v->text);
    json_object_end(&j);
    printf("%.*s\n", (int)out.size, out.data);
    buf_release(&out);
}

static int check_file(const char *name, bool json, struct mem *mem)
{
    struct lin_history h;
    struct lin_verdict v = {0};
    struct err err = {""};
    int code = 3;
    lin_history_init(&h, mem);
    enum status st = read_file(&h, name, &err);
    uint64_t start = now_ns();
    if (st == ST_OK) {
        st = lin_check(&h, NULL, &v);
    }
    if (st != ST_OK) {
        fprintf(stderr, "%s\n", err.text[0] != '\0' ? err.text : status_text(st));
        goto out;
    }
    if (json) {
        print_json(name, &h, &v, now_ns() - start, mem);
    } else {
        printf("%s: %s\n", name, v.text);
    }
    code = v.result == LIN_LINEARIZABLE ? 0 : v.result == LIN_NON_LINEARIZABLE ? 1 : 3;
out:
    lin_verdict_release(&v);
    lin_history_release(&h);
    return code;
}

int lin_tool_main(int argc, char **argv)
{
    struct mem mem = {heap_alloc, heap_resize, heap_release};
    bool json = false;
    int files = 0;
    int code = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (argv[i][0] == '-') {
            fprintf(stderr, "%s: unknown option %s\n", argv[0], argv[i]);
            return 2;
        } else {
            files++;
        }
    }
    if (files == 0) {
        fprintf(stderr, "usage: %s [--json] FILE…\n", argv[0]);
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-') {
            int c = check_file(argv[i], json, &mem);
            code = code == 1 || c == 0 ? code : c;
        }
    }
    return code;
}
