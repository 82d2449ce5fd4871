/* rows_read - see rows_read.h. */
#include "rows_read.h"

#include "clock.h"
#include "history_plan.h"
#include "rows_advice.h"
#include "rows_pick.h"

#include <stdlib.h>
#include <string.h>

enum {
    BUDGET_US = 10000000,
    BATCH_MAX = 1000,
    READ_AGAIN = 1, /* outcome inside: a source has no snapshot of what is wanted; it shall be read by majority */
};

static const char replay_mark[] = ",\"replay\":true}"; /* in the place of the last brace */

/* One attempt. */
struct reading {
    const struct rows_read_options *options;
    const struct rows_request *request;
    bool *majority; /* by source: not by snapshot */
    struct error *err;
    struct history_plan plan;
    struct history_span span;
    struct read_view views[ROWS_SOURCES_MAX];
    struct rows_pick picked; /* newest first */
    struct rows_pick loose;  /* of loose scans, sorted */
    size_t loose_next;       /* the first of them that is not picked yet */
    size_t scanned, scan_max, max_bytes;
    bool cut;    /* something that was asked for was left out */
    bool unsure; /* newer rows than those which were picked may be among it */
    struct buffer advice;
};

static bool is_selected(const struct reading *r, unsigned source)
{
    return r->request->sources >> source & 1;
}

/* --- what to read --------------------------------------------------------------------------------- */

/* The view comes first: no collection that existed at its time is missing in the list then. */
static int open_source(struct reading *r, unsigned source)
{
    struct history_source *open = &r->plan.open[source];
    if (history_plan_open(&r->plan, source, r->err) != 0) {
        return -1;
    }
    open->view = &r->views[source];
    if (read_view_open(open->view, open->client, !r->majority[source], r->err) != 0) {
        return -1;
    }
    int rc = history_plan_add(&r->plan, source, r->err);
    r->cut = r->cut || rc == HISTORY_PLAN_FULL;
    return rc < 0 ? -1 : 0;
}

static int open_sources(struct reading *r)
{
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < r->options->source_count; i++) {
        rc = is_selected(r, i) ? open_source(r, i) : 0;
    }
    return rc;
}

/* --- scans ---------------------------------------------------------------------------------------- */

/* A scan has failed: is it only over, or shall everything be read again? */
static int judge(struct reading *r, const struct history_scan *scan)
{
    if (r->err->code == HISTORY_SCAN_LATE) {
        r->cut = r->unsure = true;
        return 0;
    }
    if (scan->view->snapshot && read_view_is_refusal(r->err->code)) {
        r->majority[scan->source] = true;
        return READ_AGAIN;
    }
    return -1;
}

static int advance(struct reading *r, struct history_scan *scan)
{
    return history_scan_next(scan, r->err) == 0 ? 0 : judge(r, scan);
}

static void advise(struct reading *r, const char *sentence)
{
    if (r->advice.len == 0) {
        buffer_append_text(&r->advice, sentence);
    }
}

static int start_scan(struct reading *r, struct history_scan *scan)
{
    int rc = history_scan_start(scan, r->err);
    if (rc == HISTORY_SCAN_NO_INDEX) {
        advise(r, r->err->text);
        scan->loose = true;
        rc = history_scan_start(scan, r->err);
    }
    return rc == 0 ? 0 : judge(r, scan);
}

/* --- rows ----------------------------------------------------------------------------------------- */

/* A moment that begins before the span, but touches it, counts as the span's beginning. */
static int64_t time_of(const struct reading *r, const struct history_scan *scan)
{
    return scan->told_ms && scan->told_ms < r->span.from_ms ? r->span.from_ms : scan->told_ms;
}

static struct frame *make_frame(struct reading *r, const struct history_scan *scan)
{
    const char *database = mapping_database(scan->mapping);
    struct event_builder *builder = r->plan.open[scan->source].builder;
    struct buffer *line = &r->plan.line;
    if (r->request->replay) {
        line->len--;
        buffer_append_text(line, replay_mark);
    }
    struct frame_event parts = {
        .id = {0, event_builder_insert_hash(builder, (struct slice){database, strlen(database)},
                                            (struct slice){scan->name, strlen(scan->name)}, scan->document)},
        .channel = {r->plan.channel.data, r->plan.channel.len},
        .event = event_builder_event(builder),
        .data = {line->data, line->len},
        .level = event_builder_level(builder),
        .without_id = true,
        .wall_ms = time_of(r, scan),
    };
    return frame_new(&parts);
}

