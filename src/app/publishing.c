/* publishing - see publishing.h. */
#include "publishing.h"

#include "publish_gate.h"

#include <stdlib.h>

enum { WAITING_BYTES_MAX = 64 * 1024 * 1024 }; /* of the bodies that wait or are being stored */

struct publishing {
    const struct config *config;
    struct job_queue *queue;
    struct publish_gate *gate;
    struct job_pool *pool;
};

struct publishing *publishing_new(const struct config *config, struct http_context *context)
{
    struct publishing *p = memory_zero(1, sizeof *p);
    p->config = config;
    p->queue = job_queue_new((size_t)config->limits_jobs);
    p->gate = publish_gate_new(WAITING_BYTES_MAX);
    context->publishes = p->queue;
    context->publish_gate = p->gate;
    context->settings.test_endpoints = config->test_endpoints;
    return p;
}

void publishing_start(struct publishing *p, struct job_pool_options jobs)
{
    jobs.queue = p->queue;
    jobs.name = "tw-publish";
    jobs.own = (struct publish_store_options){
        .database = p->config->sources[0].database,
        .collection = p->config->publish_collection,
        .ttl_s = p->config->publish_ttl_s,
    };
    p->pool = job_pool_start(&jobs);
}

void publishing_stop(struct publishing *p)
{
    job_queue_stop(p->queue);
}

void publishing_join(struct publishing *p)
{
    job_pool_join(p->pool);
}

void publishing_free(struct publishing *p)
{
    if (p) {
        job_queue_free(p->queue);
        publish_gate_free(p->gate);
        free(p);
    }
}
