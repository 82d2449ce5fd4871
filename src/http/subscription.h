/*
 * subscription - what one connection gets: the channels and patterns that it asked for, validated and widened as existing
 * clients expect (CONTRACT section 1), then cut down to what it may read, and the test whether a channel is among that.
 * subscription.c reads what is asked for, subscription_grant.c makes of it what is granted.
 *
 * Everything behind it (topic index, replay, history, gaps) sees only the granted list: what is not granted is never
 * looked at. Thread: owner only; constant after it was granted.
 */
#ifndef TAILWATER_HTTP_SUBSCRIPTION_H
#define TAILWATER_HTTP_SUBSCRIPTION_H

#include "buffer.h"
#include "context.h"
#include "error.h"
#include "params.h"

#include <stdbool.h>

enum { SUBSCRIPTION_GRANTED_MAX = 4096 }; /* channels and patterns in the list */

/* What was asked for, each followed by what it was widened to: with the one goes the other. */
struct subscription_name {
    char *text;
    size_t len;
    bool widened;
};

struct subscription_channel {
    char *text; /* a name's, or among those that were made */
    size_t len;
    bool is_pattern;
};

struct subscription {
    struct subscription_name *names; /* as they were asked for */
    unsigned name_count;
    struct subscription_channel *list; /* granted: exact channels in order of their bytes, then patterns; no doubles */
    unsigned count, exact_count;
    char **made; /* texts of the list that are narrower than any name */
    unsigned made_count;
    char **denied, **unmatched; /* asked for, but nothing of it is granted; nothing can produce it. Names' texts */
    unsigned denied_count, unmatched_count;
};

/* What a PATCH asks for; strings of their owner. */
struct subscription_change {
    char **add, **remove;
    unsigned add_count, remove_count;
};

/*
 * What is asked for; nothing is granted yet. From channels=… or service=, workspace_id=, workflow_id= (function_id, resource_id), or the alias's template.
 * alias may be NULL. Returns 0, or -1 with *err and *code, the stable code of a 400.
 */
int subscription_new(const struct params *params, const struct http_alias *alias, const struct http_context *context,
                     struct subscription **out, const char **code, struct error *err);

/*
 * What is asked for when a change is made to another subscription, which stays as it is: first what is removed, then what is added.
 * With a channel goes what it was widened to; a wider one can also be removed alone; one that was also asked for by its
 * own name stays. Removing what is not there is no error. Returns as subscription_new().
 */
int subscription_changed(const struct subscription *old, const struct subscription_change *change,
                         const struct http_context *context, struct subscription **out, const char **code,
                         struct error *err);

/* What another one asks for, to be granted anew. */
struct subscription *subscription_copy_asked(const struct subscription *subscription);

/*
 * Cut it down to what these valid channels and patterns grant: fills list, denied and unmatched; once. The list may be
 * empty then. Returns 0, or -1 with *err and *code where it would become too long.
 */
int subscription_grant(struct subscription *subscription, const struct http_context *context, char *const *patterns,
                       unsigned count, const char **code, struct error *err);

void subscription_free(struct subscription *subscription); /* NULL is fine */

/* Does the list hold exactly this channel or pattern? */
bool subscription_has(const struct subscription *subscription, const char *text, size_t len);

/* Does the list hold a channel or pattern that takes all of this one? */
bool subscription_covers(const struct subscription *subscription, const char *text, size_t len);

/* Append what was asked for in an order of its own, joined by commas: the same for the same questions. */
void subscription_append_asked(const struct subscription *subscription, struct buffer *out);

/* A copy of the channels and patterns, for memory_free_texts(); there are subscription->count. */
char **subscription_copy_texts(const struct subscription *subscription);

/* Append what it became, as members of a JSON object: "channels":[…],"denied":[…],"unmatched":[…] */
void subscription_append_json(const struct subscription *subscription, struct buffer *out);

/* Is this channel wanted? */
bool subscription_wants(const struct subscription *subscription, struct slice channel);

/* Is any channel wanted that is of these patterns (joined by commas) and that this source can produce? */
bool subscription_may_get(const struct subscription *subscription, struct slice patterns, struct catalog *catalog);

#endif
