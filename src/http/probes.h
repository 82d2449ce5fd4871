/*
 * probes - what supervisors and balancers ask: is this process alive, is it ready, how is it. Any thread.
 */
#ifndef TAILWATER_HTTP_PROBES_H
#define TAILWATER_HTTP_PROBES_H

#include "buffer.h"
#include "context.h"

#include <stdbool.h>

enum { PROBES_STUCK_MS = 5000 }; /* a loop that has not turned for so long is stuck; it turns twice a second */

/* Does every loop turn? Never depends on MongoDB: a restart would not help it. Appends a line for each loop that
 * does not, or for every check where `verbose`: "[+]loop 0: ok". */
bool probes_alive(const struct http_context *context, bool verbose, struct buffer *out);

/* Should new streams be sent here? Not while stopping, while a loop is stuck, when all places are taken, and before every
 * source has been open once; what happens to MongoDB later does not count. Lines as probes_alive(). */
bool probes_ready(const struct http_context *context, bool verbose, struct buffer *out);

/* [us] since this loop turned last; 0 = it has not begun. */
int64_t probes_still_us(const struct http_context *context, unsigned loop);

/* The JSON of /health; returns its status, 200 or 503. */
int probes_health(struct http_context *context, struct buffer *out);

#endif
