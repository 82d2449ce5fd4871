/* change_stream - see change_stream.h. */
#include "change_stream.h"

#include "buffer.h"
#include "database.h"

#include <stdlib.h>
#include <string.h>

struct change_stream {
    mongoc_client_t *client;
    mongoc_client_session_t *session; /* the cursor belongs to it */
    uint32_t server_id;
    int64_t cursor_id;
    char *database, *collection; /* of the cursor's namespace */
    int32_t batch_size;
    int64_t max_await_ms;
    bool begun; /* the first getMore was answered */
    bson_t reply;
    bool has_reply;
};

static int start_session(struct change_stream *s, struct error *err)
{
    bson_error_t error;
    mongoc_session_opt_t *options = mongoc_session_opts_new();
    /* Causal consistency would add afterClusterTime to every command: it is the change stream that orders us. */
    mongoc_session_opts_set_causal_consistency(options, false);
    s->session = mongoc_client_start_session(s->client, options, &error);
    mongoc_session_opts_destroy(options);
    return s->session ? 0 : database_error(&error, err);
}

static int select_server(struct change_stream *s, struct error *err)
{
    bson_error_t error;
    const mongoc_read_prefs_t *prefs = mongoc_uri_get_read_prefs_t(mongoc_client_get_uri(s->client));
    mongoc_server_description_t *server = mongoc_client_select_server(s->client, false, prefs, &error);
    if (!server) {
        return database_error(&error, err);
    }
    s->server_id = mongoc_server_description_id(server);
    mongoc_server_description_destroy(server);
    return 0;
}

/* Run a command on the stream's server in its session; the reply stays in s->reply. */
static int run(struct change_stream *s, const char *database, const bson_t *command, struct error *err)
{
    bson_error_t error = {0};
    bson_t opts = BSON_INITIALIZER;
    BSON_APPEND_INT32(&opts, "serverId", (int32_t)s->server_id);
    bool ok = mongoc_client_session_append(s->session, &opts, &error);
    if (ok) {
        if (s->has_reply) {
            bson_destroy(&s->reply);
        }
        const mongoc_read_prefs_t *prefs = mongoc_uri_get_read_prefs_t(mongoc_client_get_uri(s->client));
        ok = mongoc_client_command_with_opts(s->client, database, command, prefs, &opts, &s->reply, &error);
        s->has_reply = true;
    }
    bson_destroy(&opts);
    return ok ? 0 : database_error(&error, err);
}

static void append_change_stream_stage(bson_t *stages, const struct change_stream_options *options, bool cluster)
{
    bson_t stage, spec;
    bson_append_document_begin(stages, "0", 1, &stage);
    bson_append_document_begin(&stage, "$changeStream", -1, &spec);
    bson_append_timestamp(&spec, "startAtOperationTime", -1, (uint32_t)(options->start >> 32),
                          (uint32_t)options->start);
    if (cluster) {
        BSON_APPEND_BOOL(&spec, "allChangesForCluster", true);
    }
    bson_append_document_end(&stage, &spec);
    bson_append_document_end(stages, &stage);
}

static void build_aggregate(const struct change_stream_options *options, const char **database, bson_t *command)
{
    const char *collection = NULL;
    bson_t stages, cursor;
    enum mapping_scope scope = mapping_set_scope(options->mappings, database, &collection);
    if (scope == MAPPING_SCOPE_COLLECTION) {
        BSON_APPEND_UTF8(command, "aggregate", collection);
    } else {
        BSON_APPEND_INT32(command, "aggregate", 1);
    }
    if (scope == MAPPING_SCOPE_CLUSTER) {
        *database = "admin";
    }
    bson_append_array_begin(command, "pipeline", -1, &stages);
    append_change_stream_stage(&stages, options, scope == MAPPING_SCOPE_CLUSTER);
    mapping_set_pipeline(options->mappings, options->drop_oversize, options->with_grants, &stages);
    bson_append_array_end(command, &stages);
    bson_append_document_begin(command, "cursor", -1, &cursor);
    BSON_APPEND_INT32(&cursor, "batchSize", 0); /* answer at once; the scan happens in getMore */
    bson_append_document_end(command, &cursor);
}

static int read_cursor(struct change_stream *s, struct error *err)
{
    bson_iter_t it, found;
    if (!bson_iter_init(&it, &s->reply) || !bson_iter_find_descendant(&it, "cursor.id", &found)) {
        return error_set(err, "the server's answer to a change stream has no cursor");
    }
    s->cursor_id = bson_iter_as_int64(&found);
    if (!bson_iter_init(&it, &s->reply) || !bson_iter_find_descendant(&it, "cursor.ns", &found) ||
        !BSON_ITER_HOLDS_UTF8(&found)) {
        return error_set(err, "the server's answer to a change stream has no namespace");
    }
    const char *ns = bson_iter_utf8(&found, NULL);
    const char *dot = strchr(ns, '.');
    if (!dot) {
        return error_set(err, "the change stream's namespace is odd");
    }
    s->database = memory_copy(ns, (size_t)(dot - ns));
    s->collection = memory_text(dot + 1);
    return 0;
}

