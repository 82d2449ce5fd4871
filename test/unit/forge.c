/* forge - see forge.h. */
#include "forge.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIGNATURE_MAX = 1024, COORDINATE = 32 };

static void must(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "forge: %s\n", what);
        abort();
    }
}

char *forge_text(const char *format, ...)
{
    char *out = NULL;
    va_list arguments;
    va_start(arguments, format);
    must(vasprintf(&out, format, arguments) >= 0, "memory");
    va_end(arguments);
    return out;
}

char *forge_base64url(const void *bytes, size_t len)
{
    char *out = malloc(len * 4 / 3 + 8);
    must(out != NULL, "memory");
    int n = EVP_EncodeBlock((unsigned char *)out, bytes, (int)len);
    while (n > 0 && out[n - 1] == '=') {
        n--;
    }
    out[n] = '\0';
    for (char *p = out; *p; p++) {
        *p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
    }
    return out;
}

/* --- keys ------------------------------------------------------------------------------------------ */

EVP_PKEY *forge_rsa(unsigned bits)
{
    EVP_PKEY *key = EVP_RSA_gen(bits);
    must(key != NULL, "an RSA key");
    return key;
}

EVP_PKEY *forge_ec(const char *curve)
{
    EVP_PKEY *key = EVP_EC_gen(curve);
    must(key != NULL, "an EC key");
    return key;
}

/* A number of the key, at least min bytes long. */
static char *number(EVP_PKEY *key, const char *name, int min)
{
    BIGNUM *value = NULL;
    must(EVP_PKEY_get_bn_param(key, name, &value) == 1, name);
    int len = BN_num_bytes(value) > min ? BN_num_bytes(value) : min;
    uint8_t *bytes = malloc((size_t)len);
    must(bytes && BN_bn2binpad(value, bytes, len) == len, "bytes of a number");
    char *text = forge_base64url(bytes, (size_t)len);
    BN_free(value);
    free(bytes);
    return text;
}

char *forge_jwk(EVP_PKEY *key, const char *extra)
{
    int is_rsa = EVP_PKEY_is_a(key, "RSA");
    char *a = number(key, is_rsa ? "n" : "qx", is_rsa ? 1 : COORDINATE);
    char *b = number(key, is_rsa ? "e" : "qy", is_rsa ? 1 : COORDINATE);
    char *jwk = is_rsa ? forge_text("{%s\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}", extra, a, b)
                       : forge_text("{%s\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"}", extra, a, b);
    free(a);
    free(b);
    return jwk;
}

char *forge_jwk_secret(const char *secret, const char *extra)
{
    char *k = forge_base64url(secret, strlen(secret));
    char *jwk = forge_text("{%s\"kty\":\"oct\",\"k\":\"%s\"}", extra, k);
    free(k);
    return jwk;
}

/* --- signatures ------------------------------------------------------------------------------------ */

static char *signing_input(const char *header, const char *payload)
{
    char *a = forge_base64url(header, strlen(header)), *b = forge_base64url(payload, strlen(payload));
    char *input = forge_text("%s.%s", a, b);
    free(a);
    free(b);
    return input;
}

char *forge_signed(const char *header, const char *payload, const void *signature, size_t len)
{
    char *input = signing_input(header, payload), *text = forge_base64url(signature, len);
    char *token = forge_text("%s.%s", input, text);
    free(input);
    free(text);
    return token;
}

/* From ASN.1 to r and s one behind the other. */
static size_t raw_ecdsa(uint8_t *signature, size_t len)
{
    const uint8_t *at = signature;
    ECDSA_SIG *parts = d2i_ECDSA_SIG(NULL, &at, (long)len);
    must(parts != NULL, "an ECDSA signature");
    must(BN_bn2binpad(ECDSA_SIG_get0_r(parts), signature, COORDINATE) == COORDINATE &&
             BN_bn2binpad(ECDSA_SIG_get0_s(parts), signature + COORDINATE, COORDINATE) == COORDINATE,
         "its parts");
    ECDSA_SIG_free(parts);
    return 2 * COORDINATE;
}

char *forge_token(const char *header, const char *payload, enum forge_alg alg, EVP_PKEY *key)
{
    uint8_t signature[SIGNATURE_MAX];
    size_t len = sizeof signature;
    char *input = signing_input(header, payload);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_context;
    must(EVP_DigestSignInit(context, &key_context, EVP_sha256(), NULL, key) == 1, "signing");
    if (alg == FORGE_PS256) {
        must(EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) == 1 &&
                 EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST) == 1,
             "padding");
    }
    must(EVP_DigestSign(context, signature, &len, (const uint8_t *)input, strlen(input)) == 1, "a signature");
    EVP_MD_CTX_free(context);
    free(input);
    if (alg == FORGE_ES256) {
        len = raw_ecdsa(signature, len);
    }
    return forge_signed(header, payload, signature, len);
}

char *forge_hs256(const char *header, const char *payload, const void *secret, size_t secret_len)
{
    uint8_t signature[32];
    char *input = signing_input(header, payload);
    must(HMAC(EVP_sha256(), secret, (int)secret_len, (const uint8_t *)input, strlen(input), signature, NULL) != NULL,
         "an HMAC");
    free(input);
    return forge_signed(header, payload, signature, sizeof signature);
}
