/*
 * event_lookup - one document whole, by channel and _id: GET /api/logs/event (CONTRACT section 5).
 *
 * The id is text; documents are looked for under every type with that text, in the collections that a mapping covers, and
 * each one found is mapped forward: only one whose channel is the asked one is given out.
 * Thread: a blocking one.
 */
#ifndef TAILWATER_MONGO_EVENT_LOOKUP_H
#define TAILWATER_MONGO_EVENT_LOOKUP_H

#include "database.h"
#include "event_builder.h"

enum event_lookup_outcome {
    EVENT_LOOKUP_FOUND = 0,
    EVENT_LOOKUP_NONE = 1,
};

/* Append the event's JSON to `json`. Returns an outcome, or -1 with *err when MongoDB could not be asked. */
int event_lookup(struct database *db, const struct mapping_set *mappings, const struct event_builder_options *build,
                 struct slice channel, struct slice id, struct buffer *json, struct error *err);

#endif
