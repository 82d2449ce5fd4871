/* exchange - see exchange.h. */
#include "exchange.h"

#include "buffer.h"
#include "listener.h"
#include "log.h"
#include "tls.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <uthash.h>
#include <utlist.h>

enum {
    PENDING_TIMEOUT_S = 60,
    /* For one system call. Whoever asks and closes their own direction at once, as nc -N does, still gets an answer that
     * fits: evhttp takes the end of reading for the client's leaving, and would stop after libevent's 16 KiB. */
    WRITE_BYTES = 256 * 1024,
};

/* A connection from being accepted to its end, also as a stream, and who watches over it. */
struct guarded {
    struct http_server *server;
    struct evhttp_connection *connection; /* NULL: just accepted */
    struct bufferevent *bev;
    struct guard *guard;    /* NULL: refused, or a stream */
    struct ip_address peer;
    enum door_answer door;
    struct guarded *next;   /* among the accepted ones */
    UT_hash_handle hh;      /* by connection, until it is a stream */
};

struct http_server {
    struct http_server_options options;
    struct evhttp *evhttp;
    struct listener *listener;
    struct evhttp_bound_socket *bound;     /* NULL: closed */
    struct event *adopt;
    struct guarded *accepted, *guarded;
};

struct exchange {
    struct evhttp_request *request;
    struct evhttp_connection *connection;
    struct guarded *guarded;
    void (*gone)(void *arg); /* deferred: tell that the client left */
    void *gone_arg;
};

/* --- the request ---------------------------------------------------------------------------------- */

enum exchange_method exchange_method(const struct exchange *x)
{
    switch (evhttp_request_get_command(x->request)) {
    case EVHTTP_REQ_GET:
        return METHOD_GET;
    case EVHTTP_REQ_HEAD:
        return METHOD_HEAD;
    case EVHTTP_REQ_POST:
        return METHOD_POST;
    case EVHTTP_REQ_OPTIONS:
        return METHOD_OPTIONS;
    case EVHTTP_REQ_PATCH:
        return METHOD_PATCH;
    case EVHTTP_REQ_DELETE:
        return METHOD_DELETE;
    case EVHTTP_REQ_PUT:
        return METHOD_PUT;
    case EVHTTP_REQ_TRACE:
    case EVHTTP_REQ_CONNECT:
        return METHOD_OTHER;
    }
    return METHOD_OTHER;
}

bool exchange_is_http10(const struct exchange *x)
{
    return x->request->major < 1 || (x->request->major == 1 && x->request->minor == 0);
}

/* What a proxy is sent, http://host/path, must be understood too (RFC 9112 section 3.2.2). */
static const char *path_and_query(const struct exchange *x)
{
    const char *uri = evhttp_request_get_uri(x->request);
    const char *mark = uri[0] == '/' ? NULL : strstr(uri, "://");
    return mark ? mark + 3 + strcspn(mark + 3, "/?") : uri;
}

struct slice exchange_path(const struct exchange *x)
{
    const char *path = path_and_query(x);
    size_t len = strcspn(path, "?");
    return len ? (struct slice){path, len} : (struct slice){"/", 1};
}

struct slice exchange_query(const struct exchange *x)
{
    const char *uri = path_and_query(x);
    const char *mark = strchr(uri, '?');
    return mark ? (struct slice){mark + 1, strlen(mark + 1)} : (struct slice){"", 0};
}

const char *exchange_header(const struct exchange *x, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(x->request), name);
}

char *exchange_header_list(const struct exchange *x, const char *name)
{
    struct buffer list = BUFFER_INIT;
    struct evkeyval *header;
    TAILQ_FOREACH(header, evhttp_request_get_input_headers(x->request), next)
    {
        if (strcasecmp(header->key, name) == 0) {
            buffer_append_text(&list, list.len ? "," : "");
            buffer_append_text(&list, header->value);
        }
    }
    buffer_append_byte(&list, '\0');
    return list.data;
}

struct ip_address exchange_peer(const struct exchange *x)
{
    return ip_address_of(evhttp_connection_get_addr(x->connection));
}

