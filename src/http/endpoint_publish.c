/* endpoint_publish - POST /api/logs/publish and POST /api/publish: a service shows its token and has documents stored.
 * Who it is and what it may publish to goes along with the request; the keys may be other ones when it is served. */
#include "endpoints.h"

#include "buffer.h"
#include "publish_begin.h"
#include "reply.h"

static void take_service(struct publish_request *request, const struct access_service *service)
{
    request->name = memory_text(service->name);
    request->label = memory_text(service->service);
    request->patterns = memory_zero(service->publish_count + 1, sizeof *request->patterns);
    for (; request->pattern_count < service->publish_count; request->pattern_count++) {
        request->patterns[request->pattern_count] = memory_text(service->publish[request->pattern_count]);
    }
}

static void refuse(struct loop *loop, struct exchange *x, bool was_shown)
{
    atomic_fetch_add(&loop->context->counters.auth_failures, 1);
    reply_problem(x, &loop->context->settings, 401, was_shown ? "invalid_credentials" : "unauthorized",
                  was_shown ? "this is not the token of a service"
                            : "publishing needs a service's token: Authorization: Bearer …");
}

static void publish(struct loop *loop, struct exchange *x, enum publish_kind kind)
{
    const char *authorization = exchange_header(x, "Authorization");
    struct access *access = access_holder_get(loop->context->access);
    const struct access_service *service = authorization ? access_find_service(access, authorization) : NULL;
    if (service) {
        struct publish_request *request = memory_zero(1, sizeof *request);
        request->kind = kind;
        take_service(request, service);
        publish_begin(loop, x, request);
    } else {
        refuse(loop, x, authorization != NULL);
    }
    access_unref(access);
}

void endpoint_publish(struct loop *loop, struct exchange *x, const struct http_alias *alias)
{
    (void)alias;
    publish(loop, x, PUBLISH_LOGS);
}

void endpoint_publish_event(struct loop *loop, struct exchange *x, const struct http_alias *alias)
{
    (void)alias;
    publish(loop, x, PUBLISH_EVENTS);
}
