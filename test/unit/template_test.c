/* template - compiling, expanding and describing channels. */
#include "template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "document.h"

static const struct slice database = {"shop", 4};
static const struct slice collection = {"etl logs", 8};

static struct template *compiled(const char *text)
{
    struct template *t = NULL;
    struct error err;
    if (template_new(text, &t, &err) != 0) {
        fail_msg("%s: %s", text, err.text);
    }
    return t;
}

/* expected: the channel, or "!" and a part of the reason. */
static void check_bson(const char *text, const bson_t *bson, const char *expected)
{
    struct template *t = compiled(text);
    struct buffer channel = BUFFER_INIT;
    struct template_values values;
    struct error reason;
    int rc = template_expand(t, database, collection, bson, &channel, &values, &reason);
    if (expected[0] == '!') {
        assert_int_equal(rc, -1);
        if (!strstr(reason.text, expected + 1)) {
            fail_msg("\"%s\" lacks \"%s\"", reason.text, expected + 1);
        }
    } else {
        assert_int_equal(rc, 0);
        assert_string_equal(buffer_text(&channel), expected);
    }
    buffer_fini(&channel);
    template_free(t);
}

static void check(const char *text, const char *source, const char *expected)
{
    bson_t *bson = document(source);
    check_bson(text, bson, expected);
    bson_destroy(bson);
}