bool exchange_has_json(const struct exchange *x)
{
    const char *type = exchange_header(x, "Content-Type");
    return type && strncasecmp(type, "application/json", 16) == 0;
}

struct slice exchange_body(struct exchange *x)
{
    struct evbuffer *input = evhttp_request_get_input_buffer(x->request);
    size_t len = evbuffer_get_length(input);
    return (struct slice){len ? (const char *)evbuffer_pullup(input, -1) : "", len};
}

/* --- the answer ----------------------------------------------------------------------------------- */

void exchange_add_header(struct exchange *x, const char *name, const char *value)
{
    if (!strpbrk(value, "\r\n")) {
        evhttp_add_header(evhttp_request_get_output_headers(x->request), name, value);
    }
}

static void count_answer(const struct exchange *x, int status)
{
    _Atomic uint64_t *answers = x->guarded->server->options.counters.answers;
    if (answers) {
        atomic_fetch_add_explicit(&answers[status > 0 && status < HTTP_STATUS_END ? status : 0], 1,
                                  memory_order_relaxed);
    }
}

void exchange_reply(struct exchange *x, int status, const char *content_type, const void *body, size_t len)
{
    struct evbuffer *out = NULL;
    char length[24];
    count_answer(x, status);
    if (content_type) {
        exchange_add_header(x, "Content-Type", content_type);
    }
    if (exchange_method(x) == METHOD_HEAD) {
        if (len) { /* a stream has no length */
            snprintf(length, sizeof length, "%zu", len);
            exchange_add_header(x, "Content-Length", length);
        }
    } else if (len) {
        out = evbuffer_new();
        evbuffer_add(out, body, len);
    }
    if (x->gone) {
        /* evhttp sets its own callbacks again when it writes. */
        struct bufferevent *bev = evhttp_connection_get_bufferevent(x->connection);
        struct timeval idle = {x->guarded->server->options.guard.idle_s, 0};
        bufferevent_disable(bev, EV_READ);
        bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
        bufferevent_set_timeouts(bev, &idle, &idle);
    }
    evhttp_send_reply(x->request, status, NULL, out);
    if (out) {
        evbuffer_free(out);
    }
    free(x);
}

static void pending_event(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    struct exchange *x = arg;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT)) {
        x->gone(x->gone_arg);
        evhttp_connection_free(x->connection); /* and the request with it */
        free(x);
    }
}

/* While an answer is pending evhttp does not read and so does not see a client leave: we read for it. What comes is the
 * next, pipelined request, which the guard keeps. */
void exchange_defer(struct exchange *x, void (*gone)(void *arg), void *arg)
{
    struct bufferevent *bev = evhttp_connection_get_bufferevent(x->connection);
    struct timeval patience = {PENDING_TIMEOUT_S, 0};
    x->gone = gone;
    x->gone_arg = arg;
    bufferevent_setcb(bev, NULL, NULL, pending_event, x);
    bufferevent_set_timeouts(bev, &patience, NULL);
    bufferevent_enable(bev, EV_READ);
}

static void write_head(struct pipe *pipe, const struct exchange *x, const char *content_type, bool chunked)
{
    struct buffer head = BUFFER_INIT;
    struct evkeyval *header;
    buffer_append_text(&head, "HTTP/1.1 200 OK\r\n");
    buffer_printf(&head, "Content-Type: %s\r\n", content_type);
    TAILQ_FOREACH(header, evhttp_request_get_output_headers(x->request), next)
    {
        buffer_printf(&head, "%s: %s\r\n", header->key, header->value);
    }
    buffer_append_text(&head, chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "Connection: close\r\n\r\n");
    pipe_write_raw(pipe, head.data, head.len);
    buffer_fini(&head);
}

static void forget_request_headers(struct evhttp_request *request)
{
    evhttp_clear_headers(evhttp_request_get_input_headers(request));
    evhttp_clear_headers(evhttp_request_get_output_headers(request));
}

/* It is no stream yet; whatever becomes of it, its guard and evhttp's requests need it no longer. */
static void unguard(struct guarded *g)
{
    if (g->connection) {
        HASH_DELETE(hh, g->server->guarded, g);
        evhttp_connection_set_closecb(g->connection, NULL, NULL);
    }
    if (g->guard) {
        guard_free(g->guard);
        g->guard = NULL;
    }
}

