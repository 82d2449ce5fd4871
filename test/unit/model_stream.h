/*
 * model_stream - the simulated event world of the model test: loops that carry a journal's entries to their
 * connections as http/fanout.c does, and connections that write as http/stream.c does, around the real http/feed.c.
 * What a connection writes lands in a queue from which model_client receives at its own pace.
 */
#ifndef TAILWATER_TEST_MODEL_STREAM_H
#define TAILWATER_TEST_MODEL_STREAM_H

#include "feed.h"
#include "model_world.h"

enum { MODEL_QUEUE_MAX = 512, MODEL_CLIENTS_MAX = 24, MODEL_LOOPS_MAX = 2 };

enum model_item_kind { ITEM_READY, ITEM_EVENT, ITEM_GAP, ITEM_CAUGHT_UP, ITEM_HEARTBEAT };

/* One written frame. */
struct model_item {
    enum model_item_kind kind;
    struct event_id id; /* of its id line; cluster_time 0 = none */
    uint64_t from, to;  /* of a gap */
    bool overlap;       /* of ready and caught-up: told so; of events: they may come again */
};

struct model_loop {
    struct model_world *world;
    struct mailbox *box;
    struct feed_cursor cursor;
    struct model_stream *streams[MODEL_CLIENTS_MAX]; /* open ones; NULL = free place */
};

struct model_stream {
    struct model_loop *loop;
    struct feed feed;
    uint64_t number;
    unsigned channels; /* bits */
    unsigned queue_max, pull_max;
    bool is_open, pulling, caught_up;
    uint64_t events, waited_for; /* waited_for: the floor, where it began when the source was opened */
    struct model_item queue[MODEL_QUEUE_MAX];
    unsigned queue_first, queue_count;
};

void model_loop_init(struct model_loop *loop, struct model_world *world);
void model_loop_fini(struct model_loop *loop);

/* Take the mail, carry what is new, let pulling streams pull. */
void model_loop_run(struct model_loop *loop);

/* Open with a resume point, or live (cluster_time 0). */
void model_stream_open(struct model_stream *stream, struct model_loop *loop, struct event_id point);
void model_stream_close(struct model_stream *stream);

/* Take the oldest written frame; false when there is none. */
bool model_stream_receive(struct model_stream *stream, struct model_item *item);

void model_stream_heartbeat(struct model_stream *stream);

#endif
