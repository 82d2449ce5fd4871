/*
 * own_event - the events of tailwater's own collection, where POST /api/publish stores them (CONTRACT section 5):
 *
 *     {_id, channel: "metrics:w1", event: "cpu", data: <any>, at: <date>}
 *
 * become {"channel":"metrics:w1","type":"cpu","ts":"…","_id":"…","data":…}. Other programs can write there, too: what is
 * no channel, no event's name, or a channel that the configured mappings can produce gives no event.
 * Thread: any, pure.
 */
#ifndef TAILWATER_MONGO_OWN_EVENT_H
#define TAILWATER_MONGO_OWN_EVENT_H

#include "mapping.h"

/* Borrows from the document. */
struct own_event {
    struct slice channel, event; /* valid ones */
    bson_iter_t id, data;
    bool has_id, has_data;
};

/* Returns 0, or -1 with what is wrong in *reason. */
int own_event_read(const struct mapping_set *set, const bson_t *document, struct own_event *out, struct error *reason);

/*
 * Append the data line. Where it is longer than max_bytes (0: any length), data is null and the line says so:
 * …,"truncated":true,"size":n,"data":null}; then an _id that takes more than a quarter of max_bytes is left out.
 */
void own_event_append(struct buffer *json, const struct own_event *event, int64_t ts_ms,
                      const struct bson_json_options *options, size_t max_bytes);

/* What POST /api/publish creates for the readers, as the array `indexes` of createIndexes: what is published goes after
 * ttl_s; {at, _id} for tails and history, {channel, at, _id} for those of some channels. */
void own_event_append_indexes(bson_t *command, int64_t ttl_s);

#endif
