/*
 * The journal and the catch-up queue between real threads, for ThreadSanitizer: one writer, sweep threads that serve
 * late readers out of the same numbered history, and readers with feeds and mailboxes of their own that fall behind on
 * purpose. Every reader must see every number once, in order.
 */
#include "feed.h"

#include "clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { READERS = 4, SWEEPERS = 2, RUN_US = 1500000, BATCH = 20, PULL = 16, WINDOW_BYTES = 8000, JOURNAL_BYTES = 12000 };

struct stage {
    struct source *source;
    _Atomic uint64_t written; /* events 1 to this are in the history; cluster time = number */
    atomic_bool ended;        /* the writer has stopped */
};

static struct frame *make(uint64_t number)
{
    struct frame_event event = {
        .id = {number, (int64_t)number}, .channel = {"c", 1}, .event = {"e", 1}, .data = {"{}", 2}};
    return frame_new(&event);
}

static void *write_all(void *arg)
{
    struct stage *stage = arg;
    struct frame *frames[BATCH];
    int64_t end_us = clock_mono_us() + RUN_US;
    uint64_t next = 1;
    for (unsigned seed = 1; clock_mono_us() < end_us;) {
        size_t n = (size_t)rand_r(&seed) % BATCH;
        for (size_t i = 0; i < n; i++) {
            frames[i] = make(next++);
        }
        atomic_store(&stage->written, next - 1);
        journal_append(stage->source->journal, frames, n, next - 1);
        if (rand_r(&seed) % 4 == 0) {
            usleep(100);
        }
    }
    atomic_store(&stage->ended, true);
    journal_append(stage->source->journal, NULL, 0, next - 1);
    return NULL;
}

static void sweep_batch(struct stage *stage, struct sweep *sweep, uint64_t *next)
{
    struct frame *frames[BATCH];
    uint64_t written = atomic_load(&stage->written);
    size_t n = 0;
    while (n < BATCH && *next <= written) {
        frames[n++] = make((*next)++);
    }
    while (n && !sweep_wait_for_room(sweep, 5) && catchup_is_wanted(stage->source->catchup, sweep)) {
    }
    catchup_advance(stage->source->catchup, sweep, frames, n, *next - 1);
}

static void *sweep_all(void *arg)
{
    struct stage *stage = arg;
    struct catchup *catchup = stage->source->catchup;
    struct sweep *sweep;
    uint64_t next;
    while ((sweep = catchup_take(catchup, &next))) {
        while (!catchup_reached(catchup, sweep) && catchup_is_wanted(catchup, sweep)) {
            sweep_batch(stage, sweep, &next);
        }
        catchup_finish(catchup, sweep);
    }
    return NULL;
}

struct reader {
    struct stage *stage;
    struct mailbox *box;
    struct feed feed;
    unsigned seed;
    uint64_t seen; /* the newest number */
    uint64_t repeated, sweeps;
};

static void take_mail(struct reader *r, bool is_over)
{
    for (struct message *m = mailbox_take(r->box), *next; m; m = next) {
        next = m->next;
        if (!is_over) {
            feed_offer_sweep(&r->feed, m->object);
            r->sweeps++;
        }
        sweep_unref(m->object);
        free(m);
    }
}

/* It never fans out: its cursor is what the journal has, so that it pulls all the time. */
static struct feed_cursor cursor_of(const struct reader *r)
{
    struct journal_state state;
    journal_state(r->stage->source->journal, &state);
    return (struct feed_cursor){.number = state.next, .complete = state.complete};
}

static int pull(struct reader *r)
{
    struct frame *frames[PULL];
    struct feed_cursor cursor = cursor_of(r);
    int n = feed_read(&r->feed, &cursor, frames, PULL);
    for (int i = 0; i < n; i++) {
        uint64_t number = frames[i]->id.cluster_time;
        r->repeated += number != r->seen + 1;
        r->seen = number;
        feed_passed(&r->feed, frames[i]);
        frame_unref(frames[i]);
    }
    if (r->feed.state == FEED_LIVE) {
        feed_fall_back(&r->feed, r->feed.number, r->feed.point);
    }
    return n;
}

static void wait_for_mail(struct reader *r)
{
    struct pollfd fd = {.fd = mailbox_fd(r->box), .events = POLLIN};
    poll(&fd, 1, 20);
}

static void *read_all(void *arg)
{
    struct reader *r = arg;
    struct stage *stage = r->stage;
    r->feed = (struct feed){.source = stage->source, .box = r->box, .connection = 1};
    feed_start_at(&r->feed, event_id_position(1));
    while (!atomic_load(&stage->ended) || r->seen < atomic_load(&stage->written)) {
        take_mail(r, false);
        if (pull(r) == 0) {
            wait_for_mail(r);
        }
        if (rand_r(&r->seed) % 200 == 0 && !atomic_load(&stage->ended)) {
            usleep(3000); /* the journal goes on without us */
        }
        if (rand_r(&r->seed) % 1000 == 0) { /* a reconnect */
            feed_stop(&r->feed);
            take_mail(r, true);
            feed_start_at(&r->feed, r->seen ? (struct event_id){r->seen, (int64_t)r->seen} : event_id_position(1));
        }
    }
    feed_stop(&r->feed);
    return NULL;
}

static void run(struct stage *stage, struct reader *readers)
{
    pthread_t writer, sweepers[SWEEPERS], threads[READERS];
    for (int i = 0; i < SWEEPERS; i++) {
        assert_int_equal(pthread_create(&sweepers[i], NULL, sweep_all, stage), 0);
    }
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, &readers[i]), 0);
    }
    assert_int_equal(pthread_create(&writer, NULL, write_all, stage), 0);
    pthread_join(writer, NULL);
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
    }
    catchup_stop(stage->source->catchup);
    for (int i = 0; i < SWEEPERS; i++) {
        pthread_join(sweepers[i], NULL);
    }
}

static void test_threads(void **state)
{
    (void)state;
    struct source_options options = {
        .name = "threads", .tag = 'a', .journal = {.max_bytes = JOURNAL_BYTES}, .catchup = {SWEEPERS, WINDOW_BYTES}};
    struct stage stage = {.source = source_new(&options)};
    struct reader readers[READERS];
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.stage = &stage, .box = mailbox_new(), .seed = i + 1};
        journal_watch(stage.source->journal, readers[i].box);
    }
    journal_open(stage.source->journal, 1);
    run(&stage, readers);
    uint64_t sweeps = 0;
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(readers[i].seen, atomic_load(&stage.written));
        assert_int_equal(readers[i].repeated, 0);
        sweeps += readers[i].sweeps;
        take_mail(&readers[i], true);
        mailbox_free(readers[i].box);
    }
    assert_true(sweeps > 0);
    source_free(stage.source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests_name("journal_threads", tests, NULL, NULL);
}