static void forget(struct guarded *g)
{
    const struct http_server_options *o = &g->server->options;
    atomic_fetch_sub(o->counters.sockets, 1);
    if (g->door == DOOR_COUNTED) {
        o->leave(&g->peer, o->arg);
    }
    free(g);
}

/* Of a stream. */
static void release_connection(void *owner)
{
    struct guarded *g = owner;
    struct evhttp_connection *connection = g->connection;
    tls_say_end(g->bev);
    forget(g);
    evhttp_connection_free(connection); /* closes the socket and frees the request, which is still in its list */
}

struct pipe *exchange_stream(struct exchange *x, const char *content_type, const struct pipe_options *options)
{
    struct bufferevent *bev = evhttp_connection_get_bufferevent(x->connection);
    bool chunked = !exchange_is_http10(x);
    count_answer(x, 200);
    int fd = bufferevent_getfd(bev);
    int user_timeout_ms = options->stall_s * 1000;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
    unguard(x->guarded);
    struct pipe *pipe = pipe_new(bev, chunked, options, release_connection, x->guarded);
    write_head(pipe, x, content_type, chunked);
    forget_request_headers(x->request);
    free(x);
    return pipe;
}

/* --- the server ------------------------------------------------------------------------------------ */

void http_server_enter_thread(struct http_server *server)
{
    listener_enter_thread(server->listener);
    pipe_count_queued(server->options.counters.queued_bytes);
}

/* It leaves, without having become a stream. */
static void on_closed(struct evhttp_connection *connection, void *arg)
{
    (void)connection;
    struct guarded *g = arg;
    if (g->door != DOOR_SHUT && !tls_is_open(g->bev)) {
        atomic_fetch_add(g->server->options.counters.handshake_failures, 1);
    }
    tls_say_end(g->bev);
    unguard(g);
    forget(g);
}

static void close_connection(void *connection)
{
    evhttp_connection_free(connection); /* calls on_closed() */
}

/* Is there a descriptor left for this connection, after all that are open? */
static bool has_room(struct http_server *server)
{
    static struct log_limit limit;
    uint64_t max = server->options.sockets_max;
    if (atomic_fetch_add(server->options.counters.sockets, 1) < max) {
        return true;
    }
    log_write_limited(&limit, LOG_LEVEL_WARN, "http", "%" PRIu64 " connections are open, as many as the limit of open "
                      "files allows; new ones are closed", max);
    return false;
}

static struct bufferevent *new_bufferevent(struct http_server *server, struct guarded *g)
{
    struct bufferevent *bev = NULL;
    if (g->door != DOOR_SHUT && server->options.tls) {
        bev = tls_accept(server->options.tls, server->options.base);
        g->door = bev ? DOOR_OPEN : DOOR_SHUT;
    }
    return bev ? bev : bufferevent_socket_new(server->options.base, -1, 0);
}

/* evhttp asks for a bufferevent before it makes its connection, and tells nobody when it has: on_adopt() runs next,
 * before anything can come from the client. Until then no more are accepted when this one is too many already: the
 * reserve of descriptors must do. */
static struct bufferevent *on_accept(struct event_base *base, void *arg)
{
    (void)base;
    struct http_server *server = arg;
    struct guarded *g = memory_zero(1, sizeof *g);
    g->server = server;
    g->door = has_room(server) ? DOOR_OPEN : DOOR_SHUT;
    g->bev = new_bufferevent(server, g);
    if (g->door == DOOR_SHUT) {
        listener_hold(server->listener);
    } else {
        g->guard = guard_new(g->bev, &server->options.guard);
    }
    bufferevent_set_max_single_write(g->bev, WRITE_BYTES);
    bufferevent_incref(g->bev); /* until it is adopted */
    LL_PREPEND(server->accepted, g);
    event_active(server->adopt, EV_TIMEOUT, 0);
    return g->bev;
}

