/* event_builder - see event_builder.h. */
#include "event_builder.h"

#include "bson_json.h"
#include "event_cut.h"
#include "event_ordinal.h"
#include "field_path.h"
#include "json_scalar.h"
#include "own_event.h"
#include "template.h"

#include <stdlib.h>
#include <string.h>

enum {
    NAMESPACE_MAX = 512,   /* MongoDB allows 255 bytes */
    BUFFER_KEPT = 1 << 20, /* bytes of memory that a giant document may leave behind */
    ID_SHOWN = 120,        /* bytes of _id in a log line */
};

struct event_builder {
    const struct mapping_set *set;
    struct event_builder_options options;
    struct event_ordinal ordinal;
    struct buffer channel, data, key;
    struct template_values values;
    struct own_event own; /* in place of values */
    struct slice event;
    uint8_t level;
    /* The last change's namespace and who takes it: most changes of a source come from few collections. */
    char ns[NAMESPACE_MAX];
    size_t ns_len;
    const struct mapping *ns_mapping;
};

struct event_builder *event_builder_new(const struct mapping_set *set, const struct event_builder_options *options)
{
    struct event_builder *b = memory_zero(1, sizeof *b);
    b->set = set;
    b->options = *options;
    event_ordinal_init(&b->ordinal);
    return b;
}

void event_builder_free(struct event_builder *builder)
{
    if (!builder) {
        return;
    }
    event_ordinal_fini(&builder->ordinal);
    buffer_fini(&builder->channel);
    buffer_fini(&builder->data);
    buffer_fini(&builder->key);
    free(builder);
}

struct slice event_builder_event(const struct event_builder *builder)
{
    return builder->event;
}

uint8_t event_builder_level(const struct event_builder *builder)
{
    return builder->level;
}

/* --- the data line ------------------------------------------------------------------------------ */

/* A document on its way to an event. */
struct event {
    const struct mapping *mapping;
    struct slice database, collection;
    const bson_t *document;
    int64_t ts_ms;
};

static bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* The event's own members win; the field is still in log_data. */
static bool is_own_member(struct slice name)
{
    static const char *const own[] = {"channel", "type", "ts", "log_data", "truncated", "size"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (slice_equal(name, (struct slice){own[i], strlen(own[i])})) {
            return true;
        }
    }
    return false;
}

static bool is_written(const struct template_values *values, size_t before, struct slice name)
{
    for (size_t i = 0; i < before; i++) {
        if (slice_equal(values->at[i].name, name) || slice_equal(values->at[i].source, name)) {
            return true;
        }
    }
    return false;
}

static void append_member(struct buffer *json, struct slice name, struct slice text)
{
    json_append_string(json, name.data, name.len);
    buffer_append_byte(json, ':');
    json_append_string(json, text.data, text.len);
    buffer_append_byte(json, ',');
}

/* The placeholders, each under its first name and under the one it came from, no name twice. */
static void append_values(struct buffer *json, const struct template_values *values)
{
    for (size_t i = 0; i < values->count; i++) {
        const struct template_value *value = &values->at[i];
        if (!is_own_member(value->name) && !is_written(values, i, value->name)) {
            append_member(json, value->name, value->text);
        }
        bool same = slice_equal(value->source, value->name);
        if (!same && !is_own_member(value->source) && !is_written(values, i, value->source)) {
            append_member(json, value->source, value->text);
        }
    }
}

/* Everything in front of log_data and, when it was cut, of what tells so. */
static void append_head(struct buffer *json, const struct event *event, struct slice channel,
                        const struct template_values *values)
{
    buffer_append_text(json, "{\"channel\":");
    json_append_string(json, channel.data, channel.len);
    buffer_append_text(json, ",\"type\":\"log\",");
    mapping_append_labels(event->mapping, event->collection, json);
    append_values(json, values);
    buffer_append_text(json, "\"ts\":\"");
    json_append_time(json, event->ts_ms);
    buffer_append_text(json, "\",");
}

