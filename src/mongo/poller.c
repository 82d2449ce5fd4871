/* poller - see poller.h. */
#include "poller.h"

#include "buffer.h"
#include "clock.h"
#include "log.h"
#include "poller_collection.h"

#include <stdlib.h>
#include <string.h>

enum {
    LIST_EVERY_US = 2000000,
    COLLECTIONS_MAX = 1000,
    FETCH = 500,           /* documents a question */
    BUFFER_KEPT = 1 << 20, /* bytes of memory that a giant document may leave behind */
};

struct poller {
    struct poller_options options;
    struct source *source;
    struct event_builder *builder;
    struct poller_collection *collections; /* by ns */
    uint64_t clock;
    uint64_t listing;    /* how many there were since it began; 0 = none */
    int64_t list_due_us;
    struct buffer channel, data;
    /* seen for the first time, and not given yet */
    bson_t *ids;
    int64_t hashes[FETCH];
    uint32_t id_count;
    struct log_limit unroutable_limit, error_limit, full_limit;
};

/* --- giving ---------------------------------------------------------------------------------------- */

static void note_unroutable(struct poller *p, const struct poller_collection *c, const struct error *reason)
{
    struct error sentence;
    error_set(&sentence, "no channel for %s: %s", c->ns, reason->text);
    source_note_unroutable(p->source, sentence.text);
    log_write_limited(&p->unroutable_limit, LOG_LEVEL_WARN, "mapping", "source %s: %s", p->source->name,
                      sentence.text);
}

static struct frame *make_frame(struct poller *p, const struct poller_collection *c, const bson_t *document,
                                int64_t server_ms)
{
    struct error reason;
    int64_t ts_ms = server_ms;
    buffer_reset(&p->channel);
    buffer_reset(&p->data);
    buffer_shrink(&p->data, BUFFER_KEPT);
    mapping_time(c->mapping, document, &ts_ms);
    struct slice database = {c->database, strlen(c->database)}, name = {c->name, strlen(c->name)};
    enum event_outcome outcome = event_builder_document(p->builder, database, name, document, ts_ms, false, &p->channel,
                                                        &p->data, &reason);
    if (outcome != EVENT_BUILT) {
        note_unroutable(p, c, &reason);
        return NULL;
    }
    struct frame_event event = {
        .id = {++p->clock, poller_collection_hash(c, p->builder, document)},
        .channel = {p->channel.data, p->channel.len},
        .event = event_builder_event(p->builder),
        .data = {p->data.data, p->data.len},
        .level = event_builder_level(p->builder),
        .without_id = true,
    };
    return frame_new(&event);
}

static void drop_ids(struct poller *p)
{
    bson_reinit(p->ids);
    p->id_count = 0;
}

/* Fetch what was seen for the first time and append it. After an error it counts as not seen. */
static int give(struct poller *p, struct poller_collection *c, const struct poller_view *view, struct error *err)
{
    struct frame *frames[FETCH];
    size_t count = 0;
    bson_error_t error;
    const bson_t *document;
    mongoc_cursor_t *cursor = NULL;
    int rc = poller_collection_documents(c, view, p->ids, &cursor, err);
    while (cursor && count < FETCH && mongoc_cursor_next(cursor, &document)) {
        struct frame *frame = make_frame(p, c, document, view->server_ms);
        frames[count] = frame;
        count += frame != NULL;
    }
    if (cursor && mongoc_cursor_error(cursor, &error)) {
        rc = database_error(&error, err);
    }
    mongoc_cursor_destroy(cursor);
    if (rc == 0) {
        atomic_fetch_add(&p->source->status.events, count);
        journal_append(p->source->journal, frames, count, p->clock);
    }
    for (size_t i = 0; rc != 0 && i < count; i++) {
        frame_unref(frames[i]);
    }
    for (uint32_t i = 0; rc != 0 && i < p->id_count; i++) {
        poll_window_forget(c->window, p->hashes[i]);
    }
    drop_ids(p);
    return rc;
}

