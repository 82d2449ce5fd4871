/* stream_write - what goes to the client of a stream: ids, events, gaps (the inside of stream.h). */
#include "stream_inside.h"

#include "clock.h"

#include <stdio.h>

enum {
    PULL_BYTES = 64 * 1024, /* unsent bytes at which a pulling stream waits for its reader */
    SHARE_BYTES = 4096,     /* that a stream may always have unsent, however much all of them have together */
};

/* Write the connection's id: the mark of every source, `at` for `source`. NULL when a source has no mark yet, or none may
 * be told. */
static const char *format_id(const struct stream *s, int source, struct event_id at, char out[STREAM_ID_MAX])
{
    size_t used = 0;
    if (s->no_ids) {
        return NULL;
    }
    for (unsigned i = 0; i < s->feed_count; i++) {
        struct event_id id = (int)i == source ? at : feed_mark(&s->feeds[i], &s->loop->cursors[i]);
        if (id.cluster_time == 0) {
            return NULL;
        }
        if (event_id_is_polled(id) || atomic_load(&s->feeds[i].source->status.polling)) {
            continue; /* nobody can resume there; the ids of the other sources are good all the same */
        }
        if (s->feed_count > 1) {
            out[used] = '~';
            used += used > 0;
            out[used++] = s->feeds[i].source->tag;
        }
        used += event_id_format(id, out + used);
    }
    out[used] = '\0';
    return used ? out : NULL;
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

/* id may be NULL. */
static void write_ndjson(struct stream *s, const char *text, struct frame *frame)
{
    struct buffer head = BUFFER_INIT;
    struct slice name = frame_event_name(frame);
    buffer_append_byte(&head, '{');
    if (text) {
        buffer_printf(&head, "\"id\":\"%s\",", text);
    }
    buffer_printf(&head, "\"event\":\"%.*s\",\"data\":", (int)name.len, name.data);
    pipe_write_slice(s->pipe, (struct slice){head.data, head.len}, frame, frame_data(frame), (struct slice){"}\n", 2});
    buffer_fini(&head);
}

/* As SSE with an id line of the stream's own, or none where id is NULL. */
static void write_with_id(struct stream *s, const char *id, struct frame *frame)
{
    char line[STREAM_ID_MAX + 8];
    int n = id ? snprintf(line, sizeof line, "id: %s\n", id) : 0;
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

static void write_event(struct stream *s, unsigned source, struct frame *frame)
{
    char id[STREAM_ID_MAX];
    if (s->ndjson) {
        write_ndjson(s, format_id(s, (int)source, frame->id, id), frame);
    } else if (s->feed_count > 1 || s->no_ids) {
        write_with_id(s, format_id(s, (int)source, frame->id, id), frame);
    } else {
        pipe_write_frame(s->pipe, frame);
    }
}

void stream_write_event(struct stream *s, unsigned source, struct frame *frame)
{
    if (stream_was_row(s, source, frame) || !filter_passes(s->filter, frame->level, frame_data(frame)) ||
        !throttle_take(&s->throttle, frame->level, s->loop->now_us)) {
        return;
    }
    stream_tell_skipped(s);
    write_event(s, source, frame);
    s->feeds[source].last = frame->id;
    s->sent_us = s->loop->now_us;
    s->events++;
    s->loop->deliveries++;
}

static void release_run(const void *data, size_t len, void *arg)
{
    (void)data;
    (void)len;
    run_unref(arg);
}

void stream_write_run(struct stream *s, struct run *run)
{
    if (run_events(run) == 0) {
        return;
    }
    pipe_write_shared(s->pipe, run_bytes(run), release_run, run_ref(run));
    s->feeds[0].last = run_last(run)->id;
    s->sent_us = s->loop->now_us;
    s->events += run_events(run);
    s->loop->deliveries += run_events(run);
}

void stream_write_row(struct stream *s, struct frame *frame)
{
    if (s->ndjson) {
        write_ndjson(s, NULL, frame);
    } else {
        pipe_write_frame(s->pipe, frame);
    }
    s->sent_us = s->loop->now_us;
    s->row_count++;
    s->loop->deliveries++;
    atomic_fetch_add_explicit(&s->loop->context->counters.rows_sent, 1, memory_order_relaxed);
}

void stream_write_gap(struct stream *s, int source, const struct gap_facts *gap)
{
    char id[STREAM_ID_MAX];
    struct buffer b = BUFFER_INIT;
    struct event_id at = event_id_position(gap->to);
    stream_tell_skipped(s);
    stream_frame_gap(&b, s->ndjson, source < 0 ? NULL : format_id(s, source, at, id), gap);
    stream_write_buffer(s, &b);
    if (source >= 0) {
        s->feeds[source].last = at;
        s->resumed = RESUMED_GAP;
    }
    atomic_fetch_add_explicit(&s->loop->context->counters.gaps, 1, memory_order_relaxed);
    reason_count(&s->loop->context->counters.reasons, REASON_GAP, gap->reason);
}

/* A loss of the source: what is left of it comes from the collections, unless that is switched off. */
static void cross_loss(struct stream *s, unsigned source, struct frame *loss)
{
    uint64_t start = s->feeds[source].last.cluster_time;
    uint64_t from = start > loss->gap_from ? start : loss->gap_from;
    if (!stream_read_loss(s, source, loss, from)) {
        stream_write_gap(s, (int)source, &(struct gap_facts){"history_lost", from, loss->id.cluster_time, 0, false});
    }
}

/* What was polled has no ids and no past: the gap on its way there carries none. */
static void cross_mode(struct stream *s, unsigned source, const struct frame *frame)
{
    bool polls = event_id_is_polled(frame->id);
    struct gap_facts gap = {.reason = "mode_changed", .to = polls ? 0 : frame->id.cluster_time};
    feed_enter_mode(&s->feeds[source], frame->id);
    stream_write_gap(s, polls ? -1 : (int)source, &gap);
    s->resumed = RESUMED_GAP;
}

void stream_tell_lost(struct stream *s, unsigned source)
{
    stream_write_gap(s, -1, &(struct gap_facts){.reason = s->feeds[source].lost});
    s->feeds[source].lost = NULL;
    s->resumed = RESUMED_GAP;
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
        cross_loss(s, source, frame);
    } else if (frame->kind == FRAME_MODE) {
        cross_mode(s, source, frame);
    } else if (frame->kind == FRAME_OVERSIZE &&
               subscription_may_get(s->subscription, frame_channel(frame), feed->source->catalog)) {
        stream_write_gap(s, -1, &(struct gap_facts){.reason = "oversize"});
    }
}

bool stream_must_be_brief(const struct stream *s)
{
    const struct http_context *context = s->loop->context;
    uint64_t queued = atomic_load_explicit(&context->counters.queued_bytes, memory_order_relaxed);
    return queued > context->settings.queued_bytes_max;
}

bool stream_is_full(const struct stream *s)
{
    size_t most = stream_must_be_brief(s) ? SHARE_BYTES : s->loop->context->settings.queue_bytes;
    return pipe_unsent(s->pipe) > most;
}

bool stream_has_room(const struct stream *s)
{
    return pipe_unsent(s->pipe) < (stream_must_be_brief(s) ? SHARE_BYTES : PULL_BYTES);
}
