/* rows - ownership, memory, and finding a row by the hash of its insert. */
#include "rows.h"

#include "buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static struct slice text(const char *s)
{
    return (struct slice){s, strlen(s)};
}

static struct frame *row(int64_t hash, const char *channel)
{
    struct frame_event event = {
        .id = {0, hash}, .channel = text(channel), .event = text("logs"), .data = text("{}"), .without_id = true,
    };
    return frame_new(&event);
}

/* Rows with these hashes, all of channel "c" but the last, which is of "d". */
static struct rows *rows_of(const int64_t *hashes, size_t count)
{
    struct rows_parts parts = {.count = count, .complete = true, .borders = {[1] = {5, 7}}};
    parts.frames = memory_zero(count + 1, sizeof *parts.frames);
    for (size_t i = 0; i < count; i++) {
        parts.frames[i] = row(hashes[i], i + 1 < count ? "c" : "d");
    }
    parts.advice = memory_text("create an index");
    return rows_new(&parts);
}

static void test_parts(void **state)
{
    (void)state;
    const int64_t hashes[] = {9, 3, 7};
    struct rows *rows = rows_of(hashes, 3);
    assert_int_equal(rows->count, 3);
    assert_true(rows->complete);
    assert_string_equal(rows->advice, "create an index");
    assert_int_equal(rows->borders[0].covered, 0);
    assert_int_equal(rows->borders[1].covered, 5);
    assert_int_equal(rows->borders[1].until, 7);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(rows->frames[i]->id.hash, hashes[i]); /* the order stays */
    }
    rows_unref(rows);
    rows_unref(NULL);
}

static void test_memory(void **state)
{
    (void)state;
    const int64_t hashes[] = {1, 2};
    struct rows *none = rows_of(NULL, 0), *two = rows_of(hashes, 2);
    assert_int_equal(none->bytes, rows_cost_empty());
    assert_int_equal(two->bytes, rows_cost_empty() + rows_cost(two->frames[0]) + rows_cost(two->frames[1]));
    assert_true(rows_cost(two->frames[0]) > frame_cost(two->frames[0]));
    rows_unref(none);
    rows_unref(two);
}

/* A frame taken out of rows outlives them. */
static void test_references(void **state)
{
    (void)state;
    const int64_t hashes[] = {1, 2};
    struct rows *rows = rows_of(hashes, 2);
    struct frame *kept = frame_ref(rows->frames[0]);
    struct frame *loss = frame_new_loss(3, event_id_position(4), rows_ref(rows));
    assert_int_equal(frame_cost(loss), sizeof *loss + rows->bytes);
    rows_unref(rows);
    assert_int_equal(loss->rows->count, 2);
    frame_unref(loss);
    assert_int_equal(kept->id.hash, 1);
    frame_unref(kept);
}

static void test_find(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    int64_t hashes[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        hashes[i] = (int64_t)(i * 7919 % 1009) * 1000; /* all different */
    }
    struct rows *rows = rows_of(hashes, COUNT);
    for (size_t i = 0; i + 1 < COUNT; i++) {
        assert_int_equal(rows_find(rows, hashes[i], text("c")), i);
        assert_int_equal(rows_find(rows, hashes[i], text("d")), -1);
        assert_int_equal(rows_find(rows, hashes[i] + 1, text("c")), -1);
    }
    assert_int_equal(rows_find(rows, hashes[COUNT - 1], text("d")), COUNT - 1);
    assert_int_equal(rows_find(rows, -1, text("c")), -1);
    assert_int_equal(rows_find(rows, INT64_MAX, text("c")), -1);
    rows_unref(rows);
    struct rows *none = rows_of(NULL, 0);
    assert_int_equal(rows_find(none, 0, text("c")), -1);
    rows_unref(none);
}

/* Hashes have 48 bits: where two are equal the channel tells them apart. */
static void test_equal_hashes(void **state)
{
    (void)state;
    const int64_t hashes[] = {4, 5, 5, 5};
    struct rows *rows = rows_of(hashes, 4);
    assert_int_equal(rows_find(rows, 5, text("d")), 3);
    assert_memory_equal(frame_channel(rows->frames[rows_find(rows, 5, text("c"))]).data, "c", 1);
    assert_int_equal(rows_find(rows, 5, text("cc")), -1);
    rows_unref(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts), cmocka_unit_test(test_memory),       cmocka_unit_test(test_references),
        cmocka_unit_test(test_find),  cmocka_unit_test(test_equal_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
