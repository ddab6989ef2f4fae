/* storejudge.c - see storejudge.h. */
#include "sim/store/storejudge.h"

#include "base/ck.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- cuts ---- */

/* The number in a stripe: 0 for none, or what its text begins with. */
static uint32_t stripe_number(struct slice value)
{
    uint32_t n = 0;
    for (size_t i = 0; i < value.size && value.data[i] >= '0' && value.data[i] <= '9'; i++) {
        n = n * 10 + (uint32_t)(value.data[i] - '0');
    }
    return n;
}

/* Writes are in by their order: none is missing before one that is in (E1). */
static bool prefix_holds(const struct storemodel *m, const struct storecut *cut, struct err *why)
{
    size_t last = STOREMODEL_NONE;
    for (size_t i = 0; i < m->workers; i++) {
        for (uint32_t n = cut->upto[i]; n > 0; n--) {
            size_t w = m->lists[i].writes[n - 1];
            if (storemodel_in(m, cut, w) && m->writes[w].order != 0) {
                bool later = last == STOREMODEL_NONE || m->writes[w].order > m->writes[last].order;
                last = later ? w : last;
                break;
            }
        }
    }
    for (size_t i = 0; i < m->workers && last != STOREMODEL_NONE; i++) {
        for (size_t n = cut->upto[i]; n < m->lists[i].count; n++) {
            size_t w = m->lists[i].writes[n];
            if (m->writes[w].state == STOREWRITE_OK && m->writes[w].order < m->writes[last].order) {
                char in[128], out[128];
                storemodel_say(m, last, in, sizeof in);
                storemodel_say(m, w, out, sizeof out);
                err_set(why, "%s is in the view, and %s before it is not", in, out);
                return false;
            }
        }
    }
    return true;
}

bool storejudge_cut(struct storemodel *m, const struct slice stripes[STOREMODEL_WORKERS],
                    const struct storecut *low, struct storecut *cut, const char **class,
                    struct err *why)
{
    *cut = (struct storecut){.last_failed = false};
    for (size_t i = 0; i < m->workers; i++) {
        uint32_t n = stripe_number(stripes[i]);
        cut->upto[i] = n;
        size_t w = n > 0 && n <= m->lists[i].count ? m->lists[i].writes[n - 1] : STOREMODEL_NONE;
        *class = "E9 live read";
        if (n > 0 && (w == STOREMODEL_NONE || m->writes[w].state == STOREWRITE_LOST)) {
            err_set(why, "worker %zu's write %u is in the view, and never was", i, n);
            return false;
        }
        if (n < low->upto[i]) {
            err_set(why, "worker %zu's write %u was acknowledged, and the view has %u only", i,
                    low->upto[i], n);
            return false;
        }
        if (w != STOREMODEL_NONE && m->writes[w].state == STOREWRITE_FAILED) {
            *class = "E5 failed write";
            err_set(why, "worker %zu's write %u failed, and is in the view", i, n);
            return false;
        }
        if (w != STOREMODEL_NONE && m->writes[w].state == STOREWRITE_PENDING) {
            m->writes[w].seen = true;
        }
    }
    *class = "E10 isolation";
    return prefix_holds(m, cut, why);
}

static void say_difference(const struct storemodel *m, const struct storeview *v,
                           const struct storecut *cut, size_t key, struct err *why)
{
    struct slice name = storemodel_key(m, key), is = storeview_value(v, key), should;
    bool present = storemodel_lookup(m, cut, key, &should);
    err_set(why, "key '%.*s' %s%.*s and should %s%.*s", name.size > 24 ? 24 : (int)name.size,
            name.data, is.data != NULL ? "holds " : "is absent", is.size > 40 ? 40 : (int)is.size,
            is.data != NULL ? is.data : "", present ? "hold " : "be absent",
            should.size > 40 ? 40 : (int)should.size, present ? should.data : "");
}

