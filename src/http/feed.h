/*
 * feed - one source on one connection: where the connection stands in it and where it reads from.
 *
 *   WAITING   the source was never open yet
 *   LIVE      the loop's fan-out pushes every matching frame
 *   PULLING   reads the source's journal by itself: a reconnect, a slow reader
 *   QUEUED    its point lies before the journal; waits for a catch-up sweep
 *   SWEEPING  reads a sweep's window
 *   HELD      waits for rows that come first (stream_rows.c)
 *
 * Pull is the same code for all: read frames after the point, advance the point, become LIVE at the place up to which the
 * loop has fanned out. Thread: the loop's.
 */
#ifndef TAILWATER_HTTP_FEED_H
#define TAILWATER_HTTP_FEED_H

#include "source.h"

enum feed_state { FEED_WAITING, FEED_LIVE, FEED_PULLING, FEED_QUEUED, FEED_SWEEPING, FEED_HELD };

enum { FEED_STARVED_AFTER = 3 };

/* How far the loop has fanned a source out. */
struct feed_cursor {
    uint64_t number;      /* of the entry to come */
    uint64_t complete;    /* every event up to this cluster time was fanned out */
    struct event_id last; /* the newest entry that was */
};

struct feed {
    struct source *source;
    enum feed_state state;
    struct event_id point;   /* everything up to it was handled; kept while pulling */
    struct event_id last;    /* newest id written to the connection, at first its start point */
    uint64_t number;         /* the next entry wanted; while LIVE: earlier ones are skipped */
    uint64_t skip_before;    /* frames of earlier cluster times are skipped: the start point lies ahead */
    bool seeking;            /* the point lies ahead of what is read: look for its place again */
    const char *lost;        /* its place is gone, it went on live: the reason of the gap to be told, or NULL */
    bool overlap;            /* the point's event was not found: all of its cluster time comes again */
    uint64_t looked;         /* seeking in a window: its entries before this one were looked at */
    bool missed;             /* and some of the point's cluster time were not */
    size_t taken_bytes;      /* of frames passed since it last queued */
    unsigned starved;        /* how often in a row it fell out of a window without having passed a window's worth */
    struct sweep *sweep;
    unsigned member;
    struct mailbox *box;     /* who is told by a sweep, and as what */
    uint64_t connection;
};

/* Start live, from what comes next; while the source still reads its past, from the deployment's present. To be
 * pulled once, like any start: of an unfinished cluster time, some may be in the journal already. */
void feed_start_live(struct feed *feed);

/* Start (or go on) after a point. */
void feed_start_at(struct feed *feed, struct event_id point);

/* The source changes its mode at this entry, which the loop carries now. Whoever waits for something else than entries
 * before it (a sweep, an id to come) waits no longer. */
void feed_meet_mode(struct feed *feed, uint64_t number);

/* The stream was told of the change of mode at this position: nothing before it counts. */
void feed_enter_mode(struct feed *feed, struct event_id at);

/* Read nothing for now; the point is kept. */
void feed_hold(struct feed *feed, const struct feed_cursor *cursor);

/* Go on at the point where it was held. */
void feed_release(struct feed *feed);

/* Has it queued again three times without getting ahead? It will not get there. */
static inline bool feed_is_starved(const struct feed *feed)
{
    return feed->starved >= FEED_STARVED_AFTER;
}

/* A sweep answered. Borrows it. */
void feed_offer_sweep(struct feed *feed, struct sweep *sweep);

/*
 * Read up to max frames that come next, a reference each for the caller, who tells feed_passed() of each that it has
 * handled, and gives the rest back. Returns how many; 0: nothing now. Changes the state on the way.
 */
int feed_read(struct feed *feed, const struct feed_cursor *cursor, struct frame **out, int max);

/* This frame, the next of those read, was handled. */
static inline void feed_passed(struct feed *feed, const struct frame *frame)
{
    feed->taken_bytes += frame_cost(frame);
    if (frame->kind == FRAME_GRANTS) {
        return; /* only this journal has it: elsewhere its place would not be found */
    }
    /* Never back: the point may lie ahead of what is read, and a position says less than an event of its time. */
    uint64_t time = frame->id.cluster_time;
    if (time > feed->point.cluster_time || (time == feed->point.cluster_time && !event_id_is_position(frame->id))) {
        feed->point = frame->id;
    }
}

/* The last `count` of the frames read were not handled and will be wanted again. */
static inline void feed_unread(struct feed *feed, int count)
{
    feed->number -= (uint64_t)count;
}

/* Must this frame be left out because the start point lies ahead of it? A loss is also left out when it ends at or
 * before the point: nothing of it is missing here (the id of a told gap is such a point). So is a change of mode, but
 * its position means something only to a point of the same mode. */
static inline bool feed_skips(const struct feed *feed, const struct frame *frame)
{
    if (frame->kind == FRAME_MODE) {
        return event_id_is_polled(frame->id) == event_id_is_polled(feed->point) &&
               frame->id.cluster_time <= feed->point.cluster_time;
    }
    bool is_past = frame->kind == FRAME_LOSS && frame->id.cluster_time <= feed->point.cluster_time;
    return is_past || frame->id.cluster_time < feed->skip_before;
}

/* Everything up to here was fanned out: `before` for feed_fall_back(). The last entry alone would be too little: hours
 * of silence may lie between it and now. */
struct event_id feed_cursor_reached(const struct feed_cursor *cursor);

/* Fall back from LIVE to PULLING: this entry could not be pushed, everything up to `before` was. */
void feed_fall_back(struct feed *feed, uint64_t number, struct event_id before);

/* The id that stands for "everything up to here was written": for heartbeats and vectors. cluster_time 0 = none yet. */
struct event_id feed_mark(const struct feed *feed, const struct feed_cursor *cursor);

/* Leave sweeps and queues. */
void feed_stop(struct feed *feed);

#endif
