/*
 * fuzz_jwt - tokens, key sets and the headers they come in. The first byte of an input chooses:
 *   '0'  a token, as it is;
 *   '1'  header and payload (behind the first line feed), which are signed here, so that the claims are reached;
 *   '2'  a key set;
 *   '3'  an Authorization and a Cookie header.
 * Who is believed has a fitting name and at most so many patterns, all valid; a refusal is told in a sentence; nothing
 * is left in OpenSSL's queue of errors.
 */
#include "credential.h"
#include "jwt.h"
#include "tailwater/channel.h"

#include "must.h"

#include <openssl/err.h>
#include <openssl/hmac.h>

static const char secret[] = "a secret of more than thirty-two bytes";

static const char set[] = "{\"keys\":["
    "{\"kid\":\"r\",\"kty\":\"RSA\",\"n\":\"pRvQE_Wn8pz3LMkwQmSPWSmzQLQamcpUtuVrLuKC9FMibNG3c4eArg5afzMTH"
    "HQKvOooKxJNgq-titlDHiiupVDnw8_HSKiis776rapR9anHnQBxA9h_2nCQLrUc-SxWzMtjhHaMstdVO-nN2ony02beoMaPjbf8P"
    "dvMS1cUXHkZ2IqkaKJ7V2C_ONX0NXgTgSC4Hb_WDM-cCJxPCBDl1vjbTuAdpwqDivFKaIFJqSLlYFJeJQrYJie9ZrPe7Fe5ApDLD"
    "zqzk80Dp_5qvj-ifd2Sor0-zoOUJ3m3CEIP_NIzvjWsNjmGWV5zZ0arnqabMZHphzwnOXneBNuWISHFow\",\"e\":\"AQAB\"}"
    ","
    "{\"kid\":\"e\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"WQpwj4Yl4n7v5lg-yvLbUBvF1VEAn8eVx1I21ZFYGeg"
    "\",\"y\":\"IgW-PoNvio6eZUEj57PZAQwe-MsVAbXeIV7l_KWiSek\"}"
    "]}";

static struct jwt_keys keys;

static void set_up(void)
{
    struct error err;
    must(jwt_keys_add_set(&keys, set, sizeof set - 1, &err) == 0 && keys.count == 2, "the key set");
    must(jwt_keys_add_secret(&keys, secret, &err) == 0, "the secret");
}

static void check_identity(const struct identity *identity)
{
    must(identity->user && identity_name_fits(identity->user), "a user");
    must(!identity->workspace || identity_name_fits(identity->workspace), "a workspace");
    must(identity->claimed_count <= IDENTITY_CLAIMED_MAX, "not too many patterns");
    must(identity->expires_ms >= 0, "a time");
    for (unsigned i = 0; i < identity->claimed_count; i++) {
        must(!tailwater_channel_problem(identity->claimed[i], strlen(identity->claimed[i]), true), "valid patterns");
    }
}

static void try_token(const char *token, size_t len)
{
    static char claim[] = "channels", issuer[] = "i", audience[] = "a";
    const struct jwt_rules strict = {issuer, audience, claim, 30}, lax = {NULL, NULL, claim, 0};
    for (int i = 0; i < 2; i++) {
        struct error err = {.text = ""};
        struct identity *identity = jwt_identify(&keys, i ? &lax : &strict, token, len, 1790000000000, &err);
        if (identity) {
            check_identity(identity);
            identity_unref(identity);
        } else {
            must(err.text[0] != '\0', "a sentence");
        }
        must(ERR_peek_error() == 0, "no error left behind");
    }
}

static char *append_base64url(char *at, const void *bytes, size_t len)
{
    int n = EVP_EncodeBlock((unsigned char *)at, bytes, (int)len);
    while (n > 0 && at[n - 1] == '=') {
        n--;
    }
    for (int i = 0; i < n; i++) {
        at[i] = at[i] == '+' ? '-' : at[i] == '/' ? '_' : at[i];
    }
    return at + n;
}

static void try_signed(const uint8_t *text, size_t len)
{
    const uint8_t *line = memchr(text, '\n', len);
    size_t header_len = line ? (size_t)(line - text) : len;
    const uint8_t *payload = line ? line + 1 : text + len;
    uint8_t signature[32];
    char *token = malloc(2 * len + 128);
    must(token != NULL, "out of memory");
    char *at = append_base64url(token, text, header_len);
    *at++ = '.';
    at = append_base64url(at, payload, (size_t)(text + len - payload));
    HMAC(EVP_sha256(), secret, sizeof secret - 1, (uint8_t *)token, (size_t)(at - token), signature, NULL);
    *at++ = '.';
    at = append_base64url(at, signature, sizeof signature);
    try_token(token, (size_t)(at - token));
    free(token);
}

static void try_set(const char *text, size_t len)
{
    struct jwt_keys mine = {0};
    struct error err = {.text = ""};
    int rc = jwt_keys_add_set(&mine, text, len, &err);
    must((rc == 0) == (mine.count > 0), "a set has keys");
    must(rc == 0 || err.text[0], "a sentence");
    for (unsigned i = 0; i < mine.count; i++) {
        must(mine.keys[i].jwk && mine.keys[i].algs && mine.keys[i].signature_len >= 32, "a whole key");
    }
    jwt_keys_fini(&mine);
    must(ERR_peek_error() == 0, "no error left behind");
}

static void try_headers(const char *text)
{
    size_t len = 0;
    const char *value = NULL, *token = credential_bearer(text, &len);
    must(!token || (len > 0 && len < strlen(text) && strlen(token) == len), "a token in the header");
    if (credential_cookie(text, "tailwater", &value, &len) != CREDENTIAL_NO_COOKIE) {
        must(value > text && value + len <= text + strlen(text) && !memchr(value, ';', len), "a cookie in the header");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
    if (keys.count == 0) {
        set_up();
    }
    if (len < 1) {
        return 0;
    }
    char *text = must_copy_text(input + 1, len - 1);
    if (input[0] == '1') {
        try_signed(input + 1, len - 1);
    } else if (input[0] == '2') {
        try_set(text, len - 1);
    } else if (input[0] == '3') {
        try_headers(text);
    } else {
        char *exact = must_copy(input + 1, len - 1);
        try_token(exact, len - 1);
        free(exact);
    }
    free(text);
    return 0;
}
