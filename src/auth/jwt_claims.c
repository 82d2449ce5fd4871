/* jwt_claims - see jwt_claims.h. */
#include "jwt_claims.h"

#include "buffer.h"

#include "tailwater/channel.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Seconds beyond which a time is as good as this one: the year 9999. */
static const double time_max_s = 253402300799.0;

/* --- when, from whom, for whom --------------------------------------------------------------------- */

/* A time in milliseconds; *there tells whether the claim is. */
static int read_time(const json_t *claims, const char *name, bool *there, int64_t *ms, struct error *err)
{
    const json_t *value = json_object_get(claims, name);
    *there = value != NULL;
    if (!value) {
        return 0;
    }
    if (!json_is_number(value)) {
        return error_set(err, "the token's %s is not a number", name);
    }
    double seconds = json_number_value(value);
    *ms = seconds >= time_max_s ? (int64_t)(time_max_s * 1000) : seconds <= 0 ? 0 : (int64_t)(seconds * 1000);
    return 0;
}

static int check_times(const json_t *claims, const struct jwt_rules *rules, int64_t now_ms, int64_t *expires_ms,
                       struct error *err)
{
    bool has_exp, has_nbf;
    int64_t exp = 0, nbf = 0, skew_ms = rules->skew_s * 1000;
    if (read_time(claims, "exp", &has_exp, &exp, err) != 0 || read_time(claims, "nbf", &has_nbf, &nbf, err) != 0) {
        return -1;
    }
    if (has_exp && now_ms >= exp + skew_ms) {
        return error_set(err, "the token has expired");
    }
    if (has_nbf && now_ms < nbf - skew_ms) {
        return error_set(err, "the token is not valid yet");
    }
    *expires_ms = has_exp ? exp : 0;
    return 0;
}

static bool is_text(const json_t *value, const char *text)
{
    const char *is = json_string_value(value);
    return is && strcmp(is, text) == 0;
}

static bool has_audience(const json_t *aud, const char *audience)
{
    const json_t *entry;
    size_t i;
    json_array_foreach(aud, i, entry)
    {
        if (is_text(entry, audience)) {
            return true;
        }
    }
    return is_text(aud, audience);
}

int jwt_claims_check(const json_t *claims, const struct jwt_rules *rules, int64_t now_ms, int64_t *expires_ms,
                     struct error *err)
{
    if (rules->issuer && !is_text(json_object_get(claims, "iss"), rules->issuer)) {
        return error_set(err, "the token's issuer is another one");
    }
    if (rules->audience && !has_audience(json_object_get(claims, "aud"), rules->audience)) {
        return error_set(err, "the token's audience is another one");
    }
    return check_times(claims, rules, now_ms, expires_ms, err);
}

/* --- who ------------------------------------------------------------------------------------------- */

/* The workspace; *out is NULL when there is none. */
static int read_workspace(const json_t *claims, const char **out, struct error *err)
{
    const json_t *value = json_object_get(claims, "workspace");
    value = value ? value : json_object_get(claims, "workspace_id");
    *out = json_string_value(value);
    if (!value || json_is_null(value)) {
        return 0;
    }
    return *out && identity_name_fits(*out) ? 0 : error_set(err, "the token's workspace is not a fitting text");
}

struct identity *jwt_claims_identity(const json_t *claims, const struct jwt_rules *rules, struct error *err)
{
    const char *user = json_string_value(json_object_get(claims, "sub")), *workspace;
    if (!user || !identity_name_fits(user)) {
        error_set(err, "the token's sub does not name a user");
        return NULL;
    }
    if (read_workspace(claims, &workspace, err) != 0) {
        return NULL;
    }
    struct identity *identity = identity_new(IDENTITY_TOKEN, user, workspace);
    if (jwt_claims_patterns(json_object_get(claims, rules->grants_claim), &identity->claimed,
                            &identity->claimed_count) != 0) {
        error_set(err, "the token lists more than %d channels", IDENTITY_CLAIMED_MAX);
        identity_unref(identity);
        return NULL;
    }
    return identity;
}

/* --- what ------------------------------------------------------------------------------------------ */

struct patterns {
    char **texts;
    unsigned count, seen;
};

/* Returns false when there are too many. */
static bool take(struct patterns *patterns, const char *text, size_t len)
{
    if (++patterns->seen > IDENTITY_CLAIMED_MAX) {
        return false;
    }
    if (!tailwater_channel_problem(text, len, true)) {
        patterns->texts = memory_resize(patterns->texts, (patterns->count + 1) * sizeof *patterns->texts);
        patterns->texts[patterns->count++] = memory_copy(text, len);
    }
    return true;
}

static bool take_words(struct patterns *patterns, const char *text)
{
    for (text += strspn(text, " ,"); *text; text += strspn(text, " ,")) {
        size_t len = strcspn(text, " ,");
        if (!take(patterns, text, len)) {
            return false;
        }
        text += len;
    }
    return true;
}

static bool take_list(struct patterns *patterns, const json_t *list)
{
    const json_t *entry;
    size_t i;
    json_array_foreach(list, i, entry)
    {
        /* An entry that is no text counts, and is as good as none. */
        if (!take(patterns, json_is_string(entry) ? json_string_value(entry) : "", json_string_length(entry))) {
            return false;
        }
    }
    return true;
}

int jwt_claims_patterns(const json_t *claim, char ***out, unsigned *count)
{
    struct patterns patterns = {0};
    bool fit = json_is_string(claim) ? take_words(&patterns, json_string_value(claim)) : take_list(&patterns, claim);
    if (!fit) {
        memory_free_texts(patterns.texts, patterns.count);
        return -1;
    }
    *out = patterns.texts;
    *count = patterns.count;
    return 0;
}
