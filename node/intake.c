/* intake.c - see intake.h. */
#include "node/intake.h"

void intake_init(struct intake *in, struct mem *mem)
{
    *in = (struct intake){.mem = mem};
    resp_init(&in->resp, mem, resp_limits_default());
}

void intake_release(struct intake *in)
{
    resp_release(&in->resp);
}

size_t intake_missing(const struct intake *in, size_t size)
{
    if (!in->known) {
        return 0;
    }
    return in->who == FRAME_RESP ? resp_missing(&in->resp, size) : frame_missing(&in->frames, size);
}

/* ---- RESP ---- */

/* A browser that was tricked into posting here sends these words first. */
static bool is_http(const struct resp_parser *p, const char *data)
{
    static const char *const words[] = {"POST", "Host:"};
    struct slice first = slice_of(data + p->args[0].offset, p->args[0].size);
    return slice_equal(first, slice_text(words[0])) || slice_equal(first, slice_text(words[1]));
}

static enum status take_resp(struct intake *in, struct conn *conn, const struct nodeopt_live *live,
                             struct job **job)
{
    struct resp_parser *p = &in->resp;
    size_t size;
    char *data = conn_input(conn, &size);
    p->limits.request_bytes_max = live->request_bytes_max;
    enum status st = resp_parse(p, data, size);
    if (st == ST_CORRUPT) {
        in->lost = true;
        *job = job_new_error(in->mem, p->error);
        return *job != NULL ? ST_OK : ST_NOMEM;
    }
    if (st == ST_OK && p->arg_count > 0) {
        if (is_http(p, data)) {
            return ST_CORRUPT;
        }
        *job = job_new_request(in->mem, p, data);
        st = *job != NULL ? ST_OK : ST_NOMEM;
    }
    if (st == ST_OK) {
        conn_consume(conn, p->at);
    }
    return st;
}

/* ---- protobuf ---- */

static enum status lose(struct intake *in, struct pbfront *pb, enum frame_fault fault,
                        struct job **job)
{
    in->lost = true;
    return pbfront_job_lost(pb, fault, job);
}

static enum status take_frame(struct intake *in, struct pbfront *pb, struct conn *conn,
                              const struct nodeopt_live *live, uint64_t now_ns, struct job **job)
{
    size_t size;
    char *data = conn_input(conn, &size);
    struct slice message;
    in->frames.payload_max =
        live->request_bytes_max < PB_SIZE_MAX ? (size_t)live->request_bytes_max : PB_SIZE_MAX;
    enum status st = frame_parse(&in->frames, data, size, &message);
    if (st == ST_AGAIN) {
        return st;
    }
    if (st != ST_OK) {
        return lose(in, pb, in->frames.fault, job);
    }
    st = pbfront_job(pb, message, now_ns, job);
    if (st == ST_OK) {
        conn_consume(conn, in->frames.at);
    }
    return st;
}

static void on_sent(struct conn_out *out)
{
    (void)out; /* it stands in the intake */
}

/* The preamble is answered with ours, a wrong one too: then its sender knows what we speak. */
static void say_hello(struct intake *in, struct conn *conn)
{
    frame_preamble(FRAME_CLIENT, in->preamble);
    list_init(&in->hello.link);
    in->hello.bytes = slice_of(in->preamble, sizeof in->preamble);
    in->hello.sent = on_sent;
    conn_send(conn, &in->hello);
}

/* Looks at the first bytes. ST_OK: who speaks is known, or *job refuses it. */
static enum status look(struct intake *in, struct pbfront *pb, struct conn *conn, struct job **job)
{
    size_t size;
    enum frame_fault fault = FRAME_FAULT_PREAMBLE;
    const char *data = conn_input(conn, &size);
    enum status st = frame_detect(slice_of(data, size), &in->who, &fault);
    if (st == ST_AGAIN || (st == ST_OK && in->who == FRAME_RESP)) {
        in->known = st == ST_OK;
        return st;
    }
    in->known = true;
    say_hello(in, conn);
    if (st != ST_OK || in->who == FRAME_PEER) {
        in->who = FRAME_CLIENT;
        return lose(in, pb, fault, job);
    }
    frame_init(&in->frames, FRAME_CLIENT, PB_SIZE_MAX, false);
    conn_consume(conn, FRAME_PREAMBLE_SIZE);
    return ST_OK;
}

enum status intake_take(struct intake *in, struct pbfront *pb, struct conn *conn,
                        const struct nodeopt_live *live, uint64_t now_ns, struct job **job)
{
    size_t size;
    *job = NULL;
    (void)conn_input(conn, &size); /* only whether there is any */
    if (size == 0 || in->lost) {
        return ST_AGAIN;
    }
    if (!in->known) {
        return look(in, pb, conn, job);
    }
    return in->who == FRAME_RESP ? take_resp(in, conn, live, job)
                                 : take_frame(in, pb, conn, live, now_ns, job);
}
