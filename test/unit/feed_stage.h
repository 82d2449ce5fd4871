/*
 * feed_stage - a source with one feed, for tests of what a feed makes of its source's journal.
 */
#ifndef TAILWATER_TEST_FEED_STAGE_H
#define TAILWATER_TEST_FEED_STAGE_H

#include "feed.h"

#include <stdlib.h>

struct fixture {
    struct source *source;
    struct mailbox *box;
    struct feed feed;
    struct feed_cursor cursor;
};

static inline struct frame *make(uint64_t time)
{
    struct frame_event event = {.id = {time, 7}, .channel = {"c", 1}, .event = {"e", 1}, .data = {"{}", 2}};
    return frame_new(&event);
}

static inline size_t cost_of_one(void)
{
    struct frame *f = make(1);
    size_t cost = frame_cost(f);
    frame_unref(f);
    return cost;
}

/* A source whose journal is open since this cluster time, and empty; bounds in bytes. */
static inline void stage_open(void **state, uint64_t floor, size_t journal_bytes, size_t window_bytes)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct source_options options = {
        .name = "logs",
        .tag = 'a',
        .journal = {.max_bytes = journal_bytes},
        .catchup = {.max_sweeps = 1, .window_bytes = window_bytes},
    };
    f->source = source_new(&options);
    f->box = mailbox_new();
    f->feed.source = f->source;
    f->feed.box = f->box;
    journal_open(f->source->journal, floor);
    f->cursor.number = 1;
    *state = f;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    feed_stop(&f->feed);
    source_free(f->source);
    mailbox_free(f->box);
    free(f);
    return 0;
}

#endif
