/* journal - floor, high-water mark, eviction, and finding one's place. */
#include "journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

/* Frames of equal cost: limits can be given as a number of them. */
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

static struct journal *open_journal(unsigned max_frames, uint64_t floor)
{
    struct journal *j = journal_new((struct journal_limits){.max_bytes = max_frames * cost_of_one()});
    journal_open(j, floor);
    return j;
}

static void append(struct journal *j, uint64_t time, int64_t hash, uint64_t complete)
{
    struct frame *f = make(time, hash);
    journal_append(j, &f, 1, complete);
}

static void expect_place(struct journal *j, struct event_id point, enum journal_place place, uint64_t number)
{
    uint64_t got = 0;
    assert_int_equal(journal_find(j, point, &got), place);
    if (place == JOURNAL_FOUND || place == JOURNAL_OVERLAP) {
        assert_int_equal(got, number);
    }
}

static void expect_state(struct journal *j, uint64_t floor, uint64_t complete, uint64_t first, uint64_t next)
{
    struct journal_state s;
    journal_state(j, &s);
    assert_int_equal(s.floor, floor);
    assert_int_equal(s.complete, complete);
    assert_int_equal(s.first, first);
    assert_int_equal(s.next, next);
}

static void test_empty(void **state)
{
    (void)state;
    struct journal *j = journal_new((struct journal_limits){.max_bytes = 1000});
    uint64_t number = 1;
    struct frame *out[1];
    expect_place(j, event_id_position(5), JOURNAL_AHEAD, 0); /* never opened */
    journal_open(j, 100);
    expect_state(j, 100, 99, 1, 1);
    assert_int_equal(journal_read(j, &number, out, 1), 0);
    expect_place(j, event_id_position(99), JOURNAL_BEHIND, 0);
    expect_place(j, event_id_position(100), JOURNAL_FOUND, 1);
    expect_place(j, event_id_position(500), JOURNAL_FOUND, 1);
    expect_place(j, (struct event_id){99, 7}, JOURNAL_BEHIND, 0);
    expect_place(j, (struct event_id){100, 7}, JOURNAL_AHEAD, 0);
    journal_append(j, NULL, 0, 300); /* an empty journal covers what was read without events */
    expect_state(j, 100, 300, 1, 1);
    expect_place(j, (struct event_id){100, 7}, JOURNAL_OVERLAP, 1);
    expect_place(j, (struct event_id){301, 7}, JOURNAL_AHEAD, 0);
    journal_append(j, NULL, 0, 200); /* never backwards */
    expect_state(j, 100, 300, 1, 1);
    journal_free(j);
}

static void test_find(void **state)
{
    (void)state;
    struct journal *j = open_journal(100, 10);
    append(j, 10, 1, 10);
    append(j, 20, 2, 19); /* 2 to 4 share a cluster time, which is still open */
    append(j, 20, 3, 19);
    append(j, 20, 4, 19);
    expect_place(j, (struct event_id){20, 9}, JOURNAL_AHEAD, 0);
    expect_place(j, (struct event_id){20, 3}, JOURNAL_FOUND, 4);
    append(j, 30, 5, 20);
    expect_place(j, (struct event_id){20, 9}, JOURNAL_OVERLAP, 2);
    expect_place(j, (struct event_id){10, 1}, JOURNAL_FOUND, 2);
    expect_place(j, (struct event_id){20, 4}, JOURNAL_FOUND, 5);
    expect_place(j, event_id_position(10), JOURNAL_FOUND, 1);
    expect_place(j, event_id_position(11), JOURNAL_FOUND, 2);
    expect_place(j, event_id_position(20), JOURNAL_FOUND, 2);
    expect_place(j, event_id_position(21), JOURNAL_FOUND, 5);
    expect_place(j, event_id_position(31), JOURNAL_FOUND, 6);
    expect_place(j, (struct event_id){15, 1}, JOURNAL_OVERLAP, 2);
    journal_free(j);
}

static void test_read(void **state)
{
    (void)state;
    struct journal *j = open_journal(100, 1);
    struct frame *out[3];
    uint64_t number = 1;
    for (unsigned i = 1; i <= 5; i++) {
        append(j, i, i, i);
    }
    assert_int_equal(journal_read(j, &number, out, 3), 3);
    assert_int_equal(number, 4);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(out[i]->id.hash, i + 1);
        frame_unref(out[i]);
    }
    assert_int_equal(journal_read(j, &number, out, 3), 2);
    frame_unref(out[0]);
    frame_unref(out[1]);
    assert_int_equal(journal_read(j, &number, out, 3), 0);
    journal_free(j);
}

