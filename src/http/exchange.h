/*
 * exchange - one HTTP request and its one answer; the server of one loop that brings them. The only file that includes
 * evhttp's header, because evhttp has traps that nobody else should have to know (reference/engineering C1).
 *
 * An exchange lives from the handler's call until it is answered, turned into a stream, or its client is gone. Thread:
 * the loop's.
 */
#ifndef TAILWATER_HTTP_EXCHANGE_H
#define TAILWATER_HTTP_EXCHANGE_H

#include "door.h"
#include "error.h"
#include "frame.h"
#include "guard.h"
#include "ip_address.h"
#include "pipe.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exchange;
struct http_server;
struct tls;

enum { HTTP_STATUS_END = 600 };

enum exchange_method {
    METHOD_GET = 1,
    METHOD_HEAD = 2,
    METHOD_POST = 4,
    METHOD_OPTIONS = 8,
    METHOD_PATCH = 16,
    METHOD_DELETE = 32,
    METHOD_PUT = 64,
    METHOD_OTHER = 128,
};

typedef void exchange_handler_fn(struct exchange *exchange, void *arg);

/* Figures that the servers of a process share. */
struct http_server_counters {
    _Atomic uint64_t *sockets, *sockets_refused; /* connections of any kind: now; closed at once for want of room */
    _Atomic uint64_t *handshake_failures;
    _Atomic uint64_t *queued_bytes; /* unsent now, of all streams */
    _Atomic uint64_t *answers;      /* by status, HTTP_STATUS_END of them; NULL = not counted */
};

struct http_server_options {
    struct event_base *base;
    const char *host; /* IP address or "localhost" */
    int port;
    struct tls *tls;                 /* NULL = plain HTTP */
    uint64_t sockets_max;            /* of all servers together, as *counters.sockets counts them */
    struct http_server_counters counters;
    struct guard_options guard;      /* what requests may be like; release is set by the server */
    /* May this peer have one more connection? DOOR_COUNTED: leave() is told when it is gone. NULL = everyone may. */
    enum door_answer (*enter)(const struct ip_address *peer, void *arg);
    void (*leave)(const struct ip_address *peer, void *arg);
    exchange_handler_fn *handler;    /* called for every request; must answer, stream or defer */
    void *arg;
};

/* Listen; several servers of one process share the port. Returns NULL with *err. */
struct http_server *http_server_new(const struct http_server_options *options, struct error *err);

/* To be called first on the thread that will run the loop. */
void http_server_enter_thread(struct http_server *server);

/* Accept nothing more; what is open goes on. */
void http_server_stop_listening(struct http_server *server);

/* Close everything. Streams must have been closed before. */
void http_server_free(struct http_server *server);

/* --- the request; everything borrowed until the answer ------------------------------------------ */

enum exchange_method exchange_method(const struct exchange *exchange);
bool exchange_is_http10(const struct exchange *exchange);

/* Path and query as sent (not decoded), without and after the '?'; of http://host/path what follows the host. */
struct slice exchange_path(const struct exchange *exchange);
struct slice exchange_query(const struct exchange *exchange);

/* A request header's value, or NULL. */
const char *exchange_header(const struct exchange *exchange, const char *name);

/* The values of all headers of a name, joined by commas, as text for free(); "" when there is none. */
char *exchange_header_list(const struct exchange *exchange, const char *name);

/* The other end of the connection: perhaps a proxy. */
struct ip_address exchange_peer(const struct exchange *exchange);

/* Does it say that its body is JSON? */
bool exchange_has_json(const struct exchange *exchange);

/* The body, contiguous. */
struct slice exchange_body(struct exchange *exchange);

/* --- the answer ----------------------------------------------------------------------------------- */

/* Add a header to the answer to come. Values with CR or LF are dropped. X-Content-Type-Options and Referrer-Policy are
 * there already. */
void exchange_add_header(struct exchange *exchange, const char *name, const char *value);

/* Answer and end the exchange. A HEAD request gets the headers only. */
void exchange_reply(struct exchange *exchange, int status, const char *content_type, const void *body, size_t len);

/* The answer will come later. gone(arg) is called, once, when the client leaves before: the exchange is over then. */
void exchange_defer(struct exchange *exchange, void (*gone)(void *arg), void *arg);

/* Answer 200 with the headers added so far and go on as a stream of bytes; the exchange is over. */
struct pipe *exchange_stream(struct exchange *exchange, const char *content_type, const struct pipe_options *options);

#endif
