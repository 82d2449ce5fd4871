/* rows - see rows.h. */
#include "rows.h"

#include "buffer.h"

#include <stdlib.h>
#include <string.h>

struct rows_key {
    int64_t hash;
    size_t index; /* in frames */
};

static int compare_keys(const void *a, const void *b)
{
    const struct rows_key *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

size_t rows_cost(const struct frame *frame)
{
    return frame_cost(frame) + sizeof(struct frame *) + sizeof(struct rows_key);
}

size_t rows_cost_empty(void)
{
    return sizeof(struct rows);
}

struct rows *rows_new(const struct rows_parts *parts)
{
    struct rows *rows = memory_zero(1, sizeof *rows);
    atomic_init(&rows->refs, 1);
    rows->frames = parts->frames;
    rows->count = parts->count;
    rows->complete = parts->complete;
    rows->advice = parts->advice;
    memcpy(rows->borders, parts->borders, sizeof rows->borders);
    rows->by_hash = memory_zero(parts->count + 1, sizeof *rows->by_hash);
    rows->bytes = rows_cost_empty();
    for (size_t i = 0; i < parts->count; i++) {
        rows->by_hash[i] = (struct rows_key){parts->frames[i]->id.hash, i};
        rows->bytes += rows_cost(parts->frames[i]);
    }
    qsort(rows->by_hash, rows->count, sizeof *rows->by_hash, compare_keys);
    return rows;
}

struct rows *rows_ref(struct rows *rows)
{
    atomic_fetch_add_explicit(&rows->refs, 1, memory_order_relaxed);
    return rows;
}

void rows_unref(struct rows *rows)
{
    if (!rows || atomic_fetch_sub_explicit(&rows->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < rows->count; i++) {
        frame_unref(rows->frames[i]);
    }
    free(rows->frames);
    free(rows->by_hash);
    free(rows->advice);
    free(rows);
}

static bool is_channel(const struct frame *frame, struct slice channel)
{
    struct slice own = frame_channel(frame);
    return own.len == channel.len && memcmp(own.data, channel.data, channel.len) == 0;
}

ptrdiff_t rows_find(const struct rows *rows, int64_t hash, struct slice channel)
{
    size_t low = 0, high = rows->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rows->by_hash[middle].hash < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < rows->count && rows->by_hash[low].hash == hash; low++) {
        if (is_channel(rows->frames[rows->by_hash[low].index], channel)) {
            return (ptrdiff_t)rows->by_hash[low].index;
        }
    }
    return -1;
}
