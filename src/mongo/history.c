/* history - see history.h. */
#include "history.h"

#include "history_plan.h"
#include "iso_time.h"
#include "text_values.h"

#include <stdlib.h>
#include <string.h>

enum {
    BUDGET_US = 10000000,
    PAGE_BYTES = 4 << 20, /* an event more may stand behind it */
    BATCH_MAX = 200,
    EPOCH_DIGITS_MIN = 12, /* fewer digits are an _id: as milliseconds they would lie before 1973 */
    EPOCH_DIGITS_MAX = 15,
};

struct page {
    const struct history_options *options;
    struct history_request *request;
    struct history_plan plan;
    struct buffer *json;
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
    struct history_cursor *begin = &p->plan.begin;
    begin->newest_first = p->request->newest_first;
    *by_row = false;
    if (!text || read_epoch(text, &begin->time_ms) || iso_time_parse(text, strlen(text), &begin->time_ms) == 0) {
        begin->has_time = text != NULL;
        return 0;
    }
    if (text[0] != '~') {
        *by_row = true;
        if (strlen(text) == 24 && bson_oid_is_valid(text, 24)) {
            begin_at_oid(begin, text);
        }
        return 0;
    }
    if (history_cursor_read(text, begin) != 0 || begin->newest_first != p->request->newest_first) {
        error_set(p->err, "%s: it is not the `next` of a page in this direction",
                  p->request->newest_first ? "before" : "after");
        return refuse(p, "invalid_cursor");
    }
    return 0;
}

/* --- rows to events ------------------------------------------------------------------------------- */

static void take_row(struct page *p, const struct history_scan *scan)
{
    p->scanned++;
    if (scan->skipped || !history_plan_build(&p->plan, scan)) {
        return;
    }
    const struct buffer *line = &p->plan.line;
    uint8_t level = event_builder_level(p->plan.open[scan->source].builder);
    if (!filter_passes(p->request->filter, level, (struct slice){line->data, line->len})) {
        return;
    }
    buffer_append_text(p->json, p->events++ ? "," : "");
    buffer_append(p->json, line->data, line->len);
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
    if (!scan->document || !history_plan_build(&p->plan, scan)) {
        return 0;
    }
    *found = true;
    history_scan_begin_here(scan, &p->plan.begin);
    if (!p->plan.begin.has_oid && scan->ts_ms) {
        p->plan.begin.has_time = true;
        p->plan.begin.time_ms = scan->ts_ms + (p->plan.begin.newest_first && scan->ts_ms < INT64_MAX);
    }
    return 0;
}

static int find_row(struct page *p)
{
    bool found = p->plan.begin.has_oid; /* it tells where to begin even when the row is gone */
    bson_t *condition = id_condition(p->request->position);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < p->plan.scan_count; i++) {
        rc = find_in(p, &p->plan.scans[i], condition, &found);
    }
    bson_destroy(condition);
    if (rc == 0 && !found) {
        error_set(p->err, "%s: neither a time, nor the `next` of a page, nor the _id of a document of these channels",
                  p->plan.begin.newest_first ? "before" : "after");
        return refuse(p, "invalid_cursor");
    }
    return rc;
}

/* --- the page ------------------------------------------------------------------------------------- */

static bool is_over(const struct page *p, const struct history_scan *scan)
{
    struct history_place place;
    if (!p->plan.begin.resumed || !p->plan.begin.newest_first) {
        return false;
    }
    history_place_init(&place);
    bool goes_on = history_cursor_get(&p->plan.begin, scan->key, &place);
    history_place_fini(&place);
    return !goes_on;
}

static int start_scans(struct page *p)
{
    for (size_t i = 0; i < p->plan.scan_count; i++) {
        int rc = is_over(p, &p->plan.scans[i]) ? 0 : history_scan_start(&p->plan.scans[i], p->err);
        if (rc != 0) {
            return rc == HISTORY_SCAN_NO_INDEX ? refuse(p, "index_missing") : rc;
        }
    }
    return 0;
}

static int merge(struct page *p)
{
    size_t start = p->json->len;
    struct history_scan *scan;
    while (p->events < p->request->limit && p->scanned < p->options->scan_max && p->json->len - start < PAGE_BYTES &&
           (scan = history_plan_next(&p->plan))) {
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
    bool more = history_plan_next(&p->plan) != NULL;
    int rc = 0;
    buffer_append_text(p->json, "],\"next\":");
    if (more) {
        struct history_cursor end = p->plan.begin;
        end.places = bson_new();
        for (size_t i = 0; i < p->plan.scan_count; i++) {
            history_scan_save(&p->plan.scans[i], &end);
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

static int plan_scans(struct page *p)
{
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < p->options->source_count; i++) {
        rc = history_plan_open(&p->plan, i, p->err);
        rc = rc == 0 ? history_plan_add(&p->plan, i, p->err) : rc;
    }
    if (rc == HISTORY_PLAN_FULL) {
        error_set(p->err, "channels: they span more than %d collections; ask for fewer", HISTORY_COLLECTIONS_MAX);
        return refuse(p, "too_many_collections");
    }
    return rc;
}

static int read_page(struct page *p)
{
    bool by_row;
    int rc = read_position(p, &by_row);
    rc = rc == 0 ? plan_scans(p) : rc;
    history_plan_share(&p->plan, p->request->limit, BATCH_MAX);
    rc = rc == 0 && by_row ? find_row(p) : rc;
    rc = rc == 0 ? start_scans(p) : rc;
    buffer_append_text(p->json, "{\"events\":[");
    rc = rc == 0 ? merge(p) : rc;
    return rc == 0 ? append_end(p) : rc;
}

int history_read(const struct history_options *options, struct history_request *request, struct buffer *json,
                 const char **code, struct error *err)
{
    struct page p = {.options = options, .request = request, .json = json, .code = code, .err = err};
    p.plan = (struct history_plan){
        .sources = options->sources,
        .source_count = options->source_count,
        .build = options->build,
        .channels = request->channels,
        .channel_count = request->channel_count,
    };
    history_plan_init(&p.plan, BUDGET_US);
    int rc = read_page(&p);
    history_plan_fini(&p.plan);
    return rc;
}
