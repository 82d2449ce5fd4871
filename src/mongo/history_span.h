/*
 * history_span - a span of time, for the rows of a collection that are read newest first by its order field.
 *
 * A row's time is what its order value tells; an ObjectId or timestamp tells a second, inside which the document's own
 * time counts. Where the order value tells none it is the document's own time, and a row that has none belongs to
 * every span. Where order values are dates, timestamps or ObjectIds the span becomes bounds of the index; numbers and
 * text are read up to the first row before the span and then left by a leap. Thread: any, pure.
 */
#ifndef TAILWATER_MONGO_HISTORY_SPAN_H
#define TAILWATER_MONGO_HISTORY_SPAN_H

#include "history_cursor.h"

struct history_span {
    int64_t from_ms, to_ms; /* both included; 0 = no bound */
};

/* The condition on the order field that leaves out what is certainly outside; empty when there is nothing to leave out.
 * bson_destroy it. */
bson_t *history_span_condition(const struct history_span *span, const char *order);

/* Does the moment that begins at time_ms and lasts lasts_ms touch the span? */
bool history_span_touches(const struct history_span *span, int64_t time_ms, int64_t lasts_ms);

/* The order value's time lies before the span: may all further values of its kind be skipped? *place (initialised) is
 * where to go on then. */
bool history_span_leap(const struct history_span *span, const bson_iter_t *order, struct history_place *place);

#endif
