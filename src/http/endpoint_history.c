/* endpoint_history - GET /api/logs/history?channels=&before=&after=&limit=&min_level=&level=&q=: a page of what the
 * collections hold. The loop checks what was asked for; a blocking thread reads. */
#include "endpoints.h"

#include "params.h"
#include "pending.h"
#include "reply.h"
#include "rights.h"
#include "subscription.h"

#include <stdlib.h>
#include <string.h>

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 1000, POSITION_MAX = 12288 };

/* A request being read; what is wrong with it goes to code and error. */
struct draft {
    const struct params *params;
    struct history_request *request;
    struct rights rights;
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

/* What is asked for, as far as it is granted. Returns 0, or -1: nothing was answered yet then where d->code is set. */
static int read_channels(struct draft *d, struct loop *loop, struct exchange *x)
{
    struct subscription *wanted;
    struct rights_refusal refusal;
    const struct http_context *context = loop->context;
    if (subscription_new(d->params, NULL, context, &wanted, &d->code, &d->error) != 0) {
        return -1;
    }
    int rc = -1;
    if (rights_read(loop, x, d->params, NULL, &d->rights, &refusal) != 0) {
        d->code = NULL;
        rights_refuse(loop, x, &refusal);
    } else if (subscription_grant(wanted, context, d->rights.patterns, d->rights.count, &d->code, &d->error) == 0) {
        if (wanted->count > 0) {
            d->request->channels = subscription_copy_texts(wanted);
            d->request->channel_count = wanted->count;
            rc = 0;
        } else {
            d->code = NULL;
            rights_refuse_all(loop, x);
        }
    }
    subscription_free(wanted);
    return rc;
}

/* Takes the request. */
static void ask(struct loop *loop, struct exchange *x, const struct rights *rights, struct history_request *request)
{
    struct pending *p = pending_new(loop, x, rights);
    struct job *job = memory_zero(1, sizeof *job);
    job->type = JOB_HISTORY;
    job->history = request;
    job->box = loop->mailbox;
    job->number = p->number;
    if (job_queue_push(loop->context->jobs, job) != 0) {
        job_free(job);
        pending_free(p);
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
    atomic_fetch_add(&loop->context->counters.history_requests, 1);
    struct params *params = params_from_query(exchange_query(x), &d.error);
    if (!params) {
        reply_problem(x, settings, 400, d.code, d.error.text);
        return;
    }
    d.params = params;
    d.request = memory_zero(1, sizeof *d.request);
    if (read_position(&d) == 0 && read_limit(&d) == 0 && read_filter(&d) == 0 && read_channels(&d, loop, x) == 0) {
        ask(loop, x, &d.rights, d.request);
    } else {
        if (d.code) {
            reply_problem(x, settings, 400, d.code, d.error.text);
        }
        history_request_free(d.request);
    }
    rights_fini(&d.rights);
    params_free(params);
}

static void answer(struct pending *p, const struct job *job)
{
    const struct http_settings *settings = &p->loop->context->settings;
    if (!pending_may_answer(p)) {
        return;
    }
    if (job->status == 200) {
        reply_json(p->exchange, settings, 200, job->body.data, job->body.len);
    } else if (job->status == 400) {
        reply_problem(p->exchange, settings, 400, job->code, job->error.text);
    } else {
        reply_problem(p->exchange, settings, 503, "database_unavailable", "MongoDB did not answer; try again");
    }
}

void endpoint_history_answer(struct loop *loop, struct job *job)
{
    struct pending *p = pending_find(loop, job);
    if (p) {
        answer(p, job);
        pending_end(p);
    }
    job_free(job);
}
