/* publish_serve - see publish_serve.h. */
#include "publish_serve.h"

#include "clock.h"
#include "mapping_service.h"
#include "publish_answer.h"
#include "publish_event.h"
#include "publish_insert.h"
#include "publish_log.h"

#include <stdlib.h>
#include <string.h>

/* Where test endpoints put logs when the mapping lists no collection by name. */
static const char test_collection[] = "test_logs";

struct batch {
    const struct publish_options *options;
    const struct publish_request *request;
    const struct mapping_set **sets; /* of all sources */
    struct publish_item *items;
    size_t count;
};

/* --- where to ------------------------------------------------------------------------------------- */

static bool target_in(const struct job_source *source, const char *service, const char *fallback,
                      struct publish_target *target)
{
    for (size_t i = 0; i < mapping_set_count(source->mappings); i++) {
        const struct mapping *mapping = mapping_set_at(source->mappings, i);
        const char *collection = mapping_service_collection(mapping, service, fallback);
        if (collection) {
            target->mapping = mapping;
            target->database = mapping_database(mapping);
            target->collection = collection;
            return true;
        }
    }
    return false;
}

static int find_target(const struct batch *b, struct publish_item *item, const char *service)
{
    const char *fallback = b->request->label ? b->request->label : test_collection;
    for (unsigned i = 0; i < b->options->source_count; i++) {
        item->target.source = i;
        if (target_in(&b->options->sources[i], service, fallback, &item->target)) {
            return 0;
        }
    }
    return publish_item_refuse(item, 400, "not_mapped", "no mapping has a collection for the logs of this service");
}

static int check_permission(const struct batch *b, struct publish_item *item)
{
    struct slice channel = {item->channel.data, item->channel.len};
    if (publish_request_may(b->request, channel)) {
        return 0;
    }
    return publish_item_refuse(item, 403, "channel_not_allowed", "this service may not publish to %.*s",
                               (int)channel.len, channel.data);
}

/* --- documents ------------------------------------------------------------------------------------ */

static void make_log(const struct batch *b, struct publish_item *item, const bson_t *parsed)
{
    struct publish_log log;
    const struct publish_request *request = b->request;
    if (publish_log_read(item, parsed, &log) != 0) {
        return;
    }
    if (request->name && log.service && strcmp(log.service, request->name) != 0 &&
        strcmp(log.service, request->label) != 0) {
        publish_item_refuse(item, 403, "wrong_service", "service: the token is another service's");
        return;
    }
    const char *service = request->label ? request->label : log.service;
    if (find_target(b, item, service) == 0 && publish_log_build(item, &log, service ? service : "test") == 0) {
        check_permission(b, item);
    }
}

static void make_event(const struct batch *b, struct publish_item *item, const bson_t *parsed)
{
    const struct publish_store_options *store = publish_store_options(b->options->store);
    item->target = (struct publish_target){0, NULL, store->database, store->collection};
    if (publish_event_build(item, parsed, b->sets, b->options->source_count, clock_wall_ms()) == 0) {
        check_permission(b, item);
    }
}

/* {workspace_id: "test", workflow_id: "test", logData: {…}}, as far as the first mapping has places for them. */
static void make_sample(const struct batch *b, struct publish_item *item)
{
    bson_t *sample = BCON_NEW("workspace_id", BCON_UTF8("test"), "logData", "{", "level", BCON_UTF8("INFO"), "message",
                              BCON_UTF8("a test log of tailwater's"), "timestamp", BCON_DATE_TIME(clock_wall_ms()),
                              "}");
    if (find_target(b, item, NULL) == 0) {
        if (mapping_service_segments(item->target.mapping).resource >= 0) {
            BSON_APPEND_UTF8(sample, "workflow_id", "test");
        }
        make_log(b, item, sample);
    }
    bson_destroy(sample);
}

static void make_item(const struct batch *b, size_t index)
{
    struct publish_item *item = &b->items[index];
    if (b->request->is_sample) {
        make_sample(b, item);
        return;
    }
    bson_t *parsed = publish_item_parse(item, b->request->items[index]);
    if (parsed && b->request->kind == PUBLISH_LOGS) {
        make_log(b, item, parsed);
    } else if (parsed) {
        make_event(b, item, parsed);
    }
    bson_destroy(parsed);
}

/* --- storing -------------------------------------------------------------------------------------- */

static bool is_same_target(const struct publish_target *a, const struct publish_target *b)
{
    return a->source == b->source && a->mapping == b->mapping && strcmp(a->database, b->database) == 0 &&
           strcmp(a->collection, b->collection) == 0;
}

static void store_group(const struct batch *b, struct publish_group *group)
{
    struct database *database = b->options->sources[group->target.source].database;
    mongoc_client_t *client = database_pop(database, DATABASE_SEARCH);
    if (!client) {
        for (size_t i = 0; i < group->count; i++) {
            publish_item_fail(group->items[i], "database_unavailable",
                              "no free connection to MongoDB; nothing was stored, try again");
        }
        return;
    }
    if (!group->target.mapping) {
        publish_store_prepare(b->options->store, client);
    }
    if (publish_insert_check(client, group) == 0) {
        publish_insert_run(client, group);
    }
    database_push(database, DATABASE_SEARCH, client);
}

/* The open items from `first` on that go where it goes, in order. */
static void store_from(const struct batch *b, size_t first)
{
    struct publish_group group = {b->items[first].target, memory_zero(b->count - first, sizeof *group.items), 0};
    for (size_t i = first; i < b->count; i++) {
        struct publish_item *item = &b->items[i];
        if (item->state == PUBLISH_OPEN && is_same_target(&item->target, &group.target)) {
            group.items[group.count++] = item;
        }
    }
    store_group(b, &group);
    free(group.items);
}

void publish_serve(const struct publish_options *options, struct job *job)
{
    const struct publish_request *request = job->publish;
    struct batch b = {.options = options, .request = request, .count = request->is_sample ? 1 : request->item_count};
    b.items = memory_zero(b.count, sizeof *b.items);
    b.sets = memory_zero(options->source_count, sizeof *b.sets);
    for (unsigned i = 0; i < options->source_count; i++) {
        b.sets[i] = options->sources[i].mappings;
    }
    for (size_t i = 0; i < b.count; i++) {
        make_item(&b, i);
    }
    for (size_t i = 0; i < b.count; i++) {
        if (b.items[i].state == PUBLISH_OPEN) {
            store_from(&b, i);
        }
    }
    publish_answer(job, b.items, b.count);
    for (size_t i = 0; i < b.count; i++) {
        publish_item_fini(&b.items[i]);
    }
    free(b.items);
    free(b.sets);
}
