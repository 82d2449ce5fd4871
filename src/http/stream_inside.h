/*
 * stream_inside - the inside of a stream, and the table in which a loop finds its streams by number. For stream*.c, fanout.c
 * and loop.c only; everybody else uses stream.h. Thread: the loop's.
 */
#ifndef TAILWATER_HTTP_STREAM_INSIDE_H
#define TAILWATER_HTTP_STREAM_INSIDE_H

#include "feed.h"
#include "job.h"
#include "loop.h"
#include "pipe.h"
#include "seat.h"
#include "stream.h"
#include "stream_frames.h"
#include "subscription.h"
#include "throttle.h"

#include <event2/event_struct.h>
#include <uthash.h>
#include <utlist.h>

/* Longest id of a connection: a vector of all sources, with its NUL. */
enum { STREAM_ID_MAX = CONTEXT_SOURCES_MAX * (EVENT_ID_TEXT_LEN + 2) + 1 };

/* What a stream reads from collections before it goes on: tail=, since=, what is left of a lost span. Until all is sent
 * no source is read, and no frame carries an id before it is told that it caught up. */
enum reading_state {
    READING_WANTED,  /* for all sources to have been open, or for room in the queue or in rows_bytes */
    READING_ASKED,   /* a job is under way */
    READING_SENDING, /* as the reader takes them */
    READING_SENT,    /* over; the rows are kept while documents among them may come again from a source */
};

struct stream_reading {
    enum reading_state state;
    bool is_start;             /* tail=, since=: the sources start behind the rows. Else they go on where they were held */
    bool is_span;              /* everything since from_ms is wanted: tell a gap when it is not complete */
    int64_t from_ms, to_ms;    /* of the rows' time; 0 = no bound */
    size_t limit;
    bool had_ids;              /* when it began */
    unsigned sources;          /* a bit for each */
    unsigned gap_source;       /* of a loss, */
    uint64_t gap_from, gap_to; /* with its cluster times */
    struct rows *rows;         /* READING_SENDING, READING_SENT */
    bool *was_sent;            /* by index: the subscription may have changed on the way */
    size_t next;               /* of them */
    int64_t retry_us;          /* READING_WANTED: not before */
    int64_t polled_us;         /* READING_SENT: after this, what is polled was written later than the rows were read */
};

