/*
 * loop_figures - what one loop tells about itself: written by the loop alone, so that counting costs a plain store, and
 * read by whoever asks. Each is a fact of its own. Thread: see the functions.
 */
#ifndef TAILWATER_HTTP_LOOP_FIGURES_H
#define TAILWATER_HTTP_LOOP_FIGURES_H

#include <stdatomic.h>
#include <stdint.h>

enum { LATENCY_BUCKETS = 16 };

struct loop_figures {
    _Atomic int64_t turned_us; /* monotonic time of its last turn; 0 = has not begun */
    _Atomic uint64_t pulling, catching_up, reading; /* streams, twice a second: not live, and what they do */
    _Atomic uint64_t sent_bytes;                    /* that the kernel took of its streams */
    _Atomic uint64_t latency[LATENCY_BUCKETS];      /* events pushed, by how old they were (see below) */
    _Atomic uint64_t latency_ms;                    /* their ages together */
    char apart[64];                                 /* from the next loop's: no cache line is shared */
};

/* Upper bounds of the buckets [ms], each included; the last bucket has none. */
static const int64_t loop_latency_bounds_ms[LATENCY_BUCKETS - 1] = {1,   2,    5,    10,   25,    50,    100,  250,
                                                                   500, 1000, 2500, 5000, 10000, 30000, 60000};

/* The loop's thread: so much more. */
static inline void loop_figure_add(_Atomic uint64_t *figure, uint64_t more)
{
    atomic_store_explicit(figure, atomic_load_explicit(figure, memory_order_relaxed) + more, memory_order_relaxed);
}

/* The loop's thread: so many streams were sent an event of this age. */
static inline void loop_figures_latency(struct loop_figures *figures, int64_t age_ms, uint64_t streams)
{
    int64_t age = age_ms > 0 ? age_ms : 0; /* the clocks of two machines differ */
    unsigned bucket = 0;
    while (bucket < LATENCY_BUCKETS - 1 && age > loop_latency_bounds_ms[bucket]) {
        bucket++;
    }
    loop_figure_add(&figures->latency[bucket], streams);
    loop_figure_add(&figures->latency_ms, (uint64_t)age * streams);
}

#endif
