/* test_peerlist.c - lists of nodes as text. */
#include "node/peerlist.h"
#include "tests/tap.h"

#include <stdlib.h>

static enum status parse(const char *text, struct peerlist *list, struct err *err)
{
    *err = (struct err){.text = ""};
    return peerlist_parse(slice_text(text), list, err);
}

static void peerlist__reads_back_in_order(void)
{
    static char text[PEERLIST_TEXT_MAX];
    struct peerlist list;
    struct err err;
    EXPECT(parse("30=[::1]:7,2=10.0.0.2:7000,9223372036854775799=1.2.3.4:1", &list, &err) == ST_OK);
    EXPECT(strcmp(peerlist_format(&list, text),
                  "2=10.0.0.2:7000,30=[::1]:7,9223372036854775799=1.2.3.4:1") == 0);
    EXPECT(peerlist_find(&list, 30) == &list.items[1].addr);
    EXPECT(peerlist_find(&list, 30)->family == 6);
    EXPECT(peerlist_find(&list, 3) == NULL && peerlist_find(&list, 31) == NULL);
    list.count = 0;
    EXPECT(strcmp(peerlist_format(&list, text), "") == 0);
}

static void peerlist__errors_name_the_item(void)
{
    static const struct {
        const char *text;
        const char *item;
        const char *why;
    } rows[] = {
        {"", "''", "must be ID=ADDR:PORT"},
        {"1=1.1.1.1:1,", "''", "must be ID=ADDR:PORT"},
        {",1=1.1.1.1:1", "''", "must be ID=ADDR:PORT"},
        {"1=1.1.1.1:1,2", "'2'", "must be ID=ADDR:PORT"},
        {"0=1.1.1.1:1", "'0=1.1.1.1:1'", "above 0"},
        {"x=1.1.1.1:1", "'x=1.1.1.1:1'", "above 0"},
        {"99999999999999999999=1.1.1.1:1", "'99999999999999999999=", "above 0"},
        {"1=host:1", "'1=host:1'", "numeric"},
        {"1=1.1.1.1:0", "'1=1.1.1.1:0'", "needs a host and a port"},
        {"1=:7", "'1=:7'", "needs a host and a port"},
        {"1=[::]:7", "'1=[::]:7'", "needs a host and a port"},
        {"1=1.1.1.1:1,1=2.2.2.2:2", "'1=2.2.2.2:2'", "twice"},
        {"1=11111111111111111111111111111111111111111111111111111:1", "'1=1111", "too long"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct peerlist list;
        struct err err;
        EXPECT(parse(rows[i].text, &list, &err) == ST_INVAL);
        bool says = strstr(err.text, rows[i].item) == err.text && strstr(err.text, rows[i].why);
        EXPECT(says);
        if (!says) {
            printf("# '%s': %s\n", rows[i].text, err.text);
        }
    }
}

static void peerlist__holds_so_many_and_no_more(void)
{
    static char text[PEERLIST_TEXT_MAX + 64];
    struct peerlist list;
    struct err err;
    size_t size = 0;
    for (int i = RAFT_MEMBERS_MAX; i > 0; i--) {
        size += (size_t)snprintf(text + size, sizeof text - size, "%d=10.0.0.1:%d%s", i, i,
                                 i > 1 ? "," : "");
    }
    EXPECT(parse(text, &list, &err) == ST_OK);
    EXPECT(list.count == RAFT_MEMBERS_MAX);
    for (uint32_t i = 0; i < list.count; i++) {
        EXPECT(list.items[i].id == i + 1 && list.items[i].addr.port == i + 1);
    }
    struct env_addr addr = {.family = 4, .port = 9, .ip = {1, 2, 3, 4}};
    EXPECT(peerlist_set(&list, 7, &addr));
    EXPECT(peerlist_find(&list, 7)->port == 9);
    EXPECT(!peerlist_set(&list, RAFT_MEMBERS_MAX + 1, &addr));
    (void)snprintf(text + size, sizeof text - size, ",1000=10.0.0.1:1");
    EXPECT(parse(text, &list, &err) == ST_INVAL);
    EXPECT(strstr(err.text, "too many") != NULL);
}

/* The longest text of the longest list fits. */
static void peerlist__formats_the_longest(void)
{
    static char text[PEERLIST_TEXT_MAX];
    static char same[PEERLIST_TEXT_MAX];
    struct peerlist list = {.count = 0};
    struct peerlist again;
    struct err err;
    struct env_addr addr = {.family = 6, .port = 65535};
    memset(addr.ip, 0xfe, sizeof addr.ip);
    for (uint64_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        EXPECT(peerlist_set(&list, INT64_MAX - 20 - i, &addr));
    }
    EXPECT(parse(peerlist_format(&list, text), &again, &err) == ST_OK);
    EXPECT(again.count == RAFT_MEMBERS_MAX);
    EXPECT(strcmp(peerlist_format(&again, same), text) == 0);
}

TAP_MAIN({
    RUN(peerlist__reads_back_in_order);
    RUN(peerlist__errors_name_the_item);
    RUN(peerlist__holds_so_many_and_no_more);
    RUN(peerlist__formats_the_longest);
})
