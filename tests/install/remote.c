/* remote.c - the program of docs/client.md: outside the tree, it sees tkvc.h and nothing else.
 *
 *     remote ADDR:PORT[,ADDR:PORT…] */
#include <stdio.h>
#include <tkvc.h>

static bool print(void *arg, const void *key, size_t key_size, const void *value, size_t value_size)
{
    (void)arg;
    printf("%.*s = %.*s\n", (int)key_size, (const char *)key, (int)value_size, (const char *)value);
    return true;
}

int main(int argc, char **argv)
{
    struct env *env;
    struct tkvc *c;
    struct tkvc_options o;
    struct tkvc_error error;
    struct tkvc_result r;
    if (argc != 2 || tkvc_env_new(&env) != TKVC_OPENED) {
        return 2;
    }
    tkvc_options_init(&o);
    o.env = env;
    o.nodes = argv[1];
    o.once = true;
    if (tkvc_open(&o, &c, &error) != TKVC_OPENED) {
        fprintf(stderr, "%s\n", error.text);
        return 2;
    }
    enum tkvc_outcome last = tkvc_put(c, "hello", 5, "world", 5, &r);
    for (int i = 0; last == TKVC_DONE && i < 3; i++) {
        last = tkvc_incr(c, "visits", 6, 1, &r);
    }
    if (last == TKVC_DONE) {
        last = tkvc_scan(c, "a", 1, NULL, 0, print, NULL, &r);
    }
    if (last != TKVC_DONE) {
        fprintf(stderr, "%s: %s\n", last == TKVC_UNKNOWN ? "unknown" : "not done", r.message);
    }
    tkvc_close(c);
    tkvc_env_free(env);
    return last != TKVC_DONE;
}
