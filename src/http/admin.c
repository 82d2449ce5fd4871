/* admin - see admin.h. */
#include "admin.h"

#include "access.h"
#include "buffer.h"
#include "clock.h"
#include "reply.h"

#include <inttypes.h>
#include <string.h>

bool admin_enter(struct loop *loop, struct exchange *x)
{
    const struct http_settings *settings = &loop->context->settings;
    struct access *access = access_holder_get(loop->context->access);
    bool is_on = access_has_admin(access), may = access_is_admin(access, exchange_header(x, "Authorization"));
    access_unref(access);
    if (!is_on) {
        reply_problem(x, settings, 404, "admin_off", "there is no admin here: auth.admin_token_sha256 is not set");
    } else if (!may) {
        atomic_fetch_add(&loop->context->counters.auth_failures, 1);
        reply_problem(x, settings, 401, exchange_header(x, "Authorization") ? "invalid_credentials" : "unauthorized",
                      "the admin token must stand in Authorization: Bearer");
    } else if (loop->draining || atomic_load(&loop->context->draining)) {
        reply_problem(x, settings, 503, "draining", "this instance is shutting down");
        may = false;
    }
    return is_on && may;
}

void admin_append_text(struct buffer *out, const char *name, const char *text)
{
    buffer_printf(out, ",\"%s\":", name);
    if (text) {
        buffer_append_json_item(out, 0, text, strlen(text));
    } else {
        buffer_append_text(out, "null");
    }
}

void admin_append_time(struct buffer *out, const char *name, int64_t wall_ms)
{
    char time[CLOCK_ISO_MAX];
    clock_format_iso(wall_ms, time);
    admin_append_text(out, name, wall_ms ? time : NULL);
}

void admin_append_number(struct buffer *out, const char *name, int64_t number)
{
    buffer_printf(out, ",\"%s\":%" PRId64, name, number);
}
