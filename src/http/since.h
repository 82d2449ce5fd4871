/*
 * since - the parameter since=: a moment in the past, as ISO 8601, as milliseconds since 1970, or relative to now as
 * "-15m" (s, m, h, d). Now is the deployment's clock, as far as it is known. Pure; any thread.
 */
#ifndef TAILWATER_HTTP_SINCE_H
#define TAILWATER_HTTP_SINCE_H

#include "error.h"
#include "source.h"

#include <stdint.h>

/* Milliseconds since 1970, at least 1. Returns 0, or -1 with *err: another form, or the future. */
int since_parse(const char *text, struct source *source, int64_t *since_ms, struct error *err);

#endif
