/* event_lookup - see event_lookup.h. */
#include "event_lookup.h"

#include "clock.h"
#include "tailwater/channel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOKUP_TIMEOUT_MS = 5000 };

struct lookup {
    mongoc_client_t *client;
    const struct mapping_set *mappings;
    struct event_builder *builder;
    struct slice channel;
    bson_t filter; /* {_id: {$in: […]}} */
    struct buffer *json;
    struct error *err;
};

static void append_at(bson_t *ids, int *count, const bson_value_t *value)
{
    char key[16];
    const char *name;
    size_t len = bson_uint32_to_string((uint32_t)(*count)++, &name, key, sizeof key);
    bson_append_value(ids, name, (int)len, value);
}

static void append_integers(const char *text, bson_t *ids, int *count)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    char canonical[24];
    snprintf(canonical, sizeof canonical, "%lld", number);
    if (errno || *end || strcmp(canonical, text) != 0) {
        return;
    }
    bson_value_t value = {.value_type = BSON_TYPE_INT64, .value.v_int64 = number};
    append_at(ids, count, &value); /* MongoDB compares numbers by value: this finds int32 too */
}

/* "12345678-1234-1234-1234-123456789abc" to 16 bytes; false when it is not that. */
static bool parse_uuid(const char *text, uint8_t out[16])
{
    size_t n = 0;
    if (strlen(text) != 36) {
        return false;
    }
    for (size_t i = 0; i < 36;) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i++] != '-') {
                return false;
            }
            continue;
        }
        char pair[3] = {text[i], text[i + 1], 0}, *end;
        out[n++] = (uint8_t)strtoul(pair, &end, 16);
        if (*end || pair[0] == '+' || pair[0] == '-' || pair[0] == ' ') {
            return false;
        }
        i += 2;
    }
    return true;
}

void event_lookup_candidates(struct slice id, bson_t *ids)
{
    int count = 0;
    uint8_t uuid[16];
    char *text = memory_copy(id.data, id.len);
    if (bson_utf8_validate(text, id.len, true)) {
        bson_value_t value = {.value_type = BSON_TYPE_UTF8};
        value.value.v_utf8.str = text;
        value.value.v_utf8.len = (uint32_t)id.len;
        append_at(ids, &count, &value);
    }
    if (bson_oid_is_valid(text, id.len) && id.len == 24) {
        bson_value_t value = {.value_type = BSON_TYPE_OID};
        bson_oid_init_from_string(&value.value.v_oid, text);
        append_at(ids, &count, &value);
    }
    append_integers(text, ids, &count);
    if (parse_uuid(text, uuid)) {
        bson_value_t value = {.value_type = BSON_TYPE_BINARY};
        value.value.v_binary.subtype = BSON_SUBTYPE_UUID;
        value.value.v_binary.data = uuid;
        value.value.v_binary.data_len = sizeof uuid;
        append_at(ids, &count, &value);
    }
    free(text);
}

static int try_document(struct lookup *l, struct slice database, struct slice collection, const bson_t *document)
{
    struct buffer channel = BUFFER_INIT;
    struct error reason;
    int64_t ts_ms = clock_wall_ms();
    bson_iter_t it;
    if (bson_iter_init_find(&it, document, "_id") && BSON_ITER_HOLDS_OID(&it)) {
        ts_ms = (int64_t)bson_oid_get_time_t(bson_iter_oid(&it)) * 1000;
    }
    buffer_reset(l->json);
    enum event_outcome outcome = event_builder_document(l->builder, database, collection, document, ts_ms, true,
                                                        &channel, l->json, &reason);
    bool ours = outcome == EVENT_BUILT && channel.len == l->channel.len &&
                memcmp(channel.data, l->channel.data, channel.len) == 0;
    buffer_fini(&channel);
    if (!ours) {
        buffer_reset(l->json);
    }
    return ours ? EVENT_LOOKUP_FOUND : EVENT_LOOKUP_NONE;
}

