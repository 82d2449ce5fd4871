/* history_scan - see history_scan.h. */
#include "history_scan.h"

#include "clock.h"
#include "field_path.h"
#include "history_index.h"
#include "history_query.h"
#include "preset.h"

#include <stdlib.h>
#include <string.h>

enum {
    ERROR_SORT_MEMORY = 292,
    OID_SPAN_MS = 1000, /* an ObjectId tells seconds */
};

/* The field that rows are read by. */
static const char *order_of(const struct history_scan *scan)
{
    return scan->loose ? "_id" : mapping_order(scan->mapping);
}

static bool by_id(const struct history_scan *scan)
{
    return strcmp(order_of(scan), "_id") == 0;
}

static int32_t direction(const struct history_scan *scan)
{
    return scan->begin->newest_first ? -1 : 1;
}

static int check_index(struct history_scan *scan, struct error *err)
{
    struct buffer command = BUFFER_INIT;
    if (by_id(scan)) {
        return HISTORY_SCAN_READY;
    }
    if (history_index_find(scan->collection, mapping_order(scan->mapping), &scan->index, err) != 0) {
        return -1;
    }
    if (scan->index) {
        return HISTORY_SCAN_READY;
    }
    history_index_command(scan->name, NULL, 0, mapping_order(scan->mapping), &command);
    error_set(err, "collection %s has no index for its order field; create it with %s", scan->name,
              buffer_text(&command));
    buffer_fini(&command);
    return HISTORY_SCAN_NO_INDEX;
}

/* --- the query ------------------------------------------------------------------------------------ */

