/* stream_rows - what a stream reads from collections: tail=, since=, and what is left of a lost span (the inside of
 * stream.h). A job reads, the rows are sent as the reader takes them; meanwhile every source is held. */
#include "stream_inside.h"

#include "clock.h"
#include "log.h"
#include "random.h"

#include <stdlib.h>
#include <string.h>

enum {
    SHARES = 4,               /* the part of rows_bytes that one reading may take, and that is kept for small ones: */
    SMALL_SHARES = 8,         /* those that take no more than this part */
    ROW_BYTES = 65536,        /* hardly any row is larger (max_event_bytes) */
    RETRY_FIRST_MS = 100,     /* when there is no room for another reading, or MongoDB did not answer */
    RETRY_LAST_MS = 1000,
    POLLED_KEPT_US = 10000000, /* looks are some seconds apart at most */
};

static void take_bytes(struct stream *s, size_t bytes)
{
    _Atomic uint64_t *all = &s->loop->context->counters.rows_bytes;
    atomic_fetch_add(all, bytes);
    atomic_fetch_sub(all, s->rows_bytes);
    s->rows_bytes = bytes;
}

static void drop_rows(struct stream *s)
{
    rows_unref(s->reading->rows);
    free(s->reading->was_sent);
    s->reading->rows = NULL;
    s->reading->was_sent = NULL;
    take_bytes(s, 0);
}

void stream_read_stop(struct stream *s)
{
    if (s->reading) {
        drop_rows(s);
        free(s->reading);
        s->reading = NULL;
    }
}

static void hold_feeds(struct stream *s)
{
    for (unsigned i = 0; i < s->feed_count; i++) {
        feed_hold(&s->feeds[i], &s->loop->cursors[i]);
    }
}

static struct stream_reading *begin(struct stream *s, struct stream_reading reading)
{
    stream_read_stop(s); /* one that was sent, and kept for what may come again */
    reading.had_ids = !s->no_ids;
    s->reading = memory_copy(&reading, sizeof reading);
    s->no_ids = true;
    s->caught_up = false;
    stream_table_set_pulling(s, true);
    return s->reading;
}

/* --- which rows ------------------------------------------------------------------------------------ */

/* Rows that a job has read were chosen by it already; those that a loss brings along are for everyone. And the
 * subscription may have changed since. */
static bool wants_row(const struct stream *s, const struct frame *row)
{
    const struct stream_reading *r = s->reading;
    bool too_old = r->from_ms && row->wall_ms && row->wall_ms < r->from_ms;
    bool too_new = r->to_ms && row->wall_ms > r->to_ms;
    return !too_old && !too_new && subscription_wants(s->subscription, frame_channel(row)) &&
           filter_passes(s->filter, row->level, frame_data(row));
}

static uint64_t count_wanted(const struct stream *s, const struct rows *rows)
{
    uint64_t count = 0;
    for (size_t i = 0; i < rows->count; i++) {
        count += wants_row(s, rows->frames[i]);
    }
    return count;
}

/* Can none of the rows come again from this source, now that this frame has come? What is polled tells no time. */
static bool is_behind(const struct stream_reading *r, unsigned source, const struct frame *frame)
{
    return event_id_is_polled(frame->id) ? clock_mono_us() > r->polled_us
                                         : frame->id.cluster_time > r->rows->borders[source].until;
}

bool stream_was_row(struct stream *s, unsigned source, const struct frame *frame)
{
    struct stream_reading *r = s->reading;
    unsigned bit = 1u << source;
    if (!r || r->state != READING_SENT || !(r->sources & bit)) {
        return false;
    }
    if (is_behind(r, source, frame)) {
        r->sources &= ~bit;
        if (!r->sources) {
            stream_read_stop(s);
        }
        return false;
    }
    ptrdiff_t row = rows_find(r->rows, frame->id.hash, frame_channel(frame));
    return row >= 0 && r->was_sent[row];
}

/* --- the end --------------------------------------------------------------------------------------- */

/* Was it given a place while it polled, when the rows were asked for? */
static bool has_polled_place(const struct feed *feed)
{
    return feed->point.cluster_time && event_id_is_polled(feed->point);
}

