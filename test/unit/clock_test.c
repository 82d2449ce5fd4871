/* clock - ISO 8601 at the borders of calendars and integers, against gmtime_r where that reaches. */
#include "clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

static void expect(int64_t wall_ms, const char *text)
{
    char out[CLOCK_ISO_MAX];
    size_t len = clock_format_iso(wall_ms, out);
    assert_string_equal(out, text);
    assert_int_equal(len, strlen(text));
}

static void test_known_dates(void **state)
{
    (void)state;
    expect(0, "1970-01-01T00:00:00.000Z");
    expect(-1, "1969-12-31T23:59:59.999Z");
    expect(951782400000, "2000-02-29T00:00:00.000Z");
    expect(951868800000, "2000-03-01T00:00:00.000Z");
    expect(4107456000000, "2100-02-28T00:00:00.000Z");
    expect(4107542400000, "2100-03-01T00:00:00.000Z"); /* no leap day */
    expect(1795254733021, "2026-11-21T09:52:13.021Z");
    expect(253402300799999, "9999-12-31T23:59:59.999Z");
    expect(253402300800000, "+010000-01-01T00:00:00.000Z");
    expect(-62167219200000, "0000-01-01T00:00:00.000Z");
    expect(-62167219200001, "-000001-12-31T23:59:59.999Z");
}

static void test_extremes_fit(void **state)
{
    (void)state;
    char out[CLOCK_ISO_MAX];
    assert_true(clock_format_iso(INT64_MAX, out) < CLOCK_ISO_MAX);
    assert_int_equal(strlen(out), clock_format_iso(INT64_MAX, out));
    assert_true(clock_format_iso(INT64_MIN, out) < CLOCK_ISO_MAX);
    assert_int_equal(out[0], '-');
}

/* Every 11 hours and some over 2000 years. */
static void test_against_libc(void **state)
{
    (void)state;
    for (int64_t s = -30000000000; s < 33000000000; s += 40009) {
        char out[CLOCK_ISO_MAX], want[64];
        time_t t = (time_t)s;
        struct tm tm;
        gmtime_r(&t, &tm);
        snprintf(want, sizeof want, "%04d-%02d-%02dT%02d:%02d:%02d.007Z", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                 tm.tm_hour, tm.tm_min, tm.tm_sec);
        clock_format_iso(s * 1000 + 7, out);
        assert_string_equal(out, want);
    }
}

static void test_clocks_run(void **state)
{
    (void)state;
    int64_t first = clock_mono_us();
    assert_true(clock_mono_us() >= first);
    assert_in_range(clock_wall_ms(), 1700000000000, 4000000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_dates),
        cmocka_unit_test(test_extremes_fit),
        cmocka_unit_test(test_against_libc),
        cmocka_unit_test(test_clocks_run),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