/* The documents with this _id that the mapping's `match` lets through. */
static bson_t *query_of(const struct lookup *l, const struct mapping *mapping)
{
    const bson_t *match = mapping_filter(mapping);
    if (!match) {
        return bson_copy(&l->filter);
    }
    return BCON_NEW("$and", "[", BCON_DOCUMENT(&l->filter), BCON_DOCUMENT(match), "]");
}

static int search_collection(struct lookup *l, const struct mapping *mapping, struct slice database, const char *name)
{
    int rc = EVENT_LOOKUP_NONE;
    bson_error_t error;
    const bson_t *document;
    mongoc_collection_t *collection = mongoc_client_get_collection(l->client, database.data, name);
    bson_t *opts = BCON_NEW("limit", BCON_INT64(8), "maxTimeMS", BCON_INT64(LOOKUP_TIMEOUT_MS));
    bson_t *query = query_of(l, mapping);
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, query, opts, NULL);
    while (rc == EVENT_LOOKUP_NONE && mongoc_cursor_next(cursor, &document)) {
        rc = try_document(l, database, (struct slice){name, strlen(name)}, document);
    }
    if (rc == EVENT_LOOKUP_NONE && mongoc_cursor_error(cursor, &error)) {
        rc = database_error(&error, l->err);
    }
    mongoc_cursor_destroy(cursor);
    bson_destroy(query);
    bson_destroy(opts);
    mongoc_collection_destroy(collection);
    return rc;
}

static bool could_hold(const struct lookup *l, const struct mapping *mapping, struct slice database,
                       struct slice collection)
{
    struct buffer pattern = BUFFER_INIT;
    if (mapping_set_find(l->mappings, database, collection) != mapping) {
        return false;
    }
    mapping_collection_pattern(mapping, database, collection, &pattern);
    bool could = tailwater_pattern_overlap(pattern.data, pattern.len, l->channel.data, l->channel.len);
    buffer_fini(&pattern);
    return could;
}

static int search_mapping(struct lookup *l, const struct mapping *mapping)
{
    int rc = EVENT_LOOKUP_NONE;
    bson_error_t error;
    const char *name = mapping_database(mapping);
    struct slice database = {name, strlen(name)};
    mongoc_database_t *handle = mongoc_client_get_database(l->client, name);
    char **collections = mongoc_database_get_collection_names_with_opts(handle, NULL, &error);
    mongoc_database_destroy(handle);
    if (!collections) {
        return database_error(&error, l->err);
    }
    for (char **c = collections; *c && rc == EVENT_LOOKUP_NONE; c++) {
        if (could_hold(l, mapping, database, (struct slice){*c, strlen(*c)})) {
            rc = search_collection(l, mapping, database, *c);
        }
    }
    bson_strfreev(collections);
    return rc;
}

static void build_filter(bson_t *filter, struct slice id)
{
    bson_t in, ids;
    bson_init(filter);
    bson_append_document_begin(filter, "_id", -1, &in);
    bson_append_array_begin(&in, "$in", -1, &ids);
    event_lookup_candidates(id, &ids);
    bson_append_array_end(&in, &ids);
    bson_append_document_end(filter, &in);
}

int event_lookup(struct database *db, const struct mapping_set *mappings, const struct event_builder_options *build,
                 struct slice channel, struct slice id, struct buffer *json, struct error *err)
{
    int rc = EVENT_LOOKUP_NONE;
    struct lookup l = {.mappings = mappings, .channel = channel, .json = json, .err = err};
    l.client = database_pop(db, DATABASE_SCAN);
    if (!l.client) {
        return error_set(err, "no free connection to MongoDB");
    }
    l.builder = event_builder_new(mappings, build);
    build_filter(&l.filter, id);
    for (size_t i = 0; i < mapping_set_count(mappings) && rc == EVENT_LOOKUP_NONE; i++) {
        rc = search_mapping(&l, mapping_set_at(mappings, i));
    }
    bson_destroy(&l.filter);
    event_builder_free(l.builder);
    database_push(db, DATABASE_SCAN, l.client);
    return rc;
}
