/* publish_begin - see publish_begin.h. */
#include "publish_begin.h"

#include "clock.h"
#include "endpoints.h"
#include "pending.h"
#include "publish_request.h"
#include "reply.h"


/* Whose rate it is that the test endpoints use up. */
static const char test_service[] = "";

static void refuse(struct loop *loop, struct exchange *x, int status, const char *code, const char *detail)
{
    atomic_fetch_add(&loop->context->counters.publish_failures, 1);
    reply_problem(x, &loop->context->settings, status, code, detail);
}

/* Returns 0, or -1: it was answered. */
static int read_body(struct loop *loop, struct exchange *x, struct publish_request *request)
{
    struct error err;
    enum publish_body kind = publish_body_of(exchange_header(x, "Content-Type"));
    if (kind == PUBLISH_BODY_OTHER) {
        refuse(loop, x, 415, "unsupported_media_type", "the body must be application/json or application/x-ndjson");
        return -1;
    }
    if (publish_request_read(request, kind, exchange_body(x), &err) != 0) {
        refuse(loop, x, 400, "invalid_body", err.text);
        return -1;
    }
    return 0;
}

static int keep_limits(struct loop *loop, struct exchange *x, struct publish_request *request)
{
    struct http_context *context = loop->context;
    const char *service = request->name ? request->name : test_service;
    uint64_t count = request->is_sample ? 1 : request->item_count, max = context->settings.publish_per_s_max;
    size_t bytes = exchange_body(x).len;
    if (!publish_gate_enter(context->publish_gate, bytes)) {
        refuse(loop, x, 503, "busy", "too much is waiting to be stored; try again");
        return -1;
    }
    request->gate = context->publish_gate;
    request->held_bytes = bytes;
    if (!publish_gate_take(context->publish_gate, service, max, count, clock_mono_us())) {
        struct error err;
        error_set(&err, "more than the %llu documents a second that a service may publish", (unsigned long long)max);
        refuse(loop, x, 429, "publish_rate", err.text);
        return -1;
    }
    return 0;
}

/* Takes the request. */
static void store(struct loop *loop, struct exchange *x, struct publish_request *request)
{
    struct job *job = memory_zero(1, sizeof *job);
    struct pending *p = pending_new(loop, x, NULL);
    job->type = JOB_PUBLISH;
    job->publish = request;
    job->box = loop->mailbox;
    job->number = p->number;
    if (job_queue_push(loop->context->publishes, job) == 0) {
        pending_wait(p);
        return;
    }
    pending_free(p);
    job_free(job);
    refuse(loop, x, 503, "busy", "too many requests are waiting to be stored; try again");
}

void publish_begin(struct loop *loop, struct exchange *x, struct publish_request *request)
{
    if (loop->draining || atomic_load(&loop->context->draining)) {
        refuse(loop, x, 503, "draining", "this instance is shutting down");
    } else if ((request->is_sample || read_body(loop, x, request) == 0) && keep_limits(loop, x, request) == 0) {
        store(loop, x, request);
        return;
    }
    publish_request_free(request);
}

static void answer(struct pending *p, const struct job *job)
{
    const struct http_settings *settings = &p->loop->context->settings;
    if (job->code) {
        struct slice items = {job->body.data, job->body.len};
        reply_problem_with(p->exchange, settings, job->status, job->code, job->error.text, items);
    } else {
        reply_json(p->exchange, settings, job->status, job->body.data, job->body.len);
    }
    pending_end(p);
}

void endpoint_publish_answer(struct loop *loop, struct job *job)
{
    struct http_counters *counters = &loop->context->counters;
    struct pending *p = pending_find(loop, job);
    atomic_fetch_add(&counters->published, job->publish->inserted);
    atomic_fetch_add(&counters->publish_failures, job->publish->failed);
    if (p) {
        answer(p, job);
    }
    job_free(job);
}
