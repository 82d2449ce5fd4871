/* rights - see rights.h. */
#include "rights.h"

#include "client_address.h"
#include "clock.h"
#include "reply.h"
#include "tailwater/channel.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- what the request shows ------------------------------------------------------------------------ */

static bool is_own_origin(const struct exchange *x, const char *origin)
{
    const char *host = exchange_header(x, "Host"), *mark = strstr(origin, "://");
    return host && mark && strcasecmp(mark + 3, host) == 0;
}

static bool is_listed_origin(const struct http_settings *settings, const char *origin)
{
    for (const char *const *o = settings->origins; o && *o; o++) {
        if (strcmp(*o, origin) == 0) { /* a "*" lists nobody: without credentials only */
            return true;
        }
    }
    return false;
}

/* Browsers send cookies along whatever page asks: they count only for pages of this host and of listed origins. */
static bool may_use_cookies(const struct exchange *x, const struct http_settings *settings)
{
    const char *origin = exchange_header(x, "Origin"), *site = exchange_header(x, "Sec-Fetch-Site");
    if (origin) {
        return is_own_origin(x, origin) || is_listed_origin(settings, origin);
    }
    return !site || strcasecmp(site, "same-origin") == 0 || strcasecmp(site, "none") == 0;
}

bool rights_trusts_peer(const struct loop *loop, const struct exchange *x)
{
    struct access *access = access_holder_get(loop->context->access);
    struct ip_address peer = exchange_peer(x);
    bool trusts = access_trusts_proxy(access, &peer);
    access_unref(access);
    return trusts;
}

/* Identity headers: of a trusted proxy. Anyone else's are ignored, and counted. */
static void read_proxy(struct loop *loop, const struct exchange *x, const struct access *access,
                       struct access_request *request)
{
    const char *user = exchange_header(x, "X-User-Id"), *workspace = exchange_header(x, "X-Workspace-Id");
    struct ip_address peer = exchange_peer(x);
    if (access_trusts_proxy(access, &peer)) {
        request->user = user;
        request->workspace = workspace;
    } else if (user || workspace) {
        atomic_fetch_add(&loop->context->counters.headers_ignored, 1);
    }
}

static enum access_outcome identify(struct loop *loop, const struct exchange *x, const struct access *access,
                                    const struct params *params, const char *asked, struct identity **out,
                                    struct error *err)
{
    struct access_request request = {
        .authorization = exchange_header(x, "Authorization"),
        .cookies = may_use_cookies(x, &loop->context->settings) ? exchange_header(x, "Cookie") : NULL,
        .ticket = params ? params_get(params, "ticket") : NULL,
        .subscription = asked,
        .now_ms = clock_wall_ms(),
    };
    read_proxy(loop, x, access, &request);
    return access_identify(access, &request, out, err);
}

/* --- refusals -------------------------------------------------------------------------------------- */

static int refuse(struct rights_refusal *refusal, int status, const char *code)
{
    refusal->status = status;
    refusal->code = code;
    return -1;
}

static int refuse_outcome(const struct loop *loop, const struct exchange *x, enum access_outcome outcome,
                          struct rights_refusal *refusal)
{
    switch (outcome) {
    case ACCESS_MISSING:
        if (exchange_header(x, "Cookie") && !may_use_cookies(x, &loop->context->settings)) {
            error_set(&refusal->error, "cookies count only for pages of this host and of allowed_origins");
            return refuse(refusal, 403, "origin_not_allowed");
        }
        return refuse(refusal, 401, "unauthorized");
    case ACCESS_TICKET_EXPIRED:
        return refuse(refusal, 503, "ticket_expired");
    case ACCESS_INVALID:
    case ACCESS_GRANTED:
        break;
    }
    return refuse(refusal, 401, "invalid_credentials");
}

void rights_refuse(struct loop *loop, struct exchange *x, const struct rights_refusal *refusal)
{
    struct http_counters *counters = &loop->context->counters;
    if (refusal->status == 401) {
        atomic_fetch_add(&counters->auth_failures, 1);
    } else if (refusal->status == 403) {
        atomic_fetch_add(&counters->denied, 1);
    }
    reply_problem(x, &loop->context->settings, refusal->status, refusal->code, refusal->error.text);
}

void rights_refuse_all(struct loop *loop, struct exchange *x)
{
    struct rights_refusal refusal = {.status = 403, .code = "not_granted"};
    error_set(&refusal.error, "nothing of this may be read");
    rights_refuse(loop, x, &refusal);
}

/* --- rights ---------------------------------------------------------------------------------------- */

