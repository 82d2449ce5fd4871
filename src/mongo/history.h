/*
 * history - one page of what collections hold of some channels: GET /api/logs/history (CONTRACT section 5).
 *
 * Every collection that could hold them is read by its order field, and the rows are merged by time. Each is mapped
 * forward and dropped unless its channel is asked for and the filter passes; the rest are the same JSON as live, but
 * for "ts": a document does not know when it was written, so it is the document's own time (mapping_time()), else what
 * its order value tells, else 1970.
 * Bounded: scan_max rows, PAGE_BYTES of JSON, 10 s in MongoDB, HISTORY_COLLECTIONS_MAX collections.
 * Thread: a blocking one.
 */
#ifndef TAILWATER_MONGO_HISTORY_H
#define TAILWATER_MONGO_HISTORY_H

#include "event_builder.h"
#include "job.h"
#include "job_pool.h"

struct history_options {
    const struct job_source *sources;
    unsigned source_count;
    struct event_builder_options build;
    size_t scan_max; /* rows read for a page */
};

enum history_outcome {
    HISTORY_PAGE = 0,
    HISTORY_REFUSED = 1, /* the client's fault: *code and *err say what */
};

/*
 * Append {"events":[…],"next":…,"complete":…,"scanned":…} to `json`. next: null at the end. complete: false when the
 * page is shorter than it was asked to be, although there may be more.
 * Returns an outcome, or -1 with *err when MongoDB could not be asked; `json` holds a part then.
 */
int history_read(const struct history_options *options, struct history_request *request, struct buffer *json,
                 const char **code, struct error *err);

#endif
