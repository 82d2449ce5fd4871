/* job_pool - see job_pool.h. */
#include "job_pool.h"

#include "event_lookup.h"
#include "history.h"
#include "log.h"
#include "publish_serve.h"
#include "rows_read.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct job_pool {
    struct job_pool_options options;
    struct publish_store *store;
    pthread_t *threads;
};

static struct slice text_slice(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static void serve_event(struct job_pool *pool, struct job *job)
{
    static struct log_limit limit;
    const struct job_source *source = &pool->options.sources[job->source];
    struct error err;
    int rc = event_lookup(source->database, source->mappings, &pool->options.build, text_slice(job->channel),
                          text_slice(job->id), &job->body, &err);
    job->status = rc == EVENT_LOOKUP_FOUND ? 200 : rc == EVENT_LOOKUP_NONE ? 404 : 503;
    if (rc < 0) {
        log_write_limited(&limit, LOG_LEVEL_WARN, "job", "event look-up failed: %s", err.text);
    }
}

static void serve_history(struct job_pool *pool, struct job *job)
{
    static struct log_limit limit;
    struct history_options options = {
        .sources = pool->options.sources,
        .source_count = pool->options.source_count,
        .build = pool->options.build,
        .scan_max = pool->options.scan_max,
    };
    int rc = history_read(&options, job->history, &job->body, &job->code, &job->error);
    job->status = rc == HISTORY_PAGE ? 200 : rc == HISTORY_REFUSED ? 400 : 503;
    if (rc < 0) {
        log_write_limited(&limit, LOG_LEVEL_WARN, "job", "history could not be read: %s", job->error.text);
    }
}

static void serve_rows(struct job_pool *pool, struct job *job)
{
    static struct log_limit limit;
    struct rows_read_options options = {
        .sources = pool->options.sources,
        .source_count = pool->options.source_count,
        .build = pool->options.build,
        .scan_max = pool->options.scan_max,
    };
    int rc = rows_read(&options, job->wanted, &job->rows, &job->error);
    job->status = rc == 0 ? 200 : 503;
    if (rc != 0) {
        log_write_limited(&limit, LOG_LEVEL_WARN, "job", "rows could not be read: %s", job->error.text);
    }
}

static void serve_publish(struct job_pool *pool, struct job *job)
{
    struct publish_options options = {
        .sources = pool->options.sources,
        .source_count = pool->options.source_count,
        .store = pool->store,
    };
    publish_serve(&options, job);
}

static void *job_main(void *arg)
{
    struct job_pool *pool = arg;
    struct job *job;
    pthread_setname_np(pthread_self(), pool->options.name);
    while ((job = job_queue_take(pool->options.queue))) {
        switch (job->type) {
        case JOB_EVENT:
            serve_event(pool, job);
            break;
        case JOB_HISTORY:
            serve_history(pool, job);
            break;
        case JOB_ROWS:
            serve_rows(pool, job);
            break;
        case JOB_PUBLISH:
            serve_publish(pool, job);
            break;
        }
        mailbox_post(job->box, (struct message){.type = MESSAGE_JOB, .number = job->number, .object = job});
    }
    return NULL;
}

struct job_pool *job_pool_start(const struct job_pool_options *options)
{
    struct job_pool *pool = memory_zero(1, sizeof *pool);
    pool->options = *options;
    pool->store = publish_store_new(&options->own);
    pool->threads = memory_zero(options->threads, sizeof *pool->threads);
    for (unsigned i = 0; i < options->threads; i++) {
        if (pthread_create(&pool->threads[i], NULL, job_main, pool) != 0) {
            abort();
        }
    }
    return pool;
}

void job_pool_join(struct job_pool *pool)
{
    for (unsigned i = 0; i < pool->options.threads; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    publish_store_free(pool->store);
    free(pool->threads);
    free(pool);
}
