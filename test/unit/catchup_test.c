/* catchup - a storm of late readers through few sweeps: each is answered once; cancelling, pacing, the end. */
#include "catchup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SECOND ((uint64_t)1 << 32)

enum { MAX_SWEEPS = 3, READERS = 1000, WINDOW_FRAMES = 10 };

struct fixture {
    struct journal *journal;
    struct catchup *catchup;
    struct mailbox *box;
};

static struct frame *make(uint64_t time, int64_t hash)
{
    struct frame_event event = {.id = {time, hash}, .channel = {"c", 1}, .event = {"e", 1}, .data = {"{}", 2}};
    return frame_new(&event);
}

static size_t cost_of_one(void)
{
    struct frame *f = make(1, 1);
    size_t cost = frame_cost(f);
    frame_unref(f);
    return cost;
}

/* A journal that begins at second 10,000. */
static int set_up(void **state)
{
    struct fixture *f = malloc(sizeof *f);
    f->journal = journal_new((struct journal_limits){.max_bytes = 100000});
    f->catchup = catchup_new(f->journal, (struct catchup_limits){MAX_SWEEPS, WINDOW_FRAMES * cost_of_one()});
    f->box = mailbox_new();
    journal_open(f->journal, 10000 * SECOND);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    catchup_free(f->catchup);
    journal_free(f->journal);
    mailbox_free(f->box);
    free(f);
    return 0;
}

static void request(struct fixture *f, uint64_t time, uint64_t number)
{
    catchup_request(f->catchup, event_id_position(time), f->box, number, 0);
}

static void expect_counts(struct fixture *f, unsigned sweeps, unsigned waiting)
{
    unsigned got_sweeps, got_waiting;
    catchup_count(f->catchup, &got_sweeps, &got_waiting);
    assert_int_equal(got_sweeps, sweeps);
    assert_int_equal(got_waiting, waiting);
}

static void advance(struct fixture *f, struct sweep *s, uint64_t time)
{
    struct frame *frame = make(time, 1);
    catchup_advance(f->catchup, s, &frame, 1, time);
}

/* Take the answers; count them by reader. Gives the references back. */
static unsigned take_answers(struct fixture *f, unsigned *answers)
{
    unsigned n = 0;
    for (struct message *m = mailbox_take(f->box), *next; m; m = next, n++) {
        next = m->next;
        assert_int_equal(m->type, MESSAGE_CATCHUP);
        answers[m->number]++;
        sweep_unref(m->object);
        free(m);
    }
    return n;
}

static void test_storm(void **state)
{
    struct fixture *f = *state;
    static unsigned answers[READERS];
    memset(answers, 0, sizeof answers);
    unsigned opened = 0, seed = 1;
    uint64_t starts[MAX_SWEEPS], oldest = UINT64_MAX;
    struct sweep *sweeps[MAX_SWEEPS + 1] = {NULL};
    for (unsigned i = 0; i < READERS; i++) {
        uint64_t time = (uint64_t)(1 + (unsigned)rand_r(&seed) % 9000) * SECOND;
        oldest = time < oldest ? time : oldest;
        request(f, time, i);
    }
    while (opened <= MAX_SWEEPS && (sweeps[opened] = catchup_try_take(f->catchup, &starts[opened % MAX_SWEEPS]))) {
        opened++;
    }
    assert_int_equal(opened, MAX_SWEEPS);
    assert_int_equal(starts[0], oldest); /* the oldest point goes first */
    /* The first sweep alone serves everyone it passes. */
    for (uint64_t s = starts[0]; !catchup_reached(f->catchup, sweeps[0]); s += SECOND / 2) {
        advance(f, sweeps[0], s);
        take_answers(f, answers);
    }
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(answers[i], 1);
    }
    expect_counts(f, MAX_SWEEPS, 0);
    for (unsigned i = 0; i < MAX_SWEEPS; i++) {
        assert_false(catchup_is_wanted(f->catchup, sweeps[i]));
        catchup_finish(f->catchup, sweeps[i]);
    }
    assert_null(catchup_try_take(f->catchup, &oldest));
}