/* --- looking --------------------------------------------------------------------------------------- */

static void take_id(struct poller *p, const bson_t *key, int64_t hash)
{
    char buffer[16];
    const char *number;
    bson_iter_t id;
    if (bson_iter_init_find(&id, key, "_id")) {
        bson_uint32_to_string(p->id_count, &number, buffer, sizeof buffer);
        bson_append_iter(p->ids, number, -1, &id);
        p->hashes[p->id_count++] = hash;
    }
}

static int take_key(struct poller *p, struct poller_collection *c, const struct poller_view *view, const bson_t *key,
                    struct error *err)
{
    bson_iter_t order;
    if (!poller_collection_place(c, key, &order)) {
        return 0;
    }
    int64_t hash = poller_collection_hash(c, p->builder, key);
    if (poll_window_see(c->window, bson_iter_value(&order), hash, view->server_ms)) {
        take_id(p, key, hash);
    }
    return p->id_count == FETCH ? give(p, c, view, err) : 0;
}

static int look_at(struct poller *p, struct poller_collection *c, const struct poller_view *view, struct error *err)
{
    bson_error_t error;
    const bson_t *key;
    mongoc_cursor_t *cursor;
    if (!c->begun && poller_collection_begin(c, view, err) != 0) {
        return -1;
    }
    if (poller_collection_keys(c, view, &cursor, err) != 0) {
        return -1;
    }
    int rc = 0;
    bool stopped = false;
    while (rc == 0 && !stopped && mongoc_cursor_next(cursor, &key)) {
        rc = take_key(p, c, view, key, err);
        stopped = p->id_count == 0 && p->options.must_stop(p->options.context);
    }
    if (rc == 0 && mongoc_cursor_error(cursor, &error)) {
        rc = database_error(&error, err);
    }
    mongoc_cursor_destroy(cursor);
    if (p->id_count && give(p, c, view, rc == 0 ? err : NULL) != 0) {
        rc = -1; /* what was seen before an error is given all the same, if that can be */
    }
    if (rc == 0 && !stopped) {
        poll_window_end(c->window, clock_mono_us());
    }
    return rc;
}

/* --- which collections ----------------------------------------------------------------------------- */

static void take_collection(void *context, const struct covered_collection *covered)
{
    struct poller *p = context;
    struct poller_collection *c = poller_collection_new(covered, p->options.overlap_s * 1000000), *known;
    HASH_FIND_STR(p->collections, c->ns, known);
    if (known && known->is_view == c->is_view && known->is_timeseries == c->is_timeseries) {
        known->listing = p->listing;
        poller_collection_free(c);
        return;
    }
    if (known) {
        HASH_DEL(p->collections, known);
        poller_collection_free(known);
    }
    if (!mapping_takes(c->mapping, 'i') || HASH_COUNT(p->collections) >= COLLECTIONS_MAX) {
        poller_collection_free(c);
        return;
    }
    c->is_young = p->listing > 1;
    c->listing = p->listing;
    HASH_ADD_KEYPTR(hh, p->collections, c->ns, strlen(c->ns), c);
    struct slice name = {c->name, strlen(c->name)};
    mapping_describe_collection(c->mapping, name, p->source->catalog);
    if (HASH_COUNT(p->collections) == COLLECTIONS_MAX) {
        log_write_limited(&p->full_limit, LOG_LEVEL_WARN, "poller", "source %s: only %d collections are polled",
                          p->source->name, COLLECTIONS_MAX);
    }
}

static void drop_unlisted(struct poller *p)
{
    struct poller_collection *c, *next;
    HASH_ITER(hh, p->collections, c, next)
    {
        if (c->listing != p->listing) {
            HASH_DEL(p->collections, c);
            poller_collection_free(c);
        }
    }
}

