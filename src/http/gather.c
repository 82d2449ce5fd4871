/* gather - see gather.h. */
#include "gather.h"

#include "admin.h"
#include "log.h"
#include "stream_inside.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS_SHOWN = 100 };

const char *gather_sort_name(unsigned index)
{
    static const char *const names[GATHER_SORTS + 1] = {"since", "events", "bytes", "queued", "lag"};
    return names[index];
}

/* --- what is told of a stream ---------------------------------------------------------------------- */

/* How old is what it was sent last, as far as more is there? -1: not known. */
static int64_t lag_of(const struct stream *s)
{
    int64_t most_s = 0;
    for (unsigned i = 0; i < s->feed_count; i++) {
        const struct feed *feed = &s->feeds[i];
        struct journal_state journal;
        struct event_id mark = feed_mark(feed, &s->loop->cursors[i]);
        if (feed->state == FEED_LIVE) {
            continue;
        }
        journal_state(feed->source->journal, &journal);
        if (mark.cluster_time == 0 || journal.complete == 0) {
            return -1;
        }
        int64_t lag_s = (int64_t)(journal.complete >> 32) - (int64_t)(mark.cluster_time >> 32);
        most_s = lag_s > most_s ? lag_s : most_s;
    }
    return most_s * 1000;
}

static int64_t key_of(const struct stream *s, enum gather_sort sort)
{
    switch (sort) {
    case GATHER_EVENTS:
        return (int64_t)(s->events + s->row_count);
    case GATHER_BYTES:
        return (int64_t)pipe_sent(s->pipe);
    case GATHER_QUEUED:
        return (int64_t)pipe_unsent(s->pipe);
    case GATHER_LAG:
        return lag_of(s);
    case GATHER_SINCE:
    case GATHER_SORTS:
        break;
    }
    return s->opened_ms;
}

static bool has(const char *text, const char *q)
{
    return text && strcasestr(text, q);
}

static bool is_meant(const struct stream *s, const char *q)
{
    char address[IP_ADDRESS_TEXT_MAX];
    if (!q) {
        return true;
    }
    ip_address_format(&s->address, address);
    if (has(s->connection_id, q) || has(s->identity->user, q) || has(s->identity->workspace, q) || has(address, q)) {
        return true;
    }
    for (unsigned i = 0; i < s->subscription->count; i++) {
        if (has(s->subscription->list[i].text, q)) {
            return true;
        }
    }
    return false;
}

static void append_channels(struct buffer *out, const struct subscription *subscription)
{
    buffer_printf(out, ",\"channel_count\":%u,\"channels\":[", subscription->count);
    for (unsigned i = 0; i < subscription->count && i < CHANNELS_SHOWN; i++) {
        buffer_append_json_item(out, i, subscription->list[i].text, subscription->list[i].len);
    }
    buffer_append_byte(out, ']');
}

/* The newest id that it was written, of each source; a position where it began and nothing came yet. */
static void append_last_id(struct buffer *out, const struct stream *s)
{
    struct buffer id = BUFFER_INIT;
    for (unsigned i = 0; i < s->feed_count; i++) {
        char text[EVENT_ID_TEXT_LEN + 1];
        const struct feed *feed = &s->feeds[i];
        if (!feed->last.cluster_time || event_id_is_polled(feed->last)) {
            continue;
        }
        text[event_id_format(feed->last, text)] = '\0';
        if (s->feed_count > 1) {
            buffer_printf(&id, "%s%c", id.len ? "~" : "", feed->source->tag);
        }
        buffer_append_text(&id, text);
    }
    admin_append_text(out, "last_id", id.len ? buffer_text(&id) : NULL);
    buffer_fini(&id);
}

static void append_lag(struct buffer *out, int64_t lag_ms)
{
    if (lag_ms < 0) {
        buffer_append_text(out, ",\"lag_ms\":null");
    } else {
        buffer_printf(out, ",\"lag_ms\":%" PRId64, lag_ms);
    }
}

static void append_stream(struct buffer *out, const struct stream *s)
{
    char address[IP_ADDRESS_TEXT_MAX];
    ip_address_format(&s->address, address);
    buffer_printf(out, "{\"id\":\"%s\"", s->connection_id);
    admin_append_text(out, "user", s->identity->user);
    admin_append_text(out, "workspace", s->identity->workspace);
    admin_append_text(out, "kind", identity_kind_name(s->identity->kind));
    admin_append_text(out, "address", address);
    append_channels(out, s->subscription);
    buffer_append_text(out, ",\"filters\":");
    filter_append_json(s->filter, out);
    buffer_printf(out, ",\"max_rate\":%u", s->throttle.max_rate);
    admin_append_text(out, "format", s->ndjson ? "ndjson" : "sse");
    admin_append_time(out, "since", s->opened_ms);
    admin_append_time(out, "expires", s->identity->expires_ms);
    admin_append_text(out, "state", stream_state_name(stream_state(s)));
    append_lag(out, lag_of(s));
    append_last_id(out, s);
    buffer_printf(out, ",\"sent_events\":%" PRIu64 ",\"sent_rows\":%" PRIu64 ",\"sent_bytes\":%" PRIu64
                  ",\"queued_bytes\":%zu,\"loop\":%u}", s->events, s->row_count, pipe_sent(s->pipe),
                  pipe_unsent(s->pipe), s->loop->index);
}

/* --- visiting -------------------------------------------------------------------------------------- */

static void list_streams(struct loop *loop, struct gather *g)
{
    struct stream *s, *next;
    HASH_ITER(hh, loop->streams, s, next)
    {
        if (is_meant(s, g->q)) {
            page_offer(&g->page, key_of(s, g->sort), s->connection_id, CONNECTION_ID_LEN, s);
        }
    }
    for (size_t i = 0; i < g->page.count; i++) {
        struct page_row *row = &g->page.rows[i];
        if (row->object) { /* of this loop */
            append_stream(&row->json, row->object);
            row->object = NULL;
        }
    }
}

static void kick(struct loop *loop, struct gather *g)
{
    struct stream *s = stream_table_find(loop->streams, connection_id_number(g->connection_id));
    if (s && strcmp(s->connection_id, g->connection_id) == 0) {
        g->was_found = true;
        log_info("admin", "a connection was ended by the admin");
        stream_go_away(s, "kicked", stream_retry_jitter(loop->context->settings.retry_ms));
    }
}

static void go_home(struct gather *g)
{
    mailbox_post(g->box, (struct message){.type = MESSAGE_GATHERED, .object = g});
}

void gather_send(struct http_context *context, struct gather *g)
{
    unsigned loop = g->connection_id[0] ? connection_id_loop(g->connection_id, context->loop_count) : g->next_loop++;
    mailbox_post(context->loops[loop], (struct message){.type = MESSAGE_GATHER, .object = g});
}

void gather_visit(struct loop *loop, struct gather *g)
{
    if (g->connection_id[0]) {
        kick(loop, g);
        go_home(g);
        return;
    }
    list_streams(loop, g);
    if (g->next_loop < loop->context->loop_count) {
        gather_send(loop->context, g);
    } else {
        go_home(g);
    }
}

void gather_free(struct gather *g)
{
    page_fini(&g->page);
    free(g->q);
    free(g);
}
