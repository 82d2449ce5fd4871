/* stream - see stream.h. */
#include "stream.h"

#include "buffer.h"
#include "clock.h"
#include "cors.h"
#include "pipe.h"
#include "random.h"
#include "stream_frames.h"
#include "stream_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PULL_FRAMES = 64,          /* read at a time */
    PULL_BYTES = 64 * 1024,    /* unsent bytes at which a pulling stream waits for its reader */
    LINGER_S = 10,             /* for the last bytes of a stream that we end */
    VECTOR_MAX = CONTEXT_SOURCES_MAX * (EVENT_ID_TEXT_LEN + 2) + 1,
};

/* --- ids ------------------------------------------------------------------------------------------- */

static const struct feed_cursor *cursor_of(const struct stream *s, unsigned source)
{
    return &s->loop->cursors[source];
}

static struct event_id mark_of(const struct stream *s, unsigned source)
{
    return feed_mark(&s->feeds[source], cursor_of(s, source));
}

/* Write the connection's id: the mark of every source, `at` for `source`. NULL when a source has no mark yet. */
static const char *format_id(const struct stream *s, int source, struct event_id at, char out[VECTOR_MAX])
{
    size_t used = 0;
    for (unsigned i = 0; i < s->feed_count; i++) {
        struct event_id id = (int)i == source ? at : mark_of(s, i);
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

static const char *current_id(const struct stream *s, char out[VECTOR_MAX])
{
    return format_id(s, -1, (struct event_id){0, 0}, out);
}

/* --- writing --------------------------------------------------------------------------------------- */

static void write_buffer(struct stream *s, struct buffer *b)
{
    pipe_write(s->pipe, b->data, b->len);
    buffer_fini(b);
    s->sent_us = clock_mono_us();
}

static void write_ndjson(struct stream *s, unsigned source, struct frame *frame)
{
    char id[VECTOR_MAX];
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
    char id[VECTOR_MAX], line[VECTOR_MAX + 8];
    const char *vector = format_id(s, (int)source, frame->id, id);
    int n = vector ? snprintf(line, sizeof line, "id: %s\n", vector) : 0;
    pipe_write_slice(s->pipe, (struct slice){line, (size_t)n}, frame, frame_body(frame), (struct slice){"", 0});
}

static void write_event(struct stream *s, unsigned source, struct frame *frame)
{
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
    char id[VECTOR_MAX];
    struct buffer b = BUFFER_INIT;
    bool loss = frame->kind == FRAME_LOSS;
    /* The id of an oversize event says nothing about it, but its position is enough. */
    struct event_id at = loss ? frame->id : event_id_position(frame->id.cluster_time + 1);
    stream_frame_gap(&b, s->ndjson, loss ? format_id(s, (int)source, at, id) : NULL,
                     loss ? "history_lost" : "oversize", loss ? from : 0, loss ? frame->id.cluster_time : 0);
    write_buffer(s, &b);
    if (loss) {
        s->feeds[source].last = at;
        s->resumed = RESUMED_GAP;
    }
    atomic_fetch_add_explicit(&s->loop->context->counters.gaps, 1, memory_order_relaxed);
}

/* Deliver what pulling has read, matching or not. */
static void deliver(struct stream *s, unsigned source, struct frame *frame)
{
    struct feed *feed = &s->feeds[source];
    if (feed_skips(feed, frame)) {
        return;
    }
    if (frame->kind == FRAME_EVENT) {
        if (subscription_wants(s->subscription, frame_channel(frame))) {
            write_event(s, source, frame);
        }
    } else if (frame->kind == FRAME_LOSS) {
        uint64_t start = feed->last.cluster_time;
        write_gap(s, source, frame, start > frame->gap_from ? start : frame->gap_from);
    } else if (subscription_may_get(s->subscription, frame_channel(frame), feed->source->catalog)) {
        write_gap(s, source, frame, 0);
    }
}

/* --- push ------------------------------------------------------------------------------------------ */

static bool is_live_for(const struct feed *feed, const struct frame *frame, uint64_t number)
{
    return feed->state == FEED_LIVE && number >= feed->number && !feed_skips(feed, frame);
}

static bool is_full(const struct stream *s)
{
    return pipe_unsent(s->pipe) > s->loop->context->settings.queue_bytes;
}

void stream_push(struct stream *s, unsigned source, struct frame *frame, uint64_t number, struct event_id before)
{
    struct feed *feed = &s->feeds[source];
    if (s->stamp == s->loop->fanout_stamp) {
        return; /* another of its channels matched already */
    }
    s->stamp = s->loop->fanout_stamp;
    if (!is_live_for(feed, frame, number)) {
        return;
    }
    if (is_full(s)) {
        stream_fall_back(s, source, number, before);
        return;
    }
    write_event(s, source, frame);
}

void stream_fall_back(struct stream *s, unsigned source, uint64_t number, struct event_id before)
{
    if (s->feeds[source].state == FEED_LIVE) {
        feed_fall_back(&s->feeds[source], number, before);
        stream_table_set_pulling(s, true);
    }
}

void stream_push_gap(struct stream *s, unsigned source, struct frame *frame, uint64_t number)
{
    if (is_live_for(&s->feeds[source], frame, number)) {
        deliver(s, source, frame);
    }
}

/* --- pull ------------------------------------------------------------------------------------------ */

static bool pull_some(struct stream *s, unsigned source)
{
    struct frame *frames[PULL_FRAMES];
    struct feed *feed = &s->feeds[source];
    int n = feed_read(feed, cursor_of(s, source), frames, PULL_FRAMES);
    int handled = 0;
    for (; handled < n && pipe_unsent(s->pipe) < PULL_BYTES; handled++) {
        deliver(s, source, frames[handled]);
        feed_passed(feed, frames[handled]);
    }
    feed_unread(feed, n - handled);
    for (int i = 0; i < n; i++) {
        frame_unref(frames[i]);
    }
    return handled > 0;
}

static void pull_feed(struct stream *s, unsigned source)
{
    while (pipe_unsent(s->pipe) < PULL_BYTES && pull_some(s, source)) {
    }
}

static void begin_waiting_feed(struct stream *s, unsigned source);

static bool is_all_live(const struct stream *s)
{
    for (unsigned i = 0; i < s->feed_count; i++) {
        if (s->feeds[i].state != FEED_LIVE) {
            return false;
        }
    }
    return true;
}

static bool has_overlap(const struct stream *s)
{
    bool overlap = false;
    for (unsigned i = 0; i < s->feed_count; i++) {
        overlap = overlap || s->feeds[i].overlap;
    }
    return overlap;
}

static void tell_caught_up(struct stream *s)
{
    char id[VECTOR_MAX];
    struct buffer b = BUFFER_INIT;
    if (s->resumed == RESUMED_PENDING) {
        s->resumed = has_overlap(s) ? RESUMED_OVERLAP : s->has_resume ? RESUMED_EXACT : RESUMED_NO;
    }
    stream_frame_caught_up(&b, s->ndjson, current_id(s, id), s->events, s->resumed);
    write_buffer(s, &b);
    s->caught_up = true;
}

void stream_pull(struct stream *s)
{
    for (unsigned i = 0; i < s->feed_count; i++) {
        if (s->feeds[i].state == FEED_WAITING) {
            begin_waiting_feed(s, i);
        }
        pull_feed(s, i);
    }
    bool live = is_all_live(s);
    if (!s->caught_up && live) {
        tell_caught_up(s);
    }
    stream_table_set_pulling(s, !live);
}

void stream_offer_sweep(struct stream *s, unsigned source, struct sweep *sweep)
{
    feed_offer_sweep(&s->feeds[source], sweep);
    stream_pull(s);
}

/* --- beginning ------------------------------------------------------------------------------------- */

static void tell_gap_without_span(struct stream *s, const char *reason)
{
    struct buffer b = BUFFER_INIT;
    stream_frame_gap(&b, s->ndjson, NULL, reason, 0, 0);
    write_buffer(s, &b);
    atomic_fetch_add_explicit(&s->loop->context->counters.gaps, 1, memory_order_relaxed);
}

/* The source is open now: start where the client asked to, as far as that is plausible. */
static void begin_feed(struct stream *s, unsigned source, struct event_id point)
{
    struct feed *feed = &s->feeds[source];
    if (point.cluster_time) {
        feed_start_at(feed, point);
    } else {
        feed_start_live(feed);
    }
}

static void begin_waiting_feed(struct stream *s, unsigned source)
{
    struct feed *feed = &s->feeds[source];
    struct journal_state journal;
    if (!atomic_load(&feed->source->status.opened)) {
        return;
    }
    struct event_id point = feed->last;
    feed->last = (struct event_id){0, 0};
    if (point.cluster_time && !resume_id_is_plausible(point, feed->source)) {
        s->resumed = RESUMED_GAP;
        tell_gap_without_span(s, "invalid_id");
        point.cluster_time = 0;
    }
    if (point.cluster_time == 0) {
        /* It has waited since before the source was open: everything that the source has read is for it. */
        journal_state(feed->source->journal, &journal);
        point = event_id_position(journal.floor);
    }
    begin_feed(s, source, point);
}

static bool is_plausible(const struct stream *s, const struct resume_id *resume)
{
    for (unsigned i = 0; i < s->feed_count; i++) {
        if (resume->points[i].cluster_time && !resume_id_is_plausible(resume->points[i], s->loop->context->sources[i])) {
            return false;
        }
    }
    return true;
}

static void begin_feeds(struct stream *s, const struct resume_id *resume)
{
    for (unsigned i = 0; i < s->feed_count; i++) {
        struct feed *feed = &s->feeds[i];
        feed->source = s->loop->context->sources[i];
        feed->box = s->loop->mailbox;
        feed->connection = s->number;
        if (atomic_load(&feed->source->status.opened)) {
            begin_feed(s, i, resume->points[i]);
        } else {
            feed->state = FEED_WAITING;
            feed->last = resume->points[i];
        }
    }
}

static enum resumed judge(const struct stream *s, bool accepted)
{
    for (unsigned i = 0; i < s->feed_count; i++) {
        const struct feed *feed = &s->feeds[i];
        if (feed->state == FEED_WAITING || feed->state == FEED_QUEUED || feed->seeking) {
            return RESUMED_PENDING;
        }
    }
    return !accepted ? RESUMED_NO : has_overlap(s) ? RESUMED_OVERLAP : RESUMED_EXACT;
}

static void write_opening(struct stream *s)
{
    char id[VECTOR_MAX];
    struct buffer b = BUFFER_INIT;
    const struct http_settings *settings = &s->loop->context->settings;
    struct ready_facts facts = {
        .connection_id = s->connection_id,
        .subscription = s->subscription,
        .heartbeat_s = settings->heartbeat_ms / 1000,
        .resumed = s->resumed,
        .resume_window_s = source_oplog_window_s(s->feeds[0].source),
    };
    stream_frame_retry(&b, s->ndjson, settings->retry_ms);
    stream_frame_ready(&b, s->ndjson, current_id(s, id), &facts);
    write_buffer(s, &b);
}

static void begin(struct stream *s, struct stream_request *request)
{
    bool refused = request->has_resume && (!request->resume_is_valid || !is_plausible(s, &request->resume));
    bool accepted = request->has_resume && !refused;
    bool unknown = accepted && s->feed_count > 1 && request->resume.unknown;
    if (!accepted) {
        memset(&request->resume, 0, sizeof request->resume);
    }
    s->has_resume = accepted;
    begin_feeds(s, &request->resume);
    s->resumed = refused || unknown ? RESUMED_GAP : judge(s, accepted);
    write_opening(s);
    if (refused) {
        tell_gap_without_span(s, "invalid_id");
    }
    if (unknown) {
        tell_gap_without_span(s, "unknown_source");
    }
    for (unsigned i = 0; i < s->feed_count; i++) {
        pull_feed(s, i);
    }
    /* Live from the first moment: nothing to catch up with, nothing to tell. */
    s->caught_up = is_all_live(s) && s->events == 0;
    if (!s->caught_up) {
        stream_pull(s);
    }
}

/* --- life ------------------------------------------------------------------------------------------ */

static void arm_heartbeat(struct stream *s, int64_t in_us)
{
    struct timeval tv = {in_us / 1000000, in_us % 1000000};
    event_add(&s->heartbeat, &tv);
}

/* Between three quarters of the interval and all of it, so that many streams do not beat as one. */
static int64_t heartbeat_after_us(const struct stream *s)
{
    int64_t us = s->loop->context->settings.heartbeat_ms * 1000;
    return random_between(us - us / 4, us);
}

static void on_heartbeat(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct stream *s = arg;
    int64_t silent_us = clock_mono_us() - s->sent_us;
    int64_t least_us = s->loop->context->settings.heartbeat_ms * 750;
    if (silent_us < least_us) {
        arm_heartbeat(s, heartbeat_after_us(s) - silent_us);
        return;
    }
    if (!is_full(s)) {
        char id[VECTOR_MAX];
        struct buffer b = BUFFER_INIT;
        struct http_context *context = s->loop->context;
        stream_frame_heartbeat(&b, s->ndjson, current_id(s, id), context->sources, context->source_count);
        write_buffer(s, &b);
    }
    arm_heartbeat(s, heartbeat_after_us(s));
}

static void stream_free(struct stream *s)
{
    struct http_counters *counters = &s->loop->context->counters;
    for (unsigned i = 0; i < s->feed_count; i++) {
        feed_stop(&s->feeds[i]);
    }
    for (unsigned i = 0; i < s->subscription->count; i++) {
        const struct subscription_channel *channel = &s->subscription->list[i];
        topic_remove(s->loop->topics, &s->entries[i]);
        census_remove(s->loop->context->census, channel->text, channel->len);
    }
    event_del(&s->heartbeat);
    stream_table_set_pulling(s, false);
    stream_table_remove(&s->loop->streams, s);
    atomic_fetch_sub(&counters->connections, 1);
    subscription_free(s->subscription);
    free(s->entries);
    free(s);
}

static void on_gone(void *arg)
{
    stream_free(arg);
}

static void on_drain(void *arg)
{
    struct stream *s = arg;
    if (s->in_pulling) {
        s->loop->now_us = clock_mono_us();
        stream_pull(s);
    }
}

static void subscribe(struct stream *s)
{
    s->entries = memory_zero(s->subscription->count, sizeof *s->entries);
    for (unsigned i = 0; i < s->subscription->count; i++) {
        const struct subscription_channel *channel = &s->subscription->list[i];
        s->entries[i].subscriber = s;
        topic_add(s->loop->topics, channel->text, channel->len, &s->entries[i]);
        census_add(s->loop->context->census, channel->text, channel->len);
    }
}

static struct pipe *open_pipe(struct stream *s, struct exchange *x)
{
    const struct http_settings *settings = &s->loop->context->settings;
    struct pipe_options options = {
        .on_gone = on_gone,
        .on_drain = on_drain,
        .arg = s,
        .low_bytes = PULL_BYTES / 2,
        .stall_s = settings->stall_s,
    };
    exchange_add_header(x, "Cache-Control", "no-cache, no-transform");
    exchange_add_header(x, "X-Accel-Buffering", "no");
    exchange_add_header(x, "X-Content-Type-Options", "nosniff");
    exchange_add_header(x, "X-Connection-Id", s->connection_id);
    cors_add_headers(x, settings);
    return exchange_stream(x, s->ndjson ? "application/x-ndjson" : "text/event-stream; charset=utf-8", &options);
}

void stream_open(struct loop *loop, struct exchange *x, struct stream_request *request)
{
    struct stream *s = memory_zero(1, sizeof *s);
    s->loop = loop;
    s->number = ++loop->next_number;
    s->subscription = request->subscription;
    s->ndjson = request->ndjson;
    s->feed_count = loop->context->source_count;
    loop->now_us = clock_mono_us();
    random_hex(s->connection_id, 16);
    stream_table_add(&loop->streams, s);
    atomic_fetch_add(&loop->context->counters.connections, 1);
    atomic_fetch_add(&loop->context->counters.connections_total, 1);
    evtimer_assign(&s->heartbeat, loop->base, on_heartbeat, s);
    s->pipe = open_pipe(s, x);
    subscribe(s);
    begin(s, request);
    arm_heartbeat(s, heartbeat_after_us(s));
}

void stream_tell_source(struct stream *s, struct source *source, bool available)
{
    struct buffer b = BUFFER_INIT;
    if (!is_full(s)) {
        stream_frame_source(&b, s->ndjson, source->name, available);
        write_buffer(s, &b);
    }
}

void stream_go_away(struct stream *s, const char *reason, int64_t reconnect_ms)
{
    struct buffer b = BUFFER_INIT;
    stream_frame_goaway(&b, s->ndjson, reason, reconnect_ms);
    write_buffer(s, &b);
    pipe_close(s->pipe, s->loop->context->settings.end_clean, LINGER_S);
    stream_free(s);
}

void stream_abort(struct stream *s)
{
    pipe_abort(s->pipe);
    stream_free(s);
}
