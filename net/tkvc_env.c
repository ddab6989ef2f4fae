/* tkvc_env.c - the real world for programs that use the installed library: see tkvc.h. */
#include "env/env_posix.h"
#include "net/tkvc.h"

enum tkvc_opened tkvc_env_new(struct env **env)
{
    struct env_posix_options options = {.log_least = ENV_LOG_WARN};
    enum status st = env_posix_new(&options, env);
    return st == ST_OK ? TKVC_OPENED : st == ST_NOMEM ? TKVC_NO_MEMORY : TKVC_NO_WORLD;
}

void tkvc_env_free(struct env *env)
{
    env_posix_free(env);
}
