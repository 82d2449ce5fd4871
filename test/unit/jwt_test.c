/* jwt - which tokens are believed, which are not, and what they say. */
#include "forge.h"
#include "jwt.h"
#include "jwt_make.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cmocka.h>

static const char secret[] = "a secret of more than thirty-two bytes";
static const int64_t now_ms = 1790000000000;

static EVP_PKEY *rsa, *other_rsa, *ec;
static char *rsa_jwk;
static struct jwt_keys keys;
static struct jwt_rules rules;

static void add_jwk(char *jwk)
{
    struct error err;
    if (jwt_keys_add_set(&keys, jwk, strlen(jwk), &err) != 0) {
        fail_msg("%s: %s", jwk, err.text);
    }
    free(jwk);
}

static int begin(void **state)
{
    (void)state;
    struct error err;
    rsa = forge_rsa(2048);
    other_rsa = forge_rsa(2048);
    ec = forge_ec("P-256");
    rsa_jwk = forge_jwk(rsa, "\"kid\":\"r\",");
    add_jwk(forge_jwk(rsa, "\"kid\":\"r\","));
    add_jwk(forge_jwk(other_rsa, "\"kid\":\"p\",\"alg\":\"PS256\","));
    add_jwk(forge_jwk(ec, "\"kid\":\"e\",\"use\":\"sig\","));
    return jwt_keys_add_secret(&keys, secret, &err);
}

static int end(void **state)
{
    (void)state;
    jwt_keys_fini(&keys);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(other_rsa);
    EVP_PKEY_free(ec);
    free(rsa_jwk);
    return 0;
}

static int set_rules(void **state)
{
    (void)state;
    static char claim[] = "channels";
    rules = (struct jwt_rules){.grants_claim = claim, .skew_s = 30};
    ERR_clear_error();
    return 0;
}

/* No test may leave an error of OpenSSL behind: the thread's next TLS connection would take it for its own. */
static int check_queue(void **state)
{
    (void)state;
    return ERR_peek_error() == 0 ? 0 : -1;
}

/* Frees the token. */
static struct identity *identify(char *token, struct error *err)
{
    *err = (struct error){.text = ""};
    struct identity *identity = jwt_identify(&keys, &rules, token, strlen(token), now_ms, err);
    free(token);
    return identity;
}

static struct identity *accept_token(char *token)
{
    struct error err;
    struct identity *identity = identify(token, &err);
    if (!identity) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(identity->kind, IDENTITY_TOKEN);
    return identity;
}

static void believe(char *token)
{
    identity_unref(accept_token(token));
}

static void refuse(char *token, const char *sentence)
{
    struct error err;
    struct identity *identity = identify(token, &err);
    assert_null(identity);
    assert_string_equal(err.text, sentence);
}

static char *hs256(const char *payload)
{
    return forge_hs256("{\"alg\":\"HS256\",\"typ\":\"JWT\"}", payload, secret, strlen(secret));
}

/* Signed well, with this header. */
static char *headed(const char *header)
{
    return forge_hs256(header, "{\"sub\":\"ann\"}", secret, strlen(secret));
}

#define UNSIGNED "the token is refused: it is not signed"
#define MALFORMED "the token is refused: it is not a signed token in its compact form"
#define NO_KEY "no key fits the token's algorithm and kid"
#define WRONG "the token's signature is wrong"

/* --- signatures ------------------------------------------------------------------------------------ */

static void test_good_ones(void **state)
{
    (void)state;
    static const char payload[] = "{\"sub\":\"ann\",\"exp\":1790000100}";
    believe(hs256(payload));
    believe(forge_token("{\"alg\":\"RS256\",\"kid\":\"r\"}", payload, FORGE_RS256, rsa));
    believe(forge_token("{\"alg\":\"PS256\",\"kid\":\"r\"}", payload, FORGE_PS256, rsa)); /* without alg: both */
    believe(forge_token("{\"alg\":\"PS256\",\"kid\":\"p\"}", payload, FORGE_PS256, other_rsa));
    believe(forge_token("{\"alg\":\"ES256\",\"kid\":\"e\",\"typ\":\"at+JWT\"}", payload, FORGE_ES256, ec));
    believe(forge_hs256("{\"alg\":\"HS256\",\"kid\":\"any\"}", payload, secret, strlen(secret)));
}

