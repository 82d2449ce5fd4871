/*
 * rows_read - the newest documents of some channels out of their collections, at one cluster time, so that live goes on
 * behind them with nothing missing and nothing double (CONTRACT section 4, tail=).
 *
 * All collections of a source are read by readConcern snapshot at one cluster time T: borders[i].covered =
 * borders[i].until = T. Where the server refuses (246 and its kin: capped, or created since; servers before 5.0) all
 * are read by majority with afterClusterTime: covered is that time, `until` the newest cluster time that the server
 * told after the last read.
 *
 * Every collection that could hold the channels is read newest first by its mapping's order field; rows are merged by
 * time, mapped forward, dropped unless channel and filter match. Bounded by limit, max_bytes, scan_max, the budget of
 * time and HISTORY_COLLECTIONS_MAX collections. What a bound cuts makes rows->complete false: of a span
 * (request->from_ms) whatever is left out, of the newest N only if fewer came.
 *
 * A collection without an index for its order field is read by _id, newest first, at most its share of scan_max, and
 * sorted here; rows->advice names the index then, and so it does where searching for the channels took too long.
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
    size_t scan_max;   /* documents read in all; never fewer than request->limit */
    int64_t budget_us; /* of all queries together; 0 = 10 s */
};

/* Gives one reference in *out. Returns 0, or -1 with *err when MongoDB could not be asked. */
int rows_read(const struct rows_read_options *options, const struct rows_request *request, struct rows **out,
              struct error *err);

#endif