static void start_behind(struct stream *s, const struct rows *rows)
{
    for (unsigned i = 0; i < s->feed_count; i++) {
        uint64_t covered = rows->borders[i].covered;
        if (has_polled_place(&s->feeds[i])) {
            feed_release(&s->feeds[i]);
        } else if (covered) {
            feed_start_at(&s->feeds[i], event_id_position(covered + 1));
        } else {
            feed_start_live(&s->feeds[i]);
        }
    }
}

/* Keep the rows as long as documents among them may come again. */
static void keep_or_drop(struct stream *s)
{
    struct stream_reading *r = s->reading;
    for (unsigned i = 0; i < s->feed_count; i++) {
        uint64_t from = r->is_start ? r->rows->borders[i].covered : r->gap_to - 1;
        if (!has_polled_place(&s->feeds[i]) && r->rows->borders[i].until <= from) {
            r->sources &= ~(1u << i);
        }
    }
    if (r->sources) {
        r->state = READING_SENT;
    } else {
        stream_read_stop(s);
    }
}

static void finish(struct stream *s)
{
    if (s->reading->is_start) {
        start_behind(s, s->reading->rows);
    } else {
        for (unsigned i = 0; i < s->feed_count; i++) {
            feed_release(&s->feeds[i]);
        }
    }
    keep_or_drop(s);
}

/* --- sending --------------------------------------------------------------------------------------- */

static void send_rows(struct stream *s)
{
    struct stream_reading *r = s->reading;
    while (r->next < r->rows->count && stream_has_room(s)) {
        size_t at = r->next++;
        if (wants_row(s, r->rows->frames[at])) {
            stream_write_row(s, r->rows->frames[at]);
            r->was_sent[at] = true;
        }
    }
    if (r->next == r->rows->count) {
        finish(s);
    }
}

static void note_advice(struct stream *s, const char *advice)
{
    static struct log_limit limit;
    s->rows_complete = false;
    if (advice) {
        log_write_limited(&limit, LOG_LEVEL_WARN, "rows", "%s", advice);
        free(s->advice);
        s->advice = memory_text(advice);
    }
}

/* Say what is to come, where something may be missing. A gap that no row follows carries the id behind it. */
static void announce(struct stream *s)
{
    struct stream_reading *r = s->reading;
    struct gap_facts gap = {"history_lost", r->gap_from, r->gap_to, count_wanted(s, r->rows), r->rows->complete};
    if (r->is_start && r->rows->complete) {
        return;
    }
    if (r->is_start && !r->is_span) {
        return; /* tail=: it asked for rows, not for a span; caught-up tells whether it has all of them */
    }
    if (r->is_start) {
        gap.to = r->rows->borders[0].covered;
    } else if (gap.replayed == 0 && r->had_ids) {
        s->no_ids = false;
    }
    stream_write_gap(s, r->is_start ? -1 : (int)r->gap_source, &gap);
}

/* The rows are here; they go out when the stream is pulled next. Takes the reference. */
static void take_rows(struct stream *s, struct rows *rows, bool is_shared)
{
    struct stream_reading *r = s->reading;
    r->rows = rows;
    r->was_sent = memory_zero(rows->count + 1, sizeof *r->was_sent);
    r->state = READING_SENDING;
    r->polled_us = clock_mono_us() + POLLED_KEPT_US;
    take_bytes(s, is_shared ? 0 : rows->bytes);
    if (!rows->complete) {
        note_advice(s, rows->advice);
    }
    announce(s);
}

/* --- asking ---------------------------------------------------------------------------------------- */

static struct job *make_job(struct stream *s, size_t bytes)
{
    const struct stream_reading *r = s->reading;
    struct rows_request request = {
        .channels = subscription_copy_texts(s->subscription),
        .channel_count = s->subscription->count,
        .filter = filter_copy(s->filter),
        .limit = r->limit,
        .max_bytes = bytes,
        .from_ms = r->from_ms,
        .to_ms = r->to_ms,
        .sources = r->sources,
        .replay = !r->is_start,
    };
    struct job *job = memory_zero(1, sizeof *job);
    job->type = JOB_ROWS;
    job->wanted = memory_copy(&request, sizeof request);
    job->box = s->loop->mailbox;
    job->number = s->number;
    return job;
}

