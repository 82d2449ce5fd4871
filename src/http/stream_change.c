/* stream_change - see stream_change.h; and how a stream is named and entered into the index (stream_inside.h). */
#include "stream_change.h"

#include "clock.h"
#include "rights.h"
#include "stream_inside.h"

#include <stdlib.h>
#include <string.h>

enum { OWED_BYTES = 256 * 1024 }; /* above queue_bytes: unsent bytes at which a subscription is changed no more */

/* --- the stream's name and its place in the index --------------------------------------------------- */

void stream_draw_id(struct stream *s)
{
    do {
        connection_id_draw(s->loop->index, s->loop->context->loop_count, s->connection_id);
        s->number = connection_id_number(s->connection_id);
    } while (stream_table_find(s->loop->streams, s->number));
}

void stream_subscribe(struct stream *s)
{
    s->entries = memory_zero(s->subscription->count, sizeof *s->entries);
    for (unsigned i = 0; i < s->subscription->count; i++) {
        const struct subscription_channel *channel = &s->subscription->list[i];
        s->entries[i].subscriber = s;
        topic_add(s->loop->topics, channel->text, channel->len, &s->entries[i]);
        tally_add(s->loop->context->channels, channel->text, channel->len, 0);
    }
}

void stream_unsubscribe(struct stream *s, struct subscription *subscription, struct topic_entry *entries)
{
    for (unsigned i = 0; i < subscription->count; i++) {
        const struct subscription_channel *channel = &subscription->list[i];
        topic_remove(s->loop->topics, &entries[i]);
        tally_remove(s->loop->context->channels, channel->text, channel->len);
    }
    free(entries);
    subscription_free(subscription);
}

/* --- at a point ------------------------------------------------------------------------------------- */

static bool is_same(struct event_id a, struct event_id b)
{
    return a.cluster_time == b.cluster_time && a.hash == b.hash;
}

static bool reads(const struct feed *feed)
{
    return feed->state == FEED_LIVE || feed->state == FEED_PULLING || feed->state == FEED_QUEUED ||
           feed->state == FEED_SWEEPING;
}

/* A window that still holds what follows the mark need not be left. */
static bool go_back_in_window(struct feed *feed, struct event_id mark)
{
    uint64_t number;
    if (feed->state != FEED_SWEEPING || journal_find(sweep_window(feed->sweep), mark, &number) != JOURNAL_FOUND) {
        return false;
    }
    feed->point = mark;
    feed->number = number;
    feed->seeking = false;
    sweep_progress(feed->sweep, feed->member, number);
    return true;
}

void stream_change_rewind(struct feed *feed, const struct feed_cursor *cursor)
{
    struct event_id mark = feed_mark(feed, cursor);
    struct event_id reached = feed->state == FEED_LIVE ? feed_cursor_reached(cursor) : feed->point;
    if (!reads(feed) || is_same(mark, reached)) {
        return;
    }
    if (!go_back_in_window(feed, mark)) {
        bool overlap = feed->overlap; /* of the resume, still to be told */
        feed_stop(feed);
        feed_start_at(feed, mark);
        feed->overlap = feed->overlap || overlap;
    }
}

/* --- the answer ------------------------------------------------------------------------------------- */

static void append_not_subscribed(struct stream_change *change, const struct subscription *old)
{
    unsigned count = 0;
    buffer_append_text(&change->body, ",\"not_subscribed\":[");
    for (unsigned i = 0; i < change->wanted.remove_count; i++) {
        const char *text = change->wanted.remove[i];
        if (!subscription_has(old, text, strlen(text))) {
            buffer_append_json_item(&change->body, count++, text, strlen(text));
        }
    }
}

static void append_id(struct buffer *out, const char *id)
{
    if (id) {
        buffer_printf(out, "\"%s\"", id);
    } else {
        buffer_append_text(out, "null");
    }
}

