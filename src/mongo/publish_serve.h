/*
 * publish_serve - POST /api/logs/publish and /api/publish (CONTRACT section 5): from the items of a request to
 * documents in their collections, and to the answer. Thread: a blocking one.
 */
#ifndef TAILWATER_MONGO_PUBLISH_SERVE_H
#define TAILWATER_MONGO_PUBLISH_SERVE_H

#include "job.h"
#include "job_pool.h"
#include "publish_store.h"

struct publish_options {
    const struct job_source *sources;
    unsigned source_count;
    struct publish_store *store; /* in the first source's deployment */
};

/* Serve job->publish; job->status, body, code and error are the answer. */
void publish_serve(const struct publish_options *options, struct job *job);

#endif
