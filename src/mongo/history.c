/* history - see history.h. */
#include "history.h"

#include "clock.h"
#include "history_scan.h"
#include "inverse.h"
#include "preset.h"
#include "tailwater/channel.h"
#include "text_values.h"

#include <stdlib.h>
#include <string.h>

enum {
    BUDGET_US = 10000000,
    PAGE_BYTES = 4 << 20, /* an event more may stand behind it */
    BATCH_MIN = 20,
    BATCH_MAX = 200,
    EPOCH_DIGITS_MIN = 12, /* fewer digits are an _id: as milliseconds they would lie before 1973 */
    EPOCH_DIGITS_MAX = 15,
};

/* One source while it is read. */
struct open_source {
    mongoc_client_t *client;
    struct event_builder *builder;
};

struct page {
    const struct history_options *options;
    struct history_request *request;
    struct history_cursor begin;
    struct history_budget budget;
    struct open_source *open;
    struct slice *patterns;
    struct history_scan *scans;
    size_t scan_count;
    struct buffer *json, channel, line;
    size_t events, scanned;
    const char **code;
    struct error *err;
};

static int refuse(struct page *p, const char *code)
{
    *p->code = code;
    return HISTORY_REFUSED;
}

/* --- where to begin ------------------------------------------------------------------------------- */

static bool read_epoch(const char *text, int64_t *time_ms)
{
    size_t len = strspn(text, "0123456789");
    if (text[len] || len < EPOCH_DIGITS_MIN || len > EPOCH_DIGITS_MAX) {
        return false;
    }
    *time_ms = strtoll(text, NULL, 10);
    return true;
}

/* Rows of the ObjectId's own second are not lost where only a time can be compared. */
static void begin_at_oid(struct history_cursor *begin, const char *text)
{
    begin->has_oid = begin->has_time = true;
    bson_oid_init_from_string(&begin->oid, text);
    begin->time_ms = (int64_t)bson_oid_get_time_t(&begin->oid) * 1000 + (begin->newest_first ? 1000 : 0);
}

static int read_position(struct page *p, bool *by_row)
{
    const char *text = p->request->position;
    p->begin.newest_first = p->request->newest_first;
    *by_row = false;
    if (!text || read_epoch(text, &p->begin.time_ms) || preset_parse_time(text, strlen(text), &p->begin.time_ms) == 0) {
        p->begin.has_time = text != NULL;
        return 0;
    }
    if (text[0] != '~') {
        *by_row = true;
        if (strlen(text) == 24 && bson_oid_is_valid(text, 24)) {
            begin_at_oid(&p->begin, text);
        }
        return 0;
    }
    if (history_cursor_read(text, &p->begin) != 0 || p->begin.newest_first != p->request->newest_first) {
        error_set(p->err, "%s: it is not the `next` of a page in this direction",
                  p->request->newest_first ? "before" : "after");
        return refuse(p, "invalid_cursor");
    }
    return 0;
}

/* --- what to read --------------------------------------------------------------------------------- */

static int open_sources(struct page *p)
{
    for (unsigned i = 0; i < p->options->source_count; i++) {
        const struct job_source *source = &p->options->sources[i];
        p->open[i].client = database_pop(source->database, DATABASE_SCAN);
        if (!p->open[i].client) {
            return error_set(p->err, "no free connection to MongoDB");
        }
        p->open[i].builder = event_builder_new(source->mappings, &p->options->build);
    }
    return 0;
}

static int add_scan(struct page *p, unsigned source, const struct mapping *mapping, const char *name)
{
    bson_t *filter = bson_new();
    if (!inverse_filter(mapping, (struct slice){name, strlen(name)}, p->patterns, p->request->channel_count, filter)) {
        bson_destroy(filter);
        return 0;
    }
    if (p->scan_count == HISTORY_COLLECTIONS_MAX) {
        bson_destroy(filter);
        error_set(p->err, "channels: they span more than %d collections; ask for fewer", HISTORY_COLLECTIONS_MAX);
        return refuse(p, "too_many_collections");
    }
    p->scans = memory_resize(p->scans, (p->scan_count + 1) * sizeof *p->scans);
    struct history_scan *scan = &p->scans[p->scan_count++];
    *scan = (struct history_scan){.source = source, .mapping = mapping, .begin = &p->begin, .budget = &p->budget,
                                  .name = memory_text(name), .filter = filter};
    scan->collection = mongoc_client_get_collection(p->open[source].client, mapping_database(mapping), name);
    history_cursor_key(source, mapping_database(mapping), name, scan->key);
    history_place_init(&scan->here);
    history_place_init(&scan->last);
    return 0;
}

