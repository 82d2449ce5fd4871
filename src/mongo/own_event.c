/* own_event - see own_event.h. */
#include "own_event.h"

#include "event_name.h"
#include "json_scalar.h"
#include "tailwater/channel.h"

/* --- reading -------------------------------------------------------------------------------------- */

static int fail_field(const char *name, const char *problem, struct error *reason)
{
    return error_set(reason, "field %s: %s", name, problem);
}

/* A field that is text. */
static int read_text(const bson_t *document, const char *name, struct slice *out, struct error *reason)
{
    bson_iter_t at;
    uint32_t len;
    if (!bson_iter_init_find(&at, document, name) || !BSON_ITER_HOLDS_UTF8(&at)) {
        return fail_field(name, "it is not text", reason);
    }
    out->data = bson_iter_utf8(&at, &len);
    out->len = len;
    return 0;
}

static int read_channel(const struct mapping_set *set, const bson_t *document, struct own_event *out,
                        struct error *reason)
{
    if (read_text(document, "channel", &out->channel, reason) != 0) {
        return -1;
    }
    const char *problem = tailwater_channel_problem(out->channel.data, out->channel.len, false);
    if (!problem && mapping_set_can_produce(set, out->channel.data, out->channel.len)) {
        problem = "this is a channel of the mappings";
    }
    return problem ? fail_field("channel", problem, reason) : 0;
}

int own_event_read(const struct mapping_set *set, const bson_t *document, struct own_event *out, struct error *reason)
{
    if (read_channel(set, document, out, reason) != 0 || read_text(document, "event", &out->event, reason) != 0) {
        return -1;
    }
    const char *problem = event_name_problem(out->event.data, out->event.len);
    if (problem) {
        return fail_field("event", problem, reason);
    }
    out->has_id = bson_iter_init_find(&out->id, document, "_id");
    out->has_data = bson_iter_init_find(&out->data, document, "data");
    return 0;
}

/* --- writing -------------------------------------------------------------------------------------- */

static void append_value(struct buffer *json, const bson_iter_t *value, bool is_there,
                         const struct bson_json_options *options)
{
    if (is_there) {
        bson_json_append_value(json, value, options);
    } else {
        buffer_append_text(json, "null");
    }
}

static void append_head(struct buffer *json, const struct own_event *event, int64_t ts_ms)
{
    buffer_append_text(json, "{\"channel\":");
    json_append_string(json, event->channel.data, event->channel.len);
    buffer_append_text(json, ",\"type\":");
    json_append_string(json, event->event.data, event->event.len);
    buffer_append_text(json, ",\"ts\":\"");
    json_append_time(json, ts_ms);
    buffer_append_text(json, "\",");
}

void own_event_append(struct buffer *json, const struct own_event *event, int64_t ts_ms,
                      const struct bson_json_options *options, size_t max_bytes)
{
    size_t start = json->len;
    append_head(json, event, ts_ms);
    size_t head = json->len;
    buffer_append_text(json, "\"_id\":");
    append_value(json, &event->id, event->has_id, options);
    buffer_append_byte(json, ',');
    size_t id_end = json->len;
    buffer_append_text(json, "\"data\":");
    append_value(json, &event->data, event->has_data, options);
    buffer_append_byte(json, '}');
    size_t size = json->len - start;
    if (max_bytes && size > max_bytes) {
        json->len = id_end - head > max_bytes / 4 ? head : id_end;
        buffer_printf(json, "\"truncated\":true,\"size\":%zu,\"data\":null}", size);
    }
}

/* --- the collection ------------------------------------------------------------------------------- */

static void append_index(bson_t *indexes, const char *number, const char *name, bson_t *key, int64_t ttl_s)
{
    bson_t index;
    bson_append_document_begin(indexes, number, -1, &index);
    BSON_APPEND_UTF8(&index, "name", name);
    BSON_APPEND_DOCUMENT(&index, "key", key);
    if (ttl_s) {
        BSON_APPEND_INT64(&index, "expireAfterSeconds", ttl_s);
    }
    bson_append_document_end(indexes, &index);
    bson_destroy(key);
}

void own_event_append_indexes(bson_t *command, int64_t ttl_s)
{
    bson_t indexes;
    const int32_t up = 1;
    BSON_APPEND_ARRAY_BEGIN(command, "indexes", &indexes);
    append_index(&indexes, "0", "at_1", BCON_NEW("at", BCON_INT32(up)), ttl_s);
    append_index(&indexes, "1", "at_1__id_1", BCON_NEW("at", BCON_INT32(up), "_id", BCON_INT32(up)), 0);
    append_index(&indexes, "2", "channel_1_at_1__id_1",
                 BCON_NEW("channel", BCON_INT32(up), "at", BCON_INT32(up), "_id", BCON_INT32(up)), 0);
    bson_append_array_end(command, &indexes);
}