/* The event's line; cut when it is longer than max_bytes (0: any length). */
static void append_line(const struct event_builder *b, struct buffer *json, const struct event *event,
                        struct slice channel, size_t max_bytes)
{
    struct bson_json_options options = {b->options.style, b->options.max_depth, mapping_json_filter(event->mapping)};
    if (mapping_is_own(event->mapping)) {
        own_event_append(json, &b->own, event->ts_ms, &options, max_bytes);
        return;
    }
    size_t start = json->len;
    append_head(json, event, channel, &b->values);
    size_t head = json->len;
    buffer_append_text(json, "\"log_data\":");
    bson_json_append(json, event->document, &options);
    buffer_append_byte(json, '}');
    size_t size = json->len - start;
    if (!max_bytes || size <= max_bytes) {
        return;
    }
    json->len = head;
    buffer_printf(json, "\"truncated\":true,\"size\":%zu,\"log_data\":", size);
    size_t used = json->len - start + 1;
    event_cut_append(json, event->mapping, event->document, &options, used < max_bytes ? max_bytes - used : 0);
    buffer_append_byte(json, '}');
}

/* --- routing ------------------------------------------------------------------------------------ */

/* Put the document's _id behind the sentence. */
static void name_document(const bson_t *document, struct error *reason)
{
    struct buffer id = BUFFER_INIT;
    struct error why = *reason;
    bson_iter_t at;
    if (field_path_find(document, "_id", 3, &at)) {
        bson_json_append_value(&id, &at, &(struct bson_json_options){.style = JSON_STYLE_PLAIN});
    }
    bool cut = id.len > ID_SHOWN;
    size_t shown = cut ? event_cut_string(id.data, id.len, ID_SHOWN) : id.len;
    error_set(reason, "%.300s (_id %.*s%s)", why.text, (int)shown, buffer_text(&id), cut ? "…" : "");
    buffer_fini(&id);
}

static int route_own(struct event_builder *b, const struct event *event, struct buffer *channel, struct error *reason)
{
    if (own_event_read(b->set, event->document, &b->own, reason) != 0) {
        return -1;
    }
    buffer_append(channel, b->own.channel.data, b->own.channel.len);
    b->event = b->own.event;
    return 0;
}

static int route_log(struct event_builder *b, const struct event *event, struct buffer *channel, struct error *reason)
{
    b->event = mapping_event(event->mapping);
    return template_expand(mapping_channel(event->mapping), event->database, event->collection, event->document,
                           channel, &b->values, reason);
}

static enum event_outcome route(struct event_builder *b, const struct event *event, struct buffer *channel,
                                struct error *reason)
{
    struct error ignored;
    struct error *why = reason ? reason : &ignored;
    int rc = mapping_is_own(event->mapping) ? route_own(b, event, channel, why) : route_log(b, event, channel, why);
    if (rc == 0) {
        return EVENT_BUILT;
    }
    if (reason) {
        name_document(event->document, reason);
    }
    return EVENT_UNROUTABLE;
}

enum event_outcome event_builder_document(struct event_builder *builder, struct slice database, struct slice collection,
                                          const bson_t *document, int64_t ts_ms, bool whole, struct buffer *channel,
                                          struct buffer *json, struct error *reason)
{
    struct event event = {mapping_set_find(builder->set, database, collection), database, collection, document, ts_ms};
    if (!event.mapping) {
        return EVENT_UNCOVERED;
    }
    size_t start = channel->len;
    enum event_outcome outcome = route(builder, &event, channel, reason);
    if (outcome != EVENT_BUILT) {
        channel->len = start;
        return outcome;
    }
    builder->level = mapping_level(event.mapping, document);
    struct slice name = {channel->data + start, channel->len - start};
    append_line(builder, json, &event, name, whole ? 0 : builder->options.max_event_bytes);
    return EVENT_BUILT;
}

/* --- changes ------------------------------------------------------------------------------------ */

/* 'i', 'r', or 0 for an operation that carries no document. */
static char operation_of(const struct change *change)
{
    if (slice_equal(change->operation, (struct slice){"insert", 6})) {
        return 'i';
    }
    return slice_equal(change->operation, (struct slice){"replace", 7}) ? 'r' : 0;
}

/* Make b->ns this namespace and b->ns_mapping who takes it. Returns 0, or -1 when it cannot be one. */
static int enter_namespace(struct event_builder *b, struct slice database, struct slice collection)
{
    size_t db_len = database.len, coll_len = collection.len;
    size_t len = db_len + 1 + coll_len;
    if (db_len == 0 || coll_len == 0 || len > sizeof b->ns) {
        return -1;
    }
    if (len == b->ns_len && b->ns[db_len] == '.' && memcmp(b->ns, database.data, db_len) == 0 &&
        memcmp(b->ns + db_len + 1, collection.data, coll_len) == 0) {
        return 0;
    }
    memcpy(b->ns, database.data, db_len);
    b->ns[db_len] = '.';
    memcpy(b->ns + db_len + 1, collection.data, coll_len);
    b->ns_len = len;
    b->ns_mapping = mapping_set_find(b->set, database, collection);
    return 0;
}