/* Views and time-series collections are never live, so they are no history either. */
static char **list_collections(struct page *p, unsigned source, const char *database)
{
    bson_error_t error;
    mongoc_database_t *handle = mongoc_client_get_database(p->open[source].client, database);
    bson_t *opts = BCON_NEW("nameOnly", BCON_BOOL(true), "authorizedCollections", BCON_BOOL(true), "filter", "{",
                            "type", "collection", "}");
    char **names = mongoc_database_get_collection_names_with_opts(handle, opts, &error);
    bson_destroy(opts);
    mongoc_database_destroy(handle);
    if (!names) {
        database_error(&error, p->err);
    }
    return names;
}

static int add_mapping(struct page *p, unsigned source, const struct mapping *mapping)
{
    const struct mapping_set *set = p->options->sources[source].mappings;
    const char *database = mapping_database(mapping);
    char **names = list_collections(p, source, database);
    int rc = names ? 0 : -1;
    for (char **n = names; rc == 0 && *n; n++) {
        struct slice name = {*n, strlen(*n)};
        if (mapping_set_find(set, (struct slice){database, strlen(database)}, name) == mapping) {
            rc = add_scan(p, source, mapping, *n);
        }
    }
    bson_strfreev(names);
    return rc;
}

static int add_scans(struct page *p)
{
    int rc = open_sources(p);
    for (unsigned i = 0; rc == 0 && i < p->options->source_count; i++) {
        const struct mapping_set *set = p->options->sources[i].mappings;
        for (size_t k = 0; rc == 0 && k < mapping_set_count(set); k++) {
            rc = add_mapping(p, i, mapping_set_at(set, k));
        }
    }
    return rc;
}

/* --- rows to events ------------------------------------------------------------------------------- */

static bool is_wanted(const struct page *p, const struct buffer *channel)
{
    for (size_t i = 0; i < p->request->channel_count; i++) {
        if (tailwater_pattern_match(p->patterns[i].data, p->patterns[i].len, channel->data, channel->len)) {
            return true;
        }
    }
    return false;
}

/* Build the event of the row in p->line; false when its channel is not asked for. */
static bool build(struct page *p, const struct history_scan *scan)
{
    const char *database = mapping_database(scan->mapping);
    struct event_builder *builder = p->open[scan->source].builder;
    buffer_reset(&p->channel);
    buffer_reset(&p->line);
    enum event_outcome outcome =
        event_builder_document(builder, (struct slice){database, strlen(database)},
                               (struct slice){scan->name, strlen(scan->name)}, scan->document, scan->ts_ms, false,
                               &p->channel, &p->line, NULL);
    return outcome == EVENT_BUILT && is_wanted(p, &p->channel);
}

static void take_row(struct page *p, const struct history_scan *scan)
{
    p->scanned++;
    if (scan->skipped || !build(p, scan)) {
        return;
    }
    uint8_t level = event_builder_level(p->open[scan->source].builder);
    if (!filter_passes(p->request->filter, level, (struct slice){p->line.data, p->line.len})) {
        return;
    }
    buffer_append_text(p->json, p->events++ ? "," : "");
    buffer_append(p->json, p->line.data, p->line.len);
}

/* --- a row by its _id ----------------------------------------------------------------------------- */

static bson_t *id_condition(const char *text)
{
    bson_t *made = bson_new(), in, ids;
    bson_append_document_begin(made, "_id", -1, &in);
    bson_append_array_begin(&in, "$in", -1, &ids);
    text_values_append((struct slice){text, strlen(text)}, &ids);
    bson_append_array_end(&in, &ids);
    bson_append_document_end(made, &in);
    return made;
}

/* The row that the request names, if this collection has it: it is the place to begin there, and elsewhere its time. */
static int find_in(struct page *p, struct history_scan *scan, const bson_t *condition, bool *found)
{
    if (history_scan_find(scan, condition, p->err) != 0) {
        return -1;
    }
    if (!scan->document || !build(p, scan)) {
        return 0;
    }
    *found = true;
    history_scan_begin_here(scan, &p->begin);
    if (!p->begin.has_oid && scan->ts_ms) {
        p->begin.has_time = true;
        p->begin.time_ms = scan->ts_ms + (p->begin.newest_first && scan->ts_ms < INT64_MAX);
    }
    return 0;
}

static int find_row(struct page *p)
{
    bool found = p->begin.has_oid; /* it tells where to begin even when the row is gone */
    bson_t *condition = id_condition(p->request->position);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < p->scan_count; i++) {
        rc = find_in(p, &p->scans[i], condition, &found);
    }
    bson_destroy(condition);
    if (rc == 0 && !found) {
        error_set(p->err, "%s: neither a time, nor the `next` of a page, nor the _id of a document of these channels",
                  p->begin.newest_first ? "before" : "after");
        return refuse(p, "invalid_cursor");
    }
    return rc;
}

