/* poll_window - which documents a look gives, where the next one begins, and that nothing grows for ever. */
#include "poll_window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

enum { S = 1000000, OVERLAP = 10 * S };

static const int64_t now_ms = 1700000000000;

static bson_value_t int_value(int64_t n)
{
    return (bson_value_t){.value_type = BSON_TYPE_INT64, .value.v_int64 = n};
}

static bson_value_t date_value(int64_t ms)
{
    return (bson_value_t){.value_type = BSON_TYPE_DATE_TIME, .value.v_datetime = ms};
}

/* An ObjectId of this second, by this process. */
static bson_value_t oid_value(int64_t seconds, uint8_t process)
{
    bson_value_t value = {.value_type = BSON_TYPE_OID};
    uint8_t bytes[12] = {(uint8_t)(seconds >> 24), (uint8_t)(seconds >> 16), (uint8_t)(seconds >> 8), (uint8_t)seconds,
                         process};
    bson_oid_init_from_data(&value.value.v_oid, bytes);
    return value;
}

static bool see(struct poll_window *w, bson_value_t order, int64_t hash)
{
    return poll_window_see(w, &order, hash, now_ms);
}

static int64_t bound_int(const struct poll_window *w)
{
    const bson_value_t *bound = poll_window_bound(w);
    return bound ? bound->value.v_int64 : -1;
}

static void test_each_once(void **state)
{
    (void)state;
    struct poll_window *w = poll_window_new(OVERLAP, 1000);
    assert_null(poll_window_bound(w));
    assert_true(see(w, int_value(1), 101));
    assert_true(see(w, int_value(2), 102));
    assert_false(see(w, int_value(2), 102));
    poll_window_end(w, 0);
    assert_false(see(w, int_value(1), 101));
    assert_false(see(w, int_value(2), 102));
    assert_true(see(w, int_value(2), 103)); /* another one with the same value */
    poll_window_end(w, S);
    poll_window_free(w);
}

/* The window begins where the newest value was ten seconds ago, and what lies before it is forgotten. */
static void test_overlap(void **state)
{
    (void)state;
    struct poll_window *w = poll_window_new(OVERLAP, 1000);
    for (int64_t second = 0; second <= 60; second++) {
        int64_t bound = bound_int(w);
        for (int64_t n = bound < 0 ? 0 : bound; n < second; n++) {
            assert_false(see(w, int_value(n), n));
        }
        assert_true(see(w, int_value(second), second));
        poll_window_end(w, second * S);
        assert_int_equal(bound_int(w), second < 10 ? -1 : second - 10);
        assert_true(poll_window_count(w) <= 13);
    }
    poll_window_free(w);
}

/* A quiet collection: the bound becomes its newest value, which is seen but not given. */
static void test_quiet(void **state)
{
    (void)state;
    struct poll_window *w = poll_window_new(OVERLAP, 1000);
    assert_true(see(w, int_value(7), 7));
    poll_window_end(w, 0);
    for (int64_t second = 1; second < 100; second++) {
        assert_false(see(w, int_value(7), 7));
        poll_window_end(w, second * S);
    }
    assert_int_equal(bound_int(w), 7);
    poll_window_free(w);
}

/* A look at nothing does not move it. */
static void test_empty(void **state)
{
    (void)state;
    struct poll_window *w = poll_window_new(OVERLAP, 1000);
    for (int64_t second = 0; second < 30; second++) {
        poll_window_end(w, second * S);
        assert_null(poll_window_bound(w));
    }
    assert_true(see(w, int_value(1), 1));
    poll_window_free(w);
}

/* The newest document is deleted: the bound must not go back behind what was forgotten. */
static void test_never_back(void **state)
{
    (void)state;
    struct poll_window *w = poll_window_new(OVERLAP, 1000);
    see(w, int_value(10), 10);
    see(w, int_value(100), 100);
    poll_window_end(w, 0);
    see(w, int_value(10), 10);
    see(w, int_value(50), 50); /* 100 is gone */
    poll_window_end(w, 2 * S);
    for (int64_t second = 3; second < 40; second++) {
        if (bound_int(w) <= 50) {
            assert_false(see(w, int_value(50), 50));
        }
        poll_window_end(w, second * S);
    }
    assert_int_equal(bound_int(w), 100);
    poll_window_free(w);
}

/* What lies in the server's future is given, once, and does not take the window along. */
static void check_future(bson_value_t present, bson_value_t future)
{
    struct poll_window *w = poll_window_new(OVERLAP, 1000);
    assert_true(see(w, present, 1));
    assert_true(see(w, future, 2));
    for (int64_t second = 0; second < 30; second++) {
        poll_window_end(w, second * S);
        assert_false(see(w, present, 1));
        assert_false(see(w, future, 2));
    }
    assert_int_equal(poll_window_compare(poll_window_bound(w), &present), 0);
    poll_window_free(w);
}

static void test_future(void **state)
{
    (void)state;
    check_future(date_value(now_ms - 5000), date_value(now_ms + 3600000));
    check_future(oid_value(now_ms / 1000 - 5, 1), oid_value(now_ms / 1000 + 3600, 2));
}

static void test_forget(void **state)
{
    (void)state;
    struct poll_window *w = poll_window_new(OVERLAP, 1000);
    assert_true(see(w, int_value(1), 1));
    assert_true(see(w, int_value(2), 2));
    poll_window_forget(w, 1);
    poll_window_forget(w, 99);
    assert_true(see(w, int_value(1), 1));
    assert_false(see(w, int_value(2), 2));
    poll_window_end(w, 0);
    assert_int_equal(poll_window_count(w), 2);
    poll_window_free(w);
}

