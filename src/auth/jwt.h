/*
 * jwt - from a token (RFC 7519) to an identity. Any thread.
 */
#ifndef TAILWATER_AUTH_JWT_H
#define TAILWATER_AUTH_JWT_H

#include "error.h"
#include "identity.h"
#include "jwt_keys.h"

#include <stddef.h>
#include <stdint.h>

struct jwt_rules {
    char *issuer, *audience; /* NULL = any */
    char *grants_claim;
    int64_t skew_s;
};

/* Returns an identity with one reference, or NULL with a sentence that may be shown to whoever sent the token. */
struct identity *jwt_identify(const struct jwt_keys *keys, const struct jwt_rules *rules, const char *token,
                              size_t len, int64_t now_ms, struct error *err);

#endif
