/* jwt_keys - see jwt_keys.h. */
#include "jwt_keys.h"

#include "access.h"
#include "buffer.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_KID_MAX = 64, HMAC_BYTES = 32, ES256_BYTES = 64, COORDINATE_BYTES = 32 };

void jwt_keys_fini(struct jwt_keys *keys)
{
    for (unsigned i = 0; i < keys->count; i++) {
        free(keys->keys[i].kid);
        cjose_jwk_release(keys->keys[i].jwk);
    }
    free(keys->keys);
    memory_free_texts(keys->notes, keys->note_count);
    *keys = (struct jwt_keys){0};
}

static void add(struct jwt_keys *keys, struct jwt_key key)
{
    keys->keys = memory_resize(keys->keys, (keys->count + 1) * sizeof *keys->keys);
    keys->keys[keys->count++] = key;
}

int jwt_keys_add_secret(struct jwt_keys *keys, const char *secret, struct error *err)
{
    size_t len = strlen(secret);
    if (len < ACCESS_SECRET_MIN) {
        return error_set(err, "it has %zu bytes; a secret for HS256 needs at least %d", len, ACCESS_SECRET_MIN);
    }
    cjose_jwk_t *jwk = cjose_jwk_create_oct_spec((const uint8_t *)secret, len, NULL);
    if (!jwk) {
        return error_set(err, "it cannot be used as a key");
    }
    add(keys, (struct jwt_key){.any_kid = true, .algs = JWS_HS256, .signature_len = HMAC_BYTES, .jwk = jwk});
    return 0;
}

/* --- one key of a set ------------------------------------------------------------------------------ */

static const char *text_of(const json_t *jwk, const char *name)
{
    const char *text = json_string_value(json_object_get(jwk, name));
    return text ? text : "";
}

/* The bytes of a member in base64url, with leading zeros left out as integers may be written; for free(). NULL when it
 * is none. */
static uint8_t *bytes_of(const json_t *jwk, const char *name, size_t *len)
{
    const char *text = text_of(jwk, name);
    uint8_t *bytes = NULL;
    if (!text[0] || !jws_is_base64url(text, strlen(text)) ||
        !cjose_base64url_decode(text, strlen(text), &bytes, len, NULL)) {
        return NULL;
    }
    return bytes;
}

static unsigned bits_of(const uint8_t *bytes, size_t len)
{
    while (len && !*bytes) {
        bytes++;
        len--;
    }
    unsigned bits = (unsigned)len * 8;
    for (unsigned top = len ? *bytes : 0; top && !(top & 0x80); top <<= 1) {
        bits--;
    }
    return bits;
}

/* What `alg` pins the key to; without one, all that its type can do. 0 with *err when it is nothing that is served. */
static unsigned pinned(const json_t *jwk, unsigned possible, struct error *err)
{
    const json_t *alg = json_object_get(jwk, "alg");
    if (!alg) {
        return possible;
    }
    const char *name = text_of(jwk, "alg");
    enum jws_alg named = jws_alg_of(name);
    if (!named) {
        jws_refuse_alg(name, err);
        return 0;
    }
    if (!(named & possible)) {
        error_set(err, "its alg does not fit its kty");
    }
    return named & possible;
}

static int read_rsa(const json_t *jwk, struct jwt_key *key, struct error *err)
{
    size_t n_len = 0, e_len = 0;
    uint8_t *n = bytes_of(jwk, "n", &n_len), *e = bytes_of(jwk, "e", &e_len);
    unsigned bits = n ? bits_of(n, n_len) : 0, e_bits = e ? bits_of(e, e_len) : 0;
    bool odd = e && e_len && (e[e_len - 1] & 1);
    free(n);
    free(e);
    if (bits < JWT_RSA_BITS_MIN || bits > JWT_RSA_BITS_MAX) {
        return error_set(err, "RSA of %u bits; %d to %d are allowed", bits, JWT_RSA_BITS_MIN, JWT_RSA_BITS_MAX);
    }
    if (!odd || e_bits < 2 || e_bits > 64) {
        return error_set(err, "RSA with an exponent that cannot be used");
    }
    key->signature_len = (bits + 7) / 8;
    key->algs = pinned(jwk, JWS_RS256 | JWS_PS256, err);
    return key->algs ? 0 : -1;
}

static bool is_coordinate(const json_t *jwk, const char *name)
{
    size_t len = 0;
    uint8_t *bytes = bytes_of(jwk, name, &len);
    free(bytes);
    return bytes && len == COORDINATE_BYTES;
}

static int read_ec(const json_t *jwk, struct jwt_key *key, struct error *err)
{
    if (strcmp(text_of(jwk, "crv"), "P-256") != 0) {
        return error_set(err, "its curve is not P-256, the one of ES256");
    }
    if (!is_coordinate(jwk, "x") || !is_coordinate(jwk, "y")) {
        return error_set(err, "it is not a point of its curve");
    }
    key->signature_len = ES256_BYTES;
    key->algs = pinned(jwk, JWS_ES256, err);
    return key->algs ? 0 : -1;
}

static int read_oct(const json_t *jwk, struct jwt_key *key, struct error *err)
{
    size_t len = 0;
    uint8_t *bytes = bytes_of(jwk, "k", &len);
    free(bytes);
    if (!bytes || len < ACCESS_SECRET_MIN) {
        return error_set(err, "a secret of %zu bytes; HS256 needs at least %d", bytes ? len : 0, ACCESS_SECRET_MIN);
    }
    key->signature_len = HMAC_BYTES;
    key->algs = pinned(jwk, JWS_HS256, err);
    return key->algs ? 0 : -1;
}

