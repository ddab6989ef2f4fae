/* test_status.c - the error vocabulary: every status has its own name and text. */
#include "base/status.h"

#include "base/err.h"
#include "tests/tap.h"

/* A new status without a row, or a row copied and not edited, shows here. */
static void test_status__each_has_its_own_name_and_text(void)
{
    for (int i = 0; i < ST_COUNT; i++) {
        EXPECT(strncmp(status_name((enum status)i), "ST_", 3) == 0);
        EXPECT(strcmp(status_name((enum status)i), "ST_?") != 0);
        EXPECT(status_text((enum status)i)[0] != '\0');
        for (int k = 0; k < i; k++) {
            EXPECT(strcmp(status_name((enum status)i), status_name((enum status)k)) != 0);
            EXPECT(strcmp(status_text((enum status)i), status_text((enum status)k)) != 0);
        }
    }
}

static void test_status__values_are_fixed(void)
{
    EXPECT(ST_OK == 0);
    EXPECT(ST_CORRUPT == 4);
    EXPECT(ST_BUSY == 8);
    EXPECT(ST_RESET == 15);
    EXPECT(ST_STOPPED == 31);
    EXPECT(strcmp(status_name(ST_NOSPC), "ST_NOSPC") == 0);
    EXPECT(strcmp(status_text(ST_NOSPC), "no space left on device") == 0);
}

static void test_status__a_number_that_is_none_is_said_so(void)
{
    EXPECT(strcmp(status_name((enum status)ST_COUNT), "ST_?") == 0);
    EXPECT(strcmp(status_name((enum status)9999), "ST_?") == 0);
    EXPECT(strcmp(status_text((enum status)ST_COUNT), "unknown status") == 0);
}

static void test_err__formats_and_truncates(void)
{
    struct err e;
    char big[600];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    err_set(&e, "%s at %d", "log 3", 17);
    EXPECT(strcmp(e.text, "log 3 at 17") == 0);
    err_set(&e, "%s", big);
    EXPECT(strlen(e.text) == sizeof e.text - 1);
    EXPECT(e.text[sizeof e.text - 2] == 'x');
}

static void test_err__status_is_passed_on_and_said(void)
{
    struct err e;
    EXPECT(err_status(&e, ST_BUSY, "data/LOCK") == ST_BUSY);
    EXPECT(strcmp(e.text, "data/LOCK: in use by another process") == 0);
    EXPECT(err_status(NULL, ST_IO, "nobody listens") == ST_IO);
    err_set(NULL, "%d", 1);
}

TAP_MAIN({
    RUN(test_status__each_has_its_own_name_and_text);
    RUN(test_status__values_are_fixed);
    RUN(test_status__a_number_that_is_none_is_said_so);
    RUN(test_err__formats_and_truncates);
    RUN(test_err__status_is_passed_on_and_said);
})
