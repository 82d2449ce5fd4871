/* routes - see routes.h. */
#include "routes.h"

#include "cors.h"
#include "endpoints.h"
#include "reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct route {
    const char *path; /* may end with one {parameter}: any segment that is not empty */
    unsigned methods; /* enum exchange_method, OPTIONS is always allowed */
    endpoint_fn *endpoint;
};

static const struct route table[] = {
    {"/api/logs/stream", METHOD_GET | METHOD_HEAD | METHOD_POST, endpoint_stream},
    {"/api/sse", METHOD_GET | METHOD_HEAD | METHOD_POST, endpoint_stream},
    {"/logs/stream", METHOD_GET | METHOD_HEAD | METHOD_POST, endpoint_stream},
    {"/api/logs/stream/{connection_id}", METHOD_PATCH, endpoint_change},
    {"/api/logs/event", METHOD_GET | METHOD_HEAD, endpoint_event},
    {"/api/logs/history", METHOD_GET | METHOD_HEAD, endpoint_history},
    {"/api/logs/ticket", METHOD_POST, endpoint_ticket},
    {"/api/logs/publish", METHOD_POST, endpoint_publish},
    {"/api/publish", METHOD_POST, endpoint_publish_event},
    {"/test/publish", METHOD_POST, endpoint_test_publish},
    {"/test/logs", METHOD_GET | METHOD_POST, endpoint_test_logs},
    {"/health", METHOD_GET | METHOD_HEAD, endpoint_health},
    {"/admin/connections", METHOD_GET | METHOD_HEAD, endpoint_admin_connections},
    {"/admin/connections/{id}", METHOD_DELETE, endpoint_admin_kick},
    {"/admin/channels", METHOD_GET | METHOD_HEAD, endpoint_admin_channels},
    {"/admin/logs/stats", METHOD_GET | METHOD_HEAD, endpoint_admin_stats},
    {"/admin/sources", METHOD_GET | METHOD_HEAD, endpoint_admin_sources},
    {"/admin/config", METHOD_GET | METHOD_HEAD, endpoint_admin_config},
    {"/", METHOD_GET | METHOD_HEAD, endpoint_page},
    {"/live.js", METHOD_GET | METHOD_HEAD, endpoint_page},
    {"/live.css", METHOD_GET | METHOD_HEAD, endpoint_page},
    {"/live.svg", METHOD_GET | METHOD_HEAD, endpoint_page},
};

static bool is_path(struct slice path, const char *text)
{
    return strlen(text) == path.len && memcmp(text, path.data, path.len) == 0;
}

static bool is_route(struct slice path, const char *text)
{
    size_t fixed = strcspn(text, "{");
    if (text[fixed] == '\0') {
        return is_path(path, text);
    }
    return path.len > fixed && memcmp(path.data, text, fixed) == 0 &&
           !memchr(path.data + fixed, '/', path.len - fixed);
}

struct slice routes_parameter(const struct exchange *x)
{
    struct slice path = exchange_path(x);
    const char *slash = memrchr(path.data, '/', path.len);
    const char *start = slash ? slash + 1 : path.data;
    return (struct slice){start, (size_t)(path.data + path.len - start)};
}

static const struct http_alias *find_alias(const struct http_settings *settings, struct slice path)
{
    for (unsigned i = 0; i < settings->alias_count; i++) {
        if (is_path(path, settings->aliases[i].path)) {
            return &settings->aliases[i];
        }
    }
    return NULL;
}

static const struct route *find_route(struct slice path, const struct http_alias *alias)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (alias ? table[i].endpoint == endpoint_stream : is_route(path, table[i].path)) {
            return &table[i];
        }
    }
    return NULL;
}

static void format_allow(unsigned methods, char out[64])
{
    static const struct {
        enum exchange_method method;
        const char *name;
    } names[] = {{METHOD_GET, "GET"}, {METHOD_HEAD, "HEAD"}, {METHOD_POST, "POST"}, {METHOD_PATCH, "PATCH"},
                 {METHOD_DELETE, "DELETE"}};
    out[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (methods & names[i].method) {
            strcat(out, names[i].name);
            strcat(out, ", ");
        }
    }
    strcat(out, "OPTIONS");
}

/* "localhost:3002", "127.0.0.1", "[::1]:3002": the host part is a name of this machine's loopback. */
static bool is_loopback_host(const char *host)
{
    size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    const char *port = host + (strlen(host) < len ? strlen(host) : len);
    if (*port == ':') {
        port++;
        port += strspn(port, "0123456789");
    }
    if (*port != '\0') {
        return false;
    }
    if ((len == 9 && strncasecmp(host, "localhost", 9) == 0) || (len == 5 && memcmp(host, "[::1]", 5) == 0)) {
        return true;
    }
    unsigned a, b, c, d;
    int end = 0;
    char text[16];
    if (len >= sizeof text) {
        return false;
    }
    memcpy(text, host, len);
    text[len] = '\0';
    return sscanf(text, "%3u.%3u.%3u.%3u%n", &a, &b, &c, &d, &end) == 4 && text[end] == '\0' && a == 127 && b < 256 &&
           c < 256 && d < 256;
}

/* Against DNS rebinding: in open mode a page of any site could otherwise read this machine's logs through a name that
 * it points at 127.0.0.1. */
static bool is_host_allowed(const struct exchange *x, const struct http_settings *settings)
{
    const char *host = exchange_header(x, "Host");
    return !settings->check_host || (host && is_loopback_host(host));
}

void routes_handle(struct exchange *x, void *arg)
{
    struct loop *loop = arg;
    const struct http_settings *settings = &loop->context->settings;
    struct slice path = exchange_path(x);
    if (!is_host_allowed(x, settings)) {
        reply_problem(x, settings, 403, "host_not_allowed",
                      "where nobody needs to say who they are this server answers only to localhost and loopback addresses in the Host "
                      "header");
        return;
    }
    const struct http_alias *alias = find_alias(settings, path);
    const struct route *route = find_route(path, alias);
    if (!route) {
        reply_problem(x, settings, 404, "not_found", "there is nothing at this path");
        return;
    }
    char allow[64];
    format_allow(route->methods, allow);
    if (exchange_method(x) == METHOD_OPTIONS) {
        cors_answer_preflight(x, settings, allow);
    } else if (!(route->methods & (unsigned)exchange_method(x))) {
        exchange_add_header(x, "Allow", allow);
        reply_problem(x, settings, 405, "method_not_allowed", "see the Allow header");
    } else {
        route->endpoint(loop, x, alias);
    }
}
