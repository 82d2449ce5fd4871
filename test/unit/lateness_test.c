/* lateness - the journal flush is recognised by its shape, and nothing else is taken for it. */
#include "lateness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { SECOND_US = 1000000, START_MS = 1700000000 };

static uint64_t random_state;

/* xorshift: the same numbers in every run. */
static uint64_t draw(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

/* One event, this late, one second after the one before. */
static void take(struct lateness *l, int64_t late_ms)
{
    const struct lateness_batch batch = {(const int64_t[]){START_MS - late_ms}, 1, 1};
    lateness_take(l, &batch, START_MS, l->taken_us + SECOND_US);
}

static enum lateness_verdict judge(const struct lateness *l)
{
    int64_t typical_ms;
    return lateness_judge(l, &typical_ms);
}

typedef int64_t (*source_of_lateness)(void);

/* What this distribution is taken for, whatever the difference of the clocks and the (steady) network. */
static enum lateness_verdict verdict_on(source_of_lateness next)
{
    static const int64_t offsets_ms[] = {0, 3, -40, 5000, -86400000};
    enum lateness_verdict verdicts[5];
    for (unsigned i = 0; i < 5; i++) {
        struct lateness l = {0};
        random_state = 88172645463325252u;
        for (int k = 0; k < LATENESS_SAMPLES; k++) {
            take(&l, next() + offsets_ms[i]);
        }
        verdicts[i] = judge(&l);
        assert_int_equal(verdicts[i], verdicts[0]);
    }
    return verdicts[0];
}

static int64_t flushed(void)
{
    return 3 + (int64_t)draw(100);
}

static int64_t prompt(void)
{
    return 2 + (int64_t)draw(4);
}

/* A machine without processor time: half are prompt, the others come whenever it has some. */
static int64_t stalled(void)
{
    return draw(2) ? 3 + (int64_t)draw(10) : 3 + (int64_t)draw(400);
}

/* A queue: everything between now and a second. */
static int64_t queued(void)
{
    return (int64_t)draw(1000);
}

/* Half of the writers wait for the journal, the others do not, seldom enough not to profit from it. */
static int64_t mixed(void)
{
    return draw(2) ? flushed() : prompt();
}

/* A flush that another one often comes before: late, but not by the flush's full time. */
static int64_t often_flushed(void)
{
    return 3 + (int64_t)draw(40);
}

/* Steps of 100 ms, as by Nagle's algorithm or a delayed acknowledgement: two spikes. */
static int64_t two_spikes(void)
{
    return draw(3) ? 3 : 90;
}

static void test_shapes(void **state)
{
    (void)state;
    assert_int_equal(verdict_on(flushed), LATENESS_FLUSHED);
    assert_int_equal(verdict_on(prompt), LATENESS_PROMPT);
    assert_int_equal(verdict_on(stalled), LATENESS_UNKNOWN);
    assert_int_equal(verdict_on(queued), LATENESS_UNKNOWN);
    assert_int_equal(verdict_on(mixed), LATENESS_UNKNOWN);
    assert_int_equal(verdict_on(often_flushed), LATENESS_UNKNOWN);
    assert_int_equal(verdict_on(two_spikes), LATENESS_UNKNOWN);
}

/* With the fewest samples that count, chance alone hardly ever changes the verdict, and never into its opposite. */
static void test_few_samples(void **state)
{
    (void)state;
    unsigned found = 0;
    random_state = 1;
    for (int round = 0; round < 1000; round++) {
        struct lateness slow = {0}, fast = {0};
        for (int k = 0; k < 59; k++) {
            take(&slow, flushed());
            take(&fast, prompt());
        }
        assert_int_equal(judge(&slow), LATENESS_UNKNOWN);
        assert_int_equal(judge(&fast), LATENESS_UNKNOWN);
        take(&slow, flushed());
        take(&fast, prompt());
        assert_int_not_equal(judge(&slow), LATENESS_PROMPT);
        assert_int_equal(judge(&fast), LATENESS_PROMPT);
        found += judge(&slow) == LATENESS_FLUSHED;
    }
    assert_in_range(found, 950, 1000);
}

static void test_typical(void **state)
{
    (void)state;
    struct lateness l = {0};
    int64_t typical_ms;
    assert_int_equal(lateness_judge(&l, &typical_ms), LATENESS_UNKNOWN);
    for (int i = 0; i < 100; i++) {
        take(&l, 1000 + i);
    }
    assert_int_equal(lateness_judge(&l, &typical_ms), LATENESS_FLUSHED);
    assert_int_equal(typical_ms, 45); /* the middle, from the 5th percentile on */
}

/* The newest 200 count: writers that were changed are seen to have been. */
static void test_forgets(void **state)
{
    (void)state;
    struct lateness l = {0};
    random_state = 7;
    for (int i = 0; i < 500; i++) {
        take(&l, flushed());
    }
    assert_int_equal(judge(&l), LATENESS_FLUSHED);
    for (int i = 0; i < LATENESS_SAMPLES; i++) {
        take(&l, prompt());
    }
    assert_int_equal(judge(&l), LATENESS_PROMPT);
}

static void test_what_counts(void **state)
{
    (void)state;
    struct lateness l = {0};
    const int64_t moments[] = {START_MS - 90, START_MS - 60, START_MS - 10};
    struct lateness_batch batch = {moments, 3, 3};
    lateness_take(&l, &batch, START_MS, 10 * SECOND_US);
    assert_int_equal(l.taken, 1);
    lateness_take(&l, &batch, START_MS, 10 * SECOND_US + SECOND_US / 5); /* too soon */
    assert_int_equal(l.taken, 1);
    lateness_take(&l, &batch, START_MS, 10 * SECOND_US + SECOND_US / 4);
    assert_int_equal(l.taken, 2);
    batch.events = 3 * 16 + 1; /* one insert of many */
    lateness_take(&l, &batch, START_MS, 12 * SECOND_US);
    batch = (struct lateness_batch){moments, 0, 0};
    lateness_take(&l, &batch, START_MS, 13 * SECOND_US);
    assert_int_equal(l.taken, 2);
}

/* At high rates a flush brings many events at once, with all moments between two flushes: any of them is chosen, so
 * that the shape is the same as that of single ones. */
static void test_many_at_once(void **state)
{
    (void)state;
    struct lateness l = {0};
    int64_t moments[100];
    for (int i = 0; i < 100; i++) {
        moments[i] = START_MS - 100 + i;
    }
    const struct lateness_batch batch = {moments, 100, 800};
    for (int i = 0; i < LATENESS_SAMPLES; i++) {
        lateness_take(&l, &batch, START_MS, l.taken_us + SECOND_US);
    }
    assert_int_equal(l.taken, LATENESS_SAMPLES);
    assert_int_equal(judge(&l), LATENESS_FLUSHED);
}

static void test_absurd_times(void **state)
{
    (void)state;
    struct lateness l = {0};
    const int64_t times[] = {INT32_MIN * 4000LL, INT32_MAX * 4000LL, 0};
    for (int i = 0; i < LATENESS_SAMPLES; i++) {
        const struct lateness_batch batch = {&times[i % 3], 1, 1};
        lateness_take(&l, &batch, START_MS, l.taken_us + SECOND_US);
    }
    assert_int_equal(judge(&l), LATENESS_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_few_samples),
        cmocka_unit_test(test_typical),
        cmocka_unit_test(test_forgets),
        cmocka_unit_test(test_what_counts),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_absurd_times),
    };
    return cmocka_run_group_tests_name("lateness", tests, NULL, NULL);
}
