/*
 * poller - follows a source without a change stream: looks at its collections from time to time and appends what is new
 * to the journal, as frames without ids.
 *
 * A look lists the collections now and then, asks each for the keys in its window (poll_window.h), oldest first, and
 * fetches the documents that were not seen before. Frames are numbered 1, 2, 3, …, over all looks of the process, as
 * cluster times below all real ones (EVENT_ID_FIRST_REAL). Replacements and deletions are not seen; neither is a
 * document that appears later than the overlap, or that has no order field, or one of another type than the newest one's.
 *
 * Thread: the watcher's.
 */
#ifndef TAILWATER_MONGO_POLLER_H
#define TAILWATER_MONGO_POLLER_H

#include "reader.h"

struct poller;

struct poller_options {
    struct reader_options reader;
    int64_t overlap_s;
    bool (*must_stop)(void *context); /* asked between questions to the server */
    void *context;
};

struct poller *poller_new(const struct poller_options *options);
void poller_free(struct poller *poller);

/* Forget all collections: the next look begins at the present, and gives nothing. */
void poller_reset(struct poller *poller);

/* The number of the newest frame. */
uint64_t poller_clock(const struct poller *poller);

/*
 * Look once. at: as everything was at this cluster time, or 0. A collection that cannot be read does not keep the
 * others from being read. Returns 0, also when it was stopped, or -1 with *err and its code when nothing could be read.
 */
int poller_look(struct poller *poller, uint64_t at, struct error *err);

/* Are all collections that the mappings cover, and at least one, of a kind that has no change stream? False also when
 * that cannot be found out. */
bool poller_is_needed(mongoc_client_t *client, const struct mapping_set *mappings);

#endif
