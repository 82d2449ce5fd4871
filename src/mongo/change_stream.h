/*
 * change_stream - one open change stream, by raw aggregate and getMore commands.
 *
 * Raw commands instead of mongoc_change_stream_t, because a watcher wants whole batches, its own timeouts and no hidden
 * resume (libmongoc 1.x can loop inside one call for ever; reference/engineering A2). Works the same on 1.23 and 2.x.
 * Thread: the owner of the client.
 */
#ifndef TAILWATER_MONGO_CHANGE_STREAM_H
#define TAILWATER_MONGO_CHANGE_STREAM_H

#include "error.h"
#include "mapping.h"

#include <mongoc/mongoc.h>

struct change_stream;

struct change_stream_options {
    const struct mapping_set *mappings; /* scope and pipeline */
    uint64_t start;                     /* first cluster time wanted */
    bool drop_oversize, with_grants;    /* see mapping_set_pipeline */
    int32_t batch_size;
    int64_t max_await_ms;
};

/* What a getMore brought; valid until the next call. */
struct change_batch {
    bson_iter_t documents;  /* before the first change: bson_iter_next, then a document */
    bool empty;             /* nothing came: the tail is reached and everything was read */
    uint64_t complete;      /* of an empty batch: every event up to this cluster time was delivered; 0 = unknown */
    uint64_t cluster_time;  /* newest time the deployment told, 0 = none */
};

/* Returns 0, or -1 with *err and its code. The first getMore does the scan, not this. */
int change_stream_open(mongoc_client_t *client, const struct change_stream_options *options,
                       struct change_stream **out, struct error *err);

/* Wait at most max_await_ms at the tail (the first call hardly at all: it tells whether the start point is still there).
 * Returns 0, or -1 with *err: then the stream is over, close it. */
int change_stream_next(struct change_stream *stream, struct change_batch *batch, struct error *err);

/* Of the answers from now on. */
void change_stream_set_batch_size(struct change_stream *stream, int32_t batch_size);

/* Also tells the server to close its cursor, when `polite`; a server that does not answer is left alone otherwise. */
void change_stream_close(struct change_stream *stream, bool polite);

#endif