static void test_no_kid(void **state)
{
    (void)state;
    believe(forge_token("{\"alg\":\"RS256\"}", "{\"sub\":\"ann\"}", FORGE_RS256, rsa));
    believe(forge_token("{\"alg\":\"PS256\"}", "{\"sub\":\"ann\"}", FORGE_PS256, other_rsa));
    believe(forge_token("{\"alg\":\"ES256\"}", "{\"sub\":\"ann\"}", FORGE_ES256, ec));
    refuse(forge_token("{\"alg\":\"RS256\"}", "{\"sub\":\"ann\"}", FORGE_RS256, other_rsa), WRONG); /* PS256 only */
}

static void test_wrong_kid(void **state)
{
    (void)state;
    refuse(forge_token("{\"alg\":\"RS256\",\"kid\":\"x\"}", "{\"sub\":\"ann\"}", FORGE_RS256, rsa), NO_KEY);
    refuse(forge_token("{\"alg\":\"RS256\",\"kid\":\"R\"}", "{\"sub\":\"ann\"}", FORGE_RS256, rsa), NO_KEY);
    refuse(forge_token("{\"alg\":\"RS256\",\"kid\":\"\"}", "{\"sub\":\"ann\"}", FORGE_RS256, rsa), NO_KEY);
    refuse(forge_token("{\"alg\":\"RS256\",\"kid\":\"e\"}", "{\"sub\":\"ann\"}", FORGE_RS256, rsa), NO_KEY);
    refuse(forge_token("{\"alg\":\"RS256\",\"kid\":\"../../etc/passwd\"}", "{\"sub\":\"ann\"}", FORGE_RS256, rsa),
           NO_KEY);
    refuse(forge_token("{\"alg\":\"RS256\",\"kid\":\"' OR 1=1 --\"}", "{\"sub\":\"ann\"}", FORGE_RS256, rsa), NO_KEY);
    refuse(forge_token("{\"alg\":\"RS256\",\"kid\":5}", "{\"sub\":\"ann\"}", FORGE_RS256, rsa),
           "the token is refused: its header's kid is not a text");
}

static void test_none(void **state)
{
    (void)state;
    static const char *const spellings[] = {"none", "None", "NONE", "nOnE"};
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        char *header = forge_text("{\"alg\":\"%s\"}", spellings[i]);
        refuse(forge_signed(header, "{\"sub\":\"ann\"}", "", 0), MALFORMED);
        refuse(forge_signed(header, "{\"sub\":\"ann\"}", "x", 1), UNSIGNED);
        refuse(headed(header), UNSIGNED);
        free(header);
    }
    static const char *const others[] = {"{\"alg\":\"\"}",       "{\"alg\":\"none \"}", "{\"alg\":\"hs256\"}",
                                         "{\"alg\":\"HS256 \"}", "{\"alg\":\"HS384\"}", "{\"alg\":\"RS512\"}",
                                         "{\"alg\":\"HS25\"}",   "{\"alg\":\"ES256K\"}"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        refuse(headed(others[i]), "the token is refused: its algorithm is none of HS256, RS256, PS256 and ES256");
    }
    refuse(headed("{\"typ\":\"JWT\"}"), "the token is refused: its header names no algorithm");
    refuse(headed("{\"alg\":null}"), "the token is refused: its header's alg is not a text");
    refuse(headed("{\"alg\":[\"HS256\"]}"), "the token is refused: its header's alg is not a text");
    refuse(headed("{\"alg\":\"EdDSA\"}"), "the token is refused: EdDSA is not supported by this build's JOSE library");
}

