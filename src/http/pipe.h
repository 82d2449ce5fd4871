/*
 * pipe - the way of bytes to one streaming client: a bufferevent taken over from evhttp after the request.
 *
 * What is written in one turn of the loop leaves in one system call. The reader is watched: what it sends is thrown away,
 * when it leaves or takes nothing for stall_s, on_gone is called. Thread: the loop's.
 */
#ifndef TAILWATER_HTTP_PIPE_H
#define TAILWATER_HTTP_PIPE_H

#include "frame.h"

#include <event2/bufferevent.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pipe;

struct pipe_options {
    /* The client is gone; the pipe is freed when this returns. Not called after pipe_close(). */
    void (*on_gone)(void *arg);
    /* The unsent bytes fell below low_bytes. */
    void (*on_drain)(void *arg);
    void *arg;
    size_t low_bytes;
    int stall_s;
};

/* Used by exchange.c: bev belongs to what release(owner) frees. chunked: HTTP/1.1 chunk framing is wanted. */
struct pipe *pipe_new(struct bufferevent *bev, bool chunked, const struct pipe_options *options,
                      void (*release)(void *owner), void *owner);

/* Bytes as they are: the response head. */
void pipe_write_raw(struct pipe *pipe, const void *data, size_t len);

/* Text of the stream (copied), as one chunk. */
void pipe_write(struct pipe *pipe, const void *data, size_t len);

/* A frame as SSE with its own id line; refs the frame where that is cheaper than a copy. */
void pipe_write_frame(struct pipe *pipe, struct frame *frame);

/* Is HTTP/1.1 chunk framing wanted? */
bool pipe_is_chunked(const struct pipe *pipe);

/* Bytes as they shall stand on the wire, with their framing, referred to until they have left: then, or at once when
 * they were copied, release() is called. */
typedef void pipe_release_fn(const void *data, size_t len, void *arg);
void pipe_write_shared(struct pipe *pipe, struct slice bytes, pipe_release_fn *release, void *arg);

/* A head (copied) and then a part of a frame, as one chunk: id lines of their own, NDJSON. tail: copied too. */
void pipe_write_slice(struct pipe *pipe, struct slice head, struct frame *frame, struct slice part, struct slice tail);

/* Bytes that the kernel has not taken yet. */
size_t pipe_unsent(const struct pipe *pipe);

/* Bytes of it that the kernel has taken. */
uint64_t pipe_sent(const struct pipe *pipe);

/* The same of all pipes of this thread, since it began. */
uint64_t pipe_sent_by_thread(void);

/* End it: what was written is sent first, at most for linger_s; then the connection closes, with the last chunk when
 * `clean`. The pipe is the caller's no longer. */
void pipe_close(struct pipe *pipe, bool clean, int linger_s);

/* From here on count the unsent bytes of this thread's pipes, closing ones too, into *all, which threads share: exact
 * when there are none, else up to 32 KiB a thread behind. Before the thread's first pipe. */
void pipe_count_queued(_Atomic uint64_t *all);

/* Pipes of this thread that are closed but still send their last bytes; and the end of them all. */
size_t pipe_closing_count(void);
void pipe_abort_closing(void);

/* End it now; unsent bytes are lost. */
void pipe_abort(struct pipe *pipe);

#endif
