/* publish_request - what a body's type means, and how it is cut into items. */
#include "publish_request.h"

#include "buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void test_types(void **state)
{
    (void)state;
    assert_int_equal(publish_body_of("application/json"), PUBLISH_BODY_JSON);
    assert_int_equal(publish_body_of("APPLICATION/json; charset=utf-8"), PUBLISH_BODY_JSON);
    assert_int_equal(publish_body_of("application/json \t;"), PUBLISH_BODY_JSON);
    assert_int_equal(publish_body_of("application/x-ndjson"), PUBLISH_BODY_NDJSON);
    const char *const others[] = {NULL, "", "text/plain", "application/jsonx", "application/json x", "application/x-ndjson2",
                                  "application/x-www-form-urlencoded", "text/plain;application/json", " application/json"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(publish_body_of(others[i]), PUBLISH_BODY_OTHER);
    }
}

/* The items joined by '|', "batch " in front of a batch's; or "no: " and the sentence. */
static void expect(enum publish_body kind, const char *body, const char *want)
{
    struct publish_request *request = memory_zero(1, sizeof *request);
    struct error err;
    struct buffer got = BUFFER_INIT;
    if (publish_request_read(request, kind, (struct slice){body, strlen(body)}, &err) != 0) {
        buffer_printf(&got, "no: %s", err.text);
    } else {
        buffer_append_text(&got, request->is_batch ? "batch " : "");
        for (size_t i = 0; i < request->item_count; i++) {
            buffer_append_text(&got, i > 0 ? "|" : "");
            buffer_append(&got, request->items[i].data, request->items[i].len);
        }
    }
    assert_string_equal(buffer_text(&got), want);
    buffer_fini(&got);
    publish_request_free(request);
}

static void test_json(void **state)
{
    (void)state;
    expect(PUBLISH_BODY_JSON, " {\"a\":1}\r\n", "{\"a\":1}");
    expect(PUBLISH_BODY_JSON, "nonsense", "nonsense"); /* refused where it is read */
    expect(PUBLISH_BODY_JSON, "{}{}", "{}{}");
    expect(PUBLISH_BODY_JSON, "", "no: there is nothing in the body");
    expect(PUBLISH_BODY_JSON, " \n ", "no: there is nothing in the body");
    expect(PUBLISH_BODY_JSON, "[{}]", "batch {}");
    expect(PUBLISH_BODY_JSON, " [ {\"a\":[1,2]} , {\"],{\":\"\\\"\"}\n]\n", "batch {\"a\":[1,2]}|{\"],{\":\"\\\"\"}");
    expect(PUBLISH_BODY_JSON, "[]", "no: item 0 is not a whole JSON object");
    expect(PUBLISH_BODY_JSON, "[{},]", "no: item 1 is not a whole JSON object");
    expect(PUBLISH_BODY_JSON, "[{},1]", "no: item 1 is not a whole JSON object");
    expect(PUBLISH_BODY_JSON, "[{}", "no: item 0 is followed neither by ',' and the next one nor by ']' and the end");
    expect(PUBLISH_BODY_JSON, "[{} {}]", "no: item 0 is followed neither by ',' and the next one nor by ']' and the end");
    expect(PUBLISH_BODY_JSON, "[{}]]", "no: item 0 is followed neither by ',' and the next one nor by ']' and the end");
}

static void test_lines(void **state)
{
    (void)state;
    expect(PUBLISH_BODY_NDJSON, "{}", "batch {}");
    expect(PUBLISH_BODY_NDJSON, "\n{\"a\":1}\r\n\n \t\n{\"b\":2}\nx", "batch {\"a\":1}|{\"b\":2}|x");
    expect(PUBLISH_BODY_NDJSON, "[{}]", "batch [{}]");
    expect(PUBLISH_BODY_NDJSON, "\n\n", "no: there is nothing in the body");
}

static void test_too_many(void **state)
{
    (void)state;
    struct buffer lines = BUFFER_INIT;
    for (int i = 0; i < PUBLISH_ITEMS_MAX; i++) {
        buffer_append_text(&lines, "{}\n");
    }
    struct publish_request *request = memory_zero(1, sizeof *request);
    struct error err;
    assert_int_equal(publish_request_read(request, PUBLISH_BODY_NDJSON, (struct slice){lines.data, lines.len}, &err), 0);
    assert_int_equal(request->item_count, PUBLISH_ITEMS_MAX);
    publish_request_free(request);
    buffer_append_text(&lines, "{}");
    expect(PUBLISH_BODY_NDJSON, buffer_text(&lines), "no: more than 1000 items in one request");
    buffer_fini(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
