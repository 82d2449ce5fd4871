/* event_name - which names an event may have. */
#include "event_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void test_names(void **state)
{
    (void)state;
    char long_name[EVENT_NAME_MAX + 1];
    memset(long_name, 'x', sizeof long_name);
    assert_null(event_name_problem("cpu", 3));
    assert_null(event_name_problem("a.b_c-D9", 8));
    assert_null(event_name_problem("readyish", 8));
    assert_null(event_name_problem(long_name, EVENT_NAME_MAX));
    assert_non_null(event_name_problem(long_name, EVENT_NAME_MAX + 1));
    assert_non_null(event_name_problem("", 0));
    assert_non_null(event_name_problem("a b", 3));
    assert_non_null(event_name_problem("a\nid: 1", 7));
    assert_non_null(event_name_problem("a\0b", 3));
    assert_non_null(event_name_problem("\xc3\xa9", 2));
    assert_string_equal(event_name_problem("revoked", 7), "this is one of tailwater's own event names");
    assert_non_null(event_name_problem("message", 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
