/* envscript_make.c - what a random script holds; see envscript.h. */
#include "base/prng.h"
#include "tests/env/envscript.h"

#include <string.h>

enum kind { KIND_NONE, KIND_FILE, KIND_LISTENER, KIND_CONN, KIND_POLLER };

/* While a script is made: what each slot will hold if every call works. */
struct maker {
    struct envscript *s;
    struct prng g;
    enum kind kind[ENVSCRIPT_SLOTS];
    bool stopped;
};

static const char long_name[] = /* 256 bytes, one too many */
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static const char *const paths[] = {
    "a", "a", "b", "b", "c", "d", "d", "d/x", "d/x", "d/y", "e", "e/z", "d/e", "d/e/w",
};

static const char *const odd_paths[] = {
    ".",      "",          "a/",    "d/",    "d//x",    "./a",   "d/../a",
    "a/x",    "nope/x",    "d/.",   "d/..",  long_name, "a/.",   "a/..",
    "b/../a", "nope/../a", "d/x/y", "e/./z", ".hidden", "a/x/y", "d/nope/..",
};

static uint64_t below(struct maker *m, uint64_t n)
{
    return prng_below(&m->g, n);
}

static const char *a_path(struct maker *m)
{
    bool odd = below(m, 12) == 0;
    return odd ? odd_paths[below(m, sizeof odd_paths / sizeof *odd_paths)]
               : paths[below(m, sizeof paths / sizeof *paths)];
}

/* A slot of that kind, or now and then any; any too where there is none. */
static int a_slot(struct maker *m, enum kind kind)
{
    int from = (int)below(m, ENVSCRIPT_SLOTS);
    for (int i = 0; i < ENVSCRIPT_SLOTS && below(m, 40) > 0; i++) {
        int at = (from + i) % ENVSCRIPT_SLOTS;
        if (m->kind[at] == kind) {
            return at;
        }
    }
    return from;
}

static int free_slot(struct maker *m)
{
    for (int i = 0; i < ENVSCRIPT_SLOTS; i++) {
        if (m->kind[i] == KIND_NONE) {
            return i;
        }
    }
    return -1;
}

static struct envscript_call *push(struct maker *m, enum envscript_code code)
{
    struct envscript_call *c = &m->s->calls[m->s->count++];
    *c = (struct envscript_call){.code = code, .path = "", .to = ""};
    return c;
}

static bool room(const struct maker *m)
{
    return m->s->count + 4 < ENVSCRIPT_CALLS; /* for the calls that come in groups */
}

static unsigned open_flags(struct maker *m)
{
    static const unsigned usual[] = {
        ENV_READ,
        ENV_READ | ENV_WRITE,
        ENV_READ | ENV_WRITE | ENV_CREATE,
        ENV_READ | ENV_WRITE | ENV_CREATE,
        ENV_READ | ENV_WRITE | ENV_CREATE,
        ENV_WRITE | ENV_CREATE,
        ENV_WRITE | ENV_CREATE | ENV_TRUNCATE,
        ENV_READ | ENV_WRITE | ENV_CREATE | ENV_EXCLUSIVE,
        ENV_WRITE,
    };
    return below(m, 15) == 0 ? (unsigned)below(m, 32)
                             : usual[below(m, sizeof usual / sizeof *usual)];
}

/* A position or size of a file: mostly small, sometimes at an edge, rarely absurd. */
static uint64_t a_size(struct maker *m)
{
    switch (below(m, 12)) {
    case 0:
        return 0;
    case 1:
        return 4096 * below(m, 5);
    case 2:
        return 512 * below(m, 30) + below(m, 3) - (below(m, 2) > 0);
    case 3:
        return below(m, 8) == 0 ? UINT64_MAX - below(m, 2) : below(m, 20000);
    default:
        return below(m, 3000);
    }
}

