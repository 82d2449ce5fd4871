/* jwt_keys - which keys are taken, what they are good for, and which are left out with a sentence. */
#include "forge.h"
#include "jwt_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include <cmocka.h>

static const char secret[] = "a secret of more than thirty-two bytes";
static EVP_PKEY *rsa, *ec;

static int begin(void **state)
{
    (void)state;
    rsa = forge_rsa(2048);
    ec = forge_ec("P-256");
    return 0;
}

static int end(void **state)
{
    (void)state;
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
    return ERR_peek_error() == 0 ? 0 : -1;
}

/* Frees the text. */
static int add(struct jwt_keys *keys, char *text, struct error *err)
{
    *keys = (struct jwt_keys){0};
    int rc = jwt_keys_add_set(keys, text, strlen(text), err);
    free(text);
    return rc;
}

/* A set of this key alone cannot be used. */
static void refuse(char *jwk, const char *sentence)
{
    struct jwt_keys keys;
    struct error err;
    assert_int_equal(add(&keys, forge_text("{\"keys\":[%s]}", jwk), &err), -1);
    char *expected = forge_text("no key in it can be used: key 1%s", sentence);
    assert_string_equal(err.text, expected);
    assert_int_equal(keys.count, 0);
    free(expected);
    jwt_keys_fini(&keys);
    free(jwk);
}

static unsigned found(const struct jwt_keys *keys, enum jws_alg alg, const char *kid)
{
    const struct jwt_key *out[JWT_KEYS_TRIED_MAX];
    return jwt_keys_find(keys, alg, kid, out);
}

static void test_algorithms(void **state)
{
    (void)state;
    static const struct {
        const char *extra;
        unsigned algs;
    } cases[] = {{"", JWS_RS256 | JWS_PS256}, {"\"alg\":\"RS256\",", JWS_RS256}, {"\"alg\":\"PS256\",", JWS_PS256},
                 {"\"use\":\"sig\",\"key_ops\":[\"verify\"],", JWS_RS256 | JWS_PS256}};
    struct jwt_keys keys;
    struct error err;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(add(&keys, forge_jwk(rsa, cases[i].extra), &err), 0);
        assert_int_equal(keys.keys[0].algs, cases[i].algs);
        assert_int_equal(keys.keys[0].signature_len, 256);
        jwt_keys_fini(&keys);
    }
    assert_int_equal(add(&keys, forge_jwk(ec, ""), &err), 0);
    assert_int_equal(keys.keys[0].algs, JWS_ES256);
    jwt_keys_fini(&keys);
    assert_int_equal(add(&keys, forge_jwk_secret(secret, ""), &err), 0);
    assert_int_equal(keys.keys[0].algs, JWS_HS256);
    jwt_keys_fini(&keys);
}

static void test_refused(void **state)
{
    (void)state;
    static const char eddsa[] = " is left out: EdDSA is not supported by this build's JOSE library";
    static const char misfit[] = " is left out: its alg does not fit its kty";
    static const char unknown[] = " is left out: its algorithm is none of HS256, RS256, PS256 and ES256";
    EVP_PKEY *weak = forge_rsa(1024), *p384 = forge_ec("P-384");
    refuse(forge_jwk(weak, ""), " is left out: RSA of 1024 bits; 2048 to 8192 are allowed");
    refuse(forge_jwk(rsa, "\"alg\":\"HS256\","), misfit);
    refuse(forge_jwk(rsa, "\"alg\":\"ES256\","), misfit);
    refuse(forge_jwk(ec, "\"alg\":\"RS256\",\"kid\":\"k\","), " (k) is left out: its alg does not fit its kty");
    refuse(forge_jwk(rsa, "\"alg\":\"RS512\","), unknown);
    refuse(forge_jwk(rsa, "\"alg\":\"RSA-OAEP\","), unknown);
    refuse(forge_jwk(rsa, "\"alg\":5,"), unknown);
    refuse(forge_jwk(rsa, "\"kid\":5,"), " is left out: its kid is not a text");
    refuse(strdup("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"),
           eddsa);
    refuse(forge_jwk(ec, "\"alg\":\"EdDSA\","), eddsa);
    refuse(strdup("{\"kty\":\"rsa\"}"), " is left out: its kty is none of RSA, EC and oct");
    refuse(strdup("{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"}"),
           " is left out: its curve is not P-256, the one of ES256");
    refuse(strdup("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}"),
           " is left out: it is not a point of its curve");
    refuse(forge_jwk(p384, ""), " is left out: it is not a point of its curve"); /* called P-256 */
    refuse(strdup("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\","
                  "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}"),
           " is left out: the JOSE library does not take it");
    refuse(strdup("{\"kty\":\"RSA\",\"n\":\"!\",\"e\":\"AQAB\"}"),
           " is left out: RSA of 0 bits; 2048 to 8192 are allowed");
    refuse(strdup("5"), " is left out: it is not a JSON object");
    refuse(forge_jwk_secret("short", ""), " is left out: a secret of 5 bytes; HS256 needs at least 32");
    EVP_PKEY_free(weak);
    EVP_PKEY_free(p384);
}

