/*
 * metrics - all figures in Prometheus' text format (0.0.4), out of the table in metrics.def. Any thread: everything it
 * reads is atomic or behind a leaf mutex; nothing is locked that fan-out needs for each event.
 */
#ifndef TAILWATER_HTTP_METRICS_H
#define TAILWATER_HTTP_METRICS_H

#include "buffer.h"
#include "context.h"

void metrics_append(struct http_context *context, struct buffer *out);

#endif
