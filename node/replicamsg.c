/* replicamsg.c - see replicamsg.h. */
#include "node/replicamsg.h"

/* The message, its entries, their bytes. */
static size_t size_of(const struct raft_msg *m, const struct raft_entry *entries)
{
    size_t size = sizeof(struct replicamsg);
    uint32_t count = entries != NULL ? m->count : 0;
    for (uint32_t i = 0; i < count; i++) {
        size += sizeof *entries + entries[i].data.size;
    }
    return size;
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

enum status replicamsg_new(struct mem *mem, const struct raft_msg *m,
                           const struct raft_entry *entries, struct replicamsg **out)
{
    struct replicamsg *c = mem_alloc(mem, size_of(m, entries));
    *out = c;
    if (c == NULL) {
        return ST_NOMEM;
    }
    *c = (struct replicamsg){.m = *m};
    list_init(&c->link);
    c->m.items = NULL;
    if (m->config != NULL) {
        c->config = *m->config;
        c->m.config = &c->config;
    }
    if (entries != NULL && m->count > 0) {
        c->entries = (struct raft_entry *)(void *)(c + 1);
        entries_copy(c, entries, (char *)(c->entries + m->count));
    }
    return ST_OK;
}

void replicamsg_free(struct mem *mem, struct replicamsg *m)
{
    mem_release(mem, m);
}
