/* test_trace.c - the rolling hash sees every field, the ring keeps the newest, a line fits. */
#include "sim/simmem.h"
#include "sim/trace.h"
#include "tests/tap.h"

#include <stdbool.h>

static uint64_t hash_of(const struct trace_event *e)
{
    struct trace t;
    trace_init(&t, simmem(), 0);
    trace_add(&t, e);
    uint64_t h = t.hash;
    trace_release(&t);
    return h;
}

static void every_field_counts(void)
{
    const struct trace_event base = {.time = 1, .kind = TRACE_WRITE};
    struct trace_event e[9];
    for (int i = 0; i < 9; i++) {
        e[i] = base;
    }
    e[0].time = 2;
    e[1].proc = 3;
    e[2].task = 3;
    e[3].kind = TRACE_READ;
    e[4].status = 3;
    e[5].a = 3;
    e[6].b = 3;
    e[7].c = 3;
    trace_text(&e[8], "3");
    for (int i = 0; i < 9; i++) {
        EXPECT(hash_of(&e[i]) != hash_of(&base));
        for (int k = 0; k < i; k++) {
            EXPECT(hash_of(&e[i]) != hash_of(&e[k]));
        }
    }
    struct trace_event who = base;
    who.who[0] = 'x';
    EXPECT(hash_of(&who) == hash_of(&base));
}

static void the_ring_keeps_the_newest(void)
{
    struct trace t;
    trace_init(&t, simmem(), 4);
    EXPECT(trace_kept(&t, 0) == NULL);
    for (uint64_t i = 0; i < 10; i++) {
        struct trace_event e = {.time = i, .kind = TRACE_SYNC};
        trace_add(&t, &e);
        EXPECT(trace_kept(&t, 0)->time == (i < 4 ? 0 : i - 3));
        EXPECT(trace_kept(&t, i < 4 ? i : 3)->time == i);
        EXPECT(trace_kept(&t, i < 4 ? i + 1 : 4) == NULL);
    }
    EXPECT(t.events == 10);
    trace_release(&t);
}

static void a_line_fits(void)
{
    struct trace_event e = {.kind = TRACE_WRITE, .a = UINT64_MAX, .b = UINT64_MAX, .status = 1};
    char text[2 * TRACE_TEXT], line[300];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    trace_text(&e, text);
    EXPECT(strnlen(e.text, sizeof e.text) == sizeof e.text - 1);
    for (size_t size = 1; size < sizeof line - 1; size++) {
        memset(line, '#', sizeof line);
        trace_format(&e, line, size);
        EXPECT(strnlen(line, size) < size);
        EXPECT(line[size] == '#');
    }
}

TAP_MAIN(RUN(every_field_counts); RUN(the_ring_keeps_the_newest); RUN(a_line_fits);)
