/* stream_write - what goes to the client of a stream: ids, events, gaps (the inside of stream.h). */
#include "stream_inside.h"

#include "clock.h"

#include <stdio.h>

/* Write the connection's id: the mark of every source, `at` for `source`. NULL when a source has no mark yet. */
static const char *format_id(const struct stream *s, int source, struct event_id at, char out[STREAM_ID_MAX])
{
    size_t used = 0;
    for (unsigned i = 0; i < s->feed_count; i++) {
        struct event_id id = (int)i == source ? at : feed_mark(&s->feeds[i], &s->loop->cursors[i]);
        if (id.cluster_time == 0) {
            return NULL;
        }
        if (s->feed_count > 1) {
            out[used++] = i ? '~' : s->feeds[i].source->tag;
            if (i) {
                out[used++] = s->feeds[i].source->tag;
            }
        }
        used += event_id_format(id, out + used);
    }
    out[used] = '\0';
    return out;
}

const char *stream_current_id(const struct stream *s, char out[STREAM_ID_MAX])
{
    return format_id(s, -1, (struct event_id){0, 0}, out);
}

void stream_write_buffer(struct stream *s, struct buffer *b)
{
    pipe_write(s->pipe, b->data, b->len);
    buffer_fini(b);
    s->sent_us = clock_mono_us();
}

static void write_ndjson(struct stream *s, unsigned source, struct frame *frame)
{
    char id[STREAM_ID_MAX];
    struct buffer head = BUFFER_INIT;
    struct slice name = frame_event_name(frame);
    const char *text = format_id(s, (int)source, frame->id, id);
    buffer_append_byte(&head, '{');
    if (text) {
        buffer_printf(&head, "\"id\":\"%s\",", text);
    }
    buffer_printf(&head, "\"event\":\"%.*s\",\"data\":", (int)name.len, name.data);
    pipe_write_slice(s->pipe, (struct slice){head.data, head.len}, frame, frame_data(frame), (struct slice){"}\n", 2});
    buffer_fini(&head);
}

static void write_with_vector(struct stream *s, unsigned source, struct frame *frame)
{
    char id[STREAM_ID_MAX], line[STREAM_ID_MAX + 8];
    const char *vector = format_id(s, (int)source, frame->id, id);
    int n = vector ? snprintf(line, sizeof line, "id: %s\n", vector) : 0;
    pipe_write_slice(s->pipe, (struct slice){line, (size_t)n}, frame, frame_body(frame), (struct slice){"", 0});
}

void stream_tell_skipped(struct stream *s)
{
    if (s->throttle.skipped) {
        struct buffer b = BUFFER_INIT;
        stream_frame_skipped(&b, s->ndjson, &s->throttle);
        stream_write_buffer(s, &b);
        throttle_told(&s->throttle);
    }
}

void stream_write_event(struct stream *s, unsigned source, struct frame *frame)
{
    if (!filter_passes(s->filter, frame->level, frame_data(frame)) ||
        !throttle_take(&s->throttle, frame->level, s->loop->now_us)) {
        return;
    }
    stream_tell_skipped(s);
    if (s->ndjson) {
        write_ndjson(s, source, frame);
    } else if (s->feed_count > 1) {
        write_with_vector(s, source, frame);
    } else {
        pipe_write_frame(s->pipe, frame);
    }
    s->feeds[source].last = frame->id;
    s->sent_us = s->loop->now_us;
    s->events++;
    s->loop->deliveries++;
}

static void write_gap(struct stream *s, unsigned source, const struct frame *frame, uint64_t from)
{
    char id[STREAM_ID_MAX];
    struct buffer b = BUFFER_INIT;
    bool loss = frame->kind == FRAME_LOSS;
    stream_tell_skipped(s);
    /* The id of an oversize event says nothing about it, but its position is enough. */
    struct event_id at = loss ? frame->id : event_id_position(frame->id.cluster_time + 1);
    stream_frame_gap(&b, s->ndjson, loss ? format_id(s, (int)source, at, id) : NULL,
                     loss ? "history_lost" : "oversize", loss ? from : 0, loss ? frame->id.cluster_time : 0);
    stream_write_buffer(s, &b);
    if (loss) {
        s->feeds[source].last = at;
        s->resumed = RESUMED_GAP;
    }
    atomic_fetch_add_explicit(&s->loop->context->counters.gaps, 1, memory_order_relaxed);
}

/* Deliver what pulling has read, matching or not. */
void stream_deliver(struct stream *s, unsigned source, struct frame *frame)
{
    struct feed *feed = &s->feeds[source];
    if (feed_skips(feed, frame)) {
        return;
    }
    if (frame->kind == FRAME_EVENT) {
        if (subscription_wants(s->subscription, frame_channel(frame))) {
            stream_write_event(s, source, frame);
        }
    } else if (frame->kind == FRAME_LOSS) {
        uint64_t start = feed->last.cluster_time;
        write_gap(s, source, frame, start > frame->gap_from ? start : frame->gap_from);
    } else if (subscription_may_get(s->subscription, frame_channel(frame), feed->source->catalog)) {
        write_gap(s, source, frame, 0);
    }
}

bool stream_is_full(const struct stream *s)
{
    return pipe_unsent(s->pipe) > s->loop->context->settings.queue_bytes;
}