/* A transaction that lost its beginning is served only to whoever is in its middle. */
static void test_eviction(void **state)
{
    (void)state;
    struct journal *j = open_journal(3, 10);
    struct frame *out[1];
    uint64_t number = 1;
    append(j, 20, 1, 19);
    append(j, 20, 2, 19);
    append(j, 20, 3, 19);
    expect_state(j, 10, 19, 1, 4);
    append(j, 30, 4, 20);
    expect_state(j, 21, 20, 2, 5);
    expect_place(j, event_id_position(20), JOURNAL_BEHIND, 0);
    expect_place(j, (struct event_id){20, 1}, JOURNAL_BEHIND, 0);
    expect_place(j, (struct event_id){20, 2}, JOURNAL_FOUND, 3);
    expect_place(j, (struct event_id){20, 3}, JOURNAL_FOUND, 4);
    expect_place(j, event_id_position(21), JOURNAL_FOUND, 4);
    assert_int_equal(journal_read(j, &number, out, 1), -1);
    number = 2;
    assert_int_equal(journal_read(j, &number, out, 1), 1);
    frame_unref(out[0]);
    journal_free(j);
}

/* Where a cluster time is still being read, its event may come although its beginning is gone. */
static void test_open_transaction_above_the_limit(void **state)
{
    (void)state;
    struct journal *j = open_journal(2, 10);
    for (int i = 1; i <= 5; i++) {
        append(j, 20, i, 19);
    }
    expect_state(j, 21, 19, 4, 6);
    expect_place(j, (struct event_id){20, 9}, JOURNAL_AHEAD, 0);
    append(j, 20, 9, 19);
    expect_place(j, (struct event_id){20, 9}, JOURNAL_FOUND, 7);
    journal_append(j, NULL, 0, 20);
    expect_place(j, (struct event_id){20, 1}, JOURNAL_BEHIND, 0);
    journal_free(j);
}

/* A batch above the limit is held until the next one: else nobody could ever read it. */
static void test_large_batch(void **state)
{
    (void)state;
    struct journal *j = open_journal(4, 1);
    struct frame *frames[50];
    for (unsigned i = 0; i < 50; i++) {
        frames[i] = make(10 + i, i);
    }
    append(j, 5, 1, 5);
    journal_append(j, frames, 50, 60);
    expect_state(j, 6, 60, 2, 52);
    append(j, 70, 1, 70);
    expect_state(j, 57, 70, 49, 53);
    journal_free(j);
}

static void test_loss(void **state)
{
    (void)state;
    struct journal *j = open_journal(100, 10);
    append(j, 20, 1, 20);
    append(j, 30, 2, 29);
    struct frame *loss = frame_new_loss(29, event_id_position(50), NULL);
    journal_append(j, &loss, 1, 49);
    append(j, 50, 3, 50);
    expect_place(j, (struct event_id){40, 9}, JOURNAL_FOUND, 3);   /* it was lost: the gap tells so */
    expect_place(j, (struct event_id){30, 2}, JOURNAL_FOUND, 3);
    expect_place(j, (struct event_id){30, 9}, JOURNAL_OVERLAP, 2); /* a part of its cluster time is here */
    expect_place(j, event_id_position(40), JOURNAL_FOUND, 3);
    expect_place(j, (struct event_id){50, 3}, JOURNAL_FOUND, 5);
    expect_place(j, (struct event_id){25, 9}, JOURNAL_OVERLAP, 2); /* complete before the loss, and not there */
    journal_free(j);
}

/* The ring grows and wraps; numbers stay. */
static void test_growth(void **state)
{
    (void)state;
    struct journal *j = open_journal(1000, 1);
    for (unsigned i = 1; i <= 5000; i++) {
        append(j, i, i, i);
    }
    expect_state(j, 4001, 5000, 4001, 5001);
    uint64_t number = 4001;
    struct frame *out[64];
    int n;
    while ((n = journal_read(j, &number, out, 64)) > 0) {
        for (int i = 0; i < n; i++) {
            assert_int_equal(out[i]->id.hash, number - (uint64_t)n + (uint64_t)i);
            frame_unref(out[i]);
        }
    }
    assert_int_equal(number, 5001);
    expect_place(j, (struct event_id){4500, 4500}, JOURNAL_FOUND, 4501);
    journal_free(j);
}

static void test_age(void **state)
{
    (void)state;
    struct journal *j = journal_new((struct journal_limits){.max_bytes = 1000000, .max_age_us = 5000});
    journal_open(j, 1);
    append(j, 10, 1, 10);
    usleep(20000);
    journal_append(j, NULL, 0, 20);
    expect_state(j, 11, 20, 2, 2);
    append(j, 30, 2, 30);
    expect_state(j, 11, 30, 2, 3);
    journal_free(j);
}

static void test_watchers(void **state)
{
    (void)state;
    struct journal *j = journal_new((struct journal_limits){.max_bytes = 1000});
    struct mailbox *box = mailbox_new();
    uint64_t count;
    journal_watch(j, box);
    journal_open(j, 1);
    assert_int_equal(read(mailbox_fd(box), &count, sizeof count), sizeof count);
    assert_null(mailbox_take(box));
    append(j, 10, 1, 10);
    assert_int_equal(read(mailbox_fd(box), &count, sizeof count), sizeof count);
    journal_free(j);
    mailbox_free(box);
    journal_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),       cmocka_unit_test(test_find),
        cmocka_unit_test(test_read),        cmocka_unit_test(test_eviction),
        cmocka_unit_test(test_large_batch), cmocka_unit_test(test_open_transaction_above_the_limit),
        cmocka_unit_test(test_loss),        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_age),         cmocka_unit_test(test_watchers),
    };
    return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
