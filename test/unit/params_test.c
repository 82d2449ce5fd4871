/* params - queries and JSON bodies, decoded once and strictly. */
#include "params.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From memory of exactly its size, so that a sanitizer sees every byte read behind the end. */
static struct params *from_query(const char *query, struct error *err)
{
    size_t len = strlen(query);
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, query, len);
    struct params *p = params_from_query((struct slice){copy, len}, err);
    free(copy);
    return p;
}

static void expect(const char *query, const char *name, const char *want)
{
    struct error err = {0};
    struct params *p = from_query(query, &err);
    if (!p) {
        fail_msg("%s: %s", query, err.text);
    }
    const char *got = params_get(p, name);
    if (want) {
        assert_non_null(got);
        assert_string_equal(got, want);
    } else {
        assert_null(got);
    }
    params_free(p);
}

static void test_query(void **state)
{
    (void)state;
    expect("", "a", NULL);
    expect("a=1&b=2", "a", "1");
    expect("a=1&b=2", "b", "2");
    expect("a=1&b=2", "c", NULL);
    expect("a=1&a=2", "a", "1"); /* the first */
    expect("a", "a", NULL);      /* empty counts as absent */
    expect("a=", "a", NULL);
    expect("&&a=1&&", "a", "1");
    expect("a=b=c", "a", "b=c");
    expect("a=x+y%20z", "a", "x y z");
    expect("a=%2B%26%3D%25", "a", "+&=%");
    expect("%61=1", "a", "1");
    expect("a=gr%C3%BC%c3%9f", "a", "gr\xc3\xbc\xc3\x9f");
    expect("a=%41", "a", "A"); /* at the very end */
    expect("=1", "a", NULL);
}

static void test_query_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"a=%",   "a=%4",  "a=%zz",  "a=%4g",      "a=%00",        "a=x%00y", "%00=1", "%=1",
                                      "a=1&b=%", "a=%ff", "%c3=1", "a=x%c0%80y", "a=%ed%a0%80", "a=\xff",
                                      "a=%f4%90%80%80"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error err = {0};
        assert_null(from_query(bad[i], &err));
        assert_non_null(strstr(err.text, "percent-encoded"));
    }
}

static void test_too_many(void **state)
{
    (void)state;
    char query[1000];
    size_t len = 0;
    struct error err = {0};
    for (int i = 0; i < 64; i++) {
        len += (size_t)snprintf(query + len, sizeof query - len, "a%d=1&", i);
    }
    struct params *p = from_query(query, &err);
    assert_non_null(p);
    params_free(p);
    snprintf(query + len, sizeof query - len, "one=more");
    assert_null(from_query(query, &err));
}

static int add_json(struct params *p, const char *json, struct error *err)
{
    return params_add_json(p, (struct slice){json, strlen(json)}, err);
}

static void test_json(void **state)
{
    (void)state;
    struct error err = {0};
    struct params *p = from_query("a=query&b=query", &err);
    const char *json = "{\"a\":\"body\",\"n\":12,\"f\":true,\"l\":[\"x\",\"y\"],\"e\":[],\"z\":null}";
    assert_int_equal(add_json(p, json, &err), 0);
    assert_string_equal(params_get(p, "a"), "body"); /* the body's override the query's */
    assert_string_equal(params_get(p, "b"), "query");
    assert_string_equal(params_get(p, "n"), "12");
    assert_string_equal(params_get(p, "f"), "true");
    assert_string_equal(params_get(p, "l"), "x,y");
    assert_null(params_get(p, "e"));
    assert_null(params_get(p, "z"));
    params_free(p);
    params_free(NULL);
}

static void test_json_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "[]",
                                      "1",
                                      "{",
                                      "{\"a\":1,\"a\":2}",
                                      "{\"a\":{}}",
                                      "{\"a\":[1]}",
                                      "{\"a\":[[]]}",
                                      "{\"a\":\"\\u0000\"}",
                                      "{\"a\":\"\xff\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error err = {0};
        struct params *p = from_query("", &err);
        assert_int_equal(add_json(p, bad[i], &err), -1);
        assert_true(err.text[0] != '\0');
        params_free(p);
    }
}

static void test_synonyms(void **state)
{
    (void)state;
    static const char *const names[] = {"first", "second", "third", NULL};
    static const char *const none[] = {NULL};
    struct error err = {0};
    struct params *p = from_query("third=3&second=2&first=", &err);
    assert_string_equal(params_get_any(p, names), "2");
    assert_null(params_get_any(p, none));
    params_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_query), cmocka_unit_test(test_query_refused), cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_json),  cmocka_unit_test(test_json_refused),  cmocka_unit_test(test_synonyms),
    };
    return cmocka_run_group_tests_name("params", tests, NULL, NULL);
}