/* What is written in a turn leaves at once, also in several pieces, as TLS writes it. */
static void send_at_once(struct guarded *g)
{
    int on = 1;
    setsockopt(bufferevent_getfd(g->bev), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Now its address is known, too. */
static bool may_stay(struct guarded *g)
{
    const struct http_server_options *o = &g->server->options;
    g->peer = ip_address_of(evhttp_connection_get_addr(g->connection));
    if (g->door != DOOR_SHUT && o->enter) {
        g->door = o->enter(&g->peer, o->arg);
    }
    return g->door != DOOR_SHUT;
}

static void adopt(struct http_server *server, struct guarded *g)
{
    void *connection;
    bufferevent_getcb(g->bev, NULL, NULL, NULL, &connection);
    if (!connection) { /* evhttp failed to make one and has freed its bufferevent */
        unguard(g);
        forget(g);
        return;
    }
    g->connection = connection;
    HASH_ADD_PTR(server->guarded, connection, g);
    evhttp_connection_set_closecb(g->connection, on_closed, g);
    if (may_stay(g)) {
        send_at_once(g);
        guard_adopt(g->guard, g->connection);
    } else {
        atomic_fetch_add(server->options.counters.sockets_refused, 1);
        close_connection(g->connection);
    }
}

static void on_adopt(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct http_server *server = arg;
    struct guarded *g, *next;
    LL_FOREACH_SAFE(server->accepted, g, next)
    {
        struct bufferevent *bev = g->bev;
        LL_DELETE(server->accepted, g);
        adopt(server, g);
        bufferevent_decref(bev);
    }
    listener_go_on(server->listener);
}

static void on_answered(struct evhttp_request *request, void *arg)
{
    (void)request;
    struct guarded *g = arg;
    guard_next(g->guard);
}

/* Of every answer: it is what it is called, and its address, which may hold a ticket, goes on to no other site. */
static void add_safe_headers(struct exchange *x)
{
    exchange_add_header(x, "X-Content-Type-Options", "nosniff");
    exchange_add_header(x, "Referrer-Policy", "no-referrer");
}

static void on_request(struct evhttp_request *request, void *arg)
{
    struct http_server *server = arg;
    struct exchange *x = memory_zero(1, sizeof *x);
    x->request = request;
    x->connection = evhttp_request_get_connection(request);
    HASH_FIND_PTR(server->guarded, &x->connection, x->guarded);
    evhttp_request_set_on_complete_cb(request, on_answered, x->guarded);
    add_safe_headers(x);
    server->options.handler(x, server->options.arg);
}

struct http_server *http_server_new(const struct http_server_options *options, struct error *err)
{
    struct listener *listener = listener_new(options->base, options->host, options->port, err);
    if (!listener) {
        return NULL;
    }
    struct http_server *server = memory_zero(1, sizeof *server);
    server->listener = listener;
    server->options = *options;
    server->options.guard.release = close_connection;
    server->evhttp = evhttp_new(options->base);
    server->adopt = evtimer_new(options->base, on_adopt, server);
    evhttp_set_allowed_methods(server->evhttp, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |
                                                   EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |
                                                   EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH);
    evhttp_set_max_headers_size(server->evhttp, (ev_ssize_t)options->guard.limits.header_bytes);
    evhttp_set_max_body_size(server->evhttp, (ev_ssize_t)options->guard.limits.body_bytes);
    evhttp_set_timeout(server->evhttp, options->guard.idle_s);
    evhttp_set_bevcb(server->evhttp, on_accept, server);
    evhttp_set_default_content_type(server->evhttp, NULL);
    evhttp_set_gencb(server->evhttp, on_request, server);
    server->bound = evhttp_bind_listener(server->evhttp, listener_socket(listener));
    return server;
}

void http_server_stop_listening(struct http_server *server)
{
    if (server->bound) {
        evhttp_del_accept_socket(server->evhttp, server->bound);
        server->bound = NULL;
        listener_closed(server->listener);
    }
}

void http_server_free(struct http_server *server)
{
    if (!server) {
        return;
    }
    struct guarded *g, *next;
    LL_FOREACH_SAFE(server->accepted, g, next)
    {
        bufferevent_decref(g->bev);
        unguard(g);
        forget(g);
    }
    evhttp_free(server->evhttp);
    listener_free(server->listener);
    event_free(server->adopt);
    free(server);
}
