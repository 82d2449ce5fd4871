/* server_facts - see server_facts.h. */
#include "server_facts.h"

#include <string.h>

static int oplog_end(mongoc_collection_t *oplog, int direction, uint64_t *time, struct error *err)
{
    bson_t *filter = bson_new();
    bson_t *opts = BCON_NEW("sort", "{", "$natural", BCON_INT32(direction), "}", "limit", BCON_INT64(1), "projection",
                            "{", "ts", BCON_INT32(1), "}", "maxTimeMS", BCON_INT64(SERVER_FACTS_LIMIT_MS));
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(oplog, filter, opts, NULL);
    const bson_t *entry;
    bson_iter_t it;
    bson_error_t error;
    int rc = -1;
    if (mongoc_cursor_next(cursor, &entry) && bson_iter_init_find(&it, entry, "ts") && BSON_ITER_HOLDS_TIMESTAMP(&it)) {
        uint32_t seconds, increment;
        bson_iter_timestamp(&it, &seconds, &increment);
        *time = database_time(seconds, increment);
        rc = 0;
    } else if (mongoc_cursor_error(cursor, &error)) {
        database_error(&error, err);
    } else {
        error_set(err, "the oplog is empty");
    }
    mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    bson_destroy(filter);
    return rc;
}

int server_facts_oplog(mongoc_client_t *client, uint64_t *first, uint64_t *last, struct error *err)
{
    mongoc_collection_t *oplog = mongoc_client_get_collection(client, "local", "oplog.rs");
    int rc = oplog_end(oplog, 1, first, err);
    if (rc == 0) {
        rc = oplog_end(oplog, -1, last, err);
    }
    mongoc_collection_destroy(oplog);
    return rc;
}

int server_facts_oplog_size(mongoc_client_t *client, int64_t *bytes, int64_t *max_bytes, struct error *err)
{
    bson_error_t error;
    bson_t reply;
    bson_iter_t size, max;
    bson_t *command = BCON_NEW("collStats", "oplog.rs", "maxTimeMS", BCON_INT64(SERVER_FACTS_LIMIT_MS));
    const mongoc_read_prefs_t *prefs = mongoc_uri_get_read_prefs_t(mongoc_client_get_uri(client));
    bool ok = mongoc_client_command_simple(client, "local", command, prefs, &reply, &error);
    int rc = ok ? 0 : database_error(&error, err);
    if (rc == 0 && bson_iter_init_find(&size, &reply, "size") && bson_iter_init_find(&max, &reply, "maxSize")) {
        *bytes = bson_iter_as_int64(&size);
        *max_bytes = bson_iter_as_int64(&max);
    } else if (rc == 0) {
        rc = error_set(err, "the server does not tell the oplog's size");
    }
    bson_destroy(command);
    bson_destroy(&reply);
    return rc;
}

/* --- collections ---------------------------------------------------------------------------------- */

enum { ERROR_UNAUTHORIZED = 13 };

struct listing {
    mongoc_client_t *client;
    const struct mapping_set *mappings;
    void (*take)(void *context, const struct covered_collection *collection);
    void *context;
};

static bool is_text(const bson_t *entry, const char *name, const char *text)
{
    bson_iter_t at;
    return bson_iter_init_find(&at, entry, name) && BSON_ITER_HOLDS_UTF8(&at) &&
           strcmp(bson_iter_utf8(&at, NULL), text) == 0;
}

static bool is_capped(const bson_t *entry)
{
    bson_iter_t at, found;
    return bson_iter_init(&at, entry) && bson_iter_find_descendant(&at, "options.capped", &found) &&
           bson_iter_as_bool(&found);
}

static void take_entry(const struct listing *listing, const char *database, const bson_t *entry)
{
    bson_iter_t at;
    if (!bson_iter_init_find(&at, entry, "name") || !BSON_ITER_HOLDS_UTF8(&at)) {
        return;
    }
    struct covered_collection covered = {.database = database, .name = bson_iter_utf8(&at, NULL)};
    covered.mapping = mapping_set_find(listing->mappings, (struct slice){database, strlen(database)},
                                       (struct slice){covered.name, strlen(covered.name)});
    covered.kind = is_text(entry, "type", "view")         ? COVERED_VIEW
                   : is_text(entry, "type", "timeseries") ? COVERED_TIME_SERIES
                   : is_capped(entry)                     ? COVERED_CAPPED
                                                          : COVERED_PLAIN;
    if (covered.mapping) {
        listing->take(listing->context, &covered);
    }
}

static int list_database(const struct listing *listing, const char *name, bool names_only, struct error *err)
{
    bson_error_t error;
    const bson_t *entry;
    bson_t opts = BSON_INITIALIZER;
    BSON_APPEND_INT64(&opts, "maxTimeMS", SERVER_FACTS_LIMIT_MS);
    if (names_only) {
        BSON_APPEND_BOOL(&opts, "nameOnly", true);
        BSON_APPEND_BOOL(&opts, "authorizedCollections", true);
    }
    mongoc_database_t *database = mongoc_client_get_database(listing->client, name);
    mongoc_cursor_t *cursor = mongoc_database_find_collections_with_opts(database, &opts);
    while (mongoc_cursor_next(cursor, &entry)) {
        take_entry(listing, name, entry);
    }
    int rc = mongoc_cursor_error(cursor, &error) ? database_error(&error, err) : 0;
    mongoc_cursor_destroy(cursor);
    mongoc_database_destroy(database);
    bson_destroy(&opts);
    return rc;
}

static bool is_first_of_database(const struct mapping_set *mappings, size_t index)
{
    const char *name = mapping_database(mapping_set_at(mappings, index));
    for (size_t i = 0; i < index; i++) {
        if (strcmp(mapping_database(mapping_set_at(mappings, i)), name) == 0) {
            return false;
        }
    }
    return true;
}

int server_facts_collections(mongoc_client_t *client, const struct mapping_set *mappings,
                             void (*take)(void *context, const struct covered_collection *collection), void *context,
                             struct error *err)
{
    const struct listing listing = {client, mappings, take, context};
    for (size_t i = 0; i < mapping_set_count(mappings); i++) {
        struct error problem = {0};
        if (!is_first_of_database(mappings, i)) {
            continue;
        }
        const char *name = mapping_database(mapping_set_at(mappings, i));
        int rc = list_database(&listing, name, false, &problem);
        if (rc != 0 && problem.code == ERROR_UNAUTHORIZED) {
            rc = list_database(&listing, name, true, &problem);
        }
        if (rc != 0) {
            if (err) {
                *err = problem;
            }
            return rc;
        }
    }
    return 0;
}
