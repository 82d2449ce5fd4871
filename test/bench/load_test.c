/* The load client's own judgement: what it calls missing, double or out of order, and how it counts durations. */
#include "histogram.h"
#include "load_check.h"
#include "load_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <getopt.h>
#include <stdio.h>

enum { LISTENING_US = 1000, SENT_US = 2000 };

static void assert_verdict(const struct verdict *verdict, uint64_t missing, uint64_t doubles, uint64_t disorder)
{
    assert_int_equal(verdict->missing, missing);
    assert_int_equal(verdict->doubles, doubles);
    assert_int_equal(verdict->disorder, disorder);
}

static void receive(struct tracks *tracks, struct group *group, uint64_t seq, struct verdict *verdict)
{
    track_event(tracks_find(tracks, group, "logs:etl:w0:f0", 14), seq, SENT_US, verdict);
}

/* One client's numbers, then what is found within them. */
static void expect(const uint64_t *seqs, size_t count, uint64_t missing, uint64_t doubles, uint64_t disorder)
{
    struct group *groups = NULL;
    struct tracks tracks = {NULL, 0, NULL};
    struct verdict verdict = {0, 0, 0};
    for (size_t i = 0; i < count; i++) {
        receive(&tracks, group_find(&groups, "/x"), seqs[i], &verdict);
    }
    assert_verdict(&verdict, missing, doubles, disorder);
    tracks_free(&tracks);
    groups_free(&groups);
}

#define EXPECT(missing, doubles, disorder, ...)                                                                        \
    expect((const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), (missing),    \
           (doubles), (disorder))

static void test_within_a_track(void **state)
{
    (void)state;
    EXPECT(0, 0, 0, 1, 2, 3);
    EXPECT(0, 0, 0, 7, 8, 9);
    EXPECT(2, 0, 0, 1, 4, 5);
    EXPECT(0, 1, 0, 1, 2, 2, 3);
    EXPECT(0, 3, 0, 1, 2, 3, 1, 2, 3, 4);
    EXPECT(0, 0, 1, 1, 3, 2, 4);
    EXPECT(0, 1, 1, 1, 3, 2, 2, 4);
    EXPECT(0, 0, 1, 2, 1, 3);
    EXPECT(1, 0, 1, 3, 1, 4);
    EXPECT(199, 0, 0, 1, 201);
    EXPECT(199, 1, 0, 1, 201, 100); /* too late to tell: a double */
}

static void test_beginning_and_end(void **state)
{
    (void)state;
    struct group *groups = NULL;
    struct group *group = group_find(&groups, "/x");
    struct tracks whole = {NULL, 0, NULL}, part = {NULL, 0, NULL}, none = {NULL, 0, NULL};
    struct verdict verdict = {0, 0, 0};
    for (uint64_t seq = 1; seq <= 10; seq++) {
        receive(&whole, group, seq, &verdict);
        if (seq >= 4 && seq <= 8) {
            receive(&part, group, seq, &verdict);
        }
    }
    tracks_judge(&whole, group, LISTENING_US, true, &verdict);
    assert_verdict(&verdict, 0, 0, 0);
    tracks_judge(&part, group, SENT_US + 1, false, &verdict); /* came later, and the run was cut: nothing to say */
    tracks_judge(&none, group, SENT_US + 1, true, &verdict);
    assert_verdict(&verdict, 0, 0, 0);
    tracks_judge(&part, group, LISTENING_US, true, &verdict);
    assert_verdict(&verdict, 5, 0, 0);
    tracks_judge(&none, group, LISTENING_US, true, &verdict);
    assert_verdict(&verdict, 15, 0, 0);

    group->lanes->target_seq = 10;
    assert_int_equal(tracks_pending(&whole, group), 0);
    assert_int_equal(tracks_pending(&part, group), 2);
    assert_int_equal(tracks_pending(&none, group), 10);
    tracks_free(&whole);
    tracks_free(&part);
    groups_free(&groups);
}

/* Channels of one connection are numbered by themselves. */
static void test_lanes(void **state)
{
    (void)state;
    struct group *groups = NULL;
    struct group *group = group_find(&groups, "/x");
    struct tracks tracks = {NULL, 0, NULL};
    struct verdict verdict = {0, 0, 0};
    static const char names[] = "abcdefgh";
    for (uint64_t seq = 1; seq <= 3; seq++) {
        for (size_t i = 0; i < sizeof names - 1; i++) {
            track_event(tracks_find(&tracks, group, names + i, 1), seq, SENT_US, &verdict);
        }
    }
    track_event(tracks_find(&tracks, group, "", 0), 1, SENT_US, &verdict);
    assert_verdict(&verdict, 0, 0, 0);
    assert_int_equal(group->lane_count, 9);
    assert_ptr_equal(group_find(&groups, "/x"), group);
    assert_ptr_not_equal(group_find(&groups, "/y"), group);
    tracks_free(&tracks);
    groups_free(&groups);
}

static void test_histogram(void **state)
{
    (void)state;
    static struct histogram h;
    assert_int_equal(histogram_quantile(&h, 0.5), 0);
    for (int64_t us = 1; us <= 100000; us++) {
        histogram_add(&h, us);
    }
    for (unsigned percent = 1; percent <= 99; percent++) {
        double got = (double)histogram_quantile(&h, percent / 100.0);
        assert_true(got >= percent * 1000.0 && got <= percent * 1000.0 * (1 + 1 / 64.0) + 1);
    }
    histogram_add(&h, -5);
    histogram_add(&h, INT64_MAX);
    assert_int_equal(h.count, 100002);
    assert_true(h.max_us == INT64_MAX);
    assert_true(histogram_quantile(&h, 0) == 0);
}

/* Parse a command line with this URL and these channels; writes the target of client 12 when it is good. */
static int parse(const char *url, const char *channels, char target[PLAN_TARGET_MAX])
{
    char words[7][64] = {"tailwater-load", "--clients", "13", "--url", "", "--channels", ""};
    char *argv[] = {words[0], words[1], words[2], words[3], words[4], words[5], words[6], NULL};
    snprintf(words[4], sizeof words[4], "%s", url);
    snprintf(words[6], sizeof words[6], "%s", channels);
    struct load_plan plan;
    optind = 0; /* getopt starts anew */
    if (load_plan_parse(&plan, 7, argv) != 0) {
        return -1;
    }
    return load_plan_target(&plan, 12, target);
}

static void test_targets(void **state)
{
    (void)state;
    char target[PLAN_TARGET_MAX];
    assert_int_equal(parse("http://127.0.0.1:3002/s?a=1", "logs:etl:w{i%10}:*,b%", target), 0);
    assert_string_equal(target, "/s?a=1&channels=logs:etl:w2:*,b%25");
    assert_int_equal(parse("http://localhost:3002/sub/{i/5}", "4", target), 0);
    assert_string_equal(target, "/sub/2?channels=logs:etl:w0:*");
    assert_int_equal(parse("http://192.0.2.1:3002/s", "a", target), -1);
    assert_int_equal(parse("http://127.0.0.1.example.com/s", "a", target), -1);
    assert_int_equal(parse("https://127.0.0.1/s", "a", target), -1);
    assert_int_equal(parse("http://127.0.0.1:3002/s", "w{i%0}", target), -1);
    assert_int_equal(parse("http://127.0.0.1:3002/s", "w{j}", target), -1);
    assert_int_equal(parse("http://127.0.0.1:3002/s", "w{i%3", target), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_within_a_track), cmocka_unit_test(test_beginning_and_end),
        cmocka_unit_test(test_lanes),          cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
