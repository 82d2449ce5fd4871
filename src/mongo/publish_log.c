/* publish_log - see publish_log.h. */
#include "publish_log.h"

#include "field_path.h"
#include "mapping_service.h"
#include "publish_edit.h"

#include <stdlib.h>
#include <string.h>

enum { KEY_SHOWN = 60 };

/* --- reading -------------------------------------------------------------------------------------- */

static bool is_resource(const char *name)
{
    return strcmp(name, "workflow_id") == 0 || strcmp(name, "function_id") == 0 || strcmp(name, "resource_id") == 0;
}

static int read_service(struct publish_item *item, const bson_iter_t *at, struct publish_log *log)
{
    if (!BSON_ITER_HOLDS_UTF8(at)) {
        return publish_item_refuse(item, 400, "invalid_item", "service: must be text");
    }
    log->service = bson_iter_utf8(at, NULL);
    return 0;
}

static int read_member(struct publish_item *item, const bson_iter_t *at, struct publish_log *log)
{
    const char *name = bson_iter_key(at);
    if (is_resource(name)) {
        if (log->resource_name) {
            return publish_item_refuse(item, 400, "invalid_item", "%s: %s is there already and means the same", name,
                                       log->resource_name);
        }
        log->resource_name = name;
        log->resource = *at;
    } else if (strcmp(name, "workspace_id") == 0) {
        log->workspace = *at;
    } else if (strcmp(name, "logData") == 0) {
        log->data = *at;
    } else if (strcmp(name, "service") == 0) {
        return read_service(item, at, log);
    } else {
        return publish_item_refuse(item, 400, "invalid_item",
                                   "the member %.*s is not known; service, workspace_id, workflow_id (or function_id, "
                                   "resource_id) and logData are",
                                   KEY_SHOWN, name);
    }
    return 0;
}

/* Keys that begin with '$' are operators to MongoDB, and no field of a document. */
static int check_keys(struct publish_item *item, const bson_iter_t *data)
{
    bson_iter_t at;
    if (!data->raw || !BSON_ITER_HOLDS_DOCUMENT(data) || !bson_iter_recurse(data, &at)) {
        return publish_item_refuse(item, 400, "invalid_item", "logData: must be there and be an object");
    }
    while (bson_iter_next(&at)) {
        if (bson_iter_key(&at)[0] == '$') {
            return publish_item_refuse(item, 400, "invalid_key", "logData: the key \"%.*s\" begins with '$'", KEY_SHOWN,
                                       bson_iter_key(&at));
        }
    }
    return 0;
}

int publish_log_read(struct publish_item *item, const bson_t *parsed, struct publish_log *log)
{
    bson_iter_t at;
    *log = (struct publish_log){.service = NULL};
    bool more = bson_iter_init(&at, parsed);
    while (more && bson_iter_next(&at)) {
        bool twice = (strcmp(bson_iter_key(&at), "workspace_id") == 0 && log->workspace.raw) ||
                     (strcmp(bson_iter_key(&at), "logData") == 0 && log->data.raw) ||
                     (strcmp(bson_iter_key(&at), "service") == 0 && log->service);
        if (twice) {
            return publish_item_refuse(item, 400, "invalid_item", "%s: it is there twice", bson_iter_key(&at));
        }
        if (!BSON_ITER_HOLDS_NULL(&at) && read_member(item, &at, log) != 0) {
            return -1;
        }
    }
    if (!log->workspace.raw || field_path_is_missing(&log->workspace)) {
        return publish_item_refuse(item, 400, "invalid_item", "workspace_id: it is missing");
    }
    if (log->resource_name && field_path_is_missing(&log->resource)) {
        log->resource_name = NULL;
    }
    return check_keys(item, &log->data);
}

/* --- building ------------------------------------------------------------------------------------- */

/* The fields that the request says, as edits of logData. */
struct edits {
    struct publish_edit at[PUBLISH_EDITS_MAX];
    size_t count;
};

static void edits_add(struct edits *edits, struct slice path, const bson_value_t *value)
{
    for (size_t i = 0; i < edits->count; i++) {
        const struct slice *old = &edits->at[i].path;
        if (old->len == path.len && memcmp(old->data, path.data, path.len) == 0) {
            edits->at[i].value = value ? value : edits->at[i].value;
            return;
        }
    }
    edits->at[edits->count++] = (struct publish_edit){path, value};
}

/*
 * Write a value where the segment looks for it: under the alternative of this name, else the first one. Alternatives in
 * front of that one, which would be taken instead, are left out.
 */
static void edits_add_segment(struct edits *edits, const struct mapping *mapping, int segment, const char *name,
                              const bson_value_t *value)
{
    const struct template *t = mapping_channel(mapping);
    size_t chosen = mapping_service_field(mapping, segment, name);
    for (size_t i = 0; i < chosen; i++) {
        edits_add(edits, template_field(t, (size_t)segment, i), NULL);
    }
    edits_add(edits, template_field(t, (size_t)segment, chosen), value);
}

