/* publish_edit - a copy in which some fields are others, however they are written. */
#include "publish_edit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "document.h"

/* Up to two edits: "path" with value "new", or with drop. */
static void expect(const char *source, const char *path, const char *path2, bool drop, const char *want)
{
    bson_t *from = document(source), *wanted = document(want), *out = bson_new(), *values = document("{'v':'new'}");
    bson_iter_t at;
    assert_true(bson_iter_init_find(&at, values, "v"));
    const bson_value_t *value = drop ? NULL : bson_iter_value(&at);
    struct publish_edit edits[] = {{{path, strlen(path)}, value}, {{path2 ? path2 : "", path2 ? strlen(path2) : 0}, value}};
    publish_edit_copy(from, edits, path2 ? 2 : 1, out);
    char *got_text = bson_as_canonical_extended_json(out, NULL);
    char *want_text = bson_as_canonical_extended_json(wanted, NULL);
    assert_string_equal(got_text, want_text);
    assert_true(bson_validate(out, BSON_VALIDATE_UTF8, NULL));
    bson_free(got_text);
    bson_free(want_text);
    bson_destroy(from);
    bson_destroy(wanted);
    bson_destroy(out);
    bson_destroy(values);
}

static void test_top(void **state)
{
    (void)state;
    expect("{}", "a", NULL, false, "{'a':'new'}");
    expect("{'b':1,'a':2,'ab':3,'a':4}", "a", NULL, false, "{'a':'new','b':1,'ab':3}");
    expect("{'a':{'x':1},'b':1}", "a", "c", false, "{'a':'new','c':'new','b':1}");
    expect("{'a':1,'b':2}", "a", NULL, true, "{'b':2}");
}

static void test_inside(void **state)
{
    (void)state;
    expect("{}", "a.b.c", NULL, false, "{'a':{'b':{'c':'new'}}}");
    expect("{}", "a.b", "a.c", false, "{'a':{'b':'new','c':'new'}}");
    expect("{'a':{'x':1,'b':2},'z':{}}", "a.b", NULL, false, "{'a':{'b':'new','x':1},'z':{}}");
    expect("{'a':{'x':1}}", "a.b.c", NULL, false, "{'a':{'x':1,'b':{'c':'new'}}}");
    expect("{'a':'text'}", "a.b", NULL, false, "{'a':{'b':'new'}}");
    expect("{'a':'text','ab':1}", "a.b", NULL, true, "{'a':'text','ab':1}"); /* nothing to leave out */
    expect("{'a':[{'b':1}]}", "a.b", NULL, true, "{'a':[{'b':1}]}");         /* paths do not go through arrays */
    expect("{'a':{'b':1,'c':2}}", "a.b", NULL, true, "{'a':{'c':2}}");
}

/* Where a path may also be found. */
static void test_keys_with_dots(void **state)
{
    (void)state;
    expect("{'a.b':1,'a':{'b':2},'c':3}", "a.b", NULL, false, "{'a':{'b':'new'},'c':3}");
    expect("{'a':{'b.c':1},'a.b':{'c':2},'a':{'b':{'c':3}}}", "a.b.c", NULL, true,
           "{'a':{},'a.b':{},'a':{'b':{}}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_top),
        cmocka_unit_test(test_inside),
        cmocka_unit_test(test_keys_with_dots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
