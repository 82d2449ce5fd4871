/*
 * ticket - a short signed text that carries an identity in a URL, for EventSource, which cannot send headers (CONTRACT
 * section 5). Signed by HS256 with a key that is derived from the ticket secret, so that a ticket is never a token,
 * nor a token a ticket, even where both secrets are the same. Any thread.
 */
#ifndef TAILWATER_AUTH_TICKET_H
#define TAILWATER_AUTH_TICKET_H

#include "error.h"
#include "identity.h"

#include <stdint.h>

enum { TICKET_SKEW_MS = 1000 }; /* how far the clocks of instances may differ */

struct ticket_key; /* constant once made */

/* NULL with *err when the secret is too short. */
struct ticket_key *ticket_key_new(const char *secret, struct error *err);
void ticket_key_free(struct ticket_key *key); /* NULL is fine */

/* See access_ticket(). */
char *ticket_make(const struct ticket_key *key, const struct identity *identity, const char *subscription,
                  int64_t now_ms);

enum ticket_outcome { TICKET_GOOD, TICKET_BAD, TICKET_EXPIRED };

/* subscription: what the request asks for. For TICKET_GOOD *out is one reference, else *err a sentence. */
enum ticket_outcome ticket_check(const struct ticket_key *key, const char *text, const char *subscription,
                                 int64_t now_ms, struct identity **out, struct error *err);

#endif
