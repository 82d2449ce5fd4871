/* notices - told once, gone once, bounded; what a look did not see goes. */
#include "notices.h"

#include "log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <pthread.h>

/* What was logged meanwhile goes into a file: stderr is where the log writes. */
struct catcher {
    int stderr_copy;
    FILE *file;
};

static struct catcher catch_log(void)
{
    struct catcher c = {dup(STDERR_FILENO), tmpfile()};
    assert_non_null(c.file);
    dup2(fileno(c.file), STDERR_FILENO);
    return c;
}

/* How many lines hold the text. */
static unsigned caught(struct catcher *c, const char *text)
{
    char line[4096];
    unsigned count = 0;
    rewind(c->file);
    while (fgets(line, sizeof line, c->file)) {
        count += strstr(line, text) != NULL;
    }
    fseek(c->file, 0, SEEK_END);
    return count;
}

static void release(struct catcher *c)
{
    dup2(c->stderr_copy, STDERR_FILENO);
    close(c->stderr_copy);
    fclose(c->file);
}

static size_t count_of(struct notices *n, enum notice_code code)
{
    struct notice_count counts[NOTICE_CODES];
    notices_count(n, counts);
    return counts[code].count;
}

static void test_told_once_and_gone_once(void **state)
{
    (void)state;
    struct notices *n = notices_new("logs");
    struct catcher log = catch_log();
    notices_set(n, NOTICE_MISSING_INDEX, "shop.a", "a has none");
    notices_set(n, NOTICE_MISSING_INDEX, "shop.a", "a still has none");
    notices_set(n, NOTICE_MISSING_INDEX, "shop.b", "b has none");
    notices_set(n, NOTICE_CAPPED_COLLECTION, "shop.a", "a is capped");
    assert_int_equal(caught(&log, "source logs: missing_index: a has none"), 1);
    assert_int_equal(caught(&log, "a still has none"), 0);
    assert_int_equal(caught(&log, "missing_index: b has none"), 1);
    assert_int_equal(count_of(n, NOTICE_MISSING_INDEX), 2);
    assert_int_equal(count_of(n, NOTICE_CAPPED_COLLECTION), 1);

    notices_clear(n, NOTICE_MISSING_INDEX, "shop.a");
    notices_clear(n, NOTICE_MISSING_INDEX, "shop.a");
    notices_clear(n, NOTICE_SHORT_OPLOG_WINDOW, "");
    assert_int_equal(caught(&log, "missing_index of shop.a: no longer"), 1);
    assert_int_equal(caught(&log, "no longer"), 1);
    assert_int_equal(count_of(n, NOTICE_MISSING_INDEX), 1);
    assert_int_equal(count_of(n, NOTICE_CAPPED_COLLECTION), 1);
    release(&log);
    notices_free(n);
}

static void test_copy_has_the_newest_words_and_the_first_time(void **state)
{
    (void)state;
    struct notices *n = notices_new("logs");
    struct notice list[NOTICES_MAX];
    struct notice_count counts[NOTICE_CODES];
    struct catcher log = catch_log();
    notices_set(n, NOTICE_SHORT_OPLOG_WINDOW, "", "10 s");
    assert_int_equal(notices_copy(n, list), 1);
    int64_t since_ms = list[0].since_ms;
    notices_release(list, 1);
    usleep(5000); /* so that the clock shows a later time */
    notices_set(n, NOTICE_SHORT_OPLOG_WINDOW, "", "9 s");
    notices_set(n, NOTICE_CAPPED_COLLECTION, "shop.a", "capped");
    release(&log);

    assert_int_equal(notices_copy(n, list), 2);
    assert_int_equal(list[0].code, NOTICE_SHORT_OPLOG_WINDOW);
    assert_string_equal(list[0].subject, "");
    assert_string_equal(list[0].text, "9 s");
    assert_int_equal(list[0].since_ms, since_ms);
    assert_string_equal(list[1].subject, "shop.a");
    assert_true(list[1].since_ms > since_ms);
    notices_count(n, counts);
    assert_int_equal(counts[NOTICE_SHORT_OPLOG_WINDOW].since_ms, since_ms);
    assert_int_equal(counts[NOTICE_MISSING_INDEX].since_ms, 0);
    notices_release(list, 2);
    notices_free(n);
}

