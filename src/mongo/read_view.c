/* read_view - see read_view.h. */
#include "read_view.h"

#include "database.h"

enum {
    WIRE_VERSION_5_0 = 13,
    ERROR_BAD_VALUE = 2,              /* the index that is hinted is younger than the snapshot */
    ERROR_INVALID_OPTIONS = 72,       /* no snapshots outside of transactions */
    ERROR_NOT_SUPPORTED = 115,
    ERROR_SNAPSHOT_TOO_OLD = 239,
    ERROR_SNAPSHOT_UNAVAILABLE = 246, /* a capped collection, or one that was created or changed since */
};

static const mongoc_read_prefs_t *prefs_of(mongoc_client_t *client)
{
    return mongoc_uri_get_read_prefs_t(mongoc_client_get_uri(client));
}

static int start_session(struct read_view *view, struct error *err)
{
    bson_error_t error;
    mongoc_session_opt_t *options = mongoc_session_opts_new();
    mongoc_session_opts_set_causal_consistency(options, false); /* the commands say themselves what they are after */
    view->session = mongoc_client_start_session(view->client, options, &error);
    mongoc_session_opts_destroy(options);
    return view->session ? 0 : database_error(&error, err);
}

static int select_server(struct read_view *view, struct error *err)
{
    bson_error_t error;
    mongoc_server_description_t *server =
        mongoc_client_select_server(view->client, false, prefs_of(view->client), &error);
    if (!server) {
        return database_error(&error, err);
    }
    view->server_id = mongoc_server_description_id(server);
    mongoc_server_description_destroy(server);
    return 0;
}

/* Append what keeps a command on the view's server and in its session. */
static bool append_place(const struct read_view *view, bson_t *opts, bson_error_t *error)
{
    BSON_APPEND_INT32(opts, "serverId", (int32_t)view->server_id);
    return mongoc_client_session_append(view->session, opts, error);
}

/* The reply is initialised in any case. */
static int run(struct read_view *view, const char *database, const bson_t *command, bson_t *reply, struct error *err)
{
    bson_error_t error = {0};
    bson_t opts = BSON_INITIALIZER;
    bool ok = append_place(view, &opts, &error);
    if (ok) {
        ok = mongoc_client_command_with_opts(view->client, database, command, prefs_of(view->client), &opts, reply,
                                             &error);
    } else {
        bson_init(reply);
    }
    bson_destroy(&opts);
    return ok ? 0 : database_error(&error, err);
}

static int hello(struct read_view *view, bson_t *reply, struct error *err)
{
    bson_t *command = BCON_NEW("hello", BCON_INT32(1));
    int rc = run(view, "admin", command, reply, err);
    bson_destroy(command);
    return rc;
}

/* The newest write that a majority has; 0 where the server does not tell (a mongos). */
static uint64_t majority_time(const bson_t *reply)
{
    bson_iter_t at, found;
    uint32_t seconds, increment;
    if (!bson_iter_init(&at, reply) || !bson_iter_find_descendant(&at, "lastWrite.majorityOpTime.ts", &found) ||
        !BSON_ITER_HOLDS_TIMESTAMP(&found)) {
        return 0;
    }
    bson_iter_timestamp(&found, &seconds, &increment);
    return database_time(seconds, increment);
}

static int choose_time(struct read_view *view, bool snapshot, struct error *err)
{
    bson_t reply;
    bson_iter_t at;
    int rc = hello(view, &reply, err);
    if (rc == 0) {
        uint64_t committed = majority_time(&reply);
        view->time = committed ? committed : database_cluster_time(&reply);
        int64_t wire = bson_iter_init_find(&at, &reply, "maxWireVersion") ? bson_iter_as_int64(&at) : 0;
        view->snapshot = snapshot && view->time && wire >= WIRE_VERSION_5_0;
    }
    bson_destroy(&reply);
    return rc;
}

int read_view_open(struct read_view *view, mongoc_client_t *client, bool snapshot, struct error *err)
{
    *view = (struct read_view){.client = client};
    if (start_session(view, err) != 0 || select_server(view, err) != 0) {
        return -1;
    }
    return choose_time(view, snapshot, err);
}

int read_view_open_at(struct read_view *view, mongoc_client_t *client, uint64_t time, struct error *err)
{
    *view = (struct read_view){.client = client, .time = time, .snapshot = true};
    return start_session(view, err) != 0 ? -1 : select_server(view, err);
}

static bson_t *find_command(const struct read_view *view, const char *collection, const bson_t *query,
                            const bson_t *opts)
{
    bson_t concern;
    bson_t *command = BCON_NEW("find", BCON_UTF8(collection), "filter", BCON_DOCUMENT(query));
    bson_concat(command, opts);
    bson_append_document_begin(command, "readConcern", -1, &concern);
    BSON_APPEND_UTF8(&concern, "level", view->snapshot ? "snapshot" : "majority");
    if (view->time) {
        bson_append_timestamp(&concern, view->snapshot ? "atClusterTime" : "afterClusterTime", -1,
                              (uint32_t)(view->time >> 32), (uint32_t)view->time);
    }
    bson_append_document_end(command, &concern);
    return command;
}

/* Takes the reply. */
static mongoc_cursor_t *go_on(struct read_view *view, bson_t *reply, const bson_t *opts)
{
    bson_error_t error;
    bson_iter_t at;
    bson_t place = BSON_INITIALIZER;
    append_place(view, &place, &error); /* it could be appended for the find */
    if (bson_iter_init_find(&at, opts, "batchSize")) {
        bson_append_iter(&place, NULL, 0, &at);
    }
    mongoc_cursor_t *cursor = mongoc_cursor_new_from_command_reply_with_opts(view->client, reply, &place);
    bson_destroy(&place);
    return cursor;
}

int read_view_find(struct read_view *view, const char *database, const char *collection, const bson_t *query,
                   const bson_t *opts, mongoc_cursor_t **cursor, struct error *err)
{
    bson_t reply;
    bson_t *command = find_command(view, collection, query, opts);
    int rc = run(view, database, command, &reply, err);
    bson_destroy(command);
    if (rc != 0) {
        bson_destroy(&reply);
        return rc;
    }
    *cursor = go_on(view, &reply, opts);
    return 0;
}

int read_view_until(struct read_view *view, uint64_t *time, struct error *err)
{
    bson_t reply;
    *time = view->time;
    if (view->snapshot || !view->time) {
        return 0;
    }
    int rc = hello(view, &reply, err);
    if (rc == 0) {
        uint64_t newest = database_cluster_time(&reply);
        *time = newest > view->time ? newest : view->time;
    }
    bson_destroy(&reply);
    return rc;
}

bool read_view_is_refusal(int code)
{
    return code == ERROR_SNAPSHOT_UNAVAILABLE || code == ERROR_SNAPSHOT_TOO_OLD || code == ERROR_INVALID_OPTIONS ||
           code == ERROR_NOT_SUPPORTED || code == ERROR_BAD_VALUE;
}

void read_view_close(struct read_view *view)
{
    if (view->session) {
        mongoc_client_session_destroy(view->session);
        view->session = NULL;
    }
}
