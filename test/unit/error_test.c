/* error - sentences are one printable line, whatever is quoted in them. */
#include "error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void expect(const char *quoted, const char *want)
{
    struct error err = {.code = 5};
    assert_int_equal(error_set(&err, "%s", quoted), -1);
    assert_string_equal(err.text, want);
    assert_int_equal(err.code, 0);
}

static void test_printable(void **state)
{
    (void)state;
    expect("plain \"text\"", "plain \"text\"");
    expect("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80 \xc2\xa0", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80 \xc2\xa0");
    expect("a\r\nb\tc\x1b[31m\x7f", "a??b?c?[31m?");
    expect("\xc2\x85\xc2\x9b\xe2\x80\xa8\xe2\x80\xa9", "????");
    expect("a\xff\xc3(\xed\xa0\x80", "a??" "(???");
}

static void test_prefix(void **state)
{
    (void)state;
    struct error err;
    error_set(&err, "%s", "b\n");
    assert_int_equal(error_prefix(&err, "a%s", "\n"), -1);
    assert_string_equal(err.text, "a?: b?");
    assert_int_equal(error_set(NULL, "x"), -1);
    assert_int_equal(error_prefix(NULL, "x"), -1);
}

/* A sentence that does not fit is cut; no half of a character is left. */
static void test_cut(void **state)
{
    (void)state;
    struct error err;
    char text[2 * sizeof err.text];
    for (size_t i = 0; i + 2 < sizeof text; i += 2) {
        memcpy(text + i, "\xc3\xbc", 3);
    }
    error_set(&err, "%s", text);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_string_equal(err.text + sizeof err.text - 4, "\xc3\xbc?");
    error_prefix(&err, "%s", text);
    assert_int_equal(err.text[sizeof err.text - 2], '?');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_printable),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
