/*
 * frame - one event as its final bytes on the wire, built once, immutable, shared by reference (DESIGN sentence 2).
 *
 * Layout of the one allocation:
 *
 *     struct frame | channel | "1a4\r\n" "id: …\n" "event: …\ndata: {…}\n\n" "\r\n"
 *                              ^chunk    ^sse      ^body                      ^
 *
 * so that HTTP/1.1 (chunked), HTTP/1.0 (sse), streams with an id line of their own (body) and NDJSON (data) are slices
 * of the same bytes. Rows (rows.h) and events that were polled have no id line: they cannot be resumed from.
 *
 * A journal also holds frames that are not events: a loss of the source or a change of its mode (every reader crosses
 * them as a `gap`), an oversize event whose content is unknown, and a change of grants. They have no wire bytes; the
 * connection words them.
 *
 * Thread: any; the reference count is atomic, everything else is constant after frame_new().
 */
#ifndef TAILWATER_CORE_FRAME_H
#define TAILWATER_CORE_FRAME_H

#include "event_id.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum frame_kind {
    FRAME_EVENT,    /* a document */
    FRAME_LOSS,     /* the source lost what lies between gap_from and id */
    FRAME_MODE,     /* the source is followed in another way (source.h) from this position on */
    FRAME_OVERSIZE, /* an event too large to be read; channel: the patterns of what it could have been, joined by commas */
    FRAME_GRANTS,   /* the grants of one user have changed, or of all: takes effect here */
};

/* Severity in pino's numbers; 0 = unknown. */
enum frame_level {
    FRAME_LEVEL_NONE = 0,
    FRAME_LEVEL_TRACE = 10,
    FRAME_LEVEL_DEBUG = 20,
    FRAME_LEVEL_INFO = 30,
    FRAME_LEVEL_WARN = 40,
    FRAME_LEVEL_ERROR = 50,
    FRAME_LEVEL_FATAL = 60,
};

struct grant_set;
struct rows;

struct slice {
    const char *data;
    size_t len;
};

struct frame {
    _Atomic uint32_t refs;
    uint8_t kind;            /* enum frame_kind */
    uint8_t level;           /* enum frame_level, or any number between */
    uint16_t channel_len;
    struct event_id id;
    uint64_t gap_from;       /* FRAME_LOSS: cluster time up to which nothing is missing, else 0 */
    struct rows *rows;       /* FRAME_LOSS: what the collections still hold of it, one reference; NULL = was not read */
    struct grant_set *grants; /* FRAME_GRANTS: a user's new set, one reference; NULL = all were loaded anew */
    int64_t wall_ms;         /* the change's wallTime; 0 = unknown */
    uint32_t chunk_len;      /* all wire bytes; 0 for frames that are not events */
    uint32_t sse_at, body_at, data_at; /* offsets into the wire bytes */
    uint32_t data_len;       /* the JSON text alone */
    char bytes[];            /* channel, then wire bytes */
};

/* What frame_new() makes an event of; everything is borrowed for the call. */
struct frame_event {
    struct event_id id;
    struct slice channel;
    struct slice event; /* SSE event name, already validated: no CR, LF, not empty */
    struct slice data;  /* one line of JSON: no CR, LF or NUL */
    uint8_t level;
    bool without_id; /* no id line; the id counts inside all the same */
    int64_t wall_ms;
};

/* Build the bytes; gives one reference. */
struct frame *frame_new(const struct frame_event *event);

/* A loss between cluster time `from` and position `to`; gives one reference. Takes rows, which may be NULL. */
struct frame *frame_new_loss(uint64_t from, struct event_id to, struct rows *rows);

/* A change of mode at this position; gives one reference. */
struct frame *frame_new_mode(struct event_id at);

/* An oversize event that could have gone to any channel of these patterns, joined by commas; gives one reference. */
struct frame *frame_new_oversize(struct event_id id, struct slice patterns);

/* A change of grants at this point; gives one reference. Takes the set, which may be NULL: all were loaded anew. */
struct frame *frame_new_grants(struct event_id id, struct grant_set *grants);

struct frame *frame_ref(struct frame *frame);
void frame_unref(struct frame *frame); /* NULL is fine */

/* Bytes of memory that the frame takes, with its rows. */
size_t frame_cost(const struct frame *frame);

static inline struct slice frame_channel(const struct frame *f)
{
    return (struct slice){f->bytes, f->channel_len};
}

/* With HTTP/1.1 chunk framing around it. */
static inline struct slice frame_chunk(const struct frame *f)
{
    return (struct slice){f->bytes + f->channel_len, f->chunk_len};
}

/* "id: …\nevent: …\ndata: …\n\n", without the id line for what has none */
static inline struct slice frame_sse(const struct frame *f)
{
    return (struct slice){f->bytes + f->channel_len + f->sse_at, f->chunk_len - f->sse_at - 2};
}

/* "event: …\ndata: …\n\n" */
static inline struct slice frame_body(const struct frame *f)
{
    return (struct slice){f->bytes + f->channel_len + f->body_at, f->chunk_len - f->body_at - 2};
}

/* The JSON text. */
static inline struct slice frame_data(const struct frame *f)
{
    return (struct slice){f->bytes + f->channel_len + f->data_at, f->data_len};
}

/* The SSE event name. */
static inline struct slice frame_event_name(const struct frame *f)
{
    const uint32_t head = 7;  /* "event: " */
    const uint32_t mid = 7;   /* "\ndata: " */
    return (struct slice){f->bytes + f->channel_len + f->body_at + head, f->data_at - mid - f->body_at - head};
}

#endif
