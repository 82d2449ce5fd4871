/* history_plan - see history_plan.h. */
#include "history_plan.h"

#include "clock.h"
#include "inverse.h"
#include "tailwater/channel.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH_MIN = 20 };

void history_plan_init(struct history_plan *plan, int64_t budget_us)
{
    plan->budget.deadline_us = clock_mono_us() + budget_us;
    plan->budget.query_ms = (int32_t)(budget_us / 2000) + 1; /* a slow query can be asked again; 0 would be no limit */
    plan->open = memory_zero(plan->source_count + 1, sizeof *plan->open);
    plan->patterns = memory_zero(plan->channel_count + 1, sizeof *plan->patterns);
    for (size_t i = 0; i < plan->channel_count; i++) {
        plan->patterns[i] = (struct slice){plan->channels[i], strlen(plan->channels[i])};
    }
    history_cursor_init(&plan->begin);
}

int history_plan_open(struct history_plan *plan, unsigned source, struct error *err)
{
    const struct job_source *from = &plan->sources[source];
    struct history_source *open = &plan->open[source];
    open->client = database_pop(from->database, DATABASE_SEARCH);
    if (!open->client) {
        return error_set(err, "no free connection to MongoDB");
    }
    open->builder = event_builder_new(from->mappings, &plan->build);
    return 0;
}

/* --- collections ---------------------------------------------------------------------------------- */

/* Takes the filter. */
static void append_scan(struct history_plan *plan, unsigned source, const struct mapping *mapping, const char *name,
                        bson_t *filter)
{
    const struct history_source *open = &plan->open[source];
    plan->scans = memory_resize(plan->scans, (plan->scan_count + 1) * sizeof *plan->scans);
    struct history_scan *scan = &plan->scans[plan->scan_count++];
    *scan = (struct history_scan){.source = source, .mapping = mapping, .begin = &plan->begin, .budget = &plan->budget,
                                  .span = plan->span, .view = open->view, .name = memory_text(name), .filter = filter};
    scan->collection = mongoc_client_get_collection(open->client, mapping_database(mapping), name);
    history_cursor_key(source, mapping_database(mapping), name, scan->key);
    history_place_init(&scan->here);
    history_place_init(&scan->last);
}

static int add_scan(struct history_plan *plan, unsigned source, const struct mapping *mapping, const char *name)
{
    bson_t *filter = bson_new();
    struct slice collection = {name, strlen(name)};
    bool wanted = inverse_filter(mapping, collection, plan->patterns, plan->channel_count, filter);
    if (!wanted || plan->scan_count == HISTORY_COLLECTIONS_MAX) {
        bson_destroy(filter);
        return wanted ? HISTORY_PLAN_FULL : 0;
    }
    append_scan(plan, source, mapping, name, filter);
    return 0;
}

/* Views and time-series collections are never live, so they are no history either. */
static char **list_collections(mongoc_client_t *client, const char *database, struct error *err)
{
    bson_error_t error;
    mongoc_database_t *handle = mongoc_client_get_database(client, database);
    bson_t *opts = BCON_NEW("nameOnly", BCON_BOOL(true), "authorizedCollections", BCON_BOOL(true), "filter", "{",
                            "type", "collection", "}");
    char **names = mongoc_database_get_collection_names_with_opts(handle, opts, &error);
    bson_destroy(opts);
    mongoc_database_destroy(handle);
    if (!names) {
        database_error(&error, err);
    }
    return names;
}

/* Do any of the channels lead into tailwater's own collection? Those of logs do not, and cost no question then. */
static bool needs_own(const struct history_plan *plan, const struct mapping *mapping)
{
    bson_t *unused = bson_new();
    bool needs = inverse_filter(mapping, (struct slice){"", 0}, plan->patterns, plan->channel_count, unused);
    bson_destroy(unused);
    return needs;
}

static int add_mapping(struct history_plan *plan, unsigned source, const struct mapping *mapping, struct error *err)
{
    const struct mapping_set *set = plan->sources[source].mappings;
    const char *database = mapping_database(mapping);
    if (mapping_is_own(mapping) && !needs_own(plan, mapping)) {
        return 0;
    }
    char **names = list_collections(plan->open[source].client, database, err);
    int rc = names ? 0 : -1;
    for (char **n = names; rc == 0 && *n; n++) {
        struct slice name = {*n, strlen(*n)};
        if (mapping_set_find(set, (struct slice){database, strlen(database)}, name) == mapping) {
            rc = add_scan(plan, source, mapping, *n);
        }
    }
    bson_strfreev(names);
    return rc;
}

int history_plan_add(struct history_plan *plan, unsigned source, struct error *err)
{
    const struct mapping_set *set = plan->sources[source].mappings;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < mapping_set_count(set); i++) {
        rc = add_mapping(plan, source, mapping_set_at(set, i), err);
    }
    return rc;
}

/* --- rows ----------------------------------------------------------------------------------------- */

void history_plan_share(struct history_plan *plan, size_t rows, int32_t batch_max)
{
    size_t share = plan->scan_count ? rows / plan->scan_count + 1 : 1;
    plan->budget.batch = share < BATCH_MIN ? BATCH_MIN : share > (size_t)batch_max ? batch_max : (int32_t)share;
}

struct history_scan *history_plan_next(struct history_plan *plan)
{
    struct history_scan *best = NULL;
    bool newest = plan->begin.newest_first;
    for (size_t i = 0; i < plan->scan_count; i++) {
        struct history_scan *scan = &plan->scans[i];
        bool first = !best || (newest ? scan->time_ms > best->time_ms : scan->time_ms < best->time_ms);
        if (scan->document && first) {
            best = scan;
        }
    }
    return best;
}

static bool is_wanted(const struct history_plan *plan)
{
    for (size_t i = 0; i < plan->channel_count; i++) {
        const struct slice *pattern = &plan->patterns[i];
        if (tailwater_pattern_match(pattern->data, pattern->len, plan->channel.data, plan->channel.len)) {
            return true;
        }
    }
    return false;
}

bool history_plan_build(struct history_plan *plan, const struct history_scan *scan)
{
    const char *database = mapping_database(scan->mapping);
    buffer_reset(&plan->channel);
    buffer_reset(&plan->line);
    enum event_outcome outcome =
        event_builder_document(plan->open[scan->source].builder, (struct slice){database, strlen(database)},
                               (struct slice){scan->name, strlen(scan->name)}, scan->document, scan->ts_ms, false,
                               &plan->channel, &plan->line, NULL);
    return outcome == EVENT_BUILT && is_wanted(plan);
}

void history_plan_fini(struct history_plan *plan)
{
    for (size_t i = 0; i < plan->scan_count; i++) {
        history_scan_fini(&plan->scans[i]);
    }
    for (unsigned i = 0; i < plan->source_count; i++) {
        struct history_source *open = &plan->open[i];
        event_builder_free(open->builder);
        if (open->view) {
            read_view_close(open->view);
        }
        if (open->client) {
            database_push(plan->sources[i].database, DATABASE_SEARCH, open->client);
        }
    }
    history_cursor_fini(&plan->begin);
    buffer_fini(&plan->channel);
    buffer_fini(&plan->line);
    free(plan->scans);
    free(plan->patterns);
    free(plan->open);
}
