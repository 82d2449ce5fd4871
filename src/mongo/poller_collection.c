/* poller_collection - see poller_collection.h. */
#include "poller_collection.h"

#include "clock.h"
#include "field_path.h"
#include "history_index.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>

enum {
    WINDOW_MAX = 200000, /* documents of a window, 32 bytes each */
    PASSED_MAX = 20000,  /* of what is there at the beginning; older documents are never looked at */
    QUERY_MS = 10000,
    KEYS_BATCH = 5000,
    DOCUMENTS_BATCH = 500,
};

/* --- asking ---------------------------------------------------------------------------------------- */

static const mongoc_read_prefs_t *prefs_of(const struct poller_view *view)
{
    return mongoc_uri_get_read_prefs_t(mongoc_client_get_uri(view->client));
}

static int start_session(struct poller_view *view, struct error *err)
{
    bson_error_t error;
    mongoc_session_opt_t *options = mongoc_session_opts_new();
    mongoc_session_opts_set_causal_consistency(options, false); /* it would add a read concern of its own */
    view->session = mongoc_client_start_session(view->client, options, &error);
    mongoc_session_opts_destroy(options);
    return view->session ? 0 : database_error(&error, err);
}

static int select_server(struct poller_view *view, struct error *err)
{
    bson_error_t error;
    mongoc_server_description_t *server = mongoc_client_select_server(view->client, false, prefs_of(view), &error);
    if (!server) {
        return database_error(&error, err);
    }
    view->server_id = mongoc_server_description_id(server);
    mongoc_server_description_destroy(server);
    return 0;
}

int poller_view_open(struct poller_view *view, mongoc_client_t *client, struct event_builder *builder, uint64_t at,
                     struct error *err)
{
    struct database_hello hello;
    *view = (struct poller_view){.client = client, .builder = builder, .at = at};
    if (database_hello(client, &hello, err) != 0 || start_session(view, err) != 0 || select_server(view, err) != 0) {
        return -1;
    }
    view->server_ms = hello.local_ms;
    return 0;
}

void poller_view_close(struct poller_view *view)
{
    if (view->session) {
        mongoc_client_session_destroy(view->session);
        view->session = NULL;
    }
}

static void append_concern(const struct poller_view *view, bson_t *command)
{
    bson_t concern;
    bson_append_document_begin(command, "readConcern", -1, &concern);
    BSON_APPEND_UTF8(&concern, "level", view->at ? "snapshot" : "majority");
    if (view->at) {
        bson_append_timestamp(&concern, "atClusterTime", -1, (uint32_t)(view->at >> 32), (uint32_t)view->at);
    }
    bson_append_document_end(command, &concern);
}

/* Run a find command. Takes it. Returns 0 with a cursor, or -1 with *err. */
static int find(const struct poller_collection *c, const struct poller_view *view, bson_t *command, int32_t batch,
                mongoc_cursor_t **cursor, struct error *err)
{
    bson_error_t error = {0};
    bson_t reply, opts = BSON_INITIALIZER;
    BSON_APPEND_INT32(command, "batchSize", batch);
    BSON_APPEND_INT64(command, "maxTimeMS", QUERY_MS);
    append_concern(view, command);
    BSON_APPEND_INT32(&opts, "serverId", (int32_t)view->server_id);
    int rc = mongoc_client_session_append(view->session, &opts, &error) ? 0 : database_error(&error, err);
    if (rc == 0 && !mongoc_client_command_with_opts(view->client, c->database, command, prefs_of(view), &opts, &reply,
                                                    &error)) {
        rc = database_error(&error, err);
        bson_destroy(&reply);
    } else if (rc == 0) {
        BSON_APPEND_INT32(&opts, "batchSize", batch);
        *cursor = mongoc_cursor_new_from_command_reply_with_opts(view->client, &reply, &opts); /* takes the reply */
    }
    bson_destroy(&opts);
    bson_destroy(command);
    return rc;
}

static void append_sort(const struct poller_collection *c, int32_t direction, bson_t *command)
{
    bson_t sort;
    bson_append_document_begin(command, "sort", -1, &sort);
    bson_append_int32(&sort, c->order, -1, direction);
    bson_append_document_end(command, &sort);
}

