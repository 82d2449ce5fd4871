/* stream_error - the table from MongoDB's codes to actions. */
#include "stream_error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static const struct {
    int code;
    enum stream_action action;
} rows[] = {
    {286, STREAM_HISTORY_LOST},
    {136, STREAM_HISTORY_LOST},
    {280, STREAM_HISTORY_LOST},
    {10334, STREAM_TOO_LARGE},
    {16493, STREAM_TOO_LARGE},
    {40573, STREAM_NOT_REPLICA_SET},
    {13, STREAM_UNAUTHORIZED},
    {18, STREAM_UNAUTHORIZED},
    {8000, STREAM_UNAUTHORIZED},
    {166, STREAM_NO_STREAM},
    {115, STREAM_NO_STREAM},
    {73, STREAM_MISCONFIGURED},
    {40324, STREAM_MISCONFIGURED},
    {0, STREAM_REOPEN},     /* network */
    {-1, STREAM_REOPEN},
    {6, STREAM_REOPEN},     /* HostUnreachable */
    {43, STREAM_REOPEN},    /* CursorNotFound */
    {89, STREAM_REOPEN},    /* NetworkTimeout */
    {91, STREAM_REOPEN},    /* ShutdownInProgress */
    {189, STREAM_REOPEN},   /* PrimarySteppedDown */
    {237, STREAM_REOPEN},   /* CursorKilled */
    {10107, STREAM_REOPEN}, /* NotWritablePrimary */
    {11601, STREAM_REOPEN}, /* Interrupted */
    {13435, STREAM_REOPEN}, /* NotPrimaryNoSecondaryOk */
};

static void test_actions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (stream_error_action(rows[i].code) != rows[i].action) {
            fail_msg("code %d", rows[i].code);
        }
    }
}

/* Polling is for what cannot change by waiting, and for nothing else. */
static void test_polling(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum source_polling expected = rows[i].code == 40573                          ? SOURCE_POLLS_STANDALONE
                                       : rows[i].code == 166 || rows[i].code == 115 ? SOURCE_POLLS_VIEWS
                                                                                      : SOURCE_FOLLOWS_STREAM;
        if (stream_action_polling(stream_error_action(rows[i].code)) != expected) {
            fail_msg("code %d", rows[i].code);
        }
    }
}

/* Where somebody must do something, they are told what. */
static void test_advice(void **state)
{
    (void)state;
    assert_non_null(strstr(stream_action_advice(STREAM_NOT_REPLICA_SET), "rs.initiate()"));
    assert_non_null(strstr(stream_action_advice(STREAM_UNAUTHORIZED), "changeStream"));
    assert_non_null(strstr(stream_action_advice(STREAM_NO_STREAM), "views"));
    assert_non_null(strstr(stream_action_advice(STREAM_MISCONFIGURED), "views"));
    assert_string_equal(stream_action_advice(STREAM_REOPEN), "");
    assert_string_equal(stream_action_advice(STREAM_HISTORY_LOST), "");
    assert_string_equal(stream_action_advice(STREAM_TOO_LARGE), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_polling),
        cmocka_unit_test(test_advice),
    };
    return cmocka_run_group_tests_name("stream_error", tests, NULL, NULL);
}
