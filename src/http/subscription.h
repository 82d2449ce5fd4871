/*
 * subscription - what one connection wants: channels and patterns, validated and widened as existing clients expect
 * (CONTRACT section 1), and the test whether a channel is among them.
 *
 * Thread: owner only; constant after subscription_new().
 */
#ifndef TAILWATER_HTTP_SUBSCRIPTION_H
#define TAILWATER_HTTP_SUBSCRIPTION_H

#include "context.h"
#include "error.h"
#include "params.h"

#include <stdbool.h>

struct subscription_channel {
    char *text;
    size_t len;
    bool is_pattern;
};

struct subscription {
    struct subscription_channel *list; /* exact channels in order of their bytes, then patterns; no doubles */
    unsigned count, exact_count;
    char **unmatched; /* asked for, but nothing can produce them */
    unsigned unmatched_count;
};

/*
 * From channels=… or service=, workspace_id=, workflow_id= (function_id, resource_id), or the alias's template.
 * alias may be NULL. Returns 0, or -1 with *err and *code, the stable code of a 400.
 */
int subscription_new(const struct params *params, const struct http_alias *alias, const struct http_context *context,
                     struct subscription **out, const char **code, struct error *err);
void subscription_free(struct subscription *subscription);

/* Is this channel wanted? */
bool subscription_wants(const struct subscription *subscription, struct slice channel);

/* Is any channel wanted that is of this pattern and that this source can produce? */
bool subscription_may_get(const struct subscription *subscription, struct slice pattern, struct catalog *catalog);

#endif
