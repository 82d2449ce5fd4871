/* catalog - which channels a source can produce, against all channels of a shape. */
#include "catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static bool can(struct catalog *c, const char *pattern)
{
    return catalog_can_produce(c, pattern, strlen(pattern));
}

static void test_services(void **state)
{
    (void)state;
    struct catalog *c = catalog_new();
    assert_false(catalog_has_service(c, "etl", 3));
    catalog_add_service(c, "etl");
    catalog_add_service(c, "etl");
    assert_true(catalog_has_service(c, "etl", 3));
    assert_true(catalog_has_service(c, "etl:w1", 3));
    assert_false(catalog_has_service(c, "et", 2));
    assert_false(catalog_has_service(c, "etl2", 4));
    catalog_free(c);
    catalog_free(NULL);
}

static void test_exact_shape(void **state)
{
    (void)state;
    struct catalog *c = catalog_new();
    catalog_add_shape(c, "logs:etl:*:*", false);
    assert_true(can(c, "logs:etl:w1:f1"));
    assert_true(can(c, "logs:*:w1:f1"));
    assert_true(can(c, "logs:etl:*:f1"));
    assert_true(can(c, "logs:*"));
    assert_true(can(c, "logs:etl:*"));
    assert_true(can(c, "logs:etl:w1:*"));
    assert_true(can(c, "*"));
    assert_false(can(c, "logs:etl:w1"));
    assert_false(can(c, "logs:etl:w1:f1:x"));
    assert_false(can(c, "logs:etl:w1:f1:*"));
    assert_false(can(c, "logs:api:w1:f1"));
    assert_false(can(c, "metrics:*"));
    assert_false(can(c, "logs"));
    catalog_free(c);
}

static void test_optional_end(void **state)
{
    (void)state;
    struct catalog *c = catalog_new();
    catalog_add_shape(c, "logs:etl:*:*", false);
    assert_false(can(c, "logs:etl:w1"));
    catalog_add_shape(c, "logs:etl:*:*", true); /* known already, and now optional */
    assert_true(can(c, "logs:etl:w1"));
    assert_true(can(c, "logs:etl:w1:f1"));
    assert_false(can(c, "logs:etl"));
    catalog_add_shape(c, "logs:etl:*:*", false); /* stays so */
    assert_true(can(c, "logs:etl:w1"));
    catalog_free(c);
}

static void test_several_shapes(void **state)
{
    (void)state;
    struct catalog *c = catalog_new();
    assert_false(can(c, "*"));
    catalog_add_shape(c, "alerts", false);
    catalog_add_shape(c, "logs:api:*", true);
    assert_true(can(c, "alerts"));
    assert_true(can(c, "logs:api"));
    assert_true(can(c, "logs:api:x"));
    assert_true(can(c, "*:api"));
    assert_false(can(c, "*:*:*:*"));
    catalog_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_services),
        cmocka_unit_test(test_exact_shape),
        cmocka_unit_test(test_optional_end),
        cmocka_unit_test(test_several_shapes),
    };
    return cmocka_run_group_tests_name("catalog", tests, NULL, NULL);
}
