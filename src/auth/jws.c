/* jws - see jws.h. */
#include "jws.h"

#include "buffer.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    enum jws_alg alg;
} algorithms[] = {{"HS256", JWS_HS256}, {"RS256", JWS_RS256}, {"PS256", JWS_PS256}, {"ES256", JWS_ES256}};

enum { ALGORITHMS = sizeof algorithms / sizeof algorithms[0] };

enum jws_alg jws_alg_of(const char *name)
{
    for (size_t i = 0; i < ALGORITHMS; i++) {
        if (strcmp(name, algorithms[i].name) == 0) {
            return algorithms[i].alg;
        }
    }
    return 0;
}

int jws_refuse_alg(const char *name, struct error *err)
{
    if (strcasecmp(name, "EdDSA") == 0 || strcasecmp(name, "Ed25519") == 0) {
        return error_set(err, "EdDSA is not supported by this build's JOSE library");
    }
    return error_set(err, strcasecmp(name, "none") == 0
                              ? "it is not signed"
                              : "its algorithm is none of HS256, RS256, PS256 and ES256");
}

/* --- form ------------------------------------------------------------------------------------------ */

/* The value of a digit, or -1. */
static int digit(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool jws_is_base64url(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (digit(text[i]) < 0) {
            return false;
        }
    }
    int left_over = len % 4 == 2 ? 0xf : len % 4 == 3 ? 0x3 : 0;
    return len % 4 != 1 && (!left_over || (digit(text[len - 1]) & left_over) == 0);
}

static int malformed(struct error *err)
{
    return error_set(err, "it is not a signed token in its compact form");
}

/* Exactly three parts, none empty. Gives the header's length and where the signature begins. */
static int split(const char *text, size_t len, size_t *header_len, const char **signature)
{
    const char *first = memchr(text, '.', len);
    const char *second = first ? memchr(first + 1, '.', len - (size_t)(first + 1 - text)) : NULL;
    if (!second || first == text || second == first + 1 || second + 1 == text + len) {
        return -1;
    }
    size_t payload_len = (size_t)(second - first - 1), signature_len = (size_t)(text + len - second - 1);
    *header_len = (size_t)(first - text);
    *signature = second + 1;
    return jws_is_base64url(text, *header_len) && jws_is_base64url(first + 1, payload_len) &&
                   jws_is_base64url(second + 1, signature_len)
               ? 0
               : -1;
}

/* An object whose members stand once each, or NULL. */
static json_t *parse_object(const uint8_t *text, size_t len)
{
    json_t *value = json_loadb((const char *)text, len, JSON_REJECT_DUPLICATES, NULL);
    if (value && !json_is_object(value)) {
        json_decref(value);
        return NULL;
    }
    return value;
}

static json_t *parse_header(const char *text, size_t len)
{
    uint8_t *decoded = NULL;
    size_t decoded_len = 0;
    if (!cjose_base64url_decode(text, len, &decoded, &decoded_len, NULL)) {
        return NULL;
    }
    json_t *header = parse_object(decoded, decoded_len);
    free(decoded);
    return header;
}

/* A member that is text where it is there. */
static int read_text(const json_t *header, const char *name, const char **out, struct error *err)
{
    const json_t *value = json_object_get(header, name);
    *out = json_string_value(value);
    return value && !*out ? error_set(err, "its header's %s is not a text", name) : 0;
}

static int read_header(struct jws *jws, struct error *err)
{
    const char *alg;
    if (read_text(jws->header, "alg", &alg, err) != 0 || read_text(jws->header, "kid", &jws->kid, err) != 0 ||
        read_text(jws->header, "typ", &jws->typ, err) != 0) {
        return -1;
    }
    if (json_object_get(jws->header, "crit") || json_object_get(jws->header, "b64")) {
        return error_set(err, "it wants extensions (crit, b64) that are not supported");
    }
    if (!alg) {
        return error_set(err, "its header names no algorithm");
    }
    jws->alg = jws_alg_of(alg);
    return jws->alg ? 0 : jws_refuse_alg(alg, err);
}

int jws_read(const char *text, size_t len, struct jws *out, struct error *err)
{
    size_t header_len;
    const char *signature;
    *out = (struct jws){.text = text, .len = len};
    if (split(text, len, &header_len, &signature) != 0) {
        return malformed(err);
    }
    out->signature_len = (size_t)(text + len - signature) * 3 / 4;
    out->header = parse_header(text, header_len);
    if (!out->header) {
        return malformed(err);
    }
    if (read_header(out, err) != 0) {
        jws_fini(out);
        return -1;
    }
    return 0;
}

void jws_fini(struct jws *jws)
{
    json_decref(jws->header);
    jws->header = NULL;
}

/* --- signatures ------------------------------------------------------------------------------------ */

json_t *jws_verify(const struct jws *jws, const cjose_jwk_t *key, size_t signature_len, bool *is_malformed)
{
    *is_malformed = false;
    if (jws->signature_len != signature_len) {
        return NULL;
    }
    json_t *payload = NULL;
    uint8_t *text;
    size_t len;
    cjose_jws_t *library = cjose_jws_import(jws->text, jws->len, NULL);
    if (library && cjose_jws_verify(library, key, NULL) && cjose_jws_get_plaintext(library, &text, &len, NULL)) {
        payload = parse_object(text, len);
        *is_malformed = !payload;
    }
    cjose_jws_release(library);
    ERR_clear_error();
    return payload;
}

char *jws_sign(const cjose_jwk_t *key, const char *typ, const json_t *payload)
{
    char *text = json_dumps(payload, JSON_COMPACT), *out = NULL;
    const char *exported;
    cjose_header_t *header = cjose_header_new(NULL);
    cjose_jws_t *library = NULL;
    if (text && header && cjose_header_set(header, CJOSE_HDR_ALG, CJOSE_HDR_ALG_HS256, NULL) &&
        cjose_header_set(header, "typ", typ, NULL)) {
        library = cjose_jws_sign(key, header, (const uint8_t *)text, strlen(text), NULL);
    }
    if (library && cjose_jws_export(library, &exported, NULL)) {
        out = memory_text(exported);
    }
    cjose_jws_release(library);
    cjose_header_release(header);
    free(text);
    ERR_clear_error();
    return out;
}