/* --- the page ------------------------------------------------------------------------------------- */

static bool is_over(const struct page *p, const struct history_scan *scan)
{
    struct history_place place;
    if (!p->begin.resumed || !p->begin.newest_first) {
        return false;
    }
    history_place_init(&place);
    bool goes_on = history_cursor_get(&p->begin, scan->key, &place);
    history_place_fini(&place);
    return !goes_on;
}

static int start_scans(struct page *p)
{
    for (size_t i = 0; i < p->scan_count; i++) {
        int rc = is_over(p, &p->scans[i]) ? 0 : history_scan_start(&p->scans[i], p->err);
        if (rc != 0) {
            return rc == HISTORY_SCAN_NO_INDEX ? refuse(p, "index_missing") : rc;
        }
    }
    return 0;
}

/* The scan whose row comes next, or NULL. */
static struct history_scan *best_scan(struct page *p)
{
    struct history_scan *best = NULL;
    for (size_t i = 0; i < p->scan_count; i++) {
        struct history_scan *scan = &p->scans[i];
        bool first = !best || (p->begin.newest_first ? scan->time_ms > best->time_ms : scan->time_ms < best->time_ms);
        if (scan->document && first) {
            best = scan;
        }
    }
    return best;
}

static int merge(struct page *p)
{
    size_t start = p->json->len;
    struct history_scan *scan;
    while (p->events < p->request->limit && p->scanned < p->options->scan_max && p->json->len - start < PAGE_BYTES &&
           (scan = best_scan(p))) {
        take_row(p, scan);
        if (history_scan_next(scan, p->err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* "next", "complete" and "scanned". */
static int append_end(struct page *p)
{
    bool more = best_scan(p) != NULL;
    int rc = 0;
    buffer_append_text(p->json, "],\"next\":");
    if (more) {
        struct history_cursor end = p->begin;
        end.places = bson_new();
        for (size_t i = 0; i < p->scan_count; i++) {
            history_scan_save(&p->scans[i], &end);
        }
        buffer_append_byte(p->json, '"');
        rc = history_cursor_write(&end, p->json);
        buffer_append_byte(p->json, '"');
        history_cursor_fini(&end);
    } else {
        buffer_append_text(p->json, "null");
    }
    buffer_printf(p->json, ",\"complete\":%s,\"scanned\":%zu}\n",
                  more && p->events < p->request->limit ? "false" : "true", p->scanned);
    if (rc != 0) {
        error_set(p->err, "channels: where this page ends does not fit into a URL; ask for fewer collections");
        return refuse(p, "too_many_collections");
    }
    return 0;
}

static int read_page(struct page *p)
{
    bool by_row;
    int rc = read_position(p, &by_row);
    rc = rc == 0 ? add_scans(p) : rc;
    size_t share = p->scan_count ? p->request->limit / p->scan_count + 1 : 1;
    p->budget.batch = share < BATCH_MIN ? BATCH_MIN : share > BATCH_MAX ? BATCH_MAX : (int32_t)share;
    rc = rc == 0 && by_row ? find_row(p) : rc;
    rc = rc == 0 ? start_scans(p) : rc;
    buffer_append_text(p->json, "{\"events\":[");
    rc = rc == 0 ? merge(p) : rc;
    return rc == 0 ? append_end(p) : rc;
}

static void close_page(struct page *p)
{
    for (size_t i = 0; i < p->scan_count; i++) {
        history_scan_fini(&p->scans[i]);
    }
    for (unsigned i = 0; i < p->options->source_count; i++) {
        event_builder_free(p->open[i].builder);
        if (p->open[i].client) {
            database_push(p->options->sources[i].database, DATABASE_SCAN, p->open[i].client);
        }
    }
    history_cursor_fini(&p->begin);
    buffer_fini(&p->channel);
    buffer_fini(&p->line);
    free(p->scans);
    free(p->patterns);
    free(p->open);
}

int history_read(const struct history_options *options, struct history_request *request, struct buffer *json,
                 const char **code, struct error *err)
{
    struct page p = {.options = options, .request = request, .json = json, .code = code, .err = err};
    p.budget.deadline_us = clock_mono_us() + BUDGET_US;
    p.patterns = memory_zero(request->channel_count + 1, sizeof *p.patterns);
    p.open = memory_zero(options->source_count + 1, sizeof *p.open);
    history_cursor_init(&p.begin);
    for (size_t i = 0; i < request->channel_count; i++) {
        p.patterns[i] = (struct slice){request->channels[i], strlen(request->channels[i])};
    }
    int rc = read_page(&p);
    close_page(&p);
    return rc;
}
