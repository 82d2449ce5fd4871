/*
 * rows_pick - the rows that were picked so far, newest first: how many, how much memory, in which order of time. For
 * rows_read.c. Thread: owner only.
 */
#ifndef TAILWATER_MONGO_ROWS_PICK_H
#define TAILWATER_MONGO_ROWS_PICK_H

#include "frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rows_picked {
    int64_t time_ms; /* for merging */
    size_t number;   /* in which it came, for ties */
    struct frame *frame; /* one reference */
};

struct rows_pick {
    struct rows_picked *rows;
    size_t count, room;
    size_t bytes; /* as rows->bytes counts */
};

/* Add at the end; takes the reference. */
void rows_pick_add(struct rows_pick *pick, int64_t time_ms, struct frame *frame);

/* Sort by time, newest first, and keep the newest so many that take at most so many bytes. Returns whether any went. */
bool rows_pick_sort(struct rows_pick *pick, size_t limit, size_t max_bytes);

/* Give the frames, oldest first: an array on the heap with their references; the pick is empty then. */
struct frame **rows_pick_give(struct rows_pick *pick);

void rows_pick_fini(struct rows_pick *pick);

#endif
