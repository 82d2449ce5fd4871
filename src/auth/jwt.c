/* jwt - see jwt.h. */
#include "jwt.h"

#include "jwt_claims.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int check_header(const struct jws *jws, struct error *err)
{
    if (jws->typ && strcasecmp(jws->typ, "JWT") != 0 && strcasecmp(jws->typ, "at+jwt") != 0) {
        return error_set(err, "the token's typ is neither JWT nor at+jwt");
    }
    return 0;
}

/* The payload when one of the keys that fit has signed it; a new reference. */
static json_t *verify(const struct jwt_keys *keys, const struct jws *jws, struct error *err)
{
    const struct jwt_key *found[JWT_KEYS_TRIED_MAX];
    unsigned count = jwt_keys_find(keys, jws->alg, jws->kid, found);
    bool malformed = false;
    for (unsigned i = 0; i < count && !malformed; i++) {
        json_t *payload = jws_verify(jws, found[i]->jwk, found[i]->signature_len, &malformed);
        if (payload) {
            return payload;
        }
    }
    error_set(err, malformed ? "the token's payload is not a JSON object whose members stand once each"
                   : count   ? "the token's signature is wrong"
                             : "no key fits the token's algorithm and kid");
    return NULL;
}

static struct identity *read_claims(const json_t *claims, const struct jwt_rules *rules, int64_t now_ms,
                                    struct error *err)
{
    int64_t expires_ms;
    if (jwt_claims_check(claims, rules, now_ms, &expires_ms, err) != 0) {
        return NULL;
    }
    struct identity *identity = jwt_claims_identity(claims, rules, err);
    if (identity) {
        identity->expires_ms = expires_ms;
    }
    return identity;
}

struct identity *jwt_identify(const struct jwt_keys *keys, const struct jwt_rules *rules, const char *token,
                              size_t len, int64_t now_ms, struct error *err)
{
    struct jws jws;
    if (jws_read(token, len, &jws, err) != 0) {
        error_prefix(err, "the token is refused");
        return NULL;
    }
    json_t *claims = check_header(&jws, err) == 0 ? verify(keys, &jws, err) : NULL;
    struct identity *identity = claims ? read_claims(claims, rules, now_ms, err) : NULL;
    json_decref(claims);
    jws_fini(&jws);
    return identity;
}
