/*
 * event_builder - from a change (or a document) to an event: channel, keys, JSON, id, frame, in one pass.
 *
 * One builder a thread (watcher, sweep, job): it keeps buffers and, per cluster time, the counts that number equal
 * events (event_id_hash's ordinal). Thread: owner only.
 */
#ifndef TAILWATER_MONGO_EVENT_BUILDER_H
#define TAILWATER_MONGO_EVENT_BUILDER_H

#include "change.h"
#include "mapping.h"

struct event_builder;

enum event_outcome {
    EVENT_BUILT = 0,
    EVENT_UNCOVERED,  /* no mapping takes it, or an operation that carries no document */
    EVENT_UNROUTABLE, /* a field of the channel is missing or ill-typed (own_event.h: any field); reason says which */
    EVENT_OVERSIZE,   /* the document was stripped by the pipeline; *frame is a FRAME_OVERSIZE */
};

struct event_builder_options {
    enum json_style style;
    size_t max_event_bytes; /* of the data line; larger ones are truncated as CONTRACT section 2 says. What stands in
                               front of log_data (channel, labels, keys: at most 12 KB, usually 200 bytes) is not cut */
    unsigned max_depth;     /* nesting of documents beyond it becomes null; 0 = 100 */
};

struct event_builder *event_builder_new(const struct mapping_set *set, const struct event_builder_options *options);
void event_builder_free(struct event_builder *builder);

/*
 * Build the frame of one change. Changes must come in stream order, and every cluster time from its first
 * event on, or the ordinals are wrong. change: borrowed.
 * Returns an event_outcome; *frame gives one reference for BUILT and OVERSIZE, else NULL.
 * For UNROUTABLE *reason tells field and _id (for a log line).
 *
 * Events of one cluster time count as equal when their 48 bits of namespace, _id and operation are; so the ids of a
 * cluster time differ even where those bits collide. The id of an oversize event is hashed from its token's text.
 */
enum event_outcome event_builder_change(struct event_builder *builder, const struct change *change,
                                        struct frame **frame, struct error *reason);

/*
 * The event of a document read from a collection. The channel is appended to `channel`, the data line to `json`
 * (not truncated when whole). ts_ms: what stands as "ts" (mapping_time() knows the document's own). The mapping's
 * `match` is not looked at: find with mapping_filter().
 * Returns EVENT_BUILT, EVENT_UNCOVERED or EVENT_UNROUTABLE (with reason).
 */
enum event_outcome event_builder_document(struct event_builder *builder, struct slice database, struct slice collection,
                                          const bson_t *document, int64_t ts_ms, bool whole, struct buffer *channel,
                                          struct buffer *json, struct error *reason);

/* The hash in the id of the event that the insert of this document is in the change stream, if it is the first of its
 * _id in its cluster time. database and collection: where it was read. */
int64_t event_builder_insert_hash(struct event_builder *builder, struct slice database, struct slice collection,
                                  const bson_t *document);

/* The SSE event name of the last event that was built; valid as long as its document. */
struct slice event_builder_event(const struct event_builder *builder);

/* The severity of the last event that was built (as frame->level). */
uint8_t event_builder_level(const struct event_builder *builder);

#endif