/* The frame of the scan's row, or NULL when it was not asked for. */
static struct frame *read_row(struct reading *r, const struct history_scan *scan)
{
    const struct buffer *line = &r->plan.line;
    r->scanned++;
    if (scan->skipped || !history_plan_build(&r->plan, scan)) {
        return NULL;
    }
    uint8_t level = event_builder_level(r->plan.open[scan->source].builder);
    return filter_passes(r->request->filter, level, (struct slice){line->data, line->len}) ? make_frame(r, scan) : NULL;
}

static bool is_late(const struct reading *r)
{
    return clock_mono_us() > r->plan.budget.deadline_us;
}

/* Put it behind the others; false when there is no room for it. Takes the reference. */
static bool pick(struct reading *r, int64_t time_ms, struct frame *frame)
{
    if (r->picked.bytes + rows_cost(frame) > r->max_bytes) {
        frame_unref(frame);
        return false;
    }
    rows_pick_add(&r->picked, time_ms, frame);
    return true;
}

/* --- loose scans ---------------------------------------------------------------------------------- */

static void keep_newest(struct reading *r)
{
    r->cut = rows_pick_sort(&r->loose, r->request->limit, r->max_bytes) || r->cut;
}

/* Read a scan whose order is not that of time, up to `most` rows. */
static int read_loose(struct reading *r, struct history_scan *scan, size_t most)
{
    int rc = 0;
    for (; rc == 0 && scan->document && most > 0 && !is_late(r); most--) {
        struct frame *frame = read_row(r, scan);
        if (frame) {
            rows_pick_add(&r->loose, scan->time_ms, frame);
        }
        if (r->loose.count / 2 > r->request->limit || r->loose.bytes / 2 > r->max_bytes) {
            keep_newest(r);
        }
        rc = advance(r, scan);
    }
    if (scan->document) {
        r->cut = r->unsure = true;
        scan->document = NULL;
    }
    return rc;
}

/* Each may read a share of scan_max; one is for all the others together. */
static int read_loose_scans(struct reading *r)
{
    size_t count = 0;
    int rc = 0;
    for (size_t i = 0; i < r->plan.scan_count; i++) {
        count += r->plan.scans[i].loose;
    }
    size_t shares = count + (count < r->plan.scan_count);
    size_t share = shares ? r->scan_max / shares : 0;
    for (size_t i = 0; rc == 0 && i < r->plan.scan_count; i++) {
        rc = r->plan.scans[i].loose ? read_loose(r, &r->plan.scans[i], share) : 0;
    }
    keep_newest(r);
    return rc;
}

/* --- all together --------------------------------------------------------------------------------- */

/* The next row is a loose one: pick it. Returns false when it does not fit. */
static bool pick_loose(struct reading *r)
{
    const struct rows_picked *row = &r->loose.rows[r->loose_next++];
    return pick(r, row->time_ms, frame_ref(row->frame));
}

/* The next row is the scan's: pick it if it was asked for, and go on to the one behind it. Sets *fits. */
static int pick_scanned(struct reading *r, struct history_scan *scan, bool *fits)
{
    struct frame *frame = read_row(r, scan);
    *fits = !frame || pick(r, scan->time_ms, frame);
    return *fits ? advance(r, scan) : 0;
}

/* With as many rows as were asked for, one more only tells whether something is left out. */
static bool is_enough(const struct reading *r, const struct history_scan *scan)
{
    bool counts = !scan || !scan->skipped || !r->request->from_ms;
    return (r->picked.count >= r->request->limit && counts) || (scan && r->scanned >= r->scan_max) || is_late(r);
}

/* The next row in time: the scan's in *scan, or with NULL there a loose one. False when there is none. */
static bool next_row(struct reading *r, struct history_scan **scan)
{
    const struct rows_picked *loose = r->loose_next < r->loose.count ? &r->loose.rows[r->loose_next] : NULL;
    *scan = history_plan_next(&r->plan);
    bool found = *scan || loose;
    if (*scan && loose && loose->time_ms > (*scan)->time_ms) {
        *scan = NULL;
    }
    return found;
}

