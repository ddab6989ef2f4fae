/* respval.h - the client's side of reading RESP: one reply, as a tree laid flat.
 *
 * respval_parse is to be called as bytes arrive, as resp_parse is. The nodes of a reply stand in
 * one array in the order of the wire, a parent before its children, so that nothing recurses:
 * the children of node i begin at i + 1, and `next` is the node after its last descendant.
 * All types of RESP2 and RESP3 are known; attributes ("|") are skipped.
 *
 * Failure: ST_CORRUPT (final) for bytes that are no reply, ones nested deeper than
 * RESPVAL_DEPTH_MAX or over a limit included; ST_NOMEM (call again).
 * Ownership: text is offsets into the caller's bytes.
 * Determinism: a function of the bytes. */
#ifndef NET_RESPVAL_H
#define NET_RESPVAL_H

#include "base/mem.h"
#include "base/slice.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define RESPVAL_DEPTH_MAX 16
#define RESPVAL_BULK_MAX  (1u << 30)
#define RESPVAL_NODES_MAX (1u << 28)
#define RESPVAL_LINE_MAX  (64u * 1024u)

enum respval_type {
    RESPVAL_SIMPLE,
    RESPVAL_ERROR, /* "-" and "!" */
    RESPVAL_INTEGER,
    RESPVAL_BULK,  /* "$" and "=", the latter with its "txt:" prefix */
    RESPVAL_NULL,  /* "_", "$-1" and "*-1" */
    RESPVAL_ARRAY, /* "*", and "~" sets */
    RESPVAL_PUSH,
    RESPVAL_MAP, /* count is that of keys and values together */
    RESPVAL_BOOL,
    RESPVAL_DOUBLE, /* as text */
    RESPVAL_BIGNUM, /* as text */
};

struct respval_node {
    enum respval_type type;
    int64_t integer; /* RESPVAL_INTEGER; RESPVAL_BOOL: 0 or 1 */
    size_t offset;   /* of its text */
    size_t size;
    uint32_t count; /* children */
    uint32_t next;  /* index of the node after this subtree */
};

/* An aggregate that is being read. */
struct respval_level {
    uint32_t node; /* UINT32_MAX: an attribute, whose content is thrown away */
    uint32_t owed;
    uint32_t first; /* nodes there were before it */
};

struct respval {
    struct mem *mem;            /* borrowed */
    struct respval_node *nodes; /* owned */
    uint32_t count;
    uint32_t cap;
    size_t at;       /* bytes understood; the reply's length once done */
    size_t searched; /* no line end before it */
    struct respval_level levels[RESPVAL_DEPTH_MAX];
    uint32_t depth;
    bool in_bulk;
    size_t bulk_size;
    enum respval_type bulk_type;
    bool done;
    bool failed;
};

void respval_init(struct respval *v, struct mem *mem);

/* Safe on a zeroed struct. */
void respval_release(struct respval *v);

/* ST_OK: a whole reply is at data[0, v->at), its root is nodes[0]; the next call begins anew.
 * ST_AGAIN: more bytes are needed. */
NODISCARD enum status respval_parse(struct respval *v, const char *data, size_t size);

/* The text of node i; data as in the call that said ST_OK. */
struct slice respval_text(const struct respval *v, const char *data, uint32_t i);

/* The node that is child number n of node i. */
uint32_t respval_child(const struct respval *v, uint32_t i, uint32_t n);

#endif
