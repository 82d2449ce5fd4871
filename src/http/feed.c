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

/* The first cluster time that is not the past for someone who comes now. A source that warms its journal reads what is
 * past for everyone; the newest time that the deployment told counts only while the source scans: at the tail, what is
 * complete is certain to be majority committed, too. */
static uint64_t present(const struct source_status *status, uint64_t complete)
{
    uint64_t now = complete + 1, live_from = atomic_load(&status->live_from);
    if (atomic_load(&status->polling)) {
        return now; /* by another clock than the deployment's */
    }
    bool scans = atomic_load(&status->state) == SOURCE_SCANNING;
    uint64_t told = scans ? atomic_load(&status->cluster_time) + 1 : 0;
    now = live_from > now ? live_from : now;
    return told > now ? told : now;
}

/* Behind the newest entry, at the present's position. */
static void go_live(struct feed *feed)
{
    struct journal_state journal;
    journal_state(feed->source->journal, &journal);
    uint64_t now = present(&feed->source->status, journal.complete);
    feed->state = FEED_LIVE;
    feed->number = journal.next;
    feed->last = feed->point = event_id_position(now);
    feed->skip_before = now;
}

/* What lies between the point and the present cannot be read. */
static void lose(struct feed *feed, const char *reason)
{
    go_live(feed);
    feed->seeking = false;
    feed->lost = reason;
}

/* Find the place in the source's journal, or queue for a sweep. */
static void locate(struct feed *feed)
{
    bool polls = atomic_load(&feed->source->status.polling);
    leave_sweep(feed);
    if (polls ? !event_id_is_polled(feed->point) : !source_can_resume(feed->source, feed->point)) {
        lose(feed, "mode_changed");
        return;
    }
    if (feed->point.cluster_time > feed->skip_before) {
        /* It may lie ahead of the journal, behind a loss: what the journal still reads of earlier times is past. */
        feed->skip_before = feed->point.cluster_time;
    }
    if (find_place(feed, feed->source->journal)) {
        feed->state = FEED_PULLING;
        return;
    }
    if (polls) {
        lose(feed, "history_lost"); /* what was polled is kept nowhere but in the journal */
        return;
    }
    feed->state = FEED_QUEUED;
    catchup_request(feed->source->catchup, feed->point, feed->box, feed->connection, feed->source->index);
}

void feed_start_live(struct feed *feed)
{
    uint64_t number;
    go_live(feed);
    /* A transaction that was read a moment ago is not complete yet: the position that this connection is told lies before
     * it, and what is told must come. */
    bool polls = atomic_load(&feed->source->status.polling);
    if (!polls && journal_find(feed->source->journal, feed->point, &number) == JOURNAL_FOUND && number < feed->number) {
        feed->number = number;
        feed->state = FEED_PULLING;
    }
}

void feed_meet_mode(struct feed *feed, uint64_t number)
{
    if (feed->state == FEED_QUEUED || feed->state == FEED_SWEEPING || (feed->state == FEED_PULLING && feed->seeking)) {
        feed_stop(feed);
        feed->seeking = false;
        feed->state = FEED_LIVE;
        feed->number = number;
    }
}

void feed_enter_mode(struct feed *feed, struct event_id at)
{
    feed->point = feed->last = at;
    feed->skip_before = 0;
}

void feed_hold(struct feed *feed, const struct feed_cursor *cursor)
{
    if (feed->state == FEED_WAITING) {
        return; /* it reads nothing anyway, and has no point yet */
    }
    if (feed->state == FEED_LIVE) {
        feed_fall_back(feed, cursor->number, feed_cursor_reached(cursor));
    }
    feed_stop(feed);
    feed->state = FEED_HELD;
}

void feed_release(struct feed *feed)
{
    if (feed->state == FEED_HELD) {
        locate(feed);
    }
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
    struct journal_state journal, before, after;
    journal_state(feed->source->journal, &journal);
    journal_state(sweep_window(sweep), &before);
    if (feed->point.cluster_time >= journal.floor || !find_place(feed, sweep_window(sweep))) {
        locate(feed);
        return;
    }
    journal_state(sweep_window(sweep), &after);
    feed->looked = before.next;
    feed->missed = after.floor > feed->point.cluster_time;
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

/* A look at a window which had entries up to `next` before: has it dropped any that were never looked at? */
static void note_look(struct feed *feed, uint64_t next)
{
    struct journal_state window;
    journal_state(sweep_window(feed->sweep), &window);
    feed->missed = feed->missed || window.first > feed->looked;
    feed->looked = next;
}

/* The same in a window, which may be smaller than the point's cluster time. */
static bool seek_window(struct feed *feed, uint64_t next)
{
    if (!feed->seeking) {
        return true;
    }
    bool found = find_place(feed, sweep_window(feed->sweep));
    note_look(feed, next);
    if (!found) {
        if (!feed->missed) {
            feed->point = event_id_position(feed->point.cluster_time); /* all was looked at: there is no such event */
            feed->overlap = true;
        }
        locate(feed);
        return false;
    }
    if (feed->seeking) {
        sweep_progress(feed->sweep, feed->member, next); /* it wants none of these: the sweep must not wait for it */
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

/* The window has moved past it: queue again, and notice when that goes on and on. */
static void fall_out(struct feed *feed)
{
    bool got_ahead = feed->taken_bytes >= catchup_window_bytes(feed->source->catchup);
    feed->starved = got_ahead ? 0 : feed->starved + 1;
    feed->taken_bytes = 0;
    locate(feed);
}

static int read_window(struct feed *feed, struct frame **out, int max)
{
    struct journal *window = sweep_window(feed->sweep);
    bool over = sweep_is_over(feed->sweep); /* before reading: what came before the end is not missed */
    struct journal_state end;
    journal_state(window, &end);
    if (!seek_window(feed, end.next)) {
        if (over && feed->state == FEED_SWEEPING) {
            locate(feed);
        }
        return 0;
    }
    int n = journal_read(window, &feed->number, out, max);
    if (n < 0) {
        fall_out(feed);
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
    case FEED_HELD:
        break;
    }
    return 0;
}

struct event_id feed_cursor_reached(const struct feed_cursor *cursor)
{
    struct event_id end = event_id_position(cursor->complete + 1);
    return is_later(end, cursor->last) ? end : cursor->last;
}

void feed_fall_back(struct feed *feed, uint64_t number, struct event_id before)
{
    feed->state = FEED_PULLING;
    feed->number = number;
    struct event_id reached = is_later(before, feed->last) ? before : feed->last;
    feed->point = is_later(feed->point, reached) ? feed->point : reached; /* a sweep may have been ahead of the loop */
}

struct event_id feed_mark(const struct feed *feed, const struct feed_cursor *cursor)
{
    if (feed->state == FEED_WAITING) {
        return feed->last;
    }
    /* Not the event that was passed: it may be somebody else's. */
    uint64_t reached = feed->point.cluster_time;
    if (feed->state == FEED_LIVE && cursor->complete >= reached) {
        reached = cursor->complete + 1;
    }
    struct event_id here = event_id_position(reached);
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
