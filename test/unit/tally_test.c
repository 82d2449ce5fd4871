/* tally - counts by key, limits, and nothing left of keys that hold nothing. */
#include "tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>

enum { THREADS = 4, ROUNDS = 20000, LIMIT = 3 };

static void test_keys_are_apart(void **state)
{
    (void)state;
    struct tally *tally = tally_new();
    assert_int_equal(tally_add(tally, "ann", 3, 2), 0);
    assert_int_equal(tally_add(tally, "ann", 3, 2), 0);
    assert_int_equal(tally_add(tally, "ann", 3, 2), -1);
    assert_int_equal(tally_add(tally, "an", 2, 2), 0);
    assert_int_equal(tally_add(tally, "ann\0", 4, 2), 0); /* a key is bytes */
    assert_int_equal(tally_count(tally, "ann", 3), 2);
    assert_int_equal(tally_count(tally, "an", 2), 1);
    assert_int_equal(tally_count(tally, "bob", 3), 0);
    tally_free(tally);
}

static void test_a_place_given_back_is_free(void **state)
{
    (void)state;
    struct tally *tally = tally_new();
    assert_int_equal(tally_add(tally, "ann", 3, 1), 0);
    assert_int_equal(tally_add(tally, "ann", 3, 1), -1);
    tally_remove(tally, "ann", 3);
    assert_int_equal(tally_count(tally, "ann", 3), 0);
    assert_int_equal(tally_add(tally, "ann", 3, 1), 0);
    tally_remove(tally, "bob", 3); /* who holds nothing */
    assert_int_equal(tally_count(tally, "bob", 3), 0);
    tally_free(tally);
}

static void test_zero_is_no_limit(void **state)
{
    (void)state;
    struct tally *tally = tally_new();
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(tally_add(tally, "ann", 3, 0), 0);
    }
    assert_int_equal(tally_count(tally, "ann", 3), 1000);
    assert_int_equal(tally_add(tally, "ann", 3, 1000), -1); /* a limit that came later */
    tally_free(tally);
    tally_free(NULL);
}

static void test_many_keys(void **state)
{
    (void)state;
    struct tally *tally = tally_new();
    char key[16];
    for (unsigned i = 0; i < 20000; i++) {
        int len = snprintf(key, sizeof key, "%u", i % 10000);
        assert_int_equal(tally_add(tally, key, (size_t)len, 2), 0);
    }
    for (unsigned i = 0; i < 10000; i++) {
        int len = snprintf(key, sizeof key, "%u", i);
        assert_int_equal(tally_count(tally, key, (size_t)len), 2);
        tally_remove(tally, key, (size_t)len);
        tally_remove(tally, key, (size_t)len);
    }
    assert_int_equal(tally_count(tally, "77", 2), 0);
    tally_free(tally);
}

/* Each holds one place at a time; there are LIMIT of them for THREADS. */
static void *come_and_go(void *arg)
{
    struct tally *tally = arg;
    uintptr_t wrong = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (tally_add(tally, "ann", 3, LIMIT) == 0) {
            wrong += tally_count(tally, "ann", 3) > LIMIT;
            tally_remove(tally, "ann", 3);
        }
    }
    return (void *)wrong;
}

static void test_threads_never_pass_the_limit(void **state)
{
    (void)state;
    struct tally *tally = tally_new();
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, tally), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    assert_int_equal(tally_count(tally, "ann", 3), 0);
    tally_free(tally);
}

static void sum_up(const char *key, size_t len, uint64_t count, void *arg)
{
    uint64_t *sums = arg;
    sums[0]++;
    sums[1] += len;
    sums[2] += count * (uint64_t)(key[0] - 'a' + 1);
}

static void test_visit_tells_of_each_key(void **state)
{
    (void)state;
    uint64_t sums[3] = {0};
    struct tally *tally = tally_new();
    tally_add(tally, "a", 1, 0);
    tally_add(tally, "a", 1, 0);
    tally_add(tally, "bb", 2, 0);
    tally_add(tally, "c", 1, 0);
    tally_remove(tally, "c", 1);
    tally_visit(tally, sum_up, sums);
    assert_int_equal(sums[0], 2);
    assert_int_equal(sums[1], 3);
    assert_int_equal(sums[2], 2 * 1 + 1 * 2);
    tally_free(tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_are_apart),
        cmocka_unit_test(test_a_place_given_back_is_free),
        cmocka_unit_test(test_zero_is_no_limit),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_visit_tells_of_each_key),
        cmocka_unit_test(test_threads_never_pass_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
