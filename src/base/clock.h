/*
 * clock - time. Durations and deadlines are monotonic microseconds; wall time is only for people, tokens and lag.
 * Thread: any.
 */
#ifndef TAILWATER_BASE_CLOCK_H
#define TAILWATER_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Monotonic time [us]. */
int64_t clock_mono_us(void);

/* Wall clock, milliseconds since 1970 UTC. */
int64_t clock_wall_ms(void);

/* The moment in_ms from now, as pthread_cond_timedwait() wants it. */
struct timespec clock_deadline(int64_t in_ms);

/* "2026-11-21T09:52:13.021Z" is 24 bytes; years outside 0..9999 take more. */
enum { CLOCK_ISO_MAX = 40 };

/* Write wall_ms as ISO 8601 UTC with milliseconds and a NUL; returns the length. */
size_t clock_format_iso(int64_t wall_ms, char out[CLOCK_ISO_MAX]);

#endif
