/* frame - the bytes of an event and their slices. */
#include "frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct slice text(const char *s)
{
    return (struct slice){s, strlen(s)};
}

static void expect(struct slice got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.data, want, got.len);
}

static void test_event(void **state)
{
    (void)state;
    struct frame_event event = {
        .id = {0x6b0169cd00000001, 0x5f3a9c1e0011},
        .channel = text("logs:etl:w1"),
        .event = text("logs"),
        .data = text("{\"a\":1}"),
        .level = FRAME_LEVEL_WARN,
        .wall_ms = 42,
    };
    struct frame *f = frame_new(&event);
    expect(frame_channel(f), "logs:etl:w1");
    expect(frame_chunk(f), "3d\r\nid: 6b0169cd00000001-5f3a9c1e0011\nevent: logs\ndata: {\"a\":1}\n\n\r\n");
    expect(frame_sse(f), "id: 6b0169cd00000001-5f3a9c1e0011\nevent: logs\ndata: {\"a\":1}\n\n");
    expect(frame_body(f), "event: logs\ndata: {\"a\":1}\n\n");
    expect(frame_data(f), "{\"a\":1}");
    expect(frame_event_name(f), "logs");
    assert_int_equal(f->kind, FRAME_EVENT);
    assert_int_equal(f->level, FRAME_LEVEL_WARN);
    assert_int_equal(f->wall_ms, 42);
    assert_int_equal(frame_cost(f), sizeof *f + 11 + frame_chunk(f).len);
    frame_unref(f);
}

/* The size line grows with the data; every slice must still be in place. */
static void test_sizes(void **state)
{
    (void)state;
    char data[70001];
    memset(data, 'x', sizeof data);
    for (size_t len = 0; len <= 70000; len += len < 600 ? 1 : 6947) {
        struct frame_event event = {.id = {7, 1}, .event = text("e"), .data = {data, len}};
        struct frame *f = frame_new(&event);
        char *end;
        assert_int_equal(strtoul(frame_chunk(f).data, &end, 16), frame_sse(f).len);
        assert_memory_equal(end, "\r\nid: ", 6);
        assert_int_equal(frame_data(f).len, len);
        assert_memory_equal(frame_data(f).data, data, len);
        assert_memory_equal(frame_data(f).data + len, "\n\n\r\n", 4);
        assert_ptr_equal(frame_data(f).data + len + 4, frame_chunk(f).data + frame_chunk(f).len);
        frame_unref(f);
    }
}

static void test_gaps(void **state)
{
    (void)state;
    struct frame *loss = frame_new_loss(5, event_id_position(9), NULL);
    assert_int_equal(loss->kind, FRAME_LOSS);
    assert_int_equal(loss->gap_from, 5);
    assert_int_equal(loss->id.cluster_time, 9);
    assert_true(event_id_is_position(loss->id));
    assert_int_equal(loss->chunk_len, 0);
    assert_int_equal(frame_channel(loss).len, 0);
    struct frame *oversize = frame_new_oversize(event_id_position(9), text("logs:*"));
    assert_int_equal(oversize->kind, FRAME_OVERSIZE);
    expect(frame_channel(oversize), "logs:*");
    assert_int_equal(oversize->chunk_len, 0);
    frame_unref(loss);
    frame_unref(oversize);
}

static void test_references(void **state)
{
    (void)state;
    struct frame *f = frame_new_loss(1, event_id_position(2), NULL);
    assert_ptr_equal(frame_ref(f), f);
    frame_unref(f);
    assert_int_equal(f->gap_from, 1); /* still there */
    frame_unref(f);
    frame_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_references),
    };
    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