/* An HS256 token whose secret is the public key, in every form that a careless verifier may take for a secret. */
static void test_confusion(void **state)
{
    (void)state;
    static const char *const headers[] = {"{\"alg\":\"HS256\"}", "{\"alg\":\"HS256\",\"kid\":\"r\"}"};
    uint8_t *der = NULL;
    int der_len = i2d_PUBKEY(rsa, &der);
    BIO *memory = BIO_new(BIO_s_mem());
    char *pem;
    assert_int_equal(PEM_write_bio_PUBKEY(memory, rsa), 1);
    long pem_len = BIO_get_mem_data(memory, &pem);
    for (size_t i = 0; i < 2; i++) {
        const char *payload = "{\"sub\":\"ann\"}";
        refuse(forge_hs256(headers[i], payload, pem, (size_t)pem_len), WRONG);
        refuse(forge_hs256(headers[i], payload, pem, (size_t)pem_len - 1), WRONG); /* without the last line break */
        refuse(forge_hs256(headers[i], payload, der, (size_t)der_len), WRONG);
        refuse(forge_hs256(headers[i], payload, rsa_jwk, strlen(rsa_jwk)), WRONG);
        refuse(forge_hs256(headers[i], payload, "", 0), WRONG);
    }
    BIO_free(memory);
    OPENSSL_free(der);
    /* And the other way round: the secret's HMAC under the name of RS256. */
    refuse(forge_hs256("{\"alg\":\"RS256\"}", "{\"sub\":\"ann\"}", secret, strlen(secret)), WRONG);
    /* A key for PS256 signs no RS256. */
    refuse(forge_token("{\"alg\":\"RS256\",\"kid\":\"p\"}", "{\"sub\":\"ann\"}", FORGE_RS256, other_rsa), NO_KEY);
    refuse(forge_token("{\"alg\":\"RS256\",\"kid\":\"r\"}", "{\"sub\":\"ann\"}", FORGE_PS256, rsa), WRONG);
}

static void test_no_key_for_hs256(void **state)
{
    (void)state;
    struct jwt_keys only_rsa = {0};
    struct error err;
    char *token = forge_hs256("{\"alg\":\"HS256\",\"kid\":\"r\"}", "{\"sub\":\"ann\"}", rsa_jwk, strlen(rsa_jwk));
    assert_int_equal(jwt_keys_add_set(&only_rsa, rsa_jwk, strlen(rsa_jwk), &err), 0);
    assert_null(jwt_identify(&only_rsa, &rules, token, strlen(token), now_ms, &err));
    assert_string_equal(err.text, NO_KEY);
    free(token);
    jwt_keys_fini(&only_rsa);
}

static void test_signatures_of_other_lengths(void **state)
{
    (void)state;
    static const uint8_t zero[512];
    static const char header[] = "{\"alg\":\"ES256\"}", payload[] = "{\"sub\":\"ann\"}";
    uint8_t half[64] = {0};
    refuse(forge_signed(header, payload, zero, 64), WRONG);
    half[63] = 1; /* r = 0, s = 1 */
    refuse(forge_signed(header, payload, half, 64), WRONG);
    refuse(forge_signed(header, payload, zero, 2), WRONG);
    refuse(forge_signed(header, payload, zero, 63), WRONG);
    refuse(forge_signed(header, payload, zero, 128), WRONG);
    /* libcjose compares 32 bytes of an HMAC, however few there are. */
    refuse(forge_signed("{\"alg\":\"HS256\"}", payload, zero, 1), WRONG);
    refuse(forge_signed("{\"alg\":\"HS256\"}", payload, zero, 31), WRONG);
    refuse(forge_signed("{\"alg\":\"RS256\"}", payload, zero, 256), WRONG);
    refuse(forge_signed("{\"alg\":\"RS256\"}", payload, zero, 512), WRONG);
    refuse(forge_signed("{\"alg\":\"PS256\"}", payload, zero, 256), WRONG);
}

/* One bit of the signature, or of what is signed. */
static void test_changed(void **state)
{
    (void)state;
    char *tokens[] = {hs256("{\"sub\":\"ann\"}"),
                      forge_token("{\"alg\":\"RS256\"}", "{\"sub\":\"ann\"}", FORGE_RS256, rsa),
                      forge_token("{\"alg\":\"ES256\"}", "{\"sub\":\"ann\"}", FORGE_ES256, ec)};
    for (size_t i = 0; i < 3; i++) {
        char *signature = strrchr(tokens[i], '.') + 1;
        *signature = *signature == 'A' ? 'B' : 'A';
        refuse(tokens[i], WRONG);
    }
    char *token = hs256("{\"sub\":\"ann\"}"), *other = hs256("{\"sub\":\"bob\"}");
    char *mixed = forge_text("%.*s%s", (int)(strrchr(other, '.') - other), other, strrchr(token, '.'));
    refuse(mixed, WRONG);
    free(token);
    free(other);
}

/* --- form ------------------------------------------------------------------------------------------ */