static void append_key_projection(const struct poller_collection *c, bson_t *command)
{
    bson_t projection;
    bson_append_document_begin(command, "projection", -1, &projection);
    BSON_APPEND_INT32(&projection, "_id", 1);
    if (strcmp(c->order, "_id") != 0) {
        bson_append_int32(&projection, c->order, -1, 1);
    }
    bson_append_document_end(command, &projection);
}

/* {order: {$gte: bound}}, or {} */
static void append_bound(const struct poller_collection *c, bson_t *query)
{
    bson_t condition;
    const bson_value_t *bound = poll_window_bound(c->window);
    if (bound) {
        bson_append_document_begin(query, c->order, -1, &condition);
        bson_append_value(&condition, "$gte", -1, bound);
        bson_append_document_end(query, &condition);
    }
}

int poller_collection_keys(const struct poller_collection *c, const struct poller_view *view, mongoc_cursor_t **cursor,
                           struct error *err)
{
    bson_t query = BSON_INITIALIZER;
    append_bound(c, &query);
    bson_t *command = BCON_NEW("find", BCON_UTF8(c->name), "filter", BCON_DOCUMENT(&query));
    bson_destroy(&query);
    append_key_projection(c, command);
    append_sort(c, 1, command);
    return find(c, view, command, KEYS_BATCH, cursor, err);
}

int poller_collection_documents(const struct poller_collection *c, const struct poller_view *view, const bson_t *ids,
                                mongoc_cursor_t **cursor, struct error *err)
{
    bson_t range = BSON_INITIALIZER, everything = BSON_INITIALIZER;
    const bson_t *match = mapping_filter(c->mapping);
    append_bound(c, &range); /* for collections without an index on _id */
    bson_t *command = BCON_NEW("find", BCON_UTF8(c->name), "filter", "{", "$and", "[", "{", "_id", "{", "$in",
                               BCON_ARRAY(ids), "}", "}", BCON_DOCUMENT(&range),
                               BCON_DOCUMENT(match ? match : &everything), "]", "}");
    bson_destroy(&range);
    bson_destroy(&everything);
    append_sort(c, 1, command);
    return find(c, view, command, DOCUMENTS_BATCH, cursor, err);
}

/* --- one document ---------------------------------------------------------------------------------- */

bool poller_collection_place(const struct poller_collection *c, const bson_t *document, bson_iter_t *order)
{
    return field_path_find(document, c->order, strlen(c->order), order);
}

int64_t poller_collection_hash(const struct poller_collection *c, struct event_builder *builder, const bson_t *document)
{
    return event_builder_insert_hash(builder, (struct slice){c->database, strlen(c->database)},
                                     (struct slice){c->name, strlen(c->name)}, document);
}

/* --- beginning ------------------------------------------------------------------------------------- */

/* Read by its time field: what the server says of it. */
static int choose_time_field(struct poller_collection *c, const struct poller_view *view, struct error *err)
{
    bson_error_t error;
    const bson_t *entry;
    bson_iter_t at, found;
    bson_t *opts = BCON_NEW("filter", "{", "name", BCON_UTF8(c->name), "}");
    mongoc_database_t *database = mongoc_client_get_database(view->client, c->database);
    mongoc_cursor_t *cursor = mongoc_database_find_collections_with_opts(database, opts);
    if (mongoc_cursor_next(cursor, &entry) && bson_iter_init(&at, entry) &&
        bson_iter_find_descendant(&at, "options.timeseries.timeField", &found) && BSON_ITER_HOLDS_UTF8(&found)) {
        free(c->order);
        c->order = memory_text(bson_iter_utf8(&found, NULL));
    }
    int rc = mongoc_cursor_error(cursor, &error) ? database_error(&error, err) : 0;
    mongoc_cursor_destroy(cursor);
    mongoc_database_destroy(database);
    bson_destroy(opts);
    return rc;
}

static void advise_index(const struct poller_collection *c)
{
    struct buffer command = BUFFER_INIT;
    history_index_command(c->name, NULL, 0, c->order, &command);
    log_warn("poller", "%s has no index for its order field and is polled by _id; create one with %s", c->ns,
             buffer_text(&command));
    buffer_fini(&command);
}

