/* access_identify - who asks (access.h): the credentials of a request in their order, and tickets. */
#include "access_inside.h"

#include "credential.h"

#include <string.h>

static enum access_outcome invalid(struct error *err, const char *sentence)
{
    error_set(err, "%s", sentence);
    return ACCESS_INVALID;
}

static enum access_outcome identify_token(const struct access *access, const char *token, size_t len, int64_t now_ms,
                                          struct identity **out, struct error *err)
{
    if (access->keys.count == 0) {
        return invalid(err, "tokens are not accepted here");
    }
    if (len > ACCESS_CREDENTIAL_MAX) {
        return invalid(err, "the token is too long");
    }
    *out = jwt_identify(&access->keys, &access->rules, token, len, now_ms, err);
    return *out ? ACCESS_GRANTED : ACCESS_INVALID;
}

static enum access_outcome identify_bearer(const struct access *access, const struct access_request *request,
                                           struct identity **out, struct error *err)
{
    size_t len;
    const char *token = credential_bearer(request->authorization, &len);
    if (!token) {
        return invalid(err, "the Authorization header is not of the form \"Bearer TOKEN\"");
    }
    return identify_token(access, token, len, request->now_ms, out, err);
}

static enum access_outcome identify_ticket(const struct access *access, const struct access_request *request,
                                           struct identity **out, struct error *err)
{
    if (!access->tickets) {
        return invalid(err, "tickets are off: no ticket secret is configured");
    }
    if (!request->subscription) {
        return invalid(err, "a ticket opens a stream and nothing else");
    }
    switch (ticket_check(access->tickets, request->ticket, request->subscription, request->now_ms, out, err)) {
    case TICKET_GOOD:
        return ACCESS_GRANTED;
    case TICKET_EXPIRED:
        return ACCESS_TICKET_EXPIRED;
    case TICKET_BAD:
    default:
        return ACCESS_INVALID;
    }
}

static enum access_outcome identify_proxied(const struct access_request *request, struct identity **out,
                                            struct error *err)
{
    if (!identity_name_fits(request->user)) {
        return invalid(err, "X-User-Id does not name a user");
    }
    const char *workspace = request->workspace && request->workspace[0] ? request->workspace : NULL;
    if (workspace && !identity_name_fits(workspace)) {
        return invalid(err, "X-Workspace-Id does not name a workspace");
    }
    *out = identity_new(IDENTITY_PROXY, request->user, workspace);
    return ACCESS_GRANTED;
}

static enum access_outcome identify_nobody(const struct access *access, struct identity **out, struct error *err)
{
    if (access->anonymous.count == 0) {
        error_set(err, "a token is needed");
        return ACCESS_MISSING;
    }
    *out = identity_new(IDENTITY_ANONYMOUS, NULL, NULL);
    return ACCESS_GRANTED;
}

enum access_outcome access_identify(const struct access *access, const struct access_request *request,
                                    struct identity **out, struct error *err)
{
    const char *value;
    size_t len;
    *out = NULL;
    if (access->open) {
        *out = identity_new(IDENTITY_OPEN, NULL, NULL);
        return ACCESS_GRANTED;
    }
    if (request->authorization) {
        return identify_bearer(access, request, out, err);
    }
    if (request->ticket) {
        return identify_ticket(access, request, out, err);
    }
    if (access->cookie && request->cookies) {
        switch (credential_cookie(request->cookies, access->cookie, &value, &len)) {
        case CREDENTIAL_COOKIE:
            return identify_token(access, value, len, request->now_ms, out, err);
        case CREDENTIAL_COOKIES:
            return invalid(err, "the cookie of the token is there twice");
        case CREDENTIAL_NO_COOKIE:
            break;
        }
    }
    return request->user ? identify_proxied(request, out, err) : identify_nobody(access, out, err);
}

bool access_trusts_proxy(const struct access *access, const struct ip_address *peer)
{
    for (unsigned i = 0; i < access->proxy_count; i++) {
        if (ip_range_has(&access->proxies[i], peer)) {
            return true;
        }
    }
    return false;
}

bool access_has_tickets(const struct access *access)
{
    return access->tickets != NULL;
}

char *access_ticket(const struct access *access, const struct identity *identity, const char *subscription,
                    int64_t now_ms)
{
    return access->tickets ? ticket_make(access->tickets, identity, subscription, now_ms) : NULL;
}
