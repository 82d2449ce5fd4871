/*
 * model_client - a simulated client of the model test and the reference that judges it: whatever it receives, over all
 * its connections, must be exactly the history from its start point on, each matching event once and in order, or a gap
 * told where something is missing; and every id it is given must say exactly what it has.
 */
#ifndef TAILWATER_TEST_MODEL_CLIENT_H
#define TAILWATER_TEST_MODEL_CLIENT_H

#include "model_stream.h"

struct model_client {
    unsigned name;
    struct model_world *world;
    struct model_stream stream;
    /* The reference: which events it has had. */
    size_t at;             /* every expected event of a lower index was received, or told lost */
    size_t chain;          /* those it was sent begin here: an older one that comes is no repetition */
    uint64_t least_time;   /* events of earlier cluster times are not for it */
    struct event_id id;    /* the newest id it was given; cluster_time 0 = none */
    bool must_overlap;     /* its event does not exist: all of its cluster time comes, and that must be told */
    bool gap_told;         /* on this connection */
    bool owes_telling;     /* events came again: that must be told, as overlap or by a gap */
    bool owes_gap;         /* what was told of its last event is right only if that was lost: a gap must follow */
    bool waits_for_floor;  /* connected before the source was open: starts where the journal begins */
};

void model_client_init(struct model_client *client, unsigned name, struct model_world *world);

/* Connect in one of many ways: live, with the last id, with an older one, with one that lies ahead or never existed. */
void model_client_connect(struct model_client *client, struct model_loop *loop);

/* Lose the connection and whatever was on its way. */
void model_client_cut(struct model_client *client);

/* Receive up to max frames and judge them. Returns how many there were. */
unsigned model_client_receive(struct model_client *client, unsigned max);

/* Everything has come to rest: is anything missing? */
void model_client_judge_rest(struct model_client *client);

#endif
