/* lateness - see lateness.h. */
#include "lateness.h"

#include <stdlib.h>
#include <string.h>

enum {
    SAMPLE_EVERY_US = 250000,
    SAMPLES_LEAST = 60,
    EVENTS_A_MOMENT_MOST = 16,
    /* A flush every 100 ms puts 90 ms between the 5th and the 95th percentile. */
    FLUSHED_LEAST_MS = 60,
    FLUSHED_MOST_MS = 130,
    PROMPT_MOST_MS = 20,
};

/* Any of them with the same probability, without a random number: the golden ratio spreads evenly. */
static size_t choose(uint64_t turn, size_t count)
{
    double at = (double)turn * 0.6180339887498949;
    size_t chosen = (size_t)((at - (double)(uint64_t)at) * (double)count);
    return chosen < count ? chosen : count - 1;
}

static int32_t clamp(int64_t ms)
{
    return ms > INT32_MAX ? INT32_MAX : ms < INT32_MIN ? INT32_MIN : (int32_t)ms;
}

void lateness_take(struct lateness *l, const struct lateness_batch *batch, int64_t now_wall_ms, int64_t now_mono_us)
{
    bool too_soon = l->taken && now_mono_us < l->taken_us + SAMPLE_EVERY_US;
    if (too_soon || batch->moment_count == 0 || batch->events > batch->moment_count * EVENTS_A_MOMENT_MOST) {
        return;
    }
    int64_t wall_ms = batch->moments[choose(l->taken, batch->moment_count)];
    l->late_ms[l->taken++ % LATENESS_SAMPLES] = clamp(now_wall_ms - wall_ms);
    l->taken_us = now_mono_us;
}

static int ascending(const void *a, const void *b)
{
    int32_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* Where the samples lie, as distances from the 5th percentile, which hides an offset and a stray one. */
struct shape {
    int64_t p25, p50, p75, p95;
};

static struct shape measure(const struct lateness *l, size_t count)
{
    int32_t sorted[LATENESS_SAMPLES];
    memcpy(sorted, l->late_ms, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, ascending);
    int64_t least = sorted[count * 5 / 100];
    return (struct shape){
        .p25 = sorted[count / 4] - least,
        .p50 = sorted[count / 2] - least,
        .p75 = sorted[count * 3 / 4] - least,
        .p95 = sorted[count * 95 / 100] - least,
    };
}

/* Spread evenly over the time between two flushes? */
static bool is_even(const struct shape *s)
{
    int64_t half = s->p75 - s->p25;
    return s->p95 >= FLUSHED_LEAST_MS && s->p95 <= FLUSHED_MOST_MS && s->p50 * 10 >= s->p95 * 3 &&
           s->p50 * 10 <= s->p95 * 7 && half * 100 >= s->p95 * 35 && half * 100 <= s->p95 * 75;
}

enum lateness_verdict lateness_judge(const struct lateness *l, int64_t *typical_ms)
{
    size_t count = l->taken < LATENESS_SAMPLES ? (size_t)l->taken : LATENESS_SAMPLES;
    *typical_ms = 0;
    if (count < SAMPLES_LEAST) {
        return LATENESS_UNKNOWN;
    }
    struct shape shape = measure(l, count);
    *typical_ms = shape.p50;
    return is_even(&shape) ? LATENESS_FLUSHED : shape.p75 < PROMPT_MOST_MS ? LATENESS_PROMPT : LATENESS_UNKNOWN;
}
