/* history_scan - see history_scan.h. */
#include "history_scan.h"

#include "clock.h"
#include "field_path.h"
#include "preset.h"

#include <stdlib.h>
#include <string.h>

enum {
    QUERY_MS = 5000,
    ERROR_TIME_LIMIT = 50,
    ERROR_SORT_MEMORY = 292,
    OID_SPAN_MS = 1000, /* an ObjectId tells seconds */
};

static bool by_id(const struct history_scan *scan)
{
    return strcmp(mapping_order(scan->mapping), "_id") == 0;
}

static int32_t direction(const struct history_scan *scan)
{
    return scan->begin->newest_first ? -1 : 1;
}

/* --- the index ------------------------------------------------------------------------------------ */

static bool has_flag(const bson_t *index, const char *name)
{
    bson_iter_t at;
    return bson_iter_init_find(&at, index, name) && (BSON_ITER_HOLDS_DOCUMENT(&at) || bson_iter_as_bool(&at));
}

/* Does it begin with the order field and _id, in one direction, and hold every document? */
static bool is_fit(const struct history_scan *scan, const bson_t *index)
{
    bson_iter_t at, key;
    if (!bson_iter_init_find(&at, index, "key") || !bson_iter_recurse(&at, &key) || !bson_iter_next(&key) ||
        strcmp(bson_iter_key(&key), mapping_order(scan->mapping)) != 0) {
        return false;
    }
    int64_t first = bson_iter_as_int64(&key);
    bool fits = first != 0 && bson_iter_next(&key) && strcmp(bson_iter_key(&key), "_id") == 0 &&
                bson_iter_as_int64(&key) == first;
    return fits && !has_flag(index, "partialFilterExpression") && !has_flag(index, "sparse") &&
           !has_flag(index, "hidden");
}

static void find_index(struct history_scan *scan, mongoc_cursor_t *indexes)
{
    const bson_t *index;
    bson_iter_t at;
    while (!scan->index && mongoc_cursor_next(indexes, &index)) {
        if (is_fit(scan, index) && bson_iter_init_find(&at, index, "name") && BSON_ITER_HOLDS_UTF8(&at)) {
            scan->index = memory_text(bson_iter_utf8(&at, NULL));
        }
    }
}

static int check_index(struct history_scan *scan, struct error *err)
{
    bson_error_t error;
    if (by_id(scan)) {
        return HISTORY_SCAN_READY;
    }
    mongoc_cursor_t *indexes = mongoc_collection_find_indexes_with_opts(scan->collection, NULL);
    find_index(scan, indexes);
    bool failed = mongoc_cursor_error(indexes, &error);
    mongoc_cursor_destroy(indexes);
    if (failed) {
        return database_error(&error, err);
    }
    if (!scan->index) {
        error_set(err, "collection %s has no index for its order field; create it with "
                       "db.getCollection(\"%s\").createIndex({\"%s\": 1, \"_id\": 1})",
                  scan->name, scan->name, mapping_order(scan->mapping));
        return HISTORY_SCAN_NO_INDEX;
    }
    return HISTORY_SCAN_READY;
}

/* --- the query ------------------------------------------------------------------------------------ */

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

static const char *beyond(const struct history_scan *scan, bool inclusive)
{
    return scan->begin->newest_first ? (inclusive ? "$lte" : "$lt") : (inclusive ? "$gte" : "$gt");
}

/* Behind the place, ties by _id. */
static bson_t *exact_bound(const struct history_scan *scan, const struct history_place *place)
{
    const char *order = mapping_order(scan->mapping);
    bson_t *further = comparison(beyond(scan, false), path_or_null(order), &place->key);
    bson_t *same = comparison("$eq", path_or_null(order), &place->key);
    bson_t *id = comparison(beyond(scan, place->inclusive), path_of("_id"), &place->id);
    bson_t *made = BCON_NEW("$or", "[", BCON_DOCUMENT(further), "{", "$and", "[", BCON_DOCUMENT(same),
                            BCON_DOCUMENT(id), "]", "}", "]");
    bson_destroy(further);
    bson_destroy(same);
    bson_destroy(id);
    return made;
}

/* Takes the expression. */
static void add_expr(bson_t *all, int *count, bson_t *expression)
{
    bson_t inner;
    char number[16];
    const char *key;
    bson_uint32_to_string((uint32_t)(*count)++, &key, number, sizeof number);
    bson_append_document_begin(all, key, -1, &inner);
    bson_append_document(&inner, "$expr", -1, expression);
    bson_append_document_end(all, &inner);
    bson_destroy(expression);
}

