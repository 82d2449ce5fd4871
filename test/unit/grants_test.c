/* grants - the book: what it holds, keeps and forgets, and how old it may be. */
#include "grants.h"

#include "buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MINUTE_US = 60000000, ROOM = 1 << 20 };

/* patterns: separated by commas, or "". */
static struct grant_set *set_of(const char *user, uint64_t time, const char *patterns)
{
    char **list = NULL;
    unsigned count = 0;
    char *copy = memory_text(patterns), *rest = copy;
    for (char *one = strtok_r(copy, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
        list = memory_resize(list, (count + 1) * sizeof *list);
        list[count++] = memory_text(one);
    }
    free(copy);
    return grant_set_new(user, time, list, count);
}

/* Load one or two users ("" = none) at a time. */
static int load(struct grant_book *book, uint64_t time, const char *ann, const char *bob)
{
    struct grant_set *sets[2];
    size_t count = 0;
    if (*ann) {
        sets[count++] = set_of("ann", time, ann);
    }
    if (*bob) {
        sets[count++] = set_of("bob", time, bob);
    }
    return grant_book_load(book, sets, count, time);
}

static void check(struct grant_book *book, const char *user, uint64_t time, const char *patterns)
{
    struct grant_set *set = grant_book_find(book, user);
    struct buffer got = BUFFER_INIT;
    assert_non_null(set);
    for (unsigned i = 0; i < set->count; i++) {
        buffer_printf(&got, "%s%s", i ? "," : "", set->patterns[i]);
    }
    assert_string_equal(buffer_text(&got), patterns);
    assert_string_equal(set->user, user);
    assert_int_equal(set->time, time);
    buffer_fini(&got);
    grant_set_unref(set);
}

static void test_the_newest_set_of_each_user(void **state)
{
    (void)state;
    struct grant_book *book = grant_book_new(MINUTE_US, ROOM);
    assert_null(grant_book_find(book, "ann"));
    assert_int_equal(load(book, 10, "logs:a", "logs:b,logs:c"), 0);
    assert_int_equal(grant_book_loaded(book), 10);
    assert_int_equal(grant_book_count(book), 2);
    check(book, "bob", 10, "logs:b,logs:c");
    assert_int_equal(grant_book_put(book, set_of("ann", 12, "logs:d")), 0);
    check(book, "ann", 12, "logs:d");
    assert_int_equal(grant_book_put(book, set_of("ann", 13, "")), 0);
    assert_int_equal(grant_book_count(book), 1);
    check(book, "ann", 13, ""); /* a change before 13 is no news */
    assert_null(grant_book_find(book, "an"));
    grant_book_free(book);
}

static void test_loading_tells_whether_anything_changed(void **state)
{
    (void)state;
    struct grant_book *book = grant_book_new(MINUTE_US, ROOM);
    load(book, 10, "logs:a", "logs:b");
    struct grant_set *before = grant_book_find(book, "ann");
    assert_int_equal(load(book, 20, "logs:a", "logs:b"), 1);
    struct grant_set *after = grant_book_find(book, "ann");
    assert_ptr_equal(before, after); /* nobody is disturbed */
    grant_set_unref(before);
    grant_set_unref(after);
    assert_int_equal(load(book, 30, "logs:a", "logs:b,logs:c"), 0);
    assert_int_equal(load(book, 40, "logs:a", "logs:b,logs:d"), 0);
    check(book, "bob", 40, "logs:b,logs:d");
    assert_int_equal(load(book, 50, "logs:a", ""), 0);
    check(book, "bob", 50, "");
    check(book, "ann", 10, "logs:a");
    assert_int_equal(grant_book_count(book), 1);
    assert_int_equal(load(book, 60, "logs:a", ""), 1);
    assert_int_equal(load(book, 70, "logs:a", "logs:b"), 0);
    assert_int_equal(grant_book_loaded(book), 70);
    grant_book_free(book);
}

static void test_a_set_outlives_the_book(void **state)
{
    (void)state;
    struct grant_book *book = grant_book_new(MINUTE_US, ROOM);
    load(book, 10, "logs:a", "");
    struct grant_set *set = grant_book_find(book, "ann");
    grant_book_put(book, set_of("ann", 11, ""));
    grant_book_free(book);
    grant_book_free(NULL);
    assert_string_equal(set->patterns[0], "logs:a");
    grant_set_unref(set);
    grant_set_unref(NULL);
}

static void test_memory_is_bounded(void **state)
{
    (void)state;
    struct grant_set *large = set_of("bob", 11, "logs:0123456789012345678901234567890123456789,logs:b");
    struct grant_set *small = set_of("ann", 10, "logs:a");
    struct grant_book *book = grant_book_new(MINUTE_US, grant_set_cost(large) + grant_set_cost(small) - 1);
    assert_int_equal(grant_book_max_bytes(book), grant_set_cost(large) + grant_set_cost(small) - 1);
    assert_int_equal(grant_book_put(book, grant_set_ref(small)), 0);
    assert_int_equal(grant_book_put(book, grant_set_ref(large)), -1);
    assert_null(grant_book_find(book, "bob")); /* fail closed */
    check(book, "ann", 10, "logs:a");
    struct grant_set *both[] = {grant_set_ref(small), grant_set_ref(large)};
    assert_int_equal(grant_book_load(book, both, 2, 12), -1);
    check(book, "ann", 10, "logs:a");
    assert_int_equal(grant_book_state(book), GRANTS_LOADING);
    /* What was taken away makes room. */
    assert_int_equal(grant_book_put(book, set_of("ann", 13, "")), 0);
    assert_int_equal(grant_book_put(book, grant_set_ref(large)), 0);
    check(book, "bob", 11, "logs:0123456789012345678901234567890123456789,logs:b");
    /* So does what a loading replaces, whatever its order. */
    struct grant_set *swapped[] = {set_of("ann", 14, "logs:0123456789012345678901234567890123456789,logs:b"),
                                   set_of("bob", 14, "l:b")};
    assert_int_equal(grant_book_load(book, swapped, 2, 14), 0);
    check(book, "bob", 14, "l:b");
    assert_int_equal(grant_book_count(book), 2);
    grant_set_unref(large);
    grant_set_unref(small);
    grant_book_free(book);
}

static void test_empty_sets_give_way_before_anything_granted(void **state)
{
    (void)state;
    struct grant_book *book = grant_book_new(MINUTE_US, 4096);
    grant_book_put(book, set_of("ann", 1, "logs:a"));
    for (unsigned i = 0; i < 1000; i++) {
        char user[16];
        snprintf(user, sizeof user, "u%u", i);
        assert_int_equal(grant_book_put(book, set_of(user, i, "")), 0);
    }
    assert_int_equal(grant_book_put(book, set_of("bob", 1, "logs:b")), 0);
    check(book, "ann", 1, "logs:a");
    check(book, "bob", 1, "logs:b");
    assert_int_equal(grant_book_count(book), 2);
    grant_book_free(book);
}

static void test_age(void **state)
{
    (void)state;
    struct grant_book *book = grant_book_new(MINUTE_US, ROOM);
    assert_int_equal(grant_book_state(book), GRANTS_LOADING);
    grant_book_confirm(book, 0);
    assert_int_equal(grant_book_state(book), GRANTS_LOADING); /* of what? */
    load(book, 10, "logs:a", "");
    assert_int_equal(grant_book_state(book), GRANTS_CURRENT);
    grant_book_confirm(book, 2 * MINUTE_US);
    assert_int_equal(grant_book_state(book), GRANTS_CURRENT); /* it was known to be younger */
    grant_book_free(book);
    book = grant_book_new(0, ROOM);
    load(book, 10, "logs:a", "");
    while (grant_book_state(book) == GRANTS_CURRENT) {
    }
    assert_int_equal(grant_book_state(book), GRANTS_STALE);
    check(book, "ann", 10, "logs:a");
    grant_book_free(book);
}

static void test_unloading(void **state)
{
    (void)state;
    struct grant_book *book = grant_book_new(MINUTE_US, ROOM);
    load(book, 10, "logs:a", "logs:b");
    grant_book_unload(book, 15);
    assert_int_equal(grant_book_state(book), GRANTS_LOADING);
    assert_int_equal(grant_book_count(book), 0);
    check(book, "ann", 15, "");
    assert_int_equal(load(book, 20, "logs:a", ""), 0);
    assert_int_equal(grant_book_state(book), GRANTS_CURRENT);
    check(book, "ann", 20, "logs:a");
    grant_book_free(book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_newest_set_of_each_user),
        cmocka_unit_test(test_loading_tells_whether_anything_changed),
        cmocka_unit_test(test_a_set_outlives_the_book),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_empty_sets_give_way_before_anything_granted),
        cmocka_unit_test(test_age),
        cmocka_unit_test(test_unloading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
