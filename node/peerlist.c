/* peerlist.c - see peerlist.h. */
#include "node/peerlist.h"

#include "base/ck.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SHOWN 60 /* bytes of an item that an error shows */

static enum status bad(struct err *err, struct slice item, const char *why)
{
    err_set(err, "'%.*s': %s", (int)(item.size < SHOWN ? item.size : SHOWN), item.data, why);
    return ST_INVAL;
}

/* The digits before '='; 0: there are none, or too many. */
static uint64_t id_read(struct slice item, size_t *used)
{
    uint64_t id = 0;
    size_t at = 0;
    while (at < item.size && item.data[at] >= '0' && item.data[at] <= '9') {
        if (id > INT64_MAX / 10 - 1) {
            return 0;
        }
        id = id * 10 + (uint64_t)(item.data[at++] - '0');
    }
    *used = at + 1;
    return at < item.size && item.data[at] == '=' ? id : 0;
}

static enum status item_read(struct slice item, struct peerlist_item *out, struct err *err)
{
    static const uint8_t nowhere[16];
    char text[ADDR_TEXT_MAX];
    size_t used = 0;
    struct err why = {.text = ""};
    out->id = id_read(item, &used);
    if (out->id == 0) {
        return bad(err, item, "must be ID=ADDR:PORT, and the id a number above 0");
    }
    size_t size = item.size - used;
    if (size >= sizeof text) {
        return bad(err, item, "the address is too long");
    }
    memcpy(text, item.data + used, size);
    text[size] = '\0';
    if (addr_parse(text, &out->addr, &why) != ST_OK) {
        return bad(err, item, why.text);
    }
    if (out->addr.port == 0 || memcmp(out->addr.ip, nowhere, sizeof nowhere) == 0) {
        return bad(err, item, "other nodes dial it: it needs a host and a port");
    }
    return ST_OK;
}

static uint32_t place_of(const struct peerlist *list, uint64_t id)
{
    uint32_t at = 0;
    while (at < list->count && list->items[at].id < id) {
        at++;
    }
    return at;
}

bool peerlist_set(struct peerlist *list, uint64_t id, const struct env_addr *addr)
{
    CK(id != 0);
    uint32_t at = place_of(list, id);
    bool there = at < list->count && list->items[at].id == id;
    if (!there && list->count == RAFT_MEMBERS_MAX) {
        return false;
    }
    if (!there) {
        memmove(list->items + at + 1, list->items + at, (list->count - at) * sizeof *list->items);
        list->count++;
    }
    list->items[at] = (struct peerlist_item){id, *addr};
    return true;
}

const struct env_addr *peerlist_find(const struct peerlist *list, uint64_t id)
{
    uint32_t at = place_of(list, id);
    bool there = at < list->count && list->items[at].id == id;
    return there ? &list->items[at].addr : NULL;
}

enum status peerlist_parse(struct slice text, struct peerlist *list, struct err *err)
{
    list->count = 0;
    for (size_t at = 0; at <= text.size;) {
        const char *comma = at < text.size ? memchr(text.data + at, ',', text.size - at) : NULL;
        size_t end = comma != NULL ? (size_t)(comma - text.data) : text.size;
        struct slice item = slice_of(text.data + at, end - at);
        struct peerlist_item one;
        enum status st = item_read(item, &one, err);
        if (st != ST_OK) {
            return st;
        }
        if (peerlist_find(list, one.id) != NULL) {
            return bad(err, item, "this id is there twice");
        }
        if (!peerlist_set(list, one.id, &one.addr)) {
            return bad(err, item, "too many nodes");
        }
        at = end + 1;
    }
    return ST_OK;
}

const char *peerlist_format(const struct peerlist *list, char text[PEERLIST_TEXT_MAX])
{
    size_t size = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < list->count; i++) {
        char addr[ADDR_TEXT_MAX];
        int n =
            snprintf(text + size, PEERLIST_TEXT_MAX - size, "%s%" PRIu64 "=%s", i > 0 ? "," : "",
                     list->items[i].id, addr_format(&list->items[i].addr, addr));
        CK(n > 0 && (size_t)n < PEERLIST_TEXT_MAX - size);
        size += (size_t)n;
    }
    return text;
}
