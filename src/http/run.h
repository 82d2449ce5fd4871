/*
 * run - frames that many streams pull alike, as one block of bytes: built once, shared by reference. In a storm of
 * clients of the same channels each frame would otherwise be looked at and copied for each client, and the kernel would
 * read a thousand copies instead of one that the processor's cache holds.
 *
 * A loop keeps its newest runs (at most RUN_CACHE_SLOTS of 128 KiB) while any of its streams pulls. A run is found again by its first and last frame
 * (which it holds, so that their addresses are theirs alone) and by the channels it was made for. Thread: the loop's.
 */
#ifndef TAILWATER_HTTP_RUN_H
#define TAILWATER_HTTP_RUN_H

#include "frame.h"
#include "subscription.h"

struct run;

enum {
    RUN_FRAMES = 64,      /* a run ends where the number of an entry is a multiple of it: so all streams cut alike */
    RUN_CACHE_SLOTS = 64,
};

/* The runs of a loop; zeroed at first. */
struct run_cache {
    struct run_slot {
        struct run *run;
        const void *asked;    /* the first frame of the run that was asked for last, only to be compared, */
        uint64_t asked_print; /* and for what */
    } slots[RUN_CACHE_SLOTS];
};

/*
 * The events among these frames (in a row in their journal, from this number on) that this subscription wants, as SSE,
 * with chunk framing or without. NULL where nobody else has asked for them, one of them is more than an event, or they
 * are too large for a block: write them one by one. Borrowed until the next call.
 */
struct run *run_of(struct run_cache *cache, struct frame *const *frames, int count, uint64_t number,
                   const struct subscription *subscription, bool chunked);

struct slice run_bytes(const struct run *run);
unsigned run_events(const struct run *run);

/* The newest event in it; NULL when it holds none. */
const struct frame *run_last(const struct run *run);

struct run *run_ref(struct run *run);
void run_unref(struct run *run); /* NULL is fine */
void run_cache_clear(struct run_cache *cache);

#endif