static void refuse(const char *text, const char *sentence)
{
    struct template *t = NULL;
    struct error err = {.text = ""};
    assert_int_equal(template_new(text, &t, &err), -1);
    if (!strstr(err.text, sentence)) {
        fail_msg("%s: \"%s\" lacks \"%s\"", text, err.text, sentence);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    refuse("", "empty");
    refuse("a::b", "empty");
    refuse("a:", "empty");
    refuse("a{b}", "either plain text or one");
    refuse("{a}{b}", "either plain text or one");
    refuse("{a", "either plain text or one");
    refuse("a}", "either plain text or one");
    refuse("{}", "either plain text or one");
    refuse("logs:*", "'*'");
    refuse("logs:a b", "white space");
    refuse("{a|}", "is empty");
    refuse("{a..b}", "empty part");
    refuse("{.a}", "empty part");
    refuse("{$coll}", "unknown");
    refuse("{$collection|a}", "unknown");
    refuse("{a|$database}", "begins with '$'");
    refuse("a:b:c:d:e:f:g:h:i", "more than 8 segments");
    refuse("{a|b|c|d|e|f|g|h|i}", "more than 8 alternatives");
}

static void test_types(void **state)
{
    (void)state;
    const char *t = "logs:{v}";
    check(t, "{'v':'w1'}", "logs:w1");
    check(t, "{'v':{'$numberInt':'-5'}}", "logs:-5");
    check(t, "{'v':{'$numberLong':'-9223372036854775808'}}", "logs:-9223372036854775808");
    check(t, "{'v':{'$oid':'6b0169cd05060708090a0bff'}}", "logs:6b0169cd05060708090a0bff");
    check(t, "{'v':{'$binary':{'base64':'AAECAwQFBgcICQoLDA0O/w==','subType':'04'}}}",
          "logs:00010203-0405-0607-0809-0a0b0c0d0eff");
    check(t, "{'v':{'$binary':{'base64':'AAEC','subType':'00'}}}", "!field v is binary");
    check(t, "{'v':1.5}", "!field v is a double");
    check(t, "{'v':true}", "!field v is a boolean");
    check(t, "{'v':{'a':1}}", "!field v is a document");
    check(t, "{'v':['a']}", "!field v is an array");
    check(t, "{'v':{'$date':'2026-01-01T00:00:00Z'}}", "!field v is a date");
    check(t, "{'v':{'$minKey':1}}", "!without a text form");
    check(t, "{'v':'a:b,*% c'}", "logs:a%3Ab%2C%2A%25%20c");
    check(t, "{'v':'*'}", "logs:%2A");
}

static void test_missing(void **state)
{
    (void)state;
    const char *t = "logs:{a}:{b}";
    check(t, "{'a':'1','b':'2'}", "logs:1:2");
    check(t, "{'a':'1'}", "logs:1");
    check(t, "{'a':'1','b':null}", "logs:1");
    check(t, "{'a':'1','b':''}", "logs:1");
    check(t, "{'a':'1','b':{'$undefined':true}}", "logs:1");
    check(t, "{'a':'1','b':2.5}", "!field b is a double");
    check(t, "{'b':'2'}", "!field a is missing");
    check(t, "{'a':'','b':'2'}", "!field a is missing");
    check(t, "{}", "!field a is missing");
    check("{a}", "{}", "!field a is missing");
    check("{a}:x", "{}", "!field a is missing");
}

static void test_paths_and_alternatives(void **state)
{
    (void)state;
    check("x:{a.b.c}", "{'a':{'b':{'c':'deep'}}}", "x:deep");
    check("x:{a.b}", "{'a.b':'dotted key'}", "x:dotted%20key");
    check("x:{a.b}", "{'a':'scalar'}", "x");
    check("x:{a.b}", "{'a':[{'b':1}]}", "x");
    check("x:{a|b.c|d}", "{'a':null,'b':{'c':'second'},'d':'third'}", "x:second");
    check("x:{a|b}", "{'a':1.5,'b':'ok'}", "!field a is a double");
    check("{$database}:{$collection}:{a}", "{'a':'1'}", "shop:etl%20logs:1");
}

static void test_values(void **state)
{
    (void)state;
    struct template *t = compiled("logs:{$collection}:{a}:{b|c}");
    bson_t *bson = document("{'a':'x y','c':7}");
    struct buffer channel = BUFFER_INIT;
    struct template_values values;
    assert_int_equal(template_expand(t, database, collection, bson, &channel, &values, NULL), 0);
    assert_int_equal(values.count, 2);
    assert_memory_equal(values.at[0].text.data, "x y", 3);
    assert_memory_equal(values.at[1].name.data, "b", 1);
    assert_memory_equal(values.at[1].source.data, "c", 1);
    assert_int_equal(values.at[1].text.len, 1);
    assert_memory_equal(values.at[1].text.data, "7", 1);
    buffer_fini(&channel);
    bson_destroy(bson);
    template_free(t);
}

static void test_limits(void **state)
{
    (void)state;
    char text[600];
    memset(text, 'x', sizeof text);
    text[128] = '\0';
    bson_t *fits = BCON_NEW("v", BCON_UTF8(text));
    char channel[140] = "a:";
    strcat(channel, text);
    check_bson("a:{v}", fits, channel);
    check_bson("{v}:{v}:{v}:{v}", fits, "!longer than 512");
    bson_destroy(fits);
    text[128] = 'x';
    text[129] = '\0';
    bson_t *long_one = BCON_NEW("v", BCON_UTF8(text));
    check_bson("a:{v}", long_one, "!too long");
    bson_destroy(long_one);
    bson_t *bad = BCON_NEW("v", BCON_UTF8("a\xff"));
    check_bson("a:{v}", bad, "!not UTF-8");
    bson_destroy(bad);
}

static void check_shape(const char *text, bool known, const char *expected, bool optional)
{
    struct template *t = compiled(text);
    struct buffer shape = BUFFER_INIT;
    assert_int_equal(template_append_shape(t, database, known ? &collection : NULL, &shape), 0);
    assert_string_equal(buffer_text(&shape), expected);
    assert_int_equal(template_last_optional(t), optional);
    buffer_fini(&shape);
    template_free(t);
}

static void test_shapes(void **state)
{
    (void)state;
    check_shape("logs:etl:{a}:{b}", false, "logs:etl:*:*", true);
    check_shape("logs:{$collection}:{b}", false, "logs:*:*", true);
    check_shape("logs:{$collection}:{b}", true, "logs:etl%20logs:*", true);
    check_shape("{$database}:{a}:all", false, "shop:*:all", false);
    check_shape("{a}", false, "*", false);
    struct template *t = compiled("logs:{a.b|c}");
    assert_true(template_has_field(t, "a.b"));
    assert_true(template_has_field(t, "c"));
    assert_false(template_has_field(t, "a"));
    assert_string_equal(template_literal(t, 0), "logs");
    assert_null(template_literal(t, 1));
    template_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_types),  cmocka_unit_test(test_missing),
        cmocka_unit_test(test_paths_and_alternatives), cmocka_unit_test(test_values), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
