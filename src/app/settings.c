/* settings - see settings.h. */
#include "settings.h"

#include "descriptors.h"

#include <mongoc/mongoc.h>
#include <stdlib.h>
#include <string.h>

/* Streams leave some room for other requests, and so for being refused in words. */
static uint64_t connections_max(const struct config *c, uint64_t sockets)
{
    return c->limits_connections > 0 ? (uint64_t)c->limits_connections : sockets - sockets / 16;
}

static void make_lists(const struct config *c, struct settings_lists *lists)
{
    lists->aliases = memory_zero(c->alias_count + 1, sizeof *lists->aliases);
    for (unsigned i = 0; i < c->alias_count; i++) {
        lists->aliases[i] = (struct http_alias){c->aliases[i].path, c->aliases[i].channel};
    }
    lists->origins = memory_zero(c->allowed_origin_count + 1, sizeof *lists->origins);
    for (unsigned i = 0; i < c->allowed_origin_count; i++) {
        lists->origins[i] = c->allowed_origins[i];
    }
}

static void make_settings(const struct config *c, uint64_t sockets, const struct settings_lists *lists,
                          struct http_settings *out)
{
    *out = (struct http_settings){
        .host = c->listen_host,
        .port = c->listen_port,
        .check_host = config_is_open_to_machine(c),
        .origins = lists->origins,
        .aliases = lists->aliases,
        .alias_count = c->alias_count,
        .heartbeat_ms = c->heartbeat_s * 1000,
        .retry_ms = c->retry_ms,
        .end_clean = strcmp(c->end_of_stream, "clean") == 0,
        .connections_max = connections_max(c, sockets),
        .sockets_max = sockets,
        .channels_max = (unsigned)c->limits_channels,
        .queue_bytes = (size_t)c->limits_queue_bytes,
        .stall_s = (int)c->limits_stall_s,
        .header_bytes = (size_t)c->limits_header_bytes,
        .body_bytes = (size_t)c->limits_body_bytes,
        .head_s = (int)c->limits_head_s,
        .body_s = (int)c->limits_body_s,
        .replay_max = (size_t)c->replay_max,
        .rows_bytes = (size_t)c->limits_rows_bytes,
        .version = TAILWATER_VERSION,
        .driver_version = mongoc_get_version(),
    };
}

/* What is limited for all loops together. */
static void make_limits(const struct config *c, struct http_context *context)
{
    context->settings.user_connections_max = (uint64_t)c->limits_user_connections;
    context->settings.address_connections_max = (uint64_t)c->limits_address_connections;
    context->settings.user_catchups_max = (uint64_t)c->limits_user_catchups;
    context->settings.connects_per_s_max = (uint64_t)c->limits_connects_per_s;
    context->settings.publish_per_s_max = (uint64_t)c->limits_publish_per_s;
    context->settings.queued_bytes_max = (uint64_t)c->limits_queued_bytes;
    context->channels = tally_new();
    context->users = tally_new();
    context->addresses = tally_new();
    context->catchup_users = tally_new();
}

void settings_make(const struct config *c, unsigned loops, struct http_context *context, struct settings_lists *lists)
{
    make_lists(c, lists);
    make_settings(c, descriptors_for_clients(c, loops), lists, &context->settings);
    make_limits(c, context);
}

void settings_free(struct http_context *context, struct settings_lists *lists)
{
    tally_free(context->channels);
    tally_free(context->users);
    tally_free(context->addresses);
    tally_free(context->catchup_users);
    free(lists->aliases);
    free(lists->origins);
}
