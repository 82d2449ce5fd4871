/* stream_change - going back to the id that the client knows: what the old list did not want of the cluster time at
 * hand is read again, and nothing else is. */
#include "stream_change.h"

#include "feed.h"
#include "source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

enum { FLOOR = 100, TIME = 110, MAX_BYTES = 100000, NUMBER = 7 };

struct world {
    struct source *source;
    struct mailbox *box;
    struct feed feed;
    struct feed_cursor cursor;
};

static struct frame *make(uint64_t time, int64_t hash)
{
    struct frame_event event = {.id = {time, hash}, .channel = {"c", 1}, .event = {"e", 1}, .data = {"{}", 2}};
    return frame_new(&event);
}

/* Append to a journal events of one cluster time with these hashes (text of digits); more of it may come. */
static void append(struct journal *journal, uint64_t time, const char *hashes)
{
    for (; *hashes; hashes++) {
        struct frame *f = make(time, *hashes - '0');
        journal_append(journal, &f, 1, time - 1);
    }
}

/* The loop carries everything that is there. */
static void carry(struct world *w)
{
    struct journal_state state;
    struct frame *frames[16];
    journal_state(w->source->journal, &state);
    int n = journal_read(w->source->journal, &w->cursor.number, frames, 16);
    for (int i = 0; i < n; i++) {
        w->cursor.last = frames[i]->id;
        frame_unref(frames[i]);
    }
    w->cursor.complete = state.complete;
}

/* What the feed reads now, as a text of hashes. */
static void expect_read(struct world *w, const char *want)
{
    struct frame *frames[16];
    char got[17] = "";
    int n = feed_read(&w->feed, &w->cursor, frames, 16);
    for (int i = 0; i < n; i++) {
        got[i] = (char)('0' + frames[i]->id.hash);
        feed_passed(&w->feed, frames[i]);
        frame_unref(frames[i]);
    }
    assert_string_equal(got, want);
}

static int set_up(void **state)
{
    static struct world world;
    struct source_options options = {
        .name = "logs", .tag = 'a', .journal = {.max_bytes = MAX_BYTES},
        .catchup = {.max_sweeps = 1, .window_bytes = MAX_BYTES},
    };
    memset(&world, 0, sizeof world);
    world.source = source_new(&options);
    world.box = mailbox_new();
    world.cursor.number = 1;
    world.feed = (struct feed){.source = world.source, .box = world.box, .connection = NUMBER};
    journal_open(world.source->journal, FLOOR);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    feed_stop(&w->feed);
    source_free(w->source);
    mailbox_free(w->box);
    return 0;
}

static void rewind_feed(struct world *w, uint64_t time, int64_t hash)
{
    stream_change_rewind(&w->feed, &w->cursor);
    struct event_id mark = feed_mark(&w->feed, &w->cursor);
    assert_true(mark.cluster_time == time && mark.hash == hash);
}

static void test_live_within_a_cluster_time(void **state)
{
    struct world *w = *state;
    feed_start_live(&w->feed);
    append(w->source->journal, TIME, "123");
    carry(w);
    /* Nothing of it was wanted: all of it is after the id. */
    rewind_feed(w, TIME, EVENT_ID_POSITION);
    expect_read(w, "123");
    expect_read(w, "");
    assert_int_equal(w->feed.state, FEED_LIVE);
    /* The second was written: only the third is. */
    w->feed.last = (struct event_id){TIME, 2};
    rewind_feed(w, TIME, 2);
    expect_read(w, "3");
    expect_read(w, "");
    assert_int_equal(w->feed.state, FEED_LIVE);
    assert_int_equal(w->feed.number, 4);
}

static void test_live_between_cluster_times(void **state)
{
    struct world *w = *state;
    feed_start_live(&w->feed);
    append(w->source->journal, TIME, "12");
    journal_append(w->source->journal, NULL, 0, TIME + 5);
    carry(w);
    rewind_feed(w, TIME + 6, EVENT_ID_POSITION);
    assert_int_equal(w->feed.state, FEED_LIVE);
}

static void test_pulling(void **state)
{
    struct world *w = *state;
    append(w->source->journal, TIME, "123");
    append(w->source->journal, TIME + 1, "45");
    carry(w);
    feed_start_at(&w->feed, event_id_position(TIME));
    expect_read(w, "12345");
    w->feed.last = (struct event_id){TIME, 3};
    rewind_feed(w, TIME + 1, EVENT_ID_POSITION);
    expect_read(w, "45");
    w->feed.last = (struct event_id){TIME + 1, 5};
    rewind_feed(w, TIME + 1, 5);
    expect_read(w, "");
}

/* Where nothing was passed since the id, a reader keeps its place, in whatever state. */
static void test_at_its_point(void **state)
{
    struct world *w = *state;
    feed_start_at(&w->feed, event_id_position(FLOOR - 50));
    assert_int_equal(w->feed.state, FEED_QUEUED);
    rewind_feed(w, FLOOR - 50, EVENT_ID_POSITION);
    assert_int_equal(w->feed.state, FEED_QUEUED);
    unsigned sweeps, waiting;
    catchup_count(w->source->catchup, &sweeps, &waiting);
    assert_int_equal(waiting, 1);
    feed_stop(&w->feed);
    rewind_feed(w, FLOOR - 50, EVENT_ID_POSITION);
    assert_int_equal(w->feed.state, FEED_WAITING);
}

/* In a sweep's window, which stays the reader's. */
static void test_sweeping(void **state)
{
    struct world *w = *state;
    uint64_t start;
    feed_start_at(&w->feed, event_id_position(FLOOR - 50));
    struct sweep *sweep = catchup_try_take(w->source->catchup, &start);
    assert_non_null(sweep);
    assert_int_equal(start, FLOOR - 50);
    for (int64_t hash = 1; hash <= 3; hash++) {
        struct frame *f = make(FLOOR - 40, hash);
        catchup_advance(w->source->catchup, sweep, &f, 1, FLOOR - 41);
    }
    struct message *m = mailbox_take(w->box);
    assert_non_null(m);
    assert_ptr_equal(m->object, sweep);
    feed_offer_sweep(&w->feed, sweep);
    sweep_unref(m->object);
    free(m);
    assert_int_equal(w->feed.state, FEED_SWEEPING);
    expect_read(w, "123");
    w->feed.last = (struct event_id){FLOOR - 40, 1};
    rewind_feed(w, FLOOR - 40, 1);
    assert_int_equal(w->feed.state, FEED_SWEEPING);
    expect_read(w, "23");
    catchup_finish(w->source->catchup, sweep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_live_within_a_cluster_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_live_between_cluster_times, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pulling, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_at_its_point, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sweeping, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("stream_change", tests, NULL, NULL);
}
