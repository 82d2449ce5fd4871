/* run - the same bytes as frame by frame, shared by streams of the same channels and by nobody else. */
#include "run.h"

#include "buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

enum { COUNT = RUN_FRAMES };

static struct run_cache cache;
static struct frame *frames[COUNT];

static struct frame *make(int i, size_t len)
{
    char data[2048], channel[] = "logs:a";
    memset(data, 'x', sizeof data);
    channel[5] = (char)('a' + i % 3);
    struct frame_event event = {
        .id = {(uint64_t)i + 1, 7}, .channel = {channel, 6}, .event = {"logs", 4}, .data = {data, len}};
    return frame_new(&event);
}

static int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        frames[i] = make(i, 100);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    run_cache_clear(&cache);
    for (int i = 0; i < COUNT; i++) {
        frame_unref(frames[i]);
    }
    return 0;
}

/* A subscription of one channel or pattern. */
static struct subscription *wants(struct subscription *s, struct subscription_channel *channel, char *text)
{
    *channel = (struct subscription_channel){.text = text, .len = strlen(text), .is_pattern = strchr(text, '*') != NULL};
    *s = (struct subscription){.list = channel, .count = 1, .exact_count = !channel->is_pattern};
    return s;
}

static struct run *run_for(char *text, bool chunked)
{
    struct subscription s;
    struct subscription_channel channel;
    wants(&s, &channel, text);
    run_of(&cache, frames, COUNT, 64, &s, chunked); /* it is worth a block when two ask */
    return run_of(&cache, frames, COUNT, 64, &s, chunked);
}

static void expect_bytes(char *text, char last, bool chunked)
{
    struct buffer want = BUFFER_INIT;
    unsigned events = 0;
    for (int i = 0; i < COUNT; i++) {
        if (last == '*' || frame_channel(frames[i]).data[5] == last) {
            struct slice bytes = chunked ? frame_chunk(frames[i]) : frame_sse(frames[i]);
            buffer_append(&want, bytes.data, bytes.len);
            events++;
        }
    }
    struct run *run = run_for(text, chunked);
    assert_non_null(run);
    assert_int_equal(run_events(run), events);
    assert_int_equal(run_bytes(run).len, want.len);
    assert_memory_equal(run_bytes(run).data, want.data, want.len);
    buffer_fini(&want);
}

static void test_bytes(void **state)
{
    (void)state;
    char one[] = "logs:b", all[] = "logs:*";
    expect_bytes(one, 'b', true);
    expect_bytes(one, 'b', false);
    expect_bytes(all, '*', true);
    assert_ptr_equal(run_last(run_for(all, true)), frames[COUNT - 1]);
}

static void test_shared_by_the_same_channels_only(void **state)
{
    (void)state;
    char a[] = "logs:a", same[] = "logs:a", b[] = "logs:b";
    struct run *run = run_ref(run_for(a, true));
    assert_ptr_equal(run_for(same, true), run);
    assert_ptr_not_equal(run_for(same, false), run);
    expect_bytes(b, 'b', true); /* in the same slot */
    expect_bytes(a, 'a', true);
    run_unref(run);
}

static void test_not_for_one_alone(void **state)
{
    (void)state;
    struct subscription s;
    struct subscription_channel channel;
    char a[] = "logs:a", b[] = "logs:b";
    for (int i = 0; i < 3; i++) {
        assert_null(run_of(&cache, frames, COUNT, 64, wants(&s, &channel, a), true));
        assert_null(run_of(&cache, frames, COUNT, 64, wants(&s, &channel, b), true));
    }
    assert_non_null(run_of(&cache, frames, COUNT, 64, wants(&s, &channel, b), true));
}

static void test_nothing_wanted(void **state)
{
    (void)state;
    char none[] = "logs:z";
    struct run *run = run_for(none, true);
    assert_int_equal(run_events(run), 0);
    assert_int_equal(run_bytes(run).len, 0);
    assert_null(run_last(run));
}

static void test_unfit(void **state)
{
    (void)state;
    char all[] = "logs:*";
    frame_unref(frames[5]);
    frames[5] = frame_new_loss(1, event_id_position(2), NULL);
    assert_null(run_for(all, true));
    assert_null(run_for(all, true));
    for (int i = 0; i < COUNT; i++) {
        frame_unref(frames[i]);
        frames[i] = make(i, 2040);
    }
    assert_null(run_for(all, true)); /* more than a block */
}

/* Other frames under the same numbers, as in another sweep's window: not the run of before. */
static void test_other_frames(void **state)
{
    (void)state;
    char all[] = "logs:*";
    run_for(all, true);
    for (int i = 0; i < COUNT; i++) {
        frame_unref(frames[i]);
        frames[i] = make(i, 50);
    }
    expect_bytes(all, '*', true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_shared_by_the_same_channels_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_for_one_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_wanted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unfit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_frames, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
