/* warm_place - how far back a source starts. */
#include "warm_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct warm_limits minute = {60, 64 << 20};

static uint64_t at(uint64_t seconds)
{
    return seconds << 32 | 7;
}

static void test_as_far_as_wanted(void **state)
{
    (void)state;
    const struct warm_oplog long_one = {at(1000), 10 << 20};
    const struct warm_oplog unknown = {0, 0}, unsized = {at(1000), 0};
    const struct warm_limits never = {0, 64 << 20};
    assert_int_equal(warm_place(&never, &long_one, at(9000)), at(9000) + 1);
    assert_int_equal(warm_place(&minute, &long_one, at(9000)), at(8940));
    assert_int_equal(warm_place(&minute, &unknown, at(9000)), at(8940));
    assert_int_equal(warm_place(&minute, &unsized, at(9000)), at(8940));
}

static void test_not_before_the_oldest_entry(void **state)
{
    (void)state;
    const struct warm_oplog young = {at(8990), 10 << 20}, ahead = {at(9001), 1};
    const struct warm_limits ever = {86400, 64 << 20};
    assert_int_equal(warm_place(&minute, &young, at(9000)), at(8990));
    assert_int_equal(warm_place(&ever, &young, at(9000)), at(8990));
    assert_int_equal(warm_place(&minute, &ahead, at(9000)), at(8940)); /* of another member */
    assert_int_equal(warm_place(&ever, &(struct warm_oplog){0, 0}, at(9000)), 1); /* before all time */
}

static void test_not_more_than_a_journal_holds(void **state)
{
    (void)state;
    /* 6.4 MiB a second: ten seconds fit. */
    const struct warm_oplog busy = {at(8000), 6400LL << 20};
    assert_int_equal(warm_place(&minute, &busy, at(9000)), at(8990));
    /* So much that not even a second does. */
    const struct warm_oplog flood = {at(8999), 6400LL << 20};
    assert_int_equal(warm_place(&minute, &flood, at(9000)), at(9000));
    /* It fits as a whole, however short the time is in which it was written. */
    const struct warm_oplog begun = {at(9000) - 5, 60 << 20};
    assert_int_equal(warm_place(&minute, &begun, at(9000)), at(9000) - 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_far_as_wanted),
        cmocka_unit_test(test_not_before_the_oldest_entry),
        cmocka_unit_test(test_not_more_than_a_journal_holds),
    };
    return cmocka_run_group_tests_name("warm_place", tests, NULL, NULL);
}
