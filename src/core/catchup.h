/*
 * catchup - sending many late readers through few change streams.
 *
 * A reader whose point lies before its source's journal asks here. A sweep is one change stream that runs from the oldest
 * such point towards the present through the source's own pipeline, into a window (a bounded journal); every waiting
 * reader whose point it passes joins and pulls from the window by its own point. It runs as fast as its median member
 * drains; who falls out of the window asks again at the point it has reached. A sweep is over when its window has
 * reached the source's journal. So a storm of N readers opens at most `max_sweeps` change streams.
 *
 * Threads: loops request, cancel, join and leave; sweep threads (mongo/sweep.c) take and advance. One mutex a catchup
 * and one a sweep, taken in the order catchup -> sweep -> journal; mailboxes are leaves.
 */
#ifndef TAILWATER_CORE_CATCHUP_H
#define TAILWATER_CORE_CATCHUP_H

#include "journal.h"

#include <stdbool.h>

struct catchup;
struct sweep;

struct catchup_limits {
    unsigned max_sweeps;
    size_t window_bytes; /* of each */
};

struct catchup *catchup_new(struct journal *journal, struct catchup_limits limits);
void catchup_free(struct catchup *catchup); /* no sweep may be left */

/* --- loops --------------------------------------------------------------------------------------- */

/* Ask for everything after point. The answer is a MESSAGE_CATCHUP with this number and source in box. */
void catchup_request(struct catchup *catchup, struct event_id point, struct mailbox *box, uint64_t number,
                     unsigned source);

/* The reader is gone: forget its request, if it still waits. An answer may be under way all the same. */
void catchup_cancel(struct catchup *catchup, struct mailbox *box, uint64_t number);

/* Bytes that a sweep's window holds, about. */
size_t catchup_window_bytes(const struct catchup *catchup);

/* Where members read. Watch sweep_is_over() when it has nothing more. */
struct journal *sweep_window(struct sweep *sweep);

/* No more frames will come: go on in the source's journal. */
bool sweep_is_over(struct sweep *sweep);

/* Become a member that wants entry `number` of the window next; wakes box when the window grows. Returns its place. */
unsigned sweep_join(struct sweep *sweep, struct mailbox *box, uint64_t number);

/* This member now wants entry `number` next. */
void sweep_progress(struct sweep *sweep, unsigned member, uint64_t number);

/* Stop being a member. The reference remains the caller's. */
void sweep_leave(struct sweep *sweep, unsigned member);

struct sweep *sweep_ref(struct sweep *sweep);
void sweep_unref(struct sweep *sweep);

/* --- sweep threads ------------------------------------------------------------------------------- */

/*
 * Wait for a request that no running sweep is about to reach, and start a sweep at its cluster time, *start. Gives one
 * reference; NULL when the catch-up was stopped. The caller must end it by catchup_finish().
 */
struct sweep *catchup_take(struct catchup *catchup, uint64_t *start);

/* The same without waiting: NULL when no request needs a sweep now, or too many run. */
struct sweep *catchup_try_take(struct catchup *catchup, uint64_t *start);

/* Append to the window, let waiting readers that it now covers join, and wake the members. Takes the frames. */
void catchup_advance(struct catchup *catchup, struct sweep *sweep, struct frame *const *frames, size_t count,
                     uint64_t complete);

/* Has the window reached the source's journal? */
bool catchup_reached(struct catchup *catchup, struct sweep *sweep);

/* Is anybody reading, or waiting just ahead? */
bool catchup_is_wanted(struct catchup *catchup, struct sweep *sweep);

/* Wait at most wait_ms until appending would leave the median member behind no longer. Returns true when there is room. */
bool sweep_wait_for_room(struct sweep *sweep, int wait_ms);

/* The sweep is over: members go on in the journal; takes the caller's reference. */
void catchup_finish(struct catchup *catchup, struct sweep *sweep);

/* Wake every sweep thread for good. */
void catchup_stop(struct catchup *catchup);

/* Running sweeps and waiting requests, for admin pages. */
void catchup_count(struct catchup *catchup, unsigned *sweeps, unsigned *waiting);

#endif
