/* test_list.c - the intrusive list against an array. */
#include "base/list.h"

#include "base/prng.h"
#include "tests/tap.h"

struct item {
    int value;
    struct list link;
};

/* The values in order, forwards and backwards alike; -1 when the two disagree. */
static int values_of(struct list *head, int *out)
{
    int n = 0;
    for (struct list *at = head->next; at != head; at = at->next) {
        out[n++] = LIST_ENTRY(at, struct item, link)->value;
    }
    int k = n;
    for (struct list *at = head->prev; at != head; at = at->prev) {
        if (k == 0 || out[--k] != LIST_ENTRY(at, struct item, link)->value) {
            return -1;
        }
    }
    return k == 0 ? n : -1;
}

static void test_list__inserts_at_both_ends_and_between(void)
{
    struct list head;
    struct item a = {1, {0}}, b = {2, {0}}, c = {3, {0}};
    int got[3];
    list_init(&head);
    EXPECT(list_empty(&head));
    list_insert(&head, &c.link);     /* tail */
    list_insert(head.next, &a.link); /* front */
    list_insert(&c.link, &b.link);   /* before c */
    EXPECT(values_of(&head, got) == 3);
    EXPECT(got[0] == 1);
    EXPECT(got[1] == 2);
    EXPECT(got[2] == 3);
    EXPECT(!list_empty(&head));
}

static void test_list__removing_twice_is_harmless(void)
{
    struct list head;
    struct item a = {1, {0}}, b = {2, {0}};
    int got[2];
    list_init(&head);
    list_insert(&head, &a.link);
    list_insert(&head, &b.link);
    list_remove(&a.link);
    list_remove(&a.link);
    EXPECT(list_empty(&a.link));
    EXPECT(values_of(&head, got) == 1);
    EXPECT(got[0] == 2);
    list_remove(&b.link);
    EXPECT(list_empty(&head));
}

static void test_list__matches_an_array(void)
{
    static struct item items[64];
    int model[64], got[64], n = 0;
    struct list head;
    struct prng g = {8};
    list_init(&head);
    for (int i = 0; i < 64; i++) {
        items[i].value = i;
        list_init(&items[i].link);
    }
    for (int step = 0; step < 5000; step++) {
        int i = (int)prng_below(&g, 64);
        int at = 0;
        while (at < n && model[at] != i) {
            at++;
        }
        if (at < n) {
            list_remove(&items[i].link);
            memmove(model + at, model + at + 1, (size_t)(n - at - 1) * sizeof *model);
            n--;
        } else {
            int before = (int)prng_below(&g, (uint64_t)n + 1);
            list_insert(before < n ? &items[model[before]].link : &head, &items[i].link);
            memmove(model + before + 1, model + before, (size_t)(n - before) * sizeof *model);
            model[before] = i;
            n++;
        }
        EXPECT(values_of(&head, got) == n);
        EXPECT(memcmp(got, model, (size_t)n * sizeof *model) == 0);
    }
}

TAP_MAIN({
    RUN(test_list__inserts_at_both_ends_and_between);
    RUN(test_list__removing_twice_is_harmless);
    RUN(test_list__matches_an_array);
})