/* A request just ahead of a running sweep waits for it; one far ahead, or behind, gets its own. */
static void test_joining(void **state)
{
    struct fixture *f = *state;
    unsigned answers[10] = {0};
    uint64_t start;
    request(f, 1000 * SECOND, 1);
    struct sweep *first = catchup_try_take(f->catchup, &start);
    assert_int_equal(start, 1000 * SECOND);
    request(f, 1000 * SECOND, 2); /* it can be read from already: nothing to wait for */
    assert_int_equal(take_answers(f, answers), 1);
    assert_int_equal(answers[2], 1);
    request(f, 1050 * SECOND, 3);
    assert_null(catchup_try_take(f->catchup, &start));
    request(f, 2000 * SECOND, 4);
    struct sweep *second = catchup_try_take(f->catchup, &start);
    assert_int_equal(start, 2000 * SECOND);
    request(f, 900 * SECOND, 5);
    struct sweep *third = catchup_try_take(f->catchup, &start);
    assert_int_equal(start, 900 * SECOND);
    advance(f, first, 1049 * SECOND);
    assert_int_equal(answers[3], 0);
    advance(f, first, 1050 * SECOND);
    advance(f, second, 2000 * SECOND);
    advance(f, third, 900 * SECOND);
    take_answers(f, answers);
    for (unsigned i = 1; i <= 5; i++) {
        assert_int_equal(answers[i], 1);
    }
    catchup_finish(f->catchup, first);
    catchup_finish(f->catchup, second);
    catchup_finish(f->catchup, third);
}

static void test_cancel(void **state)
{
    struct fixture *f = *state;
    unsigned answers[10] = {0};
    uint64_t start;
    for (unsigned i = 0; i < 5; i++) {
        request(f, 100 * SECOND, i);
    }
    struct mailbox *other = mailbox_new();
    catchup_cancel(f->catchup, other, 2); /* another loop's connection of that number */
    expect_counts(f, 0, 5);
    catchup_cancel(f->catchup, f->box, 2);
    catchup_cancel(f->catchup, f->box, 4);
    catchup_cancel(f->catchup, f->box, 9);
    expect_counts(f, 0, 3);
    struct sweep *s = catchup_try_take(f->catchup, &start);
    advance(f, s, 100 * SECOND);
    assert_int_equal(take_answers(f, answers), 3);
    assert_int_equal(answers[2] + answers[4], 0);
    for (unsigned i = 6; i < 9; i++) {
        request(f, 5000 * SECOND, i);
        catchup_cancel(f->catchup, f->box, i);
    }
    assert_null(catchup_try_take(f->catchup, &start));
    catchup_finish(f->catchup, s);
    mailbox_free(other);
}

/* A reader that has fallen out of the window gets a sweep of its own point. */
static void test_window_eviction(void **state)
{
    struct fixture *f = *state;
    unsigned answers[10] = {0};
    uint64_t start;
    struct journal_state window;
    request(f, 100 * SECOND, 1);
    struct sweep *s = catchup_try_take(f->catchup, &start);
    for (unsigned i = 0; i < 5 * WINDOW_FRAMES; i++) {
        advance(f, s, (100 + i) * SECOND);
    }
    journal_state(sweep_window(s), &window);
    assert_true(window.bytes <= 2 * WINDOW_FRAMES * cost_of_one());
    assert_true(window.floor > 110 * SECOND);
    take_answers(f, answers);
    request(f, 110 * SECOND, 2);
    assert_int_equal(take_answers(f, answers), 0);
    struct sweep *second = catchup_try_take(f->catchup, &start);
    assert_non_null(second);
    assert_int_equal(start, 110 * SECOND);
    catchup_finish(f->catchup, s);
    advance(f, second, 110 * SECOND);
    assert_int_equal(take_answers(f, answers), 1);
    catchup_finish(f->catchup, second);
}

