/* pbtool.c - our codec as a program, for tests that compare it with something else.
 *
 *     pbtool tables             one line a field: message, name, number, kind, label, sub-message
 *     pbtool random SEED COUNT  random messages; for each: its name, its bytes, its dump
 *     pbtool exchange           reads pairs of a message's name and bytes from stdin; for each:
 * "ok", the bytes that our encoder makes of it, its dump; or the status, the name of the fault, and
 * the text of the error
 *
 * Every string is a u32 with its size, little-endian, and its bytes. */
#include "base/ck.h"
#include "base/code.h"
#include "net/pbdec.h"
#include "net/pbenc.h"
#include "net/pbmsg.h"
#include "net/peermsg.h"
#include "tests/net/pbdump.h"
#include "tests/net/pbrandom.h"
#include "tests/net/pbtest.h"
#include "tests/net/testmem.h"

#include <stdio.h>
#include <stdlib.h>

static const struct pb_table *const roots[] = {&pbmsg_request_table, &pbmsg_response_table,
                                               &peermsg_table,       &pbtest_kinds_table,
                                               &pbtest_tree_table,   &pbtest_old_table};

#define ROOT_COUNT (sizeof roots / sizeof *roots)

struct tool {
    struct testmem memory;
    struct pbarena arena;
    struct buf name;
    struct buf bytes;
    struct buf dump;
    void *message;
};

static void string_write(struct slice s)
{
    unsigned char size[4];
    code_put32(size, (uint32_t)s.size);
    CK(fwrite(size, 1, sizeof size, stdout) == sizeof size);
    CK(s.size == 0 || fwrite(s.data, 1, s.size, stdout) == s.size);
}

/* False at the end of the input. */
static bool string_read(struct buf *out)
{
    unsigned char head[4];
    size_t got = fread(head, 1, sizeof head, stdin);
    if (got == 0) {
        return false;
    }
    CK(got == sizeof head);
    size_t size = code_get32(head);
    buf_clear(out);
    CK(buf_reserve(out, size + 1) == ST_OK);
    CK(fread(out->data, 1, size, stdin) == size);
    out->size = size;
    return true;
}

static void write_message(struct tool *t, const struct pb_table *table)
{
    buf_clear(&t->bytes);
    buf_clear(&t->dump);
    CK(pbenc_append(table, t->message, &t->bytes) == ST_OK);
    CK(pbdump(&t->dump, table, t->message) == ST_OK);
    string_write(buf_slice(&t->bytes));
    string_write(buf_slice(&t->dump));
}

static void random_messages(struct tool *t, uint64_t seed, unsigned long count)
{
    struct prng g = {seed};
    for (unsigned long i = 0; i < count; i++) {
        const struct pb_table *table = roots[i % ROOT_COUNT];
        pbarena_reset(&t->arena);
        CK(pbrandom(&g, table, &t->arena, t->message) == ST_OK);
        string_write(slice_text(table->name));
        write_message(t, table);
    }
}

static const struct pb_table *root_find(struct slice name)
{
    for (size_t i = 0; i < ROOT_COUNT; i++) {
        if (slice_equal(name, slice_text(roots[i]->name))) {
            return roots[i];
        }
    }
    return NULL;
}

static void exchange(struct tool *t)
{
    struct buf in;
    buf_init(&in, &t->memory.mem);
    while (string_read(&t->name)) {
        const struct pb_table *table = root_find(buf_slice(&t->name));
        struct pbdec_error error;
        struct err text = {""};
        CK(table != NULL);
        CK(string_read(&in));
        pbarena_reset(&t->arena);
        enum status st = pbdec_read(table, buf_slice(&in), &t->arena, t->message, &error);
        if (st == ST_OK) {
            string_write(slice_text("ok"));
            write_message(t, table);
        } else {
            pbdec_error_text(table, &error, &text);
            string_write(slice_text(status_name(st)));
            string_write(slice_text(pbdec_fault_text(error.fault)));
            string_write(slice_text(text.text));
        }
    }
    buf_release(&in);
}

/* ---- tables ---- */

#define SEEN_MAX 200

struct seen {
    const struct pb_table *tables[SEEN_MAX];
    uint32_t count;
};

static void table_see(struct seen *seen, const struct pb_table *t)
{
    for (uint32_t i = 0; i < seen->count; i++) {
        if (seen->tables[i] == t) {
            return;
        }
    }
    CK(seen->count < SEEN_MAX);
    seen->tables[seen->count++] = t;
}

static void tables_print(void)
{
    static const char *const kinds[PB_KINDS] = {
        "",        "int32",    "int64",    "uint32", "uint64", "sint32", "sint64", "fixed32",
        "fixed64", "sfixed32", "sfixed64", "bool",   "enum",   "string", "bytes",  "message"};
    static const char *const labels[] = {"", "plain", "optional", "oneof", "repeated"};
    struct seen seen = {.count = 0};
    for (size_t i = 0; i < ROOT_COUNT; i++) {
        table_see(&seen, roots[i]);
    }
    for (uint32_t i = 0; i < seen.count; i++) {
        const struct pb_table *t = seen.tables[i];
        printf("%s\n", t->name);
        for (uint32_t n = 0; n < t->count; n++) {
            const struct pb_field *f = &t->fields[n];
            printf("%s %s %u %s %s %s\n", t->name, f->name, f->number, kinds[f->kind],
                   labels[f->label], f->sub != NULL ? f->sub->name : "-");
            if (f->sub != NULL) {
                table_see(&seen, f->sub);
            }
        }
    }
}

static size_t message_size_max(void)
{
    size_t most = 0;
    for (size_t i = 0; i < ROOT_COUNT; i++) {
        most = roots[i]->size > most ? roots[i]->size : most;
    }
    return most;
}

int main(int argc, char **argv)
{
    struct tool t = {.memory = TESTMEM()};
    struct mem *mem = &t.memory.mem;
    CK(argc > 1);
    pbarena_init(&t.arena, mem, 64u << 20, 1u << 20);
    buf_init(&t.name, mem);
    buf_init(&t.bytes, mem);
    buf_init(&t.dump, mem);
    t.message = mem_alloc(mem, message_size_max());
    CK(t.message != NULL);
    if (strcmp(argv[1], "tables") == 0) {
        tables_print();
    } else if (strcmp(argv[1], "random") == 0 && argc == 4) {
        random_messages(&t, strtoull(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
    } else {
        CK(strcmp(argv[1], "exchange") == 0);
        exchange(&t);
    }
    mem_release(mem, t.message);
    buf_release(&t.name);
    buf_release(&t.bytes);
    buf_release(&t.dump);
    pbarena_release(&t.arena);
    CK(t.memory.live == 0);
    return fflush(stdout) == 0 ? 0 : 3;
}