static int list(struct poller *p, mongoc_client_t *client, struct error *err)
{
    int64_t now_us = clock_mono_us();
    if (p->listing && now_us < p->list_due_us) {
        return 0;
    }
    p->listing++;
    if (server_facts_collections(client, p->options.reader.mappings, take_collection, p, err) != 0) {
        p->listing--;
        return -1;
    }
    drop_unlisted(p);
    p->list_due_us = now_us + LIST_EVERY_US;
    return 0;
}

/* --- one look -------------------------------------------------------------------------------------- */

/* What one collection refuses is told, and the others are read all the same, if the server is there. */
static int note_refusal(struct poller *p, const struct poller_collection *c, const struct poller_view *view,
                        const struct error *problem)
{
    struct database_hello hello;
    log_write_limited(&p->error_limit, LOG_LEVEL_WARN, "poller", "source %s: %s: %s (code %d)", p->source->name, c->ns,
                      problem->text, problem->code);
    return database_hello(view->client, &hello, NULL);
}

static int look_at_all(struct poller *p, const struct poller_view *view, struct error *err)
{
    struct poller_collection *c, *next;
    struct poller_view now = *view; /* for those that cannot be seen as they were: capped ones */
    now.at = 0;
    unsigned tried = 0, failed = 0;
    HASH_ITER(hh, p->collections, c, next)
    {
        if (p->options.must_stop(p->options.context)) {
            return 0;
        }
        tried++;
        if (look_at(p, c, view, err) != 0 && (!view->at || look_at(p, c, &now, err) != 0)) {
            failed++;
            if (note_refusal(p, c, view, err) != 0) {
                return -1;
            }
        }
    }
    return failed && failed == tried ? -1 : 0;
}

int poller_look(struct poller *p, uint64_t at, struct error *err)
{
    struct poller_view view;
    mongoc_client_t *client = database_pop(p->options.reader.database, DATABASE_TAIL);
    if (!client) {
        return error_set(err, "no free connection to MongoDB");
    }
    int rc = poller_view_open(&view, client, p->builder, at, err);
    if (rc == 0) {
        source_note_cluster_time(p->source, 0); /* it answered */
        rc = list(p, client, err);
    }
    if (rc == 0) {
        rc = look_at_all(p, &view, err);
    }
    poller_view_close(&view);
    database_push(p->options.reader.database, DATABASE_TAIL, client);
    return rc;
}

/* --- is it needed ---------------------------------------------------------------------------------- */

struct kinds {
    unsigned plain, without_stream;
};

static void count_kind(void *context, const struct covered_collection *covered)
{
    struct kinds *kinds = context;
    if (mapping_is_own(covered->mapping)) {
        return; /* it never decides how logs are read */
    }
    if (covered->kind == COVERED_VIEW || covered->kind == COVERED_TIME_SERIES) {
        kinds->without_stream++;
    } else {
        kinds->plain++;
    }
}

bool poller_is_needed(mongoc_client_t *client, const struct mapping_set *mappings)
{
    struct kinds kinds = {0, 0};
    return server_facts_collections(client, mappings, count_kind, &kinds, NULL) == 0 && kinds.plain == 0 &&
           kinds.without_stream > 0;
}

/* --- life ------------------------------------------------------------------------------------------ */

struct poller *poller_new(const struct poller_options *options)
{
    struct poller *p = memory_zero(1, sizeof *p);
    p->options = *options;
    p->source = options->reader.source;
    p->builder = event_builder_new(options->reader.mappings, &options->reader.build);
    p->ids = bson_new();
    return p;
}

void poller_reset(struct poller *p)
{
    struct poller_collection *c, *next;
    HASH_ITER(hh, p->collections, c, next)
    {
        HASH_DEL(p->collections, c);
        poller_collection_free(c);
    }
    p->listing = 0;
}

void poller_free(struct poller *p)
{
    poller_reset(p);
    event_builder_free(p->builder);
    buffer_fini(&p->channel);
    buffer_fini(&p->data);
    bson_destroy(p->ids);
    free(p);
}

uint64_t poller_clock(const struct poller *p)
{
    return p->clock;
}
