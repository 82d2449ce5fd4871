/*
 * rows - events read from collections instead of a change stream: the answer to tail= and since=, and what is left of
 * a span whose history was lost. Frames without an id, oldest first, shared by reference.
 *
 * A row's frame is made without an id line. Its id has no cluster time, but the hash that the insert of the same
 * document has in the change stream (event_id_hash with operation 'i' and ordinal 0). By it a stream that goes on live
 * leaves out what it has already sent: `covered` and `until` say for which cluster times that is needed.
 *
 * Thread: any; constant after rows_new() but for the atomic reference count.
 */
#ifndef TAILWATER_CORE_ROWS_H
#define TAILWATER_CORE_ROWS_H

#include "frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ROWS_SOURCES_MAX = 4,
    ROWS_AROUND_S = 60, /* a lost span is widened by this: clocks of writers differ, and documents are written late */
};

/* How a source goes on behind the rows; cluster times, 0 = it was not read, or has none (a standalone server). */
struct rows_border {
    uint64_t covered; /* every document written up to here was seen: live begins one increment later */
    uint64_t until;   /* documents written up to here may be among the rows too; == covered after a snapshot read */
};

struct rows {
    _Atomic uint32_t refs;
    struct frame **frames;
    size_t count;
    size_t bytes;   /* memory of all of it */
    bool complete;  /* all that was asked for is here; false: a limit was hit, and `advice` may say what to do */
    char *advice;   /* a sentence for operators that names the index to create, or NULL */
    struct rows_border borders[ROWS_SOURCES_MAX]; /* by source index */
    struct rows_key *by_hash; /* sorted */
};

/* What rows_new() takes over: the array (heap) and a reference of each frame, oldest first, and the advice (heap). */
struct rows_parts {
    struct frame **frames;
    size_t count;
    bool complete;
    char *advice;
    struct rows_border borders[ROWS_SOURCES_MAX];
};

/* Memory of one row among others, and of rows without any: rows->bytes is their sum. */
size_t rows_cost(const struct frame *frame);
size_t rows_cost_empty(void);

/* Gives one reference. */
struct rows *rows_new(const struct rows_parts *parts);
struct rows *rows_ref(struct rows *rows);
void rows_unref(struct rows *rows); /* NULL is fine */

/* The index in `frames` of the row of the document whose insert has this hash and this channel; -1 when there is none. */
ptrdiff_t rows_find(const struct rows *rows, int64_t hash, struct slice channel);

#endif
