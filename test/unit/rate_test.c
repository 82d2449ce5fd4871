/* rate - a second's worth at once, then so many a second, whatever the pattern. */
#include "rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

enum { SECOND_US = 1000000, THREADS = 4 };

static unsigned take_all(struct rate *rate, uint64_t max_per_s, int64_t now_us)
{
    unsigned taken = 0;
    while (rate_take(rate, max_per_s, 1, now_us)) {
        taken++;
    }
    return taken;
}

static void test_burst_and_refill(void **state)
{
    (void)state;
    struct rate rate = {0};
    int64_t now = 77 * SECOND_US;
    assert_int_equal(take_all(&rate, 10, now), 10);
    assert_int_equal(take_all(&rate, 10, now + 99999), 0);
    assert_int_equal(take_all(&rate, 10, now + 100000), 1);
    assert_int_equal(take_all(&rate, 10, now + 400000), 3);
    assert_int_equal(take_all(&rate, 10, now + 60 * SECOND_US), 10); /* what was not used does not add up */
}

static void test_steady_rate(void **state)
{
    (void)state;
    struct rate rate = {0};
    unsigned taken = 0;
    for (int64_t now = SECOND_US; now < 11 * SECOND_US; now += 1000) {
        taken += rate_take(&rate, 50, 1, now);
    }
    assert_in_range(taken, 540, 551); /* 10 s and the first second's worth */
}

static void test_several_at_once(void **state)
{
    (void)state;
    struct rate rate = {0};
    int64_t now = SECOND_US;
    assert_true(rate_take(&rate, 100, 60, now));
    assert_false(rate_take(&rate, 100, 41, now));
    assert_true(rate_take(&rate, 100, 40, now)); /* a refusal took nothing */
    assert_false(rate_take(&rate, 100, 1, now));
}

/* More than a second's worth could never be had otherwise; it is paid off afterwards. */
static void test_more_than_a_second(void **state)
{
    (void)state;
    struct rate rate = {0};
    int64_t now = SECOND_US;
    assert_true(rate_take(&rate, 10, 50, now));
    assert_false(rate_take(&rate, 10, 1, now + 4 * SECOND_US));
    assert_true(rate_take(&rate, 10, 1, now + 4 * SECOND_US + 100000));
    assert_false(rate_take(&rate, 10, 50, now + 5 * SECOND_US));
    assert_true(rate_take(&rate, 10, 50, now + 6 * SECOND_US));
}

static void test_no_limit(void **state)
{
    (void)state;
    struct rate rate = {0};
    for (unsigned i = 0; i < 100000; i++) {
        assert_true(rate_take(&rate, 0, 1000, 5));
    }
}

static struct rate shared;

static void *take_shared(void *arg)
{
    (void)arg;
    return (void *)(uintptr_t)take_all(&shared, 100000, SECOND_US);
}

static void test_threads_share_one_bucket(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    uintptr_t taken = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, take_shared, NULL), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *part;
        pthread_join(threads[i], &part);
        taken += (uintptr_t)part;
    }
    assert_int_equal(taken, 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_and_refill),
        cmocka_unit_test(test_steady_rate),
        cmocka_unit_test(test_several_at_once),
        cmocka_unit_test(test_more_than_a_second),
        cmocka_unit_test(test_no_limit),
        cmocka_unit_test(test_threads_share_one_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
