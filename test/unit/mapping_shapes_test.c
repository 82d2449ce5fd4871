/* mapping_shapes - which channels mappings can produce, with tailwater's own collection beside them. */
#include "mapping.h"

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

/* source: the mappings array, or NULL. */
static struct mapping_set *publishing(const char *source)
{
    static const char *const own[] = {"shop.tailwater_events", "shop.grants", NULL};
    static const char *const patterns[] = {"metrics:*", "alerts:*:all", NULL};
    const struct mapping_set_options options = {.database = "shop",
                                                .own_namespaces = own,
                                                .own_collection = "tailwater_events",
                                                .own_patterns = patterns};
    json_t *mappings = source ? tree(source) : NULL;
    struct mapping_set *set = NULL;
    struct mapping_problem problem;
    if (mapping_set_new(mappings, &options, &set, &problem) != 0) {
        fail_msg("%s: %s", problem.path, problem.error.text);
    }
    json_decref(mappings);
    return set;
}

static void test_own_catalog(void **state)
{
    (void)state;
    struct mapping_set *set = publishing("[{'collections':['e'],'channel':'logs:etl:{w}:{f}'}]");
    struct catalog *catalog = catalog_new();
    mapping_set_describe(set, catalog);
    mapping_describe_collection(mapping_set_at(set, 1), text("tailwater_events"), catalog);
    assert_false(catalog_has_service(catalog, "tailwater_events", 16));
    assert_false(catalog_has_service(catalog, "all", 3));
    assert_true(catalog_can_produce(catalog, "metrics:w1", 10));
    assert_true(catalog_can_produce(catalog, "metrics:a:b:c:d:e:f:g", 21));
    assert_true(catalog_can_produce(catalog, "alerts:ann:all", 14));
    assert_true(catalog_can_produce(catalog, "alerts:*", 8));
    assert_true(catalog_can_produce(catalog, "logs:etl:w1", 11));
    assert_false(catalog_can_produce(catalog, "metrics", 7));
    assert_false(catalog_can_produce(catalog, "alerts:ann", 10));
    assert_false(catalog_can_produce(catalog, "alerts:ann:bob", 14));
    assert_false(catalog_can_produce(catalog, "dashboards:1", 12));
    catalog_free(catalog);
    mapping_set_free(set);
}

static void check_produces(const char *source, const char *channel, bool expected)
{
    struct mapping_set *set = publishing(source);
    if (mapping_set_can_produce(set, channel, strlen(channel)) != expected) {
        fail_msg("%s: %s", source, channel);
    }
    mapping_set_free(set);
}

#define TWO "[{'collections':['a','b c','d_*'],'channel':'logs:{$collection}:{w}:{f}'}]"

/* Which channels are the mappings', so that nothing else may use them. */
static void test_can_produce(void **state)
{
    (void)state;
    check_produces(NULL, "logs:anything:w1:f1", true);
    check_produces(NULL, "logs:anything:w1", true);
    check_produces(NULL, "logs:anything", false);
    check_produces(NULL, "logs:a:b:c:d", false);
    check_produces(NULL, "metrics:w1", false);
    check_produces("[{'collections':['a'],'channel':'logs:{$collection}:{w}'}]", "logs:a:w1", true);
    check_produces("[{'collections':['a'],'channel':'logs:{$collection}:{w}'}]", "logs:c:w1", false);
    check_produces(TWO, "logs:b%20c:w1", true);
    check_produces(TWO, "logs:e:w1", true); /* d_* may be any name */
    check_produces("[{'collections':['a'],'channel':'m:{w}'}]", "m:w1", true);
    check_produces("[{'collections':['a'],'channel':'m:{w}'}]", "m", true);
    check_produces("[{'collections':['a'],'channel':'m:{w}'}]", "m:w1:x", false);
    check_produces("[{'collections':['a'],'channel':'m:{w}:x'}]", "m:w1", false);
    check_produces("[{'collections':['a'],'channel':'m:{w}:x'}]", "m:w1:x", true);
    check_produces("[{'collections':['a'],'channel':'{$database}:x','event':'e'}]", "shop:x", true);
    check_produces("[{'collections':['a'],'channel':'x:y'},{'collections':['b'],'channel':'z'}]", "z", true);
    check_produces("[{'collections':['grants'],'channel':'m:{$collection}'}]", "m:grants", false); /* never covered */
}

static void test_reserve(void **state)
{
    (void)state;
    struct mapping_set *set = publishing("[{'collections':['a'],'channel':'x'}]"), *other = publishing(NULL);
    assert_false(mapping_set_can_produce(set, "logs:a:w1", 9));
    mapping_set_reserve(set, other);
    assert_true(mapping_set_can_produce(set, "logs:a:w1", 9));
    assert_false(mapping_set_can_produce(set, "metrics:w1", 10));
    assert_false(mapping_set_can_produce(other, "x", 1));
    mapping_set_free(set);
    mapping_set_free(other);
}

static void test_own_names(void **state)
{
    (void)state;
    assert_null(mapping_own_collection_problem("tailwater_events"));
    assert_non_null(mapping_own_collection_problem(""));
    assert_non_null(mapping_own_collection_problem("a*"));
    assert_non_null(mapping_own_collection_problem("a$b"));
    assert_non_null(mapping_own_collection_problem("system.views"));
    struct mapping_set *set = NULL;
    struct mapping_problem problem = {.path = ""};
    json_t *mappings = tree("[{'collections':['a'],'database':'b','channel':'x'}]");
    struct mapping_set_options with = {.database = "admin", .own_collection = "tailwater_events"};
    assert_int_equal(mapping_set_new(mappings, &with, &set, &problem), -1);
    assert_string_equal(problem.path, "database");
    json_decref(mappings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_catalog), cmocka_unit_test(test_can_produce),
        cmocka_unit_test(test_reserve),     cmocka_unit_test(test_own_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
