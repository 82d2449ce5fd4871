/* feed - where a connection stands in a source: starved readers, being held for rows, starting while the past is read. */
#include "feed_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#define SECOND ((uint64_t)1 << 32)

enum { FLOOR_S = 1000, WINDOW_FRAMES = 10, BATCH = 4 * WINDOW_FRAMES };

/* A source whose journal begins at second FLOOR_S and is empty. */
static int set_up(void **state)
{
    stage_open(state, FLOOR_S * SECOND, 100000, WINDOW_FRAMES * cost_of_one());
    return 0;
}

static void append(struct fixture *f, uint64_t time)
{
    struct frame *frame = make(time);
    journal_append(f->source->journal, &frame, 1, time);
    f->cursor.number++;
    f->cursor.complete = time;
    f->cursor.last = frame->id;
}

/* Read what there is, handling at most `most`; the rest is not taken. */
static int take(struct fixture *f, int most)
{
    struct frame *frames[BATCH];
    int n = feed_read(&f->feed, &f->cursor, frames, most);
    for (int i = 0; i < n; i++) {
        if (!feed_skips(&f->feed, frames[i])) {
            feed_passed(&f->feed, frames[i]);
        }
        frame_unref(frames[i]);
    }
    return n;
}

static void offer(struct fixture *f)
{
    struct message *m = mailbox_take(f->box);
    assert_non_null(m);
    assert_null(m->next);
    feed_offer_sweep(&f->feed, m->object);
    sweep_unref(m->object);
    free(m);
    assert_int_equal(f->feed.state, FEED_SWEEPING);
}

static void advance(struct fixture *f, struct sweep *sweep, uint64_t *time, unsigned count)
{
    struct frame *frames[BATCH];
    for (unsigned i = 0; i < count; i++) {
        frames[i] = make(++*time);
    }
    catchup_advance(f->source->catchup, sweep, frames, count, *time);
}

/* The feed joins a sweep, reads `most` frames, and is left behind by its window. */
static void fall_out_after(struct fixture *f, int most)
{
    uint64_t time;
    struct sweep *sweep = catchup_try_take(f->source->catchup, &time);
    assert_non_null(sweep);
    time--;
    advance(f, sweep, &time, BATCH);
    offer(f);
    assert_int_equal(take(f, most), most);
    for (int i = 0; i < 2; i++) {
        advance(f, sweep, &time, BATCH);
    }
    assert_int_equal(take(f, 1), 0);
    assert_int_equal(f->feed.state, FEED_QUEUED);
    catchup_finish(f->source->catchup, sweep);
}

static void test_starved(void **state)
{
    struct fixture *f = *state;
    feed_start_at(&f->feed, event_id_position(SECOND));
    for (int i = 0; i < FEED_STARVED_AFTER; i++) {
        assert_false(feed_is_starved(&f->feed));
        fall_out_after(f, WINDOW_FRAMES / 2);
    }
    assert_true(feed_is_starved(&f->feed));
}

static void test_slow_is_not_starved(void **state)
{
    struct fixture *f = *state;
    feed_start_at(&f->feed, event_id_position(SECOND));
    for (int i = 0; i < 3 * FEED_STARVED_AFTER; i++) {
        bool gets_ahead = i % FEED_STARVED_AFTER == FEED_STARVED_AFTER - 1;
        fall_out_after(f, gets_ahead ? WINDOW_FRAMES : 1);
        assert_false(feed_is_starved(&f->feed));
    }
}

static void test_hold_and_release(void **state)
{
    struct fixture *f = *state;
    uint64_t start = FLOOR_S * SECOND;
    feed_start_live(&f->feed);
    append(f, start + 1); /* fanned out to it */
    feed_hold(&f->feed, &f->cursor);
    assert_int_equal(f->feed.state, FEED_HELD);
    append(f, start + 2);
    append(f, start + 3);
    assert_int_equal(take(f, BATCH), 0);
    feed_release(&f->feed);
    assert_int_equal(take(f, BATCH), 2);
    assert_int_equal(f->feed.point.cluster_time, start + 3);
    assert_int_equal(take(f, BATCH), 0);
    assert_int_equal(f->feed.state, FEED_LIVE);
}

/* What is queued for a sweep is forgotten while it is held, and asked for again. */
static void test_hold_while_queued(void **state)
{
    struct fixture *f = *state;
    unsigned sweeps, waiting;
    feed_start_at(&f->feed, event_id_position(SECOND));
    feed_hold(&f->feed, &f->cursor);
    catchup_count(f->source->catchup, &sweeps, &waiting);
    assert_int_equal(waiting, 0);
    feed_release(&f->feed);
    assert_int_equal(f->feed.state, FEED_QUEUED);
    catchup_count(f->source->catchup, &sweeps, &waiting);
    assert_int_equal(waiting, 1);
}

/* A cluster time that is not complete yet (a transaction): a new stream is told the position before it, so all of it
 * comes. */
static void test_live_behind_an_open_time(void **state)
{
    struct fixture *f = *state;
    uint64_t start = FLOOR_S * SECOND;
    append(f, start + 1);
    struct frame *open = make(start + 2);
    journal_append(f->source->journal, &open, 1, start + 1);
    f->cursor = (struct feed_cursor){.number = 3, .complete = start + 1, .last = {start + 2, 7}};
    feed_start_live(&f->feed);
    assert_int_equal(f->feed.last.cluster_time, start + 2);
    assert_true(event_id_is_position(f->feed.last));
    assert_int_equal(take(f, BATCH), 1);
    assert_int_equal(f->feed.point.cluster_time, start + 2);
    assert_int_equal(take(f, BATCH), 0);
    assert_int_equal(f->feed.state, FEED_LIVE);
}

/* A source that warms its journal: what it reads is the past for a new stream, but not for one that resumes. */
static void test_live_while_warming(void **state)
{
    struct fixture *f = *state;
    uint64_t present = (FLOOR_S + 60) * SECOND;
    atomic_store(&f->source->status.live_from, present);
    feed_start_live(&f->feed);
    assert_int_equal(f->feed.point.cluster_time, present);
    assert_true(event_id_is_position(f->feed.point));
    struct frame *past = make(present - 1), *live = make(present);
    assert_true(feed_skips(&f->feed, past));
    assert_false(feed_skips(&f->feed, live));
    frame_unref(past);
    frame_unref(live);
}

/* A change of grants stands in its source's journal alone: whoever went on behind it from elsewhere would find no place. */
static void test_grants_are_no_place(void **state)
{
    (void)state;
    struct feed feed = {.point = {5, 7}};
    struct frame *one = frame_new_grants((struct event_id){6, 9}, NULL), *all = frame_new_grants(event_id_position(8), NULL);
    feed_passed(&feed, one);
    feed_passed(&feed, all);
    assert_int_equal(feed.point.cluster_time, 5);
    assert_int_equal(feed.point.hash, 7);
    frame_unref(one);
    frame_unref(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_starved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow_is_not_starved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hold_and_release, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hold_while_queued, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_live_behind_an_open_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_live_while_warming, set_up, tear_down),
        cmocka_unit_test(test_grants_are_no_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
