/*
 * loop - one event loop on a thread of its own: listener, connections, subscription index, fan-out positions.
 *
 * Everything in struct loop belongs to its thread; other threads use loop_mailbox() and the functions marked "any thread".
 */
#ifndef TAILWATER_HTTP_LOOP_H
#define TAILWATER_HTTP_LOOP_H

#include "context.h"
#include "error.h"
#include "feed.h"
#include "run.h"
#include "topic.h"

#include <event2/event.h>

struct http_server;
struct stream;
struct pending;

struct loop {
    unsigned index;
    struct http_context *context;
    struct event_base *base;
    struct mailbox *mailbox;
    struct http_server *server;
    struct topic_index *topics;
    struct stream *streams;  /* hash table by number */
    struct stream *pulling;  /* those of them that read by themselves, a list */
    struct user_streams *users; /* the streams of each user, hash table by name */
    struct pending *pending; /* deferred exchanges, hash table by number */
    struct run_cache runs;   /* what streams pulled last */
    uint64_t next_number;    /* of a stream or deferred exchange */
    struct feed_cursor cursors[CONTEXT_SOURCES_MAX];
    bool source_away[CONTEXT_SOURCES_MAX];
    uint64_t access_version; /* of the rules that its streams were granted by */
    uint64_t fanout_stamp;   /* of the entry being fanned out: a stream with several matching channels gets it once */
    struct event *mailbox_event, *tick_event, *stop_event;
    int64_t stop_by_us;      /* a loop that ends waits until then for last bytes */
    bool is_quiet;           /* there were none when it looked last */
    unsigned streams_peak;   /* since memory was last given back */
    int64_t now_us;          /* monotonic time of this turn, for bookkeeping that need not be exact */
    uint64_t deliveries;     /* events written, added to the counters once a turn */
    _Atomic int64_t turned_us; /* monotonic time of its last tick */
    bool draining;
    pthread_t thread;
    bool started;
};

/* Make it and bind its listener. Main thread, before any watcher starts. Returns NULL with *err. */
struct loop *loop_new(unsigned index, struct http_context *context, struct error *err);

/* Run it on a thread of its own. */
void loop_start(struct loop *loop);

/* Any thread: where messages for it go. */
struct mailbox *loop_mailbox(struct loop *loop);

/* Any thread: how long ago [us] it turned last; it does so twice a second. */
int64_t loop_still_us(const struct loop *loop);

/* Any thread, after a MESSAGE_STOP: wait for its end. */
void loop_join(struct loop *loop);

/* After its thread has ended, and after every watcher and sweep. */
void loop_free(struct loop *loop);

#endif
