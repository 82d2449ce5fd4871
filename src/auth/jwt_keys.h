/*
 * jwt_keys - the keys that tokens may be signed with: the secret of the configuration, and those of a key set (JWKS).
 * jansson splits the set, libcjose takes each key alone, so that one strange key does not spoil the rest.
 *
 * A key is pinned to its algorithm, by its `alg` or else its type; a token's header only chooses among keys of the
 * algorithm that it names, so that a public key never serves as a secret. Built by one thread, then constant.
 */
#ifndef TAILWATER_AUTH_JWT_KEYS_H
#define TAILWATER_AUTH_JWT_KEYS_H

#include "error.h"
#include "jws.h"

#include <stddef.h>

enum {
    JWT_RSA_BITS_MIN = 2048,
    JWT_RSA_BITS_MAX = 8192, /* a larger one would make each wrong token expensive */
    JWT_KEYS_TRIED_MAX = 8, /* for a token that does not say by which key */
};

struct jwt_key {
    char *kid;            /* NULL = has no name */
    bool any_kid;         /* the configuration's secret: there is only one, whatever the token calls it */
    unsigned algs;        /* of enum jws_alg */
    size_t signature_len; /* bytes */
    cjose_jwk_t *jwk;
};

struct jwt_keys {
    struct jwt_key *keys;
    unsigned count;
    char **notes; /* sentences about keys that were left out, for the operator */
    unsigned note_count;
};

void jwt_keys_fini(struct jwt_keys *keys);

/* Returns 0, or -1 when the secret is too short. */
int jwt_keys_add_secret(struct jwt_keys *keys, const char *secret, struct error *err);

/* Add the keys of a set, or a single key. Returns 0, or -1 with *err when it is none or no key in it can be used. */
int jwt_keys_add_set(struct jwt_keys *keys, const char *text, size_t len, struct error *err);

/* The keys by which a token with this header may be signed; returns how many, at most JWT_KEYS_TRIED_MAX. */
unsigned jwt_keys_find(const struct jwt_keys *keys, enum jws_alg alg, const char *kid,
                       const struct jwt_key *out[JWT_KEYS_TRIED_MAX]);

#endif
