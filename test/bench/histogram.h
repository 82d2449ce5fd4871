/*
 * histogram - counts of durations with a bounded relative error of 1/64, from 1 us to more than an hour.
 * Thread: owner only. Zero-initialised it is empty.
 */
#ifndef TAILWATER_BENCH_HISTOGRAM_H
#define TAILWATER_BENCH_HISTOGRAM_H

#include <jansson.h>
#include <stdint.h>

enum {
    HISTOGRAM_STEPS = 64, /* per power of two */
    HISTOGRAM_POWERS = 34,
};

struct histogram {
    uint64_t buckets[HISTOGRAM_POWERS][HISTOGRAM_STEPS];
    uint64_t count;
    uint64_t sum_us;
    uint64_t max_us;
};

/* Count one duration; below 0 counts as 0 (clocks), above the range as its end. */
void histogram_add(struct histogram *h, int64_t us);

/* The duration that the given part (0..1) of all is not above; 0 when there is none [us]. */
uint64_t histogram_quantile(const struct histogram *h, double part);

/* {"count":…,"mean":…,"p50":…,"p90":…,"p99":…,"p999":…,"max":…} in milliseconds; the caller owns it. */
json_t *histogram_json(const struct histogram *h);

#endif
