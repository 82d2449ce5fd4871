/* stream_begin - the first words of a stream, and where each source starts (the inside of stream.h). */
#include "stream_inside.h"

#include "clock.h"

#include <stdlib.h>
#include <string.h>

static void tell_gap_without_span(struct stream *s, const char *reason)
{
    stream_write_gap(s, -1, &(struct gap_facts){.reason = reason});
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

/* Forget a point that its source cannot resume from: it polls, or has polled since. True when there was one. */
static bool drop_stale(const struct source *source, struct event_id *point)
{
    if (point->cluster_time == 0 || source_can_resume(source, *point)) {
        return false;
    }
    *point = (struct event_id){0, 0};
    return true;
}

void stream_begin_waiting(struct stream *s, unsigned source)
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
    if (drop_stale(feed->source, &point)) {
        s->resumed = RESUMED_GAP;
        tell_gap_without_span(s, "mode_changed");
    }
    if (point.cluster_time == 0) {
        /* It has waited since before the source was open: everything that the source has read is for it, but for what
         * warms the journal. */
        journal_state(feed->source->journal, &journal);
        bool polls = atomic_load(&feed->source->status.polling);
        uint64_t live_from = polls ? 0 : atomic_load(&feed->source->status.live_from);
        point = event_id_position(journal.floor > live_from ? journal.floor : live_from);
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

static bool drop_all_stale(const struct stream *s, struct resume_id *resume)
{
    bool some = false;
    for (unsigned i = 0; i < s->feed_count; i++) {
        some = drop_stale(s->loop->context->sources[i], &resume->points[i]) || some;
    }
    return some;
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

static enum resumed judge(const struct stream *s)
{
    for (unsigned i = 0; i < s->feed_count; i++) {
        const struct feed *feed = &s->feeds[i];
        bool is_searched = s->has_resume && (feed->state == FEED_QUEUED || feed->seeking);
        if (feed->state == FEED_WAITING || is_searched) {
            return RESUMED_PENDING;
        }
    }
    return !s->has_resume ? RESUMED_NO : stream_has_overlap(s) ? RESUMED_OVERLAP : RESUMED_EXACT;
}

/* Does the oplog, as far as it is known, or the journal reach back to this second? */
static bool reaches(const struct source *source, uint64_t time)
{
    struct journal_state journal;
    journal_state(source->journal, &journal);
    uint64_t oldest = atomic_load(&source->status.oplog_first);
    if (!source_can_resume(source, event_id_position(time))) {
        return false;
    }
    return oldest < time || (journal.floor && journal.floor <= time);
}

/* since= by cluster time: fills the points. false: it lies before what can be read so, the collections must be asked. */
static bool read_since(const struct stream *s, const struct stream_request *request, struct resume_id *points)
{
    uint64_t time = (uint64_t)(request->since_ms / 1000) << 32;
    for (unsigned i = 0; i < s->feed_count; i++) {
        if (!reaches(s->loop->context->sources[i], time)) {
            return false;
        }
        points->points[i] = event_id_position(time);
    }
    return true;
}

/* Without an id: tail=, since=, or live. */
static void begin_new(struct stream *s, const struct stream_request *request)
{
    struct resume_id points = {0};
    bool by_rows = request->tail || (request->since_ms && !read_since(s, request, &points));
    s->starts_late = by_rows || request->since_ms;
    begin_feeds(s, &points);
    if (by_rows) {
        stream_read_start(s, request);
    }
}

static bool polls(const struct stream *s)
{
    for (unsigned i = 0; i < s->feed_count; i++) {
        if (atomic_load(&s->feeds[i].source->status.polling)) {
            return true;
        }
    }
    return false;
}

/* For browsers' EventSource, which cannot send a header when it comes back. Returns text for free(), or NULL. */
static char *make_renewal(const struct stream *s)
{
    char *ticket = NULL;
    struct access *access = access_holder_get(s->loop->context->access);
    if (s->identity->user && access_has_tickets(access)) {
        struct buffer asked = BUFFER_INIT;
        subscription_append_asked(s->subscription, &asked);
        ticket = access_ticket(access, s->identity, buffer_text(&asked), clock_wall_ms());
        buffer_fini(&asked);
    }
    access_unref(access);
    return ticket;
}

void stream_write_ready(struct stream *s)
{
    char *renewal = make_renewal(s);
    char id[STREAM_ID_MAX];
    struct buffer b = BUFFER_INIT;
    const struct http_settings *settings = &s->loop->context->settings;
    struct ready_facts facts = {
        .connection_id = s->connection_id,
        .subscription = s->subscription,
        .heartbeat_s = settings->heartbeat_ms / 1000,
        .polls = polls(s),
        .resumed = s->resumed,
        .resume_window_s = source_oplog_window_s(s->feeds[0].source),
        .renew = renewal,
    };
    stream_frame_retry(&b, s->ndjson, settings->retry_ms);
    stream_frame_ready(&b, s->ndjson, stream_current_id(s, id), &facts);
    stream_write_buffer(s, &b);
    free(renewal);
}

/* Where what was before comes from first. */
static void count_start(struct stream *s)
{
    const char *from = stream_is_reading(s) ? "rows" : "live";
    for (unsigned i = 0; i < s->feed_count && !stream_is_reading(s); i++) {
        enum feed_state state = s->feeds[i].state;
        if (state == FEED_QUEUED || state == FEED_SWEEPING) {
            from = "catchup";
        } else if (state == FEED_WAITING) {
            from = "waiting";
        } else if (state == FEED_PULLING && strcmp(from, "live") == 0) {
            from = "journal";
        }
    }
    reason_count(&s->loop->context->counters.reasons, REASON_RESUMED, from);
}

void stream_begin(struct stream *s, struct stream_request *request)
{
    bool refused = request->has_resume && (!request->resume_is_valid || !is_plausible(s, &request->resume));
    bool accepted = request->has_resume && !refused;
    bool unknown = accepted && s->feed_count > 1 && request->resume.unknown;
    bool changed = accepted && drop_all_stale(s, &request->resume);
    s->has_resume = s->starts_late = accepted;
    if (accepted) {
        begin_feeds(s, &request->resume);
    } else {
        begin_new(s, request);
    }
    s->resumed = refused || unknown || changed ? RESUMED_GAP : judge(s);
    stream_write_ready(s);
    if (refused) {
        tell_gap_without_span(s, "invalid_id");
    }
    if (unknown) {
        tell_gap_without_span(s, "unknown_source");
    }
    if (changed) {
        tell_gap_without_span(s, "mode_changed");
    }
    if (s->starts_late) {
        count_start(s);
    }
    for (unsigned i = 0; i < s->feed_count; i++) {
        stream_pull_feed(s, i);
    }
    /* A new stream that is live from the first moment has nothing to catch up with. One that asked for what was before is
     * always told, so that clients need not guess whether they missed anything. */
    s->caught_up = !s->starts_late && stream_is_all_live(s);
    if (!s->caught_up) {
        stream_pull(s);
    }
}
