/* endpoint_test - POST /test/publish, GET and POST /test/logs: publishing without a token, only where the configuration
 * says test_endpoints. */
#include "endpoints.h"

#include "buffer.h"
#include "publish_begin.h"
#include "reply.h"

#include <string.h>

/* A page of another site can make a browser send a GET, and browsers say so. */
static bool is_foreign(const struct exchange *x)
{
    const char *site = exchange_header(x, "Sec-Fetch-Site");
    return site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0;
}

static void publish(struct loop *loop, struct exchange *x, enum publish_kind kind)
{
    const struct http_settings *settings = &loop->context->settings;
    bool is_sample = exchange_method(x) == METHOD_GET;
    if (!settings->test_endpoints) {
        reply_problem(x, settings, 404, "not_found", "there is nothing at this path; test_endpoints is not set");
    } else if (is_sample && is_foreign(x)) {
        reply_problem(x, settings, 403, "foreign_page", "a page of another site may not insert logs");
    } else {
        struct publish_request *request = memory_zero(1, sizeof *request);
        request->kind = kind;
        request->is_sample = is_sample;
        publish_begin(loop, x, request);
    }
}

void endpoint_test_publish(struct loop *loop, struct exchange *x, const struct http_alias *alias)
{
    (void)alias;
    publish(loop, x, PUBLISH_EVENTS);
}

void endpoint_test_logs(struct loop *loop, struct exchange *x, const struct http_alias *alias)
{
    (void)alias;
    publish(loop, x, PUBLISH_LOGS);
}