static void add_document(bson_t *all, int *count, const bson_t *document)
{
    char number[16];
    const char *key;
    if (document && !bson_empty(document)) {
        bson_uint32_to_string((uint32_t)(*count)++, &key, number, sizeof number);
        bson_append_document(all, key, -1, document);
    }
}

/* Everything of the collection from the last place on. */
static bson_t *make_query(const struct history_scan *scan, const bson_t *filter, const bson_t *match)
{
    bson_t *query = bson_new(), all;
    int count = 0;
    bson_append_array_begin(query, "$and", -1, &all);
    add_document(&all, &count, filter);
    add_document(&all, &count, match);
    bool ties = scan->has_last && !scan->last.key_only && !by_id(scan);
    if (scan->has_last && (!ties || scan->last.key.value_type != BSON_TYPE_NULL)) {
        /* One plain comparison, which the index serves; where ties matter the exact one comes on top. */
        const char *name = beyond(scan, ties || scan->last.inclusive);
        add_expr(&all, &count, comparison(name, path_of(mapping_order(scan->mapping)), &scan->last.key));
    }
    if (ties) {
        add_expr(&all, &count, exact_bound(scan, &scan->last));
    }
    bson_append_array_end(query, &all);
    if (count == 0) {
        bson_reinit(query);
    }
    return query;
}

static void append_sort(const struct history_scan *scan, bson_t *opts)
{
    bson_t sort;
    bson_append_document_begin(opts, "sort", -1, &sort);
    bson_append_int32(&sort, mapping_order(scan->mapping), -1, direction(scan));
    if (!by_id(scan)) {
        bson_append_int32(&sort, "_id", -1, direction(scan));
    }
    bson_append_document_end(opts, &sort);
}

static void append_hint(const struct history_scan *scan, bson_t *opts)
{
    bson_t hint;
    if (scan->index) {
        bson_append_utf8(opts, "hint", -1, scan->index, -1);
        return;
    }
    bson_append_document_begin(opts, "hint", -1, &hint);
    bson_append_int32(&hint, "_id", -1, 1);
    bson_append_document_end(opts, &hint);
}

/* Only what a majority has: live streams show nothing else either. NULL when the page's time is over. */
static bson_t *make_opts(const struct history_scan *scan, bool hint)
{
    int64_t left_ms = (scan->budget->deadline_us - clock_mono_us()) / 1000;
    if (left_ms <= 0) {
        return NULL;
    }
    bson_t *opts = BCON_NEW("maxTimeMS", BCON_INT64(left_ms < QUERY_MS ? left_ms : QUERY_MS), "batchSize",
                            BCON_INT32(scan->budget->batch));
    mongoc_read_concern_t *concern = mongoc_read_concern_new();
    mongoc_read_concern_set_level(concern, MONGOC_READ_CONCERN_LEVEL_MAJORITY);
    mongoc_read_concern_append(concern, opts);
    mongoc_read_concern_destroy(concern);
    append_sort(scan, opts);
    if (hint) {
        append_hint(scan, opts);
    }
    return opts;
}

/* Ask. filter and match: conditions, or NULL. */
static int open_cursor(struct history_scan *scan, const bson_t *filter, const bson_t *match, bool hint,
                       struct error *err)
{
    bson_t *opts = make_opts(scan, hint);
    if (!opts) {
        return error_set(err, "MongoDB took too long");
    }
    bson_t *query = make_query(scan, filter, match);
    if (scan->cursor) {
        mongoc_cursor_destroy(scan->cursor);
    }
    scan->cursor = mongoc_collection_find_with_opts(scan->collection, query, opts, NULL);
    bson_destroy(query);
    bson_destroy(opts);
    return 0;
}

/* --- rows ----------------------------------------------------------------------------------------- */

/* The time that the order value tells and how long that moment lasts; false when it tells none. */
static bool order_time(const struct history_scan *scan, const bson_iter_t *value, int64_t *time_ms, int64_t *span_ms)
{
    bson_type_t type = bson_iter_type(value);
    bool clear = type == BSON_TYPE_OID || type == BSON_TYPE_DATE_TIME || type == BSON_TYPE_TIMESTAMP;
    *span_ms = type == BSON_TYPE_OID || type == BSON_TYPE_TIMESTAMP ? OID_SPAN_MS : 1;
    return (clear || !by_id(scan)) && preset_time(value, time_ms) == 0;
}

