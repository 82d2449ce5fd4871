/*
 * watcher - the thread of one source: keeps a change stream open for ever and appends what it brings to the journal.
 *
 * opening -> scanning -> streaming -> backing off -> opening … ; history lost -> opening at the oldest entry that is left,
 * with a loss in the journal; stopping from anywhere. Backoff is bounded and jittered, never a hot loop.
 */
#ifndef TAILWATER_MONGO_WATCHER_H
#define TAILWATER_MONGO_WATCHER_H

#include "event_builder.h"
#include "reader.h"

struct watcher;

struct watcher_options {
    struct reader_options reader;
    int64_t warm_s; /* [s] how far in the past the first stream starts */
};

/* Start the thread. The database, mappings and source must outlive it. */
struct watcher *watcher_start(const struct watcher_options *options);

/* Ask it to stop; returns at once. */
void watcher_stop(struct watcher *watcher);

/* Wait for its end and free it. A server that does not answer can make this take seconds. */
void watcher_join(struct watcher *watcher);

#endif
