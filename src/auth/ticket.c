/*
 * ticket - see ticket.h.
 *
 * Payload: sub and ws (user, workspace), ch (claimed patterns), end (when the identity expires), until (when the ticket
 * does; both ms of the wall clock), for (hash of the subscription; only in one that renews).
 */
#include "ticket.h"

#include "access.h"
#include "buffer.h"
#include "jws.h"
#include "jwt_claims.h"
#include "token_hash.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

static const char ticket_typ[] = "tailwater-ticket+jwt";
static const char key_label[] = "tailwater ticket 1"; /* another label makes all tickets before it worthless */

enum { KEY_BYTES = 32, SUBSCRIPTION_DIGITS = 32 };

struct ticket_key {
    cjose_jwk_t *jwk;
};

struct ticket_key *ticket_key_new(const char *secret, struct error *err)
{
    size_t len = strlen(secret);
    if (len < ACCESS_SECRET_MIN) {
        error_set(err, "it has %zu bytes; at least %d are needed", len, ACCESS_SECRET_MIN);
        return NULL;
    }
    uint8_t derived[KEY_BYTES];
    cjose_jwk_t *jwk = NULL;
    if (HMAC(EVP_sha256(), secret, (int)len, (const uint8_t *)key_label, sizeof key_label - 1, derived, NULL)) {
        jwk = cjose_jwk_create_oct_spec(derived, sizeof derived, NULL);
    }
    OPENSSL_cleanse(derived, sizeof derived);
    if (!jwk) {
        error_set(err, "it cannot be used as a key");
        return NULL;
    }
    struct ticket_key *key = memory_new(sizeof *key);
    key->jwk = jwk;
    return key;
}

void ticket_key_free(struct ticket_key *key)
{
    if (key) {
        cjose_jwk_release(key->jwk);
        free(key);
    }
}

static void hash_subscription(const char *subscription, char out[SUBSCRIPTION_DIGITS + 1])
{
    char digits[TOKEN_HASH_TEXT];
    struct token_hash hash = token_hash_of(subscription, strlen(subscription));
    token_hash_format(&hash, digits);
    memcpy(out, digits, SUBSCRIPTION_DIGITS);
    out[SUBSCRIPTION_DIGITS] = '\0';
}

/* --- making ---------------------------------------------------------------------------------------- */

static json_t *payload_of(const struct identity *identity, const char *subscription, int64_t now_ms)
{
    int64_t longest_ms = now_ms + (int64_t)ACCESS_RENEW_MAX_S * 1000;
    int64_t end_ms = identity->expires_ms ? identity->expires_ms : longest_ms;
    int64_t until_ms = now_ms + (int64_t)ACCESS_TICKET_S * 1000;
    json_t *payload = json_object();
    json_object_set_new(payload, "sub", json_string(identity->user));
    if (identity->workspace) {
        json_object_set_new(payload, "ws", json_string(identity->workspace));
    }
    if (identity->claimed_count) {
        json_t *patterns = json_array();
        for (unsigned i = 0; i < identity->claimed_count; i++) {
            json_array_append_new(patterns, json_string(identity->claimed[i]));
        }
        json_object_set_new(payload, "ch", patterns);
    }
    if (subscription) {
        char digits[SUBSCRIPTION_DIGITS + 1];
        hash_subscription(subscription, digits);
        json_object_set_new(payload, "for", json_string(digits));
        until_ms = end_ms < longest_ms ? end_ms : longest_ms;
    }
    json_object_set_new(payload, "end", json_integer(end_ms));
    json_object_set_new(payload, "until", json_integer(until_ms));
    return payload;
}

char *ticket_make(const struct ticket_key *key, const struct identity *identity, const char *subscription,
                  int64_t now_ms)
{
    if (!identity->user) {
        return NULL;
    }
    json_t *payload = payload_of(identity, subscription, now_ms);
    char *text = jws_sign(key->jwk, ticket_typ, payload);
    json_decref(payload);
    if (text && strlen(text) > ACCESS_TICKET_BYTES_MAX) {
        free(text);
        return NULL;
    }
    return text;
}

/* --- checking -------------------------------------------------------------------------------------- */

static enum ticket_outcome bad(struct error *err)
{
    error_set(err, "the ticket is not good");
    return TICKET_BAD;
}

static struct identity *read_identity(const json_t *payload)
{
    const char *user = json_string_value(json_object_get(payload, "sub"));
    const char *workspace = json_string_value(json_object_get(payload, "ws"));
    if (!user || !identity_name_fits(user) || (workspace && !identity_name_fits(workspace))) {
        return NULL;
    }
    struct identity *identity = identity_new(IDENTITY_TICKET, user, workspace);
    identity->expires_ms = json_integer_value(json_object_get(payload, "end"));
    if (jwt_claims_patterns(json_object_get(payload, "ch"), &identity->claimed, &identity->claimed_count) != 0) {
        identity_unref(identity);
        return NULL;
    }
    return identity;
}

/*
 * The subscription first: whoever offers a ticket for another one learns nothing about its times. That the login has ended
 * is no other outcome than that the ticket has: the page gets another one, with a fresh login where it needs that.
 */
static enum ticket_outcome check_payload(const json_t *payload, const char *subscription, int64_t now_ms,
                                         struct error *err)
{
    const json_t *bound = json_object_get(payload, "for");
    char digits[SUBSCRIPTION_DIGITS + 1];
    hash_subscription(subscription, digits);
    if (bound && (!json_is_string(bound) || strcmp(json_string_value(bound), digits) != 0)) {
        error_set(err, "the ticket renews another subscription");
        return TICKET_BAD;
    }
    int64_t end_ms = json_integer_value(json_object_get(payload, "end"));
    int64_t until_ms = json_integer_value(json_object_get(payload, "until"));
    if (now_ms - TICKET_SKEW_MS >= (until_ms < end_ms ? until_ms : end_ms)) {
        error_set(err, "the ticket has expired");
        return TICKET_EXPIRED;
    }
    return TICKET_GOOD;
}

/* The payload of a text that this key signed as a ticket; a new reference, or NULL. */
static json_t *open_ticket(const struct ticket_key *key, const char *text)
{
    struct jws jws;
    size_t len = strnlen(text, ACCESS_TICKET_BYTES_MAX + 1);
    if (len > ACCESS_TICKET_BYTES_MAX || jws_read(text, len, &jws, NULL) != 0) {
        return NULL;
    }
    bool malformed, fits = jws.alg == JWS_HS256 && jws.typ && strcmp(jws.typ, ticket_typ) == 0;
    json_t *payload = fits ? jws_verify(&jws, key->jwk, KEY_BYTES, &malformed) : NULL;
    jws_fini(&jws);
    return payload;
}

enum ticket_outcome ticket_check(const struct ticket_key *key, const char *text, const char *subscription,
                                 int64_t now_ms, struct identity **out, struct error *err)
{
    json_t *payload = open_ticket(key, text);
    if (!payload) {
        return bad(err);
    }
    enum ticket_outcome outcome = check_payload(payload, subscription, now_ms, err);
    if (outcome == TICKET_GOOD) {
        *out = read_identity(payload);
        outcome = *out ? TICKET_GOOD : bad(err);
    }
    json_decref(payload);
    return outcome;
}
