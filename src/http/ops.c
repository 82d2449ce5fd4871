/* ops - see ops.h. */
#include "ops.h"

#include "exchange.h"
#include "mailbox.h"
#include "metrics.h"
#include "probes.h"
#include "reply.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_BYTES = 16384, BODY_BYTES = 1024, REQUEST_S = 10 };

struct ops {
    struct http_context *context;
    struct event_base *base;
    struct mailbox *mailbox; /* a wake-up says: stop */
    struct event *stop_event;
    struct http_server *server;
    struct {
        _Atomic uint64_t sockets, sockets_refused, handshake_failures, queued_bytes;
    } counters; /* its own: those of the context are of clients */
    pthread_t thread;
    bool started;
};

/* --- answers --------------------------------------------------------------------------------------- */

static void reply_text(struct exchange *x, int status, const char *type, struct buffer *text)
{
    exchange_add_header(x, "Cache-Control", "no-store");
    exchange_reply(x, status, type, text->data, text->len);
    buffer_fini(text);
}

static bool is_verbose(const struct exchange *x)
{
    struct slice query = exchange_query(x);
    return query.len >= 7 && memcmp(query.data, "verbose", 7) == 0;
}

static void answer_probe(struct ops *ops, struct exchange *x,
                         bool (*probe)(const struct http_context *, bool, struct buffer *))
{
    struct buffer text = BUFFER_INIT;
    bool is_fine = probe(ops->context, is_verbose(x), &text);
    buffer_append_text(&text, is_fine ? "ok\n" : "failed\n");
    reply_text(x, is_fine ? 200 : 503, "text/plain; charset=utf-8", &text);
}

static void answer_livez(struct ops *ops, struct exchange *x)
{
    answer_probe(ops, x, probes_alive);
}

static void answer_readyz(struct ops *ops, struct exchange *x)
{
    answer_probe(ops, x, probes_ready);
}

static void answer_metrics(struct ops *ops, struct exchange *x)
{
    struct buffer text = BUFFER_INIT;
    metrics_append(ops->context, &text);
    reply_text(x, 200, "text/plain; version=0.0.4; charset=utf-8", &text);
}

static void answer_health(struct ops *ops, struct exchange *x)
{
    struct buffer text = BUFFER_INIT;
    int status = probes_health(ops->context, &text);
    reply_text(x, status, "application/json", &text);
}

static const struct {
    const char *path;
    void (*answer)(struct ops *ops, struct exchange *x);
} table[] = {
    {"/livez", answer_livez},
    {"/readyz", answer_readyz},
    {"/metrics", answer_metrics},
    {"/health", answer_health},
};

static void handle(struct exchange *x, void *arg)
{
    struct ops *ops = arg;
    struct slice path = exchange_path(x);
    size_t i = 0;
    while (i < sizeof table / sizeof table[0] &&
           (strlen(table[i].path) != path.len || memcmp(table[i].path, path.data, path.len) != 0)) {
        i++;
    }
    if (i == sizeof table / sizeof table[0]) {
        reply_problem(x, &ops->context->settings, 404, "not_found",
                      "here are /livez, /readyz, /metrics and /health; everything else is on the other listener");
    } else if (exchange_method(x) != METHOD_GET && exchange_method(x) != METHOD_HEAD) {
        exchange_add_header(x, "Allow", "GET, HEAD");
        reply_problem(x, &ops->context->settings, 405, "method_not_allowed", "see the Allow header");
    } else {
        table[i].answer(ops, x);
    }
}

/* --- life ------------------------------------------------------------------------------------------ */

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct ops *ops = arg;
    event_base_loopbreak(ops->base);
}

static struct http_server *open_server(struct ops *ops, const char *host, int port, struct error *err)
{
    struct http_server_options options = {
        .base = ops->base,
        .host = host,
        .port = port,
        .sockets_max = OPS_SOCKETS_MAX,
        .counters = {
            .sockets = &ops->counters.sockets,
            .sockets_refused = &ops->counters.sockets_refused,
            .handshake_failures = &ops->counters.handshake_failures,
            .queued_bytes = &ops->counters.queued_bytes,
        },
        .guard = {
            .limits = {.header_bytes = HEADER_BYTES, .body_bytes = BODY_BYTES},
            .head_s = REQUEST_S,
            .body_s = REQUEST_S,
            .idle_s = REQUEST_S,
            .refused = &ops->context->counters.requests_refused,
            .timeouts = &ops->context->counters.request_timeouts,
        },
        .handler = handle,
        .arg = ops,
    };
    return http_server_new(&options, err);
}

struct ops *ops_new(struct http_context *context, const char *host, int port, struct error *err)
{
    struct ops *ops = memory_zero(1, sizeof *ops);
    ops->context = context;
    ops->base = event_base_new();
    ops->mailbox = mailbox_new();
    ops->stop_event = event_new(ops->base, mailbox_fd(ops->mailbox), EV_READ, on_stop, ops);
    event_add(ops->stop_event, NULL);
    ops->server = open_server(ops, host, port, err);
    if (!ops->server) {
        ops_free(ops);
        return NULL;
    }
    return ops;
}

static void *ops_main(void *arg)
{
    struct ops *ops = arg;
    pthread_setname_np(pthread_self(), "tw-ops");
    http_server_enter_thread(ops->server);
    event_base_dispatch(ops->base);
    return NULL;
}

void ops_start(struct ops *ops)
{
    if (pthread_create(&ops->thread, NULL, ops_main, ops) != 0) {
        abort();
    }
    ops->started = true;
}

void ops_free(struct ops *ops)
{
    if (!ops) {
        return;
    }
    if (ops->started) {
        mailbox_wake(ops->mailbox);
        pthread_join(ops->thread, NULL);
    }
    http_server_free(ops->server);
    event_free(ops->stop_event);
    event_base_free(ops->base);
    mailbox_free(ops->mailbox);
    free(ops);
}
