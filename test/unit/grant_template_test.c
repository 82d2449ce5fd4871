/* grant_template - placeholders are whole segments, and no value of theirs is ever more than one. */
#include "grant_template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void fills(const char *text, const char *user, const char *workspace, const char *expected)
{
    char *filled = grant_template_fill(text, user, workspace);
    if (expected) {
        assert_non_null(filled);
        assert_string_equal(filled, expected);
    } else {
        assert_null(filled);
    }
    free(filled);
}

static void test_fill(void **state)
{
    (void)state;
    fills("logs:*", NULL, NULL, "logs:*");
    fills("alerts:{user}", "ann", NULL, "alerts:ann");
    fills("{workspace}:{user}:{user}", "a", "w", "w:a:a");
    fills("alerts:{user}", "*", NULL, "alerts:%2A");
    fills("alerts:{user}", "a:*", NULL, "alerts:a%3A%2A");
    fills("alerts:{user}", "{workspace}", "w", "alerts:{workspace}");
    fills("alerts:{user}", NULL, "w", NULL);
    fills("alerts:{workspace}", "ann", NULL, NULL);
    fills("alerts:{user}", "", NULL, NULL);
    fills("alerts:{user}", "\xff", NULL, NULL);
    fills("alerts:{user}:*", "ann", NULL, "alerts:ann:*");
    char giant[130];
    memset(giant, 'a', sizeof giant - 1);
    giant[sizeof giant - 1] = '\0';
    fills("alerts:{user}", giant, NULL, NULL);
    giant[128] = '\0';
    fills("{user}:{user}:{user}:{user}", giant, NULL, NULL); /* 515 bytes */
}

static void test_problem(void **state)
{
    (void)state;
    static const char *const good[] = {"*", "logs:*", "alerts:{user}", "{workspace}", "{user}:*:{workspace}"};
    static const char *const bad[] = {"",        "a::b",     "a{user}", "{user}a", "{User}", "{}",      "{id}",
                                      "a:{user", "a:user}:b", "*a",     "a b",     "a:",     "a:{user}:"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_null(grant_template_problem(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_non_null(grant_template_problem(bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fill), cmocka_unit_test(test_problem)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
