/* check - see check.h. */
#include "check.h"

#include "change_stream.h"
#include "cli.h"
#include "grants_read.h"
#include "poller.h"
#include "server_facts.h"
#include "stream_error.h"

#include <string.h>

static int explain(struct error *err)
{
    enum stream_action action = stream_error_action(err->code);
    const char *advice = stream_action_advice(action);
    if (*advice) {
        char text[256];
        snprintf(text, sizeof text, "%.250s", err->text);
        error_set(err, "%s; %s", text, advice);
    }
    return action == STREAM_REOPEN ? 1 : -1;
}

static int try_stream(const struct config_source *source, mongoc_client_t *client, uint64_t now, struct error *err)
{
    struct change_stream *stream;
    struct change_batch batch;
    struct change_stream_options options = {
        .mappings = source->mappings, .start = now + 1, .batch_size = 1, .max_await_ms = 1};
    int rc = change_stream_open(client, &options, &stream, err);
    if (rc == 0) {
        rc = change_stream_next(stream, &batch, err);
        change_stream_close(stream, rc == 0);
    }
    return rc;
}

/* Can a change stream be had? Returns 0, or -1 with *err and its code. */
static int try_server(const struct config_source *source, mongoc_client_t *client, struct error *err)
{
    struct database_hello hello;
    if (database_hello(client, &hello, err) != 0) {
        return -1;
    }
    if (!hello.is_replica_set && !hello.is_mongos) {
        error_set(err, "%s is a standalone server", source->label);
        err->code = 40573;
        return -1;
    }
    if (poller_is_needed(client, source->mappings)) {
        error_set(err, "%s: all collections of the mappings are views or time-series collections", source->label);
        err->code = 166;
        return -1;
    }
    return try_stream(source, client, hello.cluster_time, err);
}

int check_source(const struct config *config, const struct config_source *source, struct database *database,
                 enum source_polling *polls, struct error *err)
{
    *polls = SOURCE_FOLLOWS_STREAM;
    mongoc_client_t *client = database_pop(database, DATABASE_SEARCH);
    if (!client) {
        error_set(err, "no connection to MongoDB");
        return 1;
    }
    int rc = try_server(source, client, err);
    database_push(database, DATABASE_SEARCH, client);
    if (rc != 0 && strcmp(config->mode, "auto") == 0) {
        *polls = stream_action_polling(stream_error_action(err->code));
    }
    return rc == 0 || *polls ? 0 : explain(err);
}

static void print_facts(struct database *database, FILE *out)
{
    uint64_t first, last;
    mongoc_client_t *client = database_pop(database, DATABASE_SEARCH);
    if (client && server_facts_oplog(client, &first, &last, NULL) == 0) {
        fprintf(out, "  the oplog reaches back %u s\n", (unsigned)((last >> 32) - (first >> 32)));
    }
    if (client) {
        database_push(database, DATABASE_SEARCH, client);
    }
}

/* Can the grants be read, if this source is to follow them? Who they grant something is not told. */
static int check_grants(const struct config *config, const struct config_source *source, struct database *database,
                        FILE *out)
{
    struct error err = {0};
    struct grants_list list = {0};
    struct grants_place place = {.source = source->name, .max_bytes = (size_t)config->limits_grants_bytes};
    if (!mapping_set_grants(source->mappings, &place.database, &place.collection)) {
        return 0;
    }
    mongoc_client_t *client = database_pop(database, DATABASE_SEARCH);
    int rc = client ? grants_read_all(client, &place, 0, &list, &err) : error_set(&err, "no connection to MongoDB");
    if (client) {
        database_push(database, DATABASE_SEARCH, client);
    }
    if (rc == 0) {
        fprintf(out, "  %s: grants of %zu users\n", config->auth_grants_collection, list.count);
    } else {
        fprintf(out, "  %s: the grants cannot be read: %s\n", config->auth_grants_collection, err.text);
    }
    grants_list_fini(&list);
    return rc == 0 || stream_error_action(err.code) == STREAM_UNAUTHORIZED ? rc : 1;
}

static int check_one(const struct config *config, const struct config_source *source, FILE *out)
{
    struct error err;
    struct database *database = database_new(config_source_uri(config, source),
                                             config->mongodb_max_await_ms, &err);
    enum source_polling polls = SOURCE_FOLLOWS_STREAM;
    int rc = database ? check_source(config, source, database, &polls, &err) : -1;
    if (polls) {
        fprintf(out, "source %s (%s): mode polling: %s\n", source->name, source->label,
                source_polling_sentence(polls));
        rc = check_grants(config, source, database, out);
    } else if (rc == 0) {
        fprintf(out, "source %s (%s): mode change_stream: a change stream can be opened\n", source->name,
                source->label);
        print_facts(database, out);
        rc = check_grants(config, source, database, out);
    } else {
        fprintf(out, "source %s (%s): %s\n", source->name, source->label, err.text);
    }
    database_free(database);
    return rc;
}

int check_run(const struct config *config, bool offline, FILE *out)
{
    int status = CLI_EXIT_DONE;
    fprintf(out, "configuration: fine, %u source%s, listening on %s port %d\n", config->source_count,
            config->source_count == 1 ? "" : "s", config->listen_host, config->listen_port);
    for (unsigned i = 0; i < config->source_count && !offline; i++) {
        int rc = check_one(config, &config->sources[i], out);
        if (rc != 0 && status == CLI_EXIT_DONE) {
            status = rc > 0 ? CLI_EXIT_FAILED : CLI_EXIT_CONFIG;
        }
    }
    return status;
}
