/*
 * listener - where the connections of one loop come in; all loops of the process share the address (SO_REUSEPORT).
 * Accepting pauses by itself for a second when there are no descriptors left. Thread: the loop's, after it was made.
 */
#ifndef TAILWATER_HTTP_LISTENER_H
#define TAILWATER_HTTP_LISTENER_H

#include "error.h"

#include <event2/listener.h>

struct listener;

/* Is this address (an IP address or "localhost") free? option: what can be set to have another one. Returns 0, or -1 with
 * *err. To be asked before it is shared. */
int listener_probe(const char *host, int port, const char *option, struct error *err);

/* Bind and listen. Returns NULL with *err. */
struct listener *listener_new(struct event_base *base, const char *host, int port, struct error *err);

/* What evhttp accepts from, and closes: then listener_closed() must be told. */
struct evconnlistener *listener_socket(const struct listener *listener);

/* To be called first on the thread that will run the loop, after evhttp has taken the socket. */
void listener_enter_thread(struct listener *listener);

/* Accept nothing until listener_go_on(). */
void listener_hold(struct listener *listener);
void listener_go_on(struct listener *listener);

/* The socket is closed. */
void listener_closed(struct listener *listener);

void listener_free(struct listener *listener); /* NULL is fine */

#endif