/* The first key that is not as in the cut, or NONE. */
static size_t difference(const struct storemodel *m, const struct storeview *v,
                         const struct storecut *cut, bool exact)
{
    for (size_t key = 0; key < m->key_count; key++) {
        struct slice is = storeview_value(v, key), should;
        if (!exact) {
            if (!storemodel_match(m, cut, key, is)) {
                return key;
            }
            continue;
        }
        bool present = storemodel_lookup(m, cut, key, &should);
        if (present != (is.data != NULL) || (present && !slice_equal(is, should))) {
            return key;
        }
    }
    return STOREMODEL_NONE;
}

bool storejudge_same(const struct storemodel *m, const struct storeview *v,
                     const struct storecut *cut, struct err *why)
{
    size_t key = difference(m, v, cut, false);
    if (key != STOREMODEL_NONE) {
        say_difference(m, v, cut, key, why);
    }
    return key == STOREMODEL_NONE;
}

/* ---- recovery ---- */

/* Writes of unknown order that a cut holds: one a worker at most. */
struct unknown {
    size_t write[STOREMODEL_WORKERS];
    size_t count;
};

static void unknown_find(const struct storemodel *m, const struct storecut *cut, struct unknown *u)
{
    u->count = 0;
    for (size_t i = 0; i < m->workers; i++) {
        if (cut->upto[i] > 0) {
            size_t w = m->lists[i].writes[cut->upto[i] - 1];
            if (storemodel_in(m, cut, w) && m->writes[w].order == 0) {
                u->write[u->count++] = w;
            }
        }
    }
}

/* A number between those of known writes that a write of `count` changes may have got: the first
 * such gap from `from` on that is wide enough, at its end, or at `last` if that is in the gap: the
 * last change that was found, when what ends the gap was not. */
static uint64_t gap_after(const struct storemodel *m, uint64_t from, size_t count, uint64_t last)
{
    for (;;) {
        uint64_t next = UINT64_MAX;
        size_t next_count = 0;
        for (size_t i = 0; i < m->write_count; i++) {
            const struct storewrite *w = &m->writes[i];
            bool in = w->state != STOREWRITE_LOST && w->state != STOREWRITE_REPLAY;
            if (in && w->order > from && w->order < next) {
                next = w->order;
                next_count = w->numbers;
            }
        }
        if (next == UINT64_MAX) {
            return from + count;
        }
        if (next - next_count >= from + count) {
            bool within = from + count <= last && last < next - next_count;
            return within ? last : next - next_count;
        }
        from = next;
    }
}

/* Tries every way to place the unknown writes from the i-th on: in gaps of the known numbers, or
 * behind them. True once the view is that state; their orders stay then. */
static bool place_unknown(struct storemodel *m, const struct storeview *v,
                          const struct storecut *cut, struct unknown *u, size_t placed)
{
    if (placed >= u->count || placed >= STOREMODEL_WORKERS) {
        return difference(m, v, cut, true) == STOREMODEL_NONE;
    }
    for (size_t i = placed; i < u->count; i++) {
        size_t turn = u->write[i];
        u->write[i] = u->write[placed];
        u->write[placed] = turn;
        struct storewrite *w = &m->writes[turn];
        uint64_t from = w->after, most = m->acked;
        for (size_t n = 0; n < u->count; n++) {
            most = m->writes[u->write[n]].order > most ? m->writes[u->write[n]].order : most;
        }
        do {
            w->order = gap_after(m, from, w->numbers, v->sequence);
            from = w->order;
            if (w->order <= v->sequence && place_unknown(m, v, cut, u, placed + 1)) {
                return true;
            }
        } while (from <= most);
        w->order = 0;
        u->write[placed] = u->write[i];
        u->write[i] = turn;
    }
    return false;
}

