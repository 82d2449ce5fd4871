/*
 * watcher - the thread of one source: keeps a change stream open for ever and appends what it brings to the journal.
 * Where there can be none, and if it may, it polls instead (poller.h) until there can.
 *
 * opening -> scanning -> streaming -> backing off -> opening … ; history lost -> opening at the oldest entry that is left,
 * with a loss in the journal; stopping from anywhere. Backoff is bounded and jittered, never a hot loop.
 */
#ifndef TAILWATER_MONGO_WATCHER_H
#define TAILWATER_MONGO_WATCHER_H

#include "event_builder.h"
#include "reader.h"
#include "rows_replay.h"
#include "warm_place.h"

struct watcher;

struct watcher_options {
    struct reader_options reader;
    bool may_poll;            /* where change streams are impossible; else they are waited for */
    int64_t poll_interval_ms; /* between the end of a look and the next */
    int64_t poll_overlap_s;   /* [s] how late a document may appear */
    struct warm_limits warm;    /* how far in the past the first stream starts; seconds 0 = not at all */
    int64_t oplog_window_min_s; /* [s] an oplog that reaches back less gives a notice */
    struct rows_replay_options replay; /* of its own losses */
    struct grant_book *grants; /* to be kept true by this source's stream, where its mappings name the collection, or
                                  NULL */
};

/* Start the thread. The database, mappings, source and book must outlive it; reader.grants is its own. */
struct watcher *watcher_start(const struct watcher_options *options);

/* Ask it to stop; returns at once. */
void watcher_stop(struct watcher *watcher);

/* Wait for its end and free it. A server that does not answer can make this take seconds. */
void watcher_join(struct watcher *watcher);

#endif