static void retry_later(struct stream *s)
{
    s->reading->state = READING_WANTED;
    s->reading->retry_us = clock_mono_us() + random_between(RETRY_FIRST_MS, RETRY_LAST_MS) * 1000;
    take_bytes(s, 0);
}

static bool are_open(const struct stream *s)
{
    for (unsigned i = 0; i < s->feed_count; i++) {
        if (!atomic_load(&s->feeds[i].source->status.opened)) {
            return false;
        }
    }
    return true;
}

/* What is polled has no cluster times to go on at behind the rows: it goes on where it was before they were read. */
static void hold_polled_places(struct stream *s)
{
    for (unsigned i = 0; s->reading->is_start && i < s->feed_count; i++) {
        if (atomic_load(&s->feeds[i].source->status.polling)) {
            feed_start_live(&s->feeds[i]);
            s->feeds[i].state = FEED_HELD;
        }
    }
}

/* Is there room for it now? A few readers that take their many rows slowly must not keep everyone else from a few. */
static bool has_room(struct http_context *context, size_t share)
{
    size_t all = context->settings.rows_bytes;
    size_t open = share <= all / SMALL_SHARES ? all : all - all / SHARES;
    return atomic_load(&context->counters.rows_bytes) + share <= open;
}

static void ask(struct stream *s)
{
    struct http_context *context = s->loop->context;
    size_t most = context->settings.rows_bytes / SHARES;
    size_t share = s->reading->limit < most / ROW_BYTES ? s->reading->limit * ROW_BYTES : most;
    if (clock_mono_us() < s->reading->retry_us || (s->reading->is_start && !are_open(s))) {
        return;
    }
    if (!has_room(context, share)) {
        retry_later(s);
        return;
    }
    take_bytes(s, share);
    hold_polled_places(s);
    struct job *job = make_job(s, share);
    s->reading->state = READING_ASKED;
    if (job_queue_push(context->jobs, job) != 0) {
        job_free(job);
        retry_later(s);
    }
}

void stream_read_on(struct stream *s)
{
    switch (s->reading->state) {
    case READING_WANTED:
        ask(s);
        break;
    case READING_SENDING:
        send_rows(s);
        break;
    case READING_ASKED:
    case READING_SENT:
        break;
    }
}

void stream_offer_rows(struct stream *s, struct job *job)
{
    if (!s->reading || s->reading->state != READING_ASKED) {
        return;
    }
    if (job->status == 200) {
        take_rows(s, rows_ref(job->rows), false);
    } else {
        retry_later(s);
    }
    stream_pull(s);
}

/* --- the beginning --------------------------------------------------------------------------------- */

void stream_read_start(struct stream *s, const struct stream_request *request)
{
    for (unsigned i = 0; i < s->feed_count; i++) {
        s->feeds[i].state = FEED_HELD;
    }
    begin(s, (struct stream_reading){
                 .state = READING_WANTED,
                 .is_start = true,
                 .is_span = request->tail == 0,
                 .from_ms = request->since_ms,
                 .limit = request->tail ? request->tail : s->loop->context->settings.replay_max,
                 .sources = (1u << s->feed_count) - 1,
                 .gap_from = (uint64_t)(request->since_ms / 1000) << 32,
             });
}

bool stream_read_loss(struct stream *s, unsigned source, struct frame *loss, uint64_t from)
{
    size_t limit = s->loop->context->settings.replay_max;
    if (limit == 0) {
        return false;
    }
    int64_t from_ms = (int64_t)(from >> 32) * 1000 - ROWS_AROUND_S * 1000;
    begin(s, (struct stream_reading){
                 .state = READING_WANTED,
                 .from_ms = from_ms > 0 ? from_ms : 0,
                 .to_ms = (int64_t)(loss->id.cluster_time >> 32) * 1000 + ROWS_AROUND_S * 1000 + 999,
                 .limit = limit,
                 .sources = 1u << source,
                 .gap_source = source,
                 .gap_from = from,
                 .gap_to = loss->id.cluster_time,
             });
    hold_feeds(s);
    if (loss->rows) {
        take_rows(s, rows_ref(loss->rows), true);
    } else {
        ask(s);
    }
    return true;
}
