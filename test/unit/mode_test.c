/* mode - what journal and feeds make of a source that goes from a change stream to polling and back. */
#include "feed_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#define AT(seconds) ((uint64_t)(1700000000 + (seconds)) << 32) /* a real cluster time */

enum { HELD_FRAMES = 10 };

/* A source that follows a change stream since second 0, with room for HELD_FRAMES events. */
static int set_up(void **state)
{
    stage_open(state, AT(0), HELD_FRAMES * cost_of_one(), 1000);
    return 0;
}

static void append(struct fixture *f, uint64_t time)
{
    struct frame *frame = make(time);
    journal_append(f->source->journal, &frame, 1, time);
}

static void restart(struct fixture *f, uint64_t time)
{
    bool polls = time < EVENT_ID_FIRST_REAL;
    atomic_store(&f->source->status.polling, polls ? SOURCE_POLLS_STANDALONE : SOURCE_FOLLOWS_STREAM);
    if (!polls) {
        atomic_store(&f->source->status.mode_since, time);
    }
    journal_restart(f->source->journal, frame_new_mode(event_id_position(time)), time);
}

/* As the loop does: everything that is new, in order. Returns how many of them the feed was pushed. */
static int carry(struct fixture *f)
{
    struct frame *frame;
    struct journal_state state;
    int pushed = 0;
    journal_state(f->source->journal, &state);
    while (journal_read(f->source->journal, &f->cursor.number, &frame, 1) == 1) {
        uint64_t number = f->cursor.number - 1;
        if (frame->kind == FRAME_MODE) {
            feed_meet_mode(&f->feed, number);
        }
        if (f->feed.state == FEED_LIVE && number >= f->feed.number && !feed_skips(&f->feed, frame)) {
            pushed++;
            if (frame->kind == FRAME_MODE) {
                feed_enter_mode(&f->feed, frame->id);
            }
        }
        frame_unref(frame);
    }
    f->cursor.complete = state.complete;
    return pushed;
}

/* --- the journal ----------------------------------------------------------------------------------- */

static void expect_place(struct fixture *f, struct event_id point, enum journal_place place, uint64_t number)
{
    uint64_t got = 0;
    assert_int_equal(journal_find(f->source->journal, point, &got), place);
    if (place == JOURNAL_FOUND) {
        assert_int_equal(got, number);
    }
}

/* Times go back: what is held before the restart is no place to go on at, and does not move the floor. */
static void test_journal_restart(void **state)
{
    struct fixture *f = *state;
    struct journal_state s;
    append(f, AT(1));
    append(f, AT(2));
    restart(f, 1);
    append(f, 1);
    append(f, 2);
    journal_state(f->source->journal, &s);
    assert_int_equal(s.floor, 1);
    assert_int_equal(s.complete, 2);
    assert_int_equal(s.first, 1);
    expect_place(f, event_id_position(1), JOURNAL_FOUND, 3);
    expect_place(f, (struct event_id){1, 7}, JOURNAL_FOUND, 5);
    expect_place(f, event_id_position(2), JOURNAL_FOUND, 5);
    for (uint64_t time = 3; time < 9; time++) {
        append(f, time);
    }
    journal_state(f->source->journal, &s);
    assert_int_equal(s.first, 2); /* the first one was evicted */
    assert_int_equal(s.floor, 1);
    for (uint64_t time = 9; time < 13; time++) {
        append(f, time);
    }
    journal_state(f->source->journal, &s);
    assert_true(s.first > 4);
    assert_in_range(s.floor, 2, 4);
}

/* --- live feeds ------------------------------------------------------------------------------------ */

static void test_live_through_both(void **state)
{
    struct fixture *f = *state;
    feed_start_live(&f->feed);
    append(f, AT(1));
    assert_int_equal(carry(f), 1);
    restart(f, 1);
    append(f, 1);
    append(f, 2);
    assert_int_equal(carry(f), 3);
    restart(f, AT(60));
    append(f, AT(60));
    assert_int_equal(carry(f), 2);
    assert_int_equal(f->feed.point.cluster_time, AT(60));
    restart(f, 3);
    append(f, 3);
    assert_int_equal(carry(f), 2);
    assert_null(f->feed.lost);
}

