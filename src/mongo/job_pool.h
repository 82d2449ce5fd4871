/*
 * job_pool - the blocking threads that serve the job queue: each takes a job, asks MongoDB, and posts the answer to the
 * mailbox of the loop that asked. They keep nothing between jobs.
 */
#ifndef TAILWATER_MONGO_JOB_POOL_H
#define TAILWATER_MONGO_JOB_POOL_H

#include "database.h"
#include "event_builder.h"
#include "job.h"
#include "publish_store.h"

struct job_pool;

/* What a job may ask, by source index. */
struct job_source {
    struct database *database;
    const struct mapping_set *mappings;
};

struct job_pool_options {
    struct job_queue *queue;
    const struct job_source *sources; /* borrowed for the pool's life */
    unsigned source_count;
    struct event_builder_options build;
    size_t scan_max; /* documents that a page of history, or a tail, may read */
    unsigned threads;
    const char *name; /* of its threads, at most 15 bytes */
    struct publish_store_options own; /* tailwater's own collection, in the first source's deployment */
};

struct job_pool *job_pool_start(const struct job_pool_options *options);

/* The queue must have been stopped. Waits for the threads' end and frees the pool. */
void job_pool_join(struct job_pool *pool);

#endif
