/*
 * seat - a stream's place among those of its user and of its address, which are limited: taken before it opens, given
 * back when it ends. Counted for all loops together (core/tally.h). Thread: the loop's.
 */
#ifndef TAILWATER_HTTP_SEAT_H
#define TAILWATER_HTTP_SEAT_H

#include "context.h"
#include "identity.h"
#include "ip_address.h"

#include <stdbool.h>

struct seat {
    struct ip_address address;
    bool counts_user, counts_address, counts_catchup;
};

/* address: where the client is behind a trusted proxy, whose own connections are not counted; else NULL. Returns NULL
 * with *out, or the code of a temporary refusal: nothing is taken then. */
const char *seat_take(struct http_context *context, const struct identity *identity, const struct ip_address *address,
                      struct seat *out);

/* The stream begins to catch up from MongoDB. Returns 0, or -1 when its user has too many that do. */
int seat_begin_catchup(struct http_context *context, const struct identity *identity, struct seat *seat);
void seat_end_catchup(struct http_context *context, const struct identity *identity, struct seat *seat);

/* With the same identity; harmless when nothing is taken. */
void seat_leave(struct http_context *context, const struct identity *identity, struct seat *seat);

#endif