static void test_header(void **state)
{
    (void)state;
    static const char extensions[] = "the token is refused: it wants extensions (crit, b64) that are not supported";
    refuse(headed("{\"alg\":\"HS256\",\"crit\":[\"exp\"]}"), extensions);
    refuse(headed("{\"alg\":\"HS256\",\"crit\":[]}"), extensions);
    refuse(headed("{\"alg\":\"HS256\",\"b64\":false,\"crit\":[\"b64\"]}"), extensions);
    refuse(headed("{\"alg\":\"HS256\",\"b64\":true}"), extensions);
    refuse(headed("{\"alg\":\"HS256\",\"alg\":\"HS256\"}"), MALFORMED);
    refuse(headed("{\"alg\":\"none\",\"alg\":\"HS256\"}"), MALFORMED);
    refuse(headed("{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}"), MALFORMED);
    refuse(headed("[\"HS256\"]"), MALFORMED);
}

static void test_typ(void **state)
{
    (void)state;
    static const char sentence[] = "the token's typ is neither JWT nor at+jwt";
    believe(headed("{\"alg\":\"HS256\",\"typ\":\"jwt\"}"));
    refuse(headed("{\"alg\":\"HS256\",\"typ\":\"JOSE\"}"), sentence);
    refuse(headed("{\"alg\":\"HS256\",\"typ\":\"tailwater-ticket+jwt\"}"), sentence);
    refuse(headed("{\"alg\":\"HS256\",\"typ\":\"\"}"), sentence);
    refuse(headed("{\"alg\":\"HS256\",\"typ\":null}"), "the token is refused: its header's typ is not a text");
}

/* What a token says about where its key is to be had is not looked at. */
static void test_key_of_its_own(void **state)
{
    (void)state;
    char *jwk = forge_jwk(other_rsa, "");
    char *header = forge_text("{\"alg\":\"RS256\",\"kid\":\"r\",\"jku\":\"https://evil.example/\",\"x5u\":\"x\","
                              "\"jwk\":%s}",
                              jwk);
    refuse(forge_token(header, "{\"sub\":\"ann\"}", FORGE_RS256, other_rsa), WRONG);
    believe(forge_token(header, "{\"sub\":\"ann\"}", FORGE_RS256, rsa));
    free(jwk);
    free(header);
}

static void test_parts(void **state)
{
    (void)state;
    static const char *const texts[] = {"",      ".",        "..",         "...",     "a",      "a.b",     "a.b.",
                                        ".b.c",  "a..c",     "a.b.c.d",    "a.b.c=",  "YQ.YQ.YQ", " a.b.c", "a.b.c\n",
                                        "e30.e30.e30", "bnVsbA.e30.e30", "IiI.e30.e30"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct error err;
        assert_null(identify(strdup(texts[i]), &err));
    }
    char *token = hs256("{\"sub\":\"ann\"}");
    refuse(forge_text("%s.", token), MALFORMED);
    refuse(forge_text("%s.e30", token), MALFORMED);
    refuse(forge_text("%s=", token), MALFORMED);
    refuse(forge_text(" %s", token), MALFORMED);
    free(token);
}

/* The last digit of an HMAC has two bits, of a 256-byte signature four bits that mean nothing: only zeros are taken. */
static void test_base64url(void **state)
{
    (void)state;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *token = hs256("{\"sub\":\"ann\"}");
    size_t last = strlen(token) - 1;
    for (size_t i = 1; i < 4; i++) {
        char *changed = strdup(token);
        changed[last] = digits[(size_t)(strchr(digits, token[last]) - digits) + i];
        refuse(changed, MALFORMED);
    }
    char *standard = strdup(token);
    char *at = strpbrk(strchr(standard, '.') + 1, "ABCDEFGHIJKLMNOP");
    assert_non_null(at);
    *at = '+';
    refuse(standard, MALFORMED);
    free(token);
}

static void test_members_twice(void **state)
{
    (void)state;
    static const char sentence[] = "the token's payload is not a JSON object whose members stand once each";
    refuse(hs256("{\"sub\":\"ann\",\"sub\":\"root\"}"), sentence);
    refuse(hs256("{\"sub\":\"ann\",\"s\\u0075b\":\"root\"}"), sentence);
    refuse(hs256("{\"exp\":1,\"sub\":\"ann\",\"exp\":9999999999}"), sentence);
    refuse(hs256("{\"sub\":\"ann\",\"x\":{\"y\":1,\"y\":2}}"), sentence);
    refuse(hs256("[\"ann\"]"), sentence);
    refuse(hs256("null"), sentence);
    refuse(hs256("{\"sub\":\"ann\"} x"), sentence);
    refuse(hs256("{\"sub\":\"a\\u0000b\"}"), sentence);
    refuse(hs256("{\"sub\":\"\xff\"}"), sentence);
}

