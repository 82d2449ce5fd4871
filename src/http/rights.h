/*
 * rights - who sent a request and what they may read at this moment: a token's claim, the configuration and the grants
 * collection together (CONTRACT section 6).
 *
 * A request is identified once; a stream then keeps the identity and the set of the collection it was last given
 * (stream_grants.c). Thread: the loop's.
 */
#ifndef TAILWATER_HTTP_RIGHTS_H
#define TAILWATER_HTTP_RIGHTS_H

#include "access.h"
#include "exchange.h"
#include "grants.h"
#include "loop.h"
#include "subscription.h"

#include <stdbool.h>

struct rights {
    struct identity *identity; /* one reference */
    struct grant_set *grants;  /* what the collection says, one reference; NULL = nothing */
    char **patterns;           /* all that may be read */
    unsigned count;
};

/* A request that is not let in: what to answer. A temporary refusal of a stream is worded by its endpoint. */
struct rights_refusal {
    int status;       /* 401, 403 or 503 */
    const char *code; /* constant */
    struct error error;
};

/*
 * Who asks, and what may they read? params: where a ticket may stand, or NULL. subscription: what is asked for, where a ticket
 * is a way in; else NULL. Returns 0 with *out, for rights_fini(), or -1 with *refusal.
 */
int rights_read(struct loop *loop, const struct exchange *exchange, const struct params *params,
                const struct subscription *subscription, struct rights *out, struct rights_refusal *refusal);

/* The same for an identity that is known already. Takes neither; grants may be NULL. */
void rights_of(const struct http_context *context, struct identity *identity, struct grant_set *grants,
               struct rights *out);

void rights_fini(struct rights *rights);

/* May all of this valid channel or pattern be read? */
bool rights_cover(const struct rights *rights, const char *channel);

/* Has the collection said anything else about this identity since it said this? */
bool rights_have_changed(const struct http_context *context, const struct identity *identity,
                         const struct grant_set *grants);

/* Answer a refusal, also with what it is counted as. */
void rights_refuse(struct loop *loop, struct exchange *exchange, const struct rights_refusal *refusal);

/* Nothing of what was asked for may be read. */
void rights_refuse_all(struct loop *loop, struct exchange *exchange);

/* Was the request passed on by a proxy that the configuration trusts? */
bool rights_trusts_peer(const struct loop *loop, const struct exchange *exchange);

#endif
