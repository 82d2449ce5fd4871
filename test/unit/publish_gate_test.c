/* publish_gate, publish - rates by service, bytes that wait, whose channels, where an object ends. */
#include "publish.h"

#include "buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { SECOND_US = 1000000 };

static void test_each_service_has_its_rate(void **state)
{
    (void)state;
    struct publish_gate *gate = publish_gate_new(1);
    int64_t now = 5 * SECOND_US;
    assert_true(publish_gate_take(gate, "etl", 10, 10, now));
    assert_false(publish_gate_take(gate, "etl", 10, 1, now));
    assert_true(publish_gate_take(gate, "etl2", 10, 10, now));
    assert_true(publish_gate_take(gate, "", 10, 1, now));
    assert_true(publish_gate_take(gate, "etl", 10, 1, now + SECOND_US / 10));
    assert_false(publish_gate_take(gate, "etl", 10, 1, now + SECOND_US / 10));
    assert_true(publish_gate_take(gate, "etl", 0, 1000000, now)); /* no limit */
    publish_gate_free(gate);
    publish_gate_free(NULL);
}

static void test_bytes_that_wait(void **state)
{
    (void)state;
    struct publish_gate *gate = publish_gate_new(100);
    assert_true(publish_gate_enter(gate, 60));
    assert_false(publish_gate_enter(gate, 41));
    assert_true(publish_gate_enter(gate, 40));
    assert_false(publish_gate_enter(gate, 1));
    assert_false(publish_gate_enter(gate, SIZE_MAX));
    publish_gate_leave(gate, 60);
    assert_true(publish_gate_enter(gate, 60));
    publish_gate_leave(gate, 100);
    assert_true(publish_gate_enter(gate, 1000)); /* alone */
    assert_false(publish_gate_enter(gate, 1));

    struct publish_request *request = memory_zero(1, sizeof *request);
    request->gate = gate;
    request->held_bytes = 1000;
    publish_request_free(request);
    assert_true(publish_gate_enter(gate, 100));
    publish_gate_free(gate);
    publish_request_free(NULL);
}

static bool may(const struct publish_request *request, const char *channel)
{
    return publish_request_may(request, (struct slice){channel, strlen(channel)});
}

static void test_patterns(void **state)
{
    (void)state;
    char name[] = "etl", logs[] = "logs:etl:*", one[] = "alerts:ann", *patterns[] = {logs, one};
    struct publish_request request = {.name = name, .patterns = patterns, .pattern_count = 2};
    assert_true(may(&request, "logs:etl:w"));
    assert_true(may(&request, "logs:etl:w:f"));
    assert_true(may(&request, "alerts:ann"));
    assert_false(may(&request, "logs:etl"));
    assert_false(may(&request, "logs:faas:w"));
    assert_false(may(&request, "alerts:ann:x"));
    request.pattern_count = 0;
    assert_false(may(&request, "alerts:ann"));
    request.name = NULL; /* the test endpoints */
    assert_true(may(&request, "alerts:ann"));
}

static void expect_length(const char *text, size_t length)
{
    assert_int_equal(publish_object_length((struct slice){text, strlen(text)}), length);
}

static void test_where_an_object_ends(void **state)
{
    (void)state;
    expect_length("", 0);
    expect_length("[]", 0);
    expect_length(" {}", 0);
    expect_length("{", 0);
    expect_length("{}", 2);
    expect_length("{}}", 2);
    expect_length("{} {}", 2);
    expect_length("{\"a\":[1,{\"b\":2}]},", 17);
    expect_length("{\"}\":\"]}\"}x", 10);
    expect_length("{\"\\\"}\":1}x", 9);
    expect_length("{\"\\\\\":1}x", 8);
    expect_length("{\"a\":[}", 0);
    expect_length("{\"a", 0);
    expect_length("{\"a\\", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_service_has_its_rate),
        cmocka_unit_test(test_bytes_that_wait),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_where_an_object_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
