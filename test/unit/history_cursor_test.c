/* history_cursor - to text and back; what is no cursor. */
#include "history_cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static struct history_place place_of(int64_t key, const char *id)
{
    struct history_place place;
    history_place_init(&place);
    place.key.value_type = BSON_TYPE_INT64;
    place.key.value.v_int64 = key;
    place.id.value_type = BSON_TYPE_UTF8;
    place.id.value.v_utf8.str = bson_strdup(id);
    place.id.value.v_utf8.len = (uint32_t)strlen(id);
    place.inclusive = true;
    return place;
}

static void test_round_trip(void **state)
{
    (void)state;
    struct history_cursor out, in;
    struct buffer text = BUFFER_INIT;
    struct history_place place = place_of(-5, "row");
    history_cursor_init(&out);
    history_cursor_init(&in);
    out.newest_first = out.has_time = true;
    out.time_ms = 1795267765123;
    history_cursor_put(&out, "k1", &place);
    history_place_fini(&place);
    assert_int_equal(history_cursor_write(&out, &text), 0);
    const char *url_safe = "~ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    assert_int_equal(strspn(buffer_text(&text), url_safe), text.len);

    assert_int_equal(history_cursor_read(buffer_text(&text), &in), 0);
    assert_true(in.resumed && in.newest_first && in.has_time && !in.has_oid);
    assert_int_equal(in.time_ms, 1795267765123);
    assert_false(history_cursor_get(&in, "k2", &place));
    assert_true(history_cursor_get(&in, "k1", &place));
    assert_int_equal(place.key.value.v_int64, -5);
    assert_string_equal(place.id.value.v_utf8.str, "row");
    assert_true(place.inclusive && !place.timeless && !place.key_only);
    history_place_fini(&place);
    history_cursor_fini(&in);
    history_cursor_fini(&out);
    buffer_fini(&text);
}

static void test_no_cursor(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "x", "~", "~A", "~****", "~AAAAAAAAAAA", "~BQAAAAE", "~DAAAABB4AAEAAAAA"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct history_cursor cursor;
        history_cursor_init(&cursor);
        assert_int_equal(history_cursor_read(bad[i], &cursor), -1);
        history_cursor_fini(&cursor);
    }
}

static void test_too_long(void **state)
{
    (void)state;
    struct history_cursor cursor;
    struct buffer text = BUFFER_INIT;
    char *id = calloc(1, HISTORY_CURSOR_MAX + 1);
    memset(id, 'x', HISTORY_CURSOR_MAX);
    struct history_place place = place_of(1, id);
    history_cursor_init(&cursor);
    history_cursor_put(&cursor, "k", &place);
    assert_int_equal(history_cursor_write(&cursor, &text), -1);
    history_place_fini(&place);
    history_cursor_fini(&cursor);
    buffer_fini(&text);
    free(id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_no_cursor),
        cmocka_unit_test(test_too_long),
    };
    return cmocka_run_group_tests_name("history_cursor", tests, NULL, NULL);
}
