/*
 * subscription - what one connection wants: channels and patterns, validated and widened as existing clients expect
 * (CONTRACT section 1), and the test whether a channel is among them.
 *
 * Thread: owner only; constant after it was made.
 */
#ifndef TAILWATER_HTTP_SUBSCRIPTION_H
#define TAILWATER_HTTP_SUBSCRIPTION_H

#include "buffer.h"
#include "context.h"
#include "error.h"
#include "params.h"

#include <stdbool.h>

/* What was asked for, each followed by what it was widened to: with the one goes the other. */
struct subscription_name {
    char *text;
    size_t len;
    bool widened;
};

struct subscription_channel {
    char *text; /* a name's */
    size_t len;
    bool is_pattern;
};

struct subscription {
    struct subscription_name *names; /* as they were asked for */
    unsigned name_count;
    struct subscription_channel *list; /* exact channels in order of their bytes, then patterns; no doubles */
    unsigned count, exact_count;
    char **unmatched; /* asked for, but nothing can produce them; names' texts */
    unsigned unmatched_count;
};

/* What a PATCH asks for; strings of their owner. */
struct subscription_change {
    char **add, **remove;
    unsigned add_count, remove_count;
};

/*
 * From channels=… or service=, workspace_id=, workflow_id= (function_id, resource_id), or the alias's template.
 * alias may be NULL. Returns 0, or -1 with *err and *code, the stable code of a 400.
 */
int subscription_new(const struct params *params, const struct http_alias *alias, const struct http_context *context,
                     struct subscription **out, const char **code, struct error *err);

/*
 * The subscription that a change makes of another, which stays as it is: first what is removed, then what is added.
 * With a channel goes what it was widened to; a wider one can also be removed alone; one that was also asked for by its
 * own name stays. Removing what is not there is no error. Returns as subscription_new().
 */
int subscription_changed(const struct subscription *old, const struct subscription_change *change,
                         const struct http_context *context, struct subscription **out, const char **code,
                         struct error *err);

void subscription_free(struct subscription *subscription);

/* Does the list hold exactly this channel or pattern? */
bool subscription_has(const struct subscription *subscription, const char *text, size_t len);

/* A copy of the channels and patterns, for memory_free_texts(); there are subscription->count. */
char **subscription_copy_texts(const struct subscription *subscription);

/* Append what it became, as members of a JSON object: "channels":[…],"denied":[],"unmatched":[…] */
void subscription_append_json(const struct subscription *subscription, struct buffer *out);

/* Is this channel wanted? */
bool subscription_wants(const struct subscription *subscription, struct slice channel);

/* Is any channel wanted that is of this pattern and that this source can produce? */
bool subscription_may_get(const struct subscription *subscription, struct slice pattern, struct catalog *catalog);

#endif
