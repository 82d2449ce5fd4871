/* inverse - what a mapping's channels become as a query; text_values. */
#include "inverse.h"
#include "text_values.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "document.h"

static struct slice text(const char *s)
{
    return (struct slice){s, strlen(s)};
}

/* The query of one pattern, or of two, as relaxed Extended JSON; "nothing" where the collection cannot have any. */
static void expect2(const char *channel, const char *first, const char *second, const char *query)
{
    json_t *mappings = json_pack("[{s:[s], s:s, s:s}]", "collections", "c 1", "channel", channel, "event", "log");
    struct mapping_set *set = NULL;
    struct mapping_problem problem;
    assert_int_equal(mapping_set_new(mappings, &(struct mapping_set_options){.database = "db"}, &set, &problem), 0);
    json_decref(mappings);
    struct slice patterns[] = {text(first), text(second ? second : "")};
    bson_t *filter = bson_new();
    bool any = inverse_filter(mapping_set_at(set, 0), text("c 1"), patterns, second ? 2 : 1, filter);
    if (strcmp(query, "nothing") == 0) {
        assert_false(any);
        assert_true(bson_empty(filter));
    } else {
        bson_t *wanted = document(query);
        char *got = bson_as_canonical_extended_json(filter, NULL);
        char *want = bson_as_canonical_extended_json(wanted, NULL);
        assert_true(any);
        assert_string_equal(got, want);
        bson_free(got);
        bson_free(want);
        bson_destroy(wanted);
    }
    bson_destroy(filter);
    mapping_set_free(set);
}

static void expect(const char *channel, const char *pattern, const char *query)
{
    expect2(channel, pattern, NULL, query);
}

static void test_what_needs_no_document(void **state)
{
    (void)state;
    expect("logs:etl:{w}", "logs:faas:x", "nothing");
    expect("logs:etl:{w}", "logs", "nothing");
    expect("logs:etl:{w}", "logs:etl:a:b", "nothing");
    expect("logs:etl:{w}", "logs:etl:a:*", "nothing");
    expect("logs:etl:{w}:x", "logs:etl:*:y", "nothing");
    expect("logs:{$collection}:{$database}", "logs:c%201:db", "{'$or':[{}]}");
    expect("logs:{$collection}:{$database}", "*:*:*", "{'$or':[{}]}");
    expect("logs:{$collection}", "logs:c", "nothing");
    expect("logs:{$database}", "logs:dc", "nothing");
    expect("logs:{w}:x", "logs:%41:x", "nothing"); /* "A" is written A */
}

static void test_texts(void **state)
{
    (void)state;
    expect("x:{w}:y", "x:a%3Ab:y", "{'$or':[{'$and':[{'$or':[{'$and':[{'w':{'$in':['a:b']}}]}]}]}]}");
    expect("x:{w}:y", "x:5:y",
           "{'$or':[{'$and':[{'$or':[{'$and':[{'w':{'$in':['5',{'$numberLong':'5'}]}}]}]}]}]}");
    expect("x:{v|w}:y", "x:a:y",
           "{'$or':[{'$and':[{'$or':[{'$and':[{'v':{'$in':['a']}}]},"
           "{'$and':[{'w':{'$in':['a']}},{'v':{'$in':[null,'']}}]}]}]}]}");
}

static void test_patterns(void **state)
{
    (void)state;
    expect("x:{w}:y", "x:*:y", "{'$or':[{'$and':[{'$or':[{'w':{'$nin':[null,'']}}]}]}]}");
    expect("x:{w}", "x", "{'$or':[{'$and':[{'w':{'$in':[null,'']}}]}]}"); /* the last segment is missing */
    expect("x:{w}", "*",
           "{'$or':[{'$and':[{'$or':[{'w':{'$nin':[null,'']}}]}]},{'$and':[{'w':{'$in':[null,'']}}]}]}");
    expect("x:{w}", "x:*", "{'$or':[{'$and':[{'$or':[{'w':{'$nin':[null,'']}}]}]}]}");
    expect2("x:{w}", "y", "x:a", "{'$or':[{'$and':[{'$or':[{'$and':[{'w':{'$in':['a']}}]}]}]}]}");
}

