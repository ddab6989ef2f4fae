/* talker.c - see talker.h. */
#include "tests/sim/talker.h"

#define MS 1000000u

static uint64_t now_of(struct env *env)
{
    return proc_of(env)->world->sched.now;
}

/* Waits until fd is ready or that virtual time; a wait is in the host's own time. */
static enum status wait_until(struct env *env, int poller, int fd, unsigned interest, uint64_t when)
{
    struct env_event ev[4];
    int n = 0;
    uint64_t now = now_of(env);
    uint64_t mono =
        when == ENV_NEVER ? ENV_NEVER : env_clock_mono(env) + (when > now ? when - now : 0);
    enum status st = env_poller_set(env, poller, fd, interest, 1);
    return st == ST_OK ? env_poller_wait(env, poller, ev, 4, mono, &n) : st;
}

static uint64_t end_of(const struct talker *t)
{
    return t->end_ms == 0 ? ENV_NEVER : t->end_ms * MS;
}

static struct env_addr address(const struct host *h, uint16_t port)
{
    struct env_addr a = {.family = 4, .port = port != 0 ? port : 4000};
    if (h != NULL) {
        a.ip[0] = 10;
        a.ip[1] = (uint8_t)(h->address >> 16);
        a.ip[2] = (uint8_t)(h->address >> 8);
        a.ip[3] = (uint8_t)h->address;
    }
    return a;
}

static enum status options(struct talker *t, struct env *env, int fd)
{
    enum status st = ST_OK;
    if (t->user_timeout_ms > 0) {
        st = env_sock_option(env, fd, ENV_OPT_USER_TIMEOUT_MS, t->user_timeout_ms);
    }
    if (st == ST_OK && t->keepalive_s > 0) {
        st = env_sock_option(env, fd, ENV_OPT_KEEPALIVE_S, t->keepalive_s);
    }
    return st;
}

static enum status dial(struct talker *t, struct env *env, int poller, int *fd)
{
    struct env_addr to = address(t->peer, t->port);
    enum status st = env_sock_connect(env, &to, fd);
    if (st != ST_INPROGRESS) {
        return st;
    }
    st = options(t, env, *fd);
    if (st == ST_OK) {
        st = wait_until(env, poller, *fd, ENV_OUT, end_of(t));
    }
    if (st == ST_OK && now_of(env) >= end_of(t)) {
        return ST_AGAIN;
    }
    return st == ST_OK ? env_sock_error(env, *fd) : st;
}

static enum status answer(struct talker *t, struct env *env, int poller, int *fd)
{
    struct env_addr at = address(NULL, t->port);
    int listener;
    enum status st = env_sock_listen(env, &at, t->backlog != 0 ? t->backlog : 8, &listener);
    while (st == ST_OK) {
        st = t->hold ? ST_AGAIN : env_sock_accept(env, listener, fd, NULL);
        if (st != ST_AGAIN) {
            break;
        }
        if (now_of(env) >= end_of(t)) {
            return ST_AGAIN;
        }
        st = wait_until(env, poller, listener, t->hold ? 0 : ENV_IN, end_of(t));
    }
    (void)env_fd_close(env, listener);
    return st == ST_OK ? options(t, env, *fd) : st;
}

/* Byte i of what the side that connected says, or the other. */
static char byte_at(bool connects, uint64_t i)
{
    return (char)(connects ? 'a' + i % 26 : 'A' + i % 26);
}

static void note(struct talker *t, uint64_t now, const char *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        t->wrong += data[i] != byte_at(t->peer == NULL, t->heard + i);
    }
    t->first_at = t->heard == 0 ? now : t->first_at;
    t->last_at = now;
    t->heard += bytes;
    if (t->entries < TALKER_HEARD_MAX) {
        t->diary[t->entries].at = now;
        t->diary[t->entries++].bytes = bytes;
    }
}

static enum status listen_to(struct talker *t, struct env *env, int fd)
{
    char piece[4096];
    size_t got;
    enum status st;
    while ((st = env_sock_read(env, fd, piece, sizeof piece, &got)) == ST_OK) {
        if (got == 0) {
            t->eof = true;
            return ST_STOPPED;
        }
        note(t, now_of(env), piece, got);
    }
    return st == ST_AGAIN || st == ST_INTR ? ST_OK : st;
}

/* Says what is left of the present word. */
static enum status say(struct talker *t, struct env *env, int fd, size_t *left)
{
    char piece[4096];
    while (*left > 0) {
        size_t n = *left < sizeof piece ? *left : sizeof piece;
        size_t put;
        for (size_t i = 0; i < n; i++) {
            piece[i] = byte_at(t->peer != NULL, t->said + i);
        }
        struct env_slice part = {piece, n};
        enum status st = env_sock_write(env, fd, &part, 1, &put);
        if (st != ST_OK) {
            return st == ST_AGAIN || st == ST_INTR ? ST_OK : st;
        }
        t->said += put;
        *left -= put;
    }
    return ST_OK;
}

static enum status talk(struct talker *t, struct env *env, int poller, int fd)
{
    uint64_t next = now_of(env);
    uint64_t words = 0;
    size_t left = 0;
    enum status st = ST_OK;
    while (st == ST_OK && now_of(env) < end_of(t)) {
        bool more = t->size > 0 && (t->words == 0 || words < t->words);
        if (more && left == 0 && now_of(env) >= next) {
            left = t->size;
            next = now_of(env) + t->gap_ms * MS;
            words++;
        }
        st = say(t, env, fd, &left);
        if (st == ST_OK && !t->deaf) {
            st = listen_to(t, env, fd);
        }
        if (st == ST_OK) {
            uint64_t until = more && left == 0 && next < end_of(t) ? next : end_of(t);
            unsigned interest = (t->deaf ? 0 : ENV_IN) | (left > 0 ? ENV_OUT : 0);
            st = wait_until(env, poller, fd, interest, until);
            st = st == ST_INTR ? ST_OK : st;
        }
    }
    return st;
}

int talker_main(struct env *env, int argc, char **argv)
{
    struct talker *t = proc_of(env)->user;
    int poller, fd = -1;
    (void)argc;
    (void)argv;
    t->proc = proc_of(env);
    t->connected = ST_AGAIN;
    if (env_poller_open(env, &poller) != ST_OK) {
        return 1;
    }
    if (t->start_ms > 0) {
        env_sleep_until(env, env_clock_mono(env) + t->start_ms * MS);
    }
    t->connected = t->peer != NULL ? dial(t, env, poller, &fd) : answer(t, env, poller, &fd);
    t->connected_at = now_of(env);
    t->end = t->connected == ST_OK ? talk(t, env, poller, fd) : t->connected;
    t->end = t->end == ST_STOPPED ? ST_OK : t->end;
    t->ended_at = now_of(env);
    (void)env_fd_close(env, fd);
    (void)env_fd_close(env, poller);
    return 0;
}

uint64_t talker_heard(const struct talker *t, uint64_t from_ms, uint64_t to_ms)
{
    uint64_t n = 0;
    for (size_t i = 0; i < t->entries; i++) {
        bool in = t->diary[i].at >= from_ms * MS && t->diary[i].at < to_ms * MS;
        n += in ? t->diary[i].bytes : 0;
    }
    return n;
}
