/*
 * stream_change - PATCH: another subscription for a live stream, at a point.
 *
 * The loop that got the request makes a struct stream_change and posts it to the stream's loop (MESSAGE_CHANGE), which
 * applies it and posts it back with the answer (MESSAGE_CHANGED). One thread owns it at a time.
 *
 * The point is the id that the stream has reached: everything before it was written by the old list, everything
 * after it will be by the new one, as if the client had reconnected with this id and the new list.
 */
#ifndef TAILWATER_HTTP_STREAM_CHANGE_H
#define TAILWATER_HTTP_STREAM_CHANGE_H

#include "buffer.h"
#include "connection_id.h"
#include "error.h"
#include "loop.h"
#include "subscription.h"

struct stream_change {
    struct mailbox *box; /* who wants the answer */
    uint64_t number;     /* and for which exchange */
    char connection_id[CONNECTION_ID_LEN + 1];
    struct identity *identity; /* who asks; one reference */
    struct subscription_change wanted; /* arrays and strings are its own */
    /* the answer */
    int status;        /* 200, 400, 404, 503 */
    struct buffer body; /* JSON for 200 */
    const char *code;  /* of a problem, constant */
    struct error error; /* and its sentence */
};

/* The stream's loop: apply it or not, and send it back. Takes it. */
void stream_change_apply(struct loop *loop, struct stream_change *change);

/*
 * Go back to the id that the client knows. Between it and the place that was reached may lie events that were passed
 * because the old list did not want them, all of one cluster time. Nothing comes twice: what the old list did want
 * there was written, and its id would be the newest. For stream_change.c and its tests.
 */
void stream_change_rewind(struct feed *feed, const struct feed_cursor *cursor);

void stream_change_free(struct stream_change *change);

#endif