/* The database's own count of changes reaches as far as the last write of the cut. */
static bool sequence_fits(const struct storemodel *m, const struct storeview *v,
                          const struct storecut *cut)
{
    for (size_t i = 0; i < m->workers; i++) {
        uint32_t n = cut->upto[i];
        while (n > 0 && !storemodel_in(m, cut, m->lists[i].writes[n - 1])) {
            n--;
        }
        if (n > 0) {
            const struct storewrite *w = &m->writes[m->lists[i].writes[n - 1]];
            uint64_t least = w->order != 0 ? w->order : w->after + w->numbers;
            if (least > v->sequence) {
                return false;
            }
        }
    }
    return true;
}

/* The view is that cut, with some order of the writes whose numbers are not known. */
static bool is_cut(struct storemodel *m, const struct storeview *v, const struct storecut *cut,
                   struct unknown *u)
{
    unknown_find(m, cut, u);
    return sequence_fits(m, v, cut) && place_unknown(m, v, cut, u, 0);
}

/* Orders found while judging are forgotten, unless a decision keeps them. */
static void unknown_forget(struct storemodel *m, const struct unknown *u)
{
    for (size_t i = 0; i < u->count; i++) {
        m->writes[u->write[i]].order = 0;
    }
}

/* A cut with this write or a later one has its stripe or a later one. */
static bool shows(const struct storewrite *w)
{
    return w->striped && (w->state == STOREWRITE_OK || w->state == STOREWRITE_PENDING);
}

/* From the stripes, or where one worker writes without them too, the last of its numbers that the
 * next striped write leaves possible. */
static void first_candidate(const struct storemodel *m, const struct storeview *v,
                            struct storecut *cut, uint32_t *least)
{
    *cut = (struct storecut){.last_failed = true};
    for (size_t i = 0; i < m->workers; i++) {
        uint32_t n = stripe_number(storeview_value(v, m->stripes[i]));
        uint32_t count = (uint32_t)m->lists[i].count;
        *least = n;
        while (m->workers == 1 && n < count && !shows(&m->writes[m->lists[i].writes[n]])) {
            n++;
        }
        cut->upto[i] = n < count ? n : count;
    }
}

/* Without a log the durable tag says which writes are in, exactly: their tags are their numbers. */
static bool cut_by_tag(const struct storemodel *m, const struct storeview *v, enum storecrash crash,
                       struct storecut *cut, uint32_t *least, const char **class, struct err *why)
{
    *class = "tag";
    if (v->tag > m->lists[0].count) {
        err_set(why, "the durable tag is %llu, and no write had it", (unsigned long long)v->tag);
        return false;
    }
    if (v->tag < m->tag && crash != STORECRASH_DAMAGE) {
        *class = "E2 durability";
        err_set(why, "tag %llu was promised to be durable, and %llu is", (unsigned long long)m->tag,
                (unsigned long long)v->tag);
        return false;
    }
    cut->upto[0] = (uint32_t)v->tag;
    *least = cut->upto[0];
    return true;
}

/* Everything that was promised is in (E2, E8). */
static bool promises_hold(const struct storemodel *m, const struct storecut *cut,
                          enum storecrash crash, const char **class, struct err *why)
{
    static const char *const after[] = {"a restart", "the process died", "power was lost", ""};
    bool synced_only = crash == STORECRASH_POWER || (crash == STORECRASH_PROCESS && !m->log);
    uint64_t least = crash == STORECRASH_DAMAGE ? 0 : synced_only ? m->synced : m->acked;
    for (size_t i = 0; i < m->workers; i++) {
        for (size_t n = cut->upto[i]; n < m->lists[i].count; n++) {
            size_t w = m->lists[i].writes[n];
            if (m->writes[w].state == STOREWRITE_OK && m->writes[w].order <= least) {
                char text[128];
                storemodel_say(m, w, text, sizeof text);
                *class = crash == STORECRASH_PROCESS ? "E8 process crash" : "E2 durability";
                err_set(why, "%s was promised, and is gone after %s", text, after[crash]);
                return false;
            }
        }
    }
    return true;
}