static void make_open(struct maker *m)
{
    int slot = free_slot(m);
    if (slot < 0) {
        return;
    }
    bool lock = below(m, 8) == 0;
    struct envscript_call *c = push(m, lock ? CALL_LOCK : CALL_OPEN);
    c->a = slot;
    c->path = a_path(m);
    c->flags = open_flags(m);
    m->kind[slot] = KIND_FILE;
}

static void make_close(struct maker *m)
{
    int slot = (int)below(m, ENVSCRIPT_SLOTS);
    push(m, CALL_CLOSE)->a = slot;
    m->kind[slot] = KIND_NONE;
}

static void make_file_call(struct maker *m)
{
    static const enum envscript_code codes[] = {
        CALL_PREAD, CALL_PREAD,    CALL_PWRITE,   CALL_PWRITE,   CALL_APPEND, CALL_APPEND,
        CALL_SYNC,  CALL_DATASYNC, CALL_TRUNCATE, CALL_ALLOCATE, CALL_SIZE,   CALL_WRITEBACK,
    };
    struct envscript_call *c = push(m, codes[below(m, sizeof codes / sizeof *codes)]);
    c->a = a_slot(m, KIND_FILE);
    c->x = a_size(m);
    c->y = c->code == CALL_PREAD || c->code == CALL_PWRITE ? below(m, 9000) : a_size(m);
    if (c->code == CALL_APPEND || below(m, 20) == 0) {
        c->y = below(m, 3) * below(m, 3000);
    }
    c->flags = (unsigned)below(m, 4);
}

static void make_name_call(struct maker *m)
{
    static const enum envscript_code codes[] = {
        CALL_MKDIR,  CALL_MKDIR, CALL_LIST, CALL_DIRSYNC, CALL_STAT,   CALL_STAT,  CALL_RENAME,
        CALL_RENAME, CALL_LINK,  CALL_LINK, CALL_REMOVE,  CALL_REMOVE, CALL_SPACE,
    };
    struct envscript_call *c = push(m, codes[below(m, sizeof codes / sizeof *codes)]);
    c->path = a_path(m);
    c->to = a_path(m);
}

static void make_files(struct maker *m)
{
    uint64_t k = below(m, 20);
    if (k < 4) {
        make_open(m);
    } else if (k < 6) {
        make_close(m);
    } else if (k < 13) {
        make_file_call(m);
    } else {
        make_name_call(m);
    }
}

static void make_listener(struct maker *m)
{
    int slot = free_slot(m);
    if (slot < 0) {
        return;
    }
    bool again = below(m, 5) == 0;
    struct envscript_call *c = push(m, again ? CALL_RELISTEN : CALL_LISTEN);
    c->a = slot;
    c->b = a_slot(m, KIND_LISTENER);
    c->x = below(m, 4) == 0 ? below(m, 3) : 8; /* backlog */
    c->flags = (unsigned)below(m, 2);          /* 127.0.0.1 or any */
    m->kind[slot] = KIND_LISTENER;
}

static void make_connection(struct maker *m)
{
    int slot = free_slot(m);
    int listener = a_slot(m, KIND_LISTENER);
    if (slot < 0) {
        return;
    }
    struct envscript_call *c = push(m, CALL_CONNECT);
    c->a = slot;
    c->b = listener;
    m->kind[slot] = KIND_CONN;
    int other = free_slot(m);
    if (other >= 0 && below(m, 6) > 0) {
        c = push(m, CALL_ACCEPT);
        c->a = other;
        c->b = listener;
        m->kind[other] = KIND_CONN;
    }
}

static void make_accept(struct maker *m)
{
    int slot = free_slot(m);
    if (slot < 0) {
        return;
    }
    struct envscript_call *c = push(m, CALL_ACCEPT);
    c->b = a_slot(m, KIND_LISTENER);
    c->a = slot;
    m->kind[slot] = KIND_CONN;
}

