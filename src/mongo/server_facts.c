/* server_facts - see server_facts.h. */
#include "server_facts.h"

#include <string.h>

static int oplog_end(mongoc_collection_t *oplog, int direction, uint64_t *time, struct error *err)
{
    bson_t *filter = bson_new();
    bson_t *opts = BCON_NEW("sort", "{", "$natural", BCON_INT32(direction), "}", "limit", BCON_INT64(1), "projection",
                            "{", "ts", BCON_INT32(1), "}");
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

static int describe_database(mongoc_client_t *client, const struct mapping *mapping, const struct mapping_set *mappings,
                             struct catalog *catalog, struct error *err)
{
    bson_error_t error;
    const char *name = mapping_database(mapping);
    mongoc_database_t *database = mongoc_client_get_database(client, name);
    bson_t *opts = BCON_NEW("nameOnly", BCON_BOOL(true), "authorizedCollections", BCON_BOOL(true));
    char **collections = mongoc_database_get_collection_names_with_opts(database, opts, &error);
    bson_destroy(opts);
    mongoc_database_destroy(database);
    if (!collections) {
        return database_error(&error, err);
    }
    for (char **c = collections; *c; c++) {
        struct slice collection = {*c, strlen(*c)};
        const struct mapping *taker = mapping_set_find(mappings, (struct slice){name, strlen(name)}, collection);
        if (taker) {
            mapping_describe_collection(taker, collection, catalog);
        }
    }
    bson_strfreev(collections);
    return 0;
}

int server_facts_collections(mongoc_client_t *client, const struct mapping_set *mappings, struct catalog *catalog,
                             struct error *err)
{
    int rc = 0;
    for (size_t i = 0; i < mapping_set_count(mappings); i++) {
        if (describe_database(client, mapping_set_at(mappings, i), mappings, catalog, err) != 0) {
            rc = -1;
        }
    }
    return rc;
}