static void explain(struct storemodel *m, const struct storeview *v, const struct storecut *cut,
                    const char **class, struct err *why)
{
    size_t key = difference(m, v, cut, true);
    *class = m->log ? "E1 prefix" : "tag"; /* which says exactly what is in */
    err_set(why, "the view is the state after no prefix of the writes");
    if (key != STOREMODEL_NONE) {
        say_difference(m, v, cut, key, why);
        const struct storekey *k = &m->keys[key];
        struct slice is = storeview_value(v, key);
        for (size_t i = 0; i < k->count; i++) {
            const struct storeversion *ver = &k->versions[i];
            bool its = ver->present && is.data != NULL && slice_equal(ver->value, is);
            const struct storewrite *w = &m->writes[ver->write];
            if (its && m->log && w->striped && w->number > cut->upto[w->worker]) {
                *class = "E3 atomicity"; /* a part of a batch without its stripe */
            }
        }
    }
}

bool storejudge_view(struct storemodel *m, const struct storeview *v, enum storecrash crash,
                     struct storecut *cut, const char **class, struct err *why)
{
    struct unknown u = {.count = 0};
    uint32_t least = 0;
    first_candidate(m, v, cut, &least);
    if (!m->log && !cut_by_tag(m, v, crash, cut, &least, class, why)) {
        return false;
    }
    for (size_t i = 0; i < m->workers; i++) {
        uint32_t n = stripe_number(storeview_value(v, m->stripes[i]));
        size_t count = m->lists[i].count;
        bool lost =
            n > 0 && n <= count && m->writes[m->lists[i].writes[n - 1]].state == STOREWRITE_LOST;
        if (n > count || lost) {
            *class = lost ? "E4 fate" : "E1 prefix";
            err_set(why, "worker %zu's write %u is in the view, and %s", i, n,
                    lost ? "an earlier recovery had lost it" : "never was");
            return false;
        }
    }
    while (!is_cut(m, v, cut, &u)) {
        bool more = m->workers == 1 && cut->upto[0] > least;
        if (!more) {
            explain(m, v, cut, class, why);
            *class = crash == STORECRASH_DAMAGE ? "E19 never wrong" : *class;
            return false;
        }
        cut->upto[0]--;
    }
    /* Where one more write would make no difference it need not have happened. */
    while (m->workers == 1 && u.count > 0 && cut->upto[0] > least) {
        struct storecut less = *cut;
        less.upto[0]--;
        unknown_forget(m, &u);
        if (!is_cut(m, v, &less, &u)) {
            bool again = is_cut(m, v, cut, &u);
            CK(again);
            break;
        }
        *cut = less;
    }
    *class = "E1 prefix";
    bool ok = prefix_holds(m, cut, why) && promises_hold(m, cut, crash, class, why);
    unknown_forget(m, &u);
    return ok;
}

void storejudge_decide(struct storemodel *m, const struct storeview *v, const struct storecut *cut)
{
    struct unknown u;
    bool same = is_cut(m, v, cut, &u); /* and their places stay */
    CK(same);
    for (size_t i = 0; i < m->workers; i++) {
        struct storelist *l = &m->lists[i];
        for (size_t n = 0; n < l->count; n++) {
            struct storewrite *w = &m->writes[l->writes[n]];
            bool in = storemodel_in(m, cut, l->writes[n]);
            if (w->state == STOREWRITE_REPLAY || w->state == STOREWRITE_LOST) {
                continue;
            }
            if (in) {
                w->state = STOREWRITE_OK;
            } else {
                bool again = !m->log && w->state != STOREWRITE_FAILED;
                w->state = again ? STOREWRITE_REPLAY : STOREWRITE_LOST;
                w->order = 0;
            }
        }
    }
    m->acked = 0;
    for (size_t i = 0; i < m->write_count; i++) {
        const struct storewrite *w = &m->writes[i];
        m->acked = w->state == STOREWRITE_OK && w->order > m->acked ? w->order : m->acked;
    }
    m->synced = m->acked;
    m->tag = m->log ? 0 : v->tag; /* also where damage has cost some */
}
