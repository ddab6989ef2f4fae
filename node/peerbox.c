/* peerbox.c - see peerbox.h. */
#include "node/peerbox.h"

#include "base/ck.h"

#define KEEP_TIMES 4 /* an arena's chunks are up to so many times what was taken of them */

void peerbox_init(struct peerbox *b, struct env *env, size_t limit)
{
    *b = (struct peerbox){.env = env, .limit = limit};
    env_mutex_init(env, &b->m);
    pbarena_init(&b->arenas[0], &env->mem, SIZE_MAX / 2, KEEP_TIMES * limit);
    pbarena_init(&b->arenas[1], &env->mem, SIZE_MAX / 2, KEEP_TIMES * limit);
    list_init(&b->waiting);
    list_init(&b->out);
}

void peerbox_release(struct peerbox *b)
{
    pbarena_release(&b->arenas[0]);
    pbarena_release(&b->arenas[1]);
    env_mutex_release(b->env, &b->m);
}

/* The parts of a copy, one behind the other in one block. */
struct layout {
    size_t items, entries, configs, payload, size;
};

static size_t align8(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

static struct layout layout_of(const struct peerwire_in *in)
{
    size_t configs = in->msg.config != NULL ? 1 : 0;
    size_t payload = 0;
    for (uint32_t i = 0; i < in->msg.count; i++) {
        configs += in->msg.items[i].config != NULL ? 1 : 0;
        payload += in->entries[i].data.size;
    }
    struct layout l;
    l.items = align8(sizeof(struct peerbox_message));
    l.entries = align8(l.items + in->msg.count * sizeof(struct raft_item));
    l.configs = align8(l.entries + in->msg.count * sizeof(struct raft_entry));
    l.payload = align8(l.configs + configs * sizeof(struct raft_config));
    l.size = l.payload + payload;
    return l;
}

static const struct raft_config *config_copy(struct raft_config **at, const struct raft_config *c)
{
    if (c == NULL) {
        return NULL;
    }
    **at = *c;
    return (*at)++;
}

static struct peerbox_message *message_copy(char *block, const struct layout *l,
                                            const struct peerwire_in *in)
{
    struct peerbox_message *copy = (struct peerbox_message *)(void *)block;
    struct raft_item *items = (struct raft_item *)(void *)(block + l->items);
    struct raft_entry *entries = (struct raft_entry *)(void *)(block + l->entries);
    struct raft_config *configs = (struct raft_config *)(void *)(block + l->configs);
    char *payload = block + l->payload;
    copy->in.msg = in->msg;
    copy->in.msg.items = in->msg.count > 0 ? items : NULL;
    copy->in.entries = in->msg.count > 0 ? entries : NULL;
    copy->in.msg.config = config_copy(&configs, in->msg.config);
    for (uint32_t i = 0; i < in->msg.count; i++) {
        items[i] = in->msg.items[i];
        items[i].config = config_copy(&configs, in->msg.items[i].config);
        entries[i] = in->entries[i];
        entries[i].data.data = payload;
        if (in->entries[i].data.size > 0) {
            memcpy(payload, in->entries[i].data.data, in->entries[i].data.size);
            payload += in->entries[i].data.size;
        }
    }
    CK(payload == block + l->size);
    return copy;
}

enum status peerbox_put(struct peerbox *b, const struct peerwire_in *in, bool *first)
{
    struct layout l = layout_of(in);
    void *block = NULL;
    enum status st = ST_BUSY;
    env_mutex_lock(b->env, &b->m);
    bool empty = list_empty(&b->waiting);
    if (empty || (b->bytes <= b->limit && l.size <= b->limit - b->bytes)) {
        st = pbarena_grow(&b->arenas[b->filling], &block, 0, l.size);
    } else {
        b->refused = true;
    }
    if (st == ST_OK) {
        struct peerbox_message *copy = message_copy((char *)block, &l, in);
        list_insert(&b->waiting, &copy->link);
        b->bytes += l.size;
    }
    env_mutex_unlock(b->env, &b->m);
    if (first != NULL) {
        *first = st == ST_OK && empty;
    }
    return st;
}

struct list *peerbox_take(struct peerbox *b, bool *resume)
{
    env_mutex_lock(b->env, &b->m);
    list_init(&b->out);
    if (!list_empty(&b->waiting)) {
        list_insert(&b->waiting, &b->out); /* the ring without its head … */
        list_remove(&b->waiting);
    }
    b->bytes = 0;
    b->filling ^= 1;
    pbarena_reset(&b->arenas[b->filling]);
    *resume = b->refused;
    b->refused = false;
    env_mutex_unlock(b->env, &b->m);
    return &b->out;
}
