/*
 * history_plan - what to read of some channels: of which sources and collections, merged by time; and from a row to its
 * event. Shared by pages of history and by rows.
 * Thread: a blocking one.
 */
#ifndef TAILWATER_MONGO_HISTORY_PLAN_H
#define TAILWATER_MONGO_HISTORY_PLAN_H

#include "event_builder.h"
#include "history_scan.h"
#include "job_pool.h"

enum { HISTORY_COLLECTIONS_MAX = 256 };

/* One source while it is read. */
struct history_source {
    mongoc_client_t *client;
    struct event_builder *builder;
    struct read_view *view; /* for the scans that are added; may be NULL */
};

struct history_plan {
    /* set by the caller */
    const struct job_source *sources;
    unsigned source_count;
    struct event_builder_options build;
    char *const *channels; /* valid channels and patterns */
    size_t channel_count;
    const struct history_span *span; /* for the scans that are added; may be NULL */

    /* for the caller to set and read between the calls */
    struct history_cursor begin;
    struct history_budget budget;
    struct history_source *open; /* by source index */
    struct slice *patterns;      /* the channels */
    struct history_scan *scans;
    size_t scan_count;
    struct buffer channel, line; /* of the event that was built last */
};

enum history_plan_outcome {
    HISTORY_PLAN_DONE = 0,
    HISTORY_PLAN_FULL = 1, /* there are more collections than HISTORY_COLLECTIONS_MAX */
};

/* Begin. budget_us: for all queries together. */
void history_plan_init(struct history_plan *plan, int64_t budget_us);

/* Borrow a client and make a builder. Returns 0, or -1 with *err. */
int history_plan_open(struct history_plan *plan, unsigned source, struct error *err);

/* Add a scan for every collection of the opened source that could hold the channels. Returns an outcome, or -1 with
 * *err. */
int history_plan_add(struct history_plan *plan, unsigned source, struct error *err);

/* How many rows a round trip shall bring when all scans together shall give `rows`. */
void history_plan_share(struct history_plan *plan, size_t rows, int32_t batch_max);

/* The scan whose row comes next, or NULL at the end. */
struct history_scan *history_plan_next(struct history_plan *plan);

/* Build the event of the scan's row in plan->channel and plan->line; false when its channel is not asked for. */
bool history_plan_build(struct history_plan *plan, const struct history_scan *scan);

/* Close the scans and give everything back. */
void history_plan_fini(struct history_plan *plan);

#endif