/* By the mapping's order field, if an index serves that. */
static int check_index(struct poller_collection *c, const struct poller_view *view, struct error *err)
{
    char *index = NULL;
    mongoc_collection_t *collection = mongoc_client_get_collection(view->client, c->database, c->name);
    int rc = history_index_find(collection, c->order, &index, err);
    mongoc_collection_destroy(collection);
    if (rc == 0 && !index) {
        advise_index(c);
        free(c->order);
        c->order = memory_text("_id");
    }
    free(index);
    return rc;
}

static int choose_order(struct poller_collection *c, const struct poller_view *view, struct error *err)
{
    free(c->order);
    c->order = memory_text(mapping_order(c->mapping));
    bool by_id = strcmp(c->order, "_id") == 0;
    if (c->is_timeseries) {
        return by_id ? choose_time_field(c, view, err) : 0;
    }
    return by_id || c->is_view ? 0 : check_index(c, view, err);
}

/* The value above the lowest one that was passed: of that one, not all may have been. */
struct passed {
    bson_value_t lowest, above;
    unsigned count;
};

static void pass(struct poller_collection *c, const struct poller_view *view, const bson_t *key, struct passed *passed)
{
    bson_iter_t order;
    passed->count++;
    if (!poller_collection_place(c, key, &order)) {
        return;
    }
    const bson_value_t *value = bson_iter_value(&order);
    poll_window_see(c->window, value, poller_collection_hash(c, view->builder, key), view->server_ms);
    if (passed->lowest.value_type && poll_window_compare(value, &passed->lowest) != 0) {
        bson_value_destroy(&passed->above);
        passed->above = passed->lowest;
        bson_value_copy(value, &passed->lowest);
    } else if (!passed->lowest.value_type) {
        bson_value_copy(value, &passed->lowest);
    }
}

/* Look at the newest documents, downwards. */
static int pass_over(struct poller_collection *c, const struct poller_view *view, struct error *err)
{
    bson_error_t error;
    const bson_t *key;
    mongoc_cursor_t *cursor;
    struct passed passed = {.count = 0};
    bson_t *command = BCON_NEW("find", BCON_UTF8(c->name), "limit", BCON_INT32(PASSED_MAX));
    append_key_projection(c, command);
    append_sort(c, -1, command);
    if (find(c, view, command, KEYS_BATCH, &cursor, err) != 0) {
        return -1;
    }
    while (mongoc_cursor_next(cursor, &key)) {
        pass(c, view, key, &passed);
    }
    int rc = mongoc_cursor_error(cursor, &error) ? database_error(&error, err) : 0;
    mongoc_cursor_destroy(cursor);
    if (passed.count == PASSED_MAX) {
        poll_window_raise(c->window, passed.above.value_type ? &passed.above : &passed.lowest);
    }
    bson_value_destroy(&passed.above);
    bson_value_destroy(&passed.lowest);
    if (rc == 0) {
        poll_window_end(c->window, clock_mono_us());
    }
    return rc;
}

int poller_collection_begin(struct poller_collection *c, const struct poller_view *view, struct error *err)
{
    if (choose_order(c, view, err) != 0) {
        return -1;
    }
    /* A view that appears shows what was there before. */
    bool all_news = c->is_young && !c->is_view;
    if (!all_news && pass_over(c, view, err) != 0) {
        return -1;
    }
    c->begun = true;
    return 0;
}

/* --- life ------------------------------------------------------------------------------------------ */

struct poller_collection *poller_collection_new(const struct covered_collection *covered, int64_t overlap_us)
{
    struct poller_collection *c = memory_zero(1, sizeof *c);
    struct buffer ns = BUFFER_INIT;
    buffer_printf(&ns, "%s.%s", covered->database, covered->name);
    c->ns = memory_text(buffer_text(&ns));
    buffer_fini(&ns);
    c->database = memory_text(covered->database);
    c->name = memory_text(covered->name);
    c->mapping = covered->mapping;
    c->is_view = covered->kind == COVERED_VIEW;
    c->is_timeseries = covered->kind == COVERED_TIME_SERIES;
    c->window = poll_window_new(overlap_us, WINDOW_MAX);
    return c;
}

void poller_collection_free(struct poller_collection *c)
{
    poll_window_free(c->window);
    free(c->order);
    free(c->database);
    free(c->name);
    free(c->ns);
    free(c);
}
