/*
 * stream_table - the inside of a stream, and the table in which a loop finds its streams by number. For stream.c, fanout.c
 * and loop.c only; everybody else uses stream.h.
 */
#ifndef TAILWATER_HTTP_STREAM_TABLE_H
#define TAILWATER_HTTP_STREAM_TABLE_H

#include "feed.h"
#include "loop.h"
#include "pipe.h"
#include "stream_frames.h"
#include "subscription.h"

#include <event2/event_struct.h>
#include <uthash.h>
#include <utlist.h>

struct stream {
    uint64_t number;
    struct loop *loop;
    struct pipe *pipe;
    struct subscription *subscription;
    struct topic_entry *entries; /* one for each channel of the subscription */
    uint64_t stamp;              /* of the last entry that fan-out offered */
    int64_t sent_us;             /* monotonic time of the last frame */
    uint64_t events;             /* sent so far */
    enum resumed resumed;
    bool ndjson;
    bool has_resume;             /* a Last-Event-ID was accepted */
    bool caught_up;              /* it was told so, or started live */
    char connection_id[33];
    unsigned feed_count;
    struct feed feeds[CONTEXT_SOURCES_MAX];
    struct event heartbeat;
    bool in_pulling;              /* is in loop->pulling */
    struct stream *prev, *next;   /* there */
    UT_hash_handle hh;
};

static inline void stream_table_add(struct stream **table, struct stream *stream)
{
    HASH_ADD(hh, *table, number, sizeof stream->number, stream);
}

static inline void stream_table_remove(struct stream **table, struct stream *stream)
{
    HASH_DELETE(hh, *table, stream);
}

static inline struct stream *stream_table_find(struct stream *table, uint64_t number)
{
    struct stream *found;
    HASH_FIND(hh, table, &number, sizeof number, found);
    return found;
}

/* Keep the stream in its loop's list of pulling ones, or take it out. */
static inline void stream_table_set_pulling(struct stream *stream, bool pulling)
{
    if (pulling == stream->in_pulling) {
        return;
    }
    stream->in_pulling = pulling;
    if (pulling) {
        DL_APPEND(stream->loop->pulling, stream);
    } else {
        DL_DELETE(stream->loop->pulling, stream);
    }
}

#endif
