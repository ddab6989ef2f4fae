/* skl.c - see skl.h for the contract. */
#include "engine/skl.h"

#include "base/ck.h"

#define BRANCHING 4 /* a level holds about 1/4 of the entries of the level below */

_Static_assert(offsetof(struct skl_node, next) % sizeof(void *) == 0, "links are aligned");
_Static_assert(offsetof(struct skl_node, height) == sizeof(struct record), "begins as a record");

static struct skl_node *link_of(const struct skl_node *n, int level)
{
    return ATOMIC_GET_PTR(&n->next[level]);
}

/* Whether the node comes before (key, sequence). */
static bool node_before(const struct skl *l, const struct skl_node *n, struct slice key,
                        uint64_t sequence)
{
    int c = order_compare(l->order, skl_key(n), key);
    return c != 0 ? c < 0 : n->sequence > sequence;
}

static int random_height(struct skl *l)
{
    uint64_t r = env_random_u64(l->env);
    int h = 1;
    while (h < SKL_HEIGHT_MAX && r % BRANCHING == 0) {
        r /= BRANCHING;
        h++;
    }
    return h;
}

static struct skl_node *node_alloc(struct skl *l, int height, struct slice key, struct slice value)
{
    CK(key.size <= RECORD_KEY_MAX);
    CK(value.size <= UINT32_MAX);
    size_t links = (size_t)height * sizeof(struct skl_node *);
    struct skl_node *n =
        arena_alloc(l->arena, sizeof(struct skl_node) + links + key.size + value.size);
    if (n == NULL) {
        return NULL;
    }
    n->sequence = 0;
    n->key_size = (uint32_t)key.size & RECORD_KEY_MAX;
    n->value_size = (uint32_t)value.size;
    n->height = (uint64_t)height;
    memset(n->next, 0, links);
    char *bytes = (char *)&n->next[height];
    if (key.size > 0) {
        memcpy(bytes, key.data, key.size);
    }
    if (value.size > 0) {
        memcpy(bytes + key.size, value.data, value.size);
    }
    return n;
}

enum status skl_init(struct skl *l, struct env *env, struct order order, struct arena *arena)
{
    *l = (struct skl){.env = env, .order = order, .arena = arena, .height = 1};
    l->head = node_alloc(l, SKL_HEIGHT_MAX, slice_of(NULL, 0), slice_of(NULL, 0));
    if (l->head == NULL) {
        return ST_NOMEM;
    }
    for (int level = 0; level < SKL_HEIGHT_MAX; level++) {
        l->hint[level] = l->head;
    }
    return ST_OK;
}

struct skl_node *skl_node_new(struct skl *l, uint8_t type, struct slice key, struct slice value)
{
    struct skl_node *n = node_alloc(l, random_height(l), key, value);
    if (n != NULL) {
        n->type = type;
    }
    return n;
}

/* Last node before (key, sequence), on each level in use into prev[] when wanted; *after: the node
 * that was seen behind it. Who reads that link again may find one that has been put there since,
 * and that is not what was asked for. */
static struct skl_node *find(const struct skl *l, struct slice key, uint64_t sequence,
                             struct skl_node **prev, struct skl_node **after)
{
    struct skl_node *at = l->head;
    struct skl_node *n = NULL;
    for (int level = (int)atomic_get_u64(&l->height) - 1; level >= 0; level--) {
        while ((n = link_of(at, level)) != NULL && node_before(l, n, key, sequence)) {
            at = n;
        }
        if (prev != NULL) {
            prev[level] = at;
        }
    }
    *after = n;
    return at;
}

/* Whether (key, sequence) belongs right behind the entry linked last: then the path to that one,
 * which hint[] holds with the entry itself in the levels it reaches, is the path to this one. */
static bool hint_fits(const struct skl *l, struct slice key, uint64_t sequence)
{
    const struct skl_node *before = l->hint[0];
    const struct skl_node *after = link_of(before, 0);
    return (before == l->head || node_before(l, before, key, sequence)) &&
           (after == NULL || !node_before(l, after, key, sequence));
}

void skl_link(struct skl *l, struct skl_node *node, uint64_t sequence)
{
    struct slice key = skl_key(node);
    struct skl_node *after = link_of(l->hint[0], 0);
    CK(node->height >= 1);
    CK(node->height <= SKL_HEIGHT_MAX);
    if (!hint_fits(l, key, sequence)) {
        (void)find(l, key, sequence, l->hint, &after); /* the path is what is wanted */
    }
    CK(after == NULL || after->sequence != sequence || !slice_equal(skl_key(after), key));

    /* levels that are not in use yet have only the head on their path, as hint[] holds already */
    if (node->height > l->height) {
        atomic_set_u64(&l->height, node->height);
    }
    node->sequence = sequence;
    for (int level = 0; level < (int)node->height; level++) {
        node->next[level] = l->hint[level]->next[level];
    }
    for (int level = 0; level < (int)node->height; level++) {
        ATOMIC_SET_PTR(&l->hint[level]->next[level], node);
        l->hint[level] = node;
    }
    atomic_set_u64(&l->count, l->count + 1);
}

const struct skl_node *skl_seek(const struct skl *l, struct slice key, uint64_t sequence)
{
    struct skl_node *after;
    (void)find(l, key, sequence, NULL, &after); /* what comes before it is not wanted */
    return after;
}

const struct skl_node *skl_before(const struct skl *l, struct slice key, uint64_t sequence)
{
    struct skl_node *after;
    const struct skl_node *n = find(l, key, sequence, NULL, &after);
    return n == l->head ? NULL : n;
}

const struct skl_node *skl_first(const struct skl *l)
{
    return link_of(l->head, 0);
}

const struct skl_node *skl_last(const struct skl *l)
{
    const struct skl_node *at = l->head;
    for (int level = (int)atomic_get_u64(&l->height) - 1; level >= 0; level--) {
        const struct skl_node *n;
        while ((n = link_of(at, level)) != NULL) {
            at = n;
        }
    }
    return at == l->head ? NULL : at;
}

const struct skl_node *skl_next(const struct skl_node *node)
{
    return link_of(node, 0);
}

/* I2 of one level: exactly the nodes this tall, in the order of level 0. */
static bool level_check(const struct skl *l, int level)
{
    const struct skl_node *up = link_of(l->head, level);
    for (const struct skl_node *n = skl_first(l); n != NULL; n = skl_next(n)) {
        if ((int)n->height > level) {
            if (n != up) {
                return false;
            }
            up = link_of(up, level);
        }
    }
    return up == NULL;
}

bool skl_check(const struct skl *l)
{
    uint64_t seen = 0;
    uint64_t tallest = 1;
    for (const struct skl_node *n = skl_first(l); n != NULL; n = skl_next(n)) {
        const struct skl_node *after = skl_next(n);
        if (after != NULL && !node_before(l, n, skl_key(after), after->sequence)) {
            return false; /* I1 */
        }
        tallest = n->height > tallest ? n->height : tallest;
        seen++;
    }
    if (tallest != l->height || seen != l->count) {
        return false; /* I4 */
    }
    for (int level = 1; level < (int)l->height; level++) {
        if (!level_check(l, level)) {
            return false;
        }
    }
    return true;
}
