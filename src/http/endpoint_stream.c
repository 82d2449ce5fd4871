/* endpoint_stream - GET, HEAD and POST /api/logs/stream: from parameters to a stream (CONTRACT section 4). */
#include "endpoints.h"

#include "cors.h"
#include "params.h"
#include "reply.h"
#include "since.h"
#include "stream.h"
#include "stream_frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_RATE_MAX = 1000000, TAIL_MAX = 10000 };

static bool accepts(const struct exchange *x, const char *type)
{
    const char *accept = exchange_header(x, "Accept");
    return accept && strcasestr(accept, type);
}

/* Parameters of the query and, for POST, of the body. NULL after an error was answered. */
static struct params *read_params(struct loop *loop, struct exchange *x)
{
    const struct http_settings *settings = &loop->context->settings;
    struct error err;
    struct params *params = params_from_query(exchange_query(x), &err);
    if (!params) {
        reply_problem(x, settings, 400, "invalid_query", err.text);
        return NULL;
    }
    struct slice body = exchange_body(x);
    if (exchange_method(x) != METHOD_POST || body.len == 0) {
        return params;
    }
    if (!exchange_has_json(x)) {
        params_free(params);
        reply_problem(x, settings, 415, "unsupported_media_type", "the body must be application/json");
        return NULL;
    }
    if (params_add_json(params, body, &err) != 0) {
        params_free(params);
        reply_problem(x, settings, 400, "invalid_body", err.text);
        return NULL;
    }
    return params;
}

static void read_resume(const struct loop *loop, const struct exchange *x, const struct params *params,
                        struct stream_request *request)
{
    static const char *const names[] = {"last_event_id", "lastEventId", NULL};
    const char *id = exchange_header(x, "Last-Event-ID");
    if (!id || !*id) {
        id = params_get_any(params, names);
    }
    request->has_resume = id != NULL;
    request->resume_is_valid = id && resume_id_parse(id, loop->context, &request->resume) == 0;
}

/* Features of the contract that this version does not have must not be ignored in silence. */
static const char *unsupported_param(const struct params *params)
{
    static const char *const names[] = {"ticket", NULL};
    for (const char *const *n = names; *n; n++) {
        if (params_get(params, *n)) {
            return *n;
        }
    }
    return NULL;
}

/* A temporary refusal: a 503 would stop browsers for good, so event streams get 200, retry: and an end. */
static void refuse(struct loop *loop, struct exchange *x, const struct params *params, const char *code,
                   const char *detail)
{
    const struct http_settings *settings = &loop->context->settings;
    const char *errors = params_get(params, "errors");
    atomic_fetch_add(&loop->context->counters.refused, 1);
    bool plain = (errors && strcmp(errors, "status") == 0) || accepts(x, "application/x-ndjson") ||
                 (exchange_header(x, "Accept") && !accepts(x, "text/event-stream") && !accepts(x, "*/*"));
    if (plain) {
        reply_problem(x, settings, 503, code, detail);
        return;
    }
    struct buffer body = BUFFER_INIT;
    stream_frame_refused(&body, false, code, stream_retry_jitter(settings->retry_ms));
    cors_add_headers(x, settings);
    exchange_add_header(x, "Cache-Control", "no-cache, no-transform");
    exchange_add_header(x, "X-Accel-Buffering", "no");
    exchange_add_header(x, "Connection", "close");
    exchange_reply(x, 200, "text/event-stream; charset=utf-8", body.data, body.len);
    buffer_fini(&body);
}

static void answer_head(struct exchange *x, const struct http_settings *settings, bool ndjson)
{
    exchange_add_header(x, "Cache-Control", "no-cache, no-transform");
    exchange_add_header(x, "X-Accel-Buffering", "no");
    cors_add_headers(x, settings);
    exchange_reply(x, 200, ndjson ? "application/x-ndjson" : "text/event-stream; charset=utf-8", NULL, 0);
}

static int read_filter(const struct params *params, struct stream_request *request, struct error *err)
{
    const char *rate = params_get(params, "max_rate");
    char *end = NULL;
    long events = rate ? strtol(rate, &end, 10) : 0;
    if (rate && (*end || events < 1 || events > MAX_RATE_MAX)) {
        return error_set(err, "max_rate: must be a number from 1 to %d", MAX_RATE_MAX);
    }
    request->max_rate = (uint32_t)events;
    return params_read_filter(params, &request->filter, err);
}

/* Where to begin, for a client without an id. */
static int read_start(const struct loop *loop, const struct params *params, struct stream_request *request,
                      struct error *err)
{
    const char *tail = params_get(params, "tail"), *since = params_get(params, "since");
    char *end = NULL;
    unsigned long rows = tail ? strtoul(tail, &end, 10) : 0;
    if (tail && (tail[strspn(tail, "0123456789")] || rows > TAIL_MAX)) {
        return error_set(err, "tail: must be a number from 0 to %d", TAIL_MAX);
    }
    request->tail = (uint32_t)rows;
    return since ? since_parse(since, loop->context->sources[0], &request->since_ms, err) : 0;
}

static bool is_full(const struct loop *loop)
{
    const struct http_context *context = loop->context;
    return atomic_load(&context->counters.connections) >= context->settings.connections_max;
}

static void open_stream(struct loop *loop, struct exchange *x, const struct params *params,
                        const struct http_alias *alias)
{
    const struct http_settings *settings = &loop->context->settings;
    struct stream_request request = {.ndjson = accepts(x, "application/x-ndjson")};
    const char *code = NULL, *unsupported = unsupported_param(params);
    struct error err;
    if (unsupported) {
        char detail[80];
        snprintf(detail, sizeof detail, "%s: is not available in this version", unsupported);
        reply_problem(x, settings, 400, "unsupported_parameter", detail);
        return;
    }
    if (subscription_new(params, alias, loop->context, &request.subscription, &code, &err) != 0) {
        reply_problem(x, settings, 400, code, err.text);
        return;
    }
    if (read_filter(params, &request, &err) != 0) {
        code = "invalid_filter";
    } else if (read_start(loop, params, &request, &err) != 0) {
        code = "invalid_start";
    }
    if (code) {
        reply_problem(x, settings, 400, code, err.text);
        subscription_free(request.subscription);
        filter_free(request.filter);
        return;
    }
    if (exchange_method(x) == METHOD_HEAD) {
        answer_head(x, settings, request.ndjson);
    } else if (loop->draining || atomic_load(&loop->context->draining)) {
        refuse(loop, x, params, "draining", "this instance is shutting down");
    } else if (is_full(loop)) {
        refuse(loop, x, params, "too_many_connections", "this instance serves as many streams as it may");
    } else {
        read_resume(loop, x, params, &request);
        stream_open(loop, x, &request);
        return;
    }
    subscription_free(request.subscription);
    filter_free(request.filter);
}

void endpoint_stream(struct loop *loop, struct exchange *x, const struct http_alias *alias)
{
    struct params *params = read_params(loop, x);
    if (params) {
        open_stream(loop, x, params, alias);
        params_free(params);
    }
}