static void make_conn_call(struct maker *m)
{
    static const enum envscript_code codes[] = {
        CALL_SEND,    CALL_SEND,    CALL_SEND,     CALL_SEND,   CALL_RECEIVE, CALL_RECEIVE,
        CALL_RECEIVE, CALL_RECEIVE, CALL_SHUTDOWN, CALL_OPTION, CALL_LOCAL,   CALL_ERROR,
        CALL_SEND,    CALL_RECEIVE, CALL_SHUTDOWN, CALL_FLOOD,
    };
    struct envscript_call *c = push(m, codes[below(m, sizeof codes / sizeof *codes)]);
    c->a = a_slot(m, KIND_CONN);
    c->x = below(m, 10) == 0 ? 0 : 1 + below(m, 2000);
    c->flags = (unsigned)below(m, 6);
    if (c->code == CALL_FLOOD && below(m, 4) > 0) {
        c->code = CALL_SEND; /* it costs a lot */
    }
    if (c->code == CALL_OPTION) {
        /* buffers of a size where Linux and this network agree that nothing much changes */
        c->x = c->flags == ENV_OPT_SEND_BUFFER || c->flags == ENV_OPT_RECEIVE_BUFFER ? 200000 : 100;
        c->y = below(m, 10) == 0; /* negative */
    }
}

static void make_poller_call(struct maker *m)
{
    struct envscript_call *c;
    int slot = free_slot(m);
    bool any = false;
    for (int i = 0; i < ENVSCRIPT_SLOTS; i++) {
        any = any || m->kind[i] == KIND_POLLER;
    }
    uint64_t k = any ? below(m, 12) : 0;
    if (k == 0 && slot >= 0) {
        push(m, CALL_POLLER)->a = slot;
        m->kind[slot] = KIND_POLLER;
    } else if (k < 6) {
        c = push(m, CALL_INTEREST);
        c->a = a_slot(m, KIND_POLLER);
        c->b = a_slot(m, below(m, 4) == 0 ? KIND_LISTENER : KIND_CONN);
        c->flags = below(m, 6) == 0 ? 0 : (unsigned)(ENV_IN + below(m, 3));
        c->flags |= c->flags != 0 && below(m, 2) > 0 ? (unsigned)ENV_EDGE : 0;
    } else if (k < 11) {
        push(m, CALL_POLL)->a = a_slot(m, KIND_POLLER);
    } else if (below(m, 3) > 0 || m->stopped) {
        c = push(m, CALL_WAKE);
        c->a = -1;
        for (int i = 0; i < ENVSCRIPT_SLOTS; i++) { /* waking what is no poller is a bug */
            c->a = m->kind[i] == KIND_POLLER ? i : c->a;
        }
    } else {
        m->stopped = true;
        push(m, CALL_STOP)->a = a_slot(m, KIND_POLLER);
    }
}

static void make_sockets(struct maker *m)
{
    uint64_t k = below(m, 30);
    if (k < 2) {
        make_listener(m);
    } else if (k < 6) {
        make_connection(m);
    } else if (k < 7) {
        make_accept(m);
    } else if (k < 9) {
        make_close(m);
    } else if (k < 20) {
        make_conn_call(m);
    } else {
        make_poller_call(m);
    }
}

void envscript_make(struct envscript *s, uint64_t seed)
{
    struct maker m = {.s = s, .g = {hash_mix(seed)}};
    memset(s, 0, sizeof *s);
    s->seed = seed;
    uint64_t flavour = below(&m, 5); /* files, files, sockets, sockets, both */
    size_t want = 20 + below(&m, ENVSCRIPT_CALLS - 20 - 4);
    if (flavour >= 2) {
        make_listener(&m);
        make_connection(&m);
        make_poller_call(&m);
    }
    while (s->count < want && room(&m)) {
        bool files = flavour < 2 || (flavour == 4 && below(&m, 2) == 0);
        if (files) {
            make_files(&m);
        } else {
            make_sockets(&m);
        }
    }
}
