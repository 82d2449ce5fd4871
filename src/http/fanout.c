/* fanout - see fanout.h. */
#include "fanout.h"

#include "clock.h"
#include "stream.h"
#include "stream_inside.h"
#include "user_streams.h"

enum { BATCH = 256 };

/* What a visit needs to know of the entry that is being carried. */
struct carry {
    unsigned source;
    struct frame *frame;
    uint64_t number;
    struct event_id before;
};

static void push_to(void *subscriber, void *arg)
{
    const struct carry *c = arg;
    stream_push(subscriber, c->source, c->frame, c->number, c->before);
}

/* Not by each stream when it comes by: whoever is behind obeys the grants of now, too. */
static void carry_grants(struct loop *loop, struct grant_set *grants)
{
    struct stream *s, *next;
    struct user_streams *of_user = grants ? user_streams_find(loop, grants->user) : NULL;
    if (of_user) {
        DL_FOREACH_SAFE2(of_user->streams, s, next, user_next)
        {
            stream_meet_grants(s, grants);
        }
    }
    if (!grants) {
        HASH_ITER(hh, loop->streams, s, next)
        {
            stream_meet_grants(s, NULL);
        }
    }
}

static void carry_entry(struct loop *loop, struct carry *c)
{
    loop->fanout_stamp++;
    if (c->frame->kind == FRAME_EVENT) {
        struct slice channel = frame_channel(c->frame);
        topic_match(loop->topics, channel.data, channel.len, push_to, c);
        return;
    }
    if (c->frame->kind == FRAME_GRANTS) {
        carry_grants(loop, c->frame->grants);
        return;
    }
    struct stream *s, *next;
    HASH_ITER(hh, loop->streams, s, next)
    {
        stream_push_gap(s, c->source, c->frame, c->number);
    }
}

/* The journal has dropped entries that this loop had not carried yet: every stream goes on by its own point. */
static void fall_back(struct loop *loop, unsigned source, uint64_t number)
{
    struct feed_cursor *cursor = &loop->cursors[source];
    struct stream *s, *next;
    HASH_ITER(hh, loop->streams, s, next)
    {
        stream_fall_back(s, source, cursor->number, feed_cursor_reached(cursor));
    }
    cursor->number = number;
    if (loop->context->grants) {
        carry_grants(loop, NULL); /* changes of grants may be among what was dropped */
    }
}

/* Once a frame, for all streams that it was pushed to. */
static void count_latency(struct loop *loop, const struct frame *frame, int64_t now_ms, uint64_t streams)
{
    if (streams && frame->kind == FRAME_EVENT && frame->wall_ms) {
        loop_figures_latency(loop->figures, now_ms - frame->wall_ms, streams);
    }
}

static void carry_source(struct loop *loop, unsigned source)
{
    struct frame *frames[BATCH];
    struct journal_state state;
    struct journal *journal = loop->context->sources[source]->journal;
    struct feed_cursor *cursor = &loop->cursors[source];
    /* First the state, then the entries: `complete` must not speak of entries that were not carried. */
    journal_state(journal, &state);
    while (cursor->number < state.next) {
        uint64_t number = cursor->number;
        uint64_t left = state.next - number;
        int n = journal_read(journal, &number, frames, left < BATCH ? (int)left : BATCH);
        if (n < 0) {
            fall_back(loop, source, state.next);
            break;
        }
        int64_t now_ms = clock_wall_ms();
        for (int i = 0; i < n; i++) {
            uint64_t delivered = loop->deliveries;
            struct carry c = {source, frames[i], cursor->number, feed_cursor_reached(cursor)};
            carry_entry(loop, &c);
            count_latency(loop, frames[i], now_ms, loop->deliveries - delivered);
            /* A change of grants is in no sweep: its place would not be found there. */
            cursor->last = frames[i]->kind == FRAME_GRANTS ? cursor->last : frames[i]->id;
            cursor->complete = frames[i]->kind == FRAME_MODE ? 0 : cursor->complete; /* it spoke of the mode before */
            cursor->number++;
            frame_unref(frames[i]);
        }
    }
    cursor->complete = state.complete;
}

static void pull_all(struct loop *loop)
{
    struct stream *s, *next;
    DL_FOREACH_SAFE(loop->pulling, s, next)
    {
        stream_pull(s);
    }
}

void fanout_run(struct loop *loop)
{
    loop->now_us = clock_mono_us();
    for (unsigned i = 0; i < loop->context->source_count; i++) {
        carry_source(loop, i);
    }
    pull_all(loop);
    atomic_fetch_add_explicit(&loop->context->counters.deliveries, loop->deliveries, memory_order_relaxed);
    loop->deliveries = 0;
    atomic_store_explicit(&loop->figures->sent_bytes, pipe_sent_by_thread(), memory_order_relaxed);
}
