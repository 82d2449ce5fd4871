/* since= - its three forms, by the deployment's clock, and what is refused. */
#include "since.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

enum { NOW_S = 1795255961 }; /* 2026-11-21T10:12:41Z */

static int set_up(void **state)
{
    struct source *source = source_new(&(struct source_options){.name = "logs", .tag = 'a'});
    source_note_cluster_time(source, (uint64_t)NOW_S << 32);
    *state = source;
    return 0;
}

static int tear_down(void **state)
{
    source_free(*state);
    return 0;
}

static void expect(struct source *source, const char *text, int64_t want)
{
    struct error err;
    int64_t got = 0;
    if (since_parse(text, source, &got, &err) != 0) {
        fail_msg("%s: %s", text, err.text);
    }
    /* The deployment's clock goes on while the test runs. */
    if (got < want || got > want + 5000) {
        fail_msg("%s: %lld instead of %lld", text, (long long)got, (long long)want);
    }
}

static void test_forms(void **state)
{
    int64_t now = (int64_t)NOW_S * 1000;
    expect(*state, "-15m", now - 900000);
    expect(*state, "-90s", now - 90000);
    expect(*state, "-2h", now - 7200000);
    expect(*state, "-7d", now - 604800000);
    expect(*state, "-0s", now);
    expect(*state, "1795255961318", 1795255961318);
    expect(*state, "2026-11-21T10:12:41.318Z", 1795255961318);
    expect(*state, "2026-11-21", 1795219200000);
    expect(*state, "0", 1);
    expect(*state, "-99999d", 1);
    expect(*state, "1969-01-01", 1);
}

static void test_refused(void **state)
{
    static const char *const bad[] = {"-", "-m", "-15", "-15x", "-15mm", "15m", "-9999999999s", "-1 m", "yesterday",
                                      "12345678901234567890", "1e9", "2026-13-01"};
    struct error err;
    int64_t got;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (since_parse(bad[i], *state, &got, &err) == 0) {
            fail_msg("%s was taken", bad[i]);
        }
        assert_non_null(strstr(err.text, "since: must be"));
    }
    assert_int_equal(since_parse("2027-01-01", *state, &got, &err), -1);
    assert_string_equal(err.text, "since: lies in the future");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_forms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