/* A look that broke off forgets nothing. */
static void test_broken_look(void **state)
{
    (void)state;
    struct poll_window *w = poll_window_new(OVERLAP, 1000);
    for (int64_t n = 0; n < 100; n++) {
        see(w, int_value(n), n);
    }
    poll_window_end(w, 0);
    for (int64_t n = 0; n < 10; n++) {
        assert_false(see(w, int_value(n), n));
    }
    for (int64_t n = 0; n < 100; n++) { /* and from the beginning again */
        assert_false(see(w, int_value(n), n));
    }
    poll_window_end(w, S);
    assert_int_equal(poll_window_count(w), 100);
    poll_window_free(w);
}

/* More documents than may be remembered: the window begins later, and none comes twice all the same. */
static void test_flood(void **state)
{
    (void)state;
    struct poll_window *w = poll_window_new(OVERLAP, 1000);
    for (int64_t n = 0; n < 5000; n++) {
        assert_true(see(w, int_value(n), n));
        assert_true(poll_window_count(w) <= 1001);
    }
    poll_window_end(w, 0);
    int64_t bound = bound_int(w);
    assert_in_range(bound, 4000, 4999);
    for (int64_t n = bound; n < 5000; n++) {
        assert_false(see(w, int_value(n), n));
    }
    for (int64_t n = 5000; n < 5400; n++) { /* its younger part was seen before, and is not forgotten on the way */
        assert_true(see(w, int_value(n), n));
    }
    poll_window_end(w, S);
    assert_true(bound_int(w) >= bound);
    for (int64_t n = bound_int(w); n < 5400; n++) {
        assert_false(see(w, int_value(n), n));
    }
    poll_window_free(w);
}

/* The same where the flood comes while much of the window is known: what lies ahead of the look stays known. */
static void test_flood_of_late_ones(void **state)
{
    (void)state;
    struct poll_window *w = poll_window_new(OVERLAP, 1000);
    for (int64_t n = 0; n < 900; n++) {
        see(w, int_value(n * 10), n * 10);
    }
    poll_window_end(w, 0);
    assert_null(poll_window_bound(w));
    for (int64_t n = 0; n < 9000; n++) {
        bool known = n % 10 == 0;
        assert_int_equal(see(w, int_value(n), n), !known);
        assert_true(poll_window_count(w) <= 2001);
    }
    poll_window_end(w, S);
    poll_window_free(w);
}

/* All have one value: no bound lies between them; memory is bounded even so. */
static void test_flood_of_one_value(void **state)
{
    (void)state;
    struct poll_window *w = poll_window_new(OVERLAP, 1000);
    for (int64_t n = 0; n < 5000; n++) {
        assert_true(see(w, int_value(1), n));
        assert_true(poll_window_count(w) <= 1001);
    }
    assert_int_equal(bound_int(w), 1);
    poll_window_free(w);
}

static void test_raise(void **state)
{
    (void)state;
    struct poll_window *w = poll_window_new(OVERLAP, 1000);
    bson_value_t five = int_value(5);
    see(w, int_value(9), 9);
    poll_window_raise(w, &five);
    poll_window_end(w, 0);
    assert_int_equal(bound_int(w), 5);
    see(w, int_value(9), 9);
    poll_window_end(w, OVERLAP);
    assert_int_equal(bound_int(w), 9);
    poll_window_free(w);
}

static void check_order(bson_value_t low, bson_value_t high)
{
    assert_int_equal(poll_window_compare(&low, &high), -1);
    assert_int_equal(poll_window_compare(&high, &low), 1);
    assert_int_equal(poll_window_compare(&low, &low), 0);
}

static void test_compare(void **state)
{
    (void)state;
    bson_value_t small = {.value_type = BSON_TYPE_INT32, .value.v_int32 = -3};
    bson_value_t broken = {.value_type = BSON_TYPE_DOUBLE, .value.v_double = 2.5};
    bson_value_t text = {.value_type = BSON_TYPE_UTF8, .value.v_utf8 = {.str = (char[]){"ab"}, .len = 2}};
    bson_value_t longer = {.value_type = BSON_TYPE_UTF8, .value.v_utf8 = {.str = (char[]){"abc"}, .len = 3}};
    bson_value_t first = {.value_type = BSON_TYPE_TIMESTAMP, .value.v_timestamp = {.timestamp = 5, .increment = 9}};
    bson_value_t second = {.value_type = BSON_TYPE_TIMESTAMP, .value.v_timestamp = {.timestamp = 6, .increment = 1}};
    check_order(int_value(1), int_value(INT64_MAX));
    check_order(small, int_value(-2));
    check_order(broken, int_value(3));
    check_order(small, broken);
    check_order(date_value(1), date_value(2));
    check_order(oid_value(1, 9), oid_value(2, 1));
    check_order(oid_value(2, 1), oid_value(2, 9));
    check_order(text, longer);
    check_order(first, second);
    assert_int_equal(poll_window_compare(&text, &first), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_once),       cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_quiet),           cmocka_unit_test(test_empty),
        cmocka_unit_test(test_never_back),      cmocka_unit_test(test_future),
        cmocka_unit_test(test_forget),          cmocka_unit_test(test_broken_look),
        cmocka_unit_test(test_flood),           cmocka_unit_test(test_flood_of_late_ones),
        cmocka_unit_test(test_flood_of_one_value), cmocka_unit_test(test_raise),
        cmocka_unit_test(test_compare),
    };
    return cmocka_run_group_tests_name("poll_window", tests, NULL, NULL);
}
