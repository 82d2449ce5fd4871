/* server_watch - see server_watch.h. */
#include "server_watch.h"

#include "clock.h"
#include "history_index.h"
#include "server_facts.h"

#include <stdlib.h>
#include <string.h>

enum {
    LOOK_EVERY_US = 30000000,
    JUDGE_EVERY_US = 5000000,
    LOOK_BUDGET_US = 500000, /* no further question after this */
    INDEXES_A_LOOK = 20,     /* one question each: with more collections they take turns */
    FULL_PERCENT = 80,       /* a full oplog drops its oldest tenth at a time, at most */
    NEAR_MS = 15,            /* a longer round trip may explain any lateness */
    OPLOG_LEAST_MB = 990,
};

/* One look. */
struct look {
    struct server_watch *watch;
    const struct server_watch_options *options;
    mongoc_client_t *client;
    int64_t deadline_us;
    size_t ordered, asked; /* collections so far that need an index; that were asked for it */
};

static bool is_over(const struct look *look)
{
    return clock_mono_us() > look->deadline_us;
}

static struct notices *notices_of(const struct look *look)
{
    return look->options->source->notices;
}

/* Takes the text. */
static void set(const struct look *look, enum notice_code code, const char *subject, struct buffer *text)
{
    notices_set(notices_of(look), code, subject, buffer_text(text));
    buffer_fini(text);
}

/* --- the oplog ------------------------------------------------------------------------------------ */

int64_t server_watch_oplog_mb(int64_t max_bytes, int64_t window_s, int64_t wanted_s)
{
    double mb = (double)max_bytes / (1 << 20) * (double)wanted_s / (double)(window_s > 0 ? window_s : 1) * 1.25;
    return mb > OPLOG_LEAST_MB ? (int64_t)mb + 1 : OPLOG_LEAST_MB;
}

static void tell_short_window(const struct look *look, int64_t window_s, int64_t max_bytes)
{
    struct buffer text = BUFFER_INIT;
    int64_t wanted_s = look->options->oplog_window_min_s;
    buffer_printf(&text, "the oplog reaches back %lld s, less than oplog_window_min_s (%lld): who was away for longer "
                         "loses history; enlarge it on every member: "
                         "db.adminCommand({replSetResizeOplog: 1, size: Double(%lld)})",
                  (long long)window_s, (long long)wanted_s,
                  (long long)server_watch_oplog_mb(max_bytes, window_s, wanted_s));
    set(look, NOTICE_SHORT_OPLOG_WINDOW, "", &text);
}

/* A young oplog reaches back only to its beginning: it is short when it is full and short. */
static void judge_window(const struct look *look, int64_t window_s)
{
    int64_t bytes, max_bytes;
    if (window_s >= look->options->oplog_window_min_s) {
        notices_clear(notices_of(look), NOTICE_SHORT_OPLOG_WINDOW, "");
    } else if (server_facts_oplog_size(look->client, &bytes, &max_bytes, NULL) != 0) {
        return;
    } else if (bytes / FULL_PERCENT < max_bytes / 100) {
        notices_clear(notices_of(look), NOTICE_SHORT_OPLOG_WINDOW, "");
    } else {
        tell_short_window(look, window_s, max_bytes);
    }
}

static void look_at_oplog(const struct look *look)
{
    uint64_t first, last;
    struct source_status *status = &look->options->source->status;
    if (server_facts_oplog(look->client, &first, &last, NULL) == 0) {
        atomic_store(&status->oplog_first, first);
        atomic_store(&status->oplog_last, last);
        judge_window(look, source_oplog_window_s(look->options->source));
    }
}

/* --- collections ---------------------------------------------------------------------------------- */

static void tell_missing_index(const struct look *look, const char *subject,
                               const struct covered_collection *collection)
{
    struct buffer text = BUFFER_INIT;
    const char *order = mapping_order(collection->mapping);
    buffer_printf(&text, "%s has no index for its order field %s: tail and history cannot read it; create it with ",
                  subject, order);
    history_index_command(collection->name, NULL, 0, order, &text);
    set(look, NOTICE_MISSING_INDEX, subject, &text);
}

/* Returns 0 with *has, or -1. */
static int has_index(const struct look *look, const struct covered_collection *at, bool *has)
{
    char *name;
    mongoc_collection_t *collection = mongoc_client_get_collection(look->client, at->database, at->name);
    int rc = history_index_find(collection, mapping_order(at->mapping), &name, NULL);
    mongoc_collection_destroy(collection);
    if (rc == 0) {
        *has = name != NULL;
        free(name);
    }
    return rc;
}

static void look_at_index(struct look *look, const char *subject, const struct covered_collection *collection)
{
    bool has = false;
    bool is_turn = look->ordered++ >= look->watch->turn && look->asked < INDEXES_A_LOOK && !is_over(look);
    look->asked += is_turn;
    if (!is_turn || has_index(look, collection, &has) != 0) {
        notices_keep(notices_of(look), NOTICE_MISSING_INDEX, subject);
    } else if (!has) {
        tell_missing_index(look, subject, collection);
    }
}

