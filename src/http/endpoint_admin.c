/* endpoint_admin - GET /admin/connections and DELETE /admin/connections/{id}: who is connected, on whatever loop. */
#include "endpoints.h"

#include "admin.h"
#include "gather.h"
#include "params.h"
#include "pending.h"
#include "reply.h"
#include "routes.h"

#include <stdlib.h>
#include <string.h>

static int read_sort(const struct params *params, struct gather *g, struct error *err)
{
    const char *sort = params_get(params, "sort");
    unsigned i = 0;
    while (sort && gather_sort_name(i) && strcmp(gather_sort_name(i), sort) != 0) {
        i++;
    }
    g->sort = (enum gather_sort)i;
    return i < GATHER_SORTS ? 0 : error_set(err, "sort: must be since, events, bytes, queued or lag");
}

static int read_question(struct slice query, struct gather *g, struct error *err)
{
    struct params *params = params_from_query(query, err);
    if (!params) {
        return -1;
    }
    const char *q = params_get(params, "q");
    g->q = q ? memory_text(q) : NULL;
    int rc = read_sort(params, g, err) == 0 ? page_init(&g->page, params, err) : -1;
    params_free(params);
    return rc;
}

/* Takes it. */
static void ask(struct loop *loop, struct exchange *x, struct gather *g)
{
    struct pending *p = pending_new(loop, x, NULL);
    g->box = loop->mailbox;
    g->number = p->number;
    pending_wait(p);
    gather_send(loop->context, g);
}

void endpoint_admin_connections(struct loop *loop, struct exchange *x, const struct http_alias *alias)
{
    (void)alias;
    struct error err;
    if (!admin_enter(loop, x)) {
        return;
    }
    struct gather *g = memory_zero(1, sizeof *g);
    if (read_question(exchange_query(x), g, &err) != 0) {
        reply_problem(x, &loop->context->settings, 400, "invalid_query", err.text);
        gather_free(g);
        return;
    }
    ask(loop, x, g);
}

static void refuse_unknown(struct loop *loop, struct exchange *x)
{
    reply_problem(x, &loop->context->settings, 404, "connection_not_found",
                  "no such connection here: it ended or lives on another instance");
}

void endpoint_admin_kick(struct loop *loop, struct exchange *x, const struct http_alias *alias)
{
    (void)alias;
    if (!admin_enter(loop, x)) {
        return;
    }
    struct gather *g = memory_zero(1, sizeof *g);
    if (connection_id_parse(routes_parameter(x), g->connection_id) != 0) {
        refuse_unknown(loop, x);
        gather_free(g);
        return;
    }
    ask(loop, x, g);
}

static void answer(struct loop *loop, struct exchange *x, struct gather *g)
{
    const struct http_settings *settings = &loop->context->settings;
    if (g->connection_id[0] && g->was_found) {
        reply_json(x, settings, 204, NULL, 0);
    } else if (g->connection_id[0]) {
        refuse_unknown(loop, x);
    } else {
        struct buffer body = BUFFER_INIT;
        buffer_append_byte(&body, '{');
        page_append(&g->page, "connections", &body);
        buffer_append_text(&body, "}\n");
        reply_json(x, settings, 200, body.data, body.len);
        buffer_fini(&body);
    }
}

void endpoint_admin_answer(struct loop *loop, struct gather *g)
{
    struct pending *p = pending_find_number(loop, g->number);
    if (p) {
        answer(loop, p->exchange, g);
        pending_end(p);
    }
    gather_free(g);
}
