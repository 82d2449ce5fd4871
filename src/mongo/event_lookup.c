/* event_lookup - see event_lookup.h. */
#include "event_lookup.h"

#include "clock.h"
#include "tailwater/channel.h"
#include "text_values.h"

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

static int try_document(struct lookup *l, const struct mapping *mapping, struct slice collection,
                        const bson_t *document)
{
    const char *name = mapping_database(mapping);
    struct slice database = {name, strlen(name)};
    struct buffer channel = BUFFER_INIT;
    struct error reason;
    int64_t ts_ms = clock_wall_ms();
    bson_iter_t it;
    if (mapping_is_own(mapping)) {
        mapping_time(mapping, document, &ts_ms);
    } else if (bson_iter_init_find(&it, document, "_id") && BSON_ITER_HOLDS_OID(&it)) {
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

static int search_collection(struct lookup *l, const struct mapping *mapping, const char *name)
{
    int rc = EVENT_LOOKUP_NONE;
    bson_error_t error;
    const bson_t *document;
    mongoc_collection_t *collection = mongoc_client_get_collection(l->client, mapping_database(mapping), name);
    bson_t *opts = BCON_NEW("limit", BCON_INT64(8), "maxTimeMS", BCON_INT64(LOOKUP_TIMEOUT_MS));
    bson_t *query = query_of(l, mapping);
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, query, opts, NULL);
    while (rc == EVENT_LOOKUP_NONE && mongoc_cursor_next(cursor, &document)) {
        rc = try_document(l, mapping, (struct slice){name, strlen(name)}, document);
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
    struct buffer patterns = BUFFER_INIT;
    if (mapping_set_find(l->mappings, database, collection) != mapping) {
        return false;
    }
    mapping_collection_patterns(mapping, database, collection, &patterns);
    bool could = tailwater_patterns_overlap(patterns.data, patterns.len, l->channel.data, l->channel.len);
    buffer_fini(&patterns);
    return could;
}

static int search_mapping(struct lookup *l, const struct mapping *mapping)
{
    int rc = EVENT_LOOKUP_NONE;
    bson_error_t error;
    if (mapping_is_own(mapping) && mapping_set_can_produce(l->mappings, l->channel.data, l->channel.len)) {
        return rc; /* it is a log's */
    }
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
            rc = search_collection(l, mapping, *c);
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
    text_values_append(id, &ids);
    bson_append_array_end(&in, &ids);
    bson_append_document_end(filter, &in);
}

int event_lookup(struct database *db, const struct mapping_set *mappings, const struct event_builder_options *build,
                 struct slice channel, struct slice id, struct buffer *json, struct error *err)
{
    int rc = EVENT_LOOKUP_NONE;
    struct lookup l = {.mappings = mappings, .channel = channel, .json = json, .err = err};
    l.client = database_pop(db, DATABASE_SEARCH);
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
    database_push(db, DATABASE_SEARCH, l.client);
    return rc;
}
