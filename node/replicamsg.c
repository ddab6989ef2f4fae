/* replicamsg.c - see replicamsg.h. */
#include "node/replicamsg.h"

#include "base/ck.h"
#include "node/confcode.h"

/* Room for everything, in this order: the message, entries, items, configurations, bytes. */
struct room {
    uint32_t configs;
    size_t bytes;
    size_t size;
};

static struct room room_of(const struct raft_msg *m, const struct raft_entry *entries)
{
    struct room r = {.configs = 0};
    uint32_t count = entries != NULL ? m->count : 0;
    for (uint32_t i = 0; i < count; i++) {
        r.configs += entries[i].kind == RAFT_CONFIG;
        r.bytes += entries[i].data.size;
    }
    r.size = sizeof(struct replicamsg) + r.bytes + r.configs * sizeof(struct raft_config) +
             count * (sizeof(struct raft_entry) + sizeof(struct raft_item));
    return r;
}

static void entries_copy(struct replicamsg *c, const struct raft_entry *entries, char *bytes)
{
    for (uint32_t i = 0; i < c->m.count; i++) {
        c->entries[i] = entries[i];
        c->entries[i].data.data = bytes;
        if (entries[i].data.size > 0) {
            memcpy(bytes, entries[i].data.data, entries[i].data.size);
            bytes += entries[i].data.size;
        }
    }
}

static enum status items_make(struct replicamsg *c, struct raft_config *configs)
{
    for (uint32_t i = 0; i < c->m.count; i++) {
        const struct raft_entry *e = &c->entries[i];
        c->items[i] = (struct raft_item){
            .term = e->term, .bytes = (uint32_t)e->data.size, .kind = (uint8_t)e->kind};
        if (e->kind == RAFT_CONFIG) {
            enum status st = confcode_read(e->data, configs);
            if (st != ST_OK) {
                return st;
            }
            c->items[i].config = configs++;
        }
    }
    c->m.items = c->items;
    return ST_OK;
}

enum status replicamsg_new(struct mem *mem, const struct raft_msg *m,
                           const struct raft_entry *entries, bool parse, struct replicamsg **out)
{
    struct room room = room_of(m, entries);
    struct replicamsg *c = mem_alloc(mem, room.size);
    *out = NULL;
    if (c == NULL) {
        return ST_NOMEM;
    }
    *c = (struct replicamsg){.bytes = room.size, .m = *m};
    list_init(&c->link);
    c->m.items = NULL;
    if (m->config != NULL) {
        c->config = *m->config;
        c->m.config = &c->config;
    }
    enum status st = ST_OK;
    if (entries != NULL && m->count > 0) {
        c->entries = (struct raft_entry *)(void *)(c + 1);
        c->items = (struct raft_item *)(void *)(c->entries + m->count);
        struct raft_config *configs = (struct raft_config *)(void *)(c->items + m->count);
        entries_copy(c, entries, (char *)(configs + room.configs));
        st = parse ? items_make(c, configs) : ST_OK;
    }
    if (st != ST_OK) {
        replicamsg_free(mem, c);
        return st;
    }
    *out = c;
    return ST_OK;
}

void replicamsg_free(struct mem *mem, struct replicamsg *m)
{
    mem_release(mem, m);
}