struct stream {
    uint64_t number;
    struct loop *loop;
    struct pipe *pipe;
    struct subscription *subscription;
    struct identity *identity;   /* one reference */
    struct grant_set *grants;    /* what the collection said of it last, one reference; NULL = nothing */
    struct seat seat;
    struct ip_address address;   /* of the client */
    int64_t opened_ms;           /* wall clock */
    struct event *expiry;        /* of its token; NULL = never */
    struct filter *filter;       /* NULL = everything */
    struct throttle throttle;
    struct topic_entry *entries; /* one for each channel of the subscription */
    uint64_t stamp;              /* of the last entry that fan-out offered */
    int64_t sent_us;             /* monotonic time of the last frame */
    uint64_t events;             /* sent so far, without rows */
    enum resumed resumed;
    bool ndjson;
    bool has_resume;             /* a Last-Event-ID was accepted */
    bool starts_late;            /* it asked for what was before: by that id, or by since= or tail= */
    bool caught_up;              /* it was told so, or started live */
    bool no_ids;                 /* rows came, or will: no frame carries an id until it is told that it caught up */
    struct stream_reading *reading; /* NULL = none */
    size_t rows_bytes;           /* what it has taken of the limit rows_bytes */
    uint64_t row_count;          /* sent so far */
    bool rows_complete;          /* nothing that was asked for was left out */
    char *advice;                /* else, what could be done; or NULL */
    char connection_id[33];
    unsigned feed_count;
    struct feed feeds[CONTEXT_SOURCES_MAX];
    struct event heartbeat;
    bool in_pulling;              /* is in loop->pulling */
    struct stream *prev, *next;   /* there */
    struct user_streams *of_user; /* NULL: of nobody in particular */
    struct stream *user_prev, *user_next; /* there */
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

/* --- stream_write.c ------------------------------------------------------------------------------ */

/* The id that stands for everything written so far; NULL when a source has none yet. */
const char *stream_current_id(const struct stream *stream, char out[STREAM_ID_MAX]);

/* Write and release a buffer of whole frames. */
void stream_write_buffer(struct stream *stream, struct buffer *b);

/* Write an event of one of its channels, with its id, if it passes filter and throttle. */
void stream_write_event(struct stream *stream, unsigned source, struct frame *frame);

/* Write a run of events of its only source. */
void stream_write_run(struct stream *stream, struct run *run);

/* Write a row: an event without an id. */
void stream_write_row(struct stream *stream, struct frame *frame);

/* Tell a gap of this source, with the id behind it where ids are allowed; -1: of none, without an id. */
void stream_write_gap(struct stream *stream, int source, const struct gap_facts *gap);

/* Say what was skipped, if anything was: before every frame that carries an id, for an id promises what lies before it. */
void stream_tell_skipped(struct stream *stream);

/* Tell that a source's place was lost (feed.h) and that it went on live. */
void stream_tell_lost(struct stream *stream, unsigned source);

/* Write whatever this entry of a source's journal means to this stream: an event if it is wanted, a gap. */
void stream_deliver(struct stream *stream, unsigned source, struct frame *frame);

/* Does its reader not keep up? Then nothing is pushed to it. */
bool stream_is_full(const struct stream *stream);

/* Do all streams together have as much unsent as they may? Then each gets a little at a time. */
bool stream_must_be_brief(const struct stream *stream);

/* May it read on by itself, from a journal or from rows? */
bool stream_has_room(const struct stream *stream);

/* --- stream.c ------------------------------------------------------------------------------------ */

/* Read one source until there is nothing more or enough is unsent. */
void stream_pull_feed(struct stream *stream, unsigned source);

bool stream_is_all_live(const struct stream *stream);

/* What it does now. */
enum stream_state {
    STREAM_LIVE,        /* is pushed to */
    STREAM_PULLING,     /* reads the journal at its own pace, or waits for a source to open */
    STREAM_CATCHING_UP, /* from MongoDB */
    STREAM_READING,     /* rows from collections */
    STREAM_STATES,
};
enum stream_state stream_state(const struct stream *stream);
const char *stream_state_name(enum stream_state state);
bool stream_has_overlap(const struct stream *stream);

/* End it when what is written has gone out. The stream is freed. */
void stream_end(struct stream *stream);

/* --- stream_rows.c ------------------------------------------------------------------------------- */

/* tail=, since= out of the collections: hold every source. */
void stream_read_start(struct stream *stream, const struct stream_request *request);

/* A loss is crossed: tell the gap, and send what the collections still hold of it. false: replay is switched off. */
bool stream_read_loss(struct stream *stream, unsigned source, struct frame *loss, uint64_t from);

/* Ask, or send on. The reading may be over then. */
void stream_read_on(struct stream *stream);

/* Does a reading keep the sources from being read? */
static inline bool stream_is_reading(const struct stream *stream)
{
    return stream->reading && stream->reading->state != READING_SENT;
}

/* Was this event, which comes from a source now, among the rows that were sent? */
bool stream_was_row(struct stream *stream, unsigned source, const struct frame *frame);

/* The stream ends. */
void stream_read_stop(struct stream *stream);

/* --- stream_begin.c ------------------------------------------------------------------------------ */

/* Start every source and say so: retry, ready, gaps; then what can be read at once. */
void stream_begin(struct stream *stream, struct stream_request *request);

/* retry: and ready, as things stand. */
void stream_write_ready(struct stream *stream);

/* Start a source that was not open before, if it is now. */
void stream_begin_waiting(struct stream *stream, unsigned source);

/* --- stream_change.c ----------------------------------------------------------------------------- */

/* Give it its connection id and number. */
void stream_draw_id(struct stream *stream);

/* Another subscription from here on (taken); the old one is freed. */
void stream_swap_subscription(struct stream *stream, struct subscription *wanted);

/* The same for one that has more: told by a new ready, and everything behind the id that the client knows comes by it. */
void stream_resubscribe(struct stream *stream, struct subscription *wanted);

/* Enter its subscription into the loop's topic index and the tally of channels; take one and its entries out, and free both. */
void stream_subscribe(struct stream *stream);
void stream_unsubscribe(struct stream *stream, struct subscription *subscription, struct topic_entry *entries);

/* --- stream_grants.c ----------------------------------------------------------------------------- */

/* Send it away in time before its token ends. */
void stream_arm_expiry(struct stream *stream);

#endif
