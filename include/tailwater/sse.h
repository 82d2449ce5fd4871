/*
 * tailwater/sse.h - Server-Sent Events: writing frames and parsing streams (WHATWG HTML, section 9.2).
 *
 * Writing is pure: the bytes go to memory of the caller's, from any thread. A parser belongs to one thread at a time.
 * Texts are bytes with a length and need no NUL. They should be UTF-8: the writer passes them on and the parser hands
 * them out as they are; replacing invalid bytes is the business of whoever decodes the text.
 * Out of memory aborts the process; what a peer can make a parser keep is bounded (max_bytes below).
 */
#ifndef TAILWATER_SSE_H
#define TAILWATER_SSE_H

#include <stddef.h>
#include <stdint.h>

/* --- writing ---------------------------------------------------------------------------------------------------- */

/* One event. Zero-initialised it is a "message" without id and with empty data. Everything is borrowed for the call. */
struct tailwater_sse_frame {
    const char *id; /* NULL: no id line. Empty: an id line that resets the reader's last event id */
    size_t id_len;
    const char *event; /* NULL or empty: no event line, which readers call "message" */
    size_t event_len;
    const char *data; /* may hold any bytes; each line of it becomes a data line */
    size_t data_len;
};

/*
 * Write one frame: id, event, data lines, empty line; all line ends are LF. CR, LF and CRLF in data start a new data
 * line (a reader sees LF for each).
 * Returns the length of the frame [bytes], as snprintf does: it was written if, and only if, that is <= cap (no NUL is
 * added; out may be NULL when cap is 0). Returns 0 when the frame is refused: CR, LF or NUL in id or event.
 */
size_t tailwater_sse_write(const struct tailwater_sse_frame *frame, char *out, size_t cap);

enum { TAILWATER_SSE_RETRY_MAX = 18 }; /* bytes that tailwater_sse_write_retry() needs at most */

/*
 * Write the line "retry: <retry_ms>\n". It belongs in front of a frame, not alone before an empty line: several client
 * libraries take a block without data for an event. Returns the length, as above; never 0.
 */
size_t tailwater_sse_write_retry(uint32_t retry_ms, char *out, size_t cap);

/* --- parsing ---------------------------------------------------------------------------------------------------- */

/* One event as a reader sees it. The texts are valid during the callback only. */
struct tailwater_sse_event {
    const char *id; /* the last event id at this event, which may come from an earlier one; never NULL */
    size_t id_len;  /* 0: there is none */
    const char *event; /* "message" when the stream names none; never NULL */
    size_t event_len;
    const char *data; /* data lines joined by LF; never NULL */
    size_t data_len;
};

/* Called from within tailwater_sse_parser_feed(); they must not feed, reset or free that parser. */
struct tailwater_sse_handler {
    void (*event)(void *context, const struct tailwater_sse_event *event); /* required */
    void (*retry)(void *context, uint32_t retry_ms);                      /* or NULL; UINT32_MAX: that or more */
};

enum tailwater_sse_outcome {
    TAILWATER_SSE_FED = 0,
    TAILWATER_SSE_TOO_LARGE = 1, /* one event's data and the current line exceed max_bytes */
};

struct tailwater_sse_parser;

/*
 * A parser at the start of a stream. max_bytes bounds what it keeps for one event: its data and the line being read.
 * handler is copied; context is handed to its functions. The caller owns the result.
 */
struct tailwater_sse_parser *tailwater_sse_parser_new(size_t max_bytes, const struct tailwater_sse_handler *handler,
                                                      void *context);
void tailwater_sse_parser_free(struct tailwater_sse_parser *parser); /* NULL is fine */

/*
 * Feed the next bytes of the stream, cut anywhere; the result does not depend on where. Events are handed out before
 * this returns. After TAILWATER_SSE_TOO_LARGE the stream is lost: every further call returns it until the reset.
 */
enum tailwater_sse_outcome tailwater_sse_parser_feed(struct tailwater_sse_parser *parser, const void *bytes,
                                                     size_t len);

/*
 * The stream ended and another one begins (a reconnect): forget the unfinished event, whose id does not count, and
 * expect the start of a stream. The last event id stays, for the Last-Event-ID header and for events without an id
 * line; browsers do the same.
 */
void tailwater_sse_parser_reset(struct tailwater_sse_parser *parser);

/*
 * The last event id: that of the newest block that ended with an empty line (with data or without). *len may be 0:
 * there is none. Valid until the next feed.
 */
const char *tailwater_sse_parser_last_id(const struct tailwater_sse_parser *parser, size_t *len);

#endif