/* Is the moment `at` inside the span that begins at `from`? Documents may hold any number. */
static bool is_within(int64_t at, int64_t from, int64_t span_ms)
{
    return at >= from && (uint64_t)at - (uint64_t)from < (uint64_t)span_ms;
}

/* Fill the row's times; false when the page's time bound leaves it out. A row that tells no time goes with the one
 * before it and is never left out. */
static bool read_times(struct history_scan *scan, const bson_t *document, const bson_iter_t *order)
{
    const struct history_cursor *begin = scan->begin;
    int64_t time_ms = 0, span_ms = 1;
    bool own = mapping_time(scan->mapping, document, &scan->ts_ms) == 0;
    bool known = order && order_time(scan, order, &time_ms, &span_ms);
    if (!own) {
        scan->ts_ms = known ? time_ms : 0;
    }
    if (!known && !own) {
        return true;
    }
    bool finer = own && (!known || is_within(scan->ts_ms, time_ms, span_ms));
    scan->time_ms = finer ? scan->ts_ms : time_ms;
    if (!begin->has_time || scan->timeless) {
        return true;
    }
    time_ms = known ? time_ms : scan->ts_ms;
    if (begin->newest_first) {
        return time_ms < begin->time_ms;
    }
    return time_ms >= begin->time_ms || is_within(begin->time_ms, time_ms, span_ms);
}

static void read_place(const struct history_scan *scan, const bson_t *document, struct history_place *place)
{
    const char *order = mapping_order(scan->mapping);
    bson_iter_t at;
    history_place_fini(place);
    if (field_path_find(document, order, strlen(order), &at)) {
        bson_value_copy(bson_iter_value(&at), &place->key);
    }
    if (!by_id(scan) && field_path_find(document, "_id", 3, &at)) {
        bson_value_copy(bson_iter_value(&at), &place->id);
    }
    place->inclusive = false;
}

static void take_row(struct history_scan *scan, const bson_t *document)
{
    const char *order = mapping_order(scan->mapping);
    bson_iter_t at;
    bool has_order = field_path_find(document, order, strlen(order), &at);
    scan->document = document;
    read_place(scan, document, &scan->here);
    scan->skipped = !read_times(scan, document, has_order ? &at : NULL);
}

/* The next row of the cursor. A query that takes too long is asked anew, without channels, from where it stands. */
static int fetch(struct history_scan *scan, const bson_t **document, struct error *err)
{
    bson_error_t error;
    for (;;) {
        if (mongoc_cursor_next(scan->cursor, document)) {
            return 0;
        }
        *document = NULL;
        if (!mongoc_cursor_error(scan->cursor, &error)) {
            return 0;
        }
        bool slow = error.code == ERROR_TIME_LIMIT || error.code == ERROR_SORT_MEMORY;
        if (!slow || scan->plain) {
            return database_error(&error, err);
        }
        scan->budget->plain = scan->plain = true;
        if (open_cursor(scan, NULL, mapping_filter(scan->mapping), true, err) != 0) {
            return -1;
        }
    }
}

int history_scan_next(struct history_scan *scan, struct error *err)
{
    if (scan->document) {
        history_place_copy(&scan->here, &scan->last);
        scan->has_last = true;
        scan->document = NULL;
    }
    const bson_t *document;
    if (fetch(scan, &document, err) != 0) {
        return -1;
    }
    if (document) {
        take_row(scan, document);
    }
    return 0;
}

/* --- beginning ------------------------------------------------------------------------------------ */

/* Where to begin when the order values are ObjectIds. */
static void begin_at_oid(struct history_scan *scan)
{
    const struct history_cursor *begin = scan->begin;
    scan->last.key.value_type = BSON_TYPE_OID;
    if (begin->has_oid && by_id(scan)) {
        bson_oid_copy(&begin->oid, &scan->last.key.value.v_oid);
        scan->last.inclusive = false;
        return;
    }
    bool round_up = begin->newest_first && begin->time_ms % 1000 != 0;
    int64_t seconds = begin->time_ms / 1000 + round_up;
    uint32_t s = seconds < 0 ? 0 : seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds;
    uint8_t bytes[12] = {(uint8_t)(s >> 24), (uint8_t)(s >> 16), (uint8_t)(s >> 8), (uint8_t)s};
    bson_oid_init_from_data(&scan->last.key.value.v_oid, bytes);
    scan->last.inclusive = !begin->newest_first;
}

