/*
 * guard - stands before evhttp on one connection: sees the bytes in the bufferevent's input before evhttp does, checks
 * them (head_check.h) and refuses by itself what is no valid request, what is too large and what comes too slowly. A
 * refused request gets application/problem+json and the end of the connection; evhttp never sees the rest of it.
 *
 * While a request waits for its answer, what the client pipelines behind it is left unchecked and unread in the input,
 * up to a limit; guard_next() goes on with it.
 *
 * Lives from the bufferevent's making until the connection closes or becomes a stream; the owner ends it in time.
 * Thread: the loop's.
 */
#ifndef TAILWATER_HTTP_GUARD_H
#define TAILWATER_HTTP_GUARD_H

#include "head_check.h"

#include <event2/bufferevent.h>
#include <stdatomic.h>
#include <stdint.h>

struct guard;

struct guard_options {
    struct head_limits limits;
    int head_s, body_s; /* a whole head and a whole body must have come by then, however steadily they drip */
    int idle_s;         /* of silence between requests, and of no progress while an answer is written */
    _Atomic uint64_t *refused, *timeouts; /* counted: requests refused; of them (not counted there) the slow ones */
    void (*release)(void *owner);         /* close the connection; calls guard_free() */
};

/* options must live as long as the guard. The connection's first request may begin at once. */
struct guard *guard_new(struct bufferevent *bev, const struct guard_options *options);

/* The connection that evhttp made of the bufferevent: from here on deadlines run. */
void guard_adopt(struct guard *guard, void *owner);

/* A request was answered, and evhttp is about to read the next one. */
void guard_next(struct guard *guard);

/* Look no longer. Leaves the connection and what is in its buffers as they are. */
void guard_free(struct guard *guard);

#endif
