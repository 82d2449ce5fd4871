/*
 * jws - signed texts in their compact form (RFC 7515), three parts of base64url: what tokens and tickets share.
 *
 * libcjose does the cryptography. Here is what it leaves open: strict base64url, JSON members only once, no critical
 * extensions, the length of signatures (libcjose compares a short HMAC beyond its end), and one algorithm for one
 * key. Keys are only read: any thread, and several threads may use one key at the same time.
 *
 * After each use of the library OpenSSL's queue of errors is emptied: what is left there would be taken for an error of
 * the TLS connection that the thread serves next.
 */
#ifndef TAILWATER_AUTH_JWS_H
#define TAILWATER_AUTH_JWS_H

#include "error.h"

#include <cjose/cjose.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Bits, so that a key can be good for several. */
enum jws_alg { JWS_HS256 = 1, JWS_RS256 = 2, JWS_PS256 = 4, JWS_ES256 = 8 };

/* The algorithm of this name, or 0. */
enum jws_alg jws_alg_of(const char *name);

/* What messages say of "EdDSA", or of another algorithm that is not served. Returns -1. */
int jws_refuse_alg(const char *name, struct error *err);

struct jws {
    enum jws_alg alg;
    const char *kid, *typ; /* of the header, borrowed from it; NULL = not there */
    size_t signature_len;
    json_t *header;
    const char *text;      /* borrowed */
    size_t len;
};

/* Read the form and the header; nothing in it is proved yet. Returns 0, and jws_fini() is due, or -1 with *err. */
int jws_read(const char *text, size_t len, struct jws *out, struct error *err);
void jws_fini(struct jws *jws);

/*
 * Check the signature with this key, of which the caller knows that it is meant for jws->alg. Returns the payload, a
 * new reference to an object; NULL when the signature is wrong, and with *malformed also set when it is right, but the
 * payload is no JSON object or has a member twice.
 */
json_t *jws_verify(const struct jws *jws, const cjose_jwk_t *key, size_t signature_len, bool *malformed);

/* Sign an object with HS256; text for free(). The key is of bytes. */
char *jws_sign(const cjose_jwk_t *key, const char *typ, const json_t *payload);

/* base64url without padding and with nothing in the bits that are left over: a value has one spelling only. */
bool jws_is_base64url(const char *text, size_t len);

#endif
