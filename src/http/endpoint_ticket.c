/* endpoint_ticket - POST /api/logs/ticket: a ticket for a browser's EventSource, which cannot send an Authorization header.
 * Whoever shows a token, a cookie or comes by a trusted proxy gets one for the next half a minute. */
#include "endpoints.h"

#include "clock.h"
#include "reply.h"
#include "rights.h"

#include <stdlib.h>

static void answer(struct loop *loop, struct exchange *x, const struct access *access,
                   const struct identity *identity)
{
    const struct http_settings *settings = &loop->context->settings;
    if (!identity->user) {
        struct rights_refusal refusal = {.status = 401, .code = "unauthorized"};
        error_set(&refusal.error, "a ticket is for somebody in particular: show a token");
        rights_refuse(loop, x, &refusal);
        return;
    }
    char *ticket = access_ticket(access, identity, NULL, clock_wall_ms());
    if (!ticket) {
        reply_problem(x, settings, 400, "no_ticket", "what the token grants is too long for a ticket in a URL");
        return;
    }
    struct buffer body = BUFFER_INIT;
    atomic_fetch_add(&loop->context->counters.tickets, 1);
    buffer_printf(&body, "{\"ticket\":\"%s\",\"expires_in\":%d}\n", ticket, ACCESS_TICKET_S);
    reply_json(x, settings, 200, body.data, body.len);
    buffer_fini(&body);
    free(ticket);
}

void endpoint_ticket(struct loop *loop, struct exchange *x, const struct http_alias *alias)
{
    (void)alias;
    struct rights rights;
    struct rights_refusal refusal;
    struct access *access = access_holder_get(loop->context->access);
    if (!access_has_tickets(access)) {
        reply_problem(x, &loop->context->settings, 404, "tickets_off",
                      "there are no tickets here: auth.ticket_secret_file is not set");
    } else if (rights_read(loop, x, NULL, NULL, &rights, &refusal) != 0) {
        rights_refuse(loop, x, &refusal);
    } else {
        answer(loop, x, access, rights.identity);
        rights_fini(&rights);
    }
    access_unref(access);
}
