/* raftlog_create.c - see raftlog.h: a new log. */
#include "raft/raftlog_open.h"

#include "base/ck.h"
#include "env/fullio.h"
#include "env/newdir.h"

/* Writes raft.id under another name, and renames it: from then on there is a log. */
static enum status owner_write(struct env *env, const char *dir,
                               const struct raftlog_identity *identity)
{
    char tmp[ENV_PATH_MAX];
    char path[ENV_PATH_MAX];
    int fd;
    size_t put;
    struct raftlogfmt_block b = {.kind = RAFTLOGFMT_OWNER, .identity = *identity};
    raftlogfmt_path_of(tmp, dir, RAFTLOGFMT_TMP);
    raftlogfmt_path_of(path, dir, RAFTLOGFMT_ID);
    char *page = env_alloc(env, RAFTLOGFMT_PAGE);
    if (page == NULL) {
        return ST_NOMEM;
    }
    enum status st = env_file_open(env, tmp, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &fd);
    if (st != ST_OK) {
        env_release(env, page);
        return st;
    }
    for (uint64_t at = 0; at < 2 * RAFTLOGFMT_PAGE && st == ST_OK; at += RAFTLOGFMT_PAGE) {
        raftlogfmt_put_block(false, page, &b, at);
        st = fullio_pwrite(env, fd, page, RAFTLOGFMT_PAGE, at, &put);
    }
    if (st == ST_OK) {
        st = env_file_sync(env, fd);
    }
    (void)env_fd_close(env, fd); /* it was synced, or it does not count */
    env_release(env, page);
    if (st == ST_OK) {
        st = env_path_rename(env, tmp, path);
    }
    return st == ST_OK ? env_dir_sync(env, dir) : st;
}

/* Only what a creation leaves may be in the way: the first segment, and no owner. */
static enum status way_clear(struct env *env, const char *dir, struct err *err)
{
    struct raftlog_dir d;
    enum status st = raftlog_open_list(env, dir, &d);
    bool there = d.owned && !d.erasing;
    for (size_t i = 0; i < d.count && !d.erasing; i++) {
        there = there || d.numbers[i] > 1;
    }
    raftlog_open_unlist(env, &d);
    if (st != ST_OK) {
        return err_status(err, st, dir);
    }
    if (there) {
        err_set(err, "%s: there is a log already", dir);
        return ST_EXIST;
    }
    return raftlog_erase(env, dir, err);
}

static enum status first_write(struct raftlog *log, const struct raftlog_snapshot *first)
{
    struct raftlogfmt_block b = {.kind = RAFTLOGFMT_HEADER};
    raftstate_snapshot(&log->state, &first->place, first->config, false, 0);
    log->state.cut_from = 0;
    raftstate_tell(&log->state, &b);
    log->floor = 1;
    b.info.floor = 1;
    raftseg_remember(&log->seg, &b);
    log->seg.chained = true;
    log->seg.next_number = 1;
    raftstage_restart(&log->stage, first->place.index + 1);
    enum status st = raftlog_reserve(log, 0, 0, 0);
    if (st != ST_OK) {
        return st;
    }
    raftlog_group(log, 0, 0);
    struct raftstage_group *g = log->stage.filling;
    raftlog_close_group(log);
    return raftlog_sync_group(log, g, true);
}

enum status raftlog_create(struct env *env, const char *dir, const struct raftlog_options *options,
                           const struct raftlog_identity *identity,
                           const struct raftlog_snapshot *first, struct err *err)
{
    struct raftlog_options o;
    struct raftlog *log;
    CK(first->config.size > 0);
    CK(first->config.size <= RAFTLOG_CONFIG_MAX);
    if (raftlog_defaults(options, &o) != ST_OK || strlen(dir) > ENV_PATH_MAX - RAFTLOGFMT_NAME) {
        err_set(err, "the log's options or its path are out of range");
        return ST_INVAL;
    }
    enum status st = newdir_make(env, dir);
    if (st != ST_OK) {
        return err_status(err, st, dir);
    }
    st = way_clear(env, dir, err);
    if (st != ST_OK) {
        return st;
    }
    st = raftlog_make(env, dir, &o, identity, &log);
    if (st != ST_OK) {
        return err_status(err, st, dir);
    }
    st = first_write(log, first);
    raftlog_drop(log);
    if (st == ST_OK) {
        st = owner_write(env, dir, identity);
    }
    return st == ST_OK ? ST_OK : err_status(err, st, dir);
}
