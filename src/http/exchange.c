/* exchange - see exchange.h. */
#include "exchange.h"

#include "buffer.h"
#include "log.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uthash.h>
#include <utlist.h>

enum { BACKLOG = 4096, ACCEPT_PAUSE_MS = 1000, PENDING_TIMEOUT_S = 60 };

/* A connection that is not a stream (yet), and who watches over it. */
struct guarded {
    struct http_server *server;
    struct evhttp_connection *connection; /* NULL: just accepted */
    struct bufferevent *bev;
    struct guard *guard;
    struct guarded *next; /* among the accepted ones */
    UT_hash_handle hh;    /* by connection */
};

struct http_server {
    struct http_server_options options;
    struct evhttp *evhttp;
    struct evconnlistener *listener;       /* belongs to bound */
    struct evhttp_bound_socket *bound;
    struct event *resume_accept, *adopt;
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

void exchange_reply(struct exchange *x, int status, const char *content_type, const void *body, size_t len)
{
    struct evbuffer *out = NULL;
    char length[24];
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

static void release_connection(void *owner)
{
    evhttp_connection_free(owner); /* closes the socket and frees the request, which is still in its list */
}

static void forget_request_headers(struct evhttp_request *request)
{
    evhttp_clear_headers(evhttp_request_get_input_headers(request));
    evhttp_clear_headers(evhttp_request_get_output_headers(request));
}

static void guarded_end(struct guarded *g)
{
    if (g->connection) {
        HASH_DELETE(hh, g->server->guarded, g);
        evhttp_connection_set_closecb(g->connection, NULL, NULL);
    }
    guard_free(g->guard);
    free(g);
}

struct pipe *exchange_stream(struct exchange *x, const char *content_type, const struct pipe_options *options)
{
    struct bufferevent *bev = evhttp_connection_get_bufferevent(x->connection);
    bool chunked = !exchange_is_http10(x);
    int fd = bufferevent_getfd(bev);
    int on = 1, user_timeout_ms = options->stall_s * 1000;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
    guarded_end(x->guarded);
    struct pipe *pipe = pipe_new(bev, chunked, options, release_connection, x->connection);
    write_head(pipe, x, content_type, chunked);
    forget_request_headers(x->request);
    free(x);
    return pipe;
}

/* --- the server ------------------------------------------------------------------------------------ */

/* The accept error callback gets evhttp as its argument and no way from there to us. */
static _Thread_local struct http_server *server_of_thread;

void http_server_enter_thread(struct http_server *server)
{
    server_of_thread = server;
}

static void on_closed(struct evhttp_connection *connection, void *arg)
{
    (void)connection;
    guarded_end(arg);
}

static void close_connection(void *connection)
{
    evhttp_connection_free(connection); /* calls on_closed() */
}

/* evhttp asks for a bufferevent before it makes its connection, and tells nobody when it has: on_adopt() runs next,
 * before anything can come from the client. */
static struct bufferevent *on_accept(struct event_base *base, void *arg)
{
    struct http_server *server = arg;
    struct guarded *g = memory_zero(1, sizeof *g);
    g->server = server;
    g->bev = bufferevent_socket_new(base, -1, 0);
    g->guard = guard_new(g->bev, &server->options.guard);
    LL_PREPEND(server->accepted, g);
    event_active(server->adopt, EV_TIMEOUT, 0);
    return g->bev;
}

static void adopt(struct http_server *server, struct guarded *g)
{
    void *connection;
    bufferevent_getcb(g->bev, NULL, NULL, NULL, &connection);
    if (!connection) { /* evhttp failed to make one and has freed its bufferevent; the guard still has a reference */
        guarded_end(g);
        return;
    }
    g->connection = connection;
    HASH_ADD_PTR(server->guarded, connection, g);
    evhttp_connection_set_closecb(g->connection, on_closed, g);
    guard_adopt(g->guard, g->connection);
}

static void on_adopt(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct http_server *server = arg;
    struct guarded *g, *next;
    LL_FOREACH_SAFE(server->accepted, g, next)
    {
        LL_DELETE(server->accepted, g);
        adopt(server, g);
    }
}

static void on_answered(struct evhttp_request *request, void *arg)
{
    (void)request;
    struct guarded *g = arg;
    guard_next(g->guard);
}

static void on_request(struct evhttp_request *request, void *arg)
{
    struct http_server *server = arg;
    struct exchange *x = memory_zero(1, sizeof *x);
    x->request = request;
    x->connection = evhttp_request_get_connection(request);
    HASH_FIND_PTR(server->guarded, &x->connection, x->guarded);
    evhttp_request_set_on_complete_cb(request, on_answered, x->guarded);
    server->options.handler(x, server->options.arg);
}

static void on_resume_accept(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct http_server *server = arg;
    if (server->listener) {
        evconnlistener_enable(server->listener);
    }
}

/* Out of descriptors: a level-triggered listener would spin at full speed (reference/reliability fact 14). */
static void on_accept_error(struct evconnlistener *listener, void *evhttp)
{
    (void)evhttp;
    static struct log_limit limit;
    struct http_server *server = server_of_thread;
    struct timeval pause = {ACCEPT_PAUSE_MS / 1000, 0};
    log_write_limited(&limit, LOG_LEVEL_WARN, "http", "cannot accept: %s; pausing for a second", strerror(errno));
    evconnlistener_disable(listener);
    evtimer_add(server->resume_accept, &pause);
}

static struct addrinfo *resolve(const char *host, int port, struct error *err)
{
    char service[12];
    struct addrinfo *found = NULL, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    snprintf(service, sizeof service, "%d", port);
    int rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0) {
        error_set(err, "cannot listen on %s: %s", host, gai_strerror(rc));
        return NULL;
    }
    return found;
}

int http_address_probe(const char *host, int port, struct error *err)
{
    struct addrinfo *address = resolve(host, port, err);
    if (!address) {
        return -1;
    }
    int on = 1, rc = 0;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, 1) != 0) {
        rc = error_set(err, errno == EADDRINUSE ? "port %d of %s is in use by another program; choose another one with "
                                                  "PORT or listen (%s)"
                                                : "cannot listen on port %d of %s: %s",
                       port, host, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    freeaddrinfo(address);
    return rc;
}

static int bind_listener(struct http_server *server, struct error *err)
{
    const struct http_server_options *o = &server->options;
    struct addrinfo *address = resolve(o->host, o->port, err);
    if (!address) {
        return -1;
    }
    unsigned flags = LEV_OPT_REUSEABLE | LEV_OPT_REUSEABLE_PORT | LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC;
    server->listener = evconnlistener_new_bind(o->base, NULL, NULL, flags, BACKLOG, address->ai_addr,
                                               (int)address->ai_addrlen);
    freeaddrinfo(address);
    if (!server->listener) {
        return error_set(err, "cannot listen on %s port %d: %s", o->host, o->port, strerror(errno));
    }
    server->bound = evhttp_bind_listener(server->evhttp, server->listener);
    evconnlistener_set_error_cb(server->listener, on_accept_error);
    return 0;
}

struct http_server *http_server_new(const struct http_server_options *options, struct error *err)
{
    struct http_server *server = memory_zero(1, sizeof *server);
    server->options = *options;
    server->options.guard.release = close_connection;
    server->evhttp = evhttp_new(options->base);
    server->resume_accept = evtimer_new(options->base, on_resume_accept, server);
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
    if (bind_listener(server, err) != 0) {
        http_server_free(server);
        return NULL;
    }
    return server;
}

void http_server_stop_listening(struct http_server *server)
{
    if (server->bound) {
        evtimer_del(server->resume_accept);
        evhttp_del_accept_socket(server->evhttp, server->bound);
        server->bound = NULL;
        server->listener = NULL;
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
        guarded_end(g);
    }
    evhttp_free(server->evhttp);
    event_free(server->resume_accept);
    event_free(server->adopt);
    free(server);
}
