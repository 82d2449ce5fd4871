/* publish_store - see publish_store.h. */
#include "publish_store.h"

#include "buffer.h"
#include "clock.h"
#include "log.h"
#include "own_event.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
    RETRY_US = 60000000,
    INDEX_OPTIONS_CONFLICT = 85,    /* the server's codes: the index is there with another expireAfterSeconds */
    INDEX_KEY_SPECS_CONFLICT = 86,
};

struct publish_store {
    struct publish_store_options options;
    atomic_bool is_ready;
    _Atomic int64_t retry_us; /* monotonic time of the next try */
};

struct publish_store *publish_store_new(const struct publish_store_options *options)
{
    struct publish_store *store = memory_zero(1, sizeof *store);
    store->options = *options;
    return store;
}

void publish_store_free(struct publish_store *store)
{
    free(store);
}

const struct publish_store_options *publish_store_options(const struct publish_store *store)
{
    return &store->options;
}

/* Takes the command. */
static int run(const struct publish_store *store, mongoc_client_t *client, bson_t *command, struct error *err)
{
    bson_error_t error;
    bool ok = mongoc_client_write_command_with_opts(client, store->options.database, command, NULL, NULL, &error);
    bson_destroy(command);
    return ok ? 0 : database_error(&error, err);
}

static bson_t *creation(const struct publish_store *store)
{
    bson_t *command = BCON_NEW("createIndexes", BCON_UTF8(store->options.collection));
    own_event_append_indexes(command, store->options.ttl_s);
    return command;
}

static bson_t *change_of_ttl(const struct publish_store *store)
{
    return BCON_NEW("collMod", BCON_UTF8(store->options.collection), "index", "{", "keyPattern", "{", "at",
                    BCON_INT32(1), "}", "expireAfterSeconds", BCON_INT64(store->options.ttl_s), "}");
}

static int prepare(const struct publish_store *store, mongoc_client_t *client, struct error *err)
{
    int rc = run(store, client, creation(store), err);
    if (rc == 0 || (err->code != INDEX_OPTIONS_CONFLICT && err->code != INDEX_KEY_SPECS_CONFLICT)) {
        return rc;
    }
    if (run(store, client, change_of_ttl(store), err) != 0) {
        return -1;
    }
    log_info("publish", "%s.%s: documents are kept for %lld s from now on", store->options.database,
             store->options.collection, (long long)store->options.ttl_s);
    return run(store, client, creation(store), err); /* the other indexes */
}

void publish_store_prepare(struct publish_store *store, mongoc_client_t *client)
{
    struct error err;
    int64_t now_us = clock_mono_us(), retry_us = atomic_load(&store->retry_us);
    if (atomic_load(&store->is_ready) || now_us < retry_us ||
        !atomic_compare_exchange_strong(&store->retry_us, &retry_us, now_us + RETRY_US)) {
        return;
    }
    if (prepare(store, client, &err) == 0) {
        atomic_store(&store->is_ready, true);
    } else {
        log_warn("publish", "indexes of %s.%s: %s", store->options.database, store->options.collection, err.text);
    }
}