/* What the collection says. Who has something from it is not let in on what it may have said once. */
static int look_up(const struct http_context *context, const struct identity *identity, struct grant_set **out,
                   struct rights_refusal *refusal)
{
    *out = NULL;
    if (!context->grants || !identity->user) {
        return 0;
    }
    enum grant_book_state state = grant_book_state(context->grants);
    struct grant_set *found = grant_book_find(context->grants, identity->user);
    if (state == GRANTS_LOADING || (state == GRANTS_STALE && found && found->count > 0)) {
        grant_set_unref(found);
        error_set(&refusal->error, "what may be read is not known at the moment, MongoDB does not answer; try again");
        return refuse(refusal, 503, "grants_unavailable");
    }
    *out = found;
    return 0;
}

static bool is_among(char *const *patterns, unsigned count, const char *pattern)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(patterns[i], pattern) == 0) {
            return true;
        }
    }
    return false;
}

/* What the collection says is free of doubles in itself. */
static void add_grants(struct rights *rights, const struct grant_set *grants)
{
    unsigned before = rights->count;
    rights->patterns = memory_resize(rights->patterns, (before + grants->count + 1) * sizeof *rights->patterns);
    for (unsigned i = 0; i < grants->count; i++) {
        if (!is_among(rights->patterns, before, grants->patterns[i])) {
            rights->patterns[rights->count++] = memory_text(grants->patterns[i]);
        }
    }
}

void rights_of(const struct http_context *context, struct identity *identity, struct grant_set *grants,
               struct rights *out)
{
    struct access *access = access_holder_get(context->access);
    *out = (struct rights){.identity = identity_ref(identity), .grants = grants ? grant_set_ref(grants) : NULL};
    out->count = access_patterns(access, identity, &out->patterns);
    if (grants) {
        add_grants(out, grants);
    }
    access_unref(access);
}

/* A proxy that adds its header to the client's instead of replacing it would let everyone choose who they are. */
static bool came_twice(const struct exchange *x, const char *name)
{
    const char *first = exchange_header(x, name);
    if (!first) {
        return false;
    }
    char *all = exchange_header_list(x, name);
    bool twice = strcmp(all, first) != 0;
    free(all);
    return twice;
}

static int check_headers(const struct exchange *x, struct rights_refusal *refusal)
{
    static const char *const names[] = {"Authorization", "X-User-Id", "X-Workspace-Id"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (came_twice(x, names[i])) {
            error_set(&refusal->error, "the header %s came twice", names[i]);
            return refuse(refusal, 401, "invalid_credentials");
        }
    }
    return 0;
}

static int read_with(struct loop *loop, const struct exchange *x, const struct access *access,
                     const struct params *params, const char *asked, struct rights *out,
                     struct rights_refusal *refusal)
{
    struct identity *identity = NULL;
    struct grant_set *grants;
    if (check_headers(x, refusal) != 0) {
        return -1;
    }
    enum access_outcome outcome = identify(loop, x, access, params, asked, &identity, &refusal->error);
    if (outcome != ACCESS_GRANTED) {
        return refuse_outcome(loop, x, outcome, refusal);
    }
    int rc = look_up(loop->context, identity, &grants, refusal);
    if (rc == 0) {
        rights_of(loop->context, identity, grants, out);
        grant_set_unref(grants);
    }
    identity_unref(identity);
    return rc;
}

int rights_read(struct loop *loop, const struct exchange *x, const struct params *params,
                const struct subscription *subscription, struct rights *out, struct rights_refusal *refusal)
{
    struct buffer asked = BUFFER_INIT;
    struct access *access = access_holder_get(loop->context->access);
    if (subscription && params && params_get(params, "ticket")) { /* nothing else is bound to it */
        subscription_append_asked(subscription, &asked);
    }
    int rc = read_with(loop, x, access, params, subscription ? buffer_text(&asked) : NULL, out, refusal);
    access_unref(access);
    buffer_fini(&asked);
    return rc;
}

void rights_fini(struct rights *rights)
{
    identity_unref(rights->identity);
    grant_set_unref(rights->grants);
    memory_free_texts(rights->patterns, rights->count);
    *rights = (struct rights){0};
}

bool rights_cover(const struct rights *rights, const char *channel)
{
    for (unsigned i = 0; i < rights->count; i++) {
        const char *pattern = rights->patterns[i];
        if (tailwater_pattern_covers(pattern, strlen(pattern), channel, strlen(channel))) {
            return true;
        }
    }
    return false;
}

bool rights_have_changed(const struct http_context *context, const struct identity *identity,
                         const struct grant_set *grants)
{
    if (!context->grants || !identity->user) {
        return false;
    }
    struct grant_set *now = grant_book_find(context->grants, identity->user);
    grant_set_unref(now); /* only its address is compared; one that is held cannot be at it again */
    return now != grants;
}
