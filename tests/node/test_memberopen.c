/* test_memberopen.c - a member's data are made, opened again, and refused when they are not this
 * node's; each allocation is refused once, each call to the disk fails once. Real files and
 * threads. What members do together is in test_member.c. */
#include "node/member.h"
#include "node/roster.h"

#include "env/env_posix.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdlib.h>

#define ARGS_MAX 8

struct fix {
    struct tmpdir t;
    struct inject te;
    struct nodeopt opt;
    struct err err;
    char line[256];
};

static void fix_open(struct fix *f)
{
    memset(f, 0, sizeof *f);
    tmpdir_make(&f->t);
    test_env_init(&f->te, f->t.env);
}

static void fix_close(struct fix *f)
{
    EXPECT(f->te.live == 0);
    EXPECT(f->te.descriptors == 0);
    inject_release(&f->te);
    tmpdir_remove(&f->t);
}

/* Opens, starts, stops and closes a member with these arguments, separated by blanks. */
static enum status live(struct fix *f, const char *line)
{
    static char data[] = "--data=d", level[] = "--log-level=error";
    char *argv[ARGS_MAX] = {data, level};
    int argc = 2;
    struct member *m;
    (void)snprintf(f->line, sizeof f->line, "%s", line);
    for (char *at = strtok(f->line, " "); at != NULL && argc < ARGS_MAX; at = strtok(NULL, " ")) {
        argv[argc++] = at;
    }
    f->err.text[0] = '\0';
    EXPECT(nodeopt_parse(&f->opt, argc, argv, &f->err) == ST_OK);
    enum status st = member_open(&f->te.env, &f->opt, &m, &f->err);
    if (st != ST_OK) {
        EXPECT(f->err.text[0] != '\0');
        return st;
    }
    st = member_start(m, &f->err);
    EXPECT(replica_failed(member_replica(m)) == ST_OK);
    member_stop(m);
    enum status closed = member_close(m);
    return st == ST_OK ? closed : st;
}

static bool refused(struct fix *f, const char *line, const char *says)
{
    enum status st = live(f, line);
    bool right = st != ST_OK && strstr(f->err.text, says) != NULL;
    if (!right) {
        printf("# %s: %s: %s\n", line, status_name(st), f->err.text);
    }
    return right;
}

#define THREE "--peers=1=127.0.0.1:1,2=127.0.0.1:2,3=127.0.0.1:3 --peer-listen=127.0.0.1:0"

static void memberopen__a_founder_comes_back(void)
{
    struct fix f;
    struct roster r;
    struct roster again;
    fix_open(&f);
    EXPECT(live(&f, "--id=2 " THREE) == ST_OK);
    EXPECT(roster_load(f.t.env, "d", &r, &f.err) == ST_OK);
    EXPECT(r.founder && r.made && !r.known && r.count == 3);
    EXPECT(r.rows[1].disk == r.disk && r.rows[0].disk == 0 && r.rows[2].disk == 0);
    EXPECT(live(&f, "--id=2 --peers=1=127.0.0.1:1,2=127.0.0.1:9 --peer-listen=127.0.0.1:0") ==
           ST_OK);
    EXPECT(roster_load(f.t.env, "d", &again, &f.err) == ST_OK);
    EXPECT(again.disk == r.disk && again.incarnation == r.incarnation && again.count == 3);
    fix_close(&f);
}

/* Founders agree on the first configuration without having met; joiners are all different. */
static void memberopen__who_is_who(void)
{
    struct roster r[4];
    static const char *const lines[] = {"--id=1 " THREE, "--id=2 " THREE, "--id=4 --join " THREE,
                                        "--id=4 --join " THREE};
    for (int i = 0; i < 4; i++) {
        struct fix f;
        fix_open(&f);
        EXPECT(live(&f, lines[i]) == ST_OK);
        EXPECT(roster_load(f.t.env, "d", &r[i], &f.err) == ST_OK);
        fix_close(&f);
    }
    for (int i = 0; i < 3; i++) {
        EXPECT(r[0].rows[i].incarnation == r[1].rows[i].incarnation);
    }
    EXPECT(r[0].incarnation == r[0].rows[0].incarnation && r[0].incarnation != r[1].incarnation);
    EXPECT(r[0].disk != r[1].disk && r[2].disk != r[3].disk);
    EXPECT(r[2].incarnation != r[3].incarnation && r[2].known && r[2].count == 0);
}

static void memberopen__other_data_are_refused(void)
{
    struct fix f;
    fix_open(&f);
    EXPECT(live(&f, "--id=2 " THREE) == ST_OK);
    EXPECT(refused(&f, "--id=3 " THREE, "--id 3: the data in d are those of node 2"));
    EXPECT(refused(&f, "--id=2 --cluster=b " THREE,
                   "--cluster b: the data in d are those of a "
                   "node of cluster tinykv"));
    EXPECT(refused(&f, "--id=2 --join " THREE,
                   "--join: the data in d are those of node 2, which "
                   "founded its group"));
    tmpdir_clear(&f.t, "d/raft");
    EXPECT(refused(&f, "--id=2 " THREE, "d/raft: the log is missing"));
    fix_close(&f);
}

static void memberopen__a_log_of_another_disk_is_refused(void)
{
    struct fix f;
    fix_open(&f);
    EXPECT(live(&f, "--id=2 " THREE) == ST_OK);
    EXPECT(env_path_rename(f.t.env, "d", "e") == ST_OK);
    EXPECT(live(&f, "--id=2 " THREE) == ST_OK);
    tmpdir_clear(&f.t, "d/raft");
    EXPECT(env_path_rename(f.t.env, "e/raft", "d/raft") == ST_OK);
    EXPECT(refused(&f, "--id=2 " THREE, "another disk of node 2"));
    EXPECT(env_path_remove(f.t.env, "d/roster") == ST_OK);
    EXPECT(refused(&f, "--id=2 " THREE, "holds a log, and no roster"));
    fix_close(&f);
}

static void memberopen__what_is_no_members_is_left_alone(void)
{
    struct fix f;
    int fd;
    fix_open(&f);
    EXPECT(env_dir_make(f.t.env, "d") == ST_OK);
    tmpdir_write(&f.t, "d/CURRENT", "x", 1);
    EXPECT(refused(&f, "--id=1", "holds the data of a node that is not replicated"));
    EXPECT(env_path_remove(f.t.env, "d/CURRENT") == ST_OK);
    EXPECT(env_path_lock(f.t.env, "d/LOCK", &fd) == ST_OK);
    EXPECT(refused(&f, "--id=1", "d is in use by another process"));
    EXPECT(env_fd_close(f.t.env, fd) == ST_OK);
    EXPECT(live(&f, "--id=1") == ST_OK);
    EXPECT(refused(&f, "--id=1 --peer-listen=192.0.2.1:1", "cannot listen for nodes on"));
    fix_close(&f);
}

TAP_MAIN({
    RUN(memberopen__a_founder_comes_back);
    RUN(memberopen__who_is_who);
    RUN(memberopen__other_data_are_refused);
    RUN(memberopen__a_log_of_another_disk_is_refused);
    RUN(memberopen__what_is_no_members_is_left_alone);
})
