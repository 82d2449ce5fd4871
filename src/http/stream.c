/* stream - see stream.h. */
#include "stream.h"

#include "clock.h"
#include "cors.h"
#include "random.h"
#include "stream_inside.h"
#include "user_streams.h"

#include <stdlib.h>

enum {
    RUN_LEAST = 8,          /* frames that are worth a run */
    LOW_BYTES = 32 * 1024,  /* unsent bytes at which a pulling stream reads on */
    LINGER_S = 10,          /* for the last bytes of a stream that we end */
};

/* --- push ------------------------------------------------------------------------------------------ */

static bool is_live_for(const struct feed *feed, const struct frame *frame, uint64_t number)
{
    return feed->state == FEED_LIVE && number >= feed->number && !feed_skips(feed, frame);
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
    if (stream_is_full(s)) {
        stream_fall_back(s, source, number, before);
        return;
    }
    stream_write_event(s, source, frame);
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
    struct feed *feed = &s->feeds[source];
    if (frame->kind == FRAME_MODE) {
        feed_meet_mode(feed, number);
    }
    if (!is_live_for(feed, frame, number)) {
        return;
    }
    stream_deliver(s, source, frame);
    if (feed->state != FEED_LIVE) {
        feed_passed(feed, frame); /* held, to read what is left of the loss: goes on behind it */
    }
}

/* --- pull ------------------------------------------------------------------------------------------ */

/* May it be sent the same bytes as others of the same channels? */
static bool shares_runs(const struct stream *s)
{
    return !s->filter && !s->throttle.max_rate && !s->ndjson && s->feed_count == 1 && !s->no_ids && !s->reading &&
           !stream_must_be_brief(s);
}

/* Send all of these frames as one run; false where that cannot be done. */
static bool pull_run(struct stream *s, struct frame *const *frames, int n)
{
    struct feed *feed = &s->feeds[0];
    if (n < RUN_LEAST || !shares_runs(s) || feed_skips(feed, frames[0])) {
        return false;
    }
    struct run *run = run_of(&s->loop->runs, frames, n, feed->number - (uint64_t)n, s->subscription,
                             pipe_is_chunked(s->pipe));
    if (!run) {
        return false;
    }
    stream_write_run(s, run);
    for (int i = 0; i < n; i++) {
        feed_passed(feed, frames[i]);
    }
    return true;
}

static bool pull_some(struct stream *s, unsigned source)
{
    struct frame *frames[RUN_FRAMES];
    struct feed *feed = &s->feeds[source];
    int n = feed_read(feed, &s->loop->cursors[source], frames, RUN_FRAMES - (int)(feed->number % RUN_FRAMES));
    int handled = pull_run(s, frames, n) ? n : 0;
    for (; handled < n && stream_has_room(s) && !stream_is_reading(s); handled++) {
        stream_deliver(s, source, frames[handled]);
        feed_passed(feed, frames[handled]);
    }
    feed_unread(feed, n - handled);
    for (int i = 0; i < n; i++) {
        frame_unref(frames[i]);
    }
    return handled > 0;
}

void stream_pull_feed(struct stream *s, unsigned source)
{
    while (stream_has_room(s) && !stream_is_reading(s) && pull_some(s, source)) {
    }
    if (s->feeds[source].lost) {
        stream_tell_lost(s, source);
    }
}

bool stream_is_all_live(const struct stream *s)
{
    for (unsigned i = 0; i < s->feed_count; i++) {
        if (s->feeds[i].state != FEED_LIVE) {
            return false;
        }
    }
    return true;
}

bool stream_has_overlap(const struct stream *s)
{
    bool overlap = false;
    for (unsigned i = 0; i < s->feed_count; i++) {
        overlap = overlap || s->feeds[i].overlap;
    }
    return overlap;
}

static void tell_caught_up(struct stream *s)
{
    char id[STREAM_ID_MAX];
    struct buffer b = BUFFER_INIT;
    if (s->resumed == RESUMED_PENDING) {
        s->resumed = stream_has_overlap(s) ? RESUMED_OVERLAP : s->has_resume ? RESUMED_EXACT : RESUMED_NO;
    }
    s->no_ids = false;
    struct caught_up_facts facts = {
        .events = s->events,
        .rows = s->row_count,
        .complete = s->rows_complete,
        .resumed = s->resumed,
        .advice = s->identity->kind == IDENTITY_OPEN ? s->advice : NULL, /* it names collections */
    };
    stream_tell_skipped(s);
    stream_frame_caught_up(&b, s->ndjson, stream_current_id(s, id), &facts);
    stream_write_buffer(s, &b);
    s->caught_up = true;
    seat_end_catchup(s->loop->context, s->identity, &s->seat);
}

static void pull_feeds(struct stream *s)
{
    for (unsigned i = 0; i < s->feed_count && !stream_is_reading(s); i++) {
        if (s->feeds[i].state == FEED_WAITING) {
            stream_begin_waiting(s, i);
        }
        stream_pull_feed(s, i);
    }
}

static void read_rows(struct stream *s)
{
    if (stream_is_reading(s)) {
        stream_read_on(s);
    }
}

void stream_pull(struct stream *s)
{
    read_rows(s);
    pull_feeds(s);
    read_rows(s); /* a loss may have been crossed that brings its rows along */
    bool live = !stream_is_reading(s) && stream_is_all_live(s);
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
    if (!stream_is_full(s)) {
        stream_tell_skipped(s);
        char id[STREAM_ID_MAX];
        struct buffer b = BUFFER_INIT;
        struct http_context *context = s->loop->context;
        stream_frame_heartbeat(&b, s->ndjson, stream_current_id(s, id), context->sources, context->source_count);
        stream_write_buffer(s, &b);
    }
    arm_heartbeat(s, heartbeat_after_us(s));
}

