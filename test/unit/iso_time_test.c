/* Reading a moment from text. */
#include "iso_time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void check_time(const char *text, int64_t expected)
{
    int64_t wall_ms = -1;
    int rc = iso_time_parse(text, strlen(text), &wall_ms);
    if (rc != 0 || wall_ms != expected) {
        fail_msg("%s: %d, %lld", text, rc, (long long)wall_ms);
    }
}

static void test_texts(void **state)
{
    (void)state;
    check_time("2026-11-21T10:12:41.318Z", 1795255961318);
    check_time("2026-11-21 10:12:41,318", 1795255961318);
    check_time("2026-11-21T10:12:41.318123+00:00", 1795255961318);
    check_time("2026-11-21T11:12:41.3+01:00", 1795255961300);
    check_time("2026-11-21T06:42:41-0330", 1795255961000);
    check_time("2026-11-21T12:12+02", 1795255920000);
    check_time("2026/11/21 10:12:41", 1795255961000);
    check_time("1970-01-01", 0);
    check_time("1969-12-31T23:59:59.999Z", -1);
    check_time("2024-02-29", 1709164800000);
    check_time("0001-01-01T00:00:00Z", -62135596800000);
    static const char *const bad[] = {"", "2026", "2026-13-01", "2026-02-29",
                                      "2026-11-21T", "2026-11-21T25:00", "2026-11-21T10:60",
                                      "2026-11-21T10:12:41Zx", "2026-11-21T10:12:41+9", "now", "2026-11-21x10:12"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t wall_ms;
        if (iso_time_parse(bad[i], strlen(bad[i]), &wall_ms) == 0) {
            fail_msg("%s was taken", bad[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
