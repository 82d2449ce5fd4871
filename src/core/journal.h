/*
 * journal - the newest frames of one source in its order, bounded by bytes and age, read by position.
 *
 * Everything that a client gets is read from a journal: the source's own, or the window of a catch-up sweep (the same
 * thing, smaller). Entries are numbered from 1; a reader keeps the number of the next entry it wants and the event id it
 * has reached, by which it finds its place again, here or in another journal.
 *
 *   floor     complete for every cluster time >= floor: nothing of them is missing
 *   complete  every event of every cluster time <= complete is in (the high-water mark)
 *
 * An empty journal can cover hours: floor far back, complete = now. Eviction raises the floor past the whole cluster time
 * that it touches, so that a transaction is never served cut in two.
 *
 * The writer can start the journal anew, at a time that may lie before what it holds (a source that begins to poll, or
 * ends that): what was held before stays readable by number, but no place is found in it any more.
 *
 * Thread: one writer, any number of readers; one mutex, held for copying references, never while writing to sockets.
 */
#ifndef TAILWATER_CORE_JOURNAL_H
#define TAILWATER_CORE_JOURNAL_H

#include "frame.h"
#include "mailbox.h"

#include <stddef.h>
#include <stdint.h>

struct journal;

struct journal_limits {
    size_t max_bytes;   /* of frames (frame_cost); what one append brings is held above it until the next */
    int64_t max_age_us; /* since they were appended; 0 = no limit */
};

struct journal_state {
    uint64_t floor, complete;    /* cluster times; floor 0 = never opened */
    uint64_t first, next;        /* numbers of the oldest entry and of the one to come */
    uint64_t oldest_time;        /* cluster time of the oldest entry, 0 = empty */
    size_t bytes;
};

enum journal_place {
    JOURNAL_FOUND,   /* *number is the first entry after the point */
    JOURNAL_OVERLAP, /* the event is not here: *number is the first entry of its cluster time */
    JOURNAL_BEHIND,  /* before the floor, and its event is not among what is held */
    JOURNAL_AHEAD,   /* an event that this journal has not reached: look again when complete has passed it */
};

struct journal *journal_new(struct journal_limits limits);
void journal_free(struct journal *journal);

/* Wake this mailbox at every change. Before the writer starts; the mailbox must outlive the journal's writer. */
void journal_watch(struct journal *journal, struct mailbox *box);

/* Writer: the stream was opened at this cluster time for the first time: everything from it on will come. */
void journal_open(struct journal *journal, uint64_t floor);

/* Writer: append this frame (taken), and let what is held begin behind it: the floor is now `floor`, and everything
 * before it is complete. */
void journal_restart(struct journal *journal, struct frame *frame, uint64_t floor);

/* Writer: append frames in order (takes their references; count may be 0) and set the high-water mark. `complete`
 * never moves backwards. */
void journal_append(struct journal *journal, struct frame *const *frames, size_t count, uint64_t complete);

/* Where does a reader go on that has everything up to this point? */
enum journal_place journal_find(struct journal *journal, struct event_id point, uint64_t *number);

/*
 * Copy references of up to max entries from *number on and advance it. Returns how many, 0 at the end, -1 when *number
 * has been evicted (find the place again by event id).
 */
int journal_read(struct journal *journal, uint64_t *number, struct frame **out, int max);

void journal_state(struct journal *journal, struct journal_state *state);

#endif
