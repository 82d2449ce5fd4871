/* database - see database.h. */
#include "database.h"

#include "buffer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    TAIL_SILENCE_MS = 3000,
    SEARCH_TIMEOUT_MS = 20000,
    SCAN_TIMEOUT_MS = 300000,
    POP_TIMEOUT_MS = 10000,
    TRIES = 2,                  /* with each patience */
    AUTHENTICATION_FAILED = 18, /* the server's code */
};

struct database {
    mongoc_client_pool_t *pools[DATABASE_PATIENCES];
    int64_t max_await_ms;
    _Atomic uint64_t *commands, *failures; /* NULL = not counted */
};

void database_library_stop(void)
{
    mongoc_cleanup();
}

/* The driver would log hosts and errors on stderr in a form of its own; we report every error ourselves. */
static void drop_log(mongoc_log_level_t level, const char *domain, const char *message, void *unused)
{
    (void)level;
    (void)domain;
    (void)message;
    (void)unused;
}

/* The driver has put its counters into /dev/shm before main() began: nobody reads them, and a killed process would
 * leave the file for ever. */
static void drop_counters(void)
{
    char name[32];
    snprintf(name, sizeof name, "/mongoc-%d", (int)getpid());
    shm_unlink(name);
}

void database_library_start(void)
{
    mongoc_log_set_handler(drop_log, NULL); /* first: mongoc_init() may already complain */
    mongoc_init();
    drop_counters();
}

static void set_default(mongoc_uri_t *uri, const char *option, int32_t value)
{
    if (!mongoc_uri_has_option(uri, option)) {
        mongoc_uri_set_option_as_int32(uri, option, value);
    }
}

static mongoc_client_pool_t *make_pool(const char *text, int32_t socket_timeout_ms, int32_t selection_ms,
                                       struct error *err)
{
    bson_error_t error;
    mongoc_uri_t *uri = mongoc_uri_new_with_error(text, &error);
    if (!uri) {
        /* The driver's text may quote the string, password and all. */
        error_set(err, "mongodb.uri is not a valid MongoDB connection string");
        return NULL;
    }
    set_default(uri, MONGOC_URI_CONNECTTIMEOUTMS, 3000);
    set_default(uri, MONGOC_URI_HEARTBEATFREQUENCYMS, 2000);
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, selection_ms);
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, socket_timeout_ms);
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_WAITQUEUETIMEOUTMS, POP_TIMEOUT_MS);
    if (!mongoc_uri_get_appname(uri)) {
        mongoc_uri_set_appname(uri, "tailwater");
    }
    mongoc_client_pool_t *pool = mongoc_client_pool_new(uri);
    mongoc_uri_destroy(uri);
    if (!pool) {
        error_set(err, "mongodb.uri cannot be used by this build's MongoDB driver (TLS options?)");
        return NULL;
    }
    mongoc_client_pool_set_error_api(pool, MONGOC_ERROR_API_VERSION_2);
    return pool;
}

struct database *database_new(const char *uri, int64_t max_await_ms, struct error *err)
{
    struct database *db = memory_zero(1, sizeof *db);
    db->max_await_ms = max_await_ms;
    /* At the tail the choice of a server is tried a second at a time: the watcher has a loop of its own and must be
     * able to stop. */
    const int32_t socket_ms[] = {(int32_t)max_await_ms + TAIL_SILENCE_MS, SEARCH_TIMEOUT_MS, SCAN_TIMEOUT_MS};
    const int32_t selection_ms[] = {1000, 3000, 3000};
    for (int i = 0; i < DATABASE_PATIENCES; i++) {
        db->pools[i] = make_pool(uri, socket_ms[i], selection_ms[i], err);
        if (!db->pools[i]) {
            database_free(db);
            return NULL;
        }
    }
    return db;
}

static void on_success(const mongoc_apm_command_succeeded_t *event)
{
    const struct database *db = mongoc_apm_command_succeeded_get_context(event);
    atomic_fetch_add_explicit(db->commands, 1, memory_order_relaxed);
}

static void on_failure(const mongoc_apm_command_failed_t *event)
{
    const struct database *db = mongoc_apm_command_failed_get_context(event);
    atomic_fetch_add_explicit(db->failures, 1, memory_order_relaxed);
}

void database_count(struct database *db, _Atomic uint64_t *commands, _Atomic uint64_t *failures)
{
    mongoc_apm_callbacks_t *callbacks = mongoc_apm_callbacks_new();
    db->commands = commands;
    db->failures = failures;
    mongoc_apm_set_command_succeeded_cb(callbacks, on_success);
    mongoc_apm_set_command_failed_cb(callbacks, on_failure);
    for (int i = 0; i < DATABASE_PATIENCES; i++) {
        mongoc_client_pool_set_apm_callbacks(db->pools[i], callbacks, db);
    }
    mongoc_apm_callbacks_destroy(callbacks);
}

static void *destroy_pool(void *pool)
{
    if (pool) {
        mongoc_client_pool_destroy(pool);
    }
    return NULL;
}

