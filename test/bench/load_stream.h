/*
 * load_stream - one SSE stream over HTTP/1.1 on a non-blocking socket: connect, one GET, a chunked or close-delimited
 * body, events out of it. Thread: owner only.
 */
#ifndef TAILWATER_BENCH_LOAD_STREAM_H
#define TAILWATER_BENCH_LOAD_STREAM_H

#include "tailwater/sse.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum stream_state {
    STREAM_CLOSED,
    STREAM_CONNECTING, /* wait for writable, then stream_send() */
    STREAM_HEAD,       /* wait for readable */
    STREAM_BODY,       /* status was 200; wait for readable */
};

enum stream_outcome {
    STREAM_GOING,
    STREAM_ENDED,  /* the server ended the body, cleanly or not */
    STREAM_FAILED, /* no connection, another status than 200, or not HTTP; see status and problem */
};

struct stream {
    int fd; /* -1 when closed */
    enum stream_state state;
    unsigned status;     /* of the answer; 0 before */
    const char *problem; /* a few constant words when it failed without a status */
    struct tailwater_sse_parser *parser;
    char *head; /* the answer's head while incomplete */
    size_t head_len;
    bool chunked;
    int chunk_state;       /* enum chunk_state, private */
    uint64_t chunk_left;   /* bytes of the chunk not read yet, or its size while that is being read */
    unsigned chunk_digits; /* of the size, so far */
    uint64_t bytes;        /* of all bodies, as they were on the wire */
};

/* Events go to handler with context, also after later reopens; last ids survive those. */
void stream_init(struct stream *stream, const struct tailwater_sse_handler *handler, void *context);
void stream_fini(struct stream *stream); /* closes */

/* Begin to connect; source may be NULL. STREAM_GOING or STREAM_FAILED. */
enum stream_outcome stream_open(struct stream *stream, const struct sockaddr_in *target,
                                const struct sockaddr_in *source);

/* Connected (or not): send the request. */
enum stream_outcome stream_send(struct stream *stream, const char *request, size_t len);

/* Read once, at most len bytes, into memory of the caller's that is free again on return; hand out events. */
enum stream_outcome stream_read(struct stream *stream, char *memory, size_t len);

/* Close the socket and forget an unfinished event. */
void stream_close(struct stream *stream);

#endif
