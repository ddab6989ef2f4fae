/* peers_link.c - see peers_int.h. */
#include "node/peers_int.h"

#include "net/pbdec.h"

#define HELLO_MAX  4096u /* bytes of a message of somebody who is not known yet, or of a reply */
#define READ_PIECE (64u * 1024u)
#define READ_MOST  (1024u * 1024u)
#define READS      4              /* of one link, before others have their turn */
#define IN_KEEP    (256u * 1024u) /* bytes of input buffer of a link with traffic */
#define OUT_KEEP   (16u * 1024u)  /* of an output buffer of a quiet one */

/* The socket has it all: the buffer is free again. */
static void run_sent(struct conn_out *out)
{
    struct peers_link *l = LIST_ENTRY(out, struct peers_link, run);
    buf_clear(&l->sending);
}

struct peers_link *peers_link_new(struct peers *p, int fd, enum peers_state state,
                                  const struct env_addr *far)
{
    struct mem *mem = &p->env->mem;
    struct peers_link *l = mem_zalloc(mem, sizeof *l);
    if (l == NULL || conntab_add(&p->tokens, l, &l->token) != ST_OK) {
        mem_release(mem, l);
        (void)env_fd_close(p->env, fd); /* gone whatever it says */
        return NULL;
    }
    conn_init(&l->conn, p->env, p->poller, fd, l->token);
    l->conn.in_keep = IN_KEEP;
    l->far = *far;
    buf_init(&l->filling, mem);
    buf_init(&l->sending, mem);
    l->run.sent = run_sent;
    list_init(&l->run.link);
    frame_init(&l->frames, FRAME_PEER, HELLO_MAX, p->hardware); /* until it is known */
    list_insert(&p->links, &l->node);
    l->begun_ns = l->heard_ns = l->said_ns = p->now_ns;
    peers_link_state(p, l, state);
    return l;
}

void peers_link_state(struct peers *p, struct peers_link *l, enum peers_state state)
{
    p->strangers += state == LINK_STRANGER;
    p->strangers -= l->state == LINK_STRANGER;
    l->state = state;
    l->since_ns = p->now_ns;
}

void peers_link_free(struct peers *p, struct peers_link *l)
{
    struct mem *mem = &p->env->mem;
    p->strangers -= l->state == LINK_STRANGER;
    if (l->slot != NULL) {
        CK(l->slot->links > 0);
        l->slot->links--;
        l->slot->out = l->slot->out == l ? NULL : l->slot->out;
        l->slot->in = l->slot->in == l ? NULL : l->slot->in;
    }
    conntab_remove(&p->tokens, l->token);
    conn_release(&l->conn);
    list_remove(&l->node);
    buf_release(&l->filling);
    buf_release(&l->sending);
    mem_release(mem, l);
}

/* ---- output ---- */

static struct peermsg message_to(const struct peers *p, const struct peers_link *l, uint64_t to)
{
    return (struct peermsg){.cluster = p->o.cluster,
                            .from_node = p->o.self,
                            .to_node = to,
                            .incarnation = p->o.incarnation,
                            .probe = l->probe};
}

enum status peers_link_hello(struct peers *p, struct peers_link *l, uint64_t to)
{
    char text[ADDR_TEXT_MAX];
    l->probe++;
    l->said_ns = p->now_ns;
    struct peermsg m = message_to(p, l, to);
    m.body = PEERMSG_HELLO;
    m.hello = (struct peermsg_hello){
        .version = PEERMSG_VERSION,
        .version_least = PEERMSG_VERSION,
        .channel = PEERMSG_CHANNEL_CONTROL,
        .address = slice_text(p->o.clients != NULL ? p->o.clients : ""),
        .peer_address = slice_text(addr_format(&p->o.advertise, text)),
        .life = p->o.life,
        .disk = p->o.disk,
    };
    return frame_append_peer(&l->filling, &peermsg_table, &m, p->hardware);
}

enum status peers_link_reply(struct peers *p, struct peers_link *l, uint64_t to,
                             enum peermsg_refusal refusal)
{
    l->said_ns = p->now_ns;
    struct peermsg m = message_to(p, l, to);
    m.body = PEERMSG_HELLO_REPLY;
    m.hello_reply = (struct peermsg_hello_reply){
        .refusal = (int32_t)refusal, .version = PEERMSG_VERSION, .life = p->o.life};
    return frame_append_peer(&l->filling, &peermsg_table, &m, p->hardware);
}

