/* history_index - see history_index.h. */
#include "history_index.h"

#include "database.h"

#include <string.h>

static bool has_flag(const bson_t *index, const char *name)
{
    bson_iter_t at;
    return bson_iter_init_find(&at, index, name) && (BSON_ITER_HOLDS_DOCUMENT(&at) || bson_iter_as_bool(&at));
}

/* Stand on the index's first key; false when it does not hold every document. */
static bool first_key(const bson_t *index, bson_iter_t *key)
{
    bson_iter_t at;
    return bson_iter_init_find(&at, index, "key") && bson_iter_recurse(&at, key) && bson_iter_next(key) &&
           !has_flag(index, "partialFilterExpression") && !has_flag(index, "sparse") && !has_flag(index, "hidden");
}

/* Does it begin with the order field and _id, in one direction? */
static bool is_fit(const bson_t *index, const char *order)
{
    bson_iter_t key;
    if (!first_key(index, &key) || strcmp(bson_iter_key(&key), order) != 0) {
        return false;
    }
    int64_t first = bson_iter_as_int64(&key);
    return first != 0 && bson_iter_next(&key) && strcmp(bson_iter_key(&key), "_id") == 0 &&
           bson_iter_as_int64(&key) == first;
}

int history_index_find(mongoc_collection_t *collection, const char *order, char **name, struct error *err)
{
    bson_error_t error;
    const bson_t *index;
    bson_iter_t at;
    *name = NULL;
    mongoc_cursor_t *indexes = mongoc_collection_find_indexes_with_opts(collection, NULL);
    while (!*name && mongoc_cursor_next(indexes, &index)) {
        if (is_fit(index, order) && bson_iter_init_find(&at, index, "name") && BSON_ITER_HOLDS_UTF8(&at)) {
            *name = memory_text(bson_iter_utf8(&at, NULL));
        }
    }
    bool failed = mongoc_cursor_error(indexes, &error);
    mongoc_cursor_destroy(indexes);
    return failed ? database_error(&error, err) : 0;
}

static bool is_among(const char *name, const struct slice *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fields[i].len == strlen(name) && memcmp(fields[i].data, name, fields[i].len) == 0) {
            return true;
        }
    }
    return false;
}

bool history_index_begins(mongoc_collection_t *collection, const struct slice *fields, size_t count)
{
    const bson_t *index;
    bson_iter_t key;
    bool found = false;
    mongoc_cursor_t *indexes = mongoc_collection_find_indexes_with_opts(collection, NULL);
    while (!found && mongoc_cursor_next(indexes, &index)) {
        found = first_key(index, &key) && is_among(bson_iter_key(&key), fields, count);
    }
    mongoc_cursor_destroy(indexes);
    return found;
}

void history_index_command(const char *collection, const struct slice *fields, size_t count, const char *order,
                           struct buffer *out)
{
    buffer_printf(out, "db.getCollection(\"%s\").createIndex({", collection);
    for (size_t i = 0; i < count; i++) {
        buffer_printf(out, "\"%.*s\": 1, ", (int)fields[i].len, fields[i].data);
    }
    if (strcmp(order, "_id") != 0 && !is_among(order, fields, count)) {
        buffer_printf(out, "\"%s\": 1, ", order);
    }
    buffer_append_text(out, "\"_id\": 1})");
}
