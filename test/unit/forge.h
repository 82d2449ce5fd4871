/*
 * forge - tokens for tests, signed by OpenSSL itself rather than by the library that checks them: any header, any
 * payload, any key, also those that nobody should accept. Texts are for free().
 */
#ifndef TAILWATER_TEST_FORGE_H
#define TAILWATER_TEST_FORGE_H

#include <openssl/evp.h>
#include <stddef.h>

enum forge_alg { FORGE_HS256, FORGE_RS256, FORGE_PS256, FORGE_ES256 };

/* Keys; freed with EVP_PKEY_free(). */
EVP_PKEY *forge_rsa(unsigned bits);
EVP_PKEY *forge_ec(const char *curve);

/* The public half as a JWK; extra: more members, such as "\"kid\":\"a\",", or "". */
char *forge_jwk(EVP_PKEY *key, const char *extra);
char *forge_jwk_secret(const char *secret, const char *extra);

char *forge_base64url(const void *bytes, size_t len);

/* "header.payload.signature" of these texts. */
char *forge_token(const char *header, const char *payload, enum forge_alg alg, EVP_PKEY *key);
char *forge_hs256(const char *header, const char *payload, const void *secret, size_t secret_len);

/* With a signature of one's own. */
char *forge_signed(const char *header, const char *payload, const void *signature, size_t len);

/* snprintf() into new memory. */
char *forge_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
