/* history_query - see history_query.h. */
#include "history_query.h"

#include <string.h>

/* {name: [left, {$literal: value}]}; $expr compares values of all types, which a plain $lt would not. Takes left. */
static bson_t *comparison(const char *name, bson_t *left, const bson_value_t *value)
{
    bson_t *made = bson_new(), pair, literal;
    bson_iter_t at;
    bson_append_array_begin(made, name, -1, &pair);
    if (bson_iter_init_find(&at, left, "0")) {
        bson_append_iter(&pair, "0", 1, &at);
    }
    bson_append_document_begin(&pair, "1", 1, &literal);
    bson_append_value(&literal, "$literal", -1, value);
    bson_append_document_end(&pair, &literal);
    bson_append_array_end(made, &pair);
    bson_destroy(left);
    return made;
}

static bson_t *path_of(const char *field)
{
    struct buffer path = BUFFER_INIT;
    buffer_printf(&path, "$%s", field);
    bson_t *made = BCON_NEW("0", BCON_UTF8(buffer_text(&path)));
    buffer_fini(&path);
    return made;
}

/* A missing field stands in an index as null. */
static bson_t *path_or_null(const char *field)
{
    struct buffer path = BUFFER_INIT;
    buffer_printf(&path, "$%s", field);
    bson_t *made = BCON_NEW("0", "{", "$ifNull", "[", BCON_UTF8(buffer_text(&path)), BCON_NULL, "]", "}");
    buffer_fini(&path);
    return made;
}

static const char *beyond(const struct history_query *query, bool inclusive)
{
    return query->newest_first ? (inclusive ? "$lte" : "$lt") : (inclusive ? "$gte" : "$gt");
}

/* Behind the place, ties by _id. */
static bson_t *exact_bound(const struct history_query *query)
{
    const struct history_place *place = query->from;
    bson_t *further = comparison(beyond(query, false), path_or_null(query->order), &place->key);
    bson_t *same = comparison("$eq", path_or_null(query->order), &place->key);
    bson_t *id = comparison(beyond(query, place->inclusive), path_of("_id"), &place->id);
    bson_t *made = BCON_NEW("$or", "[", BCON_DOCUMENT(further), "{", "$and", "[", BCON_DOCUMENT(same),
                            BCON_DOCUMENT(id), "]", "}", "]");
    bson_destroy(further);
    bson_destroy(same);
    bson_destroy(id);
    return made;
}

/* Takes the expression. */
static void add_expr(bson_t *all, uint32_t *count, bson_t *expression)
{
    bson_t inner;
    char number[16];
    const char *key;
    bson_uint32_to_string((*count)++, &key, number, sizeof number);
    bson_append_document_begin(all, key, -1, &inner);
    bson_append_document(&inner, "$expr", -1, expression);
    bson_append_document_end(all, &inner);
    bson_destroy(expression);
}

static void add_document(bson_t *all, uint32_t *count, const bson_t *document)
{
    char number[16];
    const char *key;
    if (document && !bson_empty(document)) {
        bson_uint32_to_string((*count)++, &key, number, sizeof number);
        bson_append_document(all, key, -1, document);
    }
}

static void add_bounds(const struct history_query *query, bson_t *all, uint32_t *count)
{
    const struct history_place *from = query->from;
    bool ties = !from->key_only && strcmp(query->order, "_id") != 0;
    if (!ties || from->key.value_type != BSON_TYPE_NULL) {
        /* One plain comparison, which the index serves; where ties matter the exact one comes on top. */
        add_expr(all, count, comparison(beyond(query, ties || from->inclusive), path_of(query->order), &from->key));
    }
    if (ties) {
        add_expr(all, count, exact_bound(query));
    }
}

bson_t *history_query_new(const struct history_query *query)
{
    bson_t *made = bson_new(), all;
    uint32_t count = 0;
    bson_append_array_begin(made, "$and", -1, &all);
    for (size_t i = 0; i < sizeof query->conditions / sizeof query->conditions[0]; i++) {
        add_document(&all, &count, query->conditions[i]);
    }
    if (query->from) {
        add_bounds(query, &all, &count);
    }
    bson_append_array_end(made, &all);
    if (count == 0) {
        bson_reinit(made);
    }
    return made;
}