enum status peers_link_flush(struct peers_link *l)
{
    enum status st = conn_flush(&l->conn);
    while (st == ST_OK && l->filling.size > 0) {
        CK(l->sending.size == 0);
        struct buf full = l->filling;
        l->filling = l->sending;
        l->sending = full;
        l->run.bytes = buf_slice(&l->sending);
        conn_send(&l->conn, &l->run);
        st = conn_flush(&l->conn);
    }
    return st;
}

void peers_link_trim(struct peers_link *l)
{
    if (l->filling.size == 0 && l->filling.cap > OUT_KEEP) {
        buf_release(&l->filling);
    }
    if (l->sending.size == 0 && l->sending.cap > OUT_KEEP) {
        buf_release(&l->sending);
    }
}

/* ---- input ---- */

bool peers_link_ours(const struct peers *p, const struct peermsg *m)
{
    return m->cluster == p->o.cluster && m->to_node == p->o.self && m->from_node != 0 &&
           m->from_node != p->o.self;
}

/* One message of a frame; ST_CORRUPT with l->why. */
static enum status payload_read(struct peers *p, struct peers_link *l, struct slice payload,
                                peers_each *each)
{
    struct peermsg m;
    struct pbdec_error error;
    pbarena_reset(&p->arena);
    enum status st = pbdec_read(&peermsg_table, payload, &p->arena, &m, &error);
    if (st == ST_OK) {
        st = peermsg_check(&m, &l->why);
    } else {
        l->why = pbdec_fault_text(error.fault);
    }
    return st == ST_OK ? each(p, l, &m, FRAME_PEER_HEAD + payload.size) : st;
}

/* What an accepted connection begins with. */
static enum status preamble_read(struct peers_link *l)
{
    size_t size;
    char *in = conn_input(&l->conn, &size);
    enum frame_speaker who;
    enum frame_fault fault;
    enum status st = frame_detect(slice_of(in, size), &who, &fault);
    if (st == ST_OK && who != FRAME_PEER) {
        l->why = "not a node's preamble";
        return ST_CORRUPT;
    }
    if (st == ST_OK) {
        conn_consume(&l->conn, FRAME_PREAMBLE_SIZE);
        l->preamble = true;
    } else if (st != ST_AGAIN) {
        l->why = frame_fault_text(fault);
    }
    return st;
}

/* All messages that are there. ST_AGAIN: the rest is not. */
static enum status frames_read(struct peers *p, struct peers_link *l, peers_each *each)
{
    enum status st = l->preamble ? ST_OK : preamble_read(l);
    while (st == ST_OK) {
        size_t size;
        struct slice payload;
        char *in = conn_input(&l->conn, &size);
        st = size > 0 ? frame_parse(&l->frames, in, size, &payload) : ST_AGAIN;
        if (st == ST_AGAIN) {
            break;
        }
        if (st != ST_OK) {
            l->why = frame_fault_text(l->frames.fault);
            break;
        }
        st = payload_read(p, l, payload, each);
        if (st == ST_BUSY) {
            l->held = payload;
            break;
        }
        if (st == ST_OK) {
            conn_consume(&l->conn, l->frames.at);
        }
    }
    return st;
}

/* How much to read: what is missing of a large message, within reason. */
static size_t read_size(const struct peers_link *l)
{
    if (l->frames.payload_max == HELLO_MAX) {
        return HELLO_MAX;
    }
    size_t missing = frame_missing(&l->frames, l->conn.in.size - l->conn.in_at);
    missing = missing > READ_MOST ? READ_MOST : missing;
    return missing > READ_PIECE ? missing : READ_PIECE;
}

enum status peers_link_read(struct peers *p, struct peers_link *l, peers_each *each)
{
    enum status st = ST_AGAIN;
    for (int i = 0; i < READS && st == ST_AGAIN; i++) {
        st = conn_read(&l->conn, read_size(l));
        if (st != ST_OK) {
            return st;
        }
        if (l->conn.ended) {
            return ST_STOPPED;
        }
        l->heard_ns = p->now_ns;
        st = frames_read(p, l, each);
    }
    return st;
}

enum status peers_link_again(struct peers *p, struct peers_link *l, peers_each *each)
{
    enum status st = payload_read(p, l, l->held, each);
    if (st == ST_BUSY) {
        return st;
    }
    l->paused = false;
    l->heard_ns = p->now_ns;
    if (st == ST_OK) {
        conn_consume(&l->conn, l->frames.at);
        st = frames_read(p, l, each);
    }
    return st;
}