/*
 * A time becomes a place when the first row in reading direction has an order value of a type that tells time. That is
 * exact, because types sort in one fixed order: what a comparison with that type would leave out does not exist.
 */
static void begin_at_time(struct history_scan *scan, const bson_iter_t *first)
{
    if (BSON_ITER_HOLDS_OID(first)) {
        begin_at_oid(scan);
    } else if (BSON_ITER_HOLDS_DATE_TIME(first)) {
        scan->last.key.value_type = BSON_TYPE_DATE_TIME;
        scan->last.key.value.v_datetime = scan->begin->time_ms;
        scan->last.inclusive = !scan->begin->newest_first;
    } else {
        return;
    }
    scan->last.key_only = true;
    scan->has_last = true;
}

static int probe(struct history_scan *scan, struct error *err)
{
    const char *order = mapping_order(scan->mapping);
    const bson_t *document;
    bson_iter_t at;
    scan->plain = true;
    int rc = open_cursor(scan, NULL, NULL, true, err);
    rc = rc == 0 ? fetch(scan, &document, err) : rc;
    if (rc == 0 && document && field_path_find(document, order, strlen(order), &at)) {
        begin_at_time(scan, &at);
    }
    return rc;
}

/* A request's own beginning, or the place that its cursor names. */
static int find_beginning(struct history_scan *scan, struct error *err)
{
    scan->document = NULL; /* of a search for an _id */
    scan->time_ms = scan->begin->newest_first ? INT64_MAX : INT64_MIN;
    scan->has_last = history_cursor_get(scan->begin, scan->key, &scan->last);
    scan->timeless = scan->has_last && scan->last.timeless;
    bool bound = !scan->has_last && scan->begin->has_time;
    return bound ? probe(scan, err) : 0;
}

int history_scan_start(struct history_scan *scan, struct error *err)
{
    int rc = check_index(scan, err);
    rc = rc == 0 ? find_beginning(scan, err) : rc;
    if (rc != 0) {
        return rc;
    }
    scan->plain = scan->budget->plain;
    rc = open_cursor(scan, scan->plain ? NULL : scan->filter, mapping_filter(scan->mapping), scan->plain, err);
    return rc == 0 ? history_scan_next(scan, err) : rc;
}

int history_scan_find(struct history_scan *scan, const bson_t *condition, struct error *err)
{
    const bson_t *document;
    bson_t *query = BCON_NEW("$and", "[", BCON_DOCUMENT(condition), BCON_DOCUMENT(scan->filter), "]");
    scan->plain = true; /* it is by _id: there is nothing faster */
    int rc = open_cursor(scan, query, mapping_filter(scan->mapping), false, err);
    bson_destroy(query);
    rc = rc == 0 ? fetch(scan, &document, err) : rc;
    if (rc == 0 && document) {
        take_row(scan, document);
    }
    return rc;
}

/* Add the place to the cursor. */
static void put(const struct history_scan *scan, struct history_place place, bool inclusive,
                struct history_cursor *cursor)
{
    place.inclusive = inclusive;
    place.timeless = scan->timeless;
    history_cursor_put(cursor, scan->key, &place);
}

void history_scan_begin_here(struct history_scan *scan, struct history_cursor *begin)
{
    scan->timeless = true;
    put(scan, scan->here, false, begin);
}

void history_scan_save(const struct history_scan *scan, struct history_cursor *cursor)
{
    bool newest_first = scan->begin->newest_first;
    if (newest_first && !scan->document) {
        return; /* done */
    }
    if (scan->has_last && !scan->last.key_only) {
        put(scan, scan->last, scan->last.inclusive, cursor);
    } else if (newest_first) {
        put(scan, scan->here, true, cursor);
    }
}

void history_scan_fini(struct history_scan *scan)
{
    history_place_fini(&scan->here);
    history_place_fini(&scan->last);
    if (scan->cursor) {
        mongoc_cursor_destroy(scan->cursor);
    }
    mongoc_collection_destroy(scan->collection);
    bson_destroy(scan->filter);
    free(scan->index);
    free(scan->name);
}
