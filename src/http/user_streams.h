/*
 * user_streams - the streams of one user on one loop, found by name when that user's grants change.
 *
 * Thread: the loop's. For stream*.c and fanout.c.
 */
#ifndef TAILWATER_HTTP_USER_STREAMS_H
#define TAILWATER_HTTP_USER_STREAMS_H

#include "stream_inside.h"

#include <uthash.h>

struct user_streams {
    UT_hash_handle hh;      /* in loop->users, by user */
    struct stream *streams; /* a list by user_prev and user_next; never empty */
    char user[];
};

/* Enter a stream of an identified user; harmless for others, as is leaving. */
void user_streams_enter(struct stream *stream);
void user_streams_leave(struct stream *stream);

/* NULL = has none here. */
struct user_streams *user_streams_find(struct loop *loop, const char *user);

#endif
