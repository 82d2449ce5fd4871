/* feed - see feed.h. */
#include "feed.h"

static bool is_later(struct event_id a, struct event_id b)
{
    if (a.cluster_time != b.cluster_time) {
        return a.cluster_time > b.cluster_time;
    }
    return event_id_is_position(b) && !event_id_is_position(a);
}

static void leave_sweep(struct feed *feed)
{
    if (feed->sweep) {
        sweep_leave(feed->sweep, feed->member);
        sweep_unref(feed->sweep);
        feed->sweep = NULL;
    }
}

/* Look for the point's place in a journal; false when it lies before that journal. */
static bool find_place(struct feed *feed, struct journal *journal)
{
    enum journal_place place = journal_find(journal, feed->point, &feed->number);
    feed->seeking = place == JOURNAL_AHEAD;
    feed->overlap = feed->overlap || place == JOURNAL_OVERLAP;
    return place != JOURNAL_BEHIND;
}

/* Find the place in the source's journal, or queue for a sweep. */
static void locate(struct feed *feed)
{
    leave_sweep(feed);
    if (find_place(feed, feed->source->journal)) {
        feed->state = FEED_PULLING;
        return;
    }
    feed->state = FEED_QUEUED;
    catchup_request(feed->source->catchup, feed->point, feed->box, feed->connection, feed->source->index);
}

void feed_start_live(struct feed *feed)
{
    struct journal_state journal;
    journal_state(feed->source->journal, &journal);
    feed->state = FEED_LIVE;
    feed->number = journal.next;
    feed->last = feed->point = event_id_position(journal.complete + 1);
}

void feed_start_at(struct feed *feed, struct event_id point)
{
    feed->last = feed->point = point;
    feed->skip_before = point.cluster_time;
    feed->overlap = false;
    locate(feed);
}

void feed_offer_sweep(struct feed *feed, struct sweep *sweep)
{
    if (feed->state != FEED_QUEUED) {
        return; /* an answer to a request that was overtaken */
    }
    struct journal_state journal;
    journal_state(feed->source->journal, &journal);
    if (feed->point.cluster_time >= journal.floor || !find_place(feed, sweep_window(sweep))) {
        locate(feed);
        return;
    }
    feed->state = FEED_SWEEPING;
    feed->sweep = sweep_ref(sweep);
    feed->member = sweep_join(sweep, feed->box, feed->number);
}

/* The point's event has not been read yet when the place was looked for: look again. */
static bool seek(struct feed *feed, struct journal *journal)
{
    if (!feed->seeking) {
        return true;
    }
    if (!find_place(feed, journal)) {
        locate(feed);
        return false;
    }
    return !feed->seeking;
}

static void advance_to(struct feed *feed, uint64_t complete)
{
    struct event_id end = event_id_position(complete + 1);
    if (is_later(end, feed->point)) {
        feed->point = end;
    }
}

static int read_window(struct feed *feed, struct frame **out, int max)
{
    struct journal *window = sweep_window(feed->sweep);
    bool over = sweep_is_over(feed->sweep); /* before reading: what came before the end is not missed */
    struct journal_state end;
    journal_state(window, &end);
    if (!seek(feed, window)) {
        if (over && feed->state == FEED_SWEEPING) {
            locate(feed);
        }
        return 0;
    }
    int n = journal_read(window, &feed->number, out, max);
    if (n < 0) {
        locate(feed);
        return 0;
    }
    sweep_progress(feed->sweep, feed->member, feed->number);
    if (n == 0 && over) {
        advance_to(feed, end.complete);
        locate(feed);
    }
    return n;
}

static int read_journal(struct feed *feed, const struct feed_cursor *cursor, struct frame **out, int max)
{
    if (!seek(feed, feed->source->journal)) {
        return 0;
    }
    if (feed->number >= cursor->number) {
        feed->state = FEED_LIVE;
        return 0;
    }
    /* Not beyond what the loop has fanned out, or frames would come twice. */
    uint64_t left = cursor->number - feed->number;
    int n = journal_read(feed->source->journal, &feed->number, out, left < (uint64_t)max ? (int)left : max);
    if (n < 0) {
        locate(feed);
        return 0;
    }
    return n;
}

int feed_read(struct feed *feed, const struct feed_cursor *cursor, struct frame **out, int max)
{
    switch (feed->state) {
    case FEED_PULLING:
        return read_journal(feed, cursor, out, max);
    case FEED_SWEEPING:
        return read_window(feed, out, max);
    case FEED_WAITING:
    case FEED_LIVE:
    case FEED_QUEUED:
        break;
    }
    return 0;
}

void feed_fall_back(struct feed *feed, uint64_t number, struct event_id before)
{
    feed->state = FEED_PULLING;
    feed->number = number;
    feed->point = is_later(before, feed->last) ? before : feed->last;
}

struct event_id feed_mark(const struct feed *feed, const struct feed_cursor *cursor)
{
    struct event_id here = {0, 0};
    switch (feed->state) {
    case FEED_WAITING:
        return feed->last;
    case FEED_LIVE:
        here = event_id_position(cursor->complete + 1);
        break;
    case FEED_PULLING:
    case FEED_QUEUED:
    case FEED_SWEEPING:
        /* Not the event that was passed: it may be somebody else's. */
        here = event_id_position(feed->point.cluster_time);
        break;
    }
    return is_later(here, feed->last) ? here : feed->last;
}

void feed_stop(struct feed *feed)
{
    if (feed->state == FEED_QUEUED) {
        catchup_cancel(feed->source->catchup, feed->box, feed->connection);
    }
    leave_sweep(feed);
    feed->state = FEED_WAITING;
}