/* --- claims ---------------------------------------------------------------------------------------- */

static void test_times(void **state)
{
    (void)state;
    struct identity *identity = accept_token(hs256("{\"sub\":\"ann\",\"exp\":1790000100.5}"));
    assert_int_equal(identity->expires_ms, 1790000100500);
    identity_unref(identity);
    identity = accept_token(hs256("{\"sub\":\"ann\"}"));
    assert_int_equal(identity->expires_ms, 0);
    identity_unref(identity);
    believe(hs256("{\"sub\":\"ann\",\"exp\":1789999971}")); /* 29 s ago: within the skew */
    refuse(hs256("{\"sub\":\"ann\",\"exp\":1789999970}"), "the token has expired");
    refuse(hs256("{\"sub\":\"ann\",\"exp\":0}"), "the token has expired");
    refuse(hs256("{\"sub\":\"ann\",\"exp\":-1e300}"), "the token has expired");
    believe(hs256("{\"sub\":\"ann\",\"exp\":1e300}"));
    believe(hs256("{\"sub\":\"ann\",\"nbf\":1790000030}"));
    refuse(hs256("{\"sub\":\"ann\",\"nbf\":1790000031}"), "the token is not valid yet");
    refuse(hs256("{\"sub\":\"ann\",\"nbf\":1e300}"), "the token is not valid yet");
    refuse(hs256("{\"sub\":\"ann\",\"exp\":\"9999999999\"}"), "the token's exp is not a number");
    refuse(hs256("{\"sub\":\"ann\",\"exp\":null}"), "the token's exp is not a number");
    refuse(hs256("{\"sub\":\"ann\",\"nbf\":true}"), "the token's nbf is not a number");
    refuse(hs256("{\"sub\":\"ann\",\"exp\":1e400}"),
           "the token's payload is not a JSON object whose members stand once each");
}

static void test_issuer_and_audience(void **state)
{
    (void)state;
    static char issuer[] = "https://login.example", audience[] = "logs";
    rules.issuer = issuer;
    believe(hs256("{\"sub\":\"ann\",\"iss\":\"https://login.example\"}"));
    refuse(hs256("{\"sub\":\"ann\",\"iss\":\"https://login.example/\"}"), "the token's issuer is another one");
    refuse(hs256("{\"sub\":\"ann\",\"iss\":[\"https://login.example\"]}"), "the token's issuer is another one");
    refuse(hs256("{\"sub\":\"ann\"}"), "the token's issuer is another one");
    rules.issuer = NULL;
    rules.audience = audience;
    believe(hs256("{\"sub\":\"ann\",\"aud\":\"logs\"}"));
    believe(hs256("{\"sub\":\"ann\",\"aud\":[\"mail\",5,\"logs\"]}"));
    static const char *const wrong[] = {"\"log\"",     "\"logs2\"", "[]",          "[\"mail\"]",
                                        "{\"logs\":1}", "null",      "[[\"logs\"]]"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char *payload = forge_text("{\"sub\":\"ann\",\"aud\":%s}", wrong[i]);
        refuse(hs256(payload), "the token's audience is another one");
        free(payload);
    }
    refuse(hs256("{\"sub\":\"ann\"}"), "the token's audience is another one");
}