static void append_sort(const struct history_scan *scan, bson_t *opts)
{
    bson_t sort;
    bson_append_document_begin(opts, "sort", -1, &sort);
    bson_append_int32(&sort, order_of(scan), -1, direction(scan));
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

/* NULL when the page's time is over. */
static bson_t *make_opts(const struct history_scan *scan, bool hint)
{
    const struct history_budget *budget = scan->budget;
    int64_t left_ms = (budget->deadline_us - clock_mono_us()) / 1000;
    if (left_ms <= 0) {
        return NULL;
    }
    bson_t *opts = BCON_NEW("maxTimeMS", BCON_INT64(left_ms < budget->query_ms ? left_ms : budget->query_ms),
                            "batchSize", BCON_INT32(budget->batch));
    append_sort(scan, opts);
    if (hint) {
        append_hint(scan, opts);
    }
    return opts;
}

/* Only what a majority has: live streams show nothing else either. */
static mongoc_cursor_t *find_by_majority(const struct history_scan *scan, const bson_t *query, bson_t *opts)
{
    mongoc_read_concern_t *concern = mongoc_read_concern_new();
    mongoc_read_concern_set_level(concern, MONGOC_READ_CONCERN_LEVEL_MAJORITY);
    mongoc_read_concern_append(concern, opts);
    mongoc_read_concern_destroy(concern);
    return mongoc_collection_find_with_opts(scan->collection, query, opts, NULL);
}

static void find(struct history_scan *scan, const bson_t *query, bson_t *opts)
{
    if (!scan->view) {
        scan->cursor = find_by_majority(scan, query, opts);
    } else if (read_view_find(scan->view, mapping_database(scan->mapping), scan->name, query, opts, &scan->cursor,
                              &scan->failed) != 0) {
        scan->cursor = NULL;
    }
}

/* Ask for everything from the last place on. filter and match: conditions, or NULL. */
static void open_cursor(struct history_scan *scan, const bson_t *filter, const bson_t *match, bool hint)
{
    bson_t *span = scan->span ? history_span_condition(scan->span, mapping_order(scan->mapping)) : NULL;
    struct history_query wanted = {
        .order = order_of(scan),
        .newest_first = scan->begin->newest_first,
        .from = scan->has_last ? &scan->last : NULL,
        .conditions = {filter, match, span},
    };
    if (scan->cursor) {
        mongoc_cursor_destroy(scan->cursor);
        scan->cursor = NULL;
    }
    bson_t *opts = make_opts(scan, hint);
    if (opts) {
        bson_t *query = history_query_new(&wanted);
        find(scan, query, opts);
        bson_destroy(query);
        bson_destroy(opts);
    } else {
        error_set(&scan->failed, "MongoDB took too long");
        scan->failed.code = HISTORY_SCAN_LATE;
    }
    bson_destroy(span);
}

/* Ask anew from where it stands. */
static void reopen(struct history_scan *scan)
{
    open_cursor(scan, scan->plain ? NULL : scan->filter, mapping_filter(scan->mapping), scan->plain);
}

/* --- rows ----------------------------------------------------------------------------------------- */

/* The time that the order value tells and how long that moment lasts; false when it tells none. */
static bool order_time(const struct history_scan *scan, const bson_iter_t *value, int64_t *time_ms, int64_t *span_ms)
{
    bson_type_t type = bson_iter_type(value);
    bool clear = type == BSON_TYPE_OID || type == BSON_TYPE_DATE_TIME || type == BSON_TYPE_TIMESTAMP;
    *span_ms = type == BSON_TYPE_OID || type == BSON_TYPE_TIMESTAMP ? OID_SPAN_MS : 1;
    return (clear || strcmp(mapping_order(scan->mapping), "_id") != 0) && preset_time(value, time_ms) == 0;
}

/* Is the moment `at` inside the span that begins at `from`? Documents may hold any number. */
static bool is_within(int64_t at, int64_t from, int64_t span_ms)
{
    return at >= from && (uint64_t)at - (uint64_t)from < (uint64_t)span_ms;
}

/* Does the time that was asked for leave in a row whose order value (or, where that tells none, own time) is this? */
static bool is_asked_for(const struct history_scan *scan, int64_t time_ms, int64_t span_ms)
{
    const struct history_cursor *begin = scan->begin;
    if (scan->span) {
        /* What is known finer counts; but on the full second it may be the ObjectId's own. */
        return history_span_touches(scan->span, scan->time_ms, scan->time_ms == time_ms ? span_ms : 1);
    }
    if (!begin->has_time || scan->timeless) {
        return true;
    }
    if (begin->newest_first) {
        return time_ms < begin->time_ms;
    }
    return time_ms >= begin->time_ms || is_within(begin->time_ms, time_ms, span_ms);
}

/* Fill the row's times; false when it is not asked for. A row that tells no time goes with the one before it and is
 * never left out. */
static bool read_times(struct history_scan *scan, const bson_t *document, const bson_iter_t *order)
{
    int64_t time_ms = 0, span_ms = 1;
    bool own = mapping_time(scan->mapping, document, &scan->ts_ms) == 0;
    bool known = order && order_time(scan, order, &time_ms, &span_ms);
    if (!own) {
        scan->ts_ms = known ? time_ms : 0;
    }
    scan->told_ms = 0;
    if (!known && !own) {
        return true;
    }
    bool finer = own && (!known || is_within(scan->ts_ms, time_ms, span_ms));
    scan->told_ms = scan->time_ms = finer ? scan->ts_ms : time_ms;
    return is_asked_for(scan, known ? time_ms : scan->ts_ms, span_ms);
}

static void read_place(const struct history_scan *scan, const bson_t *document, struct history_place *place)
{
    const char *order = order_of(scan);
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

static int advance(struct history_scan *scan, const bson_t **document, struct error *err)
{
    bson_error_t error;
    *document = NULL;
    if (!scan->cursor) {
        *err = scan->failed;
        return -1;
    }
    if (mongoc_cursor_next(scan->cursor, document)) {
        return 0;
    }
    *document = NULL;
    return mongoc_cursor_error(scan->cursor, &error) ? database_error(&error, err) : 0;
}

/* The next row of the cursor. A query that takes too long is asked anew, without channels, from where it stands. */
static int fetch(struct history_scan *scan, const bson_t **document, struct error *err)
{
    while (advance(scan, document, err) != 0) {
        bool slow = err->code == HISTORY_SCAN_LATE || err->code == ERROR_SORT_MEMORY;
        if (!slow || scan->plain) {
            scan->slow = scan->slow || slow;
            return -1;
        }
        scan->slow = scan->budget->plain = scan->plain = true;
        reopen(scan);
    }
    return 0;
}

/* Leave the row that it stands on behind: the place becomes its own or, where nothing of its kind can be wanted any
 * more, one behind its kind. */
static void pass(struct history_scan *scan)
{
    const char *order = mapping_order(scan->mapping);
    bson_iter_t at;
    bool over = scan->skipped && scan->span && !by_id(scan) &&
                field_path_find(scan->document, order, strlen(order), &at) &&
                history_span_leap(scan->span, &at, &scan->last);
    scan->has_last = true;
    scan->document = NULL;
    if (over) {
        reopen(scan);
    } else {
        history_place_copy(&scan->here, &scan->last);
    }
}

int history_scan_next(struct history_scan *scan, struct error *err)
{
    const bson_t *document;
    if (scan->document) {
        pass(scan);
    }
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
    open_cursor(scan, NULL, NULL, true);
    int rc = fetch(scan, &document, err);
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
    reopen(scan);
    return history_scan_next(scan, err);
}

int history_scan_find(struct history_scan *scan, const bson_t *condition, struct error *err)
{
    const bson_t *document;
    bson_t *query = BCON_NEW("$and", "[", BCON_DOCUMENT(condition), BCON_DOCUMENT(scan->filter), "]");
    scan->plain = true; /* it is by _id: there is nothing faster */
    open_cursor(scan, query, mapping_filter(scan->mapping), false);
    bson_destroy(query);
    int rc = fetch(scan, &document, err);
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