/* Of tailwater's own collection, in a set whose mapping gives logs:{w}. */
static void expect_own(const char *first, const char *second, const char *query)
{
    const struct mapping_set_options options = {.database = "db", .own_collection = "own"};
    json_t *mappings = tree("[{'collections':['a'],'channel':'logs:{w}'}]");
    struct mapping_set *set = NULL;
    struct mapping_problem problem;
    assert_int_equal(mapping_set_new(mappings, &options, &set, &problem), 0);
    struct slice patterns[] = {text(first), text(second ? second : "")};
    bson_t *got = bson_new(), *want = document(query);
    bool any = inverse_filter(mapping_set_at(set, 1), text("own"), patterns, second ? 2 : 1, got);
    assert_int_equal(any, !bson_empty(want));
    if (!bson_equal(got, want)) {
        fail_msg("%s: %s", first, bson_as_canonical_extended_json(got, NULL));
    }
    bson_destroy(got);
    bson_destroy(want);
    mapping_set_free(set);
    json_decref(mappings);
}

#define REGEX(text) "{'$or':[{'channel':{'$regularExpression':{'pattern':'" text "','options':''}}}]}"

static void test_own_collection(void **state)
{
    (void)state;
    expect_own("metrics:w1", NULL, "{'$or':[{'channel':{'$in':['metrics:w1']}}]}");
    expect_own("metrics:w1", "alerts:%2A", "{'$or':[{'channel':{'$in':['metrics:w1','alerts:%2A']}}]}");
    expect_own("logs:w1", NULL, "{}"); /* the mappings' */
    expect_own("logs:w1", "logs:w1:f1", "{'$or':[{'channel':{'$in':['logs:w1:f1']}}]}");
    expect_own("*", NULL, "{'$or':[{}]}");
    expect_own("metrics:*", NULL, REGEX("^metrics:"));
    expect_own("a:*:*", NULL, REGEX("^a:[^:]+:"));
    expect_own("a:*:c", NULL, REGEX("^a:[^:]+:c$"));
    expect_own("*:c", NULL, REGEX("^[^:]+:c$"));
    expect_own("a.b+(c)|d\\e:*", NULL, REGEX("^a\\\\.b\\\\+\\\\(c\\\\)\\\\|d\\\\\\\\e:"));
    expect_own("m:*", "m:w1",
                   "{'$or':[{'channel':{'$regularExpression':{'pattern':'^m:','options':''}}},"
               "{'channel':{'$in':['m:w1']}}]}");
}

static void expect_values(const char *value, const char *array)
{
    bson_t *got = bson_new(), *want = document(array);
    text_values_append(text(value), got);
    char *a = bson_as_canonical_extended_json(got, NULL), *b = bson_as_canonical_extended_json(want, NULL);
    assert_string_equal(a, b);
    bson_free(a);
    bson_free(b);
    bson_destroy(got);
    bson_destroy(want);
}

static void test_values_of_a_text(void **state)
{
    (void)state;
    expect_values("a", "{'0':'a'}");
    expect_values("-7", "{'0':'-7','1':{'$numberLong':'-7'}}");
    expect_values("007", "{'0':'007'}");
    expect_values("9223372036854775808", "{'0':'9223372036854775808'}");
    expect_values("6b0169cd6b0169cd6b0169cd",
                  "{'0':'6b0169cd6b0169cd6b0169cd','1':{'$oid':'6b0169cd6b0169cd6b0169cd'}}");
    expect_values("12345678-1234-5678-1234-567812345678",
                  "{'0':'12345678-1234-5678-1234-567812345678',"
                  "'1':{'$binary':{'base64':'EjRWeBI0VngSNFZ4EjRWeA==','subType':'04'}}}");
    expect_values("\xff", "{}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_needs_no_document),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_own_collection),
        cmocka_unit_test(test_values_of_a_text),
    };
    return cmocka_run_group_tests_name("inverse", tests, NULL, NULL);
}
