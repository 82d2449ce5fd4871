/* jwt_make - see jwt_make.h. */
#include "jwt_make.h"

#include "jwt_keys.h"

static void set_text(json_t *claims, const char *name, const char *text)
{
    if (text) {
        json_object_set_new(claims, name, json_string(text));
    }
}

static json_t *claims_of(const struct jwt_draft *draft)
{
    json_t *claims = json_object();
    set_text(claims, "sub", draft->user);
    set_text(claims, "workspace", draft->workspace);
    set_text(claims, "iss", draft->issuer);
    set_text(claims, "aud", draft->audience);
    json_object_set_new(claims, "iat", json_integer(draft->now_s));
    if (draft->expires_s) {
        json_object_set_new(claims, "exp", json_integer(draft->expires_s));
    }
    json_t *patterns = json_array();
    for (unsigned i = 0; i < draft->pattern_count; i++) {
        json_array_append_new(patterns, json_string(draft->patterns[i]));
    }
    json_object_set_new(claims, draft->grants_claim, patterns);
    return claims;
}

char *jwt_make(const char *secret, const struct jwt_draft *draft, struct error *err)
{
    struct jwt_keys keys = {0};
    if (jwt_keys_add_secret(&keys, secret, err) != 0) {
        return NULL;
    }
    json_t *claims = claims_of(draft);
    char *token = jws_sign(keys.keys[0].jwk, "JWT", claims);
    json_decref(claims);
    jwt_keys_fini(&keys);
    if (!token) {
        error_set(err, "the JOSE library cannot sign");
    }
    return token;
}
