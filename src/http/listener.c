/* listener - see listener.h. */
#include "listener.h"

#include "buffer.h"
#include "log.h"

#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, ACCEPT_PAUSE_MS = 1000 };

struct listener {
    struct evconnlistener *socket; /* NULL: closed */
    struct event *resume;
    bool is_held;
};

/* The error callback gets evhttp as its argument and no way from there to us. */
static _Thread_local struct listener *listener_of_thread;

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

int listener_probe(const char *host, int port, const char *option, struct error *err)
{
    struct addrinfo *address = resolve(host, port, err);
    if (!address) {
        return -1;
    }
    int on = 1, rc = 0;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, 1) != 0) {
        rc = errno == EADDRINUSE
                 ? error_set(err, "port %d of %s is in use by another program; choose another one with %s (%s)", port,
                             host, option, strerror(errno))
                 : error_set(err, "cannot listen on port %d of %s: %s", port, host, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    freeaddrinfo(address);
    return rc;
}

/* --- accepting, and not -------------------------------------------------------------------------------- */

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct listener *listener = arg;
    if (listener->socket) {
        evconnlistener_enable(listener->socket);
    }
}

/* Out of descriptors: a level-triggered listener would spin at full speed (reference/reliability fact 14). */
static void on_accept_error(struct evconnlistener *socket, void *evhttp)
{
    (void)evhttp;
    static struct log_limit limit;
    struct timeval pause = {ACCEPT_PAUSE_MS / 1000, 0};
    log_write_limited(&limit, LOG_LEVEL_WARN, "http", "cannot accept: %s; pausing for a second", strerror(errno));
    evconnlistener_disable(socket);
    evtimer_add(listener_of_thread->resume, &pause);
}

void listener_hold(struct listener *listener)
{
    listener->is_held = true;
    evconnlistener_disable(listener->socket);
}

void listener_go_on(struct listener *listener)
{
    if (listener->is_held && listener->socket) {
        evconnlistener_enable(listener->socket);
    }
    listener->is_held = false;
}

/* --- life ------------------------------------------------------------------------------------------- */

static struct evconnlistener *bind_to(struct event_base *base, const struct addrinfo *address)
{
    unsigned flags = LEV_OPT_REUSEABLE | LEV_OPT_REUSEABLE_PORT | LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC;
    return evconnlistener_new_bind(base, NULL, NULL, flags, BACKLOG, address->ai_addr, (int)address->ai_addrlen);
}

struct listener *listener_new(struct event_base *base, const char *host, int port, struct error *err)
{
    struct addrinfo *address = resolve(host, port, err);
    if (!address) {
        return NULL;
    }
    struct evconnlistener *socket = bind_to(base, address);
    freeaddrinfo(address);
    if (!socket) {
        error_set(err, "cannot listen on %s port %d: %s", host, port, strerror(errno));
        return NULL;
    }
    struct listener *listener = memory_zero(1, sizeof *listener);
    listener->socket = socket;
    listener->resume = evtimer_new(base, on_resume, listener);
    return listener;
}

struct evconnlistener *listener_socket(const struct listener *listener)
{
    return listener->socket;
}

void listener_enter_thread(struct listener *listener)
{
    listener_of_thread = listener;
    evconnlistener_set_error_cb(listener->socket, on_accept_error);
}

void listener_closed(struct listener *listener)
{
    listener->socket = NULL;
    evtimer_del(listener->resume);
}

void listener_free(struct listener *listener)
{
    if (listener) {
        event_free(listener->resume);
        free(listener);
    }
}
