/* main.c - the production program: node_main in the real world. */
#include "env/env_posix.h"
#include "node/node.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    struct env *env;
    enum status st = env_posix_new(NULL, &env);
    if (st != ST_OK) {
        (void)fprintf(stderr, "tinykv: cannot start: %s\n", status_text(st)); /* last words */
        return 1;
    }
    env_posix_catch_signals(env);
    int code = node_main(env, argc, argv);
    env_posix_free(env);
    return code;
}
