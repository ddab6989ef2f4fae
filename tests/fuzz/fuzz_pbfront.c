/* fuzz_pbfront.c - any bytes as frames of a client, through the core and back: each message is
 * answered by one response that can be read, with the message's id, and nothing is left behind. */
#include "base/ck.h"
#include "engine/tkv.h"
#include "net/pbdec.h"
#include "node/core.h"
#include "node/pbfront.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/test_env.h"

#define FRAME_MAX (64u << 10)

struct world {
    struct inject te;
    struct nodeopt opt;
    struct tkv *db;
    struct core *core;
    struct session *session;
    struct pbfront pb;
    struct pbarena arena;
};

static uint64_t clock_still(struct env *e)
{
    (void)e;
    return 1;
}

static uint64_t random_same(struct env *e)
{
    (void)e;
    return 4;
}

static void nothing_mutex(struct env *e, struct env_mutex *m)
{
    (void)e, (void)m;
}

static void nothing_cond(struct env *e, struct env_cond *c)
{
    (void)e, (void)c;
}

static void nothing_log(struct env *e, enum env_log_level level, const char *text)
{
    (void)e, (void)level, (void)text;
}

static void world_init(struct world *w)
{
    char data[] = "--data=x";
    char *argv[] = {data};
    test_env_init(&w->te, NULL);
    w->te.vt.clock_mono = clock_still;
    w->te.vt.random_u64 = random_same;
    w->te.vt.mutex_init = w->te.vt.mutex_release = nothing_mutex;
    w->te.vt.cond_init = w->te.vt.cond_release = nothing_cond;
    w->te.vt.log = nothing_log;
    CK(nodeopt_parse(&w->opt, 1, argv, NULL) == ST_OK);
    CK(tkv_open(NULL, "x", &w->db, NULL) == TKV_OK);
    CK(core_new(&w->te.env, w->db, NULL, &w->opt, &w->core) == ST_OK);
    w->session = job_session_new(&w->te.env.mem, 1, true);
    pbfront_init(&w->pb, &w->te.env.mem);
    pbarena_init(&w->arena, &w->te.env.mem, PBFRONT_ARENA_MAX, 0);
}

static void world_release(struct world *w)
{
    pbarena_release(&w->arena);
    pbfront_release(&w->pb);
    job_session_free(&w->te.env.mem, w->session);
    core_free(w->core);
    CK(tkv_close(w->db) == TKV_OK);
    CK(w->te.live == 0);
}

/* The response in the job fits the request. */
static void check_response(struct world *w, const struct job *j, struct slice message)
{
    struct pbmsg_request q;
    struct pbmsg_response r;
    struct frame_reader reader;
    struct slice payload;
    enum status st = pbdec_read(&pbmsg_request_table, message, &w->arena, &q, NULL);
    uint64_t id = st == ST_OK ? q.id : 0;
    uint32_t op = st == ST_OK ? q.op : 0;
    frame_init(&reader, FRAME_CLIENT, PB_SIZE_MAX, false);
    CK(frame_parse(&reader, j->out.bytes.data, j->out.bytes.size, &payload) == ST_OK);
    CK(reader.at == j->out.bytes.size);
    pbarena_reset(&w->arena);
    CK(pbdec_read(&pbmsg_response_table, payload, &w->arena, &r, NULL) == ST_OK);
    CK(r.id == id);
    CK(r.result == (r.code == PBMSG_CODE_OK ? op : 0));
    CK((r.message.size > 0) == (r.code != PBMSG_CODE_OK));
    CK(st == ST_OK || r.code == PBMSG_CODE_BAD_REQUEST || r.code == PBMSG_CODE_TOO_LARGE);
    pbarena_reset(&w->arena);
}

static void message_run(struct world *w, struct slice message)
{
    struct job *j;
    struct list group;
    list_init(&group);
    CK(pbfront_job(&w->pb, message, 1, &j) == ST_OK);
    j->session = w->session;
    list_insert(&group, &j->link);
    core_group_run(w->core, &group);
    list_remove(&j->link);
    CK(pbfront_answer(&w->pb, j) == ST_OK);
    check_response(w, j, message);
    job_free(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w;
    struct frame_reader reader;
    struct slice message;
    enum status st = ST_OK;
    world_init(&w);
    frame_init(&reader, FRAME_CLIENT, FRAME_MAX, false);
    while (st == ST_OK && size > 0) {
        st = frame_parse(&reader, (const char *)data, size, &message);
        if (st == ST_OK) {
            message_run(&w, message);
            data += reader.at;
            size -= reader.at;
        }
    }
    world_release(&w);
    return 0;
}
