/* tkv_env.c - the real world for programs that use the installed library: see tkv.h.
 *
 * Not part of the engine proper, which sees no world but the Env that it is given. */
#include "engine/tkv.h"
#include "env/env_posix.h"

enum tkv_status tkv_env_new(struct env **env)
{
    struct env_posix_options options = {.log_least = ENV_LOG_WARN};
    enum status st = env_posix_new(&options, env);
    return st == ST_OK || st == ST_NOMEM ? (enum tkv_status)st : TKV_IO;
}

void tkv_env_free(struct env *env)
{
    env_posix_free(env);
}
