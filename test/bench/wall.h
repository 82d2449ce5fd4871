/*
 * wall - the clock that the producer stamps with and the readers compare with. Thread: any.
 */
#ifndef TAILWATER_BENCH_WALL_H
#define TAILWATER_BENCH_WALL_H

#include <stdint.h>
#include <time.h>

/* Microseconds since 1970; CLOCK_REALTIME, so that processes agree. */
static inline int64_t wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

#endif
