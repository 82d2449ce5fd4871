/*
 * jwt_claims - what the payload of a token whose signature is right says. Pure; any thread.
 */
#ifndef TAILWATER_AUTH_JWT_CLAIMS_H
#define TAILWATER_AUTH_JWT_CLAIMS_H

#include "jwt.h"

#include <jansson.h>

/* Are issuer, audience and times as they must be? Returns 0 with the expiry (ms of the wall clock, without skew;
 * 0 = never), or -1 with *err. */
int jwt_claims_check(const json_t *claims, const struct jwt_rules *rules, int64_t now_ms, int64_t *expires_ms,
                     struct error *err);

/* Who it is about, and what it grants. Returns an identity with one reference, or NULL with *err. */
struct identity *jwt_claims_identity(const json_t *claims, const struct jwt_rules *rules, struct error *err);

/* Take the valid channels and patterns out of an array of texts, or of one text with spaces or commas between them;
 * what is not valid is left out. Returns 0, or -1 when there are more than IDENTITY_CLAIMED_MAX. */
int jwt_claims_patterns(const json_t *claim, char ***out, unsigned *count);

#endif