/* Who comes while it polls is not told of the change that was before. */
static void test_new_while_it_polls(void **state)
{
    struct fixture *f = *state;
    append(f, AT(1));
    atomic_store(&f->source->status.live_from, AT(1));
    restart(f, 1);
    append(f, 1);
    carry(f);
    feed_start_live(&f->feed);
    append(f, 2);
    assert_int_equal(carry(f), 1);
}

/* The position of a change that was told is a point behind it. */
static void test_resumes_at_the_change(void **state)
{
    struct fixture *f = *state;
    struct frame *mode = frame_new_mode(event_id_position(AT(60)));
    restart(f, 1);
    restart(f, AT(60));
    carry(f);
    assert_true(source_can_resume(f->source, event_id_position(AT(60))));
    feed_start_at(&f->feed, event_id_position(AT(60)));
    assert_int_equal(f->feed.state, FEED_PULLING);
    assert_true(feed_skips(&f->feed, mode));
    frame_unref(mode);
}

/* --- feeds that wait --------------------------------------------------------------------------------- */

static void test_queued_meets_polling(void **state)
{
    struct fixture *f = *state;
    uint64_t start;
    feed_start_at(&f->feed, event_id_position(AT(-100)));
    assert_int_equal(f->feed.state, FEED_QUEUED);
    append(f, AT(1));
    restart(f, 1);
    append(f, 1);
    assert_int_equal(carry(f), 2); /* the change and what follows, not what was before */
    assert_int_equal(f->feed.state, FEED_LIVE);
    assert_null(catchup_try_take(f->source->catchup, &start));
}

static void test_seeking_meets_polling(void **state)
{
    struct fixture *f = *state;
    feed_start_at(&f->feed, (struct event_id){AT(5), 99}); /* ahead of what was read */
    assert_true(f->feed.seeking);
    restart(f, 1);
    append(f, 1);
    assert_int_equal(carry(f), 2);
    assert_false(f->feed.seeking);
}

/* --- points that mean nothing any more ----------------------------------------------------------------- */

static void expect_lost(struct fixture *f, const char *reason)
{
    assert_non_null(f->feed.lost);
    assert_string_equal(f->feed.lost, reason);
    assert_int_equal(f->feed.state, FEED_LIVE);
    assert_false(f->feed.seeking);
}

static void test_point_of_another_mode(void **state)
{
    struct fixture *f = *state;
    restart(f, 1);
    assert_false(source_can_resume(f->source, event_id_position(AT(1))));
    feed_start_at(&f->feed, event_id_position(AT(1)));
    expect_lost(f, "mode_changed");

    f->feed.lost = NULL;
    restart(f, AT(60));
    assert_false(source_can_resume(f->source, event_id_position(AT(59)))); /* the oplog has not what was polled */
    feed_start_at(&f->feed, event_id_position(AT(59)));
    expect_lost(f, "mode_changed");

    f->feed.lost = NULL;
    feed_start_at(&f->feed, event_id_position(1));
    expect_lost(f, "mode_changed");
}

/* While it polls there is nothing behind the journal. */
static void test_slow_while_it_polls(void **state)
{
    struct fixture *f = *state;
    struct frame *frame;
    uint64_t start;
    restart(f, 1);
    feed_start_at(&f->feed, event_id_position(1));
    assert_int_equal(f->feed.state, FEED_PULLING);
    for (uint64_t time = 1; time < 3 * HELD_FRAMES; time++) {
        append(f, time);
        carry(f);
    }
    assert_int_equal(feed_read(&f->feed, &f->cursor, &frame, 1), 0);
    expect_lost(f, "history_lost");
    assert_null(catchup_try_take(f->source->catchup, &start));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_journal_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_live_through_both, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_new_while_it_polls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_resumes_at_the_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_queued_meets_polling, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_seeking_meets_polling, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_point_of_another_mode, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow_while_it_polls, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("mode", tests, NULL, NULL);
}