static int read_type(const json_t *jwk, struct jwt_key *key, struct error *err)
{
    const char *kty = text_of(jwk, "kty");
    if (strcmp(kty, "RSA") == 0) {
        return read_rsa(jwk, key, err);
    }
    if (strcmp(kty, "EC") == 0) {
        return read_ec(jwk, key, err);
    }
    if (strcmp(kty, "oct") == 0) {
        return read_oct(jwk, key, err);
    }
    return strcmp(kty, "OKP") == 0 ? jws_refuse_alg("EdDSA", err)
                                   : error_set(err, "its kty is none of RSA, EC and oct");
}

/* Only what verifying needs goes to the library: no private parts, nothing that is not looked at here. */
static cjose_jwk_t *import(const json_t *jwk)
{
    static const char *const members[] = {"kty", "n", "e", "crv", "x", "y", "k"};
    json_t *reduced = json_object();
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        json_object_set(reduced, members[i], json_object_get(jwk, members[i]));
    }
    cjose_jwk_t *key = cjose_jwk_import_json(reduced, NULL);
    json_decref(reduced);
    ERR_clear_error();
    return key;
}

/* --- the set --------------------------------------------------------------------------------------- */

/* Is it meant for something else than checking signatures? */
static bool is_for_others(const json_t *jwk)
{
    const json_t *use = json_object_get(jwk, "use"), *operations = json_object_get(jwk, "key_ops"), *operation;
    size_t i;
    if (use && strcmp(text_of(jwk, "use"), "sig") != 0) {
        return true;
    }
    json_array_foreach(operations, i, operation)
    {
        const char *name = json_string_value(operation);
        if (name && strcmp(name, "verify") == 0) {
            return false;
        }
    }
    return operations != NULL;
}

static int read_key(const json_t *jwk, struct jwt_key *key, struct error *err)
{
    const json_t *kid = json_object_get(jwk, "kid");
    if (!json_is_object(jwk)) {
        return error_set(err, "it is not a JSON object");
    }
    if (kid && !json_is_string(kid)) {
        return error_set(err, "its kid is not a text");
    }
    if (read_type(jwk, key, err) != 0) {
        return -1;
    }
    key->jwk = import(jwk);
    if (!key->jwk) {
        return error_set(err, "the JOSE library does not take it");
    }
    key->kid = kid ? memory_text(json_string_value(kid)) : NULL;
    return 0;
}

static void add_note(struct jwt_keys *keys, size_t index, const json_t *jwk, const struct error *why)
{
    struct buffer note = BUFFER_INIT;
    buffer_printf(&note, "key %zu", index + 1);
    if (text_of(jwk, "kid")[0]) {
        buffer_printf(&note, " (%.*s)", SHOWN_KID_MAX, text_of(jwk, "kid"));
    }
    buffer_printf(&note, " is left out: %s", why->text);
    keys->notes = memory_resize(keys->notes, (keys->note_count + 1) * sizeof *keys->notes);
    keys->notes[keys->note_count++] = memory_text(buffer_text(&note));
    buffer_fini(&note);
}

/* Returns how many keys are taken. */
static unsigned add_each(struct jwt_keys *keys, const json_t *list)
{
    unsigned before = keys->count;
    const json_t *jwk;
    size_t i;
    json_array_foreach(list, i, jwk)
    {
        struct jwt_key key = {0};
        struct error why;
        if (is_for_others(jwk)) {
            continue;
        }
        if (read_key(jwk, &key, &why) == 0) {
            add(keys, key);
        } else {
            add_note(keys, i, jwk, &why);
        }
    }
    return keys->count - before;
}

/* The list of a set; a single key as a list of one. A new reference, or NULL. */
static json_t *list_of(json_t *set)
{
    json_t *list = json_object_get(set, "keys");
    if (json_is_array(list)) {
        return json_incref(list);
    }
    return json_object_get(set, "kty") ? json_pack("[O]", set) : NULL;
}

int jwt_keys_add_set(struct jwt_keys *keys, const char *text, size_t len, struct error *err)
{
    json_error_t problem;
    json_t *set = json_loadb(text, len, JSON_REJECT_DUPLICATES, &problem);
    if (!set) {
        return error_set(err, "it is not JSON (line %d)", problem.line);
    }
    json_t *list = list_of(set);
    unsigned taken = add_each(keys, list);
    bool is_set = list != NULL;
    json_decref(list);
    json_decref(set);
    if (!is_set) {
        return error_set(err, "it is no key set: expected {\"keys\": [...]}");
    }
    if (taken == 0) {
        return error_set(err, "no key in it can be used%s%s", keys->note_count ? ": " : "",
                         keys->note_count ? keys->notes[keys->note_count - 1] : "");
    }
    return 0;
}

static bool fits(const struct jwt_key *key, enum jws_alg alg, const char *kid)
{
    if (!(key->algs & alg)) {
        return false;
    }
    return !kid || key->any_kid || (key->kid && strcmp(key->kid, kid) == 0);
}

unsigned jwt_keys_find(const struct jwt_keys *keys, enum jws_alg alg, const char *kid,
                       const struct jwt_key *out[JWT_KEYS_TRIED_MAX])
{
    unsigned count = 0;
    for (unsigned i = 0; i < keys->count && count < JWT_KEYS_TRIED_MAX; i++) {
        if (fits(&keys->keys[i], alg, kid)) {
            out[count++] = &keys->keys[i];
        }
    }
    return count;
}