/* With the exponent 1 every number is its own signature. */
static void test_exponents(void **state)
{
    (void)state;
    static const char *const wrong[] = {"AQ", "AA", "Ag", "AQAAAAAAAAAB"};
    char *jwk = forge_jwk(rsa, "");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char *e = strstr(jwk, "\"e\":");
        refuse(forge_text("%.*s\"e\":\"%s\"}", (int)(e - jwk), jwk, wrong[i]),
               " is left out: RSA with an exponent that cannot be used");
    }
    free(jwk);
}

static void test_texts(void **state)
{
    (void)state;
    struct jwt_keys keys;
    struct error err;
    static const char *const none[] = {"{}", "[]", "{\"keys\":{}}", "{\"keys\":null}"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_int_equal(add(&keys, strdup(none[i]), &err), -1);
        assert_string_equal(err.text, "it is no key set: expected {\"keys\": [...]}");
    }
    static const char *const broken[] = {"", "5", "{\"keys\":[", "{\"keys\":[],\"keys\":[]}",
                                         "-----BEGIN PUBLIC KEY-----"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        assert_int_equal(add(&keys, strdup(broken[i]), &err), -1);
        assert_memory_equal(err.text, "it is not JSON", 14);
    }
    assert_int_equal(add(&keys, strdup("{\"keys\":[]}"), &err), -1);
    assert_string_equal(err.text, "no key in it can be used");
}

/* A set as login services publish it: what is not for us does not spoil the rest. */
static void test_mixed_set(void **state)
{
    (void)state;
    struct jwt_keys keys;
    struct error err;
    char *a = forge_jwk(rsa, "\"kid\":\"a\",\"use\":\"sig\",\"alg\":\"RS256\",\"x5c\":[\"MII\"],");
    char *b = forge_jwk(rsa, "\"kid\":\"b\",\"use\":\"enc\",\"alg\":\"RSA-OAEP\",");
    char *c = forge_jwk(rsa, "\"kid\":\"c\",\"key_ops\":[\"encrypt\"],");
    char *d = forge_jwk(ec, "\"kid\":\"d\",\"d\":\"not a private key\",");
    char *set = forge_text("{\"keys\":[%s,%s,%s,{\"kty\":\"OKP\",\"kid\":\"o\"},%s]}", a, b, c, d);
    assert_int_equal(add(&keys, set, &err), 0);
    assert_int_equal(keys.count, 2);
    assert_int_equal(keys.note_count, 1);
    assert_string_equal(keys.notes[0], "key 4 (o) is left out: EdDSA is not supported by this build's JOSE library");
    assert_int_equal(found(&keys, JWS_RS256, "a"), 1);
    assert_int_equal(found(&keys, JWS_RS256, "b"), 0);
    assert_int_equal(found(&keys, JWS_RS256, "A"), 0);
    assert_int_equal(found(&keys, JWS_PS256, "a"), 0);
    assert_int_equal(found(&keys, JWS_PS256, NULL), 0);
    assert_int_equal(found(&keys, JWS_ES256, "d"), 1);
    assert_int_equal(found(&keys, JWS_ES256, NULL), 1);
    assert_int_equal(found(&keys, JWS_HS256, NULL), 0);
    jwt_keys_fini(&keys);
    free(a);
    free(b);
    free(c);
    free(d);
}

/* A token without kid must not cost more than a few signatures. */
static void test_tried(void **state)
{
    (void)state;
    struct jwt_keys keys = {0};
    struct error err;
    for (int i = 0; i < 12; i++) {
        char *jwk = forge_jwk(ec, i < 11 ? "\"kid\":\"many\"," : "\"kid\":\"one\",");
        assert_int_equal(jwt_keys_add_set(&keys, jwk, strlen(jwk), &err), 0);
        free(jwk);
    }
    assert_int_equal(found(&keys, JWS_ES256, NULL), JWT_KEYS_TRIED_MAX);
    assert_int_equal(found(&keys, JWS_ES256, "many"), JWT_KEYS_TRIED_MAX);
    assert_int_equal(found(&keys, JWS_ES256, "one"), 1);
    jwt_keys_fini(&keys);
}

static void test_secret(void **state)
{
    (void)state;
    struct jwt_keys keys = {0};
    struct error err;
    assert_int_equal(jwt_keys_add_secret(&keys, "0123456789012345678901234567890", &err), -1);
    assert_string_equal(err.text, "it has 31 bytes; a secret for HS256 needs at least 32");
    assert_int_equal(jwt_keys_add_secret(&keys, "01234567890123456789012345678901", &err), 0);
    assert_int_equal(found(&keys, JWS_HS256, NULL), 1);
    assert_int_equal(found(&keys, JWS_HS256, "whatever"), 1);
    assert_int_equal(found(&keys, JWS_RS256, NULL), 0);
    jwt_keys_fini(&keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_algorithms), cmocka_unit_test(test_refused), cmocka_unit_test(test_exponents),
        cmocka_unit_test(test_texts),      cmocka_unit_test(test_mixed_set), cmocka_unit_test(test_tried),
        cmocka_unit_test(test_secret),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
