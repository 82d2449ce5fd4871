/* publish_repeat - see publish_repeat.h. */
#include "publish_repeat.h"

#include <math.h>
#include <string.h>

enum { FIND_TIMEOUT_MS = 5000 };

/* 1, 1.0 and NumberLong(1) are one _id to the server; NaN is one, too. */
static bool is_same_number(const bson_iter_t *a, const bson_iter_t *b)
{
    if (BSON_ITER_HOLDS_INT(a) && BSON_ITER_HOLDS_INT(b)) {
        return bson_iter_as_int64(a) == bson_iter_as_int64(b);
    }
    double x = bson_iter_as_double(a), y = bson_iter_as_double(b);
    return x == y || (isnan(x) && isnan(y));
}

static bool is_same_id(const bson_iter_t *a, const bson_iter_t *b)
{
    if (BSON_ITER_HOLDS_NUMBER(a) && BSON_ITER_HOLDS_NUMBER(b)) {
        return is_same_number(a, b);
    }
    if (BSON_ITER_HOLDS_OID(a) && BSON_ITER_HOLDS_OID(b)) {
        return bson_oid_equal(bson_iter_oid(a), bson_iter_oid(b));
    }
    uint32_t a_len = 0, b_len = 0;
    const char *x = BSON_ITER_HOLDS_UTF8(a) ? bson_iter_utf8(a, &a_len) : NULL;
    const char *y = BSON_ITER_HOLDS_UTF8(b) ? bson_iter_utf8(b, &b_len) : NULL;
    return x && y && a_len == b_len && memcmp(x, y, a_len) == 0;
}

/* Append a stored document's channel; nothing when it has none. */
static void append_channel(const struct publish_target *target, const bson_t *document, struct buffer *out)
{
    struct template_values values;
    struct error ignored;
    bson_iter_t at;
    uint32_t len;
    struct slice database = {target->database, strlen(target->database)};
    struct slice collection = {target->collection, strlen(target->collection)};
    if (target->mapping) {
        if (template_expand(mapping_channel(target->mapping), database, collection, document, out, &values,
                            &ignored) != 0) {
            buffer_reset(out);
        }
    } else if (bson_iter_init_find(&at, document, "channel") && BSON_ITER_HOLDS_UTF8(&at)) {
        const char *text = bson_iter_utf8(&at, &len);
        buffer_append(out, text, len);
    }
}

static bool is_in_channel(const struct publish_item *item, const struct buffer *channel)
{
    return item->channel.len == channel->len && memcmp(item->channel.data, channel->data, channel->len) == 0;
}

static void compare(struct publish_group *group, const bson_t *stored)
{
    struct buffer channel = BUFFER_INIT;
    bson_iter_t id, wanted;
    append_channel(&group->target, stored, &channel);
    bool has_id = bson_iter_init_find(&id, stored, "_id");
    for (size_t i = 0; has_id && i < group->count; i++) {
        struct publish_item *item = group->items[i];
        if (item->state != PUBLISH_OPEN || !publish_item_id(item, &wanted) || !is_same_id(&id, &wanted)) {
            continue;
        }
        if (channel.len > 0 && is_in_channel(item, &channel)) {
            item->state = PUBLISH_REPEATED;
        } else {
            publish_item_refuse(item, 409, "id_taken", "_id: a document of another channel has it");
        }
    }
    buffer_fini(&channel);
}

/* {_id: {$in: […]}} */
static bson_t *query_of(const struct publish_group *group)
{
    bson_t in, ids, *query = bson_new();
    BSON_APPEND_DOCUMENT_BEGIN(query, "_id", &in);
    BSON_APPEND_ARRAY_BEGIN(&in, "$in", &ids);
    for (size_t i = 0; i < group->count; i++) {
        char text[16];
        const char *key;
        bson_iter_t id;
        size_t len = bson_uint32_to_string((uint32_t)i, &key, text, sizeof text);
        if (publish_item_id(group->items[i], &id)) {
            bson_append_iter(&ids, key, (int)len, &id);
        }
    }
    bson_append_array_end(&in, &ids);
    bson_append_document_end(query, &in);
    return query;
}

int publish_repeat_find(mongoc_client_t *client, struct publish_group *group, struct error *err)
{
    const bson_t *stored;
    bson_error_t error;
    bson_t *query = query_of(group);
    bson_t *opts = BCON_NEW("maxTimeMS", BCON_INT64(FIND_TIMEOUT_MS));
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    mongoc_collection_t *collection = mongoc_client_get_collection(client, group->target.database,
                                                                   group->target.collection);
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, query, opts, primary);
    while (mongoc_cursor_next(cursor, &stored)) {
        compare(group, stored);
    }
    int rc = mongoc_cursor_error(cursor, &error) ? database_error(&error, err) : 0;
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    mongoc_read_prefs_destroy(primary);
    bson_destroy(opts);
    bson_destroy(query);
    for (size_t i = 0; rc == 0 && i < group->count; i++) {
        publish_item_refuse(group->items[i], 409, "duplicate_key",
                            "a unique index of the collection has this document's value already");
    }
    return rc;
}
