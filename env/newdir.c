/* newdir.c - see newdir.h. */
#include "env/newdir.h"

#include <string.h>

enum status newdir_make(struct env *env, const char *dir)
{
    char above[ENV_PATH_MAX] = ".";
    const char *slash = strrchr(dir, '/');
    size_t size = slash != NULL ? (size_t)(slash - dir) : 0;
    if (strlen(dir) >= sizeof above) {
        return ST_NAMETOOLONG;
    }
    if (slash != NULL) {
        memcpy(above, size > 0 ? dir : "/", size > 0 ? size : 1);
        above[size > 0 ? size : 1] = '\0';
    }
    enum status st = env_dir_make(env, dir);
    return st == ST_OK || st == ST_EXIST ? env_dir_sync(env, above) : st;
}
