/* reply - see reply.h. */
#include "reply.h"

#include "buffer.h"
#include "cors.h"

#include <string.h>

static const char *title_of(int status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 409:
        return "Conflict";
    case 413:
        return "Content Too Large";
    case 415:
        return "Unsupported Media Type";
    case 429:
        return "Too Many Requests";
    case 503:
        return "Service Unavailable";
    default:
        return "Error";
    }
}

static void add_common_headers(struct exchange *x, const struct http_settings *settings)
{
    cors_add_headers(x, settings);
    exchange_add_header(x, "Cache-Control", "no-store");
}

/* What a client may do about it (RFC 9110, RFC 6750). */
static void add_advice(struct exchange *x, int status, const char *code)
{
    if (status == 429 || status == 503) {
        exchange_add_header(x, "Retry-After", "2");
    } else if (status == 401) {
        bool was_shown = strcmp(code, "invalid_credentials") == 0;
        exchange_add_header(x, "WWW-Authenticate",
                            was_shown ? "Bearer realm=\"tailwater\", error=\"invalid_token\""
                                      : "Bearer realm=\"tailwater\"");
    }
}

void reply_json(struct exchange *x, const struct http_settings *settings, int status, const char *json, size_t len)
{
    add_common_headers(x, settings);
    exchange_reply(x, status, "application/json", json, len);
}

void reply_problem(struct exchange *x, const struct http_settings *settings, int status, const char *code,
                   const char *detail)
{
    reply_problem_with(x, settings, status, code, detail, (struct slice){"", 0});
}

void reply_problem_with(struct exchange *x, const struct http_settings *settings, int status, const char *code,
                        const char *detail, struct slice members)
{
    struct buffer body = BUFFER_INIT;
    buffer_printf(&body, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"code\":\"%s\"", title_of(status),
                  status, code);
    if (detail) {
        buffer_append_text(&body, ",\"detail\":\"");
        buffer_append_json(&body, detail, strlen(detail));
        buffer_append_byte(&body, '"');
    }
    buffer_append(&body, ",", members.len > 0);
    buffer_append(&body, members.data, members.len);
    buffer_append_text(&body, "}\n");
    add_common_headers(x, settings);
    add_advice(x, status, code);
    exchange_reply(x, status, "application/problem+json", body.data, body.len);
    buffer_fini(&body);
}
