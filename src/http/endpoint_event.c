/* endpoint_event - GET /api/logs/event?channel=&id=: one document whole. The loop asks a blocking thread and answers
 * when the job comes back; the client may have left by then. */
#include "endpoints.h"

#include "params.h"
#include "pending.h"
#include "reply.h"
#include "rights.h"
#include "tailwater/channel.h"

#include <stdlib.h>
#include <string.h>

enum { ID_MAX = 1024 };

static int push_job(struct loop *loop, unsigned source, uint64_t number, const char *channel, const char *id)
{
    struct job *job = memory_zero(1, sizeof *job);
    job->type = JOB_EVENT;
    job->source = source;
    job->channel = memory_text(channel);
    job->id = memory_text(id);
    job->box = loop->mailbox;
    job->number = number;
    if (job_queue_push(loop->context->jobs, job) != 0) {
        job_free(job);
        return -1;
    }
    return 0;
}

/* One job for each source. */
static void ask(struct loop *loop, struct exchange *x, const struct rights *rights, const char *channel,
                const char *id)
{
    struct pending *p = pending_new(loop, x, rights);
    p->status = 404;
    for (unsigned i = 0; i < loop->context->source_count; i++) {
        p->answers_left += push_job(loop, i, p->number, channel, id) == 0;
    }
    if (p->answers_left < loop->context->source_count) {
        /* Answers that were asked for find nobody and are dropped. */
        pending_free(p);
        reply_problem(x, &loop->context->settings, 503, "busy", "too many look-ups are waiting; try again");
        return;
    }
    pending_wait(p);
}

/* Whoever may not read the channel is not told whether it has such an event. */
static void ask_if_granted(struct loop *loop, struct exchange *x, const struct params *params, const char *channel,
                           const char *id)
{
    struct rights rights;
    struct rights_refusal refusal;
    if (rights_read(loop, x, params, NULL, &rights, &refusal) != 0) {
        rights_refuse(loop, x, &refusal);
        return;
    }
    if (rights_cover(&rights, channel)) {
        ask(loop, x, &rights, channel, id);
    } else {
        rights_refuse_all(loop, x);
    }
    rights_fini(&rights);
}

static const char *channel_problem(const char *channel)
{
    return channel ? tailwater_channel_problem(channel, strlen(channel), false) : "it is missing";
}

void endpoint_event(struct loop *loop, struct exchange *x, const struct http_alias *alias)
{
    (void)alias;
    const struct http_settings *settings = &loop->context->settings;
    struct error err;
    struct params *params = params_from_query(exchange_query(x), &err);
    if (!params) {
        reply_problem(x, settings, 400, "invalid_query", err.text);
        return;
    }
    const char *channel = params_get(params, "channel"), *id = params_get(params, "id");
    const char *problem = channel_problem(channel);
    if (problem) {
        error_set(&err, "channel: %s", problem);
        reply_problem(x, settings, 400, "invalid_channel", err.text);
    } else if (!id || strlen(id) > ID_MAX) {
        reply_problem(x, settings, 400, "invalid_id", "id: give the document's _id, at most 1024 bytes");
    } else {
        ask_if_granted(loop, x, params, channel, id);
    }
    params_free(params);
}

static void answer(struct pending *p, const struct job *job)
{
    const struct http_settings *settings = &p->loop->context->settings;
    if (!pending_may_answer(p)) {
        pending_end(p);
        return;
    }
    if (job->status == 200) {
        reply_json(p->exchange, settings, 200, job->body.data, job->body.len);
    } else if (p->status == 503) {
        reply_problem(p->exchange, settings, 503, "database_unavailable", "MongoDB did not answer; try again");
    } else {
        reply_problem(p->exchange, settings, 404, "no_such_event", "this channel has no event with this id");
    }
    pending_end(p);
}

void endpoint_event_answer(struct loop *loop, struct job *job)
{
    struct pending *p = pending_find(loop, job);
    if (p) {
        p->answers_left--;
        p->status = job->status == 503 ? 503 : p->status;
        if (job->status == 200 || p->answers_left == 0) {
            answer(p, job);
        }
    }
    job_free(job);
}