static void test_a_look_clears_what_it_did_not_see(void **state)
{
    (void)state;
    struct notices *n = notices_new("logs");
    struct catcher log = catch_log();
    notices_set(n, NOTICE_MISSING_INDEX, "seen", "x");
    notices_set(n, NOTICE_MISSING_INDEX, "kept", "x");
    notices_set(n, NOTICE_MISSING_INDEX, "gone", "x");
    notices_set(n, NOTICE_CAPPED_COLLECTION, "other code", "x");
    notices_begin(n);
    notices_set(n, NOTICE_MISSING_INDEX, "seen", "x");
    notices_keep(n, NOTICE_MISSING_INDEX, "kept");
    notices_keep(n, NOTICE_MISSING_INDEX, "never set");
    assert_int_equal(count_of(n, NOTICE_MISSING_INDEX), 3);
    notices_end(n, NOTICE_MISSING_INDEX);
    assert_int_equal(count_of(n, NOTICE_MISSING_INDEX), 2);
    assert_int_equal(count_of(n, NOTICE_CAPPED_COLLECTION), 1);
    assert_int_equal(caught(&log, "missing_index of gone: no longer"), 1);
    assert_int_equal(caught(&log, "no longer"), 1);
    release(&log);
    notices_free(n);
}

static void fill(struct notices *n, int from, int to)
{
    char subject[16];
    for (int i = from; i < to; i++) {
        snprintf(subject, sizeof subject, "%d", i);
        notices_set(n, NOTICE_MISSING_INDEX, subject, "x");
    }
}

static void test_bounded_and_said_once(void **state)
{
    (void)state;
    struct notices *n = notices_new("logs");
    struct catcher log = catch_log();
    fill(n, 0, NOTICES_MAX + 3);
    assert_int_equal(count_of(n, NOTICE_MISSING_INDEX), NOTICES_MAX);
    assert_int_equal(caught(&log, "not shown"), 1);
    notices_clear(n, NOTICE_MISSING_INDEX, "0");
    fill(n, NOTICES_MAX, NOTICES_MAX + 3); /* one finds room */
    assert_int_equal(count_of(n, NOTICE_MISSING_INDEX), NOTICES_MAX);
    assert_int_equal(caught(&log, "not shown"), 2);
    notices_begin(n);
    notices_end(n, NOTICE_MISSING_INDEX);
    assert_int_equal(count_of(n, NOTICE_MISSING_INDEX), 0);
    release(&log);
    notices_free(n);
    notices_free(NULL);
}

static void test_codes_are_complete(void **state)
{
    (void)state;
    for (unsigned code = 0; code < NOTICE_CODES; code++) {
        assert_non_null(notice_code_name(code));
        assert_non_null(notice_code_text(code));
        /* They are written into JSON as they are. */
        assert_null(strpbrk(notice_code_text(code), "\"\\\n"));
    }
    assert_string_equal(notice_code_name(NOTICE_UNJOURNALED_WRITERS), "unjournaled_writers");
}

static void *read_all_the_time(void *arg)
{
    struct notice list[NOTICES_MAX];
    struct notice_count counts[NOTICE_CODES];
    for (int i = 0; i < 300; i++) {
        notices_release(list, notices_copy(arg, list));
        notices_count(arg, counts);
    }
    return NULL;
}

/* For the sanitizers: a reader beside the writer. */
static void test_threads(void **state)
{
    (void)state;
    struct notices *n = notices_new("logs");
    struct catcher log = catch_log();
    pthread_t reader;
    assert_int_equal(pthread_create(&reader, NULL, read_all_the_time, n), 0);
    for (int i = 0; i < 20; i++) {
        fill(n, 0, 10);
        notices_begin(n);
        notices_end(n, NOTICE_MISSING_INDEX);
    }
    pthread_join(reader, NULL);
    assert_int_equal(caught(&log, "missing_index of 0: no longer"), 20);
    release(&log);
    assert_int_equal(count_of(n, NOTICE_MISSING_INDEX), 0);
    notices_free(n);
}

int main(void)
{
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_told_once_and_gone_once),
        cmocka_unit_test(test_copy_has_the_newest_words_and_the_first_time),
        cmocka_unit_test(test_a_look_clears_what_it_did_not_see),
        cmocka_unit_test(test_bounded_and_said_once),
        cmocka_unit_test(test_codes_are_complete),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests_name("notices", tests, NULL, NULL);
}