/* It goes on when half of its members have read the older half. */
static void test_pace(void **state)
{
    struct fixture *f = *state;
    unsigned answers[10] = {0}, places[3];
    uint64_t start;
    request(f, 100 * SECOND, 1);
    struct sweep *s = catchup_try_take(f->catchup, &start);
    for (unsigned i = 0; i < 3; i++) {
        places[i] = sweep_join(s, f->box, 1);
    }
    for (unsigned i = 0; i < WINDOW_FRAMES; i++) {
        assert_true(sweep_wait_for_room(s, 0));
        advance(f, s, (100 + i) * SECOND);
    }
    assert_false(sweep_wait_for_room(s, 5));
    sweep_progress(s, places[0], WINDOW_FRAMES);
    assert_false(sweep_wait_for_room(s, 5));
    sweep_progress(s, places[1], WINDOW_FRAMES);
    assert_true(sweep_wait_for_room(s, 0));
    sweep_leave(s, places[1]);
    assert_true(sweep_wait_for_room(s, 0)); /* one of two */
    sweep_leave(s, places[0]);
    assert_false(sweep_wait_for_room(s, 5));
    assert_int_equal(sweep_join(s, f->box, 1), places[0]); /* places are used again */
    sweep_leave(s, places[0]);
    sweep_leave(s, places[2]);
    assert_true(sweep_wait_for_room(s, 0)); /* nobody to wait for */
    take_answers(f, answers);
    catchup_finish(f->catchup, s);
}

static void test_is_wanted(void **state)
{
    struct fixture *f = *state;
    unsigned answers[10] = {0};
    uint64_t start;
    request(f, 100 * SECOND, 1);
    struct sweep *s = catchup_try_take(f->catchup, &start);
    assert_true(catchup_is_wanted(f->catchup, s)); /* its own request still waits */
    advance(f, s, 101 * SECOND);
    assert_true(catchup_is_wanted(f->catchup, s)); /* the answer is under way */
    take_answers(f, answers);
    assert_false(catchup_is_wanted(f->catchup, s));
    unsigned place = sweep_join(s, f->box, 1);
    assert_true(catchup_is_wanted(f->catchup, s));
    sweep_leave(s, place);
    assert_false(catchup_is_wanted(f->catchup, s));
    request(f, 130 * SECOND, 2); /* just ahead */
    assert_true(catchup_is_wanted(f->catchup, s));
    catchup_cancel(f->catchup, f->box, 2);
    assert_false(catchup_is_wanted(f->catchup, s));
    catchup_finish(f->catchup, s);
}

/* Who still waits when the journal reaches back to it is sent there by the sweep that ends. */
static void test_end(void **state)
{
    struct fixture *f = *state;
    unsigned answers[10] = {0};
    uint64_t start;
    request(f, 9999 * SECOND, 1);
    struct sweep *s = sweep_ref(catchup_try_take(f->catchup, &start));
    assert_false(catchup_reached(f->catchup, s));
    assert_false(sweep_is_over(s));
    catchup_advance(f->catchup, s, NULL, 0, 10000 * SECOND - 1);
    assert_true(catchup_reached(f->catchup, s));
    request(f, 10020 * SECOND, 2);
    request(f, 50 * SECOND, 3);
    catchup_finish(f->catchup, s);
    assert_true(sweep_is_over(s));
    take_answers(f, answers);
    assert_int_equal(answers[1], 1);
    assert_int_equal(answers[2], 1);
    assert_int_equal(answers[3], 0);
    expect_counts(f, 0, 1);
    sweep_unref(s);
    s = catchup_try_take(f->catchup, &start);
    assert_int_equal(start, 50 * SECOND);
    catchup_finish(f->catchup, s);
}

static void *take(void *arg)
{
    uint64_t start;
    return catchup_take(arg, &start);
}

static void test_stop(void **state)
{
    struct fixture *f = *state;
    uint64_t start;
    pthread_t thread;
    void *got = f;
    assert_int_equal(pthread_create(&thread, NULL, take, f->catchup), 0);
    request(f, 100 * SECOND, 1);
    pthread_join(thread, &got);
    assert_non_null(got);
    struct sweep *s = got;
    catchup_finish(f->catchup, s);
    request(f, 100 * SECOND, 2);
    catchup_stop(f->catchup);
    assert_int_equal(pthread_create(&thread, NULL, take, f->catchup), 0);
    pthread_join(thread, &got);
    assert_null(got);
    assert_null(catchup_try_take(f->catchup, &start));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_storm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_joining, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_window_eviction, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pace, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_is_wanted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stop, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("catchup", tests, NULL, NULL);
}
