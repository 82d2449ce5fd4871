/*
 * history_scan - the rows of one collection in the order of its mapping's order field, from a place on, by index.
 *
 * Rows are sorted by the order field and then _id, so that a place is exact where many rows have the same order value;
 * an order field other than _id therefore needs an index on {order: 1, _id: 1} (or both -1). A query that MongoDB does
 * not answer within query_ms is asked again without the channels' condition: the caller then gets, and counts, every
 * row.
 * Times are a row's order value where that is an ObjectId or a time, else what mapping_time() finds.
 * Thread: the owner of the client.
 */
#ifndef TAILWATER_MONGO_HISTORY_SCAN_H
#define TAILWATER_MONGO_HISTORY_SCAN_H

#include "database.h"
#include "history_cursor.h"
#include "history_span.h"
#include "mapping.h"
#include "read_view.h"

/* What all scans of a page share. */
struct history_budget {
    int64_t deadline_us; /* monotonic; of all its queries together */
    int32_t query_ms;    /* for one query */
    bool plain;          /* a query took too long: ask without channels from here on */
    int32_t batch;       /* rows a round trip */
};

struct history_scan {
    /* set by the caller */
    unsigned source;
    const struct mapping *mapping;
    const struct history_cursor *begin;
    struct history_budget *budget;
    const struct history_span *span; /* leave out rows of other times; NULL = none. Newest first only */
    struct read_view *view;          /* read from it; NULL = what a majority has, at any time */
    bool loose;    /* in the order of _id all the same: there is no index for the order field */
    char *name;    /* of the collection; owned */
    bson_t *filter; /* of inverse_filter(); owned */
    mongoc_collection_t *collection; /* owned */
    char key[HISTORY_COLLECTION_KEY];

    /* the row that it stands on */
    const bson_t *document; /* NULL: at the end; valid until the next call */
    bool skipped;           /* it is outside the time that was asked for: count it and go on */
    bool slow;              /* a query of this scan took too long */
    int64_t time_ms;        /* for merging; a row that tells no time has that of the row before */
    int64_t ts_ms;          /* the document's own time, for people; 0 when it tells none */
    int64_t told_ms;        /* the time that decides whether it is skipped; 0 when it tells none */

    /* inside */
    struct history_place here, last; /* of `document` and of the row before it, or where the scan began */
    bool has_last, plain, timeless;
    char *index; /* to hint; NULL = _id */
    mongoc_cursor_t *cursor; /* NULL: */
    struct error failed;     /* why the query could not be asked */
};

enum history_scan_outcome {
    HISTORY_SCAN_READY = 0,
    HISTORY_SCAN_NO_INDEX = 1, /* *err names the index to create; it may be started again as a loose one */
};

enum { HISTORY_SCAN_LATE = 50 }; /* err->code: the time is over. The server's own code for it */

/* Stand on the first row. Returns an outcome, or -1 with *err. */
int history_scan_start(struct history_scan *scan, struct error *err);

/* Stand on the next row. Returns 0, or -1 with *err. */
int history_scan_next(struct history_scan *scan, struct error *err);

/* Before the start: the first row of the channels that fulfils the condition {_id: …}. Returns 0, or -1 with *err;
 * where there is a row the scan stands on it, with its times. */
int history_scan_find(struct history_scan *scan, const bson_t *condition, struct error *err);

/* Make the row that it stands on, found by its _id, the place where reading shall begin. */
void history_scan_begin_here(struct history_scan *scan, struct history_cursor *begin);

/* Add to the cursor where to go on. */
void history_scan_save(const struct history_scan *scan, struct history_cursor *cursor);

void history_scan_fini(struct history_scan *scan);

#endif
