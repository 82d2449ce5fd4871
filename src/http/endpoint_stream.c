/* endpoint_stream - GET, HEAD and POST /api/logs/stream: from parameters to a stream (CONTRACT section 4). */
#include "endpoints.h"

#include "client_address.h"
#include "clock.h"
#include "cors.h"
#include "params.h"
#include "reply.h"
#include "rights.h"
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

/* Whoever says so, or speaks no Server-Sent Events, gets a plain status. */
static bool wants_status(const struct loop *loop, const struct exchange *x, const struct params *params)
{
    const char *errors = params_get(params, "errors"), *by_proxy = exchange_header(x, "X-Tailwater-Errors");
    const char *accept = exchange_header(x, "Accept");
    if ((errors && strcmp(errors, "status") == 0) || accepts(x, "application/x-ndjson")) {
        return true;
    }
    if (accept && !accepts(x, "text/event-stream") && !accepts(x, "*/*")) {
        return true;
    }
    return by_proxy && strcmp(by_proxy, "status") == 0 && rights_trusts_peer(loop, x);
}

/* A temporary refusal: a 503 would stop browsers for good, so event streams get 200, retry: and an end. */
static void refuse(struct loop *loop, struct exchange *x, const struct params *params, const char *code,
                   const char *detail)
{
    const struct http_settings *settings = &loop->context->settings;
    atomic_fetch_add(&loop->context->counters.refused, 1);
    reason_count(&loop->context->counters.reasons, REASON_REFUSED, code);
    if (wants_status(loop, x, params)) {
        reply_problem(x, settings, strncmp(code, "too_many", 8) == 0 ? 429 : 503, code, detail);
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

/* --- who it is for --------------------------------------------------------------------------------- */

/* Why no stream opens now, for anyone; with the sentence. NULL: it may. */
static const char *closed_for_all(const struct loop *loop, const char **detail)
{
    struct http_context *context = loop->context;
    if (loop->draining || atomic_load(&context->draining)) {
        *detail = "this instance is shutting down";
        return "draining";
    }
    if (atomic_load(&context->counters.connections) >= context->settings.connections_max) {
        *detail = "this instance serves as many streams as it may";
        return "too_many_connections";
    }
    if (!rate_take(&context->connects, context->settings.connects_per_s_max, 1, clock_mono_us())) {
        *detail = "more streams were opened in this second than may be";
        return "too_many_connects";
    }
    return NULL;
}

/* A place among the streams of its user and address. Returns 0, or -1 after a refusal. */
static int take_seat(struct loop *loop, struct exchange *x, const struct params *params,
                     struct stream_request *request)
{
    struct access *access = access_holder_get(loop->context->access);
    struct ip_address peer = exchange_peer(x);
    bool is_behind_proxy = access_trusts_proxy(access, &peer); /* else it was counted when it was accepted */
    request->address = is_behind_proxy ? client_address_of(x, access) : peer;
    access_unref(access);
    struct ip_address site = ip_address_site(&request->address);
    const char *code = seat_take(loop->context, request->rights.identity, is_behind_proxy ? &site : NULL,
                                 &request->seat);
    if (code) {
        refuse(loop, x, params, code, "close one of the streams that are open, or try again later");
        return -1;
    }
    return 0;
}

/* A token that has ended by now is good for nothing that lasts, whatever the skew of clocks. */
static bool has_ended(const struct identity *identity)
{
    return identity->expires_ms && identity->expires_ms <= clock_wall_ms();
}

static void refuse_reader(struct loop *loop, struct exchange *x, const struct params *params,
                          const struct rights_refusal *refusal)
{
    if (refusal->status == 503) {
        refuse(loop, x, params, refusal->code, refusal->error.text);
    } else {
        rights_refuse(loop, x, refusal);
    }
}

/* Cut the subscription down to what is granted. Returns 0, or -1 after a refusal. */
static int grant(struct loop *loop, struct exchange *x, struct stream_request *request)
{
    const char *code;
    struct error err;
    const struct rights *rights = &request->rights;
    if (has_ended(rights->identity)) {
        struct rights_refusal refusal = {.status = 401, .code = "invalid_credentials"};
        error_set(&refusal.error, "the token has expired");
        rights_refuse(loop, x, &refusal);
        return -1;
    }
    if (subscription_grant(request->subscription, loop->context, rights->patterns, rights->count, &code, &err) != 0) {
        reply_problem(x, &loop->context->settings, 400, code, err.text);
        return -1;
    }
    if (request->subscription->count == 0) {
        rights_refuse_all(loop, x);
        return -1;
    }
    return 0;
}

/* --- opening --------------------------------------------------------------------------------------- */

/* What is asked for. Returns 0, or -1 after a 400. */
static int read_request(struct loop *loop, struct exchange *x, const struct params *params,
                        const struct http_alias *alias, struct stream_request *request)
{
    const char *code = NULL;
    struct error err;
    if (subscription_new(params, alias, loop->context, &request->subscription, &code, &err) != 0) {
        request->subscription = NULL;
    } else if (read_filter(params, request, &err) != 0) {
        code = "invalid_filter";
    } else if (read_start(loop, params, request, &err) != 0) {
        code = "invalid_start";
    }
    if (code) {
        reply_problem(x, &loop->context->settings, 400, code, err.text);
        return -1;
    }
    return 0;
}

/* Whose it is, and whether it may be opened. Returns 0, or -1 after an answer. */
static int admit(struct loop *loop, struct exchange *x, const struct params *params, struct stream_request *request)
{
    struct rights_refusal refusal;
    const char *detail;
    if (rights_read(loop, x, params, request->subscription, &request->rights, &refusal) != 0) {
        refuse_reader(loop, x, params, &refusal);
        return -1;
    }
    if (grant(loop, x, request) != 0) {
        return -1;
    }
    if (exchange_method(x) == METHOD_HEAD) {
        answer_head(x, &loop->context->settings, request->ndjson);
        return -1;
    }
    const char *code = closed_for_all(loop, &detail);
    if (code) {
        refuse(loop, x, params, code, detail);
        return -1;
    }
    return take_seat(loop, x, params, request);
}

static void open_stream(struct loop *loop, struct exchange *x, const struct params *params,
                        const struct http_alias *alias)
{
    struct stream_request request = {.ndjson = accepts(x, "application/x-ndjson")};
    if (read_request(loop, x, params, alias, &request) == 0 && admit(loop, x, params, &request) == 0) {
        read_resume(loop, x, params, &request);
        stream_open(loop, x, &request);
        return;
    }
    rights_fini(&request.rights);
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
