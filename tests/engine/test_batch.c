/* test_batch.c - batches as bytes: what goes in comes out, and nothing else is taken for one. */
#include "engine/batch.h"
#include "engine/tkv.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdlib.h>

struct seen {
    int count;
    int stop_at;
    char text[256];
};

static bool each(void *arg, const struct tkv_change *c)
{
    struct seen *s = arg;
    size_t n = strlen(s->text);
    (void)snprintf(s->text + n, sizeof s->text - n, "%.*s%s%.*s;", (int)c->key.size,
                   (const char *)c->key.data,
                   c->type == TKV_PUT      ? "="
                   : c->type == TKV_DELETE ? "-"
                                           : "..",
                   (int)c->value.size, (const char *)c->value.data);
    return ++s->count != s->stop_at;
}

static struct tkv_batch *sample(struct inject *te)
{
    struct tkv_batch *b = NULL;
    test_env_init(te, NULL);
    EXPECT(tkv_batch_new(&te->env, &b) == TKV_OK);
    EXPECT(tkv_batch_put(b, "a", 1, "one", 3) == TKV_OK);
    EXPECT(tkv_batch_delete(b, "bb", 2) == TKV_OK);
    EXPECT(tkv_batch_put(b, "", 0, "", 0) == TKV_OK);
    return b;
}

static void batch__comes_out_as_it_went_in(void)
{
    struct inject te;
    struct seen s = {0};
    size_t size;
    struct tkv_batch *b = sample(&te);
    const void *data = tkv_batch_data(b, &size);
    EXPECT(tkv_batch_count(b) == 3);
    EXPECT(size == BATCH_HEAD + (3 + 4) + (2 + 2) + 3);
    EXPECT(tkv_batch_walk(data, size, each, &s) == TKV_OK);
    EXPECT(strcmp(s.text, "a=one;bb-;=;") == 0);
    struct seen early = {.stop_at = 1};
    EXPECT(tkv_batch_walk(data, size, each, &early) == TKV_OK);
    EXPECT(early.count == 1);
    tkv_batch_clear(b);
    EXPECT(tkv_batch_count(b) == 0);
    tkv_batch_free(b);
    tkv_batch_free(NULL);
    EXPECT(te.live == 0);
}

static void batch__cut_anywhere_is_refused(void)
{
    struct inject te;
    size_t size;
    struct tkv_batch *b = sample(&te);
    const char *data = tkv_batch_data(b, &size);
    for (size_t n = 0; n < size; n++) {
        struct seen s = {0};
        char *copy = malloc(n + 1); /* the sanitizer watches its end */
        memcpy(copy, data, n);
        char *cut = realloc(copy, n > 0 ? n : 1);
        EXPECT(tkv_batch_walk(cut, n, each, &s) == TKV_CORRUPT);
        free(cut);
    }
    tkv_batch_free(b);
}

static void batch__any_flipped_bit_is_survived(void)
{
    struct inject te;
    size_t size;
    struct tkv_batch *b = sample(&te);
    const char *data = tkv_batch_data(b, &size);
    for (size_t bit = 0; bit < size * 8; bit++) {
        struct seen s = {0};
        char *copy = malloc(size);
        memcpy(copy, data, size);
        copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
        enum tkv_status st = tkv_batch_walk(copy, size, each, &s);
        EXPECT(st == TKV_OK || st == TKV_CORRUPT || st == TKV_UNSUPPORTED);
        EXPECT(bit / 8 < 4 ? st == TKV_CORRUPT : true); /* the count */
        EXPECT(bit / 8 >= 4 && bit / 8 < 8 ? st == TKV_UNSUPPORTED : true);
        free(copy);
    }
    tkv_batch_free(b);
}

static void batch__limits_are_kept(void)
{
    struct inject te;
    struct tkv_batch *b = sample(&te);
    char *big = calloc(1, TKV_KEY_MAX + 1);
    EXPECT(tkv_batch_put(b, big, TKV_KEY_MAX, NULL, 0) == TKV_OK);
    EXPECT(tkv_batch_put(b, big, TKV_KEY_MAX + 1, NULL, 0) == TKV_TOOBIG);
    EXPECT(tkv_batch_delete(b, big, TKV_KEY_MAX + 1) == TKV_TOOBIG);
    EXPECT(tkv_batch_put(b, "k", 1, big, (size_t)TKV_VALUE_MAX + 1) == TKV_TOOBIG);
    EXPECT(tkv_batch_count(b) == 4);
    free(big);
    tkv_batch_free(b);
}

static void batch__a_refused_allocation_leaves_it_as_it_was(void)
{
    for (long n = 0; n < 8; n++) {
        struct inject te;
        struct tkv_batch *b = NULL;
        char value[100] = {0};
        test_env_init(&te, NULL);
        te.fail_at = n;
        enum tkv_status st = tkv_batch_new(&te.env, &b);
        EXPECT((st == TKV_OK) == (n >= 2));
        uint32_t in = 0;
        for (int i = 0; st == TKV_OK && i < 20; i++) {
            in += tkv_batch_put(b, "key", 3, value, sizeof value) == TKV_OK;
            EXPECT(tkv_batch_count(b) == in);
        }
        EXPECT(st != TKV_OK || in >= 19);
        if (st == TKV_OK) {
            uint32_t count;
            size_t size;
            const void *data = tkv_batch_data(b, &size);
            EXPECT(batch_check(slice_of(data, size), &count) == ST_OK);
            EXPECT(count == in);
            tkv_batch_free(b);
        }
        EXPECT(te.live == 0);
    }
}

TAP_MAIN({
    RUN(batch__comes_out_as_it_went_in);
    RUN(batch__cut_anywhere_is_refused);
    RUN(batch__any_flipped_bit_is_survived);
    RUN(batch__limits_are_kept);
    RUN(batch__a_refused_allocation_leaves_it_as_it_was);
})
