/* endpoint_history - GET /api/logs/history?channels=&before=&after=&limit=&min_level=&level=&q=: a page of what the
 * collections hold. The loop checks what was asked for; a blocking thread reads. */
#include "endpoints.h"

#include "params.h"
#include "pending.h"
#include "reply.h"
#include "subscription.h"

#include <stdlib.h>
#include <string.h>

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 1000, POSITION_MAX = 12288 };

/* A request being read; what is wrong with it goes to code and error. */
struct draft {
    const struct params *params;
    struct history_request *request;
    const char *code;
    struct error error;
};

static int refuse(struct draft *d, const char *code)
{
    d->code = code;
    return -1;
}

static int read_position(struct draft *d)
{
    const char *before = params_get(d->params, "before"), *after = params_get(d->params, "after");
    const char *position = before ? before : after;
    if (before && after) {
        error_set(&d->error, "give either before or after");
        return refuse(d, "invalid_cursor");
    }
    if (position && strlen(position) > POSITION_MAX) {
        error_set(&d->error, "%s: it is longer than %d bytes", before ? "before" : "after", POSITION_MAX);
        return refuse(d, "invalid_cursor");
    }
    d->request->position = position ? memory_text(position) : NULL;
    d->request->newest_first = !after;
    return 0;
}

static int read_limit(struct draft *d)
{
    const char *text = params_get(d->params, "limit");
    char *end = NULL;
    long limit = text ? strtol(text, &end, 10) : LIMIT_DEFAULT;
    if (text && (*end || text[strspn(text, "0123456789")] || limit < 1 || limit > LIMIT_MAX)) {
        error_set(&d->error, "limit: must be a number from 1 to %d", LIMIT_MAX);
        return refuse(d, "invalid_limit");
    }
    d->request->limit = (unsigned)limit;
    return 0;
}

static int read_filter(struct draft *d)
{
    return params_read_filter(d->params, &d->request->filter, &d->error) == 0 ? 0 : refuse(d, "invalid_filter");
}

static int read_channels(struct draft *d, const struct http_context *context)
{
    struct subscription *wanted;
    if (subscription_new(d->params, NULL, context, &wanted, &d->code, &d->error) != 0) {
        return -1;
    }
    struct history_request *request = d->request;
    request->channels = subscription_copy_texts(wanted);
    request->channel_count = wanted->count;
    subscription_free(wanted);
    return 0;
}

/* Takes the request. */
static void ask(struct loop *loop, struct exchange *x, struct history_request *request)
{
    struct pending *p = pending_new(loop, x);
    struct job *job = memory_zero(1, sizeof *job);
    job->type = JOB_HISTORY;
    job->history = request;
    job->box = loop->mailbox;
    job->number = p->number;
    if (job_queue_push(loop->context->jobs, job) != 0) {
        job_free(job);
        free(p);
        reply_problem(x, &loop->context->settings, 503, "busy", "too many look-ups are waiting; try again");
        return;
    }
    pending_wait(p);
}

void endpoint_history(struct loop *loop, struct exchange *x, const struct http_alias *alias)
{
    (void)alias;
    const struct http_settings *settings = &loop->context->settings;
    struct draft d = {.code = "invalid_query"};
    struct params *params = params_from_query(exchange_query(x), &d.error);
    if (!params) {
        reply_problem(x, settings, 400, d.code, d.error.text);
        return;
    }
    d.params = params;
    d.request = memory_zero(1, sizeof *d.request);
    if (read_channels(&d, loop->context) != 0 || read_position(&d) != 0 || read_limit(&d) != 0 ||
        read_filter(&d) != 0) {
        reply_problem(x, settings, 400, d.code, d.error.text);
        history_request_free(d.request);
    } else {
        ask(loop, x, d.request);
    }
    params_free(params);
}

void endpoint_history_answer(struct loop *loop, struct job *job)
{
    const struct http_settings *settings = &loop->context->settings;
    struct pending *p = pending_find(loop, job);
    if (p && job->status == 200) {
        reply_json(p->exchange, settings, 200, job->body.data, job->body.len);
    } else if (p && job->status == 400) {
        reply_problem(p->exchange, settings, 400, job->code, job->error.text);
    } else if (p) {
        reply_problem(p->exchange, settings, 503, "database_unavailable", "MongoDB did not answer; try again");
    }
    if (p) {
        pending_end(p);
    }
    job_free(job);
}
