/* cors - see cors.h. */
#include "cors.h"

#include <string.h>

static bool has_origins(const struct http_settings *settings)
{
    return settings->origins && settings->origins[0];
}

/* Byte for byte: an origin has one spelling. "null", which any sandboxed page has, cannot be configured. */
static const char *allowed_origin(const struct exchange *x, const struct http_settings *settings)
{
    const char *origin = exchange_header(x, "Origin");
    if (!origin || !has_origins(settings)) {
        return NULL;
    }
    for (const char *const *o = settings->origins; *o; o++) {
        if (strcmp(*o, "*") == 0) {
            return "*";
        }
        if (strcmp(*o, origin) == 0) {
            return *o;
        }
    }
    return NULL;
}

void cors_add_headers(struct exchange *x, const struct http_settings *settings)
{
    const char *origin = allowed_origin(x, settings);
    if (has_origins(settings)) {
        exchange_add_header(x, "Vary", "Origin");
    }
    if (!origin) {
        return;
    }
    exchange_add_header(x, "Access-Control-Allow-Origin", origin);
    if (strcmp(origin, "*") != 0) {
        exchange_add_header(x, "Access-Control-Allow-Credentials", "true");
    }
    exchange_add_header(x, "Access-Control-Expose-Headers", "X-Connection-Id, Retry-After");
}

void cors_answer_preflight(struct exchange *x, const struct http_settings *settings, const char *allow)
{
    cors_add_headers(x, settings);
    if (has_origins(settings)) {
        exchange_add_header(x, "Vary", "Access-Control-Request-Method, Access-Control-Request-Headers");
    }
    exchange_add_header(x, "Allow", allow);
    if (allowed_origin(x, settings)) {
        exchange_add_header(x, "Access-Control-Allow-Methods", allow);
        exchange_add_header(x, "Access-Control-Allow-Headers",
                            "Authorization, Cache-Control, Content-Type, Last-Event-ID");
        exchange_add_header(x, "Access-Control-Max-Age", "7200");
    }
    exchange_reply(x, 204, NULL, NULL, 0);
}
