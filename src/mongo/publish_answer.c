/* publish_answer - see publish_answer.h. */
#include "publish_answer.h"

#include "bson_json.h"

#include <string.h>

static bool is_stored(const struct publish_item *item)
{
    return item->state == PUBLISH_INSERTED || item->state == PUBLISH_REPEATED;
}

static void append_id(const struct publish_item *item, struct buffer *json)
{
    bson_iter_t id;
    if (publish_item_id(item, &id)) {
        buffer_append_text(json, "\"_id\":");
        bson_json_append_value(json, &id, &(struct bson_json_options){.style = JSON_STYLE_PLAIN});
        buffer_append_byte(json, ',');
    }
}

static void append_stored(const struct publish_item *item, struct buffer *json)
{
    buffer_append_byte(json, '{');
    append_id(item, json);
    buffer_append_text(json, "\"channel\":");
    buffer_append_json_item(json, 0, item->channel.data, item->channel.len);
    buffer_append_byte(json, '}');
}

static void append_failed(const struct publish_item *item, struct buffer *json)
{
    buffer_append_byte(json, '{');
    append_id(item, json);
    buffer_printf(json, "\"error\":{\"code\":\"%s\",\"detail\":", item->code);
    buffer_append_json_item(json, 0, item->detail, strlen(item->detail));
    buffer_append_text(json, "}}");
}

static void count_items(struct publish_request *request, const struct publish_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        request->inserted += items[i].state == PUBLISH_INSERTED;
        request->repeated += items[i].state == PUBLISH_REPEATED;
        request->failed += !is_stored(&items[i]);
    }
}

static int status_of(const struct publish_request *request, const struct publish_item *items, size_t count)
{
    if (request->failed == 0) {
        return request->inserted > 0 ? 201 : 200;
    }
    if (request->failed < count) {
        return 207;
    }
    for (size_t i = 0; i < count; i++) {
        if (items[i].state == PUBLISH_FAILED) {
            return 503;
        }
    }
    return 400;
}

static void answer_batch(struct job *job, const struct publish_item *items, size_t count)
{
    const struct publish_request *request = job->publish;
    job->status = status_of(request, items, count);
    if (job->status >= 400) {
        job->code = "nothing_stored";
        error_set(&job->error, "none of the items was stored; each says why");
    }
    buffer_append_text(&job->body, job->code ? "\"items\":[" : "{\"items\":[");
    for (size_t i = 0; i < count; i++) {
        buffer_append_text(&job->body, i > 0 ? "," : "");
        if (is_stored(&items[i])) {
            append_stored(&items[i], &job->body);
        } else {
            append_failed(&items[i], &job->body);
        }
    }
    buffer_printf(&job->body, "],\"inserted\":%zu,\"repeated\":%zu,\"failed\":%zu%s", request->inserted,
                  request->repeated, request->failed, job->code ? "" : "}\n");
}

static void answer_one(struct job *job, const struct publish_item *item)
{
    if (is_stored(item)) {
        job->status = item->state == PUBLISH_INSERTED ? 201 : 200;
        append_stored(item, &job->body);
        buffer_append_byte(&job->body, '\n');
    } else {
        job->status = item->status;
        job->code = item->code;
        error_set(&job->error, "%s", item->detail);
    }
}

void publish_answer(struct job *job, const struct publish_item *items, size_t count)
{
    count_items(job->publish, items, count);
    if (job->publish->is_batch) {
        answer_batch(job, items, count);
    } else {
        answer_one(job, &items[0]);
    }
}
