/*
 * rows_read - the newest documents of some channels out of their collections, at one cluster time, so that live goes on
 * behind them with nothing missing and nothing double (CONTRACT section 4, tail=).
 *
 * All collections of a source are read by readConcern snapshot at the first read's atClusterTime T: borders[i].covered =
 * borders[i].until = T. Where the server refuses (246 and its kin: capped, or created since; servers before 5.0) all are
 * read by majority with afterClusterTime: covered is that time, `until` the newest cluster time that any answer told.
 *
 * Every collection that could hold the channels is read newest first by its mapping's order field; rows are merged by
 * time, mapped forward, dropped unless channel and filter match. Bounded by limit, max_bytes, scan_max, 10 s in MongoDB
 * and HISTORY_COLLECTIONS_MAX collections; where a bound cuts, rows->complete is false. A collection without an index
 * for its order field is read by _id, and rows->advice names the index; so it does where scan_max was hit.
 * Thread: a blocking one.
 */
#ifndef TAILWATER_MONGO_ROWS_READ_H
#define TAILWATER_MONGO_ROWS_READ_H

#include "event_builder.h"
#include "job.h"
#include "job_pool.h"

struct rows_read_options {
    const struct job_source *sources;
    unsigned source_count;
    struct event_builder_options build;
    size_t scan_max; /* documents read in all */
};

enum rows_read_outcome {
    ROWS_READ_DONE = 0,
    ROWS_READ_REFUSED = 1, /* the client's fault: *code and *err say what */
};

/* Gives one reference in *out. Returns an outcome, or -1 with *err when MongoDB could not be asked. */
int rows_read(const struct rows_read_options *options, const struct rows_request *request, struct rows **out,
              const char **code, struct error *err);

#endif
