/*
 * stream_error - what to do about an error of a change stream: one table from MongoDB's codes to actions
 * (reference/reliability section 3). Pure; any thread.
 */
#ifndef TAILWATER_MONGO_STREAM_ERROR_H
#define TAILWATER_MONGO_STREAM_ERROR_H

#include "source.h"

enum stream_action {
    STREAM_REOPEN,          /* at the place where we are, after a backoff */
    STREAM_HISTORY_LOST,    /* the oplog no longer reaches back: go to its oldest entry, tell a gap */
    STREAM_TOO_LARGE,       /* an event above 16 MB: step over it with a dropping guard, tell a gap */
    STREAM_NOT_REPLICA_SET, /* change streams are impossible here */
    STREAM_UNAUTHORIZED,    /* somebody must grant the right; try now and then */
    STREAM_NO_STREAM,       /* a view, a time-series collection: there is no change stream of them */
    STREAM_MISCONFIGURED,   /* a namespace or a stage the server refuses; try now and then */
};

enum stream_action stream_error_action(int code);

/* Does it mean that there will be no change stream as things are, so that only polling is left? And why. */
enum source_polling stream_action_polling(enum stream_action action);

/* A sentence for operators about what to do, or "" when the error's own text says enough. */
const char *stream_action_advice(enum stream_action action);

#endif
