/* options - the table, its values and its names; docs/configuration.md is what the table says. */
#include "options.h"

#include "config.h"
#include "file.h"
#include "manual.h"
#include "nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct config *new_config(void)
{
    struct config *config = memory_zero(1, sizeof *config);
    options_defaults(config);
    return config;
}

static void free_config(struct config *config)
{
    options_free(config);
    free(config);
}

static void check_value(const char *name, const char *text, const char *shown)
{
    struct config *config = new_config();
    struct error err;
    if (option_set_text(options_find(name), config, text, &err) != 0) {
        fail_msg("%s=%s: %s", name, text, err.text);
    }
    struct buffer value = BUFFER_INIT;
    option_append_value(options_find(name), config, &value);
    assert_string_equal(buffer_text(&value), shown);
    buffer_fini(&value);
    free_config(config);
}

static void refuse(const char *name, const char *text, const char *sentence)
{
    struct config *config = new_config();
    struct error err;
    assert_int_equal(option_set_text(options_find(name), config, text, &err), -1);
    if (!strstr(err.text, sentence)) {
        fail_msg("%s=%s: expected \"%s\" in \"%s\"", name, text, sentence, err.text);
    }
    free_config(config);
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < options_count(); i++) {
        const struct option *option = options_at(i);
        assert_ptr_equal(options_find(option->name), option);
        assert_int_equal(option_index(option), i);
        assert_true(strspn(option->name, "abcdefghijklmnopqrstuvwxyz0123456789_.") == strlen(option->name));
        assert_true(option->help[strlen(option->help) - 1] == '.');
        assert_non_null(option->unit);
        for (size_t k = 0; k < i; k++) {
            char a[OPTION_ENVIRONMENT_MAX], b[OPTION_ENVIRONMENT_MAX];
            option_environment(option, a);
            option_environment(options_at(k), b);
            assert_string_not_equal(a, b);
        }
        if (option->type == OPTION_TYPE_INT) {
            assert_true(option->min <= option->number && option->number <= option->max);
        }
        if (option->type == OPTION_TYPE_CHOICE) {
            check_value(option->name, option->text, option->text);
        }
    }
    assert_null(options_find("nothing"));
    assert_null(options_find("journal"));
    assert_true(options_has_section("journal"));
    assert_false(options_has_section("journ"));
    assert_false(options_has_section("listen"));
}

static void test_defaults(void **state)
{
    (void)state;
    struct config *config = new_config();
    assert_string_equal(config->listen, "127.0.0.1:3002");
    assert_int_equal(config->port, 0);
    assert_false(config->insecure);
    assert_null(config->mongodb_uri);
    assert_int_equal(config->journal_bytes, 64 << 20);
    assert_int_equal(config->limits_queue_bytes, 262144);
    assert_int_equal(config->heartbeat_s, 25);
    assert_string_equal(config->mode, "change_stream");
    assert_int_equal(config->allowed_origin_count, 0);
    free_config(config);
}

static void test_numbers(void **state)
{
    (void)state;
    check_value("journal.bytes", "65536", "64KiB");
    check_value("journal.bytes", "65537", "65537");
    check_value("journal.bytes", "64k", "64KiB");
    check_value("journal.bytes", "1 MiB", "1MiB");
    check_value("journal.bytes", "3m", "3MiB");
    check_value("journal.bytes", "16GiB", "16GiB");
    check_value("heartbeat_s", "3600", "3600");
    static const char *const wrong[] = {"",   " 5", "5 ", "-5", "+5", "0x5", "5s",
                                        "1k", "5.0", "abc", "99999999999999999999", "0", "3601"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        refuse("heartbeat_s", wrong[i], "heartbeat_s: expected a whole number, 1 to 3600 s");
    }
    refuse("journal.bytes", "17GiB", "64KiB to 16GiB");
    refuse("journal.bytes", "65535", "64KiB to 16GiB");
    refuse("journal.bytes", "9223372036854775807GiB", "64KiB to 16GiB");
    refuse("journal.bytes", "64KB", "a number of bytes (also with KiB, MiB or GiB)");
    refuse("journal.bytes", "-64KiB", "a number of bytes");
}