static int merge(struct reading *r)
{
    struct history_scan *scan;
    bool fits = true;
    int rc = 0;
    while (rc == 0 && next_row(r, &scan)) {
        if (is_enough(r, scan)) {
            fits = false;
        } else if (scan) {
            rc = pick_scanned(r, scan, &fits);
        } else {
            fits = pick_loose(r);
        }
        if (!fits) {
            r->cut = true;
            break;
        }
    }
    return rc;
}

static int read_scans(struct reading *r)
{
    int rc = 0;
    history_plan_share(&r->plan, r->request->limit, BATCH_MAX);
    for (size_t i = 0; rc == 0 && i < r->plan.scan_count; i++) {
        rc = start_scan(r, &r->plan.scans[i]);
    }
    rc = rc == 0 ? read_loose_scans(r) : rc;
    return rc == 0 ? merge(r) : rc;
}

/* --- the answer ----------------------------------------------------------------------------------- */

static void advise_on_slow_scans(struct reading *r)
{
    for (size_t i = 0; r->cut && r->advice.len == 0 && i < r->plan.scan_count; i++) {
        if (r->plan.scans[i].slow) {
            rows_advice_slow(&r->plan, &r->plan.scans[i], &r->advice);
        }
    }
}

static int read_borders(struct reading *r, struct rows_parts *parts)
{
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < r->options->source_count; i++) {
        if (is_selected(r, i)) {
            parts->borders[i].covered = r->views[i].time;
            rc = read_view_until(&r->views[i], &parts->borders[i].until, r->err);
        }
    }
    return rc;
}

static int make_rows(struct reading *r, struct rows **out)
{
    struct rows_parts parts = {.count = r->picked.count};
    if (read_borders(r, &parts) != 0) {
        return -1;
    }
    advise_on_slow_scans(r);
    bool all_newest = !r->request->from_ms && parts.count == r->request->limit && !r->unsure;
    parts.complete = !r->cut || all_newest;
    parts.advice = r->advice.len ? memory_text(buffer_text(&r->advice)) : NULL;
    parts.frames = rows_pick_give(&r->picked);
    *out = rows_new(&parts);
    return 0;
}

static size_t less(size_t bytes, size_t taken)
{
    return bytes > taken ? bytes - taken : 0;
}

static void begin(struct reading *r, int64_t budget_us)
{
    static char star[] = "*";
    static char *const everything[] = {star};
    const struct rows_request *request = r->request;
    r->span = (struct history_span){request->from_ms, request->to_ms};
    r->scan_max = r->options->scan_max > request->limit ? r->options->scan_max : request->limit;
    r->max_bytes = less(request->max_bytes, rows_cost_empty());
    r->plan = (struct history_plan){
        .sources = r->options->sources,
        .source_count = r->options->source_count,
        .build = r->options->build,
        .channels = request->channel_count ? request->channels : everything,
        .channel_count = request->channel_count ? request->channel_count : 1,
        .span = &r->span,
    };
    if (request->replay) {
        r->plan.build.max_event_bytes = less(r->plan.build.max_event_bytes, sizeof replay_mark - 2);
    }
    history_plan_init(&r->plan, budget_us);
    r->plan.begin.newest_first = true;
}

static int attempt(struct reading *r, int64_t budget_us, struct rows **out)
{
    begin(r, budget_us);
    int rc = open_sources(r);
    rc = rc == 0 ? read_scans(r) : rc;
    rc = rc == 0 ? make_rows(r, out) : rc;
    history_plan_fini(&r->plan);
    rows_pick_fini(&r->picked);
    rows_pick_fini(&r->loose);
    buffer_fini(&r->advice);
    return rc;
}

int rows_read(const struct rows_read_options *options, const struct rows_request *request, struct rows **out,
              struct error *err)
{
    bool majority[ROWS_SOURCES_MAX] = {false};
    int64_t deadline_us = clock_mono_us() + (options->budget_us ? options->budget_us : BUDGET_US);
    int rc;
    do {
        struct reading r = {.options = options, .request = request, .majority = majority, .err = err};
        rc = attempt(&r, deadline_us - clock_mono_us(), out);
    } while (rc == READ_AGAIN); /* at most once a source */
    return rc;
}
