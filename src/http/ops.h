/*
 * ops - the listener for those who run it: /livez, /readyz, /metrics, /health on an address of their own, over plain
 * HTTP and without a token, for what they tell names no reader, workspace or channel.
 *
 * On a thread of its own, with connections of its own (OPS_SOCKETS_MAX, kept free by app/descriptors.c): it answers
 * also while every loop is stuck and clients have taken all descriptors.
 */
#ifndef TAILWATER_HTTP_OPS_H
#define TAILWATER_HTTP_OPS_H

#include "context.h"
#include "error.h"

enum { OPS_SOCKETS_MAX = 16 };

struct ops;

/* Make it and bind its listener; what connects waits until it is started. Main thread. Returns NULL with *err. */
struct ops *ops_new(struct http_context *context, const char *host, int port, struct error *err);

/* Answer from now on, on a thread of its own: when nothing of the context changes any more but its figures. */
void ops_start(struct ops *ops);

/* Main thread: stop it and free it, while the context still stands. NULL is fine. */
void ops_free(struct ops *ops);

#endif
