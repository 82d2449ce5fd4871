/*
 * stream - one client's live connection: its subscription, where it stands in each source, what it is sent.
 *
 * Made by endpoint_stream, owned by its loop. Pushed to by fanout while it keeps up; pulls by itself otherwise (feed.h).
 * Its memory is bounded: unsent bytes never exceed queue_bytes by more than one frame, or, where its subscription is
 * changed again and again, by 256 KiB more (stream_change.c).
 * Thread: the loop's; others name it by number.
 */
#ifndef TAILWATER_HTTP_STREAM_H
#define TAILWATER_HTTP_STREAM_H

#include "exchange.h"
#include "filter.h"
#include "loop.h"
#include "resume_id.h"
#include "rights.h"
#include "seat.h"
#include "subscription.h"

struct stream;

struct stream_request {
    struct subscription *subscription; /* taken; granted, and not empty */
    struct rights rights;              /* taken: who it is for */
    struct seat seat;                  /* taken */
    struct ip_address address;         /* of the client, behind a trusted proxy */
    struct filter *filter;             /* taken; NULL = everything */
    uint32_t max_rate;                 /* events a second; 0 = no limit */
    bool ndjson;
    bool has_resume;         /* the client sent an id */
    bool resume_is_valid;
    struct resume_id resume;
    uint32_t tail;           /* the newest so many first; 0 = none */
    int64_t since_ms;        /* everything since then, wall clock of the deployment; 0 = not asked for. A resume id that
                                is accepted overrides both */
};

/* Answer the exchange with a stream; takes both. The stream is in the loop's table from now on. */
void stream_open(struct loop *loop, struct exchange *exchange, struct stream_request *request);

/* Fan-out: this entry matches one of the stream's channels. before: the newest entry before it. */
void stream_push(struct stream *stream, unsigned source, struct frame *frame, uint64_t number, struct event_id before);

/* Fan-out: this source's frames up to here could not be pushed, the loop was too slow. */
void stream_fall_back(struct stream *stream, unsigned source, uint64_t number, struct event_id before);

/* Every stream is told of a loss, and of an oversize event that could have been for it. */
void stream_push_gap(struct stream *stream, unsigned source, struct frame *frame, uint64_t number);

/* Read on wherever it is not live. */
void stream_pull(struct stream *stream);

/* A sweep answered; borrows it. */
void stream_offer_sweep(struct stream *stream, unsigned source, struct sweep *sweep);

/* A job has read rows for it, or failed to. Borrows the job. */
void stream_offer_rows(struct stream *stream, struct job *job);

/* The grants of its own user, or of all (NULL), have changed: takes effect here. May free the stream. */
void stream_meet_grants(struct stream *stream, struct grant_set *grants);

/* The rules of the configuration have changed. May free the stream. */
void stream_meet_rules(struct stream *stream);

/* Does what it may read come, in part, from the grants collection? */
bool stream_depends_on_grants(const struct stream *stream);

/* Twice a second: what waits for something that nobody announces. May free the stream. */
void stream_tend(struct stream *stream);

/* A source went away or came back. */
void stream_tell_source(struct stream *stream, struct source *source, bool available);

/* Say goodbye and close. The stream is freed. */
void stream_go_away(struct stream *stream, const char *reason, int64_t reconnect_ms);

/* Close at once, without a word. */
void stream_abort(struct stream *stream);

#endif
