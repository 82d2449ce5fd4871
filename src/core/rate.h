/*
 * rate - a bucket of tokens: so many a second, and at most one second's worth at once. Shared by threads: one atomic word.
 */
#ifndef TAILWATER_CORE_RATE_H
#define TAILWATER_CORE_RATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct rate {
    _Atomic int64_t free_at_us; /* monotonic time from which on the bucket is full again; 0 = unused */
};

/* Take `count` at this monotonic time. max_per_s 0 = no limit. False when there are not so many: nothing was taken. More
 * than a second's worth is taken only from a full bucket. */
bool rate_take(struct rate *rate, uint64_t max_per_s, uint64_t count, int64_t now_us);

#endif