static void tell_kind(const struct look *look, const char *subject, const struct covered_collection *collection)
{
    struct buffer text = BUFFER_INIT;
    if (collection->kind == COVERED_CAPPED) {
        buffer_printf(&text, "%s is capped: its documents leave by size, perhaps before a client that was away has "
                             "read them, and tail reads it without a snapshot", subject);
        set(look, NOTICE_CAPPED_COLLECTION, subject, &text);
    } else if (collection->kind != COVERED_PLAIN) {
        buffer_printf(&text, "%s is a %s, for which MongoDB has no change stream: nothing of it is sent; map a plain "
                             "collection instead",
                      subject, collection->kind == COVERED_VIEW ? "view" : "time-series collection");
        set(look, NOTICE_NO_CHANGE_STREAM, subject, &text);
    }
}

static void take_collection(void *context, const struct covered_collection *collection)
{
    struct look *look = context;
    struct buffer subject = BUFFER_INIT;
    mapping_describe_collection(collection->mapping, (struct slice){collection->name, strlen(collection->name)},
                                look->options->source->catalog);
    buffer_printf(&subject, "%s.%s", collection->database, collection->name);
    tell_kind(look, buffer_text(&subject), collection);
    bool is_stored = collection->kind == COVERED_PLAIN || collection->kind == COVERED_CAPPED;
    if (is_stored && strcmp(mapping_order(collection->mapping), "_id") != 0) {
        look_at_index(look, buffer_text(&subject), collection);
    }
    buffer_fini(&subject);
}

static void look_at_collections(struct look *look)
{
    struct notices *notices = notices_of(look);
    notices_begin(notices);
    if (server_facts_collections(look->client, look->options->mappings, take_collection, look, NULL) != 0) {
        return; /* which of them are gone is not known */
    }
    notices_end(notices, NOTICE_CAPPED_COLLECTION);
    notices_end(notices, NOTICE_NO_CHANGE_STREAM);
    notices_end(notices, NOTICE_MISSING_INDEX);
    size_t next = look->watch->turn + look->asked;
    look->watch->turn = next < look->ordered ? next : 0;
}

/* --- a look --------------------------------------------------------------------------------------- */

static int64_t round_trip_ms(mongoc_client_t *client)
{
    const mongoc_read_prefs_t *prefs = mongoc_uri_get_read_prefs_t(mongoc_client_get_uri(client));
    mongoc_server_description_t *server = mongoc_client_select_server(client, false, prefs, NULL);
    int64_t ms = server ? mongoc_server_description_round_trip_time(server) : -1;
    mongoc_server_description_destroy(server);
    return ms;
}

static void look_at_server(struct server_watch *watch, const struct server_watch_options *options)
{
    struct look look = {.watch = watch, .options = options, .deadline_us = clock_mono_us() + LOOK_BUDGET_US};
    look.client = database_pop(options->database, DATABASE_TAIL);
    if (!look.client) {
        return;
    }
    watch->round_trip_ms = round_trip_ms(look.client);
    look_at_oplog(&look);
    if (!is_over(&look)) {
        look_at_collections(&look);
    }
    database_push(options->database, DATABASE_TAIL, look.client);
}

static void judge_writers(const struct server_watch *watch, struct notices *notices, const struct lateness *lateness)
{
    int64_t typical_ms;
    enum lateness_verdict verdict = lateness_judge(lateness, &typical_ms);
    bool is_near = watch->round_trip_ms >= 0 && watch->round_trip_ms < NEAR_MS;
    if (verdict == LATENESS_PROMPT) {
        notices_clear(notices, NOTICE_UNJOURNALED_WRITERS, "");
    } else if (verdict == LATENESS_FLUSHED && is_near) {
        struct buffer text = BUFFER_INIT;
        buffer_printf(&text, "writers seem to use w:1 without j:true: their events arrive with the journal flush, "
                             "about %lld ms late; use write concern majority or j:true for about 3 ms",
                      (long long)typical_ms);
        notices_set(notices, NOTICE_UNJOURNALED_WRITERS, "", buffer_text(&text));
        buffer_fini(&text);
    }
}

void server_watch_run(struct server_watch *watch, const struct server_watch_options *options,
                      const struct lateness *lateness)
{
    int64_t now_us = clock_mono_us();
    if (now_us >= watch->look_due_us) {
        watch->look_due_us = now_us + LOOK_EVERY_US;
        look_at_server(watch, options);
    }
    if (now_us >= watch->judge_due_us) {
        watch->judge_due_us = now_us + JUDGE_EVERY_US;
        judge_writers(watch, options->source->notices, lateness);
    }
}
