/* rows_pick - see rows_pick.h. */
#include "rows_pick.h"

#include "buffer.h"
#include "rows.h"

#include <stdlib.h>
#include <string.h>

void rows_pick_add(struct rows_pick *pick, int64_t time_ms, struct frame *frame)
{
    if (pick->count == pick->room) {
        pick->room = pick->room ? pick->room * 2 : 64;
        pick->rows = memory_resize(pick->rows, pick->room * sizeof *pick->rows);
    }
    pick->rows[pick->count] = (struct rows_picked){time_ms, pick->count, frame};
    pick->count++;
    pick->bytes += rows_cost(frame);
}

static int compare_rows(const void *a, const void *b)
{
    const struct rows_picked *x = a, *y = b;
    if (x->time_ms != y->time_ms) {
        return x->time_ms > y->time_ms ? -1 : 1;
    }
    return (x->number > y->number) - (x->number < y->number);
}

static void drop_last(struct rows_pick *pick)
{
    struct frame *frame = pick->rows[--pick->count].frame;
    pick->bytes -= rows_cost(frame);
    frame_unref(frame);
}

bool rows_pick_sort(struct rows_pick *pick, size_t limit, size_t max_bytes)
{
    size_t before = pick->count;
    if (pick->count > 1) {
        qsort(pick->rows, pick->count, sizeof *pick->rows, compare_rows);
    }
    while (pick->count && (pick->count > limit || pick->bytes > max_bytes)) {
        drop_last(pick);
    }
    for (size_t i = 0; i < pick->count; i++) {
        pick->rows[i].number = i;
    }
    return pick->count < before;
}

struct frame **rows_pick_give(struct rows_pick *pick)
{
    struct frame **frames = memory_zero(pick->count + 1, sizeof *frames);
    for (size_t i = 0; i < pick->count; i++) {
        frames[i] = pick->rows[pick->count - 1 - i].frame;
    }
    pick->count = pick->bytes = 0;
    return frames;
}

void rows_pick_fini(struct rows_pick *pick)
{
    while (pick->count) {
        drop_last(pick);
    }
    free(pick->rows);
    *pick = (struct rows_pick){.rows = NULL};
}
