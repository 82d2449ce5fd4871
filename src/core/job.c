/* job - see job.h. */
#include "job.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct job_queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job *first, *last;
    size_t count, max;
    bool stopped;
};

struct job_queue *job_queue_new(size_t max)
{
    struct job_queue *q = memory_zero(1, sizeof *q);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->changed, NULL);
    q->max = max;
    return q;
}

void history_request_free(struct history_request *request)
{
    if (!request) {
        return;
    }
    memory_free_texts(request->channels, request->channel_count);
    free(request->position);
    filter_free(request->filter);
    free(request);
}

void rows_request_free(struct rows_request *request)
{
    if (request) {
        memory_free_texts(request->channels, request->channel_count);
        filter_free(request->filter);
        free(request);
    }
}

void job_free(struct job *job)
{
    if (job) {
        free(job->channel);
        free(job->id);
        history_request_free(job->history);
        rows_request_free(job->wanted);
        publish_request_free(job->publish);
        rows_unref(job->rows);
        buffer_fini(&job->body);
        free(job);
    }
}

void job_queue_free(struct job_queue *q)
{
    if (!q) {
        return;
    }
    while (q->first) {
        struct job *next = q->first->next;
        job_free(q->first);
        q->first = next;
    }
    pthread_cond_destroy(&q->changed);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

int job_queue_push(struct job_queue *q, struct job *job)
{
    pthread_mutex_lock(&q->lock);
    bool accept = !q->stopped && q->count < q->max;
    if (accept) {
        job->next = NULL;
        if (q->last) {
            q->last->next = job;
        } else {
            q->first = job;
        }
        q->last = job;
        q->count++;
        pthread_cond_signal(&q->changed);
    }
    pthread_mutex_unlock(&q->lock);
    return accept ? 0 : -1;
}

struct job *job_queue_take(struct job_queue *q)
{
    pthread_mutex_lock(&q->lock);
    while (!q->first && !q->stopped) {
        pthread_cond_wait(&q->changed, &q->lock);
    }
    struct job *job = q->stopped ? NULL : q->first;
    if (job) {
        q->first = job->next;
        q->last = q->first ? q->last : NULL;
        q->count--;
    }
    pthread_mutex_unlock(&q->lock);
    return job;
}

size_t job_queue_waiting(struct job_queue *q)
{
    pthread_mutex_lock(&q->lock);
    size_t count = q->count;
    pthread_mutex_unlock(&q->lock);
    return count;
}

void job_queue_stop(struct job_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->stopped = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}
