/*
 * job - requests from the event loops to the blocking threads: a bounded queue. A loop never waits for MongoDB; when the
 * queue is full the request is refused.
 *
 * Thread: loops push, blocking threads take; one mutex, a leaf in the lock order. The answer returns as a MESSAGE_JOB in
 * the mailbox of the loop that asked; the connection may be gone by then, the loop frees the job all the same.
 */
#ifndef TAILWATER_CORE_JOB_H
#define TAILWATER_CORE_JOB_H

#include "buffer.h"
#include "error.h"
#include "filter.h"
#include "mailbox.h"
#include "publish.h"
#include "rows.h"

#include <stddef.h>

enum job_type {
    JOB_EVENT,   /* one document whole: GET /api/logs/event */
    JOB_HISTORY, /* a page: GET /api/logs/history; of all sources */
    JOB_ROWS,    /* tail=, since=, what is left of a lost span: see rows.h */
    JOB_PUBLISH, /* store what a publisher sent */
};

/* What a page of history shall hold. Owned by its job. */
struct history_request {
    char **channels; /* valid channels and patterns */
    size_t channel_count;
    char *position;  /* as the client wrote it: a time, an _id or a cursor; NULL = from the end */
    bool newest_first;
    unsigned limit;  /* events */
    struct filter *filter; /* or NULL */
};

/* What rows shall be read. Owned by its job. */
struct rows_request {
    char **channels; /* valid channels and patterns; none = every channel */
    size_t channel_count;
    struct filter *filter; /* or NULL */
    size_t limit;          /* the newest so many that pass */
    size_t max_bytes;      /* of all of them together, as rows->bytes counts; fewer come when it is reached */
    int64_t from_ms, to_ms; /* only documents of this time, both included; 0 = no bound */
    unsigned sources;      /* a bit for each source to read, by index */
    bool replay;           /* mark them "replay":true */
};

struct job {
    enum job_type type;
    unsigned source;      /* JOB_EVENT: index of the source to ask */
    char *channel;        /* JOB_EVENT: the channel the answer must belong to */
    char *id;             /* JOB_EVENT: text of _id */
    struct history_request *history; /* JOB_HISTORY */
    struct rows_request *wanted;     /* JOB_ROWS */
    struct publish_request *publish; /* JOB_PUBLISH */
    struct mailbox *box;  /* who wants the answer */
    uint64_t number;      /* and for which exchange */
    /* the answer */
    int status;           /* 200, 400, 404, 503; JOB_PUBLISH: also 201, 207, 403, 409, 413 */
    struct buffer body;   /* JSON for 200; JOB_PUBLISH: for whatever has no code, else members of the problem */
    struct rows *rows;    /* JOB_ROWS: for 200, one reference */
    const char *code;     /* of a problem, constant; NULL = the endpoint's own for this status */
    struct error error;   /* and its sentence */
    struct job *next;
};

struct job_queue;

struct job_queue *job_queue_new(size_t max);
void job_queue_free(struct job_queue *queue); /* frees jobs that nobody took */

/* Loop: takes the job; -1 when the queue is full or stopped (the job stays the caller's). */
int job_queue_push(struct job_queue *queue, struct job *job);

/* Blocking thread: wait for a job; NULL when the queue was stopped. */
struct job *job_queue_take(struct job_queue *queue);

/* Jobs that wait. */
size_t job_queue_waiting(struct job_queue *queue);

/* Wake everyone who waits, for good. */
void job_queue_stop(struct job_queue *queue);

void job_free(struct job *job);
void history_request_free(struct history_request *request); /* NULL is fine */
void rows_request_free(struct rows_request *request);          /* NULL is fine */

#endif