/* Does the value that was taken for this segment come from where the request's was written? */
static bool is_from(const struct mapping *mapping, int segment, const char *name, const struct template_value *value)
{
    size_t chosen = mapping_service_field(mapping, segment, name);
    struct slice field = template_field(mapping_channel(mapping), (size_t)segment, chosen);
    return value->source.len == field.len && memcmp(value->source.data, field.data, field.len) == 0;
}

/* Is the channel the one that the request names, segment by segment? Only a last segment can be without a value. */
static int check_values(struct publish_item *item, const struct publish_log *log, const struct service_segments *at,
                        const struct template_values *values)
{
    const struct mapping *mapping = item->target.mapping;
    const struct template *t = mapping_channel(mapping);
    size_t used = 0;
    for (size_t i = 0; i < template_count(t); i++) {
        if (template_kind(t, i) != TEMPLATE_FIELD || used == values->count) {
            continue;
        }
        const struct template_value *value = &values->at[used++];
        bool is_ours = (int)i != at->workspace || is_from(mapping, at->workspace, "workspace_id", value);
        if ((int)i == at->resource) {
            is_ours = log->resource_name && is_from(mapping, at->resource, log->resource_name, value);
        }
        if (!is_ours) {
            return publish_item_refuse(item, 400, "not_mapped",
                                       "the document's channel would take %.*s from logData, which the request does "
                                       "not name",
                                       (int)value->source.len, value->source.data);
        }
    }
    return 0;
}

static int map(struct publish_item *item, const struct publish_log *log, const struct service_segments *at)
{
    struct template_values values = {.count = 0};
    struct error reason;
    const struct publish_target *target = &item->target;
    struct slice database = {target->database, strlen(target->database)};
    struct slice collection = {target->collection, strlen(target->collection)};
    if (template_expand(mapping_channel(target->mapping), database, collection, item->document, &item->channel, &values,
                        &reason) != 0) {
        buffer_reset(&item->channel);
        return publish_item_refuse(item, 400, "not_mapped", "the document has no channel: %s", reason.text);
    }
    return check_values(item, log, at, &values);
}

static int check_place(struct publish_item *item, const struct publish_log *log, const struct service_segments *at)
{
    if (!mapping_takes(item->target.mapping, 'i')) {
        return publish_item_refuse(item, 400, "not_mapped", "the mapping does not follow inserts");
    }
    if (at->workspace < 0) {
        return publish_item_refuse(item, 400, "not_mapped", "the mapping's channel has no place for a workspace");
    }
    if (log->resource_name && at->resource < 0) {
        return publish_item_refuse(item, 400, "not_mapped", "the mapping's channel has no place for %s",
                                   log->resource_name);
    }
    return 0;
}

static void add_edits(struct edits *edits, const struct publish_item *item, struct publish_log *log,
                      const struct service_segments *at, const bson_value_t *service)
{
    const struct mapping *mapping = item->target.mapping;
    edits_add_segment(edits, mapping, at->workspace, "workspace_id", bson_iter_value(&log->workspace));
    if (log->resource_name) {
        edits_add_segment(edits, mapping, at->resource, log->resource_name, bson_iter_value(&log->resource));
    }
    if (at->service >= 0) {
        edits_add_segment(edits, mapping, at->service, "service", service);
    }
    edits_add(edits, (struct slice){"_id", 3}, NULL);
}

/* logData with the request's keys. */
static void copy_data(struct publish_item *item, struct publish_log *log, const struct service_segments *at,
                      const bson_t *data, const char *service)
{
    struct edits edits = {.count = 0};
    char *text = memory_text(service);
    bson_value_t value = {.value_type = BSON_TYPE_UTF8};
    value.value.v_utf8.str = text;
    value.value.v_utf8.len = (uint32_t)strlen(text);
    add_edits(&edits, item, log, at, &value);
    publish_edit_copy(data, edits.at, edits.count, item->document);
    free(text);
}

int publish_log_build(struct publish_item *item, struct publish_log *log, const char *service)
{
    struct service_segments at = mapping_service_segments(item->target.mapping);
    bson_iter_t id;
    bson_t data;
    uint32_t len;
    const uint8_t *bytes;
    bson_iter_document(&log->data, &len, &bytes);
    bson_init_static(&data, bytes, len);
    if (check_place(item, log, &at) != 0 ||
        publish_item_begin(item, bson_iter_init_find(&id, &data, "_id") ? &id : NULL) != 0) {
        return -1;
    }
    copy_data(item, log, &at, &data, service);
    return publish_item_end(item) != 0 ? -1 : map(item, log, &at);
}
