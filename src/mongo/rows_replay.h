/*
 * rows_replay - what the collections of a source still hold of a span that its change stream has lost, for every
 * channel; read once, by the watcher, and shared by all readers that cross the loss.
 * Thread: a blocking one.
 */
#ifndef TAILWATER_MONGO_ROWS_REPLAY_H
#define TAILWATER_MONGO_ROWS_REPLAY_H

#include "reader.h"
#include "rows.h"

struct rows_replay_options {
    size_t max;       /* rows; 0 = no replay */
    size_t max_bytes; /* of all of them */
    size_t scan_max;  /* documents read */
};

/* Read the documents of the times between two cluster times, widened by 60 s on both sides. Gives one reference;
 * without rows and not complete when reading failed (which is logged); NULL when there shall be no replay. */
struct rows *rows_replay_read(const struct reader_options *reader, const struct rows_replay_options *options,
                              uint64_t from, uint64_t to);

#endif
