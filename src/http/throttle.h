/*
 * throttle - max_rate: at most so many events a second for one stream; the rest is dropped and counted by level until the
 * client is told (`skipped`). A bucket that holds one second's worth, so that a burst of that size passes.
 * Thread: owner only.
 */
#ifndef TAILWATER_HTTP_THROTTLE_H
#define TAILWATER_HTTP_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

enum { THROTTLE_LEVELS = 7 }; /* by enum frame_level / 10 */

struct throttle {
    uint32_t max_rate; /* events a second; 0 = no limit */
    int64_t credit;    /* millionths of an event */
    int64_t filled_us; /* when the credit was last raised; 0 = never */
    uint64_t skipped;  /* since the client was last told */
    uint32_t by_level[THROTTLE_LEVELS];
};

/* May an event of this level pass now? Counts it when not. */
bool throttle_take(struct throttle *throttle, uint8_t level, int64_t now_us);

/* The client was told of what was skipped. */
void throttle_told(struct throttle *throttle);

#endif