static void stream_free(struct stream *s)
{
    struct http_counters *counters = &s->loop->context->counters;
    for (unsigned i = 0; i < s->feed_count; i++) {
        feed_stop(&s->feeds[i]);
    }
    event_del(&s->heartbeat);
    if (s->expiry) {
        event_free(s->expiry);
    }
    stream_table_set_pulling(s, false);
    stream_table_remove(&s->loop->streams, s);
    user_streams_leave(s);
    atomic_fetch_sub(&counters->connections, 1);
    stream_read_stop(s);
    stream_unsubscribe(s, s->subscription, s->entries);
    filter_free(s->filter);
    seat_leave(s->loop->context, s->identity, &s->seat);
    identity_unref(s->identity);
    grant_set_unref(s->grants);
    free(s->advice);
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

static struct pipe *open_pipe(struct stream *s, struct exchange *x)
{
    const struct http_settings *settings = &s->loop->context->settings;
    struct pipe_options options = {
        .on_gone = on_gone,
        .on_drain = on_drain,
        .arg = s,
        .low_bytes = LOW_BYTES,
        .stall_s = settings->stall_s,
    };
    exchange_add_header(x, "Cache-Control", "no-cache, no-transform");
    exchange_add_header(x, "X-Accel-Buffering", "no");
    exchange_add_header(x, "X-Content-Type-Options", "nosniff");
    exchange_add_header(x, "X-Connection-Id", s->connection_id);
    cors_add_headers(x, settings);
    return exchange_stream(x, s->ndjson ? "application/x-ndjson" : "text/event-stream; charset=utf-8", &options);
}

static bool catches_up(const struct stream *s)
{
    for (unsigned i = 0; i < s->feed_count; i++) {
        if (s->feeds[i].state == FEED_QUEUED || s->feeds[i].state == FEED_SWEEPING) {
            return true;
        }
    }
    return false;
}

enum stream_state stream_state(const struct stream *s)
{
    if (stream_is_reading(s)) {
        return STREAM_READING;
    }
    return catches_up(s) ? STREAM_CATCHING_UP : stream_is_all_live(s) ? STREAM_LIVE : STREAM_PULLING;
}

const char *stream_state_name(enum stream_state state)
{
    static const char *const names[] = {"live", "pulling", "catching-up", "reading"};
    return names[state];
}

static void limit_catchups(struct stream *s)
{
    struct http_context *context = s->loop->context;
    if (catches_up(s) && seat_begin_catchup(context, s->identity, &s->seat) != 0) {
        atomic_fetch_add(&context->counters.refused, 1);
        reason_count(&context->counters.reasons, REASON_REFUSED, "too_many_catchups_of_user");
        stream_go_away(s, "too_many_catchups_of_user", stream_retry_jitter(context->settings.retry_ms));
    }
}

void stream_open(struct loop *loop, struct exchange *x, struct stream_request *request)
{
    struct stream *s = memory_zero(1, sizeof *s);
    s->loop = loop;
    stream_draw_id(s);
    s->subscription = request->subscription;
    s->identity = identity_ref(request->rights.identity);
    s->grants = request->rights.grants ? grant_set_ref(request->rights.grants) : NULL;
    s->seat = request->seat;
    s->address = request->address;
    s->opened_ms = clock_wall_ms();
    rights_fini(&request->rights);
    s->filter = request->filter;
    s->throttle.max_rate = request->max_rate;
    s->ndjson = request->ndjson;
    s->rows_complete = true;
    s->feed_count = loop->context->source_count;
    loop->now_us = clock_mono_us();
    stream_table_add(&loop->streams, s);
    user_streams_enter(s);
    atomic_fetch_add(&loop->context->counters.connections, 1);
    atomic_fetch_add(&loop->context->counters.connections_total, 1);
    evtimer_assign(&s->heartbeat, loop->base, on_heartbeat, s);
    s->pipe = open_pipe(s, x);
    stream_subscribe(s);
    stream_begin(s, request);
    arm_heartbeat(s, heartbeat_after_us(s));
    stream_arm_expiry(s);
    limit_catchups(s);
}

void stream_tend(struct stream *s)
{
    for (unsigned i = 0; i < s->feed_count; i++) {
        if (feed_is_starved(&s->feeds[i])) {
            stream_go_away(s, "starved", stream_retry_jitter(s->loop->context->settings.retry_ms));
            return;
        }
    }
}

void stream_tell_source(struct stream *s, struct source *source, bool available)
{
    struct buffer b = BUFFER_INIT;
    if (!stream_is_full(s)) {
        stream_frame_source(&b, s->ndjson, source->name, available);
        stream_write_buffer(s, &b);
    }
}

void stream_go_away(struct stream *s, const char *reason, int64_t reconnect_ms)
{
    struct buffer b = BUFFER_INIT;
    reason_count(&s->loop->context->counters.reasons, REASON_SENT_AWAY, reason);
    stream_frame_goaway(&b, s->ndjson, reason, reconnect_ms);
    stream_write_buffer(s, &b);
    stream_end(s);
}

void stream_end(struct stream *s)
{
    pipe_close(s->pipe, s->loop->context->settings.end_clean, LINGER_S);
    stream_free(s);
}

void stream_abort(struct stream *s)
{
    pipe_abort(s->pipe);
    stream_free(s);
}
