/*
 * jwt_make - making a token, for development. Any thread.
 */
#ifndef TAILWATER_AUTH_JWT_MAKE_H
#define TAILWATER_AUTH_JWT_MAKE_H

#include "error.h"

#include <stdint.h>

struct jwt_draft {
    const char *user, *workspace;      /* workspace: NULL = none */
    const char *issuer, *audience;     /* NULL = none */
    const char *grants_claim;
    const char *const *patterns;
    unsigned pattern_count;
    int64_t now_s, expires_s;          /* expires_s: 0 = never */
};

/* A token signed by HS256 with the secret; text for free(), or NULL with *err. */
char *jwt_make(const char *secret, const struct jwt_draft *draft, struct error *err);

#endif
