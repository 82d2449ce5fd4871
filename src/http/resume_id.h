/*
 * resume_id - a client's Last-Event-ID as one point per source: a plain id belongs to the first source, a vector
 * "a<id>~b<id>" to the tagged ones (CONTRACT section 3). Pure.
 */
#ifndef TAILWATER_HTTP_RESUME_ID_H
#define TAILWATER_HTTP_RESUME_ID_H

#include "context.h"
#include "event_id.h"

#include <stdbool.h>

struct resume_id {
    struct event_id points[CONTEXT_SOURCES_MAX]; /* by source index; cluster_time 0 = none */
    bool unknown;                                /* a tag of no source, or a source without a point */
};

/* Returns 0, or -1 when the form is wrong. */
int resume_id_parse(const char *text, const struct http_context *context, struct resume_id *out);

/* Is this point's time plausible, at most 60 s ahead of the deployment's own clock? True while that is not known. */
bool resume_id_is_plausible(struct event_id point, struct source *source);

#endif
