/* histogram - see histogram.h. */
#include "histogram.h"

/* Row 0 holds 0..63 one by one; row n holds 64 equal steps of [64 << (n - 1), 64 << n). */
static void locate(uint64_t us, unsigned *row, unsigned *step)
{
    if (us < HISTOGRAM_STEPS) {
        *row = 0;
        *step = (unsigned)us;
        return;
    }
    unsigned power = 63u - (unsigned)__builtin_clzll(us); /* >= 6 */
    *row = power - 5;
    *step = (unsigned)(us >> (power - 6)) & (HISTOGRAM_STEPS - 1);
    if (*row >= HISTOGRAM_POWERS) {
        *row = HISTOGRAM_POWERS - 1;
        *step = HISTOGRAM_STEPS - 1;
    }
}

static uint64_t upper_end(unsigned row, unsigned step)
{
    if (row == 0) {
        return step;
    }
    return ((uint64_t)(HISTOGRAM_STEPS + step + 1) << (row - 1)) - 1;
}

void histogram_add(struct histogram *h, int64_t us)
{
    uint64_t value = us > 0 ? (uint64_t)us : 0;
    unsigned row, step;
    locate(value, &row, &step);
    h->buckets[row][step]++;
    h->count++;
    h->sum_us += value;
    if (value > h->max_us) {
        h->max_us = value;
    }
}

uint64_t histogram_quantile(const struct histogram *h, double part)
{
    uint64_t rank = (uint64_t)(part * (double)h->count);
    uint64_t seen = 0;
    for (unsigned row = 0; row < HISTOGRAM_POWERS; row++) {
        for (unsigned step = 0; step < HISTOGRAM_STEPS; step++) {
            seen += h->buckets[row][step];
            if (h->buckets[row][step] > 0 && seen >= rank) {
                uint64_t end = upper_end(row, step);
                return end < h->max_us ? end : h->max_us;
            }
        }
    }
    return h->max_us;
}

static double quantile_ms(const struct histogram *h, double part)
{
    return (double)histogram_quantile(h, part) / 1e3;
}

json_t *histogram_json(const struct histogram *h)
{
    double mean_ms = h->count > 0 ? (double)h->sum_us / (double)h->count / 1e3 : 0;
    return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "count", (json_int_t)h->count, "mean", mean_ms,
                     "p50", quantile_ms(h, 0.5), "p90", quantile_ms(h, 0.9), "p99", quantile_ms(h, 0.99),
                     "p999", quantile_ms(h, 0.999), "max", (double)h->max_us / 1e3);
}