/* The type byte and the value bytes of _id, in b->key. */
static void take_key(struct event_builder *b, const bson_t *document)
{
    bson_iter_t at;
    buffer_reset(&b->key);
    if (!field_path_find(document, "_id", 3, &at)) {
        return;
    }
    uint32_t value = at.key + bson_iter_key_len(&at) + 1;
    buffer_append_byte(&b->key, (char)bson_iter_type(&at));
    buffer_append(&b->key, at.raw + value, at.next_off - value);
}

/* The hash of an event in the entered namespace whose _id was taken. */
static int64_t hash_taken(const struct event_builder *b, char operation, uint32_t ordinal)
{
    return event_id_hash(b->ns, b->ns_len, b->key.data ? b->key.data : "", b->key.len, operation, ordinal);
}

/* Every insert and replacement counts, also those that become no event: ids must not depend on the mapping. */
static struct event_id identify(struct event_builder *b, const struct change *change, char operation)
{
    struct event_id id = {.cluster_time = change->cluster_time};
    if (!change->has_document) {
        id.hash = event_id_hash(b->ns, b->ns_len, change->token.data, change->token.len, operation, 0);
        return id;
    }
    take_key(b, &change->document);
    id.hash = hash_taken(b, operation, 0);
    uint32_t ordinal = event_ordinal_next(&b->ordinal, id.cluster_time, (uint64_t)id.hash + 1);
    if (ordinal > 0) {
        id.hash = hash_taken(b, operation, ordinal);
    }
    return id;
}

int64_t event_builder_insert_hash(struct event_builder *builder, struct slice database, struct slice collection,
                                  const bson_t *document)
{
    enter_namespace(builder, database, collection);
    take_key(builder, document);
    return hash_taken(builder, 'i', 0);
}

static enum event_outcome build_oversize(struct event_builder *b, const struct change *change, struct event_id id,
                                         struct frame **frame)
{
    buffer_reset(&b->channel);
    mapping_collection_patterns(b->ns_mapping, change->database, change->collection, &b->channel);
    *frame = frame_new_oversize(id, (struct slice){b->channel.data, b->channel.len});
    return EVENT_OVERSIZE;
}

static enum event_outcome build_event(struct event_builder *b, const struct change *change, struct event_id id,
                                      struct frame **frame, struct error *reason)
{
    int64_t ts_ms = change->wall_ms ? change->wall_ms : (int64_t)(change->cluster_time >> 32) * 1000;
    struct event event = {b->ns_mapping, change->database, change->collection, &change->document, ts_ms};
    buffer_reset(&b->channel);
    buffer_reset(&b->data);
    buffer_shrink(&b->data, BUFFER_KEPT);
    enum event_outcome outcome = route(b, &event, &b->channel, reason);
    if (outcome != EVENT_BUILT) {
        return outcome;
    }
    struct slice channel = {b->channel.data, b->channel.len};
    append_line(b, &b->data, &event, channel, b->options.max_event_bytes);
    b->level = mapping_level(event.mapping, event.document);
    struct frame_event parts = {
        .id = id,
        .channel = channel,
        .event = b->event,
        .data = {b->data.data, b->data.len},
        .level = b->level,
        .wall_ms = change->wall_ms,
    };
    *frame = frame_new(&parts);
    return EVENT_BUILT;
}

enum event_outcome event_builder_change(struct event_builder *builder, const struct change *change,
                                        struct frame **frame, struct error *reason)
{
    *frame = NULL;
    char operation = operation_of(change);
    if (!operation || enter_namespace(builder, change->database, change->collection) < 0) {
        return EVENT_UNCOVERED;
    }
    struct event_id id = identify(builder, change, operation);
    if (!builder->ns_mapping || !mapping_takes(builder->ns_mapping, operation)) {
        return EVENT_UNCOVERED;
    }
    return change->has_document ? build_event(builder, change, id, frame, reason)
                                : build_oversize(builder, change, id, frame);
}