static void write_answer(struct stream_change *change, const struct stream *s, const struct subscription *wanted)
{
    char id[STREAM_ID_MAX];
    change->status = 200;
    buffer_printf(&change->body, "{\"connection_id\":\"%s\",", s->connection_id);
    subscription_append_json(wanted, &change->body);
    append_not_subscribed(change, s->subscription);
    buffer_append_text(&change->body, "],\"id\":");
    append_id(&change->body, stream_current_id(s, id));
    buffer_append_text(&change->body, "}\n");
}

/* --- applying it ------------------------------------------------------------------------------------ */

void stream_swap_subscription(struct stream *s, struct subscription *wanted)
{
    struct subscription *old = s->subscription;
    struct topic_entry *old_entries = s->entries;
    s->subscription = wanted;
    stream_subscribe(s);
    stream_unsubscribe(s, old, old_entries);
}

void stream_resubscribe(struct stream *s, struct subscription *wanted)
{
    s->loop->now_us = clock_mono_us();
    stream_tell_skipped(s);
    stream_swap_subscription(s, wanted);
    stream_write_ready(s);
    for (unsigned i = 0; i < s->feed_count; i++) {
        stream_change_rewind(&s->feeds[i], &s->loop->cursors[i]);
    }
    stream_pull(s);
}

static void refuse(struct stream_change *change, int status, const char *code, const char *sentence)
{
    change->status = status;
    change->code = code;
    error_set(&change->error, "%s", sentence);
}

/* A reader that takes nothing could otherwise be made to owe any number of ready frames. */
static bool owes_too_much(const struct stream *s)
{
    return pipe_unsent(s->pipe) > s->loop->context->settings.queue_bytes + OWED_BYTES;
}

/* The new list, as far as it is granted. NULL after a refusal. */
static struct subscription *make_wanted(const struct stream *s, struct stream_change *change)
{
    struct rights rights;
    struct subscription *wanted;
    const struct http_context *context = s->loop->context;
    change->status = 400;
    if (subscription_changed(s->subscription, &change->wanted, context, &wanted, &change->code, &change->error) != 0) {
        return NULL;
    }
    rights_of(context, s->identity, s->grants, &rights);
    int rc = subscription_grant(wanted, context, rights.patterns, rights.count, &change->code, &change->error);
    rights_fini(&rights);
    if (rc == 0 && wanted->count == 0) {
        refuse(change, 403, "not_granted", "nothing of what would be left may be read");
        rc = -1;
    }
    if (rc != 0) {
        subscription_free(wanted);
        return NULL;
    }
    return wanted;
}

static void apply_to(struct stream *s, struct stream_change *change)
{
    struct subscription *wanted = make_wanted(s, change);
    if (wanted) {
        write_answer(change, s, wanted);
        stream_resubscribe(s, wanted);
    }
}

/* To a stranger it is not there. */
static bool is_found(const struct stream *s, const struct stream_change *change)
{
    return s && strcmp(s->connection_id, change->connection_id) == 0 && identity_is_same(s->identity, change->identity);
}

static void apply(struct loop *loop, struct stream_change *change)
{
    struct stream *s = stream_table_find(loop->streams, connection_id_number(change->connection_id));
    if (loop->draining || atomic_load(&loop->context->draining)) {
        refuse(change, 503, "draining", "this instance is shutting down");
    } else if (!is_found(s, change)) {
        refuse(change, 404, "connection_not_found",
               "no such connection here: it ended or lives on another instance; reconnect with the last id and the "
               "new list");
    } else if (owes_too_much(s)) {
        refuse(change, 503, "reader_behind", "the stream's reader does not take what is sent; try again");
    } else {
        apply_to(s, change);
    }
}

void stream_change_apply(struct loop *loop, struct stream_change *change)
{
    apply(loop, change);
    mailbox_post(change->box, (struct message){.type = MESSAGE_CHANGED, .object = change});
}

void stream_change_free(struct stream_change *change)
{
    identity_unref(change->identity);
    memory_free_texts(change->wanted.add, change->wanted.add_count);
    memory_free_texts(change->wanted.remove, change->wanted.remove_count);
    buffer_fini(&change->body);
    free(change);
}