static void test_who(void **state)
{
    (void)state;
    struct identity *identity =
        accept_token(hs256("{\"sub\":\"Änn *:%\",\"workspace\":\"w1\",\"workspace_id\":\"w2\"}"));
    assert_string_equal(identity->user, "Änn *:%");
    assert_string_equal(identity->workspace, "w1");
    identity_unref(identity);
    identity = accept_token(hs256("{\"sub\":\"ann\",\"workspace_id\":\"w2\"}"));
    assert_string_equal(identity->workspace, "w2");
    identity_unref(identity);
    identity = accept_token(hs256("{\"sub\":\"ann\",\"workspace\":null}"));
    assert_null(identity->workspace);
    identity_unref(identity);
    static const char *const subs[] = {"{}", "{\"sub\":\"\"}", "{\"sub\":5}", "{\"sub\":null}", "{\"sub\":\"a\\nb\"}",
                                       "{\"sub\":\"\\u007f\"}", "{\"sub\":\"\\u0085\"}", "{\"sub\":\"\\u2028\"}"};
    for (size_t i = 0; i < sizeof subs / sizeof subs[0]; i++) {
        refuse(hs256(subs[i]), "the token's sub does not name a user");
    }
    char *giant = forge_text("{\"sub\":\"%0257d\"}", 1), *fitting = forge_text("{\"sub\":\"%0256d\"}", 1);
    refuse(hs256(giant), "the token's sub does not name a user");
    believe(hs256(fitting));
    free(giant);
    free(fitting);
    refuse(hs256("{\"sub\":\"ann\",\"workspace\":5}"), "the token's workspace is not a fitting text");
    refuse(hs256("{\"sub\":\"ann\",\"workspace\":\"\"}"), "the token's workspace is not a fitting text");
}

static void claims(const char *claim, unsigned count, const char *const *patterns)
{
    char *payload = forge_text("{\"sub\":\"ann\",\"channels\":%s}", claim);
    struct identity *identity = accept_token(hs256(payload));
    assert_int_equal(identity->claimed_count, count);
    for (unsigned i = 0; i < count; i++) {
        assert_string_equal(identity->claimed[i], patterns[i]);
    }
    identity_unref(identity);
    free(payload);
}

static void test_channels(void **state)
{
    (void)state;
    static const char *const two[] = {"logs:etl:*", "metrics:w1"};
    claims("[\"logs:etl:*\",\"metrics:w1\"]", 2, two);
    claims("\"logs:etl:*, metrics:w1 \"", 2, two);
    /* What is no pattern is left out, never widened. */
    claims("[\"logs:etl:*\",\"logs:*x\",\"\",5,null,[\"*\"],\"a::b\",\"a b\",\"logs:\",\"metrics:w1\",\"{user}%\"]", 2,
           two);
    claims("{\"logs\":true}", 0, NULL);
    claims("true", 0, NULL);
    claims("null", 0, NULL);
    claims("\"\"", 0, NULL);

    char text[8192] = "[\"a\"";
    for (int i = 1; i < IDENTITY_CLAIMED_MAX; i++) {
        strcat(text, ",\"a\"");
    }
    char *fitting = forge_text("{\"sub\":\"ann\",\"channels\":%s]}", text);
    believe(hs256(fitting));
    char *many = forge_text("{\"sub\":\"ann\",\"channels\":%s,\"a\"]}", text);
    refuse(hs256(many), "the token lists more than 256 channels");
    char *invalid = forge_text("{\"sub\":\"ann\",\"channels\":%s,7]}", text);
    refuse(hs256(invalid), "the token lists more than 256 channels");
    free(fitting);
    free(many);
    free(invalid);
}

static void test_made(void **state)
{
    (void)state;
    static const char *const patterns[] = {"logs:etl:*"};
    struct jwt_draft draft = {.user = "ann", .workspace = "w1", .issuer = "i", .audience = "a",
                              .grants_claim = "channels", .patterns = patterns, .pattern_count = 1, .now_s = now_ms / 1000,
                              .expires_s = now_ms / 1000 + 60};
    struct error err;
    static char issuer[] = "i", audience[] = "a";
    rules.issuer = issuer;
    rules.audience = audience;
    struct identity *identity = accept_token(jwt_make(secret, &draft, &err));
    assert_string_equal(identity->user, "ann");
    assert_string_equal(identity->workspace, "w1");
    assert_string_equal(identity->claimed[0], "logs:etl:*");
    assert_int_equal(identity->expires_ms, now_ms + 60000);
    identity_unref(identity);
    assert_null(jwt_make("short", &draft, &err));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_rules, check_queue)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_good_ones),   TEST(test_no_kid),          TEST(test_wrong_kid),
        TEST(test_none),        TEST(test_confusion),       TEST(test_no_key_for_hs256),
        TEST(test_header),      TEST(test_signatures_of_other_lengths),
        TEST(test_changed),     TEST(test_typ),             TEST(test_key_of_its_own),
        TEST(test_parts),       TEST(test_base64url),       TEST(test_members_twice),
        TEST(test_times),       TEST(test_issuer_and_audience), TEST(test_who),
        TEST(test_channels),    TEST(test_made),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
