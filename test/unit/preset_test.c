/* preset - levels and times of common loggers. */
#include "preset.h"

#include "frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "document.h"

static void check_level(const char *preset, const char *value, int expected)
{
    char source[128];
    snprintf(source, sizeof source, "{'v':%s}", value);
    bson_t *bson = document(source);
    bson_iter_t at;
    assert_true(bson_iter_init_find(&at, bson, "v"));
    int level = preset_level(preset_find(preset), &at);
    if (level != expected) {
        fail_msg("%s %s is %d", preset, value, level);
    }
    bson_destroy(bson);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int level;
    } names[] = {{"trace", 10},   {"DEBUG", 20}, {"Verbose", 20}, {"info", 30},   {"notice", 30}, {"warn", 40},
                 {"WARNING", 40}, {"error", 50}, {"err", 50},     {"SEVERE", 50}, {"crit", 60},   {"CRITICAL", 60},
                 {"fatal", 60},   {"emerg", 60}, {"alert", 60},   {" Info ", 30}, {"infos", 0},   {"inf\\u0000", 0},
                 {"", 0},         {"30", 30},    {"[ERROR]", 50}, {"Information", 30}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char quoted[64];
        snprintf(quoted, sizeof quoted, "'%s'", names[i].name);
        check_level("auto", quoted, names[i].level);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    check_level("auto", "10", FRAME_LEVEL_TRACE);
    check_level("auto", "30", FRAME_LEVEL_INFO);
    check_level("auto", "35", 35);
    check_level("auto", "60", FRAME_LEVEL_FATAL);
    check_level("auto", "70", FRAME_LEVEL_FATAL);
    check_level("auto", "5", FRAME_LEVEL_TRACE);
    check_level("auto", "0", FRAME_LEVEL_NONE);
    check_level("auto", "-1", FRAME_LEVEL_NONE);
    check_level("auto", "1000", FRAME_LEVEL_NONE);
    check_level("auto", "30.0", FRAME_LEVEL_INFO);
    check_level("auto", "{'$numberLong':'50'}", FRAME_LEVEL_ERROR);
    check_level("auto", "{'$numberDouble':'NaN'}", FRAME_LEVEL_NONE);
    check_level("auto", "true", FRAME_LEVEL_NONE);
    check_level("python", "10", FRAME_LEVEL_DEBUG);
    check_level("python", "20", FRAME_LEVEL_INFO);
    check_level("python", "30", FRAME_LEVEL_WARN);
    check_level("python", "50", FRAME_LEVEL_FATAL);
    check_level("syslog", "0", FRAME_LEVEL_FATAL);
    check_level("syslog", "3", FRAME_LEVEL_ERROR);
    check_level("syslog", "7", FRAME_LEVEL_DEBUG);
    check_level("syslog", "8", FRAME_LEVEL_NONE);
}

static void check_value(const char *value, int rc, int64_t expected)
{
    char source[128];
    snprintf(source, sizeof source, "{'v':%s}", value);
    bson_t *bson = document(source);
    bson_iter_t at;
    int64_t wall_ms = 0;
    assert_true(bson_iter_init_find(&at, bson, "v"));
    assert_int_equal(preset_time(&at, &wall_ms), rc);
    assert_int_equal(wall_ms, expected);
    bson_destroy(bson);
}

static void test_time_values(void **state)
{
    (void)state;
    check_value("{'$date':'2026-11-21T10:12:41.318Z'}", 0, 1795255961318);
    check_value("{'$numberLong':'1795255961318'}", 0, 1795255961318);
    check_value("1795255961", 0, 1795255961000);
    check_value("1795255961.5", 0, 1795255961500);
    check_value("'2026-11-21T10:12:41.318Z'", 0, 1795255961318);
    check_value("{'$oid':'6b0169cd05060708090a0bff'}", 0, 0x6b0169cdLL * 1000);
    check_value("{'$timestamp':{'t':7,'i':1}}", 0, 7000);
    check_value("-5", -1, 0);
    check_value("true", -1, 0);
    check_value("{'$numberDouble':'NaN'}", -1, 0);
}

static void test_find(void **state)
{
    (void)state;
    for (const char *const *name = preset_names(); *name; name++) {
        const struct preset *preset = preset_find(*name);
        assert_non_null(preset);
        assert_non_null(preset_level_paths(preset)[0]);
        assert_non_null(preset_time_paths(preset)[0]);
        assert_non_null(preset_message_paths(preset)[0]);
    }
    assert_null(preset_find("log4j"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),       cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_time_values), cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