void database_free(struct database *db)
{
    pthread_t helpers[DATABASE_PATIENCES];
    bool parallel[DATABASE_PATIENCES];
    if (!db) {
        return;
    }
    /* Each waits up to half a second for its monitor threads: side by side, so that a stop stays prompt. */
    for (int i = 0; i < DATABASE_PATIENCES; i++) {
        parallel[i] = pthread_create(&helpers[i], NULL, destroy_pool, db->pools[i]) == 0;
    }
    for (int i = 0; i < DATABASE_PATIENCES; i++) {
        if (parallel[i]) {
            pthread_join(helpers[i], NULL);
        } else {
            destroy_pool(db->pools[i]);
        }
    }
    free(db);
}

enum database_patience database_patience_after(unsigned failures)
{
    return failures < DATABASE_SCAN * TRIES ? (enum database_patience)(failures / TRIES) : DATABASE_SCAN;
}

int64_t database_max_await_ms(const struct database *db)
{
    return db->max_await_ms;
}

mongoc_client_t *database_pop(struct database *db, enum database_patience patience)
{
    return mongoc_client_pool_pop(db->pools[patience]);
}

void database_push(struct database *db, enum database_patience patience, mongoc_client_t *client)
{
    mongoc_client_pool_push(db->pools[patience], client);
}

int database_error(const bson_error_t *from, struct error *err)
{
    /* The driver has codes of its own for what it found out itself. */
    bool is_login = from->domain == MONGOC_ERROR_CLIENT && from->code == MONGOC_ERROR_CLIENT_AUTHENTICATE;
    error_set(err, "%s", from->message);
    if (err) {
        err->code = is_login ? AUTHENTICATION_FAILED : (int)from->code;
    }
    return -1;
}

static uint64_t timestamp_at(const bson_t *reply, const char *path)
{
    bson_iter_t it, found;
    uint32_t seconds, increment;
    if (!bson_iter_init(&it, reply) || !bson_iter_find_descendant(&it, path, &found) ||
        !BSON_ITER_HOLDS_TIMESTAMP(&found)) {
        return 0;
    }
    bson_iter_timestamp(&found, &seconds, &increment);
    return database_time(seconds, increment);
}

uint64_t database_cluster_time(const bson_t *reply)
{
    uint64_t operation = timestamp_at(reply, "operationTime");
    uint64_t cluster = timestamp_at(reply, "$clusterTime.clusterTime");
    return operation > cluster ? operation : cluster;
}

static void read_hello(const bson_t *reply, struct database_hello *hello)
{
    bson_iter_t it;
    hello->is_replica_set = bson_iter_init_find(&it, reply, "setName") ||
                            bson_iter_init_find(&it, reply, "isreplicaset");
    hello->local_ms = bson_iter_init_find(&it, reply, "localTime") ? bson_iter_date_time(&it) : 0;
    hello->is_mongos = bson_iter_init_find(&it, reply, "msg") && BSON_ITER_HOLDS_UTF8(&it) &&
                       strcmp(bson_iter_utf8(&it, NULL), "isdbgrid") == 0;
    hello->cluster_time = timestamp_at(reply, "operationTime");
}

/* maxWireVersion is in every hello; the version's text would take a command of its own. 25 = MongoDB 8.0, 13 = 5.0. */
static int major_of_wire_version(const bson_t *reply)
{
    bson_iter_t it;
    int64_t wire = bson_iter_init_find(&it, reply, "maxWireVersion") ? bson_iter_as_int64(&it) : 0;
    return wire >= 25 ? 8 : wire >= 21 ? 7 : wire >= 17 ? 6 : wire >= 13 ? 5 : 4;
}

int database_hello(mongoc_client_t *client, struct database_hello *hello, struct error *err)
{
    bson_error_t error;
    bson_t reply;
    bson_t *command = BCON_NEW("hello", BCON_INT32(1));
    bool ok = mongoc_client_command_simple(client, "admin", command, mongoc_uri_get_read_prefs_t(mongoc_client_get_uri(client)),
                                           &reply, &error);
    bson_destroy(command);
    if (ok) {
        read_hello(&reply, hello);
        hello->major = major_of_wire_version(&reply);
    }
    bson_destroy(&reply);
    return ok ? 0 : database_error(&error, err);
}

int database_present(struct database *db, uint64_t *now, struct error *err)
{
    struct database_hello hello;
    mongoc_client_t *client = database_pop(db, DATABASE_TAIL);
    if (!client) {
        return error_set(err, "no free connection to MongoDB");
    }
    int rc = database_hello(client, &hello, err);
    database_push(db, DATABASE_TAIL, client);
    if (rc != 0) {
        return rc;
    }
    if (!hello.cluster_time) {
        error_set(err, hello.is_replica_set ? "the replica set is not initiated, or not ready yet"
                                            : "the server is not a member of a replica set");
        err->code = hello.is_replica_set ? 0 : 40573;
        return -1;
    }
    *now = hello.cluster_time;
    return 0;
}