static int open_cursor(struct change_stream *s, const struct change_stream_options *options, struct error *err)
{
    const char *database;
    bson_t command = BSON_INITIALIZER;
    build_aggregate(options, &database, &command);
    int rc = run(s, database, &command, err);
    bson_destroy(&command);
    return rc ? rc : read_cursor(s, err);
}

int change_stream_open(mongoc_client_t *client, const struct change_stream_options *options,
                       struct change_stream **out, struct error *err)
{
    /* bson_t wants 128 bytes of alignment, and the compiler relies on it. */
    struct change_stream *s = memory_zero_aligned(_Alignof(struct change_stream), sizeof *s);
    s->client = client;
    s->batch_size = options->batch_size;
    s->max_await_ms = options->max_await_ms;
    if (start_session(s, err) != 0 || select_server(s, err) != 0 || open_cursor(s, options, err) != 0) {
        change_stream_close(s, false);
        return -1;
    }
    *out = s;
    return 0;
}

/*
 * Up to which cluster time a postBatchResumeToken vouches when nothing more came. A high-water mark of time T ("82", T,
 * version "2B0x", type "29") does not exclude events at T itself: they were seen to come after it (MongoDB 6.0). The
 * token of an event (type "2C…") does, for all events of its time have come with it.
 */
static uint64_t token_complete(const char *token, uint32_t len)
{
    enum { TYPE_AT = 22 };
    struct event_id id;
    if (event_id_parse(token, len, &id) != 0 || len < TYPE_AT + 2) {
        return 0;
    }
    bool is_event = token[TYPE_AT] == '2' && (token[TYPE_AT + 1] == 'C' || token[TYPE_AT + 1] == 'c');
    return is_event ? id.cluster_time : id.cluster_time - 1;
}

static uint64_t read_complete(const bson_t *reply)
{
    bson_iter_t it, found;
    if (!bson_iter_init(&it, reply) || !bson_iter_find_descendant(&it, "cursor.postBatchResumeToken._data", &found) ||
        !BSON_ITER_HOLDS_UTF8(&found)) {
        return 0;
    }
    uint32_t len;
    const char *token = bson_iter_utf8(&found, &len);
    return token_complete(token, len);
}

static int read_batch(struct change_stream *s, struct change_batch *batch, struct error *err)
{
    bson_iter_t it, array;
    if (!bson_iter_init(&it, &s->reply) || !bson_iter_find_descendant(&it, "cursor.nextBatch", &array) ||
        !BSON_ITER_HOLDS_ARRAY(&array) || !bson_iter_recurse(&array, &batch->documents)) {
        return error_set(err, "the server's answer to getMore has no batch");
    }
    bson_iter_t probe = batch->documents;
    batch->empty = !bson_iter_next(&probe);
    batch->complete = batch->empty ? read_complete(&s->reply) : 0;
    batch->cluster_time = database_cluster_time(&s->reply);
    return 0;
}

int change_stream_next(struct change_stream *s, struct change_batch *batch, struct error *err)
{
    if (s->cursor_id == 0) {
        return error_set(err, "the server closed the change stream");
    }
    bson_t command = BSON_INITIALIZER;
    BSON_APPEND_INT64(&command, "getMore", s->cursor_id);
    BSON_APPEND_UTF8(&command, "collection", s->collection);
    BSON_APPEND_INT32(&command, "batchSize", s->batch_size);
    BSON_APPEND_INT64(&command, "maxTimeMS", s->begun ? s->max_await_ms : 1);
    int rc = run(s, s->database, &command, err);
    bson_destroy(&command);
    if (rc != 0) {
        s->cursor_id = 0;
        return rc;
    }
    s->begun = true;
    bson_iter_t it, found;
    if (bson_iter_init(&it, &s->reply) && bson_iter_find_descendant(&it, "cursor.id", &found)) {
        s->cursor_id = bson_iter_as_int64(&found);
    }
    return read_batch(s, batch, err);
}

void change_stream_set_batch_size(struct change_stream *s, int32_t batch_size)
{
    s->batch_size = batch_size;
}

static void kill_cursor(struct change_stream *s)
{
    bson_t *command = BCON_NEW("killCursors", BCON_UTF8(s->collection), "cursors", "[", BCON_INT64(s->cursor_id), "]");
    run(s, s->database, command, NULL);
    bson_destroy(command);
}

void change_stream_close(struct change_stream *s, bool polite)
{
    if (!s) {
        return;
    }
    if (polite && s->cursor_id) {
        kill_cursor(s);
    }
    if (s->has_reply) {
        bson_destroy(&s->reply);
    }
    if (s->session) {
        mongoc_client_session_destroy(s->session);
    }
    free(s->database);
    free(s->collection);
    free(s);
}