static void test_other_types(void **state)
{
    (void)state;
    check_value("insecure", "Yes", "true");
    check_value("insecure", "0", "false");
    refuse("insecure", "2", "insecure: expected true or false");
    check_value("log.level", "WARN", "warn");
    check_value("log.level", "Warning", "warning");
    refuse("log.level", "war", "log.level: expected trace, debug, info, warn, error or warning");
    refuse("log.level", "warn|error", "log.level: expected trace, debug");
    refuse("log.level", "", "log.level: expected trace, debug");
    check_value("allowed_origins", " http://a , ,http://b,", "http://a,http://b");
    check_value("allowed_origins", "", "");
    refuse("listen", "", "listen must not be empty");
    refuse("listen", "a\nb", "control character");
    check_value("mongodb.uri", "mongodb://u:p@h", "(secret)");
}

static void test_json(void **state)
{
    (void)state;
    struct config *config = new_config();
    struct error err;
    json_t *value = json_pack("[s,s]", "http://a", "http://b");
    assert_int_equal(option_set_json(options_find("allowed_origins"), config, value, &err), 0);
    assert_int_equal(config->allowed_origin_count, 2);
    assert_string_equal(config->allowed_origins[1], "http://b");
    assert_int_equal(option_set_json(options_find("listen"), config, value, &err), -1);
    assert_string_equal(err.text, "listen: expected text");
    json_array_append_new(value, json_integer(1));
    assert_int_equal(option_set_json(options_find("allowed_origins"), config, value, &err), -1);
    assert_string_equal(err.text, "allowed_origins: expected a list of texts");
    json_decref(value);
    value = json_real(5.0);
    assert_int_equal(option_set_json(options_find("heartbeat_s"), config, value, &err), -1);
    assert_int_equal(option_set_json(options_find("insecure"), config, value, &err), -1);
    json_decref(value);
    assert_int_equal(option_set_json(options_find("heartbeat_s"), config, json_null(), &err), -1);
    assert_int_equal(option_set_json(options_find("insecure"), config, json_true(), &err), 0);
    assert_true(config->insecure);
    free_config(config);
}

static void test_nearest(void **state)
{
    (void)state;
    assert_string_equal(options_nearest("journal.byte"), "journal.bytes");
    assert_string_equal(options_nearest("jurnal.bytes"), "journal.bytes");
    assert_string_equal(options_nearest("queue_bytes"), "limits.queue_bytes");
    assert_string_equal(options_nearest("heartbeat-s"), "heartbeat_s");
    assert_string_equal(options_nearest("lisetn"), "listen");
    assert_null(options_nearest("completely_different"));
    assert_int_equal(nearest_distance("", ""), 0);
    assert_int_equal(nearest_distance("abc", ""), 3);
    assert_int_equal(nearest_distance("ab", "ba"), 1);
    assert_int_equal(nearest_distance("Kitten", "sitting"), 3);
    char giant[200];
    memset(giant, 'a', sizeof giant - 1);
    giant[sizeof giant - 1] = '\0';
    assert_int_equal(nearest_distance(giant, "a"), NEAREST_FAR);
    assert_null(options_nearest(giant));
}

/* The page in docs/ is the program's own output; `tailwater help options > docs/configuration.md` renews it. */
static void test_manual(void **state)
{
    (void)state;
    struct buffer page = BUFFER_INIT, manual = BUFFER_INIT;
    struct error err;
    if (file_read(SOURCE_ROOT "/docs/configuration.md", 1 << 20, &page, &err) != 0) {
        fail_msg("%s", err.text);
    }
    manual_append_options(&manual);
    assert_string_equal(buffer_text(&page), buffer_text(&manual));
    buffer_fini(&page);
    buffer_fini(&manual);
}

static void test_help_is_narrow(void **state)
{
    (void)state;
    struct buffer help = BUFFER_INIT;
    manual_append_help(&help);
    for (const char *line = buffer_text(&help); *line;) {
        size_t len = strcspn(line, "\n");
        assert_true(len < 80);
        line += len + (line[len] == '\n');
    }
    for (size_t i = 0; i < options_count(); i++) {
        assert_non_null(strstr(help.data, options_at(i)->name));
    }
    buffer_fini(&help);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),   cmocka_unit_test(test_defaults),       cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_other_types), cmocka_unit_test(test_json),       cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_manual),  cmocka_unit_test(test_help_is_narrow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
