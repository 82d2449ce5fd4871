/*
 * stream_frames - the words of a stream besides its events: ready, caught-up, gap, source, heartbeat, goaway, refused
 * (CONTRACT section 4), as SSE or as NDJSON. Pure; everything is appended to a buffer.
 */
#ifndef TAILWATER_HTTP_STREAM_FRAMES_H
#define TAILWATER_HTTP_STREAM_FRAMES_H

#include "buffer.h"
#include "source.h"
#include "subscription.h"
#include "throttle.h"

#include <stdbool.h>
#include <stdint.h>

enum resumed { RESUMED_NO, RESUMED_EXACT, RESUMED_OVERLAP, RESUMED_PENDING, RESUMED_GAP };

/* One frame. id may be NULL; data is one line of JSON. */
void stream_frame_append(struct buffer *out, bool ndjson, const char *id, const char *event, const char *data,
                         size_t data_len);

struct ready_facts {
    const char *connection_id;
    const struct subscription *subscription;
    int64_t heartbeat_s;
    bool polls;              /* at least one of its sources */
    enum resumed resumed;
    int64_t resume_window_s; /* -1 = unknown */
    const char *renew;       /* a ticket, or NULL */
};
void stream_frame_ready(struct buffer *out, bool ndjson, const char *id, const struct ready_facts *facts);

/* "retry: n", a line of the frame that follows: between 500 and 60,000 ms with jitter. Nothing for NDJSON. */
void stream_frame_retry(struct buffer *out, bool ndjson, int64_t retry_ms);

struct gap_facts {
    const char *reason;
    uint64_t from, to; /* cluster times; 0 = unknown */
    uint64_t replayed; /* rows that follow */
    bool complete;     /* they are all that there was */
};
void stream_frame_gap(struct buffer *out, bool ndjson, const char *id, const struct gap_facts *facts);

struct caught_up_facts {
    uint64_t events, rows; /* sent so far, with and without ids */
    bool complete;         /* no row that was asked for was left out */
    enum resumed resumed;
    const char *advice; /* for operators, when it is not complete; or NULL */
};
void stream_frame_caught_up(struct buffer *out, bool ndjson, const char *id, const struct caught_up_facts *facts);
void stream_frame_heartbeat(struct buffer *out, bool ndjson, const char *id, struct source *const *sources,
                            unsigned count);
void stream_frame_skipped(struct buffer *out, bool ndjson, const struct throttle *throttle);
void stream_frame_source(struct buffer *out, bool ndjson, const char *name, bool available);
void stream_frame_revoked(struct buffer *out, bool ndjson, const char *channels); /* the items of a JSON array */
void stream_frame_goaway(struct buffer *out, bool ndjson, const char *reason, int64_t reconnect_ms);
void stream_frame_refused(struct buffer *out, bool ndjson, const char *code, int64_t retry_ms);

/* [500, 60000] ms, at random between half and one and a half times retry_ms. */
int64_t stream_retry_jitter(int64_t retry_ms);

#endif
