/* raftlog_erase.c - see raftlog.h: removes a log. */
#include "raft/raftlog_open.h"

static enum status file_remove(struct env *env, const char *dir, const char *name)
{
    char path[ENV_PATH_MAX];
    raftlogfmt_path_of(path, dir, name);
    enum status st = env_path_remove(env, path);
    return st == ST_NOENT ? ST_OK : st;
}

/* A durable note that what is here is no log any more. */
static enum status note_make(struct env *env, const char *dir)
{
    char path[ENV_PATH_MAX];
    int fd;
    raftlogfmt_path_of(path, dir, RAFTLOGFMT_ERASE);
    enum status st = env_file_open(env, path, ENV_WRITE | ENV_CREATE, &fd);
    if (st != ST_OK) {
        return st;
    }
    (void)env_fd_close(env, fd); /* the name is what counts */
    return env_dir_sync(env, dir);
}

static enum status all_remove(struct env *env, const char *dir, const struct raftlog_dir *d)
{
    enum status st = note_make(env, dir);
    for (size_t i = 0; i < d->count && st == ST_OK; i++) {
        char path[ENV_PATH_MAX];
        raftlogfmt_path(path, dir, d->numbers[i]);
        st = env_path_remove(env, path);
        st = st == ST_NOENT ? ST_OK : st;
    }
    if (st == ST_OK) {
        st = file_remove(env, dir, RAFTLOGFMT_ID);
    }
    if (st == ST_OK) {
        st = file_remove(env, dir, RAFTLOGFMT_TMP);
    }
    if (st == ST_OK) {
        st = env_dir_sync(env, dir);
    }
    if (st == ST_OK) {
        st = file_remove(env, dir, RAFTLOGFMT_ERASE);
    }
    return st == ST_OK ? env_dir_sync(env, dir) : st;
}

enum status raftlog_erase(struct env *env, const char *dir, struct err *err)
{
    struct raftlog_dir d;
    enum status st = raftlog_open_list(env, dir, &d);
    if (st == ST_OK && (d.count > 0 || d.owned || d.making || d.erasing)) {
        st = all_remove(env, dir, &d);
    }
    raftlog_open_unlist(env, &d);
    st = st == ST_NOENT ? ST_OK : st;
    return st == ST_OK ? ST_OK : err_status(err, st, dir);
}
